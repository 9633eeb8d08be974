"""Agreement: Figures 3d, 4b, 4d, 5a, 5c, 5d."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.page import Measure, Rows, measure, rows_where
from analysis.setting import Setting
from analysis.style import letters, sheet
from crowdtruth.plots.agreement import agreement_by_detections, anchors_by_detections
from crowdtruth.plots.pairs import kappa_boxes, proportion_clicked_boxes, rater_map, self_agreement_boxes

_LEGEND = 22.0  # points, for a legend between panel and title
_SCOPES = {"detection_and_classification": "detection and classification", "classification": "classification"}


def why_no_oneself(setting: Setting) -> str:
    """Raters can be compared with themselves where there is a control."""
    if setting.control is None:
        return "there is no second condition: no rater saw the same FOVs twice"
    return ""


def why_no_clicks(setting: Setting) -> str:
    """Clicks are accepted suggestions."""
    return "nobody clicked: there are no accepted suggestions" if not setting.has_clicks else why_no_oneself(setting)


def pick_map(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Positions of raters. (Figure 3d)"""
    return {"rater_map": rows_where(tables["rater_map"], condition=setting.condition, grouping=setting.level)}


def draw_map(rows: Rows, setting: Setting) -> Figure:
    """Figure 3d: one map for each scope."""
    figure, axes = sheet(1, 2, width=6.0, height=5.0)
    for ax, scope in zip(axes, _SCOPES, strict=True):
        rater_map(rows_where(rows["rater_map"], scope=scope), ax=ax)
    letters(axes, [f"Raters near each other agree: {words} ({setting.condition})" for words in _SCOPES.values()])
    return figure


def pick_oneself(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Each rater compared with themselves. (Figures 4b, 4d)"""
    rows = rows_where(tables["self_agreement"], grouping=setting.level, scope="classification")
    return {"self_agreement": rows}


def draw_clicks(rows: Rows, setting: Setting) -> Figure:
    """Figure 4b."""
    figure, (ax,) = sheet(1, 1, width=6.4, height=4.6)
    proportion_clicked_boxes(rows["self_agreement"], ax=ax)
    letters([ax], ["Marks on true objects that are accepted suggestions"], above=_LEGEND)
    return figure


def ours_clicks(rows: Rows, setting: Setting) -> dict[str, Measure]:
    """Mean and standard deviation over raters of the share of clicks."""
    shown = rows_where(rows["self_agreement"], second_condition=setting.condition)["proportion_clicked"]
    return {"proportion_clicked": Measure(shown.mean()), "proportion_clicked_sd": Measure(shown.std(ddof=0))}


def draw_oneself(rows: Rows, setting: Setting) -> Figure:
    """Figure 4d."""
    figure, (ax,) = sheet(1, 1, width=6.8, height=4.6)
    self_agreement_boxes(rows["self_agreement"], ax=ax)
    letters([ax], ["Raters and themselves, with suggestions and without"], above=_LEGEND)
    return figure


def ours_oneself(rows: Rows, setting: Setting) -> dict[str, Measure]:
    """Mean and standard deviation over the raters of each cohort."""
    shown = rows_where(rows["self_agreement"], second_condition=setting.condition)
    found: dict[str, Measure] = {}
    for cohort, own in shown.groupby("cohort")["kappa"]:
        found |= {f"kappa_{cohort}": Measure(own.mean()), f"kappa_{cohort}_sd": Measure(own.std(ddof=0))}
    return found


def pick_threshold(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Alpha by threshold and least number of raters. (Figures 5a, 5c)"""
    return {"agreement": rows_where(tables["agreement"], statistic="alpha", condition=setting.condition)}


def draw_threshold(rows: Rows, setting: Setting) -> Figure:
    """Figure 5a: number of objects, and agreement on what they are and whether they are there."""
    shown = _of_judges(rows["agreement"], setting, "detection_and_classification")
    figure, axes = sheet(1, 2, width=5.6, height=4.4)
    anchors_by_detections(shown, ax=axes[0])
    agreement_by_detections(shown, ax=axes[1])
    letters(axes, [f"Objects marked by raters of {setting.experts}", "Detection and classification"])
    return figure


def draw_threshold_classes(rows: Rows, setting: Setting) -> Figure:
    """Figure 5c: agreement on what objects are, by those who marked them."""
    figure, axes = sheet(1, len(setting.levels), width=5.6, height=4.4)
    for ax, level in zip(axes, setting.levels, strict=True):
        agreement_by_detections(_of_judges(rows["agreement"], setting, "classification", level), ax=ax)
    letters(axes, [f"Classification, {setting.experts}, classes: {level}" for level in setting.levels])
    return figure


def ours_threshold(rows: Rows, setting: Setting) -> dict[str, Measure]:
    """Number of objects and alpha at IOU .25; of NPs also at the coarsest level, on the same objects."""
    table = rows["agreement"]
    table = rows_where(table[table["threshold"].sub(0.25).abs() < 1e-9], scope="detection_and_classification")
    found = {}
    for cohort, least in (("P", 2), ("NP", 0)):
        own = rows_where(table[table["min_detections"] == least], cohort=cohort)
        for level in own["grouping"]:
            found[f"alpha_{cohort}_{level}"] = measure(own, grouping=level)
            found[f"n_{cohort}_{level}"] = Measure(float(rows_where(own, grouping=level)["n_anchors"].iloc[0]))
    return found


def pick_pairs(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Kappas of pairs. (Figure 5d)"""
    return {"pairwise": rows_where(tables["pairwise"], condition=setting.condition, scope="classification")}


def draw_pairs(rows: Rows, setting: Setting) -> Figure:
    """Figure 5d: by the cohorts of the two raters, at each level of classes."""
    figure, (ax,) = sheet(1, 1, width=7.6, height=4.8)
    kappa_boxes(rows["pairwise"], ax=ax)
    letters([ax], [f"Every two raters ({setting.condition})"], above=_LEGEND)
    return figure


def _of_judges(table: pd.DataFrame, setting: Setting, scope: str, level: str | None = None) -> pd.DataFrame:
    """Agreement of the cohort that judges, from one rater on."""
    own = rows_where(table, scope=scope, grouping=level or setting.level, cohort=setting.experts)
    return own[own["min_detections"] >= 1]
