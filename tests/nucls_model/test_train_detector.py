"""Every configuration trains through both phases, on crops without nuclei too, alone or among processes."""

from dataclasses import replace

import pytest
import torch

from nucls_model.config import CONFIGURATIONS, NuclsConfig
from nucls_model.instances import Target
from nucls_model.labelled import read_labelled
from nucls_model.nucls import build_nucls
from nucls_model.painted import paint_fovs
from nucls_model.train.batches import Part
from nucls_model.train.loop import take_step
from nucls_model.train.running import Means, train_detector, training_data
from nucls_model.weights import read_model
from tests.nucls_model.training_cases import DESCENT, target_of

TINY = NuclsConfig(
    scale_factor=1.0,
    scale_jitter=0.1,
    crop_size=64,
    stages=2,
    rpn_samples=16,
    rpn_pre_nms=50,
    rpn_post_nms=20,
    head_samples=8,
    box_pool=3,
    box_features=8,
    mask_pool=4,
    mask_convs=1,
    mask_channels=4,
    thumbnail_side=32,
    batch_size=2,
    detector_updates=2,
    classifier_updates=1,
)


def tiny(row: str) -> NuclsConfig:
    """A row of Table S5 with the smallest settings; its branch, if it has one, is of one convolution."""
    config = replace(TINY, **CONFIGURATIONS[row])
    return replace(config, class_convs=min(config.class_convs, 1))


def empty(target: Target) -> Target:
    """A target without its object."""
    none = {name: getattr(target, name)[:0] for name in ("boxes", "classes", "class_weight", "existence")}
    return replace(target, has_outline=target.has_outline[:0], **none)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("painted") / "fovs"
    paint_fovs(folder, n_fovs=3, size=80)
    return {level: read_labelled(folder, level) for level in ("main", "super")}


@pytest.mark.parametrize("row", CONFIGURATIONS)
def test_train_detector__every_row_of_table_s5_from_labels_to_a_model_that_detects(labelled, row, tmp_path):
    config = tiny(row)
    labels = labelled[config.class_level]
    model = train_detector(labels, tmp_path / "model", config, means=Means(device="cpu"))
    again, record = read_model(tmp_path / "model")
    assert record.config == config
    assert record.class_names == labels.class_names
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    for one, other in zip(model.detect([image]), again.detect([image]), strict=True):
        assert torch.equal(one.boxes, other.boxes)
        assert torch.equal(one.probabilities, other.probabilities)


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize(("row", "has_objects"), [("1", True), ("1", False), ("3", True), ("3", False), ("4", True)])
def test_forward__sends_a_gradient_to_all_that_moves_as_processes_expect_of_each_other(row, has_objects, is_frozen):
    model = build_nucls(tiny(row), ["a", "b"]).train()
    moving = model.parameters()
    if is_frozen:
        model.freeze_detector()
        moving = model.classifier_parameters()
    target = target_of(0, side=64)
    losses = model(
        [torch.rand(3, 64, 64)] * 2,
        [target if has_objects else empty(target)] * 2,
        torch.Generator().manual_seed(0),
    )
    torch.stack(list(losses.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in moving)


@pytest.mark.parametrize("row", ["1", "3", "4"])
def test_take_step__in_bfloat16_the_losses_are_about_the_same(row):
    losses = {}
    for half in (None, torch.bfloat16):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build_nucls(tiny(row), ["a", "b"]).train()
        images = [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(n)) for n in range(2)]
        part = Part(images, [target_of(n, side=64) for n in range(2)], ["f", "g"], torch.Generator().manual_seed(0))
        optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        losses[half] = take_step(model, [part], optimiser, descent=replace(DESCENT, half=half), scaler=scaler, update=0)
        assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in model.parameters())
    for name in ("rpn_objectness", "rpn_box"):  # later ones depend on proposals, which rounding may swap
        assert losses[torch.bfloat16][name] == pytest.approx(losses[None][name], rel=0.05)
        assert losses[torch.bfloat16][name] != losses[None][name]


def test_training_data__draws_fovs_by_the_weights_of_the_paper_and_leaves_out_those_without_nuclei(labelled):
    labels = labelled["main"]
    data = training_data(labels, [0, 2], tiny("3"))
    assert data.names == labels.fovs["fov"].iloc[[0, 2]].tolist()
    counts, fovs = labels.class_counts()[[0, 2]], labels.fovs.iloc[[0, 2]]
    of_class = counts.sum(axis=0)
    rare = (counts[:, of_class > 0] / of_class[of_class > 0]).sum(axis=1) / (fovs["width"] * fovs["height"])
    torch.testing.assert_close(data.weights, torch.tensor((rare / rare.sum()).to_numpy()))
    image, target = data.fovs[0, 7]
    assert image.shape == (3, 64, 64)
    assert target.masks.shape[1:] == (64, 64)
