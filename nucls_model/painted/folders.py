"""Painted FOVs in the folders in which NuCLS publishes its own: pictures, tables of objects, masks."""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.checks import CORNERS
from crowdtruth.files import atomic_write, write_table
from crowdtruth.taxonomy import load_taxonomy
from nucls_model.dataset import rasterise
from nucls_model.painted.outlines import Points, bounds, cut
from nucls_model.painted.scene import largest_first

_FOV_CODE = 253
_LARGEST_CODE = 255
PARTS = ("rgb", "csv", "mask")


def object_table(
    outlines: Sequence[Points], labels: Sequence[str], has_outline: NDArray[np.bool_], width: int, height: int
) -> pd.DataFrame:
    """Objects in the published columns; what lies beyond the picture is cut off.

    Parameters
    ----------
    outlines : (n_objects,) arrays of (n_points, 2)
        Whole pixels.
    labels : (n_objects,)
        Raw classes of the NuCLS scheme.
    has_outline : (n_objects,)
        Whether the outline is told, else the corners of its box are.
    width, height : of the picture

    Returns
    -------
    raw_classification, main_classification, super_classification, type, xmin, ymin, xmax, ymax, coords_x, coords_y
        One row per object of which something is left, in their order.
    """
    scheme = load_taxonomy("nucls")
    main, higher = (scheme.grouping(level).class_of for level in ("main", "super"))
    rows = []
    for points, label, told in zip(outlines, labels, has_outline, strict=True):
        visible = cut(points, width, height)
        if not len(visible):
            continue
        box = bounds(visible)
        ring = np.vstack([visible, visible[:1]]) if told else box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
        coords = [",".join(map(str, axis)) for axis in ring.astype(np.int64).T.tolist()]
        kind = "polyline" if told else "rectangle"
        rows.append([label, main[label], higher[label], kind, *box.astype(np.int64).tolist(), *coords])
    names = [f"{name}_classification" for name in ("raw", "main", "super")]
    return pd.DataFrame(rows, columns=[*names, "type", *CORNERS, "coords_x", "coords_y"])


@cache
def instance_codes() -> NDArray[np.uint8]:
    """The second and third channel of the objects of a mask, (17437, 2): pairs of which no two have the same product.

    The first of the pairs a < b up to 255, in lexicographic order, with each product; the FOV itself takes the first.

    Examples
    --------
    >>> instance_codes()[:3].tolist(), len(instance_codes())
    ([[1, 2], [1, 3], [1, 4]], 17437)
    """
    first, second = np.triu_indices(_LARGEST_CODE + 1, k=1)
    pairs = np.stack([first, second], axis=1)[first > 0]
    _, places = np.unique(pairs.prod(axis=1), return_index=True)
    return pairs[np.sort(places)].astype(np.uint8)


def draw_mask(objects: pd.DataFrame, width: int, height: int) -> NDArray[np.uint8]:
    """The mask of a picture: class code, then two numbers whose product is the object's own.

    Parameters
    ----------
    objects : raw_classification, type, xmin, ymin, xmax, ymax, coords_x, coords_y
    width, height : of the picture

    Returns
    -------
    (height, width, 3)
        Where objects overlap, the smaller box is on top; where there is none, the code of the FOV.

    Raises
    ------
    ValueError
        If there are more objects than products.
    """
    codes = instance_codes()
    if len(objects) >= len(codes):
        raise ValueError(f"a mask can tell {len(codes) - 1:,} objects apart, got {len(objects):,}")
    class_codes = load_taxonomy("nucls").codes
    mask = np.full((height, width, 3), (_FOV_CODE, *codes[0]), np.uint8)
    boxes = objects[CORNERS].to_numpy(np.int64).reshape(-1, 4)
    for i in largest_first(boxes):
        xmin, ymin, xmax, ymax = boxes[i].tolist()
        one = objects.iloc[i]
        x, y = (np.array(one[name].split(","), int) for name in ("coords_x", "coords_y"))
        window = mask[ymin : ymax + 1, xmin : xmax + 1]
        window[rasterise(x - xmin, y - ymin, *window.shape[:2])] = (
            class_codes[one["raw_classification"]],
            *codes[i + 1],
        )
    return mask


def write_fov(folder: Path, name: str, rgb: NDArray[np.uint8], objects: pd.DataFrame) -> None:
    """Write one FOV into ``rgb``, ``csv`` and ``mask`` of a folder that has them."""
    height, width = rgb.shape[:2]
    write_png(rgb, folder / "rgb" / f"{name}.png")
    write_png(draw_mask(objects, width, height), folder / "mask" / f"{name}.png")
    write_table(objects, folder / "csv" / f"{name}.csv")


def write_png(picture: NDArray[np.uint8], path: Path) -> None:
    """Write (height, width, 3) as PNG; the same picture gives the same bytes."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="PNG")
    with atomic_write(path) as handle:
        handle.write(content.getvalue())
