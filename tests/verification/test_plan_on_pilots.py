"""Is the plan from a pilot the full study's own answer, to one rater? The table of docs/methods/planning.md.

``python -m tests.verification.test_plan_on_pilots`` prints it: 200 pilots of 25 FOVs and 10 raters, cut from ten
synthetic studies of 100 FOVs and 18 raters of one cohort. The target is the full study's own curve at 6 raters per FOV.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from crowdtruth.clustering import cluster_annotations
from crowdtruth.planning import DEFAULT_REALIZATIONS, Target, plan_raters
from crowdtruth.planning.pilots import Effort, Planned, pilot_curves
from crowdtruth.ratings import rate_anchors
from crowdtruth.references import box_reference, label_of_anchors
from crowdtruth.simulation import Experiment, make_experiment
from crowdtruth.simulation.realization import draw, first_drawn, realize
from crowdtruth.simulation.scores import count_metric_names, count_metrics
from crowdtruth.study import Study
from crowdtruth.synthetic import CohortParameters, ConditionParameters, SyntheticParameters, load_preset, synthesise
from crowdtruth.taxonomy import UNDETECTED, group_labels, load_taxonomy
from crowdtruth.truth import DawidSkene

N_FOVS, N_RATERS = 100, 18
N_PILOT_FOVS, N_PILOT_RATERS = 25, 10
AT = 6  # raters per FOV whose value is the target
SUPER = load_taxonomy("nucls").grouping("super")
METRICS = [
    ("f1", ""), ("recall", ""), ("recall", "tumor_any"), ("recall", "nonTIL_stromal"), ("recall", "sTIL"),
    ("class_accuracy", ""), ("mcc", ""), ("class_mcc", "tumor_any"), ("class_mcc", "nonTIL_stromal"),
    ("class_mcc", "sTIL"),
]  # fmt: skip


def scaled(errors: float, misses: float) -> CohortParameters:
    """The demo's non-pathologists, 18 of them, with so many times their wrong labels and misses."""
    cohort = next(cohort for cohort in load_preset("demo").cohorts if cohort.name == "NP")
    return replace(
        cohort,
        n_raters=N_RATERS,
        detection={name: 1 - min(misses * (1 - rate), 0.75) for name, rate in cohort.detection.items()},
        distractor_detection=min(misses * cohort.distractor_detection, 0.75),
        confusion={
            true: {assigned: rate * min(errors, 0.75 / sum(row.values())) for assigned, rate in row.items()}
            for true, row in cohort.confusion.items()
        },
    )


COHORTS = {"fair": scaled(1.0, 1.0), "weak": scaled(1.8, 2.2), "novice": scaled(1.8, 3.0)}


def parameters(kind: str) -> SyntheticParameters:
    """A study of `N_FOVS` × `N_RATERS`, everybody asked everywhere, without suggestions.

    Raters of the first three kinds share a third of what makes an object hard, those of the preset ``nucls`` most.
    """
    preset = load_preset("nucls" if kind == "nucls" else "demo")
    cohort = COHORTS.get(kind) or replace(next(c for c in preset.cohorts if c.name == "NP"), n_raters=N_RATERS)
    tissue = preset.tissue if kind == "nucls" else replace(preset.tissue, n_slides=30, distractors_per_fov=6.0)
    return replace(
        preset, tissue=tissue, cohorts=(cohort,), n_fovs=N_FOVS, shared_difficulty=0.35, start="",
        conditions=(ConditionParameters("all", {"NP": N_RATERS}),),
    )  # fmt: skip


def experiment(study: Study, fovs: list[str], raters: list[str]) -> Experiment:
    """The redundancy experiment of some raters on some FOVs: their marks clustered, judged by the true nuclei."""
    annotations, assignments = (
        table[table["fov"].isin(fovs) & table["rater"].isin(raters)] for table in (study.annotations, study.assignments)
    )
    clusters = cluster_annotations(annotations)
    anchors = clusters.anchors
    ratings = rate_anchors(clusters.members, assignments, study.raters, anchors)
    is_class = ratings["label"] != UNDETECTED
    ratings.loc[is_class, "label"] = group_labels(ratings.loc[is_class, "label"], SUPER)
    boxes = anchors.assign(cohort="NP", condition="all", is_object=anchors["n_raters"] > 1)
    found = label_of_anchors(
        box_reference(study.reference[study.reference["fov"].isin(fovs)], "truth", fovs=fovs), boxes, grouping=SUPER
    )
    return make_experiment(
        ratings, found.labels, unfound=found.unfound, assignments=assignments, estimator=DawidSkene(n_iter=70),
        classes=[*SUPER.classes, UNDETECTED], cohort="NP", reference_name="truth",
    )  # fmt: skip


class Full(NamedTuple):
    """A full study and its curves."""

    study: Study
    fovs: list[str]
    raters: list[str]
    curves: pd.DataFrame  # index 1 … N_RATERS, columns metric and class; the mean over realizations


@cache
def full(kind: str, seed: int, realizations: int = 60) -> Full:
    """Study number `seed` and its redundancy curves."""
    study = synthesise(parameters(kind), seed=seed).study
    fovs, raters = sorted(study.fovs["fov"]), sorted(study.raters["rater"])
    whole = experiment(study, fovs, raters)
    names = pd.MultiIndex.from_tuples(count_metric_names(whole))
    curves = {}
    for k in range(1, N_RATERS + 1):
        drawn = [first_drawn(whole, draw(whole, number), k) for number in range(realizations if k < N_RATERS else 1)]
        counts = np.stack([realize(whole, is_drawn).counts for is_drawn in drawn])
        curves[k] = pd.DataFrame(count_metrics(whole, counts), columns=names).mean()
    return Full(study, fovs, raters, pd.DataFrame(curves).T)


def plans(kind: str, seed: int, pilots: int) -> Iterator[pd.DataFrame]:
    """The plans of some pilots cut from a study, with the study's own answers beside them."""
    whole = full(kind, seed)
    for number in range(pilots):
        rng = np.random.default_rng([seed, number])
        fovs = sorted(rng.choice(whole.fovs, N_PILOT_FOVS, replace=False))
        raters = sorted(rng.choice(whole.raters, N_PILOT_RATERS, replace=False))
        yield plan_of(experiment(whole.study, fovs, raters), whole.curves).assign(kind=kind, seed=seed, pilot=number)


def plan_of(pilot: Experiment, curves: pd.DataFrame) -> pd.DataFrame:
    """Plans for the values at `AT`, then for as far below the pilot's best as `AT` is below `N_PILOT_RATERS` there.

    Beside them the full study's answer, the error of the pilot's curve, and the slope of the full study's.
    """
    seen = pilot_curves(pilot, Planned(N_FOVS, N_RATERS), None, Effort(DEFAULT_REALIZATIONS, 1))
    pilot_s = pd.DataFrame(seen.values, index=seen.raters_per_fov, columns=pd.MultiIndex.from_tuples(seen.names))
    targets, judged = [], []
    for name in METRICS:
        curve, own = curves[name], pilot_s[name]
        answer, slope = int((curve >= curve[AT] - 1e-12).idxmax()), (curve[AT + 1] - curve[AT - 1]) / 2
        targets.append(Target(*name, curve[AT]))
        judged.append((answer, own[AT] - curve[AT], slope))
        shortfall = curve[N_PILOT_RATERS] - curve[AT]
        if shortfall > 0:
            targets.append(Target(*name, shortfall, is_shortfall=True))
            judged.append((answer, own[N_PILOT_RATERS] - own[AT] - shortfall, slope))
    plan = plan_raters([pilot], targets=targets, n_fovs=N_FOVS, n_raters=N_RATERS)
    plan[["answer", "error", "slope"]] = judged
    return plan.assign(is_shortfall=[target.is_shortfall for target in targets])


def summary(plan: pd.DataFrame) -> pd.Series:
    """How often pilots cannot tell, are right to one rater when they tell, and have the answer in their band.

    Then the standard deviation of the error of their curves, in raters.
    """
    told = plan["raters_per_fov"].notna() | plan["verdict"].str.startswith("not reached")
    right = (plan["raters_per_fov"] - plan["answer"]).abs() <= 1
    holds = (plan["low"].fillna(np.inf) <= plan["answer"]) & (plan["high"].fillna(np.inf) >= plan["answer"])
    shares = {"cannot tell": 1 - told.mean(), "within one rater": right[told].mean(), "band holds it": holds.mean()}
    return pd.Series({**shares, "error in raters": plan["error"].std() / plan["slope"].mean()})


def table(kind: str, studies: int = 10, pilots: int = 20) -> pd.DataFrame:
    """One row per metric, class and kind of target."""
    made = pd.concat(plan for seed in range(studies) for plan in plans(kind, seed, pilots))
    return made.groupby(["metric", "class", "is_shortfall"], sort=False).apply(summary).reset_index()


def test_plan__distances_in_detection_are_the_full_study_s_answer_to_one_rater():
    made = table("weak")
    of_detection = made[made["metric"].isin(["f1", "recall"]) & made["is_shortfall"]]
    assert (of_detection["cannot tell"] <= 0.2).all()
    assert (of_detection["within one rater"] >= 0.8).all()
    assert (of_detection["band holds it"] >= 0.9).all()


def test_plan__cannot_tell_where_raters_add_nothing():
    made = table("nucls", studies=2, pilots=5)
    assert (made.loc[made["metric"] == "f1", "cannot tell"] >= 0.8).all()


if __name__ == "__main__":
    for kind in (*COHORTS, "nucls"):
        print(f"\n{kind}\n")
        print("| metric | class | target | cannot tell | within one rater | band holds it | error in raters |")
        print("|---|---|---|---|---|---|---|")
        for metric, name, is_shortfall, *shares, error in table(kind).itertuples(index=False):
            words = [metric, name, "distance" if is_shortfall else "value"]
            row = [*words, *(f"{100 * share:.1f} %" for share in shares), f"{error:.1f}"]
            print("|", " | ".join(row), "|", flush=True)
