"""The redundancy experiment against tables cut and inferred anew; what is drawn; what stays the same."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdtruth.accuracy import label_accuracy, label_curves
from crowdtruth.clustering import cluster_annotations
from crowdtruth.curves import multiclass_auroc
from crowdtruth.formats import read_study
from crowdtruth.formats.reference import read_box_reference
from crowdtruth.outcomes import label_outcomes
from crowdtruth.ratings import rate_anchors
from crowdtruth.references import box_reference, label_of_anchors
from crowdtruth.simulation import make_experiment, redundancy_bands, simulate
from crowdtruth.simulation.realization import draw, first_drawn, infer, realize, realize_by_fov
from crowdtruth.simulation.scores import count_metric_names, count_metrics
from crowdtruth.taxonomy import Grouping
from crowdtruth.truth import DawidSkene, MajorityVote, OneCoin, infer_labels
from tests.reference import simulation as reference

CLASSES = ["a", "b", "c"]
RATING = pd.DataFrame({"anchor": ["p"], "fov": "f", "rater": "r", "label": "x"})
GROUPING = Grouping("coarse", ("ab", "rest"), {"a": "ab", "b": "ab", "c": "rest"}, {})
MODELS = {
    "paper": DawidSkene.preset("paper"),
    "default": DawidSkene(),
    "votes": DawidSkene(start="votes", n_iter=15, tolerance=0.0),
    "few": DawidSkene(n_iter=1, tolerance=0.0, pseudo_counts=0.0),
    "squarem": DawidSkene(acceleration="squarem"),
    "one-coin": OneCoin(),
    "majority": MajorityVote(),
}


def small_study(seed, *, n_fovs=4, per_fov=9, n_raters=6, quality=0.55, grouping=None, is_crowd=False):
    """Ratings, reference, unfound: raters 2 … n_raters asked in each FOV, some labels missing."""
    rng = np.random.default_rng(seed)
    rows, true = [], {}
    names = [*CLASSES, "" if is_crowd else "undetected"]
    for fov in range(n_fovs):
        asked = rng.permutation(n_raters)[: rng.integers(2, n_raters + 1)]
        for place in range(per_fov):
            anchor, code = f"{fov}-{place}", rng.integers(0, 3 if is_crowd else 4)
            true[anchor] = names[code] if code < 3 else ""
            for rater in asked:
                label = names[code] if rng.random() < quality else names[rng.integers(0, 4)]
                rows.append((anchor, "" if is_crowd else f"f{fov}", f"r{rater}", label if rng.random() < 0.97 else ""))
    ratings = pd.DataFrame(rows, columns=["anchor", "fov", "rater", "label"])
    at_level = {"": "", **(grouping.class_of if grouping else dict(zip(CLASSES, CLASSES, strict=True)))}
    told = pd.DataFrame(
        [(anchor, at_level[c]) for anchor, c in true.items() if rng.random() < 0.9], columns=["anchor", "true"]
    )
    unfound = pd.DataFrame({"fov": ["f0", "f2", "elsewhere"], "true": [at_level["a"], at_level["c"], at_level["c"]]})
    return ratings, told, unfound


def drawn_order(experiment, ratings, realization):
    """FOV → its raters as they were drawn; a task is its own FOV in a crowd table."""
    fovs, raters = sorted(set(ratings["fov"])), sorted(set(ratings["rater"]))
    pairs = zip(draw(experiment, realization), experiment.pair_fov, experiment.pair_rater, strict=True)
    order = {}
    for _, fov, rater in sorted(pairs):
        order.setdefault(fovs[fov], []).append(raters[rater])
    return order


def assert_rows_match(rows, expected):
    got = {(m, c): v for m, c, v in zip(rows["metric"], rows["class"], rows["value"], strict=True)}
    assert set(got) == set(expected)
    for name, value in expected.items():
        assert got[name] == pytest.approx(np.nan if value is None else value, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("grouping", "min_detections"), [(None, 1), (GROUPING, 2)])
@pytest.mark.filterwarnings("ignore::crowdtruth.truth.ConvergenceWarning")  # the reference fits what is too small
def test_simulate__equals_inference_from_the_ratings_left(model, grouping, min_detections):
    options = {"estimator": MODELS[model], "grouping": grouping, "min_detections": min_detections, "classes": CLASSES}
    for seed in range(3):
        ratings, told, unfound = small_study(seed, grouping=grouping)
        rated = ratings[ratings["label"] != ""]
        experiment = make_experiment(ratings, told, unfound=unfound, **options)
        order = drawn_order(experiment, rated, 5)
        names = [experiment.classes[place] for place in experiment.true_classes]
        every_row = simulate(experiment, [5])
        for k, rows in every_row.groupby("raters_per_fov"):
            large = [fov for fov, raters in order.items() if len(raters) >= k]
            labels, probabilities = reference.inferred(reference.ratings_left(rated, order, k), **options)
            truth = dict(zip(told["anchor"], told["true"], strict=True))
            judged = {anchor: true for anchor, true in truth.items() if f"f{anchor.split('-')[0]}" in large}
            missed = [true for fov, true in zip(unfound["fov"], unfound["true"], strict=True) if fov in large]
            assert_rows_match(rows, reference.scores(labels, probabilities, judged, missed, names))
            assert set(rows["n_fovs"]) == {len(large)}
            assert set(rows["n_unique_raters"]) == {len({r for fov in large for r in order[fov][:k]})}


@pytest.mark.parametrize("model", ["paper", "majority"])
@pytest.mark.filterwarnings("ignore::crowdtruth.truth.ConvergenceWarning")  # the reference fits what is too small
def test_simulate__of_a_crowd_table_draws_for_each_task_and_says_nothing_of_detection(model):
    ratings, told, _ = small_study(3, is_crowd=True)
    told = told[told["true"] != ""]
    rated = ratings[ratings["label"] != ""]
    experiment = make_experiment(ratings, told, estimator=MODELS[model])
    order = drawn_order(experiment, rated.assign(fov=rated["anchor"]), 0)
    every_row = simulate(experiment, [0])
    assert not set(every_row["metric"]) & {"precision", "recall", "f1"}
    for k, rows in every_row.groupby("raters_per_fov"):
        left = reference.ratings_left(rated.assign(fov=rated["anchor"]), order, k).assign(fov="")
        labels, probabilities = reference.inferred(left, is_crowd=True, estimator=MODELS[model])
        judged = {a: t for a, t in zip(told["anchor"], told["true"], strict=True) if a in labels}
        assert_rows_match(rows, reference.scores(labels, probabilities, judged, [], CLASSES, has_detection=False))


def test_realize__areas_are_those_of_curves():
    ratings, told, unfound = small_study(7, per_fov=40)
    experiment = make_experiment(ratings, told, unfound=unfound, classes=CLASSES)
    is_drawn = first_drawn(experiment, draw(experiment, 0), 2)
    areas, inferred = realize(experiment, is_drawn).areas, infer(experiment, is_drawn)
    true = experiment.truth[inferred.items]
    is_found = (true >= 0) & (inferred.label >= 0) & (inferred.label != experiment.undetected)
    chances = inferred.probabilities[is_found, :3]
    expected = multiclass_auroc(true[is_found], chances / chances.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(areas[:3], expected.by_class, rtol=1e-12)
    np.testing.assert_allclose(areas[-1], expected.micro, rtol=1e-12)
    rows = simulate(experiment, [0], raters_per_fov=[2]).set_index(["metric", "class"])["value"]
    assert rows["auroc", "macro"] == pytest.approx(float(expected.macro), rel=1e-12)


def test_realize_by_fov__adds_up_to_the_whole():
    ratings, told, unfound = small_study(5)
    experiment = make_experiment(ratings, told, unfound=unfound)
    for k in range(1, 7):
        is_drawn = first_drawn(experiment, draw(experiment, 0), k)
        by_fov = realize_by_fov(experiment, is_drawn)
        np.testing.assert_array_equal(by_fov.sum(axis=0), realize(experiment, is_drawn).counts)
        assert not by_fov[experiment.n_asked < k].any()


def test_count_metrics__are_those_of_the_table():
    ratings, told, unfound = small_study(6)
    experiment = make_experiment(ratings, told, unfound=unfound)
    rows = simulate(experiment, 3)
    scores = [
        [realize(experiment, first_drawn(experiment, draw(experiment, r), k)) for k in range(1, 7)] for r in range(3)
    ]
    values = count_metrics(experiment, np.array([[score.counts for score in one] for one in scores]))
    of_counts = rows[rows["metric"] != "auroc"]
    np.testing.assert_array_equal(of_counts["value"], values.ravel())
    assert list(zip(of_counts["metric"], of_counts["class"], strict=True))[: values.shape[-1]] == count_metric_names(
        experiment
    )


@pytest.mark.filterwarnings("ignore::crowdtruth.truth.ConvergenceWarning")  # the reference fits what is too small
def test_simulate__takes_more_classes_than_the_widest_vector():
    rng = np.random.default_rng(0)
    ratings = pd.DataFrame({
        "anchor": np.repeat(np.arange(40), 3).astype(str), "fov": "", "rater": np.tile(list("rst"), 40),
        "label": rng.integers(0, 36, 120).astype(str),
    })  # fmt: skip
    told = pd.DataFrame({"anchor": np.arange(40).astype(str), "true": ratings["label"][::3]})
    rows = simulate(make_experiment(ratings, told, estimator=MODELS["few"]), 1, raters_per_fov=[3])
    labels, _ = reference.inferred(ratings, is_crowd=True, estimator=MODELS["few"])
    right = [labels[anchor] == true for anchor, true in zip(told["anchor"], told["true"], strict=True)]
    assert rows.loc[rows["metric"] == "class_accuracy", "value"].tolist() == [np.mean(right)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_draw__is_a_permutation_in_every_fov_that_the_number_alone_decides(seed, realization, study_seed):
    ratings, told, _ = small_study(study_seed % 50, n_fovs=5, per_fov=1)
    experiment = make_experiment(ratings, told, seed=seed)
    place = draw(experiment, realization)
    for fov in range(experiment.n_fovs):
        assert sorted(place[experiment.pair_fov == fov]) == list(range(experiment.n_asked[fov]))
    np.testing.assert_array_equal(place, draw(experiment, realization))


def test_draw__takes_every_rater_equally_often():
    ratings, told, _ = small_study(0, n_fovs=1, per_fov=1)
    experiment = make_experiment(ratings, told)
    firsts = np.bincount([draw(experiment, r).argmin() for r in range(6000)])
    n_raters = len(experiment.pair_rater)
    assert np.abs(firsts - 6000 / n_raters).max() < 4 * np.sqrt(6000 / n_raters)  # four standard deviations


def as_bytes(table):
    return table.to_csv(index=False).encode()


def test_simulate__gives_the_same_bytes_alone_in_any_order_and_on_threads():
    ratings, told, unfound = small_study(1)
    experiment = make_experiment(ratings, told, unfound=unfound)
    whole = simulate(experiment, 45)
    assert as_bytes(simulate(experiment, 45, jobs=3)) == as_bytes(whole)
    backwards = simulate(experiment, range(44, -1, -1)).sort_values("realization", kind="stable")
    assert as_bytes(backwards) == as_bytes(whole)
    alone = simulate(experiment, [31], raters_per_fov=[3])
    chosen = whole[(whole["realization"] == 31) & (whole["raters_per_fov"] == 3)]
    assert as_bytes(alone) == as_bytes(chosen)


def test_simulate__gives_other_draws_for_another_seed():
    ratings, told, _ = small_study(1)
    first, second = (simulate(make_experiment(ratings, told, seed=seed), 3) for seed in (0, 1))
    assert not first["value"].equals(second["value"])


def test_simulate__does_not_depend_on_the_order_of_rows():
    ratings, told, unfound = small_study(2)
    shuffled = (table.sample(frac=1, random_state=1) for table in (ratings, told))
    expected = simulate(make_experiment(ratings, told, unfound=unfound), 4)
    assert as_bytes(simulate(make_experiment(*shuffled, unfound=unfound[::-1]), 4)) == as_bytes(expected)


@pytest.mark.parametrize("is_crowd", [False, True])
def test_simulate__takes_categories_like_text(is_crowd):
    ratings, told, _ = small_study(2, is_crowd=is_crowd)
    expected = simulate(make_experiment(ratings, told), 2)
    for table in (ratings, ratings.sample(frac=1, random_state=3)):
        assert as_bytes(simulate(make_experiment(table.astype("category"), told.astype("category")), 2)) == as_bytes(
            expected
        )


@pytest.mark.data
def test_simulate__with_all_raters_has_the_accuracy_of_the_study(data_dir):
    """Real raters: where all are drawn, counts are those of accuracy.csv, and areas those of the curves."""
    study = read_study(data_dir / "exact_asthma_round1")
    located = cluster_annotations(study.annotations)
    ratings = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    truth = infer_labels(ratings, located.anchors).truth
    boxes = read_box_reference(
        data_dir / "exact_asthma_round1" / "ground_truth.csv", taxonomy=None, normalise_labels=False
    )
    reference = box_reference(boxes, "truth")
    told = label_of_anchors(reference, truth)
    experiment = make_experiment(ratings, told.labels, unfound=told.unfound, assignments=study.assignments)
    rows = simulate(experiment, [0], raters_per_fov=[10]).set_index(["metric", "class"])["value"]
    outcomes = label_outcomes(reference, truth=truth, assignments=study.assignments, raters=study.raters)
    scores = pd.concat([label_accuracy(outcomes), label_curves(told, truth, n_replicates=1).scores])
    both = scores.set_index(["metric", "class"]).join(rows.rename("simulated"), how="inner")
    assert len(both) == len(rows) == 22
    np.testing.assert_allclose(both["simulated"], both["value"], rtol=1e-12)


def test_simulate__leaves_out_fovs_with_fewer_raters():
    ratings = pd.DataFrame({
        "anchor": list("ppqqq"), "fov": list("ffggg"), "rater": list("rsrst"), "label": list("xxyyy")
    })  # fmt: skip
    told = pd.DataFrame({"anchor": ["p", "q"], "true": ["x", "y"]})
    rows = simulate(make_experiment(ratings, told), 1)
    recall = rows[rows["metric"] == "recall"].set_index(["raters_per_fov", "class"])["value"]
    assert rows.groupby("raters_per_fov")["n_fovs"].first().tolist() == [2, 2, 1]
    assert recall[3, "y"] == 1
    assert np.isnan(recall[3, "x"])  # no object of class x is left


def test_simulate__leaves_out_numbers_of_raters_that_no_fov_has():
    ratings, told, _ = small_study(0)
    experiment = make_experiment(ratings, told)
    most = int(experiment.n_asked.max())
    assert as_bytes(simulate(experiment, 1, raters_per_fov=[1, most, most + 1])) == as_bytes(
        simulate(experiment, 1, raters_per_fov=[1, most])
    )


def test_simulate__counts_fovs_in_which_nobody_marked_anything():
    ratings = pd.DataFrame({"anchor": ["p", "p"], "fov": "f", "rater": ["r", "s"], "label": "x"})
    told = pd.DataFrame({"anchor": ["p"], "true": ["x"]})
    asked = pd.DataFrame({"fov": ["f", "f", "g"], "rater": ["r", "s", "t"]})
    unfound = pd.DataFrame({"fov": ["g"], "true": ["x"]})
    rows = simulate(make_experiment(ratings, told, unfound=unfound, assignments=asked), 1)
    recall = rows[(rows["metric"] == "recall") & (rows["class"] == "x")]
    assert recall["value"].tolist() == [0.5, 1.0]
    assert recall["n_fovs"].tolist() == [2, 1]
    assert recall["n_unique_raters"].tolist() == [2, 2]


def test_simulate__gives_no_label_that_nobody_left_gave():
    """Two of three say x, where all others are z: with one rater left the label is that rater's."""
    ratings = pd.DataFrame({"anchor": ["p"] * 3, "fov": "f", "rater": list("rst"), "label": list("xxy")})
    told = pd.DataFrame({"anchor": ["p"], "true": ["z"]})
    rows = simulate(make_experiment(ratings, told, classes=["z", "x", "y"]), 5)
    assert (rows.loc[rows["metric"] == "class_accuracy", "value"] == 0).all()


def test_make_experiment__key_tells_what_differs():
    ratings, told, unfound = small_study(1)
    base = make_experiment(ratings, told, unfound=unfound)
    others = [
        make_experiment(ratings, told[1:], unfound=unfound),
        make_experiment(ratings[1:], told, unfound=unfound),
        make_experiment(ratings, told),
        make_experiment(ratings, told, unfound=unfound, seed=1),
        make_experiment(ratings, told, unfound=unfound, min_detections=2),
        make_experiment(ratings, told, unfound=unfound, estimator=DawidSkene(n_iter=3)),
        make_experiment(ratings, told, unfound=unfound, estimator=MajorityVote()),
        dataclasses.replace(base, cohort="P"),
    ]
    assert len({base.key, *(other.key for other in others)}) == 1 + len(others)
    assert make_experiment(ratings, told, unfound=unfound).key == base.key


def test_redundancy_bands__are_quantiles_over_realizations_of_each_k():
    ratings, told, unfound = small_study(4)
    table = simulate(make_experiment(ratings, told, unfound=unfound), 30)
    bands = redundancy_bands(table, level=0.8)
    values = table[(table["metric"] == "f1") & (table["raters_per_fov"] == 2)]["value"]
    row = bands[(bands["metric"] == "f1") & (bands["raters_per_fov"] == 2)].iloc[0]
    np.testing.assert_allclose([row["median"], row["low"], row["high"]], np.nanquantile(values, [0.5, 0.1, 0.9]))
    assert row["n"] == values.notna().sum()
    assert len(bands) == len(table.drop_duplicates(["metric", "class", "raters_per_fov"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ratings": RATING.assign(label="")}, "needs ratings"),
        ({"ratings": pd.concat([RATING, RATING.assign(fov="g")])}, "'p' has ratings in several"),
        ({"reference": pd.DataFrame({"anchor": ["p", "p"], "true": "x"})}, "'p' has several"),
        ({"reference": pd.DataFrame({"anchor": ["p"], "true": "undetected"})}, "expected ''"),
        ({"reference": pd.DataFrame({"anchor": ["p"]})}, "missing: true"),
        ({"assignments": pd.DataFrame({"fov": ["f"], "rater": "s"})}, "rater 'r' has a rating in FOV 'f'"),
        ({"min_detections": 0}, "min_detections must be a whole number from 1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"estimator": DawidSkene(start=np.eye(2))}, "a given confusion does not fit"),
        ({"estimator": DawidSkene(n_iter=0)}, "n_iter must be"),
        ({"classes": ["y"]}, "labels outside the classes"),
    ],
)  # fmt: skip
def test_make_experiment__refuses(change, words):
    given = {"ratings": RATING, "reference": pd.DataFrame({"anchor": ["p"], "true": "x"}), **change}
    with pytest.raises(ValueError, match=words):
        make_experiment(**given)


@pytest.mark.parametrize("wrong", [{"ratings": None}, {"estimator": "votes"}])
def test_make_experiment__refuses_other_types(wrong):
    with pytest.raises(TypeError, match="must be a"):
        make_experiment(**{"ratings": RATING, "reference": pd.DataFrame({"anchor": ["p"], "true": "x"}), **wrong})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"realizations": 0}, "at least one"),
        ({"realizations": [1, 1]}, "different numbers"),
        ({"raters_per_fov": [0, 1]}, "from 1 to 2"),
        ({"raters_per_fov": [1, 1]}, "different"),
        ({"raters_per_fov": [3]}, "from 1 to 2"),
        ({"jobs": 0}, "jobs must be at least 1"),
    ],
)
def test_simulate__refuses(options, words):
    ratings = pd.DataFrame({"anchor": ["p", "p"], "fov": "f", "rater": ["r", "s"], "label": "x"})
    experiment = make_experiment(ratings, pd.DataFrame({"anchor": ["p"], "true": "x"}))
    with pytest.raises(ValueError, match=words):
        simulate(experiment, **options)


@pytest.mark.parametrize("level", [0, 1, 1.5])
def test_redundancy_bands__refuses_a_level_that_is_no_share(level):
    with pytest.raises(ValueError, match="level must lie"):
        redundancy_bands(pd.DataFrame(), level=level)
