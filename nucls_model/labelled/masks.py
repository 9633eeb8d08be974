"""Published mask images: the outlines of their instances, found by the boxes of objects.

Channel 1 holds the class code (253 the area of annotation), channel 2 × channel 3 the instance. The product needs more
than a byte, and in older masks two objects can share it; so an instance is one connected piece of one product and one
class code, or all pieces together where a smaller nucleus painted over it parted them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.images import open_image
from crowdtruth.metrics import match_boxes
from nucls_model.labelled.table import OUTLINE, SIZE_TOLERANCE, SMALLEST_FOV, image_size

MIN_OVERLAP = 0.5
"""Least IOU of an object's box with the box of its instance in the mask."""

_AREA_CODE = 253
_KINDS = ("RGB", "RGBA", "P")


def mask_problem(mask: Path, image: Path) -> str:
    """Why a mask is of no use, in words; empty where it belongs to its image, or that one is no whole one."""
    size, other = image_size(image), image_size(mask, _KINDS)
    if isinstance(other, str):
        return f"mask {other}"
    if isinstance(size, str):
        return ""
    if np.abs(np.subtract(size, other)).max() > SIZE_TOLERANCE:
        return f"its mask has {other[0]} × {other[1]} pixels, its image {size[0]} × {size[1]}"
    return ""


def _channels(path: Path) -> NDArray[np.uint8]:
    """The codes of a mask image, (height, width, 3); transparency would change them and means nothing here."""
    return np.asarray(open_image(path.parent, path.name).convert("RGB"))


def area_in_mask(path: Path) -> tuple[int, int, int, int] | None:
    """The area of annotation in a mask image, xmin, ymin, xmax, ymax (half-open).

    None where the mask has none, or one too small to be an FOV.
    """
    is_area = _channels(path)[..., 0] == _AREA_CODE
    if not is_area.any():
        return None
    rows, columns = np.flatnonzero(is_area.any(axis=1)), np.flatnonzero(is_area.any(axis=0))
    if min(np.ptp(rows), np.ptp(columns)) + 1 < SMALLEST_FOV:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def outlines_in_mask(path: Path, boxes: NDArray[np.float64]) -> pd.DataFrame:
    """The outlines of objects in a mask image, each the instance of the best overlapping box, one to one.

    Parameters
    ----------
    path : RGB mask image
    boxes : (n, 4), all objects of the FOV, also those whose outline is not asked for: they take their own instances

    Returns
    -------
    (n, 2) coords_x, coords_y
        Comma lists; empty where no instance overlaps the box with an IOU of `MIN_OVERLAP`.
    """
    mask = _channels(path).astype(np.int64)
    instances = _instances(mask)
    outlines = pd.DataFrame("", index=range(len(boxes)), columns=OUTLINE)
    if not instances or not len(boxes):
        return outlines
    own = np.array([box for box, _ in instances], dtype=np.float64)
    match = match_boxes(boxes, own, iou_threshold=MIN_OVERLAP)
    for row, instance in zip(match.row, match.reference_row, strict=True):
        (xmin, ymin, _, _), pixels = instances[instance]
        points = border(pixels) + np.array([xmin, ymin])
        outlines.loc[row] = [",".join(map(str, points[:, axis])) for axis in (0, 1)]
    return outlines


def _instances(mask: NDArray[np.int64]) -> list[tuple[tuple[int, int, int, int], NDArray[np.bool_]]]:
    """Box (half-open) and pixels in it of each instance of a mask (height, width, 3), and of each piece of one."""
    from scipy.ndimage import find_objects, label

    code, product = mask[..., 0], mask[..., 1] * mask[..., 2]
    key = np.where((code > 0) & (code != _AREA_CODE) & (product > 0), code << 16 | product, 0)
    numbers, numbered = np.unique(key, return_inverse=True)
    numbered = numbered.reshape(key.shape) + (0 if numbers[0] == 0 else 1)
    found = []
    for number, place in enumerate(find_objects(numbered), start=1):
        whole = numbered[place] == number
        x, y = place[1].start, place[0].start
        found.append(_trimmed(whole, x, y))
        pieces, n_pieces = label(whole, structure=np.ones((3, 3)))
        if n_pieces > 1:  # each in its own box: there may be as many as pixels
            places = enumerate(find_objects(pieces), start=1)
            found += [_trimmed(pieces[own] == n, x + own[1].start, y + own[0].start) for n, own in places]
    return found


def _trimmed(pixels: NDArray[np.bool_], x: int, y: int) -> tuple[tuple[int, int, int, int], NDArray[np.bool_]]:
    """Pixels without empty rows and columns around them, and their box in the image; (x, y) is where they began."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return (int(x + left), int(y + top), int(x + right), int(y + bottom)), pixels[top:bottom, left:right]


def border(pixels: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The outline of the largest piece of some pixels: (n_points, 2) x, y of border pixels in order.

    Filled with its outline it gives the pixels again, their holes filled.

    Examples
    --------
    >>> border(np.ones((2, 3), dtype=bool)).tolist()
    [[0, 1], [0, 0], [2, 0], [2, 1]]
    """
    from scipy.ndimage import binary_fill_holes, label
    from skimage.measure import find_contours

    pieces, _ = label(np.pad(pixels, 1), structure=np.ones((3, 3)))
    padded = binary_fill_holes(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)
    (ring,) = find_contours(padded.astype(float), 0.5, fully_connected="high")
    ring = ring[:-1]  # it closes with its first point
    low, high = np.floor(ring).astype(np.int64), np.ceil(ring).astype(np.int64)  # one of the two lies in the object
    inner = np.where(padded[low[:, 0], low[:, 1]][:, None], low, high)[:, ::-1] - 1
    step = np.any(inner != np.roll(inner, 1, axis=0), axis=1)
    points = inner[step] if step.any() else inner[:1]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = np.any(before != after, axis=1)
    return points[turns] if turns.any() else points
