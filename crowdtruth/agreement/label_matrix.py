"""One label per anchor and rater, and the kappas of pairs of its columns for every scope and grouping."""

from collections.abc import Sequence
from dataclasses import dataclass
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
            for scope in scopes:
                own = [(scale, into) for scale, into in zip(scales, numbers, strict=True) if scale.scope == scope]
                seen = shared.below(len(_in_scope(self.classes, scope)))
                for some, n_groups, labels in seen.batches(are_tasks=self.resampled == TASKS):
                    for scale, into in own:
                        into[rows[some]] = _numbers(labels, n_groups, scale, options)
        tables = []
        for scale, found in zip(scales, numbers, strict=True):
            about = {"grouping": scale.level, "scope": scale.scope, "resampled": self.resampled}
            tables.append(_values(found, min_overlap).assign(**about)[VALUES])
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


def _numbers(labels: SharedLabels, n_groups: int, scale: _Scale, options: dict[str, Any]) -> Floats:
    """Anchors, classes given, kappa, percent agreement, both lower bounds and both upper ones: (n_pairs, 8)."""
    first, second = scale.place[labels.first], scale.place[labels.second]
    n_pairs, n_classes = labels.n_pairs, scale.n_classes

    def total(of_label: Any) -> Floats:
        cell = labels.group * n_pairs + labels.pair
        sums = np.bincount(cell, of_label, minlength=n_groups * n_pairs).astype(float)
        return sums.reshape(n_groups, n_pairs)

    def by_class(label: NDArray[np.intp]) -> Floats:
        cell = (labels.group * n_classes + label) * n_pairs + labels.pair
        sums = np.bincount(cell, minlength=n_groups * n_classes * n_pairs).astype(float)
        return sums.reshape(n_groups, n_classes, n_pairs)

    def statistic(*of_replicates: Floats) -> Floats:
        return _kappa_and_percent(*of_replicates, disagreement=scale.disagreement)

    sums = [total(first != second), by_class(first), by_class(second)]
    if scale.disagreement is not None:
        sums.append(total(scale.disagreement[first, second]))
    interval = bootstrap(tuple(sums), statistic, **options)
    given = (sums[1] + sums[2]).sum(axis=0)
    counts = np.stack([given.sum(axis=0) / 2, (given > 0).sum(axis=0)])
    return np.concatenate([counts, interval.value, interval.low, interval.high]).T


def _kappa_and_percent(
    differed: Floats, first: Floats, second: Floats, graded: Floats | None = None, *, disagreement: Floats | None
) -> Floats:
    """Kappa and percent agreement, (..., 2, n_pairs), of anchors with two labels and of labels by class.

    differed, and graded by how much: (..., n_pairs); first, second: (..., n_classes, n_pairs).
    """
    n = first.sum(axis=-2)
    if graded is None or disagreement is None:
        observed, expected = differed, n * n - np.einsum("...cp,...cp->...p", first, second)
    else:
        observed, expected = graded, np.einsum("...cp,...cp->...p", disagreement @ first, second)
    return np.stack([1 - ratio(n * observed, expected), ratio(n - differed, n)], axis=-2)


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
