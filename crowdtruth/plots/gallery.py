"""All figures of a result folder, each with a title that says what it shows and a note of the data it shows.

The functions here pick rows and put panels side by side; what is drawn is in the files of the kinds of figures.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from crowdtruth.plots import agreement, confusion, curves, ease, outlines, pairs, raters, redundancy
from crowdtruth.plots.drawing import interval_words, joined, numbers, values_of
from crowdtruth.plots.style import GREY, RC, SMALL
from crowdtruth.taxonomy import RAW, Taxonomy

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Drawn:
    """A figure with the words around it."""

    name: str
    figure: Any  # of matplotlib
    title: str
    note: str = ""


def figures_of(tables: Tables, taxonomy: Taxonomy | None = None, *, data: str = "") -> Iterator[tuple[str, Figure]]:
    """Every figure for which the tables are there, one after the other.

    Where a table has several groupings of classes, most figures show the first level of the taxonomy in it. What is
    taken for what, and what is easily found, is shown under the condition of most objects; other conditions and
    groupings are drawn by the functions of these figures.

    Parameters
    ----------
    tables : tables of a result folder by name, ``agreement``, ``pairwise``, …; other names are ignored
    taxonomy : for colours, order and grouping of classes
    data : which data these are, for the note of each figure

    Yields
    ------
    name, figure
        Names are different, fit for file names, and the same for the same tables.

    Raises
    ------
    ValueError
        If a table misses a column, naming both.

    Examples
    --------
    >>> spots = pd.DataFrame({"rater": ["a", "b"], "cohort": "P", "condition": "E", "grouping": "raw",
    ...                       "scope": "classification", "x": [0.1, -0.1], "y": [0.0, 0.0]})
    >>> [name for name, figure in figures_of({"rater_map": spots})]
    ['rater_map-E']
    """
    seen: set[str] = set()
    for table, draw in _KINDS:
        if table not in tables or tables[table].empty:
            continue
        for drawn in draw(tables, taxonomy):
            name = _free_name(drawn.name, seen)
            seen.add(name)
            _write_around(drawn, data)
            _lay_out(drawn.figure)
            yield name, drawn.figure


def _free_name(name: str, seen: set[str]) -> str:
    """The name with a number behind it, if another figure has it (also in other case: file systems differ)."""
    taken, number, free = {other.casefold() for other in seen}, 2, name
    while free.casefold() in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _named(kind: str, *parts: object) -> str:
    """A name fit for files: the kind, and the values it is of."""
    slugs = [
        re.sub(r"[^A-Za-z0-9.]+", "-", str(part)).strip("-.")[:40] for part in parts if str(part) not in ("", "all")
    ]
    return "-".join([kind, *filter(None, slugs)])


def _write_around(drawn: Drawn, data: str) -> None:
    """Title above and note below a figure, broken to its width."""
    width = drawn.figure.get_figwidth()
    with rc_context(RC):
        drawn.figure.suptitle(fill(drawn.title, int(width * 12)), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        note = joined([data, drawn.note])
        if note:
            drawn.figure.supxlabel(fill(note, int(width * 19)), x=0.01, ha="left", fontsize=SMALL, color=GREY)


def _lay_out(figure: Figure) -> None:
    """Give everything its place once, so that saving in two formats does not do it twice."""
    with rc_context(RC):
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
    figure.set_layout_engine("none")


def _each(table: pd.DataFrame, columns: list[str]) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Values and rows of each combination of those columns that the table has, in order of appearance."""
    columns = [column for column in columns if column in table]
    if not columns:
        yield {}, table
        return
    for key, rows in table.groupby(columns, sort=False, observed=True, dropna=False):
        yield dict(zip(columns, map(str, key), strict=True)), rows


def _leading(table: pd.DataFrame, taxonomy: Taxonomy | None) -> pd.DataFrame:
    """The rows of one grouping: the first level of the taxonomy, else the first that is not raw."""
    found = [str(level) for level in values_of(table, "grouping")]
    levels = [level for level in (taxonomy.levels if taxonomy is not None else ()) if level in found]
    order = [*levels, *(level for level in found if level != RAW), *found]
    return table[table["grouping"] == order[0]] if order else table


def _fullest(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows of one condition: the one with the largest sum of a column, of equals the last."""
    sums = table.groupby("condition", sort=False, observed=True)[column].sum()
    fullest = sums[::-1].idxmax() if len(sums) else ""
    return table[table["condition"] == fullest]


def _classification(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of one scope: classification, if there."""
    scopes = values_of(table, "scope")
    if not scopes:
        return table
    return table[table["scope"] == ("classification" if "classification" in scopes else scopes[0])]


def _words(of: Mapping[str, str], *, skip: tuple[str, ...] = ()) -> str:
    """What rows are of, in words: ``cohort NP · condition E``."""
    names = {"grouping": "classes", "who": "cohort"}
    return joined([f"{names.get(key, key)} {value}" for key, value in of.items()
                   if key not in skip and value not in ("", "all")])  # fmt: skip


def _one(table: pd.DataFrame, column: str) -> dict[str, str]:
    """The first value of a column, if the table has it."""
    found = values_of(table, column)
    return {column: str(found[0])} if found else {}


def _panels(n: int, *, width: float = 4.3, height: float = 3.7, per_row: int = 3) -> tuple[Figure, list[Any]]:
    """A figure and its axes, n of them, in rows."""
    columns = min(n, per_row)
    n_rows = -(-n // columns)
    with rc_context(RC):
        figure = Figure(figsize=(width * columns, height * n_rows + 0.6), dpi=120, layout="constrained")
        grid = figure.subplots(n_rows, columns, squeeze=False).ravel()
    for ax in grid[n:]:
        ax.remove()
    return figure, list(grid[:n])


def _panel_title(ax: Any, words: str) -> None:
    with rc_context(RC):
        ax.set_title(words)


# --- agreement -------------------------------------------------------------------------------------------------------


def _agreement(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Agreement of each cohort under each condition, at one threshold and least number of detections."""
    table = tables["agreement"]
    for statistic in [name for name in ("alpha", "ac1") if name in values_of(table, "statistic")]:
        rows = _usual(table[table["statistic"] == statistic])
        scopes = values_of(rows, "scope") or [""]
        n_rows = max(rows.groupby([c for c in ("condition", "grouping") if c in rows]).ngroups, 1)
        n_rows *= max(rows["cohort"].nunique(), 1)
        figure, panels = _panels(len(scopes), width=6.0, height=1.6 + 0.19 * n_rows, per_row=2)
        for scope, ax in zip(scopes, panels, strict=True):
            agreement.agreement_points(rows[rows["scope"] == scope] if scope else rows, ax=ax)
            _panel_title(ax, f"{agreement.SCOPES.get(scope, scope)}\n")
        words = agreement.STATISTICS.get(statistic, statistic)
        name = "agreement" if statistic == "alpha" else f"agreement-{statistic}"
        yield Drawn(name, figure, f"Do the raters agree? {words}", joined([_usual_words(rows), interval_words(rows)]))


def _usual(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the threshold and number of detections that most rows have; of equals 2 detections and the lowest IOU."""
    keys = [column for column in ("threshold", "min_detections") if column in rows]
    if not keys:
        return rows
    sizes = rows.groupby(keys, dropna=False).size().reset_index(name="n")
    least = numbers(sizes, "min_detections")
    order = np.lexsort((np.nan_to_num(numbers(sizes, "threshold"), nan=2.0), least, least != 2, -sizes["n"]))
    return rows.merge(sizes.iloc[order[:1]][keys], on=keys)


def _usual_words(rows: pd.DataFrame) -> str:
    """Threshold and least number of detections of rows that have one of each."""
    found = []
    if np.isfinite(numbers(rows, "threshold")).any():
        found.append(f"objects by IOU ≥ {numbers(rows, 'threshold')[0]:g}")
    if "min_detections" in rows and len(rows):
        found.append(f"marked by at least {numbers(rows, 'min_detections')[0]:.0f}")
    return ", ".join(found)


def _sweep(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Number of objects and agreement against the least number of detections, a row per condition. (Figure 5a, c)"""
    table = _leading(tables["agreement"], taxonomy)
    table = table[table["statistic"] == "alpha"]
    for of, rows in _each(table, ["cohort", "grouping"]):
        if rows["min_detections"].nunique() < 2:
            continue
        scopes = values_of(rows, "scope") or [""]
        conditions = list(_each(rows, ["condition"]))
        figure, panels = _panels(len(conditions) * (1 + len(scopes)), per_row=1 + len(scopes), height=3.0)
        for n, (condition, own) in enumerate(conditions):
            _sweep_row(own, _words(condition), scopes, panels[n * (1 + len(scopes)) :])
        title = "How do agreement and the number of objects depend on how strictly objects are joined?"
        note = joined([_words(of), "grey: marked by fewer than 2", interval_words(rows)])
        yield Drawn(_named("sweep", of["cohort"]), figure, title, note)


def _sweep_row(rows: pd.DataFrame, words: str, scopes: list[Any], panels: list[Any]) -> None:
    """Number of objects, and agreement in each scope, of one cohort under one condition."""
    of_scope = [rows[rows["scope"] == scope] if scope else rows for scope in scopes]
    agreement.anchors_by_detections(of_scope[0], ax=panels[0])
    _panel_title(panels[0], joined([words, "objects"]))
    for scope, own, ax in zip(scopes, of_scope, panels[1:], strict=False):
        agreement.agreement_by_detections(own, ax=ax)
        _panel_title(ax, joined([words, agreement.SCOPES.get(scope, scope)]))


def _pairwise(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Every two raters: heat maps by condition, and boxes by pair of cohorts. (Figure 5d)"""
    table = tables["pairwise"]
    for of, rows in _each(_classification(_leading(table, taxonomy)), ["condition", "grouping", "scope"]):
        ax = pairs.kappa_heat_map(rows)
        yield Drawn(
            _named("pairwise", of.get("condition", "")), ax.figure, "Which raters agree with which?", _words(of)
        )
    for scope in values_of(table, "scope") or [""]:
        levels = list(_each(_grouped(table[table["scope"] == scope] if scope else table), ["grouping"]))
        figure, panels = _panels(len(levels), width=8.4, height=3.6, per_row=1)
        for (of, rows), ax in zip(levels, panels, strict=True):
            pairs.kappa_boxes(rows, ax=ax)
            if len(levels) > 1:
                ax.set_ylabel(f"{ax.get_ylabel()}\n{_words(of)}")
        title = "Do raters of a cohort agree more with each other than with those of another?"
        note = joined(
            [_words(levels[0][0]) if len(levels) == 1 else "", "a point is a pair of raters; boxes: quartiles"]
        )
        yield Drawn(_named("kappa", scope), figure, title, note)


def _grouped(table: pd.DataFrame) -> pd.DataFrame:
    """Without the rows of raw classes, if there are others."""
    if "grouping" not in table or set(table["grouping"]) <= {RAW}:
        return table
    return table[table["grouping"] != RAW]


def _rater_map(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Maps of raters. (Figure 3d)"""
    for of, rows in _each(_classification(_leading(tables["rater_map"], taxonomy)), ["condition", "grouping", "scope"]):
        ax = pairs.rater_map(rows)
        note = joined([_words(of), "distance: 1 − kappa, as far as two dimensions can show it"])
        yield Drawn(
            _named("rater_map", of.get("condition", "")), ax.figure, "Raters who agree lie near each other", note
        )


def _self_agreement(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Self-agreement and proportion clicked. (Figures 4b, 4d)"""
    table = _leading(tables["self_agreement"], taxonomy)
    scopes = values_of(table, "scope") or [""]
    figure, panels = _panels(len(scopes), per_row=2, width=5.2)
    for scope, ax in zip(scopes, panels, strict=True):
        pairs.self_agreement_boxes(table[table["scope"] == scope] if scope else table, ax=ax)
    note = joined(
        [_words(dict.fromkeys(["grouping"], str((values_of(table, "grouping") or [""])[0]))), "a point is a rater"]
    )
    yield Drawn("self_agreement", figure, "Do raters agree with themselves in another round?", note)
    if np.isfinite(numbers(table, "proportion_clicked")).any():
        ax = pairs.proportion_clicked_boxes(_classification(table))
        yield Drawn("proportion_clicked", ax.figure, "How many suggestions do raters accept?", "a point is a rater")


# --- accuracy --------------------------------------------------------------------------------------------------------


def _by_condition(
    rows: pd.DataFrame, draw: Callable[[pd.DataFrame, Any], Any], *, width: float, height: float, per_row: int = 2
) -> Figure:
    """A panel for each condition; `draw` takes its rows and the axes, None for a figure as large as it needs."""
    conditions = list(_each(rows, ["condition"]))
    if len(conditions) == 1:
        figure: Figure = draw(rows, None).figure
        return figure
    figure, panels = _panels(len(conditions), width=width, height=height, per_row=per_row)
    for (of, own), ax in zip(conditions, panels, strict=True):
        draw(own, ax)
        _panel_title(ax, of["condition"])
    return figure


def _raters(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Forests of scores."""
    table = tables["raters"]
    height = 1.0 + 0.2 * table["rater"].nunique()
    for metric in [name for name in ("f1", "class_accuracy", "mcc") if np.isfinite(numbers(table, name)).any()]:
        for of, rows in _each(table, ["reference"]):

            def draw(own: pd.DataFrame, ax: Any, metric: str = metric) -> Any:
                return raters.rater_forest(own, metric=metric, ax=ax)

            figure = _by_condition(rows, draw, width=5.6, height=height)
            note = joined([_words(of), interval_words(rows.rename(columns={f"{metric}_low": "low"}))])
            yield Drawn(_named("raters", metric), figure, f"How good is each rater? {raters.SCORES[metric]}", note)


def _curves(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Precision–recall and ROC curves. (Figures 3a, 3b, 4e, S3)"""
    table, accuracy = tables["curves"], tables.get("accuracy")
    bands = "bands and brackets: 95 %, bootstrap"
    detection = _leading(table[table["curve"] == "precision_recall"], taxonomy)
    for of, rows in _each(detection, ["reference", "grouping"]):

        def draw_detection(own: pd.DataFrame, ax: Any) -> Any:
            return curves.precision_recall(own, raters=_raters_of(tables, own), accuracy=accuracy, ax=ax)

        figure = _by_condition(rows, draw_detection, width=5.8, height=3.7)
        title = "Are objects found? Raters, and the labels inferred from them"
        note = joined([_words(of, skip=("grouping",)), bands, "dashed: share of objects"])
        yield Drawn("precision_recall", figure, title, note)
    named = _grouped(table[table["curve"] == "roc"])
    for of, rows in _each(named, ["who", "reference", "grouping"]):

        def draw_classes(own: pd.DataFrame, ax: Any) -> Any:
            return curves.roc(own, accuracy=accuracy, taxonomy=taxonomy, ax=ax)

        figure = _by_condition(rows, draw_classes, width=6.0, height=3.7)
        title = "Are objects named rightly? Labels inferred from the raters of a cohort"
        yield Drawn(_named("roc", of["who"], of["grouping"]), figure, title, joined([_words(of), bands]))
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
    figure, panels = _panels(len(kinds), width=6.0, per_row=2)
    for kind, ax in zip(kinds, panels, strict=True):
        curves.roc(rows[rows["class"] == kind], accuracy=accuracy, ax=ax)
        _panel_title(ax, kind)
    title = "Do suggestions change how rightly objects are named?"
    return Drawn(_named("roc_conditions", of["who"], of["grouping"]), figure, title, joined([_words(of), bands]))


def _confusion(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """What they called X. (Figures 3c, S7a)"""
    keys = ["cohort", "condition", "reference", "grouping"]
    for of, rows in _each(_fullest(_leading(tables["rater_confusion"], taxonomy), "count"), keys):
        ax = confusion.confusion_of_labels(rows, taxonomy=taxonomy)
        title = "What is the true class of what they called X?"
        yield Drawn(_named("confusion", of["cohort"], of["condition"]), ax.figure, title, _words(of))


def _anchor_confusion(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """What the typical X is called. (Figures 3c, S7b)"""
    keys = ["cohort", "condition", "reference", "grouping"]
    for of, rows in _each(_fullest(_leading(tables["anchor_confusion"], taxonomy), "n_anchors"), keys):
        ax = confusion.raters_per_object(rows, taxonomy=taxonomy)
        title = "How many raters find the typical X, and what do they call it?"
        yield Drawn(_named("anchor_confusion", of["cohort"], of["condition"]), ax.figure, title, _words(of))


def _ease(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Ease of detection. (Figure S8)"""
    keys = ["cohort", "condition", "reference", "grouping"]
    for of, rows in _each(_fullest(_leading(tables["ease"], taxonomy), "n_objects"), keys):
        figure, panels = _panels(2, width=5.6, per_row=2)
        ease.ease_cumulative(rows, taxonomy=taxonomy, ax=panels[0])
        ease.ease_composition(rows, taxonomy=taxonomy, ax=panels[1])
        yield Drawn(_named("ease", of["cohort"], of["condition"]), figure, "Which objects are easily found?",
                    joined([_words(of), interval_words(rows)]))  # fmt: skip


def _segmented(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Share of right suggestions under two conditions. (Figure S5a)"""
    table = tables["segmented"]
    for first, second in combinations(values_of(table, "condition"), 2):
        ax = outlines.segmented_scatter(table, first=first, second=second)
        yield Drawn(
            _named("segmented", first, second),
            ax.figure,
            "Are more suggestions right under one condition?",
            "a point is a FOV",
        )


def _outlines(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
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
    for of, rows in _each(table, ["cohort"]):
        for first, second in combinations(values_of(rows, "condition"), 2):
            figure, panels = _panels(len(metrics), width=4.6, height=4.2, per_row=2)
            for metric, ax in zip(metrics, panels, strict=True):
                outlines.joint_overlap(rows, first=first, second=second, metric=metric, ax=ax)
            note = joined([_words(of), "a point is an object, its suggestion judged right under both"])
            yield Drawn(
                _named("outlines_joint", of["cohort"], first, second),
                figure,
                "Do right outlines fit as well under both conditions?",
                note,
            )


# --- redundancy ------------------------------------------------------------------------------------------------------


def _redundancy(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """Curves by metric, and boxes for one class each. (Figure 3e)"""
    for of, rows in _each(_leading(tables["redundancy"], taxonomy), ["cohort", "condition", "reference", "grouping"]):
        wanted = {
            str(metric): own
            for metric, own in rows.groupby("metric", sort=False)
            if metric in ("f1", "mcc", "auroc", "class_mcc")
        }
        if not wanted:
            continue
        figure, panels = _panels(len(wanted), width=5.6, height=3.2, per_row=2)
        for (metric, own), ax in zip(wanted.items(), panels, strict=True):
            redundancy.redundancy_curve(own, target=_target(tables, of, metric), taxonomy=taxonomy, ax=ax)
        note = joined([_words(of), "lines: median of realizations; bands: 95 % of them"])
        title = "How many raters per FOV are enough?"
        yield Drawn(_named("redundancy", of["cohort"], of["condition"]), figure, title, note)
        yield _redundancy_boxes(of, wanted, taxonomy, title)


def _redundancy_boxes(
    of: dict[str, str], wanted: Mapping[str, pd.DataFrame], taxonomy: Taxonomy | None, title: str
) -> Drawn:
    """Boxes of realizations, a panel for each metric and class. (Figure 3e)"""
    singles = [
        own
        for metric in ("f1", "mcc", "auroc")
        if metric in wanted
        for _, own in wanted[metric].groupby("class", sort=False)
    ]
    figure, panels = _panels(len(singles), width=3.8, height=2.6)
    for own, ax in zip(singles, panels, strict=True):
        redundancy.redundancy_boxes(own, taxonomy=taxonomy, ax=ax)
    note = joined([_words(of), "boxes: quartiles of realizations"])
    return Drawn(_named("redundancy_boxes", of["cohort"], of["condition"]), figure, title, note)


def _target(tables: Tables, of: Mapping[str, str], metric: str) -> float | None:
    """The target of a metric in the plan, if all its classes have the same."""
    if "plan" not in tables:
        return None
    table = tables["plan"]
    found = table[(table["cohort"] == of["cohort"]) & (table["metric"] == metric)]["target"].unique()
    return float(found[0]) if len(found) == 1 else None


def _plan(tables: Tables, taxonomy: Taxonomy | None) -> Iterator[Drawn]:
    """The plan."""
    ax = redundancy.plan(tables["plan"])
    yield Drawn("plan", ax.figure, "How many raters per FOV reach the target?", "bars: 95 % of what the pilot allows")


_KINDS: tuple[tuple[str, Callable[[Tables, Taxonomy | None], Iterator[Drawn]]], ...] = (
    ("agreement", _agreement),
    ("agreement", _sweep),
    ("pairwise", _pairwise),
    ("rater_map", _rater_map),
    ("self_agreement", _self_agreement),
    ("raters", _raters),
    ("curves", _curves),
    ("rater_confusion", _confusion),
    ("anchor_confusion", _anchor_confusion),
    ("ease", _ease),
    ("segmented", _segmented),
    ("outlines", _outlines),
    ("redundancy", _redundancy),
    ("plan", _plan),
)
