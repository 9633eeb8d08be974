"""Raters and inferred labels against a reference: scores, curves and confusions, as tables.

Definitions are in docs/methods/accuracy.md. A score without anything to divide by is missing: NaN here, an empty cell
in the file.
"""

from crowdtruth.accuracy.confusions import anchor_confusion, rater_confusion
from crowdtruth.accuracy.curves import LabelCurves, label_curves
from crowdtruth.accuracy.differences import accuracy_difference, area_difference
from crowdtruth.accuracy.scores import label_accuracy, rater_accuracy
from crowdtruth.outcomes import Outcomes, label_outcomes, rater_outcomes
from crowdtruth.references import (
    AnchorLabels,
    Reference,
    asked_fovs,
    box_reference,
    cohort_reference,
    label_of_anchors,
    task_reference,
)

__all__ = [
    "AnchorLabels",
    "LabelCurves",
    "Outcomes",
    "Reference",
    "accuracy_difference",
    "anchor_confusion",
    "area_difference",
    "asked_fovs",
    "box_reference",
    "cohort_reference",
    "label_accuracy",
    "label_curves",
    "label_of_anchors",
    "label_outcomes",
    "rater_accuracy",
    "rater_confusion",
    "rater_outcomes",
    "task_reference",
]
