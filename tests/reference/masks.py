"""Published masks the plain way: codes of objects one pair after the other, pixels one object after the other."""

from itertools import combinations

import numpy as np
import pandas as pd

from nucls_model.dataset import rasterise


def instance_pairs(n_pairs):
    """Pairs a < b up to 255 in lexicographic order, but those whose product an earlier one has."""
    pairs, products = [], set()
    for a, b in combinations(range(1, 256), 2):
        if a * b not in products:
            products.add(a * b)
            pairs.append([a, b])
        if len(pairs) == n_pairs:
            break
    return pairs


def topmost_object(objects: pd.DataFrame, width, height):
    """The row of the object seen in each pixel, -1 where there is none: the smallest box wins, then the later row."""
    top = np.full((height, width), -1)
    area = (objects["xmax"] - objects["xmin"]) * (objects["ymax"] - objects["ymin"])
    for row in sorted(range(len(objects)), key=lambda row: (-area.iloc[row], row)):
        one = objects.iloc[row]
        x, y = ([int(number) for number in one[name].split(",")] for name in ("coords_x", "coords_y"))
        top[rasterise(x, y, height, width)] = row
    return top
