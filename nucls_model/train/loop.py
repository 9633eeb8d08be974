"""The loop: batches in, gradients averaged, one step of stochastic gradient descent per update, checkpoints at times.

Constant learning rate, no warm-up, no clipping, all losses weighted one, as in the paper's program.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from crowdtruth.parallel import say, track
from nucls_model.train.batches import Part, TrainingData, parts_of_updates
from nucls_model.train.checkpoints import (
    Checkpoint,
    load_momentum,
    momentum_of,
    read_checkpoint,
    write_checkpoint,
)
from nucls_model.train.log import LOSSES, LossLog, check_losses, raise_divergence
from nucls_model.train.processes import Processes
from nucls_model.train.schedule import Phase
from nucls_model.weights import check_tensors

CHECKPOINTS = "checkpoint"


@dataclass(frozen=True)
class Descent:
    """How an update moves the parameters."""

    batch_size: int  # images of an update, over all processes
    learning_rate: float
    momentum: float
    weight_decay: float
    n_accumulated: int = 1  # forward passes of each process in one update
    half: torch.dtype | None = None  # bfloat16 or float16 in the forward pass where that does no harm; None: nowhere


@dataclass(frozen=True)
class _Session:
    """What all updates of a training have at hand."""

    model: nn.Module
    data: TrainingData
    descent: Descent
    scaler: torch.amp.GradScaler  # keeps small gradients of float16 above zero; else does nothing
    seed: int
    processes: Processes
    workers: int
    checkpoint_every: int


@dataclass(frozen=True)
class _Update:
    """One step that was taken."""

    number: int  # from 1
    phase: Phase
    losses: dict[str, float]  # component -> mean over the forward passes of all processes
    optimiser: torch.optim.Optimizer
    is_kept: bool  # whether a checkpoint belongs after it


def train_model(
    model: nn.Module,
    data: TrainingData,
    phases: Sequence[Phase],
    descent: Descent,
    out: Path,
    *,
    seed: int,
    processes: Processes,
    workers: int = 0,
    checkpoint_every: int = 500,
    say_every: int = 100,
) -> None:
    """Train `model` in place, from the last checkpoint in `out` on if there is one.

    The same arguments give the same weights: interrupted or not, with any number of workers, and on the CPU bit by bit.
    Whether passes are accumulated or made by several processes changes nothing but rounding and the running statistics
    of batch norm, which processes gather from their own images and average.

    Parameters
    ----------
    model : see `nucls_model.nucls`; on the device of this process
    data : what it learns from
    phases : which parameters, for how many updates
    descent : how an update moves them
    out : folder of ``losses.csv`` and ``checkpoint/``; the first process writes there
    seed : of all that is random
    processes : those that train together
    workers : processes that load images for this one
    checkpoint_every, say_every : updates between checkpoints, and between lines in the log

    Raises
    ------
    nucls_model.train.log.TrainingDiverged
        If a loss is NaN or infinite.
    ValueError
        If a batch does not divide into equal forward passes, or the checkpoint in `out` is broken or of another model.
    crowdtruth.files.WriteError
        If a file cannot be written.
    """
    scaler = torch.amp.GradScaler(processes.device.type, enabled=descent.half == torch.float16)
    session = _Session(model, data, descent, scaler, seed, processes, workers, checkpoint_every)
    checkpoint = read_checkpoint(out / CHECKPOINTS)
    if checkpoint:
        check_tensors(checkpoint.weights, model.state_dict(), str(out / CHECKPOINTS))
        model.load_state_dict(checkpoint.weights)
        if checkpoint.scaler:  # none where the training began without, on another device
            scaler.load_state_dict(dict(checkpoint.scaler))
    updates = _updates(session, phases, checkpoint)
    if not processes.is_first:
        for _ in updates:  # the first process writes for all
            pass
        return
    out.mkdir(parents=True, exist_ok=True)
    done = checkpoint.update if checkpoint else 0
    if done:
        say(f"continued after update {done:,}")
    with closing(LossLog(out / LOSSES, done=done, every=say_every)) as log:
        for update in track(updates, "training", total=phases[-1].last - done):
            log.add(update.number, update.phase.name, update.losses)
            if update.is_kept:
                log.keep()
                write_checkpoint(out / CHECKPOINTS, _checkpoint_after(update, session))


def _checkpoint_after(update: _Update, session: _Session) -> Checkpoint:
    """All that the next update depends on."""
    momentum = momentum_of(update.optimiser, session.model)
    return Checkpoint(update.number, session.model.state_dict(), momentum, session.scaler.state_dict())


def _updates(session: _Session, phases: Sequence[Phase], checkpoint: Checkpoint | None) -> Iterator[_Update]:
    """Every update after the checkpoint, one step taken for each."""
    done = checkpoint.update if checkpoint else 0
    for phase in phases:
        if phase.last <= done:
            continue
        optimiser = _begin(phase, session.model, session.descent)
        if checkpoint and phase.first < done:
            load_momentum(optimiser, session.model, checkpoint.momentum)
        shared = session.processes.share(session.model)
        first = max(done, phase.first)
        parts = _parts(session, first, phase.last)
        for update in range(first, phase.last):
            own = islice(parts, session.descent.n_accumulated)
            own_means = take_step(shared, own, optimiser, descent=session.descent, scaler=session.scaler, update=update)
            is_kept = (update + 1) % session.checkpoint_every == 0 or update + 1 == phase.last
            if is_kept:
                session.processes.average_statistics(session.model)
            yield _Update(update + 1, phase, session.processes.mean(own_means), optimiser, is_kept)


def _begin(phase: Phase, model: nn.Module, descent: Descent) -> torch.optim.Optimizer:
    """The model made ready for a phase, and a fresh optimiser of the parameters that move in it."""
    model.train()
    if phase.is_detector_frozen:
        model.freeze_detector()
    moving = model.classifier_parameters() if phase.is_detector_frozen else model.parameters()
    return torch.optim.SGD(
        list(moving),
        lr=descent.learning_rate,
        momentum=descent.momentum,
        weight_decay=descent.weight_decay,
        fused=True,  # one pass over the parameters: 5 % of a step of the paper's 220 million on a CPU
    )


def _parts(session: _Session, first: int, last: int) -> Iterator[Part]:
    """The forward passes of this process, on its device."""
    descent, processes = session.descent, session.processes
    parts = parts_of_updates(
        session.data,
        first,
        last,
        batch_size=descent.batch_size,
        seed=session.seed,
        rank=processes.rank,
        n_processes=processes.count,
        n_accumulated=descent.n_accumulated,
        workers=session.workers,
    )
    return (part.to(processes.device) for part in parts)


def take_step(
    model: nn.Module,
    parts: Iterable[Part],
    optimiser: torch.optim.Optimizer,
    *,
    descent: Descent,
    scaler: torch.amp.GradScaler,
    update: int,
) -> dict[str, float]:
    """Move the parameters once, by the mean of the gradients of all forward passes.

    Parameters
    ----------
    model : maybe shared among processes, which average their gradients after the last pass
    parts : `descent.n_accumulated` of them
    optimiser : of the parameters that move
    descent : how they move
    scaler : of float16 gradients
    update : its number, from 0, for messages

    Returns
    -------
    dict
        Component of the loss -> its mean over the passes.

    Raises
    ------
    nucls_model.train.log.TrainingDiverged
        If a loss, or a number on the way to it, is NaN or infinite; the parameters have not moved.
    """
    optimiser.zero_grad(set_to_none=True)
    means: dict[str, float] = {}
    for number, part in enumerate(parts, start=1):
        with _gradients_kept_here(model, is_last=number == descent.n_accumulated):
            with _told_as_divergence(update, part), _half_floats(part.images[0].device, descent.half):
                losses = model(part.images, part.targets, part.generator)
            components = torch.stack([loss.float() for loss in losses.values()])
            values = dict(zip(losses, components.tolist(), strict=True))
            check_losses(values, update=update + 1, fovs=part.fovs)
            scaler.scale(components.sum() / descent.n_accumulated).backward()
        means = {name: means.get(name, 0.0) + value / descent.n_accumulated for name, value in values.items()}
    scaler.step(optimiser)
    scaler.update()
    return means


@contextmanager
def _told_as_divergence(update: int, part: Part) -> Iterator[None]:
    """Within the block, numbers that the model cannot go on with are told with the update and its FOVs."""
    try:
        yield
    except ValueError as error:
        raise_divergence(f"the detector stops, {error}", update=update + 1, fovs=part.fovs, cause=error)


def _gradients_kept_here(model: nn.Module, *, is_last: bool) -> AbstractContextManager[None]:
    """Within the block, gradients add up in this process; the last pass of an update sends their sum to the others."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) and not is_last else nullcontext()


def _half_floats(device: torch.device, half: torch.dtype | None) -> AbstractContextManager[Any]:
    """Within the block, what suffers nothing from half floats is computed in them."""
    return torch.autocast(device.type, half) if half else nullcontext()
