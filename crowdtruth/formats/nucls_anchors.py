"""The published NuCLS anchor tables: one row per anchor, one column per rater, for one dataset and threshold each."""

from pathlib import Path

import numpy as np
import pandas as pd

from crowdtruth.cells import Cells, column_names, read_cells
from crowdtruth.checks import CORNERS
from crowdtruth.files import as_floats, missing_columns
from crowdtruth.formats.nucls_names import MPP, is_alias, parse_fov_name, raters_table
from crowdtruth.problems import Source, StudyError, in_rows, joined_source, quoted, raise_findings
from crowdtruth.study import Study, make_study
from crowdtruth.taxonomy import UNDETECTED, Taxonomy, load_taxonomy, without_prefix

NOT_ASKED = "DidNotAnnotateFOV"
_RELATIVE = tuple(f"{name}_relative" for name in CORNERS)
_REQUIRED = ("anchor_id", "fovname", "min_iou", "evalset", *_RELATIVE)


def find_anchor_tables(path: Path) -> list[Path]:
    """The anchor tables at a path: the file itself, or those in the folder."""
    return sorted(path.glob("v3.1_final_anchors_*.csv")) if path.is_dir() else [path]


def is_anchor_table(columns: list[str]) -> bool:
    """Whether a table has the columns of an anchor table and at least one rater."""
    return set(_REQUIRED) <= set(columns) and any(map(is_alias, columns))


def read_nucls_anchors(
    path: Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False, min_iou: float = 0.25
) -> Study:
    """The located study in one or more anchor tables: a rating for each rater who annotated the FOV.

    Parameters
    ----------
    path : a table, or a folder of ``v3.1_final_anchors_*.csv``; the datasets (evalset) become conditions
    taxonomy : default: the NuCLS scheme
    normalise_labels : not for anchor tables
    min_iou : clustering threshold of the rows to read

    Raises
    ------
    StudyError
        With file, line, column and reason of every problem.
    """
    if normalise_labels:
        raise StudyError(
            f"{path.name}: the labels of anchor tables are classes already; normalise_labels does not apply"
        )
    files = find_anchor_tables(path)
    if not files:
        raise StudyError(f"{path.name}: no v3.1_final_anchors_*.csv in the folder")
    taxonomy = taxonomy or load_taxonomy("nucls")
    tables = [_read_table(file, min_iou) for file in files]
    ratings = _join([_ratings(cells, taxonomy) for cells in tables], path.name).frame
    notes = [f"{path.name}: {len(files)} anchor tables; raters with {NOT_ASKED} were not asked"]
    anchors = _anchors(tables, ratings, path.name)
    repeated = ratings.duplicated(["anchor", "rater", "condition"])
    fovs = pd.DataFrame({"fov": sorted(anchors["fov"].unique())}, dtype="str")
    slides = [parse_fov_name(fov) for fov in fovs["fov"]]
    return make_study(
        ratings=ratings[~repeated],
        anchors=anchors,
        raters=raters_table(ratings["rater"]),
        fovs=fovs.assign(slide=[n.slide for n in slides], hospital=[n.hospital for n in slides], mpp=MPP),
        taxonomy=taxonomy,
        notes=notes,
    )


def _read_table(path: Path, min_iou: float) -> Cells:
    """The rows of one table at the threshold asked for, with box corners as numbers."""
    if not any(map(is_alias, column_names(path))):
        raise StudyError(f"{path.name}: no column of a rater; expected names like SP.1, JP.2 or NP.3")
    cells = read_cells(path)
    findings = [*cells.findings, *missing_columns(cells.frame, cells.source, _REQUIRED)]
    raise_findings(findings)
    threshold, findings = as_floats(cells.frame["min_iou"], cells.source)
    kept = np.isclose(threshold, min_iou, rtol=0, atol=1e-9)
    if not kept.any() and not findings:
        raise StudyError(f"{path.name}: no row has min_iou {min_iou:g}; there are {quoted(np.unique(threshold))}")
    for name in ("anchor_id", "fovname", "evalset"):
        findings += in_rows(
            cells.source, cells.frame[name].isna().to_numpy(), name, "expected a text, the cell is empty"
        )
    for name in filter(is_alias, cells.frame.columns):
        words = f"expected a class, {UNDETECTED!r} or {NOT_ASKED!r}, the cell is empty"
        findings += in_rows(cells.source, cells.frame[name].isna().to_numpy(), name, words)
    raise_findings(findings)
    rows = np.flatnonzero(kept)
    source = Source(cells.source.name, lambda chosen: cells.source.locate([int(rows[row]) for row in chosen]))
    return Cells(cells.frame[kept].reset_index(drop=True), source, ())


def _ratings(cells: Cells, taxonomy: Taxonomy) -> Cells:
    """One row per anchor and rater who was asked."""
    aliases = [str(name) for name in cells.frame.columns if is_alias(str(name))]
    keys = {"anchor_id": "anchor", "fovname": "fov", "evalset": "condition"}
    long = cells.frame.reset_index().melt(["index", *keys], aliases, "rater", "label").rename(columns=keys)
    long = long[long["label"] != NOT_ASKED].sort_values(["index"], kind="stable", ignore_index=True)
    names = {label: without_prefix(label, taxonomy.prefixes) for label in long["label"].unique()}
    rows, source = long.pop("index").to_numpy(), cells.source
    known = {*taxonomy.classes, UNDETECTED}
    outside = ~long["label"].map(names).isin(known).to_numpy()
    located = Source(source.name, lambda chosen: source.locate([int(rows[row]) for row in chosen]))
    words = f"is not in taxonomy {taxonomy.name!r}, nor {UNDETECTED!r} or {NOT_ASKED!r}"
    raise_findings(in_rows(located, outside, "", lambda row: f"{long['label'].iloc[row]!r} {words}"))
    return Cells(long.assign(label=long["label"].map(names)).astype("str"), located, ())


def _join(tables: list[Cells], name: str) -> Cells:
    """Tables one under another."""
    frame = pd.concat([cells.frame for cells in tables], ignore_index=True)
    return Cells(frame, joined_source(name, [(cells.source, len(cells.frame)) for cells in tables]), ())


def _anchors(tables: list[Cells], ratings: pd.DataFrame, name: str) -> pd.DataFrame:
    """The anchors of all tables, each once, with the numbers of ratings that are marks and of raters who made them."""
    columns = {"anchor_id": "anchor", "fovname": "fov", **dict(zip(_RELATIVE, CORNERS, strict=True))}
    joined = _join(
        [Cells(cells.frame[list(columns)].rename(columns=columns), cells.source, ()) for cells in tables], name
    )
    frame, findings = joined.frame, []
    for corner in CORNERS:
        frame[corner], wrong = as_floats(frame[corner], joined.source)
        findings += wrong
    raise_findings(findings)
    once = frame.drop_duplicates().reset_index(drop=True)
    if once["anchor"].duplicated().any():
        raise StudyError(
            f"{name}: anchors with different boxes or FOVs: {quoted(once['anchor'][once['anchor'].duplicated()])}"
        )
    marks = ratings[ratings["label"] != UNDETECTED].drop_duplicates(["anchor", "rater", "condition"])
    by_anchor = marks.groupby("anchor")
    counts = {"n_annotations": by_anchor.size(), "n_raters": by_anchor["rater"].nunique()}
    return once.assign(**{key: once["anchor"].map(value).fillna(0).astype(np.int64) for key, value in counts.items()})
