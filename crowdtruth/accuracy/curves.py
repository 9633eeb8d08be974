"""How well the probabilities of inferred labels separate: detection and classification curves with bands.

Detection asks whether an anchor is an object at all: its score is 1 − P(undetected). Classification asks which class an
object has, among anchors that are objects of the reference and of the cohort.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.accuracy.scores import Codes, Floats
from crowdtruth.curves import (
    average_precision_from,
    mean_of_defined,
    multiclass_auroc_from,
    precision_at,
    rank,
    rank_classes,
    sensitivity_at,
)
from crowdtruth.references import AnchorLabels
from crowdtruth.resampling import TASK_GROUPS, Interval, Unit, bootstrap, group_codes, task_groups
from crowdtruth.taxonomy import RAW, UNDETECTED

PRECISION_RECALL, ROC = "precision_recall", "roc"
SCORE_COLUMNS = (
    *("who", "condition", "reference", "grouping", "metric", "class", "value", "low", "high", "n", "resampled"),
)
CURVE_COLUMNS = ("who", "condition", "reference", "grouping", "curve", "class", "x", "y", "low", "high")

_GRID = np.arange(101) / 100  # of recall and of 1 − specificity; quotients, so that 3 of 10 meets 0.3
_PROBABILITY = "prob_"
_KEY = ["anchor", "fov", "cohort", "condition"]
_SAY_WITHOUT_MASS = "{1}, {2}: {0} anchors have no probability for any class of {3} and are left out of the ROC"
_CHUNK = 2**18  # doubles of weights of items that are held at a time


@dataclass(frozen=True)
class LabelCurves:
    """Curves of inferred labels, and their areas."""

    scores: pd.DataFrame  # average_precision and auroc, as rows of ``accuracy.csv``
    curves: pd.DataFrame  # ``curves.csv``
    messages: tuple[str, ...]  # what was left out


def label_curves(
    labels: AnchorLabels,
    truth: pd.DataFrame,
    *,
    fovs: pd.DataFrame | None = None,
    level: str = RAW,
    least_detections: int | None = None,
    resample: Unit = "fov",
    **options: Any,
) -> LabelCurves:
    """Precision–recall of detection and ROC of classification, for each cohort and condition.

    A cohort is not held against its own labels.

    Parameters
    ----------
    labels : of `crowdtruth.references.label_of_anchors`
    truth : inferred labels, one row per anchor × cohort × condition
        anchor, fov, cohort, condition, is_object, n_detected, prob_<class> …, prob_undetected.
    fovs : fov, slide; needed where slides are resampled
    level : name of the grouping of the labels
    least_detections : detection is scored on anchors that at least so many raters of the cohort marked, and objects
        that have no such anchor are left out: the published definition, with 2. Default: every anchor and every object.
    resample : ``"fov"`` or ``"slide"``; the tasks of a crowd table are resampled themselves
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    LabelCurves
        In `scores`, `n` is the number of objects (average_precision), of classified objects (auroc, micro and macro)
        or of those of the class. Curves are told at recalls, or false-positive rates, of 0, .01, … 1, and end with the
        largest recall; `low` and `high` bound y.

    Raises
    ------
    ValueError
        If slides are resampled and an FOV has none.

    Examples
    --------
    >>> here = {"anchor": ["a", "b", "c"], "fov": ["f", "f", "g"], "cohort": "NP", "condition": "all"}
    >>> truth = pd.DataFrame({**here, "is_object": [True, True, False], "n_detected": [3, 2, 0],
    ...                       "prob_x": [0.9, 0.5, 0.0], "prob_undetected": [0.1, 0.5, 1.0]})
    >>> told = pd.DataFrame({**here, "true": ["x", "", "x"], "reference": "truth.csv", "is_own": False})
    >>> found = label_curves(AnchorLabels(told, told[:0], True), truth)
    >>> found.scores[["metric", "class", "value", "n"]].head(1)
                  metric class     value  n
    0  average_precision        0.833333  2
    """
    scores, curves, messages = [], [], []
    for key, parts, message in ranked_parts(labels, truth, least_detections):
        messages.extend(message)
        base = dict(zip(("who", "condition", "reference"), key, strict=True), grouping=level)
        for part in parts:
            group, n_groups, resampled = resampled_groups(part.fov, labels.has_detection, fovs, resample)
            interval = _interval(part, group, n_groups, options)
            scores.append(_score_rows(part, interval).assign(**base, resampled=resampled))
            curves.append(_curve_rows(part, interval).assign(**base))
    return LabelCurves(_joined(scores, SCORE_COLUMNS), _joined(curves, CURVE_COLUMNS), tuple(messages))


@dataclass(frozen=True)
class Ranked:
    """What is ranked, and what comes of it for any weights."""

    fov: pd.Series  # (n_things,) FOV (crowd tables: nothing) of everything that has a weight
    areas: list[tuple[str, str, int]]  # metric, class, n
    curves: list[tuple[str, str]]  # curve, class
    summary: Callable[[Floats, Codes], Floats]  # (..., n_groups), (n_things,) -> (..., n_areas + n_curves × n_grid)
    n_ranked: int  # items that one evaluation sorts through


def ranked_parts(
    labels: AnchorLabels, truth: pd.DataFrame, least_detections: int | None = None
) -> Iterator[tuple[tuple[str, ...], list[Ranked], list[str]]]:
    """What is ranked for each cohort, condition and reference (detection, classification), and what was left out."""
    columns = [name for name in truth.columns if name in ("is_object", "n_detected") or name.startswith(_PROBABILITY)]
    told = labels.labels[~labels.labels["is_own"]]
    anchors = told.merge(truth[[*_KEY, *columns]].astype(dict.fromkeys(_KEY, "str")), on=_KEY)
    judged = ["cohort", "condition", "reference"]
    keys = pd.concat([anchors[judged], labels.unfound[judged]]).drop_duplicates().sort_values(judged)
    anchors_of, unfound_of = (dict(iter(table.groupby(judged))) for table in (anchors, labels.unfound))
    for key in keys.itertuples(index=False, name=None):
        rows = anchors_of.get(key, anchors[:0])
        classified, n_without_mass = _classification(rows)
        parts = [classified] if classified.areas else []
        if labels.has_detection:
            parts.insert(0, _detection(rows, unfound_of.get(key, labels.unfound[:0]), least_detections))
        yield key, parts, [_SAY_WITHOUT_MASS.format(n_without_mass, *key)] if n_without_mass else []


def _detection(anchors: pd.DataFrame, unfound: pd.DataFrame, least_detections: int | None) -> Ranked:
    """Anchors by their probability of being an object; objects without an anchor have none."""
    if least_detections is not None:
        anchors, unfound = anchors[anchors["n_detected"] >= least_detections], unfound[:0]
    is_object = (anchors["true"] != "").to_numpy()
    ranking = rank(is_object, 1 - anchors[_PROBABILITY + UNDETECTED].to_numpy())
    n_anchors = len(anchors)

    def summary(weights: Floats, group: Codes) -> Floats:
        n_unscored = weights[..., group[n_anchors:]].sum(axis=-1)
        counts = ranking.counts(weights, n_unscored, group=group[:n_anchors])
        return np.concatenate([average_precision_from(counts)[..., None], precision_at(_GRID, counts)], axis=-1)

    areas = [("average_precision", "", int(is_object.sum()) + len(unfound))]
    return Ranked(pd.concat([anchors["fov"], unfound["fov"]]), areas, [(PRECISION_RECALL, "")], summary, n_anchors)


def _classification(anchors: pd.DataFrame) -> tuple[Ranked, int]:
    """Objects by the probabilities of the classes that the reference has here, and how many have none of these."""
    anchors = anchors[(anchors["true"] != "") & anchors["is_object"].astype(bool)]
    classes = sorted(anchors["true"].unique())
    probabilities = anchors.reindex(columns=[_PROBABILITY + name for name in classes], fill_value=0.0).to_numpy(float)
    mass = probabilities.sum(axis=1)
    anchors, probabilities = anchors[mass > 0], probabilities[mass > 0] / mass[mass > 0, None]
    true = pd.Index(classes, dtype="str").get_indexer(anchors["true"])
    rankings = rank_classes(true, probabilities)

    def summary(weights: Floats, group: Codes) -> Floats:
        counts = [ranking.counts(weights, group=group[items]) for ranking, items in rankings]
        areas = multiclass_auroc_from(counts)
        heights = np.stack([sensitivity_at(_GRID, one) for one in counts], axis=-1)  # (..., n_grid, n_classes + 1)
        macro = mean_of_defined(heights[..., :-1])
        curves = np.concatenate([heights[..., -1:], macro[..., None], heights[..., :-1]], axis=-1)
        flat = np.swapaxes(curves, -1, -2).reshape(*weights.shape[:-1], -1)
        return np.concatenate([areas.micro[..., None], areas.macro[..., None], areas.by_class, flat], axis=-1)

    n_of = np.bincount(true, minlength=len(classes))
    names = [("micro", len(anchors)), ("macro", len(anchors)), *zip(classes, n_of.tolist(), strict=True)]
    areas = [("auroc", name, n) for name, n in names] if classes else []
    curves = [(ROC, name) for name, _ in names] if classes else []
    n_ranked = len(anchors) * max(1, len(classes))
    return Ranked(anchors["fov"], areas, curves, summary, n_ranked), int((mass <= 0).sum())


def resampled_groups(
    fov: pd.Series, has_detection: bool, fovs: pd.DataFrame | None, resample: Unit
) -> tuple[Codes, int, str]:
    """What is resampled with each ranked thing, (n_things,), how many such there are, and what it is called."""
    if not has_detection:
        return task_groups(len(fov)), min(len(fov), TASK_GROUPS), "anchor"
    codes, names = group_codes(fov, fovs, resample)
    return codes, len(names), resample


def _interval(part: Ranked, group: Codes, n_groups: int, options: dict[str, Any]) -> Interval:
    """Areas and curves with their bounds. The sums over a replicate's FOVs are here the weights of the FOVs."""
    statistic = in_chunks(lambda weights: part.summary(weights, group), part.n_ranked)
    return bootstrap(np.eye(max(1, n_groups)), statistic, **options)


def in_chunks(statistic: Callable[[Floats], Floats], n_ranked: int) -> Callable[[Floats], Floats]:
    """The same statistic of some weightings at a time, since each makes `n_ranked` numbers."""
    step = max(1, _CHUNK // max(1, n_ranked))

    def chunked(weights: Floats) -> Floats:
        return np.concatenate([statistic(weights[begin : begin + step]) for begin in range(0, len(weights), step)])

    return chunked


def _score_rows(part: Ranked, interval: Interval) -> pd.DataFrame:
    """One row per area."""
    rows = pd.DataFrame(part.areas, columns=["metric", "class", "n"])
    bounds = (values[: len(rows)] for values in (interval.value, interval.low, interval.high))
    return rows.assign(**dict(zip(("value", "low", "high"), bounds, strict=True)))


def _curve_rows(part: Ranked, interval: Interval) -> pd.DataFrame:
    """One row per point of a curve, as far as it goes."""
    names = pd.DataFrame(part.curves, columns=["curve", "class"])
    rows = names.loc[names.index.repeat(len(_GRID))].reset_index(drop=True).assign(x=np.tile(_GRID, len(names)))
    bounds = (values[len(part.areas) :] for values in (interval.value, interval.low, interval.high))
    rows = rows.assign(**dict(zip(("y", "low", "high"), bounds, strict=True)))
    return rows[rows["y"].notna()]


def _joined(tables: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    """The tables below each other, their columns in order."""
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame(columns=[*columns])
    return pd.concat(tables, ignore_index=True)[[*columns]]
