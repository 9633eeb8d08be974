"""Inferring labels from ratings."""

import warnings
from typing import Any

import pandas as pd

from crowdtruth.options import RunOptions, chosen_conditions, cohort_members
from crowdtruth.steps.run import Run, Tables, grouping_of
from crowdtruth.taxonomy import UNDETECTED, Taxonomy
from crowdtruth.truth import DawidSkene, MajorityVote, OneCoin, infer_labels

INFERRING = (
    *("cohort", "condition", "model", "start", "iterations", "tolerance", "pseudo_counts", "acceleration"),
    *("min_detections", "classes"),
)


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


def classes_in_order(taxonomy: Taxonomy | None, labels: pd.Series) -> list[str] | None:
    """The labels that occur, in the order of the taxonomy; None without one: sorted."""
    if taxonomy is None:
        return None
    used = set(labels.dropna().unique()) - {"", UNDETECTED}
    return [name for name in taxonomy.classes if name in used] + sorted(used - set(taxonomy.classes))
