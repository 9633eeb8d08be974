"""A study as a folder of CSV or Parquet tables (docs/data_model.md): the project's own format, read and written."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from crowdtruth.cells import TABLE_SUFFIXES, read_cells
from crowdtruth.files import whole_folder, write_table
from crowdtruth.formats.taxonomy_file import TAXONOMY_FILE, read_taxonomy_file, write_taxonomy_file
from crowdtruth.problems import StudyError, quoted
from crowdtruth.study import Study, make_study
from crowdtruth.taxonomy import Taxonomy

TABLES = ("annotations", "assignments", "raters", "fovs", "reference")
LOCATED_TABLES = ("anchors", "ratings", "raters", "fovs")
NOT_IN_LOCATED = (
    "located objects come without the marks they were made of: boundary_correct and outlines stay empty, "
    "and there is no reference"
)
_CROWD_NAMES = {"anchor": "task", "rater": "worker", "label": "label"}


def find_table(folder: Path, name: str) -> Path | None:
    """The file of a table in a folder, CSV or Parquet; both at once are an error.

    Raises
    ------
    StudyError
        If the table is there twice.
    """
    found = [folder / f"{name}{suffix}" for suffix in TABLE_SUFFIXES if (folder / f"{name}{suffix}").exists()]
    if len(found) > 1:
        raise StudyError(f"{folder.name}: {quoted(path.name for path in found)} are the same table; keep one of them")
    return found[0] if found else None


def read_folder(path: Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False) -> Study:
    """The study in a folder of tables; other files are left alone, and said.

    Parameters
    ----------
    path : the folder
    taxonomy : class scheme the labels must be in; default: ``taxonomy.toml`` of the folder, or none
    normalise_labels : read labels typed by hand as the class they mean

    Raises
    ------
    StudyError
        With file, line, column and reason of every problem.
    """
    tables, read = _read_tables(path, TABLES)
    if "annotations" not in tables:
        raise StudyError(f"{path.name}: no annotations.csv or annotations.parquet in the folder")
    own = read_taxonomy_file(path) if taxonomy is None else None
    return make_study(
        tables.pop("annotations"),
        **tables,
        taxonomy=taxonomy or own,
        normalise_labels=normalise_labels,
        notes=other_files(path, read | ({TAXONOMY_FILE} if own else set())),
    )


def read_located(path: Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False) -> Study:
    """The study in a folder with anchors and ratings, such as the results of a run: located, labels to be inferred.

    Raises
    ------
    StudyError
        With file, line, column and reason of every problem.
    """
    if normalise_labels:
        raise StudyError(f"{path.name}: labels of located objects are classes already; normalise_labels does not apply")
    tables, _ = _read_tables(path, LOCATED_TABLES)
    if absent := [name for name in ("anchors", "ratings") if name not in tables]:
        raise StudyError(f"{path.name}: no table {quoted(absent)} in the folder")
    if "raters" in tables and "condition" in tables["raters"].frame:
        tables.pop("raters")  # the raters.csv of a run reports on them; their cohorts stand in the ratings
    return make_study(**tables, taxonomy=taxonomy or read_taxonomy_file(path), notes=[f"{path.name}: {NOT_IN_LOCATED}"])


def _read_tables(folder: Path, names: tuple[str, ...]) -> tuple[dict[str, Any], set[str]]:
    """The tables that are there, and the names of their files."""
    paths = {name: path for name in names if (path := find_table(folder, name)) is not None}
    tables = {name: read_cells(path, categorical=name == "ratings") for name, path in paths.items()}
    return tables, {path.name for path in paths.values()}


def other_files(folder: Path, read: set[str]) -> list[str]:
    """A note on the files of a folder that were not read, if there are any."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith("."))
    unread = [name for name in names if name not in read]
    return [f"{folder.name}: files not read: {quoted(unread)}"] if unread else []


def write_csv_folder(study: Study, path: Path) -> None:
    """Write a study as a folder of CSV tables."""
    _write_folder(study, path, ".csv")


def write_parquet_folder(study: Study, path: Path) -> None:
    """Write a study as a folder of Parquet tables."""
    _write_folder(study, path, ".parquet")


def _write_folder(study: Study, path: Path, suffix: str) -> None:
    """Write the tables into a new folder, which appears whole or not at all."""
    with whole_folder(path) as place:
        for name, frame in _tables_of(study).items():
            write_table(frame, place / f"{name}{suffix}")
        if study.taxonomy is not None:
            write_taxonomy_file(study.taxonomy, place)


def _tables_of(study: Study) -> dict[str, pd.DataFrame]:
    """The tables to write: those of marks, of located objects, or of a crowd table."""
    if study.ratings is None:
        tables = {"annotations": study.annotations, "raters": study.raters, "fovs": study.fovs}
        if study.assignments_given:
            tables["assignments"] = study.assignments
        return tables if study.reference is None else tables | {"reference": study.reference}
    if study.is_crowd and study.cohorts == study.conditions == ["all"]:
        tables = {"answers": study.ratings[list(_CROWD_NAMES)].rename(columns=_CROWD_NAMES)}
        if study.reference is not None:
            tables["truth"] = study.reference.rename(columns=_CROWD_NAMES)
        return tables
    assert study.anchors is not None, "a located study has anchors"
    return {"anchors": study.anchors, "ratings": study.ratings, "raters": study.raters, "fovs": study.fovs}
