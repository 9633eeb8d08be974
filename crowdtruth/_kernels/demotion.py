"""The paper's own way with two marks of one rater in a cluster: merge first, then demote. Loops over trusted arrays.

In each cluster of an unconstrained history every group (a rater in a condition) keeps the mark with the highest mean
IOU to the cluster. Each further mark walks down its branch of the merge tree, from just below the top, and joins the
first node at which no demoted mark of its group has stopped; at the end of the branch it is a cluster of its own.
Equal boxes are one node, whatever the order in which they merged.
"""

import numpy as np

from crowdtruth._kernels._jit import kernel
from crowdtruth._kernels.members import mean_ious
from crowdtruth._kernels.overlap import is_same_box


@kernel
def demote(marks, history, member, start):
    """Cluster of each ordinal after demotion, numbered by the lowest members: int64 (n,).

    ``member[start[c]:start[c + 1]]`` are the ordinals of top cluster c, ascending; `history` is (absorbed_by,
    similarity).
    """
    n = marks.group.size
    mean_iou = mean_ious(marks.boxes, member, start)
    cluster = np.empty(n, np.int64)
    place = np.empty(n, np.int64)
    n_clusters = n
    for c in range(start.size - 1):
        own = member[start[c] : start[c + 1]]
        for k in range(own.size):
            cluster[own[k]] = own[0]
            place[own[k]] = k
        extra = _extra_marks(own, marks.group, mean_iou)
        if extra.size:
            parent = _merge_tree(own, marks.boxes, history, place)
            n_clusters = _walk_down(extra, marks.group, (parent, place), cluster, n_clusters)
    return _numbered_by_first(cluster, n_clusters)


@kernel
def _numbered_by_first(cluster, n_codes):
    """The same clusters, numbered from 0 in order of their first ordinals."""
    number = np.full(n_codes, -1, np.int64)
    n_clusters = 0
    for i in range(cluster.size):
        if number[cluster[i]] < 0:
            number[cluster[i]] = n_clusters
            n_clusters += 1
        cluster[i] = number[cluster[i]]
    return cluster


@kernel
def _extra_marks(own, group, mean_iou):
    """Marks of a cluster beyond the best of their group, by group, best first (ordinal breaks ties)."""
    by_rank = own[np.argsort(-mean_iou[own], kind="mergesort")]
    by_group = by_rank[np.argsort(group[by_rank], kind="mergesort")]
    n_extra = 0
    extra = np.empty(own.size, np.int64)
    for k in range(1, own.size):
        if group[by_group[k]] == group[by_group[k - 1]]:
            extra[n_extra] = by_group[k]
            n_extra += 1
    return extra[:n_extra]


@kernel
def _merge_tree(own, boxes, history, place):
    """Parent of each node of a cluster's tree: leaves are 0 to m - 1 in order of `own`, the top is its own parent."""
    absorbed_by, similarity = history
    m = own.size
    parent = np.arange(2 * m, dtype=np.int64)
    top = np.arange(m)  # uppermost node so far over the cluster that each leaf names
    n_nodes = m
    absorbed = own[1:][np.argsort(-similarity[own[1:]], kind="mergesort")]
    absorbed = _in_merge_order(absorbed, history)
    for is_equal in (True, False):
        for b in absorbed:
            a = absorbed_by[b]
            if is_same_box(boxes, a, b) != is_equal:
                continue
            if is_equal and top[place[a]] >= m:
                parent[place[b]] = top[place[a]]
                continue
            parent[top[place[a]]] = parent[top[place[b]]] = n_nodes
            top[place[a]] = n_nodes
            n_nodes += 1
    return parent[:n_nodes]


@kernel
def _in_merge_order(absorbed, history):
    """Ordinals by falling similarity, re-sorted within equal similarity by the cluster that absorbed them."""
    absorbed_by, similarity = history
    start = 0
    while start < absorbed.size:
        end = start + 1
        while end < absorbed.size and similarity[absorbed[end]] == similarity[absorbed[start]]:
            end += 1
        run = absorbed[start:end]
        absorbed[start:end] = run[np.argsort(absorbed_by[run], kind="mergesort")]
        start = end
    return absorbed


@kernel
def _walk_down(extra, group, tree, cluster, n_clusters):
    """Give each extra mark its cluster; the number of clusters so far."""
    parent, place = tree
    name = np.full(parent.size, -1, np.int64)  # cluster opened at each node
    last_group = np.full(parent.size, -1, np.int64)  # group of the last mark that stopped there
    path = np.empty(parent.size, np.int64)
    for mark in extra:
        length, node = 0, place[mark]
        while parent[node] != node:
            path[length] = node
            length += 1
            node = parent[node]
        node = path[length - 1]
        while last_group[node] == group[mark]:
            length -= 1
            node = path[length - 1]
        if name[node] < 0:
            name[node] = n_clusters
            n_clusters += 1
        last_group[node] = group[mark]
        cluster[mark] = name[node]
    return n_clusters
