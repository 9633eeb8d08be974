"""The tests of the paper's table: rank tests, and differences of areas between conditions by paired bootstrap.

The published program compared bootstrap replicates of AUROCs by a rank test, whose p depends on the number of
replicates. Here the same FOVs are drawn under both conditions, and the difference has an interval instead of a p.
"""

from itertools import combinations

import pandas as pd

from analysis.compute.accuracy import labels_of_anchors
from analysis.work import Tables, Work
from crowdtruth.accuracy import area_difference
from crowdtruth.comparisons import comparisons_table

_POOLED = ("", "micro", "macro")


def compare(work: Work) -> Tables:
    """Rank tests on kappas of pairs, self-agreement, clicks and outlines, where the study has them."""
    setting, pairs = work.setting, work.table("pairwise")
    tables = {"pairwise": pairs[pairs["condition"] == setting.condition]}
    if setting.control is not None:
        tables["self_agreement"] = work.table("self_agreement")
    if setting.has_clicks and setting.has_outlines:
        tables["outlines"] = work.table("outlines")
    return {"comparisons": comparisons_table(tables)}


def compare_areas(work: Work) -> Tables:
    """Average precision and AUROC of each judged cohort's labels, every two conditions, at each level."""
    setting, rows = work.setting, []
    for level in setting.levels:
        labels, truth = labels_of_anchors(work, level), work.table(f"truth_{level}")
        for cohort in setting.judged:
            for second, first in combinations(setting.conditions, 2):
                found = area_difference(labels, truth, (cohort, first), (cohort, second), **work.bootstrap)
                rows.append(found.assign(cohort=cohort, grouping=level, first=first, second=second))
    table = pd.concat(rows, ignore_index=True)
    columns = [
        "cohort",
        "grouping",
        "first",
        "second",
        "metric",
        "class",
        "value",
        "low",
        "high",
        "n_groups",
        "resampled",
    ]
    return {"area_differences": table.loc[table["class"].isin(_POOLED), columns].reset_index(drop=True)}
