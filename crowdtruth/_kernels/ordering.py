"""The canonical order of marks, and grouping by code: loops over trusted arrays."""

import numpy as np

from crowdtruth._kernels._jit import kernel


@kernel
def group_starts(code, n_codes):
    """First place of each code in an array sorted by code, and the end: int64 (n_codes + 1,)."""
    start = np.zeros(n_codes + 1, np.int64)
    for i in range(code.size):
        start[code[i] + 1] += 1
    for c in range(n_codes):
        start[c + 1] += start[c]
    return start


@kernel
def stable_by_code(order, code, n_codes):
    """The rows `order` sorted by ``code[row]``, rows of one code in the order they came."""
    place = group_starts(code, n_codes)
    result = np.empty(order.size, np.int64)
    for i in range(order.size):
        c = code[order[i]]
        result[place[c]] = order[i]
        place[c] += 1
    return result


@kernel
def sort_equal_runs(order, boxes, fov, tiebreak):
    """Sort, in place, rows that are in order of (FOV, xmin) by ymin, xmax, ymax, tie-break and row within both."""
    n = order.size
    start = 0
    while start < n:
        end = start + 1
        first = order[start]
        while end < n and boxes[order[end], 0] == boxes[first, 0] and fov[order[end]] == fov[first]:
            end += 1
        if end - start > 1:
            _heap_sort(order[start:end], boxes, tiebreak)
        start = end


@kernel
def _comes_before(a, b, boxes, tiebreak):
    """Whether row a comes before row b in canonical order, FOV and xmin being equal."""
    for side in range(1, 4):
        if boxes[a, side] != boxes[b, side]:
            return boxes[a, side] < boxes[b, side]
    if tiebreak[a] != tiebreak[b]:
        return tiebreak[a] < tiebreak[b]
    return a < b


@kernel
def _heap_sort(rows, boxes, tiebreak):
    """Sort rows in place."""
    n = rows.size
    for root in range(n // 2 - 1, -1, -1):
        _sift_down(rows, root, n, boxes, tiebreak)
    for end in range(n - 1, 0, -1):
        rows[0], rows[end] = rows[end], rows[0]
        _sift_down(rows, 0, end, boxes, tiebreak)


@kernel
def _sift_down(rows, root, end, boxes, tiebreak):
    """Restore the heap below `root`, the last of equals at the top."""
    row = rows[root]
    while 2 * root + 1 < end:
        child = 2 * root + 1
        if child + 1 < end and _comes_before(rows[child], rows[child + 1], boxes, tiebreak):
            child += 1
        if not _comes_before(row, rows[child], boxes, tiebreak):
            break
        rows[root] = rows[child]
        root = child
    rows[root] = row
