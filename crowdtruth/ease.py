"""How easily objects are found: how many raters marked each (Fig S8)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.accuracy.confusions import labels_given, objects_all_were_asked_about
from crowdtruth.metrics import ratio
from crowdtruth.references import AnchorLabels
from crowdtruth.resampling import Unit, bootstrap, group_codes
from crowdtruth.taxonomy import RAW

COLUMNS = (
    *("cohort", "condition", "reference", "grouping", "class", "at_least", "n", "n_objects", "share", "low", "high"),
    "resampled",
)


def ease_of_detection(
    labels: AnchorLabels,
    ratings: pd.DataFrame,
    *,
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    cohorts: Mapping[str, Sequence[str]] | None = None,
    fovs: pd.DataFrame | None = None,
    level: str = RAW,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Share of the objects of each class that at least so many raters of a cohort marked, under any label.

    Only FOVs that as many raters were asked about as about most FOVs, see
    `crowdtruth.accuracy.confusions.objects_all_were_asked_about`.

    Parameters
    ----------
    labels : of `crowdtruth.references.label_of_anchors`; also those of a cohort by itself
    ratings : anchor, rater, cohort, condition, label
    assignments : fov, rater, condition
    raters : rater, cohort
    cohorts : cohort in `labels` -> cohorts in the other tables it unites; default: each is itself
    fovs : fov, slide; needed where slides are resampled
    level : name of the grouping of the true labels
    resample : ``"fov"`` or ``"slide"``
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per cohort × condition × class (empty: all) × at_least (0, 1, … raters asked)
        The columns of `COLUMNS`; n of n_objects were marked by at least so many. Empty for crowd tables.

    Raises
    ------
    ValueError
        If slides are resampled and an FOV has none.

    Examples
    --------
    >>> said = {"anchor": "a", "fov": "f", "cohort": "P", "condition": "all"}
    >>> ratings = pd.DataFrame([{**said, "rater": "r", "label": "x"}, {**said, "rater": "s", "label": "undetected"}])
    >>> told = pd.DataFrame([{**said, "true": "x", "reference": "truth.csv", "is_own": False}])
    >>> ease_of_detection(
    ...     AnchorLabels(told, told[:0], True), ratings, assignments=ratings[["fov", "rater", "condition"]],
    ...     raters=pd.DataFrame({"rater": ["r", "s"], "cohort": "P"}),
    ... )[["class", "at_least", "n", "share"]]
      class  at_least  n  share
    0               0  1    1.0
    1               1  1    1.0
    2               2  0    0.0
    3     x         0  1    1.0
    4     x         1  1    1.0
    5     x         2  0    0.0
    """
    objects = objects_all_were_asked_about(labels, assignments=assignments, raters=raters, cohorts=cohorts)
    if objects.empty:
        return pd.DataFrame(columns=[*COLUMNS])
    key = ["anchor", "cohort", "condition"]
    marks = labels_given(ratings, cohorts).drop_duplicates([*key, "rater"])
    marked = marks.groupby(key).size().rename("n_marked")
    objects = objects.merge(marked.reset_index(), on=key, how="left").fillna({"n_marked": 0})
    tables = []
    judged = ["cohort", "condition", "reference"]
    for names, rows in objects.groupby(judged):
        base = {column: str(name) for column, name in zip(judged, names, strict=True)}
        tables.append(_shares(rows, fovs, resample, options).assign(**base, grouping=level))
    return pd.concat(tables, ignore_index=True)[[*COLUMNS]]


def _shares(objects: pd.DataFrame, fovs: pd.DataFrame | None, resample: Unit, options: dict[str, Any]) -> pd.DataFrame:
    """Rows of one cohort and condition: all classes first, then each; by number of raters."""
    group, groups = group_codes(objects["fov"], fovs, resample)
    classes = sorted(objects["true"].unique())
    code = pd.Index(classes, dtype="str").get_indexer(objects["true"])
    n_levels = int(objects["n_raters"].iloc[0]) + 1
    shape = len(groups), len(classes), n_levels
    place = np.ravel_multi_index((group, code, objects["n_marked"].to_numpy(int)), shape)
    exactly = np.bincount(place, minlength=int(np.prod(shape))).reshape(shape)
    exactly = np.concatenate([exactly.sum(axis=1, keepdims=True), exactly], axis=1)
    at_least = exactly[..., ::-1].cumsum(axis=-1)[..., ::-1]
    interval = bootstrap(at_least, lambda sums: ratio(sums, sums[..., :1]), **options)
    n = at_least.sum(axis=0)
    values = {"share": interval.value, "low": interval.low, "high": interval.high, "n": n}
    names = np.repeat(["", *classes], n_levels)
    table = pd.DataFrame({"class": names, "at_least": np.tile(np.arange(n_levels), len(classes) + 1)})
    table = table.assign(**{name: value.ravel() for name, value in values.items()})
    return table.assign(n_objects=np.repeat(n[:, 0], n_levels), resampled=resample)
