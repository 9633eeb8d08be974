"""What a training says while it runs: ``losses.csv`` with a row per update, a line now and then, and a stop on NaN."""

import csv
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import IO, NoReturn

from crowdtruth.files import WriteError, atomic_write
from crowdtruth.parallel import say

LOSSES = "losses.csv"
COMPONENTS = ("rpn_objectness", "rpn_box", "class", "box", "mask", "thumbnail")
"""Columns of the table; a component that a model or a phase does not have is an empty cell."""


class TrainingDiverged(ValueError):
    """A loss is no finite number; the message names the update, the component and the FOVs."""


def check_losses(losses: Mapping[str, float], *, update: int, fovs: Sequence[str]) -> None:
    """Raise if a component is NaN or infinite.

    Parameters
    ----------
    losses : component -> value
    update : number of the update, from 1
    fovs : the FOVs of the images in this forward pass

    Raises
    ------
    TrainingDiverged

    Examples
    --------
    >>> check_losses({"mask": 0.7, "box": float("nan")}, update=12, fovs=["A2-1"])
    Traceback (most recent call last):
    nucls_model.train.log.TrainingDiverged: update 12: the loss box is nan, on the FOVs A2-1.
    The last checkpoint is from before; a smaller learning rate, or a look at these FOVs, helps
    """
    wrong = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
    if wrong:
        raise_divergence(f"the loss {', '.join(wrong)}", update=update, fovs=fovs)


def raise_divergence(words: str, *, update: int, fovs: Sequence[str], cause: Exception | None = None) -> NoReturn:
    """Raise for an update that cannot be made, with what helps.

    Raises
    ------
    TrainingDiverged
    """
    raise TrainingDiverged(
        f"update {update}: {words}, on the FOVs {', '.join(fovs)}.\n"
        "The last checkpoint is from before; a smaller learning rate, or a look at these FOVs, helps"
    ) from cause


class LossLog:
    """``losses.csv`` while a training writes it: one row per update, numbers that read back exactly."""

    def __init__(self, path: Path, *, done: int, every: int) -> None:
        """Continue the table after `done` updates, or begin it; a line is said every `every` updates."""
        header = ["update", "phase", *COMPONENTS, "total"]
        rows = _rows_until(path, header, done) if done else []
        with atomic_write(path, text=True) as handle:
            csv.writer(handle, lineterminator="\n").writerows([header, *rows])
        self._path = path
        self._handle: IO[str] = path.open("a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._handle, lineterminator="\n")
        self._recent: list[Mapping[str, float]] = []
        self._every = every

    def add(self, update: int, phase: str, losses: Mapping[str, float]) -> None:
        """Write the losses of an update, numbered from 1."""
        assert losses.keys() <= set(COMPONENTS), losses
        total = math.fsum(losses.values())
        cells = [repr(losses[name]) if name in losses else "" for name in COMPONENTS]
        with _named(self._path):
            self._writer.writerow([update, phase, *cells, repr(total)])
            self._handle.flush()
        self._recent.append({**losses, "total": total})
        if update % self._every == 0:
            self._say_means(update, phase)

    def _say_means(self, update: int, phase: str) -> None:
        """One line with the means since the last one, of the components there are now."""
        recent = [losses for losses in self._recent if losses.keys() == self._recent[-1].keys()]
        means = {name: math.fsum(losses[name] for losses in recent) / len(recent) for name in recent[-1]}
        words = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
        say(f"update {update:,} ({phase}): {words}")
        self._recent.clear()

    def keep(self) -> None:
        """See to it that the rows are on the disk: a checkpoint that is there needs those before it."""
        with _named(self._path):
            os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Write no more."""
        with _named(self._path):
            self._handle.close()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Within the block, the system's errors name the file; those of an open file do not."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


def _rows_until(path: Path, header: list[str], done: int) -> list[list[str]]:
    """The rows of the first `done` updates; later ones were not in the checkpoint and are done again."""
    try:
        rows = list(csv.reader(StringIO(path.read_text(encoding="utf-8") if path.exists() else "")))
    except (csv.Error, UnicodeDecodeError):
        rows = []
    known = [row[0] if len(row) == len(header) else "" for row in rows[: done + 1]]
    if known != ["update", *map(str, range(1, done + 1))] or rows[0] != header:
        raise ValueError(f"{path} does not hold the losses of the first {done} updates; begin in a new folder")
    return rows[1 : done + 1]
