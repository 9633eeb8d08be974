"""Figures of how easily objects are found. (Figure S8)"""

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
    values_of,
    whole_numbers,
)
from crowdtruth.plots.style import Look, axes, class_looks, short_names, styled
from crowdtruth.taxonomy import Taxonomy

_ONE = ["cohort", "condition", "reference", "grouping"]
_HATCHES = ("", "////", "....", "\\\\\\\\", "xx", "oo", "++", "--")


@styled
def ease_cumulative(table: pd.DataFrame, *, taxonomy: Taxonomy | None = None, ax: Axes | None = None) -> Axes:
    """Share of the objects of each class that at least so many raters found. (Figure S8, left)

    Parameters
    ----------
    table : rows of ``ease.csv`` of one cohort, condition, reference and grouping
        class, at_least, share, low, high.
    taxonomy : for the colours of classes
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one cohort, condition, reference or grouping.

    Examples
    --------
    >>> rows = pd.DataFrame({"class": "a", "at_least": [1, 2], "share": [0.9, 0.6], "low": [0.8, 0.5],
    ...                      "high": [1.0, 0.7]})
    >>> ease_cumulative(rows).get_xlabel()
    'found by at least … raters'
    """
    ax, looks = _start(table, "share", taxonomy, ax)
    ax.set_ylabel("share of the objects of the class")
    if nothing_to_draw(ax, table, "share"):
        return ax
    names = short_names(looks, 26)
    for name, look in looks.items():
        rows = table[table["class"] == name].sort_values("at_least", kind="stable")
        ax.plot(numbers(rows, "at_least"), numbers(rows, "share"), color=look.color, marker=look.marker,
                linestyle=look.line, label=names[name] or "all", path_effects=look.effects)  # fmt: skip
        draw_band(
            ax, numbers(rows, "at_least"), numbers(rows, "low"), numbers(rows, "high"), look, faint=len(looks) > 5
        )
    ax.set_ylim(0, 1.02)
    whole_numbers(ax)
    legend_beside(ax)
    return ax


@styled
def ease_composition(table: pd.DataFrame, *, taxonomy: Taxonomy | None = None, ax: Axes | None = None) -> Axes:
    """Of the objects that at least so many raters found, which share is of each class? (Figure S8, right)

    Parameters
    ----------
    table : rows of ``ease.csv`` of one cohort, condition, reference and grouping; class, at_least, n
    taxonomy : for the colours of classes
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one cohort, condition, reference or grouping.

    Examples
    --------
    >>> rows = pd.DataFrame({"class": ["a", "b"], "at_least": 1, "n": [30, 10]})
    >>> [float(patch.get_height()) for patch in ease_composition(rows).patches]
    [0.75, 0.25]
    """
    ax, looks = _start(table, "n", taxonomy, ax)
    ax.set_ylabel("share of the objects found")
    if nothing_to_draw(ax, table, "n"):
        return ax
    counts = table[table["class"] != ""].groupby(["at_least", "class"], observed=True)["n"].sum().unstack(fill_value=0)
    totals = counts.sum(axis=1).to_numpy(dtype=float)
    bottom, names = np.zeros(len(counts)), short_names(looks, 26)
    for place, (name, look) in enumerate((name, look) for name, look in looks.items() if name in counts):
        share = counts[name].to_numpy(dtype=float) / np.where(totals == 0, np.nan, totals)
        ax.bar(counts.index, np.nan_to_num(share), bottom=bottom, width=0.92, color=look.color, label=names[name],
               hatch=_HATCHES[place % len(_HATCHES)], edgecolor=_on(look), linewidth=0.3)  # fmt: skip
        bottom += np.nan_to_num(share)
    ax.set_ylim(0, 1)
    whole_numbers(ax)
    legend_beside(ax)
    return ax


def _on(look: Look) -> str:
    """A colour for a hatch on a class's colour."""
    return "#333333" if look.is_light else "white"


def _start(
    table: pd.DataFrame, column: str, taxonomy: Taxonomy | None, ax: Axes | None
) -> tuple[Axes, dict[str, Look]]:
    """Axes with their label, and the look of each class; the table is checked."""
    checked(table, ["class", "at_least", column], "ease")
    one_of_each(table, _ONE, "ease")
    found = table[numbers(table, column) > 0]  # classes of which nothing was found would be lines along 0
    level = str((values_of(table, "grouping") or ["raw"])[0])
    looks = class_looks(values_of(found if len(found) else table, "class"), taxonomy, level)
    ax = axes(ax)
    ax.set_xlabel("found by at least … raters")
    return ax, looks
