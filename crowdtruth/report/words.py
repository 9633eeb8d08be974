"""Numbers as a reader meets them: with their interval, in few digits, and words before them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.checks import ALL

NOTHING = "–"
MANY = 6


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval and what is usual for it; NaN where there is none.

    Examples
    --------
    >>> str(Estimate(0.662, 0.6, 0.718)), str(Estimate(0.5)), str(Estimate())
    ('0.66 (0.60 to 0.72)', '0.50 (no interval)', '–')
    """

    value: float = nan
    low: float = nan
    high: float = nan
    usual: float = nan  # of the others: the median of a cohort

    @property
    def is_known(self) -> bool:
        """Whether there is a value."""
        return isfinite(self.value)

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval."""
        return isfinite(self.low) and isfinite(self.high)

    @property
    def side(self) -> int:
        """-1 where the interval lies below what is usual, 1 above, 0 where it holds it or cannot tell."""
        if not self.has_interval or not isfinite(self.usual):
            return 0
        return -int(self.high < self.usual) + int(self.low > self.usual)

    @property
    def lowest(self) -> float:
        """The least of the numbers."""
        return min((x for x in (self.value, self.low, self.usual) if isfinite(x)), default=nan)

    def __str__(self) -> str:
        if not self.is_known:
            return NOTHING
        interval = f"{number(self.low)} to {number(self.high)}" if self.has_interval else "no interval"
        return f"{number(self.value)} ({interval})"


def number(value: Any, digits: int = 2) -> str:
    """A number in few digits, with a minus sign that is one; a dash where there is none.

    Examples
    --------
    >>> number(0.5), number(float("nan")), number(-0.25), number(-0.001)
    ('0.50', '–', '−0.25', '0.00')
    """
    if value is None or pd.isna(value):
        return NOTHING
    text = f"{float(value):,.{digits}f}"
    if not text.strip("-0.,"):
        text = text.removeprefix("-")
    return text.replace("-", "−")


def signed(value: float) -> str:
    """A difference, with its sign.

    Examples
    --------
    >>> signed(0.031), signed(-0.2), signed(0.0)
    ('+0.03', '−0.20', '0.00')
    """
    text = number(value)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def signed_estimate(change: Estimate) -> str:
    """A difference with its interval, all with their signs."""
    if not change.is_known:
        return NOTHING
    interval = f"{signed(change.low)} to {signed(change.high)}" if change.has_interval else "no interval"
    return f"{signed(change.value)} ({interval})"


def percent(share: float) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent(0.662), percent(nan)
    ('66 %', '–')
    """
    return f"{100 * share:.0f} %" if isfinite(share) else NOTHING


def counted(count: Any, what: str, plural: str = "") -> str:
    """A count with its word.

    Examples
    --------
    >>> counted(1, "rater"), counted(4521, "mark"), counted(0, "study", "studies")
    ('1 rater', '4,521 marks', '0 studies')
    """
    return f"{int(count):,} {what if count == 1 else plural or what + 's'}"


def joined(names: Iterable[str], most: int = MANY) -> str:
    """Names as a sentence lists them; of many, the first and how many more.

    Examples
    --------
    >>> joined(["a"]), joined(["a", "b", "c"]), joined("abcd", most=2)
    ('a', 'a, b and c', 'a, b and 2 more')
    """
    shown = list(names)
    if len(shown) > most:
        shown = [*shown[:most], f"{len(shown) - most} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def group_words(cohort: str, condition: str = ALL) -> str:
    """A cohort and a condition, as far as the study tells any apart.

    Examples
    --------
    >>> group_words("NP", "E"), group_words("all", "E"), group_words("all")
    ('NP, E', 'all raters, E', 'all raters')
    """
    return ", ".join(["all raters" if cohort == ALL else cohort, *([] if condition == ALL else [condition])])


def reference_words(reference: str, condition: str = ALL) -> str:
    """What is held to be true, in words.

    Examples
    --------
    >>> reference_words("gold.csv"), reference_words("cohort:P")
    ('“gold.csv”', 'the labels inferred for P')
    >>> reference_words("cohort:P@E"), reference_words("cohort:P@E", "E")
    ('the labels inferred for P under E', 'the labels inferred for P under the same condition')
    """
    judge, _, rest = reference.partition(":")
    if judge != "cohort" or not rest:
        return f"“{reference}”"
    cohort, _, of = rest.partition("@")
    who = "their own cohort" if cohort == "own" else group_words(cohort)
    where = "" if of in ("", ALL) else " under the same condition" if of == condition else f" under {of}"
    return f"the labels inferred for {who}{where}"


def estimate_of(row: Any, name: str = "", usual: float = nan) -> Estimate:
    """The estimate in a row: columns value, low, high, or `name`, `name`_low, `name`_high; absent columns are NaN."""
    columns = (name, f"{name}_low", f"{name}_high") if name else ("value", "low", "high")
    value, low, high = (as_float(row.get(column)) for column in columns)
    return Estimate(value, low, high, usual)


def as_float(value: Any) -> float:
    """A cell as a float; NaN where it is empty or absent."""
    return nan if value is None or value == "" or pd.isna(value) else float(value)


def median(values: Sequence[float] | pd.Series) -> float:
    """The median of the values there are; NaN where there are none.

    Examples
    --------
    >>> median([1.0, nan, 3.0]), median([])
    (2.0, nan)
    """
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    return float(np.median(known)) if len(known) else nan


def median_estimate(values: Sequence[float]) -> Estimate:
    """The median of raters with its 95 % interval over raters; none of fewer than six.

    The interval reaches from the k-th smallest to the k-th largest value, with the largest k for which it misses the
    median of all such raters in at most 5 % of samples, whatever their distribution (the interval of the sign test).

    Examples
    --------
    >>> str(median_estimate([0.5, 0.1, 0.4, 0.3, 0.2, nan, 0.6])), str(median_estimate([0.5, 0.7]))
    ('0.35 (0.10 to 0.60)', '0.60 (no interval)')
    >>> str(median_estimate([n / 100 for n in range(1, 100)]))
    '0.50 (0.40 to 0.60)'
    """
    from scipy.special import bdtr

    known = np.sort([value for value in values if isfinite(value)])
    n = len(known)
    k = int((bdtr(np.arange(n), n, 0.5) <= 0.025).sum())  # chance of less than k heads in n throws: at most 2.5 %
    bounds = (float(known[k - 1]), float(known[n - k])) if k else (nan, nan)
    return Estimate(median(values), *bounds)
