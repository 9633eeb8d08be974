"""Weights on disk: whole, checked by name and shape, never unpickled."""

import json
import pickle
import warnings
import zipfile
from dataclasses import replace

import pytest
import torch
from torch import nn

from crowdtruth.parallel import Silent, reporting_to
from nucls_model.backbone import build_backbone
from nucls_model.config import NuclsConfig
from nucls_model.nucls import build_nucls
from nucls_model.weights import (
    check_tensors,
    load_backbone,
    load_weights,
    read_model,
    read_model_record,
    read_tensors,
    save_weights,
    write_model,
    write_tensors,
)

CLASSES = ("tumor", "stroma")
COLORS = {"tumor": (255, 0, 0)}


class Told(Silent):
    """A reporter that remembers."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def small_net(width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Linear(width, 2))


class Backbone(nn.Module):
    """Torchvision's names in small: a stem and the stages asked for."""

    def __init__(self, n_stages, *, has_fc=False, width=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for n in range(1, n_stages + 1):
            setattr(self, f"layer{n}", nn.Sequential(nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width)))
        if has_fc:
            self.fc = nn.Linear(width, 1000)


def assert_equal_states(a, b):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=0)


def test_write_tensors__reads_back_every_kind_and_gives_the_same_bytes_again(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = {
        "float": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        "transposed": shared.T,
        "shared": shared,
        "again": shared,
        "count": torch.tensor(7),
        "half": torch.ones(2, dtype=torch.float16),
        "flags": torch.tensor([True, False]),
        "empty": torch.zeros(0, 5),
    }
    first = write_tensors(tensors, tmp_path / "a.safetensors")
    assert_equal_states(read_tensors(tmp_path / "a.safetensors"), tensors)
    assert write_tensors(dict(reversed(tensors.items())), tmp_path / "b.safetensors") == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ""])
def test_read_tensors__reads_both_forms_of_a_torch_state_dict(tmp_path, suffix, is_zip):
    state = small_net().state_dict()
    torch.save(state, tmp_path / f"net{suffix}", _use_new_zipfile_serialization=is_zip)
    assert_equal_states(read_tensors(tmp_path / f"net{suffix}"), dict(state))


def test_load_weights__fills_the_module_and_says_the_checksum(tmp_path):
    saved, loaded = small_net(), small_net()
    checksum = save_weights(saved, tmp_path / "w.safetensors")
    told = Told()
    with reporting_to(told):
        assert load_weights(loaded, tmp_path / "w.safetensors") == checksum
    assert_equal_states(loaded.state_dict(), saved.state_dict())
    assert told.lines == [f"weights: 9 tensors of {tmp_path / 'w.safetensors'}, SHA-256 {checksum}"]


class Trap:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_read_tensors__never_runs_a_pickle_in_place_of_weights(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"a": Trap()}))
    with pytest.raises(ValueError, match=r"w\.\w+: expected a .*pickle"):
        read_tensors(path)
    torch.save({"a": Trap()}, path)
    with pytest.raises(ValueError, match=r"w\.\w+: expected a .*pickle"):
        read_tensors(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_read_tensors__says_that_a_file_is_cut_off(tmp_path, name, share):
    path = tmp_path / name
    save_weights(small_net(), path) if path.suffix == ".safetensors" else torch.save(small_net().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="cut off"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 3, "state_dict": {"a": torch.zeros(1)}}, "'epoch', 'state_dict' hold no tensor"),
        (torch.zeros(3), "this one holds Tensor"),
        ({}, "this one holds dict"),
    ],
)
def test_read_tensors__says_what_is_there_in_place_of_named_tensors(tmp_path, content, words):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=words):
        read_tensors(tmp_path / "w.pt")


def test_read_tensors__unpacks_no_archive_beyond_its_size(tmp_path):
    torch.save({"a": torch.zeros(10)}, tmp_path / "whole.pt")
    with (
        zipfile.ZipFile(tmp_path / "whole.pt") as whole,
        zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in whole.namelist():
            packed.writestr(name, whole.read(name) + bytes(1_000_000))
    with pytest.raises(ValueError, match=r"w\.pt: expected .* unpacks to more than its own size"):
        read_tensors(tmp_path / "w.pt")


def test_read_tensors__refuses_a_compiled_program(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.jit's age
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"expected a torch state dict .*TorchScript"):
        read_tensors(tmp_path / "w.pt")


def test_read_tensors__says_that_there_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"w\.pt: expected a file of weights, there is none"):
        read_tensors(tmp_path / "w.pt")


def test_load_weights__names_what_is_missing_and_what_is_too_much_and_changes_nothing(tmp_path):
    state = dict(small_net().state_dict())
    state["more"] = state.pop("2.bias")
    write_tensors(state, tmp_path / "w.safetensors")
    net = small_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    words = r"does not fit the model: 1 of 9 tensors are missing: '2\.bias'; 1 of 9 tensors are not the model's: 'more'"
    with pytest.raises(ValueError, match=words):
        load_weights(net, tmp_path / "w.safetensors")
    assert_equal_states(net.state_dict(), before)


def test_load_weights__names_the_shapes_that_differ(tmp_path):
    save_weights(small_net(width=5), tmp_path / "w.safetensors")
    words = (
        r"7 of 9 tensors have another shape: '0\.weight' \(expected \(4, 3, 3, 3\), got \(5, 3, 3, 3\)\).* and 3 more"
    )
    with pytest.raises(ValueError, match=words):
        load_weights(small_net(), tmp_path / "w.safetensors")


def test_check_tensors__refuses_numbers_of_another_kind_and_numbers_that_are_none():
    with pytest.raises(ValueError, match="'a' hold another kind of number"):
        check_tensors({"a": torch.zeros(1, dtype=torch.int64)}, {"a": torch.zeros(1)}, "w")
    with pytest.raises(ValueError, match="w: every weight must be a finite number; 'a' hold others"):
        check_tensors({"a": torch.tensor([1.0, torch.nan])}, {"a": torch.zeros(2)}, "w")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(3).to_sparse(),
        torch.ones(3, device="meta"),
        torch.ones(3).to(torch.float8_e4m3fn),
        torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    ],
    ids=["sparse", "meta", "float8", "nested"],
)
def test_check_tensors__refuses_numbers_without_arithmetic(tensor):
    with pytest.raises(ValueError, match="w: expected tensors of plain numbers; 'a' are sparse"):
        check_tensors({"a": tensor}, {"a": torch.ones(3)}, "w")


def test_load_backbone__leaves_out_the_classifier_and_later_stages_and_says_so(tmp_path):
    classifier, backbone = Backbone(4, has_fc=True), Backbone(3)
    torch.save(classifier.state_dict(), tmp_path / "resnet.pth")
    told = Told()
    with reporting_to(told):
        load_backbone(backbone, tmp_path / "resnet.pth")
    torch.testing.assert_close(backbone.layer3[0].weight, classifier.layer3[0].weight)
    assert "8 tensors are not the backbone's and are left out: 'layer4.0.weight'" in told.lines[0]
    assert "'fc.weight', 'fc.bias'" in told.lines[0]
    assert told.lines[1].startswith("weights: 24 tensors of ")


def test_load_backbone__takes_checkpoints_without_batch_counters(tmp_path):
    state = {n: v for n, v in Backbone(2, has_fc=True).state_dict().items() if not n.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    backbone = Backbone(2)
    load_backbone(backbone, tmp_path / "old.pth")
    torch.testing.assert_close(backbone.conv1.weight, state["conv1.weight"])


def test_load_backbone__refuses_another_depth(tmp_path):
    torch.save(Backbone(1, has_fc=True).state_dict(), tmp_path / "r.pth")
    with pytest.raises(ValueError, match=r"missing: 'layer2\.0\.weight'"):
        load_backbone(Backbone(2), tmp_path / "r.pth")


def test_write_model__reads_back_as_it_was_written(tmp_path):
    config = replace(NuclsConfig(), backbone="resnet34", prior_sizes=(8.0, 16.0), is_class_agnostic=False)
    net = small_net()
    write_model(tmp_path, config, CLASSES, COLORS, net)
    record = read_model_record(tmp_path)
    assert (record.config, record.class_names, record.colors) == (config, CLASSES, COLORS)
    loaded = small_net()
    assert load_weights(loaded, record.weights) == record.sha256
    assert_equal_states(loaded.state_dict(), net.state_dict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]


def test_read_model__builds_what_was_trained_and_detects_the_same(tmp_path):
    config = replace(
        NuclsConfig(), stages=2, scale_factor=1.0, box_pool=2, box_features=8, mask_pool=4, mask_convs=1,
        mask_channels=4, class_convs=1, rpn_post_nms=20, min_objectness=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = build_nucls(config, CLASSES).eval()
    write_model(tmp_path, config, CLASSES, COLORS, model)
    read, record = read_model(tmp_path)
    assert record.config == config
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    first, second = model.detect([image])[0], read.detect([image])[0]
    assert len(first.boxes) > 0
    assert_equal_states(vars(second), vars(first))


def test_load_backbone__fills_a_real_backbone_from_a_classifier_of_its_depth(tmp_path):
    whole, three = build_backbone("resnet18"), build_backbone("resnet18", stages=3)
    state = whole.state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "resnet18.pth")
    load_backbone(three, tmp_path / "resnet18.pth")
    assert_equal_states(three.state_dict(), {name: state[name] for name in three.state_dict()})
    with pytest.raises(ValueError, match=r"missing: .*layer1\.2"):
        load_backbone(build_backbone("resnet34"), tmp_path / "resnet18.pth")


def test_read_model_record__says_what_a_folder_lacks(tmp_path):
    save_weights(small_net(), tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"expected a trained model, .*'model\.json' not there"):
        read_model_record(tmp_path)


def test_read_model_record__refuses_weights_of_another_training(tmp_path):
    write_model(tmp_path, NuclsConfig(), CLASSES, COLORS, small_net())
    save_weights(small_net(), tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"not the weights model\.json was written with"):
        read_model_record(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config": []}, "config: expected an object"),
        ({"config": {"stride": 1}}, "config: missing 'class_level'.*unknown 'stride'; the model is of another version"),
        ({"config.crop_size": 3.5}, r"config\.crop_size: expected int, got 3\.5"),
        ({"config.crop_size": True}, r"config\.crop_size: expected int, got True"),
        ({"config.backbone": "vgg"}, r"config\.backbone: expected .*Literal.*, got 'vgg'"),
        ({"config.prior_sizes": ["12"]}, r"config\.prior_sizes: expected tuple"),
        ({"config.box_pool": -1}, r"model\.json, config: box_pool must be a finite number, above 0; got -1"),
        ({"config.scale_factor": 1e30}, r"scale_factor must be at most 1,000,000,000, got 1e\+30"),
        ({"classes": [{"name": "a\nb"}]}, r"classes: expected names without control characters, got 'a\\nb'"),
        ({"classes": []}, "classes: expected a list of objects"),
        ({"classes": [{"name": "a"}, {"name": "a"}]}, "classes: expected different names, got 'a', 'a'"),
        ({"classes": [{"name": "AMBIGUOUS"}]}, "'AMBIGUOUS' is no class a model predicts"),
        ({"classes": [{"name": "a", "color": [1, 2, 300]}]}, "color of 'a': expected red, green, blue"),
        ({"weights": None}, "not the weights"),
    ],
)
def test_read_model_record__says_which_entry_is_wrong(tmp_path, change, words):
    write_model(tmp_path, NuclsConfig(), CLASSES, COLORS, small_net())
    record = json.loads((tmp_path / "model.json").read_text())
    for key, value in change.items():
        place, _, entry = key.partition(".")
        if entry:
            record[place][entry] = value
        else:
            record[place] = value
    (tmp_path / "model.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=words):
        read_model_record(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, " " * (1 << 20) + "{}"])
def test_read_model_record__refuses_what_is_no_record(tmp_path, text):
    write_model(tmp_path, NuclsConfig(), CLASSES, COLORS, small_net())
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model\.json: (expected|a model's record)"):
        read_model_record(tmp_path)
