"""The proposals that train the heads: some that hold an object, more that hold none."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Generator, Tensor

from nucls_model.box_ops import match, pairwise_iou, sample
from nucls_model.instances import Target
from nucls_model.roi_align import roi_align


@dataclass(frozen=True)
class Proposals:
    """Boxes of a batch with what they hold: k boxes, C real classes."""

    boxes: Tensor  # (k, 4) in pixels of the network's input
    image: Tensor  # (k,) int64: which image of the batch
    is_object: Tensor  # (k,) bool: holds an object, else background
    row: Tensor  # (k,) int64: the object among those of its image; 0 for background
    truth: Tensor  # (k, 4) the object's box; the proposal itself for background
    classes: Tensor  # (k, C) the object's class probabilities; zero for background
    class_weight: Tensor  # (k,) weight of the class loss; 1 for background
    existence: Tensor  # (k,) weight of the box and mask losses; 1 for background

    def at(self, rows: Tensor) -> "Proposals":
        """Some of them, by rows (n,) or by a mask (k,)."""
        if rows.dtype == torch.bool:
            rows = rows.nonzero()[:, 0]  # once, not for each field
        return Proposals(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def choose_proposals(
    proposals: Sequence[Tensor],
    targets: Sequence[Target],
    generator: Generator,
    *,
    foreground_iou: float,
    samples: int,
    foreground_share: float,
) -> Proposals:
    """Proposals of each image that train the heads; the objects' own boxes are among the candidates.

    Parameters
    ----------
    proposals : (p, 4) for each image, in pixels of the network's input
    targets : the objects of each image, in the same pixels
    foreground_iou : a proposal with at least this IOU holds its object; with less it is background, unless an ignored
        box overlaps it as much
    samples, foreground_share : how many of each image at most, and what share of them may hold objects
    """
    chosen = []
    for i, (boxes, target) in enumerate(zip(proposals, targets, strict=True)):
        candidates = torch.cat([boxes, target.boxes])
        matched, if_objects = (
            match(pairwise_iou(truth, candidates), foreground_iou, foreground_iou, keep_best=False)
            for truth in (target.boxes, target.ignored)
        )
        ignored = (matched < 0) & (if_objects >= 0)
        rows = sample(matched, ignored, samples, foreground_share, generator)
        chosen.append(_with_targets(candidates[rows], matched[rows], target, i))
    return Proposals(**{field.name: torch.cat([getattr(c, field.name) for c in chosen]) for field in fields(Proposals)})


def _with_targets(boxes: Tensor, matched: Tensor, target: Target, image: int) -> Proposals:
    """Boxes (k, 4) of one image with the object of each; `matched` (k,) is its row, -1 for background."""
    is_object = matched >= 0
    row = matched.clamp(min=0)
    if not len(target.boxes):  # an object to look up, which no box holds
        target = _nothing(target)
    return Proposals(
        boxes=boxes,
        image=torch.full_like(row, image),
        is_object=is_object,
        row=row,
        truth=torch.where(is_object[:, None], target.boxes[row], boxes),
        classes=target.classes[row] * is_object[:, None],
        class_weight=torch.where(is_object, target.class_weight[row], 1.0),
        existence=torch.where(is_object, target.existence[row], 1.0),
    )


def _nothing(target: Target) -> Target:
    """A target with one object of no place, class and weight."""
    one = {"boxes": (1, 4), "classes": (1, target.classes.shape[1]), "class_weight": (1,), "existence": (1,)}
    return replace(target, **{name: target.boxes.new_zeros(shape) for name, shape in one.items()})


def class_targets(proposals: Proposals) -> Tensor:
    """Target probabilities of background, the real classes and AMBIGUOUS: (k, C + 2).

    What is known of an object is spread over the real classes; that it may not exist lowers its weight and puts nothing
    on background. AMBIGUOUS is no target: objects without a class have no weight.
    """
    background = (~proposals.is_object).to(proposals.classes.dtype)[:, None]  # (k, 1)
    return torch.cat([background, proposals.classes, torch.zeros_like(background)], dim=1)


def kinds_of(proposals: Proposals) -> Tensor:
    """The likeliest class of each object, (k,) from 0; AMBIGUOUS comes after the real classes."""
    ambiguous = proposals.classes.shape[1]
    return torch.where(proposals.class_weight > 0, proposals.classes.argmax(dim=1), ambiguous)


def has_mask(proposals: Proposals, targets: Sequence[Target]) -> Tensor:
    """Which proposals hold an object with an outline: (k,) bool."""
    found = torch.zeros_like(proposals.is_object)
    for i, target in enumerate(targets):
        rows = ((proposals.image == i) & proposals.is_object).nonzero()[:, 0]
        found[rows] = target.has_outline[proposals.row[rows]]
    return found


def mask_targets(proposals: Proposals, targets: Sequence[Target], ratios: Sequence[Tensor], side: int) -> Tensor:
    """The share of each mask's cells that the object covers: (k, side, side); every proposal holds an outlined object.

    Masks are pooled where they were painted, in pixels of the image: the network's input is not needed for them.
    """
    covered = proposals.boxes.new_zeros(len(proposals.boxes), side, side)
    for i, (target, ratio) in enumerate(zip(targets, ratios, strict=True)):
        rows = (proposals.image == i).nonzero()[:, 0]
        mask = target.has_outline.cumsum(0)[proposals.row[rows]] - 1  # which mask is the object's
        pixels = target.masks[:, None].to(covered.dtype)  # (n_outlined, 1, height, width)
        covered[rows] = roi_align(pixels, proposals.boxes[rows] / ratio, mask, side, 1.0, is_aligned=True)[:, 0]
    return covered
