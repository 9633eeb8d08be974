"""Agreement in tables of ratings, by cohort and condition, and its differences."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from crowdtruth.agreement import (
    SCOPES,
    STATISTICS,
    agreement_difference,
    agreement_table,
    count_items,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    pairwise_table,
    percent_agreement,
    self_agreement,
    sum_coincidences,
)
from crowdtruth.agreement.formulas import alpha_from
from crowdtruth.resampling import bootstrap, task_groups
from crowdtruth.taxonomy import group_labels
from tests.rating_tables import FEW, KINDS, crowd, matrix_of, study


@pytest.mark.parametrize("scope", SCOPES)
def test_agreement_table__alpha_is_that_of_the_cohorts_matrix(scope):
    ratings = study()
    table = agreement_table(ratings, min_detections=[0], **FEW)
    for (cohort, condition), rows in ratings.groupby(["cohort", "condition"]):
        of_both = (table["cohort"] == cohort) & (table["condition"] == condition)
        found = table[of_both & (table["scope"] == scope)]
        alpha = found.loc[found["statistic"] == "alpha"].iloc[0]
        matrix = matrix_of(rows, scope)
        assert alpha["value"] == pytest.approx(krippendorff_alpha(matrix), abs=1e-12)
        assert alpha["n_anchors"] == (matrix.notna().sum(axis=1) > 1).sum()
        assert alpha["n_raters"] == 3
        assert alpha["low"] < alpha["value"] < alpha["high"]


def test_agreement_table__has_one_row_per_statistic_scope_threshold_cohort_and_condition():
    table = agreement_table(study(), min_detections=[0, 2], **FEW)
    assert len(table) == len(STATISTICS) * len(SCOPES) * 2 * 2 * 2
    assert not table.duplicated(["statistic", "scope", "cohort", "condition", "min_detections"]).any()
    assert (table["resampled"] == "fov").all()
    assert (table["undefined"] == "").all()


def test_agreement_table__counts_anchors_that_enough_of_the_cohort_marked():
    ratings = study(conditions=["u"]).query("cohort == 'P'")
    marked = ratings[ratings["label"] != "undetected"].groupby("anchor").size()
    for least in (2, 3):
        kept = ratings[ratings["anchor"].isin(marked.index[marked >= least])]
        expected = agreement_table(kept, min_detections=[0], **FEW)
        found = agreement_table(ratings, min_detections=[least], **FEW)
        np.testing.assert_allclose(found["value"], expected["value"], atol=1e-12)
        assert found["n_anchors"].tolist() == expected["n_anchors"].tolist()


def test_agreement_table__does_not_depend_on_the_order_of_rows():
    ratings = study()
    table = agreement_table(ratings, **FEW)
    pd.testing.assert_frame_equal(table, agreement_table(ratings.sample(frac=1, random_state=1), **FEW))


def test_agreement_table__resamples_slides():
    ratings = study()
    fovs = pd.DataFrame({"fov": [f"f{i}" for i in range(12)], "slide": [f"s{i % 4}" for i in range(12)]})
    by_slide, by_fov = [agreement_table(ratings, fovs, resample=unit, **FEW) for unit in ("slide", "fov")]
    assert (by_slide["resampled"] == "slide").all()
    np.testing.assert_allclose(by_slide["value"], by_fov["value"], atol=1e-12)
    assert (by_slide["low"] != by_fov["low"]).all()


def test_agreement_table__of_a_crowd_resamples_its_tasks():
    ratings = study().assign(fov="")
    table = agreement_table(ratings, **FEW)
    assert (table["resampled"] == "anchor").all()
    assert (table["low"] < table["value"]).all()


def test_agreement_table__of_a_crowd_deals_its_tasks_into_groups():
    ratings = crowd(500, 4, 8)
    found = agreement_table(ratings, scopes=["classification"], **FEW).set_index("statistic").loc["alpha"]
    counted = count_items(ratings.pivot(index="anchor", columns="rater", values="label"))
    interval = bootstrap(sum_coincidences(counted, task_groups(500)), alpha_from, **FEW)
    assert interval.n_groups == 200
    expected = [interval.value, interval.low, interval.high]
    np.testing.assert_allclose([found["value"], found["low"], found["high"]], expected, atol=1e-9)


def test_agreement_difference__of_a_crowd_pairs_the_same_tasks():
    ratings = crowd(500, 4, 8)
    few = {"scopes": ["classification"], **FEW}
    same = agreement_difference(ratings, ratings, **few)
    assert (same[["value", "low", "high"]] == 0).all(axis=None)
    assert (same["n_groups"] == 200).all()
    # answers of a few tasks more leave the others in their groups
    fewer = ratings[ratings["anchor"] > "t00004"]
    difference = agreement_difference(ratings, fewer, **few)
    assert (difference["high"] - difference["low"] < 0.02).all()


@pytest.mark.parametrize(
    ("labels", "reasons"),
    [
        (["undetected", "undetected"], ["no pairs"] * 8),
        (["tumor", "undetected"], [""] * 4 + ["no pairs"] * 4),
        (["tumor", "tumor"], ["one class", "one class", "", ""] * 2),
        (["", ""], ["no pairs"] * 8),
    ],
    ids=["nobody detected", "one detected", "one class", "all missing"],
)
def test_agreement_table__says_why_a_value_is_empty(labels, reasons):
    ratings = pd.DataFrame({"anchor": "a", "fov": "f", "rater": ["r1", "r2"], "cohort": "P", "condition": "all", "label": labels})  # fmt: skip # noqa: E501
    table = agreement_table(ratings, **FEW)
    assert table["undefined"].tolist() == reasons
    assert table["value"].isna().tolist() == [reason != "" for reason in reasons]


def test_agreement_table__of_one_rater_has_no_pairs():
    table = agreement_table(study().query("rater == 'r1'"), **FEW)
    assert (table["undefined"] == "no pairs").all()
    assert (table["n_anchors"] == 0).all()
    assert (table["n_raters"] == 1).all()


def test_agreement_table__of_no_ratings_has_no_rows():
    assert agreement_table(study().iloc[:0]).empty


STAGES = ["1", "2", "3", "5"]


def stages(seed=5):
    """Ratings of ordered classes by six raters, some missing."""
    ratings = study(seed, conditions=["u"])
    place = np.random.default_rng(seed).integers(0, 2, len(ratings)) + ratings["anchor"].str[1:].astype(int) % 3
    labels = np.array(STAGES)[place]
    return ratings.assign(label=np.where(np.arange(len(ratings)) % 11 == 0, "", labels), cohort="all")


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_agreement_table__of_graded_classes_has_the_values_of_their_matrix(level, weights):
    ratings = stages()
    table = agreement_table(
        ratings, classes=STAGES, level=level, weights=weights, scopes=["classification"], min_detections=[0], **FEW
    ).set_index("statistic")
    matrix = ratings.replace("", None).pivot(index="anchor", columns="rater", values="label").astype(float)
    known = {"classes": [1, 2, 3, 5]}
    assert table["value"].to_dict() == pytest.approx(
        {
            "alpha": krippendorff_alpha(matrix, level=level, **known),
            "fleiss_kappa": fleiss_kappa(matrix, **known),
            "ac2" if weights else "ac1": gwet_ac(matrix, weights=weights, **known),
            "percent_agreement": percent_agreement(matrix, weights=weights, **known),
        },
        abs=1e-9,
    )
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()


@pytest.mark.parametrize("scope", SCOPES)
def test_agreement_table__ordinal_takes_undetected_as_the_last_class(scope):
    ratings = study(conditions=["u"]).assign(cohort="all")
    names = ["tumor", "lymphocyte", "stroma"]
    table = agreement_table(ratings, classes=names, level="ordinal", scopes=[scope], min_detections=[0], **FEW)
    names = [*names, "undetected"] if scope == "detection_and_classification" else names
    alpha = krippendorff_alpha(matrix_of(ratings, scope), level="ordinal", classes=names)
    assert table.loc[table["statistic"] == "alpha", "value"].item() == pytest.approx(alpha, abs=1e-9)


def test_agreement_table__with_weights_of_one_is_unweighted():
    ratings, options = study(), {"scopes": ["classification"], "min_detections": [0, 3], **FEW}
    table = agreement_table(ratings, weights=1 - np.eye(3), **options)
    expected = agreement_table(ratings, **options)
    pd.testing.assert_frame_equal(table.replace("ac2", "ac1"), expected, atol=0.01)
    np.testing.assert_allclose(table["value"], expected["value"], atol=1e-12)


def test_agreement_difference__of_graded_classes_is_the_difference_of_the_values():
    first, second = stages(), stages(6)
    graded = {"classes": STAGES, "level": "ratio", "weights": "linear", "scopes": ["classification"], **FEW}
    difference = agreement_difference(first, second, **graded)
    values = [agreement_table(side, **graded)["value"] for side in (first, second)]
    np.testing.assert_allclose(difference["value"], values[0] - values[1], atol=1e-9)
    assert difference["statistic"].tolist() == ["alpha", "fleiss_kappa", "ac2", "percent_agreement"]


def test_agreement_difference__is_the_difference_of_the_values():
    ratings = study()
    first, second = ratings.query("condition == 'u'"), ratings.query("condition == 'e'")
    difference = agreement_difference(first, second, **FEW)
    values = [agreement_table(side.assign(cohort="all"), **FEW)["value"] for side in (first, second)]
    np.testing.assert_allclose(difference["value"], values[0] - values[1], atol=1e-12)
    assert (difference["n_groups"] == 12).all()
    assert (difference["low"] < difference["high"]).all()


def test_agreement_difference__of_tables_with_different_fovs_takes_all():
    ratings = study(conditions=["u"])
    difference = agreement_difference(ratings.query("fov < 'f5'"), ratings.query("fov > 'f3'"), **FEW)
    assert (difference["n_groups"] == 12).all()


def test_tables__of_a_large_crowd_need_little_memory():
    ratings = crowd(20_000, 10, 100)
    for table_of in (agreement_table, pairwise_table):
        tracemalloc.start()
        table = table_of(ratings, scopes=["classification"], n_replicates=20)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert table["low"].notna().all()
        assert peak < 250e6  # a table of every two raters for each task would be 3.6 GB


def grouped_labels(ratings, grouping):
    return ratings.assign(label=group_labels(ratings["label"], grouping))


@pytest.mark.parametrize("weights", [None, "quadratic"])
@pytest.mark.parametrize(
    "table_of", [agreement_table, pairwise_table, self_agreement], ids=["cohorts", "between", "within"]
)
def test_agreement_tables__group_labels_before_counting(table_of, weights):
    ratings = study()
    ratings.loc[::7, "label"] = "debris"
    options = {} if table_of is agreement_table else {"weights": weights}
    both = table_of(ratings, groupings=[None, KINDS], **options, **FEW)
    grouped = table_of(grouped_labels(ratings, KINDS), classes=KINDS.classes, **options, **FEW)
    found = both[both["grouping"] == "kind"].reset_index(drop=True)
    # a replicate as large as the value counts half, and weighted sums in another order may tell the two apart
    pd.testing.assert_frame_equal(found, grouped.assign(grouping="kind"), atol=0.01)
    assert len(both) == 2 * len(grouped)
    assert (both.loc[both["grouping"] == "raw", "n_anchors"] == grouped["n_anchors"].to_numpy()).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: agreement_table(study().drop(columns="cohort")), r"needs the columns \['cohort'\]"),
        (lambda: agreement_table(study(), scopes=["detection"]), r"got \['detection'\]"),
        (lambda: agreement_table(study(), level="interval"), "numbers, and 'undetected' is none"),
        (
            lambda: agreement_table(study(), level="ratio", scopes=["classification"]),
            r"'ratio' needs classes that are numbers, got \['lymphocyte'",
        ),
        (lambda: agreement_table(study(), level="nominel"), "got 'nominel'"),
        (
            lambda: agreement_table(study(), weights=np.zeros((3, 3))),
            r"weights of 4 classes are \(4, 4\); got \(3, 3\)",
        ),
        (lambda: agreement_table(study(), min_detections=[-1]), r"from 0; got \[-1\]"),
        (lambda: agreement_table(study(), classes=["tumor"]), "labels outside the classes"),
        (lambda: agreement_table(study().assign(fov=study()["rater"])), "an anchor lies in one FOV; 'a0' has several"),
    ],
)
def test_agreement_table__says_what_is_wrong_with_its_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
