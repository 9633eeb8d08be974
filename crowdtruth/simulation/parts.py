"""A simulation that continues where it was interrupted: finished blocks lie beside the results until all are done."""

import hashlib
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.files import atomic_write, write_table
from crowdtruth.parallel import track
from crowdtruth.simulation.experiment import Experiment
from crowdtruth.simulation.redundancy import (
    BLOCK,
    DEFAULT_REALIZATIONS,
    blocks_of,
    checked_k,
    realization_numbers,
    run_block,
)
from crowdtruth.simulation.scores import metric_names, redundancy_rows
from crowdtruth.simulation.workers import Workers

PARTS = "redundancy.parts"


def simulate_into(
    folder: str | Path,
    experiments: Sequence[Experiment],
    realizations: int | Sequence[int] = DEFAULT_REALIZATIONS,
    *,
    raters_per_fov: Sequence[int] | None = None,
    jobs: int = 1,
    address: str | None = None,
) -> pd.DataFrame:
    """`simulate` for several experiments, written to ``redundancy.csv`` in a folder; an interrupted one continues.

    Parameters
    ----------
    folder : where the table goes; created if absent
    experiments : one after the other in the table
    realizations, raters_per_fov, jobs, address : see `simulate`

    Returns
    -------
    the table that was written

    Raises
    ------
    ValueError
        As `simulate`.
    crowdtruth.files.WriteError
        If a file cannot be written.
    """
    folder = Path(folder)
    table = simulate_parts(folder, experiments, realizations, raters_per_fov=raters_per_fov, jobs=jobs, address=address)
    write_table(table, folder / "redundancy.csv")
    remove_parts(folder)
    return table


def simulate_parts(
    folder: str | Path,
    experiments: Sequence[Experiment],
    realizations: int | Sequence[int] = DEFAULT_REALIZATIONS,
    *,
    raters_per_fov: Sequence[int] | None = None,
    jobs: int = 1,
    address: str | None = None,
) -> pd.DataFrame:
    """The table of `simulate_into`, not yet written; finished blocks stay in the folder until `remove_parts`.

    A block of the same ratings, reference, options and version of the program is not done again; others are removed.
    """
    numbers, workers = realization_numbers(realizations), Workers(jobs, address)
    every_k = [checked_k(experiment, raters_per_fov) for experiment in experiments]
    keys = [_key(experiment, k) for experiment, k in zip(experiments, every_k, strict=True)]
    parts = Path(folder) / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    for file in parts.iterdir():
        if file.name.partition("-")[0] not in keys:
            file.unlink()
    tables = []
    for experiment, k, key in zip(experiments, every_k, keys, strict=True):
        blocks = blocks_of(numbers)
        files = [parts / f"{key}-{_checksum(block)}.npy" for block in blocks]
        values = _values(files, blocks, experiment, k, workers)
        tables.append(redundancy_rows(experiment, numbers, k, values))
    return pd.concat(tables, ignore_index=True)


def remove_parts(folder: str | Path) -> None:
    """Remove the finished blocks of a simulation whose table is written."""
    shutil.rmtree(Path(folder) / PARTS, ignore_errors=True)


def _key(experiment: Experiment, every_k: Sequence[int]) -> str:
    """What a part depends on beside its realizations."""
    return _checksum([experiment.key, *every_k])


def _checksum(value: Any) -> str:
    """A checksum of a value as it is written, 32 hexadecimal digits."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:32]


def _values(
    files: Sequence[Path],
    blocks: Sequence[Sequence[int]],
    experiment: Experiment,
    every_k: Sequence[int],
    workers: Workers,
) -> NDArray[np.float64]:
    """All realizations of an experiment, (n_realizations, n_k, 1 + n_metrics); what is done is read, not done again."""
    shape = (len(every_k), 1 + len(metric_names(experiment)))
    done = [_read(file, (len(block), *shape)) for file, block in zip(files, blocks, strict=True)]
    to_do = [number for number, values in enumerate(done) if values is None]
    results = workers.map(partial(run_block, every_k), experiment, [blocks[number] for number in to_do])
    description = f"realizations of {experiment.cohort}, {experiment.condition}, {BLOCK} at a time"
    for number, values in zip(to_do, track(results, description, total=len(to_do)), strict=True):
        with atomic_write(files[number]) as handle:
            np.save(handle, values)
        done[number] = values
    return np.concatenate([values for values in done if values is not None])


def _read(file: Path, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """A finished block; None where there is none, or it is not whole."""
    if not file.is_file():
        return None
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
    return values if values.shape == shape and values.dtype == np.float64 else None
