"""Synthetic raters: the rates they are given come back out of their marks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from crowdtruth.synthetic import synthesise
from crowdtruth.synthetic.layout import draw_layout, slide_mixture, spread_evenly
from crowdtruth.synthetic.marks import draw_marks
from crowdtruth.synthetic.raters import draw_raters, mean_confusion
from crowdtruth.synthetic.seeds import Stream, generator
from crowdtruth.synthetic.visits import Place
from tests.synthetic_cases import ALWAYS, BOX, DEMO, everyone, independent, marks_on_truth


@pytest.fixture(scope="module")
def plain():
    return independent()


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
    shared = independent(shared_difficulty=0.6, persistence=0.6, n_fovs=100)
    marks, n_true = marks_on_truth(shared), shared.truth["label"].value_counts()
    found = marks.groupby(["rater", "label_true"]).size().unstack(fill_value=0)
    classes = [one.name for one in shared.parameters.tissue.classes]
    for name in ("tumor", "lymphocyte", "fibroblast"):
        rates = shared.raters.detection[:, classes.index(name)]
        expected = pd.Series(rates, shared.raters.rater)
        # about 250 nuclei or more of each, fully shared at worst: standard deviation below .03
        assert (found[name] / n_true[name] - expected).abs().max() < 0.1


def test_synthesise__shared_difficulty_makes_raters_miss_the_same_nuclei():
    def spread(made):
        n_found = marks_on_truth(made).groupby("source")["rater"].nunique().reindex(made.truth["nucleus"], fill_value=0)
        return n_found.var()

    assert spread(independent(shared_difficulty=0.7, n_fovs=30)) > 1.5 * spread(independent(n_fovs=30))


def test_synthesise__persistence_makes_a_rater_repeat_errors():
    def repeated_labels(persistence):
        made = independent(conditions=everyone("a", "b"), persistence=persistence, n_fovs=25)
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
        len(marks_on_truth(independent(conditions=everyone("all", suggestions=shown), n_fovs=20)))
        for shown in (ALWAYS, helped)
    )
    assert more > 1.1 * plainly


def test_synthesise__classification_gain_helps_to_name():
    def share_right(gain):
        marks = marks_on_truth(independent(conditions=everyone("all", classification_gain=gain), n_fovs=20))
        return (marks["label"] == marks["label_true"]).mean()

    assert share_right(1.0) > share_right(0.0) + 0.05


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
    size = spread_evenly(generator(9, Stream.SIZE).random(), fov)
    layout = draw_layout(parameters.tissue, slide_mixture(parameters.tissue, rng), generator(9, Stream.FOV, fov), size)
    rows = made.study.annotations.query("fov == 'fov-004' and condition == 'E'")
    asked = made.study.assignments.query("fov == 'fov-004' and condition == 'E'")["rater"]
    numbers = np.sort([made.raters.rater.index(name) for name in asked])
    marks = draw_marks(parameters, layout, made.raters, numbers, Place(fov, parameters.conditions[1], 9, 1))
    np.testing.assert_array_equal(marks.boxes, rows[BOX].to_numpy())


def _hospital_weights(parameters):
    weights = np.array(list(parameters.tissue.hospitals.values()), float)
    return weights / weights.sum()


def _everybody(**changes):
    """Both cohorts of the demo with some fields changed."""
    return tuple(replace(cohort, **changes) for cohort in DEMO.cohorts)


def _agreement_on_wrong_labels(made, cohorts):
    """How often two raters, one of each cohort, give the same label to a nucleus that both name wrongly."""
    marks = marks_on_truth(made)
    wrong = marks[marks["label"] != marks["label_true"]].merge(made.study.raters, on="rater")
    one, other = (wrong[wrong["cohort"] == cohort][["source", "rater", "label"]] for cohort in cohorts)
    pairs = one.merge(other, on="source", suffixes=("", "_other")).query("rater != rater_other")
    return (pairs["label"] == pairs["label_other"]).mean(), len(pairs)


def test_synthesise__shared_errors_are_those_of_the_cohort():
    own, shared = (
        independent(cohorts=_everybody(shared_errors=share, confusion_concentration=1e4), n_fovs=40)
        for share in (0.0, 0.9)
    )
    within, n_within = _agreement_on_wrong_labels(shared, ("NP", "NP"))
    before, _ = _agreement_on_wrong_labels(own, ("NP", "NP"))
    assert n_within > 200
    assert within > before + 0.2
    across, _ = _agreement_on_wrong_labels(shared, ("SP", "NP"))
    assert within > across + 0.1


def test_synthesise__persistence_of_a_cohort_goes_before_that_of_the_study():
    senior, others = DEMO.cohorts
    made = independent(
        cohorts=(senior, replace(others, persistence=1.0)), conditions=everyone("a", "b"), n_fovs=6
    ).study.annotations
    on = {name: rows.drop(columns=["annotation", "condition", "created"]) for name, rows in made.groupby("condition")}
    for name, repeats in (("NP", True), ("SP", False)):
        mine = [rows[rows["rater"].str.startswith(name)] for rows in on.values()]
        # marks on nothing are new each time
        shared = mine[0].merge(mine[1], how="inner")
        assert (len(shared) > 0.8 * len(mine[0])) == repeats


def test_draw_raters__click_sd_sets_raters_apart():
    shown = everyone("shown", suggestions=ALWAYS)
    shares = []
    for spread in (0.0, 1.5):
        made = independent(cohorts=_everybody(click_sd=spread), conditions=shown, n_fovs=15).study.annotations
        shares.append((made["kind"] == "click").groupby(made["rater"]).mean().std())
    assert shares[0] < 0.08
    assert shares[1] > 0.15


def test_draw_marks__drift_changes_how_well_a_rater_names():
    made = independent(cohorts=_everybody(drift_sd=0.5), conditions=everyone("a", "b", "c"), n_fovs=20)
    marks = marks_on_truth(made)
    right = (marks["label"] == marks["label_true"]).groupby([marks["rater"], marks["condition"]]).mean().unstack()
    change = (right["c"] - right["a"]).reindex(made.raters.rater)
    assert np.corrcoef(made.raters.drift, change)[0, 1] > 0.8
