"""Agreement of marks located at several thresholds, and the choice of the anchors that count. (Figure 5a–c)"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.agreement.counted import CountedMarks, Scope, all_classes
from crowdtruth.agreement.formulas import Level, Weights
from crowdtruth.agreement.grading import Grading
from crowdtruth.agreement.tables import SCOPES, agreement_rows, check_least, check_scopes, joined_rows
from crowdtruth.arguments import check_several, check_table
from crowdtruth.clustering import Located
from crowdtruth.resampling import Unit
from crowdtruth.taxonomy import AMBIGUOUS, Grouping

Keep = Callable[[Located], pd.DataFrame]
"""Which anchors count: those of a table (anchor, condition), under each condition."""


def agreement_sweep(
    located: Mapping[float, Located],
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    fovs: pd.DataFrame | None = None,
    *,
    cohorts: Mapping[str, Sequence[str]] | None = None,
    conditions: Sequence[str] | None = None,
    groupings: Sequence[Grouping | None] = (None,),
    classes: Sequence[str] | None = None,
    level: Level = "nominal",
    weights: Weights = None,
    scopes: Sequence[Scope] = SCOPES,
    min_detections: Sequence[int] = (1,),
    keep: Keep | None = None,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Agreement of every cohort under every condition, for each clustering threshold.

    Parameters
    ----------
    located : marks located at each threshold, from one merge history: see `crowdtruth.clustering.sweep`
    assignments : fov, rater, condition; who was asked where
    raters : rater, cohort
    fovs : fov, slide; needed where slides are resampled
    cohorts : name → the cohorts it unites; default: each cohort on its own, sorted
    conditions : default: all there are, sorted
    groupings, classes, level, weights, scopes, min_detections, resample, options : as for `agreement_table`
        Of several marks of a rater in an anchor (unconstrained clustering only) the commonest label counts.
    keep : anchors that count at a threshold, such as the inferred objects of a cohort (see `inferred_objects`);
        default: all

    Returns
    -------
    one row per threshold × cohort × condition × grouping × min_detections × scope × statistic
        The columns of `COLUMNS`, the same values as `agreement_table` has from the ratings of each threshold.

    Raises
    ------
    ValueError
        If a column is missing, a cohort or condition unknown, a mark's rater was not asked, a label is not among
        `classes` or a grouping's, a scope is unknown or a number negative.

    Examples
    --------
    >>> from crowdtruth.clustering import sweep
    >>> rows = [["0", "f", "ann", "all", 0, 0, 9, 9, "x"], ["1", "f", "bob", "all", 0, 0, 9, 6, "x"]]
    >>> columns = ["annotation", "fov", "rater", "condition", "xmin", "ymin", "xmax", "ymax", "label"]
    >>> marks = pd.DataFrame(rows, columns=columns)
    >>> raters = pd.DataFrame({"rater": ["ann", "bob"], "cohort": "P"})
    >>> table = agreement_sweep(sweep(marks, [0.25, 0.75]), marks[["fov", "rater", "condition"]], raters)
    >>> table.loc[table["statistic"] == "percent_agreement", ["threshold", "scope", "value"]]
        threshold                         scope  value
    3        0.25  detection_and_classification    1.0
    7        0.25                classification    1.0
    11       0.75  detection_and_classification    0.0
    15       0.75                classification    NaN
    """
    check_table("assignments", assignments, ["fov", "rater", "condition"])
    check_table("raters", raters, ["rater", "cohort"])
    check_scopes(scopes)
    check_least(min_detections)
    grading = Grading(level, weights)
    grading.check(scopes)
    unions = _unions(cohorts, raters["cohort"])
    given = _chosen(conditions, assignments["condition"])
    asked: dict[str, Any] = {"scopes": scopes, "min_detections": min_detections, "options": options}
    tables = []
    for threshold, found in located.items():
        names = all_classes(found.members["label"], classes)
        marks = CountedMarks.of(found, assignments, raters, fovs=fovs, classes=names, resample=resample)
        kept = None if keep is None else keep(found)
        for cohort, members in unions.items():
            for condition in given:
                counted = marks.of_cohort(members, condition, _is_kept(marks.anchors, kept, condition))
                rows = agreement_rows(counted, groupings, grading, **asked)
                tables.append(rows.assign(cohort=cohort, condition=condition, threshold=float(threshold)))
    return joined_rows(tables)


def inferred_objects(truth: pd.DataFrame, *, ambiguous: Sequence[str] = (AMBIGUOUS,)) -> pd.DataFrame:
    """The anchors whose inferred label is an object and not ambiguous: anchor, condition.

    Parameters
    ----------
    truth : anchor, condition, label, is_object; of one cohort, whose judgement it is
    ambiguous : labels that say no more than that something is there

    Raises
    ------
    ValueError
        If a column is missing, or the labels are of several cohorts.

    Examples
    --------
    >>> rows = [("a", "E", "tumor", True), ("b", "E", "AMBIGUOUS", True), ("c", "E", "undetected", False)]
    >>> truth = pd.DataFrame(rows, columns=["anchor", "condition", "label", "is_object"])
    >>> inferred_objects(truth)
      anchor condition
    0      a         E
    """
    check_table("truth", truth, ["anchor", "condition", "label", "is_object"])
    check_several("ambiguous", ambiguous)
    if "cohort" in truth and truth["cohort"].nunique() > 1:
        raise ValueError(f"whose labels? the table has those of {sorted(truth['cohort'].unique())}")
    is_clear = truth["is_object"].astype(bool) & ~truth["label"].isin(ambiguous)
    return truth.loc[is_clear, ["anchor", "condition"]].reset_index(drop=True)


def _unions(cohorts: Mapping[str, Sequence[str]] | None, there_are: pd.Series) -> Mapping[str, Sequence[str]]:
    """Cohorts asked for, each with those it unites."""
    known = sorted(there_are.unique())
    if cohorts is None:
        return {str(name): [name] for name in known}
    for name, members in cohorts.items():
        check_several(f"the cohorts of {name!r}", members)
        if unknown := sorted(set(members) - set(known)):
            raise ValueError(f"cohort {name!r} unites the unknown {unknown}; there are {known}")
    return cohorts


def _chosen(conditions: Sequence[str] | None, there_are: pd.Series) -> Sequence[str]:
    """Conditions asked for, or all there are, sorted."""
    known = sorted(there_are.unique())
    check_several("conditions", conditions)
    if unknown := [name for name in conditions or () if name not in known]:
        raise ValueError(f"nobody was asked under the conditions {unknown}; there are {known}")
    return known if conditions is None else conditions


def _is_kept(anchors: pd.Index, kept: pd.DataFrame | None, condition: str) -> NDArray[np.bool_]:
    """Which anchors (n_anchors,) count under a condition."""
    if kept is None:
        return np.ones(len(anchors), dtype=np.bool_)
    check_table("kept anchors", kept, ["anchor", "condition"])
    return anchors.isin(kept.loc[kept["condition"] == condition, "anchor"])
