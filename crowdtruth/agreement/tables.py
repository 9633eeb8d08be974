"""Agreement in a ratings table, by cohort, condition and grouping of classes, with intervals over FOVs or slides.

Two scopes: ``detection_and_classification`` takes *undetected* as a class like any other, ``classification`` takes it
as missing. Who was not asked has no row and is missing in both. Detection alone is not scored: an object that nobody
marks is no anchor, so agreement that there is nothing cannot be seen.
"""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd

from crowdtruth.agreement.counted import CountedRatings, Scope, all_classes
from crowdtruth.agreement.counts import ItemCounts
from crowdtruth.agreement.formulas import Level, Weights
from crowdtruth.agreement.grading import Grading
from crowdtruth.agreement.nominal import why_no_value
from crowdtruth.resampling import Unit, bootstrap, bootstrap_difference
from crowdtruth.taxonomy import RAW, Grouping

SCOPES: tuple[Scope, ...] = get_args(Scope)
COLUMNS = (
    "statistic", "scope", "cohort", "condition", "threshold", "grouping", "min_detections", "value", "low", "high",
    "n_anchors", "n_raters", "resampled", "undefined",
)  # fmt: skip


def agreement_table(
    ratings: pd.DataFrame,
    fovs: pd.DataFrame | None = None,
    *,
    classes: Sequence[str] | None = None,
    groupings: Sequence[Grouping | None] = (None,),
    level: Level = "nominal",
    weights: Weights = None,
    scopes: Sequence[Scope] = SCOPES,
    min_detections: Sequence[int] = (1,),
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Agreement of the raters of every cohort under every condition.

    Parameters
    ----------
    ratings : anchor, fov, rater, cohort, condition, label
        Empty labels are missing. Repeats by one rater all count.
    fovs : fov, slide; needed where slides are resampled
    classes : (n_classes,) without ``undetected``; default: those that occur anywhere in the table, sorted
        Their number matters for AC1, their order for ordinal alpha and weights. A grouping always has all its classes.
    groupings : levels of a taxonomy, None for the labels as they come; one set of rows for each
    level : of alpha, as for `krippendorff_alpha`; ``undetected`` is the last class, and not a number
    weights : of AC2 and percent agreement, as for `gwet_ac`; a matrix is of the classes in scope, ``undetected`` last
    scopes : one or both
    min_detections : anchors count that at least so many raters of the cohort marked; one set of rows for each
    resample : ``"fov"`` or ``"slide"``; where a table has no FOVs (crowd tables), tasks are resampled
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per cohort × condition × grouping × min_detections × scope × statistic
        The columns of `COLUMNS`. `threshold` is empty, since a table of ratings does not say how its anchors were
        located (see `agreement_sweep`). `n_anchors` are those with two ratings or more, `n_raters` those with a rating.
        The statistic is ``ac2`` instead of ``ac1`` with weights. `undefined` says why a value is empty: ``no pairs`` or
        ``one class``.

    Raises
    ------
    ValueError
        If a column is missing, a label is not among `classes`, a scope is unknown or a number negative; if `level`
        needs numbers and the classes are none, or `weights` do not fit them.

    Examples
    --------
    >>> rows = [("a", "f", "r1", "x"), ("a", "f", "r2", "x"), ("b", "g", "r1", "y"), ("b", "g", "r2", "undetected")]
    >>> table = pd.DataFrame(rows, columns=["anchor", "fov", "rater", "label"]).assign(cohort="P", condition="all")
    >>> agreement_table(table, scopes=["classification"])[["statistic", "value", "n_anchors", "undefined"]]
               statistic  value  n_anchors  undefined
    0              alpha    NaN          1  one class
    1       fleiss_kappa    1.0          1
    2                ac1    1.0          1
    3  percent_agreement    1.0          1
    """
    grading = Grading(level, weights)
    _check(ratings, scopes, min_detections, grading)
    names = all_classes(ratings["label"], classes)
    asked: dict[str, Any] = {"scopes": scopes, "min_detections": min_detections, "options": options}
    tables = []
    for (cohort, condition), rows in ratings.groupby(["cohort", "condition"], sort=True, observed=True):
        counted = CountedRatings.of_ratings(rows, names, fovs, resample)
        found = agreement_rows(counted, groupings, grading, **asked)
        tables.append(found.assign(cohort=str(cohort), condition=str(condition), threshold=np.nan))
    return joined_rows(tables)


def agreement_rows(
    counted: CountedRatings,
    groupings: Sequence[Grouping | None],
    grading: Grading,
    *,
    scopes: Sequence[Scope],
    min_detections: Sequence[int],
    options: dict[str, Any],
) -> pd.DataFrame:
    """One row per grouping × min_detections × scope × statistic of one cohort under one condition."""
    tables = []
    for grouping in groupings:
        items = counted.grouped(grouping)
        for scope in scopes:
            several = [counted.chosen(items, scope, least) for least in min_detections]
            sums = zip(*(grading.sums(*chosen) for chosen in several), strict=True)
            stacked = tuple(np.stack(parts, axis=1) for parts in sums)
            interval = bootstrap(stacked, grading.statistic(several[0][0].classes), **options)
            for place, least in enumerate(min_detections):
                bounds = (bound[place] for bound in (interval.value, interval.low, interval.high))
                rows = _rows(several[place][0], grading.statistics, *bounds)
                rows["scope"], rows["n_raters"] = scope, counted.n_raters(scope, least)
                rows["grouping"], rows["min_detections"] = grouping.level if grouping else RAW, least
                tables.append(rows)
    return joined_rows(tables).assign(resampled=counted.resampled)


def _rows(items: ItemCounts, statistics: Sequence[str], value: Any, low: Any, high: Any) -> pd.DataFrame:
    """One row per statistic of some anchors."""
    is_paired = items.total > 1
    reason = why_no_value(items.counts[is_paired].sum(axis=0))
    return pd.DataFrame(
        {
            "statistic": statistics,
            "value": value,
            "low": low,
            "high": high,
            "n_anchors": int(is_paired.sum()),
            "undefined": np.where(np.isnan(value), reason, ""),
        }
    )


def joined_rows(tables: Sequence[pd.DataFrame], columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """Rows of all tables, with these columns as far as they are there."""
    if not tables:
        return pd.DataFrame(columns=[*columns])
    rows = pd.concat(tables, ignore_index=True)
    return rows[[column for column in columns if column in rows]]


def agreement_difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    fovs: pd.DataFrame | None = None,
    *,
    classes: Sequence[str] | None = None,
    grouping: Grouping | None = None,
    level: Level = "nominal",
    weights: Weights = None,
    scopes: Sequence[Scope] = SCOPES,
    min_detections: int = 1,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Agreement in `first` minus agreement in `second`, paired by FOV or slide.

    The tables are two cohorts, two conditions, two clustering thresholds or two groupings of one study; each is taken
    as a whole.

    Parameters
    ----------
    first, second : ratings, as for `agreement_table`
    fovs, level, weights, scopes, min_detections, resample, options : as there
    classes : of both tables; default: those that occur in each, which may differ
    grouping : of both tables; None for the labels as they come

    Returns
    -------
    one row per scope × statistic
        statistic, scope, value, low, high, n_groups (FOVs, slides or groups of tasks of either table), resampled.

    Examples
    --------
    >>> rows = [("a", "f", "r1", "x"), ("a", "f", "r2", "x"), ("b", "g", "r1", "y"), ("b", "g", "r2", "x")]
    >>> table = pd.DataFrame(rows, columns=["anchor", "fov", "rater", "label"]).assign(cohort="P", condition="all")
    >>> difference = agreement_difference(table, table, scopes=["classification"])
    >>> difference.loc[difference["statistic"] == "percent_agreement", "value"].item()
    0.0
    """
    grading = Grading(level, weights)
    for ratings in (first, second):
        _check(ratings, scopes, [min_detections], grading)
    one, other = [
        CountedRatings.of_ratings(side, all_classes(side["label"], classes), fovs, resample) for side in (first, second)
    ]
    groups = np.union1d(one.groups, other.groups)
    rows = []
    for scope in scopes:
        chosen = [side.chosen(side.grouped(grouping), scope, min_detections, groups) for side in (one, other)]
        before, after = (tuple(grading.sums(*part)) for part in chosen)
        interval = bootstrap_difference(before, after, grading.statistic(chosen[0][0].classes), **options)
        for place, name in enumerate(grading.statistics):
            bounds = (float(bound[place]) for bound in (interval.value, interval.low, interval.high))
            rows.append((name, scope, *bounds, interval.n_groups, one.resampled))
    return pd.DataFrame(rows, columns=["statistic", "scope", "value", "low", "high", "n_groups", "resampled"])


def _check(ratings: pd.DataFrame, scopes: Sequence[str], min_detections: Sequence[int], grading: Grading) -> None:
    check_ratings(ratings, scopes)
    check_least(min_detections)
    grading.check(scopes)


def check_least(min_detections: Sequence[int]) -> None:
    """Raise ValueError unless these are numbers of raters."""
    if min(min_detections, default=-1) < 0:
        raise ValueError(f"min_detections are one or more numbers of raters, from 0; got {list(min_detections)}")


def check_ratings(ratings: pd.DataFrame, scopes: Sequence[str]) -> None:
    """Raise ValueError unless the table has its columns and the scopes are known."""
    missing = [c for c in ("anchor", "fov", "rater", "cohort", "condition", "label") if c not in ratings]
    if missing:
        raise ValueError(f"a ratings table needs the columns {missing} too; it has {[*ratings]}")
    check_scopes(scopes)


def check_scopes(scopes: Sequence[str]) -> None:
    """Raise ValueError for an unknown scope."""
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise ValueError(f"scopes are {' and '.join(map(repr, SCOPES))}; got {unknown}")
