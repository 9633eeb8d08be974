"""Study in, result folder out: every step of the method in order.

read → cluster → rate → infer → judge → training. Each step writes whole files and records itself, so that a killed run
continues where it stopped (`results`).
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from crowdtruth._kernels._jit import say_when_compiling
from crowdtruth.accuracy import Reference, label_accuracy, rater_accuracy
from crowdtruth.clustering import cluster_annotations
from crowdtruth.files import sha256_of
from crowdtruth.formats import read_reference, read_study, write_study
from crowdtruth.options import RunOptions, chosen_conditions, cohort_members, parse_preferences, split_at_condition
from crowdtruth.parallel import say
from crowdtruth.ratings import rate_anchors
from crowdtruth.results import ResultFolder, is_result_folder, open_results, run_step
from crowdtruth.study import Study
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import AMBIGUOUS, Grouping, Taxonomy, load_grouping, load_taxonomy
from crowdtruth.training import training_table
from crowdtruth.truth import DawidSkene, MajorityVote, OneCoin, infer_labels

_INPUT_SUFFIXES = (".csv", ".parquet", ".json", ".sqlite", ".db", ".toml")
_READING = ("format", "taxonomy", "normalise_labels")
_LOCATING = ("iou", "inclusive", "method", "anchor_box", "prefer")
_INFERRING = (
    *("cohort", "condition", "model", "start", "iterations", "tolerance", "pseudo_counts", "acceleration"),
    *("min_detections", "classes"),
)

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Run:
    """One run: where the study is, what is asked, and the folder that fills."""

    source: Path
    options: RunOptions
    results: ResultFolder
    jobs: int

    @cached_property
    def study(self) -> Study:
        """The study, read when a step first needs it; what it has to say is said once."""
        study = read_study(
            self.source,
            format=self.options.format,
            taxonomy=self.options.taxonomy,
            normalise_labels=self.options.normalise_labels,
        )
        for note in study.notes:
            say(note)
        return study

    def step(self, name: str, options: Collection[str], after: Collection[str], compute: Any) -> None:
        """Run one step on the options it depends on; a file among them counts with its content."""
        values = {option: with_checksum(getattr(self.options, option)) for option in options}
        run_step(self.results, name, options=values, after=tuple(after), compute=lambda: compute(self))


def run_study(source: Path, out: Path, options: RunOptions | None = None, *, jobs: int = 1) -> ResultFolder:
    """Every step: locate objects, infer labels, judge raters and labels, write the training table.

    Parameters
    ----------
    source : the study, a folder or a file
    out : folder of the results; created, or continued where an equal run stopped
    options : default `RunOptions()`
    jobs : workers; changes no result

    Raises
    ------
    ValueError
        If the study or the options are wrong; each message says what and where.
    """
    run = open_run(source, out, options or RunOptions(), jobs=jobs)
    run.step("check", tuple(asdict(run.options)), (), check_options)
    run.step("read", _READING, (), lambda run: {"fovs": run.study.fovs})
    run.step("cluster", _LOCATING, ("read",), locate)
    run.step("rate", (), ("cluster",), rate)
    run.step("infer", _INFERRING, ("rate",), infer)
    run.step("judge", ("reference",), ("infer",), judge)
    run.step("training", ("train_on",), ("infer",), make_training)
    return run.results


def locate_objects(source: Path, out: Path, options: RunOptions | None = None, *, jobs: int = 1) -> ResultFolder:
    """The first half alone: anchors.csv and members.csv."""
    run = open_run(source, out, options or RunOptions(), jobs=jobs)
    if run.study.is_located:
        raise ValueError(f"{source} is located already: it holds ratings, not marks")
    run.step("cluster", (*_READING, *_LOCATING), (), locate)
    return run.results


def infer_source(source: Path, out: Path, options: RunOptions | None = None, *, jobs: int = 1) -> ResultFolder:
    """Labels alone, from a study, a result folder with ratings, or a crowd table: truth.csv and confusion.csv."""
    run = open_run(source, out, options or RunOptions(), jobs=jobs)
    run.step("infer", (*_READING, *_LOCATING, *_INFERRING), (), infer_from_source)
    return run.results


def run_demo(out: Path, *, seed: int = 0, jobs: int = 1) -> ResultFolder:
    """A small synthetic study in ``out/study`` and its results, judged against the known truth, in ``out/results``."""
    study = out / "study"
    if not study.exists():
        out.mkdir(parents=True, exist_ok=True)
        say("making a synthetic study with known truth")
        write_study(synthesise("demo", seed=seed).study, study, format="csv")
    options = RunOptions(taxonomy="nucls", classes="main", train_on="none", seed=seed)
    return run_study(study, out / "results", options, jobs=jobs)


def open_run(source: Path, out: Path, options: RunOptions, *, jobs: int) -> Run:
    """A run with its result folder, its inputs' checksums taken."""
    say_when_compiling(say)
    if not source.exists():
        raise ValueError(f"there is no study at {source}")
    effective = {name: with_checksum(value) for name, value in asdict(options).items()}
    results = open_results(out, study=source, inputs=input_checksums(source), options=effective)
    return Run(source, options, results, jobs)


def with_checksum(value: Any) -> Any:
    """An option's value; the path of a file together with the file's checksum."""
    if isinstance(value, str) and Path(value).is_file():
        return {"file": value, "sha256": sha256_of(value)}
    return value


def input_checksums(source: Path) -> dict[str, str]:
    """Checksum of the study's file, or of each table in its folder, by relative name."""
    if source.is_file():
        return {source.name: sha256_of(source)}
    files = sorted(f for f in source.rglob("*") if f.is_file() and f.suffix.lower() in _INPUT_SUFFIXES)
    return {f.relative_to(source).as_posix(): sha256_of(f) for f in files}


def check_options(run: Run) -> Tables:
    """Raise before the work begins if the options do not fit the study."""
    study, options = run.study, run.options
    cohort_members(options.cohort, study.raters["cohort"])
    chosen_conditions(options, study.conditions)
    grouping_of(run)
    parse_preferences(options.prefer, study)
    if not study.is_crowd:
        training_choice(run)
    if options.reference:
        reference_of(run)
    return {}


def locate(run: Run) -> Tables:
    """Anchors and members: clustered, or as a located study brings them."""
    study, options = run.study, run.options
    if study.is_located:
        return {"anchors": study.anchors}
    located = cluster_annotations(
        study.annotations,
        iou_threshold=options.iou,
        method=options.method,
        inclusive=options.inclusive,
        box=options.anchor_box,
        preference=parse_preferences(options.prefer, study),
        cohort_of=dict(zip(study.raters["rater"], study.raters["cohort"], strict=True)),
        jobs=run.jobs,
    )
    return {"anchors": located.anchors, "members": located.members}


def rate(run: Run) -> Tables:
    """What each asked rater said of each anchor."""
    study = run.study
    if study.is_located:
        return {"ratings": study.ratings}
    tables = run.results.table
    return {"ratings": rate_anchors(tables("members"), study.assignments, study.raters, tables("anchors"))}


def infer(run: Run) -> Tables:
    """Inferred labels of each cohort and condition, and the confusion of each rater."""
    tables = run.results.table
    clicked = None if run.study.is_located else clicked_anchors(run.study.annotations, tables("members"))
    return infer_tables(run, tables("ratings"), tables("anchors"), clicked)


def infer_tables(run: Run, ratings: pd.DataFrame, anchors: pd.DataFrame, clicked: pd.DataFrame | None) -> Tables:
    """`infer_labels` with the options of the run."""
    options = run.options
    inference = infer_labels(
        ratings,
        anchors,
        cohorts=cohort_members(options.cohort, ratings["cohort"]),
        conditions=chosen_conditions(options, ratings["condition"]),
        estimator=estimator_of(options, jobs=run.jobs),
        min_detections=options.min_detections,
        grouping=grouping_of(run),
        clicked=clicked,
        jobs=run.jobs,
    )
    for message in inference.messages:
        say(message)
    return {"truth": inference.truth, "confusion": inference.confusion}


def infer_from_source(run: Run) -> Tables:
    """Labels from ratings that lie there already, or from marks located and rated on the way."""
    if is_result_folder(run.source):
        earlier = ResultFolder(run.source, {})
        return infer_tables(run, earlier.table("ratings"), earlier.table("anchors"), None)
    run.results.tables.update(locate(run))
    run.results.tables.update(rate(run))
    return infer(run)


def estimator_of(options: RunOptions, *, jobs: int) -> Any:
    """The model of truth that the options ask for."""
    if options.model == "majority":
        return MajorityVote()
    arguments = {
        "start": options.start,
        "n_iter": options.iterations,
        "tolerance": options.tolerance,
        "pseudo_counts": options.pseudo_counts,
    }
    if options.model == "one-coin":
        return OneCoin(**arguments)
    return DawidSkene(**arguments, acceleration=options.acceleration, jobs=jobs)


def clicked_anchors(annotations: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Who accepted a suggestion on which anchor: (anchor, rater, condition)."""
    clicks = annotations.loc[annotations["kind"] == "click", ["annotation"]]
    return members.merge(clicks, on="annotation")[["anchor", "rater", "condition"]].drop_duplicates()


def taxonomy_of(run: Run) -> Taxonomy | None:
    """The study's taxonomy, or the one the options name."""
    if is_result_folder(run.source):
        return load_taxonomy(run.options.taxonomy) if run.options.taxonomy else None
    return run.study.taxonomy


def grouping_of(run: Run) -> Grouping | None:
    """The grouping of classes after inference, if one is asked for."""
    return load_grouping(run.options.classes, taxonomy_of(run)) if run.options.classes else None
