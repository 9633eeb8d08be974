"""Agreement of every two raters: their kappas beside those of scikit-learn, their intervals, and the square of them."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from crowdtruth.agreement import SCOPES, count_pairs, kappa_matrix, pairwise_table, shared
from crowdtruth.agreement.formulas import kappa_from, percent_from
from crowdtruth.resampling import bootstrap
from tests.rating_tables import FEW, KINDS, crowd, matrix_of, study


@pytest.mark.parametrize("weights", [None, "linear"])
@pytest.mark.parametrize("scope", SCOPES)
def test_pairwise_table__equals_scikit_learn(scope, weights):
    ratings = study()
    table = pairwise_table(ratings, weights=weights, scopes=[scope], **FEW)
    assert len(table) == 15 * 2
    names = ["lymphocyte", "stroma", "tumor", "undetected"][: 3 if scope == "classification" else 4]
    for row in table.itertuples():
        wide = matrix_of(ratings[ratings["condition"] == row.condition], scope)[[row.first, row.second]].dropna()
        expected = cohen_kappa_score(wide[row.first], wide[row.second], weights=weights, labels=names)
        assert row.kappa == pytest.approx(expected, abs=1e-12)
        assert row.n_anchors == len(wide)
        assert row.percent_agreement == pytest.approx((wide[row.first] == wide[row.second]).mean())
        assert row.low < row.kappa < row.high
    assert table.query("first == 'r0' and second == 'r5'")["first_cohort"].tolist() == ["P", "P"]


def test_pairwise_table__says_why_a_kappa_is_empty():
    labels = {"r1": ["x", "x", "", ""], "r2": ["x", "x", "", "y"], "r3": ["", "", "y", "x"]}
    ratings = pd.DataFrame([
        {"anchor": f"a{i}", "fov": f"f{i}", "rater": rater, "cohort": "P", "condition": "all", "label": label}
        for rater, given in labels.items() for i, label in enumerate(given)
    ])  # fmt: skip
    table = pairwise_table(ratings, scopes=["classification"], min_overlap=2, **FEW)
    assert table["undefined"].tolist() == ["one class", "no pairs", "few shared"]
    assert table["n_anchors"].tolist() == [2, 0, 1]
    assert table["kappa"].isna().all()


@pytest.mark.parametrize("weights", [None, "linear"])
@pytest.mark.parametrize("scope", SCOPES)
def test_pairwise_table__resamples_the_fovs_in_which_two_share_an_anchor(scope, weights):
    ratings = study(conditions=["u"])
    ratings.loc[(ratings["rater"] == "r2") & ratings["fov"].isin(["f3", "f4", "f5"]), "label"] = "undetected"
    table = pairwise_table(ratings, scopes=[scope], weights=weights, **FEW)
    names = ["lymphocyte", "stroma", "tumor", "undetected"][: 3 if scope == "classification" else 4]
    fov_of = ratings.drop_duplicates("anchor").set_index("anchor")["fov"]
    for row in table.itertuples():
        shared = matrix_of(ratings, scope)[[row.first, row.second]].dropna()
        fov, fovs = pd.factorize(fov_of[shared.index], sort=True)
        counted = count_pairs(shared, group=fov, classes=names)
        for name, weight in (("kappa", weights), ("percent_agreement", None)):
            formula = kappa_from if name == "kappa" else percent_from
            interval = bootstrap(counted.tables[0], partial(formula, weights=weight), **FEW)
            bounds = ("low", "high") if name == "kappa" else ("percent_agreement_low", "percent_agreement_high")
            found = [getattr(row, column) for column in (name, *bounds)]
            tolerance = 0.01 if weight else 1e-9  # weighted sums in another order may tell equal replicates apart
            np.testing.assert_allclose(found, [interval.value, interval.low, interval.high], atol=tolerance)
        assert len(fovs) == interval.n_groups


@pytest.mark.parametrize(
    ("ratings", "raters"),
    [(study(), ["r1", "r5"]), (study(), ["r3", "r4"]), (crowd(900, 6, 12), ["w002", "w009"])],
    ids=["few FOVs", "all FOVs", "tasks"],
)
def test_pairwise_table__has_the_interval_of_a_pair_alone(ratings, raters):
    table = pairwise_table(ratings, **FEW)
    alone = pairwise_table(ratings[ratings["rater"].isin(raters)], classes=sorted({*ratings["label"]}), **FEW)
    of_pair = (table["first"] == raters[0]) & (table["second"] == raters[1])
    pd.testing.assert_frame_equal(table[of_pair].reset_index(drop=True), alone)


def test_pairwise_table__without_enough_shared_fovs_has_no_interval():
    ratings = study(conditions=["u"])
    few = ratings[(ratings["rater"] != "r4") | (ratings["fov"].isin([f"f{i}" for i in range(2, 7)]))]
    table = pairwise_table(few, scopes=["detection_and_classification"], **FEW)
    is_few = (table["first"] == "r4") | (table["second"] == "r4")
    assert table["kappa"].notna().all()
    bounds = table[["low", "high", "percent_agreement_low", "percent_agreement_high"]].notna()
    assert (bounds.all(axis=1) == ~is_few).all()
    assert (bounds.any(axis=1) == ~is_few).all()


@pytest.mark.parametrize(("most_shared", "most_pairs"), [(1, 1), (700, 4)])
def test_pairwise_table__in_small_portions_is_the_same(monkeypatch, most_shared, most_pairs):
    ratings = crowd(300, 5, 9)
    expected = pairwise_table(ratings, **FEW)
    monkeypatch.setattr(shared, "_MOST_SHARED", most_shared)
    monkeypatch.setattr(shared, "_MOST_PAIRS", most_pairs)
    pd.testing.assert_frame_equal(pairwise_table(ratings, **FEW), expected)


def test_pairwise_table__takes_the_commonest_of_repeated_ratings():
    rows = [("r1", "x"), ("r1", "y"), ("r1", "y"), ("r2", "y"), ("r3", "y"), ("r3", "x")]
    ratings = pd.DataFrame(rows, columns=["rater", "label"]).assign(anchor="a", fov="", cohort="all", condition="all")
    table = pairwise_table(ratings, scopes=["classification"], **FEW)
    assert table["percent_agreement"].tolist() == [1, 0, 0]


def test_kappa_matrix__is_symmetric_and_leaves_missing_pairs_empty():
    table = pairwise_table(study(conditions=["u"]), scopes=["classification"], **FEW)
    square = kappa_matrix(table.drop(index=0))
    np.testing.assert_array_equal(square, square.T)
    assert np.isnan(square.loc["r0", "r1"])
    assert square.loc["r1", "r2"] == table.query("first == 'r1' and second == 'r2'")["kappa"].item()
    with pytest.raises(ValueError, match="one condition, grouping and scope"):
        kappa_matrix(pairwise_table(study(), **FEW))


def test_pairwise_table__of_raw_labels_outside_the_grouping_names_them():
    with pytest.raises(ValueError, match="labels outside the taxonomy: 'mast cell'"):
        pairwise_table(study().replace({"label": {"tumor": "mast cell"}}), groupings=[KINDS], **FEW)
