"""What raters and inferred labels got right and wrong against boxes."""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.accuracy import (
    box_reference,
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


# marks


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


# inferred labels


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
    here = {"anchor": "a1", "cohort": "P", "condition": "U", "label": "tumor", "is_object": True}
    truth = pd.DataFrame([{**at(0, "tumor"), **here}])
    boxes = box_reference(pd.DataFrame([at(0, "tumor"), at(0, "tumor", "f2"), at(0, "tumor", "f3")]), "truth.csv")
    assignments = asked(("r1", "f1"), ("r1", "f2"), ("r2", "f3"), condition="U")
    table = label_accuracy(label_outcomes(boxes, truth=truth, assignments=assignments, raters=RATERS))
    recall = table[(table["metric"] == "recall") & (table["class"] == "")].iloc[0]
    assert (recall["who"], recall["value"], recall["n"]) == ("P", 0.5, 2)


# what is refused


@pytest.mark.parametrize("kind", ["boxes", "tasks"])
def test_rater_outcomes__asks_for_the_table_it_needs(kind):
    reference = {
        "boxes": box_reference(pd.DataFrame([at(0, "a")]), "x"),
        "tasks": task_reference(pd.DataFrame({"anchor": ["t"], "label": ["a"]}), "x"),
    }[kind]
    needed = {"boxes": "annotations", "tasks": "ratings"}[kind]
    with pytest.raises(ValueError, match=rf"a reference of {kind} \(x\) needs the {needed}"):
        rater_outcomes(reference, assignments=asked(("r1", "f1")), raters=RATERS)
