"""Merge histories against plain greedy merging, and what must hold whatever the input."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from crowdtruth import merging
from crowdtruth.boxes import pairwise_iou
from crowdtruth.merging import merge_history
from tests import strategies
from tests.reference import clustering as reference

METHODS = ["cannot_link", "demotion", "unconstrained"]


@st.composite
def coded_marks(draw: st.DrawFn, max_size: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes on a few places, the group and the tie-break of each mark."""
    shapes = draw(st.lists(strategies.boxes(4, 5), min_size=1, max_size=7))
    row = st.tuples(st.sampled_from(shapes), st.integers(0, 4), st.integers(0, 1))
    rows = draw(st.lists(row, max_size=max_size))
    boxes = np.array([row[0] for row in rows], dtype=float).reshape(-1, 4)
    return boxes, np.array([row[1] for row in rows], dtype=int), np.array([row[2] for row in rows], dtype=int)


def as_reference(boxes: np.ndarray, groups: np.ndarray, ties: np.ndarray) -> list:
    return [
        (tuple(box), group, tie) for box, group, tie in zip(boxes.tolist(), groups.tolist(), ties.tolist(), strict=True)
    ]


def as_lists(cluster: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(cluster == c).tolist() for c in range(cluster.max(initial=-1) + 1)]


def contents(cluster: np.ndarray, marks: list) -> Counter:
    """The multiset of clusters, each the multiset of what its marks are."""
    return Counter(tuple(sorted(marks[i] for i in rows)) for rows in as_lists(cluster))


@pytest.mark.kernel
@pytest.mark.parametrize("method", METHODS)
@given(coded_marks(), strategies.thresholds, st.booleans())
def test_merge_history__matches_the_plain_version(method: str, marks: tuple, threshold: float, inclusive: bool) -> None:
    boxes, groups, ties = marks
    history = merge_history(boxes, groups, tiebreak=ties, min_iou=threshold, method=method, inclusive=inclusive)
    expected = getattr(reference, method)(as_reference(*marks), threshold, inclusive)
    assert sorted(as_lists(history.cut(threshold))) == sorted(expected)


@pytest.mark.kernel
@given(coded_marks(), strategies.thresholds)
def test_merge_history__tells_more_groups_apart_than_an_integer_has_bits(marks: tuple, threshold: float) -> None:
    boxes, groups, ties = marks
    few, many = (merge_history(boxes, groups * step, tiebreak=ties, min_iou=threshold) for step in (1, 62))
    np.testing.assert_array_equal(few.cut(threshold), many.cut(threshold))


@pytest.mark.kernel
@pytest.mark.parametrize("largest_dense", [0, 3])
@pytest.mark.parametrize("most_pairs", [3, 1000])
@given(coded_marks(max_size=14), strategies.thresholds)
def test_merge_history__is_the_same_on_lists_and_in_small_steps(
    largest_dense: int, most_pairs: int, marks: tuple, threshold: float
) -> None:
    boxes, groups, ties = marks
    expected = merge_history(boxes, groups, tiebreak=ties, min_iou=threshold).cut(threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "LARGEST_DENSE", largest_dense)
        patch.setattr(merging, "MOST_PAIRS", most_pairs)
        patch.setattr(merging, "SMALLEST_STEP", 1e-6)
        try:
            history = merge_history(boxes, groups, tiebreak=ties, min_iou=threshold)
        except ValueError:
            reject()  # more than three pairs of exactly the same similarity
    np.testing.assert_array_equal(history.cut(threshold), expected)


@pytest.mark.kernel
@pytest.mark.parametrize("method", METHODS)
@given(coded_marks(max_size=16), strategies.thresholds, st.randoms(use_true_random=False))
def test_merge_history__ignores_row_order_and_rater_names(method: str, marks: tuple, threshold: float, random) -> None:
    boxes, groups, ties = marks
    rows = random.sample(range(len(boxes)), len(boxes))
    names = np.array(random.sample(range(5), 5))
    cluster = merge_history(boxes, groups, tiebreak=ties, min_iou=threshold, method=method).cut(threshold)
    shuffled = merge_history(boxes[rows], names[groups[rows]], tiebreak=ties[rows], min_iou=threshold, method=method)
    expected = contents(cluster, as_reference(boxes, names[groups], ties))
    assert contents(shuffled.cut(threshold), as_reference(boxes[rows], names[groups[rows]], ties[rows])) == expected


@pytest.mark.parametrize("method", METHODS)
@given(coded_marks(max_size=20), strategies.thresholds, st.booleans())
def test_cut__keeps_the_guarantees(method: str, marks: tuple, threshold: float, inclusive: bool) -> None:
    boxes, groups, ties = marks
    history = merge_history(boxes, groups, tiebreak=ties, min_iou=threshold, method=method, inclusive=inclusive)
    cluster = history.cut(threshold)
    assert sorted(np.unique(cluster)) == list(range(cluster.max(initial=-1) + 1))
    iou = pairwise_iou(boxes, inclusive=inclusive)
    for rows in as_lists(cluster):
        assert all(iou[i, j] >= threshold for i, j in combinations(rows, 2))
        assert method == "unconstrained" or len(set(groups[rows])) == len(rows)


@pytest.mark.parametrize("method", METHODS)
@given(coded_marks(), strategies.thresholds)
def test_cut__of_a_longer_history_is_that_of_a_shorter_one(method: str, marks: tuple, threshold: float) -> None:
    boxes, groups, ties = marks
    longer = merge_history(boxes, groups, tiebreak=ties, min_iou=1e-9, method=method).cut(threshold)
    shorter = merge_history(boxes, groups, tiebreak=ties, min_iou=threshold, method=method).cut(threshold)
    np.testing.assert_array_equal(longer, shorter)


def test_merge_history__matches_the_plain_version_on_many_touching_objects() -> None:
    rng = np.random.default_rng(3)
    centre = np.repeat(rng.uniform(0, 120, (9, 2)), 6, axis=0) + rng.normal(0, 4, (54, 2))
    side = rng.uniform(20, 45, (54, 2))
    boxes, groups = np.hstack([centre - side / 2, centre + side / 2]), np.tile(np.arange(6), 9)
    marks = as_reference(boxes, groups, np.zeros(54, dtype=int))
    for method in METHODS:
        history = merge_history(boxes, groups, min_iou=0.05, method=method)
        for threshold in (0.05, 0.25, 0.5):
            assert sorted(as_lists(history.cut(threshold))) == sorted(getattr(reference, method)(marks, threshold))


def test_merge_history__large_components_are_the_same_on_lists_as_on_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    corner = rng.integers(0, 160, (3000, 2)).astype(float)
    boxes, groups = np.hstack([corner, corner + rng.integers(8, 30, (3000, 2))]), rng.integers(0, 12, 3000)
    cuts = {}
    for largest in (0, 100, 10_000):
        monkeypatch.setattr(merging, "LARGEST_DENSE", largest)
        cuts[largest] = merge_history(boxes, groups, min_iou=0.05).cut(0.05)
    np.testing.assert_array_equal(cuts[0], cuts[10_000])
    np.testing.assert_array_equal(cuts[100], cuts[10_000])


def test_merge_history__a_chain_splits_where_the_threshold_says() -> None:
    boxes = [[x, 0, x + 4, 4] for x in range(5)]  # neighbours overlap by 12/20, the next but one by 8/24
    assert merge_history(boxes, range(5), min_iou=0.3).cut(0.5).tolist() == [0, 0, 1, 1, 2]


def test_merge_history__touching_objects_of_one_rater_stay_apart() -> None:
    boxes = [[0, 0, 10, 10], [3, 0, 13, 10], [0, 0, 10, 9]]
    cluster = merge_history(boxes, [0, 0, 1]).cut(0.25)
    assert cluster[0] == cluster[2] != cluster[1]


def test_demotion__moves_the_extra_mark_alone() -> None:
    # two touching nuclei, marked by a and b; c marked the second one only
    boxes = [[0, 0, 10, 10], [0, 0, 10, 11], [2, 0, 12, 10], [2, 0, 12, 11], [2, 0, 12, 12]]
    cluster = merge_history(boxes, [0, 1, 0, 1, 2], method="demotion").cut(0.25)
    assert sorted(np.bincount(cluster).tolist()) == [2, 3]


@pytest.mark.parametrize("method", METHODS)
def test_merge_history__no_marks_and_one_mark_are_ordinary(method: str) -> None:
    assert merge_history([], [], method=method).cut(0.25).tolist() == []
    assert merge_history([[0, 0, 1, 1]], [7], method=method).cut(0.25).tolist() == [0]


def test_merge_history__marks_of_two_fovs_never_merge() -> None:
    boxes = [[0, 0, 4, 4]] * 4
    assert merge_history(boxes, [0, 1, 2, 3], fovs=[1, 0, 1, 0]).cut(1.0).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("method", METHODS)
def test_merge_history__does_not_depend_on_the_number_of_threads(method: str) -> None:
    rng = np.random.default_rng(5)
    corner = rng.integers(0, 40, (4000, 2)).astype(float)
    boxes, groups, fovs = np.hstack([corner, corner + 9]), rng.integers(0, 9, 4000), rng.integers(0, 37, 4000)
    one, three = (merge_history(boxes, groups, fovs=fovs, method=method, jobs=jobs) for jobs in (1, 3))
    np.testing.assert_array_equal(one.absorbed_by, three.absorbed_by)
    np.testing.assert_array_equal(one.similarity, three.similarity)
    np.testing.assert_array_equal(one.cut(0.3), three.cut(0.3))


def test_merge_history__fovs_together_equal_fovs_alone() -> None:
    rng = np.random.default_rng(6)
    corner = rng.integers(0, 30, (600, 2)).astype(float)
    boxes, groups, fovs = np.hstack([corner, corner + 7]), rng.integers(0, 9, 600), rng.integers(0, 5, 600)
    together = merge_history(boxes, groups, fovs=fovs).cut(0.25)
    n_before = 0
    for fov in range(5):
        rows = np.flatnonzero(fovs == fov)
        alone = merge_history(boxes[rows], groups[rows]).cut(0.25)
        np.testing.assert_array_equal(together[rows], alone + n_before)
        n_before += alone.max() + 1


@pytest.mark.parametrize("n_raters", [1, 1000])
def test_merge_history__a_million_equal_boxes_are_handled(n_raters: int) -> None:
    n = 1_000_000
    raters = np.arange(n) % n_raters
    cluster = merge_history(np.broadcast_to([0.0, 0.0, 9.0, 9.0], (n, 4)), raters).cut(0.25)
    assert np.bincount(cluster).tolist() == [n_raters] * (n // n_raters)


def test_merge_history__a_million_different_boxes_on_one_spot_are_refused() -> None:
    corner = np.random.default_rng(0).uniform(0, 5, (1_000_000, 2))
    with pytest.raises(
        ValueError, match=r"FOV 'slide 9': its 1,000,000 boxes overlap in \d{3},\d{3},\d{3},\d{3} pairs"
    ):
        merge_history(np.hstack([corner, corner + 50]), np.arange(1_000_000) % 25, fov_names=["slide 9"])


def test_merge_history__thousands_of_boxes_on_one_spot_are_handled() -> None:
    corner = np.random.default_rng(0).uniform(0, 20, (3000, 2))
    boxes, raters = np.hstack([corner, corner + 50]), np.arange(3000) % 25
    cluster = merge_history(boxes, raters, min_iou=0.05).cut(0.05)
    pairs = np.unique(cluster * 25 + raters)
    assert len(pairs) == len(boxes)
    assert cluster.max() < 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_iou": 0.0}, r"must lie in \(0, 1\], got 0.0"),
        ({"method": "nearest"}, "method must be one of cannot_link, demotion, unconstrained, got 'nearest'"),
        ({"raters": [0, 1]}, r"raters must be 1 integers, one per box, got int64 of shape \(2,\)"),
        ({"raters": [0.5]}, "raters must be 1 integers, one per box, got float64"),
        ({"raters": [-1]}, "raters must be codes from 0, got -1 for box 0"),
        ({"boxes": [[0, 0, 0, 1]]}, "every box needs xmin < xmax"),
        ({"jobs": 0}, "jobs must be at least 1"),
    ],
)
def test_merge_history__says_what_is_wrong(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merge_history(**{"boxes": [[0, 0, 1, 1]], "raters": [0], **arguments})


@pytest.mark.parametrize("threshold", [0.2, 1.1, "a"])
def test_cut__refuses_what_the_history_does_not_reach(threshold: object) -> None:
    with pytest.raises(ValueError, match=r"can be cut at 0.25 to 1, got"):
        merge_history([[0, 0, 1, 1]], [0]).cut(threshold)


def test_merge_history__accepts_any_integers_as_codes() -> None:
    boxes = [[0, 0, 4, 4]] * 3
    assert merge_history(boxes, [2**60, 5, 2**60]).cut(0.5).tolist() == [0, 0, 1]
