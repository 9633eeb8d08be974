"""Figures of a field of view: the objects in it, and how many raters marked them. (Figure 5b)"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from numpy.typing import ArrayLike

from crowdtruth.plots.drawing import checked, legend_beside, nothing_to_draw, one_of_each, values_of, whole_numbers
from crowdtruth.plots.style import GREY, PALE, axes, class_looks, short_names, styled, wrapped
from crowdtruth.taxonomy import Taxonomy

_METHODS = ("#000000", "#9a9a9a", "#d0d0d0")
_HATCHES = ("", "////", "....")


@styled
def anchors_by_raters(table: pd.DataFrame, *, n_asked: int | None = None, ax: Axes | None = None) -> Axes:
    """Number of objects of an FOV marked by at least so many raters, for each way of clustering. (Figure 5b)

    Without the constraint that an object holds one mark of a rater, one object can have more marks than raters.

    Parameters
    ----------
    table : anchors of one FOV, from one clustering or several; method, n_raters
        For clustering without constraint, n_annotations tells more; name that column ``n_raters``.
    n_asked : number of raters who were asked; beyond it the panel is grey
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the anchors are of more than one FOV.

    Examples
    --------
    >>> anchors = pd.DataFrame({"method": "complete", "n_raters": [1, 3, 3]})
    >>> [int(patch.get_height()) for patch in anchors_by_raters(anchors).patches]
    [3, 2, 2]
    """
    checked(table, ["method", "n_raters"], "anchors")
    one_of_each(table, ["fov"], "anchors")
    ax = axes(ax, (5.0, 3.4))
    ax.set(xlabel="marked by at least … raters", ylabel="number of objects")
    if nothing_to_draw(ax, table, "n_raters"):
        return ax
    methods = values_of(table, "method")
    most = max(int(table["n_raters"].max()), n_asked or 1)
    width = 0.8 / len(methods)
    for place, method in enumerate(methods):
        found = table.loc[table["method"] == method, "n_raters"].to_numpy()
        heights = [int((found >= least).sum()) for least in range(1, most + 1)]
        ax.bar(np.arange(1, most + 1) + (place - (len(methods) - 1) / 2) * width, heights, width, label=str(method),
               color=_METHODS[place % 3], hatch=_HATCHES[place % 3], edgecolor="white", linewidth=0.3)  # fmt: skip
    ax.set_xlim(0.4, most + 0.6)
    whole_numbers(ax)
    if n_asked is not None and n_asked < most:
        ax.axvspan(n_asked + 0.5, most + 0.6, color=PALE, zorder=-1, linewidth=0)
    ax.legend(loc="upper right", title="clustering")
    return ax


@styled
def field_of_view(
    table: pd.DataFrame,
    *,
    image: ArrayLike | None = None,
    size: tuple[float, float] | None = None,
    taxonomy: Taxonomy | None = None,
    level: str = "raw",
    ax: Axes | None = None,
) -> Axes:
    """Boxes of one FOV over its image, or over a blank one, in the colours of their labels. (Figure 5b)

    Parameters
    ----------
    table : anchors, truth or marks of one FOV; xmin, ymin, xmax, ymax (pixels), label (empty: none)
    image : (height, width) or (height, width, 3), shown behind
    size : (width, height) of the FOV in pixels where there is no image; default: as far as the boxes reach
    taxonomy, level : for the colours of classes
    ax : default: those of a new figure

    Raises
    ------
    ValueError
        If a column is missing, or the boxes are of more than one FOV.

    Examples
    --------
    >>> boxes = pd.DataFrame({"xmin": [2.0], "ymin": [3.0], "xmax": [9.0], "ymax": [8.0], "label": ["tumor"]})
    >>> field_of_view(boxes, size=(20, 10)).get_xlabel()
    'x (pixels)'
    """
    corners = ["xmin", "ymin", "xmax", "ymax"]
    checked(table, [*corners, "label"], "boxes")
    one_of_each(table, ["fov"], "boxes")
    ax = axes(ax, (6.2, 4.6))
    width, height = _extent(table, image, size)
    if image is not None:
        shown: dict[str, Any] = {"cmap": "gray"} if np.ndim(image) == 2 else {}
        ax.imshow(np.asarray(image), extent=(0, width, height, 0), interpolation="nearest", **shown)
    looks = class_looks(sorted(values_of(table, "label")), taxonomy, level)
    names = short_names(looks, 24)
    for label, look in looks.items():
        rows = table.loc[table["label"] == label, corners].to_numpy(dtype=float)
        outlines = rows[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
        dashed = "-" if label else "--"
        ax.add_collection(
            PolyCollection(list(outlines), facecolor="none", edgecolor=look.color, linewidth=1.1, linestyle=dashed)
        )
        ax.plot(
            [],
            [],
            "s",
            markerfacecolor="none",
            markeredgecolor=look.color,
            label=f"{names[label] or 'no label'} ({len(rows)})",
        )
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xlabel="x (pixels)", ylabel="y (pixels)")
    ax.spines[["top", "right"]].set_visible(True)
    if table.empty and image is None:
        ax.text(width / 2, height / 2, "no boxes", ha="center", va="center", color=GREY)
    legend_beside(ax, wrapped(str((values_of(table, "fov") or [""])[0]), 24))
    return ax


def _extent(table: pd.DataFrame, image: ArrayLike | None, size: tuple[float, float] | None) -> tuple[float, float]:
    """Width and height of the FOV in pixels."""
    if image is not None:
        height, width = np.asarray(image).shape[:2]
        return float(width), float(height)
    if size is not None:
        return size
    if table.empty:
        return 1.0, 1.0
    return float(table["xmax"].max()), float(table["ymax"].max())
