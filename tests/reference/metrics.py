"""Plain versions of what `crowdtruth.metrics` computes."""

from math import sqrt

from tests.reference.boxes import iou


def best_matching(boxes, reference, iou_threshold, inclusive=False):
    """The largest number of one-to-one matches, and the largest total IOU among those: every matching is tried."""
    if not boxes:
        return 0, 0.0
    first, rest = boxes[0], boxes[1:]
    best = best_matching(rest, reference, iou_threshold, inclusive)
    for j, other in enumerate(reference):
        overlap = iou(first, other, inclusive)
        if overlap >= iou_threshold:
            n, total = best_matching(rest, reference[:j] + reference[j + 1 :], iou_threshold, inclusive)
            best = max(best, (n + 1, total + overlap))
    return best


def detection_scores(n_true_positive, n_false_positive, n_false_negative):
    """Precision, recall and their harmonic mean; None where there is nothing to divide by."""
    found, there = n_true_positive + n_false_positive, n_true_positive + n_false_negative
    precision = n_true_positive / found if found else None
    recall = n_true_positive / there if there else None
    if not found and not there:
        return precision, recall, None
    if not n_true_positive:
        return precision, recall, 0.0
    return precision, recall, 2 * precision * recall / (precision + recall)


def confusion(true, assigned, classes):
    """How often each true class was given each name."""
    pairs = list(zip(true, assigned, strict=True))
    return [[pairs.count((t, a)) for a in classes] for t in classes]


def matthews_correlation(true, assigned, classes):
    """Covariance of the indicator variables of all classes, over the product of their standard deviations."""

    def covariance(x, y):
        total = 0.0
        for c in classes:
            is_x, is_y = [v == c for v in x], [v == c for v in y]
            mean_x, mean_y = sum(is_x) / len(x), sum(is_y) / len(y)
            total += sum((a - mean_x) * (b - mean_y) for a, b in zip(is_x, is_y, strict=True)) / len(x)
        return total

    spread = covariance(true, true) * covariance(assigned, assigned)
    return covariance(true, assigned) / sqrt(spread) if spread > 0 else None
