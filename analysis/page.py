"""What a figure or table of the paper is here: what it needs, what it shows, how it is drawn, what is comparable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

from analysis.evaluations import Evaluations
from analysis.setting import Setting

Rows = Mapping[str, pd.DataFrame]
"""The rows of a figure by table, as they are written beside it."""


@dataclass(frozen=True)
class Measure:
    """A value of ours that the paper prints too."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class Page:
    """One figure or table of the paper."""

    name: str  # as the command calls it
    title: str
    steps: tuple[str, ...]  # slow steps it builds on
    tables: tuple[str, ...]  # computed tables it shows rows of
    pick: Callable[[Rows, Setting], dict[str, pd.DataFrame]]
    draw: Callable[[Rows, Setting], Figure] | None = None  # None: a table
    why_not: Callable[[Setting], str] = lambda _: ""  # why this study cannot have it; empty: it can
    ours: Callable[[Rows, Setting], dict[str, Measure]] = lambda _, __: {}  # key in published.toml -> value


PAIR = ("published", "ours", "low", "high", "quantity", "source", "definition")
"""Columns of what a page about detectors compares: the printed value, ours with its interval, the words for it."""


@dataclass(frozen=True)
class DetectorPage:
    """One figure or table of the paper about detectors: made from evaluations, not from a study of raters."""

    name: str  # as the command calls it
    title: str
    pick: Callable[[Evaluations], dict[str, pd.DataFrame]]
    draw: Callable[[Rows], Figure] | None = None  # None: a table
    why_not: Callable[[Evaluations], str] = lambda _: ""  # what the evaluations lack, if there are any
    pairs: Callable[[Rows], pd.DataFrame] = lambda _: pd.DataFrame(columns=[*PAIR])  # printed values beside ours


class Experiment(Protocol):
    """What computes the rows of a page from nothing but a seed."""

    def __call__(self, out: Path, *, seed: int, quick: bool, jobs: int) -> dict[str, pd.DataFrame]:
        """Rows by table; what took long is kept below `out` and not computed again."""
        ...


@dataclass(frozen=True)
class ExperimentPage:
    """A table of detectors that are trained for it: slow, so it is made where it is named and not among ``all``."""

    name: str  # as the command calls it
    title: str
    cost: str  # what --list says of it
    make: Experiment
    write: Callable[[Rows], str]  # the table, in Markdown
    draw: None = None


AnyPage = Page | DetectorPage | ExperimentPage


def rows_where(table: pd.DataFrame, **where: str) -> pd.DataFrame:
    """The rows with these values.

    Examples
    --------
    >>> rows_where(pd.DataFrame({"cohort": ["P", "NP"], "value": [1, 2]}), cohort="NP")["value"].tolist()
    [2]
    """
    for column, value in where.items():
        table = table[table[column] == value]
    return table.reset_index(drop=True)


def measure(table: pd.DataFrame, **where: str) -> Measure:
    """Value and interval of the one row with these values; missing if there is none.

    Examples
    --------
    >>> measure(pd.DataFrame({"cohort": ["P"], "value": [0.5], "low": [0.4], "high": [0.6]}), cohort="P")
    Measure(value=0.5, low=0.4, high=0.6)
    """
    found = rows_where(table, **where)
    if found.empty:
        return Measure(float("nan"))
    row = found.iloc[0]
    return Measure(float(row["value"]), float(row["low"]), float(row["high"]))
