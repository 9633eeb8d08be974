"""FOVs with and without the constraint that an object holds one mark of a rater. (Figure 5b)"""

import pandas as pd

from analysis.compute.objects import inferred, located_at
from analysis.work import PAPER, Tables, Work
from crowdtruth.clustering import Located
from crowdtruth.merging import Method
from crowdtruth.ratings import rate_anchors

N_FOVS = 3
METHODS: dict[str, Method] = {"with constraint": PAPER.method, "without constraint": "unconstrained"}


def cluster_both_ways(work: Work) -> Tables:
    """Anchors of the FOVs where the constraint matters most, located with it and without."""
    found = pd.concat([_anchors(work, words, method) for words, method in METHODS.items()], ignore_index=True)
    chosen = _most_different(found)
    return {"fov_anchors": found[found["fov"].isin(chosen)].reset_index(drop=True)}


def _anchors(work: Work, words: str, method: Method) -> pd.DataFrame:
    """Every anchor that somebody of the cohort shown marked: box, label, and the cohort's marks in it."""
    located = located_at(work.study, [PAPER.iou], method=method, jobs=work.jobs)[PAPER.iou]
    truth = _labels(work, located)
    columns = ["fov", "anchor", "xmin", "ymin", "xmax", "ymax", "label", "n_asked"]
    rows = truth[columns].merge(_n_marks(work, located), on="anchor")
    return rows.assign(method=words, condition=work.setting.condition, cohort=work.setting.experts)


def _labels(work: Work, located: Located) -> pd.DataFrame:
    """Labels of the cohort shown, under the condition shown."""
    study, setting = work.study, work.setting
    ratings = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    return inferred(
        work,
        ratings,
        located.anchors,
        level=setting.level,
        cohorts=(work.setting.experts,),
        conditions=(setting.condition,),
    ).truth


def _n_marks(work: Work, located: Located) -> pd.DataFrame:
    """Marks of the cohort shown in each anchor it marked; without the constraint they can be more than its raters."""
    raters = work.study.raters
    own = raters.loc[raters["cohort"] == work.setting.experts, "rater"]
    marks = located.members
    marks = marks[marks["rater"].isin(own) & (marks["condition"] == work.setting.condition)]
    return marks.groupby("anchor").size().rename("n_marks").reset_index()


def _most_different(anchors: pd.DataFrame) -> list[str]:
    """The FOVs whose mean number of marks per anchor the constraint changes most, by name where equally."""
    mean = anchors.groupby(["fov", "method"])["n_marks"].mean().unstack()
    change = (mean["without constraint"] - mean["with constraint"]).abs()
    return list(change.sort_index().sort_values(ascending=False, kind="stable").index[:N_FOVS])
