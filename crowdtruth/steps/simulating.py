"""Redundancy and plan: what fewer raters per FOV would have found, and how many are enough."""

from collections.abc import Sequence

import pandas as pd

from crowdtruth.options import RunOptions, chosen_conditions, chosen_numbers
from crowdtruth.parallel import say
from crowdtruth.planning import Target, parse_price, parse_target, plan_raters
from crowdtruth.ratings import of_cohorts
from crowdtruth.results import prepare_folder
from crowdtruth.simulation import Experiment, make_experiment, simulate_parts
from crowdtruth.steps.inferring import classes_in_order, estimator_of
from crowdtruth.steps.judging import labels_of_anchors, reference_of
from crowdtruth.steps.run import Run, Tables, cohorts_of, grouping_of, once
from crowdtruth.study import Study

SIMULATING = ("realizations", "raters_per_fov", "seed")
PLANNING = ("target", "price", "fovs_planned", "raters_planned", "seed")


def simulate(run: Run) -> Tables:
    """The redundancy experiment for every cohort and condition; finished blocks outlive an interrupted run."""
    experiments = experiments_of(run)
    if not experiments:
        return {}
    prepare_folder(run.results)
    numbers = None
    if (spec := run.options.raters_per_fov) is not None:
        numbers = chosen_numbers(spec, max(map(most_asked, experiments)))
        experiments = with_so_many_raters(experiments, numbers, spec)
    table = simulate_parts(
        run.results.path,
        experiments,
        run.options.realizations,
        raters_per_fov=numbers,
        jobs=run.jobs,
        address=run.address,
    )
    return {"redundancy": table}


def most_asked(experiment: Experiment) -> int:
    """The most raters asked in an FOV."""
    return int(experiment.n_asked.max())


def with_so_many_raters(experiments: list[Experiment], numbers: Sequence[int], spec: str) -> list[Experiment]:
    """The experiments that have FOVs with one of the numbers of raters; those left out are said.

    Raises
    ------
    ValueError
        If none is left.
    """
    if not numbers:
        most = max(map(most_asked, experiments))
        raise ValueError(f"--raters-per-fov {spec}: the most raters asked about an FOV are {most}")
    for experiment in experiments:
        if most_asked(experiment) < min(numbers):
            name = f"cohort {experiment.cohort}, condition {experiment.condition}"
            say(f"{name}: not simulated, at most {most_asked(experiment)} of its raters were asked about an FOV")
    return [experiment for experiment in experiments if most_asked(experiment) >= min(numbers)]


def plan(run: Run) -> Tables:
    """How many raters per FOV reach each target, by what this study tells as a pilot."""
    options, experiments = run.options, experiments_of(run)
    if not experiments:
        return {}
    table = plan_raters(
        experiments,
        targets=targets_of(options),
        prices=prices_of(options),
        cohorts=cohorts_of(run),
        n_fovs=options.fovs_planned,
        n_raters=options.raters_planned,
        seed=options.seed,
        jobs=run.jobs,
    )
    return {"plan": table} if len(table) else {}


def targets_of(options: RunOptions) -> list[Target]:
    """What is to be reached."""
    return [parse_target(text) for text in options.target]


def prices_of(options: RunOptions) -> dict[str, float]:
    """The price of one rater of a cohort in one FOV.

    Raises
    ------
    ValueError
        If a cohort has two.
    """
    prices = [parse_price(text) for text in options.price]
    names = [name for name, _ in prices]
    if several := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"--price {several[0]}=… is given {names.count(several[0])} times")
    return dict(prices)


@once
def experiments_of(run: Run) -> list[Experiment]:
    """The redundancy experiment of every cohort under every condition whose anchors the reference judges."""
    cohorts = cohorts_of(run)
    ratings = of_cohorts(run.results.table("ratings"), cohorts)
    conditions = chosen_conditions(run.options, run.study.conditions)
    found = (experiment_of(run, ratings, cohort, condition) for cohort in cohorts for condition in conditions)
    return [experiment for experiment in found if experiment is not None]


def experiment_of(run: Run, ratings: pd.DataFrame, cohort: str, condition: str) -> Experiment | None:
    """The experiment of one cohort under one condition; None where nothing is judged.

    A cohort is held against its own labels only where there is no other reference.
    """
    study, options, judged = run.study, run.options, labels_of_anchors(run)
    labels, unfound, given = (
        table[(table["cohort"] == cohort) & (table["condition"] == condition)]
        for table in (judged.labels, judged.unfound, ratings)
    )
    is_itself = options.reference is not None and bool(labels["is_own"].all())
    if labels.empty or given.empty or is_itself:
        return None
    return make_experiment(
        given,
        labels,
        unfound=unfound if judged.has_detection else None,
        assignments=None if study.is_crowd else assigned(study, given["rater"], condition),
        estimator=estimator_of(options, jobs=1),
        min_detections=options.min_detections,
        grouping=grouping_of(run),
        classes=classes_in_order(study.taxonomy, ratings["label"]),
        cohort=cohort,
        condition=condition,
        reference_name=reference_of(run).name,
        seed=options.seed,
    )


def assigned(study: Study, raters: pd.Series, condition: str) -> pd.DataFrame:
    """Who of these raters was asked where under a condition."""
    there = study.assignments["rater"].isin(raters.unique()) & (study.assignments["condition"] == condition)
    return study.assignments[there]
