"""A file of outside truth, given beside a study: boxes with labels, or the true labels of a crowd table's tasks."""

from pathlib import Path

import pandas as pd

from crowdtruth.cells import Cells, read_cells
from crowdtruth.checks import complete_reference
from crowdtruth.files import as_text, missing_columns
from crowdtruth.problems import raise_findings
from crowdtruth.taxonomy import Taxonomy

_TASK_WORDS = ("anchor", "task", "item")
_LABEL_WORDS = ("label", "rating", "truth")


def read_box_reference(
    path: Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """The reference table of a file (fov, xmin, ymin, xmax, ymax, label), and what it has to say.

    Parameters
    ----------
    path : a CSV or Parquet table
    taxonomy : class scheme the labels must be in; None takes them as they come
    normalise_labels : read labels typed by hand as the class they mean

    Raises
    ------
    StudyError
        With file, line, column and reason of every problem.
    """
    checked = complete_reference(read_cells(path), taxonomy, normalise_labels)
    raise_findings(checked.findings)
    return checked.frame, checked.notes


def read_task_reference(path: Path) -> pd.DataFrame:
    """True labels of a crowd table's tasks (anchor, label); tasks with an empty label are left out.

    Parameters
    ----------
    path : a CSV or Parquet table with a column task (or item, anchor) and a column label (or rating, truth)

    Raises
    ------
    StudyError
        If a column is missing or the file cannot be read.
    """
    cells = read_cells(path)
    renamed = {word: ours for ours, words in (("anchor", _TASK_WORDS), ("label", _LABEL_WORDS)) for word in words}
    cells = Cells(cells.frame.rename(columns=renamed), cells.source, cells.findings)
    raise_findings([*cells.findings, *missing_columns(cells.frame, cells.source, ("anchor", "label"))])
    table = pd.DataFrame({name: as_text(cells.frame[name]) for name in ("anchor", "label")})
    return table[table["label"].fillna("") != ""].reset_index(drop=True)
