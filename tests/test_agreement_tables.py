"""Agreement in tables of ratings: by cohort and condition, by pair of raters, within raters, and the map of raters."""

import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from crowdtruth.agreement import (
    SCOPES,
    STATISTICS,
    agreement_difference,
    agreement_table,
    count_items,
    count_pairs,
    fleiss_kappa,
    gwet_ac,
    kappa_matrix,
    krippendorff_alpha,
    pairwise_table,
    percent_agreement,
    rater_map,
    rater_map_table,
    self_agreement,
    shared,
    sum_coincidences,
)
from crowdtruth.agreement.formulas import alpha_from, kappa_from, percent_from
from crowdtruth.resampling import bootstrap, task_groups
from crowdtruth.taxonomy import group_labels, parse_taxonomy

FEW = {"n_replicates": 200}


def study(seed=0, n_anchors=120, n_raters=6, conditions=("u", "e")):
    """Ratings of two cohorts under two conditions; rater r5 was not asked in the first FOVs."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n_anchors)
    rows = []
    for condition in conditions:
        for rater in range(n_raters):
            said = np.where(rng.random(n_anchors) < 0.7, truth, rng.integers(0, 4, n_anchors))
            label = np.array(["lymphocyte", "stroma", "tumor", "undetected"])[said]
            rows.append(
                pd.DataFrame(
                    {
                        "anchor": [f"a{i}" for i in range(n_anchors)],
                        "fov": [f"f{i % 12}" for i in range(n_anchors)],
                        "rater": f"r{rater}",
                        "cohort": "NP" if rater % 2 else "P",
                        "condition": condition,
                        "label": label,
                    }
                )
            )
    ratings = pd.concat(rows, ignore_index=True)
    return ratings[~((ratings["rater"] == "r5") & ratings["fov"].isin(["f0", "f1"]))].reset_index(drop=True)


def matrix_of(ratings, scope):
    """Labels, anchors × raters, with what is missing in the scope as None."""
    wide = ratings.pivot(index="anchor", columns="rater", values="label")
    return wide.mask(wide == "undetected") if scope == "classification" else wide


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


def crowd(n_tasks, n_answers, n_workers, seed=0):
    """Answers of a crowd table, each worker right 7 times in 10; who answers a task is drawn."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 3, n_tasks), n_answers)
    task = np.repeat(np.arange(n_tasks), n_answers)
    worker = np.argsort(rng.random((n_tasks, n_workers)), axis=1)[:, :n_answers].ravel()
    label = np.where(rng.random(len(task)) < 0.7, truth, rng.integers(0, 3, len(task)))
    names = {"anchor": [f"t{i:05d}" for i in task], "rater": [f"w{i:03d}" for i in worker]}
    ratings = pd.DataFrame({**names, "label": np.array(list("xyz"))[label]})
    return ratings.assign(fov="", cohort="all", condition="all")


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


def test_tables__of_a_large_crowd_need_little_memory():
    ratings = crowd(20_000, 10, 100)
    for table_of in (agreement_table, pairwise_table):
        tracemalloc.start()
        table = table_of(ratings, scopes=["classification"], n_replicates=20)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert table["low"].notna().all()
        assert peak < 250e6  # a table of every two raters for each task would be 3.6 GB


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


def test_self_agreement__equals_scikit_learn():
    ratings = study()
    table = self_agreement(ratings, between=[("u", "e")], scopes=["detection_and_classification"], **FEW)
    assert table["rater"].tolist() == [f"r{i}" for i in range(6)]
    for row in table.itertuples():
        own = ratings[ratings["rater"] == row.rater].pivot(index="anchor", columns="condition", values="label")
        assert row.kappa == pytest.approx(cohen_kappa_score(own["u"], own["e"]), abs=1e-12)
        assert row.n_anchors == len(own)


def clicks_of(ratings, share):
    """A mark for each label that is one; of the condition e, so many of each rater are clicks."""
    marks = ratings[ratings["label"] != "undetected"]
    place = marks.groupby(["rater", "condition"]).cumcount()
    size = marks.groupby(["rater", "condition"])["label"].transform("size")
    is_click = (marks["condition"] == "e") & (place < share * size)
    return marks.assign(kind=np.where(is_click, "click", "box"))[["fov", "rater", "condition", "kind"]]


def test_self_agreement__counts_the_clicks_of_each_rater_alone():
    ratings = study().replace({"rater": {"r0": "NP.1", "r1": "NP.10", "r2": "NP.11"}})
    marks = clicks_of(ratings, 0.25)
    marks.loc[marks["rater"] == "NP.10", "kind"] = "click"
    table = self_agreement(ratings, annotations=marks, scopes=["classification"], **FEW).set_index("rater")
    for rater, row in table.iterrows():
        own = marks[marks["rater"] == rater]
        second = own[own["condition"] == row["second_condition"]]
        assert row["n_marks_first"] == (own["condition"] == row["first_condition"]).sum()
        assert row["n_marks_second"] == len(second)
        assert row["n_clicks_second"] == (second["kind"] == "click").sum()
        assert row["proportion_clicked"] == pytest.approx((second["kind"] == "click").mean())
    assert table.loc["NP.10", "proportion_clicked"] == 1
    assert table.loc["NP.1", "proportion_clicked"] == pytest.approx(0.25, abs=0.01)


def test_self_agreement__resamples_the_fovs_of_a_raters_marks():
    ratings = study()
    marks = clicks_of(ratings, 0.5)
    marks = marks[(marks["rater"] != "r2") | (marks["fov"] < "f2")]  # f0, f1, f10, f11: too few for an interval
    table = self_agreement(ratings, annotations=marks, between=[("u", "e")], scopes=["classification"], **FEW)
    for row in table.itertuples():
        own = marks[(marks["rater"] == row.rater) & (marks["condition"] == "e")]
        of_fov = own.assign(clicked=own["kind"] == "click").groupby("fov")["clicked"].agg(["sum", "size"])
        interval = bootstrap(of_fov.to_numpy(), lambda sums: sums[..., 0] / sums[..., 1], **FEW)
        found = [row.proportion_clicked, row.proportion_clicked_low, row.proportion_clicked_high]
        np.testing.assert_allclose(found, [interval.value, interval.low, interval.high], atol=1e-12)
        assert np.isnan(row.proportion_clicked_low) == (row.rater == "r2")


def test_self_agreement__compares_every_two_conditions_that_without_clicks_first():
    ratings = study(conditions=("b", "e", "u"))
    marks = clicks_of(ratings, 0.5)
    marks.loc[(marks["condition"] == "b") & (np.arange(len(marks)) % 5 == 0), "kind"] = "click"
    table = self_agreement(ratings, annotations=marks, scopes=["classification"], **FEW)
    found = table[["first_condition", "second_condition"]].drop_duplicates()
    assert found.to_numpy().tolist() == [["u", "b"], ["u", "e"], ["b", "e"]]


def test_self_agreement__without_marks_knows_no_clicks():
    ratings = study()
    table = self_agreement(ratings, scopes=["classification"], **FEW)
    assert set(table["first_condition"]) == {"e"}  # by name, where clicks say nothing
    assert table[["n_clicks_second", "proportion_clicked"]].isna().all(axis=None)
    detected = ratings[(ratings["label"] != "undetected") & (ratings["condition"] == "u")].groupby("rater").size()
    assert table["n_marks_second"].tolist() == detected.tolist()


def test_self_agreement__of_one_condition_has_no_rows():
    table = self_agreement(study(conditions=["u"]), **FEW)
    assert table.empty
    assert "proportion_clicked" in table


def grouped_labels(ratings, grouping):
    return ratings.assign(label=group_labels(ratings["label"], grouping))


KINDS = parse_taxonomy(
    {
        "name": "cells",
        "levels": ["kind"],
        "classes": [
            {"name": "tumor", "kind": "tumor"},
            {"name": "stroma", "kind": "other"},
            {"name": "lymphocyte", "kind": "other"},
            {"name": "debris", "kind": "AMBIGUOUS"},
        ],
    }
).grouping("kind")


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


def test_pairwise_table__of_raw_labels_outside_the_grouping_names_them():
    with pytest.raises(ValueError, match="labels outside the taxonomy: 'mast cell'"):
        pairwise_table(study().replace({"label": {"tumor": "mast cell"}}), groupings=[KINDS], **FEW)


def test_rater_map_table__has_a_map_for_each_condition_grouping_and_scope():
    pairs = pairwise_table(study(), groupings=[None, KINDS], **FEW)
    table = rater_map_table(pairs, seed=1)
    assert [*table] == ["condition", "grouping", "scope", "rater", "cohort", "x", "y"]
    assert len(table) == 2 * 2 * 2 * 6
    assert table.set_index("rater")["cohort"].to_dict() == {f"r{i}": "NP" if i % 2 else "P" for i in range(6)}
    key = ["condition", "grouping", "scope"]
    for values, places in table.groupby(key):
        own = pairs[(pairs[key] == list(values)).all(axis=1)]
        expected = rater_map(kappa_matrix(own), seed=1).positions
        np.testing.assert_array_equal(places[["x", "y"]], expected[["x", "y"]])


def test_rater_map_table__leaves_raters_without_a_link_to_the_others_empty():
    pairs = pairwise_table(study(conditions=["u"]), scopes=["classification"], **FEW)
    pairs.loc[(pairs["first"] == "r2") | (pairs["second"] == "r2"), "kappa"] = np.nan
    table = rater_map_table(pairs).set_index("rater")
    assert table.index[table["x"].isna()].tolist() == ["r2"]
    assert table.loc["r2", "cohort"] == "P"


def test_self_agreement__leaves_out_who_was_asked_under_one_condition_only():
    ratings = study()
    ratings = ratings[~((ratings["rater"] == "r2") & (ratings["condition"] == "e"))]
    table = self_agreement(ratings, between=[("u", "e")], **FEW)
    assert "r2" not in set(table["rater"])
    assert len(table) == 5 * 2


def test_rater_map__recovers_a_plane_with_missing_pairs():
    rng = np.random.default_rng(3)
    place = rng.uniform(0, 0.6, (10, 2))
    distance = np.sqrt(((place[:, None] - place[None]) ** 2).sum(-1))
    kappa = 1 - distance
    missing = [(0, 1), (2, 7), (4, 9), (3, 5)]
    for i, j in missing:
        kappa[i, j] = kappa[j, i] = np.nan
    names = [f"r{i}" for i in range(10)]
    found = rater_map(pd.DataFrame(kappa, names, names), n_iterations=5000)
    xy = found.positions[["x", "y"]].to_numpy()
    np.testing.assert_allclose(np.sqrt(((xy[:, None] - xy[None]) ** 2).sum(-1)), distance, atol=0.01)
    assert found.stress < 0.01
    assert (found.positions["component"] == 0).all()
    np.testing.assert_allclose(xy.mean(axis=0), 0, atol=1e-9)


def test_rater_map__same_seed_same_map():
    square = kappa_matrix(pairwise_table(study(conditions=["u"]), scopes=["classification"], **FEW))
    pd.testing.assert_frame_equal(rater_map(square, seed=4).positions, rater_map(square, seed=4).positions)


def test_rater_map__puts_perfect_agreement_in_one_place():
    names = ["a", "b", "c"]
    kappa = pd.DataFrame([[1, 1, 0.2], [1, 1, 0.2], [0.2, 0.2, 1]], names, names)
    xy = rater_map(kappa).positions[["x", "y"]].to_numpy()
    np.testing.assert_allclose(xy[0], xy[1], atol=1e-4)
    assert np.hypot(*(xy[0] - xy[2])) == pytest.approx(0.8, abs=1e-3)


def test_rater_map__lays_out_each_component_by_itself():
    names = ["a", "b", "c", "d", "alone"]
    kappa = np.full((5, 5), np.nan)
    np.fill_diagonal(kappa, 1)
    kappa[0, 2] = kappa[2, 0] = 0.4
    kappa[1, 3] = kappa[3, 1] = 0.8
    positions = rater_map(pd.DataFrame(kappa, names, names)).positions
    assert positions["component"].tolist() == [0, 1, 0, 1, 2]
    assert positions["x"].tolist() == pytest.approx([0.3, 0.1, -0.3, -0.1, 0])


def test_rater_map__of_one_or_no_rater():
    single = rater_map(pd.DataFrame([[1.0]], ["a"], ["a"]))
    assert single.positions[["x", "y"]].to_numpy().tolist() == [[0, 0]]
    assert np.isnan(single.stress)
    assert rater_map(pd.DataFrame(np.zeros((0, 0)))).positions.empty


SQUARE = pd.DataFrame([[1, 2], [2, 1]])


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
        (lambda: self_agreement(study(), between=["ue"]), "between two conditions, first and second; got 'ue'"),
        (lambda: self_agreement(study(), annotations=study()), "missing: kind"),
        (lambda: self_agreement(study(), between=[("u", "b")]), "no ratings under condition 'b'; there are"),
        (lambda: rater_map(SQUARE), "kappa is at most 1, got 2"),
        (lambda: rater_map(SQUARE.iloc[:1]), r"symmetric square; got a table of \(1, 2\)"),
    ],
)
def test_agreement_tables__say_what_is_wrong_with_their_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
