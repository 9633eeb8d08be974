"""Figures of the results: a function per kind takes a table, draws, and returns matplotlib's Axes.

Drawing needs matplotlib, which importing this package loads; importing `crowdtruth` does not. Figures are made without
pyplot, so nothing is kept open, and the caller's rcParams stay as they are.
"""

from crowdtruth.plots.agreement import agreement_by_detections, agreement_points, anchors_by_detections
from crowdtruth.plots.confusion import confusion_of_labels, raters_per_object
from crowdtruth.plots.curves import precision_recall, roc
from crowdtruth.plots.ease import ease_composition, ease_cumulative
from crowdtruth.plots.fields import anchors_by_raters, field_of_view
from crowdtruth.plots.gallery import figures_of
from crowdtruth.plots.outlines import joint_overlap, overlap_violins, segmented_scatter
from crowdtruth.plots.pairs import (
    kappa_boxes,
    kappa_heat_map,
    proportion_clicked_boxes,
    rater_map,
    self_agreement_boxes,
)
from crowdtruth.plots.raters import drift, rater_forest
from crowdtruth.plots.redundancy import plan, redundancy_boxes, redundancy_curve
from crowdtruth.plots.saving import figure_bytes, save_figure

__all__ = [
    "agreement_by_detections",
    "agreement_points",
    "anchors_by_detections",
    "anchors_by_raters",
    "confusion_of_labels",
    "drift",
    "ease_composition",
    "ease_cumulative",
    "field_of_view",
    "figure_bytes",
    "figures_of",
    "joint_overlap",
    "kappa_boxes",
    "kappa_heat_map",
    "overlap_violins",
    "plan",
    "precision_recall",
    "proportion_clicked_boxes",
    "rater_forest",
    "rater_map",
    "raters_per_object",
    "redundancy_boxes",
    "redundancy_curve",
    "roc",
    "save_figure",
    "segmented_scatter",
    "self_agreement_boxes",
]
