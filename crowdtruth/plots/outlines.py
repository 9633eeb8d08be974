"""Figures of accepted suggestions: are their outlines right, and do raters agree? (Figures 4c, S5)"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from crowdtruth.plots.agreement import joined_names
from crowdtruth.plots.drawing import checked, jitter, nothing_to_draw, numbers, one_of_each, values_of
from crowdtruth.plots.pairs import legend_above
from crowdtruth.plots.style import GREY, SMALL, Look, axes, cohort_looks, styled, wrapped

_VERDICTS = {0: Look("#E69F00", "X", "-"), 1: Look("#0072B2", "o", "-")}
_VERDICT_WORDS = {0: "judged wrong", 1: "judged right"}
OVERLAPS = {"dice": "DICE", "iou": "IOU"}
_LEAST_FOR_VIOLIN = 10


@styled
def overlap_violins(table: pd.DataFrame, *, metric: str = "dice", ax: Axes | None = None) -> Axes:
    """Overlap of clicked and traced outlines, by condition and by what raters made of the suggestion. (Figure 4c)

    Parameters
    ----------
    table : rows of ``outlines.csv``; cohort, condition, boundary_correct (0 or 1), and the metric
    metric : ``"dice"`` or ``"iou"``
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing.

    Examples
    --------
    >>> rows = pd.DataFrame({"cohort": "P", "condition": "E", "boundary_correct": [0, 1], "dice": [0.6, 0.9]})
    >>> overlap_violins(rows).get_ylabel()
    'DICE of clicked and traced outline'
    """
    checked(table, ["cohort", "condition", "boundary_correct", metric], "outlines")
    columns = [c for c in ("cohort", "condition") if table[c].nunique() > 1] or ["condition"]
    names = joined_names(table, columns)
    groups = list(dict.fromkeys(names)) if len(table) else []
    ax = axes(ax, (max(5.0, 1.8 + 1.3 * len(groups)), 4.0))
    ax.set(ylabel=f"{OVERLAPS.get(metric, metric)} of clicked and traced outline", xlabel=" and ".join(columns))
    if nothing_to_draw(ax, table, metric):
        return ax
    for place, group in enumerate(groups):
        for verdict, look in _VERDICTS.items():
            shown = numbers(table[(names == group) & (table["boundary_correct"] == verdict)], metric)
            _violin(ax, np.sort(shown[np.isfinite(shown)]), place + (verdict - 0.5) * 0.44, look)
    for verdict, look in _VERDICTS.items():
        ax.plot([], [], look.marker, color=look.color, markeredgecolor="#333333", label=_VERDICT_WORDS[verdict])
    ax.set_xticks(range(len(groups)), [wrapped(str(group), 18) for group in groups])
    ax.set(xlim=(-0.6, len(groups) - 0.4), ylim=(0, 1.02))
    legend_above(ax, 2)
    return ax


def _violin(ax: Axes, values: np.ndarray, place: float, look: Look) -> None:
    """A violin with quartiles and its number of values; the values themselves where they are few or all the same."""
    if not len(values):
        return
    ax.text(place, 0.01, f"{len(values):,}", ha="center", va="bottom", fontsize=SMALL, color=GREY)
    if len(values) < _LEAST_FOR_VIOLIN or np.ptp(values) == 0:
        ax.plot(
            place + jitter(len(values), 0.1),
            values,
            look.marker,
            color=look.color,
            markeredgecolor="#333333",
            markersize=4,
        )
        return
    bodies: Any = ax.violinplot(values, positions=[place], widths=0.4, showextrema=False)["bodies"]
    for body in bodies:
        body.set(facecolor=look.color, edgecolor="#333333", alpha=0.7, linewidth=0.8)
    for value, line in zip(np.percentile(values, [25, 50, 75]), (":", "-", ":"), strict=True):
        ax.hlines(value, place - 0.12, place + 0.12, color="black", linestyle=line, linewidth=1.1)


@styled
def segmented_scatter(table: pd.DataFrame, *, first: str, second: str, ax: Axes | None = None) -> Axes:
    """Share of objects whose accepted suggestion is right, under two conditions: a point for each FOV. (Figure S5a)

    The share over all FOVs is a cross of its two intervals.

    Parameters
    ----------
    table : rows of ``segmented.csv`` of one or more cohorts
        cohort, condition, fov (empty: all), n_anchors, proportion, low, high.
    first, second : conditions of the x and of the y axis
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing.

    Examples
    --------
    >>> rows = pd.DataFrame({"cohort": "P", "condition": ["B", "E"], "fov": "f", "n_anchors": 10,
    ...                      "proportion": [0.3, 0.5]})
    >>> segmented_scatter(rows, first="B", second="E").get_xlabel()
    'share of objects with a right suggestion, B'
    """
    checked(table, ["cohort", "condition", "fov", "n_anchors", "proportion"], "segmented")
    both = _paired(table[table["fov"] != ""], ["cohort", "fov"], ["proportion", "n_anchors"], first, second)
    ax = _square(ax, "share of objects with a right suggestion", first, second)
    if nothing_to_draw(ax, both, "proportion_first"):
        return ax
    looks = cohort_looks(values_of(table, "cohort"))
    most = max(float(np.nanmax(numbers(both, "n_anchors_first"))), 1.0)
    for cohort, look in looks.items():
        rows = both[both["cohort"] == cohort]
        ax.scatter(numbers(rows, "proportion_first"), numbers(rows, "proportion_second"), marker=look.marker,
                   s=10 + 190 * numbers(rows, "n_anchors_first") / most, color=look.color, edgecolor="black",
                   linewidth=0.5, alpha=0.6, label=f"{cohort}: {len(rows)} FOVs")  # fmt: skip
    if {"low", "high"} <= {*table}:
        columns = ["proportion", "low", "high"]
        for row in _paired(table[table["fov"] == ""], ["cohort"], columns, first, second).to_dict("records"):
            _cross(ax, row, looks[row["cohort"]])
    ax.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
    ax.legend(loc="upper left", title=f"area: objects, up to {most:.0f}", markerscale=0.5)
    return ax


def _cross(ax: Axes, row: Mapping[Any, Any], look: Look) -> None:
    """The intervals of a share under two conditions, across each other; light below, to be seen over points."""
    for color, width in (("white", 4.5), (look.edge, 2.2)):
        ax.hlines(row["proportion_second"], row["low_first"], row["high_first"], color=color, linewidth=width, zorder=3)
        ax.vlines(
            row["proportion_first"], row["low_second"], row["high_second"], color=color, linewidth=width, zorder=3
        )


@styled
def joint_overlap(
    table: pd.DataFrame, *, first: str, second: str, metric: str = "dice", ax: Axes | None = None
) -> Axes:
    """Overlap of clicked and traced outline under two conditions, objects judged right in both. (Figure S5b)

    Parameters
    ----------
    table : rows of ``outlines.csv`` of one cohort; anchor, condition, boundary_correct, and the metric
    first, second : conditions of the x and of the y axis
    metric : ``"dice"`` or ``"iou"``
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one cohort.

    Examples
    --------
    >>> rows = pd.DataFrame({"anchor": "a", "condition": ["B", "E"], "boundary_correct": 1, "dice": [0.8, 0.9]})
    >>> joint_overlap(rows, first="B", second="E").get_ylabel()
    'DICE, E'
    """
    checked(table, ["anchor", "condition", "boundary_correct", metric], "outlines")
    one_of_each(table, ["cohort"], "outlines")
    both = _paired(table[table["boundary_correct"] == 1], ["anchor"], [metric], first, second)
    ax = _square(ax, OVERLAPS.get(metric, metric), first, second)
    if nothing_to_draw(ax, both, f"{metric}_first"):
        return ax
    x, y = numbers(both, f"{metric}_first"), numbers(both, f"{metric}_second")
    ax.plot(x, y, "o", color="#0072B2", markersize=3.5, alpha=0.45, markeredgewidth=0)
    low = min(0.5, float(np.nanmin([x, y])) - 0.03)
    ax.set(xlim=(low, 1.01), ylim=(low, 1.01))
    _contours(ax, x, y)
    ax.text(0.03, 0.97, f"{len(both):,} objects", transform=ax.transAxes, va="top", fontsize=SMALL, color=GREY)
    return ax


def _contours(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Lines of equal density of the points, where there are enough of them and they fill a plane."""
    if len(x) < 2 * _LEAST_FOR_VIOLIN or min(np.ptp(x), np.ptp(y)) == 0 or abs(np.corrcoef(x, y)[0, 1]) > 0.999:
        return
    from scipy.stats import gaussian_kde

    grid = np.linspace(*ax.get_xlim(), 60)
    across, up = np.meshgrid(grid, grid)
    density = gaussian_kde(np.vstack([x, y]))(np.vstack([across.ravel(), up.ravel()])).reshape(across.shape)
    ax.contour(across, up, density, levels=8, colors="#333333", linewidths=0.6)


def _paired(table: pd.DataFrame, keys: list[str], columns: list[str], first: str, second: str) -> pd.DataFrame:
    """Rows of both conditions side by side, columns with ``_first`` and ``_second``."""
    rows = [table.loc[table["condition"] == condition, [*keys, *columns]] for condition in (first, second)]
    return rows[0].merge(rows[1], on=keys, suffixes=("_first", "_second")).dropna()


def _square(ax: Axes | None, words: str, first: str, second: str) -> Axes:
    """Equally scaled axes with the line of equality."""
    ax = axes(ax, (4.6, 4.4))
    ax.axline((0, 0), slope=1, color=GREY, linestyle=(0, (4, 3)), linewidth=0.8, zorder=0)
    ax.set(xlabel=f"{words}, {wrapped(first, 30)}", ylabel=f"{words}, {wrapped(second, 30)}", aspect="equal")
    return ax
