"""Macenko's stain separation in torch, for images of fractions (3, height, width); the maths of `arrays`."""

import math

import numpy as np
import torch
from torch import Tensor

from nucls_model.stain.target import (
    EXTREME,
    MIN_ANGLE,
    MIN_DENSITY,
    MIN_STAINED,
    STRONG,
    TARGET,
    WHITE,
    StainTarget,
)


def optical_density(image: Tensor) -> Tensor:
    """Natural logarithm of white over each pixel, (3, height, width); black counts as 1 of 255.

    Raises
    ------
    ValueError
        If `image` is not (3, height, width).

    Examples
    --------
    >>> optical_density(torch.ones(3, 1, 1)).max()
    tensor(0.)
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"an image is (3, height, width), got {tuple(image.shape)}")
    return image.clamp(1 / WHITE, 1.0).reciprocal().log()


def stain_matrix(image: Tensor) -> Tensor | None:
    """The stains of an image (3, height, width): unit columns haematoxylin and eosin, (3, 2); see `arrays`.

    None where the image has fewer than `MIN_STAINED` stained pixels, or they are all of one stain.

    Examples
    --------
    >>> stain_matrix(torch.ones(3, 64, 64)) is None
    True
    """
    density = optical_density(image).flatten(1)  # (3, n_pixels)
    density = density[:, ~_is_black(density)]
    plane = _principal_plane(density)
    flat = plane.T @ density  # (2, n_pixels)
    flat = flat[:, torch.hypot(flat[0], flat[1]) > MIN_DENSITY]
    n_stained = flat.shape[1]
    if n_stained < MIN_STAINED:
        return None
    angle = torch.atan2(flat[1], flat[0])
    low, high = _quantile(angle, EXTREME), _quantile(angle, 1 - EXTREME)
    if high - low < MIN_ANGLE:
        return None
    extremes = torch.stack([low, high])
    stains = plane @ torch.stack([extremes.cos(), extremes.sin()])  # (3, 2)
    return stains.flip(1) if stains[0, 0] < stains[0, 1] else stains


def _is_black(density: Tensor) -> Tensor:
    """Pixels (3, ...) without any light: padding, and no stain. As `arrays`, to the rounding of single precision."""
    return (density >= math.log(WHITE) - 1e-5).all(dim=0)


def _principal_plane(density: Tensor) -> Tensor:
    """The two main directions (3, 2) of densities (3, n_pixels), seen from no stain.

    In double precision, and by NumPy's eigenvectors of a 3 × 3 matrix: a device has no faster way.
    """
    wide = density.double()
    _, directions = np.linalg.eigh((wide @ wide.T).cpu().numpy())
    plane = directions[:, :0:-1]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    return torch.from_numpy(np.ascontiguousarray(plane)).to(density)


def _quantile(values: Tensor, share: float) -> Tensor:
    """The value along the last axis that a share of the others lies below; no sort of all of them."""
    n = values.shape[-1]
    return values.kthvalue(min(int(share * n), n - 1) + 1, dim=-1).values


def amounts(image: Tensor, stains: Tensor) -> Tensor:
    """How much of each stain (3, 2) lies on each pixel of an image (3, height, width): (2, height, width)."""
    density = optical_density(image)
    return (torch.linalg.pinv(stains) @ density.flatten(1)).view(2, *image.shape[1:])


def normalise(image: Tensor, target: StainTarget = TARGET) -> Tensor:
    """The image as if stained like the target, (3, height, width) in 0..1; itself where its stains cannot be told.

    Examples
    --------
    >>> bool((normalise(torch.full((3, 64, 64), 0.9)) == 0.9).all())
    True
    """
    stains = stain_matrix(image)
    if stains is None:
        return image
    density = optical_density(image).flatten(1)  # (3, n_pixels)
    is_black = _is_black(density)
    found = torch.linalg.pinv(stains) @ density  # (2, n_pixels)
    strong = _quantile(found[:, ~is_black & (torch.linalg.norm(density, dim=0) > MIN_DENSITY)], STRONG)
    wanted = torch.tensor(target.strong).to(found)
    ratio = torch.where(strong > 0, wanted / strong, torch.ones_like(strong))
    density = torch.tensor(target.stains).to(found) @ (found * ratio[:, None])
    return ((-density).exp().clamp(0, 1) * ~is_black).view_as(image)


def augment(image: Tensor, alpha: Tensor) -> Tensor:
    """The image (3, height, width) with `alpha` (2,) times the haematoxylin and eosin; see `arrays`.

    Examples
    --------
    >>> augment(torch.ones(3, 8, 8), torch.tensor([0.5, 1.5])).min()
    tensor(1.)
    """
    stains = stain_matrix(image)
    if stains is None:
        return image
    more = amounts(image, stains).flatten(1) * (alpha.to(image) - 1)[:, None]  # (2, n_pixels)
    factor = (-(stains @ more)).exp().view_as(image)
    return (image * factor).clamp(0, 1)
