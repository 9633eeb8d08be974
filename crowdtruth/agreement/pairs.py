"""Tables of every two raters, by group of items."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdtruth._kernels import coincidence
from crowdtruth.agreement.counts import encode_matrix
from crowdtruth.agreement.formulas import Floats, Weights, kappa_from

_MOST_CELLS = 256  # of a table of two raters whose cells are numbered by a byte


@dataclass(frozen=True)
class PairCounts:
    """What two raters called the items that both rated, for several pairs of raters."""

    pairs: NDArray[np.intp]  # (n_pairs, 2) columns of the matrix of labels
    tables: NDArray[np.int32]  # (n_pairs, n_groups, n_classes, n_classes): label of the first, of the second
    n_rated: NDArray[np.int64]  # (n_raters,) items that each rated
    classes: NDArray[Any]  # (n_classes,)


def count_pairs(
    labels: ArrayLike,
    *,
    pairs: ArrayLike | None = None,
    group: ArrayLike | None = None,
    n_groups: int | None = None,
    classes: Sequence[Any] | None = None,
) -> PairCounts:
    """Tables of pairs of raters.

    Parameters
    ----------
    labels : (n_items, n_raters) numbers or text; NaN, None and "" are missing
    pairs : (n_pairs, 2) columns of `labels`; default: every two, the smaller column first
    group : (n_items,) codes from 0, such as the FOV of each item; default: one group for all
    n_groups : default: one more than the largest code
    classes : (n_classes,) in order; default: sorted

    Raises
    ------
    ValueError
        If `labels` is not a matrix, a label is not among `classes`, there is not one group per item, or a pair names a
        column that is not there.

    Examples
    --------
    >>> count_pairs([["a", "a"], ["a", "b"], ["b", ""]]).tables[0, 0]
    array([[1, 1],
           [0, 0]], dtype=int32)
    """
    codes, names = encode_matrix(labels, classes=classes)
    n_raters = codes.shape[1]
    columns = np.array(list(combinations(range(n_raters), 2)) if pairs is None else pairs, dtype=np.intp).reshape(-1, 2)
    if len(columns) and not 0 <= columns.min() <= columns.max() < n_raters:
        raise ValueError(f"pairs name columns from 0 to {n_raters - 1}; got {columns.min()} to {columns.max()}")
    tables = count_tables(codes, len(names), columns, group=group, n_groups=n_groups)
    return PairCounts(columns, tables, (codes < len(names)).sum(axis=0), names)


def count_tables(
    codes: NDArray[np.integer[Any]],
    n_classes: int,
    pairs: NDArray[np.intp],
    *,
    group: ArrayLike | None = None,
    n_groups: int | None = None,
) -> NDArray[np.int32]:
    """Tables (n_pairs, n_groups, n_classes, n_classes) of codes (n_items, n_raters), n_classes where missing."""
    order, starts = _by_group(group, len(codes), n_groups)
    by_rater = np.ascontiguousarray(codes.T if order is None else codes[order].T)
    n_cells = (n_classes + 1) ** 2
    kind = np.dtype(np.uint8 if n_cells <= _MOST_CELLS else np.int64)  # a byte is read fastest
    scaled = np.multiply(by_rater, n_classes + 1, dtype=kind, casting="unsafe")
    tables = np.empty((len(pairs), len(starts) - 1, n_classes, n_classes), dtype=np.int32)
    scratch = np.empty((4, n_cells), dtype=np.int32)
    for table, (first, second) in zip(tables, pairs, strict=True):
        coincidence.count_two_raters(scaled[first], by_rater[second], starts, scratch, table)
    return tables


def _by_group(
    group: ArrayLike | None, n_items: int, n_groups: int | None
) -> tuple[NDArray[np.intp] | None, NDArray[np.intp]]:
    """Items in the order of their groups (None: as they are) and the first place of each group and the end."""
    if group is None:
        return None, np.array([0, n_items])
    codes = np.asarray(group, dtype=np.intp)
    if codes.shape != (n_items,):
        raise ValueError(f"every item needs its group: got {codes.shape} codes for {n_items} items")
    sizes = np.bincount(codes, minlength=n_groups or 0)
    if n_groups is not None and len(sizes) > n_groups:
        raise ValueError(f"groups have codes from 0 to {n_groups - 1}; got {codes.max()}")
    return np.argsort(codes, kind="stable"), np.concatenate([[0], np.cumsum(sizes)])


def pairwise_kappa(
    labels: ArrayLike, *, weights: Weights = None, classes: Sequence[Any] | None = None, min_overlap: int = 1
) -> tuple[Floats, NDArray[np.int64]]:
    """Cohen's kappa of every two raters, over the items that both rated.

    Parameters
    ----------
    labels, classes : as for `count_pairs`
    weights : as for `cohen_kappa`
    min_overlap : fewer shared items than this give NaN

    Returns
    -------
    kappa (n_raters, n_raters) and number of shared items (n_raters, n_raters)
        Symmetric. On the diagonal: 1, and the items the rater rated.

    Examples
    --------
    >>> kappa, shared = pairwise_kappa([["a", "a"], ["a", "b"], ["b", "b"], ["b", ""]])
    >>> kappa.round(2), shared
    (array([[1. , 0.4],
           [0.4, 1. ]]), array([[4, 3],
           [3, 3]]))
    """
    counted = count_pairs(labels, classes=classes)
    tables = counted.tables[:, 0]
    kappa, shared = np.eye(len(counted.n_rated)), np.diag(counted.n_rated)
    first, second = counted.pairs.T
    n_shared = tables.sum(axis=(1, 2))
    shared[first, second] = shared[second, first] = n_shared
    value = np.where(n_shared >= min_overlap, kappa_from(tables, weights=weights), np.nan)
    kappa[first, second] = kappa[second, first] = value
    return kappa, shared
