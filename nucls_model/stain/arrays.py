"""Macenko's stain separation in NumPy, for images of bytes (height, width, 3).

Light falls off exponentially with stain, so −log(pixel / white), the optical density, is a sum: amounts × stains. The
stained pixels of an image lie in a plane, between the directions of its two stains.

References
----------
Macenko et al. (2009), A method for normalizing histology slides for quantitative analysis, ISBI.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

Floats = NDArray[np.float64]


def optical_density(image: ArrayLike) -> Floats:
    """Natural logarithm of white over each pixel, (height, width, 3); black counts as 1 of 255.

    Parameters
    ----------
    image : (height, width, 3)
        Red, green and blue, 0 to 255.

    Raises
    ------
    ValueError
        If the shape is another.

    Examples
    --------
    >>> optical_density(np.full((1, 1, 3), 255))
    array([[[0., 0., 0.]]])
    """
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"an image is (height, width, 3), got {pixels.shape}")
    return np.log(WHITE / np.clip(pixels, 1.0, WHITE))


def stain_matrix(image: ArrayLike) -> Floats | None:
    """The stains of an image: unit columns haematoxylin and eosin, rows red, green, blue.

    Parameters
    ----------
    image : (height, width, 3)
        0 to 255.

    Returns
    -------
    (3, 2), or None
        Haematoxylin is the stain that takes more of the red. None where the image has fewer than `MIN_STAINED` stained
        pixels, or they are all of one stain.

    Examples
    --------
    >>> stain_matrix(np.full((64, 64, 3), 255)) is None
    True
    """
    density = optical_density(image).reshape(-1, 3)
    density = density[~_is_black(density)]
    plane = _principal_plane(density)
    flat = density @ plane  # (n_pixels, 2)
    flat = flat[np.hypot(*flat.T) > MIN_DENSITY]
    if len(flat) < MIN_STAINED:
        return None
    angle = np.sort(np.arctan2(flat[:, 1], flat[:, 0]))
    low, high = angle[[_place(EXTREME, len(angle)), _place(1 - EXTREME, len(angle))]]
    if high - low < MIN_ANGLE:
        return None
    stains = plane @ np.array([[np.cos(low), np.cos(high)], [np.sin(low), np.sin(high)]])  # (3, 2), unit columns
    return np.ascontiguousarray(stains[:, ::-1]) if stains[0, 0] < stains[0, 1] else stains


def _is_black(density: Floats) -> NDArray[np.bool_]:
    """Pixels (..., 3) without any light: padding, and no stain."""
    return (density >= np.log(WHITE)).all(axis=-1)


def _principal_plane(density: Floats) -> Floats:
    """The two main directions (3, 2) of densities (n_pixels, 3), seen from no stain; the first points to more stain."""
    _, directions = np.linalg.eigh(density.T @ density)  # by rising eigenvalue
    plane = directions[:, :0:-1]
    return plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)


def _place(share: float, n: int) -> int:
    """Place in n sorted values of the one that a share of them lies below."""
    return min(int(share * n), n - 1)


def amounts(image: ArrayLike, stains: Floats) -> Floats:
    """How much of each stain lies on each pixel, (height, width, 2): least squares, in natural logarithms.

    Parameters
    ----------
    image : (height, width, 3)
        0 to 255.
    stains : (3, 2)
        Unit columns.
    """
    return optical_density(image) @ np.linalg.pinv(stains).T


def normalise(image: ArrayLike, target: StainTarget = TARGET) -> NDArray[np.uint8]:
    """The image as if stained like the target: its stains replaced, their strongest amounts made equal.

    Parameters
    ----------
    image : (height, width, 3)
        0 to 255.
    target : stains and amounts

    Returns
    -------
    (height, width, 3)
        The image itself where its stains cannot be told (`stain_matrix` is None). Black stays black.

    Examples
    --------
    >>> normalise(np.full((64, 64, 3), 240))[0, 0].tolist()
    [240, 240, 240]
    """
    stains = stain_matrix(image)
    if stains is None:
        return _bytes(np.asarray(image, dtype=np.float64))
    found = amounts(image, stains)
    scaled = found * _ratio(np.array(target.strong), _strongest(image, stains))
    normal = WHITE * np.exp(-scaled @ np.array(target.stains).T)
    normal[_is_black(optical_density(image))] = 0.0
    return _bytes(normal)


def target_of(image: ArrayLike) -> StainTarget | None:
    """The stains of an image and how strong they are, for others to be normalised to; None where they cannot be told.

    Parameters
    ----------
    image : (height, width, 3)
        0 to 255.

    Examples
    --------
    >>> target_of(np.full((64, 64, 3), 240)) is None
    True
    """
    stains = stain_matrix(image)
    if stains is None:
        return None
    red, green, blue = ((float(h), float(e)) for h, e in stains)
    haematoxylin, eosin = _strongest(image, stains)
    return StainTarget((red, green, blue), (float(haematoxylin), float(eosin)))


def _strongest(image: ArrayLike, stains: Floats) -> Floats:
    """The amount (2,) of each stain that stands for its strongest, among the stained pixels."""
    density = optical_density(image).reshape(-1, 3)
    density = density[~_is_black(density) & (np.linalg.norm(density, axis=1) > MIN_DENSITY)]
    found = np.sort(density @ np.linalg.pinv(stains).T, axis=0)
    return found[_place(STRONG, len(found))]


def _ratio(wanted: Floats, strong: Floats) -> Floats:
    """Factor of each stain (2,); 1 where there is none of it."""
    return np.divide(wanted, strong, out=np.ones(2), where=strong > 0)


def augment(image: ArrayLike, alpha: ArrayLike) -> NDArray[np.uint8]:
    """The image with as many times the haematoxylin and eosin; what neither explains stays as it is.

    Parameters
    ----------
    image : (height, width, 3)
        0 to 255.
    alpha : (2,)
        Factors; 1 changes nothing.

    Returns
    -------
    (height, width, 3)
        The image itself where its stains cannot be told. Black stays black: padding is no stain.
    """
    stains = stain_matrix(image)
    pixels = np.asarray(image, dtype=np.float64)
    if stains is None:
        return _bytes(pixels)
    more = amounts(image, stains) * (np.asarray(alpha, dtype=np.float64) - 1)
    return _bytes(pixels * np.exp(-more @ stains.T))


def _bytes(pixels: Floats) -> NDArray[np.uint8]:
    return np.clip(np.rint(pixels), 0, WHITE).astype(np.uint8)
