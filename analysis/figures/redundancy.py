"""How many raters per FOV: Figure 3e."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.page import Rows
from analysis.setting import Setting
from analysis.style import letters, sheet, without
from crowdtruth.plots.redundancy import redundancy_boxes

_FIRST = (("f1", ""), ("mcc", ""), ("auroc", "micro"), ("auroc", "macro"))
_MOST_CLASSES = 8
_COLUMNS = 4


def pick_redundancy(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Detection, all classes together, and each class, for every number of raters. (Figure 3e)"""
    table = tables["redundancy"]
    shown = table["metric"].isin(["f1", "mcc"]) & (table["class"] == "") | (table["metric"] == "auroc")
    return {"redundancy": table[shown & table["value"].notna()].reset_index(drop=True)}


def draw_redundancy(rows: Rows, setting: Setting) -> Figure:
    """Figure 3e: a panel for each metric."""
    table = rows["redundancy"]
    present = list(dict.fromkeys(zip(table["metric"], table["class"], strict=True)))
    panels = [one for one in _FIRST if one in present]
    panels += [one for one in present if one not in _FIRST][:_MOST_CLASSES]
    n_rows = -(-len(panels) // _COLUMNS)
    figure, axes = sheet(n_rows, _COLUMNS, width=4.0, height=3.2)
    used = list(without(axes, len(panels)))
    for ax, (metric, name) in zip(used, panels, strict=True):
        chosen = table[(table["metric"] == metric) & (table["class"] == name)]
        redundancy_boxes(chosen, taxonomy=setting.taxonomy, ax=ax)
    letters(used, ["" for _ in used])
    return figure
