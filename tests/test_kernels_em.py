"""Kernels of EM against plain loops, with the compiler on and off."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth._kernels import em, item_order
from crowdtruth._kernels._simd import WIDTHS, add_to, lanes_of, load, multiply, scale, store, total

pytestmark = pytest.mark.kernel


@numba.njit
def _use_all(table, out, factor, lanes):
    """Every vector operation once: out[0] = factor * table[0] * table[1], out[1] += table[2]; the sum of out[0]."""
    vector = scale(multiply(load(table, 0, lanes), load(table, 1, lanes)), factor)
    store(out, 0, vector)
    add_to(out, 1, load(table, 2, lanes))
    return total(vector)


@pytest.mark.parametrize("width", WIDTHS)
def test_simd__compiled_and_plain_give_the_same_bits(width):
    rng = np.random.default_rng(width)
    table, out = rng.random((3, width)), rng.random((2, width))
    expected = np.array([table[0] * table[1] * 0.3, out[1] + table[2]])
    result = _use_all(table, out, 0.3, lanes_of(width))
    np.testing.assert_array_equal(out, expected)
    assert result == total(expected[0])
    assert result == pytest.approx(math.fsum(expected[0]), rel=1e-14)


def test_load__gives_a_copy_that_later_stores_leave_alone():
    table = np.array([[1.0, 2.0]])
    vector = load(table, 0, lanes_of(2))
    store(table, 0, np.array([5.0, 6.0]))
    np.testing.assert_array_equal(vector, [1, 2])


def table_of(rng, n_raters, n_classes, n_lanes):
    """Random parameters in the layout of the kernels."""
    confusion = rng.dirichlet(np.ones(n_classes), (n_raters, n_classes))  # [rater, true, assigned]
    table = np.zeros(((n_raters + 1) * n_classes + 1, n_lanes))
    table[: n_raters * n_classes, :n_classes] = confusion.transpose(0, 2, 1).reshape(-1, n_classes)
    table[n_raters * n_classes : -1, :n_classes] = np.eye(n_classes)
    table[-1, :n_classes] = rng.dirichlet(np.ones(n_classes))
    return table


def plain_posterior(codes, table, n_classes):
    """Posterior and log-likelihood of one item, in log space."""
    with np.errstate(divide="ignore"):
        logs = np.log(table[-1, :n_classes]) + np.log(table[codes, :n_classes]).sum(axis=0)
    log_likelihood = np.logaddexp.reduce(logs)
    return np.exp(logs - log_likelihood), log_likelihood


def random_items(rng, n_items, n_codes, dtype=np.uint16):
    """Starts and codes of items with 0 to 5 ratings."""
    starts = np.concatenate([[0], np.cumsum(rng.integers(0, 6, n_items))])
    return starts, rng.integers(0, n_codes, starts[-1]).astype(dtype)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 8, 13, 31, 33])
def test_fused_pass__equals_log_space_item_by_item(n_classes):
    rng = np.random.default_rng(n_classes)
    width = next((w for w in WIDTHS if w >= n_classes), n_classes)
    table = table_of(rng, 4, n_classes, width)
    starts, codes = random_items(rng, 12, 4 * n_classes)
    sums, posteriors = np.zeros_like(table), np.zeros((12, width))
    if width in WIDTHS:
        log_likelihood = em.fused_pass(starts, codes, table, sums, n_classes, lanes_of(width))
        em.posterior_pass(starts, codes, table, posteriors, n_classes, lanes_of(width))
    else:
        log_likelihood = em.fused_pass_plain(starts, codes, table, sums, n_classes)
        em.posterior_pass_plain(starts, codes, table, posteriors, n_classes)
    expected_sums, expected_total = np.zeros_like(table), 0.0
    for i in range(12):
        own = codes[starts[i] : starts[i + 1]]
        expected, item_total = plain_posterior(own, table, n_classes)
        np.testing.assert_allclose(posteriors[i, :n_classes], expected, atol=1e-14)
        np.add.at(expected_sums[:, :n_classes], own, expected)
        expected_sums[-1, :n_classes] += expected
        expected_total += item_total
    np.testing.assert_allclose(sums, expected_sums, atol=1e-13)
    assert log_likelihood == pytest.approx(expected_total, rel=1e-12)


@pytest.mark.parametrize("smallest", [0.5, 1e-3, 1e-150, 5e-324])
@pytest.mark.parametrize("n_ratings", [1, 3, 2500])
def test_fused_pass__does_not_underflow(smallest, n_ratings):
    table = np.array([[smallest, smallest / 2], [1, 1], [1, 0], [0, 1], [0.5, 0.5]])
    table[0, 1] = smallest if smallest == 5e-324 else smallest / 2
    starts, codes = np.array([0, n_ratings]), np.zeros(n_ratings, dtype=np.uint16)
    sums, posteriors = np.zeros_like(table), np.zeros((1, 2))
    log_likelihood = em.fused_pass(starts, codes, table, sums, 2, lanes_of(2))
    em.posterior_pass(starts, codes, table, posteriors, 2, lanes_of(2))
    expected, expected_total = plain_posterior(codes, table, 2)
    assert log_likelihood == pytest.approx(expected_total, rel=1e-12)
    np.testing.assert_allclose(posteriors[0], expected, atol=1e-12)
    np.testing.assert_allclose(sums[-1], expected, atol=1e-12)


def test_fused_pass__a_late_rating_can_undo_an_early_tiny_one():
    """The first class is 1e-300 after one rating, the second after the other: neither may be lost on the way."""
    tiny = 1e-300
    table = np.array([[tiny, 1], [1, tiny], [1, 0], [0, 1], [0.25, 0.75]])
    posteriors = np.zeros((1, 2))
    em.posterior_pass(np.array([0, 2]), np.array([0, 1], dtype=np.uint16), table, posteriors, 2, lanes_of(2))
    np.testing.assert_allclose(posteriors[0], [0.25, 0.75], rtol=1e-12)


def test_careful_posterior__zero_rules_a_class_out_for_ever():
    table = np.array([[0.0, 0.1], [1, 0.9], [1, 0], [0, 1], [0.5, 0.5]])
    scratch = np.full((2, 2), np.nan)
    log_likelihood = em.careful_posterior(np.array([0, 1, 1], dtype=np.uint16), table, 2, scratch)
    np.testing.assert_array_equal(scratch[0], [0, 1])
    assert log_likelihood == pytest.approx(math.log(0.5 * 0.1 * 0.9 * 0.9))


@pytest.mark.parametrize(("codes", "expected"), [([0, 1], [0.5, 0.5]), ([0, 1, 3], [0, 1])])
def test_careful_posterior__all_ruled_out_is_the_known_class_else_uniform(codes, expected):
    table = np.array([[0.0, 1], [1, 0], [1, 0], [0, 1], [0.5, 0.5]])
    scratch = np.full((2, 2), np.nan)
    assert em.careful_posterior(np.array(codes, dtype=np.uint16), table, 2, scratch) == -np.inf
    np.testing.assert_array_equal(scratch[0], expected)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 3)), max_size=40))
def test_order_by_item__sorts_codes_within_items_and_counts_repeats(ratings):
    item, rater, label = np.array(ratings, dtype=np.int32).reshape(-1, 3).T
    starts, codes = np.zeros(5 + 2, dtype=np.int64), np.empty(len(ratings), dtype=np.uint16)
    item_order.order_by_item(item, rater, label, 4, starts, codes)
    n_repeats = item_order.sort_within_items(starts[:-1], codes, 4)
    for i in range(5):
        expected = sorted(r * 4 + k for j, r, k in ratings if j == i)
        assert codes[starts[i] : starts[i + 1]].tolist() == expected
    assert n_repeats == len(ratings) - len({(i, r) for i, r, _ in ratings})


def test_sort_within_items__sorts_long_items():
    codes = np.random.default_rng(0).integers(0, 900, 400).astype(np.uint32)
    expected = np.sort(codes)
    item_order.sort_within_items(np.array([0, 400]), codes, 3)
    np.testing.assert_array_equal(codes, expected)


def test_normalise__divides_by_the_mass_of_the_true_class_and_keeps_the_start_without_mass():
    sums = np.array([[3.0, 0], [1, 0], [9, 9], [9, 9], [6, 2]])
    start = np.array([[0.7, 0.3], [0.3, 0.7], [1, 0], [0, 1], [0.5, 0.5]])
    table = start.copy()
    em.normalise(sums, np.zeros((3, 2)), start, 2, table)
    np.testing.assert_allclose(table, [[0.75, 0.3], [0.25, 0.7], [1, 0], [0, 1], [0.75, 0.25]])


def test_normalise__adds_pseudo_counts_by_label_and_true_class():
    sums = np.array([[3.0, 0], [1, 0], [9, 9], [9, 9], [6, 2]])
    pseudo_counts = np.array([[2.0, 1], [0, 3], [1, 1]])
    table = np.zeros_like(sums)
    em.normalise(sums, pseudo_counts, table.copy(), 2, table)
    np.testing.assert_allclose(table[:2], [[5 / 6, 0.25], [1 / 6, 0.75]])
    np.testing.assert_allclose(table[-1], [0.7, 0.3])


def test_normalise__forgets_the_order_of_the_additions():
    """0.1 + 0.2 is not 0.3 to the last bit; as probabilities they are the same number."""
    start, no_counts = np.zeros((5, 2)), np.zeros((3, 2))
    tables = [np.zeros((5, 2)), np.zeros((5, 2))]
    for table, part in zip(tables, (0.1 + 0.2, 0.3), strict=True):
        em.normalise(np.array([[part, 1], [0.4, 1], [0, 0], [0, 0], [part, 0.4]]), no_counts, start, 2, table)
    np.testing.assert_array_equal(tables[0], tables[1])
    np.testing.assert_allclose(tables[0][[0, 1, 4], 0], [3 / 7, 4 / 7, 3 / 7], rtol=2**-40)


def test_rounded__keeps_forty_bits():
    values = np.array([0.0, 1.0, 0.7, 1 / 3, 1e-300, 1.0 - 2**-40, 1.0 - 2**-53])
    rounded = em.rounded(values)
    np.testing.assert_allclose(rounded, values, rtol=2**-40)
    np.testing.assert_array_equal(em.rounded(rounded), rounded)
    assert rounded[[0, 1, -2, -1]].tolist() == [0, 1, 1 - 2**-40, 1]


def test_log_prior__sums_logarithms_of_many_raters():
    rng = np.random.default_rng(3)
    table, pseudo_counts = table_of(rng, 300, 3, 4), np.zeros((4, 4))
    pseudo_counts[:, :3] = rng.random((4, 3))
    expected = (pseudo_counts[3, :3] * np.log(table[-1, :3])).sum()
    for label in range(3):
        expected += (pseudo_counts[label, :3] * np.log(table[label:900:3, :3])).sum()
    assert em.log_prior(table, pseudo_counts, 3) == pytest.approx(expected, rel=1e-12)


def test_vote_shares__count_labels_and_let_a_known_class_take_all():
    starts, codes = np.array([0, 3, 3, 5]), np.array([0, 1, 3, 2, 5], dtype=np.uint16)  # two raters, two classes
    shares = np.zeros((3, 2))
    em.vote_shares(starts, codes, 4, shares)
    np.testing.assert_allclose(shares, [[1 / 3, 2 / 3], [0.5, 0.5], [0, 1]])


def test_add_sums__adds_posteriors_of_rated_items():
    starts, codes = np.array([0, 2, 3]), np.array([0, 2, 2], dtype=np.uint16)
    sums = np.zeros((4, 2))
    em.add_sums(starts, codes, np.array([[0.25, 0.75], [1, 0]]), sums)
    np.testing.assert_allclose(sums, [[0.25, 0.75], [0, 0], [1.25, 0.75], [1.25, 0.75]])
