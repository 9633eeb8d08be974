"""Judging raters and inferred labels against the reference."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from crowdtruth.accuracy import (
    AnchorLabels,
    Outcomes,
    Reference,
    anchor_confusion,
    asked_fovs,
    box_reference,
    cohort_reference,
    label_accuracy,
    label_curves,
    label_of_anchors,
    label_outcomes,
    rater_accuracy,
    rater_confusion,
    rater_outcomes,
    task_reference,
)
from crowdtruth.ease import ease_of_detection
from crowdtruth.formats.reference import read_box_reference, read_task_reference
from crowdtruth.options import chosen_conditions, split_at_condition
from crowdtruth.outlines import compare_outlines, segmented_objects
from crowdtruth.parallel import say
from crowdtruth.steps.run import RESAMPLING, Run, Tables, cohorts_of, grouping_of, once, resampling_of
from crowdtruth.study import Study
from crowdtruth.taxonomy import AMBIGUOUS, RAW, UNDETECTED

JUDGING = ("reference", *RESAMPLING)

_COHORT = "cohort:"


def judge(run: Run) -> Tables:
    """Every rater and every cohort's inferred labels against the reference."""
    reference = reference_of(run)
    if reference.kind == "boxes" and (absent := len(set(run.study.fovs["fov"]) - reference.fovs)):
        say(f"{reference.name}: {absent} FOVs of the study have no object in it and are not judged")
    tables = {**score(run), **look_closer(run)}
    return {name: table for name, table in tables.items() if len(table) or name in ("raters", "accuracy")}


def score(run: Run) -> dict[str, pd.DataFrame]:
    """Scores of raters and labels with intervals, curves of the labels, and who called what what."""
    study, raters, labels = run.study, outcomes_of_raters(run), outcomes_of_labels(run)
    drawn = {**resampling_of(run.options), "fovs": study.fovs}
    curves = label_curves(labels_of_anchors(run), run.results.table("truth"), level=labels.grouping, **drawn)
    for message in curves.messages:
        warnings.warn(message, stacklevel=2)  # the step keeps it in run.json
    accuracy = [label_accuracy(labels, **drawn), curves.scores, label_accuracy(raters, **drawn)]
    return {
        "raters": rater_accuracy(raters, study.raters, **drawn),
        "accuracy": pd.concat([table for table in accuracy if len(table)] or accuracy[:1], ignore_index=True),
        "curves": curves.curves,
        "rater_confusion": pd.concat(
            [rater_confusion(labels, **drawn), rater_confusion(raters, study.raters, **drawn)]
        ),
    }


def look_closer(run: Run) -> dict[str, pd.DataFrame]:
    """What raters called the average object, how easily objects are found, and accepted outlines."""
    study, tables = run.study, run.results.table
    if study.is_crowd:
        return {}
    asked: dict[str, Any] = {"assignments": assignments_of(run), "raters": study.raters, "cohorts": cohorts_of(run)}
    grouping = grouping_of(run)
    level = RAW if grouping is None else grouping.level
    judged, ratings = labels_of_anchors(run), tables("ratings")
    drawn = {**resampling_of(run.options), "fovs": study.fovs}
    found = {
        "anchor_confusion": anchor_confusion(judged, ratings, grouping=grouping, **asked, **drawn),
        "ease": ease_of_detection(judged, ratings, level=level, **asked, **drawn),
        "segmented": segmented_objects(tables("truth"), **drawn),
    }
    if not study.is_located:
        members = tables("members")
        outlines = compare_outlines(tables("truth"), members, study.annotations, study.raters, cohorts=cohorts_of(run))
        found["outlines"] = outlines
    return found


def judged_by(run: Run) -> dict[str, Any]:
    """How labels and boxes are compared."""
    return {
        "grouping": grouping_of(run),
        "ambiguous": ambiguous_in(run.study),
        "inclusive": run.options.inclusive,
    }


def assignments_of(run: Run) -> pd.DataFrame:
    """Who was asked where under the conditions chosen."""
    study = run.study
    return study.assignments[study.assignments["condition"].isin(chosen_conditions(run.options, study.conditions))]


@once
def labels_of_anchors(run: Run) -> AnchorLabels:
    """What each anchor is according to the reference."""
    study, truth = run.study, run.results.table("truth")
    asked = None if study.is_crowd else asked_fovs(truth, study.assignments, study.raters, cohorts_of(run))
    return label_of_anchors(reference_of(run), truth, asked=asked, **judged_by(run))


@once
def outcomes_of_raters(run: Run) -> Outcomes:
    """What every rater found and named."""
    return rater_outcomes(
        reference_of(run),
        annotations=marks_of(run.study),
        ratings=run.results.table("ratings"),
        assignments=assignments_of(run),
        raters=run.study.raters,
        **judged_by(run),
    )


@once
def outcomes_of_labels(run: Run) -> Outcomes:
    """What the inferred labels of every cohort found and named."""
    return label_outcomes(
        reference_of(run),
        truth=run.results.table("truth"),
        assignments=assignments_of(run),
        raters=run.study.raters,
        cohorts=cohorts_of(run),
        **judged_by(run),
    )


def ambiguous_in(study: Study) -> tuple[str, ...]:
    """Labels that say no more than that something is there."""
    return (AMBIGUOUS, *(study.taxonomy.ambiguous if study.taxonomy else ()))


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
        split_at_condition(spec.removeprefix(_COHORT), cohorts_of(run), run.study.conditions)
    elif not Path(spec).is_file():
        raise ValueError(f"--reference {spec}: expected a file, or cohort:NAME[@CONDITION]")
    else:
        reference_of(run)


@once
def reference_of(run: Run) -> Reference:
    """What raters and labels are judged against: as asked, else the study's own, else each cohort's labels."""
    spec, study, tables = run.options.reference, run.study, run.results.table
    if spec and not spec.startswith(_COHORT):
        return reference_of_file(Path(spec), run)
    if not spec and study.reference is not None:
        if study.is_crowd:
            return task_reference(study.reference, "reference")
        return box_reference(study.reference, "reference", fovs=study.fovs["fov"])
    cohorts = cohorts_of(run)
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
    return box_reference(table[table["fov"].isin(shared)], path.name)
