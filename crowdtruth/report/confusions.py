"""What each rater takes for what, as a small table coloured by shares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crowdtruth.report.inputs import Inputs, at_level
from crowdtruth.report.words import reference_words
from crowdtruth.taxonomy import UNDETECTED

NO_OBJECT = "no object"
_STEPS = 8  # shades


@dataclass(frozen=True)
class Cell:
    """How often one class was called another; share of the row, and its shade from 0 to 8."""

    count: int
    share: float
    shade: int
    is_diagonal: bool


@dataclass(frozen=True)
class Heat:
    """A confusion: one row per true class, one column per assigned one."""

    source: str  # what is held to be true
    assigned: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    mistake: str  # the most frequent wrong name, in words; empty where there is none


def confusions(inputs: Inputs) -> dict[str, Heat]:
    """The confusion of each rater over all conditions: against the reference, else against the inferred labels."""
    if inputs.has("rater_confusion"):
        table = at_level(inputs.table("rater_confusion"), inputs.level).rename(columns={"who": "rater"})
        source = "against " + reference_words(*(str(table[name].iloc[0]) for name in ("reference", "condition")))
    elif inputs.has("confusion"):
        table, source = inputs.table("confusion"), "against the inferred labels of the cohort, in raw classes"
    else:
        return {}
    table = table[table["count"] > 0]
    names = [*inputs.classes, *sorted({*table["assigned"], *table["true"]} - set(inputs.classes))]
    order = {name: place for place, name in enumerate(names)}
    return {
        str(rater): _heat(rows, source, order)
        for rater, rows in table.groupby("rater", sort=False, observed=True)
        if len(rows)
    }


def _heat(rows: pd.DataFrame, source: str, order: dict[str, int]) -> Heat:
    """The table of one rater; classes that neither occur nor were given are left out."""
    true = sorted(set(rows["true"]), key=lambda name: (name in ("", UNDETECTED), order[name]))
    assigned = sorted({*rows["assigned"], *(set(true) - {""})}, key=lambda name: (name == UNDETECTED, order[name]))
    counts = np.zeros((len(true), len(assigned)), dtype=int)
    place = (rows["true"].map(true.index).to_numpy(), rows["assigned"].map(assigned.index).to_numpy())
    np.add.at(counts, place, rows["count"].to_numpy(dtype=int))
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = []
    for name, row, shares in zip(true, counts, counts / totals, strict=True):
        pieces = zip(row, shares, assigned, strict=True)
        cells.append((name or NO_OBJECT, [_cell(count, share, name == other) for count, share, other in pieces]))
    return Heat(source, assigned, cells, _mistake(true, assigned, counts))


def _cell(count: int, share: float, is_diagonal: bool) -> Cell:
    return Cell(int(count), float(share), int(np.ceil(share * _STEPS)), is_diagonal)


def _mistake(true: Sequence[str], assigned: Sequence[str], counts: np.ndarray) -> str:
    """The wrong class given most often to found objects."""
    most, words = 0, ""
    for row, name in enumerate(true):
        for column, other in enumerate(assigned):
            if name not in ("", UNDETECTED, other) and other != UNDETECTED and counts[row, column] > most:
                most, words = int(counts[row, column]), f"{name} called {other} ({counts[row, column]:,} times)"
    return words
