"""Judging raters and inferred labels against the reference."""

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
from crowdtruth.formats.reference import read_box_reference, read_task_reference
from crowdtruth.options import chosen_conditions, cohort_members, split_at_condition
from crowdtruth.parallel import say
from crowdtruth.steps.run import Run, Tables, grouping_of
from crowdtruth.study import Study
from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED

JUDGING = ("reference", "resample", "replicates", "seed")

_COHORT = "cohort:"


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
        "ambiguous": ambiguous_in(study),
        "inclusive": options.inclusive,
    }
    cohorts = cohort_members(options.cohort, study.cohorts)
    raters = rater_outcomes(reference, annotations=marks_of(study), ratings=tables("ratings"), **comparison)
    labels = label_outcomes(reference, truth=tables("truth"), cohorts=cohorts, **comparison)
    accuracy = pd.concat([label_accuracy(labels), label_accuracy(raters)], ignore_index=True)
    return {"raters": rater_accuracy(raters, study.raters), "accuracy": accuracy}


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
