"""Smooth random fields: what tissue and chromatin are textured with."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

_RESOLUTION = 0.25  # pixels between the knots of a profile


def smooth_noise(shape: tuple[int, int], length: float, rng: Generator) -> NDArray[np.float32]:
    """A random field, (height, width), of mean near 0 and standard deviation near 1.

    Parameters
    ----------
    shape : height, width
    length : pixels over which it changes, at least 1
    rng : of the field
    """
    rows, columns = (int(np.ceil(side / length)) + 2 for side in shape)
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    window = (0.5, 0.5, 0.5 + shape[1] / length, 0.5 + shape[0] / length)
    field = Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC, box=window)
    return np.asarray(field, np.float32) / np.float32(0.8)  # what interpolation leaves of the standard deviation


def fibres(shape: tuple[int, int], angle: float, scale: float, rng: Generator) -> NDArray[np.float32]:
    """Wavy fibres that run along `angle` (from x towards y, radians), (height, width), of mean near 0 and sd near 1."""
    y, x = np.indices(shape, dtype=np.float32)
    total = np.zeros(shape, np.float32)
    for width, turn, bend in ((9.0, 0.0, 9.0), (4.5, 0.12, 6.0)):
        direction = angle + turn * rng.standard_normal()
        across = np.float32(-np.sin(direction)) * x + np.float32(np.cos(direction)) * y
        across += bend * scale * smooth_noise(shape, 55 * scale, rng)
        total += _profile(across, width * scale, rng)
    return total * np.float32(0.7)


def _profile(across: NDArray[np.float32], length: float, rng: Generator) -> NDArray[np.float32]:
    """A random function of one variable that changes over `length`, of each value of `across`."""
    low = float(across.min())
    n_knots = int(np.ceil((float(across.max()) - low) / length)) + 2
    knots = rng.standard_normal(n_knots)
    fine = np.arange(0, n_knots - 1, _RESOLUTION)
    part = fine % 1
    eased = part * part * (3 - 2 * part)
    start = fine.astype(np.intp)
    values = knots[start] * (1 - eased) + knots[start + 1] * eased
    place = ((across - low) / (length * _RESOLUTION)).astype(np.intp)
    return values.astype(np.float32)[np.minimum(place, len(values) - 1)]
