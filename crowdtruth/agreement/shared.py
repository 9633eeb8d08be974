"""What two raters called the anchors that both rated: for many pairs of raters, in bounded memory.

A pair is resampled over the FOVs (slides, tasks) in which the two share an anchor, so its interval is the same alone as
among thousands, and other raters' FOVs add nothing to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crowdtruth.resampling import TASK_GROUPS, task_groups

Codes = NDArray[np.integer[Any]]
Labels = tuple[Codes, Codes, Codes, Codes]
"""Pair, group and two labels of shared anchors, (n_shared,) each."""

_MOST_SHARED = 2**21  # labels of shared anchors that are held at a time
_MOST_PAIRS = 256  # that are resampled together: their replicates fit the processor's memory


@dataclass(frozen=True)
class SharedLabels:
    """Labels of the anchors that the two of each pair share, pair by pair."""

    pair: Codes  # (n_shared,) sorted
    group: Codes  # (n_shared,) what is resampled; sorted within a pair
    first: Codes  # (n_shared,) label of the first rater
    second: Codes  # (n_shared,)
    n_pairs: int

    def below(self, n_classes: int) -> Self:
        """Those of anchors that both called one of the first classes."""
        seen = (self.first < n_classes) & (self.second < n_classes)
        return type(self)(self.pair[seen], self.group[seen], self.first[seen], self.second[seen], self.n_pairs)

    def batches(self, *, are_tasks: bool) -> Iterator[tuple[NDArray[np.intp], int, Self]]:
        """Pairs that share anchors of equally many groups, some at a time.

        Yields the pairs (n,), their number of groups, and their labels with pairs and groups numbered from 0. Tasks are
        groups of their own, dealt into at most `TASK_GROUPS`.
        """
        group, n_groups = own_groups(self.pair, self.group, self.n_pairs)
        if are_tasks:
            group = task_groups(int(n_groups.max(initial=0)))[group]
            n_groups = np.minimum(n_groups, TASK_GROUPS)
        by_size = np.argsort(n_groups, kind="stable")
        place = np.empty(self.n_pairs, dtype=np.intp)
        place[by_size] = np.arange(self.n_pairs)
        order = np.argsort(place[self.pair], kind="stable")
        pair = place[self.pair][order]
        for begin, end in _runs(n_groups[by_size]):
            own = order[slice(*np.searchsorted(pair, [begin, end]))]
            labels = type(self)(
                place[self.pair[own]] - begin, group[own], self.first[own], self.second[own], end - begin
            )
            yield by_size[begin:end], int(n_groups[by_size[begin]]), labels


def own_groups(row: Codes, group: Codes, n_rows: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Groups numbered from 0 in each row, (n,), and how many each row has, (n_rows,); sorted by row, then group."""
    is_new = np.ones(len(row), dtype=np.bool_)
    is_new[1:] = (row[1:] != row[:-1]) | (group[1:] != group[:-1])
    n_groups = np.bincount(row[is_new], minlength=n_rows)
    before = np.cumsum(n_groups) - n_groups
    return np.cumsum(is_new) - 1 - before[row], n_groups


def _runs(sizes: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Begin and end of each run of equal sizes above 0, at most `_MOST_PAIRS` long; sorted."""
    bounds = [*np.flatnonzero(np.diff(sizes, prepend=0)), len(sizes)]
    for first, last in pairwise(bounds):
        for begin in range(first, last, _MOST_PAIRS):
            yield begin, min(begin + _MOST_PAIRS, last)


def shared_labels(
    by_rater: Codes, group: NDArray[np.intp], n_classes: int, pairs: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], SharedLabels]]:
    """What the two of each pair called the anchors they share, some pairs at a time.

    by_rater (n_raters, n_anchors) has the code n_classes where a label is missing; group (n_anchors,) is sorted. Yields
    rows of `pairs`, each row once, and their labels with pairs numbered from 0.
    """
    rows: list[NDArray[np.intp]] = []
    found: list[Labels] = []
    n_shared = 0
    for some, labels in _by_first(by_rater, group, n_classes, pairs):
        rows.append(some)
        found.append(labels)
        n_shared += len(labels[0])
        if n_shared >= _MOST_SHARED:
            yield _joined(rows, found)
            rows, found, n_shared = [], [], 0
    if rows:
        yield _joined(rows, found)


def _by_first(
    by_rater: Codes, group: NDArray[np.intp], n_classes: int, pairs: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], Labels]]:
    """Rows of pairs with the same first rater; of their shared anchors the place in the rows, group and two labels."""
    for first in np.unique(pairs[:, 0]):
        rated = np.flatnonzero(by_rater[first] < n_classes)
        rows = np.flatnonzero(pairs[:, 0] == first)
        step = max(1, _MOST_SHARED // max(1, len(rated)))
        for begin in range(0, len(rows), step):
            some = rows[begin : begin + step]
            others = by_rater[np.ix_(pairs[some, 1], rated)]
            place, at = np.nonzero(others < n_classes)
            anchor = rated[at]
            yield some, (place, group[anchor], by_rater[first, anchor], others[place, at])


def _joined(rows: list[NDArray[np.intp]], found: list[Labels]) -> tuple[NDArray[np.intp], SharedLabels]:
    """Several sets of rows as one, their pairs numbered through."""
    before = np.cumsum([0, *map(len, rows)])
    pair = np.concatenate([labels[0] + n for labels, n in zip(found, before, strict=False)])
    group, first, second = (np.concatenate([labels[column] for labels in found]) for column in (1, 2, 3))
    return np.concatenate(rows), SharedLabels(pair, group, first, second, int(before[-1]))
