"""Plain versions of what `nucls_model.box_ops` computes, on lists of numbers."""

import math

from tests.reference.boxes import iou

LARGEST_LOG_SIZE = math.log(1000 / 16)


def encode(box, reference, weights):
    """Weighted shift of the centre in sizes of the reference, weighted log ratio of sizes."""
    x, y, width, height = centre_and_size(box)
    x0, y0, width0, height0 = centre_and_size(reference)
    deltas = [(x - x0) / width0, (y - y0) / height0, math.log(width / width0), math.log(height / height0)]
    return [delta * weight for delta, weight in zip(deltas, weights, strict=True)]


def decode(deltas, reference, weights):
    """The box that `encode` made these deltas of, at most 62.5 times as large as its reference."""
    dx, dy, dw, dh = (delta / weight for delta, weight in zip(deltas, weights, strict=True))
    x0, y0, width0, height0 = centre_and_size(reference)
    x, y = x0 + dx * width0, y0 + dy * height0
    width, height = (size * math.exp(min(d, LARGEST_LOG_SIZE)) for size, d in ((width0, dw), (height0, dh)))
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def centre_and_size(box):
    """x, y, width and height of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


def nms(boxes, scores, threshold):
    """Rows kept when each box, best first, is dropped if it overlaps one that was kept by more than the threshold."""
    kept = []
    for row in sorted(range(len(boxes)), key=lambda row: (-scores[row], row)):
        if all(iou(boxes[row], boxes[other]) <= threshold for other in kept):
            kept.append(row)
    return kept


def grouped_nms(boxes, scores, groups, threshold):
    """`nms` of each group alone; what is kept of all, best first."""
    kept = []
    for group in set(groups):
        rows = [row for row in range(len(boxes)) if groups[row] == group]
        kept += [rows[i] for i in nms([boxes[row] for row in rows], [scores[row] for row in rows], threshold)]
    return sorted(kept, key=lambda row: (-scores[row], row))


def match(overlaps, n_candidates, foreground, background, keep_best):
    """Row of the truth of each candidate, -1 background, -2 between; `overlaps` is a list of rows, one per truth."""
    matched = []
    for candidate in range(n_candidates):
        column = [row[candidate] for row in overlaps]
        best = max(column, default=0)
        is_best_of_one = keep_best and any(row[candidate] == max(row) > 0 for row in overlaps)
        if not column or (best < background and not is_best_of_one):
            matched.append(-1)
        elif best < foreground and not is_best_of_one:
            matched.append(-2)
        else:
            matched.append(column.index(best))
    return matched


def prior_boxes(height, width, strides, sizes, aspects):
    """For each cell, by rows, and each aspect and size: a box of that shape around the cell's corner."""
    (stride_y, stride_x), boxes = strides, []
    for row in range(height):
        for column in range(width):
            for aspect in aspects:
                for size in sizes:
                    x = round(size / math.sqrt(aspect) / 2)
                    y = round(size * math.sqrt(aspect) / 2)
                    left, top = column * stride_x, row * stride_y
                    boxes.append([left - x, top - y, left + x, top + y])
    return boxes
