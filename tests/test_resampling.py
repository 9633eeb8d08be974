"""Bootstrap over FOVs and slides."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth import resampling
from crowdtruth.agreement import count_items, krippendorff_alpha, sum_coincidences
from crowdtruth.agreement.formulas import alpha_from
from crowdtruth.resampling import bootstrap, bootstrap_difference, bootstrap_weights, group_codes


def share(sums):
    """Hits of objects: (..., 2) -> (...)."""
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def bounds(interval):
    return interval.low, interval.high


def hits_and_objects(seed, n_groups=30, success=0.7):
    rng = np.random.default_rng(seed)
    n = rng.integers(5, 30, n_groups)
    return np.stack([rng.binomial(n, success), n], axis=1)


def test_bootstrap__replicates_equal_repeating_the_rows_of_the_table():
    rng = np.random.default_rng(2)
    labels, fov = rng.integers(0, 3, (80, 4)), rng.integers(0, 6, 80)
    weights = bootstrap_weights(6, 20, seed=9)
    by_table = [
        krippendorff_alpha(np.concatenate([np.repeat(labels[fov == g], int(w), axis=0) for g, w in enumerate(row)]))
        for row in weights
    ]
    counts = sum_coincidences(count_items(labels), fov)
    np.testing.assert_allclose(alpha_from(np.tensordot(weights, counts, 1)), by_table, atol=1e-12)


def test_bootstrap__percentile_levels_are_expanded_as_hesterberg_says():
    counts = hits_and_objects(0, n_groups=12)
    replicates = np.sort(share(np.tensordot(bootstrap_weights(12, 4000, seed=3), counts, 1)))
    tail = scipy.stats.norm.cdf(np.sqrt(12 / 11) * scipy.stats.t.ppf(0.025, 11))
    interval = bootstrap(counts, share, method="percentile", n_replicates=4000, seed=3)
    assert [interval.low, interval.high] == pytest.approx(np.quantile(replicates, [tail, 1 - tail]), abs=1e-12)


def test_bootstrap__bca_is_near_scipys_where_groups_are_many():
    counts = hits_and_objects(1, n_groups=400, success=0.9)

    def ratio(hits, objects, axis):
        return hits.sum(axis=axis) / objects.sum(axis=axis)

    expected = scipy.stats.bootstrap(
        tuple(counts.T), ratio, paired=True, vectorized=True, n_resamples=20_000, method="BCa", rng=1
    ).confidence_interval
    interval = bootstrap(counts, share, n_replicates=20_000)
    assert interval.low == pytest.approx(expected.low, abs=5e-4)
    assert interval.high == pytest.approx(expected.high, abs=5e-4)


def test_bootstrap__of_a_mean_is_near_the_t_interval():
    values = np.random.default_rng(5).normal(size=15)
    counts = np.stack([values, np.ones(15)], axis=1)
    expected = scipy.stats.t.interval(0.95, 14, values.mean(), scipy.stats.sem(values))
    interval = bootstrap(counts, share, method="percentile", n_replicates=50_000)
    assert [interval.low, interval.high] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@given(seed=st.integers(0, 50))
def test_bootstrap__holds_the_value_and_does_not_depend_on_units(method, seed):
    counts = hits_and_objects(seed)
    interval = bootstrap(counts, share, method=method, n_replicates=200)
    assert interval.low <= interval.value <= interval.high
    again = bootstrap(counts * 8.0, share, method=method, n_replicates=200)
    np.testing.assert_allclose(bounds(again), bounds(interval), atol=1e-12)


def test_bootstrap__same_seed_same_interval():
    counts = hits_and_objects(3)
    first, again, other = [bootstrap(counts, share, n_replicates=500, seed=seed) for seed in (1, 1, 2)]
    assert (first.low, first.high) == (again.low, again.high)
    assert first.low != other.low


def test_bootstrap__does_not_depend_on_how_replicates_are_cut(monkeypatch):
    counts = hits_and_objects(3)
    whole = bootstrap(counts, share)
    monkeypatch.setattr("crowdtruth.resampling._CHUNK", 10)
    cut = bootstrap(counts, share)
    np.testing.assert_allclose(bounds(whole), bounds(cut), atol=1e-14)


def test_bootstrap__takes_several_arrays_and_several_values():
    counts = hits_and_objects(4)

    def both(hits, objects):
        return np.stack([hits / objects, objects], axis=-1)

    interval = bootstrap((counts[:, 0], counts[:, 1]), both)
    alone = bootstrap(counts, share)
    assert interval.value.shape == interval.low.shape == interval.n_defined.shape == (2,)
    np.testing.assert_allclose([b[0] for b in bounds(interval)], bounds(alone), atol=1e-14)


def test_bootstrap__of_a_constant_is_a_point():
    interval = bootstrap(np.ones((10, 2)), share)
    assert interval.low == interval.value == interval.high == 1


def test_bootstrap__of_one_group_has_a_value_and_no_interval():
    interval = bootstrap([[3, 4]], share)
    assert interval.value == 0.75
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)


def test_bootstrap__without_a_value_has_no_interval():
    interval = bootstrap(np.zeros((5, 2)), share)
    assert np.isnan([interval.value, interval.low, interval.high]).all()
    assert interval.n_defined == 0


def test_bootstrap__has_no_interval_where_too_few_replicates_have_a_value():
    counts = np.zeros((6, 2))
    counts[0] = [1, 2]  # a replicate without the first group has nothing to share
    interval = bootstrap(counts, share)
    assert interval.value == 0.5
    assert np.isnan(interval.low)
    assert 0.5 < interval.n_defined / 2000 < 0.9


def test_bootstrap__leaves_out_the_few_replicates_without_a_value():
    counts = np.zeros((10, 2))
    counts[:4] = [[1, 2], [1, 4], [3, 4], [1, 2]]
    interval = bootstrap(counts, share)
    assert 0.9 < interval.n_defined / 2000 < 1
    assert interval.low < interval.value < interval.high


def test_bootstrap_difference__is_narrower_than_the_parts_when_groups_vary_together():
    rng = np.random.default_rng(7)
    ease = rng.uniform(0.3, 0.9, 40)
    first, second = [np.stack([rng.binomial(200, ease), np.full(40, 200)], axis=1) for _ in range(2)]
    difference = bootstrap_difference(first, second, share)
    alone = bootstrap(first, share)
    assert difference.value == pytest.approx(share(first.sum(axis=0)) - share(second.sum(axis=0)))
    assert difference.high - difference.low < 0.5 * (alone.high - alone.low)
    assert difference.low < 0 < difference.high


def test_bootstrap_difference__of_a_study_with_itself_is_zero():
    difference = bootstrap_difference(hits_and_objects(1), hits_and_objects(1), share)
    assert difference.low == difference.value == difference.high == 0


def test_group_codes__of_slides():
    fovs = pd.DataFrame({"fov": ["a", "b", "c"], "slide": ["t", "s", "t"]})
    codes, names = group_codes(pd.Series(["c", "a", "b"]), fovs, "slide")
    assert codes.tolist() == [1, 1, 0]
    assert names.tolist() == ["s", "t"]
    assert group_codes(pd.Series(["c", "a"]), fovs)[1].tolist() == ["a", "c"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bootstrap([1, 2], np.sum, n_replicates=0), "at least one replicate, please; got 0"),
        (lambda: bootstrap([1, 2], np.sum, method="t"), "'percentile' or 'bca', got 't'"),
        (lambda: bootstrap([1, 2], np.sum, level=95), "between 0 and 1, got 95"),
        (lambda: bootstrap(([1, 2], [1]), np.sum), r"one row per group each; got \[\(2,\), \(1,\)\]"),
        (lambda: bootstrap_difference([1, 2], [1], np.sum), "same groups on both sides; got 2, 1"),
        (lambda: group_codes(pd.Series(["a"]), pd.DataFrame({"fov": ["a"]}), "slide"), "a column 'slide'; it has"),
        (lambda: group_codes(pd.Series(["a"]), pd.DataFrame({"fov": ["a"]}), "patient"), "got 'patient'"),
        (
            lambda: group_codes(pd.Series(["a"]), pd.DataFrame({"fov": ["b"], "slide": ["s"]}), "slide"),
            r"missing for \['a'\] \(1 FOVs\)",
        ),
    ],
)
def test_resampling__says_what_is_wrong_with_its_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(("n_groups", "has_interval"), [(1, False), (5, False), (6, True)])
def test_bootstrap__needs_as_many_groups_as_its_level_can_be_kept_with(n_groups, has_interval):
    counts = np.stack([np.arange(1, n_groups + 1), np.full(n_groups, 10)], axis=1)
    assert np.isfinite(bootstrap(counts, share).low) == has_interval
    assert np.isfinite(bootstrap(counts, share, level=0.5).low) == (n_groups > 1)


def test_bootstrap__jackknife_leaves_out_each_group_in_turn():
    rng = np.random.default_rng(5)
    counts = (rng.integers(1, 9, (40, 2)).astype(float), rng.integers(1, 9, (40, 3, 2)).astype(float))

    def statistic(first, second):
        return first[..., 0] / second.sum(axis=(-2, -1))

    expected = [statistic(*(np.delete(array, g, axis=0).sum(axis=0) for array in counts)) for g in range(40)]
    np.testing.assert_allclose(resampling._without_each(statistic, counts), expected)


def test_bootstrap__of_many_groups_takes_no_square_of_their_number():
    counts = np.ones((30_000, 2))
    tracemalloc.start()
    bootstrap(counts, share, n_replicates=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # 30,000² doubles are 7 GB
