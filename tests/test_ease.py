"""How many raters marked each object, counted by hand and on the synthetic study."""

import pandas as pd

from crowdtruth.ease import COLUMNS, ease_of_detection
from crowdtruth.references import AnchorLabels
from crowdtruth.resampling import bootstrap

RATERS = pd.DataFrame({"rater": ["r1", "r2"], "cohort": ["P", "P"]})
FEW = {"n_replicates": 100, "seed": 0}


def ease(rows, marks, unfound=(), fovs=("f", "g")):
    here = {"cohort": "P", "condition": "all", "reference": "t", "is_own": False}
    labels = AnchorLabels(
        pd.DataFrame(rows, columns=["anchor", "fov", "true"]).assign(**here),
        pd.DataFrame(unfound, columns=["fov", "true"]).assign(**here).drop(columns="is_own"),
        True,
    )
    ratings = pd.DataFrame(marks, columns=["anchor", "rater", "label"]).assign(cohort="P", condition="all")
    assignments = pd.DataFrame([(f, r) for f in fovs for r in RATERS["rater"]], columns=["fov", "rater"])
    return ease_of_detection(labels, ratings, assignments=assignments.assign(condition="all"), raters=RATERS, **FEW)


ROWS = [("a1", "f", "x"), ("a2", "f", "x"), ("a3", "g", "y"), ("a4", "g", "")]
MARKS = [
    *[("a1", "r1", "x"), ("a1", "r2", "y"), ("a2", "r1", "x"), ("a2", "r2", "undetected")],
    *[("a3", "r1", "undetected"), ("a3", "r2", "y"), ("a4", "r1", "x")],
]


def test_ease_of_detection__counts_marks_under_any_label():
    table = ease(ROWS, MARKS)
    assert tuple(table) == COLUMNS
    counts = table.set_index(["class", "at_least"])["n"].to_dict()
    assert counts == {
        **{("", 0): 3, ("", 1): 3, ("", 2): 1},
        **{("x", 0): 2, ("x", 1): 2, ("x", 2): 1},
        **{("y", 0): 1, ("y", 1): 1, ("y", 2): 0},
    }
    assert (table["share"] == table["n"] / table["n_objects"]).all()


def test_ease_of_detection__objects_without_an_anchor_were_marked_by_none():
    table = ease(ROWS, MARKS, unfound=[("g", "y")]).set_index(["class", "at_least"])
    assert table.loc[("y", 0), "n"] == 2
    assert table.loc[("y", 1), "share"] == 0.5


def test_ease_of_detection__fovs_are_resampled():
    rows = [(f"a{i}", f"f{i % 6}", "x") for i in range(18)]
    marks = [(f"a{i}", rater, "x") for i in range(18) for rater in RATERS["rater"] if rater == "r1" or i % 4 > i // 4]
    table = ease(rows, marks, fovs=[f"f{i}" for i in range(6)]).set_index(["class", "at_least"])
    by_fov = [[sum(i % 4 > i // 4 for i in range(fov, 18, 6)), 3] for fov in range(6)]
    interval = bootstrap(by_fov, lambda sums: sums[..., 0] / sums[..., 1], **FEW)
    assert table.loc[("x", 2), ["share", "low", "high"]].tolist() == [interval.value, interval.low, interval.high]


def test_ease_of_detection__of_a_crowd_is_empty():
    table = ease([("t1", "", "x")], [("t1", "r1", "x")], fovs=())
    assert table.empty
    assert tuple(table) == COLUMNS
