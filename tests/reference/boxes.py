"""Plain versions of what `crowdtruth.boxes` computes."""


def iou(a, b, inclusive=False):
    """Intersection over union of two boxes (xmin, ymin, xmax, ymax)."""
    pixel = 1 if inclusive else 0
    width = min(a[2], b[2]) - max(a[0], b[0]) + pixel
    height = min(a[3], b[3]) - max(a[1], b[1]) + pixel
    if width <= 0 or height <= 0:
        return 0.0
    area_a = (a[2] - a[0] + pixel) * (a[3] - a[1] + pixel)
    area_b = (b[2] - b[0] + pixel) * (b[3] - b[1] + pixel)
    return width * height / (area_a + area_b - width * height)


def pixel_iou(a, b):
    """Intersection over union of two boxes with integer corners, by counting their pixels."""
    pixels = [{(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])} for box in (a, b)]
    return len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1])


def overlapping_pairs(boxes, other, min_iou, inclusive=False):
    """Rows and IOU of all pairs that reach `min_iou`, among `boxes` where `other` is None."""
    pairs = []
    for i, a in enumerate(boxes):
        for j, b in enumerate(boxes if other is None else other):
            if (other is not None or i < j) and iou(a, b, inclusive) >= min_iou:
                pairs.append((i, j, iou(a, b, inclusive)))
    return pairs


def medoid(boxes, inclusive=False):
    """Row of the box with the highest mean IOU to all boxes, the first of equals."""
    means = [sum(iou(a, b, inclusive) for b in boxes) / len(boxes) for a in boxes]
    return max(range(len(boxes)), key=lambda i: (means[i], -i))
