"""Synthetic studies: seeds, structure, and parameters that come back out of the marks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from crowdtruth.boxes import aligned_iou, overlapping_pairs
from crowdtruth.synthetic import (
    PRESETS,
    ConditionParameters,
    SuggestionParameters,
    load_preset,
    synthesise,
)
from crowdtruth.synthetic.layout import class_niches, draw_layout, slide_mixture
from crowdtruth.synthetic.marks import Place, draw_marks
from crowdtruth.synthetic.raters import draw_raters, mean_confusion
from crowdtruth.synthetic.seeds import Stream, generator

BOX = ["xmin", "ymin", "xmax", "ymax"]
DEMO = PRESETS["demo"]
ALWAYS = SuggestionParameters(
    coverage=1.0, distractor_coverage=1.0, correct=1.0, shift=0.0, scale=0.0, wrong_shift=0.3, wrong_scale=0.3,
    click_correct=0.6, click_wrong=0.0,
)  # fmt: skip


def everyone(*names, **options):
    """Conditions in which all raters of the demo are asked."""
    return tuple(ConditionParameters(name, {"SP": 2, "NP": 6}, **options) for name in names)


def independent(**changes):
    """The demo's raters with nothing shared between raters or rounds, all asked everywhere, under one condition."""
    options = {"conditions": everyone("all"), "shared_difficulty": 0.0, "persistence": 0.0, "n_fovs": 60}
    return synthesise("demo", seed=5, **{**options, **changes})


@pytest.fixture(scope="module")
def plain():
    return independent()


@pytest.fixture(scope="module")
def nucls():
    return synthesise("nucls", seed=0)


def marks_on_truth(made):
    """Marks on nuclei, with the true class and box of the nucleus beside them."""
    marks = made.study.annotations.merge(made.origins, on="annotation")
    truth = made.truth.drop(columns=["fov", "coords_x", "coords_y"])
    return marks.merge(truth, left_on="source", right_on="nucleus", suffixes=("", "_true"))


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


# tissue


def test_class_niches__mix_to_the_frequencies_of_the_classes():
    weight, within = class_niches(DEMO.tissue)
    frequency = np.array([one.frequency for one in DEMO.tissue.classes])
    np.testing.assert_allclose(weight @ within, frequency / frequency.sum())


@pytest.fixture(scope="module")
def tissue():
    """Layouts of 400 FOVs on as many slides."""
    rng = np.random.default_rng(0)
    return [draw_layout(DEMO.tissue, slide_mixture(DEMO.tissue, rng), rng) for _ in range(400)]


def test_draw_layout__has_the_real_proportions(tissue):
    labels = np.concatenate([one.label for one in tissue])
    share = np.bincount(labels[labels < 13], minlength=13) / (labels < 13).sum()
    frequency = np.array([one.frequency for one in DEMO.tissue.classes])
    # FOVs differ widely: shares of a class scatter with a standard deviation below .3 between them, 400 FOVs
    np.testing.assert_allclose(share, frequency / frequency.sum(), atol=4 * 0.3 / np.sqrt(400))


def test_draw_layout__has_the_sizes_of_each_class(tissue):
    boxes, labels = (np.concatenate([getattr(one, name) for one in tissue]) for name in ("boxes", "label"))
    side = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    for code in (0, 1, 2, 3):  # tumor, fibroblast, lymphocyte, plasma cell: hundreds of nuclei each
        expected, spread = DEMO.tissue.classes[code].side, DEMO.tissue.classes[code].side_log_sd
        assert np.median(side[labels == code]) == pytest.approx(expected, rel=0.05)
        assert np.log(side[labels == code]).std() == pytest.approx(spread, rel=0.15)


def test_draw_layout__keeps_the_numbers_within_limits(tissue):
    n_nuclei = np.array([(one.label < 13).sum() for one in tissue])
    assert n_nuclei.min() >= 10
    assert n_nuclei.max() <= 90
    assert 20 < n_nuclei.mean() < 30


def test_draw_layout__keeps_centres_in_the_fov(tissue):
    boxes = np.concatenate([one.boxes for one in tissue])
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert centre.min() > -1
    assert centre.max() < DEMO.tissue.fov_side + 1


def test_draw_layout__nuclei_touch_but_rarely_overlap_much(tissue):
    # measured in the single-rater set: half overlap another box, a quarter by more than .05, a hundredth by .25
    worst = np.concatenate([_worst_overlaps(one.boxes[one.label < 13]) for one in tissue])
    assert 0.4 < (worst > 0).mean() < 0.7
    assert 0.15 < (worst > 0.05).mean() < 0.35
    assert 0 < (worst > 0.25).mean() < 0.02


def _worst_overlaps(boxes):
    """Largest IOU of each box with another, (n,)."""
    first, second, iou = overlapping_pairs(boxes, min_iou=1e-9)
    worst = np.zeros(len(boxes))
    np.maximum.at(worst, first, iou)
    np.maximum.at(worst, second, iou)
    return worst


def test_draw_layout__neighbours_resemble_each_other(tissue):
    from scipy.spatial import cKDTree

    is_same, labels = [], []
    for one in tissue:
        nuclei = one.label < 13
        centre, label = (one.boxes[nuclei, :2] + one.boxes[nuclei, 2:]) / 2, one.label[nuclei]
        nearest = cKDTree(centre).query(centre, 2)[1][:, 1]
        is_same.append(label == label[nearest])
        labels.append(label)
    by_chance = (np.bincount(np.concatenate(labels)) / len(np.concatenate(labels))) ** 2
    assert np.concatenate(is_same).mean() > 2 * by_chance.sum()


def test_draw_layout__outlines_fill_their_boxes(tissue):
    for one in tissue[:20]:
        np.testing.assert_allclose(one.outline.min(axis=1), 0)
        np.testing.assert_allclose(one.outline.max(axis=1), 1)


# raters and their marks


def test_synthesise__detection_rates_come_back(plain):
    classes = [one.name for one in plain.parameters.tissue.classes]
    marks, n_true = marks_on_truth(plain), plain.truth["label"].value_counts()
    found = marks.groupby(["rater", "label_true"]).size()
    z = []
    for row, rater in enumerate(plain.raters.rater):
        for name in n_true.index:
            rate = plain.raters.detection[row, classes.index(name)]
            n, expected = n_true[name], n_true[name] * rate
            if min(expected, n - expected) > 8:
                z.append((found.get((rater, name), 0) - expected) / np.sqrt(expected * (1 - rate)))
    assert len(z) > 30
    assert np.abs(z).max() < 4  # of some 50 standard normal numbers
    assert 0.7 < np.std(z) < 1.3


def test_synthesise__confusions_come_back(plain):
    classes = [one.name for one in plain.parameters.tissue.classes]
    marks = marks_on_truth(plain)
    z = []
    for row, rater in enumerate(plain.raters.rater):
        of_rater = marks[marks["rater"] == rater]
        for true, labels in of_rater.groupby("label_true")["label"]:
            rate = plain.raters.confusion[row, classes.index(true)]
            count = labels.value_counts().reindex(classes, fill_value=0).to_numpy()
            assert (count[rate == 0] == 0).all(), "a label that cannot be given was given"
            expected = len(labels) * rate
            usable = np.minimum(expected, len(labels) - expected) > 8
            z.extend((count - expected)[usable] / np.sqrt(expected * (1 - rate))[usable])
    assert len(z) > 30
    assert np.abs(z).max() < 4
    assert 0.7 < np.std(z) < 1.3


def test_synthesise__box_jitter_comes_back(plain):
    marks = marks_on_truth(plain)
    true = marks[[f"{c}_true" for c in BOX]].to_numpy()
    drawn = marks[BOX].to_numpy()
    size = true[:, 2:] - true[:, :2]
    side = np.sqrt(size.prod(axis=1, keepdims=True))
    shift = ((drawn[:, :2] + drawn[:, 2:]) - (true[:, :2] + true[:, 2:])) / 2 / side
    scale = np.log((drawn[:, 2:] - drawn[:, :2]) / size)
    big = side[:, 0] > 40  # rounding to whole pixels adds less than .01 there
    for cohort in plain.parameters.cohorts:
        mine = big & marks["rater"].str.startswith(cohort.name).to_numpy()
        assert shift[mine].std() == pytest.approx(cohort.box_shift, rel=0.1)
        assert scale[mine].std() == pytest.approx(cohort.box_scale, rel=0.1)


def test_synthesise__false_marks_come_back(plain):
    on_nothing = plain.study.annotations.merge(plain.origins[plain.origins["source"] == ""], on="annotation")
    per_rater = on_nothing.groupby("rater").size().reindex(plain.raters.rater, fill_value=0).to_numpy()
    expected = plain.raters.false_marks * plain.parameters.n_fovs
    assert (np.abs(per_rater - expected) < 4 * np.sqrt(expected) + 1).all()


def test_synthesise__raters_share_distractors():
    made = synthesise("demo", seed=2, n_fovs=40, conditions=everyone("all"))
    on_distractors = made.origins[made.origins["source"].str.contains("distractor")]
    assert on_distractors["source"].duplicated().mean() > 0.2


def test_synthesise__rates_do_not_change_with_what_is_shared():
    shared = independent(shared_difficulty=0.6, persistence=0.6, n_fovs=200)
    marks, n_true = marks_on_truth(shared), shared.truth["label"].value_counts()
    found = marks.groupby(["rater", "label_true"]).size().unstack(fill_value=0)
    classes = [one.name for one in shared.parameters.tissue.classes]
    for name in ("tumor", "lymphocyte", "fibroblast"):
        rates = shared.raters.detection[:, classes.index(name)]
        expected = pd.Series(rates, shared.raters.rater)
        # about 500 nuclei or more of each, fully shared at worst: standard deviation below .02
        assert (found[name] / n_true[name] - expected).abs().max() < 0.08


def test_synthesise__shared_difficulty_makes_raters_miss_the_same_nuclei():
    def spread(made):
        n_found = marks_on_truth(made).groupby("source")["rater"].nunique().reindex(made.truth["nucleus"], fill_value=0)
        return n_found.var()

    assert spread(independent(shared_difficulty=0.7)) > 1.5 * spread(independent())


def test_synthesise__persistence_makes_a_rater_repeat_errors():
    def repeated_labels(persistence):
        made = independent(conditions=everyone("a", "b"), persistence=persistence)
        marks = marks_on_truth(made).pivot_table(
            index=["source", "rater", "label_true"], columns="condition", values="label", aggfunc="first"
        )
        wrong = marks.dropna().reset_index()
        wrong = wrong[wrong["a"] != wrong["label_true"]]
        return (wrong["a"] == wrong["b"]).mean()

    assert repeated_labels(0.9) > repeated_labels(0.0) + 0.3


def test_synthesise__suggestions_are_clicked_at_their_rate_and_keep_their_outline():
    made = independent(conditions=everyone("shown", suggestions=ALWAYS), n_fovs=30)
    marks = marks_on_truth(made)
    clicks = marks[marks["kind"] == "click"]
    assert len(clicks) / len(marks) == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / len(marks)))
    # the suggestions here are perfect: a click has the box and the outline of the nucleus
    np.testing.assert_array_equal(clicks[BOX].to_numpy(), clicks[[f"{c}_true" for c in BOX]].to_numpy())
    outline = made.truth.set_index("nucleus").loc[clicks["source"], "coords_x"]
    assert clicks["coords_x"].tolist() == outline.tolist()


def test_synthesise__detection_gain_helps_to_see():
    helped = replace(ALWAYS, detection_gain=1.0)
    plainly, more = (
        len(marks_on_truth(independent(conditions=everyone("all", suggestions=shown)))) for shown in (ALWAYS, helped)
    )
    assert more > 1.1 * plainly


def test_synthesise__classification_gain_helps_to_name():
    def share_right(gain):
        marks = marks_on_truth(independent(conditions=everyone("all", classification_gain=gain)))
        return (marks["label"] == marks["label_true"]).mean()

    assert share_right(1.0) > share_right(0.0) + 0.05


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


def test_synthesise__draws_raters_around_their_cohort():
    cohort = DEMO.cohorts[1]
    classes = [one.name for one in DEMO.tissue.classes]
    many = replace(DEMO, cohorts=(replace(cohort, n_raters=400),), conditions=())
    traits = draw_raters(many, seed=0)
    np.testing.assert_allclose(traits.confusion.sum(axis=2), 1)
    # Dirichlet rows of concentration 25: standard deviation up to .1, mean of 400
    np.testing.assert_allclose(traits.confusion.mean(axis=0), mean_confusion(cohort, classes), atol=5 * 0.1 / 20)
    middle = [*(cohort.detection[name] for name in classes), cohort.distractor_detection]
    np.testing.assert_allclose(np.median(traits.detection, axis=0), middle, atol=0.05)


def test_draw_marks__is_the_same_alone_as_in_the_study():
    made = synthesise("demo", n_fovs=6, seed=9)
    parameters, fov = made.parameters, 4
    slide = int(generator(9, Stream.FOV, fov, "slide").integers(parameters.tissue.n_slides))
    rng = generator(9, Stream.SLIDE, slide)
    rng.choice(len(parameters.tissue.hospitals), p=_hospital_weights(parameters))
    layout = draw_layout(parameters.tissue, slide_mixture(parameters.tissue, rng), generator(9, Stream.FOV, fov))
    rows = made.study.annotations.query("fov == 'fov-004' and condition == 'E'")
    asked = made.study.assignments.query("fov == 'fov-004' and condition == 'E'")["rater"]
    numbers = np.sort([made.raters.rater.index(name) for name in asked])
    marks = draw_marks(parameters, layout, made.raters, numbers, Place(fov, parameters.conditions[1], 9))
    np.testing.assert_array_equal(marks.boxes, rows[BOX].to_numpy())


def _hospital_weights(parameters):
    weights = np.array(list(parameters.tissue.hospitals.values()), float)
    return weights / weights.sum()


# the study


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
