"""What a detector learns from and what it finds: the objects of one image, as tensors.

Boxes are ``xmin, ymin, xmax, ymax`` in pixels of the image, half-open. Classes are the real ones: neither background
nor AMBIGUOUS is among them.
"""

from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True)
class Target:
    """The objects of one image, with what is known of each: n objects, C real classes, m ignored boxes."""

    boxes: Tensor  # (n, 4) float32
    classes: Tensor  # (n, C) float32: target probabilities over the real classes; rows sum to one
    class_weight: Tensor  # (n,) float32: weight of the class loss; 0 where the object is AMBIGUOUS
    existence: Tensor  # (n,) float32: weight of the RPN, box and mask losses, p_exists
    has_outline: Tensor  # (n,) bool
    masks: Tensor  # (n_outlined, height, width) bool: pixels of each outlined object, in the order of the objects
    ignored: Tensor  # (m, 4) float32: boxes that are neither an object nor background

    def to(self, device: object) -> "Target":
        """The same objects on another device."""
        return Target(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True)
class Detections:
    """The objects found in one image: n objects, C real classes.

    By falling objectness, or where each class has an NMS of its own by falling probability of the label.
    """

    boxes: Tensor  # (n, 4) float32
    objectness: Tensor  # (n,) float32: 1 - P(background)
    probabilities: Tensor  # (n, C) float32 over the real classes; rows sum to one
    ambiguous: Tensor  # (n,) float32: the softmax's P(AMBIGUOUS), at most the objectness
    masks: Tensor  # (n, side, side) float32: probability of the object's pixels, over its box
    embedding: Tensor  # (n, n_features) float32: what the class logits are computed from (DTALE explains it)
    label: Tensor  # (n,) int64: the class it was kept for (class-specific NMS), else the likeliest class

    def to(self, device: object) -> "Detections":
        """The same detections on another device."""
        return Detections(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})
