"""FOVs with and without the constraint of one mark per rater: Figure 5b."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.compute.fields import METHODS
from analysis.page import Rows, rows_where
from analysis.setting import Setting
from analysis.style import letters, sheet
from crowdtruth.plots.fields import anchors_by_raters, field_of_view
from crowdtruth.plots.style import short_names


def why_not_clustered(setting: Setting) -> str:
    """There must be marks to cluster."""
    return "the objects are located already: there are no marks to cluster" if setting.is_located else ""


def pick_fields(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Anchors of the FOVs that the constraint changes most. (Figure 5b)"""
    return {"fov_anchors": tables["fov_anchors"]}


def draw_fields(rows: Rows, setting: Setting) -> Figure:
    """Figure 5b: a row for each FOV: bars, anchors with the constraint, anchors without."""
    anchors = rows["fov_anchors"]
    fovs = list(dict.fromkeys(anchors["fov"]))
    figure, axes = sheet(len(fovs), 3, width=5.2, height=4.0)
    titles: list[str] = []
    names = short_names(fovs, 26)
    for place, fov in enumerate(fovs):
        own = rows_where(anchors, fov=fov)
        left, *others = axes[3 * place : 3 * place + 3]
        bars = own.drop(columns="label").rename(columns={"n_marks": "n_raters"})
        anchors_by_raters(bars, n_asked=int(own["n_asked"].max()), ax=left)
        size = float(own["xmax"].max()), float(own["ymax"].max())
        for ax, method in zip(others, METHODS, strict=True):
            boxes = rows_where(own, method=method)
            field_of_view(
                boxes.assign(label=boxes["label"].fillna("")),
                size=size,
                taxonomy=setting.taxonomy,
                level=setting.level,
                ax=ax,
            )
        titles += [f"{names[fov]}: marks of cohort {setting.experts}", *METHODS]
    letters(axes, titles)
    return figure
