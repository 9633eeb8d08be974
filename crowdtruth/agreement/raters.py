"""Agreement of single raters: every two of them (between), and each with themselves (within)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.agreement.formulas import Floats, Weights, disagreement_weights, kappa_from_margins, why_undefined
from crowdtruth.agreement.pairs import PairCounts, count_pairs
from crowdtruth.agreement.tables import SCOPES, Scope, all_classes, check_ratings, groups_of_anchors
from crowdtruth.ratings import encode_ratings
from crowdtruth.resampling import Unit, bootstrap

_VALUES = ["n_anchors", "kappa", "low", "high", "percent_agreement", "resampled", "undefined"]


def pairwise_table(
    ratings: pd.DataFrame,
    fovs: pd.DataFrame | None = None,
    *,
    classes: Sequence[str] | None = None,
    weights: Weights = None,
    scopes: Sequence[Scope] = SCOPES,
    min_overlap: int = 1,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Cohen's kappa of every two raters under every condition.

    Parameters
    ----------
    ratings : anchor, fov, rater, cohort, condition, label
        Of several ratings of an anchor by one rater the label given most often counts, the first class on ties.
    fovs : fov, slide; needed where slides are resampled
    classes : without ``undetected``, in order; default: those that occur, sorted
    weights : as for `cohen_kappa`; a matrix is of the classes in scope, ``undetected`` last
    scopes : one or both
    min_overlap : pairs that share fewer anchors have no kappa
    resample : ``"fov"`` or ``"slide"``
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per condition × scope × pair, the rater whose name sorts first as `first`
        condition, scope, first, second, first_cohort, second_cohort, n_anchors (which both rated), kappa, low, high,
        percent_agreement, resampled, undefined (``no pairs``, ``one class`` or ``few shared``).

    Examples
    --------
    >>> rows = [("a", "r1", "x"), ("a", "r2", "x"), ("b", "r1", "y"), ("b", "r2", "y")]
    >>> table = pd.DataFrame(rows, columns=["anchor", "rater", "label"]).assign(fov="f", cohort="P", condition="all")
    >>> pairwise_table(table, scopes=["classification"])[["first", "second", "n_anchors", "kappa"]]
      first second  n_anchors  kappa
    0    r1     r2          2    1.0
    """
    check_ratings(ratings, scopes)
    names = all_classes(ratings, classes)
    columns = ["condition", "scope", "first", "second", "first_cohort", "second_cohort", *_VALUES]
    found = [pd.DataFrame(columns=columns)]
    for condition, rows in ratings.groupby("condition", sort=True, observed=True):
        matrix = _label_matrix(rows, names, fovs, resample)
        cohort = _cohort_of_raters(rows).loc[list(matrix.raters)].to_numpy()
        pairs = np.stack(np.triu_indices(len(matrix.raters), 1), axis=1)
        for scope in scopes:
            values = _pair_rows(matrix, pairs, scope, weights, min_overlap=min_overlap, options=options)
            values["condition"], values["scope"] = str(condition), scope
            for place, side in enumerate(("first", "second")):
                values[side], values[f"{side}_cohort"] = matrix.raters[pairs[:, place]], cohort[pairs[:, place]]
            found.append(values[columns])
    return _joined(found)


def self_agreement(
    ratings: pd.DataFrame,
    first_condition: str,
    second_condition: str,
    fovs: pd.DataFrame | None = None,
    *,
    classes: Sequence[str] | None = None,
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
    first_condition, second_condition : whose ratings of the same anchors are compared
    fovs, classes, weights, scopes, min_overlap, resample, options : as for `pairwise_table`

    Returns
    -------
    one row per scope × rater with ratings under either condition
        rater, cohort, first_condition, second_condition, scope, n_anchors (rated under both), kappa, low, high,
        percent_agreement, resampled, undefined.

    Raises
    ------
    ValueError
        If nobody rated anything under one of the conditions.

    Examples
    --------
    >>> rows = [("a", "u", "x"), ("a", "e", "x"), ("b", "u", "y"), ("b", "e", "y")]
    >>> table = pd.DataFrame(rows, columns=["anchor", "condition", "label"]).assign(fov="f", cohort="P", rater="r1")
    >>> self_agreement(table, "u", "e", scopes=["classification"])[["rater", "n_anchors", "kappa"]]
      rater  n_anchors  kappa
    0    r1          2    1.0
    """
    check_ratings(ratings, scopes)
    conditions = [first_condition, second_condition]
    for condition in conditions:
        if not (ratings["condition"] == condition).any():
            raise ValueError(f"no ratings under condition {condition!r}; there are {sorted(set(ratings['condition']))}")
    rows = ratings[ratings["condition"].isin(conditions)]
    halves = rows.assign(rater=(rows["condition"] == second_condition).astype(int).astype(str) + rows["rater"])
    matrix = _label_matrix(halves, all_classes(rows, classes), fovs, resample)
    cohort = _cohort_of_raters(rows)
    column_of = {name: column for column, name in enumerate(matrix.raters)}
    both = [name for name in cohort.index if f"0{name}" in column_of and f"1{name}" in column_of]
    pairs = np.array([(column_of[f"0{name}"], column_of[f"1{name}"]) for name in both], dtype=np.intp).reshape(-1, 2)
    columns = ["rater", "cohort", "first_condition", "second_condition", "scope", *_VALUES]
    found = [pd.DataFrame(columns=columns)]
    for scope in scopes:
        values = _pair_rows(matrix, pairs, scope, weights, min_overlap=min_overlap, options=options)
        values["rater"], values["cohort"], values["scope"] = both, cohort.loc[both].to_numpy(), scope
        values["first_condition"], values["second_condition"] = first_condition, second_condition
        found.append(values[columns])
    return _joined(found)


def kappa_matrix(pairs: pd.DataFrame) -> pd.DataFrame:
    """Kappas of one condition and scope as a square: raters × raters, 1 on the diagonal, NaN where there is none.

    Parameters
    ----------
    pairs : rows of `pairwise_table`

    Raises
    ------
    ValueError
        If a pair stands there twice, as it does in several conditions or scopes.

    Examples
    --------
    >>> kappa_matrix(pd.DataFrame({"first": ["r1"], "second": ["r2"], "kappa": [0.5]}))
         r1   r2
    r1  1.0  0.5
    r2  0.5  1.0
    """
    if pairs.duplicated(["first", "second"]).any():
        raise ValueError("a square of kappas is of one condition and scope; some pair stands in several rows")
    raters = sorted({*pairs["first"], *pairs["second"]})
    place = {name: i for i, name in enumerate(raters)}
    values = np.full((len(raters), len(raters)), np.nan)
    np.fill_diagonal(values, 1)
    first, second = pairs["first"].map(place).to_numpy(int), pairs["second"].map(place).to_numpy(int)
    values[first, second] = values[second, first] = pairs["kappa"]
    return pd.DataFrame(values, index=raters, columns=raters)


class _LabelMatrix:
    """One label code per anchor and rater, the number of classes where missing; and the group of each anchor."""

    def __init__(self, codes: NDArray[np.int32], raters: NDArray[Any], classes: Sequence[str]) -> None:
        self.codes, self.raters, self.classes = codes, raters, classes  # (n_anchors, n_raters), (n_raters,)
        self.group: NDArray[np.intp] = np.zeros(len(codes), dtype=np.intp)
        self.n_groups = 1
        self.resampled = ""


def _label_matrix(
    ratings: pd.DataFrame, classes: Sequence[str], fovs: pd.DataFrame | None, resample: Unit
) -> _LabelMatrix:
    """Ratings as a matrix; of several labels of an anchor by a rater the commonest, the first class on ties."""
    encoded = encode_ratings(ratings[["anchor", "rater", "label"]], classes=classes)
    rated, n_raters = encoded.ratings, len(encoded.raters)
    cell = rated.item.astype(np.int64) * n_raters + rated.rater
    counted, n_times = np.unique(cell * len(classes) + rated.label, return_counts=True)
    order = np.lexsort((-counted, n_times))  # the commonest, and of those the first class, is written last
    codes = np.full(len(encoded.items) * n_raters, len(classes), dtype=np.int32)
    codes[counted[order] // len(classes)] = counted[order] % len(classes)
    matrix = _LabelMatrix(codes.reshape(-1, n_raters), encoded.raters, classes)
    group_of, matrix.resampled = groups_of_anchors(ratings, fovs, resample)
    matrix.group, names = pd.factorize(group_of.loc[list(encoded.items)], sort=True)
    matrix.n_groups = len(names)
    return matrix


def _pair_rows(
    matrix: _LabelMatrix,
    pairs: NDArray[np.intp],
    scope: Scope,
    weights: Weights,
    *,
    min_overlap: int,
    options: dict[str, Any],
) -> pd.DataFrame:
    """`_VALUES` of each pair of columns."""
    n_classes = len(matrix.classes) - (scope == "classification")
    codes = np.where(matrix.codes < n_classes, matrix.codes.astype(float), np.nan)
    counted = count_pairs(codes, pairs=pairs, group=matrix.group, n_groups=matrix.n_groups, classes=range(n_classes))
    tables = counted.tables.sum(axis=1)
    n_anchors = tables.sum(axis=(1, 2))

    def kappas(observed: Floats, first: Floats, second: Floats) -> Floats:
        return kappa_from_margins(observed, first, second, weights)

    interval = bootstrap(_margins(counted, weights), kappas, **options)
    is_shared = n_anchors >= min_overlap
    kappa, low, high = (np.where(is_shared, bound, np.nan) for bound in (interval.value, interval.low, interval.high))
    reasons = [
        why_undefined(table) or "few shared" if np.isnan(value) else ""
        for table, value in zip(tables, kappa, strict=True)
    ]
    agreed = np.trace(tables, axis1=1, axis2=2) / np.where(n_anchors > 0, n_anchors, np.nan)
    values = (n_anchors, kappa, low, high, agreed, matrix.resampled, np.array(reasons, dtype=object))
    return pd.DataFrame(dict(zip(_VALUES, values, strict=True)), index=pd.RangeIndex(len(pairs)))


def _margins(counted: PairCounts, weights: Weights) -> tuple[Floats, Floats, Floats]:
    """What kappa is made of, by group: disagreement (n_groups, n_pairs), and each rater's counts of classes."""
    tables = counted.tables.transpose(1, 0, 2, 3)
    observed = np.einsum("gpck,ck->gp", tables, disagreement_weights(weights, tables.shape[-1]))
    return observed, tables.sum(axis=3).astype(float), tables.sum(axis=2).astype(float)


def _cohort_of_raters(ratings: pd.DataFrame) -> pd.Series:
    """Cohort by rater, raters sorted; the first where a table gives several."""
    return ratings.drop_duplicates("rater").set_index("rater")["cohort"].sort_index()


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows of all tables; the first has only the columns."""
    return pd.concat(tables[1:], ignore_index=True) if len(tables) > 1 else tables[0]
