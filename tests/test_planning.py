import itertools

import numpy as np
import pandas as pd
import pytest

from crowdtruth.planning import (
    DEFAULT_REALIZATIONS,
    DEFAULT_SHORTFALL,
    Target,
    plan_raters,
)
from crowdtruth.planning.pilots import (
    Effort,
    Pilot,
    Planned,
    _outcomes,
    _repeated,
    _unseen_anchors,
    pilot_curves,
    smoother,
)
from crowdtruth.planning.plan import COLUMNS, _answer
from crowdtruth.planning.targets import OF_ALL, OF_CLASS, OF_DETECTION
from crowdtruth.simulation import Experiment, make_experiment, simulate
from crowdtruth.simulation.realization import draw, first_drawn, realize
from crowdtruth.simulation.scores import count_metric_names, count_metrics
from crowdtruth.truth import DawidSkene, MajorityVote
from tests.reference import planning as reference

RECALL = Target("recall", "", 0.8)


def pilot(
    n_fovs: int = 12,
    n_raters: int = 5,
    *,
    found: float = 0.6,
    seed: int = 0,
    asked: dict[int, int] | None = None,
    **options: object,
) -> Experiment:
    """Raters who find each of eight objects per FOV, name four in five of them rightly, and mark little else.

    asked: FOV -> raters asked there, where not all are.
    """
    rng = np.random.default_rng(seed)
    rows, true = [], []
    for fov, i in itertools.product(range(n_fovs), range(12)):
        is_object = i < 8
        true.append((f"{fov:02}-{i}", "xy"[i % 2] if is_object else ""))
        for rater in range((asked or {}).get(fov, n_raters)):
            name = (
                "xy"[(i + (rng.random() < 0.2)) % 2] if rng.random() < (found if is_object else 0.1) else "undetected"
            )
            rows.append((f"{fov:02}-{i}", f"{fov:02}", f"r{rater}", name))
    ratings = pd.DataFrame(rows, columns=["anchor", "fov", "rater", "label"])
    return make_experiment(ratings, pd.DataFrame(true, columns=["anchor", "true"]), **options)  # type: ignore[arg-type]


def crowd(n_tasks: int = 60, n_workers: int = 5) -> Experiment:
    """Workers who name four in five tasks rightly; every fifth task has gold."""
    rng = np.random.default_rng(0)
    task, worker = (axis.ravel() for axis in np.indices((n_tasks, n_workers)))
    label = np.where(rng.random(len(task)) < 0.8, task % 2, 1 - task % 2).astype(str)
    names = np.char.add("t", task.astype(str))
    ratings = pd.DataFrame({"anchor": names, "fov": "", "rater": worker.astype(str), "label": label})
    gold = np.arange(0, n_tasks, 5)
    true = pd.DataFrame({"anchor": np.char.add("t", gold.astype(str)), "true": (gold % 2).astype(str)})
    return make_experiment(ratings, true)


def of_curves(values: list[float], spread: float, *, shared: float = 0.0, n: int = 400, n_fovs: int = 20) -> Pilot:
    """A pilot with one metric whose replicates scatter around `values`, all k together by `shared`."""
    rng = np.random.default_rng(0)
    noise = spread * rng.standard_normal((n, len(values))) + shared * rng.standard_normal((n, 1))
    every_k = tuple(range(1, len(values) + 1))
    replicates = (np.array(values) + noise)[..., None]
    return Pilot([("mcc", "")], every_k, np.array(values)[:, None], replicates, len(values), n_fovs)


def test_pilot_curves__are_the_metrics_of_the_mean_counts_of_the_realizations():
    study = pilot()
    curves = pilot_curves(study, Planned(), None, Effort(6, 10))
    assert curves.raters_per_fov == (1, 2, 3, 4, 5)
    for place, k in enumerate(curves.raters_per_fov):
        counts = [realize(study, first_drawn(study, draw(study, r), k)).counts for r in range(6)]
        np.testing.assert_allclose(curves.values[place], count_metrics(study, np.mean(counts, axis=0)))


@pytest.mark.parametrize("n_copies", [1, 2])
def test_outcomes__are_those_of_the_plain_version(n_copies: int):
    study = pilot(4, 3, asked={1: 2}, estimator=MajorityVote())
    is_used = np.tile(study.n_asked >= 2, n_copies)
    counts, effects = _outcomes(_repeated(study, n_copies), is_used, n_copies, 5, 2)
    plain_counts, plain_effects = reference.outcomes(_repeated(study, n_copies), 4, 5, 2)
    np.testing.assert_allclose(counts, plain_counts)
    np.testing.assert_allclose(effects, plain_effects)


def test_pilot_curves__vary_between_replicates_as_between_pilots():
    values = np.array([recall_at_two(pilot(seed=seed), replicates=1).values for seed in range(40)])
    one = recall_at_two(pilot(seed=0), replicates=1000).replicates
    assert one.std() == pytest.approx(values.std(), rel=0.35)  # 40 pilots tell a spread to 11 %, one pilot less well


def recall_at_two(study: Experiment, replicates: int) -> Pilot:
    """The curve of recall, at two raters only."""
    curves = pilot_curves(study, Planned(), [2], Effort(20, replicates))
    place = curves.names.index(("recall", ""))
    return curves._replace(values=curves.values[:, place], replicates=curves.replicates[..., place])


def test_pilot_curves__a_good_rater_and_bad_ones_make_wide_bands():
    rows = [(f"{i:03}", f"{i // 10:02}", r, "x" if r == "r0" or i % 4 == 0 else "undetected")
            for i in range(200) for r in ("r0", "r1", "r2", "r3")]  # fmt: skip
    ratings = pd.DataFrame(rows, columns=["anchor", "fov", "rater", "label"])
    true = pd.DataFrame({"anchor": sorted(set(ratings["anchor"])), "true": "x"})
    curves = recall_at_two(make_experiment(ratings, true, estimator=MajorityVote()), replicates=500)
    assert curves.replicates.std() > 0.1


def test_smoother__keeps_curves_of_its_form_and_what_one_or_two_raters_reach():
    k = np.arange(1, 11)
    curve = 0.9 - 0.3 / k + 0.1 / k**2
    np.testing.assert_allclose(smoother(k) @ curve, curve)
    rough = curve + 0.01 * (-1.0) ** k
    smooth = smoother(k) @ rough
    np.testing.assert_array_equal(smooth[:2], rough[:2])
    assert np.abs(smooth - curve)[2:].max() < 0.01
    np.testing.assert_array_equal(smoother(range(1, 6)), np.eye(5))


def test_unseen_anchors__are_about_as_many_as_the_other_raters_mark():
    rng = np.random.default_rng(3)
    ease = rng.beta(0.5, 3, 4000)
    marks = rng.random((4000, 18)) < ease[:, None]
    seen, later = marks[:, :10].any(axis=1), (~marks[:, :10].any(axis=1) & marks[:, 10:].any(axis=1)).sum()
    item, rater = np.indices((seen.sum(), 10))
    label = np.where(marks[seen][:, :10], "x", "undetected")
    ratings = pd.DataFrame({
        "anchor": item.ravel().astype(str), "fov": (item.ravel() // 40).astype(str), "rater": rater.ravel().astype(str),
        "label": label.ravel(),
    })  # fmt: skip
    study = make_experiment(ratings, pd.DataFrame({"anchor": ["0"], "true": ["x"]}))
    assert _unseen_anchors(study, 18).sum() == pytest.approx(later, rel=0.1)
    assert _unseen_anchors(study, 10).sum() == 0


def test_pilot_curves__unseen_anchors_are_not_judged():
    study = pilot(found=0.2, estimator=MajorityVote())
    without, with_unseen = (pilot_curves(study, Planned(n_raters=n), None, Effort(5, 2)) for n in (None, 9))
    np.testing.assert_array_equal(without.values, with_unseen.values)


def test_repeated__twice_the_same_answers_are_the_same_estimate():
    study = pilot(estimator=DawidSkene(pseudo_counts=0.0))
    twice = _repeated(study, 2)
    everybody = np.ones(len(twice.pair_fov), dtype=bool)
    np.testing.assert_array_equal(realize(twice, everybody).counts, 2 * realize(study, everybody[::2]).counts)


def test_pilot_curves__use_the_numbers_that_half_of_the_fovs_have():
    study = pilot(4, 5, asked={0: 2, 1: 4})
    assert pilot_curves(study, Planned(), None, Effort(2, 2)).raters_per_fov == (1, 2, 3, 4, 5)
    study = pilot(5, 5, asked={0: 2, 1: 4, 2: 3})
    assert pilot_curves(study, Planned(), None, Effort(2, 2)).raters_per_fov == (1, 2, 3, 4)
    with pytest.raises(ValueError, match=r"a number from 1 to 4, as half the FOVs have; got \[5\]"):
        pilot_curves(study, Planned(), [5], Effort(2, 2))


def test_plan_raters__tells_where_the_redundancy_curve_reaches_the_target():
    study = pilot(40, 5)
    curve = recall_curve(study)
    plan = plan_raters([study], targets=[Target("recall", "", curve[3]), Target("recall", "", curve[3] + 1e-3)])
    assert list(plan) == list(COLUMNS)
    assert plan["raters_per_fov"].tolist() == [3, 4]
    assert (plan["low"] <= 3).all()
    assert (plan["high"] >= 4).all()
    assert (
        plan["verdict"][0] == f"3 raters per FOV reach recall ≥ {curve[3]:.2f} (90 % band: 3 to {plan['high'][0]:.0f})"
    )


def recall_curve(study: Experiment) -> pd.Series:
    """Mean recall by the number of raters, in the realizations a plan looks at."""
    table = simulate(study, DEFAULT_REALIZATIONS)
    of_recall = table[(table["metric"] == "recall") & (table["class"] == "")]
    return of_recall.groupby("raters_per_fov")["value"].mean()


def test_plan_raters__same_seed_same_plan_on_any_number_of_threads():
    studies = [pilot(8, 4), pilot(8, 3, cohort="P")]
    first = plan_raters(studies, realizations=10, replicates=100)
    pd.testing.assert_frame_equal(first, plan_raters(studies, realizations=10, replicates=100, jobs=2))


def test_plan_raters__default_targets_are_below_what_all_raters_reach():
    study = pilot(8, 4)
    plan = plan_raters([study], realizations=5, replicates=50)
    assert [*zip(plan["metric"], plan["class"], strict=True)] == [
        ("f1", ""), ("mcc", ""), ("class_mcc", "x"), ("class_mcc", "y"), ("recall", "x"), ("recall", "y"),
    ]  # fmt: skip
    best = count_metrics(study, realize(study, np.ones(len(study.pair_fov), dtype=bool)).counts)
    at = dict(zip(count_metric_names(study), best, strict=True))
    assert plan["target"][0] == pytest.approx(at["f1", ""] - DEFAULT_SHORTFALL["f1"])


def test_plan_raters__cost_is_raters_times_price_times_fovs_and_the_cheapest_cohort_is_marked():
    studies = nonexperts_and_seniors()
    plan = plan_raters(studies, targets=[RECALL], prices={"SP": 20.0}, n_fovs=100)
    assert plan["cost"].tolist() == [plan["raters_per_fov"][0] * 100, plan["raters_per_fov"][1] * 2000]
    assert plan["verdict"].str.endswith("; the cheapest cohort").tolist() == [True, False]


def nonexperts_and_seniors(**options: object) -> list[Experiment]:
    """Pilots of two cohorts; the second finds more."""
    return [pilot(40, 6, cohort="NP", **options), pilot(40, 6, found=0.75, cohort="SP", **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "name"), [(Target("recall", "", 0.1, True), "truth.csv"), (Target("recall", "", 0.8), "cohort:own")]
)
def test_plan_raters__a_cohort_does_not_win_by_a_bar_of_its_own(target: Target, name: str):
    plan = plan_raters(nonexperts_and_seniors(reference_name=name), targets=[target], prices={"SP": 20.0})
    assert plan["cost"].notna().all()
    assert not plan["verdict"].str.contains("cheap").any()


def test_plan_raters__cohorts_who_saw_fewer_fovs_are_not_cheaper_for_that():
    studies = [pilot(40, 6, cohort="NP"), pilot(20, 6, cohort="SP")]
    plan = plan_raters(studies, targets=[Target("recall", "", 0.3)])
    assert plan["cost"].tolist() == (40 * plan["raters_per_fov"]).tolist()


def test_plan_raters__one_rater_tells_nothing():
    plan = plan_raters([pilot(5, 1)], targets=[RECALL], realizations=3)
    assert plan["raters_per_fov"].isna().all()
    assert plan["verdict"].tolist() == ["cannot tell: fewer than half of the FOVs have two raters"]


@pytest.mark.parametrize("n_fovs", [1, 2, 3, 4])
@pytest.mark.parametrize("n_raters", [2, 5])
def test_plan_raters__few_fovs_tell_nothing(n_fovs: int, n_raters: int):
    for seed in range(3):
        plan = plan_raters([pilot(n_fovs, n_raters, seed=seed)], realizations=7, replicates=40)
        assert plan[["raters_per_fov", "low", "high", "cost"]].isna().all(axis=None)
        assert np.isfinite(plan["target"][0])  # f1; further ones may be undefined
        count = "1 FOV" if n_fovs == 1 else f"{n_fovs} FOVs"
        reason = f"cannot tell: a band takes at least 5 FOVs with {n_raters} raters or more, this pilot has {count}"
        assert set(plan["verdict"]) == {reason}


def test_plan_raters__a_distance_from_an_unknown_best_has_no_value():
    plan = plan_raters([pilot(6, 1)], targets=[Target("f1", "", 0.02, True), RECALL], realizations=3, replicates=20)
    assert plan["target"].isna().tolist() == [True, False]


def test_plan_raters__a_crowd_table_is_planned_by_task():
    plan = plan_raters([crowd()], targets=[Target("class_accuracy", "", 0.5)], prices={"all": 2.0})
    assert plan["raters_per_fov"].tolist() == [1.0]
    assert plan["cost"].tolist() == [120.0]
    assert plan["verdict"][0].startswith("1 rater per task reaches class_accuracy ≥ 0.50 (90 % band: 1")


@pytest.mark.parametrize(
    ("name", "is_own"), [("cohort:own", True), ("cohort:NP@U", True), ("cohort:P", False), ("truth.csv", False)]
)
def test_plan_raters__says_that_labels_of_the_same_raters_flatter(name: str, is_own: bool):
    study = pilot(4, 3, reference_name=name, cohort="NP")
    plan = plan_raters([study], targets=[RECALL], realizations=2, replicates=20)
    flattered = "; judged by labels of the same raters, which flatters all numbers near theirs"
    assert plan["verdict"][0].endswith(flattered) is is_own


def test_plan_raters__says_where_a_cohort_never_met_a_class():
    names = [f"{i:02}" for i in range(8)]
    rows = [(name, name, rater, "x") for name in names for rater in "rs"]
    only_x = make_experiment(
        pd.DataFrame(rows, columns=["anchor", "fov", "rater", "label"]),
        pd.DataFrame({"anchor": names, "true": "x"}), cohort="P",
    )  # fmt: skip
    plan = plan_raters([pilot(6, 3), only_x], targets=[Target("recall", "y", 0.5)], realizations=5, replicates=50)
    assert plan["cohort"].tolist() == ["all", "P"]
    assert plan["verdict"][1] == "cannot tell: the reference of this pilot has nothing for recall of y"


def test_plan_raters__without_experiments_is_empty():
    plan = plan_raters([], targets=[RECALL])
    assert list(plan) == list(COLUMNS)
    assert plan.empty


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": [Target("recall", "z", 0.9)]}, "--target recall:z=0.9: the study has the classes x, y"),
        ({"prices": {"SP": 20.0}, "cohorts": ["NP"]}, "--price SP=20: the study has the cohorts NP, all"),
        ({"n_fovs": 0}, r"n_fovs \(--fovs-planned\) must be at least 1, got 0"),
        ({"n_raters": 0}, r"n_raters \(--raters-planned\) must be at least 1, got 0"),
        ({"realizations": 0}, "realizations must be at least 1, got 0"),
    ],
)
def test_plan_raters__says_which_argument_is_wrong(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        plan_raters([pilot(2, 2)], **options)


def test_plan_raters__takes_the_price_of_a_cohort_without_an_experiment():
    plan = plan_raters([pilot(6, 3)], targets=[RECALL], prices={"NP": 3.0}, cohorts=["NP"], replicates=20)
    assert plan["cohort"].tolist() == ["all"]


@pytest.mark.parametrize("study", [pilot(2, 2), crowd(10, 2)], ids=["located", "crowd"])
def test_check_plan__knows_the_metrics_of_a_plan(study: Experiment):
    metrics = {name for name, class_name in count_metric_names(study) if not class_name}
    of_class = {name for name, class_name in count_metric_names(study) if class_name}
    lacking = set() if study.has_detection else set(OF_DETECTION)
    assert (set(OF_ALL) - lacking, set(OF_CLASS) - lacking) == (metrics, of_class)


def test_answer__a_narrow_band_is_told():
    answer = _answer(of_curves([0.5, 0.6, 0.7, 0.8, 0.9], 0.01), Target("mcc", "", 0.75))
    assert answer == (0.75, 4, 4, 4, "4 raters per FOV reach mcc ≥ 0.75 (90 % band: 4)")


def test_answer__a_shortfall_is_below_the_curve_with_all_raters_of_the_same_replicate():
    answer = _answer(of_curves([0.5, 0.6, 0.7, 0.8, 0.9], 0.001, shared=0.2), Target("mcc", "", 0.15, True))
    assert answer[1:] == (4, 4, 4, "4 raters per FOV come within 0.15 of the mcc that 5 reach (90 % band: 4)")


def test_answer__those_who_set_the_best_are_needed_not_close_to_it():
    answer = _answer(of_curves([0.5, 0.7, 0.9], 0.001), Target("mcc", "", 0.1, True))
    assert answer[1:] == (
        3,
        3,
        3,
        "3 raters per FOV are needed: with 2 the mcc is more than 0.10 below theirs (90 % band: 3)",
    )


def test_answer__one_rater_is_singular():
    assert (
        _answer(of_curves([0.5, 0.9], 0.001), Target("mcc", "", 0.4))[4]
        == "1 rater per FOV reaches mcc ≥ 0.40 (90 % band: 1)"
    )


def test_answer__a_target_beyond_all_replicates_is_not_reached():
    answer = _answer(of_curves([0.5, 0.6, 0.7], 0.01), Target("mcc", "", 0.9))
    assert answer.verdict == "not reached by 3 raters per FOV: mcc is 0.70 with them"
    assert answer.raters_per_fov == np.inf


def test_answer__cannot_tell_on_a_flat_curve():
    answer = _answer(of_curves([0.7, 0.71, 0.72, 0.72], 0.001, shared=0.02), Target("mcc", "", 0.715))
    assert answer.verdict == "cannot tell: mcc is between 0.70 and 0.72 with any number of raters, ± 0.02 by this pilot"
    assert np.isnan(answer.raters_per_fov)


def test_answer__cannot_tell_a_shortfall_within_the_error():
    answer = _answer(of_curves([0.5, 0.6, 0.7, 0.8, 0.81, 0.82], 0.03), Target("mcc", "", 0.02, True))
    assert answer.verdict == "cannot tell: a difference of 0.02 in mcc is within this pilot's error of 0.04"


def test_answer__cannot_tell_where_replicates_go_past_the_pilot():
    answer = _answer(of_curves([0.3, 0.6, 0.8, 0.84, 0.87], 0.0, shared=0.03), Target("mcc", "", 0.85))
    assert answer.verdict == "cannot tell: the 90 % band is 3 to more than 5"
    assert (answer.low, answer.high) == (3, np.inf)


def test_answer__cannot_tell_what_is_undefined():
    answer = _answer(of_curves([0.5, np.nan, 0.7], 0.01), Target("mcc", "", 0.6))
    assert answer.verdict == "cannot tell: mcc is undefined in this pilot"
