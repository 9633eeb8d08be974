"""Which data: the synthetic NuCLS-like study, or a study of yours, as it comes or a part of it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from crowdtruth.files import sha256_of
from crowdtruth.formats import read_study
from crowdtruth.formats.reference import read_box_reference
from crowdtruth.parallel import say, working_on
from crowdtruth.pipeline import input_checksums
from crowdtruth.study import Study, select
from crowdtruth.synthetic import synthesise

QUICK_FOVS = 10


@dataclass(frozen=True)
class Data:
    """A study, what figures call it, and the checksums by which its results are kept or computed again."""

    name: str
    place: Path  # where the study is; for a synthetic one a name, not a place
    inputs: Mapping[str, str]  # name -> checksum
    load: Callable[[], Study]


def synthetic_data(seed: int = 0, *, quick: bool = False) -> Data:
    """The synthetic NuCLS-like study; a quick one has `QUICK_FOVS` FOVs.

    It is made at once, in a second or two: the checksum is of its tables, not of the parameters behind them.

    Examples
    --------
    >>> synthetic_data(quick=True).name
    'synthetic NuCLS-like study, seed 0, 10 FOVs'
    """
    with working_on("making the synthetic study"):
        changes = {"n_fovs": QUICK_FOVS} if quick else {}
        study = synthesise("nucls", seed=seed, **changes).study
    name = f"synthetic NuCLS-like study, seed {seed}" + (f", {QUICK_FOVS} FOVs" if quick else "")
    tables = {"annotations": study.annotations, "assignments": study.assignments, "fovs": study.fovs}
    inputs = {table: _checksum(rows) for table, rows in tables.items()}
    return Data(name, Path("synthetic-nucls"), inputs, lambda: study)


def study_data(path: Path, *, reference: Path | None = None, quick: bool = False) -> Data:
    """The study at a path, in any format `crowdtruth` reads; of a quick one the first `QUICK_FOVS` FOVs by name.

    Parameters
    ----------
    path : a folder or a file
    reference : a table of true boxes, in place of the study's own
    quick : whether a part is enough

    Raises
    ------
    StudyError
        When it is loaded: if it is no study, or one with faults.
    ValueError
        If there is nothing at a path, or, when it is loaded, the reference shares no FOV with the study.
    """
    for option, place in (("--study", path), ("--reference", reference)):
        if place is not None and not place.exists():
            raise ValueError(f"{option} {place}: there is no such file or folder")
    name = path.resolve().name + (f", at most {QUICK_FOVS} FOVs" if quick else "")
    inputs = dict(input_checksums(path))
    if quick:
        inputs["FOVs"] = f"at most {QUICK_FOVS}"
    if reference is not None:
        inputs[f"reference {reference.name}"] = sha256_of(reference)
    return Data(name, path, inputs, lambda: _read(path, reference, quick=quick))


def _read(path: Path, reference: Path | None, *, quick: bool) -> Study:
    """The study, or some of its FOVs, with the reference in it; what it has to say is said."""
    study = read_study(path)
    for note in study.notes:
        say(note)
    if reference is not None:
        table = read_box_reference(reference, taxonomy=study.taxonomy)
        shared = table[table["fov"].isin(study.fovs["fov"])]
        if shared.empty:
            raise ValueError(f"{reference.name} shares no FOV with the study: the names in column fov must be equal")
        study = replace(study, reference=shared.reset_index(drop=True))
    if not quick or study.is_crowd:
        return study
    return select(study, fovs=sorted(study.fovs["fov"])[:QUICK_FOVS])


def _checksum(table: pd.DataFrame) -> str:
    """Checksum of the content of a table."""
    return hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()).hexdigest()
