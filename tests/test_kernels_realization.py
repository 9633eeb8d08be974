"""Kernels of the redundancy experiment against plain loops, with the compiler on and off."""

import numpy as np
import pytest

from crowdtruth._kernels import realization as kernels
from crowdtruth._kernels._simd import lanes_of
from crowdtruth.ratings import Ratings
from crowdtruth.truth.expectation import (
    FreeConfusion,
    evaluate,
    even_errors,
    expectation_maximization,
    passes_over,
    sparse_ratings,
    table_of,
)
from tests.reference import simulation as reference

pytestmark = pytest.mark.kernel

N_CLASSES = 3


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def sparse(rng):
    item, rater = (axis.ravel() for axis in np.indices((30, 4)))
    truth = rng.integers(0, N_CLASSES, 30)
    label = np.where(rng.random(120) < 0.7, truth[item], rng.integers(0, N_CLASSES, 120))
    return sparse_ratings(Ratings(item, rater, label, 30, 4, N_CLASSES))


def start_of(sparse):
    return table_of(sparse, even_errors(0.7, N_CLASSES), np.full(N_CLASSES, 1 / N_CLASSES))


def pseudo_counts_of(sparse, amount):
    counts = np.zeros((N_CLASSES + 1, sparse.n_lanes))
    counts[:, :N_CLASSES] = amount * np.vstack([even_errors(0.7, N_CLASSES), np.ones(N_CLASSES)])
    return counts


def areas_of(values, true):
    areas, scratch = np.full(values.shape[1] + 1, np.nan), np.zeros((5, values.shape[1] + 1))
    kernels.area_under_roc(values.ravel(), true, np.argsort(values, axis=None), scratch, areas)
    return areas


@pytest.mark.parametrize("digits", [1, 2, 15])
def test_area_under_roc__counts_pairs_and_ties_half(rng, digits):
    values = rng.dirichlet([1, 1, 1], 25).round(digits)
    true = rng.integers(0, N_CLASSES, 25)
    expected = [reference.area_under_roc(values[:, k], true == k) for k in range(N_CLASSES)]
    one_hot = (true[:, np.newaxis] == np.arange(N_CLASSES)).ravel()
    expected.append(reference.area_under_roc(values.ravel(), one_hot))
    np.testing.assert_allclose(areas_of(values, true), expected, rtol=1e-12)


def test_area_under_roc__is_undefined_without_another_class():
    assert np.isnan(areas_of(np.ones((4, 1)), np.zeros(4, dtype=int))).all()


@pytest.mark.parametrize(
    ("n_iter", "tolerance", "amount"), [(1, 0.0, 0.0), (9, 0.0, 0.0), (60, 1e-4, 2.0), (3, 1e-9, 0)]
)
def test_iterate__takes_the_path_of_the_estimator(sparse, n_iter, tolerance, amount):
    start, pseudo_counts = start_of(sparse), pseudo_counts_of(sparse, amount)
    tables = np.repeat(start[np.newaxis], 4, axis=0)
    stop = (n_iter, tolerance * len(sparse.codes), int(tolerance > 0))
    lanes = lanes_of(sparse.n_lanes)
    last = kernels.iterate(sparse.starts, sparse.codes, tables, pseudo_counts, stop, N_CLASSES, lanes)
    model = FreeConfusion(sparse, start, pseudo_counts)
    with passes_over(sparse, 1) as passes:
        fit = expectation_maximization(passes, model, start, n_iter=n_iter, tolerance=tolerance)
        following = evaluate(passes, model, tables[last]).following
    np.testing.assert_array_equal(following, fit.table)


def test_iterate__ends_where_nothing_changes_any_more(sparse):
    tables = np.repeat(start_of(sparse)[np.newaxis], 4, axis=0)
    stop, lanes = (10**9, 0.0, 0), lanes_of(sparse.n_lanes)
    last = kernels.iterate(sparse.starts, sparse.codes, tables, pseudo_counts_of(sparse, 0), stop, N_CLASSES, lanes)
    np.testing.assert_array_equal(tables[last], tables[1 - last])


def test_keep_drawn__keeps_the_ratings_of_drawn_pairs_and_their_order(rng, sparse):
    pair = rng.integers(0, 6, len(sparse.codes)).astype(np.int32)
    is_drawn = np.array([1, 0, 0, 1, 0, 0], dtype=bool)
    occurs = np.zeros(sparse.n_rows, dtype=bool)
    n_ratings = kernels.codes_left(sparse.codes, pair, is_drawn, occurs)
    chosen = is_drawn[pair]
    assert n_ratings == chosen.sum()
    assert set(np.flatnonzero(occurs)) == set(sparse.codes[chosen])
    kept = np.zeros(31, np.int64), np.zeros(n_ratings, np.uint16), np.zeros(30, np.int64)
    recode = np.arange(len(occurs)) + 5
    n_items = kernels.keep_drawn(sparse.starts, sparse.codes, pair, is_drawn, recode, kept)
    item = np.repeat(np.arange(30), np.diff(sparse.starts))[chosen]
    np.testing.assert_array_equal(kept[1], sparse.codes[chosen] + 5)
    np.testing.assert_array_equal(kept[2][:n_items], np.unique(item))
    np.testing.assert_array_equal(np.diff(kept[0][: n_items + 1]), np.unique(item, return_counts=True)[1])


def test_group_and_choose__takes_the_first_of_those_given():
    starts, codes = np.array([0, 2, 4]), np.array([0, 3 + 2, 2, 3 + 2], dtype=np.uint16)  # (0, 2) and (2, 2)
    posteriors = np.array([[0.2, 0.6, 0.2], [0.5, 0.4, 0.1]])
    probabilities, label = np.zeros((2, 3)), np.zeros(2, np.int64)
    rule = (2, 1, 1e-9, np.inf)
    kernels.group_and_choose(starts, codes, posteriors, np.arange(3), rule, probabilities, label)
    assert label.tolist() == [0, -1]  # a tie with undetected; nobody detected the second
    np.testing.assert_array_equal(probabilities, posteriors)


def test_group_and_choose__adds_the_probabilities_of_a_group():
    starts, codes = np.array([0, 2]), np.array([0, 3 + 1], dtype=np.uint16)
    probabilities, label = np.zeros((1, 2)), np.zeros(1, np.int64)
    rule = (-1, 0, 1e-9, 1.0)
    groups = np.array([0, 1, 0])
    kernels.group_and_choose(starts, codes, np.array([[0.4, 0.45, 0.15]]), groups, rule, probabilities, label)
    np.testing.assert_allclose(probabilities, [[0.55, 0.45]])
    assert label.tolist() == [0]
