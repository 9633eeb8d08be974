"""The true labels of a crowd table's tasks, from a file of its own."""

from pathlib import Path

import pandas as pd

from crowdtruth.cells import Cells, read_cells
from crowdtruth.files import as_text, missing_columns
from crowdtruth.problems import raise_findings

_TASK_WORDS = ("anchor", "task", "item")
_LABEL_WORDS = ("label", "rating", "truth")


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
