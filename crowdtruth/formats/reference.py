"""Outside truth in a file of its own: boxes with labels, or the true labels of a crowd table's tasks."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from crowdtruth.cells import Cells, read_cells
from crowdtruth.checks import complete_reference
from crowdtruth.files import as_text
from crowdtruth.problems import in_table, quoted, raise_findings
from crowdtruth.taxonomy import Taxonomy

_WORDS = {"anchor": ("task", "item", "anchor"), "label": ("label", "rating", "truth")}


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
    cells = read_task_labels(path)
    raise_findings(cells.findings)
    table = pd.DataFrame({name: as_text(cells.frame[name]) for name in ("anchor", "label")})
    return table[table["label"].fillna("") != ""].reset_index(drop=True)


def read_task_labels(path: Path) -> Cells:
    """The cells of a table of true labels, its columns called anchor and label; other columns are left alone.

    Raises
    ------
    StudyError
        If a column is missing or the file cannot be read.
    """
    cells = read_cells(path)
    findings, theirs = [], {}
    for ours, words in _WORDS.items():
        found = [word for word in words if word in cells.frame]
        theirs[ours] = found[0] if found else ours
        if len(found) != 1:
            named = " or ".join(map(repr, words))
            reason = f"expected one column named {named}; its columns are {quoted(cells.frame.columns, limit=20)}"
            findings += in_table(cells.source, reason)
    raise_findings(findings)
    frame = cells.frame[list(theirs.values())].set_axis(list(theirs), axis=1)
    return Cells(frame, replace(cells.source, columns=theirs), cells.findings)
