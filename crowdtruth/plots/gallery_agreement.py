"""Figures of agreement in a result folder: which rows, in which panels. (Figures 3d, 4b, 4d, 5)"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.plots import agreement, pairs
from crowdtruth.plots.drawing import interval_words, joined, numbers, values_of
from crowdtruth.plots.gallery_rows import OVERVIEW
from crowdtruth.plots.panels import (
    Drawn,
    Tables,
    classification_scope,
    drop_repeated_legends,
    each_of,
    file_name,
    leading_grouping,
    panels_of,
    title_panel,
    without_raw,
    words_of,
)
from crowdtruth.taxonomy import Taxonomy


def draw_agreement(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Agreement of each cohort under each condition, at one threshold and least number of detections."""
    table = tables[OVERVIEW]
    for statistic in [name for name in ("alpha", "ac1") if name in values_of(table, "statistic")]:
        rows = table[table["statistic"] == statistic]
        scopes = values_of(rows, "scope") or [""]
        n_rows = max(rows.groupby([c for c in ("condition", "grouping") if c in rows]).ngroups, 1)
        n_rows *= max(rows["cohort"].nunique(), 1)
        figure, panels = panels_of(len(scopes), width=6.0, height=1.6 + 0.19 * n_rows, per_row=2)
        for scope, ax in zip(scopes, panels, strict=True):
            agreement.agreement_points(rows[rows["scope"] == scope] if scope else rows, ax=ax)
            title_panel(ax, f"{agreement.SCOPES.get(scope, scope)}\n")
        drop_repeated_legends(panels)
        words = agreement.STATISTICS.get(statistic, statistic)
        name = "agreement" if statistic == "alpha" else f"agreement-{statistic}"
        yield Drawn(
            name, figure, f"Do the raters agree? {words}", joined([_threshold_words(rows), interval_words(rows)])
        )


def _threshold_words(rows: pd.DataFrame) -> str:
    """Threshold and least number of detections of rows that have one of each."""
    found = []
    if np.isfinite(numbers(rows, "threshold")).any():
        found.append(f"objects by IOU ≥ {numbers(rows, 'threshold')[0]:g}")
    if "min_detections" in rows and len(rows):
        found.append(f"marked by at least {numbers(rows, 'min_detections')[0]:.0f} of the cohort")
    return ", ".join(found)


def draw_sweep(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Number of objects and agreement against the least number of detections, a row per condition. (Figure 5a, c)"""
    table = leading_grouping(tables["agreement"], taxonomy)
    table = table[table["statistic"] == "alpha"]
    for of, rows in each_of(table, ["cohort", "grouping"]):
        if rows["min_detections"].nunique() < 2:
            continue
        scopes = values_of(rows, "scope") or [""]
        conditions = list(each_of(rows, ["condition"]))
        figure, panels = panels_of(len(conditions) * (1 + len(scopes)), per_row=1 + len(scopes), height=3.0)
        for n, (condition, own) in enumerate(conditions):
            _sweep_row(own, words_of(condition), scopes, panels[n * (1 + len(scopes)) :])
        title = "How do agreement and the number of objects depend on how strictly objects are joined?"
        note = joined([words_of(of), "grey: marked by fewer than 2", interval_words(rows)])
        yield Drawn(file_name("sweep", of["cohort"]), figure, title, note)


def _sweep_row(rows: pd.DataFrame, words: str, scopes: list[Any], panels: list[Any]) -> None:
    """Number of objects, and agreement in each scope, of one cohort under one condition."""
    rows = rows[rows["n_anchors"] > 0]
    of_scope = [rows[rows["scope"] == scope] if scope else rows for scope in scopes]
    agreement.anchors_by_detections(of_scope[0], ax=panels[0])
    title_panel(panels[0], joined([words, "objects"]))
    for scope, own, ax in zip(scopes, of_scope, panels[1:], strict=False):
        agreement.agreement_by_detections(own, ax=ax)
        title_panel(ax, joined([words, agreement.SCOPES.get(scope, scope)]))
    drop_repeated_legends([*panels[1 : 1 + len(scopes)], panels[0]])


def draw_pairwise(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Every two raters: heat maps by condition, and boxes by pair of cohorts. (Figure 5d)"""
    table = tables["pairwise"]
    for of, rows in each_of(
        classification_scope(leading_grouping(table, taxonomy)), ["condition", "grouping", "scope"]
    ):
        ax = pairs.kappa_heat_map(rows)
        yield Drawn(
            file_name("pairwise", of.get("condition", "")), ax.figure, "Which raters agree with which?", words_of(of)
        )
    for scope in values_of(table, "scope") or [""]:
        levels = list(each_of(without_raw(table[table["scope"] == scope] if scope else table), ["grouping"]))
        figure, panels = panels_of(len(levels), width=8.4, height=3.6, per_row=1)
        for (of, rows), ax in zip(levels, panels, strict=True):
            pairs.kappa_boxes(rows, ax=ax)
            if len(levels) > 1:
                ax.set_ylabel(f"{ax.get_ylabel()}\n{words_of(of)}")
        several = len({*values_of(table, "first_cohort"), *values_of(table, "second_cohort")}) > 1
        more = "Do raters of a cohort agree more with each other than with those of another?"
        title = more if several else "How well do every two raters agree?"
        note = joined(
            [words_of(levels[0][0]) if len(levels) == 1 else "", "a point is a pair of raters; boxes: quartiles"]
        )
        yield Drawn(file_name("kappa", scope), figure, title, note)


def draw_rater_map(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Maps of raters. (Figure 3d)"""
    for of, rows in each_of(
        classification_scope(leading_grouping(tables["rater_map"], taxonomy)), ["condition", "grouping", "scope"]
    ):
        ax = pairs.rater_map(rows)
        note = joined([words_of(of), "distance: 1 − kappa, as far as two dimensions can show it"])
        yield Drawn(
            file_name("rater_map", of.get("condition", "")), ax.figure, "Raters who agree lie near each other", note
        )


def draw_self_agreement(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Self-agreement and proportion clicked. (Figures 4b, 4d)"""
    table = leading_grouping(tables["self_agreement"], taxonomy)
    scopes = values_of(table, "scope") or [""]
    figure, panels = panels_of(len(scopes), per_row=2, width=5.2)
    for scope, ax in zip(scopes, panels, strict=True):
        pairs.self_agreement_boxes(table[table["scope"] == scope] if scope else table, ax=ax)
    note = joined(
        [words_of(dict.fromkeys(["grouping"], str((values_of(table, "grouping") or [""])[0]))), "a point is a rater"]
    )
    yield Drawn("self_agreement", figure, "Do raters agree with themselves in another round?", note)
    if np.isfinite(numbers(table, "proportion_clicked")).any():
        ax = pairs.proportion_clicked_boxes(classification_scope(table))
        yield Drawn("proportion_clicked", ax.figure, "How many suggestions do raters accept?", "a point is a rater")
