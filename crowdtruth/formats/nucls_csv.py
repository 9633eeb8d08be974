"""The published NuCLS folders: one CSV per FOV and rater, images beside it in ``rgb``."""

import struct
from pathlib import Path

import pandas as pd

from crowdtruth.cells import Cells, column_names, read_cells
from crowdtruth.checks import CORNERS
from crowdtruth.files import missing_columns
from crowdtruth.formats.nucls_names import MPP, SINGLE_RATER, FovName, kinds_of, parse_fov_name, raters_table
from crowdtruth.problems import StudyError, joined_source, quoted, raise_findings
from crowdtruth.study import Study, make_study
from crowdtruth.taxonomy import Taxonomy, load_taxonomy

_REQUIRED = ("raw_classification", "type", *CORNERS)
_OPTIONAL = ("coords_x", "coords_y")
_REPEATED = ("", "main_classification", "super_classification")  # follow from the raw class, or a row number
_PNG = b"\x89PNG\r\n\x1a\n"


def find_fov_files(folder: Path) -> list[Path]:
    """The CSV files of FOVs in a folder, or in its folder ``csv``; none if they are not the published ones."""
    place = folder / "csv" if (folder / "csv").is_dir() else folder
    paths = sorted(place.glob("*.csv"))
    return paths if paths and "raw_classification" in column_names(paths[0]) else []


def read_nucls_csv(path: Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False) -> Study:
    """The study in a published NuCLS folder: every file is one rater's visit of a FOV, also one without marks.

    Parameters
    ----------
    path : folder with ``csv`` and, if images are at hand, ``rgb``; or the folder of the CSV files itself
    taxonomy : default: the NuCLS scheme
    normalise_labels : read labels typed by hand as the class they mean

    Raises
    ------
    StudyError
        With file, line, column and reason of every problem.
    """
    files = find_fov_files(path)
    if not files:
        raise StudyError(f"{path.name}: no CSV files with the column raw_classification, here or in the folder csv")
    names = [parse_fov_name(file.stem) for file in files]
    tables = [read_cells(file) for file in files]
    raise_findings(f for cells in tables for f in missing_columns(cells.frame, cells.source, _REQUIRED))
    asked = pd.DataFrame({key: [getattr(n, key) for n in names] for key in ("fov", "rater", "condition")}, dtype="str")
    _refuse_repeats(asked, files)
    return make_study(
        _marks(path.name, tables, names),
        assignments=asked,
        raters=raters_table(asked["rater"]),
        fovs=_fovs(path, files, names),
        taxonomy=taxonomy or load_taxonomy("nucls"),
        normalise_labels=normalise_labels,
        notes=_notes(path, tables, asked),
    )


def _refuse_repeats(asked: pd.DataFrame, files: list[Path]) -> None:
    """Two files of one FOV, rater and dataset would count every nucleus twice."""
    twice = asked.duplicated(keep=False).to_numpy()
    if twice.any():
        raise StudyError(
            f"{files[0].parent.name}: more than one file for the same FOV, rater and dataset: "
            f"{quoted(file.name for file, repeated in zip(files, twice, strict=True) if repeated)}"
        )


def _marks(name: str, tables: list[Cells], names: list[FovName]) -> Cells:
    """All files' rows, one under another, with our columns."""
    columns = [*_REQUIRED, *_OPTIONAL]
    frame = pd.concat([cells.frame.reindex(columns=columns) for cells in tables], ignore_index=True)
    file = pd.Series(range(len(tables))).repeat([len(cells.frame) for cells in tables]).to_numpy()
    for key in ("fov", "rater", "condition"):
        frame[key] = pd.Series([getattr(n, key) for n in names], dtype="str").reindex(file).array
    frame["kind"] = kinds_of(frame["type"], frame["condition"])
    outlined = frame["kind"] != "box"  # the corners of a rectangle say nothing that its box does not
    frame[list(_OPTIONAL)] = frame[list(_OPTIONAL)].where(outlined)
    source = joined_source(name, [(cells.source, len(cells.frame)) for cells in tables])
    findings = tuple(finding for cells in tables for finding in cells.findings)
    return Cells(frame.drop(columns="type").rename(columns={"raw_classification": "label"}), source, findings)


def _fovs(path: Path, files: list[Path], names: list[FovName]) -> pd.DataFrame:
    """One row per FOV; the image is that of the first file."""
    rows = {}
    for file, name in zip(files, names, strict=True):
        if name.fov in rows:
            continue
        image = path / "rgb" / f"{file.stem}.png"
        width, height = _png_size(image)
        row = {"fov": name.fov, "slide": name.slide, "hospital": name.hospital, "width": width, "height": height}
        rows[name.fov] = row | {"mpp": MPP, "image": f"rgb/{image.name}" if image.is_file() else ""}
    return pd.DataFrame(list(rows.values()))


def _png_size(path: Path) -> tuple[float, float]:
    """Width and height from the header of a PNG file; NaN where there is none."""
    if not path.is_file():
        return float("nan"), float("nan")
    with path.open("rb") as handle:
        start = handle.read(24)
    if not start.startswith(_PNG) or len(start) < 24:
        raise StudyError(f"rgb/{path.name}: not a PNG image")
    return struct.unpack(">II", start[16:24])


def _notes(path: Path, tables: list[Cells], asked: pd.DataFrame) -> list[str]:
    """What the user should know of the folder."""
    known = {*_REQUIRED, *_OPTIONAL, *_REPEATED}
    other = sorted({str(column) for cells in tables for column in cells.frame if column not in known})
    notes = [f"{path.name}: columns not read: {quoted(other)}"] if other else []
    raters_of_fov = asked.drop_duplicates(["fov", "rater"]).groupby("fov").size()
    if set(asked["rater"]) == {SINGLE_RATER}:
        notes.append(f"{path.name}: file names carry no rater, so all marks are by {SINGLE_RATER!r}")
    elif asked["rater"].nunique() > 1 and (raters_of_fov == 1).all():
        notes.append(
            f"{path.name}: no FOV was seen by two raters; do the file names carry different outlines of one FOV?"
        )
    return notes
