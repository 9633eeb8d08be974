"""Ratings in any form → ratings of each item by class → the sums that coefficients are made of.

Every coefficient of several raters is a function of sums over items. Kept by group of items (FOV, slide), these sums
are what a bootstrap resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crowdtruth._kernels import coincidence
from crowdtruth._kernels._simd import WIDTHS, lanes_of
from crowdtruth.ratings import Ratings

_MOST_CODES = 254  # classes of a matrix of bytes, with a missing label beside them
_MOST_RATERS = 255  # whose ratings of an item are counted in a byte
_MISSING = 63  # the code of NaN among whole numbers


@dataclass(frozen=True)
class ItemCounts:
    """How many raters gave each label to each item."""

    counts: NDArray[np.int32]  # (n_items, n_classes)
    total: NDArray[np.int64]  # (n_items,) ratings of each item
    classes: NDArray[Any]  # (n_classes,)


@dataclass(frozen=True)
class AgreementCounts:
    """Sums over the items of each group, from which coefficients of several raters follow.

    With n[i, c] ratings of item i by class c and m[i] in all:

    coincidences : Σ n[i, c] (n[i, k] − [c = k]) / (m[i] − 1), Krippendorff's: an item counts by its ratings
    pairs : Σ n[i, c] (n[i, k] − [c = k]) / (m[i] (m[i] − 1)): every item with two ratings or more counts 1
    shares : Σ n[i, c] / m[i]: every item with a rating counts 1
    """

    coincidences: NDArray[np.float64]  # (n_groups, n_classes, n_classes)
    pairs: NDArray[np.float64]  # (n_groups, n_classes, n_classes)
    shares: NDArray[np.float64]  # (n_groups, n_classes)


def count_items(ratings: Ratings | ArrayLike, *, classes: Sequence[Any] | None = None) -> ItemCounts:
    """Ratings of each item by class.

    Parameters
    ----------
    ratings : (n_items, n_raters) labels, or `Ratings`
        One row per item, one column per rater, as numbers or text. NaN, None and "" are missing. Every rating of
        `Ratings` counts, repeats by one rater too.
    classes : (n_classes,)
        In the order of the columns; default: the labels that occur, sorted, or the codes of `Ratings`.

    Raises
    ------
    ValueError
        If an array is not two-dimensional, a label is not among `classes`, or their number is not that of `Ratings`.

    Examples
    --------
    >>> count_items([["a", "b"], ["b", "b"], ["", "a"]]).counts
    array([[1, 1],
           [0, 2],
           [1, 0]], dtype=int32)
    """
    if isinstance(ratings, Ratings):
        names = np.arange(ratings.n_classes) if classes is None else as_names(classes)
        if len(names) != ratings.n_classes:
            raise ValueError(f"the ratings have codes of {ratings.n_classes} classes, {len(names)} names are given")
        counts = np.zeros((ratings.n_items, ratings.n_classes), dtype=np.int32)
        coincidence.count_ratings(ratings.item, ratings.label, counts)
        return ItemCounts(counts, np.bincount(ratings.item, minlength=ratings.n_items), names)
    matrix = as_matrix(ratings)
    counted = _count_whole_numbers(matrix) if classes is None else None
    if counted is not None:
        return counted
    codes, names = encode_matrix(matrix, classes=classes)
    counts = np.zeros((len(codes), len(names) + 1), dtype=np.int32)
    coincidence.count_matrix(codes, counts)
    return _without_missing(counts, matrix.shape[1], names)


def as_matrix(labels: ArrayLike) -> NDArray[Any]:
    """Labels as an array (n_items, n_raters)."""
    matrix = labels.to_numpy() if isinstance(labels, pd.DataFrame) else np.asarray(labels)
    if matrix.ndim != 2:
        raise ValueError(f"labels come as a matrix, one row per item and one column per rater; got {matrix.shape}")
    return matrix


def _count_whole_numbers(matrix: NDArray[Any]) -> ItemCounts | None:
    """Ratings by class of small whole numbers, eight classes at a time; None for others or too many raters."""
    words = ratings_in_bytes(matrix)
    if words is None:
        return None
    counts = np.concatenate([word.view(np.uint8).reshape(-1, 8) for word in words], axis=1)
    classes = np.flatnonzero(counts.any(axis=0))
    counts = counts[:, classes].astype(np.int32)
    return ItemCounts(counts, np.einsum("ic->i", counts).astype(np.int64), classes)


def ratings_in_bytes(matrix: NDArray[Any]) -> NDArray[np.uint64] | None:
    """Ratings (n_items, n_raters) of class 8 w + c of each item in byte c of word w: (n_words, n_items).

    None if a label is no whole number from 0 to 62, or ratings of an item do not fit a byte.
    """
    if matrix.dtype.kind not in "iuf" or matrix.shape[1] > _MOST_RATERS:
        return None
    count = coincidence.count_rows_in_bytes if matrix.flags.c_contiguous else coincidence.count_in_bytes
    words = np.empty((1, len(matrix)), dtype="<u8")
    most = int(count(matrix, 0, words[0]))
    if most >= _MISSING:
        return None
    if most >= 8:
        words = np.concatenate([words, np.empty((most // 8, len(matrix)), dtype="<u8")])
    for w in range(1, len(words)):
        count(matrix, 8 * w, words[w])
    return words


def _without_missing(counts: NDArray[np.int32], n_raters: int, classes: NDArray[Any]) -> ItemCounts:
    """Item counts from (n_items, n_classes + 1) counts with the missing labels in the last column."""
    return ItemCounts(counts[:, :-1], n_raters - counts[:, -1].astype(np.int64), classes)


def encode_matrix(
    labels: ArrayLike, *, classes: Sequence[Any] | None = None
) -> tuple[NDArray[np.integer[Any]], NDArray[Any]]:
    """Codes of a matrix of labels and the classes behind them.

    Parameters
    ----------
    labels : (n_items, n_raters) numbers or text; NaN, None and "" are missing
    classes : (n_classes,) in the order of their codes; default: sorted, all that occur are among them

    Returns
    -------
    (n_items, n_raters) codes and (n_classes,) classes
        A missing label has the code n_classes.

    Raises
    ------
    ValueError
        If `labels` is not a matrix, or a label is not among `classes`.

    Examples
    --------
    >>> encode_matrix([[1, 3], [np.nan, 2]])
    (array([[0, 2],
           [3, 1]], dtype=uint8), array([1, 2, 3]))
    """
    matrix = as_matrix(labels)
    if classes is None and matrix.dtype.kind in "iuf" and matrix.size:
        whole = _whole_number_codes(matrix)
        if whole is not None:
            return whole
    codes, names = _factorize(matrix)
    if classes is not None:
        codes, names = _recode(codes, names, classes)
    kind = np.uint8 if len(names) <= _MOST_CODES else np.int32
    coded: NDArray[Any] = np.where(codes < 0, len(names), codes).astype(kind)
    return coded.reshape(matrix.shape), names


def _whole_number_codes(matrix: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[Any]] | None:
    """Codes and classes of whole numbers from 0 to 62, in the memory order of `matrix`; None for others."""
    is_transposed = matrix.flags.f_contiguous and not matrix.flags.c_contiguous
    values = (matrix.T if is_transposed else matrix).ravel()
    codes = np.empty(values.size, dtype=np.uint8)
    if not coincidence.codes_of_whole_numbers(values, codes):
        return None
    seen = int(coincidence.codes_seen(codes))
    classes = np.array([c for c in range(_MISSING) if seen >> c & 1], dtype=np.int64)
    n_classes = len(classes)
    if n_classes and classes[-1] != n_classes - 1:
        place = np.full(_MISSING + 1, n_classes, dtype=np.uint8)
        place[classes] = np.arange(n_classes)
        codes = place[codes]
    else:
        np.putmask(codes, codes == _MISSING, n_classes)
    return codes.reshape(matrix.shape[::-1]).T if is_transposed else codes.reshape(matrix.shape), classes


def _factorize(matrix: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Codes (n,) of all labels, -1 where missing, and the labels in order."""
    flat = matrix.ravel()
    if flat.dtype.kind in "OUS":
        flat = flat.astype(object)
        flat[np.array([isinstance(label, str) and not label.strip() for label in flat], dtype=bool)] = None
    codes, names = pd.factorize(flat, sort=True)
    return codes, np.asarray(names)


def _recode(
    codes: NDArray[np.intp], names: NDArray[Any], classes: Sequence[Any]
) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Codes by place in `classes` instead of in `names`."""
    place = {name: code for code, name in enumerate(classes)}
    if len(place) != len(classes):
        raise ValueError(f"every class once, please: got {list(classes)}")
    unknown = [name for name in names.tolist() if name not in place]
    if unknown:
        raise ValueError(f"labels outside the classes {list(classes)}: {unknown[:20]}")
    target = np.array([place[name] for name in names.tolist()] + [-1], dtype=np.intp)
    return target[codes], as_names(classes)


def as_names(classes: Sequence[Any]) -> NDArray[Any]:
    """Classes as an array: numbers stay numbers, text is Python text."""
    names = np.asarray(classes)
    return names if names.dtype.kind in "iufb" else names.astype(object)


def sum_over_groups(items: ItemCounts, group: ArrayLike | None = None, n_groups: int | None = None) -> AgreementCounts:
    """The sums of each group of items.

    Parameters
    ----------
    items : ratings of each item by class
    group : (n_items,) codes from 0, such as the FOV of each item; default: one group for all
    n_groups : default: one more than the largest code

    Raises
    ------
    ValueError
        If there is not one code per item, or a code is negative or too large.

    Examples
    --------
    >>> sums = sum_over_groups(count_items([["a", "b", "b"], ["b", "b", ""]]))
    >>> sums.coincidences[0]
    array([[0., 1.],
           [1., 3.]])
    """
    coincidences, total, codes = _sum_coincidences(items, group, n_groups)
    shares = np.zeros(coincidences.shape[:2])
    pairs = _sum_pairs(items, _pair_factor(total) / np.maximum(total, 1), codes, len(coincidences))
    coincidence.add_shares(items.counts, total, codes, shares)
    return AgreementCounts(coincidences, pairs, shares)


def sum_coincidences(
    items: ItemCounts, group: ArrayLike | None = None, n_groups: int | None = None
) -> NDArray[np.float64]:
    """Krippendorff's coincidences of each group, (n_groups, n_classes, n_classes); else as `sum_over_groups`."""
    return _sum_coincidences(items, group, n_groups)[0]


def _sum_coincidences(
    items: ItemCounts, group: ArrayLike | None, n_groups: int | None
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.intp]]:
    """Coincidences by group, ratings (n_items,) and group (n_items,) of each item."""
    n_items = len(items.counts)
    codes = np.zeros(n_items, dtype=np.intp) if group is None else np.asarray(group, dtype=np.intp)
    if codes.shape != (n_items,):
        raise ValueError(f"every item needs its group: got {codes.shape} codes for {n_items} items")
    most = int(codes.max(initial=-1)) + 1
    size = max(most, 1 if group is None else 0) if n_groups is None else n_groups
    if codes.min(initial=0) < 0 or most > size:
        raise ValueError(f"groups have codes from 0 to {size - 1}; got {codes.min(initial=0)} to {most - 1}")
    return _sum_pairs(items, _pair_factor(items.total), codes, size), items.total, codes


def _sum_pairs(
    items: ItemCounts, factor: NDArray[np.float64], group: NDArray[np.intp], n_groups: int
) -> NDArray[np.float64]:
    """Pairs of ratings within items times the factor of each item, (n_groups, n_classes, n_classes)."""
    n_classes = items.counts.shape[1]
    width = next((width for width in WIDTHS if width >= n_classes), None)
    if width is None:
        pairs = np.zeros((n_groups, n_classes, n_classes))
        coincidence.add_pairs(items.counts, factor, group, pairs)
        return pairs
    squares, sums = np.zeros((n_groups * width, width)), np.zeros((n_groups, width))
    coincidence.add_squares(items.counts, factor, group, squares, sums, lanes_of(width))
    pairs = squares.reshape(n_groups, width, width)[:, :n_classes, :n_classes].copy()
    pairs[:, np.arange(n_classes), np.arange(n_classes)] -= sums[:, :n_classes]
    return pairs


def _pair_factor(total: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 / (m − 1) for items with m ≥ 2 ratings, else 0: (n_items,)."""
    return np.where(total > 1, 1 / np.maximum(total - 1, 1), 0.0)
