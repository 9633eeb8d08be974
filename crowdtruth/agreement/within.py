"""Agreement of raters with themselves between two conditions, and how many suggestions they accepted. (Figure 4d, e)"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.agreement.counted import Scope, all_classes
from crowdtruth.agreement.formulas import Weights
from crowdtruth.agreement.label_matrix import LabelMatrix, cohort_of_raters
from crowdtruth.agreement.shared import own_groups
from crowdtruth.agreement.tables import SCOPES, check_ratings, joined_rows
from crowdtruth.arguments import check_table
from crowdtruth.metrics import ratio
from crowdtruth.resampling import Unit, bootstrap, group_codes
from crowdtruth.taxonomy import UNDETECTED, Grouping

CLICKED_BOUNDS = ["proportion_clicked_low", "proportion_clicked_high"]
COLUMNS = (
    "grouping", "scope", "rater", "cohort", "first_condition", "second_condition", "n_anchors", "kappa", "low", "high",
    "percent_agreement", "percent_agreement_low", "percent_agreement_high", "n_marks_first", "n_marks_second",
    "n_clicks_second", "proportion_clicked", "proportion_clicked_low", "proportion_clicked_high", "resampled",
    "undefined",
)  # fmt: skip


def self_agreement(
    ratings: pd.DataFrame,
    fovs: pd.DataFrame | None = None,
    *,
    annotations: pd.DataFrame | None = None,
    between: Sequence[tuple[str, str]] | None = None,
    classes: Sequence[str] | None = None,
    groupings: Sequence[Grouping | None] = (None,),
    weights: Weights = None,
    scopes: Sequence[Scope] = SCOPES,
    min_overlap: int = 1,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Cohen's kappa of each rater with themselves, between two conditions. (Figure 4d)

    Parameters
    ----------
    ratings : anchor, fov, rater, cohort, condition, label
    annotations : fov, rater, condition, kind; the marks behind the ratings, one row per mark
        Without them (located studies) the anchors that a rater marked count as marks, and clicks are not known.
    between : first and second condition, whose ratings of the same anchors are compared
        Default: every two conditions, that with the smaller share of clicks first (the one without suggestions), by
        name where shares are equal.
    fovs, classes, groupings, weights, scopes, min_overlap, resample, options : as for `pairwise_table`

    Returns
    -------
    one row per pair of conditions × grouping × scope × rater with ratings under both
        The columns of `COLUMNS`. `n_anchors` were rated under both; `n_marks_first`, `n_marks_second` are the rater's
        marks under each, `n_clicks_second` the accepted suggestions among the latter, `proportion_clicked` their share,
        with an interval over the FOVs of these marks.

    Raises
    ------
    ValueError
        If a column is missing, or nobody rated anything under one of the conditions.

    Examples
    --------
    >>> rows = [("a", "u", "x"), ("a", "e", "x"), ("b", "u", "y"), ("b", "e", "y")]
    >>> table = pd.DataFrame(rows, columns=["anchor", "condition", "label"]).assign(fov="f", cohort="P", rater="r1")
    >>> self_agreement(table, between=[("u", "e")], scopes=["classification"])[["rater", "n_anchors", "kappa"]]
      rater  n_anchors  kappa
    0    r1          2    1.0
    """
    check_ratings(ratings, scopes)
    marks = count_marks(ratings, annotations)
    if annotations is not None:
        marks = marks.join(_clicked_bounds(annotations, fovs, resample, options))
    names = all_classes(ratings["label"], classes)
    chosen = _baseline_first(marks, ratings) if between is None else between
    _check_conditions(chosen, ratings)
    found = []
    for conditions in chosen:
        rows = ratings[ratings["condition"].isin(conditions)]
        matrix = LabelMatrix.of(_halves(rows, conditions[1]), names, fovs, resample)
        who, pairs = _both_halves(matrix, rows)
        who = who.assign(first_condition=conditions[0], second_condition=conditions[1])
        who = _with_marks(who, marks, conditions)
        for values in matrix.kappas(
            pairs, groupings=groupings, scopes=scopes, weights=weights, min_overlap=min_overlap, options=options
        ):
            found.append(pd.concat([who, values], axis=1))
    return joined_rows(found, COLUMNS)


def count_marks(ratings: pd.DataFrame, annotations: pd.DataFrame | None = None) -> pd.DataFrame:
    """n_marks and n_clicks by (rater, condition), as index; n_clicks empty where marks are not known.

    Examples
    --------
    >>> marks = pd.DataFrame({"rater": ["r.1", "r.1", "r.10"], "kind": ["click", "box", "click"]})
    >>> marks = marks.assign(fov="f", condition="e")
    >>> count_marks(pd.DataFrame(), marks)
                     n_marks  n_clicks
    rater condition
    r.1   e                2       1.0
    r.10  e                1       1.0
    """
    if annotations is None:
        rows = ratings[~ratings["label"].isin([UNDETECTED, ""]) & ratings["label"].notna()]
        rows = rows.drop_duplicates(["anchor", "rater", "condition"]).assign(is_click=np.nan)
    else:
        check_table("annotations", annotations, ["fov", "rater", "condition", "kind"])
        rows = annotations.assign(is_click=(annotations["kind"] == "click").astype(float))
    counted = rows.groupby(["rater", "condition"], observed=True)["is_click"]
    return pd.DataFrame({"n_marks": counted.size(), "n_clicks": counted.sum(min_count=1)})


def _clicked_bounds(
    annotations: pd.DataFrame, fovs: pd.DataFrame | None, resample: Unit, options: dict[str, Any]
) -> pd.DataFrame:
    """Interval of the share of clicks by (rater, condition), as index, over the FOVs with marks of the rater."""
    marks = annotations.assign(group=group_codes(annotations["fov"], fovs, resample)[0])
    of_rater = marks.groupby(["rater", "condition"], observed=True)
    marks = marks.assign(row=of_rater.ngroup()).sort_values(["row", "group"])
    names, row, is_click = of_rater.size().index, marks["row"].to_numpy(), (marks["kind"] == "click").to_numpy()
    group, n_groups = own_groups(row, marks["group"].to_numpy(), len(names))
    bounds = np.full((2, len(names)), np.nan)
    for size in np.unique(n_groups):
        alike = np.flatnonzero(n_groups == size)
        own = n_groups[row] == size
        cell = group[own] * len(alike) + np.searchsorted(alike, row[own])
        counts = [
            np.bincount(cell, of_mark, minlength=size * len(alike)).reshape(size, -1)
            for of_mark in (is_click[own], np.ones(own.sum()))
        ]
        interval = bootstrap(tuple(counts), ratio, **options)
        bounds[:, alike] = interval.low, interval.high
    return pd.DataFrame(bounds.T, index=names, columns=CLICKED_BOUNDS)


def _baseline_first(marks: pd.DataFrame, ratings: pd.DataFrame) -> list[tuple[str, str]]:
    """Every two conditions, that with the smaller share of clicks first."""
    of_condition = marks[["n_marks", "n_clicks"]].groupby("condition").sum()
    share = (of_condition["n_clicks"] / of_condition["n_marks"]).fillna(0).to_dict()
    known = sorted(ratings["condition"].unique(), key=lambda name: (share.get(name, 0), name))
    return list(combinations(known, 2))


def _check_conditions(between: Sequence[tuple[str, str]], ratings: pd.DataFrame) -> None:
    """Raise unless these are pairs of conditions that somebody rated under."""
    there_are = sorted(ratings["condition"].unique())
    for conditions in between:
        if isinstance(conditions, str) or len(conditions) != 2:
            raise ValueError(f"self-agreement is between two conditions, first and second; got {conditions!r}")
        for condition in conditions:
            if condition not in there_are:
                raise ValueError(f"no ratings under condition {condition!r}; there are {there_are}")


def _halves(ratings: pd.DataFrame, second: str) -> pd.DataFrame:
    """The ratings with each rater as two: ``0`` before the name under the first condition, ``1`` under the second."""
    return ratings.assign(rater=np.where(ratings["condition"] == second, "1", "0") + ratings["rater"].astype(object))


def _both_halves(matrix: LabelMatrix, ratings: pd.DataFrame) -> tuple[pd.DataFrame, Any]:
    """rater and cohort of those with ratings under both conditions, and their two columns (n, 2)."""
    column_of = {name: column for column, name in enumerate(matrix.raters)}
    cohort = cohort_of_raters(ratings)
    both = [name for name in cohort.index if f"0{name}" in column_of and f"1{name}" in column_of]
    pairs = np.array([(column_of[f"0{name}"], column_of[f"1{name}"]) for name in both], dtype=np.intp).reshape(-1, 2)
    return pd.DataFrame({"rater": both, "cohort": cohort.loc[both].to_numpy()}).astype("str"), pairs


def _with_marks(who: pd.DataFrame, marks: pd.DataFrame, conditions: tuple[str, str]) -> pd.DataFrame:
    """`who` with the raters' marks under both conditions and clicks under the second."""
    first, second = (
        marks.reindex(pd.MultiIndex.from_product([who["rater"], [condition]])).reset_index(drop=True)
        for condition in conditions
    )
    n_first, n_second = (side["n_marks"].fillna(0).astype(int) for side in (first, second))
    is_known = bool(marks["n_clicks"].notna().any())
    n_clicks = second["n_clicks"].fillna(0) if is_known else second["n_clicks"]
    share = n_clicks / n_second.where(n_second > 0)
    who = who.assign(n_marks_first=n_first, n_marks_second=n_second, n_clicks_second=n_clicks, proportion_clicked=share)
    return who.assign(**{name: second.get(name, np.nan) for name in CLICKED_BOUNDS})
