"""Numbers that compare what was found with what is there: matching of boxes, detection scores, classification scores.

Arrays in, numbers out. A score whose denominator is zero (the precision of nothing found) is undefined: it is NaN here
and an empty cell in every file, never 0 or 1 by convention.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crowdtruth.boxes import aligned_iou, as_boxes, check_min_iou, overlapping_pairs

_PAIRS_PER_BLOCK = 512  # components are solved together up to this many pairs: the solver's time grows with its square


class Matches(NamedTuple):
    """Matched boxes, in the order of the boxes."""

    row: NDArray[np.intp]  # (n_matches,) of the boxes
    reference_row: NDArray[np.intp]  # (n_matches,) of the reference boxes
    iou: NDArray[np.float64]  # (n_matches,)


class DetectionScores(NamedTuple):
    """Precision, recall and their harmonic mean; NaN where undefined."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def match_boxes(
    boxes: ArrayLike,
    reference_boxes: ArrayLike,
    *,
    iou_threshold: float = 0.5,
    inclusive: bool = False,
    frame: ArrayLike | None = None,
    reference_frame: ArrayLike | None = None,
) -> Matches:
    """One-to-one matches of boxes and reference boxes: as many as possible, then of the largest total IOU.

    The optimum is exact. It is found within each connected component of the graph of overlapping pairs, so memory
    grows with the overlaps, not with the product of the two numbers of boxes. Among equally good matchings, one is
    chosen by the coordinates of the boxes; the order of the rows only decides between identical boxes.

    Parameters
    ----------
    boxes : (n_boxes, 4)
        Corners ``xmin, ymin, xmax, ymax`` in pixels.
    reference_boxes : (n_reference, 4)
    iou_threshold : smallest IOU of a match, in (0, 1]
    inclusive : whether corners are pixels that belong to the box (the convention of the NuCLS program)
    frame : (n_boxes,) integers
        The image each box lies in: only boxes of one frame can match. Default: all in one.
    reference_frame : (n_reference,) integers
        The same of the reference boxes; given if and only if `frame` is.

    Returns
    -------
    Matches
        ``row, reference_row, iou``, each (n_matches,), in the order of `row`.

    Raises
    ------
    ValueError
        If a box is empty, the threshold is not in (0, 1], or the frames do not fit the boxes.

    Examples
    --------
    >>> match = match_boxes([[0, 0, 10, 10], [50, 50, 60, 60]], [[51, 50, 61, 60], [80, 80, 90, 90]])
    >>> match.row, match.reference_row, match.iou.round(3)
    (array([1]), array([0]), array([0.818]))
    """
    check_min_iou(iou_threshold)
    boxes, reference_boxes = as_boxes(boxes), as_boxes(reference_boxes)
    if (frame is None) != (reference_frame is None):
        raise ValueError("give frame and reference_frame together, or neither")
    frames = _as_frame(frame, len(boxes), "frame"), _as_frame(reference_frame, len(reference_boxes), "reference_frame")
    order, reference_order = _by_coordinates(boxes, frames[0]), _by_coordinates(reference_boxes, frames[1])
    row, column, iou = _pairs_within_frames(
        boxes[order],
        reference_boxes[reference_order],
        (frames[0][order], frames[1][reference_order]),
        iou_threshold,
        inclusive,
    )
    chosen = _best_matching(row, column, iou)
    index, reference_index = order[row[chosen]], reference_order[column[chosen]]
    by_index = np.argsort(index, kind="stable")
    return Matches(index[by_index], reference_index[by_index], iou[chosen][by_index])


def _as_frame(frame: ArrayLike | None, n_boxes: int, name: str) -> NDArray[np.int64]:
    """Frame codes of the boxes, (n_boxes,); zeros where no frames are given."""
    codes = np.zeros(n_boxes, np.int64) if frame is None else np.asarray(frame)
    if codes.shape != (n_boxes,) or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"{name} must hold one integer per box, ({n_boxes},); got {codes.dtype} {codes.shape}")
    return codes.astype(np.int64)


def _by_coordinates(boxes: NDArray[np.float64], frame: NDArray[np.int64]) -> NDArray[np.intp]:
    """Order of the boxes by frame, then corners: (n,)."""
    return np.lexsort((*boxes.T[::-1], frame))


def _pairs_within_frames(
    boxes: NDArray[np.float64],
    other: NDArray[np.float64],
    frames: tuple[NDArray[np.int64], NDArray[np.int64]],
    min_iou: float,
    inclusive: bool,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Rows of `boxes`, rows of `other` and IOU of the pairs that share a frame and reach `min_iou`, (n_pairs,) each.

    The frames are laid side by side, which costs the last digits of the coordinates: the search is a little too
    generous for that reason, and the IOU that counts is computed from the coordinates as given.
    """
    shift, other_shift = _side_by_side(boxes, other, frames)
    first, second, _ = overlapping_pairs(
        boxes + shift, other + other_shift, min_iou=min_iou * (1 - 1e-6), inclusive=inclusive
    )
    iou = aligned_iou(boxes[first], other[second], inclusive=inclusive)
    reached = iou >= min_iou
    return first[reached], second[reached], iou[reached]


def _side_by_side(
    boxes: NDArray[np.float64], other: NDArray[np.float64], frames: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What to add to the corners so that boxes of different frames cannot overlap: (n, 4) and (m, 4)."""
    both = np.concatenate([boxes, other])
    place = np.unique(np.concatenate(frames), return_inverse=True)[1]
    width = np.ceil(np.ptp(both[:, [0, 2]])) + 2 if len(both) else 0.0
    shift = np.outer(place * width, [1.0, 0.0, 1.0, 0.0])
    return shift[: len(boxes)], shift[len(boxes) :]


def _best_matching(row: NDArray[np.intp], column: NDArray[np.intp], iou: NDArray[np.float64]) -> NDArray[np.intp]:
    """Pairs of an optimal one-to-one matching, ascending: edges (n_pairs,) each -> (n_matches,)."""
    row = np.unique(row, return_inverse=True)[1]
    column = np.unique(column, return_inverse=True)[1]
    is_alone = (np.bincount(row)[row] == 1) & (np.bincount(column)[column] == 1) if len(row) else np.zeros(0, bool)
    contested = np.flatnonzero(~is_alone)
    chosen = [np.flatnonzero(is_alone)]
    for block in _blocks_of_components(row[contested], column[contested]):
        pairs = contested[block]
        chosen.append(pairs[_solve_block(row[pairs], column[pairs], iou[pairs])])
    return np.sort(np.concatenate(chosen))


def _blocks_of_components(row: NDArray[np.intp], column: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Edges in blocks: whole connected components, several small ones together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(row):
        return
    n_rows = int(row.max()) + 1
    n_nodes = n_rows + int(column.max()) + 1
    graph = coo_array((np.ones(len(row), np.int8), (row, n_rows + column)), shape=(n_nodes, n_nodes))
    component = connected_components(graph, directed=False)[1][row]
    order = np.argsort(component, kind="stable")
    ends = (np.flatnonzero(np.diff(component[order], append=-1)) + 1).tolist()
    start = 0
    for end, following in zip(ends, [*ends[1:], np.inf], strict=True):
        if following - start > _PAIRS_PER_BLOCK:
            yield np.sort(order[start:end])
            start = end


def _solve_block(row: NDArray[np.intp], column: NDArray[np.intp], iou: NDArray[np.float64]) -> NDArray[np.intp]:
    """Chosen edges of a few components: the most matches, then the largest sum of IOU.

    Every row may also take a place of its own that is worth next to nothing, so a full assignment always exists; a
    match is worth more than all IOU together, so no match is given up for a larger overlap.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    row, column = np.unique(row, return_inverse=True)[1], np.unique(column, return_inverse=True)[1]
    n_rows, n_columns = int(row.max()) + 1, int(column.max()) + 1
    places = np.arange(n_rows)
    worth = np.concatenate([n_rows + 2 + iou, np.ones(n_rows)])
    rows, columns = np.concatenate([row, places]), np.concatenate([column, n_columns + places])
    graph = csr_array((worth, (rows, columns)), shape=(n_rows, n_columns + n_rows))
    taken_row, taken_column = min_weight_full_bipartite_matching(graph, maximize=True)
    is_match = taken_column < n_columns
    key, taken = row * n_columns + column, taken_row[is_match] * n_columns + taken_column[is_match]
    return np.flatnonzero(np.isin(key, taken, assume_unique=True))


def detection_scores(
    n_true_positive: ArrayLike, n_false_positive: ArrayLike, n_false_negative: ArrayLike
) -> DetectionScores:
    """Precision, recall and F1 of counts, elementwise.

    Precision is undefined (NaN) where nothing was found, recall where nothing is there, F1 where neither; F1 is 0
    where something was found or is there, but nothing was matched.

    Parameters
    ----------
    n_true_positive, n_false_positive, n_false_negative : numbers or arrays that broadcast, not negative

    Raises
    ------
    ValueError
        If a count is negative.

    Examples
    --------
    >>> [float(score) for score in detection_scores(8, 2, 8)]
    [0.8, 0.5, 0.6153846153846154]
    >>> detection_scores([0, 0], [0, 1], [3, 0]).precision
    array([nan,  0.])
    """
    true, false, missed = (np.asarray(n, float) for n in (n_true_positive, n_false_positive, n_false_negative))
    if min(count.min(initial=0) for count in (true, false, missed)) < 0:
        raise ValueError("counts of true positives, false positives and false negatives must not be negative")
    return DetectionScores(
        ratio(true, true + false), ratio(true, true + missed), ratio(2 * true, 2 * true + false + missed)
    )


def confusion_matrix(true: ArrayLike, assigned: ArrayLike, classes: Sequence[str]) -> NDArray[np.int64]:
    """Counts of (true label, assigned label), both axes in the order of `classes`.

    Parameters
    ----------
    true, assigned : (n_items,) labels
    classes : every label that may occur, each once

    Returns
    -------
    (n_classes, n_classes)
        Rows are true labels, columns assigned ones.

    Raises
    ------
    ValueError
        If the two have different lengths, a class stands twice in `classes`, or a label is not among them.

    Examples
    --------
    >>> confusion_matrix(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])
    array([[1, 1],
           [0, 1]])
    """
    true_code, assigned_code = _codes(true, classes), _codes(assigned, classes)
    if len(true_code) != len(assigned_code):
        raise ValueError(f"one assigned label per true label: got {len(assigned_code)} for {len(true_code)}")
    n_classes = len(classes)
    counts = np.bincount(true_code * n_classes + assigned_code, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def accuracy(confusion: ArrayLike) -> NDArray[np.float64]:
    """Share of the counts on the diagonal; NaN where there are none.

    Parameters
    ----------
    confusion : (..., n_classes, n_classes) counts, rows true, columns assigned

    Returns
    -------
    (...)

    Examples
    --------
    >>> float(accuracy([[3, 1], [0, 4]]))
    0.875
    """
    counts = _as_confusion(confusion)
    return ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def matthews_correlation(confusion: ArrayLike) -> NDArray[np.float64]:
    """Correlation of true and assigned classes (R_K): 1 for copies, 0 for chance.

    For two classes this is Matthews' coefficient. It is undefined (NaN) where all true labels, or all assigned labels,
    are of one class; scikit-learn writes 0 there.

    Parameters
    ----------
    confusion : (..., n_classes, n_classes) counts, rows true, columns assigned

    Returns
    -------
    (...)

    References
    ----------
    J. Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient.
    Computational Biology and Chemistry 28, 367–374 (2004).

    Examples
    --------
    >>> float(matthews_correlation([[2, 0, 0], [0, 2, 0], [0, 1, 1]]).round(4))
    0.7833
    """
    counts = _as_confusion(confusion)
    return matthews_from_margins(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2))


def matthews_from_margins(right: ArrayLike, true: ArrayLike, assigned: ArrayLike) -> NDArray[np.float64]:
    """The same correlation from what it depends on: the diagonal of the confusion and its margins.

    Parameters
    ----------
    right, true, assigned : (..., n_classes)
        Items of each class that were named rightly, all of the class, all given its name.

    Returns
    -------
    (...)

    Examples
    --------
    >>> float(matthews_from_margins([2, 2, 1], [2, 2, 2], [2, 3, 1]).round(4))
    0.7833
    """
    right, true, assigned = (np.asarray(counts, float) for counts in (right, true, assigned))
    total = true.sum(axis=-1)
    covariance = right.sum(axis=-1) * total - (true * assigned).sum(axis=-1)
    variances = (total**2 - (true**2).sum(axis=-1)) * (total**2 - (assigned**2).sum(axis=-1))
    return ratio(covariance, np.sqrt(variances))


def one_vs_rest(confusion: ArrayLike) -> NDArray[np.float64]:
    """The two-class confusion of each class against all others.

    Parameters
    ----------
    confusion : (..., n_classes, n_classes) counts or mean counts, rows true, columns assigned

    Returns
    -------
    (..., n_classes, 2, 2)
        Of each class: rows true (the class, the rest), columns assigned (the class, the rest).

    Examples
    --------
    >>> one_vs_rest([[2, 0, 0], [0, 2, 0], [0, 1, 1]])[1]
    array([[2., 0.],
           [1., 3.]])
    """
    counts = _as_confusion(confusion)
    other = 1.0 - np.eye(counts.shape[-1])  # sums only: a difference of mean counts can come out just below zero
    hit = np.diagonal(counts, axis1=-2, axis2=-1)
    missed, wrong = (counts * other).sum(axis=-1), (counts * other).sum(axis=-2)
    rest = (counts @ other * other).sum(axis=-2)
    return np.stack([np.stack([hit, missed], axis=-1), np.stack([wrong, rest], axis=-1)], axis=-2)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """Quotient, NaN where the denominator is zero.

    Examples
    --------
    >>> ratio([1, 0], [4, 0])
    array([0.25,  nan])
    """
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def _codes(labels: ArrayLike, classes: Sequence[str]) -> NDArray[np.intp]:
    """Position of each label in `classes`: (n,) -> (n,)."""
    index = pd.Index(classes)
    if not index.is_unique:
        raise ValueError(f"every class once, please: {list(classes)} has {index[index.duplicated()][0]!r} twice")
    values = np.asarray(labels)
    codes = index.get_indexer(pd.Index(values))
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise ValueError(f"label {str(values[row])!r} of item {row} is not one of the classes {list(classes)}")
    return codes


def _as_confusion(confusion: ArrayLike) -> NDArray[np.float64]:
    """Checked counts, float64 (..., n_classes, n_classes)."""
    counts = np.asarray(confusion, float)
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2]:
        raise ValueError(f"a confusion is square, (..., n_classes, n_classes); got {counts.shape}")
    if not (counts >= 0).all():
        raise ValueError("a confusion holds counts, none of them negative or NaN")
    return counts
