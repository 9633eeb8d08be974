"""What a report is made of: result tables, run.json, figures, and the study where it can still be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from crowdtruth.formats.taxonomy_file import read_taxonomy_file
from crowdtruth.options import cohort_members
from crowdtruth.report.figures import Figure
from crowdtruth.results import ResultFolder
from crowdtruth.study import Study
from crowdtruth.taxonomy import RAW, UNDETECTED, Grouping, Taxonomy, group_labels, load_grouping

PROBABILITY = "prob_"
# Okabe and Ito's colours, told apart by colour-blind readers; their faint yellow and black left out
_PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f3fbf", "#8c6d31")
_GREY = "#8a8a8a"


@dataclass(frozen=True)
class Section:
    """One part of the page: words, then what the template of its name shows."""

    name: str  # of the template and of the link
    title: str
    words: Sequence[str] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    next_steps: Sequence[str] = ()
    absent: str = ""  # why there is nothing to show
    brief: str = ""  # for the head of the page


@dataclass(frozen=True)
class Inputs:
    """Everything that the sections read."""

    results: ResultFolder
    study: Study | None
    figures: Mapping[str, str]  # name -> SVG

    def has(self, name: str) -> bool:
        """Whether there is a table of this name with rows in it."""
        return self.results.has(name) and len(self.results.table(name)) > 0

    def table(self, name: str) -> pd.DataFrame:
        """A table of the results, row numbers from 0."""
        return self.results.table(name).reset_index(drop=True)

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """The options of the run, as run.json has them."""
        return dict(self.results.record.get("options", {}))

    @cached_property
    def taxonomy(self) -> Taxonomy | None:
        """The class scheme of the study, also where only the results are at hand."""
        if self.study is not None:
            return self.study.taxonomy
        return read_taxonomy_file(self.results.path)

    @cached_property
    def grouping(self) -> Grouping | None:
        """The level that inferred labels are grouped to; None where they are raw classes.

        Raises
        ------
        ValueError
            If the file of the grouping is no longer there.
        """
        classes = self.options.get("classes")
        if not classes:
            return None
        return load_grouping(classes["file"] if isinstance(classes, Mapping) else classes, self.taxonomy)

    @property
    def level(self) -> str:
        """The name of that level."""
        return self.grouping.level if self.grouping else RAW

    def grouped(self, labels: pd.Series) -> pd.Series:
        """Labels of raters at the level of the inferred ones."""
        return labels if self.grouping is None else group_labels(labels, self.grouping)

    @cached_property
    def is_crowd(self) -> bool:
        """Whether the ratings are answers to tasks, without FOVs."""
        return self.has("ratings") and not (set(self.table("ratings")["fov"].unique()) - {""})

    @cached_property
    def members_of(self) -> Mapping[str, tuple[str, ...]]:
        """Each cohort whose labels are inferred, with the cohorts of raters that it unites."""
        return cohort_members(self.options.get("cohort", ()), self.table("ratings")["cohort"].unique())

    @cached_property
    def classes(self) -> list[str]:
        """The classes of the inferred labels, in order, ``undetected`` last."""
        columns = [str(name) for name in self.table("truth").columns]
        names = [name.removeprefix(PROBABILITY) for name in columns if name.startswith(PROBABILITY)]
        return [*(name for name in names if name != UNDETECTED), UNDETECTED]

    def colors(self, labels: Sequence[str]) -> dict[str, str]:
        """A colour ``#rrggbb`` for each label: the taxonomy's, else one that colour-blind readers can tell apart."""
        known = dict(self.taxonomy.colors) if self.taxonomy else {}
        known |= dict(self.grouping.colors) if self.grouping else {}
        free = [label for label in labels if label not in known and label != UNDETECTED]
        chosen = {label: _PALETTE[number % len(_PALETTE)] for number, label in enumerate(free)}
        chosen |= {label: "#{:02x}{:02x}{:02x}".format(*known[label]) for label in labels if label in known}
        return {label: chosen.get(label, _GREY) for label in labels}

    @property
    def folder(self) -> Path | None:
        """The folder that image paths are relative to; None where the study is not where it was."""
        place = self.results.record.get("study")
        path = Path(place) if isinstance(place, str) and place else None
        if path is None or not path.exists():
            return None
        return path if path.is_dir() else path.parent


def in_order(table: pd.DataFrame, columns: Sequence[str]) -> list[tuple[tuple[str, ...], pd.DataFrame]]:
    """The groups of a table by text columns, in order of first appearance."""
    groups = table.groupby(list(columns), sort=False, observed=True)
    return [(tuple(str(part) for part in key), rows) for key, rows in groups]


def at_level(table: pd.DataFrame, level: str) -> pd.DataFrame:
    """The rows of a grouping; of the first one where it is not there."""
    if "grouping" not in table or table.empty:
        return table
    found = table["grouping"].astype("str")
    return table[found == (level if level in set(found) else found.iloc[0])]
