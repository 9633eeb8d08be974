"""Differences of scores and areas, paired by FOV: what makes an FOV hard for both sides cancels."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.accuracy.curves import Ranked, in_chunks, ranked_parts, resampled_groups
from crowdtruth.accuracy.scores import SCORES, Floats, events_of, overall_scores
from crowdtruth.outcomes import Outcomes
from crowdtruth.references import AnchorLabels
from crowdtruth.resampling import Unit, bootstrap, bootstrap_difference, group_codes

COLUMNS = ("metric", "class", "value", "low", "high", "n_groups", "resampled")

Side = tuple[str, str]
"""Cohort and condition."""


def accuracy_difference(
    first: Outcomes,
    second: Outcomes,
    *,
    fovs: pd.DataFrame | None = None,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Scores of `first` minus those of `second`: two cohorts, conditions, references or groupings of one study.

    Parameters
    ----------
    first, second : each taken as a whole: the marks of all who are judged in it are pooled
    fovs : fov, slide; needed where slides are resampled
    resample : ``"fov"`` or ``"slide"``
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per metric
        metric, class (empty), value, low, high, n_groups (FOVs or slides of either side), resampled.

    Raises
    ------
    ValueError
        If a side is a crowd table, or slides are resampled and an FOV has none.

    Examples
    --------
    >>> from crowdtruth.accuracy import box_reference, rater_outcomes
    >>> marks = pd.DataFrame({"fov": ["f", "g"], "rater": "r", "condition": "all", "xmin": 0.0, "ymin": 0.0,
    ...                       "xmax": 9.0, "ymax": 9.0, "label": "a"})
    >>> reference = box_reference(marks[["fov", "xmin", "ymin", "xmax", "ymax", "label"]], "itself")
    >>> raters = pd.DataFrame({"rater": ["r"], "cohort": ["all"]})
    >>> asked = marks[["fov", "rater", "condition"]]
    >>> all_marks, half = (rater_outcomes(reference, assignments=asked, raters=raters, annotations=m)
    ...                    for m in (marks, marks[:1]))
    >>> accuracy_difference(all_marks, half).set_index("metric").loc["recall", "value"].item()
    0.5
    """
    if not (first.has_detection and second.has_detection):
        raise ValueError("tasks of a crowd table lie in no FOV: there is nothing to pair them by")
    both = pd.concat([side.rows["fov"].astype("str") for side in (first, second)])
    group, names = group_codes(both, fovs, resample)
    n_first = len(first.rows)
    arrays = [
        _by_group(side, codes, len(names)) for side, codes in ((first, group[:n_first]), (second, group[n_first:]))
    ]
    interval = bootstrap_difference(arrays[0], arrays[1], overall_scores, **options)
    table = pd.DataFrame({"metric": SCORES, "class": "", "value": interval.value})
    table = table.assign(low=interval.low, high=interval.high, n_groups=len(names), resampled=resample)
    return table[[*COLUMNS]]


def area_difference(
    labels: AnchorLabels,
    truth: pd.DataFrame,
    first: Side,
    second: Side,
    *,
    fovs: pd.DataFrame | None = None,
    least_detections: int | None = None,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Average precision and AUROC of the labels of `first` minus those of `second`.

    Parameters
    ----------
    labels, truth, fovs, least_detections, resample, options : see `crowdtruth.accuracy.label_curves`
    first, second : cohort and condition

    Returns
    -------
    one row per metric × class that both have
        metric, class, value, low, high, n_groups (FOVs or slides of either side), resampled.

    Raises
    ------
    ValueError
        If one of the sides is not judged, saying which are; if it is a crowd table, or slides are resampled and an FOV
        has none.

    Examples
    --------
    >>> here = {"anchor": ["a", "b"], "fov": ["f", "g"], "true": ["x", ""]}
    >>> told = pd.concat([pd.DataFrame(here).assign(condition=name) for name in "BE"], ignore_index=True)
    >>> told = told.assign(cohort="NP", reference="truth.csv", is_own=False)
    >>> truth = told.assign(is_object=True, n_detected=1, prob_x=0.5, prob_undetected=[0.1, 0.2, 0.3, 0.2])
    >>> labels = AnchorLabels(told, told[:0], True)
    >>> area_difference(labels, truth.drop(columns="true"), ("NP", "B"), ("NP", "E"))[["metric", "value"]].head(1)
                  metric  value
    0  average_precision    0.5
    """
    if not labels.has_detection:
        raise ValueError("tasks of a crowd table lie in no FOV: there is nothing to pair them by")
    parts = {key[:2]: ranked for key, ranked, _ in ranked_parts(labels, truth, least_detections)}
    if unknown := [side for side in (first, second) if side not in parts]:
        raise ValueError(f"no labels of {unknown} are judged; there are those of {sorted(parts)}")
    tables = [
        _difference(one, other, fovs, resample, options)
        for one, other in zip(parts[first], parts[second], strict=False)  # one side may have nothing to classify
    ]
    return pd.concat(tables, ignore_index=True)[[*COLUMNS]]


def _difference(
    first: Ranked, second: Ranked, fovs: pd.DataFrame | None, resample: Unit, options: dict[str, Any]
) -> pd.DataFrame:
    """Rows of the areas that both have."""
    both = pd.concat([first.fov, second.fov])
    group, n_groups, resampled = resampled_groups(both, True, fovs, resample)
    n_first = len(first.fov)
    names = [[area[:2] for area in side.areas] for side in (first, second)]
    shared = [name for name in names[0] if name in names[1]]
    places = [[of_side.index(name) for name in shared] for of_side in names]

    def statistic(weights: Floats) -> Floats:
        one = first.summary(weights, group[:n_first])[..., places[0]]
        return one - second.summary(weights, group[n_first:])[..., places[1]]

    chunked = in_chunks(statistic, first.n_ranked + second.n_ranked)
    interval = bootstrap(np.eye(max(1, n_groups)), chunked, **options)
    table = pd.DataFrame(shared, columns=["metric", "class"])
    table = table.assign(value=interval.value, low=interval.low, high=interval.high)
    return table.assign(n_groups=n_groups, resampled=resampled)


def _by_group(outcomes: Outcomes, group: NDArray[np.intp], n_groups: int) -> Floats:
    """Sums over the outcomes of each group, (n_groups, n_things)."""
    place, thing, classes = events_of(outcomes)
    n_things = 1 + 4 * len(classes)
    sums = np.bincount(group[place] * n_things + thing, minlength=n_groups * n_things)
    return sums.reshape(n_groups, n_things).astype(float)
