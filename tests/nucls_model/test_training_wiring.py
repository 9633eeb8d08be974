"""Settings, random streams, stains and files of weights: each arrives in the update that it belongs to."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from crowdtruth.files import sha256_of
from nucls_model.backbone import build_backbone
from nucls_model.cli.configuring import make_config
from nucls_model.config import NuclsConfig
from nucls_model.labelled import LabelledFovs, read_labelled
from nucls_model.nucls import build_nucls
from nucls_model.painted import paint_fovs
from nucls_model.train.batches import parts_of_updates
from nucls_model.train.folders import read_training_record
from nucls_model.train.running import Means, train_detector, training_data
from nucls_model.weights import read_tensors, write_tensors
from tests.nucls_model.cli_cases import TINY, command
from tests.nucls_model.training_cases import tiny_data

SIDE = 80  # pixels of the painted FOVs


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three painted FOVs in the NuCLS format."""
    folder = tmp_path_factory.mktemp("painted") / "fovs"
    paint_fovs(folder, n_fovs=3, size=SIDE)
    return folder


@pytest.fixture(scope="module")
def labelled(painted: Path) -> LabelledFovs:
    return read_labelled(painted)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> NuclsConfig:
    """The smallest settings, of two updates of the whole model."""
    path = tmp_path_factory.mktemp("settings") / "tiny.toml"
    path.write_text(TINY)
    return make_config(str(path), {"classifier_updates": 0})[1]


# ---- what is random


def test_parts_of_updates__draw_other_proposals_in_every_pass_of_every_update() -> None:
    parts = list(parts_of_updates(tiny_data(), 0, 3, batch_size=4, seed=5, n_accumulated=2))
    drawn = torch.stack([torch.rand(4, generator=part.generator) for part in parts])  # (6, 4)
    assert len(drawn.unique(dim=0)) == 6


def test_training_data__stains_an_fov_anew_each_time_it_is_drawn(labelled: LabelledFovs, small: NuclsConfig) -> None:
    data = training_data(labelled, [0], replace(small, crop_size=SIDE))  # a crop of all: only stain and flips are left
    plain = data.fovs.image(0)
    drawn = torch.stack([data.fovs[0, seed][0] for seed in range(8)])  # (8, 3, SIDE, SIDE)
    means = drawn.mean(dim=(2, 3))  # (8, 3), which no flip changes
    assert (means - plain.mean(dim=(1, 2))).abs().amax(dim=1).min() > 1e-3
    assert means.std(dim=0).min() > 0.02  # amounts of stain are .5 to 1.5 of what they were


# ---- how far an update moves


def start_of(config: NuclsConfig, labelled: LabelledFovs, *, seed: int) -> nn.Module:
    """The model as a training begins with it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_nucls(config, labelled.class_names).train()


def trained_by_hand(config: NuclsConfig, labelled: LabelledFovs, *, seed: int) -> dict[str, Tensor]:
    """Parameters after updates by the formulas: velocity = momentum · velocity + gradient + decay · weight."""
    model = start_of(config, labelled, seed=seed)
    data = training_data(labelled, range(len(labelled.fovs)), config)
    velocity = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for part in parts_of_updates(data, 0, config.detector_updates, batch_size=config.batch_size, seed=seed):
        losses = model(part.images, part.targets, part.generator)
        model.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                step = weight.grad + config.weight_decay * weight
                velocity[name] = config.momentum * velocity[name] + step
                weight.sub_(config.learning_rate * velocity[name])
    return {name: weight.detach() for name, weight in model.named_parameters()}


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 5e-4), (0.0, 5e-4), (0.9, 0.3)])
def test_train_detector__moves_as_the_numbers_of_its_settings_say(
    labelled: LabelledFovs, small: NuclsConfig, tmp_path: Path, momentum: float, weight_decay: float
) -> None:
    config = replace(small, learning_rate=0.01, momentum=momentum, weight_decay=weight_decay)
    trained = train_detector(labelled, tmp_path / "model", config, seed=3, means=Means(device="cpu"))
    expected = trained_by_hand(config, labelled, seed=3)
    start = dict(start_of(config, labelled, seed=3).named_parameters())
    for name, weight in trained.named_parameters():
        moved, by_hand = weight - start[name], expected[name] - start[name]
        torch.testing.assert_close(moved, by_hand, rtol=1e-3, atol=1e-6)  # sums are rounded in another order


# ---- where it begins


@pytest.mark.parametrize(("row", "n_backbones"), [("3", 1), ("4", 2)])
def test_train__begins_with_the_weights_of_a_file(painted: Path, tmp_path: Path, row: str, n_backbones: int) -> None:
    weights, config, out = tmp_path / "resnet18.safetensors", tmp_path / "tiny.toml", tmp_path / "model"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        pretrained = build_backbone("resnet18", stages=2)
    write_tensors(pretrained.state_dict(), weights)
    config.write_text(TINY.replace('"3"', f'"{row}"') + "thumbnail_side = 32\n")
    still = ("--updates", 1, "--class-updates", 0, "--rate", 1e-9)
    result = command(
        "train", painted, "--out", out, "--config", config, *still, "--weights", weights, "--device", "cpu"
    )
    assert result.exit_code == 0, result.output
    written = read_tensors(out / "weights.safetensors")
    for name, weight in pretrained.named_parameters():
        of_backbones = [value for key, value in written.items() if key.endswith(f"backbone.{name}")]
        assert len(of_backbones) == n_backbones
        for value in of_backbones:
            torch.testing.assert_close(value, weight.detach(), rtol=0, atol=1e-5)
    assert read_training_record(out)["training"]["backbone"] == sha256_of(weights)
