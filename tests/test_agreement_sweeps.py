"""Agreement by clustering threshold, cohort, grouping and choice of anchors."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdtruth.agreement import agreement_sweep, agreement_table, inferred_objects
from crowdtruth.clustering import Located, sweep
from crowdtruth.ratings import rate_anchors
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import UNDETECTED, group_labels, load_taxonomy
from crowdtruth.truth import MajorityVote, infer_labels
from tests.reference import agreement as reference

FEW = {"n_replicates": 100}
SUPER = load_taxonomy("nucls").grouping("super")


@cache
def study():
    return synthesise("demo", seed=4).study


@cache
def located(method="cannot_link"):
    return sweep(study().annotations, [0.25, 0.6], method=method)


def ratings_at(found):
    return rate_anchors(found.members, study().assignments, study().raters, found.anchors)


def sweep_of(**options):
    return agreement_sweep(located(), study().assignments, study().raters, study().fovs, **{**FEW, **options})


def assert_same_rows(found, expected):
    pd.testing.assert_frame_equal(
        found.drop(columns="threshold").reset_index(drop=True), expected.drop(columns="threshold")
    )


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("cannot_link", {"resample": "fov"}),
        ("unconstrained", {"resample": "slide"}),
        ("cannot_link", {"level": "ordinal", "weights": "linear"}),
    ],
    ids=["by FOV", "by slide", "graded"],
)
def test_agreement_sweep__has_the_values_of_each_thresholds_ratings(method, options):
    at = located(method)
    options = {"groupings": [None, SUPER], "min_detections": [0, 1, 2], **options, **FEW}
    table = agreement_sweep(at, study().assignments, study().raters, study().fovs, **options)
    for threshold, found in at.items():
        expected = agreement_table(ratings_at(found), study().fovs, **options)
        assert_same_rows(table[table["threshold"] == threshold], expected)


marks = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("rstu"), st.sampled_from("xyz")), min_size=1, max_size=16
)


@settings(max_examples=30)
@given(marks, st.sets(st.tuples(st.sampled_from("fg"), st.sampled_from("rstu"))), st.integers(0, 3))
def test_agreement_sweep__equals_the_definition(marks, asked, least):
    fov_of = {"a": "f", "b": "f", "c": "g"}
    asked = asked | {(fov_of[anchor], rater) for anchor, rater, _ in marks}
    members = [(anchor, fov_of[anchor], rater, label) for anchor, rater, label in marks]
    table = pd.DataFrame(members, columns=["anchor", "fov", "rater", "label"]).assign(condition="all")
    anchors = table[["anchor", "fov"]].drop_duplicates()
    found = agreement_sweep(
        {0.5: Located(anchors, table)},
        pd.DataFrame(sorted(asked), columns=["fov", "rater"]).assign(condition="all"),
        pd.DataFrame({"rater": list("rstu"), "cohort": list("PPPQ")}),
        cohorts={"P": ["P"]},
        classes=list("xyz"),
        min_detections=[least],
        n_replicates=5,
    )
    rows = reference.rows_of_anchors(members, asked, list("rst")).values()
    rows = [row for row in rows if sum(label not in (None, UNDETECTED) for label in row) >= least]
    for scope, hidden in (("detection_and_classification", None), ("classification", UNDETECTED)):
        seen = [[None if label == hidden else label for label in row] for row in rows]
        classes = [*"xyz"] if hidden else [*"xyz", UNDETECTED]
        expected = {
            "alpha": reference.alpha(seen, "nominal"),
            "fleiss_kappa": reference.fleiss(seen, classes),
            "ac1": reference.gwet(seen, classes, lambda a, b: float(a == b)),
            "percent_agreement": reference.percent(seen, lambda a, b: float(a == b)),
        }
        values = found[found["scope"] == scope].set_index("statistic")
        assert values["value"].to_dict() == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert (values["n_anchors"] == sum(sum(label is not None for label in row) > 1 for row in seen)).all()
        assert (values["n_raters"] == sum(any(label is not None for label in one) for one in zip(*seen))).all()  # noqa: B905


def test_agreement_sweep__has_a_row_for_each_setting():
    table = sweep_of(groupings=[None, SUPER], min_detections=[1, 2])
    key = ["statistic", "scope", "cohort", "condition", "threshold", "grouping", "min_detections"]
    assert not table.duplicated(key).any()
    assert len(table) == 4 * 2 * 2 * 2 * 2 * 2 * 2
    assert set(table["grouping"]) == {"raw", "super"}
    assert (table["undefined"] == "").all()
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()


def test_agreement_sweep__groups_labels_before_counting():
    table = sweep_of(groupings=[SUPER])
    for threshold, found in located().items():
        ratings = ratings_at(found)
        ratings["label"] = group_labels(ratings["label"], SUPER)
        expected = agreement_table(ratings, study().fovs, classes=SUPER.classes, **FEW).assign(grouping="super")
        assert_same_rows(table[table["threshold"] == threshold], expected)


def test_agreement_sweep__takes_cohorts_together():
    table = sweep_of(cohorts={"all": ["SP", "NP"]})
    together = study().raters.assign(cohort="all")
    expected = agreement_sweep(located(), study().assignments, together, study().fovs, **FEW)
    pd.testing.assert_frame_equal(table, expected)


def test_agreement_sweep__counts_only_the_anchors_kept():
    truths = {}

    def keep(found):
        truths[len(found.anchors)] = inferred_objects(
            infer_labels(ratings_at(found), found.anchors, cohorts={"SP": ["SP"]}, estimator=MajorityVote()).truth
        )
        return truths[len(found.anchors)]

    table = sweep_of(keep=keep)
    for threshold, found in located().items():
        kept = ratings_at(found).merge(truths[len(found.anchors)], on=["anchor", "condition"])
        expected = agreement_table(kept, study().fovs, classes=sorted(study().annotations["label"].unique()), **FEW)
        assert_same_rows(table[table["threshold"] == threshold], expected)


def test_agreement_sweep__of_no_anchors_has_no_pairs():
    table = sweep_of(keep=lambda found: pd.DataFrame(columns=["anchor", "condition"]), conditions=["E"])
    assert (table["undefined"] == "no pairs").all()
    assert (table[["n_anchors", "n_raters"]] == 0).all(axis=None)
    assert set(table["condition"]) == {"E"}


def test_agreement_sweep__does_not_depend_on_the_order_of_rows_or_the_names_of_raters():
    marks = study().annotations.sample(frac=1, random_state=1)
    marks["rater"] = "z" + marks["rater"].str[::-1]
    raters, asked = study().raters.iloc[::-1].copy(), study().assignments.iloc[::-1].copy()
    for table in (raters, asked):
        table["rater"] = "z" + table["rater"].str[::-1]
    again = agreement_sweep(sweep(marks, [0.25, 0.6]), asked, raters, study().fovs, **FEW)
    pd.testing.assert_frame_equal(again, sweep_of())


def test_agreement_sweep__of_no_threshold_has_no_rows():
    assert agreement_sweep({}, study().assignments, study().raters).empty


def test_inferred_objects__leaves_out_what_is_ambiguous_or_no_object():
    rows = [("a", "x", True), ("b", "unlabeled", True), ("c", UNDETECTED, False), ("d", "", False)]
    truth = pd.DataFrame(rows, columns=["anchor", "label", "is_object"]).assign(condition="E", cohort="P")
    assert inferred_objects(truth, ambiguous=["unlabeled"])["anchor"].tolist() == ["a"]
    assert inferred_objects(truth)["anchor"].tolist() == ["a", "b"]


def without_assignment():
    return study().assignments.query("not (rater == 'NP.1' and condition == 'E')")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sweep_of(cohorts={"P": ["SP", "JP"]}), r"'P' unites the unknown \['JP'\]; there are \['NP', 'SP'\]"),
        (lambda: sweep_of(conditions=["B"]), r"nobody was asked under the conditions \['B'\]; there are"),
        (lambda: sweep_of(scopes=["all"]), r"got \['all'\]"),
        (lambda: sweep_of(min_detections=[]), r"one or more numbers of raters, from 0; got \[\]"),
        (lambda: sweep_of(classes=["tumor"]), "has the unknown label"),
        (lambda: sweep_of(keep=lambda found: found.anchors), "missing: condition"),
        (
            lambda: agreement_sweep(located(), without_assignment(), study().raters),
            "'NP.1' under condition 'E', who was",
        ),
        (lambda: agreement_sweep(located(), study().assignments, study().raters[3:]), "has the unknown rater"),
        (lambda: inferred_objects(pd.DataFrame({"anchor": ["a"]})), "missing: condition, label, is_object"),
        (
            lambda: inferred_objects(
                pd.DataFrame({"anchor": "a", "condition": "E", "label": "x", "is_object": True, "cohort": ["P", "Q"]})
            ),
            r"whose labels\? the table has those of \['P', 'Q'\]",
        ),
    ],
)
def test_agreement_sweep__says_what_is_wrong_with_its_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_agreement_sweep__takes_no_text_for_several_names():
    with pytest.raises(TypeError, match="conditions must be a sequence of names"):
        sweep_of(conditions="E")
    with pytest.raises(TypeError, match="cohorts of 'P' must be a sequence"):
        sweep_of(cohorts={"P": "SP"})


def test_agreement_sweep__leaves_its_input_as_it_was():
    found = located()[0.25]
    before = found.members.copy(), found.anchors.copy()
    sweep_of()
    pd.testing.assert_frame_equal(found.members, before[0])
    pd.testing.assert_frame_equal(found.anchors, before[1])
    assert np.array_equal(sorted(located()), [0.25, 0.6])
