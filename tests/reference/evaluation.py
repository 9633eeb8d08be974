"""Plain versions of what `nucls_model.evaluate` computes, one detection and one threshold at a time."""

import numpy as np

from tests.reference.boxes import iou

AMBIGUOUS = -1
RECALLS = np.linspace(0.0, 1.0, 101).tolist()  # the numbers that the COCO program compares with


def average_precision(found, nuclei, threshold, max_detections=300):
    """COCO's average precision of one class; None without a nucleus.

    found: (frame, box, score); nuclei: (frame, box, label), all of the class or ambiguous. Ambiguous nuclei excuse any
    number of detections.
    """
    judged = []
    for frame in sorted({f for f, _, _ in found}):
        here = sorted([(box, score) for f, box, score in found if f == frame], key=lambda row: -row[1])
        there = [(box, label) for f, box, label in nuclei if f == frame]
        taken = set()
        for box, score in here[:max_detections]:
            judged.append((score, verdict(box, there, taken, threshold)))
    n_nuclei = sum(label != AMBIGUOUS for _, _, label in nuclei)
    if n_nuclei == 0:
        return None
    points, n_true, n_false = [], 0, 0
    for _, outcome in sorted(judged, key=lambda row: -row[0]):
        n_true, n_false = n_true + (outcome == "true"), n_false + (outcome == "false")
        points.append((n_true / n_nuclei, n_true / (n_true + n_false) if n_true + n_false else 0.0))
    return sum(max((p for r, p in points if r >= recall), default=0.0) for recall in RECALLS) / len(RECALLS)


def verdict(box, nuclei, taken, threshold):
    """What a detection is, given which nuclei are taken; takes one if it can."""
    best = None
    for place, (nucleus, label) in enumerate(nuclei):
        overlap = iou(box, nucleus)
        is_free = label != AMBIGUOUS and place not in taken
        if is_free and overlap >= threshold and (best is None or overlap >= best[0]):
            best = overlap, place
    if best is not None:
        taken.add(best[1])
        return "true"
    excused = any(label == AMBIGUOUS and iou(box, nucleus) >= threshold for nucleus, label in nuclei)
    return "excused" if excused else "false"
