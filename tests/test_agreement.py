"""Coefficients of agreement: published examples, other programs, plain versions, and what must always hold."""

import json
import warnings

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from crowdtruth.agreement import (
    agreement_level,
    cohen_kappa,
    count_items,
    count_pairs,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    pairwise_kappa,
    percent_agreement,
    sum_coincidences,
    sum_over_groups,
    why_undefined,
)
from crowdtruth.agreement.counts import encode_matrix
from crowdtruth.agreement.formulas import alpha_from, disagreement_weights, fleiss_from, gwet_from, kappa_from
from crowdtruth.ratings import Ratings
from tests.reference import agreement as reference

LEVELS = ["nominal", "ordinal", "interval", "ratio"]
CLASSES = [1, 2, 3, 5]

label = st.sampled_from([*CLASSES, None])
tables = st.integers(2, 5).flatmap(
    lambda n_raters: st.lists(st.lists(label, min_size=n_raters, max_size=n_raters), min_size=1, max_size=8)
)


def as_matrix(rows):
    return np.array([[np.nan if label is None else label for label in row] for row in rows], float)


@pytest.fixture
def four_by_twelve(data_dir):
    return pd.read_csv(data_dir / "agreement" / "krippendorff_4x12.csv", index_col="Units")


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_krippendorff_alpha__gives_the_published_values_of_four_observers(four_by_twelve, level, alpha):
    assert krippendorff_alpha(four_by_twelve, level=level) == pytest.approx(alpha, abs=5e-4)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.691), ("interval", 0.811)])
def test_krippendorff_alpha__gives_the_published_values_of_three_coders(data_dir, level, alpha):
    units = json.loads((data_dir / "agreement" / "three_coders_15.json").read_text())
    matrix = np.full((15, 3), np.nan)
    for unit, values in units.items():
        for coder, value in values.items():
            matrix[int(unit), int(coder)] = value
    assert krippendorff_alpha(matrix, level=level) == pytest.approx(alpha, abs=5e-4)


def test_fleiss_kappa__gives_the_published_value_of_1971(data_dir):
    diagnoses = pd.read_csv(data_dir / "agreement" / "fleiss_1971.csv")
    assert fleiss_kappa(diagnoses) == pytest.approx(0.430, abs=5e-4)


def test_gwet_ac__gives_the_published_values_of_four_observers(four_by_twelve):
    # Gwet's table of the same four observers, with items of a single rating in the shares of the classes
    assert gwet_ac(four_by_twelve) == pytest.approx(0.77544, abs=5e-6)
    assert fleiss_kappa(four_by_twelve) == pytest.approx(0.76117, abs=5e-6)
    assert percent_agreement(four_by_twelve) == pytest.approx(0.81818, abs=5e-6)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("missing", [0, 0.3, 0.7])
def test_krippendorff_alpha__equals_the_krippendorff_package(level, missing):
    rng = np.random.default_rng(3)
    for _ in range(10):
        matrix = rng.integers(1, 6, (40, 5)).astype(float)
        matrix[rng.random(matrix.shape) < missing] = np.nan
        expected = krippendorff.alpha(matrix.T, level_of_measurement=level)
        assert krippendorff_alpha(matrix, level=level) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_classes", [1, 2, 8, 9, 63])
@pytest.mark.parametrize("missing", [0, 0.4])
def test_krippendorff_alpha__is_one_for_all_forms_of_the_same_labels(n_classes, missing):
    rng = np.random.default_rng(8)
    truth = rng.integers(0, n_classes, (700, 1))
    matrix = np.where(rng.random((700, 6)) < 0.5, truth, rng.integers(0, n_classes, (700, 6))).astype(float)
    matrix[rng.random(matrix.shape) < missing] = np.nan
    names = np.where(np.isnan(matrix), "", np.nan_to_num(matrix).astype(int).astype(str))
    forms = [matrix, np.asfortranarray(matrix), matrix.astype(np.float32), matrix[::1, ::-1], matrix + 0.5, names]
    expected = krippendorff_alpha(count_items(names))
    for form in forms:
        assert krippendorff_alpha(form) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    if n_classes > 1:
        package = krippendorff.alpha(matrix.T, level_of_measurement="nominal")
        assert expected == pytest.approx(package, abs=1e-12)


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8, bool])
def test_krippendorff_alpha__takes_whole_numbers_of_any_kind(kind):
    matrix = np.random.default_rng(2).integers(0, 2, (50, 4)).astype(kind)
    expected = krippendorff.alpha(matrix.T.astype(float), level_of_measurement="nominal")
    assert krippendorff_alpha(matrix) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_raters", [254, 255, 256, 300])
def test_krippendorff_alpha__of_many_raters_counts_beyond_a_byte(n_raters):
    matrix = np.random.default_rng(5).integers(0, 2, (30, n_raters)).astype(float)
    matrix[:10] = 1  # as many ratings of one class as there are raters
    expected = krippendorff.alpha(matrix.T, level_of_measurement="nominal")
    assert krippendorff_alpha(matrix) == pytest.approx(expected, abs=1e-12)


def test_fleiss_kappa__equals_statsmodels():
    rng = np.random.default_rng(4)
    matrix = np.where(rng.random((60, 6)) < 0.5, rng.integers(0, 4, (60, 1)), rng.integers(0, 4, (60, 6)))
    assert fleiss_kappa(matrix) == pytest.approx(statsmodels_fleiss(count_items(matrix).counts), abs=1e-12)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_kappa__equals_scikit_learn(weights):
    rng = np.random.default_rng(6)
    for _ in range(10):
        first, second = rng.integers(0, 5, (2, 80)).astype(float)
        first[rng.random(80) < 0.2] = np.nan
        both = ~np.isnan(first)
        expected = cohen_kappa_score(first[both], second[both], weights=weights, labels=range(5))
        assert cohen_kappa(first, second, weights=weights, classes=range(5)) == pytest.approx(expected, abs=1e-12)


@given(tables, st.sampled_from(LEVELS))
def test_krippendorff_alpha__equals_the_definition(rows, level):
    expected = reference.alpha(rows, level)
    assert krippendorff_alpha(as_matrix(rows), level=level) == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(tables)
def test_fleiss_kappa__equals_the_definition(rows):
    assert fleiss_kappa(as_matrix(rows)) == pytest.approx(reference.fleiss(rows, CLASSES), abs=1e-9, nan_ok=True)


@given(tables, st.sampled_from([None, "linear", "quadratic"]))
def test_gwet_ac__equals_the_definition(rows, weights):
    agreement = 1 - disagreement_weights(weights, len(CLASSES))

    def weight(a, b):
        return agreement[CLASSES.index(a), CLASSES.index(b)]

    expected = reference.gwet(rows, CLASSES, weight)
    found = gwet_ac(as_matrix(rows), weights=weights, classes=CLASSES)
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)
    found = percent_agreement(as_matrix(rows), weights=weights, classes=CLASSES)
    assert found == pytest.approx(reference.percent(rows, weight), abs=1e-9, nan_ok=True)


@given(tables, st.sampled_from([None, "linear", "quadratic"]))
def test_pairwise_kappa__equals_the_definition_of_every_two(rows, weights):
    agreement = 1 - disagreement_weights(weights, len(CLASSES))
    kappa, shared = pairwise_kappa(as_matrix(rows), weights=weights, classes=CLASSES)
    columns = list(zip(*rows, strict=True))
    for i, j in zip(*np.triu_indices(len(columns), 1), strict=True):
        expected = reference.kappa(
            columns[i], columns[j], CLASSES, lambda a, b: agreement[CLASSES.index(a), CLASSES.index(b)]
        )
        assert kappa[i, j] == kappa[j, i] or np.isnan(kappa[i, j])
        assert kappa[i, j] == pytest.approx(expected, abs=1e-9, nan_ok=True)
        both = sum(a is not None and b is not None for a, b in zip(columns[i], columns[j], strict=True))
        assert shared[i, j] == shared[j, i] == both


def test_pairwise_kappa__leaves_out_pairs_with_little_in_common():
    kappa, shared = pairwise_kappa([["a", "a", ""], ["b", "b", ""], ["a", "b", "a"]], min_overlap=2)
    assert shared[0].tolist() == [3, 3, 1]
    assert np.isnan(kappa[0, 2])
    assert kappa[0, 1] == pytest.approx(0.4)


COEFFICIENTS = [krippendorff_alpha, fleiss_kappa, gwet_ac, percent_agreement]


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
@given(rows=tables, seed=st.integers(0, 99))
def test_coefficients__do_not_depend_on_the_order_of_rows_and_columns(coefficient, rows, seed):
    rng = np.random.default_rng(seed)
    matrix = as_matrix(rows)
    shuffled = rng.permutation(rng.permutation(matrix, axis=0), axis=1)
    assert coefficient(shuffled) == pytest.approx(coefficient(matrix), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_coefficients__are_one_for_copies(coefficient):
    column = np.random.default_rng(0).integers(0, 20, (50, 1))
    assert coefficient(np.repeat(column, 3, axis=1)) == pytest.approx(1, abs=1e-14)
    assert coefficient(np.repeat(column, 3, axis=1).astype(str)) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((0, 3)), [[1], [2]], [[np.nan, np.nan], [np.nan, np.nan]], [[1, np.nan], [np.nan, 2]]],
    ids=["no items", "one rater", "all missing", "no pairable item"],
)
@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_coefficients__without_a_pair_are_undefined(coefficient, matrix):
    assert np.isnan(coefficient(matrix))
    assert why_undefined(sum_coincidences(count_items(matrix)).sum(axis=0)) == "no pairs"


def test_coefficients__of_a_single_class():
    matrix = [["a", "a", "a"], ["a", "a", ""]]
    assert np.isnan(krippendorff_alpha(matrix))
    assert np.isnan(fleiss_kappa(matrix))
    assert np.isnan(cohen_kappa(["a", "a"], ["a", "a"]))
    assert percent_agreement(matrix) == gwet_ac(matrix) == gwet_ac(matrix, classes=["a", "b"]) == 1
    assert why_undefined(sum_coincidences(count_items(matrix))[0]) == "one class"


def test_cohen_kappa__of_two_who_never_agree_and_never_vary_is_zero():
    assert cohen_kappa(["a", "a"], ["b", "b"]) == 0


def test_why_undefined__is_empty_for_a_defined_coefficient():
    assert why_undefined([[1, 1], [1, 2]]) == ""


@pytest.mark.parametrize("n_classes", [2, 9, 33, 300])
def test_krippendorff_alpha__of_ratings_equals_that_of_their_matrix(n_classes):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, n_classes, (60, 7))
    item, rater = np.indices(codes.shape)
    ratings = Ratings(item.ravel(), rater.ravel(), codes.ravel(), 60, 7, n_classes)
    expected = krippendorff.alpha(codes.T, level_of_measurement="interval")
    for same in (ratings, codes, codes.astype(float), np.asfortranarray(codes)):
        assert krippendorff_alpha(same, level="interval") == pytest.approx(expected, abs=1e-12)
    assert krippendorff_alpha(codes.astype(str)) == pytest.approx(krippendorff_alpha(codes), abs=1e-12)


def test_krippendorff_alpha__counts_repeats_of_one_rater():
    ratings = Ratings(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0]), 2, 2, 2)
    assert krippendorff_alpha(ratings) == krippendorff_alpha([[0, 0], [1, 0]])


def test_krippendorff_alpha__ordinal_takes_the_order_of_classes():
    rows = [["low", "mid"], ["high", "high"], ["mid", "mid"], ["low", "low"], ["mid", "high"]]
    numbers = [[{"low": 0, "mid": 1, "high": 2}[label] for label in row] for row in rows]
    found = krippendorff_alpha(rows, level="ordinal", classes=["low", "mid", "high"])
    assert found == pytest.approx(krippendorff_alpha(numbers, level="ordinal"))
    assert found != pytest.approx(krippendorff_alpha(rows, level="ordinal"))


@given(tables)
def test_formulas__take_leading_axes_along(rows):
    items = count_items(as_matrix(rows), classes=CLASSES)
    sums = sum_over_groups(items, np.arange(len(rows)))
    np.testing.assert_allclose(sums.pairs.sum(axis=0), sum_over_groups(items).pairs[0], atol=1e-12)
    for i, row in enumerate(rows):
        alone = sum_over_groups(count_items(as_matrix([row]), classes=CLASSES))
        for level in LEVELS:
            of_all = alpha_from(sums.coincidences, level=level, classes=CLASSES)
            np.testing.assert_allclose(of_all[i], alpha_from(alone.coincidences[0], level=level, classes=CLASSES))
        for formula in (fleiss_from, gwet_from):
            np.testing.assert_allclose(formula(sums.pairs, sums.shares)[i], formula(alone.pairs[0], alone.shares[0]))


def test_count_pairs__splits_by_group_and_takes_the_pairs_asked_for():
    matrix = [["a", "a", "b"], ["b", "a", "b"], ["a", "", "a"]]
    counted = count_pairs(matrix, pairs=[[2, 0]], group=[1, 0, 1], n_groups=3)
    assert counted.tables.tolist() == [[[[0, 0], [0, 1]], [[1, 0], [1, 0]], [[0, 0], [0, 0]]]]
    assert counted.n_rated.tolist() == [3, 2, 3]


@given(tables)
def test_encode_matrix__codes_point_at_the_labels(rows):
    for matrix in (as_matrix(rows), np.array(rows, dtype=object), np.asfortranarray(as_matrix(rows))):
        codes, classes = encode_matrix(matrix)
        assert classes.tolist() == sorted({label for row in rows for label in row if label is not None})
        found = [[None if code == len(classes) else classes[code] for code in row] for row in codes]
        assert found == rows


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: krippendorff_alpha([1, 2]), r"one row per item and one column per rater; got \(2,\)"),
        (lambda: krippendorff_alpha([[1, 2]], level="nominel"), "level is 'nominal'.*got 'nominel'"),
        (lambda: krippendorff_alpha([["a", "b"]], level="interval"), "needs classes that are numbers"),
        (lambda: krippendorff_alpha([[-1, 2]], level="ratio"), "none negative; got"),
        (lambda: krippendorff_alpha([["a", "b"]], classes=["a"]), r"outside the classes \['a'\]: \['b'\]"),
        (lambda: krippendorff_alpha([["a", "b"]], classes=["a", "a"]), "every class once"),
        (lambda: gwet_ac([[1, 2]], weights="cubic"), "'linear', 'quadratic' or a matrix; got 'cubic'"),
        (lambda: gwet_ac([[1, 2]], weights=np.eye(3)), r"\(2, 2\); got \(3, 3\)"),
        (lambda: gwet_ac([[1, 2]], weights=np.eye(2)), "zero on the diagonal"),
        (lambda: cohen_kappa([1, 2], [1]), r"one label per item each; got \(2,\) and \(1,\)"),
        (lambda: count_pairs([[1, 2]], pairs=[[0, 2]]), "columns from 0 to 1; got 0 to 2"),
        (lambda: count_pairs([[1, 2]], group=[0, 1]), r"got \(2,\) codes for 1 items"),
        (lambda: count_pairs([[1, 2]], group=[3], n_groups=2), "codes from 0 to 1; got 3"),
        (lambda: sum_over_groups(count_items([[1, 2]]), [0, 1]), r"got \(2,\) codes for 1 items"),
        (lambda: sum_over_groups(count_items([[1, 2]]), [-1]), "codes from 0"),
        (lambda: count_items(Ratings(*np.zeros((3, 1), int), 1, 1, 2), classes=["a"]), "2 classes, 1 names"),
        (lambda: kappa_from(np.zeros((2, 3))), r"got \(2, 3\)"),
        (lambda: agreement_level(1.1), "at most 1, got 1.1"),
    ],
)
def test_agreement__says_what_is_wrong_with_its_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("value", "words"),
    [(-0.1, "poor"), (0, "slight"), (0.2, "slight"), (0.21, "fair"), (0.555, "moderate"), (0.8, "substantial"),
     (0.81, "near perfect"), (1, "near perfect"), (np.nan, "undefined")],
)  # fmt: skip
def test_agreement_level__says_it_in_words(value, words):
    assert agreement_level(value) == words


def test_coefficients__warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairwise_kappa(np.full((3, 3), np.nan))
