"""Curves against a search over thresholds, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdtruth.curves import (
    auroc,
    auroc_from,
    average_precision,
    average_precision_from,
    macro_roc_curve,
    multiclass_auroc,
    multiclass_auroc_from,
    precision_at,
    precision_recall_curve,
    rank,
    rank_classes,
    roc_curve,
    sensitivity_at,
)
from tests.reference import curves as reference

GRID = np.arange(11) / 10

# few distinct scores, so that ties and empty kinds occur
ITEMS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.7, 1.0]), st.sampled_from([0, 1, 1, 2, 3])), max_size=12
)


def columns(items):
    kind, score, weights = ([item[n] for item in items] for n in range(3))
    return np.array(kind, bool), np.array(score, float), np.array(weights, float)


def or_none(value):
    return None if np.isnan(value) else pytest.approx(float(value))


@given(ITEMS, st.sampled_from([0, 1, 2.5]))
def test_average_precision__equals_a_search_over_thresholds(items, n_unscored):
    kind, score, weights = columns(items)
    expected = reference.average_precision(kind, score, weights, n_unscored)
    assert or_none(average_precision(kind, score, weights=weights, n_unscored=n_unscored)) == expected


@given(ITEMS)
def test_auroc__is_the_share_of_pairs_in_order(items):
    kind, score, weights = columns(items)
    assert or_none(auroc(kind, score, weights=weights)) == reference.auroc(kind, score, weights)


@given(ITEMS, st.sampled_from([0, 1.0]))
def test_precision_recall_curve__equals_a_search_over_thresholds(items, n_unscored):
    kind, score, weights = columns(items)
    curve = precision_recall_curve(kind, score, weights=weights, n_unscored=n_unscored)
    points = reference.precision_recall(kind, score, weights, n_unscored)
    assert [(or_none(p), or_none(r)) for p, r in zip(curve.precision, curve.recall, strict=True)] == points
    at = precision_at(GRID, rank(kind, score).counts(weights, n_unscored))
    assert [or_none(value) for value in at] == [reference.precision_at(level, points) for level in GRID]


@given(ITEMS)
def test_sensitivity_at__equals_a_search_over_thresholds(items):
    kind, score, weights = columns(items)
    at = sensitivity_at(GRID, rank(kind, score).counts(weights))
    assert [or_none(value) for value in at] == [reference.sensitivity_at(x, kind, score, weights) for x in GRID]


@settings(max_examples=30)
@given(ITEMS)
def test_curves__a_weight_is_a_number_of_copies(items):
    kind, score, weights = columns(items)
    copies = np.repeat(np.arange(len(kind)), weights.astype(int))
    for area in (average_precision, auroc):
        weighted, copied = area(kind, score, weights=weights), area(kind[copies], score[copies])
        np.testing.assert_allclose(weighted, copied)


@settings(max_examples=30)
@given(ITEMS)
def test_curves__many_weightings_at_once_equal_each_alone(items):
    kind, score, _ = columns(items)
    group = np.arange(len(kind)) % 3
    many = np.array([[1.0, 0, 2], [0, 0, 1], [1, 1, 1]])
    counts = rank(kind, score).counts(many, many[:, 0], group=group)
    alone = [rank(kind, score).counts(row[group], row[0]) for row in many]
    for function in (average_precision_from, auroc_from):
        np.testing.assert_allclose(function(counts), [function(one) for one in alone])
    for function in (precision_at, sensitivity_at):
        np.testing.assert_allclose(function(GRID, counts), [function(GRID, one) for one in alone])


# scikit-learn as oracle


@pytest.fixture(scope="module")
def metrics():
    return pytest.importorskip("sklearn.metrics")


def generated(seed, n=200, n_classes=3):
    rng = np.random.default_rng(seed)
    true = rng.choice(n_classes, n, p=np.array([0.6, 0.3, 0.1][:n_classes]) / sum([0.6, 0.3, 0.1][:n_classes]))
    probabilities = rng.dirichlet(np.ones(n_classes), n) + np.eye(n_classes)[true] * rng.random((n, 1))
    probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).round(2)  # ties
    return true, probabilities, rng.integers(1, 4, n).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_areas__are_those_of_scikit_learn(metrics, seed):
    true, probabilities, weights = generated(seed)
    kind, score = true == 0, probabilities[:, 0]
    assert average_precision(kind, score, weights=weights) == pytest.approx(
        metrics.average_precision_score(kind, score, sample_weight=weights), abs=1e-12
    )
    assert auroc(kind, score, weights=weights) == pytest.approx(
        metrics.roc_auc_score(kind, score, sample_weight=weights), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
def test_roc_curve__is_that_of_scikit_learn(metrics, seed):
    true, probabilities, weights = generated(seed)
    kind, score = true == 0, probabilities[:, 0]
    curve = roc_curve(kind, score, weights=weights)
    expected = metrics.roc_curve(kind, score, sample_weight=weights, drop_intermediate=False)
    for values, others in zip(curve, expected, strict=True):
        np.testing.assert_allclose(values, others)


def test_precision_recall_curve__is_that_of_scikit_learn(metrics):
    true, probabilities, weights = generated(1)
    kind, score = true == 0, probabilities[:, 0]
    curve = precision_recall_curve(kind, score, weights=weights)
    precision, recall, threshold = metrics.precision_recall_curve(kind, score, sample_weight=weights)
    # scikit-learn goes up in thresholds and adds a point at recall 0
    np.testing.assert_allclose(curve.precision, precision[-2::-1])
    np.testing.assert_allclose(curve.recall, recall[-2::-1])
    np.testing.assert_allclose(curve.threshold, threshold[::-1])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_multiclass_auroc__is_that_of_scikit_learn(metrics, n_classes):
    true, probabilities, weights = generated(4, n_classes=n_classes)
    areas = multiclass_auroc(true, probabilities, weights=weights)
    one_hot = np.eye(n_classes)[true]
    for average, value in (("micro", areas.micro), ("macro", areas.macro), (None, areas.by_class)):
        expected = metrics.roc_auc_score(one_hot, probabilities, average=average, sample_weight=weights)
        np.testing.assert_allclose(value, expected, atol=1e-12)


# several classes


def test_macro_roc_curve__has_the_mean_area():
    true, probabilities, weights = generated(5)
    curve = macro_roc_curve(true, probabilities, weights=weights)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(float(multiclass_auroc(true, probabilities, weights=weights).macro), abs=1e-12)
    assert (np.diff(curve.true_positive_rate) >= -1e-12).all()


def test_macro_roc_curve__is_the_mean_height_of_the_curves():
    true, probabilities, _ = generated(6)
    curve = macro_roc_curve(true, probabilities)
    counts = [ranking.counts(np.ones(len(true))) for ranking, _ in rank_classes(true, probabilities)[:-1]]
    heights = np.mean([sensitivity_at(curve.false_positive_rate, one) for one in counts], axis=0)
    np.testing.assert_allclose(curve.true_positive_rate[1::2], heights[1::2])


def test_multiclass_auroc__a_class_nobody_has_has_no_curve():
    areas = multiclass_auroc([0, 0, 1], [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    assert np.isnan(areas.by_class[2])
    assert float(areas.macro) == areas.by_class[:2].mean() == 1


def test_multiclass_auroc__of_a_single_class_is_undefined():
    areas = multiclass_auroc([0, 0], [[1.0], [1.0]])
    assert np.isnan([*areas.by_class, areas.micro, areas.macro]).all()
    assert len(macro_roc_curve([0, 0], [[1.0], [1.0]]).false_positive_rate) == 0


def test_multiclass_auroc_from__many_weightings_at_once_equal_each_alone():
    true, probabilities, _ = generated(7, n=30)
    many = np.random.default_rng(0).integers(0, 3, (4, 30)).astype(float)
    rankings = rank_classes(true, probabilities)
    areas = multiclass_auroc_from([ranking.counts(many, group=items) for ranking, items in rankings])
    for row, weights in enumerate(many):
        alone = multiclass_auroc(true, probabilities, weights=weights)
        np.testing.assert_allclose(areas.by_class[row], alone.by_class)
        np.testing.assert_allclose([areas.micro[row], areas.macro[row]], [alone.micro, alone.macro])


# degenerate


def test_average_precision__without_a_positive_is_undefined():
    assert np.isnan(average_precision([False], [0.5]))
    assert np.isnan(average_precision([], []))


def test_average_precision__of_positives_without_score_is_zero():
    assert average_precision([], [], n_unscored=3) == 0
    assert average_precision([False], [0.5], n_unscored=3) == 0


def test_auroc__needs_both_kinds():
    assert np.isnan(auroc([True, True], [0.1, 0.2]))
    assert np.isnan(auroc([False], [0.1]))
    assert np.isnan(roc_curve([True], [0.1]).true_positive_rate).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auroc([True], [0.1, 0.2]), r"one score per item: got \(2,\) scores for \(1,\) items"),
        (lambda: auroc([True, False], [0.1, np.nan]), "that of item 1 is NaN"),
        (lambda: auroc([True], [0.1], weights=[-1]), "weights must not be negative or NaN; got -1.0"),
        (lambda: auroc([True], [0.1], weights=[1, 1]), r"one weight per item: got \(2,\) weights for 1 items"),
        (lambda: average_precision([True], [0.1], n_unscored=-2), "n_unscored must not be negative or NaN; got -2.0"),
        (lambda: multiclass_auroc([0], [0.1]), r"probabilities are \(n_items, n_classes\); got \(1,\)"),
        (lambda: multiclass_auroc([2], [[0.1, 0.9]]), "codes from 0 to 1; got 2 to 2"),
    ],
)
def test_curves__refuse_what_is_no_ranking(call, message):
    with pytest.raises(ValueError, match=message):
        call()
