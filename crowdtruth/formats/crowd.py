"""Crowd tables: answers to tasks without boxes, long (task, worker, label) or wide (one column per worker)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from crowdtruth.cells import Cells, column_names, read_cells
from crowdtruth.files import as_text
from crowdtruth.formats.folder import find_table, other_files
from crowdtruth.formats.reference import read_task_labels
from crowdtruth.formats.taxonomy_file import TAXONOMY_FILE, read_taxonomy_file
from crowdtruth.problems import Source, StudyError, in_rows, quoted
from crowdtruth.study import Study, make_study
from crowdtruth.taxonomy import Taxonomy

_WORDS = {"anchor": ("task", "item"), "rater": ("worker", "rater"), "label": ("label", "rating")}
_FILES = ("answers", "ratings")


def crowd_columns(columns: Sequence[str]) -> dict[str, str] | None:
    """Column -> our word for it (anchor, rater, label), where all three are there; else None.

    Examples
    --------
    >>> crowd_columns(["item", "rater", "rating", "time"])
    {'item': 'anchor', 'rater': 'rater', 'rating': 'label'}
    >>> crowd_columns(["task", "w1", "w2"]) is None
    True
    """
    found = {word: ours for ours, words in _WORDS.items() for word in words if word in columns}
    return found if sorted(found.values()) == sorted(_WORDS) else None


def is_wide(columns: Sequence[str]) -> bool:
    """Whether a table has tasks in its first column and a column for each worker."""
    return len(columns) > 1 and columns[0] in _WORDS["anchor"] and not {"worker", "label", "rating"} & set(columns)


def find_answers(folder: Path) -> Path | None:
    """The answers in a folder: answers or ratings, CSV or Parquet, with the columns of a crowd table."""
    for name in _FILES:
        path = find_table(folder, name)
        if path is not None and (crowd_columns(names := column_names(path)) or is_wide(names)):
            return path
    return None


def read_crowd(path: Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False) -> Study:
    """The study of a crowd table: its tasks are the anchors, an empty cell is a missing answer.

    Parameters
    ----------
    path : a table, or a folder with ``answers`` (and ``truth``: the true labels of tasks, kept as the reference)
    taxonomy : class scheme the labels must be in; default: ``taxonomy.toml`` of the folder, or none
    normalise_labels : not for crowd tables

    Raises
    ------
    StudyError
        With file, line, column and reason of every problem.
    """
    if normalise_labels:
        raise StudyError(
            f"{path.name}: normalise_labels is for marks; the labels of a crowd table are taken as they are"
        )
    answers = find_answers(path) if path.is_dir() else path
    if answers is None:
        raise StudyError(f"{path.name}: no answers.csv, answers.parquet or ratings.csv with task, worker, label")
    notes, reference = [], None
    if path.is_dir():
        truth = find_table(path, "truth")
        reference = None if truth is None else read_task_labels(truth)
        own = read_taxonomy_file(path) if taxonomy is None else None
        taxonomy = taxonomy or own
        read = {answers.name, *([truth.name] if truth else []), *([TAXONOMY_FILE] if own else [])}
        notes = other_files(path, read)
    ratings, said = _read_answers(answers)
    return make_study(ratings=ratings, reference=reference, taxonomy=taxonomy, notes=[*notes, *said])


def _read_answers(path: Path) -> tuple[Cells, list[str]]:
    """The answers as ratings of anchors, and a note on other columns."""
    columns = column_names(path)
    words = crowd_columns(columns)
    if words is not None:
        cells = read_cells(path, categorical=True, columns=tuple(words))
        other = [name for name in columns if name not in words]
        notes = [f"{path.name}: columns not read: {quoted(other)}"] if other else []
        theirs = {ours: word for word, ours in words.items()}
        source = replace(cells.source, columns=theirs)
        return Cells(cells.frame.rename(columns=words), source, cells.findings), notes
    if is_wide(columns):
        return _melt(read_cells(path)), []
    raise StudyError(
        f"{path.name}: expected the columns task (or item), worker (or rater) and label (or rating), or tasks in the "
        f"first column and one column per worker; got {quoted(columns, limit=20)}"
    )


def _melt(cells: Cells) -> Cells:
    """A wide table, one column per worker, as one row per answer; rows keep their line and column."""
    task, workers = cells.frame.columns[0], cells.frame.columns[1:]
    nameless = cells.frame[task].isna().to_numpy() | (as_text(cells.frame[task]) == "").to_numpy(dtype=bool)
    findings = [*cells.findings, *in_rows(cells.source, nameless, task, "expected a text, the cell is empty")]
    frame, lines = cells.frame[~nameless], np.flatnonzero(~nameless)
    labels = pd.concat([as_text(frame[worker]) for worker in workers], ignore_index=True)
    tasks = pd.concat([as_text(frame[task])] * len(workers), ignore_index=True)
    raters = pd.Series([str(worker) for worker in workers], dtype="str").repeat(len(frame)).reset_index(drop=True)

    def locate(rows: Sequence[int]) -> list[str]:
        cell = [divmod(row, len(lines)) for row in rows]
        return [
            f"{cells.source.locate([int(lines[line])])[0]}, {repr(str(workers[worker]))[1:-1]}" for worker, line in cell
        ]

    long = pd.DataFrame({"anchor": tasks, "rater": raters, "label": labels})
    return Cells(long, Source(cells.source.name, locate, {"label": ""}), tuple(findings))
