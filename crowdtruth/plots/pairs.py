"""Figures of agreement between two raters, and of a rater with himself. (Figures 3d, 4b, 4d, 5d)"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from crowdtruth.plots.agreement import SCOPES, joined_names
from crowdtruth.plots.drawing import (
    box_with_points,
    checked,
    draw_levels,
    legend_beside,
    nothing_to_draw,
    numbers,
    one_of_each,
    short_number,
    unit_limits,
    values_of,
)
from crowdtruth.plots.style import (
    GREY,
    SEQUENTIAL,
    SMALL,
    SQUARE,
    TINY,
    WIDE,
    Look,
    axes,
    cohort_looks,
    condition_looks,
    short_names,
    styled,
    wrapped,
)

_PAIR = ["condition", "grouping", "scope"]
_CELL = 0.33  # inches of a cell with its number
_SIDES = (
    (1, 0),
    (-1, 0),
    (0, 1),
    (0, -1),
    (0.8, 1),
    (-0.8, 1),
    (0.8, -1),
    (-0.8, -1),
    (0, 2),
    (0, -2),
    (1, 2),
    (-1, -2),
)
_LABELS_FOR = 25  # raters: above it, no numbers in the cells, which nobody could read
_LEAST_CELL = 0.2  # inches
_MIXED = Look("#8c8c8c", "D")  # of pairs from two cohorts


@styled
def kappa_heat_map(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Cohen's kappa of every two raters below the diagonal, the number of objects they share above it.

    Raters stand by cohort, in a cohort by their median kappa, the highest first. Of more than 25 raters the numbers
    themselves are left out, and what is shared is a shade of grey.

    Parameters
    ----------
    table : rows of ``pairwise.csv`` of one condition, grouping and scope
        first, second, first_cohort, second_cohort, n_anchors, kappa.
    ax : default: those of a new figure, as large as the raters need

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one condition, grouping or scope.

    Examples
    --------
    >>> pairs = pd.DataFrame({"first": ["a"], "second": ["b"], "first_cohort": ["P"], "second_cohort": ["P"],
    ...                       "n_anchors": [40], "kappa": [0.62]})
    >>> sorted(text.get_text() for text in kappa_heat_map(pairs).texts)
    ['.62', '40']
    """
    checked(table, ["first", "second", "first_cohort", "second_cohort", "n_anchors", "kappa"], "pairwise")
    one_of_each(table, _PAIR, "pairwise")
    raters = _ordered_raters(table)
    has_numbers = len(raters) <= _LABELS_FOR
    side = max(3.2, min((_CELL if has_numbers else _LEAST_CELL) * len(raters), 14) + 1.6)
    ax = axes(ax, (side + 0.9, side))
    if nothing_to_draw(ax, table, "kappa"):
        return ax
    place = {rater: n for n, rater in enumerate(raters["rater"])}
    kappa, shared = np.full((2, len(place), len(place)), np.nan)
    first, second = table["first"].map(place).to_numpy(), table["second"].map(place).to_numpy()
    lower, upper = np.maximum(first, second), np.minimum(first, second)
    kappa[lower, upper], shared[upper, lower] = numbers(table, "kappa"), numbers(table, "n_anchors")
    mesh = ax.pcolormesh(
        np.ma.masked_invalid(kappa), cmap=SEQUENTIAL, vmin=0, vmax=1, edgecolors="white", linewidth=0.4
    )
    bar = ax.figure.colorbar(
        mesh, ax=ax, shrink=0.6, aspect=25, pad=0.02, extend="min" if np.nanmin(kappa) < 0 else "neither"
    )
    bar.set_label("Cohen's kappa (below the diagonal)", fontsize=SMALL + 1)
    bar.ax.tick_params(labelsize=SMALL)
    if has_numbers:
        write_cells(ax, kappa, mesh, "{:.2f}")
        write_cells(ax, shared, None, "{:.0f}")
    else:
        ax.pcolormesh(np.ma.masked_invalid(shared), cmap="Greys", vmin=0, edgecolors="white", linewidth=0.4)
    _name_raters(ax, raters)
    span = "" if has_numbers else f", white for 0, black for {np.nanmax(shared):,.0f}"
    ax.set_xlabel(f"above the diagonal: objects both were asked about{span}", color=GREY, fontsize=SMALL + 1)
    return ax


def _ordered_raters(table: pd.DataFrame) -> pd.DataFrame:
    """rater and cohort, ordered by cohort (as they come), then by falling median kappa."""
    columns = ["rater", "cohort", "kappa"]
    ends = [table[[end, f"{end}_cohort", "kappa"]].set_axis(columns, axis=1) for end in ("first", "second")]
    both = pd.concat(ends, ignore_index=True)
    known = [name for name in ("SP", "JP", "P", "NP") if name in set(both["cohort"])]  # the paper's order
    cohorts = known + [name for name in values_of(both, "cohort") if name not in known]
    middle = both.groupby(["rater", "cohort"], sort=True)["kappa"].median().reset_index()
    order = pd.DataFrame({"cohort": middle["cohort"].map(cohorts.index), "kappa": -middle["kappa"]})
    return middle.loc[order.sort_values(["cohort", "kappa"], kind="stable").index].reset_index(drop=True)


def write_cells(
    ax: Axes, shades: NDArray[np.float64], mesh: Any, form: str, *, numbers_shown: NDArray[np.float64] | None = None
) -> None:
    """The numbers of a matrix (n_rows, n_columns) in its cells, light on dark; missing ones nothing.

    `mesh` gives the colours under the numbers, None where there are none; `numbers_shown` are the numbers where they
    are not those that give the shade.
    """
    size = min(SMALL, max(TINY, 260 / max(shades.shape)))
    shown = shades if numbers_shown is None else numbers_shown
    for row, column in zip(*np.nonzero(np.isfinite(shades)), strict=True):
        color = GREY if mesh is None else ink_on(mesh, shades[row, column])
        words = form.format(shown[row, column])
        if ".2f" in form:
            words = short_number(shown[row, column])
        ax.text(column + 0.5, row + 0.5, words, ha="center", va="center", fontsize=size, color=color, in_layout=False)


def ink_on(mesh: Any, shade: float) -> str:
    """Black or white, whichever is legible on a shade of a mesh."""
    red, green, blue, _ = mesh.cmap(float(mesh.norm(shade)))
    return "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"


def _name_raters(ax: Axes, raters: pd.DataFrame) -> None:
    """Names of raters along both sides, in their cohort's colour, and lines between cohorts."""
    looks = cohort_looks(values_of(raters, "cohort"))
    names = short_names(raters["rater"], 16)
    ticks, labels = np.arange(len(raters)) + 0.5, [names[rater] for rater in raters["rater"]]
    ax.set_xticks(ticks, labels, rotation=90, fontsize=SMALL)
    ax.set_yticks(ticks, labels, fontsize=SMALL)
    ax.set(xlim=(0, len(raters)), ylim=(len(raters), 0), aspect="equal")
    ax.tick_params(length=0)
    cohorts = raters["cohort"].to_numpy()
    for end in (np.flatnonzero(cohorts[1:] != cohorts[:-1]) + 1).tolist():
        ax.axhline(end, color="black", linewidth=0.7)
        ax.axvline(end, color="black", linewidth=0.7)
    for cohort, look in looks.items():
        ax.plot([], [], "s", color=look.color, markeredgecolor=look.edge, label=wrapped(cohort))
        for label, of in zip([*ax.get_xticklabels(), *ax.get_yticklabels()], [*cohorts, *cohorts], strict=True):
            if of == cohort:
                label.set_color("#0a6f73" if look.is_light else look.color)
    if len(looks) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(looks), title="cohort")


@styled
def kappa_boxes(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Kappas of pairs by the cohorts of the two: boxes, and a point for each pair. (Figure 5d)

    Parameters
    ----------
    table : rows of ``pairwise.csv`` of one scope; first_cohort, second_cohort, kappa
        Different conditions and groupings stand beside each other.
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one scope.

    Examples
    --------
    >>> pairs = pd.DataFrame({"first_cohort": ["NP", "P"], "second_cohort": ["P", "NP"], "kappa": [0.5, 0.6]})
    >>> [label.get_text() for label in kappa_boxes(pairs).get_xticklabels()]
    ['NP–P']
    """
    checked(table, ["first_cohort", "second_cohort", "kappa"], "pairwise")
    one_of_each(table, ["scope"], "pairwise")
    cohorts = list(dict.fromkeys([*values_of(table, "first_cohort"), *values_of(table, "second_cohort")]))
    short = short_names(cohorts, 14)
    both = zip(table["first_cohort"], table["second_cohort"], strict=True)
    ordered = ["–".join(short[name] for name in sorted(pair, key=cohorts.index)) for pair in both]
    of_pair = {f"{short[name]}–{short[name]}": look for name, look in cohort_looks(cohorts).items()}
    beside = joined_names(table, [name for name in ("condition", "grouping") if name in table])
    of_name = condition_looks(beside.unique())

    def look_of(pair: str, name: str) -> Look:
        return of_name[name] if len(of_name) > 1 else of_pair.get(pair, _MIXED)

    ax = _boxes(table.assign(group=ordered, beside=beside), "kappa", look_of, ax)
    scope = str(values_of(table, "scope")[0]) if values_of(table, "scope") else ""
    ax.set(xlabel="cohorts of the two raters", ylabel=_with_scope("Cohen's kappa", scope))
    return ax


@styled
def self_agreement_boxes(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Kappa of each rater with himself under two conditions, by cohort. (Figure 4d)

    Parameters
    ----------
    table : rows of ``self_agreement.csv`` of one grouping and scope
        cohort, first_condition, second_condition, kappa.
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one grouping or scope.

    Examples
    --------
    >>> rows = pd.DataFrame({"cohort": ["P"], "first_condition": ["U"], "second_condition": ["E"], "kappa": [0.8]})
    >>> self_agreement_boxes(rows).get_ylabel()
    'kappa with oneself'
    """
    ax = _by_conditions(table, "kappa", ax)
    scope = str(values_of(table, "scope")[0]) if values_of(table, "scope") else ""
    ax.set(xlabel="conditions compared", ylabel=_with_scope("kappa with oneself", scope))
    return ax


@styled
def proportion_clicked_boxes(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of a rater's marks that are accepted suggestions, by the condition that shows them. (Figure 4b)

    Parameters
    ----------
    table : rows of ``self_agreement.csv`` of one grouping and scope
        cohort, first_condition, second_condition, proportion_clicked.
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one grouping or scope.

    Examples
    --------
    >>> rows = pd.DataFrame({"cohort": ["P"], "first_condition": ["U"], "second_condition": ["E"],
    ...                      "proportion_clicked": [0.4]})
    >>> proportion_clicked_boxes(rows).get_ylabel()
    'share of marks that are clicks'
    """
    ax = _by_conditions(table, "proportion_clicked", ax)
    ax.set(xlabel="conditions compared (clicks of the second)", ylabel="share of marks that are clicks")
    if ax.has_data():
        ax.set_ylim(-0.02, 1.02)
    return ax


def _by_conditions(table: pd.DataFrame, column: str, ax: Axes | None) -> Axes:
    """Boxes of a column by pair of conditions, cohorts beside each other."""
    checked(table, ["cohort", "first_condition", "second_condition", column], "self_agreement")
    one_of_each(table, ["grouping", "scope"], "self_agreement")
    pairs = table["first_condition"].astype("str") + " – " + table["second_condition"].astype("str")
    cohorts = table["cohort"].astype("str")
    looks = cohort_looks(cohorts.unique())
    return _boxes(table.assign(group=pairs, beside=cohorts), column, lambda _, cohort: looks[cohort], ax)


def _boxes(table: pd.DataFrame, column: str, look_of: Callable[[str, str], Look], ax: Axes | None) -> Axes:
    """Boxes with points: each `group` along x, in it each `beside`; `look_of` tells the look of the two."""
    groups, names = values_of(table, "group"), values_of(table, "beside")
    ax = axes(ax, (min(max(3.2 + 0.55 * len(groups) * len(names), SQUARE[0]), 2 * WIDE[0]), SQUARE[1]))
    if nothing_to_draw(ax, table, column):
        return ax
    step = 0.8 / len(names)
    for place, group in enumerate(groups):
        for number, name in enumerate(names):
            values = numbers(table[(table["group"] == group) & (table["beside"] == name)], column)
            middle = place + (number - (len(names) - 1) / 2) * step
            box_with_points(ax, values, middle, look_of(group, name), width=step * 0.8)
    ax.set_xticks(range(len(groups)), [wrapped(str(group), 16) for group in groups])
    ax.set_xlim(-0.6, len(groups) - 0.4)
    unit_limits(ax, numbers(table, column))
    if column == "kappa":
        draw_levels(ax)
    if len(names) > 1:
        for name in names:
            look = look_of("", name)
            ax.plot([], [], look.marker, color=look.color, markeredgecolor="#333333", label=wrapped(name, 22))
        legend_above(ax, len(names))
    return ax


def legend_above(ax: Axes, n_entries: int) -> None:
    """The legend over the panel, its entries side by side."""
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(n_entries, 4), borderaxespad=0.2)


def _with_scope(words: str, scope: str) -> str:
    return f"{words}\n({SCOPES.get(scope, scope)})" if scope else words


@styled
def rater_map(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Raters as points, near each other where they agree. (Figure 3d)

    Parameters
    ----------
    table : rows of ``rater_map.csv`` of one condition, grouping and scope; rater, cohort, x, y
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the rows are of more than one condition, grouping or scope.

    Examples
    --------
    >>> spots = pd.DataFrame({"rater": ["a", "b"], "cohort": "P", "x": [0.1, -0.1], "y": [0.0, 0.0]})
    >>> [text.get_text() for text in rater_map(spots).texts]
    ['a', 'b']
    """
    checked(table, ["rater", "cohort", "x", "y"], "rater_map")
    one_of_each(table, _PAIR, "rater_map")
    ax = axes(ax, (6.0, 5.0))
    ax.set(xlabel="1 − kappa, first direction", ylabel="1 − kappa, second direction")
    if nothing_to_draw(ax, table, "x"):
        return ax
    for cohort, look in cohort_looks(values_of(table, "cohort")).items():
        rows = table[table["cohort"] == cohort]
        ax.plot(numbers(rows, "x"), numbers(rows, "y"), look.marker, color=look.color, markeredgecolor="black",
                markeredgewidth=0.5, markersize=7, alpha=0.8, linestyle="none", label=wrapped(cohort))  # fmt: skip
    _limits_around(ax, table)
    names = short_names(table["rater"], 12)
    label_points(ax, numbers(table, "x"), numbers(table, "y"), [names[rater] for rater in table["rater"]])
    legend_beside(ax, "cohort")
    return ax


def _limits_around(ax: Axes, table: pd.DataFrame) -> None:
    """Equal scales and limits with room for names."""
    x, y = numbers(table, "x"), numbers(table, "y")
    middle = (np.nanmin(x) + np.nanmax(x)) / 2, (np.nanmin(y) + np.nanmax(y)) / 2
    half = max(np.nanmax(x) - np.nanmin(x), np.nanmax(y) - np.nanmin(y), 0.1) * 0.58
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), aspect="equal")


def label_points(ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64], names: Sequence[str]) -> None:
    """A name at each point (n,): on the side that is farthest from other points and names, inside of the panel."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    across, up = (x - left) / (right - left), (y - bottom) / (top - bottom)  # 0 to 1 in the panel
    known = np.isfinite(across) & np.isfinite(up)
    taken = [(px, py, 0.012) for px, py in zip(across[known], up[known], strict=True)]  # centre and half width
    for place in np.flatnonzero(known).tolist():
        half = 0.0085 * len(names[place])
        spots = [(across[place] + dx * (half + 0.02), up[place] + dy * 0.032) for dx, dy in _SIDES]
        spot = max(spots, key=lambda spot: _room(spot, half, taken))
        taken.append((*spot, half))
        where = {"x": spot[0], "y": spot[1], "transform": ax.transAxes, "in_layout": False}
        ax.text(
            s=names[place],
            fontsize=SMALL if len(names) <= 25 else TINY,
            ha="center",
            va="center",
            color="#222222",
            **where,
        )


def _room(spot: tuple[float, float], half: float, taken: Sequence[tuple[float, float, float]]) -> float:
    """How far a name at a spot is from what is there already: below 0 it lies over it, or leaves the panel."""
    x, y = spot
    inside = min(x - half, 1 - x - half, y - 0.015, 1 - y - 0.015)
    apart = [max(abs(x - px) - half - other, abs(y - py) - 0.026) for px, py, other in taken]
    return min(inside, *apart, 0.004)
