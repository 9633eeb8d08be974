"""What anchors are according to boxes, to a cohort's labels, to the true labels of tasks."""

import pandas as pd
import pytest

from crowdtruth.references import asked_fovs, box_reference, cohort_reference, label_of_anchors, task_reference
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import load_taxonomy
from tests.reference import metrics as reference_metrics

BOX = ["xmin", "ymin", "xmax", "ymax"]


def box(x, label, fov="f1"):
    return {"fov": fov, "xmin": x, "ymin": 0.0, "xmax": x + 10.0, "ymax": 10.0, "label": label}


def anchor(name, x, is_object=True, *, fov="f1", cohort="P", condition="all"):
    place = {key: value for key, value in box(x, "", fov).items() if key != "label"}
    return {"anchor": name, "cohort": cohort, "condition": condition, "is_object": is_object, **place}


def labels_of(boxes, anchors, fovs=None, **options):
    found = label_of_anchors(box_reference(pd.DataFrame(boxes), "t", fovs=fovs), pd.DataFrame(anchors), **options)
    return found.labels.set_index("anchor")["true"].to_dict(), found.unfound["true"].tolist()


def test_label_of_anchors__objects_are_matched_as_if_there_were_no_others():
    # a2 overlaps the box better, but is no object
    boxes, anchors = [box(0, "x")], [anchor("a1", 2), anchor("a2", 0, is_object=False)]
    assert labels_of(boxes, anchors) == ({"a1": "x", "a2": ""}, [])


def test_label_of_anchors__other_anchors_take_what_is_left():
    boxes, anchors = [box(0, "x"), box(30, "y"), box(90, "z")], [anchor("a1", 0), anchor("a2", 31, is_object=False)]
    assert labels_of(boxes, anchors) == ({"a1": "x", "a2": "y"}, ["z"])


def test_label_of_anchors__anchors_of_ambiguous_objects_are_not_judged():
    boxes = [box(0, "AMBIGUOUS"), box(30, "x")]
    assert labels_of(boxes, [anchor("a1", 0), anchor("a2", 31)]) == ({"a2": "x"}, [])


def test_label_of_anchors__each_ambiguous_object_excuses_one_anchor():
    anchors = [anchor("a1", 0, is_object=False), anchor("a2", 1)]
    assert labels_of([box(0, "AMBIGUOUS")], anchors, fovs=["f1"])[0] == {"a1": ""}


def test_label_of_anchors__fovs_outside_the_reference_are_not_judged():
    assert labels_of([box(0, "x")], [anchor("a1", 0), anchor("a2", 0, fov="f2")])[0] == {"a1": "x"}


def test_label_of_anchors__objects_are_missed_only_where_the_cohort_was_asked():
    boxes = [box(0, "x"), box(0, "y", "f2"), box(0, "z", "f3")]
    asked = pd.DataFrame({"cohort": "P", "condition": "all", "fov": ["f1", "f2"]})
    assert labels_of(boxes, [anchor("a1", 0)], asked=asked) == ({"a1": "x"}, ["y"])


def test_label_of_anchors__cohorts_and_conditions_are_matched_apart():
    anchors = [anchor("a1", 0), anchor("a1", 0, cohort="NP"), anchor("a2", 50, condition="B")]
    found = label_of_anchors(box_reference(pd.DataFrame([box(0, "x")]), "t"), pd.DataFrame(anchors))
    assert found.labels["true"].tolist() == ["x", "x", ""]
    assert found.unfound[["cohort", "condition", "true"]].to_numpy().tolist() == [["P", "B", "x"]]


def test_label_of_anchors__groups_the_labels_of_boxes():
    grouping = load_taxonomy("nucls").grouping("super")
    boxes = [box(0, "plasma_cell"), box(30, "sTIL"), box(60, "apoptotic_body")]
    anchors = [anchor("a1", 0), anchor("a2", 30), anchor("a3", 60)]
    assert labels_of(boxes, anchors, grouping=grouping)[0] == {"a1": "sTIL", "a2": "sTIL"}


def test_label_of_anchors__as_many_as_a_search_finds():
    made = synthesise("demo", n_fovs=1, seed=2).study
    boxes = made.reference.sort_values(BOX)[:9]
    first = made.annotations[made.annotations["rater"] == made.annotations["rater"].iloc[0]].sort_values(BOX)[:9]
    anchors = first.assign(anchor=first["annotation"], cohort="P", is_object=True)[
        ["anchor", "fov", "cohort", "condition", "is_object", *BOX]
    ]
    found = label_of_anchors(box_reference(boxes, "t"), anchors.assign(condition="all"), ambiguous=())
    expected = reference_metrics.best_matching(anchors[BOX].to_numpy().tolist(), boxes[BOX].to_numpy().tolist(), 0.5)
    assert (found.labels["true"] != "").sum() == expected[0] > 0
    assert len(found.unfound) == len(boxes) - expected[0]


TRUTH = pd.DataFrame(
    [("a1", "P", "x", True), ("a2", "P", "", False), ("a3", "P", "AMBIGUOUS", True), ("a1", "NP", "y", True)],
    columns=["anchor", "cohort", "label", "is_object"],
).assign(fov="f1", condition="U")
RATINGS = pd.DataFrame({"rater": ["r"], "cohort": ["P"], "condition": ["U"]})


def test_label_of_anchors__looks_a_cohort_up():
    others = pd.DataFrame({"anchor": ["a1", "a2", "a3", "a4"], "fov": "f1", "cohort": "NP", "condition": "U"})
    found = label_of_anchors(cohort_reference(TRUTH, RATINGS, cohort="P"), others)
    assert found.labels[["anchor", "true", "reference"]].to_numpy().tolist() == [
        ["a1", "x", "cohort:P@U"],
        ["a2", "", "cohort:P@U"],
    ]
    assert found.unfound.empty
    assert found.has_detection


def test_label_of_anchors__looks_everyones_own_cohort_up():
    found = label_of_anchors(cohort_reference(TRUTH, RATINGS), TRUTH)
    assert found.labels[["cohort", "anchor", "true"]].to_numpy().tolist() == [
        ["P", "a1", "x"],
        ["P", "a2", ""],
        ["NP", "a1", "y"],
    ]


def test_label_of_anchors__holds_every_condition_against_the_one_given():
    other = TRUTH.assign(condition="E")
    assert label_of_anchors(cohort_reference(TRUTH, RATINGS, cohort="P"), other).labels.empty
    assert len(label_of_anchors(cohort_reference(TRUTH, RATINGS, cohort="P", condition="U"), other).labels) == 3


def test_label_of_anchors__looks_tasks_up():
    gold = task_reference(pd.DataFrame({"anchor": ["t1"], "label": ["yes"]}), "truth.csv")
    tasks = pd.DataFrame({"anchor": ["t1", "t2"], "fov": "", "cohort": "all", "condition": "all"})
    found = label_of_anchors(gold, tasks)
    assert found.labels[["anchor", "true"]].to_numpy().tolist() == [["t1", "yes"]]
    assert not found.has_detection


def test_label_of_anchors__names_missing_columns():
    with pytest.raises(ValueError, match=r"truth needs the columns .* lacks \['is_object'\]"):
        labels_of([box(0, "x")], pd.DataFrame([anchor("a", 0)]).drop(columns="is_object"))


def test_asked_fovs__a_union_was_asked_where_any_part_was():
    truth = pd.DataFrame({"cohort": ["P", "JP"], "condition": "U"})
    asked = pd.DataFrame({"fov": ["f", "g", "g"], "rater": ["s", "j", "n"], "condition": ["U", "U", "U"]})
    raters = pd.DataFrame({"rater": ["s", "j", "n"], "cohort": ["SP", "JP", "NP"]})
    found = asked_fovs(truth, asked, raters, {"P": ("SP", "JP"), "JP": ("JP",)})
    assert sorted(map(tuple, found[["cohort", "fov"]].to_numpy())) == [("JP", "g"), ("P", "f"), ("P", "g")]


# what is refused


def test_cohort_reference__says_which_labels_there_are():
    there = [("P", "U"), ("P", "E"), ("NP", "U")]
    truth = pd.DataFrame([{**anchor("a", 0, cohort=who, condition=where), "label": "x"} for who, where in there])
    with pytest.raises(ValueError, match="no inferred labels of cohort:JP@U; there are NP@U, P@E, P@U"):
        cohort_reference(truth, truth.assign(rater="r"), cohort="JP", condition="U")


def test_box_reference__names_missing_columns():
    with pytest.raises(ValueError, match=r"truth.csv needs the columns .* lacks \['label'\]"):
        box_reference(pd.DataFrame([box(0, "a")]).drop(columns="label"), "truth.csv")


def test_box_reference__covers_something():
    with pytest.raises(ValueError, match=r"truth.csv covers no FOV"):
        box_reference(pd.DataFrame([box(0, "a")])[:0], "truth.csv")


def test_box_reference__covers_all_it_holds():
    with pytest.raises(ValueError, match=r"objects in FOVs it is said not to cover: \['f1'\]"):
        box_reference(pd.DataFrame([box(0, "a")]), "truth.csv", fovs=["f2"])


def test_task_reference__names_a_task_that_is_there_twice():
    with pytest.raises(ValueError, match="'t1' is there twice"):
        task_reference(pd.DataFrame({"anchor": ["t1", "t1"], "label": ["a", "b"]}), "truth.csv")
