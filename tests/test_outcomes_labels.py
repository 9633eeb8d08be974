"""What raters and inferred labels got right and wrong against a cohort's labels, and against a crowd's gold."""

import numpy as np
import pandas as pd

from crowdtruth.accuracy import (
    cohort_reference,
    label_accuracy,
    label_outcomes,
    rater_accuracy,
    rater_outcomes,
    task_reference,
)

RATERS = pd.DataFrame({"rater": ["r1", "r2"], "cohort": ["P", "NP"]})
ASKED = pd.DataFrame({"fov": ["f1"], "rater": ["r1"], "condition": ["all"]})
COUNTS = ["n_fovs", "n_annotations", "n_true_positive", "n_false_positive", "n_false_negative"]

# against a cohort's labels

TRUTH = pd.DataFrame(
    [
        # anchor, cohort, condition, label, is_object
        ("a1", "P", "U", "tumor", True),
        ("a2", "P", "U", "lymphocyte", True),
        ("a3", "P", "U", "undetected", False),
        ("a4", "P", "U", "", False),
        ("a5", "P", "U", "unlabeled", True),
        ("a1", "P", "E", "lymphocyte", True),
        ("a1", "NP", "U", "tumor", True),
        ("a2", "NP", "U", "undetected", False),
        ("a3", "NP", "U", "tumor", True),
        ("a4", "NP", "U", "", False),
        ("a5", "NP", "U", "tumor", True),
    ],
    columns=["anchor", "cohort", "condition", "label", "is_object"],
).assign(fov="f1", xmin=0.0, ymin=0.0, xmax=10.0, ymax=10.0)
RATINGS = pd.DataFrame(
    [
        ("a1", "r1", "P", "U", "tumor"),
        ("a2", "r1", "P", "U", "undetected"),
        ("a3", "r1", "P", "U", "undetected"),
        ("a1", "r1", "P", "E", "tumor"),
        ("a1", "r2", "NP", "U", "lymphocyte"),
        ("a2", "r2", "NP", "U", "lymphocyte"),
        ("a3", "r2", "NP", "U", "tumor"),
        ("a4", "r2", "NP", "U", "tumor"),
        ("a5", "r2", "NP", "U", "tumor"),
    ],
    columns=["anchor", "rater", "cohort", "condition", "label"],
).assign(fov="f1")


def judge_ratings(reference, ratings=RATINGS, raters=RATERS):
    outcomes = rater_outcomes(reference, assignments=ASKED, raters=raters, ratings=ratings, ambiguous=("unlabeled",))
    return rater_accuracy(outcomes, raters).set_index(["rater", "condition"])


def test_rater_accuracy__compares_ratings_with_the_labels_of_a_cohort():
    table = judge_ratings(cohort_reference(TRUTH, RATINGS, cohort="P"))
    # a1 wrong, a2 right, a3 and a4 are no objects, a5 is ambiguous
    assert [table.loc[("r2", "U"), name] for name in COUNTS] == [1, 5, 2, 2, 0]
    assert table.loc[("r2", "U"), "class_accuracy"] == 0.5
    assert table.loc[("r2", "U"), "reference"] == "cohort:P@U"
    assert [table.loc[("r1", "U"), name] for name in COUNTS] == [1, 1, 1, 0, 1]
    assert table.loc[("r1", "E"), "reference"] == "cohort:P@E"


def test_rater_accuracy__marks_who_contributed_to_the_reference():
    table = judge_ratings(cohort_reference(TRUTH, RATINGS, cohort="P"))
    assert table["in_reference"].to_dict() == {("r1", "U"): True, ("r1", "E"): True, ("r2", "U"): False}


def test_rater_accuracy__holds_every_condition_against_the_one_given():
    table = judge_ratings(cohort_reference(TRUTH, RATINGS, cohort="P", condition="U"))
    assert set(table["reference"]) == {"cohort:P@U"}
    assert table.loc[("r1", "E"), "class_accuracy"] == 1


def test_rater_accuracy__judges_everyone_by_their_own_cohort():
    table = judge_ratings(cohort_reference(TRUTH, RATINGS))
    expected = {("r1", "U"): "cohort:P@U", ("r1", "E"): "cohort:P@E", ("r2", "U"): "cohort:NP@U"}
    assert table["reference"].to_dict() == expected
    assert table["in_reference"].all()
    assert table.loc[("r2", "U"), "n_true_positive"] == 3


def test_rater_accuracy__finds_the_union_a_rater_belongs_to():
    raters = pd.DataFrame({"rater": ["r1", "r2"], "cohort": ["SP", "NP"]})
    ratings = RATINGS.assign(cohort=RATINGS["cohort"].replace("P", "SP"))
    truth = TRUTH[TRUTH["cohort"] == "P"]
    table = judge_ratings(cohort_reference(truth, ratings, cohorts={"P": ("SP", "JP")}), ratings, raters)
    assert table["reference"].to_dict() == {("r1", "U"): "cohort:P@U", ("r1", "E"): "cohort:P@E"}
    fixed = judge_ratings(cohort_reference(truth, ratings, cohort="P", cohorts={"P": ("SP", "JP")}), ratings, raters)
    assert fixed["in_reference"].to_dict() == {("r1", "U"): True, ("r1", "E"): True, ("r2", "U"): False}


def test_label_accuracy__compares_cohorts_but_none_with_itself():
    reference = cohort_reference(TRUTH, RATINGS, cohort="P")
    outcomes = label_outcomes(reference, truth=TRUTH, assignments=ASKED, raters=RATERS, ambiguous=("unlabeled",))
    table = label_accuracy(outcomes)
    assert set(table["who"]) == {"NP"}
    value = table[table["class"] == ""].set_index("metric")["value"]
    assert (value["precision"], value["recall"], value["class_accuracy"]) == (0.5, 0.5, 1.0)


# against a crowd's gold


def crowd(rows):
    table = pd.DataFrame(rows, columns=["anchor", "rater", "label"])
    return table.assign(fov="", cohort="all", condition="all")


def test_rater_accuracy__a_crowd_is_judged_on_tasks_with_gold():
    gold = task_reference(pd.DataFrame({"anchor": ["t1", "t2"], "label": ["yes", "no"]}), "truth.csv")
    ratings = crowd([("t1", "r1", "yes"), ("t2", "r1", "yes"), ("t3", "r1", "yes"), ("t3", "r2", "no")])
    for table in (ratings, ratings.astype({"anchor": "category", "rater": "category", "label": "category"})):
        judged = judge_ratings(gold, table).reset_index().set_index("rater")
        assert judged.loc["r1", "n_annotations"] == 2
        assert judged.loc["r1", "class_accuracy"] == 0.5
        assert judged.loc["r2", "n_annotations"] == 0
        assert judged[["n_fovs", "n_true_positive", "n_false_positive", "precision", "f1"]].isna().all(axis=None)


def test_rater_accuracy__a_crowd_without_gold_has_no_detection_scores():
    ratings = crowd([("t1", "r1", "yes"), ("t1", "r2", "no")])
    truth = pd.DataFrame({"anchor": ["t1"], "fov": [""], "cohort": ["all"], "condition": ["all"], "label": ["yes"]})
    raters = RATERS.assign(cohort="all")
    table = judge_ratings(cohort_reference(truth.assign(is_object=True), ratings), ratings, raters).reset_index()
    assert table["class_accuracy"].tolist() == [1.0, 0.0]
    assert table[["n_fovs", "precision", "recall", "f1"]].isna().all(axis=None)


def test_rater_accuracy__duck_raters_are_as_good_as_counted_by_hand(data_dir):
    answers = pd.read_csv(data_dir / "crowd" / "duck" / "answers.csv", dtype=str)
    gold = pd.read_csv(data_dir / "crowd" / "duck" / "truth.csv", dtype=str).rename(columns={"task": "anchor"})
    ratings = crowd(answers[["task", "worker", "label"]].to_numpy())
    raters = pd.DataFrame({"rater": sorted(answers["worker"].unique()), "cohort": "all"})
    table = judge_ratings(task_reference(gold, "truth.csv"), ratings, raters)
    joined = answers.merge(gold, left_on="task", right_on="anchor", suffixes=("", "_true"))
    expected = (joined["label"] == joined["label_true"]).groupby(joined["worker"]).mean()
    np.testing.assert_allclose(table["class_accuracy"].to_numpy(), expected.to_numpy())
