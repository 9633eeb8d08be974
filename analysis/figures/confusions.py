"""What is taken for what, and how easily it is found: Figures 3c, S7, S8."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.page import Measure, Rows, rows_where
from analysis.setting import Setting
from analysis.style import letters, sheet
from crowdtruth.plots.confusion import confusion_of_labels, raters_per_object
from crowdtruth.plots.ease import ease_composition, ease_cumulative

_MOST_RATERS = 16  # of whom the paper prints how many classes they find


def pick_judges(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Confusion of the raters who judge, or of the first cohort. (Figure 3c)"""
    return _pick(tables, setting, setting.experts)


def draw_judges(rows: Rows, setting: Setting) -> Figure:
    """Figure 3c: by label given, and by object."""
    return _draw(rows, setting, [setting.experts])


def pick_everybody(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Confusion of every cohort. (Figure S7)"""
    return _pick(tables, setting, None)


def draw_everybody(rows: Rows, setting: Setting) -> Figure:
    """Figure S7: a row of panels for each cohort."""
    return _draw(rows, setting, list(setting.cohorts))


def pick_ease(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """How many of the objects of each class at least so many raters found. (Figure S8)"""
    rows = rows_where(tables["ease"], condition=setting.condition, cohort=setting.crowd)
    return {"ease": rows}


def draw_ease(rows: Rows, setting: Setting) -> Figure:
    """Figure S8: cumulative, and by composition, at the finest level shown."""
    shown = rows_where(rows["ease"], grouping=setting.level)
    figure, axes = sheet(1, 2, width=6.4, height=4.6)
    ease_cumulative(shown[shown["class"] != ""], taxonomy=setting.taxonomy, ax=axes[0])
    ease_composition(shown, taxonomy=setting.taxonomy, ax=axes[1])
    who = setting.crowd
    letters(axes, [f"How many of each class do {who} find?", "What are the objects that so many find?"])
    return figure


def ours_ease(rows: Rows, setting: Setting) -> dict[str, Measure]:
    """Share of sTILs, and of fibroblasts, that 16 raters found."""
    least = rows["ease"][rows["ease"]["at_least"] == _MOST_RATERS]
    found = {}
    for key, name in (("stils", "sTIL"), ("fibroblasts", "fibroblast")):
        row = least[least["class"] == name]
        if len(row):
            found[f"{key}_by_16"] = Measure(*(float(row[column].iloc[0]) for column in ("share", "low", "high")))
    return found


def _pick(tables: Rows, setting: Setting, cohort: str | None) -> dict[str, pd.DataFrame]:
    where = {"condition": setting.condition, "grouping": setting.level}
    where |= {} if cohort is None else {"cohort": cohort}
    return {name: rows_where(tables[name], **where) for name in ("rater_confusion", "anchor_confusion")}


def _draw(rows: Rows, setting: Setting, cohorts: list[str]) -> Figure:
    figure, axes = sheet(len(cohorts), 2, width=6.4, height=5.0)
    titles = []
    for place, cohort in enumerate(cohorts):
        left, right = axes[2 * place : 2 * place + 2]
        labels = rows_where(rows["rater_confusion"], cohort=cohort)
        confusion_of_labels(labels, taxonomy=setting.taxonomy, ax=left)
        raters_per_object(rows_where(rows["anchor_confusion"], cohort=cohort), taxonomy=setting.taxonomy, ax=right)
        titles += [
            f"{cohort}: what is the true class of what they called X?",
            f"{cohort}: what is the typical X called?",
        ]
    letters(axes, titles)
    return figure
