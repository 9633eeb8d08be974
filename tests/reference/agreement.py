"""Coefficients of agreement by their definitions: every pair of ratings in turn. Missing ratings are None."""

from itertools import permutations

import numpy as np


def pairs_of_item(row):
    """Ordered pairs of the ratings of one item."""
    return list(permutations([label for label in row if label is not None], 2))


def difference(level, a, b, values):
    """Squared difference of two classes; `values` are all pairable ratings, in order of the scale."""
    if level == "nominal":
        return float(a != b)
    if level == "ordinal":
        low, high = min(a, b), max(a, b)
        between = sum(low <= value <= high for value in values)
        return (between - (values.count(a) + values.count(b)) / 2) ** 2 if a != b else 0.0
    if level == "interval":
        return float((a - b) ** 2)
    return ((a - b) / (a + b)) ** 2 if a + b else 0.0


def alpha(rows, level):
    """Krippendorff's alpha: observed over expected mean difference."""
    rows = [[label for label in row if label is not None] for row in rows]
    rows = [row for row in rows if len(row) > 1]
    values = [label for row in rows for label in row]
    n = len(values)
    observed = sum(difference(level, a, b, values) / (len(row) - 1) for row in rows for a, b in permutations(row, 2))
    expected = sum(difference(level, a, b, values) for a, b in permutations(values, 2))
    return 1 - (n - 1) * observed / expected if expected else np.nan


def percent(rows, weight):
    """Mean over items of the mean agreement of their pairs."""
    of_items = [np.mean([weight(a, b) for a, b in pairs_of_item(row)]) for row in rows if pairs_of_item(row)]
    return np.mean(of_items) if of_items else np.nan


def shares(rows, classes):
    """Mean over items of the share of each class."""
    rated = [[label for label in row if label is not None] for row in rows]
    rated = [row for row in rated if row]
    return [np.mean([row.count(c) / len(row) for row in rated]) if rated else 0.0 for c in classes]


def fleiss(rows, classes):
    observed = percent(rows, lambda a, b: float(a == b))
    chance = sum(share**2 for share in shares(rows, classes))
    return (observed - chance) / (1 - chance) if chance < 1 - 1e-12 else np.nan


def gwet(rows, classes, weight):
    n = len(classes)
    total = sum(weight(a, b) for a in classes for b in classes)
    chance = total / max(n * (n - 1), 1) * sum(share * (1 - share) for share in shares(rows, classes))
    return (percent(rows, weight) - chance) / (1 - chance)


def kappa(first, second, classes, weight):
    """Cohen's kappa, weighted; `weight` is agreement."""
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not both:
        return np.nan
    observed = np.mean([weight(a, b) for a, b in both])
    expected = np.mean([weight(a, b) for a, _ in both for _, b in both])
    return (observed - expected) / (1 - expected) if expected < 1 - 1e-12 else np.nan


def commonest(labels):
    """The label given most often; on ties the first."""
    return max(labels, key=labels.count)


def rows_of_anchors(members, asked, raters):
    """Labels of each anchor by those of `raters` who were asked, None without: anchor -> list.

    members : (anchor, fov, rater, label); asked : (fov, rater).
    """
    fov_of = {anchor: fov for anchor, fov, _, _ in members}
    rows = {}
    for anchor, fov in fov_of.items():
        given = {r: [x for a, _, who, x in members if (a, who) == (anchor, r)] for r in raters}
        rows[anchor] = [
            None if (fov, r) not in asked else commonest(given[r]) if given[r] else "undetected" for r in raters
        ]
    return rows
