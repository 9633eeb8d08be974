"""Figures of inferred labels against a reference: precision–recall and ROC curves. (Figures 3a, 3b, 4e, S3)"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from crowdtruth.plots.drawing import (
    checked,
    draw_band,
    joined,
    legend_beside,
    nothing_to_draw,
    numbers,
    one_of_each,
    percent_words,
    values_of,
)
from crowdtruth.plots.style import (
    GREY,
    Look,
    axes,
    class_looks,
    cohort_looks,
    condition_looks,
    short_names,
    styled,
    wrapped,
)
from crowdtruth.taxonomy import Taxonomy

_COLUMNS = ["who", "condition", "curve", "class", "x", "y"]
_ORDER = ("micro", "macro")


@styled
def precision_recall(
    table: pd.DataFrame,
    *,
    raters: pd.DataFrame | None = None,
    accuracy: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Detection by raters (points) and by their inferred labels (a curve with its band). (Figure 3a)

    Parameters
    ----------
    table : rows of ``curves.csv`` of one reference; those of curve ``precision_recall`` are drawn
        who, condition, curve, class, x (recall), y (precision), low, high. The dashed line is the precision where
        recall is 1, everything being called an object: the share of objects.
    raters : rows of ``raters.csv`` to show as points; cohort, recall, precision
    accuracy : ``accuracy.csv``, for the average precision in the legend
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one reference or grouping.

    Examples
    --------
    >>> curve = pd.DataFrame({"who": "NP", "condition": "E", "curve": "precision_recall", "class": "",
    ...                       "x": [0.0, 1.0], "y": [1.0, 0.4], "low": [1.0, 0.3], "high": [1.0, 0.5]})
    >>> precision_recall(curve).get_xlabel()
    'recall'
    """
    rows = _of_curve(table, "precision_recall")
    ax = _square_axes(ax, "recall", "precision")
    empty = rows.empty and (raters is None or raters.empty)
    if empty and nothing_to_draw(ax, rows, "y"):
        return ax
    looks = _who_looks(rows, raters)
    if raters is not None:
        _rater_points(ax, checked(raters, ["cohort", "recall", "precision"], "raters"), looks)
    conditions = condition_looks(values_of(rows, "condition"))
    for (who, condition, _), line in _lines(rows):
        score = _score_words(accuracy, "average_precision", line)
        look = Look(looks[who].color, looks[who].marker, conditions[condition].line if len(conditions) > 1 else "-")
        _draw_line(
            ax, line, look, joined([who, condition if len(conditions) > 1 else "", score and f"AP {score}"], ", ")
        )
        at_all = line.loc[numbers(line, "x") >= 1 - 1e-9]
        if len(at_all):
            ax.axhline(float(numbers(at_all, "y").min()), color=GREY, linestyle=(0, (4, 3)), linewidth=0.9, zorder=0)
    legend_beside(ax)
    return ax


@styled
def roc(
    table: pd.DataFrame,
    *,
    accuracy: pd.DataFrame | None = None,
    taxonomy: Taxonomy | None = None,
    ax: Axes | None = None,
) -> Axes:
    """ROC curves of inferred labels: micro, macro and each class, or one of them by condition. (Figures 3b, 4e, S3)

    Colour tells classes apart, or conditions, where the rows are of one class and several conditions.

    Parameters
    ----------
    table : rows of ``curves.csv`` of one who, reference and grouping; those of curve ``roc`` are drawn
        who, condition, grouping, curve, class, x (1 − specificity), y (sensitivity), low, high
    accuracy : ``accuracy.csv``, for the area under each curve (AUROC) in the legend
    taxonomy : for the colours of classes
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one who, reference or grouping.

    Examples
    --------
    >>> curve = pd.DataFrame({"who": "NP", "condition": "E", "curve": "roc", "class": "micro", "x": [0.0, 1.0],
    ...                       "y": [0.0, 1.0], "low": [0.0, 1.0], "high": [0.0, 1.0]})
    >>> roc(curve).get_ylabel()
    'sensitivity'
    """
    rows = one_of_each(_of_curve(table, "roc"), ["who"], "curves")
    ax = _square_axes(ax, "1 − specificity", "sensitivity")
    if nothing_to_draw(ax, rows, "y"):
        return ax
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=(0, (4, 3)), linewidth=0.9, zorder=0)
    conditions = condition_looks(values_of(rows, "condition"))
    classes = class_looks(_classes(rows), taxonomy, str((values_of(rows, "grouping") or ["raw"])[0]))
    names = short_names(classes, 26)
    for (_, condition, name), line in sorted(_lines(rows), key=lambda one: list(classes).index(one[0][2])):
        by_condition = len(classes) == 1 and len(conditions) > 1
        look = conditions[condition] if by_condition else classes[name]
        if len(conditions) > 1 and not by_condition:
            look = Look(look.color, look.marker, conditions[condition].line)
        words = (
            wrapped(condition, 26)
            if by_condition
            else joined([names[name], condition if len(conditions) > 1 else ""], ", ")
        )
        _draw_line(ax, line, look, joined([words, _score_words(accuracy, "auroc", line)], "  "), faint=len(classes) > 3)
    legend_beside(ax, "AUROC" if accuracy is not None else "")
    return ax


def _of_curve(table: pd.DataFrame, curve: str) -> pd.DataFrame:
    """The rows of a kind of curve, checked."""
    checked(table, _COLUMNS, "curves")
    return one_of_each(table[table["curve"] == curve], ["reference", "grouping"], "curves")


def _square_axes(ax: Axes | None, xlabel: str, ylabel: str) -> Axes:
    """Axes from 0 to 1, equally scaled."""
    ax = axes(ax, (6.2, 4.0))
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return ax


def _classes(rows: pd.DataFrame) -> list[str]:
    """Micro and macro first, then the classes as they come."""
    found = values_of(rows, "class")
    return [name for name in _ORDER if name in found] + [name for name in found if name not in _ORDER]


def _lines(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """(who, condition, class) and rows of each curve, in their order."""
    for key, line in rows.groupby(["who", "condition", "class"], sort=False, observed=True):
        who, condition, name = map(str, key)
        yield (who, condition, name), line


def _who_looks(rows: pd.DataFrame, raters: pd.DataFrame | None) -> dict[str, Look]:
    """Looks of the cohorts of curves and points."""
    return cohort_looks([*values_of(rows, "who"), *(values_of(raters, "cohort") if raters is not None else [])])


def _rater_points(ax: Axes, raters: pd.DataFrame, looks: dict[str, Look]) -> None:
    """Every rater's recall and precision."""
    for cohort, rows in raters.groupby("cohort", sort=False, observed=True):
        look = looks[str(cohort)]
        ax.plot(numbers(rows, "recall"), numbers(rows, "precision"), look.marker, color=look.color, alpha=0.75,
                markeredgecolor="black", markeredgewidth=0.5, markersize=6, linestyle="none",
                label=wrapped(f"{cohort}: raters ({len(rows)})", 26))  # fmt: skip


def _draw_line(ax: Axes, line: pd.DataFrame, look: Look, label: str, *, faint: bool = False) -> None:
    """A curve with its band; nothing where no point is known (markers at distances along a line need one)."""
    if not np.isfinite(numbers(line, "y")).any():
        return
    ax.plot(numbers(line, "x"), numbers(line, "y"), color=look.color, linestyle=look.line, label=label,
            path_effects=look.effects, marker=look.marker, markevery=0.13, markersize=3.5)  # fmt: skip
    draw_band(ax, numbers(line, "x"), numbers(line, "low"), numbers(line, "high"), look, faint=faint)


def _score_words(accuracy: pd.DataFrame | None, metric: str, line: pd.DataFrame) -> str:
    """The area under a curve with its interval, from the table of accuracy; empty if it is not there."""
    if accuracy is None or line.empty:
        return ""
    checked(accuracy, ["who", "condition", "metric", "class", "value"], "accuracy")
    mask = accuracy["metric"] == metric
    for column in ("who", "condition", "class", "reference", "grouping"):
        if column in line and column in accuracy and not (metric == "average_precision" and column == "grouping"):
            mask &= accuracy[column] == line[column].iloc[0]
    rows = accuracy[mask]
    if rows.empty or not np.isfinite(numbers(rows, "value")[0]):
        return ""
    return percent_words(*(float(numbers(rows, column)[0]) for column in ("value", "low", "high")))
