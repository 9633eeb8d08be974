"""Ratings of one cohort under one condition, counted by anchor and class: from a table of ratings, or from marks.

From marks no row is made for who marked nothing: that they were asked is known by FOV, and *undetected* is what is left
of those asked. Marks of a strict clustering threshold lie in so many anchors that their ratings are a large table.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.agreement.counts import ItemCounts, count_items
from crowdtruth.clustering import Located
from crowdtruth.ratings import encode_ratings
from crowdtruth.resampling import Unit, group_codes, task_groups
from crowdtruth.taxonomy import UNDETECTED, Grouping, group_probabilities

Scope = Literal["detection_and_classification", "classification"]
Codes = NDArray[np.integer[Any]]

TASKS = "anchor"
"""What is resampled of a table without FOVs."""


@dataclass(frozen=True)
class CountedRatings:
    """How many raters gave each label to each anchor, and who they are."""

    items: ItemCounts  # of (n_anchors,), `undetected` in the last column
    group: NDArray[np.intp]  # (n_anchors,) FOV or slide of each
    groups: NDArray[Any]  # (n_groups,) their names, sorted
    resampled: str
    marks: tuple[Codes, Codes]  # (n_marks,) anchor and rater of those who marked something
    place: NDArray[np.intp]  # (n_anchors,) where each lies
    asked: tuple[Codes, Codes]  # (n_asked,) place and rater of those who were asked

    @classmethod
    def of_ratings(
        cls, ratings: pd.DataFrame, classes: Sequence[str], fovs: pd.DataFrame | None, resample: Unit
    ) -> Self:
        """Of a ratings table; empty labels are missing, repeats by one rater all count."""
        encoded = encode_ratings(ratings[["anchor", "rater", "label"]], classes=classes)
        rated = encoded.ratings
        group_of, resampled = groups_of_anchors(ratings, fovs, resample)
        group, groups = pd.factorize(group_of.loc[list(encoded.items)], sort=True)
        is_mark = rated.label < rated.n_classes - 1
        return cls(
            items=count_items(rated, classes=classes),
            group=group,
            groups=groups.to_numpy(),
            resampled=resampled,
            marks=(rated.item[is_mark], rated.rater[is_mark]),
            place=np.arange(rated.n_items),
            asked=(rated.item, rated.rater),
        )

    def grouped(self, grouping: Grouping | None) -> ItemCounts:
        """Counts of the classes of a grouping, all of them; None leaves the labels as they are."""
        if grouping is None:
            return self.items
        counts, names = group_probabilities(self.items.counts, list(self.items.classes), grouping)
        return ItemCounts(counts.astype(np.int32), self.items.total, np.array(names, dtype=object))

    def chosen(
        self, items: ItemCounts, scope: Scope, least: int, groups: NDArray[Any] | None = None
    ) -> tuple[ItemCounts, NDArray[np.intp], int]:
        """Anchors that at least so many marked, what is resampled with each of them, and how many of these there are.

        `groups` is a sorted superset of its own.
        """
        chosen = self.is_marked(least)
        seen = in_scope(ItemCounts(items.counts[chosen], items.total[chosen], items.classes), scope)
        group, n_groups = self.group[chosen], len(self.groups)
        if groups is not None:
            group, n_groups = np.searchsorted(groups, self.groups).astype(np.intp)[group], len(groups)
        if self.resampled == TASKS:
            dealt = task_groups(n_groups)
            group, n_groups = dealt[group], int(dealt.max(initial=-1)) + 1
        return seen, group, max(n_groups, 1)  # no anchor: one empty group

    def is_marked(self, least: int) -> NDArray[np.bool_]:
        """Anchors (n_anchors,) that got at least so many labels other than `undetected`."""
        return (self.items.total - self.items.counts[:, -1]) >= least

    def n_raters(self, scope: Scope, least: int) -> int:
        """Raters with a rating in scope on those anchors."""
        chosen = self.is_marked(least)
        where, rater = self.marks
        if scope == "detection_and_classification":
            where, rater = self.asked
            chosen = np.bincount(self.place, chosen, minlength=int(where.max(initial=-1)) + 1) > 0
        return len(np.unique(rater[chosen[where]]))


@dataclass(frozen=True)
class CountedMarks:
    """Marks and assignments as codes, from which any cohort under any condition is counted."""

    anchors: pd.Index  # (n_anchors,) sorted, as in the codes of a ratings table
    fov: NDArray[np.intp]  # (n_anchors,)
    group: NDArray[np.intp]  # (n_anchors,) FOV or slide
    groups: NDArray[Any]  # (n_groups,)
    resampled: str
    marks: tuple[Codes, ...]  # (n_marks,) anchor, rater, condition, label
    asked: tuple[Codes, ...]  # (n_asked,) FOV, rater, condition
    cohort: NDArray[Any]  # (n_raters,)
    conditions: list[str]
    classes: list[str]  # `undetected` last

    @classmethod
    def of(
        cls,
        located: Located,
        assignments: pd.DataFrame,
        raters: pd.DataFrame,
        *,
        fovs: pd.DataFrame | None,
        classes: list[str],
        resample: Unit,
    ) -> Self:
        """Of marks located at one threshold.

        Raises
        ------
        ValueError
            If a mark's rater was not asked in its FOV under its condition, an anchor is unknown, a rater has no cohort.
        """
        anchors, members = located.anchors.sort_values("anchor"), located.members
        fov, fov_names = pd.factorize(anchors["fov"])
        names = pd.Index(raters["rater"])
        conditions = sorted(assignments["condition"].unique())
        anchor = pd.Index(anchors["anchor"])
        codes_of = {"anchor": anchor, "rater": names, "condition": pd.Index(conditions)}
        marks = _codes(members, {**codes_of, "label": pd.Index(classes)}, "member")
        inside = assignments[assignments["fov"].isin(fov_names)]
        asked = _codes(inside.drop_duplicates(), {"fov": pd.Index(fov_names), **_without(codes_of)}, "assignment")
        _check_asked((fov[marks[0]], *marks[1:3]), asked, members)
        group, groups = group_codes(anchors["fov"], fovs, resample)
        cohort = raters["cohort"].to_numpy(dtype=object)
        return cls(anchor, fov, group, groups, resample, _commonest(marks), asked, cohort, conditions, classes)

    def of_cohort(self, cohorts: Collection[str], condition: str, is_kept: NDArray[np.bool_]) -> CountedRatings:
        """Ratings by the raters of some cohorts under a condition of the anchors kept (n_anchors,)."""
        wanted = self.conditions.index(condition)
        is_member = np.isin(self.cohort, list(cohorts))
        asked_fov, asked_rater = (
            codes[is_member[self.asked[1]] & (self.asked[2] == wanted)] for codes in self.asked[:2]
        )
        n_asked = np.bincount(asked_fov, minlength=int(self.fov.max(initial=-1)) + 1)
        anchors = np.flatnonzero(is_kept & (n_asked[self.fov] > 0))
        place = np.full(len(self.fov), -1)
        place[anchors] = np.arange(len(anchors))
        item, rater, given, label = self.marks
        chosen = is_member[rater] & (given == wanted) & (place[item] >= 0)
        item, rater, label = place[item[chosen]], rater[chosen], label[chosen]
        n_classes, total = len(self.classes), n_asked[self.fov[anchors]]
        counts = np.bincount(item * n_classes + label, minlength=len(anchors) * n_classes).reshape(-1, n_classes)
        counts[:, -1] = total - counts.sum(axis=1)
        own, group = np.unique(self.group[anchors], return_inverse=True)
        return CountedRatings(
            items=ItemCounts(counts.astype(np.int32), total, np.array(self.classes, dtype=object)),
            group=group,
            groups=self.groups[own],
            resampled=self.resampled,
            marks=(item, rater),
            place=self.fov[anchors],
            asked=(asked_fov, asked_rater),
        )


def _without(codes_of: dict[str, pd.Index]) -> dict[str, pd.Index]:
    return {name: index for name, index in codes_of.items() if name != "anchor"}


def _codes(table: pd.DataFrame, index: dict[str, pd.Index], what: str) -> tuple[Codes, ...]:
    """Places of the values of each column in its index."""
    found = []
    for column, names in index.items():
        codes = names.get_indexer(pd.Index(table[column]))
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            raise ValueError(f"{what} {row} has the unknown {column} {table[column].iloc[row]!r}")
        found.append(codes)
    return tuple(found)


def _check_asked(marked: tuple[Codes, ...], asked: tuple[Codes, ...], members: pd.DataFrame) -> None:
    """Raise for a mark, (n_marks,) FOV, rater and condition each, whose rater was not asked."""
    size = [
        int(codes.max(initial=0)) + 1 for codes in (np.concatenate(pair) for pair in zip(marked, asked, strict=True))
    ]
    known, wanted = (np.ravel_multi_index(codes, size) for codes in (asked, marked))
    is_lost = ~np.isin(wanted, known)
    if is_lost.any():
        first = members.iloc[int(is_lost.argmax())]
        raise ValueError(
            f"every mark needs an assignment of its rater; anchor {first['anchor']!r} has a mark of rater "
            f"{first['rater']!r} under condition {first['condition']!r}, who was not asked there "
            f"({is_lost.sum()} of {len(members)} marks)"
        )


def _commonest(marks: tuple[Codes, ...]) -> tuple[Codes, ...]:
    """One mark of each rater in an anchor under a condition: of several the commonest label, the first on ties."""
    size = [int(codes.max(initial=0)) + 1 for codes in marks]
    mark, first, n_times = np.unique(np.ravel_multi_index(marks, size), return_index=True, return_counts=True)
    order = np.lexsort((first, -n_times, mark // size[-1]))
    cell = mark[order] // size[-1]
    is_best = np.concatenate([[True], cell[1:] != cell[:-1]])[: len(cell)]
    return tuple(codes[first[order[is_best]]] for codes in marks)


def all_classes(labels: pd.Series, classes: Sequence[str] | None = None) -> list[str]:
    """The classes given, or those that occur, sorted; and ``undetected`` last.

    Examples
    --------
    >>> all_classes(pd.Series(["y", "undetected", "x", ""]))
    ['x', 'y', 'undetected']
    """
    found = classes if classes is not None else sorted(name for name in labels.dropna().unique() if name)
    return [*(str(name) for name in found if name != UNDETECTED), UNDETECTED]


def in_scope(items: ItemCounts, scope: Scope) -> ItemCounts:
    """Counts with `undetected`, the last class, kept or taken as missing."""
    if scope == "detection_and_classification":
        return items
    return ItemCounts(items.counts[:, :-1], items.total - items.counts[:, -1], items.classes[:-1])


def groups_of_anchors(ratings: pd.DataFrame, fovs: pd.DataFrame | None, resample: Unit) -> tuple[pd.Series, str]:
    """What is resampled with each anchor (its FOV or slide; the anchor itself where there are no FOVs), and its name.

    Raises
    ------
    ValueError
        If an anchor has several FOVs, or slides are asked for that are not known.
    """
    anchors = ratings[["anchor", "fov"]].drop_duplicates()
    if anchors["anchor"].duplicated().any():
        name = anchors.loc[anchors["anchor"].duplicated(), "anchor"].iloc[0]
        raise ValueError(f"an anchor lies in one FOV; {name!r} has several")
    if (anchors["fov"] == "").all():
        return pd.Series(anchors["anchor"].to_numpy(), index=anchors["anchor"].to_numpy()), TASKS
    codes, names = group_codes(anchors["fov"], fovs, resample)
    return pd.Series(names[codes], index=anchors["anchor"].to_numpy()), resample
