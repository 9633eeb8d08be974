"""Locating and inferring with the paper's settings: anchors, ratings, and the labels of every cohort at every level."""

import pandas as pd

from analysis.work import PAPER, Tables, Work
from crowdtruth.clustering import Located, sweep
from crowdtruth.merging import Method
from crowdtruth.ratings import rate_anchors
from crowdtruth.steps.inferring import classes_in_order, clicked_anchors, estimator_of
from crowdtruth.study import Study
from crowdtruth.taxonomy import RAW
from crowdtruth.truth import Inference, infer_labels


def locate(work: Work) -> Tables:
    """Anchors, ratings and clicks at the paper's threshold; those of a located study as they come."""
    study = work.study
    if study.anchors is not None and study.ratings is not None:
        nobody = pd.DataFrame({"anchor": [], "rater": [], "condition": []}, dtype="str")
        return {"anchors": study.anchors, "ratings": study.ratings, "clicks": nobody}
    located = located_at(study, [PAPER.iou], jobs=work.jobs)[PAPER.iou]
    ratings = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    members = located.members[["annotation", "anchor", "fov", "rater", "condition"]]
    return {
        "anchors": located.anchors,
        "ratings": ratings,
        "members": members,
        "clicks": clicked_anchors(study.annotations, located.members),
    }


def infer(work: Work) -> Tables:
    """Inferred labels of each cohort under each condition: raw, and at each level of the taxonomy."""
    ratings, anchors, clicks = (work.table(name) for name in ("ratings", "anchors", "clicks"))
    levels = [RAW, *(level for level in work.setting.levels if level != RAW)]
    return {f"truth_{level}": inferred(work, ratings, anchors, level=level, clicked=clicks).truth for level in levels}


def located_at(
    study: Study, thresholds: list[float], *, method: Method = PAPER.method, jobs: int = 1
) -> dict[float, Located]:
    """Anchors and members at several thresholds, from one merge history."""
    return sweep(study.annotations, thresholds, method=method, inclusive=PAPER.inclusive, jobs=jobs)


def inferred(
    work: Work,
    ratings: pd.DataFrame,
    anchors: pd.DataFrame,
    *,
    level: str,
    cohorts: tuple[str, ...] | None = None,
    conditions: tuple[str, ...] | None = None,
    clicked: pd.DataFrame | None = None,
) -> Inference:
    """Labels inferred with the paper's settings at a level of classes."""
    return infer_labels(
        ratings,
        anchors,
        cohorts=None if cohorts is None else {name: (name,) for name in cohorts},
        conditions=conditions,
        estimator=estimator_of(PAPER, jobs=work.jobs),
        min_detections=PAPER.min_detections,
        grouping=work.setting.grouping(level),
        classes=classes_in_order(work.study.taxonomy, ratings["label"]),
        clicked=clicked,
        jobs=work.jobs,
    )
