"""A detector that is never wrong: it finds every patch of paint in an image, wherever the image is cut."""

import numpy as np
import torch
from scipy import ndimage

from nucls_model.instances import Detections

CLASSES = ("red", "green", "blue")
COLORS = {"red": (255, 0, 0), "green": (0, 200, 0)}
SIDE = 14  # cells of a mask


def paint(size, centres, radii, seed=0):
    """A white image (height, width, 3) with discs that have a colour each; those that touch another are left out."""
    width, height = size
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 255, np.uint8)
    y, x = np.mgrid[:height, :width]
    kept = []
    for (cx, cy), radius in zip(centres, radii, strict=True):
        if any(np.hypot(cx - a, cy - b) < radius + r + 3 for a, b, r in kept):
            continue
        pixels[(x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2 < radius**2] = rng.integers(20, 180, 3)
        kept.append((cx, cy, radius))
    return pixels, np.array(kept).reshape(-1, 3)


def detect(images):
    """Every patch of paint in each image: its box, and by its colour objectness, class and ambiguity."""
    return [_detect(np.rint(image.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)) for image in images]


def _detect(pixels):
    labels, _ = ndimage.label((pixels < 250).any(axis=2))
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[rows, columns] == number
        color = pixels[rows, columns][inside][0].astype(float)
        cells = [((np.arange(SIDE) + 0.5) / SIDE * side).astype(int) for side in inside.shape]
        box = columns.start, rows.start, columns.stop, rows.stop
        found.append((color.sum() / 600, box, color / color.sum(), color[0] / 1000, inside[np.ix_(*cells)]))
    found.sort(key=lambda entry: -entry[0])
    objectness, boxes, probabilities, ambiguous, masks = zip(*found, strict=True) if found else [()] * 5
    probabilities = torch.tensor(np.array(probabilities), dtype=torch.float32).reshape(-1, 3)
    return Detections(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        objectness=torch.tensor(objectness, dtype=torch.float32),
        probabilities=probabilities,
        ambiguous=torch.tensor(ambiguous, dtype=torch.float32),
        masks=torch.tensor(np.array(masks), dtype=torch.float32).reshape(-1, SIDE, SIDE),
        embedding=torch.zeros(len(boxes), 1),
        label=probabilities.argmax(dim=1),
    )
