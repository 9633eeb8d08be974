"""Scores of each class, and their intervals: what is resampled, and that many raters at once are each as if alone."""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.accuracy import box_reference, label_accuracy, rater_accuracy, rater_outcomes, task_reference
from crowdtruth.accuracy import scores as accuracy_scores
from crowdtruth.outcomes import Outcomes
from crowdtruth.resampling import bootstrap
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import load_taxonomy

FEW = {"n_replicates": 200, "seed": 3}
SCORES = ["precision", "recall", "f1", "class_accuracy", "mcc"]


@pytest.fixture(scope="module")
def demo():
    return synthesise("demo", n_fovs=6, seed=5).study


def outcomes_of(study, raters=None):
    keep = study.raters["rater"] if raters is None else raters
    return rater_outcomes(
        box_reference(study.reference, "truth", fovs=study.fovs["fov"]),
        assignments=study.assignments[study.assignments["rater"].isin(keep)],
        raters=study.raters,
        annotations=study.annotations[study.annotations["rater"].isin(keep)],
    )


def crowd(said, gold, rater="r"):
    ratings = pd.DataFrame({"anchor": [f"t{i}" for i in range(len(said))], "label": said}).assign(
        fov="", rater=rater, cohort="all", condition="all"
    )
    reference = task_reference(pd.DataFrame({"anchor": ratings["anchor"], "label": gold}), "gold")
    raters = pd.DataFrame({"rater": [rater], "cohort": ["all"]})
    return rater_outcomes(reference, assignments=raters[:0], raters=raters, ratings=ratings), raters


def judged(marks, truth, **options):
    """One rater's marks (x, label) of 10 × 10 pixels against objects (x, label)."""
    marked, objects = (
        pd.DataFrame(
            [{"fov": "f", "xmin": x, "ymin": 0, "xmax": x + 10, "ymax": 10, "label": label} for x, label in rows]
        )
        for rows in (marks, truth)
    )
    raters = pd.DataFrame({"rater": ["r"], "cohort": ["P"]})
    return rater_outcomes(
        box_reference(objects, "truth.csv"),
        assignments=pd.DataFrame({"fov": ["f"], "rater": ["r"], "condition": ["all"]}),
        raters=raters,
        annotations=marked.assign(rater="r", condition="all"),
        **options,
    )


def test_label_accuracy__scores_each_class():
    found = judged([(0, "a"), (30, "b"), (60, "b"), (90, "b")], [(0, "a"), (30, "a"), (60, "b"), (120, "b")])
    table = label_accuracy(found).set_index(["metric", "class"])[["value", "n"]]
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
    found = judged([(0, "tumor")], [(0, "tumor")], grouping=load_taxonomy("nucls").grouping("main"))
    assert set(label_accuracy(found)["grouping"]) == {"main"}


def test_rater_accuracy__the_interval_is_that_of_sums_by_fov(demo):
    outcomes = outcomes_of(demo)
    table = rater_accuracy(outcomes, demo.raters, method="percentile", **FEW).set_index(["rater", "condition"])
    rows = outcomes.rows.astype("str")
    for (who, condition), found in rows.groupby(["who", "condition"]):
        counts = pd.crosstab(found["fov"], found["outcome"]).reindex(
            columns=["true_positive", "false_positive", "false_negative"], fill_value=0
        )
        right = (found["true"] == found["assigned"]).groupby(found["fov"]).sum()
        by_hand = {
            "f1": bootstrap(
                counts, lambda n: 2 * n[..., 0] / (2 * n[..., 0] + n[..., 1] + n[..., 2]), method="percentile", **FEW
            ),
            "class_accuracy": bootstrap(
                np.column_stack([right, counts["true_positive"]]),
                lambda n: n[..., 0] / n[..., 1],
                method="percentile",
                **FEW,
            ),
        }
        for name, interval in by_hand.items():
            bounds = table.loc[(who, condition), [name, f"{name}_low", f"{name}_high"]].astype(float)
            np.testing.assert_allclose(bounds, [interval.value, interval.low, interval.high])


def test_rater_accuracy__a_rater_has_the_same_interval_alone(demo, monkeypatch):
    together = rater_accuracy(outcomes_of(demo), demo.raters, **FEW)
    monkeypatch.setattr(accuracy_scores, "_CHUNK", 1)  # one rater at a time
    pd.testing.assert_frame_equal(together, rater_accuracy(outcomes_of(demo), demo.raters, **FEW))
    one = demo.raters["rater"].iloc[0]
    alone = rater_accuracy(outcomes_of(demo, [one]), demo.raters, **FEW)
    pd.testing.assert_frame_equal(alone, together[together["rater"] == one].reset_index(drop=True))


def test_rater_accuracy__bounds_hold_the_value(demo):
    table = rater_accuracy(outcomes_of(demo), demo.raters, **FEW)
    assert (table["resampled"] == "fov").all()
    for name in SCORES:
        bounds = table[[f"{name}_low", name, f"{name}_high"]].dropna()  # few FOVs: some have no interval
        assert len(bounds) >= 10
        assert bounds.T.apply(lambda row: row.is_monotonic_increasing).all()


def test_rater_accuracy__slides_are_resampled_where_asked(demo):
    fovs = demo.fovs[["fov"]].assign(slide=[f"s{i // 2}" for i in range(len(demo.fovs))])
    outcomes = outcomes_of(demo)
    by_slide = rater_accuracy(outcomes, demo.raters, fovs=fovs, resample="slide", **FEW)
    assert (by_slide["resampled"] == "slide").all()
    merged = outcomes.rows.assign(fov=outcomes.rows["fov"].map(fovs.set_index("fov")["slide"]).astype("category"))
    as_fovs = rater_accuracy(Outcomes(merged, outcomes.judged, True, "raw"), demo.raters, **FEW)
    pd.testing.assert_frame_equal(by_slide.drop(columns="resampled"), as_fovs.drop(columns="resampled"))


def test_rater_accuracy__one_fov_gives_no_interval():
    study = synthesise("demo", n_fovs=1, seed=5).study
    table = rater_accuracy(outcomes_of(study), study.raters, **FEW)
    assert table["recall"].notna().all()
    assert table[["recall_low", "recall_high"]].isna().all(axis=None)


def test_rater_accuracy__who_was_judged_nowhere_has_neither_score_nor_interval(demo):
    outcomes = outcomes_of(demo)
    nowhere = outcomes.judged.iloc[:1].assign(who="z", n_fovs=0)
    more = Outcomes(outcomes.rows, pd.concat([outcomes.judged, nowhere]), True, "raw")
    raters = pd.DataFrame({"rater": ["z"], "cohort": ["NP"]})
    row = rater_accuracy(more, raters, **FEW).iloc[0]
    assert row[[name + end for name in SCORES for end in ("", "_low", "_high")]].isna().all()


def test_rater_accuracy__names_an_fov_without_slide(demo):
    with pytest.raises(ValueError, match="every FOV needs its slide"):
        rater_accuracy(outcomes_of(demo), demo.raters, fovs=demo.fovs[["fov"]].assign(slide=""), resample="slide")


def test_rater_accuracy__tasks_of_a_crowd_are_resampled():
    rng = np.random.default_rng(0)
    gold = rng.choice(["a", "b"], 150)
    said = np.where(rng.random(150) < 0.8, gold, "a")
    outcomes, raters = crowd(said, gold)
    row = rater_accuracy(outcomes, raters, method="percentile", **FEW).iloc[0]
    interval = bootstrap(
        np.column_stack([said == gold, np.ones(150)])[np.argsort([f"t{i}" for i in range(150)])],
        lambda n: n[..., 0] / n[..., 1],
        method="percentile",
        **FEW,
    )
    assert row["resampled"] == "anchor"
    assert (row["class_accuracy_low"], row["class_accuracy_high"]) == pytest.approx(
        (float(interval.low), float(interval.high))
    )


def test_rater_accuracy__many_tasks_are_resampled_in_groups_with_an_interval_as_wide():
    rng = np.random.default_rng(1)
    gold = rng.choice(["a", "b"], 20_000)
    outcomes, raters = crowd(np.where(rng.random(20_000) < 0.8, gold, np.roll(gold, 1)), gold)
    row = rater_accuracy(outcomes, raters).iloc[0]
    p = row["class_accuracy"]
    width = row["class_accuracy_high"] - row["class_accuracy_low"]
    assert width == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 20_000), rel=0.2)  # 200 groups: ± 5 % each sigma


def test_label_accuracy__scores_of_a_class_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    gold = rng.choice(["a", "b", "c"], 60)
    said = np.where(rng.random(60) < 0.6, gold, rng.choice(["a", "b", "c"], 60))
    outcomes, _ = crowd(said, gold)
    table = label_accuracy(outcomes, **FEW).set_index(["metric", "class"])["value"]
    for name in ("a", "b", "c"):
        true, assigned = gold == name, said == name
        assert table["class_mcc", name] == pytest.approx(metrics.matthews_corrcoef(true, assigned))
        assert table["class_f1", name] == pytest.approx(metrics.f1_score(true, assigned))
        assert table["class_recall", name] == pytest.approx(metrics.recall_score(true, assigned))
        assert table["class_precision", name] == pytest.approx(metrics.precision_score(true, assigned))


def test_label_accuracy__one_class_has_no_correlation():
    table = label_accuracy(crowd(["a", "a"], ["a", "a"])[0], **FEW).set_index(["metric", "class"])["value"]
    assert table["class_f1", "a"] == table["class_accuracy", ""] == 1
    assert np.isnan(table["class_mcc", "a"])
    assert np.isnan(table["mcc", ""])
