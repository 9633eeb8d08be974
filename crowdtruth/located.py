"""Studies whose objects are located already: ratings of anchors, or of the tasks of a crowd table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.cells import Cells
from crowdtruth.checks import (
    ALL,
    CORNERS,
    RATERS,
    box_columns,
    complete_fovs,
    complete_texts,
    control_findings,
    each_once,
    ignored_columns,
    optional_text,
    outside_taxonomy,
    with_control,
)
from crowdtruth.files import as_floats, as_text, missing_columns
from crowdtruth.problems import Finding, in_rows, in_table
from crowdtruth.taxonomy import UNDETECTED, Taxonomy

ANCHORS = ("anchor", "fov", *CORNERS, "n_annotations", "n_raters", "mean_iou")
RATINGS = ("anchor", "fov", "rater", "cohort", "condition", "label")


@dataclass(frozen=True)
class Located:
    """The tables of a located study, what is wrong in them, and what the user should know."""

    ratings: pd.DataFrame
    anchors: pd.DataFrame
    assignments: pd.DataFrame
    raters: pd.DataFrame
    fovs: pd.DataFrame
    reference: pd.DataFrame | None
    findings: list[Finding]
    notes: list[str]
    is_crowd: bool = False


def complete_located(
    ratings: Cells, anchors: Cells | None, cells: Mapping[str, Cells], taxonomy: Taxonomy | None
) -> Located:
    """All tables of a located study; a crowd table if there are no `anchors`, or anchors without any box."""
    findings = [*ratings.findings, *missing_columns(ratings.frame, ratings.source, ("anchor", "rater", "label"))]
    if len(findings) > len(ratings.findings):
        empty = pd.DataFrame()
        return Located(empty, empty, empty, empty, empty, None, findings, [])
    is_crowd = anchors is None or _are_tasks(anchors.frame)
    columns, wrong, notes = _rating_columns(ratings, taxonomy, is_crowd=is_crowd)
    findings += wrong
    raters, wrong = _raters(columns, ratings, cells.get("raters"))
    findings += wrong
    if anchors is None:
        table, more = _task_anchors(columns)
        notes += more
        fovs = pd.DataFrame({"fov": []}, dtype="str")
        assignments = pd.DataFrame({"fov": [], "rater": [], "condition": []}, dtype="str")
    else:
        table, wrong, more = _given_anchors(anchors)
        findings, notes = findings + wrong, notes + more
        findings += _unknown_anchors(columns["anchor"], table["anchor"], ratings)
        columns = columns | {"fov": _fov_of_anchors(columns["anchor"], table)}
        assignments = pd.DataFrame({name: columns[name].astype("str") for name in ("fov", "rater", "condition")})
        assignments = assignments.drop_duplicates().sort_values(["fov", "rater", "condition"], ignore_index=True)
        fovs = pd.DataFrame({"fov": sorted(set(table["fov"]))}, dtype="str")
    if "fovs" in cells:
        checked = complete_fovs(cells["fovs"])
        fovs, findings = checked.frame.reset_index(drop=True), findings + checked.findings
    columns = columns | {"cohort": _cohort_of(columns["rater"], raters)}
    frame = pd.DataFrame({name: columns[name] for name in RATINGS})
    if not is_crowd:
        frame = frame.astype("str")
    reference, wrong = _task_reference(cells.get("reference"))
    return Located(frame, table, assignments, raters, fovs, reference, findings + wrong, notes, is_crowd)


def _are_tasks(anchors: pd.DataFrame) -> bool:
    """Whether a table of anchors holds the tasks of a crowd table: some, and none with a corner of a box."""
    return len(anchors) > 0 and not any(anchors[name].notna().any() for name in CORNERS if name in anchors)


def _rating_columns(
    cells: Cells, taxonomy: Taxonomy | None, *, is_crowd: bool
) -> tuple[dict[str, pd.Series], list[Finding], list[str]]:
    """The columns of the ratings as categories, without the rows whose label is empty."""
    frame, source = cells.frame, cells.source
    columns = {name: as_categories(frame[name]) for name in ("anchor", "rater", "label")}
    columns["condition"] = as_categories(frame["condition"]) if "condition" in frame else _constant(ALL, len(frame))
    columns["fov"] = as_categories(frame["fov"]) if "fov" in frame else _constant("", len(frame))
    findings = []
    for name in ("anchor", "rater", "condition"):
        findings += in_rows(source, columns[name].isna().to_numpy(), name, "expected a text, the cell is empty")
    for column in columns.values():
        wrong = np.append(with_control(pd.Series(column.cat.categories)), False)
        findings += control_findings(source, wrong[column.cat.codes], column)
    labels = columns["label"]
    if is_crowd:
        words = f"{UNDETECTED!r} is reserved; a missing answer is an empty cell"
        findings += in_rows(source, (labels == UNDETECTED).to_numpy(), "label", words)
    if taxonomy is not None:
        outside = ~labels.isin([*taxonomy.classes, UNDETECTED]).to_numpy() & labels.notna().to_numpy()
        findings += outside_taxonomy(source, outside, lambda row: labels.iloc[row], taxonomy)
    notes = ignored_columns(cells, {*RATINGS})
    missing = labels.isna().to_numpy()
    if is_crowd and missing.all():
        findings += in_table(source, "has no answers; a crowd table needs at least one label")
    if missing.any():
        notes.append(f"{source.name}: {missing.sum():,} empty cells are missing answers, not {UNDETECTED!r}")
        notes += _unanswered(columns["anchor"], missing, source.name) if is_crowd else []
        columns = {name: column[~missing].reset_index(drop=True) for name, column in columns.items()}
    return columns, findings, notes


def _unanswered(task: pd.Series, missing: NDArray[np.bool_], name: str) -> list[str]:
    """A note on the tasks (n,) all of whose answers are missing, if there are any."""
    codes = task.cat.codes.to_numpy()
    n_tasks = len(np.setdiff1d(codes[missing], codes[~missing]))
    return [f"{name}: {n_tasks:,} tasks have no answer at all and are left out"] if n_tasks else []


def as_categories(column: pd.Series) -> pd.Series:
    """A text column as categories, in order of first appearance; 10⁸ rows take one to four bytes each."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, found = column.cat.codes.to_numpy(), column.cat.categories
    else:
        codes, found = pd.factorize(column)
    names = as_text(pd.Series(found))
    if (names == "").any():
        target, distinct = pd.factorize(names.where(names != ""))
        codes, names = np.append(target, -1)[codes], pd.Series(distinct)
    return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype="str")), name=column.name)


def _constant(value: str, n_rows: int) -> pd.Series:
    """A column (n_rows,) that says the same everywhere, one byte per row."""
    return pd.Series(
        pd.Categorical.from_codes(np.zeros(n_rows, dtype=np.int8), categories=pd.Index([value], dtype="str"))
    )


def _raters(
    columns: Mapping[str, pd.Series], ratings: Cells, given: Cells | None
) -> tuple[pd.DataFrame, list[Finding]]:
    """Raters and their cohorts: the table given, else the ratings' own column, else all in one cohort."""
    rater = columns["rater"]
    if given is not None:
        checked = complete_texts(given, RATERS, {})
        findings = checked.findings + each_once(checked.frame["rater"], given.source, "rater")
        unknown = ~rater.isin(checked.frame["rater"]).to_numpy()
        reason = f"unknown rater {{!r}}: it is not in {given.source.name}".format
        findings += in_rows(ratings.source, unknown, "rater", lambda row: reason(rater.iloc[row]))
        return checked.frame.reset_index(drop=True), findings
    if "cohort" in ratings.frame:
        pairs = ratings.frame[["rater", "cohort"]].drop_duplicates().map(str)
        hidden = np.zeros(len(ratings.frame), dtype=bool)
        hidden[pairs.index[with_control(pairs["cohort"])]] = True
        wrong = pairs["rater"].duplicated()
        rows = np.zeros(len(ratings.frame), dtype=bool)
        rows[pairs.index[wrong]] = True
        findings = in_rows(ratings.source, rows, "cohort", "this rater is in another cohort in an earlier row")
        findings += control_findings(ratings.source, hidden, ratings.frame["cohort"])
        return pairs[~wrong].sort_values("rater", ignore_index=True).astype("str"), findings
    names = sorted(rater.cat.categories[np.unique(rater.cat.codes[rater.cat.codes >= 0])])
    return pd.DataFrame({"rater": names, "cohort": [ALL] * len(names)}, dtype="str"), []


def _cohort_of(rater: pd.Series, raters: pd.DataFrame) -> pd.Series:
    """The cohort of each rating's rater, as categories."""
    names, cohorts = pd.factorize(raters["cohort"])
    position = pd.Index(raters["rater"]).get_indexer(rater.cat.categories)
    codes = np.append(names, -1)[position].astype(np.int16)[rater.cat.codes]
    return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(cohorts, dtype="str")))


def _task_anchors(columns: Mapping[str, pd.Series]) -> tuple[pd.DataFrame, list[str]]:
    """The anchors of a crowd table: its tasks, without boxes; and a note where raters rated a task repeatedly."""
    tasks, raters = columns["anchor"].cat, columns["rater"].cat
    n_tasks, n_known = len(tasks.categories), max(len(raters.categories), 1)
    n_ratings = np.bincount(tasks.codes[tasks.codes >= 0], minlength=n_tasks)
    pairs = tasks.codes.to_numpy().astype(np.int64) * n_known + raters.codes.to_numpy()
    pairs.sort()
    is_first = np.append(True, pairs[1:] != pairs[:-1]) if len(pairs) else np.zeros(0, dtype=bool)
    n_raters = np.bincount(np.maximum(pairs[is_first] // n_known, 0), minlength=n_tasks)
    names = pd.Series(tasks.categories, dtype="str")
    table = pd.DataFrame({"anchor": names, "fov": pd.Series([""] * n_tasks, dtype="str")})
    table = table.assign(**dict.fromkeys(CORNERS, np.nan), n_annotations=n_ratings, n_raters=n_raters, mean_iou=np.nan)
    repeated = len(pairs) - int(is_first.sum())
    notes = [f"{repeated:,} ratings repeat a task by the same rater; each counts"] if repeated else []
    return table[n_ratings > 0].reset_index(drop=True), notes


def _given_anchors(cells: Cells) -> tuple[pd.DataFrame, list[Finding], list[str]]:
    """The anchors table as given; counts and mean IOU may be absent."""
    checked = complete_texts(cells, ("anchor",), {})
    findings = checked.findings + each_once(checked.frame["anchor"], cells.source, "anchor")
    table = checked.frame.assign(fov=optional_text(cells, "fov"))
    given = [name for name in CORNERS if name in cells.frame and cells.frame[name].notna().any()]
    boxes, wrong = _anchor_boxes(cells) if given else (dict.fromkeys(CORNERS, np.nan), [])
    table, findings = table.assign(**boxes, mean_iou=np.nan), findings + wrong
    if "mean_iou" in cells.frame:
        table["mean_iou"], wrong = as_floats(cells.frame["mean_iou"], cells.source)
        findings += wrong
    for name in ("n_annotations", "n_raters"):
        values, wrong = (
            as_floats(cells.frame[name], cells.source) if name in cells.frame else (np.zeros(len(table)), [])
        )
        table[name] = np.nan_to_num(values).astype(np.int64)
        findings += wrong
    return table[list(ANCHORS)].reset_index(drop=True), findings, ignored_columns(cells, ANCHORS)


def _anchor_boxes(cells: Cells) -> tuple[dict[str, Any], list[Finding]]:
    """The boxes of anchors: all of them, once one has a corner."""
    findings = missing_columns(cells.frame, cells.source, CORNERS)
    return (dict.fromkeys(CORNERS, np.nan), findings) if findings else box_columns(cells)


def _unknown_anchors(anchor: pd.Series, known: pd.Series, ratings: Cells) -> list[Finding]:
    """Ratings of anchors that are not in the anchors table."""
    wrong = ~anchor.isin(known).to_numpy()
    return in_rows(ratings.source, wrong, "anchor", lambda row: f"unknown anchor {anchor.iloc[row]!r}")


def _fov_of_anchors(anchor: pd.Series, table: pd.DataFrame) -> pd.Series:
    """The FOV of each rating's anchor, as categories."""
    fovs = table.drop_duplicates("anchor").set_index("anchor")["fov"]
    return as_categories(anchor.astype("str").map(fovs).fillna(""))


def _task_reference(cells: Cells | None) -> tuple[pd.DataFrame | None, list[Finding]]:
    """The true labels of a crowd table's tasks: anchor and label."""
    if cells is None:
        return None, []
    checked = complete_texts(cells, ("anchor", "label"), {})
    frame = checked.frame.reset_index(drop=True)
    return frame, checked.findings + each_once(frame["anchor"], cells.source, "anchor")
