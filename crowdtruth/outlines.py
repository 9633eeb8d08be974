"""Accepted suggestions: how many are right by FOV, and how their outlines compare with traced ones (Fig 4c, S5)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.metrics import ratio
from crowdtruth.ratings import of_cohorts
from crowdtruth.resampling import Unit, bootstrap, group_codes

SEGMENTED_COLUMNS = (
    *("cohort", "condition", "fov", "n_anchors", "n_correct", "proportion", "low", "high", "resampled"),
)
OUTLINE_COLUMNS = ("anchor", "fov", "cohort", "condition", "boundary_correct", "iou", "dice")

_OUTLINE = ["coords_x", "coords_y"]
_LEAST_POINTS = 3  # of an outline with an area
_EACH = ["anchor", "cohort", "condition"]


def segmented_objects(
    truth: pd.DataFrame, *, fovs: pd.DataFrame | None = None, resample: Unit = "fov", **options: Any
) -> pd.DataFrame:
    """Share of the objects whose suggested boundary is inferred to be right, over all FOVs and in each.

    Parameters
    ----------
    truth : fov, cohort, condition, is_object, boundary_correct
    fovs : fov, slide; needed where slides are resampled
    resample : ``"fov"`` or ``"slide"``
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per cohort × condition × FOV (empty: all)
        The columns of `SEGMENTED_COLUMNS`. The share over all FOVs has bounds; a single FOV cannot be resampled, and
        has none. Objects that nobody of the cohort marked under the condition have no verdict; conditions in which
        nobody accepted a suggestion have no rows.

    Raises
    ------
    ValueError
        If slides are resampled and an FOV has none.

    Examples
    --------
    >>> here = {"cohort": "P", "condition": "E", "is_object": True}
    >>> truth = pd.DataFrame({**here, "fov": ["f", "f", "g"], "boundary_correct": [1.0, 0.0, 1.0]})
    >>> segmented_objects(truth)[["fov", "n_anchors", "proportion"]].round(2).values.tolist()
    [['', 3, 0.67], ['f', 2, 0.5], ['g', 1, 1.0]]
    """
    judged = truth[truth["is_object"].astype(bool) & truth["boundary_correct"].notna()]
    by_fov = (
        judged.groupby(["cohort", "condition", "fov"])["boundary_correct"]
        .agg(n_anchors="size", n_correct="sum", proportion="mean")
        .reset_index()
    )
    tables = []
    for _, rows in by_fov.groupby(["cohort", "condition"]):
        overall = _over_all_fovs(rows, fovs, resample, options)
        tables += [overall, rows.assign(low=np.nan, high=np.nan, resampled="")]
    table = pd.concat(tables, ignore_index=True) if tables else by_fov.reindex(columns=SEGMENTED_COLUMNS)
    return table.astype({"n_anchors": "int64", "n_correct": "int64"})[[*SEGMENTED_COLUMNS]]


def _over_all_fovs(
    by_fov: pd.DataFrame, fovs: pd.DataFrame | None, resample: Unit, options: dict[str, Any]
) -> pd.DataFrame:
    """One row for all FOVs of a cohort and condition: the share of right objects with its bounds."""
    group, _ = group_codes(by_fov["fov"], fovs, resample)
    counts = by_fov.groupby(group)[["n_anchors", "n_correct"]].sum().to_numpy()
    interval = bootstrap(counts, lambda sums: ratio(sums[..., 1], sums[..., 0]), **options)
    n_anchors, n_correct = counts.sum(axis=0)
    row = by_fov.iloc[:1].assign(fov="", n_anchors=n_anchors, n_correct=n_correct, proportion=interval.value)
    return row.assign(low=interval.low, high=interval.high, resampled=resample)


def compare_outlines(
    truth: pd.DataFrame,
    members: pd.DataFrame,
    annotations: pd.DataFrame,
    raters: pd.DataFrame,
    *,
    cohorts: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Overlap of accepted suggestions with the traced outline of the same anchor, beside the verdict on them.

    The clicked outline of an anchor is the one that most raters of the cohort accepted under the condition; of several,
    the one that sorts first. The traced outline is that of any rater under any condition; of several, the one of the
    largest mean IOU with the others. Rings that cross themselves are made valid; outlines without an area are left out.

    Parameters
    ----------
    truth : anchor, fov, cohort, condition, boundary_correct
    members : annotation, anchor
    annotations : annotation, rater, condition, kind, coords_x, coords_y
    raters : rater, cohort
    cohorts : cohort in `truth` -> cohorts in `raters` it unites; default: each is itself

    Returns
    -------
    one row per anchor × cohort × condition that has both outlines and a verdict
        The columns of `OUTLINE_COLUMNS`.

    Examples
    --------
    >>> here = {"anchor": "a", "fov": "f", "cohort": "P", "condition": "E"}
    >>> marks = pd.DataFrame({"annotation": ["1", "2"], "rater": "r", "condition": ["E", "U"],
    ...                       "kind": ["click", "polygon"], "coords_x": ["0,2,2,0", "0,1,1,0"], "coords_y": "0,0,2,2"})
    >>> compare_outlines(
    ...     pd.DataFrame([{**here, "boundary_correct": 1.0}]), pd.DataFrame({"annotation": ["1", "2"], "anchor": "a"}),
    ...     marks, pd.DataFrame({"rater": ["r"], "cohort": ["P"]}),
    ... )[["iou", "dice"]].round(3).values.tolist()
    [[0.5, 0.667]]
    """
    marks = members[["annotation", "anchor"]].merge(
        annotations[["annotation", "rater", "condition", "kind", *_OUTLINE]], on="annotation"
    )
    marks = marks[marks["coords_x"] != ""]
    traced = _traced_outlines(marks[marks["kind"] == "polygon"])
    clicked = _clicked_outlines(marks[marks["kind"] == "click"], of_cohorts(raters[["rater", "cohort"]], cohorts))
    verdicts = truth.loc[truth["boundary_correct"].notna(), [*_EACH, "fov", "boundary_correct"]]
    both = verdicts.merge(clicked, on=_EACH).merge(traced, on="anchor", suffixes=("", "_traced"))
    overlap = polygon_overlaps(as_polygons(both[_OUTLINE]), as_polygons(both[[f"{name}_traced" for name in _OUTLINE]]))
    table = both.assign(**overlap).astype({"boundary_correct": "int64"})
    return table.loc[table["iou"].notna(), [*OUTLINE_COLUMNS]].reset_index(drop=True)


def _clicked_outlines(clicks: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """The outline that most `members` (rater, cohort) accepted: anchor, cohort, condition, coords_x, coords_y."""
    clicks = clicks.merge(members, on="rater")
    votes = clicks.groupby([*_EACH, *_OUTLINE])["rater"].nunique().rename("n").reset_index()
    votes = votes.sort_values([*_EACH, "n", *_OUTLINE], ascending=[True, True, True, False, True, True])
    return votes.drop_duplicates(_EACH).drop(columns="n")


def _traced_outlines(traced: pd.DataFrame) -> pd.DataFrame:
    """The traced outline of each anchor, of several the medoid: anchor, coords_x, coords_y."""
    traced = traced[["anchor", *_OUTLINE]].sort_values(["anchor", *_OUTLINE], ignore_index=True)
    several = traced["anchor"].duplicated(keep=False)
    medoids = [rows.iloc[_medoid(as_polygons(rows[_OUTLINE]))] for _, rows in traced[several].groupby("anchor")]
    return pd.concat([traced[~several], pd.DataFrame(medoids, columns=traced.columns)], ignore_index=True)


def _medoid(polygons: NDArray[Any]) -> int:
    """Place of the polygon that overlaps the others best, the first of equals."""
    n = len(polygons)
    first, second = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    iou = np.nan_to_num(polygon_overlaps(polygons[first], polygons[second])["iou"])
    return int(iou.reshape(n, n).sum(axis=1).argmax())


def as_polygons(outlines: pd.DataFrame) -> NDArray[Any]:
    """Valid polygons of outlines, (n,); one of less than three points is empty.

    Parameters
    ----------
    outlines : (n, 2) comma lists: x of the points, y of the points

    Examples
    --------
    >>> as_polygons(pd.DataFrame({"x": ["0,2,2,0"], "y": ["0,0,2,2"]}))[0].area
    4.0
    """
    import shapely

    points = [
        np.column_stack([np.array(x.split(","), float), np.array(y.split(","), float)])
        for x, y in outlines.itertuples(index=False)
    ]
    return shapely.make_valid(
        np.array([shapely.Polygon(ring if len(ring) >= _LEAST_POINTS else None) for ring in points], dtype=object)
    )


def polygon_overlaps(first: NDArray[Any], second: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """`iou` and `dice` of shapely polygons two by two, (n,) each; NaN where one has no area."""
    import shapely

    areas, other_areas = shapely.area(first), shapely.area(second)
    shared = np.where((areas > 0) & (other_areas > 0), shapely.area(shapely.intersection(first, second)), np.nan)
    return {"iou": ratio(shared, areas + other_areas - shared), "dice": ratio(2 * shared, areas + other_areas)}
