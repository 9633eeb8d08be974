"""Average precision of boxes with its interval, of all nuclei alike and of each class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crowdtruth.curves import mean_of_defined
from nucls_model.evaluate.average_precision import (
    IOU_THRESHOLDS,
    Overlaps,
    Verdicts,
    average_precisions,
    interpolated_area,
    judge_detections,
)
from nucls_model.evaluate.inputs import AMBIGUOUS_CODE, Codes, Floats, Found, Nuclei
from nucls_model.evaluate.intervals import N_LEVELS, Resampling, score_rows

OBJECTNESS = "objectness"
AREAS = ("ap_50", "ap_75", "map_50_95")
_MIDDLE = 5  # of the thresholds: 0.75


def objectness_scores(
    found: Found, score: Floats, nuclei: Nuclei, overlaps: Overlaps, resampling: Resampling
) -> pd.DataFrame:
    """Average precision with all classes as one, by falling score (n_found,): rows of the table."""
    label = np.where(nuclei.label == AMBIGUOUS_CODE, AMBIGUOUS_CODE, 0)
    verdicts = judge_detections(found.fov, score, np.zeros_like(found.label), label, overlaps)
    values, bounds, n = _areas(verdicts, found.fov, nuclei, label, resampling)
    first = slice(1, None)  # the mean of one class is that class
    return score_rows(
        AREAS,
        OBJECTNESS,
        [""],
        values[first],
        (bounds[0][first], bounds[1][first]),
        n=n[first],
        resampled=resampling.unit,
    )


def class_detection_scores(
    found: Found,
    nuclei: Nuclei,
    overlaps: Overlaps,
    resampling: Resampling,
    *,
    class_names: Sequence[str],
    level: str,
) -> pd.DataFrame:
    """Average precision of each class, by falling probability of the class, and their mean: rows of the table.

    The mean is of the classes that have a nucleus.
    """
    verdicts = judge_detections(found.fov, found.class_score, found.label, nuclei.label, overlaps)
    values, bounds, n = _areas(verdicts, found.fov, nuclei, nuclei.label, resampling, n_classes=len(class_names))
    return score_rows(AREAS, level, ["", *class_names], values, bounds, n=n, resampled=resampling.unit)


def _areas(
    verdicts: Verdicts, fov: Codes, nuclei: Nuclei, label: Codes, resampling: Resampling, *, n_classes: int = 1
) -> tuple[Floats, tuple[Floats, Floats], Codes]:
    """Areas of the mean and of each class with their bounds (1 + C, 3), and numbers of nuclei (1 + C,).

    fov (n_found,) of the detections, label (n_nuclei,) of the nuclei, from 0 or ambiguous.
    """
    is_clear = label != AMBIGUOUS_CODE
    there = resampling.counts(nuclei.fov[is_clear], (label[is_clear],), (n_classes,))
    n_nuclei = np.bincount(label[is_clear], minlength=n_classes)
    values = _summary(average_precisions(verdicts, n_nuclei))
    counts = _level_counts(verdicts, fov[verdicts.detection], n_classes, resampling)
    low, high = resampling.bounds(values, (counts, there), _areas_of)
    return values, (np.clip(low, 0, 1), np.clip(high, 0, 1)), np.concatenate([[n_nuclei.sum()], n_nuclei])


def _level_counts(verdicts: Verdicts, fov: Codes, n_classes: int, resampling: Resampling) -> Floats:
    """True and false detections by class and level of score: fov (n,) -> (G, C, levels, n_thresholds, 2)."""
    level = np.zeros(len(fov), np.intp)
    for code in range(n_classes):
        of_class = verdicts.label == code
        level[of_class] = _recall_levels(verdicts.is_true[of_class, 0])
    shape = (n_classes, N_LEVELS + 1)
    each = [
        resampling.counts(fov, (verdicts.label, level), shape, is_what[:, at].astype(float))
        for at in range(len(IOU_THRESHOLDS))
        for is_what in (verdicts.is_true, verdicts.is_false)
    ]
    return np.stack(each, axis=-1).reshape(resampling.n_groups, *shape, len(IOU_THRESHOLDS), 2)


def _recall_levels(is_true: Codes) -> Codes:
    """Levels of detections by falling score, each of equally many true ones and closed by one: (n,) bool -> (n,).

    The last level has what comes after the last true one. With no more true ones than levels the steps of precision
    and recall are all there.
    """
    before = np.cumsum(is_true) - is_true
    n_true = int(is_true.sum())
    return (before * min(N_LEVELS, n_true) // max(n_true, 1)).astype(np.intp)


def _areas_of(sums: Floats, n_nuclei: Floats) -> Floats:
    """Areas from counts (..., C, levels, n_thresholds, 2) and numbers of nuclei (..., C): (..., 1 + C, 3)."""
    reached = np.moveaxis(sums, -3, -1).cumsum(axis=-1)  # (..., C, n_thresholds, 2, levels)
    areas = interpolated_area(reached[..., 0, :], reached[..., 1, :], n_nuclei[..., None])
    return _summary(areas)


def _summary(areas: Floats) -> Floats:
    """AP@.5, AP@.75 and the mean over thresholds, of mean and each class: (..., C, T) -> (..., 1 + C, 3)."""
    three = np.stack([areas[..., 0], areas[..., _MIDDLE], areas.mean(axis=-1)], axis=-1)
    mean = mean_of_defined(np.moveaxis(three, -2, -1))
    return np.concatenate([mean[..., None, :], three], axis=-2)
