"""Raters and inferred labels against boxes, against a cohort's labels, against a crowd's gold."""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.accuracy import (
    box_reference,
    cohort_reference,
    label_accuracy,
    label_outcomes,
    rater_accuracy,
    rater_outcomes,
    task_reference,
)
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import load_taxonomy
from tests.reference import metrics as reference_metrics

BOX = ["xmin", "ymin", "xmax", "ymax"]
RATERS = pd.DataFrame({"rater": ["r1", "r2"], "cohort": ["P", "NP"]})
COUNTS = ["n_fovs", "n_annotations", "n_true_positive", "n_false_positive", "n_false_negative"]


def at(x, label, fov="f1"):
    """An object of 10 × 10 pixels, as a row of the reference."""
    return {"fov": fov, "xmin": x, "ymin": 0.0, "xmax": x + 10.0, "ymax": 10.0, "label": label}


def mark(x, label, rater="r1", fov="f1", condition="all"):
    return {"rater": rater, "condition": condition, **at(x, label, fov)}


def asked(*pairs, condition="all"):
    return pd.DataFrame([{"fov": fov, "rater": rater, "condition": condition} for rater, fov in pairs])


def judge(marks, truth, pairs=(("r1", "f1"),), *, fovs=None, **options):
    outcomes = rater_outcomes(
        box_reference(pd.DataFrame(truth), "truth.csv", fovs=fovs),
        assignments=asked(*pairs),
        raters=RATERS,
        annotations=pd.DataFrame(marks),
        **options,
    )
    return rater_accuracy(outcomes, RATERS).set_index("rater")


def counts(table, rater="r1"):
    return [int(table.loc[rater, name]) for name in COUNTS]


# against boxes


def test_rater_accuracy__counts_matches_misses_and_false_marks():
    table = judge([mark(0, "a"), mark(30, "b"), mark(90, "a")], [at(1, "a"), at(31, "a"), at(60, "a")])
    assert counts(table) == [1, 3, 2, 1, 1]
    row = table.loc["r1"]
    assert (row["precision"], row["recall"], row["f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert row["class_accuracy"] == 0.5
    assert (row["reference"], row["in_reference"]) == ("truth.csv", False)


def test_rater_accuracy__leaves_out_fovs_the_rater_was_not_asked_in():
    truth = [at(0, "a"), at(0, "a", "f2")]
    pairs = [("r1", "f1"), ("r2", "f1"), ("r2", "f2")]
    table = judge([mark(0, "a"), mark(0, "a", "r2")], truth, pairs)
    assert counts(table, "r1") == [1, 1, 1, 0, 0]
    assert counts(table, "r2") == [2, 1, 1, 0, 1]


def test_rater_accuracy__leaves_out_fovs_without_reference():
    pairs = [("r1", "f1"), ("r1", "f2")]
    marks = [mark(0, "a"), mark(0, "a", fov="f2")]
    assert counts(judge(marks, [at(0, "a")], pairs)) == [1, 1, 1, 0, 0]


def test_rater_accuracy__counts_marks_in_a_covered_fov_without_objects():
    pairs = [("r1", "f1"), ("r1", "f2")]
    marks = [mark(0, "a"), mark(0, "a", fov="f2")]
    assert counts(judge(marks, [at(0, "a")], pairs, fovs=["f1", "f2"])) == [2, 2, 1, 1, 0]


def test_rater_accuracy__who_found_nothing_has_no_precision():
    row = judge([mark(0, "a", "r2")], [at(0, "a")], [("r1", "f1"), ("r2", "f1")]).loc["r1"]
    assert row["recall"] == row["f1"] == 0
    assert np.isnan([row["precision"], row["class_accuracy"], row["mcc"]]).all()


def test_rater_accuracy__who_was_asked_nowhere_in_the_reference_has_counts_of_zero():
    table = judge([mark(0, "a")], [at(0, "a")], [("r1", "f1"), ("r2", "f2")])
    assert counts(table, "r2") == [0, 0, 0, 0, 0]
    assert table.loc["r2", ["precision", "recall", "f1", "class_accuracy", "mcc"]].isna().all()


def test_rater_accuracy__matches_across_classes_and_one_to_one():
    table = judge([mark(0, "b"), mark(1, "a")], [at(0, "a")])
    assert counts(table) == [1, 2, 1, 1, 0]
    assert table.loc["r1", "class_accuracy"] == 0  # the closer box counts, its label is wrong


@pytest.mark.parametrize("label", ["AMBIGUOUS", "unlabeled"])
def test_rater_accuracy__an_ambiguous_object_counts_neither_way(label):
    truth = [at(0, "tumor"), at(30, label), at(60, label)]
    table = judge([mark(0, "tumor"), mark(30, "tumor")], truth, ambiguous=("AMBIGUOUS", "unlabeled"))
    assert counts(table) == [1, 2, 1, 0, 0]


def test_rater_accuracy__an_ambiguous_object_takes_no_mark_from_a_clear_one():
    # the mark overlaps the ambiguous object better, but is needed for the clear one
    table = judge([mark(2, "a")], [at(0, "a"), at(2, "AMBIGUOUS")])
    assert counts(table) == [1, 1, 1, 0, 0]


def test_rater_accuracy__calling_a_clear_object_ambiguous_finds_it_under_a_wrong_name():
    table = judge([mark(0, "AMBIGUOUS"), mark(30, "a")], [at(0, "a"), at(30, "a")])
    assert counts(table) == [1, 2, 2, 0, 0]
    assert table.loc["r1", "class_accuracy"] == 0.5


def test_rater_accuracy__groups_both_sides():
    grouping = load_taxonomy("nucls").grouping("super")
    marks = [mark(0, "lymphocyte"), mark(30, "correction_tumor"), mark(60, "tumor")]
    truth = [at(0, "plasma_cell"), at(30, "mitotic_figure"), at(60, "apoptotic_body")]
    row = judge(marks, truth, grouping=grouping).loc["r1"]
    assert row["class_accuracy"] == 1
    assert row["n_true_positive"] == 2  # the apoptotic body is ambiguous in the paper's scheme


def test_rater_accuracy__takes_a_reference_that_is_grouped_already():
    grouping = load_taxonomy("nucls").grouping("super")
    row = judge([mark(0, "lymphocyte")], [at(0, "sTIL")], grouping=grouping).loc["r1"]
    assert row["class_accuracy"] == 1


def test_rater_accuracy__names_a_label_outside_the_grouping():
    with pytest.raises(ValueError, match=r"labels outside the taxonomy: .*tumour"):
        judge([mark(0, "tumour")], [at(0, "tumor")], grouping=load_taxonomy("nucls").grouping("main"))


def test_rater_accuracy__row_order_changes_nothing():
    made = synthesise("demo", n_fovs=4).study
    shuffled = made.annotations.sample(frac=1, random_state=1).reset_index(drop=True)
    options = {"assignments": made.assignments, "raters": made.raters}
    truth = made.reference.sample(frac=1, random_state=2).reset_index(drop=True)
    one = rater_outcomes(box_reference(made.reference, "truth"), annotations=made.annotations, **options)
    other = rater_outcomes(box_reference(truth, "truth"), annotations=shuffled, **options)
    pd.testing.assert_frame_equal(rater_accuracy(one, made.raters), rater_accuracy(other, made.raters))


def test_rater_outcomes__equals_a_search_rater_by_rater():
    made = synthesise("demo", n_fovs=3, seed=4).study
    outcomes = rater_outcomes(
        box_reference(made.reference, "truth"),
        assignments=made.assignments,
        raters=made.raters,
        annotations=made.annotations,
        ambiguous=(),
    )
    table = rater_accuracy(outcomes, made.raters).set_index(["rater", "condition"])
    # few boxes at a time: the plain version tries every matching
    for (rater, condition), pairs in made.assignments.groupby(["rater", "condition"]):
        expected = 0
        of_rater = made.annotations.query("rater == @rater and condition == @condition")
        for fov in pairs["fov"]:
            marks, truth = (table[table["fov"] == fov] for table in (of_rater, made.reference))
            expected += _n_matches(marks[BOX].to_numpy().tolist(), truth[BOX].to_numpy().tolist())
        n_true = made.reference["fov"].isin(pairs["fov"]).sum()
        row = table.loc[(rater, condition)]
        assert row["n_true_positive"] == expected
        assert row["n_false_negative"] == n_true - expected


def _n_matches(marks, truth):
    """Matches of the plain version, over one mark's neighbourhood after the other."""
    n = 0
    while marks:
        near, far = _neighbourhood(marks.pop(), marks, truth)
        n += reference_metrics.best_matching(near, truth, 0.5)[0]
        marks = far
    return n


def _neighbourhood(first, others, truth):
    """Marks connected with the first through objects that both overlap, and the rest."""
    near, far, grown = [first], others, True
    while grown:
        touched = [t for t in truth if any(reference_metrics.iou(m, t) >= 0.5 for m in near)]
        more = [m for m in far if any(reference_metrics.iou(m, t) >= 0.5 for t in touched)]
        far = [m for m in far if m not in more]
        near, grown = near + more, bool(more)
    return near, far


def test_rater_accuracy__asthma_raters_reach_the_published_range(data_dir):
    folder = data_dir / "exact_asthma_round1"
    read = {name: pd.read_csv(folder / f"{name}.csv") for name in ("annotations", "assignments", "ground_truth")}
    raters = pd.DataFrame({"rater": sorted(read["assignments"]["rater"].unique()), "cohort": "all"})
    outcomes = rater_outcomes(
        box_reference(read["ground_truth"], "ground_truth.csv"),
        assignments=read["assignments"].assign(condition="all"),
        raters=raters,
        annotations=read["annotations"].assign(condition="all"),
    )
    table = rater_accuracy(outcomes, raters)
    assert (table["n_fovs"] == 20).all()
    assert (table["n_true_positive"] + table["n_false_negative"] == 455).all()
    assert table["n_annotations"].sum() == 4521
    assert (round(table["f1"].min(), 3), round(table["f1"].max(), 3)) == (0.823, 0.946)


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
    outcomes = rater_outcomes(
        reference, assignments=asked(("r1", "f1")), raters=raters, ratings=ratings, ambiguous=("unlabeled",)
    )
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
    outcomes = label_outcomes(
        reference, truth=TRUTH, assignments=asked(("r1", "f1")), raters=RATERS, ambiguous=("unlabeled",)
    )
    table = label_accuracy(outcomes)
    assert set(table["who"]) == {"NP"}
    value = table[table["class"] == ""].set_index("metric")["value"]
    assert (value["precision"], value["recall"], value["class_accuracy"]) == (0.5, 0.5, 1.0)


def test_cohort_reference__says_which_labels_there_are():
    with pytest.raises(ValueError, match="no inferred labels of cohort:JP@U; there are NP@U, P@E, P@U"):
        cohort_reference(TRUTH, RATINGS, cohort="JP", condition="U")


# inferred labels against boxes


def test_label_accuracy__asthma_labels_are_better_than_every_rater(data_dir):
    from crowdtruth.clustering import cluster_annotations
    from crowdtruth.ratings import rate_anchors
    from crowdtruth.study import make_study
    from crowdtruth.truth import infer_labels

    folder = data_dir / "exact_asthma_round1"
    names = {"annotations": "annotations", "assignments": "assignments", "reference": "ground_truth"}
    study = make_study(**{key: pd.read_csv(folder / f"{name}.csv", dtype=str) for key, name in names.items()})
    located = cluster_annotations(study.annotations)
    ratings = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    truth = infer_labels(ratings, located.anchors).truth
    reference = box_reference(study.reference, "ground_truth.csv")
    given = {"assignments": study.assignments, "raters": study.raters}
    labels = label_accuracy(label_outcomes(reference, truth=truth, **given))
    value = labels[labels["class"] == ""].set_index("metric")["value"]
    raters = rater_accuracy(rater_outcomes(reference, annotations=study.annotations, **given), study.raters)
    assert value["f1"] >= 0.965
    assert value["class_accuracy"] >= 0.970
    assert value["f1"] > raters["f1"].max()


def test_label_accuracy__objects_missed_by_a_whole_cohort_count_where_it_was_asked():
    truth = TRUTH.query("cohort == 'P' and condition == 'U' and anchor == 'a1'")
    boxes = box_reference(pd.DataFrame([at(0, "tumor"), at(0, "tumor", "f2"), at(0, "tumor", "f3")]), "truth.csv")
    assignments = asked(("r1", "f1"), ("r1", "f2"), ("r2", "f3"), condition="U")
    table = label_accuracy(label_outcomes(boxes, truth=truth, assignments=assignments, raters=RATERS))
    recall = table[(table["metric"] == "recall") & (table["class"] == "")].iloc[0]
    assert (recall["who"], recall["value"], recall["n"]) == ("P", 0.5, 2)


def test_label_accuracy__scores_each_class():
    marks = pd.DataFrame([mark(0, "a"), mark(30, "b"), mark(60, "b"), mark(90, "b")])
    truth = box_reference(pd.DataFrame([at(0, "a"), at(30, "a"), at(60, "b"), at(120, "b")]), "truth.csv")
    outcomes = rater_outcomes(truth, assignments=asked(("r1", "f1")), raters=RATERS, annotations=marks)
    table = label_accuracy(outcomes).set_index(["metric", "class"])[["value", "n"]]
    expected = {
        ("precision", ""): (0.75, 4),
        ("recall", ""): (0.75, 4),
        ("f1", ""): (0.75, 5),
        ("class_accuracy", ""): (2 / 3, 3),
        ("mcc", ""): (0.5, 3),
        ("recall", "a"): (1.0, 2),
        ("recall", "b"): (0.5, 2),
        ("class_recall", "a"): (0.5, 2),
        ("class_recall", "b"): (1.0, 1),
        ("class_precision", "a"): (1.0, 1),
        ("class_precision", "b"): (0.5, 2),
        ("class_f1", "a"): (2 / 3, 2),
        ("class_f1", "b"): (2 / 3, 2),
        ("class_mcc", "a"): (0.5, 3),
        ("class_mcc", "b"): (0.5, 3),
    }
    assert set(table.index) == set(expected)
    for key, pair in expected.items():
        assert tuple(table.loc[key]) == pytest.approx(pair)


def test_label_accuracy__names_the_level():
    grouping = load_taxonomy("nucls").grouping("main")
    outcomes = rater_outcomes(
        box_reference(pd.DataFrame([at(0, "tumor")]), "truth.csv"),
        assignments=asked(("r1", "f1")),
        raters=RATERS,
        annotations=pd.DataFrame([mark(0, "tumor")]),
        grouping=grouping,
    )
    assert set(label_accuracy(outcomes)["grouping"]) == {"main"}


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


# what is refused


def test_box_reference__names_missing_columns():
    with pytest.raises(ValueError, match=r"truth.csv needs the columns .* lacks \['label'\]"):
        box_reference(pd.DataFrame([at(0, "a")]).drop(columns="label"), "truth.csv")


def test_box_reference__covers_something():
    with pytest.raises(ValueError, match=r"truth.csv covers no FOV"):
        box_reference(pd.DataFrame([at(0, "a")])[:0], "truth.csv")


def test_box_reference__covers_all_it_holds():
    with pytest.raises(ValueError, match=r"objects in FOVs it is said not to cover: \['f1'\]"):
        box_reference(pd.DataFrame([at(0, "a")]), "truth.csv", fovs=["f2"])


def test_task_reference__names_a_task_that_is_there_twice():
    with pytest.raises(ValueError, match="'t1' is there twice"):
        task_reference(pd.DataFrame({"anchor": ["t1", "t1"], "label": ["a", "b"]}), "truth.csv")


@pytest.mark.parametrize("kind", ["boxes", "tasks"])
def test_rater_outcomes__asks_for_the_table_it_needs(kind):
    reference = {
        "boxes": box_reference(pd.DataFrame([at(0, "a")]), "x"),
        "tasks": task_reference(pd.DataFrame({"anchor": ["t"], "label": ["a"]}), "x"),
    }[kind]
    needed = {"boxes": "annotations", "tasks": "ratings"}[kind]
    with pytest.raises(ValueError, match=rf"a reference of {kind} \(x\) needs the {needed}"):
        rater_outcomes(reference, assignments=asked(("r1", "f1")), raters=RATERS)
