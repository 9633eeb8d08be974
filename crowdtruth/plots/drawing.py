"""What every figure does: check its table, pick its rows, and draw levels, bands, notes and legends alike."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from crowdtruth.agreement import agreement_level
from crowdtruth.plots.style import GREY, PALE, SMALL, Look
from crowdtruth.problems import quoted

_LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)  # upper ends of Fleiss' levels
_UNITS = {"fov": "FOVs", "slide": "slides", "anchor": "objects", "rater": "raters"}


def checked(table: pd.DataFrame, columns: Iterable[str], name: str) -> pd.DataFrame:
    """The table, which must have these columns.

    Raises
    ------
    ValueError
        Naming the columns that are missing.
    """
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"a table {name!r} needs columns {quoted(missing)}; it has {quoted(table.columns, limit=30)}")
    return table


def one_of_each(table: pd.DataFrame, columns: Iterable[str], name: str) -> pd.DataFrame:
    """The table, in which each of these columns that it has must hold one value.

    Raises
    ------
    ValueError
        Naming the column and the values: rows of one are to be picked before drawing.
    """
    for column in columns:
        if column in table and table[column].nunique(dropna=False) > 1:
            values = quoted(table[column].unique())
            raise ValueError(f"this figure shows one {column} of {name!r}, the table has {values}; pick its rows first")
    return table


def values_of(table: pd.DataFrame, column: str) -> list[Any]:
    """Different values of a column in their order of appearance; none if there is no such column."""
    return list(table[column].dropna().unique()) if column in table else []


def numbers(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as floats (n_rows,), missing ones NaN; all NaN if there is no such column."""
    if column not in table:
        return np.full(len(table), np.nan)
    return table[column].to_numpy(dtype=np.float64, na_value=np.nan)


def nothing_to_draw(ax: Axes, table: pd.DataFrame, column: str = "value") -> bool:
    """Whether no row has a value; then the axes say so, and why, if the table tells."""
    if np.isfinite(numbers(table, column)).any():
        return False
    reasons = [reason for reason in values_of(table, "undefined") if reason]
    words = "no data" if table.empty else "no values" + (f": {', '.join(reasons)}" if reasons else "")
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color=GREY)
    ax.set(xticks=[], yticks=[])
    return True


def draw_levels(ax: Axes, *, upright: bool = False) -> None:
    """Fleiss' verbal levels as dotted lines with their names between; `upright` where agreement lies on the x axis."""
    low, high = ax.get_xlim() if upright else ax.get_ylim()
    for top in _LEVELS:
        middle = top - 0.1
        if upright:
            ax.axvline(top, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
        else:
            ax.axhline(top, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
        if not low <= middle <= high:
            continue
        place: dict[str, Any] = {
            "x": middle,
            "y": 1.0,
            "ha": "center",
            "va": "bottom",
            "transform": ax.get_xaxis_transform(),
        }
        if not upright:
            place = {"x": 1.0, "y": middle, "ha": "left", "va": "center", "transform": ax.get_yaxis_transform()}
        ax.text(s=_level_name(middle, upright), color=GREY, fontsize=SMALL, fontstyle="italic", **place)


def _level_name(value: float, upright: bool) -> str:
    """The level in words; on two lines where space is narrow."""
    name = str(agreement_level(value))
    return name.replace(" ", "\n") if upright else f" {name}"


def unit_limits(ax: Axes, *values: NDArray[np.float64], axis: str = "y") -> None:
    """Limits from 0 to 1, and below 0 as far as values go."""
    finite = np.concatenate([value[np.isfinite(value)] for value in values]) if values else np.zeros(0)
    low = min(float(finite.min()) - 0.04, 0.0) if len(finite) else 0.0
    ax.set(**{f"{axis}lim": (max(low, -1.04) if low < 0 else 0.0, 1.02)})


def draw_band(ax: Axes, x: Any, low: Any, high: Any, look: Look, *, faint: bool = False) -> None:
    """An interval along a curve; nothing where there is none. Fainter where many bands lie over each other."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    if np.isfinite(low).any() and np.isfinite(high).any():
        ax.fill_between(
            x, low, high, color=look.color, alpha=0.08 if faint else 0.3 if look.is_light else 0.16, linewidth=0
        )


def jitter(n: int, width: float) -> NDArray[np.float64]:
    """Offsets (n,) in ±`width` that keep points apart: evenly spread, neighbours far apart, always the same."""
    golden = (np.sqrt(5) - 1) / 2
    return width * (2 * ((np.arange(n) + 0.5) * golden % 1) - 1)


def box_with_points(ax: Axes, values: Any, place: float, look: Look, *, width: float = 0.5) -> None:
    """A box (quartiles; whiskers to 1.5 of their distance) and the points themselves; below five points no box."""
    shown = np.asarray(values, dtype=float)
    shown = np.sort(shown[np.isfinite(shown)])
    if len(shown) >= 5:
        edge = {"color": look.edge, "linewidth": 1.0}
        ax.boxplot(
            shown, positions=[place], widths=width, showfliers=False, patch_artist=True, manage_ticks=False,
            boxprops={"facecolor": (look.color, 0.35), "edgecolor": look.edge, "linewidth": 1.0},
            medianprops={"color": "black", "linewidth": 1.6}, whiskerprops=edge, capprops=edge,
        )  # fmt: skip
    size, alpha = (3.2, 0.75) if len(shown) <= 60 else (2.2, 0.5)
    ax.plot(
        place + jitter(len(shown), width * 0.35), shown, look.marker, color=look.color, markeredgecolor="#333333",
        markeredgewidth=0.3, markersize=size, alpha=alpha, linestyle="none", zorder=3,
    )  # fmt: skip


def points_with_intervals(ax: Axes, rows: pd.DataFrame, places: Any, look: Look, *, label: str = "") -> None:
    """Values on the x axis with their intervals, one per row of the figure; rows without interval have none."""
    value, low, high = (numbers(rows, column) for column in ("value", "low", "high"))
    known = np.isfinite(low) & np.isfinite(high)
    places = np.asarray(places, dtype=float)
    ax.hlines(places[known], low[known], high[known], color=look.edge, linewidth=1.4, alpha=0.8)
    ax.plot(
        value, places, look.marker, color=look.color, markeredgecolor=look.edge, markersize=5, linestyle="none",
        label=label or None, zorder=3,
    )  # fmt: skip


def legend_beside(ax: Axes, title: str = "") -> None:
    """The legend to the right of the panel, if there is anything to tell apart; two columns where it is long."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    columns = 1 + (len(labels) > 22)
    ax.legend(
        handles, labels, title=title or None, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0,
        alignment="left", ncols=columns, handlelength=2.6,
    )  # fmt: skip


def whole_numbers(ax: Axes) -> None:
    """Ticks of the x axis at whole numbers."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def shade_below(ax: Axes, cut_off: float) -> None:
    """The part of the x axis below a cut-off, in grey."""
    low = ax.get_xlim()[0]
    if cut_off > low:
        ax.axvspan(low, cut_off, color=PALE, zorder=-1, linewidth=0)
        ax.set_xlim(left=low)


def interval_words(table: pd.DataFrame) -> str:
    """What intervals of a table are, for the note of a figure; empty where it has none."""
    if not np.isfinite(numbers(table, "low")).any():
        return ""
    units = [_UNITS.get(str(unit), str(unit)) for unit in values_of(table, "resampled") if unit]
    return "intervals: 95 %, bootstrap" + (f" over {' and '.join(units)}" if units else "")


def percent_words(value: float, low: float, high: float) -> str:
    """A value between 0 and 1 with its interval: ``.93 (.91–.95)``.

    Examples
    --------
    >>> percent_words(0.93, 0.91, 0.95), percent_words(1.0, float("nan"), float("nan"))
    ('.93 (.91–.95)', '1.00')
    """
    if not np.isfinite(value):
        return "–"
    interval = f" ({short_number(low)}–{short_number(high)})" if np.isfinite(low) and np.isfinite(high) else ""
    return short_number(value) + interval


def short_number(value: float) -> str:
    """A fraction to two digits without its leading 0; nothing for a missing one.

    Examples
    --------
    >>> short_number(0.5), short_number(-0.042), short_number(1.0), short_number(float("nan"))
    ('.50', '-.04', '1.00', '')
    """
    if not np.isfinite(value):
        return ""
    words = f"{value:.2f}"
    return ("0.00" if words == "-0.00" else words).replace("0.", ".", 1) if abs(float(words)) < 1 else words


def joined(parts: Sequence[str], between: str = " · ") -> str:
    """The parts that are not empty, in one line."""
    return between.join(part for part in parts if part)
