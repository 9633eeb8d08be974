"""Plain versions of what `crowdtruth.curves` computes."""


def precision_recall(is_positive, score, weights, n_unscored=0.0):
    """(precision, recall) at every distinct score, from the highest on."""
    n_positive = sum(w for p, w in zip(is_positive, weights, strict=True) if p) + n_unscored
    points = []
    for threshold in sorted(set(score), reverse=True):
        found = [(p, w) for p, s, w in zip(is_positive, score, weights, strict=True) if s >= threshold]
        true, every = sum(w for p, w in found if p), sum(w for _, w in found)
        points.append((true / every if every else None, true / n_positive if n_positive else None))
    return points


def average_precision(is_positive, score, weights, n_unscored=0.0):
    """Every gain of recall times the precision there; None without a positive."""
    if not n_unscored and not any(w for p, w in zip(is_positive, weights, strict=True) if p):
        return None
    area, before = 0.0, 0.0
    for precision, recall in precision_recall(is_positive, score, weights, n_unscored):
        area += (recall - before) * (precision or 0.0)
        before = recall
    return area


def precision_at(level, points):
    """Precision of the first point that reaches a recall (at 0: that has any); None where none does."""
    return next((p for p, r in points if r is not None and (r >= level if level else r > 0)), None)


def auroc(is_positive, score, weights):
    """Share of pairs of a positive and a negative in which the positive scores higher; ties are half a pair."""
    items = list(zip(is_positive, score, weights, strict=True))
    won = total = 0.0
    for _, s, w in (item for item in items if item[0]):
        for _, other, v in (item for item in items if not item[0]):
            won += w * v * ((s > other) + 0.5 * (s == other))
            total += w * v
    return won / total if total else None


def sensitivity_at(rate, is_positive, score, weights):
    """Height of the ROC curve at a false-positive rate, its upper end where it rises; None without a curve."""
    items = list(zip(is_positive, score, weights, strict=True))
    n_true, n_false = (sum(w for p, _, w in items if p == kind) for kind in (True, False))
    if not n_true or not n_false:
        return None
    points = [(0.0, 0.0)]
    for threshold in sorted(set(score), reverse=True):
        found = [(p, w) for p, s, w in items if s >= threshold]
        points.append((sum(w for p, w in found if not p) / n_false, sum(w for p, w in found if p) / n_true))
    at = [y for x, y in points if x == rate]
    if at:
        return max(at)
    left, right = max(p for p in points if p[0] < rate), min(p for p in points if p[0] > rate)
    return left[1] + (right[1] - left[1]) * (rate - left[0]) / (right[0] - left[0])
