"""An image at the resolution a detector was trained for: a level is chosen, and resampled where it does not fit.

Every pixel of a view is the same function of the image whichever part it is read in, so tiles fit together exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crowdtruth.parallel import say
from nucls_model.predict.images import Pixels, Source
from nucls_model.predict.slides import downsample

MPP = 0.2
"""µm per pixel that the paper's images have."""

_FARTHEST = 16.0  # times finer or coarser than wanted; a tile at 16 is 16² tiles of the image in memory
_SAME = 0.02  # resolutions that differ by less are taken as they are: resampling would only blur


@dataclass(frozen=True)
class View:
    """An image at one resolution, read in parts."""

    name: str
    width: int  # pixels of the view
    height: int
    scale: float  # pixels of the image's finest level along one of the view
    size: tuple[int, int]  # width, height of the image's finest level
    read: Callable[[int, int, int, int], Pixels]  # xmin, ymin, xmax, ymax -> (height, width, 3)


def make_view(source: Source, *, mpp: float = MPP, source_mpp: float | None = None, level: int | None = None) -> View:
    """An image at `mpp` µm per pixel.

    The coarsest level that is at least as fine as `mpp` is read, and resampled by a triangle filter as wide as the
    coarser of the two pixels; resolutions within 2 % are not resampled. Where nobody says what the image's resolution
    is, it is taken to be `mpp`, and that is said.

    Parameters
    ----------
    source : the image
    mpp : µm per pixel of the view
    source_mpp : µm per pixel of the image's finest level, where the file does not say or is wrong
    level : the level to read in place of the one chosen, 0 the finest

    Raises
    ------
    ValueError
        If a resolution is not above 0, the image has no such level, or one far from what is wanted.

    Examples
    --------
    >>> source = Source("a", ((400, 200),), 0.5, lambda level, x0, y0, x1, y1: np.full((y1 - y0, x1 - x0, 3), 7, "u1"))
    >>> view = make_view(source, mpp=0.25)
    >>> view.width, view.height, view.scale, view.read(10, 10, 12, 13)[0, 0].tolist()
    (800, 400, 0.5, [7, 7, 7])
    """
    for name, value in (("mpp", mpp), ("source_mpp", source_mpp)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be above 0 µm per pixel, got {value!r}")
    if level is not None and not 0 <= level < len(source.sizes):
        raise ValueError(f"{source.name} has levels 0 to {len(source.sizes) - 1}, not {level}")
    known = source_mpp if source_mpp is not None else source.mpp
    if known is None:
        say(f"{source.name}: the file does not say its µm per pixel; taken as {mpp:g}")
        known = mpp
    factors = [downsample(source.sizes[0], size) for size in source.sizes]
    wanted = mpp / known  # pixels of the finest level along one of the view
    if level is None:
        level = max((n for n, factor in enumerate(factors) if factor <= wanted * (1 + _SAME)), default=0)
    step = wanted / factors[level]
    if not 1 / _FARTHEST <= step <= _FARTHEST:
        raise ValueError(
            f"{source.name}: level {level} has {known * factors[level]:g} µm per pixel, the detector wants {mpp:g}; "
            f"more than {_FARTHEST:g} times finer or coarser is not resampled"
        )
    return _same(source, level, factors[level]) if abs(step - 1) <= _SAME else _resampled(source, level, step, wanted)


def _same(source: Source, level: int, factor: float) -> View:
    """A level as it is."""
    width, height = source.sizes[level]
    return View(source.name, width, height, factor, source.sizes[0], lambda *box: source.read(level, *box))


def _resampled(source: Source, level: int, step: float, scale: float) -> View:
    """A level with `step` of its pixels along one of the view."""
    size = source.sizes[level]
    width, height = (max(1, round(side / step)) for side in size)

    def read(xmin: int, ymin: int, xmax: int, ymax: int) -> Pixels:
        across, x0, x1 = _filter(xmin, xmax, step, size[0])
        down, y0, y1 = _filter(ymin, ymax, step, size[1])
        pixels = source.read(level, x0, y0, x1, y1).astype(np.float64)
        rows = (down @ pixels.reshape(y1 - y0, -1)).reshape(ymax - ymin, x1 - x0, 3)
        columns = across @ rows.transpose(1, 0, 2).reshape(x1 - x0, -1)
        found = columns.reshape(xmax - xmin, ymax - ymin, 3).transpose(1, 0, 2)
        return np.rint(found).clip(0, 255).astype(np.uint8)

    return View(source.name, width, height, scale, source.sizes[0], read)


def _filter(first: int, last: int, step: float, length: int) -> tuple[Any, int, int]:
    """Weights of pixels ``[start, stop)`` in pixels ``[first, last)`` of the view: sparse (last - first, stop - start).

    Weights are computed from places in the whole image, and added up in its order, so a part changes no pixel.
    """
    from scipy import sparse

    reach = max(step, 1.0)
    centre = (np.arange(first, last) + 0.5) * step - 0.5  # of each pixel of the view, in pixels of the level
    tap = np.floor(centre - reach).astype(np.int64)[:, None] + np.arange(1, 2 * int(np.ceil(reach)) + 2)
    weight = np.clip(1 - np.abs(tap - centre[:, None]) / reach, 0, None) * ((tap >= 0) & (tap < length))
    outside = weight.sum(axis=1) == 0  # the last pixel of a view may lie beyond the last of the level by rounding
    tap[outside], weight[outside, 0] = length - 1, 1.0
    weight /= weight.sum(axis=1, keepdims=True)
    used = weight > 0
    start, stop = int(tap[used].min()), int(tap[used].max()) + 1
    rows = np.nonzero(used)[0]
    shape = last - first, stop - start
    return sparse.csr_array((weight[used], (rows, tap[used] - start)), shape=shape), start, stop
