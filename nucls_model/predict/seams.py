"""Objects that several tiles found, kept once: suppression over the whole image by the rule within a tile."""

import numpy as np
from numpy.typing import NDArray

from crowdtruth.boxes import overlapping_pairs


def keep_once(
    boxes: NDArray[np.float64],
    score: NDArray[np.float64],
    claim: NDArray[np.int8],
    groups: NDArray[np.int64],
    *,
    iou: float,
) -> NDArray[np.bool_]:
    """Which objects stay: those that overlap no better one by more than `iou`, better ones first.

    Objects at home in their tile go before those in reserve, then a higher score, then smaller corners; so the
    order in which tiles were looked at changes nothing.

    Parameters
    ----------
    boxes : (n, 4)
        Corners in pixels of the whole image.
    score : (n,)
        Objectness, or the probability of the label where each class has an NMS of its own.
    claim : (n,)
        What `tiles.claims` says; higher goes first.
    groups : (n,)
        Only objects of one group suppress each other.
    iou : two objects that overlap by more are one

    Returns
    -------
    (n,)

    Examples
    --------
    >>> boxes = np.array([[0.0, 0, 9, 9], [1, 0, 10, 9], [20, 20, 30, 30]])
    >>> keep_once(boxes, np.array([0.8, 0.9, 0.3]), np.array([2, 1, 2], np.int8), np.zeros(3, np.int64), iou=0.2)
    array([ True, False,  True])
    """
    first, second, overlap = overlapping_pairs(boxes, min_iou=iou)
    conflict = (overlap > iou) & (groups[first] == groups[second])
    rank = np.empty(len(boxes), np.int64)
    rank[np.lexsort((*boxes.T[::-1], -score, -claim))] = np.arange(len(boxes))
    pairs = np.stack([first, second])[:, conflict]
    better = np.where(rank[pairs[0]] < rank[pairs[1]], pairs, pairs[::-1])  # (2, n_pairs): winner, loser
    stays = np.ones(len(boxes), dtype=np.bool_)
    for winner, loser in better[:, np.argsort(rank[better[0]], kind="stable")].T:
        if stays[winner]:
            stays[loser] = False
    return stays
