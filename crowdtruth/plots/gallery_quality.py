"""Figures of quality in a result folder: which rows, in which panels. (Figures 3, 4, S3, S5, S7, S8)"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.plots import confusion, curves, ease, outlines, raters, redundancy
from crowdtruth.plots.drawing import interval_words, joined, numbers, values_of
from crowdtruth.plots.panels import (
    Drawn,
    Tables,
    by_condition,
    each_of,
    file_name,
    leading_grouping,
    panels_of,
    title_panel,
    without_raw,
    words_of,
)
from crowdtruth.taxonomy import Taxonomy


def draw_raters(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Forests of scores."""
    table = tables["raters"]
    height = 1.0 + 0.2 * table["rater"].nunique()
    for metric in [name for name in ("f1", "class_accuracy", "mcc") if np.isfinite(numbers(table, name)).any()]:
        for of, rows in each_of(table, ["reference"]):

            def draw(own: pd.DataFrame, ax: Any, metric: str = metric) -> Any:
                return raters.rater_forest(own, metric=metric, ax=ax)

            figure = by_condition(rows, draw, width=4.3, height=height)
            note = joined([words_of(of), interval_words(rows.rename(columns={f"{metric}_low": "low"}))])
            yield Drawn(
                file_name("raters", metric, *_if_several(table, of)),
                figure,
                f"How good is each rater? {raters.SCORES[metric]}",
                note,
            )


def draw_curves(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Precision–recall and ROC curves. (Figures 3a, 3b, 4e, S3)"""
    table, accuracy = tables["curves"], tables.get("accuracy")
    bands = "bands and brackets: 95 %, bootstrap"
    detection = leading_grouping(table[table["curve"] == "precision_recall"], taxonomy)
    for of, rows in each_of(detection, ["reference", "grouping"]):

        def draw_detection(own: pd.DataFrame, ax: Any) -> Any:
            return curves.precision_recall(own, raters=_raters_of(tables, own), accuracy=accuracy, ax=ax)

        figure = by_condition(rows, draw_detection, width=3.9, height=3.7)
        title = "Are objects found? Raters, and the labels inferred from them"
        note = joined([words_of(of, skip=("grouping",)), bands, "dashed: share of objects"])
        yield Drawn(file_name("precision_recall", *_if_several(detection, of)), figure, title, note)
    named = without_raw(table[table["curve"] == "roc"])
    for of, rows in each_of(named, ["who", "reference", "grouping"]):

        def draw_classes(own: pd.DataFrame, ax: Any) -> Any:
            return curves.roc(own, accuracy=accuracy, taxonomy=taxonomy, ax=ax)

        figure = by_condition(rows, draw_classes, width=3.9, height=3.7)
        title = "Are objects named rightly? Labels inferred from the raters of a cohort"
        name = file_name("roc", of["who"], of["grouping"], *_if_several(named, of))
        yield Drawn(name, figure, title, joined([words_of(of), bands]))
        pooled = rows[rows["class"].isin(["micro", "macro"])]
        if pooled["condition"].nunique() > 1:
            yield _roc_by_condition(of, pooled, accuracy, bands)


def _raters_of(tables: Tables, rows: pd.DataFrame) -> pd.DataFrame | None:
    """Scores of the raters under the condition and against the reference of these rows."""
    if "raters" not in tables or rows.empty:
        return None
    table, row = tables["raters"], rows.iloc[0]
    return table[(table["condition"] == row["condition"]) & (table["reference"] == row["reference"])]


def _roc_by_condition(of: dict[str, str], rows: pd.DataFrame, accuracy: pd.DataFrame | None, bands: str) -> Drawn:
    """Micro and macro curves of all conditions over each other. (Figure 4e)"""
    kinds = values_of(rows, "class")
    figure, panels = panels_of(len(kinds), width=5.6, per_row=2)
    for kind, ax in zip(kinds, panels, strict=True):
        curves.roc(rows[rows["class"] == kind], accuracy=accuracy, ax=ax)
        title_panel(ax, kind)
    title = "Do suggestions change how rightly objects are named?"
    return Drawn(file_name("roc_conditions", of["who"], of["grouping"]), figure, title, joined([words_of(of), bands]))


def draw_confusion(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """What they called X: the raters of a cohort, or the labels inferred for a union. (Figures 3c, S7a)"""
    keys = ["cohort", "condition", "reference", "grouping"]
    for of, rows in each_of(leading_grouping(tables["rater_confusion"], taxonomy), keys):
        of_raters = rows[rows["who"] != rows["cohort"]]
        ax = confusion.confusion_of_labels(of_raters if len(of_raters) else rows, taxonomy=taxonomy)
        title = "What is the true class of what they called X?"
        note = joined([_of_one(tables, of), "" if len(of_raters) else "inferred labels"])
        yield Drawn(file_name("confusion", of["cohort"], of["condition"]), ax.figure, title, note)


def draw_anchor_confusion(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """What the typical X is called. (Figures 3c, S7b)"""
    keys = ["cohort", "condition", "reference", "grouping"]
    for of, rows in each_of(leading_grouping(tables["anchor_confusion"], taxonomy), keys):
        ax = confusion.raters_per_object(rows, taxonomy=taxonomy)
        title = "How many raters find the typical X, and what do they call it?"
        name = file_name("anchor_confusion", of["cohort"], of["condition"])
        yield Drawn(name, ax.figure, title, joined([_of_one(tables, of), interval_words(rows)]))


def draw_ease(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Ease of detection. (Figure S8)"""
    keys = ["cohort", "condition", "reference", "grouping"]
    for of, rows in each_of(leading_grouping(tables["ease"], taxonomy), keys):
        figure, panels = panels_of(2, width=5.6, per_row=2)
        ease.ease_cumulative(rows, taxonomy=taxonomy, ax=panels[0])
        ease.ease_composition(rows, taxonomy=taxonomy, ax=panels[1])
        yield Drawn(file_name("ease", of["cohort"], of["condition"]), figure, "Which objects are easily found?",
                    joined([_of_one(tables, of), interval_words(rows)]))  # fmt: skip


def _of_one(tables: Tables, of: Mapping[str, str]) -> str:
    """What rows are of, in words, and why they are of this condition where there are others."""
    several = any(len(values_of(tables[name], "condition")) > 1 for name in ("raters", "curves") if name in tables)
    return joined([words_of(of), "the condition with most marks" if several else ""])


def _if_several(table: pd.DataFrame, of: Mapping[str, str]) -> list[str]:
    """The reference, for a file's name, where the table has several."""
    return [of["reference"]] if len(values_of(table, "reference")) > 1 else []


def draw_segmented(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Share of right suggestions under two conditions. (Figure S5a)"""
    table = tables["segmented"]
    for first, second in combinations(values_of(table, "condition"), 2):
        ax = outlines.segmented_scatter(table, first=first, second=second)
        yield Drawn(
            file_name("segmented", first, second),
            ax.figure,
            "Are more suggestions right under one condition?",
            joined(["a point is a FOV, a cross all of them", interval_words(table)]),
        )


def draw_outlines(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Overlaps of outlines. (Figures 4c, S5b)"""
    table = tables["outlines"]
    metrics = [metric for metric in outlines.OVERLAPS if np.isfinite(numbers(table, metric)).any()]
    for metric in metrics:
        ax = outlines.overlap_violins(table, metric=metric)
        yield Drawn(
            f"outlines_{metric}",
            ax.figure,
            "Do accepted outlines fit the traced ones?",
            "lines: quartiles; below: number of objects",
        )
    for of, rows in each_of(table, ["cohort"]):
        for first, second in combinations(values_of(rows, "condition"), 2):
            figure, panels = panels_of(len(metrics), width=4.6, height=4.2, per_row=2)
            for metric, ax in zip(metrics, panels, strict=True):
                outlines.joint_overlap(rows, first=first, second=second, metric=metric, ax=ax)
            note = joined([words_of(of), "a point is an object, its suggestion judged right under both"])
            yield Drawn(
                file_name("outlines_joint", of["cohort"], first, second),
                figure,
                "Do right outlines fit as well under both conditions?",
                note,
            )


def draw_redundancy(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Curves, a panel for each metric. (Figure 3e)"""
    for of, rows in each_of(
        leading_grouping(tables["redundancy"], taxonomy), ["cohort", "condition", "reference", "grouping"]
    ):
        wanted = {
            str(metric): own
            for metric, own in rows.groupby("metric", sort=False)
            if metric in ("f1", "mcc", "auroc", "class_mcc")
        }
        if not wanted:
            continue
        figure, panels = panels_of(len(wanted), width=5.6, height=3.2, per_row=2)
        for (metric, own), ax in zip(wanted.items(), panels, strict=True):
            redundancy.redundancy_curve(own, target=_target(tables, of, metric), taxonomy=taxonomy, ax=ax)
        note = joined([words_of(of), "lines: median of realizations; bands: 95 % of them"])
        title = "How many raters per FOV are enough?"
        yield Drawn(file_name("redundancy", of["cohort"], of["condition"]), figure, title, note)


def _target(tables: Tables, of: Mapping[str, str], metric: str) -> float | None:
    """The target of a metric in the plan, if all its classes have the same."""
    if "plan" not in tables:
        return None
    table = tables["plan"]
    found = table[(table["cohort"] == of["cohort"]) & (table["metric"] == metric)]["target"].unique()
    return float(found[0]) if len(found) == 1 else None


def draw_plan(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """The plan, for all classes together and for each. Targets that the pilot leaves undefined are left out."""
    table = tables["plan"]
    table = table[np.isfinite(numbers(table, "target"))]
    note = "bars: the numbers that fit this pilot (90 % band); at the right: the number to plan"
    for name, rows in (("plan", table[table["class"] == ""]), ("plan_classes", table[table["class"] != ""])):
        if len(rows):
            ax = redundancy.plan(rows)
            yield Drawn(name, ax.figure, "How many raters per FOV reach the target?", note)
