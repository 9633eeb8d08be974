"""The NuCLS databases: the raw one of all raters and datasets, and the small one of the single-rater boxes.

The raw schema keeps each rater's copy of a FOV with its own image bounds; marks are brought to the frame of the FOV's
copies together, so that raters meet. The small schema holds boxes of one rater without outlines.
"""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from crowdtruth.cells import Cells, check_readable
from crowdtruth.checks import CORNERS
from crowdtruth.files import as_floats
from crowdtruth.formats.nucls_names import MPP, kinds_of, parse_fov_name, raters_table
from crowdtruth.problems import Source, StudyError, numbered_source, quoted
from crowdtruth.study import Study, make_study
from crowdtruth.taxonomy import Taxonomy, load_taxonomy

LARGEST_SIDE = 100.0  # base pixels; what is larger is a FOV outline relabelled by mistake
_MAGIC = b"SQLite format 3\0"
_SMALL = {
    "fov_meta": {"fov_id", "fovname", "slide_name"},
    "annotation_elements": {"ann_id", "fov_id", "group", "type", *CORNERS},
}
_OUTLINE = ("maybe-xmin", "maybe-ymin", "maybe-xmax", "maybe-ymax")
_RAW = {
    "fov_meta": {"fov_id", "fovname", "slide_name", "QC_label", "sf", *_OUTLINE, "XMIN", "YMIN"},
    "annotation_docs": {"annotation_girder_id", "subset"},
    "annotation_elements": {
        *("element_girder_id", "annotation_girder_id", "fov_id", "group", "type", *CORNERS, "coords_x", "coords_y"),
    },
}


def read_nucls_sqlite(
    path: Path,
    *,
    taxonomy: Taxonomy | None = None,
    normalise_labels: bool = False,
    qc_labels: Collection[str] = ("COMPLETE",),
    largest_side: float | None = LARGEST_SIDE,
) -> Study:
    """The study in a NuCLS database, opened read-only.

    Parameters
    ----------
    path : SQLite file, or a folder with exactly one
    taxonomy : default: the NuCLS scheme
    normalise_labels : read labels typed by hand as the class they mean
    qc_labels : review states of the FOVs to read (raw schema)
    largest_side : marks at least that large, in base pixels, are left out (raw schema); None keeps all

    Raises
    ------
    StudyError
        If the file is no whole SQLite database or has neither schema, and with the reason of every problem in it.
    """
    file = find_database(path) if path.is_dir() else path
    if file is None:
        raise StudyError(f"{path.name}: expected exactly one .sqlite or .db file in the folder")
    taxonomy = taxonomy or load_taxonomy("nucls")
    check_database(file)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1", uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            schema = _schema(database)
            if _has(schema, _RAW):
                return _read_raw(database, file.name, (taxonomy, normalise_labels), qc_labels, largest_side)
            if _has(schema, _SMALL):
                return _read_small(database, file.name, taxonomy, normalise_labels)
    except sqlite3.Error as error:
        raise StudyError(f"{file.name}: the database is damaged, cut off or not UTF-8: {error}") from error
    raise StudyError(
        f"{file.name}: expected the tables {_in_words(_SMALL)}, or {_in_words(_RAW)}; found {_in_words(schema)}"
    )


def find_database(folder: Path) -> Path | None:
    """The only SQLite file of a folder, if there is exactly one."""
    found = sorted([*folder.glob("*.sqlite"), *folder.glob("*.db")])
    return found[0] if len(found) == 1 else None


def is_database(path: Path) -> bool:
    """Whether a file begins as SQLite files do."""
    with path.open("rb") as handle:
        return handle.read(len(_MAGIC)) == _MAGIC


def check_database(path: Path) -> None:
    """Refuse what is no whole SQLite file: another format, cut off, or with changes that were not written back."""
    check_readable(path, path.name)
    with path.open("rb") as handle:
        header = handle.read(100)
    if not header.startswith(_MAGIC) or len(header) < 100:
        raise StudyError(f"{path.name}: not an SQLite database")
    page_size = int.from_bytes(header[16:18], "big")
    expected = int.from_bytes(header[28:32], "big") * (65_536 if page_size == 1 else page_size)
    if header[24:28] == header[92:96] and path.stat().st_size < expected:
        raise StudyError(f"{path.name}: cut off: {path.stat().st_size:,} of {expected:,} bytes are there")
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StudyError(
            f"{path.name}: {log.name} holds changes that are not in the database; close its other users first"
        )


def _schema(database: sqlite3.Connection) -> dict[str, set[str]]:
    """Tables (no views) and their columns."""
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: {row[1] for row in database.execute(f"PRAGMA table_info({_identifier(name)})")} for name in tables}


def _identifier(name: str) -> str:
    """A name of a table or column as SQL knows it."""
    return '"' + name.replace('"', '""') + '"'


def _has(schema: dict[str, set[str]], wanted: dict[str, set[str]]) -> bool:
    return all(columns <= schema.get(table, set()) for table, columns in wanted.items())


def _in_words(schema: dict[str, set[str]]) -> str:
    return "; ".join(f"{table} ({', '.join(sorted(columns))})" for table, columns in schema.items()) or "no tables"


def _table(database: sqlite3.Connection, name: str, columns: Collection[str]) -> pd.DataFrame:
    """The columns of a table, in the order of its rows; values as they are stored."""
    chosen = ", ".join(_identifier(column) for column in columns)
    rows = database.execute(f"SELECT {chosen} FROM {_identifier(name)} ORDER BY rowid").fetchall()
    return pd.DataFrame(rows, columns=list(columns))


def _read_small(database: sqlite3.Connection, name: str, taxonomy: Taxonomy, normalise: bool) -> Study:
    """The study of the small schema: each row of fov_meta is one rater's visit."""
    fovs = _table(database, "fov_meta", ("fov_id", "fovname"))
    names = [parse_fov_name(str(fov)) for fov in fovs["fovname"]]
    keys = pd.Series([n.fov for n in names], dtype="str")
    repeated = keys.duplicated().to_numpy()
    keys = keys.mask(repeated, keys + "#" + fovs["fov_id"].astype("str"))
    notes = [f"{name}: {repeated.sum()} FOVs stand there twice; the later one's name ends in # and its id"]
    visits = pd.DataFrame({"fov": keys, "rater": [n.rater for n in names], "condition": [n.condition for n in names]})
    marks = _table(database, "annotation_elements", ("ann_id", "fov_id", "group", "type", *CORNERS))
    marks, said = _without_points(_join_visits(marks, fovs["fov_id"], visits, name), name)
    marks = marks.rename(columns={"ann_id": "annotation", "group": "label"})
    return make_study(
        Cells(marks.drop(columns="row"), _source(name, marks["row"]), ()),
        assignments=visits,
        raters=raters_table(visits["rater"]),
        fovs=pd.DataFrame({"fov": keys, "slide": [n.slide for n in names], "hospital": [n.hospital for n in names]})
        .assign(mpp=MPP)
        .drop_duplicates("fov"),
        taxonomy=taxonomy,
        normalise_labels=normalise,
        notes=[*notes * bool(repeated.any()), *said],
    )


def _source(name: str, rows: pd.Series) -> Source:
    """The source of chosen marks, which are rows (n,) of the table in the file, from 1."""
    numbers = rows.to_numpy()
    return Source(name, lambda chosen: [f"{name}, annotation_elements, row {numbers[row]}" for row in chosen])


def _join_visits(marks: pd.DataFrame, fov_id: pd.Series, visits: pd.DataFrame, name: str) -> pd.DataFrame:
    """The marks with the columns of the visit they belong to."""
    position = pd.Index(fov_id).get_indexer(marks["fov_id"])
    if (position < 0).any():
        lost = marks["fov_id"][position < 0].unique()
        raise StudyError(f"{name}, annotation_elements: fov_id {quoted(lost)} is not in fov_meta")
    of_mark = visits.iloc[position].reset_index(drop=True)
    return pd.concat([marks.drop(columns="fov_id"), of_mark], axis=1).assign(row=range(1, len(marks) + 1))


def _without_points(marks: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """The marks with their kind, and without points: dots that correct a label have no extent."""
    is_point = (marks["type"] == "point").to_numpy(dtype=bool)
    kinds = kinds_of(marks["type"].astype("str"), marks["condition"])
    notes = [f"{name}: {is_point.sum():,} marks of type point have no extent and are left out"]
    return marks.drop(columns="type").assign(kind=kinds)[~is_point], notes * bool(is_point.any())


def _read_raw(
    database: sqlite3.Connection,
    name: str,
    scheme: tuple[Taxonomy, bool],
    qc_labels: Collection[str],
    largest_side: float | None,
) -> Study:
    """The study of the raw schema: each row of fov_meta is one rater's copy of a FOV in one dataset."""
    copies = _copies(database, name)
    elements = _table(database, "annotation_elements", tuple(sorted(_RAW["annotation_elements"])))
    documents = _table(database, "annotation_docs", ("annotation_girder_id", "subset"))
    subset = documents.drop_duplicates("annotation_girder_id").set_index("annotation_girder_id")["subset"]
    copies = _with_conditions(copies, elements["fov_id"], elements.pop("annotation_girder_id").map(subset))
    read = copies[copies["QC_label"].isin(qc_labels)]
    chosen = f"have the QC label {quoted(qc_labels)}"
    if read.empty:
        raise StudyError(f"{name}: no FOVs {chosen}; there are {quoted(copies['QC_label'].unique())}")
    marks = _join_visits(elements, copies["fov_id"], copies.drop(columns="fov_id"), name)
    marks, points = _without_points(marks[marks["QC_label"].isin(qc_labels)].reset_index(drop=True), name)
    cells, changes = _in_common_frame(marks.reset_index(drop=True), name, largest_side)
    asked = read[["fov", "rater", "condition"]].drop_duplicates()
    only = f"{name}: {len(read):,} of {len(copies):,} copies of FOVs {chosen}; only they are read"
    return make_study(
        cells,
        assignments=asked,
        raters=raters_table(asked["rater"]),
        fovs=read.drop_duplicates("fov")[["fov", "slide", "hospital"]].assign(mpp=MPP),
        taxonomy=scheme[0],
        normalise_labels=scheme[1],
        notes=[only, *points, *changes],
    )


def _copies(database: sqlite3.Connection, name: str) -> pd.DataFrame:
    """Each rater's copy of a FOV: who, where, its review state, scale, and offset from the FOV's common frame."""
    table = _table(
        database, "fov_meta", ("fov_id", "fovname", "slide_name", "QC_label", "sf", *_OUTLINE, "XMIN", "YMIN")
    )
    source = numbered_source(f"{name}, fov_meta")
    numbers = {column: as_floats(table[column], source)[0] for column in ("sf", *_OUTLINE, "XMIN", "YMIN")}
    wrong = ~np.isfinite(np.column_stack(list(numbers.values()))).all(axis=1) | (numbers["sf"] <= 0)
    if wrong.any():
        place = source.locate([int(wrong.argmax())])[0]
        raise StudyError(f"{place}: expected numbers in sf (above 0), {', '.join(_OUTLINE)}, XMIN and YMIN")
    names = [parse_fov_name(str(fov)) for fov in table["fovname"]]
    left, top, right, bottom = (numbers[column].astype(np.int64).astype(str) for column in _OUTLINE)
    slides = table["slide_name"].astype("str")
    parts = zip(slides, left, top, bottom, right, strict=True)
    fov = pd.Series([f"{s}_left-{le}_top-{to}_bottom-{bo}_right-{ri}" for s, le, to, bo, ri in parts], dtype="str")
    copies = pd.DataFrame({
        "fov_id": table["fov_id"], "fov": fov,
        "rater": [n.rater for n in names], "condition": [n.condition for n in names],
        "slide": slides, "hospital": [parse_fov_name(slide).hospital for slide in slides],
        "QC_label": table["QC_label"].astype("str"), "sf": numbers["sf"],
    })  # fmt: skip
    for axis, column in (("x", "XMIN"), ("y", "YMIN")):
        offset = pd.Series(numbers[column])
        copies[f"shift_{axis}"] = (offset - offset.groupby(fov).transform("min")) * numbers["sf"]
    return copies


def _with_conditions(copies: pd.DataFrame, fov_id: pd.Series, subset: pd.Series) -> pd.DataFrame:
    """The condition of each copy is the subset of its marks, each (n_marks,); without marks, its name's dataset."""
    given = pd.DataFrame({"fov_id": fov_id, "subset": subset}).dropna().drop_duplicates("fov_id").set_index("fov_id")
    condition = copies["fov_id"].map(given["subset"]).fillna(copies["condition"]).astype("str")
    return copies.assign(condition=condition)


def _in_common_frame(marks: pd.DataFrame, name: str, largest_side: float | None) -> tuple[Cells, list[str]]:
    """The marks in the frame that all copies of a FOV share, without those that are too large for an object."""
    source, findings, notes = _source(name, marks["row"]), [], []
    for column in CORNERS:
        values, wrong = as_floats(marks[column], source)
        findings += wrong
        marks[column] = values + marks[f"shift_{column[0]}"]
    moved = (marks["shift_x"] != 0) | (marks["shift_y"] != 0)
    if moved.any():
        notes.append(
            f"{name}: {moved.sum():,} marks were moved by the offset of their rater's FOV image, so that raters meet"
        )
        for axis in ("x", "y"):
            lists = marks.loc[moved, f"coords_{axis}"]
            shifts = marks.loc[moved, f"shift_{axis}"]
            marks.loc[moved, f"coords_{axis}"] = [_shifted(t, by) for t, by in zip(lists, shifts, strict=True)]
    outlined = marks["kind"] != "box"
    marks[["coords_x", "coords_y"]] = marks[["coords_x", "coords_y"]].where(outlined)
    if largest_side is not None:
        sides = marks[["xmax", "ymax"]].to_numpy() - marks[["xmin", "ymin"]].to_numpy()
        large = (sides / marks[["sf"]].to_numpy() >= largest_side).any(axis=1)
        if large.any() and not findings:
            notes.append(f"{name}: {large.sum():,} marks of {largest_side:g} base pixels and more are left out")
            marks = marks[~large]
    columns = ["element_girder_id", "fov", "rater", "condition", *CORNERS, "group", "kind", "coords_x", "coords_y"]
    named = marks[columns].rename(columns={"element_girder_id": "annotation", "group": "label"})
    return Cells(named, _source(name, marks["row"]), tuple(findings)), notes


def _shifted(numbers: str | None, by: float) -> str | None:
    """A comma list with a number added to each, written as short as it goes."""
    if not numbers:
        return numbers
    try:
        return ",".join(f"{float(number) + by:.10g}" for number in str(numbers).split(","))
    except ValueError:
        return numbers  # told by the study's checks
