"""Complete linkage of the marks of many FOVs, equal boxes first, then stage by stage. Loops over trusted arrays.

At each stage the clusters whose boxes touch form components, and each component merges on its own: small ones here,
on a matrix of similarities, large ones in `linkage_sparse`. The order of merging is that of `clusters`.
"""

import numpy as np

from crowdtruth._kernels._jit import kernel
from crowdtruth._kernels.clusters import active_clusters, cluster_similarity, find_sites, merge, site_boxes
from crowdtruth._kernels.overlap import components, count_candidates, is_same_box, make_strips


@kernel
def link_equal_boxes(clusters, fov_start, is_constrained, n_seen):
    """Merge marks of equal boxes in each FOV: the k-th mark of each group joins the k-th cluster of its box.

    `n_seen` (n_groups,) is zero before and after.
    """
    group = clusters.group
    heads = np.empty(group.size, np.int32)
    start, fov = fov_start[0], 0
    while start < group.size:
        while fov_start[fov + 1] <= start:
            fov += 1
        end = start + 1
        while end < fov_start[fov + 1] and is_same_box(clusters.boxes, start, end):
            end += 1
        n_heads = 0
        for i in range(start, end):
            turn = n_seen[group[i]] if is_constrained else 0
            n_seen[group[i]] += 1
            if turn < n_heads:
                merge(clusters, heads[turn], np.int32(i), 1.0)
            else:
                heads[n_heads] = i
                n_heads += 1
        for i in range(start, end):
            n_seen[group[i]] = 0
        start = end


@kernel
def link_fovs(clusters, fov_start, fovs, stage):
    """Merge all small components from FOV ``fovs[0]`` on, to before ``fovs[1]`` or as far as an FOV has something left.

    Returns the FOV after the last one seen, how many pairs of boxes had to be compared in that one (nothing is merged
    if these are too many), and its large components: clusters and where those of each component end.
    """
    for fov in range(fovs[0], fovs[1]):
        n_candidates, large, ends = _link_fov(
            clusters, active_clusters(clusters, fov_start[fov], fov_start[fov + 1]), stage
        )
        if ends.size or n_candidates > stage.most_candidates:
            return fov + 1, n_candidates, large, ends
    return fovs[1], 0, np.empty(0, np.int32), np.empty(0, np.int32)


@kernel
def _link_fov(clusters, active, stage):
    """Merge the small components of one FOV. Returns the pairs to be compared, and the large components."""
    site_start = find_sites(clusters, active)
    strips = make_strips(site_boxes(clusters, active, site_start), stage.min_iou)
    large, ends = np.empty(active.size, np.int32), np.empty(active.size // (stage.largest_dense + 1), np.int32)
    n_large = n_components = 0
    n_candidates = count_candidates(strips)
    if n_candidates > stage.most_candidates:
        return n_candidates, large[:0], ends[:0]
    site, start = _grouped(components(strips, _site_owners(clusters, active, site_start, stage)))
    matrix = np.empty(0)
    for c in range(start.size - 1):
        if start[c + 1] - start[c] < 2:
            continue  # clusters of one box merge no further: each holds a group of the next
        nodes = _nodes(active, site_start, site[start[c] : start[c + 1]])
        if nodes.size > stage.largest_dense:
            for node in nodes:
                large[n_large] = node
                n_large += 1
            ends[n_components] = n_large
            n_components += 1
            continue
        if matrix.size < nodes.size**2:
            matrix = np.empty(nodes.size**2)
        _link_dense(clusters, nodes, stage, matrix[: nodes.size**2].reshape(nodes.size, nodes.size))
    return n_candidates, large[:n_large], ends[:n_components]


@kernel
def _site_owners(clusters, active, site_start, stage):
    """Group of the mark at each site that holds a single one, -1 at the others."""
    owner = np.empty(site_start.size - 1, np.int32)
    for site in range(owner.size):
        a = active[site_start[site]]
        is_single = site_start[site + 1] == site_start[site] + 1 and clusters.next_member[a] < 0
        owner[site] = clusters.group[a] if is_single and stage.is_constrained else -1
    return owner


@kernel
def _grouped(component):
    """Sites in order of their component, and the first place of each component and the end."""
    n = component.size
    place = np.zeros(n + 1, np.int32)
    for site in range(n):
        place[component[site] + 1] += 1
    n_components = 0
    for site in range(n):
        n_components += component[site] == site
        place[site + 1] += place[site]
    start = np.empty(n_components + 1, np.int32)
    k = 0
    for site in range(n):
        if component[site] == site:
            start[k] = place[site]
            k += 1
    start[k] = n
    order = np.empty(n, np.int32)
    for site in range(n):
        order[place[component[site]]] = site
        place[component[site]] += 1
    return order, start


@kernel
def _nodes(active, site_start, sites):
    """Clusters at the given sites, ascending."""
    n = 0
    for site in sites:
        n += site_start[site + 1] - site_start[site]
    nodes = np.empty(n, np.int32)
    n = 0
    for site in sites:
        for k in range(site_start[site], site_start[site + 1]):
            nodes[n] = active[k]
            n += 1
    return nodes


@kernel
def _link_dense(clusters, nodes, stage, similarity):
    """Merge the clusters `nodes` by a nearest-neighbour chain on the matrix `similarity`, written and used up here."""
    _fill_similarity(clusters, nodes, stage, similarity)
    n = nodes.size
    chain = np.empty(n + 1, np.int32)
    for start in range(n):
        chain[0] = start
        length = 1
        while length > 0:
            a = chain[length - 1]
            b = _nearest(similarity[a])
            if b < 0:
                length -= 1
            elif length > 1 and b == chain[length - 2]:
                length -= 2
                low, high = min(a, b), max(a, b)
                merge(clusters, nodes[low], nodes[high], similarity[low, high])
                _merge_rows(similarity, low, high)
                length = max(length, 1)
            else:
                chain[length] = b
                length += 1


@kernel
def _fill_similarity(clusters, nodes, stage, similarity):
    """Write the similarities of all pairs of `nodes` into (n, n); zeros on the diagonal."""
    for a in range(nodes.size):
        similarity[a, a] = 0.0
        for b in range(a + 1, nodes.size):
            value = cluster_similarity(clusters, nodes[a], nodes[b], stage)
            similarity[a, b] = value
            similarity[b, a] = value


@kernel
def _nearest(row):
    """First place of the largest value, -1 if that is 0."""
    nearest = -1
    largest = 0.0
    for k in range(row.size):
        if row[k] > largest:
            largest = row[k]
            nearest = k
    return nearest


@kernel
def _merge_rows(similarity, low, high):
    """Row and column `low` become the least of both, row and column `high` zero."""
    for k in range(similarity.shape[0]):
        value = min(similarity[low, k], similarity[high, k])
        similarity[low, k] = value
        similarity[k, low] = value
        similarity[high, k] = 0.0
        similarity[k, high] = 0.0


@kernel
def cut(absorbed_by, similarity, min_iou):
    """Cluster of each ordinal at a threshold, numbered by the lowest members: int64 (n,)."""
    cluster = np.empty(absorbed_by.size, np.int64)
    n_clusters = 0
    for i in range(cluster.size):
        if similarity[i] >= min_iou:
            cluster[i] = cluster[absorbed_by[i]]
        else:
            cluster[i] = n_clusters
            n_clusters += 1
    return cluster
