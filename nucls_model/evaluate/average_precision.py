"""Average precision as COCO defines it, with nuclei that excuse a detection without asking for one.

Detections are taken by falling score. Each claims, of the free nuclei of its FOV and class that it overlaps enough, the
one it overlaps most; of equals the last. One that claims none is false, unless it overlaps an ambiguous nucleus by as
much: then it counts neither way. An ambiguous nucleus excuses any number of detections, of every class, and is no loss
if it is not found.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdtruth.boxes import aligned_iou, as_boxes, overlapping_pairs
from crowdtruth.metrics import ratio
from nucls_model.evaluate.inputs import AMBIGUOUS_CODE, Codes, Floats

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 300
"""Detections of an FOV (with classes: of each class in it) that count, those of the highest score."""


class Overlaps(NamedTuple):
    """Detections and nuclei of one FOV whose boxes overlap by the smallest threshold or more."""

    detection: Codes  # (n_pairs,)
    nucleus: Codes  # (n_pairs,)
    iou: Floats  # (n_pairs,)


@dataclass(frozen=True)
class Verdicts:
    """The detections that count, by falling score; what is neither true nor false is excused."""

    detection: Codes  # (n,) row of the detection
    label: Codes  # (n,)
    is_true: NDArray[np.bool_]  # (n, n_thresholds)
    is_false: NDArray[np.bool_]  # (n, n_thresholds)


def coco_average_precision(
    boxes: ArrayLike,
    score: ArrayLike,
    nuclei: ArrayLike,
    *,
    frames: tuple[ArrayLike, ArrayLike],
    labels: tuple[ArrayLike, ArrayLike] | None = None,
    n_classes: int = 1,
    max_detections: int = MAX_DETECTIONS,
) -> Floats:
    """Average precision of each class at each IOU threshold of `IOU_THRESHOLDS`.

    Equal to the COCO evaluation for nuclei that are all of a class. Detections of equal score stand in the order of
    their frames, then of their rows.

    Parameters
    ----------
    boxes : (n_found, 4) corners of the detections
    score : (n_found,)
    nuclei : (n_nuclei, 4) corners of what is there
    frames : (n_found,) and (n_nuclei,) integers: the FOV of each
    labels : (n_found,) and (n_nuclei,) codes of the classes from 0, -1 for an ambiguous nucleus; default: one class
    n_classes : how many classes there are
    max_detections : of each class in an FOV

    Returns
    -------
    (n_classes, n_thresholds)
        NaN for a class without a nucleus.

    Raises
    ------
    ValueError
        If boxes are empty or the numbers of rows differ.

    References
    ----------
    T.-Y. Lin et al., Microsoft COCO: Common Objects in Context. ECCV (2014); its evaluation program.

    Examples
    --------
    >>> found, there = [[0, 0, 10, 10], [20, 20, 30, 30]], [[0, 0, 10, 9], [50, 50, 60, 60]]
    >>> coco_average_precision(found, [0.9, 0.8], there, frames=([0, 0], [0, 0]))[0, [0, 8, 9]].round(3)
    array([0.505, 0.505, 0.   ])
    """
    boxes, nuclei, score = as_boxes(boxes), as_boxes(nuclei), np.asarray(score, float)
    frame, nucleus_frame = _pair_of_codes(frames, len(boxes), len(nuclei))
    zeros = np.zeros(len(boxes), np.intp), np.zeros(len(nuclei), np.intp)
    label, nucleus_label = zeros if labels is None else _pair_of_codes(labels, len(boxes), len(nuclei))
    if score.shape != (len(boxes),):
        raise ValueError(f"one score per detection: got {score.shape} for {len(boxes)} detections")
    overlaps = overlaps_in_frames(boxes, frame, nuclei, nucleus_frame)
    verdicts = judge_detections(frame, score, label, nucleus_label, overlaps, max_detections=max_detections)
    return average_precisions(verdicts, np.bincount(nucleus_label[nucleus_label >= 0], minlength=n_classes))


def _pair_of_codes(codes: tuple[ArrayLike, ArrayLike], n_found: int, n_nuclei: int) -> tuple[Codes, Codes]:
    """Codes of detections and nuclei, (n_found,) and (n_nuclei,)."""
    first, second = (np.asarray(part, np.intp) for part in codes)
    if first.shape != (n_found,) or second.shape != (n_nuclei,):
        raise ValueError(
            f"one code per detection and per nucleus: got {first.shape} and {second.shape} for {n_found} and {n_nuclei}"
        )
    return first, second


def overlaps_in_frames(boxes: Floats, frame: Codes, nuclei: Floats, nucleus_frame: Codes) -> Overlaps:
    """Pairs of one frame that overlap by the smallest threshold, by detection: boxes (n, 4), frame (n,).

    The frames are laid side by side for the search, which costs the last digits of the coordinates; the IOU that counts
    is that of the coordinates as given.
    """
    least = float(IOU_THRESHOLDS[0])
    if not len(boxes) or not len(nuclei):
        return Overlaps(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
    both = np.concatenate([boxes, nuclei])
    place = np.unique(np.concatenate([frame, nucleus_frame]), return_inverse=True)[1]
    step = np.ceil(np.ptp(both[:, [0, 2]])) + 2
    aside = both + np.outer(place * step, [1.0, 0.0, 1.0, 0.0])
    first, second, _ = overlapping_pairs(aside[: len(boxes)], aside[len(boxes) :], min_iou=least * (1 - 1e-6))
    iou = aligned_iou(boxes[first], nuclei[second])
    enough = iou >= least
    return Overlaps(first[enough], second[enough], iou[enough])


def judge_detections(
    frame: Codes,
    score: Floats,
    label: Codes,
    nucleus_label: Codes,
    overlaps: Overlaps,
    *,
    max_detections: int = MAX_DETECTIONS,
) -> Verdicts:
    """What each detection that counts is at each IOU threshold.

    Parameters
    ----------
    frame, score, label : (n_found,) of the detections
    nucleus_label : (n_nuclei,) code of the class, or -1
    overlaps : of `overlaps_in_frames`

    Returns
    -------
    Verdicts
        By falling score, ties in the order of frames, then of rows.
    """
    order = np.lexsort((-score, label, frame))
    group = np.concatenate([[True], (np.diff(frame[order]) != 0) | (np.diff(label[order]) != 0)])[: len(order)]
    place = np.arange(len(order)) - np.maximum.accumulate(np.where(group, np.arange(len(order)), 0))
    counted = order[place < max_detections]
    rank = np.full(len(frame), -1)
    rank[counted] = np.arange(len(counted))
    is_ambiguous = nucleus_label[overlaps.nucleus] == AMBIGUOUS_CODE
    is_rival = (rank[overlaps.detection] >= 0) & (label[overlaps.detection] == nucleus_label[overlaps.nucleus])
    rivals = Overlaps(*(part[is_rival] for part in overlaps))
    is_true = _claim(rank[rivals.detection], rivals, frame[counted], label[counted], len(nucleus_label))
    excuse = np.zeros(len(frame))
    np.maximum.at(excuse, overlaps.detection[is_ambiguous], overlaps.iou[is_ambiguous])
    is_false = ~is_true & ~(excuse[counted, None] >= IOU_THRESHOLDS)
    falling = np.argsort(-score[counted], kind="stable")
    rows = counted[falling]
    return Verdicts(rows, label[rows], is_true[falling], is_false[falling])


def _claim(rank: Codes, rivals: Overlaps, frame: Codes, label: Codes, n_nuclei: int) -> NDArray[np.bool_]:
    """Which detections get a nucleus of their own: rank (n_pairs,), frame and label (n,) by rank -> (n, n_thresholds).

    All FOVs and classes take turns at once: in turn t it is the t-th detection of each that overlaps anything.
    """
    is_true = np.zeros((len(frame), len(IOU_THRESHOLDS)), bool)
    is_taken = np.zeros((n_nuclei, len(IOU_THRESHOLDS)), bool)
    contender, of_contender = np.unique(rank, return_inverse=True)
    starts = np.concatenate([[True], (np.diff(frame[contender]) != 0) | (np.diff(label[contender]) != 0)])
    places = np.arange(len(contender))
    turn = (places - np.maximum.accumulate(np.where(starts[: len(places)], places, 0)))[of_contender]
    order = np.lexsort((rivals.nucleus, rivals.iou, rank, turn))  # of each detection the best nucleus comes last
    for pairs in np.split(order, np.flatnonzero(np.diff(turn[order])) + 1):
        nucleus = rivals.nucleus[pairs]
        is_open = (rivals.iou[pairs, None] >= IOU_THRESHOLDS) & ~is_taken[nucleus]
        first = np.flatnonzero(np.diff(rank[pairs], prepend=-1))
        last_open = np.where(is_open, np.arange(len(pairs))[:, None], -1)
        best = np.maximum.reduceat(last_open, first, axis=0) if len(pairs) else last_open
        winner, at = np.nonzero(best >= 0)
        is_true[rank[pairs][first][winner], at] = True
        is_taken[nucleus[best[winner, at]], at] = True
    return is_true


def average_precisions(verdicts: Verdicts, n_nuclei: NDArray[np.intp]) -> Floats:
    """Average precision of each class at each threshold: nuclei of each class (C,) -> (C, n_thresholds)."""
    areas = []
    for code, n in enumerate(n_nuclei):
        of_class = verdicts.label == code
        true, false = (part[of_class].T.cumsum(axis=-1) for part in (verdicts.is_true, verdicts.is_false))
        areas.append(interpolated_area(true, false, float(n)))
    return np.stack(areas) if areas else np.zeros((0, len(IOU_THRESHOLDS)))


def interpolated_area(true: ArrayLike, false: ArrayLike, n_nuclei: ArrayLike) -> Floats:
    """Mean, over 101 recalls, of the best precision at that recall or beyond; NaN without a nucleus.

    Parameters
    ----------
    true, false : (..., n_steps) counts down to each step, of falling scores
    n_nuclei : (...)

    Returns
    -------
    (...)

    Examples
    --------
    >>> float(interpolated_area([1, 1, 2], [0, 1, 1], 2).round(4))
    0.835
    """
    true, false, n = np.asarray(true, float), np.asarray(false, float), np.asarray(n_nuclei, float)[..., None]
    precision = np.nan_to_num(ratio(true, true + false))  # nothing but excused detections so far
    best = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    n_reached = np.searchsorted(RECALLS, np.nan_to_num(ratio(true, n)), side="right")
    n_new = np.diff(n_reached, axis=-1, prepend=0)
    return np.where(n[..., 0] > 0, (best * n_new).sum(axis=-1) / len(RECALLS), np.nan)
