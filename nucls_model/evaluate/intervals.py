"""Intervals of scores by resampling FOVs, of curves too: what a curve is made of is kept as counts by FOV and level.

Items in the order of their scores are dealt into at most `N_LEVELS` levels, and the counts of an FOV at each level are
drawn with it. A curve of levels differs a little from that of the items, and so do its bounds: they are moved by the
difference of the two values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crowdtruth.resampling import Unit, bootstrap, group_codes
from nucls_model.evaluate.inputs import Codes, Floats

METRIC_COLUMNS = ("metric", "level", "class", "assigned", "value", "low", "high", "n", "resampled")
N_LEVELS = 128
"""Levels that scores are dealt into for their intervals."""


@dataclass(frozen=True)
class Resampling:
    """What is drawn with replacement, and how often."""

    group: Codes  # (n_fovs,) of each FOV
    n_groups: int
    unit: Unit
    options: Mapping[str, Any] = field(default_factory=dict)  # of `crowdtruth.resampling.bootstrap`

    def counts(self, fov: Codes, codes: Sequence[ArrayLike], shape: Sequence[int], weight: Any = None) -> Floats:
        """Items, or their weights, by group and codes: fov (n,), each of codes (n,) -> (n_groups, *shape)."""
        sizes = (self.n_groups, *shape)
        places = np.ravel_multi_index((self.group[fov], *(np.asarray(code, np.intp) for code in codes)), sizes)
        return np.bincount(places, weight, minlength=int(np.prod(sizes))).reshape(sizes).astype(float)

    def bounds(self, value: Floats, counts: tuple[Floats, ...], statistic: Callable[..., Any]) -> tuple[Floats, Floats]:
        """Bounds of the values, (...) each: those of the statistic of counts (n_groups, …), moved to the values."""
        interval = bootstrap(counts, statistic, **self.options)
        moved = np.asarray(value) - interval.value
        return interval.low + moved, interval.high + moved


def resampling_of(fovs: pd.DataFrame, names: Sequence[str], unit: Unit, **options: Any) -> Resampling:
    """What is resampled: FOVs, or the slides they are from.

    Parameters
    ----------
    fovs : fov, and slide where slides are resampled
    names : (n_fovs,) FOVs in the order of their codes
    unit : ``"fov"`` or ``"slide"``
    options : of `crowdtruth.resampling.bootstrap`

    Raises
    ------
    ValueError
        If slides are resampled and an FOV has none.
    """
    group, found = group_codes(pd.Series(list(names), dtype="str"), fovs, unit)
    return Resampling(group, len(found), unit, options)


def score_levels(score: Floats, n_levels: int = N_LEVELS) -> NDArray[np.intp]:
    """Level of each score, the highest scores in level 0; equal scores share one: (n,) -> (n,).

    Examples
    --------
    >>> score_levels(np.array([0.1, 0.9, 0.9, 0.5]), 2)
    array([1, 0, 0, 1])
    """
    values, code = np.unique(-score, return_inverse=True)
    if len(values) <= n_levels:
        return code.astype(np.intp)
    before = np.searchsorted(np.sort(-score), values)  # items of a higher score
    return (before * n_levels // len(score))[code].astype(np.intp)


def score_rows(
    metrics: Sequence[str],
    level: str,
    classes: Sequence[str],
    values: Floats,
    bounds: tuple[Floats, Floats],
    *,
    n: ArrayLike,
    resampled: str,
) -> pd.DataFrame:
    """Rows of the evaluation table: values and bounds (n_classes, n_metrics), n (n_classes,), class by class."""
    flat = [np.reshape(part, -1) for part in (values, *bounds)]
    table = pd.DataFrame(dict(zip(("value", "low", "high"), flat, strict=True)))
    table = table.assign(
        metric=np.tile(np.asarray(metrics, object), len(classes)),
        level=level,
        assigned="",
        n=np.repeat(np.asarray(n, np.int64), len(metrics)),
        resampled=resampled,
    )
    table["class"] = np.repeat(np.asarray(classes, object), len(metrics))
    return table[[*METRIC_COLUMNS]]


def count_rows(level: str, counts: Mapping[str, int]) -> pd.DataFrame:
    """Rows of numbers of things, which have no interval.

    Examples
    --------
    >>> count_rows("", {"n_true": 3})[["metric", "value", "n"]].values.tolist()
    [['n_true', 3.0, 3]]
    """
    values = np.array(list(counts.values()), float)[None]
    none = np.full_like(values, np.nan)
    rows = score_rows(list(counts), level, [""], values, (none, none), n=[0], resampled="")
    return rows.assign(n=list(counts.values()))
