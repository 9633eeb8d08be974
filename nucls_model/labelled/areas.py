"""FOVs cut to the area that raters annotated.

Published images are larger than that area, to show nuclei at its edge in full. Beyond it no nucleus is labelled: there
a detector would be taught that nuclei are background, and blamed for finding them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.checks import CORNERS
from nucls_model.labelled.table import OUTLINE, SIZE_TOLERANCE, SMALLEST_FOV, LabelledFovs

SMALLEST_REST = 8
"""Pixels: an object cut to a side of no more is left out, as in the published program (nucls_facts 10.3)."""

LEAST_POINTS = 3
"""Of an outline with an area."""

Area = tuple[int, int, int, int]


def cut_to_areas(labelled: LabelledFovs, areas: Mapping[str, Area]) -> LabelledFovs:
    """The label table with its FOVs cut to areas of their images; coordinates begin at the corner of the area.

    Parameters
    ----------
    labelled : FOVs that show whole images
    areas : FOV -> xmin, ymin, xmax, ymax (half-open) in whole pixels of the image; FOVs without stay as they are, as do
        those whose area is the image, or too small to be an FOV
    """
    fovs, objects = labelled.fovs.copy(), labelled.objects
    parts = [objects[~objects["fov"].isin(areas)]]
    n_cut = n_lost = 0
    for place, (fov, width, height) in enumerate(zip(fovs["fov"], fovs["width"], fovs["height"], strict=True)):
        if fov not in areas:
            continue
        rows = objects[objects["fov"] == fov]
        area = np.clip(areas[fov], 0, (width, height, width, height))
        if _is_part(area, width, height):
            fovs.loc[place, ["left", "top", "width", "height"]] = [*area[:2], *(area[2:] - area[:2])]
            n_all, rows = len(rows), _cut(rows, area.astype(np.float64))
            n_cut, n_lost = n_cut + 1, n_lost + n_all - len(rows)
        parts.append(rows)
    order = {fov: place for place, fov in enumerate(fovs["fov"])}
    whole = pd.concat(parts).sort_values("fov", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    note = (
        f"{n_cut:,} FOVs are cut to the area that was annotated; {n_lost:,} objects have no more than {SMALLEST_REST} "
        "pixels in it and are left out"
    )
    return replace(labelled, fovs=fovs, objects=whole, notes=(*labelled.notes, *([note] if n_cut else [])))


def _is_part(area: NDArray[Any], width: int, height: int) -> bool:
    """Whether an area is less than the image, but enough for an FOV."""
    is_less = max(*area[:2], width - area[2], height - area[3]) > SIZE_TOLERANCE
    return bool(is_less and (area[2:] - area[:2]).min() >= SMALLEST_FOV)


def _cut(objects: pd.DataFrame, area: NDArray[np.float64]) -> pd.DataFrame:
    """Objects of one FOV in coordinates of the area, cut to it; the box of a cut outline is that of what is left."""
    boxes = objects[CORNERS].to_numpy(dtype=np.float64)
    cut = np.clip(boxes, np.tile(area[:2], 2), np.tile(area[2:], 2))
    rings = [_ring(*row) for row in objects[OUTLINE].itertuples(index=False)]
    is_cut = (cut != boxes).any(axis=1)
    for place in np.flatnonzero(is_cut):
        rings[place] = _within(rings[place], area)
        if len(rings[place]):
            cut[place] = [*rings[place].min(axis=0), *rings[place].max(axis=0)]
    is_seen = ~is_cut | ((cut[:, 2:] - cut[:, :2]).min(axis=1, initial=np.inf) > SMALLEST_REST)
    texts = [[",".join(f"{value:g}" for value in axis) for axis in (ring - area[:2]).T] for ring in rings]
    moved = pd.DataFrame(cut - np.tile(area[:2], 2), columns=CORNERS, index=objects.index)
    outlines = pd.DataFrame(texts, columns=OUTLINE, index=objects.index, dtype="str")
    return objects.assign(**moved, **outlines, has_outline=outlines["coords_x"] != "")[is_seen]


def _ring(x: Any, y: Any) -> NDArray[np.float64]:
    """The points of comma lists, (n, 2); none of empty ones."""
    if not x:
        return np.zeros((0, 2))
    return np.array([axis.split(",") for axis in (x, y)], dtype=np.float64).T


def _within(ring: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.float64]:
    """The outline of the largest piece that lies in the area, (n, 2); none where there is none."""
    import shapely

    if len(ring) < LEAST_POINTS:
        return ring[:0]
    pieces = shapely.get_parts(shapely.intersection(shapely.make_valid(shapely.Polygon(ring)), shapely.box(*area)))
    largest = max(pieces, key=shapely.area, default=shapely.Polygon())
    return np.asarray(largest.exterior.coords)[:-1] if shapely.area(largest) else ring[:0]
