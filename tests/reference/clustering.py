"""Plain versions of the clustering methods: greedy, one merge at a time, every similarity computed anew.

Marks are (box, group, tiebreak): a box of four numbers, the rater and condition it comes from, and what orders marks
of equal boxes. Clusters are sorted lists of rows. All marks lie in one FOV.
"""

from itertools import combinations

from tests.reference.boxes import iou

EQUAL = 2.0  # the similarity of equal boxes, above that of any others


def similarity(a, b, marks, rule):
    """Least IOU between the marks of two clusters, None where they must not merge."""
    iou_threshold, is_constrained, inclusive = rule
    if is_constrained and {marks[i][1] for i in a} & {marks[j][1] for j in b}:
        return None
    if len({marks[i][0] for i in a + b}) == 1:
        return EQUAL
    least = min(iou(marks[i][0], marks[j][0], inclusive) for i in a for j in b)
    return least if least >= iou_threshold else None


def merges(marks, iou_threshold, is_constrained=True, inclusive=False):
    """All merges in their order, as (cluster, cluster), and the clusters that are left.

    The most similar clusters merge first; of equals those with the lowest lower mark, then with the lowest higher one.
    """
    order = sorted(range(len(marks)), key=lambda i: (marks[i][0], marks[i][2], i))
    ordinal = {row: k for k, row in enumerate(order)}
    clusters = [[row] for row in order]
    done = []
    while True:
        best = None
        for a, b in combinations(clusters, 2):
            value = similarity(a, b, marks, (iou_threshold, is_constrained, inclusive))
            if value is not None:
                low, high = sorted(min(ordinal[i] for i in c) for c in (a, b))
                best = (
                    max(best, ((value, -low, -high), a, b), key=lambda t: t[0])
                    if best
                    else ((value, -low, -high), a, b)
                )
        if best is None:
            return done, [sorted(c) for c in clusters]
        _, a, b = best
        done.append((a, b))
        clusters = [c for c in clusters if c is not a and c is not b] + [a + b]


def cannot_link(marks, iou_threshold, inclusive=False):
    """Complete linkage in which clusters that share a group never merge."""
    return merges(marks, iou_threshold, True, inclusive)[1]


def unconstrained(marks, iou_threshold, inclusive=False):
    """Complete linkage without the constraint."""
    return merges(marks, iou_threshold, False, inclusive)[1]


def demotion(marks, iou_threshold, inclusive=False):
    """Complete linkage without the constraint, then extra marks of a group go down the tree."""
    done, tops = merges(marks, iou_threshold, False, inclusive)
    nodes = [frozenset(a + b) for a, b in done]
    # a node of equal boxes inside a larger one of the same box is no node of its own
    nodes = [n for n in nodes if not any(n < m and len({marks[i][0] for i in m}) == 1 for m in nodes)]
    result = []
    for top in tops:
        kept, opened = set(top), {}
        for mark in _extra_marks(top, marks, inclusive):
            below = sorted((n for n in nodes if mark in n and n < frozenset(top)), key=len, reverse=True)
            for node in [*below, frozenset([mark])]:
                members = opened.setdefault(node, [])
                if marks[mark][1] not in {marks[i][1] for i in members}:
                    members.append(mark)
                    break
            kept.remove(mark)
        result += [sorted(kept), *(sorted(members) for members in opened.values() if members)]
    return result


def _extra_marks(top, marks, inclusive):
    """Marks of a cluster beyond the best of their group, best first within a group."""
    order = sorted(top, key=lambda i: (marks[i][0], marks[i][2], i))
    mean = {
        i: sum(iou(marks[i][0], marks[j][0], inclusive) for j in order if j != i) / max(len(order) - 1, 1)
        for i in order
    }
    extra = []
    for group in {marks[i][1] for i in top}:
        own = [i for i in order if marks[i][1] == group]
        extra += sorted(own, key=lambda i: -mean[i])[1:]
    return extra
