"""What differences between classes mean for the agreement of several raters, and the sums that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crowdtruth.agreement.counts import ItemCounts, sum_over_groups
from crowdtruth.agreement.formulas import Floats, Level, Weights, alpha_from, fleiss_from, gwet_from, percent_from
from crowdtruth.agreement.nominal import STATISTICS, NominalSums, nominal_statistics
from crowdtruth.resampling import Statistic


@dataclass(frozen=True)
class Grading:
    """`level` is what alpha takes differences for, `weights` are disagreements for AC and percent agreement."""

    level: Level = "nominal"
    weights: Weights = None

    @property
    def is_nominal(self) -> bool:
        """Whether any two classes differ as much, for which fewer sums are needed."""
        return self.level == "nominal" and self.weights is None

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the coefficients: AC1 with weights is AC2."""
        return STATISTICS if self.weights is None else tuple("ac2" if name == "ac1" else name for name in STATISTICS)

    def check(self, scopes: Sequence[str]) -> None:
        """Raise ValueError if `undetected` would have to be a number."""
        if self.level in ("interval", "ratio") and "detection_and_classification" in scopes:
            raise ValueError(
                f"level {self.level!r} needs classes that are numbers, and 'undetected' is none: "
                "ask for scopes=['classification'] alone"
            )

    def sums(self, items: ItemCounts, group: NDArray[np.intp], n_groups: int) -> tuple[Floats, ...]:
        """What the coefficients are made of, by group (n_items,) of codes from 0: (n_groups, ...) each."""
        if self.is_nominal:
            return NominalSums.of(items, group, n_groups)
        sums = sum_over_groups(items, group, n_groups)
        return sums.coincidences, sums.pairs, sums.shares

    def statistic(self, classes: NDArray[Any]) -> Statistic:
        """The coefficients of such sums, (...) -> (..., 4)."""
        if self.is_nominal:
            return nominal_statistics

        def graded_statistics(coincidences: Floats, pairs: Floats, shares: Floats) -> Floats:
            coefficients = [
                alpha_from(coincidences, level=self.level, classes=classes),
                fleiss_from(pairs, shares),
                gwet_from(pairs, shares, weights=self.weights),
                percent_from(pairs, weights=self.weights),
            ]
            return np.stack(coefficients, axis=-1)

        return graded_statistics
