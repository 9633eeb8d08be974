"""Checkpoints: whole or the one before, no pickle, refused when they are not what was written."""

import json
import pickle

import pytest
import torch

from crowdtruth import files
from nucls_model.train import checkpoints
from nucls_model.train.checkpoints import Checkpoint, load_momentum, momentum_of, read_checkpoint, write_checkpoint
from tests.nucls_model.training_cases import tiny_detector


def checkpoint_of(update: int) -> Checkpoint:
    """Tensors that hold the number of their update."""
    weights = {"a": torch.full((3,), float(update)), "n": torch.tensor(update)}
    return Checkpoint(update, weights, {"a": torch.full((3,), update / 3)}, {"scale": 65536.0, "_growth_tracker": 7})


def assert_is_of(update: int, folder) -> None:
    found, expected = read_checkpoint(folder), checkpoint_of(update)
    assert found.update == update
    assert found.scaler == expected.scaler
    assert torch.equal(found.weights["a"], expected.weights["a"])
    assert torch.equal(found.weights["n"], expected.weights["n"])
    assert torch.equal(found.momentum["a"], expected.momentum["a"])


def test_write_checkpoint__reads_back_exactly(tmp_path):
    write_checkpoint(tmp_path / "checkpoint", checkpoint_of(3))
    assert_is_of(3, tmp_path / "checkpoint")


def test_read_checkpoint__of_nothing_is_none(tmp_path):
    assert read_checkpoint(tmp_path / "checkpoint") is None


class Killed(BaseException):
    """As if the process had ended."""


@pytest.mark.parametrize("call", range(1, 4))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_write_checkpoint__killed_at_any_file_leaves_one_that_is_whole(tmp_path, monkeypatch, call, moment):
    folder = tmp_path / "checkpoint"
    write_checkpoint(folder, checkpoint_of(3))
    replace, calls = files.os.replace, []

    def dying(source, target):
        calls.append(target)
        if len(calls) == call and moment == "before":
            raise Killed
        replace(source, target)
        if len(calls) == call:
            raise Killed

    monkeypatch.setattr(files.os, "replace", dying)
    with pytest.raises(Killed):
        write_checkpoint(folder, checkpoint_of(4))
    monkeypatch.undo()
    assert_is_of(4 if (call, moment) == (3, "after") else 3, folder)
    write_checkpoint(folder, checkpoint_of(5))
    assert_is_of(5, folder)
    assert len(list(folder.iterdir())) == 3


def test_write_checkpoint__on_a_full_disk_keeps_the_one_before(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoint"
    write_checkpoint(folder, checkpoint_of(3))

    def full(tensors, path):
        raise files.WriteError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(checkpoints, "write_tensors", full)
    with pytest.raises(files.WriteError, match=r"weights-000004.safetensors: No space left"):
        write_checkpoint(folder, checkpoint_of(4))
    assert_is_of(3, folder)


@pytest.mark.parametrize("name", ["weights-000003.safetensors", "optimiser-000003.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "pickle", "other", "absent"])
def test_read_checkpoint__names_a_damaged_file(tmp_path, name, damage):
    write_checkpoint(tmp_path, checkpoint_of(3))
    file = tmp_path / name
    content = file.read_bytes()
    file.write_bytes(
        {"cut": content[:-9], "pickle": pickle.dumps({"a": 1}), "other": content[:-1] + b"\x07"}.get(damage, b"")
    )
    if damage == "absent":
        file.unlink()
    with pytest.raises(ValueError, match=rf"state.json is not a checkpoint of a training: .*{name}"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 9}, "its format is 9, this version reads 1"),
        ({"files": {}}, "it has no 'weights'"),
        ({"files": {"weights": {"file": "../x", "sha256": ""}, "optimiser": {}}}, "leads out of the folder"),
        ({"update": "many"}, "update is no number from 1"),
        ({"update": -4}, "update is no number from 1"),
        ({"scaler": [1]}, "scaler no object"),
    ],
)
def test_read_checkpoint__names_what_is_wrong_with_its_state(tmp_path, change, words):
    write_checkpoint(tmp_path, checkpoint_of(3))
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps(state | change))
    with pytest.raises(ValueError, match=words):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", "3"])
def test_read_checkpoint__refuses_what_is_no_state(tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(ValueError, match=r"state.json is not a checkpoint of a training"):
        read_checkpoint(tmp_path)


def test_load_momentum__gives_back_what_momentum_of_took():
    model = tiny_detector()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for parameter in model.classifier.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    momentum = momentum_of(optimiser, model)
    assert set(momentum) == {"classifier.weight", "classifier.bias"}  # what never moved has none
    fresh = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    load_momentum(fresh, model, momentum)
    again = momentum_of(fresh, model)
    assert all(torch.equal(again[name], momentum[name]) for name in momentum)


@pytest.mark.parametrize("momentum", [{"detector.0.weight": torch.zeros(1)}, {"classifier.bias": torch.zeros(7)}])
def test_load_momentum__refuses_what_the_optimiser_does_not_move(momentum):
    model = tiny_detector()
    optimiser = torch.optim.SGD(model.classifier.parameters(), lr=0.1, momentum=0.9)
    with pytest.raises(ValueError, match=r"momentum of '.*', which this training does not move"):
        load_momentum(optimiser, model, momentum)
