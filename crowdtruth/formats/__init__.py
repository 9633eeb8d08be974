"""Formats of studies: what can be read and written, and how a path is recognised."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from crowdtruth.cells import TABLE_SUFFIXES, column_names
from crowdtruth.checks import CORNERS
from crowdtruth.formats.coco import read_coco, write_coco
from crowdtruth.formats.crowd import crowd_columns, find_answers, is_wide, read_crowd
from crowdtruth.formats.folder import find_table, read_folder, read_located, write_csv_folder, write_parquet_folder
from crowdtruth.formats.long_table import read_long_table
from crowdtruth.formats.nucls_anchors import find_anchor_tables, is_anchor_table, read_nucls_anchors
from crowdtruth.formats.nucls_csv import find_fov_files, read_nucls_csv
from crowdtruth.formats.nucls_sqlite import find_database, is_database, read_nucls_sqlite
from crowdtruth.problems import StudyError, quoted
from crowdtruth.study import Study
from crowdtruth.taxonomy import Taxonomy, load_taxonomy

FORMATS: Mapping[str, str] = MappingProxyType({
    "folder": "a folder of CSV or Parquet tables: annotations, and assignments, raters, fovs, reference if there are",
    "table": "one CSV or Parquet file of marks: fov, rater, xmin, ymin, xmax, ymax, label",
    "located": "a folder with anchors and ratings, such as the results of a run",
    "crowd": "answers without boxes: task, worker, label, or one column per worker; a file, or a folder with answers",
    "nucls-csv": "the published NuCLS folder: one CSV per FOV and rater, images in rgb",
    "nucls-sqlite": "a NuCLS database, raw or of the single-rater boxes",
    "nucls-anchors": "NuCLS anchor tables, v3.1_final_anchors_*.csv: one file or a folder of them",
    "coco": "a COCO file with rater_id on annotations and rater_list on images",
})  # fmt: skip

WRITE_FORMATS: Mapping[str, str] = MappingProxyType({
    "csv": "a folder of CSV tables",
    "parquet": "a folder of Parquet tables",
    "coco": "one COCO file with rater_id, rater_list and keys of our own for the rest",
})  # fmt: skip

_READERS: Mapping[str, Callable[..., Study]] = MappingProxyType({
    "folder": read_folder,
    "table": read_long_table,
    "located": read_located,
    "crowd": read_crowd,
    "nucls-csv": read_nucls_csv,
    "nucls-sqlite": read_nucls_sqlite,
    "nucls-anchors": read_nucls_anchors,
    "coco": read_coco,
})  # fmt: skip

_WRITERS: Mapping[str, Callable[[Study, Path], None]] = MappingProxyType(
    {"csv": write_csv_folder, "parquet": write_parquet_folder, "coco": write_coco}
)


def read_study(
    path: str | Path,
    *,
    format: str | None = None,
    taxonomy: Taxonomy | str | Path | None = None,
    normalise_labels: bool = False,
    **options: Any,
) -> Study:
    """The study at a path, completed and checked.

    Parameters
    ----------
    path : a folder or a file
    format : one of `FORMATS`; None recognises it
    taxonomy : class scheme the labels must be in, ``"nucls"`` or a TOML file; None takes the format's own, or none
    normalise_labels : read labels typed by hand as the class they mean; needs a taxonomy
    options : of the format's reader (docs/formats.md)

    Raises
    ------
    StudyError
        One message with file, line, column and reason of every problem.
    ValueError
        If there is no such format or taxonomy.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "answers.csv")
    ...     _ = path.write_text("task,worker,label\\n1,anna,cat\\n1,ben,dog\\n")
    ...     read_study(path).ratings["label"].tolist()
    ['cat', 'dog']
    """
    if not isinstance(taxonomy, Taxonomy | str | Path | None):
        raise TypeError(f"taxonomy: expected a Taxonomy, a name or a path, got {type(taxonomy).__name__}")
    path = Path(path) if Path(path).name else Path(path).resolve()  # "." has no name to call it by
    name = detect_format(path) if format is None else format
    if name not in _READERS:
        raise ValueError(f"no format {name!r} to read; there are {quoted(FORMATS)}")
    if not path.exists():
        raise StudyError(f"no such file or folder: {path}")
    scheme = load_taxonomy(taxonomy) if isinstance(taxonomy, str | Path) else taxonomy
    return _READERS[name](path, taxonomy=scheme, normalise_labels=normalise_labels, **options)


def detect_format(path: str | Path) -> str:
    """The name of the format of a folder or file.

    Raises
    ------
    StudyError
        If there is no such path, or nothing is recognised; the message lists what was looked for.
    """
    path = Path(path)
    if not path.exists():
        raise StudyError(f"no such file or folder: {path}")
    name = _format_of_folder(path) if path.is_dir() else _format_of_file(path)
    if name is None:
        kind = "folder" if path.is_dir() else "file"
        looked_for = "\n  ".join(f"{key}: {words}" for key, words in FORMATS.items())
        raise StudyError(f"{path.name}: not recognised as a study; this {kind} is none of\n  {looked_for}")
    return name


def _format_of_folder(path: Path) -> str | None:
    """The format of a folder, by the names of its files."""
    if find_table(path, "annotations"):
        return "folder"
    if find_table(path, "anchors") and find_table(path, "ratings"):
        return "located"
    if find_answers(path):
        return "crowd"
    if find_anchor_tables(path):
        return "nucls-anchors"
    if find_fov_files(path):
        return "nucls-csv"
    return "nucls-sqlite" if find_database(path) else None


def _format_of_file(path: Path) -> str | None:
    """The format of a file, by its suffix and, for a table, its columns."""
    if path.suffix == ".json":
        return "coco"
    if path.suffix in TABLE_SUFFIXES:
        columns = column_names(path)
        if is_anchor_table(columns):
            return "nucls-anchors"
        if set(CORNERS) & set(columns):
            return "table"
        return "crowd" if crowd_columns(columns) or is_wide(columns) else None
    return "nucls-sqlite" if path.suffix in (".sqlite", ".db") or is_database(path) else None


def write_study(study: Study, path: str | Path, *, format: str) -> None:
    """Write a study; the folder or file appears whole or not at all.

    Parameters
    ----------
    study : what to write; its notes are not written
    path : a new folder (csv, parquet) or a file (coco)
    format : one of `WRITE_FORMATS`

    Raises
    ------
    TypeError
        If it is no study.
    ValueError
        If there is no such format, or it cannot hold this study.
    WriteError
        If it cannot be written.

    Examples
    --------
    >>> import pandas as pd
    >>> from tempfile import TemporaryDirectory
    >>> from crowdtruth.study import make_study
    >>> study = make_study(ratings=pd.DataFrame({"anchor": ["1"], "rater": ["anna"], "label": ["cat"]}))
    >>> with TemporaryDirectory() as folder:
    ...     write_study(study, Path(folder, "copy"), format="csv")
    ...     print(Path(folder, "copy", "answers.csv").read_text(), end="")
    task,worker,label
    1,anna,cat
    """
    if not isinstance(study, Study):
        raise TypeError(f"expected a Study to write, got {type(study).__name__}")
    if format not in _WRITERS:
        raise ValueError(f"no format {format!r} to write; there are {quoted(WRITE_FORMATS)}")
    _WRITERS[format](study, Path(path))
