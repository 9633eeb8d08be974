"""Truth to judge against: boxes from outside, inferred labels of a cohort, or the true labels of a crowd table.

`label_of_anchors` tells what each anchor is according to it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.checks import CORNERS
from crowdtruth.metrics import match_boxes
from crowdtruth.ratings import of_cohorts
from crowdtruth.taxonomy import AMBIGUOUS, RAW, Grouping, group_labels, without_prefix

_JUDGED_BY = ["fov", "cohort", "condition"]


@dataclass(frozen=True)
class Reference:
    """Truth to judge against; made by `box_reference`, `cohort_reference` or `task_reference`."""

    kind: Literal["boxes", "anchors", "tasks"]
    name: str  # as `--reference` names it
    table: pd.DataFrame  # boxes: fov, box, label · anchors: rows of truth · tasks: anchor, label
    fovs: frozenset[str] = frozenset()  # of boxes: where it tells all there is
    cohort: str | None = None  # of anchors: whose labels; None is each rater's own cohort
    condition: str | None = None  # of anchors: under which condition; None is each mark's own
    contributors: pd.DataFrame | None = None  # of anchors: cohort, condition, rater


@dataclass(frozen=True)
class ComparisonRules:
    """How labels and boxes are compared."""

    grouping: Grouping | None = None  # None: labels as they come
    ambiguous: frozenset[str] = frozenset({AMBIGUOUS})  # labels, raw or grouped, that count neither way
    iou_threshold: float = 0.5
    inclusive: bool = False

    @property
    def level(self) -> str:
        """Name of the level the classes are compared at."""
        return RAW if self.grouping is None else self.grouping.level


@dataclass(frozen=True)
class AnchorLabels:
    """What anchors are according to a reference. Anchors it says nothing about have no row."""

    labels: pd.DataFrame  # anchor, fov, cohort, condition, true (empty: no object), reference, is_own: judged by itself
    unfound: pd.DataFrame  # fov, cohort, condition, true, reference: objects that have no anchor
    has_detection: bool  # False for crowd tables, where there is nothing to find


def box_reference(table: pd.DataFrame, name: str, *, fovs: Collection[str] | None = None) -> Reference:
    """Outside truth: boxes with labels.

    Parameters
    ----------
    table : fov, xmin, ymin, xmax, ymax, label
    name : what the results call it
    fovs : the FOVs it covers, those without any object included; default: those it has an object in

    Raises
    ------
    ValueError
        If it covers no FOV, or has an object in one it is said not to cover.

    Examples
    --------
    >>> truth = pd.DataFrame({"fov": ["f"], "xmin": [0], "ymin": [0], "xmax": [9], "ymax": [9], "label": ["a"]})
    >>> sorted(box_reference(truth, "truth.csv", fovs=["f", "empty"]).fovs)
    ['empty', 'f']
    """
    _need_columns(name, table, ["fov", *CORNERS, "label"])
    used = frozenset(table["fov"])
    covered = used if fovs is None else frozenset(fovs)
    if outside := sorted(used - covered):
        raise ValueError(f"{name} has objects in FOVs it is said not to cover: {outside[:20]} ({len(outside)} FOVs)")
    if not covered:
        raise ValueError(f"{name} covers no FOV: there is nothing to judge against")
    return Reference("boxes", name, table[["fov", *CORNERS, "label"]].reset_index(drop=True), covered)


def cohort_reference(
    truth: pd.DataFrame,
    ratings: pd.DataFrame,
    *,
    cohort: str | None = None,
    condition: str | None = None,
    cohorts: Mapping[str, Sequence[str]] | None = None,
) -> Reference:
    """The inferred labels of a cohort as the truth for others, or of every cohort for its own raters.

    Parameters
    ----------
    truth : one row per anchor × cohort × condition
        anchor, fov, cohort, condition, label, is_object.
    ratings : anchor, rater, cohort, condition; tells who contributed
    cohort : whose labels; None: those of each rater's own cohort
    condition : under which condition; None: that of the marks judged
    cohorts : cohort in `truth` -> cohorts in `ratings` it unites; default: each is itself

    Raises
    ------
    ValueError
        If there are no labels of this cohort and condition, saying which there are.

    Examples
    --------
    >>> truth = pd.DataFrame({"anchor": ["a"], "fov": ["f"], "cohort": ["P"], "condition": ["U"], "label": ["x"],
    ...                       "is_object": [True]})
    >>> ratings = pd.DataFrame({"anchor": ["a"], "rater": ["r"], "cohort": ["P"], "condition": ["U"], "label": ["x"]})
    >>> cohort_reference(truth, ratings, cohort="P", condition="U").name
    'cohort:P@U'
    """
    _need_columns("truth", truth, ["anchor", "fov", "cohort", "condition", "label", "is_object"])
    table = truth[["anchor", "fov", "cohort", "condition", "label", "is_object"]].astype({"is_object": bool})
    for column, value in (("cohort", cohort), ("condition", condition)):
        if value is not None:
            table = table[table[column] == value]
    if table.empty and len(truth):
        known = sorted({f"{row.cohort}@{row.condition}" for row in truth[["cohort", "condition"]].itertuples()})
        raise ValueError(f"no inferred labels of {_cohort_name(cohort, condition)}; there are {', '.join(known)}")
    contributors = of_cohorts(ratings[["cohort", "condition", "rater"]].drop_duplicates().astype("str"), cohorts)
    return Reference(
        "anchors", _cohort_name(cohort, condition), table.reset_index(drop=True), frozenset(), cohort, condition,
        contributors,
    )  # fmt: skip


def task_reference(table: pd.DataFrame, name: str) -> Reference:
    """The true labels of a crowd table's tasks: one row per task, columns anchor and label.

    Raises
    ------
    ValueError
        If a task stands there twice.

    Examples
    --------
    >>> task_reference(pd.DataFrame({"anchor": ["t1"], "label": ["yes"]}), "truth.csv").kind
    'tasks'
    """
    _need_columns(name, table, ["anchor", "label"])
    if table["anchor"].duplicated().any():
        raise ValueError(
            f"{name} must name each task once; {table['anchor'][table['anchor'].duplicated()].iloc[0]!r} is there twice"
        )
    return Reference("tasks", name, table[["anchor", "label"]].reset_index(drop=True))


def label_of_anchors(
    reference: Reference,
    truth: pd.DataFrame,
    *,
    asked: pd.DataFrame | None = None,
    grouping: Grouping | None = None,
    ambiguous: Collection[str] = (AMBIGUOUS,),
    iou_threshold: float = 0.5,
    inclusive: bool = False,
) -> AnchorLabels:
    """What each anchor is according to a reference, and the objects of the reference that have no anchor.

    Boxes are matched one to one, for each cohort and condition: anchors that are objects first, as if there were no
    others, then the remaining anchors with the remaining boxes. What is left may match an ambiguous box and is then
    not judged. Labels of a cohort and true labels of tasks are looked up.

    Parameters
    ----------
    reference : see `box_reference`, `cohort_reference`, `task_reference`
    truth : one row per anchor × cohort × condition
        anchor, fov, cohort, condition; for boxes also xmin, ymin, xmax, ymax, is_object.
    asked : cohort, condition, fov
        Where a cohort looked, see `asked_fovs`; objects of the reference elsewhere are not missed. Default: the FOVs
        in `truth`.
    grouping : names of this level; inferred labels are taken to be of it already
    ambiguous : labels, raw or grouped, of reference objects that count neither way
    iou_threshold, inclusive : what a match of boxes is, see `crowdtruth.metrics.match_boxes`

    Returns
    -------
    AnchorLabels
        Without a row are anchors in FOVs the reference does not cover, anchors of ambiguous objects, and anchors for
        which the reference has no label.

    Raises
    ------
    ValueError
        If a column is missing, or a label of an outside reference is not in the grouping.

    Examples
    --------
    >>> box = {"xmin": [0, 30], "ymin": [0, 0], "xmax": [10, 40], "ymax": [10, 10]}
    >>> here = {"fov": "f", "cohort": "P", "condition": "all"}
    >>> truth = pd.DataFrame({**box, "anchor": ["a", "b"], "is_object": [True, True], **here})
    >>> outside = pd.DataFrame({**box, "fov": "f", "label": ["x", "y"]}).assign(xmin=[0, 90], xmax=[10, 99])
    >>> found = label_of_anchors(box_reference(outside, "truth.csv"), truth)
    >>> found.labels["true"].tolist(), found.unfound["true"].tolist()
    (['x', ''], ['y'])
    """
    rules = ComparisonRules(grouping, frozenset(ambiguous), iou_threshold, inclusive)
    boxes = [*CORNERS, "is_object"] if reference.kind == "boxes" else []
    _need_columns("truth", truth, ["anchor", *_JUDGED_BY, *boxes])
    if reference.kind == "tasks":
        return _labels_of_tasks(reference, truth, rules)
    if reference.kind == "anchors":
        return _labels_of_cohort(reference, truth, rules)
    asked = truth[_JUDGED_BY] if asked is None else asked[_JUDGED_BY]
    asked = asked[asked["fov"].isin(reference.fovs)].drop_duplicates().reset_index(drop=True)
    return _labels_of_boxes(reference, truth, asked.assign(frame=np.arange(len(asked))), rules)


def _labels_of_boxes(
    reference: Reference, truth: pd.DataFrame, asked: pd.DataFrame, rules: ComparisonRules
) -> AnchorLabels:
    """Anchors matched with boxes in the FOVs of `asked` (fov, cohort, condition, frame): objects, others, ambiguous."""
    anchors = truth[["anchor", *_JUDGED_BY, *CORNERS, "is_object"]].merge(asked, on=_JUDGED_BY)
    clear, unclear = boxes_of_frames(reference, asked, rules)
    true = pd.Series("", index=anchors.index, dtype="object")
    is_object = anchors["is_object"].astype(bool)
    for candidates in (anchors[is_object], anchors[~is_object]):
        row, box = match_in_frames(candidates, clear, rules)
        true[candidates.index[row]] = clear["true"].to_numpy(object)[box]
        clear = clear.drop(index=clear.index[box])
    unmatched = anchors[(true == "").to_numpy()]
    is_judged = np.ones(len(anchors), bool)
    for candidates in (unmatched[is_object[unmatched.index]], unmatched[~is_object[unmatched.index]]):
        row, box = match_in_frames(candidates, unclear, rules)
        is_judged[candidates.index[row]] = False
        unclear = unclear.drop(index=unclear.index[box])
    labels = anchors.assign(true=true)[is_judged]
    return _anchor_labels(labels.assign(reference=reference.name), clear.assign(reference=reference.name), True)


def _labels_of_cohort(reference: Reference, truth: pd.DataFrame, rules: ComparisonRules) -> AnchorLabels:
    """Labels that the cohort of the reference (or each its own) inferred for the same anchors."""
    by = truth[["anchor", *_JUDGED_BY]].copy()
    by["judge"] = by["cohort"] if reference.cohort is None else reference.cohort
    by["judged_in"] = by["condition"] if reference.condition is None else reference.condition
    judges = reference.table.rename(columns={"cohort": "judge", "condition": "judged_in"}).drop(columns="fov")
    labels = by.astype("str").merge(judges.astype({"anchor": "str"}), on=["anchor", "judge", "judged_in"])
    is_object = labels["is_object"].astype(bool)
    is_clear = ~(is_object & is_ambiguous(labels["label"], rules))
    labels["true"] = labels["label"].astype("object").where(is_object, "")
    labels["reference"] = "cohort:" + labels["judge"] + "@" + labels["judged_in"]
    labels["is_own"] = (labels["judge"] == labels["cohort"]) & (labels["judged_in"] == labels["condition"])
    has_detection = bool((reference.table["fov"] != "").any())
    return _anchor_labels(labels[is_clear], labels[:0], has_detection)


def _labels_of_tasks(reference: Reference, truth: pd.DataFrame, rules: ComparisonRules) -> AnchorLabels:
    """The true labels of tasks, where they are known."""
    names = reference_at_level(reference.table, rules.grouping).set_index("anchor")["label"]
    true = truth["anchor"].astype("str").map(names)
    labels = truth[["anchor", *_JUDGED_BY]].assign(true=true, reference=reference.name)[true.notna()]
    return _anchor_labels(labels, labels[:0], False)


def _anchor_labels(labels: pd.DataFrame, unfound: pd.DataFrame, has_detection: bool) -> AnchorLabels:
    """The columns of both tables, as text."""
    columns = [*_JUDGED_BY, "true", "reference"]
    is_own = labels["is_own"].to_numpy(bool) if "is_own" in labels else np.zeros(len(labels), bool)
    return AnchorLabels(
        labels[["anchor", *columns]].astype("str").reset_index(drop=True).assign(is_own=is_own),
        unfound[columns].astype("str").reset_index(drop=True),
        has_detection,
    )


def boxes_of_frames(
    reference: Reference, asked: pd.DataFrame, rules: ComparisonRules
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The boxes to be found in each row of `asked` (column fov, and others that are kept): clear and ambiguous ones.

    Their label is the column `true`, at the level of the rules.
    """
    unclear = is_ambiguous(reference.table["label"], rules)
    boxes = reference_at_level(reference.table, rules.grouping).rename(columns={"label": "true"})
    return asked.merge(boxes[~unclear], on="fov"), asked.merge(boxes[unclear], on="fov")


def match_in_frames(
    found: pd.DataFrame, truth: pd.DataFrame, rules: ComparisonRules
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of `found` and of `truth` that match within a frame (columns frame and corners), (n_matches,) each."""
    matches = match_boxes(
        found[CORNERS].to_numpy(float),
        truth[CORNERS].to_numpy(float),
        iou_threshold=rules.iou_threshold,
        inclusive=rules.inclusive,
        frame=found["frame"].to_numpy(np.int64),
        reference_frame=truth["frame"].to_numpy(np.int64),
    )
    return matches.row, matches.reference_row


def asked_fovs(
    truth: pd.DataFrame,
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    cohorts: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """FOVs in which a cohort was asked under a condition it has labels of: cohort, condition, fov.

    Parameters
    ----------
    truth : cohort, condition
    assignments : fov, rater, condition
    raters : rater, cohort
    cohorts : cohort in `truth` -> cohorts in `raters` it unites; default: each is itself

    Examples
    --------
    >>> truth = pd.DataFrame({"cohort": ["P"], "condition": ["U"]})
    >>> assignments = pd.DataFrame({"fov": ["f", "g"], "rater": ["r", "s"], "condition": ["U", "U"]})
    >>> asked_fovs(truth, assignments, pd.DataFrame({"rater": ["r", "s"], "cohort": ["P", "NP"]}))["fov"].tolist()
    ['f']
    """
    asked = asked_raters(truth, assignments, raters, cohorts)
    return asked[["cohort", "condition", "fov"]].drop_duplicates()


def asked_raters(
    truth: pd.DataFrame,
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    cohorts: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """The same with the raters who were asked: cohort, condition, fov, rater."""
    members = of_cohorts(raters[["rater", "cohort"]], cohorts)
    asked = assignments[["fov", "rater", "condition"]].merge(members, on="rater")
    inferred = truth[["cohort", "condition"]].drop_duplicates()
    return asked.merge(inferred, on=["cohort", "condition"])[["cohort", "condition", "fov", "rater"]]


def at_level(table: pd.DataFrame, grouping: Grouping | None) -> pd.DataFrame:
    """The table with its column label at a level."""
    return table if grouping is None else table.assign(label=group_labels(table["label"], grouping))


def reference_at_level(table: pd.DataFrame, grouping: Grouping | None) -> pd.DataFrame:
    """The same of a reference, which may name classes of the level already: those stay."""
    if grouping is None:
        return table
    label = table["label"]
    is_grouped = label.isin(set(grouping.classes) - set(grouping.class_of))
    grouped = group_labels(label[~is_grouped], grouping)
    return table.assign(label=pd.concat([grouped, label[is_grouped]]).reindex(table.index))


def is_ambiguous(label: pd.Series, rules: ComparisonRules) -> NDArray[np.bool_]:
    """Whether a label, or its class at the level, counts neither way: (n,)."""
    names = label.astype("str")
    found = {}
    for name in names.dropna().unique():
        plain = name if rules.grouping is None else without_prefix(name, rules.grouping.prefixes)
        group = plain if rules.grouping is None else rules.grouping.class_of.get(plain, plain)
        found[name] = not rules.ambiguous.isdisjoint({name, plain, group})
    return names.map(found).fillna(False).to_numpy(bool)


def _cohort_name(cohort: str | None, condition: str | None) -> str:
    """As `--reference` names it."""
    return "cohort:" + (cohort or "own") + ("" if condition is None else f"@{condition}")


def _need_columns(name: str, table: pd.DataFrame, columns: list[str]) -> None:
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"{name} needs the columns {columns}; it lacks {missing}")
