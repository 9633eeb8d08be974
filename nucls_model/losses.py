"""The five losses: each takes logits, targets and weights, and returns one scalar.

Every loss is a weighted mean whose normaliser is the sum of the weights, so that with weights of one it is the ordinary
mean, and an object that exists with probability .5 counts half as much as one that surely exists.
"""

import torch
from torch import Tensor
from torch.nn import functional

SMOOTH_L1_BETA = 1 / 9
"""Where the box loss turns from quadratic to linear, in units of encoded boxes (as in Mask R-CNN's reference code)."""


def objectness_loss(logits: Tensor, is_object: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy of the sampled prior boxes: logits (k,), truth (k,) bool, weight (k,)."""
    loss = functional.binary_cross_entropy_with_logits(logits, is_object.to(logits.dtype), reduction="none")
    return weighted_mean(loss, weight)


def box_loss(encoded: Tensor, target: Tensor, weight: Tensor, total_weight: Tensor) -> Tensor:
    """Smooth L1 of the foreground's encoded boxes (k, 4) against `target` (k, 4), over the weight of all sampled.

    The sum over the four coordinates and the foreground is divided by `total_weight`, of foreground and background, as
    in the reference code of Faster R-CNN: few objects give a small loss.
    """
    loss = functional.smooth_l1_loss(encoded, target, beta=SMOOTH_L1_BETA, reduction="none").sum(dim=1)
    return (loss * weight).sum() / total_weight.clamp(min=torch.finfo(loss.dtype).tiny)


def class_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of class logits (k, K) with target probabilities (k, K) of weight (k,); one-hot: the hard loss."""
    loss = -(target * functional.log_softmax(logits, dim=1)).sum(dim=1)
    return weighted_mean(loss, weight)


def mask_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy over the pixels of outlined objects: logits and target (k, side, side), weight (k,)."""
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(1, 2))
    return weighted_mean(loss, weight)


def weighted_mean(loss: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of (k,) losses; zero, with a gradient of zero, where there is no weight.

    Examples
    --------
    >>> weighted_mean(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 1.0])).item()
    2.0
    >>> weighted_mean(torch.tensor([]), torch.tensor([])).item()
    0.0
    """
    return (loss * weight).sum() / weight.sum().clamp(min=torch.finfo(loss.dtype).tiny)
