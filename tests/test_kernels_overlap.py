"""Strips: every pair of boxes is looked at once, and what overlaps is connected."""

import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crowdtruth._kernels import overlap
from tests import strategies


def by_xmin(boxes: np.ndarray) -> np.ndarray:
    return boxes[np.argsort(boxes[:, 0], kind="stable")]


@pytest.mark.kernel
@given(strategies.varied_boxes(max_size=20), strategies.thresholds)
def test_make_strips__hold_every_box_once_in_order(boxes: np.ndarray, min_iou: float) -> None:
    boxes = by_xmin(boxes)
    strips = overlap.make_strips(boxes, min_iou)
    assert sorted(strips.item.tolist()) == list(range(len(boxes)))
    np.testing.assert_array_equal(strips.sides.T, boxes[strips.item])
    for start, end in zip(strips.start[:-1], strips.start[1:], strict=True):
        assert (np.diff(strips.sides[0, start:end]) >= 0).all()


@pytest.mark.kernel
@given(strategies.varied_boxes(max_size=20), strategies.thresholds)
def test_make_strips__joins_name_each_pair_of_strips_once(boxes: np.ndarray, min_iou: float) -> None:
    strips = overlap.make_strips(by_xmin(boxes), min_iou)
    pairs = {frozenset(join) for join in strips.joins.tolist()}
    assert len(pairs) == len(strips.joins)


@pytest.mark.kernel
@given(strategies.varied_boxes(max_size=20), strategies.thresholds)
def test_count_candidates__is_at_least_the_number_of_pairs(boxes: np.ndarray, min_iou: float) -> None:
    boxes = by_xmin(boxes)
    n_pairs = np.triu(overlap.pairwise_iou(boxes) >= min_iou, 1).sum()
    assert (
        n_pairs <= overlap.count_candidates(overlap.make_strips(boxes, min_iou)) <= len(boxes) * (len(boxes) - 1) // 2
    )


@pytest.mark.kernel
@given(strategies.box_lists(max_size=20), strategies.thresholds)
def test_components__are_those_of_the_graph_of_overlaps(boxes: np.ndarray, min_iou: float) -> None:
    boxes = by_xmin(boxes)
    n = len(boxes)
    owner = np.arange(n, dtype=np.int32) % 3 - 1
    linked = overlap.pairwise_iou(boxes) >= min_iou
    linked &= (owner[:, None] != owner) | (owner < 0)
    actual = overlap.components(overlap.make_strips(boxes, min_iou), owner)
    expected = connected_components(coo_array(linked), directed=False)[1] if n else np.empty(0, int)
    first = {c: i for i, c in reversed(list(enumerate(expected.tolist())))}
    assert actual.tolist() == [first[c] for c in expected.tolist()]


def test_count_candidates__stays_proportional_whatever_the_sizes() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 3000, (20_000, 2))
    side = np.where(rng.random((20_000, 1)) < 0.01, 2000.0, 10.0) * rng.uniform(0.7, 1.3, (20_000, 2))
    strips = overlap.make_strips(by_xmin(np.hstack([corner, corner + side])), 0.25)
    assert overlap.count_candidates(strips) / 20_000 < 10  # all pairs with the large ones would be 200 per box
