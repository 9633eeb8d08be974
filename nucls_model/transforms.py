"""What is done to an image and its targets before a training step: crops, flips, stain.

Each transform is called with (image (3, height, width) in 0..1, target, generator), returns a new image and target, and
takes all its randomness from the generator. Masks and ignored boxes follow the image.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nucls_model.instances import Target
from nucls_model.stain import tensors

Transform = Callable[[Tensor, Target, torch.Generator], tuple[Tensor, Target]]

MIN_SIDE = 8.0
"""Pixels: a nucleus that the edge of a crop leaves at most this much of, on either axis, is no object of the crop."""


@dataclass(frozen=True)
class Compose:
    """Several transforms, one after another."""

    steps: tuple[Transform, ...]

    def __call__(self, image: Tensor, target: Target, generator: torch.Generator) -> tuple[Tensor, Target]:
        """Image and target after all steps."""
        for step in self.steps:
            image, target = step(image, target, generator)
        return image, target


@dataclass(frozen=True)
class RandomCrop:
    """A square piece of the image, uniformly placed; a smaller image is padded with zeros on the left and above.

    Parameters
    ----------
    size : side of the piece, pixels
    min_side : objects whose box the crop cuts to at most so many pixels, on the axis it was cut on, are left out; a
        small nucleus that lies in the crop whole stays

    Examples
    --------
    >>> none = torch.zeros(0)
    >>> target = Target(torch.tensor([[2., 3., 9., 9.]]), torch.ones(1, 1), torch.ones(1), torch.ones(1),
    ...                 torch.tensor([False]), torch.zeros(0, 10, 10, dtype=torch.bool), torch.zeros(0, 4))
    >>> image, target = RandomCrop(12)(torch.ones(3, 10, 10), target, torch.Generator())
    >>> image.shape, target.boxes.tolist()
    (torch.Size([3, 12, 12]), [[4.0, 5.0, 11.0, 11.0]])
    """

    size: int
    min_side: float = MIN_SIDE

    def __post_init__(self) -> None:
        if self.size < 1 or self.min_side < 0:
            raise ValueError(f"expected a size of at least 1 and a min_side of at least 0, got {self}")

    def __call__(self, image: Tensor, target: Target, generator: torch.Generator) -> tuple[Tensor, Target]:
        """The piece, and the objects that are in it."""
        height, width = image.shape[1:]
        above, left = max(self.size - height, 0), max(self.size - width, 0)
        y = _uniform(height + above - self.size, generator)
        x = _uniform(width + left - self.size, generator)
        padding = (left, 0, above, 0)
        image = functional.pad(image, padding)[:, y : y + self.size, x : x + self.size]
        masks = functional.pad(target.masks, padding)[:, y : y + self.size, x : x + self.size]
        moved = replace(target, masks=masks)
        return image.contiguous(), _in_window(moved, left - x, above - y, self.size, self.min_side)


def _uniform(largest: int, generator: torch.Generator) -> int:
    """A whole number from 0 to `largest`."""
    return int(torch.randint(largest + 1, (), generator=generator))


def _in_window(target: Target, dx: int, dy: int, size: int, min_side: float) -> Target:
    """Boxes moved by (dx, dy) and cut to a square; objects too small there left out. The masks are cut already."""
    boxes, is_left = _cut(target.boxes, dx, dy, size, min_side)
    ignored, is_seen = _cut(target.ignored, dx, dy, size, 0.0)
    masks = target.masks[is_left[target.has_outline]]
    has_pixels = masks.flatten(1).any(dim=1)
    has_outline = target.has_outline[is_left]
    still = has_outline.clone()
    still[has_outline] = has_pixels  # an outline that the crop cut off altogether
    return replace(
        target,
        boxes=boxes[is_left],
        classes=target.classes[is_left],
        class_weight=target.class_weight[is_left],
        existence=target.existence[is_left],
        has_outline=still,
        masks=masks[has_pixels],
        ignored=ignored[is_seen],
    )


def _cut(boxes: Tensor, dx: int, dy: int, size: int, min_side: float) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4) moved and cut to a square, and which of them are left (n,)."""
    moved = boxes + boxes.new_tensor([dx, dy, dx, dy])
    cut = moved.clamp(0, size)
    side, whole = cut[:, 2:] - cut[:, :2], moved[:, 2:] - moved[:, :2]  # (n, 2)
    is_whole = (cut == moved).view(-1, 2, 2).all(dim=1)
    return cut, ((side > min_side) | (is_whole & (whole > 0))).all(dim=1)


@dataclass(frozen=True)
class RandomFlip:
    """Mirrored left to right with one probability, upside down with another."""

    horizontal: float = 0.5
    vertical: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.horizontal <= 1 and 0 <= self.vertical <= 1):
            raise ValueError(f"expected probabilities from 0 to 1, got {self}")

    def __call__(self, image: Tensor, target: Target, generator: torch.Generator) -> tuple[Tensor, Target]:
        """Image and target, mirrored or not."""
        across, down = (torch.rand(2, generator=generator) < torch.tensor([self.horizontal, self.vertical])).tolist()
        if across:
            image, target = flip(image, target, axis=0)
        if down:
            image, target = flip(image, target, axis=1)
        return image, target


def flip(image: Tensor, target: Target, *, axis: int) -> tuple[Tensor, Target]:
    """Image and target mirrored along x (`axis` 0: left to right) or y (1: upside down).

    Examples
    --------
    >>> target = Target(torch.tensor([[2., 3., 9., 9.]]), torch.ones(1, 1), torch.ones(1), torch.ones(1),
    ...                 torch.tensor([False]), torch.zeros(0, 10, 10, dtype=torch.bool), torch.zeros(0, 4))
    >>> flip(torch.ones(3, 10, 10), target, axis=0)[1].boxes.tolist()
    [[1.0, 3.0, 8.0, 9.0]]
    """
    side = 2 - axis  # dimension of the image
    length = image.shape[side]

    def mirrored(boxes: Tensor) -> Tensor:
        turned = boxes.clone()
        turned[:, axis], turned[:, axis + 2] = length - boxes[:, axis + 2], length - boxes[:, axis]
        return turned

    masks = target.masks.flip(side)
    return image.flip(side), replace(
        target, boxes=mirrored(target.boxes), masks=masks, ignored=mirrored(target.ignored)
    )


@dataclass(frozen=True)
class StainJitter:
    """Haematoxylin and eosin of the image each times a number from `low` to `high`, drawn anew for each.

    The published program also adds up to ±.5 to the amounts, on a scale of 0 to 255 on which a stained pixel has some
    hundred: that half of the perturbation changes nothing that can be seen, and is left out.
    Put it before the crop: the more of an image it sees, the better its stains are told apart.
    """

    low: float = 0.5
    high: float = 1.5

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"expected 0 <= low <= high, got {self}")

    def __call__(self, image: Tensor, target: Target, generator: torch.Generator) -> tuple[Tensor, Target]:
        """The image stained anew, and the target as it is."""
        alpha = self.low + (self.high - self.low) * torch.rand(2, generator=generator)
        return tensors.augment(image, alpha), target


def training_transform(
    crop_size: int = 300, *, min_side: float = MIN_SIDE, vertical_flip: float = 0.0, has_stain_jitter: bool = True
) -> Compose:
    """The paper's augmentation: stain, a square crop, a horizontal flip. Scale jitter belongs to the model's input.

    Examples
    --------
    >>> [type(step).__name__ for step in training_transform().steps]
    ['StainJitter', 'RandomCrop', 'RandomFlip']
    """
    stain: tuple[Transform, ...] = (StainJitter(),) if has_stain_jitter else ()
    return Compose((*stain, RandomCrop(crop_size, min_side), RandomFlip(vertical=vertical_flip)))
