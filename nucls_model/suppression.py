"""Which candidates become detections: one NMS for all classes, or one for each (Table S5, rows 2 and 1).

A candidate has class probabilities (background, the real classes, AMBIGUOUS) and a box for each kind there is: one kind
where boxes are class-agnostic, one for each real class and AMBIGUOUS else.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nucls_model.box_ops import grouped_nms, nms


@dataclass(frozen=True)
class Kept:
    """Detections among the candidates, by falling score: d of k."""

    row: Tensor  # (d,) int64: the candidate
    kind: Tensor  # (d,) int64: which of its boxes
    label: Tensor  # (d,) int64: the real class, from 0


@dataclass(frozen=True)
class GlobalNms:
    """One NMS on objectness, so that a nucleus is found once and keeps its whole vector of class probabilities."""

    iou: float
    min_objectness: float
    max_detections: int

    def __call__(self, boxes: Tensor, probabilities: Tensor, is_valid: Tensor) -> Kept:
        """Boxes (k, 1, 4) with probabilities (k, C + 2), where (k, 1) `is_valid` -> what is kept."""
        objectness = objectness_of(probabilities)
        candidates = ((objectness > self.min_objectness) & is_valid[:, 0]).nonzero()[:, 0]
        row = candidates[nms(boxes[candidates, 0], objectness[candidates], self.iou)[: self.max_detections]]
        label = real_probabilities(probabilities[row]).argmax(dim=1)
        return Kept(row, torch.zeros_like(row), label)


@dataclass(frozen=True)
class ClassNms:
    """An NMS for each class on its own probability: a nucleus may be found once as each class."""

    iou: float
    min_objectness: float
    max_detections: int

    def __call__(self, boxes: Tensor, probabilities: Tensor, is_valid: Tensor) -> Kept:
        """Boxes (k, C + 1, 4) with probabilities (k, C + 2), where (k, C + 1) `is_valid` -> what is kept."""
        score = probabilities[:, 1:-1]  # (k, C)
        row, label = ((score > self.min_objectness) & is_valid[:, :-1]).nonzero(as_tuple=True)
        kept = grouped_nms(boxes[row, label], score[row, label], label, self.iou)[: self.max_detections]
        return Kept(row[kept], label[kept], label[kept])


def objectness_of(probabilities: Tensor) -> Tensor:
    """1 - P(background) of (k, C + 2) probabilities: AMBIGUOUS is an object."""
    return 1 - probabilities[:, 0]


def real_probabilities(probabilities: Tensor) -> Tensor:
    """The real classes' share of (k, C + 2) probabilities, renormalised: (k, C); uniform where they have none.

    Examples
    --------
    >>> real_probabilities(torch.tensor([[0.5, 0.3, 0.1, 0.1], [0.5, 0.0, 0.0, 0.5]])).tolist()
    [[0.75, 0.25], [0.5, 0.5]]
    """
    real = probabilities[:, 1:-1]
    total = real.sum(dim=1, keepdim=True)
    return torch.where(total > 0, real / total, 1 / real.shape[1])
