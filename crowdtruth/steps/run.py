"""One run: the study, the options and the folder that fills."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

from crowdtruth.files import sha256_of
from crowdtruth.formats import read_study
from crowdtruth.options import RunOptions, cohort_members
from crowdtruth.parallel import say
from crowdtruth.results import Product, ResultFolder, run_step
from crowdtruth.study import Study
from crowdtruth.taxonomy import Grouping, load_grouping

RESAMPLING = ("resample", "replicates", "seed")

T = TypeVar("T")

_MAY_BE_FILES = ("taxonomy", "classes", "reference")

Tables = Mapping[str, Product]
"""Tables of a step by name, and files, as they are written."""


@dataclass(frozen=True)
class Run:
    """One run: where the study is, what is asked, and the folder that fills."""

    source: Path
    options: RunOptions
    results: ResultFolder
    jobs: int
    address: str | None = None  # of a Dask scheduler, for the simulation
    common: dict[Callable[["Run"], Any], Any] = field(default_factory=dict)  # what several steps need, see `once`

    @cached_property
    def study(self) -> Study:
        """The study, read when a step first needs it; what it has to say is said once."""
        study = read_study(
            self.source,
            format=self.options.format,
            taxonomy=self.options.taxonomy,
            normalise_labels=self.options.normalise_labels,
        )
        self.results.record["notes"] = list(study.notes)
        for note in study.notes:
            say(note)
        return study

    def step(self, name: str, options: Collection[str], after: Collection[str], compute: "Step") -> None:
        """Run one step on the options it depends on; a file among them counts with its content."""
        values = {option: with_checksum(option, getattr(self.options, option)) for option in options}
        run_step(self.results, name, options=values, after=tuple(after), compute=lambda: compute(self))


Step = Callable[[Run], Tables]
"""One step of a run."""


def once(find: Callable[[Run], T]) -> Callable[[Run], T]:
    """`find`, whose answer a run keeps in `Run.common` for later steps.

    Only for what follows from the study, the options and the tables of steps that are done.
    """

    @wraps(find)
    def found(run: Run) -> T:
        if find not in run.common:
            run.common[find] = find(run)
        answer: T = run.common[find]
        return answer

    return found


def with_checksum(option: str, value: Any) -> Any:
    """An option's value; the path of a file together with the file's checksum."""
    if option in _MAY_BE_FILES and isinstance(value, str) and Path(value).is_file():
        return {"file": value, "sha256": sha256_of(value)}
    return value


def grouping_of(run: Run) -> Grouping | None:
    """The grouping of classes after inference, if one is asked for."""
    return load_grouping(run.options.classes, run.study.taxonomy) if run.options.classes else None


def cohorts_of(run: Run) -> Mapping[str, Sequence[str]]:
    """The cohorts asked for, with those each unites."""
    return cohort_members(run.options.cohort, run.study.cohorts)


def resampling_of(options: RunOptions) -> dict[str, Any]:
    """How intervals are drawn, as the functions that draw them call it."""
    return {"resample": options.resample, "n_replicates": options.replicates, "seed": options.seed}
