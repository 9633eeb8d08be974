"""Figures of single raters: how good is each, and does it change over the study?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from crowdtruth.plots.drawing import (
    checked,
    draw_band,
    legend_beside,
    nothing_to_draw,
    numbers,
    one_of_each,
    points_with_intervals,
    unit_limits,
    values_of,
)
from crowdtruth.plots.style import ROW, Look, axes, cohort_looks, short_names, styled, wrapped

SCORES = {
    "precision": "precision of detection",
    "recall": "recall of detection",
    "f1": "F1 of detection",
    "class_accuracy": "accuracy of classes, of what was found",
    "mcc": "MCC of classes, of what was found",
}


@styled
def rater_forest(table: pd.DataFrame, *, metric: str = "f1", ax: Axes | None = None) -> Axes:
    """A score of every rater with its interval, by cohort, the best first.

    Parameters
    ----------
    table : rows of ``raters.csv`` of one condition and reference
        rater, cohort, in_reference, and the score with its ``_low`` and ``_high``. Raters who contributed to the
        reference are marked with an asterisk.
    metric : precision, recall, f1, class_accuracy or mcc
    ax : default: those of a new figure, as high as the raters need

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one condition or reference.

    Examples
    --------
    >>> rows = pd.DataFrame({"rater": ["a", "b"], "cohort": "P", "f1": [0.7, 0.8], "f1_low": [0.6, 0.7],
    ...                      "f1_high": [0.8, 0.9]})
    >>> [label.get_text() for label in rater_forest(rows).get_yticklabels()]
    ['b', 'a']
    """
    checked(table, ["rater", "cohort", metric], "raters")
    one_of_each(table, ["condition", "reference"], "raters")
    scores = {
        "value": numbers(table, metric),
        "low": numbers(table, f"{metric}_low"),
        "high": numbers(table, f"{metric}_high"),
    }
    rows = table.assign(**scores, cohort_place=table["cohort"].map(values_of(table, "cohort").index))
    rows = rows.sort_values(["cohort_place", "value"], ascending=[True, False], kind="stable").reset_index(drop=True)
    ax = axes(ax, (6.0, 1.3 + ROW * 0.85 * len(rows)))
    ax.set_xlabel(SCORES.get(metric, metric))
    if nothing_to_draw(ax, rows):
        return ax
    for cohort, look in cohort_looks(values_of(rows, "cohort")).items():
        own = rows[rows["cohort"] == cohort]
        points_with_intervals(ax, own, own.index, look, label=wrapped(f"{cohort} ({len(own)})"))
        middle = own["value"].median()
        ax.vlines(middle, own.index[0] - 0.45, own.index[-1] + 0.45, color=look.edge, linewidth=0.9, linestyle=":")
    names = short_names(rows["rater"], 22)
    marked = rows["in_reference"] if "in_reference" in rows else pd.Series(data=False, index=rows.index)
    ax.set_yticks(rows.index, [names[r] + " *" * bool(m) for r, m in zip(rows["rater"], marked, strict=True)])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    _limits(ax, rows)
    ax.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    if marked.any():
        ax.set_xlabel(f"{ax.get_xlabel()}\n* has contributed to the reference")
    legend_beside(ax, "cohort\n(dotted: median)")
    return ax


def _limits(ax: Axes, rows: pd.DataFrame) -> None:
    """From 0 to 1; only the upper half where all of it lies there."""
    values = np.concatenate([numbers(rows, "value"), numbers(rows, "low")])
    unit_limits(ax, values, axis="x")
    if np.nanmin(values) > 0.52:
        ax.set_xlim(0.5, 1.01)


@styled
def drift(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """A rate of a rater over the time of the study with its band, and those of the cohort behind it.

    Parameters
    ----------
    table : rows of one metric; rater, metric, x, value; also low, high
        `x` is the place of the FOVs in the order they were done, or a time; column ``x_unit`` says which. Rows with
        an empty rater are the cohort's.
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one metric.

    Examples
    --------
    >>> rows = pd.DataFrame({"rater": "a", "metric": "f1", "x": [1, 2], "value": [0.6, 0.7], "low": [0.5, 0.6],
    ...                      "high": [0.7, 0.8]})
    >>> drift(rows).get_xlabel()
    'FOVs in the order they were done'
    """
    checked(table, ["rater", "metric", "x", "value"], "drift")
    one_of_each(table, ["metric", "x_unit"], "drift")
    ax = axes(ax, (5.6, 3.0))
    metric = str((values_of(table, "metric") or ["value"])[0])
    ax.set_xlabel(str((values_of(table, "x_unit") or ["FOVs in the order they were done"])[0]))
    ax.set_ylabel(SCORES.get(metric, metric))
    if nothing_to_draw(ax, table):
        return ax
    looks = cohort_looks(name for name in values_of(table, "rater") if name) | {"": Look("#8c8c8c", "", "--")}
    names = short_names(looks, 22) | {"": "cohort"}
    for rater in values_of(table, "rater"):
        rows, look = table[table["rater"] == rater].sort_values("x", kind="stable"), looks[str(rater)]
        ax.plot(numbers(rows, "x"), numbers(rows, "value"), color=look.color, marker=look.marker or None,
                linestyle=look.line, label=names[str(rater)])  # fmt: skip
        draw_band(ax, numbers(rows, "x"), numbers(rows, "low"), numbers(rows, "high"), look)
    unit_limits(ax, numbers(table, "value"), numbers(table, "low"))
    if len(values_of(table, "rater")) > 1:
        legend_beside(ax)
    return ax
