"""One piece of work: the data, what is asked of it, and the folder of computed tables."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.data import Data
from analysis.paths import COMPUTED
from analysis.setting import Setting, setting_of, united
from crowdtruth.options import RunOptions, make_options
from crowdtruth.results import ResultFolder, open_results, run_step
from crowdtruth.study import Study

PAPER: RunOptions = make_options(preset="paper")
"""How objects are located and labels inferred: the paper's settings."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the data; a quick look takes fewer realizations and replicates."""

    cohorts: tuple[str, ...] = ()  # unions, P=SP+JP
    condition: str | None = None
    judge: str | None = None
    outside: str | None = None
    realizations: int = 1000
    replicates: int = 2000
    seed: int = 0


QUICK = {"realizations": 10, "replicates": 100}

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Work:
    """The data, what is asked of it, and the folder of computed tables."""

    data: Data
    asked: Asked
    results: ResultFolder
    jobs: int = 1

    @cached_property
    def study(self) -> Study:
        """The study with its cohorts united."""
        return united(self.data.load(), self.asked.cohorts)

    @cached_property
    def setting(self) -> Setting:
        """Who judges whom, under which conditions, at which levels."""
        asked = self.asked
        return setting_of(self.study, condition=asked.condition, judge=asked.judge, outside=asked.outside)

    @property
    def bootstrap(self) -> dict[str, Any]:
        """Options of every interval."""
        return {"n_replicates": self.asked.replicates, "seed": self.asked.seed}

    def table(self, name: str) -> pd.DataFrame:
        """A computed table."""
        return self.results.table(name)

    def step(self, name: str, after: tuple[str, ...], compute: "Compute") -> None:
        """Compute the tables of a step, unless they are there from equal data and an equal question."""
        run_step(self.results, name, options=asdict(self.asked), after=after, compute=lambda: compute(self))


Compute = Callable[[Work], Tables]
"""One slow step: the work in, its tidy tables out."""


def open_work(data: Data, asked: Asked, out: Path, *, jobs: int = 1) -> Work:
    """The work in a folder, new or continued.

    Raises
    ------
    ValueError
        If the folder is the study or inside it, or holds files of something else.
    """
    results = open_results(
        out / COMPUTED, command="analysis", study=data.place, inputs=data.inputs, options=asdict(asked)
    )
    results.record["study"] = data.name
    return Work(data, asked, results, jobs)
