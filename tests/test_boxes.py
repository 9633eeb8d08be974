"""Boxes as arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.boxes import aligned_iou, area, as_boxes, medoid, overlapping_pairs, pairwise_iou
from tests import strategies
from tests.reference import boxes as reference


def test_as_boxes__accepts_no_boxes() -> None:
    assert as_boxes([]).shape == (0, 4)
    assert as_boxes(np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([1, 2, 3, 4], r"shape \(n_boxes, 4\), got \(4,\)"),
        ("abc", "boxes must be rows of four numbers, xmin, ymin, xmax, ymax; got 'abc'"),
        ([[0, 0, 1, 1], [0, 0, 1]], r"rows of four numbers, .*; got \[\[0, 0, 1, 1\], \[0, 0, 1\]\]"),
        ([[0, 0, 1, "wide"]], r"rows of four numbers, .*; got \[\[0, 0, 1, 'wide'\]\]"),
        ([[1, 2, 3]], r"shape \(n_boxes, 4\), got \(1, 3\)"),
        ([[0, 0, 1, 1], [0, 0, np.nan, 1]], r"finite number; box 1 is .*\(1 of 2 boxes"),
        ([[0, 0, np.inf, 1]], "finite number; box 0"),
        (
            [[0, 0, 1, 1], [2, 2, 2, 3], [3, 1, 2, 3]],
            r"xmin < xmax and ymin < ymax; box 1 is .*\(2 of 3 boxes are empty",
        ),
        ([[0, 0, 1e200, 1]], "coordinates must lie within"),
    ],
)
def test_as_boxes__says_what_is_wrong_and_where(boxes: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_boxes(boxes)


@pytest.mark.kernel
@given(strategies.box_lists(max_size=6))
def test_pairwise_iou__matches_pixel_counting(boxes: np.ndarray) -> None:
    expected = [[reference.pixel_iou(a, b) for b in boxes.astype(int)] for a in boxes.astype(int)]
    np.testing.assert_array_equal(pairwise_iou(boxes), np.reshape(expected, (len(boxes), len(boxes))))


@pytest.mark.kernel
@given(strategies.varied_boxes(max_size=6), st.booleans())
def test_pairwise_iou__matches_the_plain_version(boxes: np.ndarray, inclusive: bool) -> None:
    expected = [[reference.iou(a, b, inclusive) for b in boxes] for a in boxes]
    actual = pairwise_iou(boxes, inclusive=inclusive)
    np.testing.assert_allclose(actual, np.reshape(expected, actual.shape), rtol=1e-9, atol=1e-12)


@pytest.mark.kernel
@given(strategies.box_lists())
def test_pairwise_iou__ignores_translation_and_scale(boxes: np.ndarray) -> None:
    np.testing.assert_array_equal(pairwise_iou(boxes * 4 + 16), pairwise_iou(boxes))


def test_inclusive__counts_the_last_pixels() -> None:
    boxes = [[0, 0, 9, 9], [5, 0, 14, 9]]
    assert area(boxes, inclusive=True).tolist() == [100, 100]
    assert pairwise_iou(boxes, inclusive=True)[0, 1] == 50 / 150
    assert pairwise_iou(boxes)[0, 1] == 36 / 126


@given(strategies.box_lists(), st.booleans())
def test_aligned_iou__is_the_diagonal_of_all_pairs(boxes: np.ndarray, inclusive: bool) -> None:
    other = boxes[::-1].copy()
    both = pairwise_iou(np.concatenate([boxes, other]), inclusive=inclusive)
    n = len(boxes)
    np.testing.assert_allclose(aligned_iou(boxes, other, inclusive=inclusive), np.diag(both[:n, n:]), rtol=1e-15)


def test_aligned_iou__needs_equal_numbers() -> None:
    with pytest.raises(ValueError, match="equal numbers of rows, got 1 and 0"):
        aligned_iou([[0, 0, 1, 1]], [])


@pytest.mark.kernel
@given(strategies.varied_boxes(), strategies.thresholds, st.booleans())
def test_overlapping_pairs__matches_the_plain_version(boxes: np.ndarray, min_iou: float, inclusive: bool) -> None:
    first, second, iou = overlapping_pairs(boxes, min_iou=min_iou, inclusive=inclusive)
    everything = pairwise_iou(boxes, inclusive=inclusive)
    expected = np.argwhere(np.triu(everything >= min_iou, 1))
    np.testing.assert_array_equal(np.column_stack([first, second]), expected)
    np.testing.assert_array_equal(iou, everything[first, second])


@pytest.mark.kernel
@given(strategies.box_lists(), strategies.box_lists(), strategies.thresholds, st.booleans())
def test_overlapping_pairs__between_two_sets_matches_the_plain_version(
    boxes: np.ndarray, other: np.ndarray, min_iou: float, inclusive: bool
) -> None:
    first, second, iou = overlapping_pairs(boxes, other, min_iou=min_iou, inclusive=inclusive)
    expected = reference.overlapping_pairs(boxes, other, min_iou, inclusive)
    assert list(zip(first.tolist(), second.tolist(), iou.tolist(), strict=True)) == expected


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9])
def test_overlapping_pairs__finds_pairs_exactly_at_the_threshold(offset: float) -> None:
    boxes = np.array([[0, 0, 3, 1], [0, 0, 3, 2], [0, 0, 3, 4], [0, 0, 12, 1], [-9, 0, 3, 1]]) + offset
    first, second, _ = overlapping_pairs(boxes, min_iou=0.25)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2)]


def test_overlapping_pairs__copes_with_a_far_outlier() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 300, (2000, 2))
    boxes = np.vstack([np.hstack([corner, corner + 20]), [[1e14, 1e14, 2e14, 2e14]]])
    first, _, _ = overlapping_pairs(boxes, min_iou=0.3)
    assert len(first) == np.triu(pairwise_iou(boxes) >= 0.3, 1).sum()


@pytest.mark.parametrize("min_iou", [0, -0.1, 1.01, float("nan"), "a", True, None])
def test_overlapping_pairs__needs_a_threshold_between_0_and_1(min_iou: object) -> None:
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\], got"):
        overlapping_pairs([[0, 0, 1, 1]], min_iou=min_iou)


@pytest.mark.kernel
@given(strategies.box_lists().filter(len), st.booleans())
def test_medoid__matches_the_plain_version(boxes: np.ndarray, inclusive: bool) -> None:
    iou = pairwise_iou(boxes, inclusive=inclusive).mean(axis=1)
    assert iou[medoid(boxes, inclusive=inclusive)] == pytest.approx(iou[reference.medoid(boxes, inclusive)], rel=1e-12)


def test_medoid__is_the_first_of_equals() -> None:
    assert medoid([[0, 0, 2, 2], [1, 0, 3, 2]]) == 0


def test_medoid__needs_a_box() -> None:
    with pytest.raises(ValueError, match="at least one box"):
        medoid([])
