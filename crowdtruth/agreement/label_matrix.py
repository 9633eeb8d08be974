"""One label per anchor and rater, and the kappas of pairs of its columns for every scope and grouping."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.agreement.counted import Scope, groups_of_anchors
from crowdtruth.agreement.formulas import Floats, Weights, disagreement_weights, kappa_from_margins
from crowdtruth.agreement.pairs import count_tables
from crowdtruth.ratings import encode_ratings
from crowdtruth.resampling import Unit, bootstrap
from crowdtruth.taxonomy import RAW, Grouping, group_labels

VALUES = ["grouping", "scope", "n_anchors", "kappa", "low", "high", "percent_agreement", "resampled", "undefined"]


@dataclass(frozen=True)
class LabelMatrix:
    """Labels of anchors by rater, as codes, and the FOV or slide of each anchor."""

    codes: NDArray[np.integer[Any]]  # (n_anchors, n_raters), n_classes where missing
    raters: NDArray[Any]  # (n_raters,) sorted
    classes: Sequence[str]  # (n_classes,) `undetected` last
    group: NDArray[np.intp]  # (n_anchors,)
    n_groups: int
    resampled: str

    @classmethod
    def of(cls, ratings: pd.DataFrame, classes: Sequence[str], fovs: pd.DataFrame | None, resample: Unit) -> Self:
        """Of a ratings table; of several labels of an anchor by a rater the commonest, the first class on ties."""
        encoded = encode_ratings(ratings[["anchor", "rater", "label"]], classes=classes)
        rated, n_raters = encoded.ratings, len(encoded.raters)
        cell = rated.item.astype(np.int64) * n_raters + rated.rater
        counted, n_times = np.unique(cell * len(classes) + rated.label, return_counts=True)
        order = np.lexsort((-counted, n_times))  # the commonest, and of those the first class, is written last
        kind = np.dtype(np.uint8 if len(classes) < np.iinfo(np.uint8).max else np.int32)
        codes: NDArray[np.integer[Any]] = np.full(len(encoded.items) * n_raters, len(classes), dtype=kind)
        codes[counted[order] // len(classes)] = counted[order] % len(classes)
        group_of, resampled = groups_of_anchors(ratings, fovs, resample)
        group, names = pd.factorize(group_of.loc[list(encoded.items)], sort=True)
        return cls(codes.reshape(-1, n_raters), encoded.raters, classes, group, len(names), resampled)

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
        tables = count_tables(self.codes, len(self.classes), pairs, group=self.group, n_groups=self.n_groups)
        found = []
        for grouping in groupings:
            for scope in scopes:
                sums = _PairSums.of(tables, self.classes, grouping, scope, weights)
                values = _pair_values(sums, weights, min_overlap, options)
                level = grouping.level if grouping else RAW
                found.append(values.assign(grouping=level, scope=scope, resampled=self.resampled)[VALUES])
        return found


@dataclass(frozen=True)
class _PairSums:
    """What the kappas of pairs are made of, by group of anchors."""

    disagreed: Floats  # (n_groups, n_pairs) weighted
    first: Floats  # (n_groups, n_pairs, n_classes) labels of the first rater
    second: Floats  # (n_groups, n_pairs, n_classes)
    same: Floats  # (n_pairs,) anchors with the same label

    @classmethod
    def of(
        cls,
        tables: NDArray[np.int32],
        classes: Sequence[str],
        grouping: Grouping | None,
        scope: Scope,
        weights: Weights,
    ) -> Self:
        """Of tables (n_pairs, n_groups, n_raw, n_raw), `undetected` last; classes are grouped on the way."""
        n_raw = len(classes) - (scope == "classification")
        place, n_classes = _places(classes[:n_raw], grouping)
        seen = tables[..., :n_raw, :n_raw]
        weight = disagreement_weights(weights, n_classes)[np.ix_(place, place)]
        into = np.eye(n_classes)[place]
        first, second = (np.einsum(f"pgck->gp{side}", seen) @ into for side in "ck")
        same = np.einsum("pgck,ck->p", seen, (place[:, None] == place).astype(float))
        return cls(np.einsum("pgck,ck->gp", seen, weight), first, second, same)


def _places(classes: Sequence[str], grouping: Grouping | None) -> tuple[NDArray[np.intp], int]:
    """Place of each class among those of the grouping, `undetected` after them, and how many these are."""
    if grouping is None:
        return np.arange(len(classes)), len(classes)
    names = list(grouping.classes) + [name for name in classes[-1:] if name not in grouping.class_of]
    return pd.Index(names).get_indexer(pd.Index(group_labels(list(classes), grouping))), len(names)


def _pair_values(sums: _PairSums, weights: Weights, min_overlap: int, options: dict[str, Any]) -> pd.DataFrame:
    """n_anchors, kappa, its interval, percent_agreement and why there is no kappa, of each pair."""

    def kappas(observed: Floats, first: Floats, second: Floats) -> Floats:
        return kappa_from_margins(observed, first, second, weights)

    interval = bootstrap((sums.disagreed, sums.first, sums.second), kappas, **options)
    given = (sums.first + sums.second).sum(axis=0)
    n_anchors = (given.sum(axis=-1) / 2).astype(int)
    is_shared = n_anchors >= min_overlap
    kappa, low, high = (np.where(is_shared, bound, np.nan) for bound in (interval.value, interval.low, interval.high))
    reasons = np.select([n_anchors == 0, (given > 0).sum(axis=-1) < 2], ["no pairs", "one class"], "few shared")
    return pd.DataFrame(
        {
            "n_anchors": n_anchors,
            "kappa": kappa,
            "low": low,
            "high": high,
            "percent_agreement": sums.same / np.where(n_anchors > 0, n_anchors, np.nan),
            "undefined": np.where(np.isnan(kappa), reasons, ""),
        }
    )


def cohort_of_raters(ratings: pd.DataFrame) -> pd.Series:
    """Cohort by rater, raters sorted; the first where a table gives several."""
    return ratings.drop_duplicates("rater").set_index("rater")["cohort"].sort_index()


def joined(tables: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Rows of all tables, with these columns."""
    return pd.concat(tables, ignore_index=True)[[*columns]] if tables else pd.DataFrame(columns=[*columns])
