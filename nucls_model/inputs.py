"""From images to the network's input: scaled by one factor, normalised, padded to whole cells of the feature map.

Nuclei keep their scale: an image is multiplied by a factor, never fitted to a size, so a larger tile shows more nuclei,
not smaller ones (Figure 6; nucls_facts 10.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nucls_model.instances import Target

MEAN = (0.485, 0.456, 0.406)
"""Of ImageNet's red, green and blue, as fractions: what pretrained backbones expect."""

DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Batch:
    """Images as one tensor, with what leads back from it: n images."""

    pixels: Tensor  # (n, 3, height, width), normalised; zero where padded
    sizes: list[tuple[int, int]]  # (height, width) of each scaled image
    ratios: list[Tensor]  # (4,) each: pixels of the input per pixel of the image, for xmin, ymin, xmax, ymax


def prepare(images: Sequence[Tensor], factor: float, multiple: int) -> Batch:
    """Images (3, height, width) of fractions, each scaled by `factor`, padded right and below to a `multiple`.

    Both sides are rounded to whole pixels, so they are scaled by `factor` to within half a pixel of the input.

    Raises
    ------
    ValueError
        If there is no image, or one is not (3, height, width) of fractions, or has no pixel.

    Examples
    --------
    >>> batch = prepare([torch.zeros(3, 10, 20)], 4.0, 32)
    >>> batch.pixels.shape, batch.sizes, batch.ratios[0].tolist()
    (torch.Size([1, 3, 64, 96]), [(40, 80)], [4.0, 4.0, 4.0, 4.0])
    """
    if not images:
        raise ValueError("a batch needs an image, got none")
    for i, image in enumerate(images):
        if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape or not image.is_floating_point():
            raise ValueError(
                "an image is (3, height, width) with pixels as fractions; "
                f"image {i} is {tuple(image.shape)} {image.dtype}"
            )
    scaled = [_scale(normalise(image), factor) for image in images]
    height = _next_multiple(max(image.shape[1] for image in scaled), multiple)
    width = _next_multiple(max(image.shape[2] for image in scaled), multiple)
    pixels = torch.stack([functional.pad(s, (0, width - s.shape[2], 0, height - s.shape[1])) for s in scaled])
    ratios = []
    for image, large in zip(images, scaled, strict=True):
        y, x = large.shape[1] / image.shape[1], large.shape[2] / image.shape[2]
        ratios.append(torch.tensor([x, y, x, y], device=image.device))
    return Batch(pixels, [(image.shape[1], image.shape[2]) for image in scaled], ratios)


def check_targets(targets: Sequence[Target], n_images: int, n_classes: int) -> None:
    """Raise ValueError unless there is a target for each image, of as many classes as the model has.

    Examples
    --------
    >>> check_targets([], 2, 7)
    Traceback (most recent call last):
    ValueError: each image needs its target, got 2 images and 0 targets
    """
    if len(targets) != n_images:
        raise ValueError(f"each image needs its target, got {n_images} images and {len(targets)} targets")
    for i, target in enumerate(targets):
        if target.classes.shape[1] != n_classes:
            raise ValueError(f"the model has {n_classes} classes; target {i} has {target.classes.shape[1]}")


def scale_target(target: Target, ratio: Tensor) -> Target:
    """The objects with their boxes in pixels of the network's input; masks stay in pixels of the image."""
    return replace(target, boxes=target.boxes * ratio, ignored=target.ignored * ratio)


def normalise(images: Tensor) -> Tensor:
    """Fractions (…, 3, height, width) to ImageNet's mean and standard deviation."""
    mean, deviation = (images.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (images - mean) / deviation


def _scale(image: Tensor, factor: float) -> Tensor:
    """(3, height, width) -> (3, height · factor, width · factor), bilinear, rounded to whole pixels, at least one."""
    size = [max(1, round(side * factor)) for side in image.shape[1:]]
    return functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]


def _next_multiple(length: int, multiple: int) -> int:
    """The smallest multiple that is not below `length`."""
    return -(-length // multiple) * multiple
