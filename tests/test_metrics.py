"""Matching of boxes, detection scores, confusion and its summaries."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.boxes import aligned_iou
from crowdtruth.metrics import (
    accuracy,
    confusion_matrix,
    detection_scores,
    match_boxes,
    matthews_correlation,
    one_vs_rest,
)
from tests.reference import metrics as reference

CLASSES = ["a", "b", "c", "d"]

small = st.integers(0, 6)
box = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), small, small, st.integers(1, 4), st.integers(1, 4))
box_lists = st.lists(box, max_size=6)
pairs_of_labels = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=40)
counts = st.integers(0, 20)


def as_array(boxes):
    return np.array(boxes, float).reshape(-1, 4)


def scattered_boxes(n_boxes, side, rng):
    centre = rng.uniform(0, side, (n_boxes, 2))
    size = rng.uniform(15, 40, (n_boxes, 2))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


@given(box_lists, box_lists, st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 1.0]), st.booleans())
def test_match_boxes__finds_the_most_matches_and_then_the_largest_total_iou(boxes, others, threshold, pixel):
    match = match_boxes(as_array(boxes), as_array(others), iou_threshold=threshold, inclusive=pixel)
    n_best, iou_best = reference.best_matching(boxes, others, threshold, pixel)
    assert len(match.row) == n_best
    assert match.iou.sum() == pytest.approx(iou_best, abs=1e-9)


@given(box_lists, box_lists)
def test_match_boxes__is_one_to_one_and_reaches_the_threshold(boxes, others):
    match = match_boxes(as_array(boxes), as_array(others), iou_threshold=0.25)
    assert len(set(match.row)) == len(set(match.reference_row)) == len(match.row)
    assert (np.diff(match.row) > 0).all()
    np.testing.assert_allclose(
        match.iou, aligned_iou(as_array(boxes)[match.row], as_array(others)[match.reference_row])
    )
    assert (match.iou >= 0.25).all()


@given(box_lists, box_lists, st.randoms(use_true_random=False))
def test_match_boxes__does_not_depend_on_the_order_of_rows(boxes, others, random):
    shuffled, others_shuffled = random.sample(boxes, len(boxes)), random.sample(others, len(others))

    def matched(some, more):
        match = match_boxes(as_array(some), as_array(more), iou_threshold=0.25)
        return sorted((some[i], more[j]) for i, j in zip(match.row, match.reference_row, strict=True))

    assert matched(boxes, others) == matched(shuffled, others_shuffled)


@given(st.lists(st.tuples(box_lists, box_lists), min_size=1, max_size=4))
def test_match_boxes__treats_each_frame_on_its_own(frames):
    boxes, others = [as_array([b for frame in frames for b in frame[side]]) for side in (0, 1)]
    frame, other_frame = [np.repeat(np.arange(len(frames)) * 7 - 3, [len(f[side]) for f in frames]) for side in (0, 1)]
    match = match_boxes(boxes, others, iou_threshold=0.25, frame=frame, reference_frame=other_frame)
    alone = [match_boxes(as_array(a), as_array(b), iou_threshold=0.25).iou for a, b in frames]
    assert (frame[match.row] == other_frame[match.reference_row]).all()
    np.testing.assert_array_equal(match.iou, np.concatenate(alone))


def test_match_boxes__gives_up_overlap_for_a_second_match():
    # the best single pair is (0, 0) with IOU .82, but taking it leaves the two others without a partner
    boxes, others = as_array([(0, 0, 10, 10), (2, 0, 12, 10)]), as_array([(1, 0, 11, 10), (-3, 0, 7, 10)])
    match = match_boxes(boxes, others)
    assert match.row.tolist() == [0, 1]
    assert match.reference_row.tolist() == [1, 0]


def test_match_boxes__keeps_ties_at_the_threshold_in_any_frame():
    # IOU exactly 1/2 in coordinates that lose digits when frames are laid side by side
    one, other = np.array([[0.1, 0.1, 2.1, 2.1]]), np.array([[0.1, 0.1, 2.1, 1.1]])
    threshold = float(aligned_iou(one, other)[0])
    frames = np.arange(500)
    match = match_boxes(
        np.repeat(one, 500, axis=0), np.repeat(other, 500, axis=0), iou_threshold=threshold, frame=frames,
        reference_frame=frames,
    )  # fmt: skip
    assert len(match.row) == 500


def test_match_boxes__pairs_identical_boxes_one_to_one():
    pile = np.tile([3.0, 3.0, 9.0, 9.0], (120, 1))
    match = match_boxes(pile, pile[:70])
    assert len(match.row) == 70
    assert (match.iou == 1).all()


def test_match_boxes__follows_a_long_chain():
    # every box overlaps its two neighbours: one component of 1,200 pairs
    start = np.arange(600) * 2.0
    chain = np.stack([start, 0 * start, start + 4, 0 * start + 4], axis=1)
    match = match_boxes(chain, chain + np.array([1, 0, 1, 0]), iou_threshold=0.5)
    assert len(match.row) == 600
    assert match.iou.sum() == pytest.approx(600 * 0.6)


def test_match_boxes__takes_a_slide_of_a_hundred_thousand_boxes():
    rng = np.random.default_rng(0)
    boxes = scattered_boxes(100_000, 12_000, rng)
    moved = boxes[rng.permutation(len(boxes))] + rng.normal(0, 2, (len(boxes), 1))
    match_boxes(boxes[:100], moved[:100])
    start = time.perf_counter()
    match = match_boxes(boxes, moved)
    assert time.perf_counter() - start < 10  # measured: about 1 s on one slow core
    assert 0.95 < len(match.row) / len(boxes) <= 1


@pytest.mark.parametrize(("boxes", "others"), [([], []), ([], [(0, 0, 1, 1)]), ([(0, 0, 1, 1)], [])])
def test_match_boxes__matches_nothing_with_nothing(boxes, others):
    match = match_boxes(as_array(boxes), as_array(others))
    assert [len(column) for column in match] == [0, 0, 0]


def test_match_boxes__agrees_with_scipy_on_crowded_boxes():
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(1)
    boxes, others = scattered_boxes(150, 200, rng), scattered_boxes(130, 200, rng)
    left, right = np.repeat(np.arange(150), 130), np.tile(np.arange(130), 150)
    iou = aligned_iou(boxes[left], others[right]).reshape(150, 130)
    worth = np.where(iou >= 0.2, 1000 + iou, 0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    taken = worth[rows, columns] > 0
    match = match_boxes(boxes, others, iou_threshold=0.2)
    assert len(match.row) == taken.sum()
    assert match.iou.sum() == pytest.approx(iou[rows, columns][taken].sum())


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1, np.nan])
def test_match_boxes__refuses_a_threshold_outside_0_1(threshold):
    with pytest.raises(ValueError, match=r"IOU threshold must lie in \(0, 1\]"):
        match_boxes([[0, 0, 1, 1]], [[0, 0, 1, 1]], iou_threshold=threshold)


def test_match_boxes__refuses_frames_of_one_side_only():
    with pytest.raises(ValueError, match="frame and reference_frame together"):
        match_boxes([[0, 0, 1, 1]], [[0, 0, 1, 1]], frame=[0])


def test_match_boxes__refuses_frames_that_do_not_fit():
    with pytest.raises(ValueError, match=r"reference_frame must hold one integer per box, \(1,\)"):
        match_boxes([[0, 0, 1, 1]], [[0, 0, 1, 1]], frame=[0], reference_frame=[0, 1])


@given(counts, counts, counts)
def test_detection_scores__equals_the_plain_version(true, false, missed):
    expected = [np.nan if v is None else v for v in reference.detection_scores(true, false, missed)]
    np.testing.assert_allclose(detection_scores(true, false, missed), expected)


def test_detection_scores__broadcasts():
    assert detection_scores([[1, 2], [3, 4]], 1, [0, 1]).f1.shape == (2, 2)


def test_detection_scores__refuses_negative_counts():
    with pytest.raises(ValueError, match="must not be negative"):
        detection_scores(1, -1, 0)


@given(pairs_of_labels)
def test_confusion_matrix__counts_every_pair(pairs):
    true, assigned = zip(*pairs, strict=True)
    expected = reference.confusion(true, assigned, CLASSES)
    np.testing.assert_array_equal(confusion_matrix(true, assigned, CLASSES), expected)


def test_confusion_matrix__names_a_label_that_is_no_class():
    with pytest.raises(ValueError, match="label 'x' of item 1 is not one of the classes"):
        confusion_matrix(["a", "x"], ["a", "a"], CLASSES)


def test_confusion_matrix__refuses_a_class_listed_twice():
    with pytest.raises(ValueError, match="has 'a' twice"):
        confusion_matrix(["a"], ["a"], ["a", "b", "a"])


def test_confusion_matrix__refuses_different_lengths():
    with pytest.raises(ValueError, match="got 1 for 2"):
        confusion_matrix(["a", "b"], ["a"], CLASSES)


@given(pairs_of_labels)
def test_accuracy__is_the_share_of_equal_labels(pairs):
    true, assigned = zip(*pairs, strict=True)
    share = np.mean([t == a for t, a in pairs])
    assert accuracy(confusion_matrix(true, assigned, CLASSES)) == pytest.approx(share)


@given(pairs_of_labels)
def test_matthews_correlation__equals_the_plain_version(pairs):
    true, assigned = zip(*pairs, strict=True)
    expected = reference.matthews_correlation(true, assigned, CLASSES)
    found = matthews_correlation(confusion_matrix(true, assigned, CLASSES))
    np.testing.assert_allclose(found, np.nan if expected is None else expected, atol=1e-9)


def test_matthews_correlation__is_1_for_copies_and_negative_for_swaps():
    assert matthews_correlation(np.diag([3, 4, 5])) == pytest.approx(1)
    assert matthews_correlation([[0, 5], [5, 0]]) == pytest.approx(-1)


def test_matthews_correlation__is_undefined_for_one_class():
    assert np.isnan(matthews_correlation([[5, 0], [0, 0]]))
    assert np.isnan(matthews_correlation(np.zeros((2, 2))))


def test_matthews_correlation__takes_a_stack():
    stack = np.array([[[3, 1], [0, 4]], [[1, 2], [2, 1]]])
    np.testing.assert_array_equal(matthews_correlation(stack), [matthews_correlation(one) for one in stack])


@given(pairs_of_labels)
def test_one_vs_rest__folds_the_other_classes_together(pairs):
    true, assigned = zip(*pairs, strict=True)
    folded = one_vs_rest(confusion_matrix(true, assigned, CLASSES))
    for one, table in zip(CLASSES, folded, strict=True):
        is_true, is_assigned = [t == one for t in true], [a == one for a in assigned]
        np.testing.assert_array_equal(table, reference.confusion(is_true, is_assigned, [True, False]))


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=3, max_size=3), st.integers(1, 60))
def test_one_vs_rest__of_mean_counts_is_that_of_the_counts_divided(counts, n):
    folded = one_vs_rest(counts)
    means = one_vs_rest(np.array(counts) / n)
    np.testing.assert_array_equal(means == 0, folded == 0)  # no residue where nothing is left
    np.testing.assert_allclose(means, folded / n, rtol=1e-12)


def test_one_vs_rest__leaves_no_class_below_zero_by_rounding():
    means = np.array([[0.7, 0.1], [0.1, 0.0]])
    assert means.sum() - 0.7 - 0.1 - 0.1 < 0  # what a difference would leave
    np.testing.assert_array_equal(one_vs_rest(means)[0], means)
    np.testing.assert_allclose(matthews_correlation(one_vs_rest(means)), -1 / 8)


def test_matthews_correlation__equals_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    true = rng.choice(CLASSES, 500, p=[0.5, 0.3, 0.15, 0.05])
    assigned = np.where(rng.random(500) < 0.7, true, rng.choice(CLASSES, 500))
    confusion = confusion_matrix(true, assigned, CLASSES)
    np.testing.assert_array_equal(confusion, sklearn.confusion_matrix(true, assigned, labels=CLASSES))
    assert matthews_correlation(confusion) == pytest.approx(sklearn.matthews_corrcoef(true, assigned))
    folded = matthews_correlation(one_vs_rest(confusion))
    expected = [sklearn.matthews_corrcoef(true == one, assigned == one) for one in CLASSES]
    np.testing.assert_allclose(folded, expected)


@pytest.mark.parametrize("wrong", [[1, 2], [[1, 2, 3], [4, 5, 6]], [[-1, 0], [0, 1]], [[np.nan, 0], [0, 1]]])
def test_accuracy__refuses_what_is_no_confusion(wrong):
    with pytest.raises(ValueError, match="a confusion"):
        accuracy(wrong)
