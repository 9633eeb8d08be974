"""Kernels of agreement against plain loops, with the compiler on and off."""

import numpy as np
import pytest

from crowdtruth._kernels import coincidence
from crowdtruth._kernels._simd import lanes_of

pytestmark = pytest.mark.kernel

N_CLASSES = 3


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def plain_counts(codes, n_columns):
    return np.array([[(row == c).sum() for c in range(n_columns)] for row in codes])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_items", [0, 7, 1030])
def test_count_matrix__counts_each_column_of_codes(rng, order, n_items):
    codes = np.asarray(rng.integers(0, N_CLASSES + 1, (n_items, 5)), dtype=np.uint8, order=order)
    counts = np.zeros((n_items, N_CLASSES + 1), np.int32)
    coincidence.count_matrix(codes, counts)
    np.testing.assert_array_equal(counts, plain_counts(codes, N_CLASSES + 1).reshape(n_items, N_CLASSES + 1))


BY_ORDER = [("F", coincidence.count_in_bytes), ("C", coincidence.count_rows_in_bytes)]


@pytest.mark.parametrize(("order", "count"), BY_ORDER)
@pytest.mark.parametrize("first", [0, 8, 16])
@pytest.mark.parametrize("kind", [float, np.int64])
def test_count_in_bytes__counts_eight_classes(rng, order, count, first, kind):
    values = np.asarray(rng.integers(0, 20, (600, 7)), dtype=kind, order=order)
    words = np.full(600, 9, "<u8")
    assert count(values, first, words) == 19
    np.testing.assert_array_equal(words.view(np.uint8).reshape(-1, 8), plain_counts(values, 24)[:, first : first + 8])


@pytest.mark.parametrize(("order", "count"), BY_ORDER)
def test_count_in_bytes__leaves_missing_labels_out(order, count):
    values = np.asarray([[np.nan, 2, np.nan], [np.nan, np.nan, np.nan]], order=order)
    words = np.zeros(2, "<u8")
    assert count(values, 0, words) == 2
    assert words.tolist() == [1 << 16, 0]


@pytest.mark.parametrize(("order", "count"), BY_ORDER)
@pytest.mark.parametrize("value", [63.0, -1.0, -0.5, 0.5, 1e300, np.inf, -np.inf])
def test_count_in_bytes__refuses_what_is_no_class(order, count, value):
    assert count(np.asarray([[1.0, value]], order=order), 0, np.zeros(1, "<u8")) >= 63


@pytest.mark.parametrize("n_raters", [1, 5, 255])
@pytest.mark.parametrize("n_items", [0, 1, 300])
def test_add_unlike__adds_up_pairs_by_number_of_ratings(rng, n_items, n_raters):
    most = np.where(rng.random((n_items, 1)) < 0.3, 1, 30)  # some items unanimous
    values = (rng.integers(0, 30, (n_items, n_raters)) % most).astype(float)
    values[rng.random(values.shape) < 0.5 / n_raters] = np.nan
    words = np.zeros((4, n_items), "<u8")
    for w in range(4):
        coincidence.count_rows_in_bytes(values, 8 * w, words[w])
    unlike, given = np.zeros(256, np.int64), np.zeros(32, np.int64)
    coincidence.add_unlike(words, unlike, given)
    counts = plain_counts(values, 32).reshape(n_items, 32).astype(int)
    total = counts.sum(axis=1)
    expected = np.zeros(256, int)
    np.add.at(expected, total, total**2 - (counts**2).sum(axis=1))
    np.testing.assert_array_equal(unlike, expected)
    np.testing.assert_array_equal(given, counts[total > 1].sum(axis=0))


@pytest.mark.parametrize(("value", "code"), [(0.0, 0), (62.0, 62), (np.nan, 63)])
def test_codes_of_whole_numbers__takes_what_fits(value, code):
    codes = np.zeros(1, np.uint8)
    assert coincidence.codes_of_whole_numbers(np.array([value]), codes)
    assert codes[0] == code
    assert int(coincidence.codes_seen(codes)) == 1 << code


@pytest.mark.parametrize("value", [63.0, -1.0, 0.5, np.inf])
def test_codes_of_whole_numbers__refuses_what_does_not(value):
    assert not coincidence.codes_of_whole_numbers(np.array([value]), np.zeros(1, np.uint8))


def test_count_ratings__adds_each_rating(rng):
    item, label = rng.integers(0, 6, 50), rng.integers(0, N_CLASSES, 50)
    counts, expected = np.zeros((6, N_CLASSES), np.int32), np.zeros((6, N_CLASSES), int)
    coincidence.count_ratings(item, label, counts)
    np.add.at(expected, (item, label), 1)
    np.testing.assert_array_equal(counts, expected)


def plain_pairs(counts, factor, group, n_groups):
    pairs = np.zeros((n_groups, N_CLASSES, N_CLASSES))
    for row, weight, g in zip(counts, factor, group, strict=True):
        pairs[g] += weight * (np.outer(row, row) - np.diag(row))
    return pairs


def test_add_pairs__is_the_outer_product_without_pairs_of_one_rating(rng):
    counts, factor, group = rng.integers(0, 4, (100, N_CLASSES)), rng.choice([0, 0.5, 1], 100), rng.integers(0, 3, 100)
    pairs = np.zeros((3, N_CLASSES, N_CLASSES))
    coincidence.add_pairs(counts, factor, group, pairs)
    np.testing.assert_allclose(pairs, plain_pairs(counts, factor, group, 3), atol=1e-12)


def test_add_squares__less_its_sums_are_the_pairs(rng):
    counts, factor, group = rng.integers(0, 4, (150, N_CLASSES)), rng.choice([0, 0.5, 1], 150), rng.integers(0, 3, 150)
    squares, sums = np.zeros((3 * 4, 4)), np.zeros((3, 4))
    coincidence.add_squares(counts, factor, group, squares, sums, lanes_of(4))
    found = squares.reshape(3, 4, 4) - sums[:, :, None] * np.eye(4)
    np.testing.assert_allclose(found[:, :3, :3], plain_pairs(counts, factor, group, 3), atol=1e-12)
    assert not found[:, 3].any()


def test_add_shares__leaves_out_items_without_ratings():
    counts, shares = np.array([[1, 3], [0, 0], [2, 0]]), np.zeros((2, 2))
    coincidence.add_shares(counts, counts.sum(axis=1), np.array([0, 0, 1]), shares)
    np.testing.assert_array_equal(shares, [[0.25, 0.75], [1, 0]])


def test_count_two_raters__counts_shared_items_of_each_group(rng):
    starts = np.array([0, 0, 3, 12, 40])
    first, second = rng.integers(0, N_CLASSES + 1, (2, 40)).astype(np.uint8)
    tables = np.full((4, N_CLASSES, N_CLASSES), -1, np.int32)
    coincidence.count_two_raters(first * np.uint8(4), second, starts, np.empty((4, 16), np.int32), tables)
    expected = np.zeros((4, N_CLASSES + 1, N_CLASSES + 1), int)
    np.add.at(expected, (np.repeat(np.arange(4), np.diff(starts)), first, second), 1)
    np.testing.assert_array_equal(tables, expected[:, :-1, :-1])
