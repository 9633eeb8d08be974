"""What raters and inferred labels got right and wrong against a reference, object by object.

`rater_outcomes` and `label_outcomes` turn marks into outcomes; `crowdtruth.accuracy` counts them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crowdtruth.checks import CORNERS
from crowdtruth.references import (
    ComparisonRules,
    Reference,
    asked_fovs,
    at_level,
    boxes_of_frames,
    is_ambiguous,
    match_in_frames,
    reference_at_level,
)
from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED, Grouping

TRUE_POSITIVE = "true_positive"  # marked, and an object of the reference
FALSE_POSITIVE = "false_positive"  # marked, and none
FALSE_NEGATIVE = "false_negative"  # an object of the reference, not marked
IGNORED = "ignored"  # marked, and ambiguous in the reference
KINDS = (TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE, IGNORED)

_COLUMNS = ["who", "condition", "fov", "anchor", "true", "assigned", "outcome"]
_JUDGED = ["who", "condition", "reference", "in_reference", "n_fovs"]


@dataclass(frozen=True)
class Outcomes:
    """Every mark and every missed object of raters, or of cohorts, under each condition."""

    rows: pd.DataFrame  # who, condition, fov, anchor (empty: boxes were matched), true (empty: no object), assigned
    #                     (`undetected`: missed), outcome
    judged: pd.DataFrame  # who, condition, reference, in_reference, n_fovs
    has_detection: bool  # False for crowd tables, where there is nothing to find
    grouping: str  # level of the classes; `raw` for labels as they come


def rater_outcomes(
    reference: Reference,
    *,
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    annotations: pd.DataFrame | None = None,
    ratings: pd.DataFrame | None = None,
    grouping: Grouping | None = None,
    ambiguous: Collection[str] = (AMBIGUOUS,),
    iou_threshold: float = 0.5,
    inclusive: bool = False,
) -> Outcomes:
    """What each rater got right and wrong under each condition, in the FOVs the rater was asked in.

    Parameters
    ----------
    reference : boxes are matched with the rater's marks; for inferred labels and tasks, ratings are compared
    assignments : fov, rater, condition
    raters : rater, cohort
    annotations : the marks; needed for a reference of boxes
        fov, rater, condition, xmin, ymin, xmax, ymax, label.
    ratings : anchor, fov, rater, cohort, condition, label; needed for the other references
    grouping : compare classes of this level; inferred labels are taken to be of it already
    ambiguous : labels, raw or grouped, of reference objects that count neither way
    iou_threshold, inclusive : what a match of boxes is, see `crowdtruth.metrics.match_boxes`

    Raises
    ------
    ValueError
        If the table that the reference needs is not given, or a label is outside the grouping.

    Examples
    --------
    >>> from crowdtruth.references import task_reference
    >>> said = {"anchor": ["t1", "t2"], "label": ["x", "y"]}
    >>> ratings = pd.DataFrame({**said, "fov": "", "rater": "r", "condition": "all"})
    >>> gold = task_reference(pd.DataFrame({"anchor": ["t1"], "label": ["y"]}), "truth.csv")
    >>> raters = pd.DataFrame({"rater": ["r"], "cohort": ["all"]})
    >>> rater_outcomes(gold, assignments=raters[:0], raters=raters, ratings=ratings).rows[["true", "assigned"]]
      true assigned
    0    y        x
    """
    rules = ComparisonRules(grouping, frozenset(ambiguous), iou_threshold, inclusive)
    if reference.kind == "boxes":
        marks = _needed(annotations, "annotations", reference)[["rater", "condition", "fov", *CORNERS, "label"]]
        found = at_level(marks.rename(columns={"rater": "who"}), grouping)
        asked = assignments[["rater", "condition", "fov"]].rename(columns={"rater": "who"})
        return _box_outcomes(reference, found, asked, rules)
    columns = ["anchor", "fov", "rater", "condition", "label"]
    given = at_level(_needed(ratings, "ratings", reference)[columns].rename(columns={"rater": "who"}), grouping)
    if reference.kind == "tasks":
        return _task_outcomes(reference, given, rules)
    own = raters.rename(columns={"rater": "who"})[["who", "cohort"]]
    return _anchor_outcomes(reference, given, _judges(reference, given, own), rules)


def label_outcomes(
    reference: Reference,
    *,
    truth: pd.DataFrame,
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    cohorts: Mapping[str, Sequence[str]] | None = None,
    grouping: Grouping | None = None,
    ambiguous: Collection[str] = (AMBIGUOUS,),
    iou_threshold: float = 0.5,
    inclusive: bool = False,
) -> Outcomes:
    """What the inferred labels of each cohort got right and wrong under each condition.

    The marks of a cohort are its anchors that are objects, in the FOVs where one of its raters was asked. A cohort is
    not judged against its own labels.

    Parameters
    ----------
    reference : see `rater_outcomes`
    truth : anchor, fov, cohort, condition, xmin, ymin, xmax, ymax, label, is_object; at the level of `grouping`
    assignments, raters : as of the study
    cohorts : cohort in `truth` -> cohorts in `raters` it unites; default: each is itself
    grouping, ambiguous, iou_threshold, inclusive : see `rater_outcomes`

    Raises
    ------
    ValueError
        If a label of an outside reference is not in the grouping.

    Examples
    --------
    >>> from crowdtruth.references import task_reference
    >>> truth = pd.DataFrame({"anchor": ["t1"], "fov": [""], "cohort": ["all"], "condition": ["all"], "label": ["x"],
    ...                       "is_object": [True]})
    >>> gold = task_reference(pd.DataFrame({"anchor": ["t1"], "label": ["x"]}), "truth.csv")
    >>> nobody = pd.DataFrame({"fov": [], "rater": [], "condition": []})
    >>> label_outcomes(gold, truth=truth, assignments=nobody, raters=nobody).rows[["who", "true", "assigned"]]
       who true assigned
    0  all    x        x
    """
    rules = ComparisonRules(grouping, frozenset(ambiguous), iou_threshold, inclusive)
    rows = truth.rename(columns={"cohort": "who"})
    objects = rows["is_object"].astype(bool)
    if reference.kind == "boxes":
        asked = asked_fovs(truth, assignments, raters, cohorts).rename(columns={"cohort": "who"})
        found = rows.loc[objects, ["who", "condition", "fov", *CORNERS, "label"]]
        return _box_outcomes(reference, found, asked, rules)
    given = rows[["anchor", "fov", "who", "condition"]].assign(label=rows["label"].where(objects, UNDETECTED))
    if reference.kind == "tasks":
        return _task_outcomes(reference, given, rules)
    judges = _judges(reference, given, pd.DataFrame({"who": rows["who"].unique(), "cohort": rows["who"].unique()}))
    is_itself = (judges["who"] == judges["cohort"]) & (judges["condition"] == judges["by"])
    return _anchor_outcomes(reference, given, judges[~is_itself], rules)


def _box_outcomes(reference: Reference, found: pd.DataFrame, asked: pd.DataFrame, rules: ComparisonRules) -> Outcomes:
    """Marks matched one to one with the reference's boxes, separately for who × condition × FOV.

    Marks that match nothing else may match an ambiguous object, and then count neither way.
    """
    asked = asked.drop_duplicates()
    judged = _judged(asked.assign(n_fovs=asked["fov"].isin(reference.fovs)), reference.name)
    asked = asked[asked["fov"].isin(reference.fovs)].reset_index(drop=True)
    asked["frame"] = np.arange(len(asked))
    found = found.merge(asked, on=["who", "condition", "fov"]).reset_index(drop=True)
    clear, unclear = boxes_of_frames(reference, asked, rules)
    row, clear_row = match_in_frames(found, clear, rules)
    rest = found.drop(index=found.index[row])
    ignored = rest.index[match_in_frames(rest, unclear, rules)[0]]
    true = np.full(len(found), "", object)
    true[row] = clear["true"].to_numpy(object)[clear_row]
    outcome = np.full(len(found), FALSE_POSITIVE, object)
    outcome[row], outcome[ignored] = TRUE_POSITIVE, IGNORED
    marks = found.assign(true=true, outcome=outcome).rename(columns={"label": "assigned"})
    missed = clear.drop(index=clear.index[clear_row]).assign(assigned=UNDETECTED, outcome=FALSE_NEGATIVE)
    return Outcomes(_outcome_rows([marks.assign(anchor=""), missed.assign(anchor="")]), judged, True, rules.level)


def _anchor_outcomes(
    reference: Reference, given: pd.DataFrame, judges: pd.DataFrame, rules: ComparisonRules
) -> Outcomes:
    """Labels compared anchor by anchor with those of `judges` (who, condition, cohort, by, in_reference)."""
    truth = reference.table.rename(columns={"condition": "by", "label": "true"}).drop(columns="fov")
    compared = given.rename(columns={"label": "assigned"}).astype({"who": "str", "condition": "str", "anchor": "str"})
    compared = compared.merge(judges, on=["who", "condition"]).merge(truth, on=["anchor", "cohort", "by"])
    n_fovs = compared.drop_duplicates(["who", "condition", "fov"])[["who", "condition"]].assign(n_fovs=1)
    judged = _judged(pd.concat([n_fovs, judges[["who", "condition"]].assign(n_fovs=0)]), "")
    judged = judged.drop(columns=["reference", "in_reference"]).merge(judges, on=["who", "condition"])
    judged["reference"] = "cohort:" + judged["cohort"] + "@" + judged["by"]
    is_marked = compared["assigned"].astype("str") != UNDETECTED
    is_unclear = compared["is_object"] & is_ambiguous(compared["true"], rules)
    compared["outcome"] = np.select(
        [is_unclear & is_marked, compared["is_object"] & ~is_unclear & is_marked, is_marked, compared["is_object"]],
        [IGNORED, TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE],
        "",
    )
    compared["true"] = compared["true"].where(compared["outcome"].isin([TRUE_POSITIVE, FALSE_NEGATIVE]), "")
    compared = compared[(compared["outcome"] != "") & (is_marked | ~is_unclear)]
    has_detection = bool((reference.table["fov"] != "").any())
    return Outcomes(_outcome_rows([compared]), judged[_JUDGED], has_detection, rules.level)


def _judges(reference: Reference, given: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Whose labels judge whom: who, condition, cohort and condition (`by`) of the reference, in_reference."""
    who = given[["who", "condition"]].drop_duplicates().astype("str").reset_index(drop=True)
    contributors = pd.DataFrame() if reference.contributors is None else reference.contributors
    if reference.cohort is None:
        who = who.merge(_own_cohorts(who, own, contributors), on="who")
    else:
        who = who.assign(cohort=reference.cohort)
    who = who.assign(by=who["condition"] if reference.condition is None else reference.condition)
    known = reference.table[["cohort", "condition"]].drop_duplicates().rename(columns={"condition": "by"})
    who = who.merge(known, on=["cohort", "by"])
    took_part = contributors.rename(columns={"condition": "by", "rater": "who"}).assign(in_reference=True)
    who = who.merge(took_part, on=["cohort", "by", "who"], how="left")
    return who.assign(in_reference=who["in_reference"].notna())


def _own_cohorts(who: pd.DataFrame, own: pd.DataFrame, contributors: pd.DataFrame) -> pd.DataFrame:
    """The cohort whose labels everyone contributed to (who, cohort): the own one, else the first that unites it."""
    joined = contributors[["rater", "cohort"]].drop_duplicates().rename(columns={"rater": "who"})
    cohorts = pd.DataFrame({"who": who["who"].unique()}).merge(own, on="who")
    union = joined.drop_duplicates("who").set_index("who")["cohort"]
    is_inferred = pd.MultiIndex.from_frame(cohorts).isin(pd.MultiIndex.from_frame(joined[["who", "cohort"]]))
    cohorts["cohort"] = cohorts["cohort"].where(is_inferred, cohorts["who"].map(union))
    return cohorts.dropna()


def _task_outcomes(reference: Reference, given: pd.DataFrame, rules: ComparisonRules) -> Outcomes:
    """Labels compared task by task, where the true label is known; there is nothing to detect."""
    truth = reference_at_level(reference.table, rules.grouping).set_index("anchor")["label"]
    true = given["anchor"].astype("str").map(truth)
    rows = given.assign(true=true, outcome=TRUE_POSITIVE)[true.notna()].rename(columns={"label": "assigned"})
    judged = _judged(given[["who", "condition"]].drop_duplicates().assign(n_fovs=0), reference.name)
    return Outcomes(_outcome_rows([rows]), judged, False, rules.level)


def _judged(fovs: pd.DataFrame, name: str) -> pd.DataFrame:
    """One row per who × condition in order of appearance, counting the FOVs (column n_fovs, 0 or 1)."""
    counted = fovs.groupby(["who", "condition"], sort=False, observed=True)["n_fovs"].sum().astype(int).reset_index()
    return counted.astype({"who": "str", "condition": "str"}).assign(reference=name, in_reference=False)[_JUDGED]


def _outcome_rows(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The columns of outcomes, as categories, which keeps a hundred million rows small."""
    rows = pd.concat([part[_COLUMNS] for part in parts], ignore_index=True)
    return rows.astype(dict.fromkeys(_COLUMNS, "category"))


def _needed(table: pd.DataFrame | None, what: str, reference: Reference) -> pd.DataFrame:
    if table is None:
        raise ValueError(f"a reference of {reference.kind} ({reference.name}) needs the {what}")
    return table
