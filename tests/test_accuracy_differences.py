"""Paired differences: the same FOVs on both sides."""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.accuracy import (
    accuracy_difference,
    area_difference,
    box_reference,
    label_accuracy,
    label_curves,
    label_of_anchors,
    rater_outcomes,
    task_reference,
)
from crowdtruth.clustering import cluster_annotations
from crowdtruth.outcomes import Outcomes
from crowdtruth.ratings import rate_anchors
from crowdtruth.references import AnchorLabels
from crowdtruth.synthetic import synthesise
from crowdtruth.truth import infer_labels

FEW = {"n_replicates": 60, "seed": 1}


@pytest.fixture(scope="module")
def study():
    return synthesise("demo", n_fovs=6, seed=8).study


@pytest.fixture(scope="module")
def judged(study):
    located = cluster_annotations(study.annotations)
    ratings = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    truth = infer_labels(ratings, located.anchors).truth
    return label_of_anchors(box_reference(study.reference, "t", fovs=study.fovs["fov"]), truth), truth


def outcomes_of(study, rater, condition):
    one = study.assignments.query("rater == @rater and condition == @condition")
    return rater_outcomes(
        box_reference(study.reference, "t", fovs=study.fovs["fov"]),
        assignments=one,
        raters=study.raters,
        annotations=study.annotations,
    )


def test_accuracy_difference__is_that_of_the_scores(study):
    who = study.raters["rater"].iloc[0]
    sides = [outcomes_of(study, who, condition) for condition in ("E", "U-control")]
    table = accuracy_difference(*sides, **FEW).set_index("metric")
    scores = [label_accuracy(side, **FEW).query("`class` == ''").set_index("metric")["value"] for side in sides]
    for name in ("precision", "recall", "f1", "class_accuracy", "mcc"):
        assert table.loc[name, "value"] == pytest.approx(scores[0][name] - scores[1][name])
        assert table.loc[name, "low"] <= table.loc[name, "value"] <= table.loc[name, "high"]


def test_accuracy_difference__of_a_side_with_itself_is_nothing(study):
    outcomes = outcomes_of(study, study.raters["rater"].iloc[0], "E")
    table = accuracy_difference(outcomes, outcomes, **FEW)
    assert (table[["value", "low", "high"]] == 0).all(axis=None)


def test_accuracy_difference__fovs_are_paired_by_name(study):
    who = study.raters["rater"].iloc[0]
    sides = [outcomes_of(study, who, condition) for condition in ("E", "U-control")]
    shuffled = [
        Outcomes(o.rows.sample(frac=1, random_state=1).reset_index(drop=True), o.judged, True, "raw") for o in sides
    ]
    pd.testing.assert_frame_equal(accuracy_difference(*sides, **FEW), accuracy_difference(*shuffled, **FEW))


def test_area_difference__is_that_of_the_areas(judged):
    labels, truth = judged
    table = area_difference(labels, truth, ("NP", "E"), ("NP", "U-control"), **FEW).set_index(["metric", "class"])
    areas = (
        label_curves(labels, truth, **FEW)
        .scores.set_index(["who", "condition", "metric", "class"])["value"]
        .sort_index()
    )
    for name in table.index:
        assert table.loc[name, "value"] == pytest.approx(areas[("NP", "E", *name)] - areas[("NP", "U-control", *name)])
    assert {("average_precision", ""), ("auroc", "micro"), ("auroc", "macro")} <= set(table.index)
    assert (table["n_groups"] == 6).all()


def test_area_difference__of_a_side_with_itself_is_nothing(judged):
    table = area_difference(*judged, ("NP", "E"), ("NP", "E"), **FEW).dropna()
    assert len(table) >= 3
    assert (table[["value", "low", "high"]] == 0).all(axis=None)


def test_area_difference__says_who_is_judged(judged):
    with pytest.raises(
        ValueError, match=r"no labels of \[\('P', 'E'\)\] are judged; there are those of \[\('NP', 'E'\)"
    ):
        area_difference(*judged, ("P", "E"), ("NP", "E"))


def test_differences__refuse_a_crowd():
    gold = task_reference(pd.DataFrame({"anchor": ["t"], "label": ["a"]}), "gold")
    raters = pd.DataFrame({"rater": ["r"], "cohort": ["all"]})
    ratings = pd.DataFrame({"anchor": ["t"], "label": ["a"], "fov": "", "rater": "r", "condition": "all"})
    outcomes = rater_outcomes(gold, assignments=raters[:0], raters=raters, ratings=ratings)
    with pytest.raises(ValueError, match="tasks of a crowd table lie in no FOV"):
        accuracy_difference(outcomes, outcomes)
    told = pd.DataFrame(columns=["anchor", "fov", "cohort", "condition", "true", "reference", "is_own"])
    with pytest.raises(ValueError, match="tasks of a crowd table lie in no FOV"):
        area_difference(AnchorLabels(told, told, np.False_), told, ("a", "b"), ("a", "b"))
