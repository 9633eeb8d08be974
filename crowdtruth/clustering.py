"""Marks of many raters become anchors: constrained agglomerative clustering of boxes (Figures 2a and S16).

Marks of all raters and conditions of an FOV are clustered together by complete linkage on IOU, so that every pair
within an anchor overlaps by the threshold. Marks of one rater in one condition never share an anchor, by default
because such clusters never merge (``cannot_link``), in the paper's way by moving the extra marks down the merge tree
afterwards (``demotion``). ``docs/methods/clustering.md`` has the tie rule, the guarantees and how the two differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth._kernels import members as kernels
from crowdtruth.arguments import check_several, check_table
from crowdtruth.boxes import Floats, Places, as_boxes, check_min_iou
from crowdtruth.checks import CORNERS
from crowdtruth.merging import Cut, MergeHistory, Method, merge_history

AnchorBox = Literal["medoid", "mean", "median", "weighted"]

REQUIRED = ["annotation", "fov", "rater", "condition", *CORNERS, "label"]


@dataclass(frozen=True)
class Located:
    """Anchors and their members.

    Examples
    --------
    >>> rows = [["0", "f", "ann", "all", 0, 0, 9, 9, "tumor"], ["1", "f", "bob", "all", 0, 0, 9, 8, "tumor"]]
    >>> located = cluster_annotations(pd.DataFrame(rows, columns=REQUIRED))
    >>> located.members
      annotation anchor fov rater condition  label
    0          0    f:1   f   ann       all  tumor
    1          1    f:1   f   bob       all  tumor
    """

    anchors: pd.DataFrame  # anchor, fov, xmin, ymin, xmax, ymax, n_annotations, n_raters, mean_iou
    members: pd.DataFrame  # annotation, anchor, fov, rater, condition, label


@dataclass(frozen=True)
class Preference:
    """Marks whose medoid becomes the anchor box, in clusters that hold any; ``None`` does not restrict.

    The mean IOU of the medoid is that with all members of the cluster, of whatever kind.

    Raises
    ------
    TypeError
        If a text is given where several names belong.

    Examples
    --------
    >>> Preference(raters=("SP.3",), kinds=("polygon",)).conditions is None
    True
    """

    raters: tuple[str, ...] | None = None
    cohorts: tuple[str, ...] | None = None
    conditions: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("raters", "cohorts", "conditions", "kinds"):
            check_several(name, getattr(self, name))


def paper_preference(rater: str, condition: str, cohorts: Iterable[Sequence[str]]) -> tuple[Preference, ...]:
    """The published program's order: an outline traced by `rater`, the medoid of each of `cohorts`, that of all.

    Parameters
    ----------
    rater : whose traced outlines come first (SP.3 in the published program)
    condition : the only condition that the first two steps look at (the control without suggestions)
    cohorts : cohorts to look at in turn, each a sequence of names whose union it is

    Raises
    ------
    TypeError
        If a text is given where several names belong.

    Examples
    --------
    >>> order = paper_preference("SP.3", "U-control", [("SP", "JP"), ("NP",)])
    >>> [(step.raters, step.cohorts) for step in order]
    [(('SP.3',), None), (None, ('SP', 'JP')), (None, ('NP',))]
    """
    unions = list(cohorts)
    for names in (cohorts, *unions):
        check_several("cohorts", names)
    outline = Preference(raters=(rater,), conditions=(condition,), kinds=("polygon",))
    return (outline, *(Preference(cohorts=tuple(names), conditions=(condition,)) for names in unions))


def cluster_annotations(
    annotations: pd.DataFrame,
    *,
    iou_threshold: float = 0.25,
    method: Method = "cannot_link",
    inclusive: bool = False,
    box: AnchorBox = "medoid",
    weights: Mapping[str, float] | None = None,
    preference: Sequence[Preference] = (),
    cohort_of: Mapping[str, str] | None = None,
    jobs: int = 1,
) -> Located:
    """Anchors of all FOVs and the members of each.

    Parameters
    ----------
    annotations : table with annotation, fov, rater, condition, xmin, ymin, xmax, ymax, label (and kind)
        `make_study` completes a table without annotation or condition.
    iou_threshold : least IOU of two marks of one anchor, in (0, 1]
    method : ``cannot_link``, ``demotion`` (the paper's) or ``unconstrained`` (its control)
    inclusive : whether the last row and column of pixels belong to a box, as in the paper
    box : the anchor's box is the ``medoid`` of its marks, or their ``mean``, ``median`` or mean ``weighted`` by rater
    weights : weight of each rater, for ``box="weighted"``
    preference : marks that are asked for the medoid first, see `Preference`; all marks come last in any case
    cohort_of : cohort of each rater, where a preference names cohorts
    jobs : threads over which the FOVs are split; the result does not depend on it

    Returns
    -------
    Located
        Anchors are named ``fov:number``; in each FOV they are numbered from 1 in order of their boxes, then of the
        boxes, labels and conditions of their members. Members are in the order of `annotations`.

    Raises
    ------
    ValueError
        If columns or cells are missing, a box is no box, an option is unknown or lacks what it needs, or too many
        boxes of one FOV lie upon each other.
    TypeError
        If `annotations` is no table.

    Examples
    --------
    >>> rows = [["0", "f", "ann", "all", 0, 0, 9, 9, "tumor"], ["1", "f", "bob", "all", 0, 0, 9, 8, "tumor"]]
    >>> marks = pd.DataFrame(rows, columns=REQUIRED)
    >>> cluster_annotations(marks).anchors.round(3)
      anchor fov  xmin  ymin  xmax  ymax  n_annotations  n_raters  mean_iou
    0    f:1   f   0.0   0.0   9.0   8.0              2         2     0.889
    """
    return sweep(
        annotations,
        [iou_threshold],
        method=method,
        inclusive=inclusive,
        box=box,
        weights=weights,
        preference=preference,
        cohort_of=cohort_of,
        jobs=jobs,
    )[iou_threshold]


def sweep(
    annotations: pd.DataFrame,
    thresholds: Sequence[float],
    *,
    method: Method = "cannot_link",
    inclusive: bool = False,
    box: AnchorBox = "medoid",
    weights: Mapping[str, float] | None = None,
    preference: Sequence[Preference] = (),
    cohort_of: Mapping[str, str] | None = None,
    jobs: int = 1,
) -> dict[float, Located]:
    """Anchors and members at each threshold, from one merge history; else as `cluster_annotations`.

    Parameters
    ----------
    thresholds : least IOU of two marks of one anchor, each in (0, 1]

    Raises
    ------
    ValueError, TypeError
        As `cluster_annotations`.

    Examples
    --------
    >>> rows = [["0", "f", "ann", "all", 0, 0, 9, 9, "tumor"], ["1", "f", "bob", "all", 0, 0, 9, 6, "tumor"]]
    >>> marks = pd.DataFrame(rows, columns=REQUIRED)
    >>> {threshold: len(located.anchors) for threshold, located in sweep(marks, [0.25, 0.75]).items()}
    {0.25: 1, 0.75: 2}
    """
    for threshold in thresholds:
        check_min_iou(threshold)
    marks = _coded(annotations)
    steps = [_is_preferred(annotations, step, cohort_of) for step in preference]
    mark_weights = _anchor_box_weights(annotations["rater"], box, weights, steps)
    history = merge_history(
        marks.boxes,
        marks.rater * (marks.condition.max(initial=0) + 1) + marks.condition,
        fovs=marks.fov,
        tiebreak=marks.label * (marks.condition.max(initial=0) + 1) + marks.condition,
        min_iou=min(thresholds, default=1.0),
        method=method,
        inclusive=inclusive,
        jobs=jobs,
        fov_names=marks.fov_names,
    )
    located = {}
    for threshold in thresholds:
        clusters = Cut.of(history, threshold)
        boxes = _anchor_boxes(marks.boxes, history, clusters, (box, mark_weights, steps))
        located[threshold] = _tables(annotations, marks, history.order, clusters, boxes)
    return located


@dataclass(frozen=True)
class _Coded:
    """The annotations as arrays, in their order; codes are ranks of the sorted texts."""

    boxes: Floats  # (n, 4)
    fov: Places  # (n,)
    rater: Places  # (n,)
    condition: Places  # (n,)
    label: Places  # (n,)
    fov_names: list[str]


def _coded(annotations: pd.DataFrame) -> _Coded:
    """Annotations as checked arrays."""
    is_table = isinstance(annotations, pd.DataFrame)
    is_short = is_table and not {"annotation", "condition"} <= set(annotations)
    check_table("annotations", annotations, REQUIRED, "; make_study adds annotation and condition" if is_short else "")
    codes, names = {}, {}
    for column in ("fov", "rater", "condition", "label"):
        codes[column], names[column] = pd.factorize(annotations[column], sort=True)
        if (codes[column] < 0).any():
            row = int((codes[column] < 0).argmax())
            raise ValueError(f"every annotation needs a {column}; row {row} has none")
    return _Coded(as_boxes(annotations[CORNERS]), **codes, fov_names=[str(name) for name in names["fov"]])


def _is_preferred(
    annotations: pd.DataFrame, step: Preference, cohort_of: Mapping[str, str] | None
) -> NDArray[np.bool_]:
    """Which marks a preference speaks of, (n,)."""
    chosen = np.ones(len(annotations), dtype=np.bool_)
    for column, allowed in (("rater", step.raters), ("condition", step.conditions), ("kind", step.kinds)):
        if allowed is not None:
            if column not in annotations:
                raise ValueError(f"a preference by {column} needs annotations with the column {column}")
            chosen &= annotations[column].isin(allowed).to_numpy()
    if step.cohorts is not None:
        unknown = sorted(set(annotations["rater"]) - set(cohort_of or {}))
        if unknown:
            raise ValueError(f"a preference by cohort needs the cohort of every rater; unknown: {', '.join(unknown)}")
        raters = [rater for rater, cohort in (cohort_of or {}).items() if cohort in step.cohorts]
        chosen &= annotations["rater"].isin(raters).to_numpy()
    return chosen


def _anchor_box_weights(
    raters: pd.Series, box: AnchorBox, weights: Mapping[str, float] | None, steps: Sequence[object]
) -> Floats | None:
    """Weight of each mark where the anchor box needs one, (n,)."""
    if box not in get_args(AnchorBox):
        raise ValueError(f"box must be one of {', '.join(get_args(AnchorBox))}, got {box!r}")
    if steps and box != "medoid":
        raise ValueError(f"a preference chooses among marks and needs box='medoid', got {box!r}")
    if (weights is None) == (box == "weighted"):
        raise ValueError(
            "weights and box='weighted' go together: "
            + ("weights are missing" if weights is None else f"box is {box!r}")
        )
    if weights is None:
        return None
    values = np.asarray(raters.map(weights), dtype=np.float64)
    is_wrong = ~(np.isfinite(values) & (values > 0))
    if is_wrong.any():
        raise ValueError(
            f"every rater needs a finite weight above 0; not so: {', '.join(sorted(set(raters[is_wrong])))}"
        )
    return values


def _anchor_boxes(
    boxes: Floats,
    history: MergeHistory,
    clusters: Cut,
    how: tuple[AnchorBox, Floats | None, Sequence[NDArray[np.bool_]]],
) -> Floats:
    """Box of each cluster, (n_clusters, 4), from the marks' boxes as given."""
    box, weights, steps = how
    in_order = boxes[history.order]
    if box == "medoid":
        chosen = np.full(len(clusters.size), -1)
        for is_allowed in [*(step[history.order] for step in steps), np.ones(len(boxes), dtype=np.bool_)]:
            kernels.choose_medoids(clusters.mean_iou, is_allowed, clusters.member, clusters.start, chosen)
        return in_order[chosen]
    if box == "median":
        return np.stack([clusters.medians(side) for side in in_order.T], axis=1)
    weight = np.ones(len(boxes)) if weights is None else weights[history.order]
    return np.stack([clusters.weighted_means(side, weight) for side in in_order.T], axis=1)


def _ranks(marks: _Coded, order: Places) -> Places:
    """Rank of each place by FOV, box, label and condition, equal for marks that are equal in all of these: (n,)."""
    keys = np.column_stack([marks.fov, marks.boxes, marks.label, marks.condition])[order]
    return np.concatenate([[0], np.cumsum((keys[1:] != keys[:-1]).any(axis=1))])[: len(order)]


def _tables(annotations: pd.DataFrame, marks: _Coded, order: Places, clusters: Cut, boxes: Floats) -> Located:
    """Anchors in order of FOV and number, and members in the order of the annotations."""
    fov = marks.fov[order][clusters.member[clusters.start[:-1]]]
    by_name = _anchor_order(fov, boxes, clusters, _ranks(marks, order), marks.rater[order])
    n = len(by_name)
    ordered_fov = fov[by_name]
    number = np.arange(n) - np.searchsorted(ordered_fov, ordered_fov) + 1
    fov_names = np.array(marks.fov_names, dtype=object)[ordered_fov]
    names = pd.Series([f"{name}:{k}" for name, k in zip(fov_names, number, strict=True)], dtype="str")
    anchors = pd.DataFrame({"anchor": names, "fov": pd.Series(fov_names, dtype="str")})
    anchors[CORNERS] = boxes[by_name]
    anchors["n_annotations"] = clusters.size[by_name]
    anchors["n_raters"] = _n_raters(clusters, marks.rater[order])[by_name]
    anchors["mean_iou"] = clusters.mean_pair_iou[by_name]
    place = np.empty(n, dtype=np.intp)
    place[by_name] = np.arange(n)
    anchor_of = np.empty(len(order), dtype=np.intp)
    anchor_of[order] = place[clusters.code]
    members = annotations[["annotation", "fov", "rater", "condition", "label"]].reset_index(drop=True)
    members.insert(1, "anchor", names.take(anchor_of).reset_index(drop=True))
    return Located(anchors, members)


def _anchor_order(fov: Places, boxes: Floats, clusters: Cut, rank: Places, rater: Places) -> Places:
    """Clusters in order of FOV, anchor box, then the ranks of their members: (n_clusters,).

    Anchors that are equal even in these differ in nothing but their raters, and are told apart by them.
    """
    order = np.lexsort((*boxes.T[::-1], fov))
    keys = np.column_stack([fov, boxes])[order]
    is_new = np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1), [True]])
    starts = np.flatnonzero(is_new) if len(order) else np.array([0])
    for first in np.flatnonzero(np.diff(starts) > 1):
        run = order[starts[first] : starts[first + 1]]
        members = [np.sort(clusters.member[clusters.start[c] : clusters.start[c + 1]]) for c in run]
        contents = [(rank[places].tolist(), sorted(rater[places].tolist())) for places in members]
        order[starts[first] : starts[first + 1]] = run[sorted(range(len(run)), key=contents.__getitem__)]
    return order


def _n_raters(clusters: Cut, rater: Places) -> Places:
    """Number of different raters of each cluster, (n_clusters,)."""
    n_raters = int(rater.max(initial=0)) + 1
    pairs = np.unique(clusters.code * n_raters + rater)
    return np.bincount(pairs // n_raters, minlength=len(clusters.size))
