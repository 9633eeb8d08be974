"""Outlines of painted objects: drawn to fill boxes, cut at the edges of the picture.

Points are x, y as NuCLS publishes them: numbers of pixels, those under the line among the object's. A box goes from the
smallest to the largest of them.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nucls_model.painted.looks import Look

_N_POINTS = 24

Points = NDArray[np.float64]


def draw_outline(box: NDArray[np.float64], look: Look, falling: bool, rng: Generator) -> Points:
    """A nucleus-shaped outline in whole pixels that touches all four sides of its box, (n_points, 2).

    Parameters
    ----------
    box : (4,)
    look : its slant and wobble
    falling : whether a slanting one leads down to the right, else up to the right
    rng : of its shape
    """
    angle = np.arange(_N_POINTS) * (2 * np.pi / _N_POINTS)
    phase = rng.uniform(0, 2 * np.pi, 2)
    radius = 1 + look.wobble * (np.cos(2 * angle + phase[0]) + 0.6 * np.cos(3 * angle + phase[1]))
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    slant = look.slant * rng.uniform(0.9, 1.08) * (1 if falling else -1)
    points[:, 1] = slant * points[:, 0] + np.sqrt(1 - min(slant**2, 1)) * points[:, 1]
    low, high = points.min(axis=0), points.max(axis=0)
    return np.rint(box[:2] + (points - low) / (high - low) * (box[2:] - box[:2]))


def cut(points: Points, width: int, height: int) -> Points:
    """The part of an outline within the picture, in whole pixels, (n_points, 2); none where nothing is left."""
    last = (width - 1, height - 1)
    if (points >= 0).all() and (points <= last).all():
        return points
    import shapely

    inside = shapely.make_valid(shapely.Polygon(points)).intersection(shapely.box(0, 0, *last))
    parts = [part for part in shapely.get_parts(inside) if part.area > 0]
    if not parts:
        return np.zeros((0, 2))
    largest = max(parts, key=lambda part: part.area)
    left = np.rint(np.array(largest.exterior.coords[:-1]))
    return left if (np.ptp(left, axis=0) > 0).all() else np.zeros((0, 2))


def bounds(points: Points) -> NDArray[np.float64]:
    """The box of an outline, (4,)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
