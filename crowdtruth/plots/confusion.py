"""Figures of what is taken for what: by labels given, and by objects. (Figures 3c, S7)"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from crowdtruth.plots.drawing import checked, nothing_to_draw, numbers, one_of_each
from crowdtruth.plots.pairs import ink_on, write_cells
from crowdtruth.plots.style import SEQUENTIAL, SMALL, TINY, axes, short_names, styled
from crowdtruth.taxonomy import UNDETECTED, Taxonomy

_NO_OBJECT = "no such object"
_CELL = 0.52  # inches


@styled
def confusion_of_labels(table: pd.DataFrame, *, taxonomy: Taxonomy | None = None, ax: Axes | None = None) -> Axes:
    """What is the true class of what they called X? Rows add up to 1; counts stand in the cells. (Figures 3c, S7a)

    Parameters
    ----------
    table : rows of ``rater_confusion.csv`` of one condition, reference and grouping, of one rater or of several
        true (empty: there is no such object), assigned (``undetected``: missed), count; counts of raters are added.
    taxonomy : for the order of classes; default: as they come
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one condition, reference or grouping.

    Examples
    --------
    >>> counts = pd.DataFrame({"true": ["a", "b", ""], "assigned": ["a", "a", "a"], "count": [8, 1, 1]})
    >>> [text.get_text() for text in confusion_of_labels(counts).texts]
    ['8', '1', '1']
    """
    checked(table, ["true", "assigned", "count"], "rater_confusion")
    one_of_each(table, ["condition", "reference", "grouping"], "rater_confusion")
    counts = _square(table, "count", taxonomy)
    totals = counts.sum(axis=1).to_numpy()
    shares = counts.to_numpy() / np.where(totals == 0, np.nan, totals)[:, None]
    names = short_names([*counts.index, *counts.columns], 24)
    words = [f"{names[name]} ({total:,.0f})" for name, total in zip(counts.index, totals, strict=True)]
    ax = _start(ax, counts.shape)
    if not np.nansum(totals):
        nothing_to_draw(ax, counts.iloc[:0])
        return ax
    shades = np.where(counts.to_numpy() > 0, shares, np.nan)
    _matrix(ax, shades, counts.to_numpy(), "{:,.0f}", "share of the row", top=1.0)
    _name_cells(ax, words, [names[name] for name in counts.columns])
    ax.set(xlabel="true class", ylabel="what they called it (times)")
    return ax


@styled
def raters_per_object(table: pd.DataFrame, *, taxonomy: Taxonomy | None = None, ax: Axes | None = None) -> Axes:
    """How many raters find the typical object of a class, and what do they call it? (Figures 3c, S7b)

    Intervals stand below the numbers.

    Parameters
    ----------
    table : rows of ``anchor_confusion.csv`` of one cohort, condition, reference and grouping
        true, assigned, mean_raters, low, high, n_anchors, n_raters (who were asked about each object).
    taxonomy : for the order of classes; default: as they come
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one cohort, condition, reference or grouping.

    Examples
    --------
    >>> means = pd.DataFrame({"true": ["a", "a"], "assigned": ["a", "undetected"], "mean_raters": [5.5, 1.5],
    ...                       "low": [5.1, 1.2], "high": [5.8, 1.9], "n_anchors": 20, "n_raters": 7})
    >>> [text.get_text() for text in raters_per_object(means).texts]
    ['5.5', '1.5', '5.1–5.8', '1.2–1.9']
    """
    checked(table, ["true", "assigned", "mean_raters"], "anchor_confusion")
    one_of_each(table, ["cohort", "condition", "reference", "grouping"], "anchor_confusion")
    means = _square(table, "mean_raters", taxonomy)
    asked = np.nanmax(numbers(table, "n_raters"), initial=0) if "n_raters" in table else 0
    ax = _start(ax, means.shape)
    if not np.nansum(means.to_numpy()):
        nothing_to_draw(ax, means.iloc[:0])
        return ax
    shades = np.where(means.to_numpy() > 0, means.to_numpy(), np.nan)
    top = asked or float(np.nanmax(shades))
    mesh = _matrix(ax, shades, means.to_numpy(), "{:.1f}", "mean number of raters", top=top)
    _write_intervals(ax, mesh, shades, *(_like(means, table, bound) for bound in ("low", "high")))
    objects: dict[Any, Any] = table.groupby("true")["n_anchors"].max().to_dict() if "n_anchors" in table else {}
    names = short_names([*means.index, *means.columns], 24)
    columns = [names[name] + (f" ({objects[name]:,.0f})" if name in objects else "") for name in map(str, means)]
    _name_cells(ax, [names[name] for name in means.index], columns)
    ax.set(
        xlabel="true class of the object (number of objects)",
        ylabel="called it" + (f"\n(mean of {asked:.0f} raters)" if asked else ""),
    )
    return ax


def _square(table: pd.DataFrame, column: str, taxonomy: Taxonomy | None) -> pd.DataFrame:
    """assigned × true, summed; classes in the taxonomy's order, misses and objects that are not there last.

    Classes that nothing is, and those that nothing is called, have no column and no row.
    """
    names = {*table["true"], *table["assigned"]} - {"", UNDETECTED}
    order = list(dict.fromkeys([*table["true"], *table["assigned"]]))
    level = str(table["grouping"].iloc[0]) if "grouping" in table and len(table) else "raw"
    if taxonomy is not None and level in ("raw", *taxonomy.levels):
        order = [*taxonomy.grouping(level).classes, *order]
    classes = [name for name in dict.fromkeys(order) if name in names]
    summed = table.groupby(["assigned", "true"], observed=True)[column].sum().unstack(fill_value=0)
    rows = classes + [UNDETECTED] * (UNDETECTED in set(table["assigned"]))
    columns = classes + [""] * ("" in set(table["true"]))
    square = summed.reindex(index=rows, columns=columns).astype(float).fillna(0.0)
    if square.to_numpy().any():
        square = square.loc[square.any(axis=1), square.any(axis=0)]
    return square.rename(columns={"": _NO_OBJECT})


def _like(square: pd.DataFrame, table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column at the places of `square` (assigned × true), NaN where it has nothing."""
    values = table.assign(value=numbers(table, column)).groupby(["assigned", "true"], observed=True)["value"].first()
    return values.unstack().reindex(index=square.index, columns=square.columns).to_numpy(dtype=float)


def _start(ax: Axes | None, shape: tuple[int, int]) -> Axes:
    """Axes large enough for a matrix of this shape."""
    n_rows, n_columns = shape
    return axes(ax, (max(4.6, _CELL * n_columns + 2.9), max(3.4, _CELL * n_rows * 0.8 + 1.7)))


def _matrix(
    ax: Axes, shades: NDArray[np.float64], values: NDArray[np.float64], form: str, bar_words: str, *, top: float
) -> Any:
    """A shaded matrix (n_rows, n_columns) with its numbers; cells without a shade stay white."""
    mesh = ax.pcolormesh(
        np.ma.masked_invalid(shades), cmap=SEQUENTIAL, vmin=0, vmax=top, edgecolors="#f2f2f2", linewidth=0.6
    )
    bar = ax.figure.colorbar(mesh, ax=ax, shrink=0.7, aspect=25, pad=0.02)
    bar.set_label(bar_words, fontsize=SMALL + 1)
    bar.ax.tick_params(labelsize=SMALL)
    write_cells(ax, shades, mesh, form, numbers_shown=values)
    return mesh


def _write_intervals(
    ax: Axes, mesh: Any, shades: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> None:
    """Intervals in the cells of a matrix (n_rows, n_columns), small, below the numbers."""
    for row, column in zip(*np.nonzero(np.isfinite(shades) & np.isfinite(low) & np.isfinite(high)), strict=True):
        words = f"{low[row, column]:.1f}–{high[row, column]:.1f}"
        color = ink_on(mesh, shades[row, column])
        ax.text(column + 0.5, row + 0.96, words, ha="center", va="bottom", fontsize=TINY, color=color, in_layout=False)


def _name_cells(ax: Axes, rows: list[str], columns: list[str]) -> None:
    """Names along both sides, the first row on top; slanted below the columns where there are many."""
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(columns) > 4 else {}
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, fontsize=SMALL, **slanted)
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, fontsize=SMALL)
    ax.set_ylim(len(rows), 0)
    ax.tick_params(length=0)
