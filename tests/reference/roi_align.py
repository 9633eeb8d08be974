"""Plain version of `nucls_model.roi_align`: one point after the other."""

import math


def roi_align(channel, box, size, scale, *, samples=0, is_aligned=False):
    """Means of the points in each of size × size bins of a box, read from one channel (rows of numbers) of the map."""
    shift = 0.5 if is_aligned else 0
    left, top, right, bottom = (corner * scale - shift for corner in box)
    width, height = right - left, bottom - top
    if not is_aligned:
        width, height = max(width, 1), max(height, 1)
    across = places(left, width, size, samples)
    down = places(top, height, size, samples)
    return [[mean([read(channel, y, x) for y in row for x in column]) for column in across] for row in down]


def places(low, length, size, samples):
    """Coordinates of the points of each bin along one axis: evenly spaced, half a step from the bin's ends."""
    n = samples or math.ceil(length / size)
    return [[low + i * length / size + (j + 0.5) * length / size / n for j in range(n)] for i in range(size)]


def mean(values):
    """Mean, 0 of none."""
    return sum(values) / max(len(values), 1)


def read(channel, y, x):
    """Bilinear interpolation between four cells; the border reaches one cell outwards, beyond it all is 0."""
    height, width = len(channel), len(channel[0])
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    row, column = math.floor(y), math.floor(x)
    below, right = min(row + 1, height - 1), min(column + 1, width - 1)
    down, across = y - row, x - column
    upper = channel[row][column] * (1 - across) + channel[row][right] * across
    lower = channel[below][column] * (1 - across) + channel[below][right] * across
    return upper * (1 - down) + lower * down
