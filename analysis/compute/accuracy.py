"""Raters and inferred labels against the truth: scores, curves, confusions, ease of detection, at each level."""

from typing import Any

import pandas as pd

from analysis.work import PAPER, Tables, Work
from crowdtruth.accuracy import (
    AnchorLabels,
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
)
from crowdtruth.ease import ease_of_detection
from crowdtruth.parallel import say
from crowdtruth.steps.judging import ambiguous_in, marks_of
from crowdtruth.taxonomy import RAW


def judge(work: Work) -> Tables:
    """Scores and confusions of raters, and scores of the inferred labels of cohorts that do not judge themselves."""
    found: dict[str, list[pd.DataFrame]] = {"raters": [], "rater_confusion": [], "accuracy": []}
    raters = work.study.raters
    for level in work.setting.levels:
        truth, comparison = work.table(f"truth_{level}"), _comparison(work, level)
        reference = reference_of(work, level)
        judged = rater_outcomes(
            reference, annotations=marks_of(work.study), ratings=work.table("ratings"), **comparison
        )
        inferred = label_outcomes(reference, truth=truth, **comparison)
        found["raters"].append(rater_accuracy(judged, raters, **work.bootstrap).assign(grouping=level))
        found["rater_confusion"].append(rater_confusion(judged, raters, **work.bootstrap))
        found["accuracy"].append(label_accuracy(inferred, **work.bootstrap))
    return _joined(found)


def count_raters(work: Work) -> Tables:
    """How many raters of each cohort find the objects of each class, and what they call them."""
    found: dict[str, list[pd.DataFrame]] = {"anchor_confusion": [], "ease": []}
    for level in dict.fromkeys([*work.setting.levels, RAW]):
        labels, grouping = labels_of_anchors(work, level), work.setting.grouping(level)
        ratings = work.table("ratings")
        asked: dict[str, Any] = {"assignments": assignments_of(work), "raters": work.study.raters, **work.bootstrap}
        found["anchor_confusion"].append(anchor_confusion(labels, ratings, grouping=grouping, **asked))
        found["ease"].append(ease_of_detection(labels, ratings, level=level, **asked))
    return _joined(found)


def draw_curves(work: Work) -> Tables:
    """Precision–recall and ROC curves with their areas; those of the published definition of detection apart."""
    found: dict[str, list[pd.DataFrame]] = {"curves": [], "areas": [], "areas_published": []}
    messages: dict[str, None] = {}
    for level in work.setting.levels:
        labels, truth = labels_of_anchors(work, level), work.table(f"truth_{level}")
        ours = label_curves(labels, truth, level=level, **work.bootstrap)
        every_object = labels_of_anchors(work, level, ambiguous=())  # the published program left none out
        gate = PAPER.min_detections
        theirs = label_curves(every_object, truth, level=level, least_detections=gate, **work.bootstrap)
        messages |= dict.fromkeys(ours.messages)
        found["curves"].append(ours.curves)
        found["areas"].append(ours.scores)
        found["areas_published"].append(theirs.scores[theirs.scores["metric"] == "average_precision"])
    for message in messages:
        say(message)
    return _joined(found)


def reference_of(work: Work, level: str) -> Reference:
    """The truth at a level: the judge's labels, the reference from outside, or each cohort's own labels."""
    setting, study = work.setting, work.study
    if setting.outside is not None and study.reference is not None:
        covered = None if work.asked.outside else study.fovs["fov"]
        return box_reference(study.reference, setting.outside, fovs=covered)
    return cohort_reference(work.table(f"truth_{level}"), work.table("ratings"), cohort=setting.judge)


def labels_of_anchors(work: Work, level: str, *, ambiguous: tuple[str, ...] | None = None) -> AnchorLabels:
    """What each anchor is according to the truth, at a level; by default without those that are ambiguous."""
    truth, study = work.table(f"truth_{level}"), work.study
    return label_of_anchors(
        reference_of(work, level),
        truth,
        asked=asked_fovs(truth, assignments_of(work), study.raters),
        grouping=work.setting.grouping(level),
        ambiguous=ambiguous_in(study) if ambiguous is None else ambiguous,
        inclusive=PAPER.inclusive,
    )


def _comparison(work: Work, level: str) -> dict[str, Any]:
    """How marks and labels are compared."""
    return {
        "assignments": assignments_of(work),
        "raters": work.study.raters,
        "grouping": work.setting.grouping(level),
        "ambiguous": ambiguous_in(work.study),
        "inclusive": PAPER.inclusive,
    }


def assignments_of(work: Work) -> pd.DataFrame:
    """Who was asked where: as the study says; for located studies, as the ratings do."""
    if work.study.is_located:
        return work.table("ratings")[["fov", "rater", "condition"]].drop_duplicates(ignore_index=True)
    return work.study.assignments


def _joined(found: dict[str, list[pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The tables of all levels below each other."""
    return {name: pd.concat(tables, ignore_index=True) for name, tables in found.items()}
