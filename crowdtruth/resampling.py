"""Intervals and differences by bootstrap over FOVs or slides.

Objects of one image are not independent: their raters, stain and tissue are the same. So whole FOVs (or slides) are
drawn with replacement, not objects. Every statistic here is a function of sums over objects. The sums are kept by FOV
and drawn with it; a replicate is one row of weights times the sums, and no table is touched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2, prod
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Method = Literal["percentile", "bca"]
Unit = Literal["fov", "slide"]
Floats = NDArray[np.float64]
Statistic = Callable[..., Any]

DEFAULT_REPLICATES = 2000
DEFAULT_LEVEL = 0.95
LEAST_DEFINED = 0.9
"""Share of the replicates that must have a value, or there is no interval."""

TASK_GROUPS = 200
"""Groups that the tasks of a crowd table are dealt into."""

_CHUNK = 2**22  # doubles of replicated sums held at a time


@dataclass(frozen=True)
class Interval:
    """A statistic of a study and its interval; arrays (...) where the statistic has several values."""

    value: Floats  # (...)
    low: Floats  # (...) NaN where there is none
    high: Floats  # (...)
    n_groups: int  # FOVs or slides that were resampled
    n_defined: NDArray[np.intp]  # (...) replicates in which the statistic has a value


def group_codes(fov: pd.Series, fovs: pd.DataFrame | None, unit: Unit = "fov") -> tuple[NDArray[np.intp], NDArray[Any]]:
    """What is resampled: the code of each row's FOV or slide, and their names.

    Parameters
    ----------
    fov : (n_rows,) FOV of each row
    fovs : fov, and slide where `unit` is ``"slide"``; None: nothing but their names is known
    unit : ``"fov"`` or ``"slide"``

    Returns
    -------
    (n_rows,) codes from 0 and (n_groups,) names, sorted
        Only FOVs or slides that occur in `fov`.

    Raises
    ------
    ValueError
        If `unit` is neither, `fovs` has no slides, or a row's FOV is not in it, or has an empty slide.

    Examples
    --------
    >>> fovs = pd.DataFrame({"fov": ["a", "b", "c"], "slide": ["s", "s", "t"]})
    >>> group_codes(pd.Series(["a", "b", "c"]), fovs, "slide")
    (array([0, 0, 1]), array(['s', 't'], dtype=object))
    """
    if unit not in ("fov", "slide"):
        raise ValueError(f"what is resampled is 'fov' or 'slide', got {unit!r}")
    names = fov
    if unit == "slide":
        if fovs is None or "slide" not in fovs:
            has = "there is none" if fovs is None else f"it has {[*fovs]}"
            raise ValueError(f"slides can be resampled where the FOV table has a column 'slide'; {has}")
        names = fov.map(fovs.set_index("fov")["slide"])
        empty = (names.isna() | (names == "")).to_numpy(dtype=bool)
        if empty.any():
            wrong = sorted(set(fov[empty]))
            raise ValueError(f"every FOV needs its slide; missing for {wrong[:20]} ({len(wrong)} FOVs)")
    codes, found = pd.factorize(names, sort=True)
    return codes.astype(np.intp), np.asarray(found, dtype=object)


def task_groups(n_tasks: int) -> NDArray[np.intp]:
    """What is resampled of a crowd table: its tasks, dealt in turn into at most `TASK_GROUPS` groups: (n_tasks,) codes.

    Tasks are independent of each other. Sums of groups of them are as good a sample as sums of each, and small.

    Examples
    --------
    >>> task_groups(3), int(task_groups(100_000).max()) + 1
    (array([0, 1, 2]), 200)
    """
    return np.arange(n_tasks) % TASK_GROUPS


def least_groups(level: float = DEFAULT_LEVEL) -> int:
    """Groups that an interval needs at least.

    No bound lies beyond the smallest or largest of n groups. If all n lie on one side of the truth, which happens once
    in 2^(n − 1) studies, the interval misses it, whatever its level.

    Examples
    --------
    >>> least_groups(0.95), least_groups(0.5)
    (6, 2)
    """
    return max(2, ceil(1 - log2(1 - level)))


def bootstrap(
    counts: ArrayLike | tuple[ArrayLike, ...],
    statistic: Statistic,
    *,
    n_replicates: int = DEFAULT_REPLICATES,
    method: Method = "bca",
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
) -> Interval:
    """A statistic of sums, with its interval from groups drawn with replacement.

    Parameters
    ----------
    counts : (n_groups, ...) or several such arrays
        Sums over the objects of each group: coincidences, confusions, counts.
    statistic : sums of each array (..., its own axes) -> (...) or (..., n_values)
        Called with the sums of many replicates at once: axis 0 are the replicates. NaN where undefined.
    n_replicates : at least 1
    method : ``"percentile"``, or ``"bca"`` for the bias-corrected and accelerated interval
    level : of the interval, in (0, 1)
    seed : the same gives the same interval

    Returns
    -------
    value and interval
        Replicates without a value are left out. There is no interval (NaN) with fewer groups than `least_groups`,
        where the value is undefined, or where fewer than nine in ten replicates have one.

    Raises
    ------
    ValueError
        If arrays differ in their number of groups, or an argument is out of range.

    References
    ----------
    B. Efron, Better bootstrap confidence intervals. Journal of the American Statistical Association 82 (1987).
    T. C. Hesterberg, What teachers should know about the bootstrap. The American Statistician 69 (2015).

    Examples
    --------
    >>> hits_and_objects = [[8, 10], [9, 10], [5, 10], [7, 10], [8, 10], [5, 10]]
    >>> interval = bootstrap(hits_and_objects, lambda sums: sums[..., 0] / sums[..., 1])
    >>> float(interval.value), bool(interval.low < 0.7 < interval.high)
    (0.7, True)
    """
    arrays = _as_counts(counts)
    _check_arguments(n_replicates, method, level)
    n_groups = len(arrays[0])
    value = _evaluate(statistic, arrays, np.ones((1, n_groups)))[0]
    if n_groups < least_groups(level):
        none = np.full(value.shape, np.nan)
        return Interval(value, none, none.copy(), n_groups, np.zeros(value.shape, dtype=np.intp))
    replicates = _evaluate(statistic, arrays, bootstrap_weights(n_groups, n_replicates, seed))
    scores = np.broadcast_to(_widened_scores(level, n_groups)[:, None], (2, value.size))
    if method == "bca":
        left_out = _without_each(statistic, arrays)
        scores = _bca_scores(value.ravel(), _flat(replicates), _flat(left_out), scores)
    low, high, n_defined = _quantiles(value.ravel(), _flat(replicates), scores)
    shape = value.shape
    return Interval(value, low.reshape(shape), high.reshape(shape), n_groups, n_defined.reshape(shape))


def bootstrap_difference(
    first: ArrayLike | tuple[ArrayLike, ...],
    second: ArrayLike | tuple[ArrayLike, ...],
    statistic: Statistic,
    **options: Any,
) -> Interval:
    """The statistic of `first` minus that of `second`, paired: both are resampled with the same groups.

    Parameters
    ----------
    first, second : as `counts` of `bootstrap`; row g of both is the same FOV or slide
    statistic, options : as for `bootstrap`

    Raises
    ------
    ValueError
        If the two differ in their number of groups.

    Examples
    --------
    >>> before, after = [[4, 10], [6, 10], [5, 10]] * 2, [[8, 10], [9, 10], [8, 10]] * 2
    >>> interval = bootstrap_difference(after, before, lambda sums: sums[..., 0] / sums[..., 1])
    >>> round(float(interval.value), 3), bool(interval.low > 0)
    (0.333, True)
    """
    one, other = _as_counts(first), _as_counts(second)
    if len(one[0]) != len(other[0]):
        raise ValueError(f"a paired difference needs the same groups on both sides; got {len(one[0])}, {len(other[0])}")

    def difference(*sums: Floats) -> Floats:
        return np.asarray(statistic(*sums[: len(one)])) - np.asarray(statistic(*sums[len(one) :]))

    return bootstrap((*one, *other), difference, **options)


def bootstrap_weights(n_groups: int, n_replicates: int, seed: int = 0) -> Floats:
    """How often each group is drawn in each replicate: (n_replicates, n_groups), rows sum to n_groups.

    Examples
    --------
    >>> bootstrap_weights(5, 3).sum(axis=1)
    array([5., 5., 5.])
    """
    drawn = np.random.default_rng(seed).integers(0, n_groups, (n_replicates, n_groups))
    drawn += np.arange(n_replicates)[:, None] * n_groups
    return np.bincount(drawn.ravel(), minlength=n_replicates * n_groups).reshape(n_replicates, n_groups).astype(float)


def _as_counts(counts: ArrayLike | tuple[ArrayLike, ...]) -> tuple[Floats, ...]:
    """Arrays of doubles with one row per group each."""
    given = counts if isinstance(counts, tuple) else (counts,)
    arrays = tuple(np.asarray(array, dtype=float) for array in given)
    if not arrays or any(array.ndim == 0 for array in arrays) or len({len(array) for array in arrays}) > 1:
        raise ValueError(f"counts have one row per group each; got {[array.shape for array in arrays]}")
    return arrays


def _check_arguments(n_replicates: int, method: str, level: float) -> None:
    if n_replicates < 1:
        raise ValueError(f"at least one replicate, please; got {n_replicates}")
    if method not in ("percentile", "bca"):
        raise ValueError(f"the interval is 'percentile' or 'bca', got {method!r}")
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies between 0 and 1, got {level}")


def _evaluate(statistic: Statistic, arrays: tuple[Floats, ...], weights: Floats) -> Floats:
    """The statistic of weighted sums: weights (n, n_groups) -> (n, ...), some replicates at a time."""
    rows = [np.ascontiguousarray(array.reshape(len(array), prod(array.shape[1:]))) for array in arrays]
    step = max(1, _CHUNK // max(1, sum(row.shape[1] for row in rows)))
    values = []
    for begin in range(0, len(weights), step):
        chosen = weights[begin : begin + step]
        sums = [(chosen @ row).reshape(len(chosen), *array.shape[1:]) for row, array in zip(rows, arrays, strict=True)]
        values.append(np.asarray(statistic(*sums), dtype=float))
    return np.concatenate(values)


def _without_each(statistic: Statistic, arrays: tuple[Floats, ...]) -> Floats:
    """The statistic without each group in turn: (n_groups, ...), some groups at a time."""
    totals = [array.sum(axis=0) for array in arrays]
    step = max(1, _CHUNK // max(1, sum(total.size for total in totals)))
    values = []
    for begin in range(0, len(arrays[0]), step):
        sums = [total - array[begin : begin + step] for total, array in zip(totals, arrays, strict=True)]
        values.append(np.asarray(statistic(*sums), dtype=float))
    return np.concatenate(values)


def _flat(values: Floats) -> Floats:
    """(n, ...) -> (n, n_values)."""
    return values.reshape(len(values), -1)


def _widened_scores(level: float, n_groups: int) -> Floats:
    """Normal scores of the two bounds, (2,), wider than those of `level` by what a t interval is wider.

    Replicates of n groups vary by √(1 − 1/n) too little; Hesterberg's expanded percentiles make up for both.
    """
    from scipy.special import stdtrit

    score = np.sqrt(n_groups / (n_groups - 1)) * stdtrit(n_groups - 1, (1 - level) / 2)
    return np.array([score, -score])


def _bca_scores(value: Floats, replicates: Floats, left_out: Floats, scores: Floats) -> Floats:
    """Bias-corrected and accelerated normal scores of the bounds, (2, n_values).

    value (n_values,), replicates (n_replicates, n_values), left_out (n_groups, n_values): without each group in turn.
    Bias is the share of replicates below the value (half of those equal to it); no group with a value, no acceleration.
    """
    from scipy.special import ndtri

    defined = ~np.isnan(replicates)
    n_defined = np.maximum(defined.sum(axis=0), 1)
    below = ((replicates < value).sum(axis=0) + 0.5 * (replicates == value).sum(axis=0)) / n_defined
    bias = ndtri(np.clip(below, 0.5 / n_defined, 1 - 0.5 / n_defined))
    known = ~np.isnan(left_out)
    mean = np.where(known, left_out, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    influence = np.where(known, mean - left_out, 0)
    spread = (influence**2).sum(axis=0) ** 1.5
    acceleration = (influence**3).sum(axis=0) / np.where(spread > 0, 6 * spread, 1)
    shifted = bias + scores
    stretch = 1 - acceleration * shifted  # at or below 0 the bound is the last replicate
    return np.where(stretch > 0, bias + shifted / np.where(stretch > 0, stretch, 1), np.sign(shifted) * np.inf)


def _quantiles(value: Floats, replicates: Floats, scores: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Bounds (n_values,) at normal scores (2, n_values), and the number of replicates with a value (n_values,)."""
    from scipy.special import ndtr

    n_defined = (~np.isnan(replicates)).sum(axis=0)
    ordered = np.sort(replicates, axis=0)  # NaN last
    exists = ~np.isnan(value) & (n_defined >= LEAST_DEFINED * len(replicates)) & (n_defined > 0)
    place = ndtr(scores) * np.maximum(n_defined - 1, 0)
    before = np.floor(place).astype(np.intp)
    after = np.minimum(before + 1, np.maximum(n_defined - 1, 0))
    column = np.arange(len(value))
    lower, upper = ordered[before, column], ordered[after, column]
    bounds = np.where(exists, lower + (place - before) * (upper - lower), np.nan)
    return bounds[0], bounds[1], n_defined
