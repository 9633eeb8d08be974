"""Complete linkage on lists of similar clusters: for components too large for a matrix. Loops over trusted arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdtruth._kernels._jit import kernel
from crowdtruth._kernels.clusters import cluster_similarity, find_sites, merge, site_boxes
from crowdtruth._kernels.overlap import Strips, make_strips, overlaps, window


class _Sites(NamedTuple):
    """Clusters by the box of their lowest mark, and where these boxes lie."""

    strips: Strips  # of one box per site
    node: NDArray[np.int32]  # (n_nodes,) clusters, those of a site one after the other
    start: NDArray[np.int32]  # (n_sites + 1,) first node of each site, and the end


class _Neighbours(NamedTuple):
    """Similar clusters of each node, as lists in one array; a list only ever shrinks."""

    start: NDArray[np.int64]  # (n_nodes,)
    length: NDArray[np.int32]  # (n_nodes,)
    node: NDArray[np.int32]  # (n_entries,)
    similarity: NDArray[np.float64]  # (n_entries,)


@kernel
def link_sparse(clusters, nodes, stage):
    """Merge the clusters `nodes` as far as the stage says. Returns the number of similar pairs.

    Nothing is merged where these are more than the stage's limit.
    """
    site_start = find_sites(clusters, nodes)
    strips = make_strips(site_boxes(clusters, nodes, site_start), stage.min_iou)
    sites = _Sites(strips, nodes, site_start)
    n_pairs = _similar_pairs(clusters, sites, stage, np.empty((0, 2), np.int32), np.empty(0))
    if n_pairs > stage.most_pairs:
        return n_pairs
    pairs, similarity = np.empty((n_pairs, 2), np.int32), np.empty(n_pairs)
    _similar_pairs(clusters, sites, stage, pairs, similarity)
    _chain(clusters, nodes, _neighbour_lists(nodes.size, pairs, similarity))
    return n_pairs


@kernel
def _similar_pairs(clusters, sites, stage, pairs, similarity):
    """Number of similar pairs of nodes; pairs and similarities are written as far as these arrays reach.

    Counting stops above either limit of the stage.
    """
    strips, start = sites.strips, sites.start
    found = np.empty(strips.item.size + 1, np.int32)
    n_pairs, n_compared = 0, np.int64(0)
    for join in range(strips.joins.shape[0]):
        first, low = strips.joins[join, 0], strips.start[strips.joins[join, 1]]
        for i in range(strips.start[first], strips.start[first + 1]):
            low, right = window(strips, join, i, low)
            site = strips.item[i]
            for k in range(overlaps(strips, join, i, (low, right), found)):
                other = strips.item[found[k]]
                n_compared += np.int64(start[site + 1] - start[site]) * np.int64(start[other + 1] - start[other])
                if n_compared > stage.most_candidates:
                    return n_compared
                for a in range(start[site], start[site + 1]):
                    for b in range(start[other], start[other + 1]):
                        value = cluster_similarity(clusters, sites.node[a], sites.node[b], stage)
                        if value > 0.0 and n_pairs < similarity.size:
                            pairs[n_pairs, 0], pairs[n_pairs, 1], similarity[n_pairs] = a, b, value
                        n_pairs += value > 0.0
                if n_pairs > stage.most_pairs:
                    return n_pairs
    return n_pairs


@kernel
def _neighbour_lists(n_nodes, pairs, value):
    """Lists of neighbours from pairs, each pair in the lists of both."""
    length = np.zeros(n_nodes, np.int32)
    for p in range(value.size):
        length[pairs[p, 0]] += 1
        length[pairs[p, 1]] += 1
    start = np.zeros(n_nodes, np.int64)
    for a in range(1, n_nodes):
        start[a] = start[a - 1] + length[a - 1]
    node, similarity = np.empty(2 * value.size, np.int32), np.empty(2 * value.size)
    length = np.zeros(n_nodes, np.int32)
    for p in range(value.size):
        for side in range(2):
            a, b = pairs[p, side], pairs[p, 1 - side]
            node[start[a] + length[a]] = b
            similarity[start[a] + length[a]] = value[p]
            length[a] += 1
    return _Neighbours(start, length, node, similarity)


@kernel
def _chain(clusters, nodes, neighbours):
    """Nearest-neighbour chain on lists of neighbours, which it uses up."""
    n = nodes.size
    chain = np.empty(n + 1, np.int32)
    shared = np.zeros(n)
    for start in range(n):
        chain[0] = start
        length = 1
        while length > 0:
            a = chain[length - 1]
            b, similarity = _nearest_listed(neighbours, a)
            if b < 0:
                length -= 1
            elif length > 1 and b == chain[length - 2]:
                length -= 2
                low, high = min(a, b), max(a, b)
                merge(clusters, nodes[low], nodes[high], similarity)
                _merge_lists(neighbours, low, high, shared)
                length = max(length, 1)
            else:
                chain[length] = b
                length += 1


@kernel
def _nearest_listed(neighbours, a):
    """Most similar neighbour of a, the lowest of equals, and its similarity; -1 if it has none."""
    nearest, largest = -1, 0.0
    for k in range(neighbours.start[a], neighbours.start[a] + neighbours.length[a]):
        value, b = neighbours.similarity[k], neighbours.node[k]
        if value > largest or (value == largest and b < nearest):
            nearest, largest = b, value
    return nearest, largest


@kernel
def _merge_lists(neighbours, low, high, shared):
    """The list of `low` becomes what both had in common, at the least similarity; `high` disappears.

    `shared` is zero for every node, before and after.
    """
    for k in range(neighbours.start[high], neighbours.start[high] + neighbours.length[high]):
        b = neighbours.node[k]
        shared[b] = neighbours.similarity[k]
        _remove(neighbours, b, high)
    k = neighbours.start[low]
    while k < neighbours.start[low] + neighbours.length[low]:
        b = neighbours.node[k]
        if b == high or shared[b] == 0.0:
            if b != high:
                _remove(neighbours, b, low)
            _remove(neighbours, low, b)
        else:
            value = min(neighbours.similarity[k], shared[b])
            neighbours.similarity[k] = value
            neighbours.similarity[_place_in_list(neighbours, b, low)] = value
            k += 1
    for k in range(neighbours.start[high], neighbours.start[high] + neighbours.length[high]):
        shared[neighbours.node[k]] = 0.0
    neighbours.length[high] = 0


@kernel
def _remove(neighbours, a, b):
    """Take b out of the list of a."""
    k = _place_in_list(neighbours, a, b)
    neighbours.length[a] -= 1
    last = neighbours.start[a] + neighbours.length[a]
    neighbours.node[k], neighbours.similarity[k] = neighbours.node[last], neighbours.similarity[last]


@kernel
def _place_in_list(neighbours, a, b):
    """Where b stands in the list of a."""
    k = neighbours.start[a]
    while neighbours.node[k] != b:
        k += 1
    return k
