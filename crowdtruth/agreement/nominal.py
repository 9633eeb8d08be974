"""Nominal coefficients from fewer sums: what disagrees, and how often each class was given.

The coincidences of K classes are K² numbers; the nominal coefficients of `agreement_table` need only K + 1 of them. A
replicate of a bootstrap is so much cheaper, and unanimous items add an exact zero to what disagrees.
"""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdtruth._kernels import coincidence
from crowdtruth.agreement.counts import ItemCounts, ratings_in_bytes
from crowdtruth.agreement.formulas import Floats, beyond_chance, nonzero
from crowdtruth.metrics import ratio

STATISTICS = ("alpha", "fleiss_kappa", "ac1", "percent_agreement")


class NominalSums(NamedTuple):
    """Sums over the items of each group; n[i, c] ratings of item i by class c, m[i] in all.

    Items with one rating count in `shares` alone.
    """

    disagreed: Floats  # (n_groups, ...) Σ (m² − Σ n[c]²) / (m − 1)
    ratings: Floats  # (n_groups, ..., n_classes) Σ n[c]
    unlike: Floats  # (n_groups, ...) Σ (m² − Σ n[c]²) / (m (m − 1))
    items: Floats  # (n_groups, ...) items with two ratings or more
    shares: Floats  # (n_groups, ..., n_classes) Σ n[c] / m

    @classmethod
    def of(cls, items: ItemCounts, group: NDArray[np.intp], n_groups: int) -> Self:
        """Sums by group (n_items,) of codes from 0."""
        counts, total = items.counts.astype(np.int64), items.total
        is_paired = total > 1
        unlike = (total**2 - (counts**2).sum(axis=1)) / np.maximum(total - 1, 1)
        return cls(
            _by_group(unlike * is_paired, group, n_groups),
            _by_group(counts * is_paired[:, None], group, n_groups),
            _by_group(unlike * is_paired / np.maximum(total, 1), group, n_groups),
            _by_group(is_paired.astype(float), group, n_groups),
            _by_group(counts / np.maximum(total, 1)[:, None], group, n_groups),
        )


def _by_group(values: NDArray[Any], group: NDArray[np.intp], n_groups: int) -> Floats:
    """Sums of (n_items, ...) values by group: (n_groups, ...)."""
    columns = int(np.prod(values.shape[1:]))
    cell = group[:, None] * columns + np.arange(columns)
    sums = np.bincount(cell.ravel(), np.asarray(values, float).ravel(), minlength=n_groups * columns).astype(float)
    return sums.reshape(n_groups, *values.shape[1:])


def nominal_statistics(disagreed: Floats, ratings: Floats, unlike: Floats, items: Floats, shares: Floats) -> Floats:
    """The values of `STATISTICS` of sums as in `NominalSums`, (...) -> (..., 4); NaN where undefined.

    Examples
    --------
    >>> values = nominal_statistics(2.0, [3.0, 3.0], 1.0, 3.0, [1.5, 1.5])
    >>> dict(zip(STATISTICS, values.round(3).tolist()))
    {'alpha': 0.444, 'fleiss_kappa': 0.333, 'ac1': 0.333, 'percent_agreement': 0.667}
    """
    shares = np.asarray(shares, float)
    agreed = 1 - ratio(unlike, items)
    share = shares / nonzero(shares.sum(axis=-1, keepdims=True))
    same = (share**2).sum(axis=-1)
    spread = (share * (1 - share)).sum(axis=-1) / max(share.shape[-1] - 1, 1)
    alpha = nominal_alpha(disagreed, ratings)
    return np.stack([alpha, beyond_chance(agreed, same), beyond_chance(agreed, spread), agreed], axis=-1)


def nominal_alpha(disagreed: ArrayLike, ratings: ArrayLike) -> Floats:
    """Krippendorff's nominal alpha of sums as in `NominalSums`: (...) and (..., n_classes) -> (...)."""
    given = np.asarray(ratings, float)
    total = np.einsum("...c->...", given)
    return 1 - ratio((total - 1) * disagreed, total**2 - np.einsum("...c,...c->...", given, given))


def alpha_of_numbers(matrix: NDArray[Any]) -> float | None:
    """Nominal alpha of labels (n_items, n_raters) that are whole numbers from 0 to 62; None for others.

    No table of counts is made: ratings of an item by class are bytes of a word, what disagrees is added up by the
    number of ratings.
    """
    words = ratings_in_bytes(matrix)
    if words is None:
        return None
    unlike, given = np.zeros(256, dtype=np.int64), np.zeros(8 * len(words), dtype=np.int64)
    coincidence.add_unlike(words, unlike, given)
    return float(nominal_alpha((unlike[2:] / np.arange(1, 255)).sum(), given))


def why_no_value(ratings: Floats) -> str:
    """Why alpha has no value, as `why_undefined`, from the ratings (n_classes,) that can be paired."""
    n_given = np.count_nonzero(ratings)
    return "" if n_given > 1 else "one class" if n_given else "no pairs"
