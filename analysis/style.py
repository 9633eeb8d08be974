"""What `crowdtruth.plots` leaves to a page: its size, letters of panels, and the line that says which data it shows."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from crowdtruth.plots.style import GREY, SMALL, styled

PANEL_WIDTH, PANEL_HEIGHT = 5.4, 4.2  # inches, with room for a legend beside the panel
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@styled
def sheet(
    n_rows: int, n_columns: int, *, width: float = PANEL_WIDTH, height: float = PANEL_HEIGHT
) -> tuple[Figure, list[Axes]]:
    """An empty page of panels, and its axes row by row.

    Parameters
    ----------
    n_rows, n_columns : panels below and beside each other
    width, height : of a panel, in inches
    """
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.05)
    figure = Figure(figsize=(width * n_columns, height * n_rows + 0.5), dpi=120, layout=layout)
    return figure, list(np.ravel(figure.subplots(n_rows, n_columns)))


@styled
def entitle(figure: Figure, title: str, data: str) -> None:
    """Write the title over a page and the data below it: every picture says what it was drawn from."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    figure.supxlabel(f"Data: {data}", x=0.01, ha="left", fontsize=SMALL + 1, color=GREY)


@styled
def letters(axes: list[Axes], titles: list[str], *, above: float = 8.0) -> None:
    """Give each panel its title, and its letter where there are several; `above` the panel by so many points."""
    for letter, ax, title in zip(_LETTERS, axes, titles, strict=False):
        words = f"{letter}  {title}" if len(axes) > 1 else title
        ax.set_title(words, loc="left", fontsize=9, pad=above)


def without(axes: list[Axes], n_used: int) -> Iterator[Axes]:
    """Hide the panels beyond the first `n_used`, and give those."""
    for ax in axes[n_used:]:
        ax.set_visible(False)
    yield from axes[:n_used]
