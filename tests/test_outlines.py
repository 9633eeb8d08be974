"""Outlines against areas counted by hand; which outline is taken; what is left out."""

import pandas as pd
import pytest

from crowdtruth.outlines import OUTLINE_COLUMNS, SEGMENTED_COLUMNS, as_polygons, compare_outlines, segmented_objects
from crowdtruth.resampling import bootstrap

RATERS = pd.DataFrame({"rater": ["NP.1", "NP.12", "NP.3", "SP.1"], "cohort": ["NP", "NP", "NP", "SP"]})


def rectangle(width, height=2):
    return {"coords_x": f"0,{width},{width},0", "coords_y": f"0,0,{height},{height}"}


def mark(rater, kind, outline, condition="E", anchor="a"):
    return {"anchor": anchor, "rater": rater, "condition": condition, "kind": kind, **outline}


def compare(*marks, cohorts=None, verdicts=(("a", "NP", "E", 1.0),)):
    table = pd.DataFrame(marks).assign(annotation=[f"m{i}" for i in range(len(marks))])
    truth = pd.DataFrame(verdicts, columns=["anchor", "cohort", "condition", "boundary_correct"]).assign(fov="f")
    return compare_outlines(
        truth, table[["annotation", "anchor"]], table.drop(columns="anchor"), RATERS, cohorts=cohorts
    )


def test_compare_outlines__is_the_shared_area():
    table = compare(mark("NP.1", "click", rectangle(3)), mark("SP.1", "polygon", rectangle(2), "U"))
    assert tuple(table) == OUTLINE_COLUMNS
    assert table[["anchor", "fov", "cohort", "condition", "boundary_correct"]].to_numpy().tolist() == [
        ["a", "f", "NP", "E", 1]
    ]
    assert table.loc[0, ["iou", "dice"]].tolist() == pytest.approx([4 / 6, 8 / 10])


def test_compare_outlines__takes_what_most_raters_accepted():
    traced = mark("SP.1", "polygon", rectangle(2), "U")
    clicks = [
        mark("NP.1", "click", rectangle(4)),
        mark("NP.12", "click", rectangle(2)),
        mark("NP.3", "click", rectangle(2)),
    ]
    assert compare(traced, *clicks)["iou"].item() == 1
    # the same rater twice is one rater; the other cohort and the other condition do not vote
    others = [mark("SP.1", "click", rectangle(2)), mark("NP.12", "click", rectangle(2), "B")]
    assert compare(traced, clicks[0], *others)["iou"].item() == 0.5


def test_compare_outlines__of_several_traced_takes_the_medoid():
    traced = [mark("SP.1", "polygon", rectangle(width), "U") for width in (1, 4, 5)]
    assert compare(*traced, mark("NP.1", "click", rectangle(4)))["iou"].item() == 1


def test_compare_outlines__takes_the_verdict_of_each_cohort():
    marks = [
        mark("SP.1", "polygon", rectangle(2), "U"),
        *(mark(rater, "click", rectangle(4)) for rater in ("NP.1", "SP.1")),
    ]
    verdicts = [("a", "NP", "E", 0.0), ("a", "P", "E", 1.0), ("a", "P", "U", float("nan"))]
    table = compare(*marks, cohorts={"NP": ("NP",), "P": ("SP",)}, verdicts=verdicts)
    assert table[["cohort", "boundary_correct"]].to_numpy().tolist() == [["NP", 0], ["P", 1]]


def test_compare_outlines__leaves_out_anchors_without_either():
    assert compare(mark("NP.1", "click", rectangle(3)), mark("SP.1", "polygon", rectangle(2), anchor="b")).empty
    assert compare(mark("NP.1", "box", {"coords_x": "", "coords_y": ""})).empty


def test_compare_outlines__leaves_out_outlines_without_an_area():
    line, point = {"coords_x": "0,1", "coords_y": "0,1"}, {"coords_x": "0,1,2", "coords_y": "0,0,0"}
    for outline in (line, point):
        assert compare(mark("NP.1", "click", outline), mark("SP.1", "polygon", rectangle(2), "U")).empty


def test_as_polygons__mends_rings_that_cross_themselves():
    bow_tie = pd.DataFrame({"x": ["0,2,2,0"], "y": ["0,2,0,2"]})
    assert as_polygons(bow_tie)[0].area == 2.0


def test_segmented_objects__is_the_share_over_all_fovs_and_in_each():
    rows = [("f", True, 1.0), ("f", True, 0.0), ("f", False, 1.0), ("f", True, float("nan")), ("g", True, 1.0)]
    truth = pd.DataFrame(rows, columns=["fov", "is_object", "boundary_correct"]).assign(cohort="P", condition="E")
    table = segmented_objects(truth)
    assert tuple(table) == SEGMENTED_COLUMNS
    assert table[["fov", "n_anchors", "n_correct", "proportion"]].to_numpy().tolist() == [
        ["", 3, 2, 2 / 3],
        ["f", 2, 1, 0.5],
        ["g", 1, 1, 1.0],
    ]


@pytest.mark.parametrize("resample", ["fov", "slide"])
def test_segmented_objects__the_share_over_all_fovs_has_an_interval(resample):
    fovs = pd.DataFrame({"fov": [f"f{i}" for i in range(9)], "slide": ["s0", "s0", *(f"s{i}" for i in range(1, 8))]})
    rows = [(fov, "PN"[i % 2], float(i % (n + 2) > 0)) for n, fov in enumerate(fovs["fov"]) for i in range(3 * n + 4)]
    truth = pd.DataFrame(rows, columns=["fov", "cohort", "boundary_correct"]).assign(condition="E", is_object=True)
    table = segmented_objects(truth, fovs=fovs, resample=resample, n_replicates=200, seed=4)
    assert table["low"].notna().tolist() == (table["fov"] == "").tolist()
    for row in table[table["fov"] == ""].itertuples():
        judged = truth[truth["cohort"] == row.cohort].merge(fovs, on="fov").groupby(resample)["boundary_correct"]
        interval = bootstrap(judged.agg(["sum", "size"]), lambda n: n[..., 0] / n[..., 1], n_replicates=200, seed=4)
        assert [row.proportion, row.low, row.high] == [interval.value, interval.low, interval.high]
        assert row.resampled == resample


def test_segmented_objects__says_which_fov_has_no_slide():
    truth = pd.DataFrame({"fov": ["f"], "is_object": True, "boundary_correct": 1.0, "cohort": "P", "condition": "U"})
    with pytest.raises(ValueError, match=r"every FOV needs its slide; missing for \['f'\]"):
        segmented_objects(truth, fovs=pd.DataFrame({"fov": ["g"], "slide": ["s"]}), resample="slide")


def test_segmented_objects__without_suggestions_is_empty():
    truth = pd.DataFrame(
        {"fov": ["f"], "is_object": True, "boundary_correct": float("nan"), "cohort": "P", "condition": "U"}
    )
    table = segmented_objects(truth)
    assert table.empty
    assert tuple(table) == SEGMENTED_COLUMNS
