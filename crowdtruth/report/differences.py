"""Cohorts and conditions on the same FOVs: how much they differ, in sentences first, then as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from crowdtruth.checks import ALL
from crowdtruth.report.inputs import Inputs, at_level
from crowdtruth.report.words import Estimate, as_float, group_words, joined, median, signed_estimate

CONDITIONS, COHORTS = "conditions", "cohorts"
Measure = tuple[str, str, str]
"""Measure, metric and scope, as ``differences.csv`` has them."""

AGREEMENT: Mapping[Measure, str] = {
    ("agreement", "alpha", "detection_and_classification"): "Agreement on what is where (alpha)",
    ("agreement", "alpha", "classification"): "Agreement on the class (alpha)",
}
ACCURACY: Mapping[Measure, str] = {
    ("raters", "recall", ""): "Raters find (recall)",
    ("raters", "precision", ""): "Raters mark rightly (precision)",
    ("raters", "class_accuracy", ""): "Raters name rightly",
    ("labels", "f1", ""): "Inferred labels find (F1)",
    ("labels", "class_accuracy", ""): "Inferred labels name rightly",
}
# {}: so many more, or fewer, of 100
_IN_WORDS: Mapping[Measure, str] = {
    ("raters", "recall", ""): "found {} of 100 objects",
    ("raters", "precision", ""): "put {} of 100 marks on an object",
    ("raters", "class_accuracy", ""): "named {} of 100 found objects rightly",
    ("labels", "class_accuracy", ""): "gave labels of which {} of 100 are right",
}
_AGREE_ON = {"detection_and_classification": "what is where", "classification": "the class"}


@dataclass(frozen=True)
class Difference:
    """One side compared with another: what each measure gains, and where."""

    where: str  # the cohort of two conditions, the condition of two cohorts; empty if the study has one
    first: str
    second: str
    changes: Sequence[tuple[str, str]]  # second minus first, and its interval, as a table shows them
    sentence: str
    n_groups: int
    is_clear: bool  # whether an interval leaves out 0


@dataclass(frozen=True)
class Differences:
    """All pairs, and the names of what is compared."""

    by: str
    measures: Sequence[str]
    pairs: Sequence[Difference]
    resampled: str

    @property
    def sentences(self) -> list[str]:
        """What clearly differs; where nothing does, that."""
        clear = [pair.sentence for pair in self.pairs if pair.is_clear]
        return clear or [f"No clear difference between {self.by}: every interval holds 0."] * bool(self.pairs)


def differences(inputs: Inputs, by: str, measures: Mapping[Measure, str]) -> Differences | None:
    """The differences between ``cohorts`` or ``conditions``; None where the results have none of these measures."""
    if not inputs.has("differences"):
        return None
    table = at_level(inputs.table("differences"), inputs.level)
    table = table[(table["by"] == by) & (table["class"].fillna("") == "")]
    keys = pd.Series(list(zip(table["measure"], table["metric"], table["scope"].fillna(""), strict=True)), dtype=object)
    is_shown = keys.isin(list(measures)).to_numpy(dtype=bool)
    table, keys = table[is_shown], keys[is_shown]
    if table.empty:
        return None
    clicks = clicked_share(inputs) if by == CONDITIONS else {}
    pairs: dict[tuple[str, str, str], dict[Measure, Estimate]] = {}
    n_groups: dict[tuple[str, str, str], int] = {}
    for measure, row in zip(keys, table.to_dict("records"), strict=True):
        place, change = oriented(row, clicks)
        pairs.setdefault(place, {})[measure] = change
        n_groups[place] = max(n_groups.get(place, 0), int(row["n_groups"]))
    names = [name for name in measures if any(name in found for found in pairs.values())]
    shown = [_difference(by, place, found, names, n_groups[place]) for place, found in pairs.items()]
    return Differences(by, [measures[name] for name in names], shown, str(table["resampled"].iloc[0]))


def clicked_share(inputs: Inputs) -> dict[str, float]:
    """The middle rater's share of accepted suggestions under each condition that any rater is compared in."""
    if not inputs.has("self_agreement"):
        return {}
    table = inputs.table("self_agreement")
    groups = table.groupby("second_condition", sort=False, observed=True)["proportion_clicked"]
    return {str(condition): median(shares) for condition, shares in groups}


def oriented(row: Any, clicks: Mapping[str, float]) -> tuple[tuple[str, str, str], Estimate]:
    """Where, from which, to which; and the gain. From the side with fewer accepted suggestions to that with more.

    Examples
    --------
    >>> row = {"cohort": "P", "condition": "", "first": "U", "second": "E", "value": -0.1, "low": -0.2, "high": -0.05}
    >>> place, gain = oriented(row, {"E": 0.4})
    >>> place, str(gain)
    (('P', 'U', 'E'), '0.10 (0.05 to 0.20)')
    """
    value, low, high = (as_float(row[name]) for name in ("value", "low", "high"))
    where = str(row["cohort"] or row["condition"])
    first, second = str(row["first"]), str(row["second"])
    if clicks.get(first, 0.0) >= clicks.get(second, 0.0):  # the table has first minus second
        return (where, second, first), Estimate(value, low, high)
    return (where, first, second), Estimate(-value, -high, -low)


def _difference(
    by: str, place: tuple[str, str, str], found: Mapping[Measure, Estimate], names: Sequence[Measure], n_groups: int
) -> Difference:
    """One pair: the sentence of what clearly differs, and a cell for each measure."""
    where, first, second = place
    known = [(name, found[name]) for name in names if name in found and found[name].has_interval]
    told = [_told(name, change) for name, change in known if not change.low <= 0 <= change.high]
    told = [words for words in told if words]
    if by == CONDITIONS:
        start = f"With {second} rather than {first}, {group_words(where)} "
    else:
        start = ("" if where == ALL else f"Under {where}, ") + f"compared with {first}, {second} "
    sentence = f"{start[:1].upper()}{start[1:]}{joined(told)}."
    cells = [signed_estimate(found.get(name, Estimate())).partition(" ") for name in names]
    shown = [(value, interval) for value, _, interval in cells]
    label = group_words(where) if by == CONDITIONS else "" if where == ALL else where
    return Difference(label, first, second, shown, sentence, n_groups, bool(told))


def _told(name: Measure, change: Estimate) -> str:
    """What a difference says, in counts of a hundred; agreement has none, so its coefficient is named."""
    ends = sorted(abs(end) for end in (change.low, change.high))
    if name[0] == "agreement":
        word = "more" if change.value > 0 else "less"
        digits = [f"{bound:.2f}" for bound in (abs(change.value), *ends)]
        return f"agreed {word} on {_AGREE_ON[name[2]]} (alpha by {digits[0]}, {digits[1]} to {digits[2]})"
    if name not in _IN_WORDS:
        return ""
    word = "more" if change.value > 0 else "fewer"
    few = f"{of_hundred(change.value)} {word}"
    return _IN_WORDS[name].format(few) + f" ({of_hundred(ends[0])} to {of_hundred(ends[1])})"


def of_hundred(share: float) -> str:
    """A share as a count of a hundred, without its sign; below one with a decimal.

    Examples
    --------
    >>> of_hundred(0.031), of_hundred(-0.0042), of_hundred(0.0001)
    ('3', '0.4', 'nearly 0')
    """
    count = 100 * abs(share)
    if count < 0.05:
        return "nearly 0"
    return f"{count:.0f}" if count >= 0.95 else f"{count:.1f}"
