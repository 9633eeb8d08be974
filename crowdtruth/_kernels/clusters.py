"""Marks, the clusters they form, and how these came about: records and small steps on trusted arrays.

Marks come in canonical order; the number of a mark in it is its ordinal, and a cluster is named by its lowest one.
The similarity of two clusters is the least IOU between their marks, and nothing at all where it is below the
threshold or where they hold marks of one group (a rater in a condition). Of all pairs the most similar merges first,
then the one with the lower lower-ordinal, then with the lower higher-ordinal; equal boxes merge before all others.

A merge never creates a pair that comes earlier in this order than both pairs it replaces. So merging mutual nearest
neighbours in any order gives the same history, merging in stages of falling thresholds does too, and sorting the
merges by (similarity, ordinals) gives back the order in which they happen.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdtruth._kernels._jit import kernel
from crowdtruth._kernels.overlap import box_iou, is_same_box


class Clusters(NamedTuple):
    """Marks of all FOVs in canonical order, their merges so far, and the members of each cluster as a linked list."""

    boxes: NDArray[np.float64]  # (n, 4)
    group: NDArray[np.int32]  # (n,) code of (rater, condition) from 0; marks of one group never share a cluster
    absorbed_by: NDArray[np.int32]  # (n,) ordinal, or the own one
    similarity: NDArray[np.float64]  # (n,) of that merge, 0 where there was none
    next_member: NDArray[np.int32]  # (n,) next mark of the same cluster, -1 at the end
    last_member: NDArray[np.int32]  # (n,) of the cluster that an ordinal names
    group_bits: NDArray[np.int64]  # (n,) which groups the cluster holds, by their codes modulo 62


class Stage(NamedTuple):
    """How far to merge, and what is too much."""

    min_iou: float
    is_constrained: bool  # whether marks of one group never share a cluster
    are_bits_exact: bool  # whether there are so few groups that their bits tell them apart
    largest_dense: int  # clusters of a component whose similarities are kept as a matrix
    most_pairs: int  # similar pairs of clusters that may be kept in lists
    most_candidates: int  # pairs of boxes of one FOV that may be compared


@kernel
def merge(clusters, a, b, similarity):
    """Cluster a absorbs cluster b, a < b."""
    clusters.absorbed_by[b] = a
    clusters.similarity[b] = similarity
    clusters.next_member[clusters.last_member[a]] = b
    clusters.last_member[a] = clusters.last_member[b]
    clusters.group_bits[a] |= clusters.group_bits[b]


@kernel
def active_clusters(clusters, start, end):
    """Clusters among the ordinals ``[start, end)`` that nothing has absorbed, ascending."""
    n = 0
    active = np.empty(end - start, np.int32)
    for i in range(start, end):
        active[n] = i
        n += clusters.similarity[i] == 0.0
    return active[:n]


@kernel
def cluster_similarity(clusters, a, b, stage):
    """Least IOU between the marks of two clusters; 0 if below the threshold or if they share a group."""
    may_share = stage.is_constrained and clusters.group_bits[a] & clusters.group_bits[b] != 0
    if may_share and (stage.are_bits_exact or _share_group(clusters, a, b)):
        return 0.0
    least = 2.0
    i = np.int64(a)
    while i >= 0:
        j = np.int64(b)
        while j >= 0:
            least = min(least, box_iou(clusters.boxes, i, j))
            if least < stage.min_iou:
                return 0.0
            j = clusters.next_member[j]
        i = clusters.next_member[i]
    return least


@kernel
def _share_group(clusters, a, b):
    """Whether two clusters hold marks of one group."""
    i = np.int64(a)
    while i >= 0:
        j = np.int64(b)
        while j >= 0:
            if clusters.group[i] == clusters.group[j]:
                return True
            j = clusters.next_member[j]
        i = clusters.next_member[i]
    return False


@kernel
def find_sites(clusters, active):
    """First place in `active` of each run of clusters whose lowest marks have equal boxes, and the end."""
    n_sites = 0
    start = np.empty(active.size + 1, np.int32)
    for k in range(active.size):
        if k == 0 or not is_same_box(clusters.boxes, np.int64(active[k - 1]), np.int64(active[k])):
            start[n_sites] = k
            n_sites += 1
    start[n_sites] = active.size
    return start[: n_sites + 1]


@kernel
def site_boxes(clusters, active, site_start):
    """Box of each site, (n_sites, 4)."""
    boxes = np.empty((site_start.size - 1, 4))
    for site in range(boxes.shape[0]):
        for side in range(4):
            boxes[site, side] = clusters.boxes[active[site_start[site]], side]
    return boxes
