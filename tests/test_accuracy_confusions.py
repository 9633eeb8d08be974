"""What was taken for what, counted by hand."""

import pandas as pd
import pytest

from crowdtruth.accuracy import anchor_confusion, box_reference, rater_confusion, rater_outcomes, task_reference
from crowdtruth.accuracy.confusions import objects_all_were_asked_about
from crowdtruth.references import AnchorLabels
from crowdtruth.taxonomy import load_taxonomy

RATERS = pd.DataFrame({"rater": ["r1", "r2", "r10"], "cohort": ["P", "P", "NP"]})


def mark(x, label, rater="r1"):
    return {
        "fov": "f",
        "rater": rater,
        "condition": "all",
        "xmin": x,
        "ymin": 0,
        "xmax": x + 10,
        "ymax": 10,
        "label": label,
    }


def told(rows, unfound=()):
    here = {"cohort": "P", "condition": "all", "reference": "t", "is_own": False}
    labels = pd.DataFrame(rows, columns=["anchor", "fov", "true"]).assign(**here)
    missed = pd.DataFrame(unfound, columns=["fov", "true"]).assign(**here).drop(columns="is_own")
    return AnchorLabels(labels, missed, True)


def asked(**raters_of_fov):
    pairs = [(fov, rater) for fov, raters in raters_of_fov.items() for rater in raters]
    return pd.DataFrame(pairs, columns=["fov", "rater"]).assign(condition="all")


def said(*rows):
    table = pd.DataFrame(rows, columns=["anchor", "rater", "label"]).assign(fov="", condition="all")
    return table.merge(RATERS, on="rater")


def cells(table):
    return {(row.true, row.assigned): row.mean_raters for row in table.itertuples()}


# by rater


def test_rater_confusion__has_a_row_for_false_marks_and_a_column_for_missed_objects():
    truth = pd.DataFrame([mark(0, "a"), mark(30, "a"), mark(60, "b"), mark(150, "AMBIGUOUS")]).drop(columns="rater")
    marks = pd.DataFrame([mark(0, "a"), mark(30, "b"), mark(90, "b"), mark(150, "a"), mark(0, "a", "r10")])
    assignments = asked(f=["r1", "r10"])
    outcomes = rater_outcomes(box_reference(truth, "t"), assignments=assignments, raters=RATERS, annotations=marks)
    table = rater_confusion(outcomes, RATERS)
    assert [*table] == ["who", "cohort", "condition", "reference", "grouping", "true", "assigned", "count"]
    assert table.loc[table["who"] == "r1", ["cohort", "true", "assigned", "count"]].to_numpy().tolist() == [
        ["P", "", "b", 1],
        ["P", "a", "a", 1],
        ["P", "a", "b", 1],
        ["P", "b", "undetected", 1],
    ]
    # a name that is part of another one is another rater
    assert table.loc[table["who"] == "r10", ["cohort", "count"]].to_numpy().tolist() == [
        ["NP", 1],
        ["NP", 1],
        ["NP", 1],
    ]


def test_rater_confusion__names_raters_without_a_cohort():
    gold = task_reference(pd.DataFrame({"anchor": ["t"], "label": ["a"]}), "gold")
    outcomes = rater_outcomes(gold, assignments=asked(), raters=RATERS, ratings=said(("t", "r1", "a")))
    with pytest.raises(ValueError, match=r"every judged rater needs a cohort; there is none for \['r1'\]"):
        rater_confusion(outcomes, RATERS[1:])


# by anchor


def test_anchor_confusion__is_the_mean_number_of_raters_per_object():
    labels = told([("a1", "f", "x"), ("a2", "f", "x"), ("a3", "f", "")])
    ratings = said(
        *[("a1", "r1", "x"), ("a1", "r2", "y"), ("a2", "r1", "x"), ("a2", "r2", "undetected"), ("a3", "r1", "x")],
        ("a1", "r10", "x"),
    )
    table = anchor_confusion(labels, ratings, assignments=asked(f=["r1", "r2", "r10"]), raters=RATERS)
    assert cells(table) == {("x", "x"): 1.0, ("x", "y"): 0.5, ("x", "undetected"): 0.5}
    assert table[["n_anchors", "n_fovs", "n_raters"]].drop_duplicates().to_numpy().tolist() == [[2, 1, 2]]


def test_anchor_confusion__objects_without_an_anchor_are_missed_by_all():
    labels = told([("a1", "f", "x")], unfound=[("f", "x"), ("f", "y")])
    ratings = said(("a1", "r1", "x"), ("a1", "r2", "x"))
    table = anchor_confusion(labels, ratings, assignments=asked(f=["r1", "r2"]), raters=RATERS)
    assert cells(table) == {("x", "x"): 1.0, ("x", "undetected"): 1.0, ("y", "undetected"): 2.0}


def test_anchor_confusion__counts_fovs_with_the_usual_number_of_raters():
    labels = told([("a1", "f", "x"), ("a2", "g", "x"), ("a3", "h", "x")])
    ratings = said(*[(anchor, "r1", "x") for anchor in ("a1", "a2", "a3")], ("a1", "r2", "y"), ("a2", "r2", "x"))
    assignments = asked(f=["r1", "r2"], g=["r1", "r2"], h=["r1", "r10"])
    table = anchor_confusion(labels, ratings, assignments=assignments, raters=RATERS)
    assert cells(table) == {("x", "x"): 1.5, ("x", "y"): 0.5}
    assert set(table["n_fovs"]) == {2}


def test_objects_all_were_asked_about__the_larger_number_wins_a_tie():
    labels = told([("a1", "f", "x"), ("a2", "g", "x")])
    found = objects_all_were_asked_about(labels, assignments=asked(f=["r1"], g=["r1", "r2"]), raters=RATERS)
    assert found[["anchor", "n_raters"]].to_numpy().tolist() == [["a2", 2]]


def test_anchor_confusion__unites_cohorts_and_groups_labels():
    raters = pd.DataFrame({"rater": ["r1", "r2"], "cohort": ["SP", "JP"]})
    ratings = (
        said(("a1", "r1", "lymphocyte"), ("a1", "r2", "plasma_cell")).drop(columns="cohort").merge(raters, on="rater")
    )
    table = anchor_confusion(
        told([("a1", "f", "sTIL")]),
        ratings,
        assignments=asked(f=["r1", "r2"]),
        raters=raters,
        cohorts={"P": ("SP", "JP")},
        grouping=load_taxonomy("nucls").grouping("super"),
    )
    assert cells(table) == {("sTIL", "sTIL"): 2.0}
    assert set(table["grouping"]) == {"super"}


def test_anchor_confusion__of_a_crowd_is_empty():
    labels = told([("a1", "", "x")])
    table = anchor_confusion(labels, said(("a1", "r1", "x")), assignments=asked(), raters=RATERS)
    assert table.empty
    assert "mean_raters" in table
