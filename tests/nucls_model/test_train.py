"""The training loop: what it moves, what it keeps, and that neither an interruption nor a worker changes it."""

import copy
import csv
import errno
from dataclasses import replace
from io import StringIO

import pandas as pd
import pytest
import torch
from torch import nn

from crowdtruth.files import WriteError
from crowdtruth.parallel import reporting_to
from nucls_model.train.batches import Part, parts_of_updates
from nucls_model.train.checkpoints import read_checkpoint
from nucls_model.train.log import LossLog, TrainingDiverged
from nucls_model.train.loop import take_step
from nucls_model.train.schedule import Phase
from tests.nucls_model.training_cases import (
    ALONE,
    DESCENT,
    PHASES,
    Interrupted,
    TinyDetector,
    TinyFovs,
    Told,
    tiny_data,
    tiny_detector,
    train_tiny,
)

NO_SCALER = torch.amp.GradScaler("cpu", enabled=False)


def assert_equal_weights(a: nn.Module, b: nn.Module) -> None:
    for (name, one), other in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def parts_of(update: int, n_parts: int) -> list[Part]:
    """The forward passes of one update of the tiny data."""
    return list(parts_of_updates(tiny_data(), update, update + 1, batch_size=4, seed=5, n_accumulated=n_parts))


def gradients(model: nn.Module, parts: list[Part]) -> dict[str, torch.Tensor]:
    """The gradient of the mean of the passes' losses, without our loop."""
    model.zero_grad()
    total = sum(sum(model(p.images, p.targets, p.generator).values()) for p in parts) / len(parts)
    total.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


# ---- one update


@pytest.mark.parametrize("n_parts", [1, 2, 4])
def test_take_step__accumulates_the_mean_of_the_gradients_of_all_passes(n_parts):
    model = tiny_detector()
    expected = gradients(copy.deepcopy(model), parts_of(0, n_parts))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    descent = replace(DESCENT, n_accumulated=n_parts)
    take_step(model, parts_of(0, n_parts), optimiser, descent=descent, scaler=NO_SCALER, update=0)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-5, atol=1e-7)


def test_take_step__is_one_step_of_sgd():
    model, plain = tiny_detector(), tiny_detector()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = take_step(model, parts_of(0, 1), optimiser, descent=DESCENT, scaler=NO_SCALER, update=0)
    expected = gradients(plain, parts_of(0, 1))
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(model.get_parameter(name), parameter - 0.05 * expected[name])
    assert list(losses) == ["class", "box", "mask"]


def test_take_step__in_bfloat16_moves_float32_weights_about_as_far():
    exact, half = tiny_detector(), tiny_detector()
    for model, dtype in ((exact, None), (half, torch.bfloat16)):
        optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
        descent = replace(DESCENT, half=dtype)
        take_step(model, parts_of(0, 1), optimiser, descent=descent, scaler=NO_SCALER, update=0)
    start = tiny_detector().classifier.weight
    assert half.classifier.weight.dtype == torch.float32
    moved, moved_exactly = half.classifier.weight - start, exact.classifier.weight - start
    assert not torch.equal(moved, moved_exactly)
    torch.testing.assert_close(moved, moved_exactly, rtol=0.05, atol=0.01)


def test_take_step__scaled_gradients_give_the_same_step():
    plain, scaled = tiny_detector(), tiny_detector()
    for model, scaler in ((plain, NO_SCALER), (scaled, torch.amp.GradScaler("cpu", init_scale=1024.0))):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        take_step(model, parts_of(0, 1), optimiser, descent=DESCENT, scaler=scaler, update=0)
    torch.testing.assert_close(scaled.classifier.weight, plain.classifier.weight)


# ---- phases


def test_train_model__moves_nothing_of_a_frozen_detector_running_statistics_included(tmp_path):
    first = train_tiny(tmp_path / "one", phases=PHASES[:1])
    both = train_tiny(tmp_path / "both")
    assert_equal_weights(first.detector, both.detector)
    assert int(both.detector[1].num_batches_tracked) == 4
    assert not torch.equal(first.classifier.weight, both.classifier.weight)


def test_train_model__begins_the_second_phase_with_a_fresh_optimiser(tmp_path):
    at_end = train_tiny(tmp_path / "one", phases=PHASES[:1])
    train_tiny(tmp_path / "step", model=(model := tiny_detector()), phases=(PHASES[0], Phase("classifier", 4, 5, True)))
    at_end.freeze_detector()
    expected = gradients_of_classifier(at_end, parts_of(4, 1))
    start = at_end.classifier.weight.detach()
    step = DESCENT.learning_rate * (expected + DESCENT.weight_decay * start)
    torch.testing.assert_close(model.classifier.weight, start - step)


def gradients_of_classifier(model: nn.Module, parts: list[Part]) -> torch.Tensor:
    model.zero_grad()
    sum(model(parts[0].images, parts[0].targets, parts[0].generator).values()).backward()
    return model.classifier.weight.grad


def test_train_model__learns(tmp_path):
    phases = (Phase("detector", 0, 60, False),)
    train_tiny(tmp_path, phases=phases, descent=replace(DESCENT, learning_rate=0.01))
    losses = pd.read_csv(tmp_path / "losses.csv")
    assert losses["total"].tail(10).mean() < 0.5 * losses["total"].head(10).mean()


# ---- the same trajectory


def test_train_model__same_seed_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        train_tiny(tmp_path / name, seed=seed)
    read = {
        name: [(tmp_path / name / f).read_bytes() for f in ("losses.csv", "checkpoint/weights-000007.safetensors")]
        for name in "abc"
    }
    assert read["a"] == read["b"]
    assert read["a"][0] != read["c"][0]
    assert read["a"][1] != read["c"][1]


@pytest.mark.parametrize("stop", [1, 3, 4, 5, 6])
def test_train_model__interrupted_and_continued_is_never_interrupted(tmp_path, stop):
    straight = train_tiny(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt), reporting_to(Interrupted(stop)):
        train_tiny(tmp_path / "broken")
    with reporting_to(told := Told()):
        continued = train_tiny(tmp_path / "broken", model=tiny_detector(seed=99) if stop > 1 else None)
    assert_equal_weights(straight, continued)
    for name in ("losses.csv", "checkpoint/weights-000007.safetensors", "checkpoint/optimiser-000007.safetensors"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes(), name
    kept = stop // 2 * 2 if stop < 7 else stop
    assert told.lines[:1] == ([f"continued after update {kept}"] if kept else [])


def test_train_model__three_updates_and_three_more_are_six(tmp_path):
    phases = (Phase("detector", 0, 6, False),)
    straight = train_tiny(tmp_path / "six", phases=phases, checkpoint_every=100)
    with pytest.raises(KeyboardInterrupt), reporting_to(Interrupted(3)):
        train_tiny(tmp_path / "three", phases=phases, checkpoint_every=3)
    continued = train_tiny(tmp_path / "three", phases=phases, checkpoint_every=3, model=tiny_detector(seed=99))
    assert_equal_weights(straight, continued)


def test_train_model__does_nothing_more_after_the_last_update(tmp_path):
    trained = train_tiny(tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}
    again = train_tiny(tmp_path, model=tiny_detector(seed=99))
    assert_equal_weights(trained, again)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}


def test_train_model__workers_change_nothing(tmp_path):
    alone = train_tiny(tmp_path / "alone")
    helped = train_tiny(tmp_path / "helped", workers=2)
    assert_equal_weights(alone, helped)


class GoneFovs(TinyFovs):
    """FOVs whose images went away."""

    def __getitem__(self, item):
        raise ValueError(f"image {item[0]} cannot be read")


@pytest.mark.parametrize("workers", [0, 1])
def test_train_model__names_an_image_that_went_away_in_one_line(tmp_path, workers):
    data = replace(tiny_data(), fovs=GoneFovs())
    with pytest.raises(ValueError, match=r"^image \d cannot be read$"):
        train_tiny(tmp_path, data=data, workers=workers)


def test_train_model__leaves_the_global_generator_alone(tmp_path):
    before = torch.random.get_rng_state()
    train_tiny(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())


# ---- files and words


def test_train_model__writes_a_row_of_losses_per_update(tmp_path):
    train_tiny(tmp_path)
    losses = pd.read_csv(tmp_path / "losses.csv")
    assert losses["update"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert losses["phase"].tolist() == ["detector"] * 4 + ["classifier"] * 3
    assert losses["box"].isna().tolist() == [False] * 4 + [True] * 3
    assert losses["thumbnail"].isna().all()
    components = losses[["class", "box", "mask"]].sum(axis=1)
    assert components.tolist() == pytest.approx(losses["total"].tolist())


def test_train_model__says_the_means_now_and_then(tmp_path):
    with reporting_to(told := Told()):
        train_tiny(tmp_path, say_every=3)
    losses = pd.read_csv(tmp_path / "losses.csv")
    assert told.lines[0].startswith(f"update 3 (detector): class {losses['class'][:3].mean():.3f}, box ")
    assert "box" not in told.lines[1]  # of the updates since, those with the parts there are now
    assert f"class {losses['class'][4:6].mean():.3f}" in told.lines[1]


def test_train_model__keeps_the_last_checkpoint_alone(tmp_path):
    train_tiny(tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert names == ["optimiser-000007.safetensors", "state.json", "weights-000007.safetensors"]
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    assert checkpoint.update == 7
    assert set(checkpoint.momentum) == {"classifier.weight", "classifier.bias"}


class Exploding(nn.Module):
    """A tiny detector whose box loss is no number from the third pass on."""

    def __init__(self):
        super().__init__()
        self.inner, self.passes = tiny_detector(), 0

    def forward(self, images, targets, generator):
        losses = self.inner(images, targets, generator)
        self.passes += 1
        return losses | {"box": losses["box"] * (float("nan") if self.passes > 2 else 1)}


def test_train_model__stops_at_a_loss_that_is_no_number(tmp_path):
    model = Exploding()
    with pytest.raises(TrainingDiverged) as caught:
        train_tiny(tmp_path, model=model)
    fovs = parts_of(2, 1)[0].fovs
    assert str(caught.value).startswith(f"update 3: the loss box is nan, on the FOVs {', '.join(fovs)}.")
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert pd.read_csv(tmp_path / "losses.csv")["update"].tolist() == [1, 2]
    assert read_checkpoint(tmp_path / "checkpoint").update == 2


def test_train_model__tells_of_numbers_the_model_cannot_go_on_with(tmp_path):
    class Strict(TinyDetector):
        def forward(self, images, targets, generator):
            raise ValueError("deltas must be finite; row 0 is [inf, nan, nan, nan]")

    with pytest.raises(TrainingDiverged, match=r"update 1: the detector stops, deltas must be .* on the FOVs fov-"):
        train_tiny(tmp_path, model=Strict())


def test_train_model__names_an_uneven_batch(tmp_path):
    with pytest.raises(ValueError, match="a batch of 4 images does not divide into 3 equal forward passes"):
        train_tiny(tmp_path, descent=replace(DESCENT, n_accumulated=3))


def test_train_model__names_a_checkpoint_of_another_model(tmp_path):
    train_tiny(tmp_path)
    with pytest.raises(
        ValueError, match=r"checkpoint does not fit the model: .*'detector.0.weight' \(expected \(5, 3, 3"
    ):
        train_tiny(tmp_path, model=tiny_detector(channels=5))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"update,phase\n1,detector\n",
        lambda content: content.replace(b"\n", b"\n\n", 2),
        lambda content: content[:60] + bytes(400),
        lambda content: content.replace(b"detector", b'"' + 140_000 * b"x"),
        lambda content: content[:-9] + b"\xff\n",
        lambda content: content[: content.rindex(b",")],
        lambda content: b"",
    ],
)
def test_train_model__refuses_losses_that_are_not_those_of_the_checkpoint(tmp_path, damage):
    train_tiny(tmp_path)
    (tmp_path / "losses.csv").write_bytes(damage((tmp_path / "losses.csv").read_bytes()))
    with pytest.raises(ValueError, match=r"losses.csv does not hold the losses of the first 7 updates"):
        train_tiny(tmp_path)


def test_train_model__names_the_file_that_a_full_disk_does_not_hold(tmp_path, monkeypatch):
    class Full(StringIO):
        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    kept = LossLog.__init__

    def opened(log, path, **options):
        kept(log, path, **options)
        log.close()
        log._handle = Full()
        log._writer = csv.writer(log._handle)

    monkeypatch.setattr(LossLog, "__init__", opened)
    with pytest.raises(WriteError, match=r"cannot write .*losses\.csv: No space left on device"):
        train_tiny(tmp_path)


def test_processes__alone_share_nothing():
    model = tiny_detector()
    assert ALONE.share(model) is model
    assert ALONE.mean({"class": 2.0}) == {"class": 2.0}
    ALONE.wait()
