"""Pairs of boxes that overlap enough, found in strips: loops over trusted arrays.

Boxes are cut into size classes (width and height each within a factor of four), each class into horizontal strips as
high as its highest box, and each strip is kept in order of ``xmin``. Two boxes of IOU at least `t` then lie in the
same or in neighbouring strips, and the left one reaches at least the share `t` of its own width into the other one:
what is left to test is a short window of each neighbouring strip, whatever the sizes of the boxes.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdtruth._kernels._jit import kernel

_SLACK = 1e-9  # relative; windows are widened by it, so that rounding never hides a pair
_STRIPS_PER_BOX = 4.0  # at most, on average: boxes spread thinly over a long way share taller strips
_FEW_STRIPS = 4096.0


class Strips(NamedTuple):
    """Boxes in strip order, and which strips have to be compared."""

    item: NDArray[np.int32]  # (n,) row of the box in the input
    sides: NDArray[np.float64]  # (4, n) xmin, ymin, xmax, ymax in strip order
    start: NDArray[np.int64]  # (n_strips + 1,) first box of each strip
    widest: NDArray[np.float64]  # (n_strips,) width of the widest box
    joins: NDArray[np.int64]  # (n_joins, 2) strips to compare; a strip with itself included
    min_iou: float  # of the pairs to be found


class _Classes(NamedTuple):
    """Size classes, by the extremes of their boxes, and where their strips are."""

    code: NDArray[np.int32]  # (n,) class of each box
    width: NDArray[np.float64]  # (n_classes, 2) least and greatest
    height: NDArray[np.float64]  # (n_classes, 2) least and greatest
    strip_height: NDArray[np.float64]  # (n_classes,)
    first_strip: NDArray[np.int64]  # (n_classes + 1,) number of the lowest strip, and the end


@kernel
def are_valid(boxes):
    """Whether boxes (n, 4) are finite, have an area, and all areas can be computed."""
    for i in range(boxes.shape[0]):
        width, height = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        if not (width > 1e-100 and height > 1e-100):
            return False
        for side in range(4):
            if not abs(boxes[i, side]) < 1e100:
                return False
    return True


@kernel
def box_iou(boxes, i, j):
    """IOU of the boxes in rows i and j of float64 (n, 4)."""
    width = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
    height = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    area_i = (boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1])
    area_j = (boxes[j, 2] - boxes[j, 0]) * (boxes[j, 3] - boxes[j, 1])
    return width * height / (area_i + area_j - width * height)


@kernel
def pairwise_iou(boxes):
    """IOU of all box pairs: float64 (n, 4) -> float64 (n, n)."""
    n = boxes.shape[0]
    iou = np.empty((n, n))
    for i in range(n):
        iou[i, i] = 1.0
        for j in range(i + 1, n):
            iou[i, j] = iou[j, i] = box_iou(boxes, i, j)
    return iou


@kernel
def is_same_box(boxes, i, j):
    """Whether rows i and j of float64 (n, 4) hold the same box."""
    return (
        boxes[i, 0] == boxes[j, 0]
        and boxes[i, 1] == boxes[j, 1]
        and boxes[i, 2] == boxes[j, 2]
        and boxes[i, 3] == boxes[j, 3]
    )


@kernel
def make_strips(boxes, min_iou):
    """Strips of boxes (n, 4) that are sorted by xmin, for pairs of IOU >= `min_iou` > 0."""
    n = boxes.shape[0]
    bottom = np.inf
    for i in range(n):
        bottom = min(bottom, boxes[i, 1])
    classes = _size_classes(boxes, bottom)
    strip = np.empty(n, np.int32)
    start = np.zeros(classes.first_strip[-1] + 1, np.int64)
    for i in range(n):
        c = classes.code[i]
        strip[i] = classes.first_strip[c] + math.floor((boxes[i, 1] - bottom) / classes.strip_height[c])
        start[strip[i] + 1] += 1
    item, sides = np.empty(n, np.int32), np.empty((4, n))
    widest = np.zeros(start.size - 1)
    place = np.zeros(start.size - 1, np.int64)
    for s in range(start.size - 1):
        start[s + 1] += start[s]
        place[s] = start[s]
    for i in range(n):
        s = strip[i]
        item[place[s]] = i
        for side in range(4):
            sides[side, place[s]] = boxes[i, side]
        widest[s] = max(widest[s], boxes[i, 2] - boxes[i, 0])
        place[s] += 1
    return Strips(item, sides, start, widest, _joins(start, classes, min_iou), min_iou)


@kernel
def _size_classes(boxes, bottom):
    """Classes of boxes by the factor-of-four intervals of their width and height."""
    code, n_classes = _class_codes(boxes)
    width, height = np.zeros((n_classes, 2)), np.zeros((n_classes, 2))
    top, n_boxes = np.zeros(n_classes), np.zeros(n_classes)
    for i in range(code.size):
        c, w, h = code[i], boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        is_first = n_boxes[c] == 0
        width[c, 0], height[c, 0] = w if is_first else min(width[c, 0], w), h if is_first else min(height[c, 0], h)
        width[c, 1], height[c, 1] = max(width[c, 1], w), max(height[c, 1], h)
        top[c] = max(top[c], boxes[i, 1] - bottom)
        n_boxes[c] += 1
    strip_height = np.empty(n_classes)
    first_strip = np.zeros(n_classes + 1, np.int64)
    for c in range(n_classes):
        strip_height[c] = max(height[c, 1] * (1 + 1e-6), top[c] / (_STRIPS_PER_BOX * n_boxes[c] + _FEW_STRIPS))
        first_strip[c + 1] = first_strip[c] + 1 + math.floor(top[c] / strip_height[c])
    return _Classes(code, width, height, strip_height, first_strip)


@kernel
def _class_codes(boxes):
    """Class of each box, numbered as they come, and the number of classes."""
    n = boxes.shape[0]
    low_w = low_h = 10_000
    high_w = high_h = 0
    for i in range(n):
        w, h = _size_level(boxes[i, 2] - boxes[i, 0]), _size_level(boxes[i, 3] - boxes[i, 1])
        low_w, high_w, low_h, high_h = min(low_w, w), max(high_w, w), min(low_h, h), max(high_h, h)
    span = max(high_h - low_h + 1, 0)
    known = np.zeros(max((high_w - low_w + 1) * span, 0), np.int32)  # number of the class from 1
    code = np.empty(n, np.int32)
    n_classes = 0
    for i in range(n):
        w, h = _size_level(boxes[i, 2] - boxes[i, 0]), _size_level(boxes[i, 3] - boxes[i, 1])
        cell = (w - low_w) * span + h - low_h
        if known[cell] == 0:
            n_classes += 1
            known[cell] = n_classes
        code[i] = known[cell] - 1
    return code, n_classes


@kernel
def _size_level(length):
    """Number of the factor-of-four interval that holds a length."""
    return (math.frexp(length)[1] + 1100) >> 1


@kernel
def _joins(start, classes, min_iou):
    """Pairs of strips that can hold overlapping boxes, each once: a strip with itself, then with its neighbours."""
    joins = np.empty((64, 2), np.int64)
    n_joins = 0
    for c in range(classes.strip_height.size):
        for s in range(classes.first_strip[c], classes.first_strip[c + 1]):
            if start[s] == start[s + 1]:
                continue
            for other in range(classes.strip_height.size):
                low, high = _neighbouring_strips(classes, s, (c, other), min_iou)
                for neighbour in range(low, high):
                    if start[neighbour] < start[neighbour + 1]:
                        if n_joins == joins.shape[0]:
                            joins = _doubled(joins)
                        joins[n_joins, 0], joins[n_joins, 1] = s, neighbour
                        n_joins += 1
    return joins[:n_joins]


@kernel
def _neighbouring_strips(classes, s, pair, min_iou):
    """Strips ``[low, high)`` of class `other` to compare with strip s of class c; none where it is the other's turn."""
    c, other = pair
    height, other_height = classes.strip_height[c], classes.strip_height[other]
    if c == other:
        return s, min(s + 2, classes.first_strip[c + 1])
    is_turn = height < other_height or (height == other_height and c < other)
    share = min_iou * (1 - _SLACK)
    is_comparable = True
    for size in (classes.width, classes.height):
        is_comparable &= share * max(size[c, 0], size[other, 0]) <= min(size[c, 1], size[other, 1])
    if not (is_turn and is_comparable):
        return 0, 0
    row, ratio = s - classes.first_strip[c], height / other_height
    first, end = classes.first_strip[other], classes.first_strip[other + 1]
    low = max(first + math.floor(row * ratio - 1 - 1e-6), first)
    return low, min(first + math.floor((row + 2) * ratio + 1e-6) + 1, end)


@kernel
def _doubled(joins):
    """The same joins, with as much room again."""
    larger = np.empty((2 * joins.shape[0], 2), np.int64)
    for k in range(joins.shape[0]):
        larger[k, 0], larger[k, 1] = joins[k, 0], joins[k, 1]
    return larger


@kernel
def _first_at_least(values, low, high, bound):
    """First place in the ascending ``values[low:high]`` of a value >= bound, found from `low` in growing steps."""
    step = 1
    while low + step < high and values[low + step] < bound:
        low += step
        step *= 2
    high = min(high, low + step)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def window(strips, join, i, low):
    """Where to look in the join's second strip for boxes that overlap box i of its first: first place, last xmin.

    `low` is the first place found for the box before i, or the start of the second strip.
    """
    first, second = strips.joins[join, 0], strips.joins[join, 1]
    xmin, share = strips.sides[0], 1.0 - strips.min_iou
    slack = _SLACK * (abs(xmin[i]) + abs(strips.sides[2, i]))
    right = xmin[i] + share * (strips.sides[2, i] - xmin[i]) + slack
    if first == second:
        return i + 1, right
    left = xmin[i] - share * strips.widest[second] - slack
    return _first_at_least(xmin, low, strips.start[second + 1], left), right


@kernel
def count_candidates(strips):
    """Number of box pairs that have to be tested, from the windows alone."""
    n_candidates = 0
    for join in range(strips.joins.shape[0]):
        first, second = strips.joins[join, 0], strips.joins[join, 1]
        low = high = strips.start[second]
        for i in range(strips.start[first], strips.start[first + 1]):
            low, right = window(strips, join, i, low)
            high = _first_at_least(
                strips.sides[0], max(low, high), strips.start[second + 1], np.nextafter(right, np.inf)
            )
            n_candidates += high - low
    return n_candidates


@kernel
def overlaps(strips, join, i, first_place, found):
    """Write the places of the join's second strip that may overlap place i enough into `found`; their number.

    The test is loose by rounding only; whoever needs the exact IOU asks `box_iou`.
    """
    low, right = first_place
    end = strips.start[strips.joins[join, 1] + 1]
    xmin, ymin, xmax, ymax = strips.sides[0], strips.sides[1], strips.sides[2], strips.sides[3]
    x0, y0, x1, y1 = xmin[i], ymin[i], xmax[i], ymax[i]
    area = (x1 - x0) * (y1 - y0)
    share = strips.min_iou * (1.0 - _SLACK)
    n_found = 0
    for j in range(low, end):
        if xmin[j] > right:
            break
        width = max(min(x1, xmax[j]) - max(x0, xmin[j]), 0.0)
        shared = width * max(min(y1, ymax[j]) - max(y0, ymin[j]), 0.0)
        found[n_found] = j
        n_found += shared >= share * (area + (xmax[j] - xmin[j]) * (ymax[j] - ymin[j]) - shared)
    return n_found


@kernel
def components(strips, owner):
    """Connected components: for each box, the first box (in input order) it is connected with, int32 (n,).

    Boxes connect where their IOU reaches that of the strips, unless they have the same `owner` >= 0.
    """
    n = strips.item.size
    parent = np.empty(n, np.int32)
    for place in range(n):
        parent[place] = place
    found = np.empty(n + 1, np.int32)
    for join in range(strips.joins.shape[0]):
        first, low = strips.joins[join, 0], strips.start[strips.joins[join, 1]]
        for i in range(strips.start[first], strips.start[first + 1]):
            low, right = window(strips, join, i, low)
            n_found = overlaps(strips, join, i, (low, right), found)
            own = owner[strips.item[i]]
            root = _root(parent, i)
            for k in range(n_found):
                j = np.int64(found[k])
                if parent[j] != root and (own < 0 or owner[strips.item[j]] != own):
                    other = _root(parent, j)
                    root, other = min(root, other), max(root, other)
                    parent[other] = root
    return _by_first_item(parent, strips.item)


@kernel
def _root(parent, i):
    """Root of i, with the path halved on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel
def _by_first_item(parent, item):
    """Components of places as components of items, each named by its first item."""
    n = parent.size
    name = np.empty(n, np.int32)
    for place in range(n):
        name[place] = n
    for place in range(n):
        root = _root(parent, place)
        name[root] = min(name[root], item[place])
    component = np.empty(n, np.int32)
    for place in range(n):
        component[item[place]] = name[_root(parent, place)]
    return component


@kernel
def overlapping_pairs(strips, is_other, is_between, pairs, iou):
    """Number of pairs that overlap enough, those between the two sets alone if `is_between`.

    Items (n_pairs, 2) and IOU (n_pairs,) are written as far as these arrays reach.
    """
    found = np.empty(strips.item.size + 1, np.int32)
    placed = strips.sides.T
    n_pairs = 0
    for join in range(strips.joins.shape[0]):
        first, low = strips.joins[join, 0], strips.start[strips.joins[join, 1]]
        for i in range(strips.start[first], strips.start[first + 1]):
            low, right = window(strips, join, i, low)
            for k in range(overlaps(strips, join, i, (low, right), found)):
                a, b = strips.item[i], strips.item[found[k]]
                value = box_iou(placed, i, found[k])
                if value >= strips.min_iou and not (is_between and is_other[a] == is_other[b]):
                    if n_pairs < iou.size:
                        pairs[n_pairs, 0], pairs[n_pairs, 1], iou[n_pairs] = a, b, value
                    n_pairs += 1
    return n_pairs
