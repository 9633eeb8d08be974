"""The steps of a run: each computes its tables from the study, the options and the tables of earlier steps."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from crowdtruth.accuracy import (
    Reference,
    box_reference,
    cohort_reference,
    label_accuracy,
    label_outcomes,
    rater_accuracy,
    rater_outcomes,
    task_reference,
)
from crowdtruth.clustering import cluster_annotations
from crowdtruth.files import sha256_of
from crowdtruth.formats import read_study
from crowdtruth.formats.reference import read_box_reference, read_task_reference
from crowdtruth.formats.taxonomy_file import TAXONOMY_FILE, write_taxonomy_file
from crowdtruth.options import RunOptions, chosen_conditions, cohort_members, parse_preferences, split_at_condition
from crowdtruth.parallel import say
from crowdtruth.ratings import rate_anchors
from crowdtruth.results import ResultFolder, run_step
from crowdtruth.study import Study
from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED, Grouping, Taxonomy, load_grouping
from crowdtruth.training import training_table
from crowdtruth.truth import DawidSkene, MajorityVote, OneCoin, infer_labels

_COHORT = "cohort:"
READING = ("format", "taxonomy", "normalise_labels")
LOCATING = ("iou", "inclusive", "method", "anchor_box", "prefer")
INFERRING = (
    *("cohort", "condition", "model", "start", "iterations", "tolerance", "pseudo_counts", "acceleration"),
    *("min_detections", "classes"),
)

_MAY_BE_FILES = ("taxonomy", "classes", "reference")
_OF_EM = ("start", "iterations", "tolerance", "pseudo_counts", "acceleration")

Tables = Mapping[str, pd.DataFrame]
"""Tables of a step by name, as they are written."""


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
        self.results.record["notes"] = list(study.notes)
        for note in study.notes:
            say(note)
        return study

    def step(self, name: str, options: Collection[str], after: Collection[str], compute: Any) -> None:
        """Run one step on the options it depends on; a file among them counts with its content."""
        values = {option: with_checksum(option, getattr(self.options, option)) for option in options}
        run_step(self.results, name, options=values, after=tuple(after), compute=lambda: compute(self))


def with_checksum(option: str, value: Any) -> Any:
    """An option's value; the path of a file together with the file's checksum."""
    if option in _MAY_BE_FILES and isinstance(value, str) and Path(value).is_file():
        return {"file": value, "sha256": sha256_of(value)}
    return value


def check_options(run: Run) -> Tables:
    """Raise before the work begins if the options do not fit the study."""
    study, options = run.study, run.options
    cohort_members(options.cohort, study.raters["cohort"])
    chosen_conditions(options, study.conditions)
    grouping_of(run)
    parse_preferences(options.prefer, study)
    if not study.is_crowd:
        training_choice(run)
    check_reference(run)
    warn_of_idle_options(run)
    return {}


def warn_of_idle_options(run: Run) -> None:
    """Say which options that differ from their defaults change nothing here."""
    options, defaults = run.options, RunOptions()
    idle = {
        "the objects are located already": LOCATING if run.study.is_located else (),
        "a crowd table has nothing to detect": ("min_detections",) if run.study.is_crowd else (),
        "a majority vote has no parameters": _OF_EM if options.model == "majority" else (),
        "one-coin is not accelerated": ("acceleration",) if options.model == "one-coin" else (),
    }
    for reason, names in idle.items():
        changed = [name for name in names if getattr(options, name) != getattr(defaults, name)]
        if changed:
            warnings.warn(f"{reason}: {', '.join(changed)} change nothing", stacklevel=2)


def read(run: Run) -> Tables:
    """The FOVs; the study's taxonomy is kept beside the results, where `infer` finds it."""
    run.results.path.joinpath(TAXONOMY_FILE).unlink(missing_ok=True)
    if run.study.taxonomy is not None:
        write_taxonomy_file(run.study.taxonomy, run.results.path)
    return {"fovs": run.study.fovs}


def locate(run: Run) -> Tables:
    """Anchors and members: clustered, or as a located study brings them."""
    study, options = run.study, run.options
    if study.anchors is not None:
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
    if study.ratings is not None:
        return {"ratings": study.ratings}
    tables = run.results.table
    return {"ratings": rate_anchors(tables("members"), study.assignments, study.raters, tables("anchors"))}


def infer(run: Run) -> Tables:
    """Inferred labels of each cohort and condition, and the confusion of each rater."""
    tables = run.results.table
    ratings, options = tables("ratings"), run.options
    clicked = None if run.study.is_located else clicked_anchors(run.study.annotations, tables("members"))
    inference = infer_labels(
        ratings,
        tables("anchors"),
        cohorts=cohort_members(options.cohort, ratings["cohort"].unique()),
        conditions=chosen_conditions(options, ratings["condition"].unique()),
        estimator=estimator_of(options, jobs=run.jobs),
        min_detections=options.min_detections,
        grouping=grouping_of(run),
        classes=classes_in_order(run.study.taxonomy, ratings["label"]),
        clicked=clicked,
        jobs=run.jobs,
    )
    for message in inference.messages:
        warnings.warn(message, stacklevel=2)  # the step keeps it in run.json
    return {"truth": inference.truth, "confusion": inference.confusion}


def infer_from_source(run: Run) -> Tables:
    """Labels from ratings that lie there already, or from marks located and rated on the way."""
    warn_of_idle_options(run)
    run.results.tables.update(locate(run))
    run.results.tables.update(rate(run))
    return infer(run)


def estimator_of(options: RunOptions, *, jobs: int) -> Any:
    """The model of truth that the options ask for."""
    if options.model == "majority":
        return MajorityVote()
    arguments: dict[str, Any] = {
        "start": options.start,
        "n_iter": options.iterations,
        "tolerance": options.tolerance,
        "pseudo_counts": options.pseudo_counts,
    }
    if options.model == "one-coin":
        return OneCoin(**arguments, jobs=jobs)
    return DawidSkene(**arguments, acceleration=options.acceleration, jobs=jobs)


def clicked_anchors(annotations: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Who accepted a suggestion on which anchor: (anchor, rater, condition)."""
    clicks = annotations.loc[annotations["kind"] == "click", ["annotation"]]
    return members.merge(clicks, on="annotation")[["anchor", "rater", "condition"]].drop_duplicates()


def grouping_of(run: Run) -> Grouping | None:
    """The grouping of classes after inference, if one is asked for."""
    return load_grouping(run.options.classes, run.study.taxonomy) if run.options.classes else None


def classes_in_order(taxonomy: Taxonomy | None, labels: pd.Series) -> list[str] | None:
    """The labels that occur, in the order of the taxonomy; None without one: sorted."""
    if taxonomy is None:
        return None
    used = set(labels.dropna().unique()) - {"", UNDETECTED}
    return [name for name in taxonomy.classes if name in used] + sorted(used - set(taxonomy.classes))


def judge(run: Run) -> Tables:
    """Every rater and every cohort's inferred labels against the reference."""
    study, tables, options = run.study, run.results.table, run.options
    reference = reference_of(run)
    comparison: dict[str, Any] = {
        "assignments": study.assignments[
            study.assignments["condition"].isin(chosen_conditions(options, study.conditions))
        ],
        "raters": study.raters,
        "grouping": grouping_of(run),
        "ambiguous": (AMBIGUOUS, *(study.taxonomy.ambiguous if study.taxonomy else ())),
        "inclusive": options.inclusive,
    }
    cohorts = cohort_members(options.cohort, study.cohorts)
    raters = rater_outcomes(reference, annotations=marks_of(study), ratings=tables("ratings"), **comparison)
    labels = label_outcomes(reference, truth=tables("truth"), cohorts=cohorts, **comparison)
    accuracy = pd.concat([label_accuracy(labels), label_accuracy(raters)], ignore_index=True)
    return {"raters": rater_accuracy(raters, study.raters), "accuracy": accuracy}


def marks_of(study: Study) -> pd.DataFrame:
    """The marks of a study; where it is located already, each detection with the box of its anchor."""
    if study.ratings is None or study.anchors is None:
        return study.annotations
    detections = study.ratings[study.ratings["label"] != UNDETECTED].astype({"anchor": "str"})
    return detections.merge(study.anchors.drop(columns="fov"), on="anchor")


def check_reference(run: Run) -> None:
    """Raise if ``--reference`` names no file and no cohort of the study."""
    spec = run.options.reference
    if spec is None:
        return
    if spec.startswith(_COHORT):
        cohorts = cohort_members(run.options.cohort, run.study.cohorts)
        split_at_condition(spec.removeprefix(_COHORT), cohorts, run.study.conditions)
    elif not Path(spec).is_file():
        raise ValueError(f"--reference {spec}: expected a file, or cohort:NAME[@CONDITION]")


def reference_of(run: Run) -> Reference:
    """What raters and labels are judged against: as asked, else the study's own, else each cohort's labels."""
    spec, study, tables = run.options.reference, run.study, run.results.table
    if spec and not spec.startswith(_COHORT):
        return reference_of_file(Path(spec), run)
    if not spec and study.reference is not None:
        if study.is_crowd:
            return task_reference(study.reference, "reference")
        return box_reference(study.reference, "reference", fovs=study.fovs["fov"])
    cohorts = cohort_members(run.options.cohort, study.cohorts)
    cohort = condition = None
    if spec:
        cohort, condition = split_at_condition(spec.removeprefix(_COHORT), cohorts, study.conditions)
    return cohort_reference(tables("truth"), tables("ratings"), cohort=cohort, condition=condition, cohorts=cohorts)


def reference_of_file(path: Path, run: Run) -> Reference:
    """Outside truth from a file; FOVs without any object in it are not judged, and that is said."""
    study = run.study
    if study.is_crowd and study.anchors is not None:
        gold = read_task_reference(path)
        if not gold["anchor"].isin(study.anchors["anchor"]).any():
            raise ValueError(f"{path.name} shares no task with the study: the names of the tasks must be equal")
        return task_reference(gold, path.name)
    table = read_box_reference(path, taxonomy=study.taxonomy, normalise_labels=run.options.normalise_labels)
    shared = set(table["fov"]) & set(study.fovs["fov"])
    if not shared:
        raise ValueError(f"{path.name} shares no FOV with the study: the names in column fov must be equal")
    if absent := len(study.fovs) - len(shared):
        say(f"{path.name}: {absent} FOVs of the study have no object in it and are not judged")
    return box_reference(table[table["fov"].isin(shared)], path.name)


def training_choice(run: Run) -> tuple[str, str] | None:
    """Cohort and condition of the training table; None if it is not wanted."""
    study, spec = run.study, run.options.train_on
    if spec == "none":
        return None
    cohorts = cohort_members(run.options.cohort, study.cohorts)
    conditions = chosen_conditions(run.options, study.conditions)
    there_are = [(cohort, condition) for cohort in cohorts for condition in conditions]
    choices = there_are
    if spec:
        cohort, condition = split_at_condition(spec, cohorts, conditions)
        choices = [choice for choice in there_are if choice[0] == cohort and condition in (None, choice[1])]
    if len(choices) != 1:
        names = ", ".join(f"{cohort}@{condition}" for cohort, condition in there_are)
        given = f"--train-on {spec}" if spec else "without --train-on a run"
        raise ValueError(
            f"{given} does not say whose labels training.csv holds: choose --train-on one of {names}, "
            "or leave the table out with --train-on none"
        )
    return choices[0]


def make_training(run: Run) -> Tables:
    """The training table of one cohort and condition; a crowd table has none."""
    if run.study.is_crowd or (choice := training_choice(run)) is None:
        return {}
    tables, study = run.results.table, run.study
    cohort, condition = choice
    members = cohort_members(run.options.cohort, study.cohorts)[cohort]
    no_members = study.annotations.assign(anchor=pd.Series(dtype="str"))
    training = training_table(
        tables("truth"),
        tables("anchors"),
        no_members if study.is_located else tables("members"),
        study.annotations,
        cohort=cohort,
        condition=condition,
        raters=study.raters.loc[study.raters["cohort"].isin(members), "rater"],
    )
    return {"training": training}
