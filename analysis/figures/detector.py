"""What a detector is tested on, how it learned, and what it takes for what: Figures S9, S10, S11."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

from analysis.evaluations import TRIAL, TUNING_FOLD, Evaluations, is_configuration, is_scale
from analysis.page import Rows, rows_where
from analysis.style import letters, sheet, without
from crowdtruth.plots.confusion import confusion_of_labels
from crowdtruth.plots.style import Look, class_looks, short_names, styled
from crowdtruth.taxonomy import load_taxonomy
from nucls_model.train.curve import LINES

_TAXONOMY = load_taxonomy("nucls")
_MEAN_OF = 25  # updates: the running mean of the published figure
_BOXES = ("ap_50", "ap_75", "map_50_95")
_NAMES = ("accuracy", "mcc", "auroc_micro", "auroc_macro")
_SIZES = np.arange(0, 101, 4)  # pixels


def pick_objects(evaluations: Evaluations) -> dict[str, pd.DataFrame]:
    """Nuclei and classes of each FOV, nuclei of each class, and their sizes, each FOV once. (Figure S9)"""
    corners = ["xmin", "ymin", "xmax", "ymax"]
    there = evaluations.nuclei[evaluations.nuclei["true"] != ""]
    there = there.drop_duplicates(["tested_on", "fov", "true", *corners])
    clear = there[there["kind"] != "ambiguous"]
    fovs = (
        there.assign(is_clear=there["kind"] != "ambiguous", name=there["true"].where(there["kind"] != "ambiguous"))
        .groupby(["tested_on", "fov"], sort=True)
        .agg(
            n_nuclei=("is_clear", "sum"),
            n_ambiguous=("is_clear", lambda one: int((~one).sum())),
            n_classes=("name", "nunique"),
        )
        .reset_index()
    )
    classes = there.groupby(["tested_on", "true"]).size().rename("n").reset_index().rename(columns={"true": "class"})
    side = np.sqrt((clear["xmax"] - clear["xmin"]) * (clear["ymax"] - clear["ymin"]))
    step = np.clip(np.digitize(side, _SIZES) - 1, 0, len(_SIZES) - 1)
    sizes = clear.assign(size=_SIZES[step]).groupby(["tested_on", "size"]).size().rename("n").reset_index()
    return {"fovs": fovs, "classes": classes, "sizes": sizes}


def why_no_objects(evaluations: Evaluations) -> str:
    """Figure S9 needs the nuclei behind the scores."""
    return "" if len(evaluations.nuclei) else f"no nuclei.csv lies beside the metrics.csv of {evaluations.name}"


@styled
def draw_objects(rows: Rows) -> Figure:
    """Figure S9: nuclei per FOV, classes per FOV, nuclei of each class, their sizes."""
    figure, axes = sheet(2, 2)
    fovs, looks = rows["fovs"], class_looks(rows["fovs"]["tested_on"])
    steps = np.unique(np.linspace(0, fovs["n_nuclei"].max() + 1, 21).round())
    for name, look in looks.items():
        own = rows_where(fovs, tested_on=name)
        _shares(axes[0], own["n_nuclei"], steps, look, name)
        _shares(axes[1], own["n_classes"], np.arange(fovs["n_classes"].max() + 2) - 0.5, look, name)
        sizes = rows_where(rows["sizes"], tested_on=name)
        axes[3].plot(
            sizes["size"] + _SIZES[1] / 2, sizes["n"] / sizes["n"].sum(), linestyle=look.line, color=look.color
        )
    classes = rows["classes"].groupby("class")["n"].sum().sort_values()
    colors = class_looks(classes.index, _TAXONOMY, _level_of(classes.index))
    bars = axes[2].barh(
        list(short_names(classes.index).values()), classes, color=[colors[name].color for name in classes.index]
    )
    axes[2].bar_label(bars, fmt="{:,.0f}", padding=3)
    axes[0].set(xlabel="nuclei in an FOV", ylabel="share of FOVs")
    axes[1].set(xlabel="classes in an FOV", ylabel="share of FOVs")
    axes[2].set(xlabel="nuclei")
    axes[2].margins(x=0.12)
    axes[3].set(xlabel="side of a nucleus (√ of the box's area, pixels)", ylabel="share of nuclei", ylim=(0, None))
    if any(looks):
        axes[0].legend(title="tested on")
    letters(axes, ["Nuclei per FOV", "Classes per FOV", "Nuclei of each class", "Sizes"])
    return figure


def pick_progress(evaluations: Evaluations) -> dict[str, pd.DataFrame]:
    """Means of the losses over 25 updates, and scores of the final model as far as it was trained. (Figure S10)"""
    losses = evaluations.losses[is_configuration(evaluations.losses) & is_scale(evaluations.losses)]
    rows = {"scores": _scores_of(evaluations)}
    if losses.empty:
        return rows
    trial = ["fold", "trained_on", "configuration"]
    named = [name for name in LINES if name in losses and losses[name].notna().any()]
    once = losses.drop_duplicates([*TRIAL, "update"]).drop_duplicates([*trial, "update"])
    means = (
        once.assign(update=np.ceil(once["update"] / _MEAN_OF) * _MEAN_OF)
        .groupby([*trial, "phase", "update"], sort=True)[named]
        .mean()
        .reset_index()
        .melt([*trial, "phase", "update"], var_name="component", value_name="value")
    )
    return {"losses": means[means["value"].notna()].reset_index(drop=True), **rows}


def why_no_progress(evaluations: Evaluations) -> str:
    """Figure S10 needs the log of a training, or scores of a model on its way."""
    if len(evaluations.losses) or evaluations.metrics["updates"].nunique() > 1:
        return ""
    return (
        f"{evaluations.name}: no losses.csv of the training in the folder of an evaluation or the one above, "
        "and no evaluations after different numbers of updates"
    )


@styled
def draw_progress(rows: Rows) -> Figure:
    """Figure S10: losses, average precision, names at the finest level and above."""
    figure, axes = sheet(2, 2)
    losses = rows.get("losses", pd.DataFrame(columns=["component", "update", "value"]))
    looks = class_looks([name for name in LINES if name in set(losses["component"])])
    for name, look in looks.items():
        over = rows_where(losses, component=name).groupby("update")["value"].mean()
        axes[0].plot(over.index, over, linestyle=look.line, label=name, color=look.color, linewidth=1.0)
    axes[0].set(xlabel="updates", ylabel=f"loss (mean of {_MEAN_OF} updates and of folds)", yscale="log")
    axes[0].yaxis.set_major_formatter("{x:g}")  # numbers as they are, not as powers
    axes[0].yaxis.set_minor_formatter(NullFormatter())
    scores = rows["scores"]
    levels = [level for level in dict.fromkeys(scores["level"]) if level != "objectness"][:2]
    for metric, look in class_looks(_BOXES).items():
        for level, line in zip(("objectness", *levels[:1]), ("-", "--"), strict=False):
            words = metric if level == "objectness" else f"{metric}, mean of {level} classes"
            _over_updates(axes[1], rows_where(scores, metric=metric, level=level), replace(look, line=line), words)
    for ax, level in zip(axes[2:], levels, strict=False):
        for metric, look in class_looks(_NAMES).items():
            _over_updates(ax, rows_where(scores, metric=metric, level=level), look, metric)
    for ax in axes[1:]:
        ax.set(xlabel="updates", ylabel="score on the test set (mean of folds)", ylim=(0, 1.02))
    for ax in without(axes, 2 + len(levels)):
        ax.legend()
        ax.xaxis.set_major_locator(MaxNLocator(5))
    letters(axes, ["Losses in training", "Boxes", *(f"Names: {level} classes" for level in levels)])
    return figure


def pick_confusion(evaluations: Evaluations) -> dict[str, pd.DataFrame]:
    """Confusion of matched nuclei, summed over the folds but the one that settings were chosen on. (Figure S11)"""
    rows = evaluations.final
    rows = rows[rows["metric"] == "confusion"]
    tested = rows if set(rows["fold"]) <= {TUNING_FOLD} else rows[rows["fold"] != TUNING_FOLD]
    keys = ["trained_on", "tested_on", "level", "class", "assigned"]
    sums = tested.groupby(keys, sort=False).agg(
        count=("value", "sum"), folds=("fold", lambda fold: ", ".join(sorted(set(fold))))
    )
    table = sums.reset_index().rename(columns={"class": "true"})
    return {"confusion": table.astype({"count": "int64"})}


def why_no_confusion(evaluations: Evaluations) -> str:
    """Figure S11 needs the final model."""
    return "" if len(evaluations.final) else f"none of {evaluations.name} is of the final model (configuration 3)"


def draw_confusion(rows: Rows) -> Figure:
    """Figure S11: a row of panels for each pair of training and test labels, a column for each level."""
    table = rows["confusion"]
    whom = table[["trained_on", "tested_on"]].drop_duplicates().values.tolist()
    levels = list(dict.fromkeys(table["level"]))
    figure, axes = sheet(len(whom), len(levels), width=6.2, height=4.8)
    places = [(trained, tested, level) for trained, tested in whom for level in levels]
    titles = []
    for ax, (trained, tested, level) in zip(axes, places, strict=True):
        one = rows_where(table, trained_on=trained, tested_on=tested, level=level).assign(grouping=level)
        confusion_of_labels(one, taxonomy=_TAXONOMY, ax=ax)
        ax.set(ylabel="class given by the detector (nuclei)")
        trial = " → ".join(name for name in (trained, tested) if name)
        titles.append(f"{level} classes{f', {trial}' if trial else ''}")
    letters(axes, titles)
    return figure


def _level_of(names: pd.Index) -> str:
    """The level of the taxonomy that most of the names are of."""
    levels = ("raw", *_TAXONOMY.levels)
    return max(levels, key=lambda level: len(set(names) & set(_TAXONOMY.grouping(level).classes)))


def _shares(ax: Axes, values: pd.Series, edges: NDArray[np.float64], look: Look, name: str) -> None:
    """Share of FOVs with so many things, as steps between `edges`."""
    counts, _ = np.histogram(values, edges)
    ax.stairs(counts / max(len(values), 1), edges, color=look.color, linestyle=look.line, linewidth=1.6, label=name)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _scores_of(evaluations: Evaluations) -> pd.DataFrame:
    """Scores of the final configuration after each number of updates it was tested at, of each fold."""
    rows = evaluations.metrics
    rows = rows[
        is_configuration(rows) & is_scale(rows) & (rows["class"] == "") & rows["metric"].isin([*_BOXES, *_NAMES])
    ]
    columns = ["fold", "trained_on", "tested_on", "updates", "metric", "level", "value", "low", "high", "n"]
    return rows[columns].sort_values(["metric", "level", "fold", "updates"], kind="stable", ignore_index=True)


def _over_updates(ax: Axes, scores: pd.DataFrame, look: Look, name: str) -> None:
    """Mean of the folds after each number of updates; a single one is a point."""
    over = scores.groupby("updates")["value"].mean().dropna()
    if len(over):
        ax.plot(over.index, over, linestyle=look.line, color=look.color, marker=look.marker, label=name)
