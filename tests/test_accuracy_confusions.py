"""What was taken for what, counted by hand, and its intervals against those of one row at a time."""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.accuracy import (
    anchor_confusion,
    box_reference,
    confusions,
    rater_confusion,
    rater_outcomes,
    task_reference,
)
from crowdtruth.accuracy.confusions import objects_all_were_asked_about
from crowdtruth.references import AnchorLabels
from crowdtruth.resampling import bootstrap, group_codes
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import load_taxonomy

FEW = {"n_replicates": 200, "seed": 3}
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


def _share(sums):
    """Share of a row, NaN where the row is empty."""
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[..., 0]) / sums[..., 1]


@pytest.fixture(scope="module")
def study():
    return synthesise("demo", n_fovs=12, seed=5).study


@pytest.fixture(scope="module")
def fovs(study):
    """The FOVs of the study on eight slides."""
    return study.fovs.assign(slide=[f"s{i % 8}" for i in range(len(study.fovs))])


@pytest.fixture(scope="module")
def demo(study):
    return rater_outcomes(
        box_reference(study.reference, "truth", fovs=study.fovs["fov"]),
        assignments=study.assignments,
        raters=study.raters,
        annotations=study.annotations,
    )


# by rater


def test_rater_confusion__has_a_row_for_false_marks_and_a_column_for_missed_objects():
    truth = pd.DataFrame([mark(0, "a"), mark(30, "a"), mark(60, "b"), mark(150, "AMBIGUOUS")]).drop(columns="rater")
    marks = pd.DataFrame([mark(0, "a"), mark(30, "b"), mark(90, "b"), mark(150, "a"), mark(0, "a", "r10")])
    assignments = asked(f=["r1", "r10"])
    outcomes = rater_outcomes(box_reference(truth, "t"), assignments=assignments, raters=RATERS, annotations=marks)
    table = rater_confusion(outcomes, RATERS)
    names = ["who", "cohort", "condition", "reference", "grouping", "true", "assigned"]
    assert [*table] == [*names, "count", "share", "low", "high", "resampled"]
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


def test_rater_confusion__the_shares_of_a_true_label_add_up_to_1(demo):
    table = rater_confusion(demo, **FEW)
    assert table.groupby(["who", "condition", "true"])["share"].sum().to_numpy() == pytest.approx(1)


@pytest.mark.parametrize("resample", ["fov", "slide"])
def test_rater_confusion__bounds_are_those_of_each_rater_alone(demo, fovs, resample):
    table = rater_confusion(demo, fovs=fovs, resample=resample, **FEW)
    rows = demo.rows[demo.rows["outcome"] != "ignored"].astype("str")
    for (who, condition), own in rows.groupby(["who", "condition"]):
        judged = demo.rows[(demo.rows["who"] == who) & (demo.rows["condition"] == condition)]
        names = (
            fovs.set_index("fov")[resample] if resample == "slide" else pd.Series(fovs["fov"].to_numpy(), fovs["fov"])
        )
        groups = sorted({*judged["fov"].astype("str").map(names)})
        found = table[(table["who"] == who) & (table["condition"] == condition)]
        for row in found.itertuples():
            of_line = own[own["true"] == row.true]
            sums = [of_line["fov"].map(names), of_line["assigned"] == row.assigned]
            by_group = sums[1].groupby(sums[0]).agg(["sum", "size"]).reindex(groups, fill_value=0)
            interval = bootstrap(by_group, _share, **FEW)
            np.testing.assert_allclose([row.share, row.low, row.high], [interval.value, interval.low, interval.high])
    assert set(table["resampled"]) == {resample}
    assert table["low"].notna().any()


def test_rater_confusion__cells_at_a_time_change_nothing(demo, monkeypatch):
    together = rater_confusion(demo, **FEW)
    monkeypatch.setattr(confusions, "_CELLS", 1)  # one true label at a time
    pd.testing.assert_frame_equal(together, rater_confusion(demo, **FEW))


def test_rater_confusion__tasks_of_a_crowd_are_resampled():
    right = [(f"t{i}", "a" if i % 3 else "b") for i in range(12)]
    gold = task_reference(pd.DataFrame({"anchor": [task for task, _ in right], "label": "a"}), "gold")
    ratings = said(*[(task, "r1", label) for task, label in right])
    table = rater_confusion(rater_outcomes(gold, assignments=asked(), raters=RATERS, ratings=ratings), RATERS, **FEW)
    tasks = sorted(right)
    interval = bootstrap([[label == "a", 1] for _, label in tasks], _share, **FEW)
    row = table[table["assigned"] == "a"].iloc[0]
    assert row[["share", "low", "high"]].tolist() == [interval.value, interval.low, interval.high]
    assert set(table["resampled"]) == {"anchor"}


def test_rater_confusion__of_nobody_is_empty():
    gold = task_reference(pd.DataFrame({"anchor": ["t"], "label": ["a"]}), "gold")
    outcomes = rater_outcomes(gold, assignments=asked(), raters=RATERS, ratings=said(("other", "r1", "a")))
    table = rater_confusion(outcomes, RATERS)
    assert table.empty
    assert [*table][-4:] == ["share", "low", "high", "resampled"]


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


@pytest.mark.parametrize("resample", ["fov", "slide"])
def test_anchor_confusion__the_interval_is_that_of_sums_by_group(resample):
    rows = [(f"a{i}", f"f{i % 8}", "x" if i % 3 else "y") for i in range(40)]
    labels = told(rows, unfound=[("f1", "x"), ("f2", "y")])
    ratings = said(*[(f"a{i}", rater, "xy"[i * n % 7 > 4]) for i in range(40) for n, rater in ((1, "r1"), (2, "r2"))])
    fovs = pd.DataFrame(
        {"fov": [f"f{i}" for i in range(8)], "slide": [f"s{i // 2}" if i > 3 else f"t{i}" for i in range(8)]}
    )
    table = anchor_confusion(
        labels, ratings, assignments=asked(**{fov: ["r1", "r2"] for fov in fovs["fov"]}), raters=RATERS,
        fovs=fovs, resample=resample, **FEW,
    )  # fmt: skip
    codes = dict(zip(fovs["fov"], group_codes(fovs["fov"], fovs, resample)[0], strict=True))
    objects = labels.labels[["anchor", "fov", "true"]].merge(ratings, on="anchor", suffixes=("", "_"))
    missed = [("", "f1", "x", "undetected")] * 2 + [("", "f2", "y", "undetected")] * 2
    told_of = pd.concat(
        [objects[["anchor", "fov", "true", "label"]], pd.DataFrame(missed, columns=["anchor", "fov", "true", "label"])]
    )
    for row in table.itertuples():
        own = told_of[told_of["true"] == row.true]
        sums = np.zeros((max(codes.values()) + 1, 2))
        for fov, label in zip(own["fov"], own["label"], strict=True):
            sums[codes[fov]] += (label == row.assigned, 1 / 2)  # each object has a label of both raters
        interval = bootstrap(sums, _share, **FEW)
        np.testing.assert_allclose([row.mean_raters, row.low, row.high], [interval.value, interval.low, interval.high])
    assert set(table["resampled"]) == {resample}
    assert len(table) == 6


def test_anchor_confusion__few_fovs_have_no_interval():
    labels = told([(f"a{i}", f"f{i}", "x") for i in range(5)])
    ratings = said(*[(f"a{i}", rater, "xy"[i % 2]) for i in range(5) for rater in ("r1", "r2")])
    assignments = asked(**{f"f{i}": ["r1", "r2"] for i in range(5)})
    table = anchor_confusion(labels, ratings, assignments=assignments, raters=RATERS)
    assert table[["low", "high"]].isna().all(axis=None)


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
    assert {"mean_raters", "low", "high", "resampled"} <= {*table}
