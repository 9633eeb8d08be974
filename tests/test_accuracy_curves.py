"""Curves of inferred labels: what is ranked, what counts, and what the bounds are of."""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.accuracy import LabelCurves, asked_fovs, box_reference, cohort_reference, label_curves, label_of_anchors
from crowdtruth.accuracy import curves as accuracy_curves
from crowdtruth.accuracy.curves import CURVE_COLUMNS, SCORE_COLUMNS
from crowdtruth.clustering import cluster_annotations
from crowdtruth.ratings import rate_anchors
from crowdtruth.references import AnchorLabels
from crowdtruth.resampling import bootstrap_weights
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import load_taxonomy
from crowdtruth.truth import infer_labels
from tests.reference import curves as reference

FEW = {"n_replicates": 60, "seed": 1}
KEY = ["cohort", "condition"]


def study_of(seed, n_fovs):
    made = synthesise("demo", n_fovs=n_fovs, seed=seed).study
    located = cluster_annotations(made.annotations)
    ratings = rate_anchors(located.members, made.assignments, made.raters, located.anchors)
    grouping = load_taxonomy("nucls").grouping("super")
    truth = infer_labels(ratings, located.anchors, grouping=grouping).truth
    # without some anchors, so that there are objects nobody marked
    return made, ratings, truth[~truth["anchor"].isin(located.anchors["anchor"][::7])].reset_index(drop=True)


@pytest.fixture(scope="module")
def demo():
    return study_of(seed=3, n_fovs=7)


@pytest.fixture(scope="module")
def judged(demo):
    made, _, truth = demo
    labels = label_of_anchors(
        box_reference(made.reference, "truth.csv", fovs=made.fovs["fov"]),
        truth,
        asked=asked_fovs(truth, made.assignments, made.raters),
        grouping=load_taxonomy("nucls").grouping("super"),
    )
    return labels, label_curves(labels, truth, level="super", **FEW)


def scores_of(found: LabelCurves):
    return found.scores.set_index(["who", "condition", "metric", "class"]).sort_index()


def ranked(labels, truth, cohort, condition):
    """Anchors of one cohort and condition with their labels, and the number of objects without an anchor."""
    rows = labels.labels[(labels.labels[KEY] == [cohort, condition]).all(axis=1)].drop(columns="fov")
    unfound = labels.unfound[(labels.unfound[KEY] == [cohort, condition]).all(axis=1)]
    return rows.merge(truth, on=["anchor", *KEY]), unfound


def test_label_curves__tables_have_their_columns(judged):
    _, found = judged
    assert tuple(found.scores) == SCORE_COLUMNS
    assert tuple(found.curves) == CURVE_COLUMNS
    assert set(found.curves["curve"]) == {"precision_recall", "roc"}
    assert set(found.scores["grouping"]) == {"super"}


def test_label_curves__average_precision_counts_objects_without_an_anchor(demo, judged):
    labels, found = judged
    assert len(labels.unfound) > 0
    for cohort, condition in demo[2][KEY].drop_duplicates().itertuples(index=False):
        rows, unfound = ranked(labels, demo[2], cohort, condition)
        value = scores_of(found).loc[(cohort, condition, "average_precision", "")]
        items = rows["true"] != "", 1 - rows["prob_undetected"], np.ones(len(rows))
        assert value["value"] == pytest.approx(reference.average_precision(*items, len(unfound)))
        assert value["n"] == items[0].sum() + len(unfound)


def test_label_curves__the_published_detection_leaves_them_out(demo, judged):
    labels, _ = judged
    found = scores_of(label_curves(labels, demo[2], least_detections=2, **FEW))
    for cohort, condition in demo[2][KEY].drop_duplicates().itertuples(index=False):
        rows, _ = ranked(labels, demo[2], cohort, condition)
        rows = rows[rows["n_detected"] >= 2]
        items = rows["true"] != "", 1 - rows["prob_undetected"], np.ones(len(rows))
        value = found.loc[(cohort, condition, "average_precision", ""), "value"]
        assert value == pytest.approx(reference.average_precision(*items))


def test_label_curves__areas_are_of_renormalised_probabilities(demo, judged):
    labels, found = judged
    for cohort, condition in demo[2][KEY].drop_duplicates().itertuples(index=False):
        rows, _ = ranked(labels, demo[2], cohort, condition)
        rows = rows[(rows["true"] != "") & rows["is_object"]]
        classes = sorted(rows["true"].unique())
        mass = rows[[f"prob_{name}" for name in classes]]
        rows, mass = rows[mass.sum(axis=1) > 0], mass[mass.sum(axis=1) > 0]
        shares = mass.div(mass.sum(axis=1), axis=0).to_numpy()
        one_hot = rows["true"].to_numpy()[:, None] == np.array(classes)
        ones = np.ones(one_hot.size)
        by_class = [reference.auroc(one_hot[:, k], shares[:, k], ones[: len(rows)]) for k in range(len(classes))]
        value = scores_of(found).loc[(cohort, condition, "auroc")]
        np.testing.assert_allclose(value.loc[classes, "value"].astype(float), by_class)
        assert value.loc["macro", "value"] == pytest.approx(np.mean(by_class))
        assert value.loc["micro", "value"] == pytest.approx(reference.auroc(one_hot.ravel(), shares.ravel(), ones))
        assert value.loc[classes, "n"].sum() == value.loc["micro", "n"] == len(rows)


def test_label_curves__a_replicate_is_the_study_with_fovs_repeated(demo, judged):
    """The percentile interval, from areas of tables in which FOVs stand as often as they were drawn."""
    labels, _ = judged
    cohort, condition = demo[2][KEY].iloc[0]
    rows, unfound = ranked(labels, demo[2], cohort, condition)
    fovs = sorted({*rows["fov"], *unfound["fov"]})
    drawn = bootstrap_weights(len(fovs), **FEW)
    areas = []
    for weights in drawn:
        times = dict(zip(fovs, weights, strict=True))
        n_unscored = sum(times[fov] for fov in unfound["fov"])
        kind, score = rows["true"] != "", 1 - rows["prob_undetected"]
        areas.append(reference.average_precision(kind, score, rows["fov"].map(times), n_unscored))
    found = scores_of(label_curves(labels, demo[2], method="percentile", level="super", **FEW))
    bounds = found.loc[(cohort, condition, "average_precision", ""), ["low", "high"]]
    assert np.min(areas) <= bounds["low"] <= np.quantile(areas, 0.025)  # wider than 95 %, for so few FOVs
    assert np.quantile(areas, 0.975) <= bounds["high"] <= np.max(areas)


def test_label_curves__points_lie_within_their_band(judged):
    curves = judged[1].curves.dropna()
    assert len(curves) > 500
    assert (curves["low"] <= curves["y"] + 1e-12).all()
    assert (curves["y"] <= curves["high"] + 1e-12).all()
    assert curves["x"].between(0, 1).all()


def test_label_curves__roc_rises_and_the_macro_curve_is_the_mean(judged):
    roc = judged[1].curves.query("curve == 'roc'")
    for _, rows in roc.groupby(["who", "condition"]):
        by_class = rows.pivot(index="x", columns="class", values="y")
        assert (by_class.diff().dropna() >= -1e-12).all(axis=None)
        np.testing.assert_allclose(by_class["macro"], by_class.drop(columns=["micro", "macro"]).mean(axis=1))


def test_label_curves__chunks_change_nothing(demo, judged, monkeypatch):
    labels, found = judged
    monkeypatch.setattr(accuracy_curves, "_CHUNK", 1)  # one replicate at a time
    again = label_curves(labels, demo[2], level="super", **FEW)
    pd.testing.assert_frame_equal(again.scores, found.scores)
    pd.testing.assert_frame_equal(again.curves, found.curves)


def test_label_curves__no_cohort_is_held_against_itself(demo):
    _, ratings, truth = demo
    labels = label_of_anchors(cohort_reference(truth, ratings, cohort="SP"), truth)
    assert set(label_curves(labels, truth, **FEW).scores["who"]) == {"NP"}
    own = label_of_anchors(cohort_reference(truth, ratings), truth)
    found = label_curves(own, truth, **FEW)
    assert found.scores.empty
    assert tuple(found.curves) == CURVE_COLUMNS


# small tables


def made(rows, columns=("anchor", "fov", "true", "is_object", "n_detected", "prob_x", "prob_y", "prob_undetected")):
    table = pd.DataFrame(rows, columns=columns).assign(cohort="NP", condition="all")
    told = table[["anchor", "fov", "cohort", "condition", "true"]].assign(reference="truth.csv", is_own=False)
    return AnchorLabels(told, told[:0].drop(columns="is_own"), True), table.drop(columns="true")


def test_label_curves__two_classes_have_the_same_area():
    labels, truth = made(
        [
            ("a", "f", "x", True, 2, 0.8, 0.1, 0.1),
            ("b", "f", "y", True, 2, 0.3, 0.6, 0.1),
            ("c", "g", "y", True, 2, 0.7, 0.2, 0.1),
            ("d", "g", "x", True, 2, 0.5, 0.4, 0.1),
        ]
    )
    areas = scores_of(label_curves(labels, truth, **FEW)).loc[("NP", "all", "auroc"), "value"]
    assert areas["x"] == areas["y"] == areas["macro"] == 0.75


def test_label_curves__of_one_class_there_is_no_area():
    labels, truth = made([("a", "f", "x", True, 2, 0.8, 0.1, 0.1), ("b", "g", "x", True, 2, 0.8, 0.1, 0.1)])
    found = label_curves(labels, truth, **FEW)
    assert scores_of(found).loc[("NP", "all", "auroc"), "value"].isna().all()
    assert scores_of(found).loc[("NP", "all", "average_precision", ""), "value"] == 1
    assert set(found.curves["curve"]) == {"precision_recall"}


def test_label_curves__anchors_without_mass_are_counted():
    labels, truth = made(
        [
            ("a", "f", "x", True, 2, 0.8, 0.1, 0.1),
            ("b", "g", "z", True, 2, 0.8, 0.1, 0.1),
            ("c", "g", "x", True, 2, 0.0, 0.9, 0.1),
        ]
    )
    found = label_curves(labels, truth, **FEW)
    assert found.messages == (
        "NP, all: 1 anchors have no probability for any class of truth.csv and are left out of the ROC",
    )
    assert scores_of(found).loc[("NP", "all", "auroc", "micro"), "n"] == 2


def test_label_curves__what_the_cohort_does_not_take_for_an_object_is_not_classified():
    labels, truth = made(
        [
            ("a", "f", "x", True, 2, 0.8, 0.1, 0.1),
            ("b", "f", "y", True, 2, 0.2, 0.7, 0.1),
            ("c", "g", "y", False, 1, 0.3, 0.1, 0.6),
            ("d", "g", "", True, 1, 0.3, 0.6, 0.1),
        ]
    )
    found = scores_of(label_curves(labels, truth, **FEW))
    assert found.loc[("NP", "all", "auroc", "micro"), "n"] == 2
    assert found.loc[("NP", "all", "average_precision", ""), "n"] == 3


def test_label_curves__of_no_object_there_is_no_detection():
    labels, truth = made([("a", "f", "", True, 2, 0.8, 0.1, 0.1)])
    found = label_curves(labels, truth, **FEW)
    assert found.scores[["metric", "n"]].to_numpy().tolist() == [["average_precision", 0]]
    assert found.scores["value"].isna().all()
    assert found.curves.empty


def test_label_curves__where_nothing_was_marked_nothing_is_found():
    labels, truth = made([])
    unfound = pd.DataFrame({"fov": ["f", "g"], "cohort": "NP", "condition": "all", "true": "x", "reference": "t"})
    found = label_curves(AnchorLabels(labels.labels.astype({"is_own": bool}), unfound, True), truth, **FEW)
    assert found.scores[["metric", "value", "n"]].to_numpy().tolist() == [["average_precision", 0.0, 2]]


def test_label_curves__a_crowd_has_classification_alone():
    rows = [(f"t{i}", "", "xy"[i % 2], True, 2, 0.1 + i / 10, 0.9 - i / 10, 0.0) for i in range(6)]
    labels, truth = made(rows)
    found = label_curves(
        AnchorLabels(labels.labels, labels.unfound, False), truth.drop(columns="prob_undetected"), **FEW
    )
    assert set(found.scores["metric"]) == {"auroc"}
    assert set(found.scores["resampled"]) == {"anchor"}
