"""The arguments of the estimators, checked and turned into arrays: ratings, gold, starts, pseudo-counts."""

import reprlib
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crowdtruth.arguments import check_several
from crowdtruth.ratings import EncodedRatings, Ratings, encode_ratings
from crowdtruth.truth.expectation import SparseRatings, Table, even_errors, sparse_ratings, table_of

RatingsLike = pd.DataFrame | Ratings | EncodedRatings
Gold = Mapping[Any, Any] | pd.Series | NDArray[np.integer[Any]]

PRIOR_QUALITY = 0.7
"""Pseudo-counts are spread like the ratings of a rater who is right this often."""

MAX_PSEUDO_COUNTS = 1e15
"""Beside more than these, a double does not notice a rating."""

_SUM_TOLERANCE = 1e-6


def encode(
    ratings: RatingsLike, classes: Sequence[Any] | None, gold: Gold | None
) -> tuple[EncodedRatings, SparseRatings]:
    """Names and codes of the ratings, and the ratings in item order with the known classes among them."""
    encoded = _with_names(ratings, classes)
    codes = encoded.ratings
    if codes.n_items == 0 or codes.n_classes == 0:
        raise ValueError(
            f"inference needs at least one item and one class, got {codes.n_items} items and {codes.n_classes} classes"
        )
    return encoded, sparse_ratings(codes, None if gold is None else gold_codes(gold, encoded))


def _with_names(ratings: RatingsLike, classes: Sequence[Any] | None) -> EncodedRatings:
    """Ratings with the names of their codes; integer codes are their own names."""
    check_several("classes", classes)
    if isinstance(ratings, pd.DataFrame):
        return encode_ratings(ratings, classes=classes)
    if isinstance(ratings, Ratings):
        sizes = (ratings.n_items, ratings.n_raters, ratings.n_classes)
        ratings = EncodedRatings(ratings, *(np.arange(size) for size in sizes))
    if not isinstance(ratings, EncodedRatings):
        raise TypeError(f"ratings must be a DataFrame, Ratings or EncodedRatings, got {type(ratings).__name__}")
    if classes is None:
        return ratings
    if len(classes) != ratings.ratings.n_classes:
        raise ValueError(f"the ratings have {ratings.ratings.n_classes} classes, but {len(classes)} names came")
    return EncodedRatings(ratings.ratings, ratings.items, ratings.raters, np.asarray(list(classes), dtype=object))


def gold_codes(gold: Gold, encoded: EncodedRatings) -> NDArray[np.int64]:
    """Known class of each item, (n_items,), -1 where unknown; from names, or from codes as they are."""
    if isinstance(gold, (Mapping, pd.Series)):
        given = dict(gold)
        item_codes = {name: code for code, name in enumerate(encoded.items)}
        class_codes = {name: code for code, name in enumerate(encoded.classes)}
        for kind, names, known in (("items", given, item_codes), ("classes", given.values(), class_codes)):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise ValueError(
                    f"gold has {kind} that the ratings lack: {unknown[:20]} ({len(unknown)} of {len(given)})"
                )
        codes = np.full(len(encoded.items), -1)
        codes[[item_codes[name] for name in given]] = [class_codes[name] for name in given.values()]
        return codes
    codes = np.asarray(gold)
    if codes.shape != (len(encoded.items),) or codes.dtype.kind not in "iu":
        raise ValueError(
            f"gold codes need one integer for each of {len(encoded.items)} items, got {codes.dtype} {codes.shape}"
        )
    if len(codes) and not -1 <= codes.min() <= codes.max() < len(encoded.classes):
        raise ValueError(f"gold codes must lie in -1 … {len(encoded.classes) - 1}, got {codes.min()} … {codes.max()}")
    return codes


def start_table(sparse: SparseRatings, start: float | str | ArrayLike) -> Table:
    """Initial parameters: even errors at a quality, or a given confusion; with uniform prevalence.

    For "votes" a uniform table, which stays where the votes say nothing.
    """
    n_classes = sparse.n_classes
    prevalence = np.full(n_classes, 1 / n_classes)
    if isinstance(start, str):
        if start != "votes":
            raise ValueError(f"start must be a quality, 'votes' or a confusion, got {start!r}")
        return table_of(sparse, np.full((n_classes, n_classes), 1 / n_classes), prevalence)
    try:
        confusion = np.asarray(start, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"start must be a quality, 'votes' or a confusion, got {reprlib.repr(start)}") from error
    if confusion.ndim == 0:
        if isinstance(start, bool) or not 0 < confusion <= 1:
            raise ValueError(f"start, an initial quality, must lie in (0, 1], got {start!r}")
        confusion = even_errors(confusion, n_classes)
    _check_confusion(confusion, sparse)
    return table_of(sparse, confusion, prevalence)


def _check_confusion(confusion: NDArray[np.float64], sparse: SparseRatings) -> None:
    """Raise unless these are probabilities of the right shape whose rows sum to one."""
    one = (sparse.n_classes, sparse.n_classes)
    if confusion.shape not in (one, (sparse.n_raters, *one)):
        raise ValueError(
            f"a given confusion has the shape {one} or {(sparse.n_raters, *one)} [rater, true, assigned], "
            f"got {confusion.shape}"
        )
    sums = confusion.sum(axis=-1)
    wrong = ~(np.abs(sums - 1) <= _SUM_TOLERANCE) | ~(confusion >= 0).all(axis=-1)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"rows of a confusion are probabilities that sum to one; row {place} is {confusion[place].tolist()} "
            f"({wrong.sum()} of {wrong.size} rows are wrong)"
        )


def pseudo_table(sparse: SparseRatings, pseudo_counts: float) -> Table:
    """Pseudo-counts in the layout of the M-step, (n_classes + 1, n_lanes): last row, the prevalence's."""
    n_classes = sparse.n_classes
    table = np.zeros((n_classes + 1, sparse.n_lanes))
    table[:n_classes, :n_classes] = pseudo_counts * even_errors(PRIOR_QUALITY, n_classes).T
    table[n_classes, :n_classes] = pseudo_counts
    return table


def check_fit_arguments(n_iter: int, tolerance: float, pseudo_counts: float) -> None:
    """Raise unless there is an iteration to do, and tolerance and pseudo-counts are numbers to calculate with."""
    if not isinstance(n_iter, Integral) or isinstance(n_iter, bool) or n_iter < 1:
        raise ValueError(f"n_iter must be a whole number from 1 on, got {n_iter!r}")
    if not _is_number(tolerance) or not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number from 0 on, got {tolerance!r}")
    if not _is_number(pseudo_counts) or not 0 <= pseudo_counts <= MAX_PSEUDO_COUNTS:
        raise ValueError(f"pseudo_counts must be a number from 0 to {MAX_PSEUDO_COUNTS:g}, got {pseudo_counts!r}")


def _is_number(value: Any) -> bool:
    """Whether this is a real number, and no truth value."""
    return isinstance(value, Real) and not isinstance(value, bool)
