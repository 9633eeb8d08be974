"""Figures of redundancy: how good is the label of fewer raters, and how many does a target need? (Figure 3e)"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from crowdtruth.checks import ALL
from crowdtruth.plots.drawing import (
    checked,
    draw_band,
    joined,
    legend_beside,
    nothing_to_draw,
    numbers,
    one_of_each,
    values_of,
    whole_numbers,
)
from crowdtruth.plots.style import (
    GREY,
    ROW,
    SMALL,
    Look,
    axes,
    class_looks,
    cohort_looks,
    short_names,
    styled,
    wrapped,
)
from crowdtruth.taxonomy import Taxonomy

METRICS = {
    "precision": "precision of detection",
    "recall": "recall of detection",
    "f1": "F1 of detection",
    "class_accuracy": "accuracy of classes",
    "mcc": "MCC of classes",
    "class_mcc": "MCC of the class",
    "class_f1": "F1 of the class",
    "auroc": "AUROC",
    "average_precision": "average precision",
}
_ONE = ["cohort", "condition", "reference", "grouping"]


@styled
def redundancy_curve(
    table: pd.DataFrame, *, target: float | None = None, taxonomy: Taxonomy | None = None, ax: Axes | None = None
) -> Axes:
    """A metric against the number of raters per FOV: median of the realizations, and where 95 % of them lie.

    Parameters
    ----------
    table : rows of ``redundancy.csv`` of one cohort, condition, reference, grouping and metric
        raters_per_fov, metric, class, value; a line for each class.
    target : a line to reach
    taxonomy : for the colours of classes
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one cohort, condition, reference, grouping or metric.

    Examples
    --------
    >>> rows = pd.DataFrame({"raters_per_fov": [1, 1, 2, 2], "metric": "mcc", "class": "",
    ...                      "value": [0.5, 0.6, 0.7, 0.8]})
    >>> redundancy_curve(rows, target=0.7).get_ylabel()
    'MCC of classes'
    """
    ax, looks = _start(table, taxonomy, ax)
    if nothing_to_draw(ax, table):
        return ax
    names = short_names(looks, 26)
    for name, look in looks.items():
        rows = table[table["class"] == name]
        spread = rows.groupby("raters_per_fov")["value"].quantile(np.array([0.025, 0.5, 0.975])).unstack()
        ax.plot(spread.index, spread[0.5], color=look.color, marker=look.marker, linestyle=look.line,
                label=names[name], path_effects=look.effects)  # fmt: skip
        low, high = spread[0.025].to_numpy(), spread[0.975].to_numpy()
        draw_band(ax, spread.index, low, high, look, faint=len(looks) > 3)
    _finish(ax, table, target)
    if len(looks) > 1:
        legend_beside(ax)
    return ax


@styled
def redundancy_boxes(
    table: pd.DataFrame, *, target: float | None = None, taxonomy: Taxonomy | None = None, ax: Axes | None = None
) -> Axes:
    """A metric of one class against the number of raters per FOV: a box of realizations for each. (Figure 3e)

    Parameters
    ----------
    table : rows of ``redundancy.csv`` of one cohort, condition, reference, grouping, metric and class
    target : a line to reach
    taxonomy : for the colour of the class
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one cohort, …, metric or class.

    Examples
    --------
    >>> rows = pd.DataFrame({"raters_per_fov": [1, 1, 2, 2], "metric": "mcc", "class": "",
    ...                      "value": [0.5, 0.6, 0.7, 0.8]})
    >>> len(redundancy_boxes(rows).patches)
    2
    """
    ax, looks = _start(one_of_each(table, ["class"], "redundancy"), taxonomy, ax)
    if nothing_to_draw(ax, table):
        return ax
    look = next(iter(looks.values()))
    groups = {k: numbers(rows.dropna(subset="value"), "value") for k, rows in table.groupby("raters_per_fov")}
    edge = {"color": look.edge, "linewidth": 0.9}
    box: dict[str, Any] = {"facecolor": (look.color, 0.5), "edgecolor": look.edge, "linewidth": 0.9}
    places = np.asarray(list(groups), dtype=float)
    ax.boxplot(
        list(groups.values()), positions=places, widths=0.65, showfliers=False, patch_artist=True, boxprops=box,
        medianprops={"color": "black", "linewidth": 1.6}, whiskerprops=edge, capprops=edge, manage_ticks=False,
    )  # fmt: skip
    _finish(ax, table, target)
    return ax


def _start(table: pd.DataFrame, taxonomy: Taxonomy | None, ax: Axes | None) -> tuple[Axes, dict[str, Look]]:
    """Axes with their labels, and the look of each class; the table is checked."""
    checked(table, ["raters_per_fov", "metric", "class", "value"], "redundancy")
    one_of_each(table, [*_ONE, "metric"], "redundancy")
    looks = class_looks(values_of(table, "class"), taxonomy, str((values_of(table, "grouping") or ["raw"])[0]))
    if list(looks) == [""] or list(looks) == ["micro"]:
        cohort = str((values_of(table, "cohort") or [""])[0])
        looks = {name: Look(cohort_looks([cohort])[cohort].color, "o", "-") for name in looks}
    ax = axes(ax, (5.6, 3.6))
    metric = str((values_of(table, "metric") or ["value"])[0])
    single = next(iter(looks)) if len(looks) == 1 else ""
    ax.set(xlabel="raters per FOV", ylabel=joined([METRICS.get(metric, metric), wrapped(single)], ", "))
    return ax, looks


def _finish(ax: Axes, table: pd.DataFrame, target: float | None) -> None:
    """Whole numbers of raters, limits, and the target's line."""
    whole_numbers(ax)
    values = numbers(table, "value")
    low = float(np.nanmin(values))
    ax.set_ylim(min(0.5 if low > 0.5 else 0.0, low - 0.03), 1.02)
    counts = numbers(table, "raters_per_fov")
    ax.set_xlim(counts.min() - 0.6, counts.max() + 0.6)
    if target is not None:
        ax.axhline(target, color="black", linestyle=(0, (4, 3)), linewidth=0.9)
        ax.text(1.0, target, f" target {target:.2f}", transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)


@styled
def plan(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many raters per FOV reach each target, with their band; the number, or that none is told, at the right.

    Parameters
    ----------
    table : ``plan.csv``; cohort, metric, class, target, raters_per_fov, low, high, verdict
    ax : default: those of a new figure, as high as the rows need

    Raises
    ------
    ValueError
        If a column is missing.

    Examples
    --------
    >>> rows = pd.DataFrame({"cohort": ["NP"], "metric": ["mcc"], "class": [""], "target": [0.7],
    ...                      "raters_per_fov": [6], "low": [5], "high": [7], "verdict": ["reached"]})
    >>> plan(rows).get_xlabel()
    'raters per FOV'
    """
    checked(table, ["cohort", "metric", "class", "target", "raters_per_fov", "low", "high", "verdict"], "plan")
    ax = axes(ax, (7.6, 1.1 + ROW * len(table)))
    ax.set_xlabel("raters per FOV")
    if table.empty:
        nothing_to_draw(ax, table)
        return ax
    looks, drawn = cohort_looks(values_of(table, "cohort")), numbers(table, "raters_per_fov")
    low, high = numbers(table, "low"), numbers(table, "high")
    for place, row in enumerate(table.to_dict("records")):
        look = looks[str(row["cohort"])]
        if np.isfinite(low[place]) and np.isfinite(high[place]):
            ax.hlines(place, low[place], high[place], color=look.edge, linewidth=4, alpha=0.35)
        ax.plot(drawn[place], place, look.marker, color=look.color, markeredgecolor=look.edge, markersize=6,
                linestyle="none")  # fmt: skip
        words = _advice(str(row["verdict"]), drawn[place], low[place], high[place])
        ax.text(1.01, place, words, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL, color=GREY)
    ax.set_yticks(range(len(table)), [_target_words(row) for row in table.to_dict("records")])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ends = np.concatenate([drawn, high])
    ax.set_xlim(0, max(np.nanmax(ends) if np.isfinite(ends).any() else 1.0, 1.0) + 1)
    whole_numbers(ax)
    ax.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    return ax


def _advice(verdict: str, raters: float, low: float, high: float) -> str:
    """The number to plan with its band, or what the verdict says before its reason."""
    if not np.isfinite(raters):
        return wrapped(verdict.partition(":")[0], 40, 1)
    band = f" ({low:.0f} to {high:.0f})" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{raters:.0f}{band}" + ", the cheapest cohort" * ("the cheapest" in verdict)


def _target_words(row: dict[Any, Any]) -> str:
    """A target in words: cohort, condition, metric, class and value."""
    name = wrapped(str(row["class"]), 22, 1) if row["class"] else ""
    number = "–" if pd.isna(row["target"]) else f"{row['target']:.2f}"
    who = joined([str(row.get(key, "")) for key in ("cohort", "condition") if row.get(key) != ALL], ", ")
    return joined([who, METRICS.get(str(row["metric"]), str(row["metric"])), name], ", ") + f" ≥ {number}"
