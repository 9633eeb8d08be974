"""All marks in one CSV or Parquet file, without tables beside it."""

from pathlib import Path

from crowdtruth.cells import read_cells
from crowdtruth.study import Study, make_study
from crowdtruth.taxonomy import Taxonomy


def read_long_table(path: Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False) -> Study:
    """The study in a single table of marks; whoever marked something in a FOV counts as asked there.

    Raises
    ------
    StudyError
        With file, line, column and reason of every problem.
    """
    return make_study(read_cells(path), taxonomy=taxonomy, normalise_labels=normalise_labels)
