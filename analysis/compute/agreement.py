"""Agreement on the objects of the truth: by threshold, between raters, and of raters with themselves.

As in the paper, the objects are those that the judging cohort's labels call real, not ambiguous, at the level of
classes shown; without a judge, those of any cohort.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from analysis.compute.accuracy import assignments_of
from analysis.compute.objects import inferred, located_at
from analysis.work import Tables, Work
from crowdtruth.agreement import (
    agreement_sweep,
    agreement_table,
    inferred_objects,
    pairwise_table,
    rater_map_table,
    self_agreement,
)
from crowdtruth.clustering import Located
from crowdtruth.ratings import rate_anchors

THRESHOLDS = (0.25, 0.5, 0.75)
MIN_OVERLAP = 10
"""Objects two raters share, or their kappa says nothing; the published program had no such rule."""


def agree_by_threshold(work: Work) -> Tables:
    """Agreement of each cohort by clustering threshold and number of raters of it who marked the object."""
    located = {} if work.setting.is_located else located_at(work.study, list(THRESHOLDS), jobs=work.jobs)
    parts = [_agreement_at(work, level, located) for level in work.setting.levels]
    return {"agreement": pd.concat(parts, ignore_index=True)}


def agree_in_pairs(work: Work) -> Tables:
    """Cohen's kappa of every two raters at each level, and the map of raters."""
    parts = [
        pairwise_table(
            counted_ratings(work, level),
            groupings=[work.setting.grouping(level)],
            min_overlap=MIN_OVERLAP,
            **work.bootstrap,
        )
        for level in work.setting.levels
    ]
    pairs = pd.concat(parts, ignore_index=True)
    shown = pairs[(pairs["condition"] == work.setting.condition) & pairs["kappa"].notna()]
    return {"pairwise": pairs, "rater_map": rater_map_table(shown, seed=work.asked.seed)}


def agree_with_oneself(work: Work) -> Tables:
    """Kappa of each rater between the control and every other condition, and the share of clicks there.

    The objects are real under both conditions; marks elsewhere count neither as marks nor as clicks, as in the paper.
    """
    setting = work.setting
    others = [condition for condition in setting.conditions if condition != setting.control]
    parts = [_self_agreement_at(work, level, condition) for level in setting.levels for condition in others]
    return {"self_agreement": pd.concat(parts, ignore_index=True)}


def counted_anchors(work: Work, level: str) -> pd.DataFrame:
    """The objects that agreement is of (anchor, condition): the judge's, else those of any cohort."""
    return _objects(work, work.table(f"truth_{level}"))


def counted_ratings(work: Work, level: str) -> pd.DataFrame:
    """Ratings of the objects that agreement is of."""
    return work.table("ratings").merge(counted_anchors(work, level), on=["anchor", "condition"])


def _objects(work: Work, truth: pd.DataFrame) -> pd.DataFrame:
    judge = work.setting.judge
    judged = [rows for cohort, rows in truth.groupby("cohort", observed=True) if judge in (None, cohort)]
    parts = [inferred_objects(rows) for rows in judged]
    return pd.concat(parts, ignore_index=True).drop_duplicates(ignore_index=True).astype("str")


def _agreement_at(work: Work, level: str, located: Mapping[float, Located]) -> pd.DataFrame:
    """Agreement under the condition shown, at a level of classes, with the truth inferred anew at each threshold."""
    setting, study = work.setting, work.study
    n_asked = assignments_of(work).merge(study.raters, on="rater").groupby(["condition", "fov", "cohort"]).size()
    options: dict[str, Any] = {
        "groupings": [setting.grouping(level)],
        "min_detections": range(int(n_asked.max()) + 1),
        **work.bootstrap,
    }
    if setting.is_located:
        ratings = counted_ratings(work, level)
        return agreement_table(ratings[ratings["condition"] == setting.condition], **options)
    rows = agreement_sweep(
        located,
        study.assignments,
        study.raters,
        conditions=[setting.condition],
        keep=partial(_real_objects, work, level),
        **options,
    )
    return rows[rows["n_anchors"] > 0].reset_index(drop=True)


def _real_objects(work: Work, level: str, located: Located) -> pd.DataFrame:
    """The objects that agreement is of, located at some threshold."""
    setting, study = work.setting, work.study
    ratings = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    judges = None if setting.judge is None else (setting.judge,)
    found = inferred(work, ratings, located.anchors, level=level, cohorts=judges, conditions=(setting.condition,))
    return _objects(work, found.truth)


def _self_agreement_at(work: Work, level: str, condition: str) -> pd.DataFrame:
    """Self-agreement between the control and a condition."""
    control = str(work.setting.control)
    real = counted_anchors(work, level)
    both = set(real.loc[real["condition"] == control, "anchor"]) & set(
        real.loc[real["condition"] == condition, "anchor"]
    )
    ratings = work.table("ratings")
    ratings = ratings[ratings["anchor"].isin(both) & ratings["condition"].isin([control, condition])]
    marks = None
    if not work.setting.is_located:
        members = work.table("members")
        kinds = work.study.annotations[["annotation", "kind"]]
        marks = members[members["anchor"].isin(both)].merge(kinds, on="annotation")
    return self_agreement(
        ratings,
        annotations=marks,
        between=[(control, condition)],
        groupings=[work.setting.grouping(level)],
        min_overlap=MIN_OVERLAP,
        **work.bootstrap,
    )
