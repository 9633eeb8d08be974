"""Synthetic studies as a whole: seeds, times, structure and size, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from crowdtruth.boxes import aligned_iou
from crowdtruth.synthetic import ConditionParameters, load_preset, synthesise
from crowdtruth.synthetic.seeds import Stream, generator
from tests.synthetic_cases import ALWAYS, BOX, DEMO, everyone, marks_on_truth


@pytest.fixture(scope="module")
def nucls():
    return synthesise("nucls", seed=0)


def as_text(made):
    tables = (made.study.annotations, made.study.assignments, made.study.fovs, made.truth, made.origins)
    return "".join(table.to_csv() for table in tables)


# seeds


def test_synthesise__same_seed_same_bytes():
    assert as_text(synthesise("demo", seed=3)) == as_text(synthesise("demo", seed=3))


def test_synthesise__another_seed_gives_another_study():
    assert as_text(synthesise("demo", seed=3, n_fovs=2)) != as_text(synthesise("demo", seed=4, n_fovs=2))


def test_synthesise__fewer_fovs_leave_the_others_as_they_are():
    few, many = synthesise("demo", n_fovs=3, seed=1), synthesise("demo", n_fovs=7, seed=1)
    for name in ("annotations", "assignments", "fovs"):
        rows = getattr(many.study, name)
        rows = rows[rows["fov"].isin(few.study.fovs["fov"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(getattr(few.study, name), rows)


def test_synthesise__more_raters_change_no_nucleus_and_no_mark():
    senior, others = DEMO.cohorts
    few = synthesise("demo", n_fovs=4, conditions=everyone("all"))
    more = (replace(senior, n_raters=3), replace(others, n_raters=9))
    many = synthesise("demo", n_fovs=4, cohorts=more, conditions=(ConditionParameters("all", {"SP": 3, "NP": 9}),))
    pd.testing.assert_frame_equal(few.truth, many.truth)
    kept = many.study.annotations[many.study.annotations["rater"].isin(few.study.raters["rater"])]
    columns = ["fov", "rater", *BOX, "label"]
    pd.testing.assert_frame_equal(few.study.annotations[columns], kept[columns].reset_index(drop=True))


def test_synthesise__another_condition_changes_no_mark_in_the_first():
    one, two = (synthesise("demo", n_fovs=3, conditions=everyone(*names)) for names in (["a"], ["a", "b"]))
    marks = two.study.annotations[two.study.annotations["condition"] == "a"].reset_index(drop=True)
    pd.testing.assert_frame_equal(one.study.annotations.drop(columns="annotation"), marks.drop(columns="annotation"))


def test_generator__keys_give_different_numbers():
    keys = [(Stream.FOV, 0), (Stream.FOV, 1), (Stream.SLIDE, 0), (Stream.RATER, "NP.1"), (Stream.RATER, "NP.2")]
    assert len({generator(0, *key).random() for key in keys}) == len(keys)


# times


def test_synthesise__times_follow_the_conditions():
    made = synthesise("demo", n_fovs=5)
    created = pd.to_datetime(made.study.annotations["created"])
    by_condition = created.groupby(made.study.annotations["condition"])
    assert by_condition.max()["U-control"] < by_condition.min()["E"]
    weeks = made.parameters.weeks_per_condition * len(made.parameters.conditions)
    assert created.min() >= pd.Timestamp(made.parameters.start)
    assert created.max() < pd.Timestamp(made.parameters.start) + pd.Timedelta(weeks=weeks)


def test_synthesise__nobody_works_at_night_or_on_weekends():
    created = pd.to_datetime(synthesise("demo").study.annotations["created"])
    assert created.dt.day_of_week.max() <= 4
    assert created.dt.hour.between(9, 17).all()


def test_synthesise__marks_of_a_visit_follow_each_other():
    marks = synthesise("demo", n_fovs=5).study.annotations
    seconds = pd.to_datetime(marks["created"]).groupby([marks["fov"], marks["rater"], marks["condition"]])
    assert (seconds.diff().dropna() >= pd.Timedelta(seconds=1)).all()
    assert (seconds.diff().dropna() <= pd.Timedelta(seconds=11)).all()


def test_synthesise__raters_go_through_the_fovs_in_orders_of_their_own():
    marks = synthesise("demo", n_fovs=6).study.annotations.query("condition == 'U-control'")
    orders = (
        marks.sort_values("created", kind="stable").groupby("rater")["fov"].agg(lambda fovs: tuple(dict.fromkeys(fovs)))
    )
    assert orders.nunique() > 1


def test_synthesise__without_a_start_there_are_no_times():
    made, timed = (synthesise("demo", n_fovs=2, start=start).study.annotations for start in ("", "2020-01-06"))
    assert "created" not in made
    pd.testing.assert_frame_equal(made, timed.drop(columns="created"))


# the study


def test_synthesise__outlines_span_their_boxes(nucls):
    drawn = nucls.study.annotations.query("kind != 'box'").sample(300, random_state=0)
    for axis in ("x", "y"):
        corners = [[min(p), max(p)] for p in ([int(v) for v in text.split(",")] for text in drawn[f"coords_{axis}"])]
        np.testing.assert_array_equal(corners, drawn[[f"{axis}min", f"{axis}max"]].to_numpy())


def test_synthesise__kinds_fit_the_conditions(nucls):
    kinds = nucls.study.annotations.groupby(["condition", "kind"]).size()
    assert set(kinds.loc["U-control"].index) == {"box", "polygon"}
    assert set(kinds.loc["E"].index) == {"box", "click"}
    tracers = nucls.study.annotations.query("kind == 'polygon'")
    assert set(tracers["rater"]) == {"SP.3"}
    assert set(tracers["condition"]) == {"U-control"}


def test_synthesise__asks_the_number_of_raters_it_should(nucls):
    asked = nucls.study.assignments.merge(nucls.study.raters, on="rater").groupby(["condition", "fov", "cohort"]).size()
    for condition in nucls.parameters.conditions:
        for cohort, n_asked in condition.asked.items():
            assert (asked.loc[condition.name].xs(cohort, level="cohort") == n_asked).all()


def test_synthesise__those_asked_where_few_are_asked_are_asked_where_many_are(nucls):
    asked = nucls.study.assignments.groupby("condition")[["fov", "rater"]].apply(
        lambda rows: set(rows.itertuples(index=False, name=None))
    )
    assert asked["B-control"] < asked["E"]


def test_synthesise__nucls_has_the_size_of_the_paper(nucls):
    assert nucls.study.conditions == ["B-control", "E", "U-control"]
    assert len(nucls.study.raters) == 38
    assert 50 <= len(nucls.study.fovs) <= 60
    assert 1_050 < len(nucls.truth) < 1_500
    assert 80_000 < len(nucls.study.annotations) < 115_000


def test_synthesise__demo_is_small():
    assert len(synthesise("demo").study.annotations) <= 5_000


def test_synthesise__reference_is_the_truth(nucls):
    assert nucls.study.assignments_given
    pd.testing.assert_frame_equal(nucls.study.reference, nucls.truth.drop(columns="nucleus"), check_dtype=False)


def test_synthesise__marks_lie_on_their_nuclei(nucls):
    marks = marks_on_truth(nucls)
    iou = aligned_iou(marks[BOX].to_numpy(), marks[[f"{c}_true" for c in BOX]].to_numpy())
    assert np.median(iou) > 0.65
    assert (iou > 0.25).mean() > 0.98


def test_synthesise__one_rater_marks_an_object_once_in_a_round(nucls):
    marks = nucls.study.annotations.merge(nucls.origins, on="annotation").query("source != ''")
    assert not marks.duplicated(["rater", "condition", "source"]).any()


def test_synthesise__labels_are_in_the_taxonomy(nucls):
    from crowdtruth.taxonomy import load_taxonomy

    known = set(load_taxonomy("nucls").classes)
    assert set(nucls.study.annotations["label"]) <= known
    assert {one.name for one in nucls.parameters.tissue.classes} == known


def test_synthesise__takes_parameters_of_your_own():
    made = synthesise(load_preset("demo", n_fovs=2), seed=1, persistence=0.0)
    assert made.parameters.persistence == 0
    assert len(made.study.fovs) == 2


# what is refused


def test_load_preset__names_the_presets():
    with pytest.raises(ValueError, match=r"no preset 'paper'; there are \['demo', 'nucls'\]"):
        load_preset("paper")


def test_synthesise__names_an_unknown_parameter():
    with pytest.raises(ValueError, match=r"no parameters \['n_fov'\]; a study has .*'n_fovs'"):
        synthesise("demo", n_fov=3)


def _with_cohort(**changes):
    return {"cohorts": (replace(DEMO.cohorts[0], **changes), DEMO.cohorts[1])}


def _with_tissue(**changes):
    return {"tissue": replace(DEMO.tissue, **changes)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_fovs": 0}, "at least one FOV, got n_fovs=0"),
        ({"persistence": 1.5}, r"persistence must lie in \[0, 1\], got 1.5"),
        ({"conditions": ()}, "at least one condition"),
        ({"conditions": (ConditionParameters("a", {"XP": 1}),)}, "condition a asks unknown cohort 'XP'"),
        ({"conditions": (ConditionParameters("a", {"SP": 5}),)}, "asks 5 raters of SP per FOV, which has 2"),
        ({"conditions": everyone("a", suggestions=replace(ALWAYS, coverage=2.0))}, "condition a: coverage must lie in"),
        ({"cohorts": DEMO.cohorts[:1] * 2}, "at least one cohort and distinct names"),
        (_with_cohort(detection={"tumor": 0.9}), "cohort SP: no detection rate for .*'lymphocyte'"),
        (_with_cohort(distractor_detection=0.0), "distractor has 0.0"),
        (_with_cohort(confusion={"tumour": {"tumor": 0.1}}), r"unknown classes \['tumour'\]"),
        (_with_cohort(confusion={"tumor": {"fibroblast": 1.2}}), "confusion of tumor lists only wrong classes"),
        (_with_cohort(confusion={"tumor": {"tumor": 0.2}}), "confusion of tumor lists only wrong classes"),
        (_with_cohort(false_labels={"tumor": 0.5}), "false_labels must be shares that sum to 1"),
        (_with_cohort(false_labels={"debris": 1.0}), r"false_labels names unknown classes \['debris'\]"),
        (_with_cohort(n_raters=0), "needs a rater"),
        (_with_cohort(box_shift=-0.1), "box_shift must not be negative"),
        (_with_cohort(drift_sd=-0.1), "drift_sd must not be negative"),
        (_with_cohort(shared_errors=1.1), r"cohort SP: shared_errors must lie in \[0, 1\], got 1.1"),
        (_with_cohort(persistence=-0.5), r"cohort SP: persistence must lie in \[0, 1\], got -0.5"),
        ({"start": "6 January"}, "start must be a date like 2020-01-06, or empty; got '6 January'"),
        ({"weeks_per_condition": 0}, "a condition takes at least one week, got 0"),
        (_with_tissue(nuclei_min=30), "1 <= nuclei_min <= nuclei_median <= nuclei_max"),
        (_with_tissue(hospitals={}), "hospitals need weights above 0"),
        (_with_tissue(n_slides=0), "tissue needs slides"),
        (_with_tissue(touching=-1.0), "touching must lie in"),
        (_with_tissue(classes=(replace(DEMO.tissue.classes[0], niches={"nest": 0.5}),)), "niches of class tumor"),
        (_with_tissue(classes=(replace(DEMO.tissue.classes[0], frequency=0.0),)), "needs a frequency above 0"),
    ],
)
def test_synthesise__refuses_parameters_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        synthesise("demo", **changes)
