"""How well outlines of matched nuclei agree: areas of polygons, where both sides have one."""

import numpy as np
import pandas as pd

from crowdtruth.metrics import ratio
from crowdtruth.outlines import as_polygons, polygon_overlaps
from nucls_model.evaluate.inputs import Codes, Floats
from nucls_model.evaluate.intervals import Resampling, score_rows

N_STEPS = 1000
"""Steps that values between 0 and 1 are rounded to for the interval of their median."""


def outline_overlaps(found: pd.DataFrame, nuclei: pd.DataFrame) -> tuple[Floats, Floats]:
    """IOU and DICE of outlines, row by row.

    Areas are those of the polygons, not of pixels. Rings that cross themselves are made valid.

    Parameters
    ----------
    found, nuclei : (n, 2) coords_x, coords_y; comma lists in pixels of the FOV, empty where there is no outline

    Returns
    -------
    (n,), (n,)
        NaN where a side has no outline, or one without an area.

    Examples
    --------
    >>> square = pd.DataFrame({"coords_x": ["0,2,2,0"], "coords_y": ["0,0,2,2"]})
    >>> half = pd.DataFrame({"coords_x": ["0,1,1,0"], "coords_y": ["0,0,2,2"]})
    >>> [float(one.round(3)[0]) for one in outline_overlaps(square, half)]
    [0.5, 0.667]
    """
    has_both = ((found["coords_x"] != "").to_numpy()) & ((nuclei["coords_x"] != "").to_numpy())
    iou, dice = np.full((2, len(has_both)), np.nan)
    first, second = (as_polygons(side[has_both]) for side in (found, nuclei))
    overlaps = polygon_overlaps(first, second)
    iou[has_both], dice[has_both] = overlaps["iou"], overlaps["dice"]
    return iou, dice


def outline_scores(fov: Codes, iou: Floats, dice: Floats, resampling: Resampling) -> pd.DataFrame:
    """Mean and median of the overlaps that there are: (n,) each -> rows of the table."""
    is_compared = ~np.isnan(iou)
    compared = np.column_stack([iou, dice])[is_compared]
    fov, n = fov[is_compared], int(is_compared.sum())
    means = compared.mean(axis=0) if n else np.full(2, np.nan)
    medians = np.median(compared, axis=0) if n else np.full(2, np.nan)
    sums = [resampling.counts(fov, (), (), column) for column in (*compared.T, np.ones(n))]
    bounds = resampling.bounds(means, (np.stack(sums, axis=1),), lambda s: ratio(s[..., :2], s[..., 2:]))
    steps = [resampling.counts(fov, (np.rint(column * N_STEPS),), (N_STEPS + 1,)) for column in compared.T]
    median_bounds = resampling.bounds(medians, (np.stack(steps, axis=1),), median_of_steps)
    values = np.concatenate([means, medians])[None]
    low, high = (np.concatenate(pair)[None] for pair in zip(bounds, median_bounds, strict=True))
    metrics = ["mean_iou", "mean_dice", "median_iou", "median_dice"]
    return score_rows(metrics, "", [""], values, (low, high), n=[n], resampled=resampling.unit)


def median_of_steps(sums: Floats) -> Floats:
    """Median of values given as numbers at 0, 1/`N_STEPS`, … 1; NaN of none: (..., n_steps) -> (...).

    Examples
    --------
    >>> float(median_of_steps(np.bincount([100, 200, 600, 700], minlength=1001)))
    0.4
    """
    reached = sums.cumsum(axis=-1)
    half = reached[..., -1:] / 2
    lower, upper = (reached >= half).argmax(axis=-1), (reached > half).argmax(axis=-1)
    return np.where(half[..., 0] > 0, (lower + upper) / 2 / (sums.shape[-1] - 1), np.nan)
