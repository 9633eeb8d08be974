"""One label per anchor and rater, and the kappas of pairs of its columns for every scope and grouping."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.agreement.counted import TASKS, Scope, groups_of_anchors
from crowdtruth.agreement.formulas import Floats, Weights, disagreement_weights
from crowdtruth.agreement.shared import SharedLabels, shared_labels
from crowdtruth.metrics import ratio
from crowdtruth.ratings import encode_ratings
from crowdtruth.resampling import Unit, bootstrap
from crowdtruth.taxonomy import RAW, Grouping, group_labels

VALUES = [
    *("grouping", "scope", "n_anchors", "kappa", "low", "high"),
    *("percent_agreement", "percent_agreement_low", "percent_agreement_high", "resampled", "undefined"),
]


@dataclass(frozen=True)
class LabelMatrix:
    """Labels of anchors by rater, as codes, and what is resampled with each anchor."""

    by_rater: NDArray[np.integer[Any]]  # (n_raters, n_anchors), n_classes where missing
    raters: NDArray[Any]  # (n_raters,) sorted
    classes: Sequence[str]  # (n_classes,) `undetected` last
    group: NDArray[np.intp]  # (n_anchors,) FOV or slide, sorted; a task is a group of its own
    resampled: str

    @classmethod
    def of(cls, ratings: pd.DataFrame, classes: Sequence[str], fovs: pd.DataFrame | None, resample: Unit) -> Self:
        """Of a ratings table; of several labels of an anchor by a rater the commonest, the first class on ties."""
        encoded = encode_ratings(ratings[["anchor", "rater", "label"]], classes=classes)
        rated, n_anchors = encoded.ratings, len(encoded.items)
        group_of, resampled = groups_of_anchors(ratings, fovs, resample)
        group, _ = pd.factorize(group_of.loc[list(encoded.items)], sort=True)
        by_group = np.argsort(group, kind="stable")
        place = np.empty(n_anchors, dtype=np.intp)
        place[by_group] = np.arange(n_anchors)
        cell = rated.rater.astype(np.int64) * n_anchors + place[rated.item]
        counted, n_times = np.unique(cell * len(classes) + rated.label, return_counts=True)
        order = np.lexsort((-counted, n_times))  # the commonest, and of those the first class, is written last
        kind = np.dtype(np.uint8 if len(classes) < np.iinfo(np.uint8).max else np.int32)
        codes: NDArray[np.integer[Any]] = np.full(len(encoded.raters) * n_anchors, len(classes), dtype=kind)
        codes[counted[order] // len(classes)] = counted[order] % len(classes)
        return cls(codes.reshape(-1, n_anchors), encoded.raters, classes, group[by_group], resampled)

    def kappas(
        self,
        pairs: NDArray[np.intp],
        *,
        groupings: Sequence[Grouping | None],
        scopes: Sequence[Scope],
        weights: Weights,
        min_overlap: int,
        options: dict[str, Any],
    ) -> list[pd.DataFrame]:
        """`VALUES` of each pair of columns (n_pairs, 2): one table for each grouping and scope."""
        scales = [_Scale.of(self.classes, grouping, scope, weights) for grouping in groupings for scope in scopes]
        numbers = [_no_numbers(len(pairs)) for _ in scales]
        for rows, shared in shared_labels(self.by_rater, self.group, len(self.classes), pairs):
            for scope in dict.fromkeys(scale.scope for scale in scales):
                own = [place for place, scale in enumerate(scales) if scale.scope == scope]
                seen = shared.below(len(_in_scope(self.classes, scope)))
                for some, n_groups, labels in seen.batches(are_tasks=self.resampled == TASKS):
                    found = _numbers(labels, n_groups, [scales[place] for place in own], options)
                    for place, of_scale in zip(own, found, strict=True):
                        numbers[place][rows[some]] = of_scale
        tables = []
        for scale, of_scale in zip(scales, numbers, strict=True):
            about = {"grouping": scale.level, "scope": scale.scope, "resampled": self.resampled}
            tables.append(_values(of_scale, min_overlap).assign(**about)[VALUES])
        return tables


@dataclass(frozen=True)
class _Scale:
    """What labels mean in one scope and grouping."""

    level: str
    scope: Scope
    place: NDArray[np.intp]  # (n_raw,) class of each label in scope
    n_classes: int
    disagreement: Floats | None  # (n_classes, n_classes); None: 1 for any two classes

    @classmethod
    def of(cls, classes: Sequence[str], grouping: Grouping | None, scope: Scope, weights: Weights) -> Self:
        place, n_classes = _places(_in_scope(classes, scope), grouping)
        disagreement = None if weights is None else disagreement_weights(weights, n_classes)
        return cls(grouping.level if grouping else RAW, scope, place, n_classes, disagreement)


def _in_scope(classes: Sequence[str], scope: Scope) -> Sequence[str]:
    """The classes without `undetected`, or with it."""
    return classes[:-1] if scope == "classification" else classes


def _places(classes: Sequence[str], grouping: Grouping | None) -> tuple[NDArray[np.intp], int]:
    """Place of each class among those of the grouping, `undetected` after them, and how many these are."""
    if grouping is None:
        return np.arange(len(classes)), len(classes)
    names = list(grouping.classes) + [name for name in classes[-1:] if name not in grouping.class_of]
    return pd.Index(names).get_indexer(pd.Index(group_labels(list(classes), grouping))), len(names)


def _no_numbers(n_pairs: int) -> Floats:
    """The numbers of pairs that share nothing: see `_numbers`."""
    numbers = np.full((n_pairs, 8), np.nan)
    numbers[:, :2] = 0
    return numbers


def _numbers(labels: SharedLabels, n_groups: int, scales: Sequence[_Scale], options: dict[str, Any]) -> list[Floats]:
    """For each scale (n_pairs, 8): anchors, classes given, kappa, percent agreement, their lower and upper bounds.

    All scales are resampled at once: many small products of matrices take longer than one.
    """
    sums = [_sums(labels, n_groups, scale) for scale in scales]
    ends = np.cumsum([0, *(part.shape[1] for part in sums)])
    own = [slice(begin, end) for begin, end in pairwise(ends)]

    def statistic(of_replicates: Floats) -> Floats:
        values = [_kappa_and_percent(of_replicates[:, of], scale) for of, scale in zip(own, scales, strict=True)]
        return np.stack(values, axis=1)

    interval = bootstrap(np.concatenate(sums, axis=1), statistic, **options)
    found = []
    for place, scale in enumerate(scales):
        _, first, second, _ = _parts(sums[place].sum(axis=0), scale)
        counts = np.stack([first.sum(axis=0), (first + second > 0).sum(axis=0)])
        bounds = (bound[place] for bound in (interval.value, interval.low, interval.high))
        found.append(np.concatenate([counts, *bounds]).T)
    return found


def _sums(labels: SharedLabels, n_groups: int, scale: _Scale) -> Floats:
    """What `_parts` are, by group: (n_groups, 1 + 2 n_classes, n_pairs), with weights 2 + 2 n_classes."""
    first, second = scale.place[labels.first], scale.place[labels.second]
    n_rows = 1 + 2 * scale.n_classes + (scale.disagreement is not None)
    shape = n_groups, n_rows, labels.n_pairs

    def total(row: Any, of_label: Any = None) -> Floats:
        cell = (labels.group * n_rows + row) * labels.n_pairs + labels.pair
        return np.bincount(cell, of_label, minlength=prod(shape)).reshape(shape).astype(float)

    sums = total(0, first != second) + total(1 + first) + total(1 + scale.n_classes + second)
    return sums if scale.disagreement is None else sums + total(n_rows - 1, scale.disagreement[first, second])


def _parts(sums: Floats, scale: _Scale) -> tuple[Floats, Floats, Floats, Floats]:
    """Anchors with two labels, first and second raters' labels by class, and disagreement as it is graded."""
    of_first, of_second = 1 + scale.n_classes, 1 + 2 * scale.n_classes
    differed = sums[..., 0, :]
    graded = differed if scale.disagreement is None else sums[..., of_second, :]
    return differed, sums[..., 1:of_first, :], sums[..., of_first:of_second, :], graded


def _kappa_and_percent(sums: Floats, scale: _Scale) -> Floats:
    """Kappa and percent agreement of sums (n, rows, n_pairs): (n, 2, n_pairs)."""
    differed, first, second, graded = _parts(sums, scale)
    n = first.sum(axis=-2)
    if scale.disagreement is None:
        expected = n * n - np.einsum("...cp,...cp->...p", first, second)
    else:
        expected = np.einsum("...cp,...cp->...p", scale.disagreement @ first, second)
    return np.stack([1 - ratio(n * graded, expected), ratio(n - differed, n)], axis=-2)


def _values(numbers: Floats, min_overlap: int) -> pd.DataFrame:
    """n_anchors, kappa, percent_agreement, their intervals, and why there is no kappa, of each pair."""
    n_anchors, n_given = numbers[:, :2].astype(int).T
    is_shared = n_anchors >= min_overlap
    kappa, low, high = (np.where(is_shared, numbers[:, column], np.nan) for column in (2, 4, 6))
    reasons = np.select([n_anchors == 0, n_given < 2], ["no pairs", "one class"], "few shared")
    return pd.DataFrame(
        {
            "n_anchors": n_anchors,
            "kappa": kappa,
            "low": low,
            "high": high,
            "percent_agreement": numbers[:, 3],
            "percent_agreement_low": numbers[:, 5],
            "percent_agreement_high": numbers[:, 7],
            "undefined": np.where(np.isnan(kappa), reasons, ""),
        }
    )


def cohort_of_raters(ratings: pd.DataFrame) -> pd.Series:
    """Cohort by rater, raters sorted; the first where a table gives several."""
    return ratings.drop_duplicates("rater").set_index("rater")["cohort"].sort_index()
