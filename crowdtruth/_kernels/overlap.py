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
_MOST_ROWS = 2.0**24


class Strips(NamedTuple):
    """Boxes in strip order, and which strips have to be compared."""

    item: NDArray[np.int32]  # (n,) row of the box in the input
    sides: NDArray[np.float64]  # (4, n) xmin, ymin, xmax, ymax in strip order
    start: NDArray[np.int64]  # (n_strips + 1,) first box of each strip
    widest: NDArray[np.float64]  # (n_strips,) width of the widest box
    joins: NDArray[np.int64]  # (n_joins, 2) strips to compare; a strip with itself included
    min_iou: float  # of the pairs to be found


class _Classes(NamedTuple):
    """Size classes: which boxes compare with which, by their extremes."""

    code: NDArray[np.int32]  # (n,) class of each box
    narrowest: NDArray[np.float64]  # (n_classes,)
    widest: NDArray[np.float64]  # (n_classes,)
    lowest: NDArray[np.float64]  # (n_classes,)
    highest: NDArray[np.float64]  # (n_classes,)


class _Table(NamedTuple):
    """Open-addressing table from (class, row) to the number of the strip."""

    class_code: NDArray[np.int64]  # (capacity,) -1 where empty
    row: NDArray[np.int64]  # (capacity,)
    strip: NDArray[np.int64]  # (capacity,)


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
    iou = np.eye(n)
    for i in range(n):
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
    classes = _size_classes(boxes)
    bottom, heights = _strip_heights(boxes, classes)
    strip, strip_class, strip_row, table = _assign_strips(boxes, classes.code, heights, bottom)
    n, n_strips = boxes.shape[0], strip_class.size
    start = np.zeros(n_strips + 1, np.int64)
    for i in range(n):
        start[strip[i] + 1] += 1
    start = np.cumsum(start)
    filled = start[:-1].copy()
    item = np.empty(n, np.int32)
    sides = np.empty((4, n))
    widest = np.zeros(n_strips)
    for i in range(n):
        place = filled[strip[i]]
        filled[strip[i]] += 1
        item[place] = i
        for side in range(4):
            sides[side, place] = boxes[i, side]
        widest[strip[i]] = max(widest[strip[i]], boxes[i, 2] - boxes[i, 0])
    joins = _strip_joins(strip_class, strip_row, table, _comparable(classes, min_iou), heights)
    return Strips(item, sides, start, widest, joins, min_iou)


@kernel
def _size_level(length):
    """Number of the factor-of-four interval that holds a length."""
    return (math.frexp(length)[1] + 1100) >> 1


@kernel
def _size_classes(boxes):
    """Class of each box by the intervals of its width and height."""
    n = boxes.shape[0]
    low_w = low_h = 10_000
    high_w = high_h = 0
    for i in range(n):
        w, h = _size_level(boxes[i, 2] - boxes[i, 0]), _size_level(boxes[i, 3] - boxes[i, 1])
        low_w, high_w, low_h, high_h = min(low_w, w), max(high_w, w), min(low_h, h), max(high_h, h)
    span = max(high_h - low_h + 1, 0)
    known = np.full(max(high_w - low_w + 1, 0) * span, -1, np.int32)
    code = np.empty(n, np.int32)
    n_classes = 0
    for i in range(n):
        w, h = _size_level(boxes[i, 2] - boxes[i, 0]), _size_level(boxes[i, 3] - boxes[i, 1])
        cell = (w - low_w) * span + h - low_h
        if known[cell] < 0:
            known[cell] = n_classes
            n_classes += 1
        code[i] = known[cell]
    narrowest, widest = np.full(n_classes, np.inf), np.zeros(n_classes)
    lowest, highest = np.full(n_classes, np.inf), np.zeros(n_classes)
    for i in range(n):
        c, w, h = code[i], boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        narrowest[c], widest[c] = min(narrowest[c], w), max(widest[c], w)
        lowest[c], highest[c] = min(lowest[c], h), max(highest[c], h)
    return _Classes(code, narrowest, widest, lowest, highest)


@kernel
def _strip_heights(boxes, classes):
    """Least ymin, and the height of the strips of each class: its highest box, at most 2^24 strips."""
    bottom, top = np.inf, -np.inf
    for i in range(boxes.shape[0]):
        bottom, top = min(bottom, boxes[i, 1]), max(top, boxes[i, 1])
    heights = np.empty(classes.highest.size)
    for c in range(heights.size):
        heights[c] = max(classes.highest[c] * (1 + 1e-6), (top - bottom) / _MOST_ROWS)
    return bottom, heights


@kernel
def _comparable(classes, min_iou):
    """Whether boxes of two classes can reach `min_iou` at all, (n_classes, n_classes)."""
    n_classes = classes.widest.size
    comparable = np.empty((n_classes, n_classes), np.bool_)
    share = min_iou * (1 - _SLACK)
    for a in range(n_classes):
        for b in range(n_classes):
            comparable[a, b] = (
                share * max(classes.narrowest[a], classes.narrowest[b]) <= min(classes.widest[a], classes.widest[b])
            ) and share * max(classes.lowest[a], classes.lowest[b]) <= min(classes.highest[a], classes.highest[b])
    return comparable


@kernel
def _new_table(capacity):
    """Empty table of a power-of-two capacity."""
    return _Table(np.full(capacity, -1, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.int64))


@kernel
def _slot(table, class_code, row):
    """Slot of (class, row), or the empty slot where it belongs."""
    mask = table.row.size - 1
    slot = (row + class_code * 1009) & mask
    while table.class_code[slot] >= 0 and (table.class_code[slot] != class_code or table.row[slot] != row):
        slot = (slot + 1) & mask
    return slot


@kernel
def _assign_strips(boxes, class_code, heights, bottom):
    """Strip of each box; class and row of each strip; and the table from these to the strip."""
    n = boxes.shape[0]
    table = _new_table(64)
    strip = np.empty(n, np.int32)
    strip_class, strip_row = np.empty(64, np.int64), np.empty(64, np.int64)
    n_strips = 0
    for i in range(n):
        c = np.int64(class_code[i])
        row = np.int64(math.floor((boxes[i, 1] - bottom) / heights[c]))
        slot = _slot(table, c, row)
        if table.class_code[slot] < 0:
            if 2 * (n_strips + 1) > table.row.size:
                table = _grown(table, strip_class, strip_row, n_strips)
                strip_class = np.concatenate((strip_class, np.empty(strip_class.size, np.int64)))
                strip_row = np.concatenate((strip_row, np.empty(strip_row.size, np.int64)))
                slot = _slot(table, c, row)
            table.class_code[slot], table.row[slot], table.strip[slot] = c, row, n_strips
            strip_class[n_strips], strip_row[n_strips] = c, row
            n_strips += 1
        strip[i] = table.strip[slot]
    return strip, strip_class[:n_strips], strip_row[:n_strips], table


@kernel
def _grown(table, strip_class, strip_row, n_strips):
    """The table with twice the capacity."""
    larger = _new_table(2 * table.row.size)
    for s in range(n_strips):
        slot = _slot(larger, strip_class[s], strip_row[s])
        larger.class_code[slot], larger.row[slot], larger.strip[slot] = strip_class[s], strip_row[s], s
    return larger


@kernel
def _strip_joins(strip_class, strip_row, table, comparable, heights):
    """Pairs of strips that can hold overlapping boxes, each once: a strip with itself, then with its neighbours."""
    n_strips = strip_class.size
    joins = np.empty((4 * n_strips + 8, 2), np.int64)
    n_joins = 0
    for s in range(n_strips):
        c = strip_class[s]
        for other in range(heights.size):
            if not comparable[c, other] or (heights[other], other) < (heights[c], c):
                continue
            low, high = strip_row[s], strip_row[s] + 1
            if other != c:
                ratio = heights[c] / heights[other]
                low = np.int64(math.floor(strip_row[s] * ratio - 1 - 1e-6))
                high = np.int64(math.floor((strip_row[s] + 2) * ratio + 1e-6))
            for row in range(low, high + 1):
                slot = _slot(table, other, row)
                if table.class_code[slot] >= 0:
                    if n_joins == joins.shape[0]:
                        joins = np.concatenate((joins, np.empty_like(joins)))
                    joins[n_joins, 0], joins[n_joins, 1] = s, table.strip[slot]
                    n_joins += 1
    return joins[:n_joins]


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

    `low` is the first place found for the box before i (0 for the first box of the strip).
    """
    first, second = strips.joins[join, 0], strips.joins[join, 1]
    xmin, share = strips.sides[0], 1.0 - strips.min_iou
    slack = _SLACK * (abs(xmin[i]) + abs(strips.sides[2, i]))
    right = xmin[i] + share * (strips.sides[2, i] - xmin[i]) + slack
    if first == second:
        return i + 1, right
    left = xmin[i] - share * strips.widest[second] - slack
    return _first_at_least(xmin, max(low, strips.start[second]), strips.start[second + 1], left), right


@kernel
def count_candidates(strips):
    """Number of box pairs that have to be tested, from the windows alone."""
    n_candidates = 0
    for join in range(strips.joins.shape[0]):
        first, second = strips.joins[join, 0], strips.joins[join, 1]
        low = high = 0
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
    parent = np.arange(n, dtype=np.int32)
    found = np.empty(n + 1, np.int32)
    for join in range(strips.joins.shape[0]):
        first = strips.joins[join, 0]
        low = 0
        for i in range(strips.start[first], strips.start[first + 1]):
            low, right = window(strips, join, i, low)
            n_found = overlaps(strips, join, i, (low, right), found)
            own = owner[strips.item[i]]
            root = _root(parent, i)
            for k in range(n_found):
                j = found[k]
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
    name = np.full(n, n, np.int32)
    for place in range(n):
        root = _root(parent, place)
        name[root] = min(name[root], item[place])
    component = np.empty(n, np.int32)
    for place in range(n):
        component[item[place]] = name[_root(parent, place)]
    return component


@kernel
def overlapping_pairs(strips, is_other, is_between):
    """Items (n_pairs, 2) and IOU (n_pairs,) of the pairs that overlap enough; those between two sets alone if asked."""
    pairs, iou = np.empty((1024, 2), np.int64), np.empty(1024)
    found = np.empty(strips.item.size + 1, np.int32)
    placed = strips.sides.T
    n_pairs = 0
    for join in range(strips.joins.shape[0]):
        first = strips.joins[join, 0]
        low = 0
        for i in range(strips.start[first], strips.start[first + 1]):
            low, right = window(strips, join, i, low)
            n_found = overlaps(strips, join, i, (low, right), found)
            while n_pairs + n_found > iou.size:
                pairs, iou = np.concatenate((pairs, np.empty_like(pairs))), np.concatenate((iou, np.empty_like(iou)))
            for k in range(n_found):
                a, b = strips.item[i], strips.item[found[k]]
                if is_between and is_other[a] == is_other[b]:
                    continue
                value = box_iou(placed, i, found[k])
                if value >= strips.min_iou:
                    pairs[n_pairs, 0], pairs[n_pairs, 1], iou[n_pairs] = a, b, value
                    n_pairs += 1
    return pairs[:n_pairs].copy(), iou[:n_pairs].copy()
