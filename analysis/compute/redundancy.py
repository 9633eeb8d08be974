"""The redundancy experiment: how good are the labels of fewer raters per FOV? (Figure 3e)"""

import pandas as pd

from analysis.compute.accuracy import assignments_of, labels_of_anchors
from analysis.work import PAPER, Tables, Work
from crowdtruth.simulation import make_experiment, simulate
from crowdtruth.steps.inferring import classes_in_order, estimator_of


def simulate_fewer_raters(work: Work) -> Tables:
    """Metrics of the labels of the least experienced cohort, at the coarsest level, for every number of raters."""
    setting, study = work.setting, work.study
    cohort, level = setting.crowd, setting.levels[-1]
    labels = labels_of_anchors(work, level)
    ratings, truth, unfound, asked = (
        _of(table, cohort, setting.condition)
        for table in (work.table("ratings"), labels.labels, labels.unfound, _asked(work))
    )
    experiment = make_experiment(
        ratings,
        truth,
        unfound=unfound,
        assignments=asked,
        estimator=estimator_of(PAPER, jobs=1),
        grouping=setting.grouping(level),
        classes=classes_in_order(study.taxonomy, work.table("ratings")["label"]),
        cohort=cohort,
        condition=setting.condition,
        reference_name=next(iter(truth["reference"]), setting.truth),
        seed=work.asked.seed,
    )
    return {"redundancy": simulate(experiment, work.asked.realizations, jobs=work.jobs)}


def _asked(work: Work) -> pd.DataFrame:
    """Who was asked where, with the cohort."""
    return assignments_of(work).merge(work.study.raters[["rater", "cohort"]], on="rater")


def _of(table: pd.DataFrame, cohort: str, condition: str) -> pd.DataFrame:
    """The rows of one cohort and condition."""
    return table[(table["cohort"] == cohort) & (table["condition"] == condition)]
