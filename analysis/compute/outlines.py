"""Accepted suggestions: their outlines beside traced ones, and how many are right, by FOV. (Figures 4c, S5)"""

from analysis.compute.agreement import counted_anchors
from analysis.work import Tables, Work
from crowdtruth.outlines import compare_outlines, segmented_objects


def look_at_outlines(work: Work) -> Tables:
    """Overlap of clicked and traced outlines of the judge's objects, and the share of right suggestions.

    As in the paper the share is of the objects of the control, so that it is of the same objects in every condition.
    """
    setting, study = work.setting, work.study
    level = setting.level
    truth, real = work.table(f"truth_{level}"), counted_anchors(work, level)
    objects = truth.merge(real, on=["anchor", "condition"])
    outlines = compare_outlines(objects, work.table("members"), study.annotations, study.raters)
    of_control = set(real.loc[real["condition"] == setting.control, "anchor"])
    same = truth.assign(is_object=truth["anchor"].isin(of_control)) if setting.control else truth
    suggested = same[same["condition"] != setting.control]
    return {"outlines": outlines, "segmented": segmented_objects(suggested, **work.bootstrap)}
