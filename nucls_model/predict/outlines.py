"""The outline of an object from the probabilities of its pixels."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

THRESHOLD = 0.5
_LEAST_AREA = 1.0  # square pixels; less is no object's outline


def outline_of(mask: ArrayLike, box: ArrayLike) -> NDArray[np.float64]:
    """The closed line on which a mask's probability is one half, between the pixels; of several, the largest.

    Parameters
    ----------
    mask : (side, side)
        Probability that a cell of the box belongs to the object.
    box : (4,)
        Corners ``xmin, ymin, xmax, ymax`` over which the mask lies, in pixels of any image.

    Returns
    -------
    (n_points, 2)
        x, y of the points in the same pixels, within the box; the first is not repeated. (0, 2) where the mask has no
        part of at least one square pixel above one half: only the box is known then.

    Examples
    --------
    >>> outline_of([[0, 0, 0], [0, 1, 0], [0, 0, 0]], [10, 20, 16, 26]).tolist()
    [[13.0, 24.0], [12.0, 23.0], [13.0, 22.0], [14.0, 23.0]]
    >>> outline_of([[0.1]], [0, 0, 9, 9]).shape
    (0, 2)
    """
    from skimage.measure import find_contours

    cells = np.pad(np.asarray(mask, dtype=np.float64), 1)  # so that every line closes
    xmin, ymin, xmax, ymax = (float(value) for value in np.asarray(box, dtype=np.float64))
    height, width = (side - 2 for side in cells.shape)
    rings = [ring[:-1, ::-1] for ring in find_contours(cells, THRESHOLD)]  # rows, columns -> x, y
    step = np.array([(xmax - xmin) / width, (ymax - ymin) / height])
    areas = [abs(signed_area(ring)) * step.prod() for ring in rings]
    if not rings or max(areas) < _LEAST_AREA:
        return np.empty((0, 2))
    # cell c of the padded mask has its centre at c - 1/2 cells from the corner of the box
    return (rings[int(np.argmax(areas))] - 0.5) * step + np.array([xmin, ymin])


def signed_area(ring: NDArray[np.float64]) -> float:
    """Area of a polygon (n_points, 2), negative where its points go the other way round."""
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
