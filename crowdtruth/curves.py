"""Curves over all thresholds of a score: precision–recall and ROC, their areas, and both for many weightings at once.

Arrays in, numbers out. Items are sorted once (`rank`); the counts at every threshold are then cumulative sums of
weights, so 2,000 bootstrap replicates of a curve are 2,000 rows of weights. Items of equal score are one threshold.
What has nothing to divide by is NaN: recall and its area without a positive, ROC without a positive or a negative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdtruth.metrics import ratio

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class PrecisionRecallCurve(NamedTuple):
    """Precision and recall at every threshold, the highest first."""

    precision: Floats  # (n_thresholds,)
    recall: Floats  # (n_thresholds,) ascending
    threshold: Floats  # (n_thresholds,) descending


class RocCurve(NamedTuple):
    """Sensitivity over 1 − specificity, from (0, 0) to (1, 1)."""

    false_positive_rate: Floats  # (n_points,) ascending
    true_positive_rate: Floats  # (n_points,)
    threshold: Floats  # (n_points,) descending from infinity; NaN for mean curves


class ThresholdCounts(NamedTuple):
    """Weights of positives and negatives that score at least a threshold, for any number of weightings."""

    true: Floats  # (..., n_thresholds)
    false: Floats  # (..., n_thresholds)
    n_positive: Floats  # (...) all positives, those without a score included


class MulticlassAuroc(NamedTuple):
    """Area under the ROC curve of each class against the rest, of all together, and the mean."""

    by_class: Floats  # (..., n_classes) NaN for classes without a curve
    micro: Floats  # (...)
    macro: Floats  # (...)


@dataclass(frozen=True)
class Ranking:
    """Items sorted by score, the best first; made by `rank`."""

    positives: Codes  # (n_positives,) items in order
    negatives: Codes  # (n_negatives,) items in order
    n_above: tuple[Codes, Codes]  # positives and negatives that reach each threshold, (n_thresholds,) each
    threshold: Floats  # (n_thresholds,) descending

    def counts(self, weights: ArrayLike, n_unscored: ArrayLike = 0.0, *, group: Codes | None = None) -> ThresholdCounts:
        """Weighted counts at every threshold.

        weights (..., n_items), or (..., n_groups) with the group of each item; n_unscored (...) weighs the positives
        that have no score.
        """
        weights = np.asarray(weights, float)
        items = (self.positives, self.negatives) if group is None else (group[self.positives], group[self.negatives])
        true, false = (_cumulated(weights, *one) for one in zip(items, self.n_above, strict=True))
        return ThresholdCounts(true, false, _last(true) + np.asarray(n_unscored, float))


def rank(is_positive: ArrayLike, score: ArrayLike) -> Ranking:
    """Items in the order of their scores, for any weights.

    Parameters
    ----------
    is_positive : (n_items,)
    score : (n_items,) the higher, the more likely positive

    Raises
    ------
    ValueError
        If there is not one score per item, or a score is NaN.

    Examples
    --------
    >>> rank([True, False, True], [0.2, 0.9, 0.9]).counts([1, 1, 1]).true
    array([1., 2.])
    """
    kind, value = np.asarray(is_positive, bool), np.asarray(score, float)
    if kind.ndim != 1 or kind.shape != value.shape:
        raise ValueError(f"one score per item: got {value.shape} scores for {kind.shape} items")
    if np.isnan(value).any():
        raise ValueError(f"every item needs a score; that of item {int(np.isnan(value).argmax())} is NaN")
    order = np.argsort(-value, kind="stable")
    threshold = np.unique(value)[::-1]
    chosen = [order[kind[order]], order[~kind[order]]]
    n_above = [np.searchsorted(-value[items], -threshold, side="right") for items in chosen]
    return Ranking(chosen[0], chosen[1], (n_above[0], n_above[1]), threshold)


def _cumulated(weights: Floats, items: Codes, n_above: Codes) -> Floats:
    """Weight of the first `n_above` items: (..., n) -> (..., n_thresholds)."""
    running = np.zeros((*weights.shape[:-1], len(items) + 1))
    np.cumsum(weights[..., items], axis=-1, out=running[..., 1:])
    return running[..., n_above]


def precision_recall_curve(
    is_positive: ArrayLike, score: ArrayLike, *, weights: ArrayLike | None = None, n_unscored: float = 0.0
) -> PrecisionRecallCurve:
    """Precision and recall of the items that score at least each threshold.

    Parameters
    ----------
    is_positive : (n_items,)
    score : (n_items,) the higher, the more likely positive
    weights : (n_items,) not negative; default: 1
    n_unscored : weight of positives that have no score: they count in recall, and no threshold finds them

    Returns
    -------
    precision, recall, threshold
        (n_thresholds,) each, the highest threshold first; there is no added point at recall 0.

    Raises
    ------
    ValueError
        If numbers of items differ, a score is NaN or a weight negative.

    Examples
    --------
    >>> curve = precision_recall_curve([True, False, True], [0.9, 0.5, 0.4], n_unscored=2)
    >>> curve.precision.round(2), curve.recall
    (array([1.  , 0.5 , 0.67]), array([0.25, 0.25, 0.5 ]))
    """
    ranking = rank(is_positive, score)
    counts = ranking.counts(_as_weights(weights, ranking), _not_negative(n_unscored, "n_unscored"))
    return PrecisionRecallCurve(*_precision_recall(counts), ranking.threshold)


def average_precision(
    is_positive: ArrayLike, score: ArrayLike, *, weights: ArrayLike | None = None, n_unscored: float = 0.0
) -> float:
    """Area under the steps of the precision–recall curve: Σ (Rₙ − Rₙ₋₁) Pₙ over the thresholds.

    As scikit-learn defines it, and without interpolation. NaN without a positive; 0 where no positive has a score.

    Parameters
    ----------
    is_positive, score, weights, n_unscored : see `precision_recall_curve`

    Examples
    --------
    >>> round(average_precision([True, False, True], [0.9, 0.5, 0.4]), 4)
    0.8333
    """
    ranking = rank(is_positive, score)
    counts = ranking.counts(_as_weights(weights, ranking), _not_negative(n_unscored, "n_unscored"))
    return float(average_precision_from(counts))


def roc_curve(is_positive: ArrayLike, score: ArrayLike, *, weights: ArrayLike | None = None) -> RocCurve:
    """Sensitivity and 1 − specificity of the items that score at least each threshold.

    Parameters
    ----------
    is_positive, score, weights : see `precision_recall_curve`

    Returns
    -------
    false_positive_rate, true_positive_rate, threshold
        (n_thresholds + 1,) each; the first point is (0, 0), at an infinite threshold. NaN without a negative, or
        without a positive.

    Examples
    --------
    >>> curve = roc_curve([True, False, True], [0.9, 0.5, 0.4])
    >>> curve.false_positive_rate, curve.true_positive_rate
    (array([0., 0., 1., 1.]), array([0. , 0.5, 0.5, 1. ]))
    """
    ranking = rank(is_positive, score)
    rates = _rates(ranking.counts(_as_weights(weights, ranking)))
    return RocCurve(*rates, np.concatenate([[np.inf], ranking.threshold]))


def auroc(is_positive: ArrayLike, score: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counting half.

    NaN without a positive or without a negative.

    Parameters
    ----------
    is_positive, score, weights : see `precision_recall_curve`

    Examples
    --------
    >>> auroc([True, False, True, False], [0.9, 0.5, 0.4, 0.4])
    0.625
    """
    ranking = rank(is_positive, score)
    return float(auroc_from(ranking.counts(_as_weights(weights, ranking))))


def multiclass_auroc(true: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None) -> MulticlassAuroc:
    """Areas under the ROC curves of several classes.

    Micro: all classes pooled, each item once for every class. Macro: the area under the mean of the classes' curves,
    which is the mean of their areas; a class that no item has, or every item, has no curve.

    Parameters
    ----------
    true : (n_items,) codes of the classes, from 0
    probabilities : (n_items, n_classes)
    weights : (n_items,) not negative; default: 1

    Raises
    ------
    ValueError
        If numbers of items differ, a code has no column, a probability is NaN or a weight negative.

    Examples
    --------
    >>> areas = multiclass_auroc([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.9, 0.1]])
    >>> areas.by_class, float(areas.macro), round(float(areas.micro), 3)
    (array([0.5, 0.5]), 0.5, 0.444)
    """
    rankings = rank_classes(true, probabilities)
    n_items = len(np.asarray(true))
    each = _as_weights(weights, n_items)
    return multiclass_auroc_from([ranking.counts(each, group=items) for ranking, items in rankings])


def macro_roc_curve(true: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None) -> RocCurve:
    """The mean of the classes' ROC curves.

    Their true-positive rates are interpolated at every false-positive rate that one of them has, and averaged. A curve
    that rises there has two values, the lower and the upper end of its step, and so has the mean: each rate is a
    point twice. The area below is then the mean of the areas, to the last digit.

    Parameters
    ----------
    true, probabilities, weights : see `multiclass_auroc`

    Returns
    -------
    false_positive_rate, true_positive_rate, threshold
        (2 n_rates,) each; thresholds are NaN. Empty where no class has a curve.

    Examples
    --------
    >>> macro_roc_curve([0, 1], [[0.8, 0.2], [0.3, 0.7]]).true_positive_rate
    array([0., 1., 1., 1.])
    """
    each = _as_weights(weights, len(np.asarray(true)))
    curves = [_rates(ranking.counts(each, group=items)) for ranking, items in rank_classes(true, probabilities)[:-1]]
    curves = [(x, y) for x, y in curves if not np.isnan(x).any() and not np.isnan(y).any()]
    if not curves:
        return RocCurve(*(np.zeros(0) for _ in range(3)))
    rates = np.unique(np.concatenate([x for x, _ in curves]))
    lower = np.mean([np.interp(-rates, -x[::-1], y[::-1]) for x, y in curves], axis=0)
    upper = np.mean([np.interp(rates, x, y) for x, y in curves], axis=0)
    return RocCurve(np.repeat(rates, 2), np.column_stack([lower, upper]).ravel(), np.full(2 * len(rates), np.nan))


def rank_classes(true: ArrayLike, probabilities: ArrayLike) -> list[tuple[Ranking, Codes]]:
    """Each class against the rest, and last all of them pooled: rankings, and the item that each ranked thing is of.

    Parameters
    ----------
    true : (n_items,) codes of the classes, from 0
    probabilities : (n_items, n_classes)

    Raises
    ------
    ValueError
        If numbers of items differ or a code has no column.

    Examples
    --------
    >>> [len(items) for _, items in rank_classes([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.9, 0.1]])]
    [3, 3, 6]
    """
    codes, scores = np.asarray(true, np.intp), np.asarray(probabilities, float)
    if scores.ndim != 2 or codes.shape != scores.shape[:1]:
        raise ValueError(f"probabilities are (n_items, n_classes); got {scores.shape} for {codes.shape} true classes")
    n_items, n_classes = scores.shape
    if n_items and not 0 <= codes.min() <= codes.max() < n_classes:
        raise ValueError(f"true classes are codes from 0 to {n_classes - 1}; got {codes.min()} to {codes.max()}")
    one_hot = codes[:, None] == np.arange(n_classes)
    every = np.arange(n_items)
    alone = [(rank(one_hot[:, k], scores[:, k]), every) for k in range(n_classes)]
    return [*alone, (rank(one_hot.ravel(), scores.ravel()), np.repeat(every, n_classes))]


def average_precision_from(counts: ThresholdCounts) -> Floats:
    """Average precision of counts, (...)."""
    precision, recall = _precision_recall(counts)
    gain = np.diff(recall, axis=-1, prepend=0.0)
    area = np.where(gain > 0, precision, 0.0) * gain
    return np.where(counts.n_positive > 0, area.sum(axis=-1), np.nan)


def auroc_from(counts: ThresholdCounts) -> Floats:
    """Area under the ROC curve of counts, (...)."""
    true, false = counts.true, counts.false
    before = np.concatenate([np.zeros((*true.shape[:-1], 1)), true[..., :-1]], axis=-1)
    won = (np.diff(false, axis=-1, prepend=0.0) * (true + before)).sum(axis=-1) / 2
    return ratio(won, counts.n_positive * _last(false))


def multiclass_auroc_from(counts: Sequence[ThresholdCounts]) -> MulticlassAuroc:
    """Areas of each class's counts and, last, those of all pooled."""
    *by_class, micro = (auroc_from(one) for one in counts)
    areas = np.stack(by_class, axis=-1) if by_class else np.zeros((*micro.shape, 0))
    return MulticlassAuroc(areas, micro, mean_of_defined(areas))


def precision_at(recall: Floats, counts: ThresholdCounts) -> Floats:
    """Precision of the highest threshold that reaches each recall: (n_points,) -> (..., n_points).

    At recall 0: that of the highest threshold that finds anything. NaN beyond the largest recall. These are the steps
    whose area is the average precision.
    """
    reached = np.where(recall > 0, recall, np.finfo(float).tiny)
    rows = (_as_rows(values) for values in _precision_recall(counts))
    # without a positive recall is NaN: as 0 it reaches nothing
    at = [np.append(y, np.nan)[np.searchsorted(np.nan_to_num(x), reached)] for y, x in zip(*rows, strict=True)]
    return np.reshape(at, (*counts.true.shape[:-1], len(recall)))


def sensitivity_at(false_positive_rate: Floats, counts: ThresholdCounts) -> Floats:
    """Sensitivity at each false-positive rate, the upper end where the curve rises: (n_points,) -> (..., n_points).

    Between two points of the curve on the line that joins them; NaN without a curve.
    """
    rows = (_as_rows(values) for values in _rates(counts))
    at = [np.interp(false_positive_rate, x, y) for x, y in zip(*rows, strict=True)]
    return np.reshape(at, (*counts.true.shape[:-1], len(false_positive_rate)))


def mean_of_defined(values: Floats) -> Floats:
    """Mean of the values that are not NaN along the last axis; NaN where all are: (..., n) -> (...)."""
    is_defined = ~np.isnan(values)
    return ratio(np.where(is_defined, values, 0).sum(axis=-1), is_defined.sum(axis=-1))


def _precision_recall(counts: ThresholdCounts) -> tuple[Floats, Floats]:
    """Precision and recall, (..., n_thresholds) each."""
    return ratio(counts.true, counts.true + counts.false), ratio(counts.true, counts.n_positive[..., None])


def _rates(counts: ThresholdCounts) -> tuple[Floats, Floats]:
    """False- and true-positive rate from (0, 0) on, (..., n_thresholds + 1) each; both NaN if either is undefined."""
    n_negative = _last(counts.false)
    is_defined = (counts.n_positive > 0) & (n_negative > 0)
    zero = np.zeros((*counts.true.shape[:-1], 1))
    x, y = (np.concatenate([zero, one], axis=-1) for one in (counts.false, counts.true))
    x /= np.where(is_defined, n_negative, np.nan)[..., None]
    y /= np.where(is_defined, counts.n_positive, np.nan)[..., None]
    return x, y


def _last(counts: Floats) -> Floats:
    """Counts at the lowest threshold, that is of all items: (..., n_thresholds) -> (...)."""
    return counts[..., -1] if counts.shape[-1] else np.zeros(counts.shape[:-1])


def _as_rows(values: Floats) -> Floats:
    """One row per weighting: (..., n) -> (n_weightings, n)."""
    return values.reshape(int(np.prod(values.shape[:-1])), values.shape[-1])


def _as_weights(weights: ArrayLike | None, items: Ranking | int) -> Floats:
    """Checked weights (n_items,)."""
    n_items = items if isinstance(items, int) else len(items.positives) + len(items.negatives)
    if weights is None:
        return np.ones(n_items)
    array = _not_negative(weights, "weights")
    if array.shape != (n_items,):
        raise ValueError(f"one weight per item: got {array.shape} weights for {n_items} items")
    return array


def _not_negative(values: ArrayLike, name: str) -> Floats:
    """Numbers that may weigh something."""
    array = np.asarray(values, float)
    if not (array >= 0).all():
        raise ValueError(f"{name} must not be negative or NaN; got {array[~(array >= 0)].flat[0]}")
    return array
