"""The region proposal network on one feature map: which prior boxes hold an object, and where exactly.

References
----------
Ren, S., He, K., Girshick, R., Sun, J. (2015): Faster R-CNN. NeurIPS. Table S7 of the NuCLS paper gives the numbers: one
level without a feature pyramid, 9 prior boxes per cell, as many as 3,000 proposals, since nuclei are many and small.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from nucls_model.box_ops import (
    BACKGROUND,
    clip,
    decode,
    encode,
    is_sized,
    match,
    nms,
    pairwise_iou,
    prior_boxes,
    sample,
)
from nucls_model.instances import Target
from nucls_model.losses import box_loss, objectness_loss

ENCODING = (1.0, 1.0, 1.0, 1.0)
"""Weights of the encoded coordinates of prior boxes."""

Size = tuple[int, int]


@dataclass(frozen=True)
class PriorScores:
    """What the network says of the prior boxes of each image: n images, p prior boxes."""

    boxes: Tensor  # (p, 4): the prior boxes, the same for every image of a batch
    logits: Tensor  # (n, p): objectness
    encoded: Tensor  # (n, p, 4): the object's box relative to the prior box

    @torch.no_grad()
    def finite(self) -> "PriorScores":
        """The same with 0 for what is no finite number."""
        logits, encoded = (x.nan_to_num(0.0, 0.0, 0.0) for x in (self.logits, self.encoded))
        return PriorScores(self.boxes, logits, encoded)


class ProposalHead(nn.Module):
    """Objectness and box of every prior box, from a 3 × 3 convolution of the feature map."""

    def __init__(self, channels: int, priors_per_cell: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, priors_per_cell, 1)
        self.boxes = nn.Conv2d(channels, 4 * priors_per_cell, 1)
        for layer in (self.conv, self.objectness, self.boxes):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(n, channels, height, width) -> logits (n, p) and boxes (n, p, 4); p = height · width · priors per cell."""
        x = self.conv(features).relu()
        logits = self.objectness(x).permute(0, 2, 3, 1).flatten(1)  # (n, p)
        encoded = self.boxes(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4)  # (n, p, 4)
        return logits.float(), encoded.float()


class RegionProposals(nn.Module):
    """Proposals from a feature map, and what the network learns from the objects there.

    Parameters
    ----------
    channels, stride : of the feature map
    sizes, aspects : of the prior boxes; sizes in pixels of the network's input, aspects as height / width
    foreground_iou, background_iou : a prior box with at least, below these is an object's, is background
    samples, foreground_share : prior boxes of each image that train the network
    pre_nms, post_nms, nms_iou, min_size : proposals of each image
    """

    def __init__(
        self,
        channels: int,
        stride: int,
        *,
        sizes: Sequence[float],
        aspects: Sequence[float],
        foreground_iou: float,
        background_iou: float,
        samples: int,
        foreground_share: float,
        pre_nms: int,
        post_nms: int,
        nms_iou: float,
        min_size: float,
    ) -> None:
        super().__init__()
        self.head = ProposalHead(channels, len(sizes) * len(aspects))
        self.stride = stride
        self.sizes, self.aspects = tuple(sizes), tuple(aspects)
        self.foreground_iou, self.background_iou = foreground_iou, background_iou
        self.samples, self.foreground_share = samples, foreground_share
        self.pre_nms, self.post_nms, self.nms_iou, self.min_size = pre_nms, post_nms, nms_iou, min_size

    def forward(self, features: Tensor) -> PriorScores:
        """(n, channels, height, width) -> what is said of each prior box."""
        height, width = features.shape[-2:]
        strides = self.stride, self.stride
        boxes = prior_boxes(height, width, *strides, self.sizes, self.aspects, features.device)  # (p, 4)
        return PriorScores(boxes, *self.head(features))

    @torch.no_grad()
    def propose(self, scores: PriorScores, sizes: Sequence[Size]) -> list[Tensor]:
        """The likeliest boxes of each image, (at most post_nms, 4), inside its `sizes` (height, width)."""
        return [
            self._proposals_of(scores.boxes, logits, encoded, size)
            for logits, encoded, size in zip(scores.logits, scores.encoded, sizes, strict=True)
        ]

    def _proposals_of(self, priors: Tensor, logits: Tensor, encoded: Tensor, size: Size) -> Tensor:
        """The proposals of one image by falling objectness."""
        best = logits.topk(min(self.pre_nms, len(logits))).indices
        boxes = clip(decode(encoded[best], priors[best], ENCODING)[:, 0], *size)
        scores = logits[best]
        kept = is_sized(boxes, self.min_size)
        boxes, scores = boxes[kept], scores[kept]
        return boxes[nms(boxes, scores, self.nms_iou)[: self.post_nms]]

    def losses(self, scores: PriorScores, targets: Sequence[Target], generator: Generator) -> tuple[Tensor, Tensor]:
        """Objectness and box loss of sampled prior boxes; `targets` in pixels of the network's input."""
        chosen = [self._choose(scores.boxes, target, generator) for target in targets]
        matched = torch.cat([truth for _, truth in chosen])  # (k,) row of the image's objects, -1: background
        weight = torch.cat(
            [_existence(target.existence, truth) for target, (_, truth) in zip(targets, chosen, strict=True)]
        )
        logits = torch.cat([row[rows] for row, (rows, _) in zip(scores.logits, chosen, strict=True)])
        objectness = objectness_loss(logits, matched >= 0, weight)
        encoded, aim = [], []
        for image, target, (rows, truth) in zip(scores.encoded, targets, chosen, strict=True):
            found = rows[truth >= 0]
            encoded.append(image[found])
            aim.append(encode(target.boxes[truth[truth >= 0]], scores.boxes[found], ENCODING))
        box = box_loss(torch.cat(encoded), torch.cat(aim), weight[matched >= 0], weight.sum())
        return objectness, box

    def _choose(self, priors: Tensor, target: Target, generator: Generator) -> tuple[Tensor, Tensor]:
        """Rows of the prior boxes of one image that train the network, and the object of each (-1: background)."""
        matched, if_objects = (
            match(pairwise_iou(boxes, priors), self.foreground_iou, self.background_iou, keep_best=True)
            for boxes in (target.boxes, target.ignored)
        )
        ignored = (matched < 0) & (if_objects != BACKGROUND)
        rows = sample(matched, ignored, self.samples, self.foreground_share, generator)
        return rows, matched[rows]


def _existence(existence: Tensor, matched: Tensor) -> Tensor:
    """Weight of each sampled box: p_exists of its object, 1 for background."""
    padded = torch.cat([existence, existence.new_ones(1)])  # row -1: background
    return padded[matched]
