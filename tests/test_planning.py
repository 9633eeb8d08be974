import itertools

import numpy as np
import pandas as pd
import pytest

from crowdtruth.planning import DEFAULT_REALIZATIONS, DEFAULT_SHORTFALL, Target, parse_price, parse_target, plan_raters
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


def of_curves(values: list[float], spread: float, *, shared: float = 0.0, n: int = 400) -> Pilot:
    """A pilot with one metric whose replicates scatter around `values`, all k together by `shared`."""
    rng = np.random.default_rng(0)
    noise = spread * rng.standard_normal((n, len(values))) + shared * rng.standard_normal((n, 1))
    every_k = tuple(range(1, len(values) + 1))
    return Pilot([("mcc", "")], every_k, np.array(values)[:, None], (np.array(values) + noise)[..., None])


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("mcc=.8", Target("mcc", "", 0.8)),
        (" recall:plasma_cell = 0.7 ", Target("recall", "plasma_cell", 0.7)),
        ("f1=best-.02", Target("f1", "", 0.02, True)),
        ("recall:a=b=1", Target("recall", "a=b", 1.0)),
    ],
)
def test_parse_target__reads_metric_class_and_value(text: str, target: Target):
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["mcc", "mcc=", "mcc=80", "=.8", "mcc=-.1", "mcc=best", "MCC=.8"])
def test_parse_target__says_what_a_target_reads_like(text: str):
    with pytest.raises(ValueError, match=f"a target reads METRIC=VALUE.*got '{text}'"):
        parse_target(text)


def test_parse_price__says_what_a_price_reads_like():
    assert parse_price("NP = 1.5") == ("NP", 1.5)
    with pytest.raises(ValueError, match="a price reads COHORT=PRICE, such as SP=20; got 'SP:20'"):
        parse_price("SP:20")


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
    assert plan["verdict"][0] == f"3 raters per FOV reach recall ≥ {curve[3]:.2f} (3 to {plan['high'][0]:.0f})"


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
    studies = [pilot(40, 6, cohort="NP"), pilot(40, 6, found=0.75, cohort="SP")]
    plan = plan_raters(studies, targets=[RECALL], prices={"SP": 20.0}, n_fovs=100)
    assert plan["cost"].tolist() == [plan["raters_per_fov"][0] * 100, plan["raters_per_fov"][1] * 2000]
    assert plan["verdict"].str.endswith("; the cheapest cohort").tolist() == [True, False]


def test_plan_raters__one_rater_tells_nothing():
    plan = plan_raters([pilot(5, 1)], targets=[RECALL], realizations=3)
    assert plan["raters_per_fov"].isna().all()
    assert plan["verdict"].tolist() == ["cannot tell: no two raters were asked about the same FOVs"]


def test_plan_raters__a_crowd_table_is_planned_by_task():
    rng = np.random.default_rng(0)
    task, worker = (axis.ravel() for axis in np.indices((60, 5)))
    label = np.where(rng.random(300) < 0.8, task % 2, 1 - task % 2).astype(str)
    names = np.char.add("t", task.astype(str))
    ratings = pd.DataFrame({"anchor": names, "fov": "", "rater": worker.astype(str), "label": label})
    true = pd.DataFrame({"anchor": names[::5], "true": (np.arange(60) % 2).astype(str)})
    plan = plan_raters(
        [make_experiment(ratings, true)], targets=[Target("class_accuracy", "", 0.5)], prices={"all": 2.0}
    )
    assert plan["raters_per_fov"].tolist() == [1.0]
    assert plan["cost"].tolist() == [120.0]
    assert plan["verdict"][0].startswith("1 rater per task reaches class_accuracy ≥ 0.50 (1 to ")


@pytest.mark.parametrize(
    ("name", "is_own"), [("cohort:own", True), ("cohort:NP@U", True), ("cohort:P", False), ("truth.csv", False)]
)
def test_plan_raters__says_that_labels_of_the_same_raters_flatter(name: str, is_own: bool):
    study = pilot(4, 3, reference_name=name, cohort="NP")
    plan = plan_raters([study], targets=[RECALL], realizations=2, replicates=20)
    flattered = "; judged by labels of the same raters, which flatters all numbers near theirs"
    assert plan["verdict"][0].endswith(flattered) is is_own


def test_plan_raters__leaves_out_a_class_that_one_cohort_never_met():
    only_x = make_experiment(
        pd.DataFrame({"anchor": ["a", "a"], "fov": "f", "rater": ["r", "s"], "label": "x"}),
        pd.DataFrame({"anchor": ["a"], "true": ["x"]}), cohort="P",
    )  # fmt: skip
    plan = plan_raters([pilot(6, 3), only_x], targets=[Target("recall", "y", 0.5)], realizations=5, replicates=50)
    assert plan["cohort"].tolist() == ["all"]


def test_plan_raters__without_experiments_is_empty():
    plan = plan_raters([], targets=[RECALL])
    assert list(plan) == list(COLUMNS)
    assert plan.empty


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"targets": [Target("auroc", "micro", 0.9)]},
            "no target can be set for 'auroc of micro'; there are class_acc",
        ),
        ({"targets": [Target("recall", "z", 0.9)]}, "no target can be set for 'recall of z'; .*recall of y"),
        ({"prices": {"SP": 20.0}}, r"prices are of the cohorts \['all'\] and not negative; got 20.0 of 'SP'"),
        ({"prices": {"all": -1.0}}, "not negative; got -1.0 of 'all'"),
        ({"n_fovs": 0}, "n_fovs must be at least 1, got 0"),
        ({"realizations": 0}, "realizations must be at least 1, got 0"),
    ],
)
def test_plan_raters__says_which_argument_is_wrong(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        plan_raters([pilot(2, 2)], **options)


def test_answer__a_narrow_band_is_told():
    answer = _answer(of_curves([0.5, 0.6, 0.7, 0.8, 0.9], 0.01), Target("mcc", "", 0.75))
    assert answer == (0.75, 4, 4, 4, "4 raters per FOV reach mcc ≥ 0.75 (4 to 4)")


def test_answer__a_shortfall_is_below_the_curve_with_all_raters_of_the_same_replicate():
    answer = _answer(of_curves([0.5, 0.6, 0.7, 0.8, 0.9], 0.001, shared=0.2), Target("mcc", "", 0.15, True))
    assert answer[1:] == (4, 4, 4, "4 raters per FOV come within 0.15 of the mcc of all 5 (4 to 4)")


def test_answer__one_rater_is_singular():
    assert (
        _answer(of_curves([0.5, 0.9], 0.001), Target("mcc", "", 0.4))[4]
        == "1 rater per FOV reaches mcc ≥ 0.40 (1 to 1)"
    )


def test_answer__a_target_beyond_all_replicates_is_not_reached():
    answer = _answer(of_curves([0.5, 0.6, 0.7], 0.01), Target("mcc", "", 0.9))
    assert answer.verdict == "not reached by 3 raters: mcc is 0.70 with all of them"
    assert answer.raters_per_fov == np.inf


def test_answer__cannot_tell_on_a_flat_curve():
    answer = _answer(of_curves([0.7, 0.71, 0.72, 0.72], 0.001, shared=0.02), Target("mcc", "", 0.715))
    assert answer.verdict == "cannot tell: mcc is between 0.70 and 0.72 with any number, ± 0.02 by this pilot"
    assert np.isnan(answer.raters_per_fov)


def test_answer__cannot_tell_a_shortfall_within_the_error():
    answer = _answer(of_curves([0.5, 0.6, 0.7, 0.8, 0.81, 0.82], 0.03), Target("mcc", "", 0.02, True))
    assert answer.verdict == "cannot tell: a difference of 0.02 in mcc is within this pilot's error of 0.04"


def test_answer__cannot_tell_where_replicates_go_past_the_pilot():
    answer = _answer(of_curves([0.3, 0.6, 0.8, 0.84, 0.87], 0.0, shared=0.03), Target("mcc", "", 0.85))
    assert answer.verdict == "cannot tell: 3 to more than 5 raters fit this pilot"
    assert (answer.low, answer.high) == (3, np.inf)


def test_answer__cannot_tell_what_is_undefined():
    answer = _answer(of_curves([0.5, np.nan, 0.7], 0.01), Target("mcc", "", 0.6))
    assert answer.verdict == "cannot tell: mcc is undefined in this pilot"
