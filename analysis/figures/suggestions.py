"""Accepted suggestions: Figures 4c, S5."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.page import Measure, Rows, rows_where
from analysis.setting import Setting
from analysis.style import letters, sheet
from crowdtruth.plots.outlines import joint_overlap, overlap_violins, segmented_scatter

_METRICS = ("dice", "iou")


def why_no_outlines(setting: Setting) -> str:
    """Outlines are compared where some were clicked and some traced."""
    if not setting.has_clicks:
        return "nobody clicked: there are no accepted suggestions"
    return "" if setting.has_outlines else "nobody traced outlines to compare the clicked ones with"


def why_no_second_round(setting: Setting) -> str:
    """Figures S5a and S5b need two conditions with suggestions."""
    missing = "nobody clicked: there are no accepted suggestions" if not setting.has_clicks else ""
    return missing or ("" if len(_with_suggestions(setting)) > 1 else "only one condition has suggestions")


def why_no_joint(setting: Setting) -> str:
    """Figure S5b needs both."""
    return why_no_outlines(setting) or why_no_second_round(setting)


def pick_outlines(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Overlap of clicked and traced outlines by the verdict of the last cohort, as in the paper's tests. (Figure 4c)"""
    place = {name: number for number, name in enumerate(setting.conditions)}
    rows = rows_where(tables["outlines"], cohort=setting.crowd)
    return {"outlines": rows.sort_values("condition", key=lambda column: column.map(place), kind="stable")}


def draw_outlines(rows: Rows, setting: Setting) -> Figure:
    """Figure 4c."""
    figure, axes = sheet(1, 2, width=5.2, height=4.6)
    for ax, metric in zip(axes, _METRICS, strict=True):
        overlap_violins(rows["outlines"], metric=metric, ax=ax)
    letters(axes, [f"Clicked and traced outlines, verdict of {setting.crowd}", "the same as IOU"], above=22.0)
    return figure


def ours_outlines(rows: Rows, setting: Setting) -> dict[str, Measure]:
    """Mean and standard deviation of DICE of suggestions judged right."""
    right = rows["outlines"][rows["outlines"]["boundary_correct"] == 1]
    dice = rows_where(right, condition=setting.condition)["dice"]
    return {"dice": Measure(dice.mean()), "dice_sd": Measure(dice.std(ddof=0))}


def pick_segmented(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Share of right suggestions by FOV. (Figure S5a)"""
    return {"segmented": tables["segmented"]}


def draw_segmented(rows: Rows, setting: Setting) -> Figure:
    """Figure S5a: a panel for each cohort."""
    first, second = _with_suggestions(setting)[-2:]
    figure, axes = sheet(1, len(setting.cohorts), width=4.8, height=4.8)
    for ax, cohort in zip(axes, setting.cohorts, strict=True):
        segmented_scatter(rows_where(rows["segmented"], cohort=cohort), first=first, second=second, ax=ax)
    letters(axes, [f"FOVs, verdict of {cohort}" for cohort in setting.cohorts])
    return figure


def draw_joint(rows: Rows, setting: Setting) -> Figure:
    """Figure S5b: DICE and IOU under two conditions."""
    first, second = _with_suggestions(setting)[-2:]
    figure, axes = sheet(1, 2, width=4.8, height=4.8)
    for ax, metric in zip(axes, _METRICS, strict=True):
        joint_overlap(rows["outlines"], first=first, second=second, metric=metric, ax=ax)
    letters(axes, [f"Objects judged right in both, verdict of {setting.crowd}", "the same as IOU"])
    return figure


def _with_suggestions(setting: Setting) -> list[str]:
    """Conditions but the control."""
    return [name for name in setting.conditions if name != setting.control]
