"""Stains as light sees them: amounts of hematoxylin and eosin → colours, by the law of Beer and Lambert.

The vectors, strengths and whites lie around those of the twelve published FOVs, and scatter between hospitals about as
much as those do between slides.
"""

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray

Color = tuple[float, float, float]

_HEMATOXYLIN = (0.62, 0.70, 0.36)
_EOSIN = (0.21, 0.86, 0.47)
_STREAM = 1  # of the generators of hospitals; those of FOVs are others


@dataclass(frozen=True)
class Staining:
    """How a laboratory stains and how its scanner sees it."""

    hematoxylin: Color = _HEMATOXYLIN  # optical density (natural logarithm) of one unit in red, green, blue; length 1
    eosin: Color = _EOSIN
    strength: tuple[float, float] = (1.0, 1.0)  # factors on the amounts of hematoxylin and of eosin
    white: Color = (249.0, 243.0, 247.0)  # what glass without tissue looks like, 0 to 255
    blur: float = 1.0  # standard deviation of the point spread, pixels of 0.2 µm
    noise: float = 1.2  # standard deviation of the camera's noise, grey levels

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Optical densities of one unit, (2 stains, 3 colours)."""
        return np.array([self.hematoxylin, self.eosin])


def staining_of(hospital: str, slide: str = "") -> Staining:
    """The staining of a hospital, or of one of its slides: always the same for the same names.

    Slides of one hospital differ much less than hospitals do.

    Examples
    --------
    >>> staining_of("A2") == staining_of("A2"), staining_of("A2") == staining_of("BH")
    (True, False)
    """
    drawn = _scatter(Staining(), 1.0, _generator(hospital))
    return _scatter(drawn, 0.25, _generator(hospital, slide)) if slide else drawn


def _generator(*names: str) -> Generator:
    return np.random.default_rng(SeedSequence(_STREAM, spawn_key=[crc32(name.encode()) for name in names]))


def _scatter(middle: Staining, spread: float, rng: Generator) -> Staining:
    """A staining near `middle`; `spread` 1 is that between hospitals."""
    matrix = np.maximum(middle.matrix + spread * rng.normal(0, 0.035, (2, 3)), 0.02)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    hematoxylin, eosin = (np.array(middle.strength) * np.exp(spread * rng.normal(0, 0.13, 2))).tolist()
    white = np.clip(np.array(middle.white) + spread * rng.normal(0, 3.5, 3), 225, 254)
    return replace(
        middle,
        hematoxylin=_color(matrix[0]),
        eosin=_color(matrix[1]),
        strength=(hematoxylin, eosin),
        white=_color(white),
        blur=float(middle.blur * np.exp(spread * rng.normal(0, 0.18))),
    )


def _color(values: NDArray[np.float64]) -> Color:
    red, green, blue = values.tolist()
    return red, green, blue


def develop(amounts: NDArray[np.floating], staining: Staining, rng: Generator) -> NDArray[np.uint8]:
    """The picture of stained tissue.

    Parameters
    ----------
    amounts : (height, width, 2)
        Hematoxylin and eosin, in units of optical density, before the staining's strengths.
    staining : vectors, strengths, white and noise; the blur is the caller's
    rng : of the camera's noise

    Returns
    -------
    (height, width, 3)
        Red, green, blue from 0 to 255.

    Raises
    ------
    ValueError
        If the amounts have another shape.

    Examples
    --------
    >>> glass = develop(np.zeros((1, 1, 2)), Staining(noise=0.0), np.random.default_rng(0))
    >>> glass.tolist()
    [[[249, 243, 247]]]
    """
    if amounts.ndim != 3 or amounts.shape[2] != 2:
        raise ValueError(f"amounts must have the shape (height, width, 2), got {amounts.shape}")
    density = (amounts * np.array(staining.strength)) @ staining.matrix  # (height, width, 3)
    light = np.array(staining.white) * np.exp(-density)
    light += staining.noise * rng.standard_normal(light.shape)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)
