"""Ratings → coefficients of agreement.

A coefficient is NaN where it is undefined (see `crowdtruth.agreement.formulas`), and nowhere else.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from crowdtruth.agreement.counts import ItemCounts, as_matrix, count_items, sum_coincidences, sum_over_groups
from crowdtruth.agreement.formulas import (
    Level,
    Weights,
    alpha_from,
    fleiss_from,
    gwet_from,
    kappa_from,
    percent_from,
)
from crowdtruth.agreement.nominal import alpha_of_numbers
from crowdtruth.agreement.pairs import count_pairs
from crowdtruth.ratings import Ratings


def krippendorff_alpha(
    ratings: Ratings | ItemCounts | ArrayLike, *, level: Level = "nominal", classes: Sequence[Any] | None = None
) -> float:
    """Krippendorff's alpha: 1 for full agreement, 0 for chance, NaN where undefined.

    Parameters
    ----------
    ratings : (n_items, n_raters) labels, `Ratings`, or `ItemCounts`
        NaN, None and "" are missing. Items with fewer than two ratings do not count.
    level : what differences between labels mean
        For ``interval`` and ``ratio`` the classes are numbers; for ``ratio`` none is negative.
    classes : (n_classes,)
        Their order, which matters for ``ordinal``; default: sorted.

    Raises
    ------
    ValueError
        If `level` is none of the four, or needs numbers and the classes are none.

    References
    ----------
    K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).

    Examples
    --------
    >>> round(krippendorff_alpha([[1, 1], [2, 2], [3, 2]], level="interval"), 3)
    0.706
    """
    if level == "nominal" and classes is None and not isinstance(ratings, Ratings | ItemCounts):
        ratings = as_matrix(ratings)
        alpha = alpha_of_numbers(ratings)
        if alpha is not None:
            return alpha
    items = _as_items(ratings, classes)
    return float(alpha_from(sum_coincidences(items).sum(axis=0), level=level, classes=items.classes))


def fleiss_kappa(ratings: Ratings | ItemCounts | ArrayLike, *, classes: Sequence[Any] | None = None) -> float:
    """Fleiss' kappa, for any number of ratings per item; NaN where undefined.

    Agreement is the mean over items with two ratings or more; the share of a class is its mean over items with any.
    With as many ratings for each item this is Fleiss' formula.

    Parameters
    ----------
    ratings, classes : as for `krippendorff_alpha`

    References
    ----------
    J. L. Fleiss, Measuring nominal scale agreement among many raters. Psychological Bulletin 76, 378–382 (1971).

    Examples
    --------
    >>> round(fleiss_kappa([["a", "a", "a"], ["a", "b", "b"], ["b", "b", "b"]]), 3)
    0.55
    """
    sums = sum_over_groups(_as_items(ratings, classes))
    return float(fleiss_from(sums.pairs[0], sums.shares[0]))


def gwet_ac(
    ratings: Ratings | ItemCounts | ArrayLike, *, weights: Weights = None, classes: Sequence[Any] | None = None
) -> float:
    """Gwet's AC1, or with `weights` AC2; NaN where undefined.

    Parameters
    ----------
    ratings : as for `krippendorff_alpha`
    weights : None for AC1; "linear" or "quadratic" in the places of the classes, or disagreement of every two classes
        (n_classes, n_classes), zero on the diagonal
    classes : (n_classes,) all that could have been chosen, in order; default: those that occur, sorted
        The number of classes matters: a class that nobody chose lowers chance agreement.

    References
    ----------
    K. L. Gwet, Computing inter-rater reliability and its variance in the presence of high agreement. British Journal
    of Mathematical and Statistical Psychology 61, 29–48 (2008).

    Examples
    --------
    >>> round(gwet_ac([["a", "a", "a"], ["a", "b", "b"], ["b", "b", "b"]]), 3)
    0.561
    """
    sums = sum_over_groups(_as_items(ratings, classes))
    return float(gwet_from(sums.pairs[0], sums.shares[0], weights=weights))


def percent_agreement(
    ratings: Ratings | ItemCounts | ArrayLike, *, weights: Weights = None, classes: Sequence[Any] | None = None
) -> float:
    """Share of the pairs of ratings of an item that agree, meaned over items; NaN where no item has two.

    Parameters
    ----------
    ratings, weights, classes : as for `gwet_ac`

    Examples
    --------
    >>> round(percent_agreement([["a", "a", "a"], ["a", "b", "b"], ["b", "", ""]]), 3)
    0.667
    """
    return float(percent_from(sum_over_groups(_as_items(ratings, classes)).pairs[0], weights=weights))


def cohen_kappa(
    first: ArrayLike, second: ArrayLike, *, weights: Weights = None, classes: Sequence[Any] | None = None
) -> float:
    """Cohen's kappa of two raters, over the items that both rated; NaN where undefined.

    Parameters
    ----------
    first, second : (n_items,) labels; NaN, None and "" are missing
    weights : None, "linear" or "quadratic" in the places of the classes, or disagreement of every two classes
        (n_classes, n_classes), zero on the diagonal
    classes : (n_classes,) in order; default: sorted

    Raises
    ------
    ValueError
        If the two differ in length, or a label is not among `classes`.

    References
    ----------
    J. Cohen, Weighted kappa. Psychological Bulletin 70, 213–220 (1968).

    Examples
    --------
    >>> round(cohen_kappa(["a", "a", "b", "b"], ["a", "b", "b", "b"]), 3)
    0.5
    """
    one, other = np.asarray(first), np.asarray(second)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"two raters give one label per item each; got {one.shape} and {other.shape}")
    counted = count_pairs(np.stack([one, other], axis=1), classes=classes)
    return float(kappa_from(counted.tables[0, 0], weights=weights))


def _as_items(ratings: Ratings | ItemCounts | ArrayLike, classes: Sequence[Any] | None) -> ItemCounts:
    return ratings if isinstance(ratings, ItemCounts) else count_items(ratings, classes=classes)
