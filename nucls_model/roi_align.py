"""RoIAlign: features of each box on a grid of fixed size, read between the cells of the map by bilinear interpolation.

The average of bilinear samples over a regular grid is a product: a bin's value is ``rows · features · columnsᵀ``, with
one weight for each row of the map and one for each column. So each box costs two small matrix products over the window
of the map it touches, and its gradient the same two, transposed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nucls_model.box_ops import check_boxes

_VALUES_AT_ONCE = 2**23  # of one intermediate of a block of boxes: 32 MB in float32


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
        Of the features' type. Points more than one cell outside the map count as 0, those nearer take the border's
        value. A box of zero size is 0 where `is_aligned` and `samples` is 0, which leaves it no point.

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
    with torch.no_grad():
        low, length = _extent(boxes, scale, is_aligned)
        rows = _axis_weights(low[:, 1], length[:, 1], features.shape[2], size, samples)
        columns = _axis_weights(low[:, 0], length[:, 0], features.shape[3], size, samples)
    return _Pool.apply(features, image, rows, columns)


class RoiAlign(nn.Module):
    """`roi_align` with its options held: size, samples and is_aligned."""

    def __init__(self, size: int, *, samples: int = 0, is_aligned: bool = False) -> None:
        super().__init__()
        self.size, self.samples, self.is_aligned = size, samples, is_aligned

    def forward(self, features: Tensor, boxes: Tensor, image: Tensor, scale: float) -> Tensor:
        """Features (n_images, channels, height, width) of boxes (n_boxes, 4): (n_boxes, channels, size, size)."""
        options = {"samples": self.samples, "is_aligned": self.is_aligned}
        return roi_align(features, boxes, image, self.size, scale, **options)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """The options, as `print` shows the module."""
        return f"{self.size}, samples={self.samples}, is_aligned={self.is_aligned}"


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


def _axis_weights(low: Tensor, length: Tensor, n_cells: int, size: int, samples: int) -> Tensor:
    """How much each cell of one axis counts in each bin, (n_boxes, size, n_cells), for low and length (n_boxes,)."""
    n_points = torch.full_like(length, samples) if samples else (length / size).ceil()  # (n_boxes,)
    most = int(n_points.max()) if len(n_points) else 0
    bins = torch.arange(size, dtype=low.dtype, device=low.device)[:, None]  # (size, 1)
    steps = torch.arange(most, dtype=low.dtype, device=low.device)  # (most,)
    step = (length / size / n_points.clamp(min=1))[:, None, None]
    place = low[:, None, None] + bins * (length / size)[:, None, None] + (steps + 0.5) * step  # (n_boxes, size, most)
    counts = (steps < n_points[:, None])[:, None] & (place >= -1) & (place <= n_cells)
    weight = counts / n_points.clamp(min=1)[:, None, None]  # (n_boxes, size, most)
    place = place.clamp(0, n_cells - 1)
    before = place.floor()
    beyond = place - before
    cells = low.new_zeros(len(low), size, n_cells)
    cells.scatter_add_(2, before.long(), weight * (1 - beyond))
    return cells.scatter_add_(2, (before.long() + 1).clamp(max=n_cells - 1), weight * beyond)


@dataclass(frozen=True)
class _Block:
    """Boxes that are pooled together, each over a window of the map of the same height and width."""

    boxes: Tensor  # (n,) int64: their rows
    rows: Tensor  # (n, size, height): weight of each row of the window in each bin
    columns: Tensor  # (n, size, width)
    cells: Tensor  # (n, height, width) int64: the window's cells in the map of all images, flattened


class _Pool(torch.autograd.Function):
    """Weighted sums over the map and their transpose; windows are made again for the gradient, not kept."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(image, rows, columns)
        ctx.shape, ctx.dtype = features.shape, features.dtype
        n_channels, size = features.shape[1], rows.shape[1]
        pooled = features.new_empty(len(image), n_channels, size, size)
        with torch.autocast(features.device.type, enabled=False):
            cells = features.permute(0, 2, 3, 1).reshape(-1, n_channels).to(rows.dtype)
            for block in _blocks(image, rows, columns, n_channels):
                n, height, width = block.cells.shape
                window = cells[block.cells]  # (n, height, width, channels)
                x = torch.bmm(block.rows, window.view(n, height, -1))  # (n, size, width * channels)
                x = block.columns[:, None] @ x.view(n, size, width, -1)  # (n, size, size, channels)
                pooled[block.boxes] = x.permute(0, 3, 1, 2).to(features.dtype)  # (n, channels, size, size)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, rows, columns = ctx.saved_tensors
        n_images, n_channels, height, width = ctx.shape
        cells = rows.new_zeros(n_images * height * width, n_channels)
        with torch.autocast(gradient.device.type, enabled=False):
            for block in _blocks(image, rows, columns, n_channels):
                n = len(block.boxes)
                x = gradient[block.boxes].permute(0, 2, 3, 1).to(rows.dtype)  # (n, size, size, channels)
                x = block.columns.mT[:, None] @ x  # (n, size, window width, channels)
                x = torch.bmm(block.rows.mT, x.reshape(n, rows.shape[1], -1))  # (n, window height, width * channels)
                cells.index_add_(0, block.cells.flatten(), x.view(-1, n_channels))
        gradient = cells.view(n_images, height, width, n_channels).permute(0, 3, 1, 2)
        return gradient.to(ctx.dtype), None, None, None


def _blocks(image: Tensor, rows: Tensor, columns: Tensor, n_channels: int) -> Iterator[_Block]:
    """All boxes in blocks of like windows, whose intermediates stay below `_VALUES_AT_ONCE`."""
    map_height, map_width, size = rows.shape[2], columns.shape[2], rows.shape[1]
    (top, heights), (left, widths) = _touched(rows), _touched(columns)
    kinds, kind = torch.stack([heights, widths], dim=1).unique(dim=0, return_inverse=True)
    for i, (height, width) in enumerate(kinds.tolist()):
        most = max(1, _VALUES_AT_ONCE // (n_channels * max(height, size) * max(width, size)))
        for boxes in (kind == i).nonzero()[:, 0].split(most):
            y = top[boxes].clamp(max=map_height - height)[:, None] + torch.arange(height, device=image.device)
            x = left[boxes].clamp(max=map_width - width)[:, None] + torch.arange(width, device=image.device)
            yield _Block(
                boxes=boxes,
                rows=rows[boxes].gather(2, y[:, None].expand(-1, size, -1)),
                columns=columns[boxes].gather(2, x[:, None].expand(-1, size, -1)),
                cells=((image[boxes, None] * map_height + y) * map_width)[:, :, None] + x[:, None],
            )


def _touched(weights: Tensor) -> tuple[Tensor, Tensor]:
    """First cell (n_boxes,) with a weight (n_boxes, size, n_cells), and how many up to the last, up to a power of 2."""
    n_cells = weights.shape[2]
    is_touched = (weights != 0).any(dim=1).long()  # (n_boxes, n_cells)
    first = is_touched.argmax(dim=1)
    n_touched = (is_touched * torch.arange(1, n_cells + 1, device=weights.device)).amax(dim=1) - first
    return first, (2 ** n_touched.clamp(min=1).log2().ceil().long()).clamp(max=n_cells)
