"""The canonical order, cuts of a history, and the small steps of linkage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth._kernels import linkage, members, ordering
from tests import strategies


@pytest.mark.kernel
@given(strategies.box_lists(max_size=30), st.randoms(use_true_random=False))
def test_sort_equal_runs__gives_the_order_of_all_keys(boxes: np.ndarray, random) -> None:
    n = len(boxes)
    fov = np.array([random.randrange(2) for _ in range(n)], dtype=np.int32)
    tiebreak = np.array([random.randrange(3) for _ in range(n)], dtype=np.int32)
    order = np.array(random.sample(range(n), n), dtype=np.int64)
    order = order[np.argsort(boxes[order, 0], kind="stable")]
    order = ordering.stable_by_code(order, fov, 2)
    ordering.sort_equal_runs(order, boxes, fov, tiebreak)
    expected = np.lexsort((np.arange(n), tiebreak, *boxes.T[::-1], fov))
    np.testing.assert_array_equal(order, expected)


@pytest.mark.kernel
def test_group_starts__counts_from_each_code_to_the_next() -> None:
    assert ordering.group_starts(np.array([0, 0, 2, 2, 2], np.int32), 4).tolist() == [0, 2, 2, 5, 5]


@pytest.mark.kernel
def test_cut__undoes_the_merges_below_the_threshold() -> None:
    absorbed_by, similarity = np.array([0, 0, 2, 0, 2], np.int32), np.array([0, 0.9, 0, 0.4, 0.5])
    assert linkage.cut(absorbed_by, similarity, 0.45).tolist() == [0, 0, 1, 2, 1]
    assert linkage.cut(absorbed_by, similarity, 0.4).tolist() == [0, 0, 1, 0, 1]
    assert linkage.cut(absorbed_by, similarity, 0.95).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.kernel
def test_mean_ious__leave_the_member_itself_out() -> None:
    boxes = np.array([[0, 0, 4, 4], [9, 9, 10, 10], [0, 0, 4, 2], [0, 0, 4, 4]], float)
    member, start = members.members_by_cluster(np.array([0, 1, 0, 0]), 2)
    assert members.mean_ious(boxes, member, start).tolist() == [0.75, 1.0, 0.5, 0.75]


@pytest.mark.kernel
def test_choose_medoids__takes_the_best_allowed_and_keeps_earlier_choices() -> None:
    mean_iou, start = np.array([0.5, 0.9, 0.9, 0.1]), np.array([0, 3, 4])
    chosen = np.array([-1, -1])
    members.choose_medoids(mean_iou, np.array([True, False, False, False]), np.arange(4), start, chosen)
    assert chosen.tolist() == [0, -1]
    members.choose_medoids(mean_iou, np.ones(4, bool), np.arange(4), start, chosen)
    assert chosen.tolist() == [0, 3]
    fresh = np.array([-1, -1])
    members.choose_medoids(mean_iou, np.ones(4, bool), np.arange(4), start, fresh)
    assert fresh.tolist() == [1, 3]
