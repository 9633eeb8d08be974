"""RoIAlign: features of each box on a grid of fixed size, read between the cells of the map by bilinear interpolation.

The average of bilinear samples over a regular grid is a product: a bin's value is ``rows · features · columnsᵀ``, with
one weight for each row of the map and one for each column. So each box costs two small matrix products over the window
of the map it touches, and its gradient the same two, transposed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nucls_model.box_ops import check_boxes

_VALUES_AT_ONCE = {"cpu": 2**20, "accelerator": 2**26}  # in a block: 4 MB stay in a processor's cache; 256 MB
_STEP = 4  # sides of windows are multiples of this: few kinds of window, little of them unused


def roi_align(
    features: Tensor,
    boxes: Tensor,
    image: Tensor,
    size: int,
    scale: float,
    *,
    samples: int = 0,
    is_aligned: bool = False,
) -> Tensor:
    """Features of each box, averaged in ``size × size`` bins.

    Parameters
    ----------
    features : (n_images, channels, height, width)
        The result can be differentiated in these, once; not in the boxes.
    boxes : (n_boxes, 4)
        ``xmin, ymin, xmax, ymax`` in pixels of the image.
    image : (n_boxes,) int64
        Which image each box is of.
    size : bins along each side
    scale : cells of the feature map per pixel of the image, 1 / stride
    samples : points along each side of a bin; 0: as many as the bin has cells, rounded up
    is_aligned : whether the centre of the first cell lies at half a cell (boxes are shifted by it); without this it
        lies at 0, and boxes count as at least one cell wide and high

    Returns
    -------
    (n_boxes, channels, size, size)
        Of the features' type, in channels-last memory: ``permute(0, 2, 3, 1)`` is contiguous. Points more than one
        cell outside the map count as 0, those nearer take the border's value. A box of zero size is 0 where
        `is_aligned` and `samples` is 0, which leaves it no point.

    Raises
    ------
    ValueError
        If shapes do not fit, boxes are no boxes, or a box is of an image that is not there.

    References
    ----------
    He et al., Mask R-CNN (2017), section 3; border rules as in torchvision.ops.roi_align.

    Examples
    --------
    >>> features = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(features, torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([0]), size=2, scale=1.0)
    tensor([[[[2.5000, 3.5000],
              [6.5000, 7.5000]]]])
    """
    _check_tensors(features, boxes, image)
    if size < 1 or samples < 0 or not scale > 0:
        raise ValueError(f"size >= 1, samples >= 0 and scale > 0 are needed, got {size}, {samples} and {scale}")
    low, length = _extent(boxes.detach(), scale, is_aligned)
    rows = _Axis(low[:, 1], length[:, 1], features.shape[2], size, samples).windows()
    columns = _Axis(low[:, 0], length[:, 0], features.shape[3], size, samples).windows()
    return _Pool.apply(features, _Reading(image, rows, columns, _alike(rows, columns)))


def _check_tensors(features: Tensor, boxes: Tensor, image: Tensor) -> None:
    """Raise for tensors that `roi_align` cannot take."""
    if features.ndim != 4 or 0 in features.shape[2:]:
        raise ValueError(
            f"features must have the shape (n_images, channels, height, width), got {tuple(features.shape)}"
        )
    check_boxes(boxes)
    if image.shape != boxes.shape[:1]:
        raise ValueError(f"the image of each of {len(boxes)} boxes is needed, got the shape {tuple(image.shape)}")
    is_there = (image >= 0) & (image < len(features))
    if not is_there.all():
        row = int((~is_there).nonzero()[0])
        raise ValueError(f"box {row} is of image {int(image[row])}, but features are of {len(features)} images")


def _extent(boxes: Tensor, scale: float, is_aligned: bool) -> tuple[Tensor, Tensor]:
    """First corner and lengths (n_boxes, 2) of each box in cells of the map, the centre of the first cell at 0."""
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32)) * scale
    if is_aligned:
        boxes = boxes - 0.5
    length = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2], length if is_aligned else length.clamp(min=1)


@dataclass(frozen=True)
class _Axis:
    """Where boxes are read along one axis of the map."""

    low: Tensor  # (n_boxes,): where they begin, in cells
    length: Tensor  # (n_boxes,): in cells
    n_cells: int
    size: int  # bins of a box
    samples: int  # points of a bin; 0: by its length

    def n_points(self) -> Tensor:
        """Points of each box's bins, (n_boxes,)."""
        return torch.full_like(self.length, self.samples) if self.samples else (self.length / self.size).ceil()

    def places(self, bins: Tensor | int, points: Tensor | int) -> Tensor:
        """Cells, with fractions, where these points of these bins lie; both broadcast to (n_boxes, bins, points)."""
        bin_length = (self.length / self.size)[:, None, None]
        step = bin_length / self.n_points().clamp(min=1)[:, None, None]
        return self.low[:, None, None] + bins * bin_length + (points + 0.5) * step

    def windows(self) -> "_Windows":
        """The cells that count for each box."""
        last_point = (self.n_points() - 1).clamp(min=0)[:, None, None]
        first = self.places(0, 0).flatten().clamp(0, self.n_cells - 1).long()
        last = self.places(self.size - 1, last_point).flatten().clamp(0, self.n_cells - 1).long() + 1
        n_cells = (last - first + _STEP).div(_STEP, rounding_mode="floor").mul(_STEP).clamp(max=self.n_cells)
        first = first.minimum(self.n_cells - n_cells)
        return _Windows(first, n_cells, self.n_cells, self._weights(first, _largest(n_cells)))

    def _weights(self, first: Tensor, n_cells: int) -> Tensor:
        """How much each cell from `first` on counts in each bin: (n_boxes, size, n_cells)."""
        n_points = self.n_points()[:, None, None]
        points = torch.arange(_largest(n_points), device=self.low.device)
        place = self.places(torch.arange(self.size, device=self.low.device)[:, None], points)
        is_read = (points < n_points) & (place >= -1) & (place <= self.n_cells)
        share = is_read / n_points.clamp(min=1)  # (n_boxes, size, points)
        place = place.clamp(0, self.n_cells - 1)
        to_next = share * place.frac()  # (n_boxes, size, points)
        cell = (place.long() - first[:, None, None]).clamp(max=n_cells - 1)  # beyond it are points that are not read
        weights = share.new_zeros(len(first), self.size, n_cells).scatter_add_(2, cell, share - to_next)
        return weights.scatter_add_(2, (cell + 1).clamp(max=n_cells - 1), to_next)


@dataclass(frozen=True)
class _Windows:
    """The cells that count for each box along one axis of the map."""

    first: Tensor  # (n_boxes,) int64
    n_cells: Tensor  # (n_boxes,) int64: in the window, which begins at `first`
    of_map: int  # cells of the whole map
    weights: Tensor  # (n_boxes, size, largest window): how much each cell counts in each bin; 0 beyond the window


@dataclass(frozen=True)
class _Reading:
    """What every box reads of the map, for the pooled values and for their gradient."""

    image: Tensor  # (n_boxes,) int64
    rows: _Windows
    columns: _Windows
    alike: list[tuple[int, int, Tensor]]  # height and width of a window, and the boxes that have such a one


def _largest(values: Tensor) -> int:
    """The largest of whole numbers; 0 of none."""
    return int(values.max()) if values.numel() else 0


def _alike(rows: _Windows, columns: _Windows) -> list[tuple[int, int, Tensor]]:
    """Boxes by the height and width of their windows, as `_Reading` has them."""
    kind = rows.n_cells * (columns.of_map + 1) + columns.n_cells
    kinds, counts = (value.tolist() for value in kind.unique(return_counts=True))
    members = kind.argsort(stable=True).split(counts)
    return [(*divmod(like, columns.of_map + 1), boxes) for like, boxes in zip(kinds, members, strict=True)]


@dataclass(frozen=True)
class _Block:
    """Boxes that are pooled together, each over a window of the map of the same height and width."""

    boxes: Tensor  # (n,) int64: their rows
    rows: Tensor  # (n, size, height): how much each row of the window counts in each bin
    columns: Tensor  # (n, size, width)
    cells: Tensor  # (n, height, width) int64: the window's cells in the map of all images, flattened


class _Pool(torch.autograd.Function):
    """Weighted sums over the map and their transpose; windows are cut again for the gradient, not kept."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, reading: _Reading) -> Tensor:
        ctx.reading, ctx.shape, ctx.dtype = reading, features.shape, features.dtype
        size, n_channels = reading.rows.weights.shape[1], features.shape[1]
        pooled = features.new_empty(len(reading.image), size, size, n_channels)
        with torch.autocast(features.device.type, enabled=False):
            cells = features.permute(0, 2, 3, 1).reshape(-1, n_channels)  # (n_images * height * width, channels)
            cells = cells.to(torch.promote_types(features.dtype, torch.float32))
            for block in _blocks(reading, cells):
                n, height, width = block.cells.shape
                x = cells[block.cells].view(n, height, -1)  # (n, height, width * channels)
                x = torch.bmm(block.rows, x).view(n, size, width, n_channels)  # (n, size, width, channels)
                pooled[block.boxes] = (block.columns[:, None] @ x).to(pooled.dtype)  # (n, size, size, channels)
        return pooled.permute(0, 3, 1, 2)  # (n_boxes, channels, size, size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        n_images, n_channels, height, width = ctx.shape
        dtype = torch.promote_types(ctx.dtype, torch.float32)
        cells = gradient.new_zeros(n_images * height * width, n_channels, dtype=dtype)
        gradient = gradient.permute(0, 2, 3, 1)  # (n_boxes, size, size, channels)
        with torch.autocast(gradient.device.type, enabled=False):
            for block in _blocks(ctx.reading, cells):
                x = block.columns.mT[:, None] @ gradient[block.boxes].to(dtype)  # (n, size, window width, channels)
                x = torch.bmm(block.rows.mT, x.flatten(2))  # (n, window height, window width * channels)
                cells.index_add_(0, block.cells.flatten(), x.view(-1, n_channels))
        cells = cells.to(ctx.dtype).view(n_images, height, width, n_channels)
        return cells.permute(0, 3, 1, 2), None  # (n_images, channels, height, width)


def _blocks(reading: _Reading, cells: Tensor) -> Iterator[_Block]:
    """All boxes in blocks of like windows, small enough for `_VALUES_AT_ONCE`; weights are of the type of `cells`."""
    rows, columns, device = reading.rows, reading.columns, cells.device
    size = rows.weights.shape[1]
    most = _VALUES_AT_ONCE["cpu" if device.type == "cpu" else "accelerator"] // cells.shape[1]
    for height, width, members in reading.alike:
        for boxes in members.split(max(1, most // (max(height, size) * max(width, size)))):
            y = reading.image[boxes, None] * rows.of_map + rows.first[boxes, None] + torch.arange(height, device=device)
            x = columns.first[boxes, None] + torch.arange(width, device=device)
            yield _Block(
                boxes=boxes,
                rows=rows.weights[boxes, :, :height].to(cells.dtype),
                columns=columns.weights[boxes, :, :width].to(cells.dtype),
                cells=y[:, :, None] * columns.of_map + x[:, None],
            )
