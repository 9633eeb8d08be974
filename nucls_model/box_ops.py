"""Boxes as tensors: overlap, encoding, suppression, matching, sampling and prior boxes, on any device.

Boxes are ``xmin, ymin, xmax, ymax``, half-open, in pixels of the image the detector sees. A box without area is an
ordinary box that overlaps nothing. Ties are broken by row. Definitions are torchvision's unless a docstring says
otherwise; the encoding of boxes is that of Girshick et al., Rich feature hierarchies (2014), appendix C.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BACKGROUND = -1
BETWEEN = -2
LARGEST_LOG_SIZE = math.log(1000 / 16)  # a box grows 62.5-fold at most, so that an early delta does not overflow
_PAIRS_AT_ONCE = {"cpu": 2**18, "accelerator": 2**26}  # in suppression: 1 MB stays in a processor's cache; 256 MB


def check_boxes(boxes: Tensor, name: str = "boxes") -> None:
    """Raise, with the first wrong row, unless `boxes` are finite floats (n, 4) that end no sooner than they begin.

    Examples
    --------
    >>> check_boxes(torch.tensor([[0.0, 0, 2, 1], [3, 0, 2, 1]]))
    Traceback (most recent call last):
    ValueError: boxes need xmin <= xmax and ymin <= ymax; row 1 is [3.0, 0.0, 2.0, 1.0]
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
        raise ValueError(f"{name} must be floats of the shape (n, 4), got {boxes.dtype} {tuple(boxes.shape)}")
    size = boxes[:, 2:] - boxes[:, :2]
    if not ((size >= 0) & (size < torch.inf)).all():  # asked once, as a device must be waited for; then what is wrong
        _check_finite(boxes, name)
        _check_rows((size >= 0).all(dim=1), boxes, f"{name} need xmin <= xmax and ymin <= ymax")


def _check_finite(values: Tensor, name: str) -> None:
    """Raise with the first row of `values` (n, ...) that holds no finite number."""
    is_finite = values.isfinite()
    if not is_finite.all():
        _check_rows(is_finite.reshape(len(values), -1).all(dim=1), values, f"{name} must be finite")


def _check_rows(is_right: Tensor, values: Tensor, rule: str) -> None:
    """Raise `rule` with the first row of `values` (n, ...) that is not right (n,)."""
    if not is_right.all():
        row = int((~is_right).nonzero()[0])
        raise ValueError(f"{rule}; row {row} is {values[row].tolist()}")


def _check_lengths(**lengths: int) -> None:
    """Raise unless all are equal."""
    if len(set(lengths.values())) > 1:
        raise ValueError("rows must be as many in each: " + ", ".join(f"{n} {name}" for name, n in lengths.items()))


def area(boxes: Tensor) -> Tensor:
    """Area of each box (n, 4), in square pixels: (n,). Raises ValueError as `check_boxes`.

    Examples
    --------
    >>> area(torch.tensor([[0.0, 0, 2, 3], [1, 1, 1, 5]]))
    tensor([6., 0.])
    """
    check_boxes(boxes)
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)


def pairwise_iou(boxes: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of each box (n_boxes, 4) with each other (n_other, 4): (n_boxes, n_other).

    0 where neither has an area. Raises ValueError as `check_boxes`.

    Examples
    --------
    >>> pairwise_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 2, 2], [2, 0, 4, 2]]))
    tensor([[0.5000, 0.0000]])
    """
    check_boxes(boxes)
    check_boxes(other, "other boxes")
    return _pairwise_iou(boxes, other)


def _pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IOU of trusted boxes (n_a, 4) and (n_b, 4): (n_a, n_b)."""
    a, b = a.T.contiguous()[:, :, None], b.T.contiguous()  # (4, n_a, 1), (4, n_b)
    shared = _overlap(a[0], a[2], b[0], b[2]) * _overlap(a[1], a[3], b[1], b[3])  # (n_a, n_b)
    union = ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])).sub_(shared)
    return shared / union.clamp_(min=torch.finfo(union.dtype).tiny)


def _overlap(low: Tensor, high: Tensor, other_low: Tensor, other_high: Tensor) -> Tensor:
    """How long each interval (n_a, 1) overlaps each other (n_b,): (n_a, n_b)."""
    return torch.minimum(high, other_high).sub_(torch.maximum(low, other_low)).clamp_(min=0)


def encode(boxes: Tensor, references: Tensor, weights: Sequence[float]) -> Tensor:
    """Each box as seen from its reference: weighted shift of the centre in sizes, weighted log ratio of sizes.

    Parameters
    ----------
    boxes, references : (n, 4)
        With an area.
    weights : of x, y, width, height

    Returns
    -------
    (n, 4)
        ``dx, dy, dw, dh``; `decode` is the inverse.

    Raises
    ------
    ValueError
        If a box or a reference has no area, or their numbers differ.

    Examples
    --------
    >>> encode(torch.tensor([[2.0, 0, 6, 4]]), torch.tensor([[0.0, 0, 4, 4]]), (10, 10, 5, 5))
    tensor([[5., 0., 0., 0.]])
    """
    _check_lengths(boxes=len(boxes), references=len(references))
    for name, rows in (("boxes", boxes), ("references", references)):
        check_boxes(rows, name)
        _check_rows((rows[:, 2:] > rows[:, :2]).all(dim=1), rows, f"encoded {name} need an area")
    size, reference_size = boxes[:, 2:] - boxes[:, :2], references[:, 2:] - references[:, :2]
    shift = boxes[:, :2] + size / 2 - references[:, :2] - reference_size / 2
    deltas = torch.cat([shift / reference_size, (size / reference_size).log()], dim=1)  # (n, 4)
    return deltas * deltas.new_tensor(weights)


def decode(deltas: Tensor, references: Tensor, weights: Sequence[float]) -> Tensor:
    """Boxes from what `encode` makes of them, k for each reference.

    Parameters
    ----------
    deltas : (n, k * 4)
        ``dx, dy, dw, dh`` of each box; log sizes count up to `LARGEST_LOG_SIZE`.
    references : (n, 4)
    weights : of x, y, width, height

    Returns
    -------
    (n, k, 4)
        Raises ValueError where shapes do not fit or a number is not finite.

    Examples
    --------
    >>> decode(torch.tensor([[5.0, 0, 0, 0]]), torch.tensor([[0.0, 0, 4, 4]]), (10, 10, 5, 5))
    tensor([[[2., 0., 6., 4.]]])
    """
    if deltas.ndim != 2 or deltas.shape[1] % 4:
        raise ValueError(f"deltas must have the shape (n, k * 4), got {tuple(deltas.shape)}")
    _check_lengths(deltas=len(deltas), references=len(references))
    _check_finite(deltas, "deltas")
    check_boxes(references, "references")
    parts = deltas.reshape(len(deltas), deltas.shape[1] // 4, 4) / deltas.new_tensor(weights)  # (n, k, 4)
    size = (references[:, 2:] - references[:, :2])[:, None]  # (n, 1, 2)
    centre = references[:, None, :2] + size / 2 + parts[..., :2] * size  # (n, k, 2)
    half = parts[..., 2:].clamp(max=LARGEST_LOG_SIZE).exp() * size / 2  # (n, k, 2)
    return torch.cat([centre - half, centre + half], dim=-1)  # (n, k, 4)


def clip(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes (..., 4) cut to an image of this size; those outside keep no area.

    Examples
    --------
    >>> clip(torch.tensor([[-2.0, 1, 3, 9], [6, 0, 7, 1]]), height=8, width=5)
    tensor([[0., 1., 3., 8.],
            [5., 0., 5., 1.]])
    """
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)  # (..., 2)
    return torch.stack([x, y], dim=-1).flatten(-2)  # (..., 4)


def is_sized(boxes: Tensor, min_size: float) -> Tensor:
    """Whether both sides of each box (n, 4) reach `min_size`: bool (n,).

    Examples
    --------
    >>> is_sized(torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1]]), 2)
    tensor([ True, False])
    """
    return (boxes[:, 2:] - boxes[:, :2] >= min_size).all(dim=1)


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Rows that greedy non-maximum suppression keeps: none overlaps a better kept one by more than `iou`.

    Parameters
    ----------
    boxes : (n, 4)
    scores : (n,)
        The higher the better; of equal scores the first row goes first.
    iou : largest IOU of two kept boxes

    Returns
    -------
    (n_kept,) int64
        By falling score.

    Raises
    ------
    ValueError
        If boxes are no boxes, a score is not finite, their numbers differ, or `iou` lies outside [0, 1].

    Examples
    --------
    >>> nms(torch.tensor([[0.0, 0, 4, 4], [1, 0, 5, 4], [9, 9, 10, 10]]), torch.tensor([0.5, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    check_boxes(boxes)
    _check_lengths(boxes=len(boxes), scores=len(scores))
    _check_finite(scores, "scores")
    if not 0 <= iou <= 1:
        raise ValueError(f"the IOU of suppression must lie in [0, 1], got {iou}")
    pairs_at_once = _PAIRS_AT_ONCE["cpu" if boxes.device.type == "cpu" else "accelerator"]
    rest = scores.argsort(descending=True, stable=True)  # candidates, best first
    kept = [rest[:0]]
    while len(rest):
        block, rest = rest.tensor_split([max(1, pairs_at_once // len(rest))])
        block = block[_survivors(_pairwise_iou(boxes[block], boxes[block]) > iou)]
        kept.append(block)
        rest = rest[~(_pairwise_iou(boxes[block], boxes[rest]) > iou).any(dim=0)]
    return torch.cat(kept)


def _survivors(overlaps: Tensor) -> Tensor:
    """Which candidates, best first, stay when each kept one removes those after it that it overlaps: bool (n,).

    `overlaps` is bool (n, n). Each round settles one candidate more at least, so what no round changes is the greedy
    answer; boxes that remove one another form short chains, so rounds are few.
    """
    removes = overlaps.triu(diagonal=1)
    stays = ~removes.any(dim=0)
    while True:
        now = ~(removes & stays[:, None]).any(dim=0)
        if now.equal(stays):
            return stays
        stays = now


@torch.no_grad()
def grouped_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float) -> Tensor:
    """Rows that `nms` keeps where only boxes of one group (class, image) suppress each other.

    Boxes are (n, 4), scores (n,), groups (n,) int64. Rows (n_kept,) come by falling score, whatever the group; errors
    are those of `nms`.

    Examples
    --------
    >>> boxes, scores = torch.tensor([[0.0, 0, 4, 4], [1, 0, 5, 4], [1, 0, 4, 4]]), torch.tensor([0.5, 0.9, 0.7])
    >>> grouped_nms(boxes, scores, torch.tensor([0, 1, 1]), 0.5)
    tensor([1, 0])
    """
    check_boxes(boxes)
    _check_lengths(boxes=len(boxes), scores=len(scores), groups=len(groups))
    members = [(groups == group).nonzero()[:, 0] for group in groups.unique()]
    kept = [rows[nms(boxes[rows], scores[rows], iou)] for rows in members]
    rows = torch.cat([groups.new_empty(0, dtype=torch.int64), *kept]).sort().values
    return rows[scores[rows].argsort(descending=True, stable=True)]


@torch.no_grad()
def match(iou: Tensor, foreground: float, background: float, keep_best: bool) -> Tensor:
    """The truth each candidate stands for: the one it overlaps most, the first of equals, where that is enough.

    Parameters
    ----------
    iou : (n_truth, n_candidates)
    foreground : least IOU of a match
    background : IOU below which a candidate is background
    keep_best : whether the candidates that no other exceeds at some truth are matched at any IOU above 0

    Returns
    -------
    (n_candidates,) int64
        Row of the truth; `BACKGROUND` (-1); `BETWEEN` (-2) from `background` to below `foreground`.

    Raises
    ------
    ValueError
        If thresholds do not satisfy 0 <= background <= foreground <= 1, or `iou` is no matrix.

    Notes
    -----
    As in torchvision a candidate kept as the best of one truth stands for the truth it overlaps most, which may be
    another. Unlike there, a truth that nothing overlaps keeps nothing.

    Examples
    --------
    >>> match(torch.tensor([[0.8, 0.4, 0.1], [0.0, 0.0, 0.2]]), 0.7, 0.3, keep_best=True)
    tensor([ 0, -2,  1])
    """
    if iou.ndim != 2:
        raise ValueError(f"the IOU must have the shape (n_truth, n_candidates), got {tuple(iou.shape)}")
    if not 0 <= background <= foreground <= 1:
        raise ValueError(f"thresholds need 0 <= background <= foreground <= 1, got {background} and {foreground}")
    if not len(iou):
        return torch.full(iou.shape[1:], BACKGROUND, device=iou.device)
    best, truth = iou.max(dim=0)  # (n_candidates,)
    matched = torch.where(best < background, BACKGROUND, torch.where(best < foreground, BETWEEN, truth))
    if keep_best and iou.shape[1]:
        is_best = ((iou == iou.amax(dim=1, keepdim=True)) & (iou > 0)).any(dim=0)
        matched = torch.where(is_best, truth, matched)
    return matched


@torch.no_grad()
def sample(matched: Tensor, ignored: Tensor, n: int, foreground_share: float, generator: torch.Generator) -> Tensor:
    """Rows of `n` candidates drawn without replacement, foreground first; fewer where there are not as many.

    Parameters
    ----------
    matched : (n_candidates,) int64
        What `match` says of each; those `BETWEEN` are never drawn.
    ignored : (n_candidates,) bool
        Candidates that are neither foreground nor background, never drawn.
    n : candidates to draw
    foreground_share : largest share of them that is foreground; background fills up what is missing
    generator : the source of randomness, on any device

    Returns
    -------
    (n_drawn,) int64

    Raises
    ------
    ValueError
        If lengths differ, or `n` or the share is impossible.

    Examples
    --------
    >>> matched, ignored = torch.tensor([-1, 3, -2, -1]), torch.tensor([True, False, False, False])
    >>> sample(matched, ignored, 4, 0.5, torch.Generator().manual_seed(0))
    tensor([1, 3])
    """
    _check_lengths(matched=len(matched), ignored=len(ignored))
    if n < 0 or not 0 <= foreground_share <= 1:
        raise ValueError(f"n >= 0 and a share of foreground in [0, 1] are needed, got {n} and {foreground_share}")
    foreground = _draw((matched >= 0) & ~ignored, int(n * foreground_share), generator)
    background = _draw((matched == BACKGROUND) & ~ignored, n - len(foreground), generator)
    return torch.cat([foreground, background])


def _draw(may: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Up to `n` random rows of those that may be drawn, bool (n_candidates,)."""
    rows = may.nonzero()[:, 0]
    order = torch.randperm(len(rows), generator=generator, device=generator.device)
    return rows[order[:n].to(rows.device)]


def prior_boxes(  # noqa: PLR0917 - what spans the grid, y before x, then the shapes
    height: int,
    width: int,
    stride_y: float,
    stride_x: float,
    sizes: Sequence[float],
    aspects: Sequence[float],
    device: torch.device | None = None,
) -> Tensor:
    """Boxes the region proposals start from: each shape around the corner of each cell of the feature map.

    Parameters
    ----------
    height, width : cells of the feature map
    stride_y, stride_x : pixels of the image from one cell to the next
    sizes : square roots of the boxes' areas, pixels
    aspects : height / width

    Returns
    -------
    (height * width * n_aspects * n_sizes, 4) float32
        Cells by rows, then aspects, then sizes; corners of the shapes are rounded to whole pixels (half to even).

    Raises
    ------
    ValueError
        If a size or an aspect is not positive.

    Examples
    --------
    >>> prior_boxes(1, 2, 32, 32, sizes=[48], aspects=[1])
    tensor([[-24., -24.,  24.,  24.],
            [  8., -24.,  56.,  24.]])
    """
    if not all(value > 0 for value in (*sizes, *aspects)):
        raise ValueError(f"sizes and aspects must be positive, got {list(sizes)} and {list(aspects)}")
    size = torch.tensor(sizes, dtype=torch.float32, device=device)
    ratio = torch.tensor(aspects, dtype=torch.float32, device=device).sqrt()[:, None]
    high, wide = (ratio * size).flatten(), (1 / ratio * size).flatten()  # (n_aspects * n_sizes,)
    shapes = (torch.stack([-wide, -high, wide, high], dim=1) / 2).round()
    y = torch.arange(height, dtype=torch.float32, device=device) * stride_y
    x = torch.arange(width, dtype=torch.float32, device=device) * stride_x
    y, x = torch.meshgrid(y, x, indexing="ij")  # (height, width)
    cells = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (cells + shapes).reshape(-1, 4)
