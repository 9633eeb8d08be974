"""What a detector finds in the tiles of an image, one tile after the other, with outlines instead of masks."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nucls_model.instances import Detections
from nucls_model.predict.images import Pixels
from nucls_model.predict.outlines import outline_of
from nucls_model.predict.tiles import Tile, Tiling, claims, count_cut, quarters
from nucls_model.predict.views import View

Detect = Callable[[list[Tensor]], list[Detections]]

STAINED = 200
"""A pixel of stained tissue has a channel below this; tiles without one are glass."""


@dataclass(frozen=True)
class Piece:
    """A tile and its pixels."""

    tile: Tile
    pixels: Pixels  # (height, width, 3)


@dataclass(frozen=True)
class Found:
    """The objects of one tile that it may speak for: n objects, C classes."""

    boxes: NDArray[np.float64]  # (n, 4) in pixels of the view
    objectness: NDArray[np.float64]  # (n,)
    claim: NDArray[np.int8]  # (n,) as `tiles.claims` says
    label: NDArray[np.int64]  # (n,)
    probabilities: NDArray[np.float64]  # (n, C)
    ambiguous: NDArray[np.float64]  # (n,)
    outlines: list[NDArray[np.float64]]  # n of (n_points, 2) in pixels of the view

    @property
    def class_score(self) -> NDArray[np.float64]:
        """The probability of each object's label, beside background and AMBIGUOUS: (n,)."""
        return (self.objectness - self.ambiguous) * self.probabilities[np.arange(len(self.label)), self.label]


@dataclass
class Counts:
    """What happened on the way, to be told at the end."""

    tiles: int = 0
    glass: int = 0  # tiles without a stained pixel, not shown to the detector
    full: int = 0  # tiles with as many objects as the detector returns at most, too small to be cut again
    cut: int = 0  # objects that reach over their tile


def read_ahead(view: View, tiles: Iterable[Tile]) -> Iterator[Piece]:
    """Each tile with its pixels; the next one is read while the last is worked on."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: list[tuple[Tile, Future[Pixels]]] = []
        for tile in tiles:
            waiting.append((tile, pool.submit(view.read, *tile.extent)))
            if len(waiting) > 1:
                last, pixels = waiting.pop(0)
                yield Piece(last, pixels.result())
        for last, pixels in waiting:
            yield Piece(last, pixels.result())


def find_objects(
    detect: Detect, piece: Piece, size: tuple[int, int], tiling: Tiling, counts: Counts
) -> Iterator[Found]:
    """What is found in one tile; a tile that comes back full is cut in four and each part seen again.

    Parameters
    ----------
    detect : images, a list of (3, height, width) from 0 to 1, to what is in each
    piece : the tile
    size : width, height of the view it is of
    tiling : how the view was cut
    counts : written to
    """
    counts.tiles += 1
    if tiling.skip_glass and piece.pixels.min() >= STAINED:
        counts.glass += 1
        return
    detections = detect([_as_tensor(piece.pixels)])[0].to("cpu")
    if tiling.max_detections is not None and len(detections.boxes) >= tiling.max_detections:
        parts = quarters(piece.tile, size, tiling)
        counts.full += not parts
        for part in parts:
            yield from find_objects(detect, _part_of(piece, part), size, tiling, counts)
        if parts:
            return
    yield _believed(detections, piece.tile, size, counts)


def _part_of(piece: Piece, part: Tile) -> Piece:
    """A tile that lies in another, with its pixels."""
    left, top = piece.tile.extent[:2]
    xmin, ymin, xmax, ymax = part.extent
    return Piece(part, piece.pixels[ymin - top : ymax - top, xmin - left : xmax - left])


def _as_tensor(pixels: Pixels) -> Tensor:
    """Pixels (height, width, 3) of 8 bits as (3, height, width) from 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255


def _believed(detections: Detections, tile: Tile, size: tuple[int, int], counts: Counts) -> Found:
    """The detections that a tile may speak for, in pixels of the view."""
    offset = np.array(tile.extent[:2] * 2, float)
    boxes = detections.boxes.double().numpy() + offset
    claim = claims(tile, boxes, size)
    chosen = np.flatnonzero(claim)
    boxes, kept = boxes[chosen], torch.from_numpy(chosen)
    counts.cut += count_cut(tile, boxes[claim[chosen] > 1], size)
    masks = detections.masks[kept].double().numpy()
    return Found(
        boxes=boxes,
        objectness=detections.objectness[kept].double().numpy(),
        claim=claim[chosen],
        label=detections.label[kept].numpy().astype(np.int64),
        probabilities=detections.probabilities[kept].double().numpy(),
        ambiguous=detections.ambiguous[kept].double().numpy(),
        outlines=[outline_of(mask, box) for mask, box in zip(masks, boxes, strict=True)],
    )
