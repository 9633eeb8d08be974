"""Figures of agreement among all raters of a cohort. (Figure 5a, c)"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from crowdtruth.plots.drawing import (
    checked,
    draw_band,
    draw_levels,
    joined,
    legend_beside,
    nothing_to_draw,
    numbers,
    one_of_each,
    points_with_intervals,
    shade_below,
    unit_limits,
    values_of,
    whole_numbers,
)
from crowdtruth.plots.style import LINES, MARKERS, ROW, SEQUENTIAL, Look, axes, cohort_looks, styled, wrapped

STATISTICS = {
    "alpha": "Krippendorff's alpha",
    "fleiss_kappa": "Fleiss' kappa",
    "ac1": "Gwet's AC1",
    "percent_agreement": "share of pairs that agree",
}
SCOPES = {"detection_and_classification": "detection and classification", "classification": "classification"}
_CORRECTED = ("alpha", "fleiss_kappa", "ac1")


@styled
def agreement_by_detections(table: pd.DataFrame, *, cut_off: float = 2, ax: Axes | None = None) -> Axes:
    """Agreement against the least number of raters who marked an object, a line per IOU threshold. (Figure 5a, c)

    Parameters
    ----------
    table : rows of ``agreement.csv`` of one statistic, scope, cohort, condition and grouping
        statistic, threshold (missing for crowd tables: one line), min_detections, value, low, high.
    cut_off : below it the panel is grey: objects that so few marked are not used elsewhere
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one statistic, scope, cohort, condition or grouping.

    Examples
    --------
    >>> rows = pd.DataFrame({"statistic": "alpha", "threshold": 0.25, "min_detections": [1, 2], "value": [0.4, 0.6],
    ...                      "low": [0.3, 0.5], "high": [0.5, 0.7]})
    >>> agreement_by_detections(rows).get_ylabel()
    "Krippendorff's alpha"
    """
    checked(table, ["statistic", "min_detections", "value"], "agreement")
    one_of_each(table, ["scope", "cohort", "condition", "grouping"], "agreement")
    ax = axes(ax)
    statistic = _statistic(table)
    ax.set(xlabel="marked by at least … raters", ylabel=STATISTICS.get(statistic, statistic))
    if nothing_to_draw(ax, table):
        return ax
    for look, label, rows in _thresholds(table):
        ax.plot(rows["min_detections"], numbers(rows, "value"), color=look.color, marker=look.marker,
                linestyle=look.line, label=label, markersize=3.5)  # fmt: skip
        draw_band(ax, rows["min_detections"], numbers(rows, "low"), numbers(rows, "high"), look)
    unit_limits(ax, numbers(table, "value"), numbers(table, "low"))
    _finish_detections(ax, cut_off, legend="lower right")
    if statistic in _CORRECTED:
        draw_levels(ax)
    return ax


@styled
def anchors_by_detections(table: pd.DataFrame, *, cut_off: float = 2, ax: Axes | None = None) -> Axes:
    """Number of objects against the least number of raters who marked them, a line per IOU threshold. (Figure 5a)

    Parameters
    ----------
    table : as for `agreement_by_detections`; threshold, min_detections, n_anchors
    cut_off : below it the panel is grey
    ax : default: those of a new figure

    Examples
    --------
    >>> rows = pd.DataFrame({"threshold": 0.5, "min_detections": [1, 2], "n_anchors": [20, 12]})
    >>> anchors_by_detections(rows).get_ylabel()
    'number of objects'
    """
    checked(table, ["min_detections", "n_anchors"], "agreement")
    one_of_each(table, ["statistic", "scope", "cohort", "condition", "grouping"], "agreement")
    ax = axes(ax)
    ax.set(xlabel="marked by at least … raters", ylabel="number of objects")
    if nothing_to_draw(ax, table, "n_anchors"):
        return ax
    for look, label, rows in _thresholds(table):
        ax.plot(rows["min_detections"], numbers(rows, "n_anchors"), color=look.color, marker=look.marker,
                linestyle=look.line, label=label, markersize=3.5)  # fmt: skip
    ax.set_ylim(bottom=0)
    _finish_detections(ax, cut_off, legend="upper right")
    return ax


@styled
def agreement_points(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Agreement with its interval, a row for each condition and grouping, a marker for each cohort.

    Parameters
    ----------
    table : rows of ``agreement.csv`` of one statistic, scope, threshold and number of detections
        statistic, cohort, condition, grouping, value, low, high.
    ax : default: those of a new figure, as high as the rows need

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one statistic, scope, threshold or min_detections.

    Examples
    --------
    >>> rows = pd.DataFrame({"statistic": "alpha", "cohort": ["NP", "P"], "condition": "E", "grouping": "main",
    ...                      "value": [0.4, 0.6], "low": [0.3, 0.5], "high": [0.5, 0.7]})
    >>> agreement_points(rows).get_xlabel()
    "Krippendorff's alpha"
    """
    checked(table, ["statistic", "cohort", "condition", "value"], "agreement")
    one_of_each(table, ["scope", "threshold", "min_detections"], "agreement")
    names = joined_names(table, ["condition", "grouping"])
    kinds = list(dict.fromkeys(names))
    looks = cohort_looks(values_of(table, "cohort"))
    ax = axes(ax, (6.4, 1.5 + ROW * len(kinds) * max(len(looks), 1) * 0.8))
    statistic = _statistic(table)
    ax.set_xlabel(STATISTICS.get(statistic, statistic))
    if nothing_to_draw(ax, table):
        return ax
    step = 0.7 / max(len(looks), 1)
    for number, (cohort, look) in enumerate(looks.items()):
        rows = table[table["cohort"] == cohort]
        places = [kinds.index(name) for name in names[table["cohort"] == cohort]]
        offset = (number - (len(looks) - 1) / 2) * step
        points_with_intervals(ax, rows, np.asarray(places, dtype=float) + offset, look, label=wrapped(cohort))
    ax.set_yticks(range(len(kinds)), [wrapped(kind, 26) for kind in kinds])
    ax.set_ylim(len(kinds) - 0.5, -0.5)
    unit_limits(ax, numbers(table, "value"), numbers(table, "low"), axis="x")
    if statistic in _CORRECTED:
        draw_levels(ax, upright=True)
    legend_beside(ax, "cohort")
    return ax


def joined_names(table: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Name of each row (n_rows,): the values of those columns in which the table differs; the first if in none."""
    differ = [column for column in columns if column in table and table[column].nunique() > 1] or columns[:1]
    rows = table[differ].astype("str").to_numpy()
    return pd.Series([joined(list(row)) for row in rows], index=table.index, dtype="str")


def _statistic(table: pd.DataFrame) -> str:
    """The one statistic the rows are of."""
    one_of_each(table, ["statistic"], "agreement")
    return str(table["statistic"].iloc[0]) if len(table) else "value"


def _thresholds(table: pd.DataFrame) -> list[tuple[Look, str, pd.DataFrame]]:
    """Look, label and rows in order of each clustering threshold, the loosest first."""
    thresholds = numbers(table, "threshold")
    known = np.unique(thresholds[np.isfinite(thresholds)])
    found = []
    for place, threshold in enumerate(known):
        color = to_hex(colormaps[SEQUENTIAL](0.95 - 0.5 * place / max(len(known) - 1, 1)))
        look = Look(color, MARKERS[place % len(MARKERS)], LINES[place % len(LINES)])
        rows = table[thresholds == threshold].sort_values("min_detections", kind="stable")
        found.append((look, f"IOU ≥ {threshold:g}", rows))
    if np.isnan(thresholds).any():
        rows = table[np.isnan(thresholds)].sort_values("min_detections", kind="stable")
        found.append((Look("#000000", "o", "-"), "all objects" if len(known) else "", rows))
    return found


def _finish_detections(ax: Axes, cut_off: float, *, legend: str) -> None:
    """Whole numbers on the x axis, grey below the cut-off, a legend inside where there is more than one line."""
    whole_numbers(ax)
    low, high = ax.get_xlim()
    ax.set_xlim(low, max(high, cut_off))
    shade_below(ax, cut_off)
    labels: list[Any] = [label for label in ax.get_legend_handles_labels()[1] if label]
    if labels:
        ax.legend(loc=legend, title="clustering")
