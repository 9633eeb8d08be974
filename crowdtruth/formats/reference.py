"""Outside truth in a file of its own: boxes with labels, or the true labels of a crowd table's tasks."""

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
    path: str | Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False
) -> pd.DataFrame:
    """Boxes with labels, to judge against.

    Parameters
    ----------
    path : CSV or Parquet with fov, xmin, ymin, xmax, ymax, label
    taxonomy : class scheme the labels must be in
    normalise_labels : read labels typed by hand as the class they mean

    Returns
    -------
    (n_objects, 8)
        fov, xmin, ymin, xmax, ymax, label, coords_x, coords_y.

    Raises
    ------
    StudyError
        With line, column and reason of every problem.
    """
    checked = complete_reference(read_cells(Path(path)), taxonomy, normalise_labels)
    raise_findings(checked.findings)
    return checked.frame


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
