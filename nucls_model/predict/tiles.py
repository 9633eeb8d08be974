"""Tiles that cover an image: cores that part it, and around each core what its objects need to be seen whole."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nucls_model.config import NuclsConfig

GRID = 32
"""Tiles begin at multiples of this many pixels, so that a network's cells lie at the same places in every tile."""

SEAM = 4.0
"""Pixels beyond its core in which a tile's objects are kept in reserve: neighbours may see a centre a little apart."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Tile:
    """A part of an image: what is shown to the detector, and the core in which it is believed."""

    extent: Box  # xmin, ymin, xmax, ymax in pixels of the view
    core: Box  # inside of the extent; the cores of all tiles part the image


@dataclass(frozen=True)
class Tiling:
    """How an image is cut, and how what is found in its tiles is put together."""

    tile: int = 512  # pixels along a tile
    overlap: int = 128  # pixels that neighbours share; at least the longest side of a nucleus and 8 pixels
    nms_iou: float = 0.2  # of two objects that overlap more, one is kept, as within a tile
    is_class_agnostic: bool = True  # False: only objects of the same label suppress each other
    max_detections: int | None = 300  # the most the detector returns for a tile; tiles that are full are cut in four
    skip_glass: bool = True  # pass over tiles that have no stained pixel

    def __post_init__(self) -> None:
        step = self.tile - self.overlap
        if self.overlap < 0 or self.overlap % 2 or step <= 0 or step % GRID:
            raise ValueError(
                f"expected an even overlap below the tile's side, and tile - overlap a multiple of {GRID} pixels; "
                f"got tile {self.tile}, overlap {self.overlap}"
            )


def tiling_for(config: NuclsConfig, *, tile: int = 512, overlap: int = 128) -> Tiling:
    """Tiles put together by the suppression rule of a detector.

    A detector of one class, whose labels a classifier of thumbnails gives, suppresses whatever the label.

    Examples
    --------
    >>> tiling_for(NuclsConfig(nms_iou=0.3), tile=1024).nms_iou
    0.3
    """
    return Tiling(
        tile=tile,
        overlap=overlap,
        nms_iou=config.nms_iou,
        is_class_agnostic=config.is_class_agnostic or config.thumbnails,
        max_detections=config.max_detections,
    )


def make_tiles(width: int, height: int, tiling: Tiling) -> Iterator[Tile]:
    """The tiles of an image, row by row.

    Parameters
    ----------
    width, height : of the view, pixels
    tiling : side and overlap of the tiles

    Yields
    ------
    Tile
        Sides are at most those asked for; the last tile of a row or column is shorter.

    Examples
    --------
    >>> [(tile.extent, tile.core) for tile in make_tiles(200, 50, Tiling(tile=128, overlap=32))]
    [((0, 0, 128, 50), (0, 0, 112, 50)), ((96, 0, 200, 50), (112, 0, 200, 50))]
    """
    for y in _spans(height, tiling):
        for x in _spans(width, tiling):
            yield Tile((x[0], y[0], x[1], y[1]), (x[2], y[2], x[3], y[3]))


def count_tiles(width: int, height: int, tiling: Tiling) -> int:
    """How many tiles an image has."""
    return len(_spans(width, tiling)) * len(_spans(height, tiling))


def _spans(length: int, tiling: Tiling) -> list[tuple[int, int, int, int]]:
    """Extent and core of the tiles along one axis: start, stop, core start, core stop."""
    step, margin = tiling.tile - tiling.overlap, tiling.overlap // 2
    n = max(1, -(-(length - tiling.overlap) // step))
    return [
        (
            k * step,
            min(k * step + tiling.tile, length),
            k * step + margin if k else 0,
            (k + 1) * step + margin if k < n - 1 else length,
        )
        for k in range(n)
    ]


def quarters(tile: Tile, size: tuple[int, int], tiling: Tiling) -> list[Tile]:
    """A tile in up to four, each core with the same surroundings; none if its core is too small to be cut.

    Parameters
    ----------
    tile : one that holds more objects than the detector returns
    size : width, height of the view
    """
    columns, rows = (_halves(tile.core[axis], tile.core[axis + 2]) for axis in (0, 1))
    if len(columns) * len(rows) == 1:
        return []
    margin = tiling.overlap // 2
    return [
        Tile(
            (
                max(0, x[0] - margin) // GRID * GRID,
                max(0, y[0] - margin) // GRID * GRID,
                min(x[1] + margin, size[0]),
                min(y[1] + margin, size[1]),
            ),
            (x[0], y[0], x[1], y[1]),
        )
        for y in rows
        for x in columns
    ]


def _halves(start: int, stop: int) -> list[tuple[int, int]]:
    """A span in two, or whole if it is short."""
    middle = (start + stop) // 2
    return [(start, stop)] if stop - start < 2 * GRID else [(start, middle), (middle, stop)]


def claims(tile: Tile, boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int8]:
    """What a tile may say of objects it found: 2 at home, their centre lies in its core; 1 in reserve; 0 nothing.

    Parameters
    ----------
    tile : where they were found
    boxes : (n, 4) in pixels of the view
    size : width, height of the view; what juts out of it is at home in the tile at that edge

    Returns
    -------
    (n,)
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    edges = np.array(tile.core, float)
    start = np.where(edges[:2] == 0, -np.inf, edges[:2])
    stop = np.where(edges[2:] == size, np.inf, edges[2:])
    is_home = ((centre >= start) & (centre < stop)).all(axis=1)
    is_near = ((centre >= start - SEAM) & (centre < stop + SEAM)).all(axis=1)
    return np.where(is_home, 2, np.where(is_near, 1, 0)).astype(np.int8)


def count_cut(tile: Tile, boxes: NDArray[np.float64], size: tuple[int, int]) -> int:
    """How many boxes (n, 4) reach the inner edges of their tile, so that they may be longer than the overlap."""
    edges = np.array(tile.extent, float)
    is_cut = ((boxes[:, :2] <= edges[:2] + 0.5) & (edges[:2] > 0)).any(axis=1)
    is_cut |= ((boxes[:, 2:] >= edges[2:] - 0.5) & (edges[2:] < size)).any(axis=1)
    return int(is_cut.sum())
