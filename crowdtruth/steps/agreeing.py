"""Agreement of the raters, and the rank tests between groups of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from crowdtruth.agreement import (
    SCOPES,
    agreement_sweep,
    agreement_table,
    pairwise_table,
    rater_map_table,
    self_agreement,
)
from crowdtruth.clustering import sweep
from crowdtruth.options import chosen_conditions, cohort_members, parse_preferences
from crowdtruth.ratings import of_cohorts
from crowdtruth.steps.inferring import classes_in_order
from crowdtruth.steps.run import RESAMPLING, Run, Tables, grouping_of, resampling_of
from crowdtruth.taxonomy import RAW, Grouping

AGREEING = (*RESAMPLING, "cohort", "condition", "classes", "thresholds", "min_overlap")


def agree(run: Run) -> Tables:
    """How far raters agree: all of a cohort, every two, each with themselves; and the map of the raters."""
    study, options = run.study, run.options
    ratings, cohorts = chosen_ratings(run)
    if ratings.empty:
        return {}
    counting: dict[str, Any] = {
        "groupings": groupings_of(run),
        "classes": classes_in_order(study.taxonomy, ratings["label"]),
        **resampling_of(options),
        "scopes": ("classification",) if study.is_crowd else SCOPES,  # a task is there: nothing to detect
    }
    shown = in_one_cohort(ratings, cohorts)
    pairs = pairwise_table(shown, study.fovs, min_overlap=options.min_overlap, **counting)
    marks = None if study.is_located else study.annotations
    own = self_agreement(shown, study.fovs, annotations=marks, min_overlap=options.min_overlap, **counting)
    tables = {
        "agreement": agreement_of_cohorts(run, ratings, cohorts, counting),
        "pairwise": pairs,
        "self_agreement": own,
        "rater_map": rater_map_table(pairs, seed=options.seed),
    }
    return with_rows(tables)


def agreement_of_cohorts(
    run: Run, ratings: pd.DataFrame, cohorts: Mapping[str, Sequence[str]], counting: dict[str, Any]
) -> pd.DataFrame:
    """Agreement of every cohort, for every number of detections and, where marks are known, clustering threshold."""
    study = run.study
    several = of_cohorts(ratings, cohorts)
    most = several.groupby(["anchor", "cohort", "condition"], observed=True).size().max()
    counting = {**counting, "min_detections": range(1, int(most) + 1)}
    if study.is_located:
        return agreement_table(several, study.fovs, **counting)
    conditions = chosen_conditions(run.options, study.conditions)
    located = located_at_thresholds(run)
    return agreement_sweep(
        located, study.assignments, study.raters, study.fovs, cohorts=cohorts, conditions=conditions, **counting
    )


def chosen_ratings(run: Run) -> tuple[pd.DataFrame, Mapping[str, Sequence[str]]]:
    """Ratings of the cohorts and conditions asked for, under the cohorts' own names, and what each union unites."""
    ratings, options = run.results.table("ratings"), run.options
    cohorts = cohort_members(options.cohort, ratings["cohort"].unique())
    conditions = chosen_conditions(options, ratings["condition"].unique())
    members = {member for union in cohorts.values() for member in union}
    chosen = ratings["cohort"].isin(members) & ratings["condition"].isin(conditions)
    return ratings[chosen].reset_index(drop=True), cohorts


def in_one_cohort(ratings: pd.DataFrame, cohorts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Ratings under the first cohort asked for that each rater's own belongs to: a rater stands there once."""
    name = {member: union for union, members in reversed(list(cohorts.items())) for member in members}
    return ratings.assign(cohort=ratings["cohort"].astype("str").map(name))


def located_at_thresholds(run: Run) -> Mapping[float, Any]:
    """The marks located at every threshold, that of the run among them."""
    study, options = run.study, run.options
    return sweep(
        study.annotations,
        sorted({options.iou, *options.thresholds}),
        method=options.method,
        inclusive=options.inclusive,
        box=options.anchor_box,
        preference=parse_preferences(options.prefer, study),
        cohort_of=dict(zip(study.raters["rater"], study.raters["cohort"], strict=True)),
        jobs=run.jobs,
    )


def groupings_of(run: Run) -> list[Grouping | None]:
    """Labels as they come, every level of the study's taxonomy, and the grouping asked for."""
    taxonomy, asked = run.study.taxonomy, grouping_of(run)
    levels = [taxonomy.grouping(level) for level in taxonomy.levels] if taxonomy else []
    if asked is not None and asked.level not in [RAW, *(level.level for level in levels)]:
        levels.append(asked)
    return [None, *levels]


def with_rows(tables: Mapping[str, pd.DataFrame]) -> Tables:
    """The tables that say anything: one condition has no self-agreement, one cohort nothing to compare."""
    return {name: table for name, table in tables.items() if len(table)}
