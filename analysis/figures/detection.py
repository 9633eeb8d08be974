"""Raters and inferred labels against the truth: Figures 3a, 3b, 4e, S3."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.page import Measure, Rows, measure, rows_where
from analysis.setting import Setting
from analysis.style import letters, sheet
from crowdtruth.metrics import matthews_correlation, one_vs_rest
from crowdtruth.plots.curves import precision_recall, roc
from crowdtruth.taxonomy import UNDETECTED

_POOLED = ("micro", "macro")


def why_no_curves(setting: Setting) -> str:
    """Curves need labels of a cohort and a truth that is not their own."""
    if setting.judged:
        return ""
    return "there is no truth but the raters' own inferred labels: give --reference FILE or cohort:NAME"


def why_no_conditions(setting: Setting) -> str:
    """Comparing conditions needs two of them."""
    return "there is only one condition" if len(setting.conditions) < 2 else why_no_curves(setting)


def why_no_second_level(setting: Setting) -> str:
    """Figure S3 shows the coarser classes."""
    return "the classes have no coarser level" if len(setting.levels) < 2 else why_no_curves(setting)


def pick_detection(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Precision–recall of detection, and the raters' points. (Figure 3a)"""
    here = {"condition": setting.condition, "grouping": setting.level}
    raters = rows_where(tables["raters"], **here)
    return {
        "curves": rows_where(tables["curves"], curve="precision_recall", **here),
        "raters": raters[raters["precision"].notna() & raters["recall"].notna()],
        "areas": rows_where(tables["areas"], metric="average_precision", **here),
        "areas_published": rows_where(tables["areas_published"], metric="average_precision", **here),
        "rater_confusion": rows_where(tables["rater_confusion"], **here),
    }


def draw_detection(rows: Rows, setting: Setting) -> Figure:
    """Figure 3a."""
    figure, (ax,) = sheet(1, 1, width=7.4, height=5.0)
    precision_recall(rows["curves"], raters=rows["raters"], accuracy=rows["areas"], ax=ax)
    letters([ax], [f"Finding objects: raters, and labels inferred from them ({setting.condition})"])
    return figure


def ours_detection(rows: Rows, setting: Setting) -> dict[str, Measure]:
    """Average precision, and the least and largest MCC of raters, as published and ours."""
    cohort = setting.crowd
    found = {
        "average_precision": measure(rows["areas_published"], who=cohort),
        "average_precision_all": measure(rows["areas"], who=cohort),
    }
    confusion = rows["rater_confusion"]
    pooled = {rater: pooled_mcc(own) for rater, own in confusion[confusion["cohort"] == cohort].groupby("who")}
    own = rows["raters"][rows["raters"]["cohort"] == cohort]
    return found | {
        "mcc_lowest": Measure(min(pooled.values())),
        "mcc_highest": Measure(max(pooled.values())),
        "mcc_lowest_multiclass": Measure(own["mcc"].min()),
        "mcc_highest_multiclass": Measure(own["mcc"].max()),
    }


def pooled_mcc(confusion: pd.DataFrame) -> float:
    """The published program's MCC of classes: that of the sum of the one-vs-rest tables of the true classes.

    Parameters
    ----------
    confusion : true (empty: no object), assigned (``undetected``: missed), count; of one rater

    Examples
    --------
    >>> rows = pd.DataFrame({"true": ["a", "a", "b"], "assigned": ["a", "b", "b"], "count": [8, 2, 10]})
    >>> round(pooled_mcc(rows), 3)
    0.8
    """
    found = confusion[(confusion["true"] != "") & (confusion["assigned"] != UNDETECTED)]
    square = found.pivot_table(index="true", columns="assigned", values="count", aggfunc="sum", fill_value=0)
    classes = sorted({*square.index, *square.columns})
    square = square.reindex(index=classes, columns=classes, fill_value=0)
    is_true = square.sum(axis=1).to_numpy() > 0
    counts = one_vs_rest(square.to_numpy(dtype=float))[is_true].sum(axis=0)
    return float(matthews_correlation(counts))


def pick_classes(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """ROC curves at the finest level shown. (Figure 3b)"""
    return _pick_roc(tables, setting, setting.levels[0])


def pick_super_classes(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """ROC curves at the coarsest level. (Figure S3)"""
    return _pick_roc(tables, setting, setting.levels[-1])


def draw_classes(rows: Rows, setting: Setting) -> Figure:
    """Figures 3b and S3: micro and macro, and each class."""
    figure, axes = sheet(1, 2, width=6.6, height=4.6)
    is_pooled = rows["curves"]["class"].isin(_POOLED)
    for ax, chosen in zip(axes, (is_pooled, ~is_pooled), strict=True):
        roc(rows["curves"][chosen], accuracy=rows["areas"], taxonomy=setting.taxonomy, ax=ax)
    who = setting.crowd
    letters(axes, [f"Labels inferred from {who}: all classes together", "each class against the others"])
    return figure


def ours_classes(rows: Rows, setting: Setting) -> dict[str, Measure]:
    """AUROCs of the inferred labels."""
    return {f"auroc_{name}": measure(rows["areas"], **{"class": name}) for name in _POOLED}


def pick_conditions(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """ROC curves, micro and macro, under every condition. (Figure 4e)"""
    here = {"grouping": setting.level, "who": setting.crowd}
    rows = {
        "curves": rows_where(tables["curves"], curve="roc", **here),
        "areas": rows_where(tables["areas"], metric="auroc", **here),
    }
    return {name: table[table["class"].isin(_POOLED)] for name, table in rows.items()}


def draw_conditions(rows: Rows, setting: Setting) -> Figure:
    """Figure 4e: one panel for micro, one for macro."""
    figure, axes = sheet(1, 2, width=6.0, height=4.6)
    place = {name: number for number, name in enumerate(setting.conditions)}
    for ax, name in zip(axes, _POOLED, strict=True):
        chosen = rows["curves"][rows["curves"]["class"] == name]
        chosen = chosen.sort_values("condition", key=lambda column: column.map(place), kind="stable")
        roc(chosen.drop(columns="reference"), accuracy=rows["areas"], taxonomy=setting.taxonomy, ax=ax)
    letters(axes, [f"Labels inferred from {setting.crowd}: {name} average" for name in _POOLED])
    return figure


def ours_conditions(rows: Rows, setting: Setting) -> dict[str, Measure]:
    """Micro AUROC with refined suggestions and without."""
    areas = rows["areas"]
    return {
        "auroc_micro_shown": measure(areas, condition=setting.condition, **{"class": "micro"}),
        "auroc_micro_control": measure(areas, condition=setting.control or "", **{"class": "micro"}),
    }


def _pick_roc(tables: Rows, setting: Setting, level: str) -> dict[str, pd.DataFrame]:
    here = {"condition": setting.condition, "grouping": level, "who": setting.crowd}
    return {
        "curves": rows_where(tables["curves"], curve="roc", **here),
        "areas": rows_where(tables["areas"], metric="auroc", **here),
    }
