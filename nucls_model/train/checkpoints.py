"""A training kept on disk, so that it continues as if it had never stopped: tensors as safetensors, the rest as JSON.

``state.json`` is written last and names the two tensor files of its update with their checksums. A process killed at
any moment leaves the state before or the state after, never a mixture. No file is a pickle. No state of random numbers
is kept: those of an update follow from its number and the seed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crowdtruth.files import inside, sha256_of, write_json
from nucls_model.weights import read_tensors, write_tensors

STATE = "state.json"
_FORMAT = 1
_MOMENTUM = "momentum_buffer"


@dataclass(frozen=True)
class Checkpoint:
    """A training after `update` updates."""

    update: int  # updates done
    weights: Mapping[str, Tensor]  # parameters and running statistics by name
    momentum: Mapping[str, Tensor]  # by the name of their parameter; those never moved have none
    scaler: Mapping[str, Any]  # of mixed precision in half floats; empty without


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and then remove the one before.

    Raises
    ------
    crowdtruth.files.WriteError
        If a file cannot be written; the checkpoint before is still whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, tensors in (("weights", checkpoint.weights), ("optimiser", checkpoint.momentum)):
        path = folder / f"{name}-{checkpoint.update:06d}.safetensors"
        files[name] = {"file": path.name, "sha256": write_tensors(tensors, path)}
    state = {"format": _FORMAT, "update": checkpoint.update, "files": files, "scaler": dict(checkpoint.scaler)}
    write_json(state, folder / STATE)
    kept = {STATE, *(entry["file"] for entry in files.values())}
    for old in folder.iterdir():
        if old.name not in kept and old.suffix in (".safetensors", ".part"):
            old.unlink(missing_ok=True)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The last checkpoint of a folder, or None if there is none.

    Raises
    ------
    ValueError
        If its files are not as they were written.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format"] != _FORMAT:
            raise ValueError(f"its format is {state['format']}, this version reads {_FORMAT}")
        if type(state["update"]) is not int or state["update"] < 1 or not isinstance(state["scaler"], dict):
            raise ValueError("update is no number from 1, or scaler no object")
        weights, momentum = (_read_file(folder, state["files"][name]) for name in ("weights", "optimiser"))
        return Checkpoint(state["update"], weights, momentum, state["scaler"])
    except (KeyError, TypeError, ValueError, RecursionError, FileNotFoundError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is not a checkpoint of a training: {reason}") from error


def _read_file(folder: Path, entry: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors of one file of a checkpoint, on the CPU."""
    path = inside(folder, entry["file"])
    if sha256_of(path) != entry["sha256"]:
        raise ValueError(f"{path.name} is not as it was written (its checksum differs)")
    return read_tensors(path)


def momentum_of(optimiser: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The momentum of each parameter that has moved, by its name in the model."""
    buffers = {name: optimiser.state[p].get(_MOMENTUM) for name, p in model.named_parameters() if p in optimiser.state}
    return {name: buffer for name, buffer in buffers.items() if buffer is not None}


def load_momentum(optimiser: torch.optim.Optimizer, model: nn.Module, momentum: Mapping[str, Tensor]) -> None:
    """Give a fresh optimiser the momentum of an earlier one.

    Raises
    ------
    ValueError
        If a name is none of the parameters that the optimiser moves, or the shape differs.
    """
    moved = {id(p) for group in optimiser.param_groups for p in group["params"]}
    parameters = {name: p for name, p in model.named_parameters() if id(p) in moved}
    for name, buffer in momentum.items():
        if name not in parameters or parameters[name].shape != buffer.shape or not buffer.is_floating_point():
            raise ValueError(f"the checkpoint has momentum of {name!r}, which this training does not move")
        optimiser.state[parameters[name]][_MOMENTUM] = buffer.to(parameters[name].device).clone()
