"""What the members of each cluster say: mean IOUs and the medoid. Loops over trusted arrays."""

import numpy as np

from crowdtruth._kernels._jit import kernel
from crowdtruth._kernels.ordering import group_starts, stable_by_code
from crowdtruth._kernels.overlap import box_iou


@kernel
def members_by_cluster(cluster, n_clusters):
    """Ordinals by cluster, ascending in each, and the first place of each cluster and the end."""
    start = group_starts(cluster, n_clusters)
    ordinals = np.empty(cluster.size, np.int64)
    for i in range(cluster.size):
        ordinals[i] = i
    return stable_by_code(ordinals, cluster, n_clusters), start


@kernel
def mean_ious(boxes, member, start):
    """Mean IOU of each row with the other members of its cluster, float64 (n,); 1 where there are none.

    ``member[start[c]:start[c + 1]]`` are the rows of cluster c. Sums run in this order. The published program counts
    the row itself as well, which changes no comparison within a cluster.
    """
    mean_iou = np.empty(boxes.shape[0])
    for c in range(start.size - 1):
        own = member[start[c] : start[c + 1]]
        for i in own:
            total = 0.0
            for j in own:
                if j != i:
                    total += box_iou(boxes, i, j)
            mean_iou[i] = total / (own.size - 1) if own.size > 1 else 1.0
    return mean_iou


@kernel
def choose_medoids(mean_iou, is_allowed, member, start, chosen):
    """Where ``chosen[c]`` is -1, write the allowed member of the highest mean IOU, the first of equals."""
    for c in range(start.size - 1):
        if chosen[c] >= 0:
            continue
        for k in range(start[c], start[c + 1]):
            i = member[k]
            if is_allowed[i] and (chosen[c] < 0 or mean_iou[i] > mean_iou[chosen[c]]):
                chosen[c] = i
