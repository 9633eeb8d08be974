"""Which marks belong together: the history of merging them, which can be cut at any threshold. Arrays in, codes out.

``clustering`` does the same for tables and says what the anchors are; ``docs/methods/clustering.md`` has the method.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdtruth._kernels import demotion, linkage, linkage_sparse, members, ordering
from crowdtruth._kernels.clusters import Clusters, Stage
from crowdtruth.boxes import Floats, Places, as_boxes, check_min_iou, with_last_pixels
from crowdtruth.parallel import parallel_map

Method = Literal["cannot_link", "demotion", "unconstrained"]

LARGEST_DENSE = 384  # clusters of a component kept as a matrix: 1.2 MB, which still fits the cache
MOST_CANDIDATES = 5_000_000_000  # pairs of boxes compared in one FOV: some 15 s; 10⁶ boxes of 25 raters need 10⁸
GROUP_BITS = 62  # groups that a signed 64-bit integer tells apart, one bit to spare
FIRST_STAGE = 0.5  # of merging: objects hardly touch at this IOU, so that components are small
SMALLEST_STEP = 0.05  # between stages, where a component has too many similar pairs
MOST_PAIRS = 4_000_000  # similar pairs of clusters kept in lists: 160 MB; 10⁶ boxes of 25 raters need 10⁵


@dataclass(frozen=True)
class MergeHistory:
    """All merges down to `min_iou`, in canonical order of the marks; cut it at any threshold from there on.

    Examples
    --------
    >>> history = merge_history([[9, 9, 12, 12], [0, 0, 4, 3], [0, 0, 4, 4]], [0, 1, 0], min_iou=0.25)
    >>> history.order, history.similarity
    (array([1, 2, 0]), array([0.  , 0.75, 0.  ]))
    """

    order: Places  # (n_marks,) rows of the input in canonical order
    boxes: Floats  # (n_marks, 4) in canonical order, as they were compared
    group: NDArray[np.int32]  # (n_marks,) rater, or rater and condition, in canonical order
    absorbed_by: NDArray[np.int32]  # (n_marks,) place of the cluster that absorbed the one named by a mark
    similarity: Floats  # (n_marks,) of that merge, 0 where there was none
    method: Method
    min_iou: float

    def cut(self, threshold: float) -> Places:
        """Cluster of each mark, numbered from 0 in canonical order of the clusters' first marks.

        Parameters
        ----------
        threshold : least IOU of two marks of one cluster, from `min_iou` to 1

        Returns
        -------
        (n_marks,)
            In the order of the input.

        Raises
        ------
        ValueError
            If `threshold` lies outside [`min_iou`, 1].

        Examples
        --------
        >>> history = merge_history([[0, 0, 4, 4], [0, 0, 4, 3], [0, 0, 4, 2]], [0, 1, 2], min_iou=0.25)
        >>> history.cut(0.25), history.cut(0.7)
        (array([0, 0, 0]), array([1, 1, 0]))
        """
        cluster = np.empty(len(self.order), dtype=np.intp)
        cluster[self.order] = self.cut_in_order(threshold)
        return cluster

    def cut_in_order(self, threshold: float) -> Places:
        """Cluster of each mark as from `cut`, in canonical order."""
        if not isinstance(threshold, Real) or not self.min_iou <= threshold <= 1:
            raise ValueError(f"this history can be cut at {self.min_iou} to 1, got {threshold!r}")
        cluster = linkage.cut(self.absorbed_by, self.similarity, float(threshold))
        if self.method == "demotion":
            cluster = self._demoted(cluster, threshold)
        return cluster

    def _demoted(self, cluster: Places, threshold: float) -> Places:
        """The cut after demotion of marks whose rater has a better one in the same cluster."""
        member, start = members.members_by_cluster(cluster, int(cluster.max(initial=-1)) + 1)
        mean_iou = members.mean_ious(self.boxes, member, start)
        rank = np.lexsort((-mean_iou, self.group, cluster))
        is_extra = (np.diff(self.group[rank]) == 0) & (np.diff(cluster[rank]) == 0)
        extra = rank[1:][is_extra]
        merged = np.lexsort((self.absorbed_by, -self.similarity, cluster))
        absorbed = merged[self.similarity[merged] >= threshold]
        history = (self.boxes, self.absorbed_by, absorbed)
        return demotion.demote(history, self.group, (member, start), cluster, extra)


@dataclass(frozen=True)
class Cut:
    """The clusters of a history at a threshold; marks are places in canonical order.

    Examples
    --------
    >>> history = merge_history([[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]], [0, 1, 0], min_iou=0.25)
    >>> clusters = Cut.of(history, 0.5)
    >>> clusters.size, clusters.mean_pair_iou
    (array([2, 1]), array([0.75, 1.  ]))
    """

    code: Places  # (n_marks,) cluster of each place
    member: Places  # (n_marks,) places by cluster, ascending in each
    start: Places  # (n_clusters + 1,) first member of each cluster, and the end
    mean_iou: Floats  # (n_marks,) mean IOU of each place with the other members of its cluster

    @classmethod
    def of(cls, history: MergeHistory, threshold: float) -> Self:
        """The history cut at a threshold."""
        code = history.cut_in_order(threshold)
        member, start = members.members_by_cluster(code, int(code.max(initial=-1)) + 1)
        return cls(code, member, start, members.mean_ious(history.boxes, member, start))

    @property
    def size(self) -> Places:
        """Members of each cluster, (n_clusters,)."""
        return np.diff(self.start)

    @property
    def mean_pair_iou(self) -> Floats:
        """Mean IOU over all pairs of members of each cluster, (n_clusters,); 1 for a single mark."""
        return np.bincount(self.code, self.mean_iou, minlength=len(self.size)) / self.size

    def medians(self, values: Floats) -> Floats:
        """Median of (n_marks,) values in each cluster, (n_clusters,)."""
        ascending = values[np.lexsort((values, self.code))]
        first = self.start[:-1]
        return (ascending[first + (self.size - 1) // 2] + ascending[first + self.size // 2]) / 2

    def weighted_means(self, values: Floats, weight: Floats) -> Floats:
        """Weighted mean of (n_marks,) values in each cluster, (n_clusters,), in an order that no rater name changes."""
        order = np.lexsort((weight, values, self.code))
        code, n = self.code[order], len(self.size)
        total = np.bincount(code, (weight * values)[order], minlength=n).astype(np.float64)
        return total / np.bincount(code, weight[order], minlength=n)


def merge_history(
    boxes: ArrayLike,
    raters: ArrayLike,
    *,
    fovs: ArrayLike | None = None,
    tiebreak: ArrayLike | None = None,
    min_iou: float = 0.25,
    method: Method = "cannot_link",
    inclusive: bool = False,
    jobs: int = 1,
    fov_names: Sequence[str] | None = None,
) -> MergeHistory:
    """All merges of marks whose similarity is at least `min_iou`, for any number of cuts.

    Parameters
    ----------
    boxes : (n_marks, 4)
        Corners ``xmin, ymin, xmax, ymax`` in pixels of the FOV.
    raters : (n_marks,)
        Code from 0 of each mark's rater, or of rater and condition where there are several conditions.
    fovs : (n_marks,)
        Code from 0 of each mark's FOV; without it all marks lie in one. Marks of two FOVs never merge.
    tiebreak : (n_marks,)
        Integers that order marks of equal boxes; without it they are interchangeable.
    min_iou : lowest threshold at which the history can be cut, in (0, 1]
    method : ``cannot_link``, ``demotion`` or ``unconstrained``
    inclusive : whether the last row and column of pixels belong to a box
    jobs : threads over which the FOVs are split; the result does not depend on it
    fov_names : names of the FOVs for error messages

    Raises
    ------
    ValueError
        If boxes are no boxes, codes are no codes, the threshold or the method is unknown, or so many boxes of an FOV
        lie upon each other that their pairs cannot be compared.

    Examples
    --------
    >>> boxes = [[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]]
    >>> merge_history(boxes, [0, 1, 0]).cut(0.5), merge_history(boxes, [0, 0, 0]).cut(0.5)
    (array([0, 0, 1]), array([1, 0, 2]))
    """
    check_min_iou(min_iou)
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
    checked = as_boxes(boxes)
    group = _small_codes(raters, len(checked), "raters")
    fov = _small_codes(0 if fovs is None else fovs, len(checked), "fovs")
    ties = _small_codes(0 if tiebreak is None else tiebreak, len(checked), "tiebreak")
    order, fov_start = _canonical_order(checked, fov, ties)
    n = len(order)
    clusters = Clusters(
        boxes=with_last_pixels(checked[order], inclusive),
        group=group[order],
        absorbed_by=np.arange(n, dtype=np.int32),
        similarity=np.zeros(n),
        next_member=np.full(n, -1, dtype=np.int32),
        last_member=np.arange(n, dtype=np.int32),
        group_bits=np.int64(1) << (group[order] % GROUP_BITS).astype(np.int64),
    )
    are_bits_exact = int(group.max(initial=0)) < GROUP_BITS
    stage = Stage(float(min_iou), method == "cannot_link", are_bits_exact, LARGEST_DENSE, MOST_PAIRS, MOST_CANDIDATES)
    _link(clusters, fov_start, stage, jobs, fov_names)
    return MergeHistory(order, *clusters[:4], method, min_iou)


def _small_codes(codes: ArrayLike, n: int, name: str) -> NDArray[np.int32]:
    """Codes as int32 (n,); a single one stands for all."""
    array = np.asarray(codes)
    if array.ndim == 0:
        array = np.broadcast_to(array, n)
    if array.shape != (n,) or (n and not np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"{name} must be {n} integers, one per box, got {array.dtype} of shape {array.shape}")
    if n and (array.min() < 0 or array.max() > max(4 * n, 65_535)):
        if array.min() < 0:
            raise ValueError(f"{name} must be codes from 0, got {array.min()} for box {int(array.argmin())}")
        array = np.unique(array, return_inverse=True)[1]
    return array.astype(np.int32)


def _canonical_order(boxes: Floats, fov: NDArray[np.int32], tiebreak: NDArray[np.int32]) -> tuple[Places, Places]:
    """Rows in order of FOV, corners and tie-break, (n,), and the first place of each FOV and the end."""
    order = np.argsort(boxes[:, 0])
    n_fovs = int(fov.max(initial=0)) + 1
    if n_fovs > 1:
        order = ordering.stable_by_code(order, fov, n_fovs)
    ordering.sort_equal_runs(order, boxes, fov, tiebreak)
    return order, ordering.group_starts(fov, n_fovs)


def _link(clusters: Clusters, fov_start: Places, stage: Stage, jobs: int, fov_names: Sequence[str] | None) -> None:
    """Merge the marks of all FOVs, which are split over `jobs` threads."""
    n, n_fovs = len(clusters.group), len(fov_start) - 1
    n_groups = int(clusters.group.max(initial=-1)) + 1
    linkage.link_equal_boxes(clusters, fov_start, stage.is_constrained, np.zeros(n_groups, dtype=np.int32))
    n_parts = min(4 * jobs, n_fovs) if jobs > 1 else 1
    ends = np.unique([0, *np.searchsorted(fov_start, np.linspace(0, n, n_parts + 1)[1:-1]), n_fovs]).tolist()

    def link_part(fovs: tuple[int, int]) -> None:
        first_stage = max(stage.min_iou, FIRST_STAGE)
        try:
            _link_fovs(clusters, fov_start, fovs, (1.0, stage._replace(min_iou=first_stage)))
            if first_stage > stage.min_iou:
                _link_fovs(clusters, fov_start, fovs, (first_stage, stage))
        except _TooManyPairsError as error:
            fov, n_pairs = error.args
            name = fov if fov_names is None else repr(fov_names[fov])
            raise ValueError(
                f"FOV {name}: its {fov_start[fov + 1] - fov_start[fov]:,} boxes overlap in {n_pairs:,} pairs or more, "
                f"too many to compare (at most {stage.most_candidates:,}) or to keep (at most {stage.most_pairs:,}); "
                "are marks of several images in one FOV?"
            ) from None

    parallel_map(link_part, list(pairwise(ends)), jobs=jobs)


class _TooManyPairsError(Exception):
    """FOV, and its number of overlapping pairs."""


def _link_fovs(clusters: Clusters, fov_start: Places, fovs: tuple[int, int], step: tuple[float, Stage]) -> None:
    """Merge the FOVs from ``fovs[0]`` to before ``fovs[1]`` from the IOU reached so far to that of the stage.

    A large component with too many similar clusters has fewer after a stage in between.
    """
    reached, stage = step
    fov, last = fovs
    while fov < last:
        fov, n_pairs, large, ends = linkage.link_fovs(clusters, fov_start, (fov, last), stage)
        if n_pairs > stage.most_candidates:
            raise _TooManyPairsError(fov - 1, n_pairs)
        for nodes in np.split(large, ends[:-1]) if len(ends) else ():
            n_pairs = linkage_sparse.link_sparse(clusters, nodes, stage)
            if n_pairs > stage.most_candidates or (
                n_pairs > stage.most_pairs and reached - stage.min_iou < SMALLEST_STEP
            ):
                raise _TooManyPairsError(fov - 1, n_pairs)
            if n_pairs > stage.most_pairs:
                between = (reached + stage.min_iou) / 2
                _link_fovs(clusters, fov_start, (fov - 1, fov), (reached, stage._replace(min_iou=between)))
                _link_fovs(clusters, fov_start, (fov - 1, fov), (between, stage))
                break
