"""What the figures of a result folder have in common: rows of one kind, panels side by side, names for files."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from crowdtruth.plots.drawing import joined, values_of
from crowdtruth.plots.style import RC
from crowdtruth.taxonomy import RAW, Taxonomy

Tables = Mapping[str, pd.DataFrame]
_BELOW = 0.55  # inches from a panel to the legend below its axis
_LINE = 0.17  # inches of a line of a legend


@dataclass(frozen=True)
class Drawn:
    """A figure with the words around it."""

    name: str
    figure: Any  # of matplotlib
    title: str
    note: str = ""


def file_name(kind: str, *parts: object) -> str:
    """A name fit for files: the kind, and the values it is of."""
    slugs = [
        re.sub(r"[^A-Za-z0-9.]+", "-", str(part)).strip("-.")[:40] for part in parts if str(part) not in ("", "all")
    ]
    return "-".join([kind, *filter(None, slugs)])


def each_of(table: pd.DataFrame, columns: list[str]) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Values and rows of each combination of those columns that the table has, in order of appearance."""
    columns = [column for column in columns if column in table]
    if not columns:
        yield {}, table
        return
    for key, rows in table.groupby(columns, sort=False, observed=True, dropna=False):
        yield dict(zip(columns, map(str, key), strict=True)), rows


def leading_grouping(table: pd.DataFrame, taxonomy: Taxonomy | None) -> pd.DataFrame:
    """The rows of one grouping: the first level of the taxonomy, else the first that is not raw."""
    found = [str(level) for level in values_of(table, "grouping")]
    levels = [level for level in (taxonomy.levels if taxonomy is not None else ()) if level in found]
    order = [*levels, *(level for level in found if level != RAW), *found]
    return table[table["grouping"] == order[0]] if order else table


def classification_scope(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of one scope: classification, if there."""
    scopes = values_of(table, "scope")
    if not scopes:
        return table
    return table[table["scope"] == ("classification" if "classification" in scopes else scopes[0])]


def words_of(of: Mapping[str, str], *, skip: tuple[str, ...] = ()) -> str:
    """What rows are of, in words: ``cohort NP · condition E``."""
    names = {"grouping": "classes", "who": "cohort"}
    shown = {key: value for key, value in of.items() if key not in skip and value not in ("", "all")}
    if shown.get("reference", "").startswith("cohort:"):
        shown["reference"] = f"labels of {shown['reference'].removeprefix('cohort:').replace('@', ', ')}"
    return joined([f"{names.get(key, key)} {value}" if key != value else key for key, value in shown.items()])


def panels_of(n: int, *, width: float = 4.3, height: float = 3.7, per_row: int = 3) -> tuple[Figure, list[Any]]:
    """A figure and its axes, n of them, in rows."""
    columns = min(n, per_row)
    n_rows = -(-n // columns)
    with rc_context(RC):
        figure = Figure(figsize=(width * columns, height * n_rows + 0.6), dpi=120, layout="constrained")
        grid = figure.subplots(n_rows, columns, squeeze=False).ravel()
    for ax in grid[n:]:
        ax.remove()
    return figure, list(grid[:n])


def title_panel(ax: Any, words: str) -> None:
    """Write a title over one panel."""
    with rc_context(RC):
        ax.set_title(words)


def without_raw(table: pd.DataFrame) -> pd.DataFrame:
    """Without the rows of raw classes, if there are others."""
    if "grouping" not in table or set(table["grouping"]) <= {RAW}:
        return table
    return table[table["grouping"] != RAW]


def by_condition(
    rows: pd.DataFrame, draw: Callable[[pd.DataFrame, Any], Any], *, width: float, height: float
) -> Figure:
    """A panel for each condition; `draw` takes its rows and the axes, None for a figure as large as it needs.

    Legends lie below the panels (`width`, `height` without them, inches), so that two or three fit beside each other.
    """
    conditions = list(each_of(rows, ["condition"]))
    if len(conditions) == 1:
        figure: Figure = draw(rows, None).figure
        return figure
    per_row = columns_for(len(conditions))
    figure, panels = panels_of(len(conditions), width=width, height=height, per_row=per_row)
    for (of, own), ax in zip(conditions, panels, strict=True):
        draw(own, ax)
        title_panel(ax, of["condition"])
    with rc_context(RC):
        more = legends_below(panels)
    figure.set_figheight(figure.get_figheight() + more * -(-len(conditions) // per_row))
    return figure


def columns_for(n: int) -> int:
    """How many of n panels stand beside each other: two or three, with as few left over as can be.

    Examples
    --------
    >>> [columns_for(n) for n in (1, 2, 3, 4, 5, 6)]
    [2, 2, 3, 2, 3, 3]
    """
    return 3 if n == 3 or n > 4 else 2


def legends_below(panels: Sequence[Any]) -> float:
    """Move legends below their panels; if all are the same, one is left, in a line. The height they need, in inches."""
    drawn = [ax.get_legend() for ax in panels]
    words = [[text.get_text() for text in legend.get_texts()] for legend in drawn if legend is not None]
    are_same = len(words) == len(panels) and all(one == words[0] for one in words)
    for place, (ax, legend) in enumerate(zip(panels, drawn, strict=True)):
        if legend is None:
            continue
        if are_same and place:
            legend.remove()
            continue
        ax.set_aspect("auto")  # panels of equal scales would be moved after their legends have got their place
        below = ScaledTranslation(0, -_BELOW, ax.figure.dpi_scale_trans)
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(
            handles, labels, title=legend.get_title().get_text() or None, loc="upper left", bbox_to_anchor=(0, 0),
            bbox_transform=ax.transAxes + below, borderaxespad=0, alignment="left", handlelength=2.6,
            ncols=max(len(labels), 1) if are_same else 1,
        )  # fmt: skip
    return 0.6 if are_same else 0.4 + _LINE * max(map(len, words), default=0)


def drop_repeated_legends(panels: Sequence[Any]) -> None:
    """Leave the legend of the last panel alone, where all say the same."""
    for ax in panels[:-1]:
        if ax.get_legend() is not None:
            ax.get_legend().remove()
