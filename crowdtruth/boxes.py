"""Boxes as arrays: checks, area, intersection over union, overlapping pairs, medoid.

Boxes are half-open, ``[xmin, xmax) × [ymin, ymax)``, in pixels, x to the right and y down. With ``inclusive=True`` the
pixels in column ``xmax`` and row ``ymax`` belong to the box too, which is how the NuCLS paper measures overlap.
"""

import reprlib
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdtruth._kernels import members, overlap

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


def as_boxes(boxes: ArrayLike) -> Floats:
    """Boxes as a checked, contiguous float64 array.

    Parameters
    ----------
    boxes : (n_boxes, 4)
        Corners ``xmin, ymin, xmax, ymax`` in pixels; n_boxes may be 0.

    Returns
    -------
    (n_boxes, 4)
        The input itself where it already has this form.

    Raises
    ------
    ValueError
        If the shape is wrong, a coordinate is no finite number, or a box has no area.

    Examples
    --------
    >>> as_boxes([[0, 0, 2, 1]])
    array([[0., 0., 2., 1.]])
    """
    try:
        array = np.ascontiguousarray(boxes, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"boxes must be rows of four numbers, xmin, ymin, xmax, ymax; got {reprlib.repr(boxes)}"
        ) from error
    if array.size == 0 and array.ndim < 2:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must have the shape (n_boxes, 4), got {array.shape}")
    if not overlap.are_valid(array):
        _complain(array)
    return array


def _complain(boxes: Floats) -> None:
    """Raise the error that `boxes` (n, 4) deserve."""
    is_infinite = ~np.isfinite(boxes).all(axis=1)
    if is_infinite.any():
        row = int(is_infinite.argmax())
        raise ValueError(
            f"every coordinate must be a finite number; box {row} is {boxes[row].tolist()} "
            f"({is_infinite.sum()} of {len(boxes)} boxes have others)"
        )
    has_no_area = ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if has_no_area.any():
        row = int(has_no_area.argmax())
        raise ValueError(
            f"every box needs xmin < xmax and ymin < ymax; box {row} is {boxes[row].tolist()} "
            f"({has_no_area.sum()} of {len(boxes)} boxes are empty)"
        )
    raise ValueError("coordinates must lie within ±1e100 and sides must be longer than 1e-100")


def area(boxes: ArrayLike, *, inclusive: bool = False) -> Floats:
    """Area of each box, in square pixels.

    Parameters
    ----------
    boxes : (n_boxes, 4)
        Corners ``xmin, ymin, xmax, ymax`` in pixels.
    inclusive : whether the last row and column of pixels belong to the box

    Returns
    -------
    (n_boxes,)

    Raises
    ------
    ValueError
        If `boxes` are no boxes, see `as_boxes`.

    Examples
    --------
    >>> area([[0, 0, 2, 3]]), area([[0, 0, 2, 3]], inclusive=True)
    (array([6.]), array([12.]))
    """
    checked = with_last_pixels(as_boxes(boxes), inclusive)
    return (checked[:, 2] - checked[:, 0]) * (checked[:, 3] - checked[:, 1])


def with_last_pixels(boxes: Floats, inclusive: bool) -> Floats:
    """The half-open boxes (n, 4) that have the IOU asked for: one pixel longer where `inclusive`, else the same."""
    return boxes + np.array([0.0, 0.0, 1.0, 1.0]) if inclusive else boxes


def pairwise_iou(boxes: ArrayLike, *, inclusive: bool = False) -> Floats:
    """Intersection over union of every pair of boxes. For many boxes see `overlapping_pairs`.

    Parameters
    ----------
    boxes : (n_boxes, 4)
        Corners ``xmin, ymin, xmax, ymax`` in pixels.
    inclusive : whether the last row and column of pixels belong to the box

    Returns
    -------
    (n_boxes, n_boxes)
        Symmetric; ones on the diagonal, zeros where boxes do not overlap.

    Raises
    ------
    ValueError
        If `boxes` are no boxes, see `as_boxes`.

    Examples
    --------
    >>> pairwise_iou([[0, 0, 2, 2], [1, 0, 3, 2]]).round(3)
    array([[1.   , 0.333],
           [0.333, 1.   ]])
    """
    return overlap.pairwise_iou(with_last_pixels(as_boxes(boxes), inclusive))


def aligned_iou(boxes: ArrayLike, other: ArrayLike, *, inclusive: bool = False) -> Floats:
    """Intersection over union of each box with the box in the same row of `other`.

    Parameters
    ----------
    boxes, other : (n_boxes, 4)
        Corners ``xmin, ymin, xmax, ymax`` in pixels.
    inclusive : whether the last row and column of pixels belong to the box

    Returns
    -------
    (n_boxes,)

    Raises
    ------
    ValueError
        If either are no boxes, see `as_boxes`, or their numbers differ.

    Examples
    --------
    >>> aligned_iou([[0, 0, 2, 2], [0, 0, 1, 1]], [[1, 0, 3, 2], [0, 0, 1, 1]]).round(3)
    array([0.333, 1.   ])
    """
    a, b = (with_last_pixels(as_boxes(side), inclusive) for side in (boxes, other))
    if len(a) != len(b):
        raise ValueError(f"boxes in the same rows need equal numbers of rows, got {len(a)} and {len(b)}")
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    return shared / (area(a) + area(b) - shared)


def overlapping_pairs(
    boxes: ArrayLike, other: ArrayLike | None = None, *, min_iou: float, inclusive: bool = False
) -> tuple[Places, Places, Floats]:
    """Pairs of boxes whose IOU reaches `min_iou`, found by a spatial index.

    Parameters
    ----------
    boxes : (n_boxes, 4)
        Corners ``xmin, ymin, xmax, ymax`` in pixels.
    other : (n_other, 4)
        Boxes to pair `boxes` with; without it they are paired among themselves, each pair once.
    min_iou : least IOU of a pair, in (0, 1]
    inclusive : whether the last row and column of pixels belong to the box

    Returns
    -------
    first : (n_pairs,)
        Rows of `boxes`, ascending.
    second : (n_pairs,)
        Rows of `other`, ascending for each first; without `other` rows of `boxes`, above the first.
    iou : (n_pairs,)

    Raises
    ------
    ValueError
        If boxes are no boxes, or `min_iou` lies outside (0, 1].

    Examples
    --------
    >>> first, second, iou = overlapping_pairs([[0, 0, 2, 2], [9, 9, 11, 11], [1, 0, 3, 2]], min_iou=0.1)
    >>> first, second, iou.round(3)
    (array([0]), array([2]), array([0.333]))
    """
    check_min_iou(min_iou)
    checked = as_boxes(boxes)
    n_first, is_other = len(checked), np.zeros(len(checked), dtype=np.bool_)
    if other is not None:
        checked_other = as_boxes(other)
        is_other = np.repeat([False, True], [n_first, len(checked_other)])
        checked = np.concatenate([checked, checked_other])
    order = np.argsort(checked[:, 0], kind="stable")
    in_order = with_last_pixels(checked, inclusive)[order]
    strips = overlap.make_strips(in_order, float(min_iou))
    sets = is_other[order], other is not None
    n_pairs = overlap.overlapping_pairs(strips, *sets, np.empty((0, 2), np.int64), np.empty(0))
    pairs, iou = np.empty((n_pairs, 2), np.int64), np.empty(n_pairs)
    overlap.overlapping_pairs(strips, *sets, pairs, iou)
    first, second = np.sort(order[pairs], axis=1).T
    if other is not None:
        second = second - n_first
    by_pair = np.lexsort((second, first))
    return first[by_pair], second[by_pair], iou[by_pair]


def check_min_iou(min_iou: Any) -> None:
    """Raise unless `min_iou` is a number in (0, 1]."""
    if not isinstance(min_iou, Real) or isinstance(min_iou, bool) or not 0 < float(min_iou) <= 1:
        raise ValueError(f"an IOU threshold must lie in (0, 1], got {min_iou!r}")


def medoid(boxes: ArrayLike, *, inclusive: bool = False) -> int:
    """Row of the box with the highest mean IOU to the others; the first of equals.

    Parameters
    ----------
    boxes : (n_boxes, 4)
        Corners ``xmin, ymin, xmax, ymax`` in pixels; at least one box.
    inclusive : whether the last row and column of pixels belong to the box

    Raises
    ------
    ValueError
        If `boxes` are no boxes, see `as_boxes`, or there is none.

    Examples
    --------
    >>> medoid([[0, 0, 4, 4], [1, 0, 5, 4], [2, 0, 6, 4]])
    1
    """
    checked = with_last_pixels(as_boxes(boxes), inclusive)
    n = len(checked)
    if n == 0:
        raise ValueError("the medoid needs at least one box, got none")
    return int(members.mean_ious(checked, np.arange(n), np.array([0, n])).argmax())
