"""The paper's own way with two marks of one rater in a cluster: merge first, then demote. Loops over trusted arrays.

In each cluster of an unconstrained history every group (a rater in a condition) keeps the mark with the highest mean
IOU to the cluster. Each further mark walks down its branch of the merge tree, from just below the top, and joins the
first node at which no demoted mark of its group has stopped; at the end of the branch it is a cluster of its own.
Equal boxes are one node, whatever the order in which they merged.
"""

import numpy as np

from crowdtruth._kernels._jit import kernel
from crowdtruth._kernels.overlap import is_same_box


@kernel
def demote(history, group, members, cluster, extra):
    """Cluster of each ordinal after demotion, numbered by the lowest members: int64 (n,).

    history : (boxes, absorbed_by, absorbed ordinals by cluster and in the order of merging)
    members : (ordinals by cluster, ascending in each; first place of each cluster and the end)
    cluster, extra : cluster of each ordinal; ordinals to demote, by cluster, then group, best first
    """
    boxes, absorbed_by, absorbed = history
    member, start = members
    place = np.empty(group.size, np.int64)  # of each ordinal in its cluster
    for c in range(start.size - 1):
        for k in range(start[c], start[c + 1]):
            place[member[k]] = k - start[c]
    demoted = cluster.copy()
    n_clusters = start.size - 1
    low = 0
    while low < extra.size:
        c = cluster[extra[low]]
        high = low + 1
        while high < extra.size and cluster[extra[high]] == c:
            high += 1
        merges = absorbed[start[c] - c : start[c + 1] - c - 1]  # each cluster before c has one merge less than members
        parent = _merge_tree(boxes, absorbed_by, merges, place)
        n_clusters = _walk_down(extra[low:high], group, (parent, place), demoted, n_clusters)
        low = high
    return _numbered_by_first(demoted, n_clusters)


@kernel
def _merge_tree(boxes, absorbed_by, merges, place):
    """Parent of each node of a cluster's merge tree; leaves are numbered by place, and the top is its own parent."""
    n_leaves = merges.size + 1
    parent, top = np.empty(2 * n_leaves, np.int64), np.empty(n_leaves, np.int64)
    for node in range(2 * n_leaves):
        parent[node] = node
    for leaf in range(n_leaves):
        top[leaf] = leaf  # uppermost node so far over the cluster that the leaf names
    n_nodes = n_leaves
    for equal_boxes_come_first in (True, False):
        for b in merges:
            a = absorbed_by[b]
            if is_same_box(boxes, a, b) != equal_boxes_come_first:
                continue
            if equal_boxes_come_first and top[place[a]] >= n_leaves:
                parent[place[b]] = top[place[a]]
                continue
            parent[top[place[a]]] = n_nodes
            parent[top[place[b]]] = n_nodes
            top[place[a]] = n_nodes
            n_nodes += 1
    return parent[:n_nodes]


@kernel
def _walk_down(extra, group, tree, cluster, n_clusters):
    """Give each extra mark of one cluster its new cluster; the number of clusters so far."""
    parent, place = tree
    n = parent.size
    opened, last_group, path = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    for node in range(n):
        opened[node], last_group[node] = -1, -1
    for mark in extra:
        length, node = 0, place[mark]
        while parent[node] != node:
            path[length] = node
            length += 1
            node = parent[node]
        length -= 1
        while last_group[path[length]] == group[mark]:
            length -= 1
        node = path[length]
        if opened[node] < 0:
            opened[node] = n_clusters
            n_clusters += 1
        last_group[node] = group[mark]
        cluster[mark] = opened[node]
    return n_clusters


@kernel
def _numbered_by_first(cluster, n_codes):
    """The same clusters, numbered from 0 in order of their first ordinals."""
    number = np.zeros(n_codes, np.int64)  # from 1
    n_clusters = 0
    for i in range(cluster.size):
        if number[cluster[i]] == 0:
            n_clusters += 1
            number[cluster[i]] = n_clusters
        cluster[i] = number[cluster[i]] - 1
    return cluster
