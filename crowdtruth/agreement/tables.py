"""Agreement in a ratings table, by cohort and condition, with intervals over FOVs or slides.

Two scopes: ``detection_and_classification`` takes *undetected* as a class like any other, ``classification`` takes it
as missing. Who was not asked has no row and is missing in both. Detection alone is not scored: an object that nobody
marks is no anchor, so agreement that there is nothing cannot be seen.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.agreement.counts import AgreementCounts, ItemCounts, count_items, sum_over_groups
from crowdtruth.agreement.formulas import Floats, alpha_from, fleiss_from, gwet_from, percent_from, why_undefined
from crowdtruth.ratings import encode_ratings
from crowdtruth.resampling import Unit, bootstrap, bootstrap_difference, group_codes
from crowdtruth.taxonomy import UNDETECTED

Scope = Literal["detection_and_classification", "classification"]

SCOPES: tuple[Scope, ...] = ("detection_and_classification", "classification")
STATISTICS = ("alpha", "fleiss_kappa", "ac1", "percent_agreement")
COLUMNS = (
    "statistic", "scope", "cohort", "condition", "min_detections", "value", "low", "high", "n_anchors", "n_raters",
    "resampled", "undefined",
)  # fmt: skip


def agreement_table(
    ratings: pd.DataFrame,
    fovs: pd.DataFrame | None = None,
    *,
    classes: Sequence[str] | None = None,
    scopes: Sequence[Scope] = SCOPES,
    min_detections: Sequence[int] = (1,),
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Agreement of the raters of every cohort under every condition.

    Parameters
    ----------
    ratings : anchor, fov, rater, cohort, condition, label
        Labels may be grouped before; empty ones are missing. Repeats by one rater all count.
    fovs : fov, slide; needed where slides are resampled
    classes : (n_classes,) without ``undetected``; default: those that occur anywhere in the table, sorted
        Their number matters for AC1.
    scopes : one or both
    min_detections : anchors count that at least so many raters of the cohort marked; one set of rows for each
    resample : ``"fov"`` or ``"slide"``; where a table has no FOVs (crowd tables), anchors are resampled
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per cohort × condition × min_detections × scope × statistic
        The columns of `COLUMNS`. `n_anchors` are those with two ratings or more, `n_raters` those with a rating.
        `undefined` says why a value is empty: ``no pairs`` or ``one class``.

    Raises
    ------
    ValueError
        If a column is missing, a label is not among `classes`, a scope is unknown or a number negative.

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
    _check(ratings, scopes, min_detections)
    names = all_classes(ratings, classes)
    tables = []
    for (cohort, condition), rows in ratings.groupby(["cohort", "condition"], sort=True, observed=True):
        counted = _Counted(rows, names, fovs, resample)
        for least in min_detections:
            for scope in scopes:
                found = _agreement_rows(counted, scope, least, options)
                found["cohort"], found["condition"], found["min_detections"] = str(cohort), str(condition), least
                tables.append(found)
    return pd.concat(tables, ignore_index=True)[[*COLUMNS]] if tables else pd.DataFrame(columns=[*COLUMNS])


def agreement_difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    fovs: pd.DataFrame | None = None,
    *,
    classes: Sequence[str] | None = None,
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
    fovs, scopes, min_detections, resample, options : as there
    classes : of both tables; default: those that occur in each, which may differ

    Returns
    -------
    one row per scope × statistic
        statistic, scope, value, low, high, n_groups (FOVs or slides of either table), resampled.

    Examples
    --------
    >>> rows = [("a", "f", "r1", "x"), ("a", "f", "r2", "x"), ("b", "g", "r1", "y"), ("b", "g", "r2", "x")]
    >>> table = pd.DataFrame(rows, columns=["anchor", "fov", "rater", "label"]).assign(cohort="P", condition="all")
    >>> difference = agreement_difference(table, table, scopes=["classification"])
    >>> difference.loc[difference["statistic"] == "percent_agreement", "value"].item()
    0.0
    """
    for ratings in (first, second):
        _check(ratings, scopes, [min_detections])
    one, other = [_Counted(ratings, all_classes(ratings, classes), fovs, resample) for ratings in (first, second)]
    groups = np.union1d(one.groups, other.groups)
    rows = []
    for scope in scopes:
        before, after = [_arrays(side.sums(scope, min_detections, groups)) for side in (one, other)]
        interval = bootstrap_difference(before, after, _statistics, **options)
        for place, name in enumerate(STATISTICS):
            bounds = (float(bound[place]) for bound in (interval.value, interval.low, interval.high))
            rows.append((name, scope, *bounds, interval.n_groups, one.resampled))
    return pd.DataFrame(rows, columns=["statistic", "scope", "value", "low", "high", "n_groups", "resampled"])


def all_classes(ratings: pd.DataFrame, classes: Sequence[str] | None = None) -> list[str]:
    """The classes given, or those that occur, sorted; and ``undetected`` last.

    Examples
    --------
    >>> all_classes(pd.DataFrame({"label": ["y", "undetected", "x", ""]}))
    ['x', 'y', 'undetected']
    """
    found = classes if classes is not None else sorted(name for name in ratings["label"].dropna().unique() if name)
    return [*(str(name) for name in found if name != UNDETECTED), UNDETECTED]


class _Counted:
    """Ratings of one cohort under one condition, counted by anchor and class, `undetected` in the last column."""

    def __init__(
        self, ratings: pd.DataFrame, classes: Sequence[str], fovs: pd.DataFrame | None, resample: Unit
    ) -> None:
        encoded = encode_ratings(ratings[["anchor", "rater", "label"]], classes=classes)
        self.items = count_items(encoded.ratings, classes=classes)
        self.codes = encoded.ratings
        group_of, self.resampled = groups_of_anchors(ratings, fovs, resample)
        self.group, self.groups = pd.factorize(group_of.loc[list(encoded.items)], sort=True)

    def sums(self, scope: Scope, least: int, groups: NDArray[Any] | None = None) -> AgreementCounts:
        """Sums by group of the anchors that at least so many marked; `groups` is a sorted superset of its own."""
        chosen = self.is_marked(least)
        items = in_scope(self.items, scope)
        items = ItemCounts(items.counts[chosen], items.total[chosen], items.classes)
        names = self.groups if groups is None else groups
        place = np.searchsorted(names, self.groups) if len(self.groups) else np.zeros(0, dtype=np.intp)
        return sum_over_groups(items, place[self.group[chosen]], len(names))

    def is_marked(self, least: int) -> NDArray[np.bool_]:
        """Anchors (n_items,) that got at least so many labels other than `undetected`."""
        return (self.items.total - self.items.counts[:, -1]) >= least

    def n_raters(self, scope: Scope, least: int) -> int:
        """Raters with a rating in scope on those anchors."""
        counts = self.is_marked(least)[self.codes.item]
        if scope == "classification":
            counts &= self.codes.label < self.codes.n_classes - 1
        return len(np.unique(self.codes.rater[counts]))


def in_scope(items: ItemCounts, scope: Scope) -> ItemCounts:
    """Counts with `undetected`, the last class, kept or taken as missing."""
    if scope == "detection_and_classification":
        return items
    return ItemCounts(items.counts[:, :-1], items.total - items.counts[:, -1], items.classes[:-1])


def groups_of_anchors(ratings: pd.DataFrame, fovs: pd.DataFrame | None, resample: Unit) -> tuple[pd.Series, str]:
    """What is resampled with each anchor (its FOV or slide; the anchor itself where there are no FOVs), and its name.

    Raises
    ------
    ValueError
        If an anchor has several FOVs, or slides are asked for that are not known.
    """
    anchors = ratings[["anchor", "fov"]].drop_duplicates()
    if anchors["anchor"].duplicated().any():
        name = anchors.loc[anchors["anchor"].duplicated(), "anchor"].iloc[0]
        raise ValueError(f"an anchor lies in one FOV; {name!r} has several")
    if (anchors["fov"] == "").all():
        return pd.Series(anchors["anchor"].to_numpy(), index=anchors["anchor"].to_numpy()), "anchor"
    known = anchors[["fov"]] if fovs is None else fovs
    codes, names = group_codes(anchors["fov"], known, resample)
    return pd.Series(names[codes], index=anchors["anchor"].to_numpy()), resample


def _agreement_rows(counted: _Counted, scope: Scope, least: int, options: dict[str, Any]) -> pd.DataFrame:
    """One row per statistic."""
    sums = counted.sums(scope, least)
    interval = bootstrap(_arrays(sums), _statistics, **options)
    reason = why_undefined(sums.pairs.sum(axis=0))
    return pd.DataFrame(
        {
            "statistic": STATISTICS,
            "scope": scope,
            "value": interval.value,
            "low": interval.low,
            "high": interval.high,
            "n_anchors": round(float(sums.pairs.sum())),  # each with two ratings counts 1
            "n_raters": counted.n_raters(scope, least),
            "resampled": counted.resampled,
            "undefined": np.where(np.isnan(interval.value), reason, ""),
        }
    )


def _arrays(sums: AgreementCounts) -> tuple[Floats, Floats, Floats]:
    return sums.coincidences, sums.pairs, sums.shares


def _statistics(coincidences: Floats, pairs: Floats, shares: Floats) -> Floats:
    """The values of `STATISTICS`: sums (..., their axes) -> (..., 4)."""
    found = (alpha_from(coincidences), fleiss_from(pairs, shares), gwet_from(pairs, shares), percent_from(pairs))
    return np.stack(found, axis=-1)


def _check(ratings: pd.DataFrame, scopes: Sequence[str], min_detections: Sequence[int]) -> None:
    check_ratings(ratings, scopes)
    if min(min_detections, default=0) < 0:
        raise ValueError(f"min_detections are numbers of raters, from 0; got {list(min_detections)}")


def check_ratings(ratings: pd.DataFrame, scopes: Sequence[str]) -> None:
    """Raise ValueError unless the table has its columns and the scopes are known."""
    missing = [c for c in ("anchor", "fov", "rater", "cohort", "condition", "label") if c not in ratings]
    if missing:
        raise ValueError(f"a ratings table needs the columns {missing} too; it has {[*ratings]}")
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise ValueError(f"scopes are {' and '.join(map(repr, SCOPES))}; got {unknown}")
