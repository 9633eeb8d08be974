"""How a training went: its losses as a picture. (Figure S10, first panel)"""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from crowdtruth.plots.drawing import legend_beside
from crowdtruth.plots.saving import save_figure
from crowdtruth.plots.style import GREY, axes, class_looks, styled
from nucls_model.train.log import COMPONENTS, LOSSES

CURVE = "losses.png"
LINES = ("total", *COMPONENTS)
_POINTS = 100  # on a line; losses of single updates jump


@styled
def loss_curve(losses: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Losses by update, each point the mean of as many updates as make a hundred points.

    Parameters
    ----------
    losses : rows of ``losses.csv``: update, a column per component; phase, where its change is to be marked
    ax : default: those of a new figure

    Examples
    --------
    >>> losses = pd.DataFrame({"update": [1, 2, 3], "phase": "detector", "class": [0.9, 0.7, 0.5], "total": [2, 1, 1]})
    >>> [line.get_label() for line in loss_curve(losses).lines]
    ['total', 'class']
    """
    ax = axes(ax)
    each = max(1, len(losses) // _POINTS)
    shown = [name for name in LINES if name in losses and losses[name].notna().any()]
    means = losses.groupby((losses["update"] - 1) // each)[["update", *shown]].mean()
    for name, look in class_looks(shown).items():
        ax.plot(means["update"], means[name], linestyle=look.line, label=name, color=look.color, linewidth=1.0)
    if "phase" in losses:
        for first in losses.loc[losses["phase"] != losses["phase"].shift(), "update"].iloc[1:]:
            ax.axvline(first, color=GREY, linewidth=0.8, label="detector frozen")
    ax.set(xlabel="updates", ylabel=f"loss (mean of {each} updates)" if each > 1 else "loss", yscale="log")
    ax.yaxis.set_major_formatter("{x:g}")  # numbers as they are, not as powers
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend_beside(ax)
    return ax


def draw_losses(folder: Path) -> None:
    """Draw the losses of the training in a folder there, as ``losses.png``.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    figure = loss_curve(pd.read_csv(folder / LOSSES)).get_figure(root=True)
    assert figure is not None
    save_figure(figure, folder / CURVE)
