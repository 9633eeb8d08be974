"""Tables of results as their columns are documented, with plausible values, of any size: for figures and pages."""

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd

MAIN = (
    "tumor_nonMitotic", "tumor_mitotic", "nonTILnonMQ_stromal", "macrophage", "lymphocyte", "plasma_cell",
    "other_nucleus", "AMBIGUOUS",
)  # fmt: skip
SCOPES = ("detection_and_classification", "classification")
COHORTS = {"SP": 3, "JP": 4, "NP": 18}
CONDITIONS = ("U-control", "B-control", "E")


def result_tables(
    cohorts: dict[str, int] = COHORTS,
    conditions: Sequence[str] = CONDITIONS,
    classes: Sequence[str] = MAIN,
    groupings: Sequence[str] = ("raw", "main"),
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Every table of results that figures are drawn from; the classes are those of each grouping."""
    rng = np.random.default_rng(seed)
    raters = pd.DataFrame(
        [(f"{cohort}.{n + 1}", cohort) for cohort, size in cohorts.items() for n in range(size)],
        columns=["rater", "cohort"],
    )
    frame = {"cohorts": list(cohorts), "conditions": list(conditions), "groupings": list(groupings)}
    return {
        "agreement": agreement(rng, **frame),
        "pairwise": pairwise(rng, raters, frame["conditions"], frame["groupings"]),
        "self_agreement": self_agreement(rng, raters, frame["conditions"], frame["groupings"]),
        "rater_map": rater_map(rng, raters, frame["conditions"], frame["groupings"]),
        "raters": rater_scores(rng, raters, frame["conditions"]),
        "accuracy": accuracy(rng, classes, **frame),
        "curves": curves(rng, classes, **frame),
        "rater_confusion": rater_confusion(rng, raters, classes, frame["conditions"], frame["groupings"]),
        "anchor_confusion": anchor_confusion(rng, cohorts, classes, frame["conditions"], frame["groupings"]),
        "ease": ease(cohorts, classes, frame["conditions"], frame["groupings"]),
        "segmented": segmented(rng, frame["cohorts"], frame["conditions"][1:]),
        "outlines": outlines(rng, frame["cohorts"], frame["conditions"][1:]),
        "redundancy": redundancy(rng, classes, frame["cohorts"][-1:], frame["conditions"][-1:], frame["groupings"]),
        "plan": plan(classes, frame["cohorts"][-1:]),
    }


def with_interval(table: pd.DataFrame, column: str = "value", width: float = 0.05, prefix: str = "") -> pd.DataFrame:
    """The table with low and high around a column, and the unit that was resampled."""
    low, high = (table[column] - width).clip(-1, 1), (table[column] + width).clip(-1, 1)
    return table.assign(**{f"{prefix}low": low, f"{prefix}high": high}, resampled="fov")


def agreement(
    rng: np.random.Generator, cohorts: list[str], conditions: list[str], groupings: list[str], most: int = 7
) -> pd.DataFrame:
    keys = product(("alpha", "ac1"), SCOPES, cohorts, conditions, (0.25, 0.5, 0.75), groupings, range(1, most + 1))
    columns = ["statistic", "scope", "cohort", "condition", "threshold", "grouping", "min_detections"]
    table = pd.DataFrame(list(keys), columns=columns)
    value = 0.35 + 0.06 * table["min_detections"] + 0.1 * (table["scope"] == "classification")
    table["value"] = value + 0.1 * table["threshold"] - 0.03 * table["cohort"].map(cohorts.index)
    table = with_interval(table)
    table["n_anchors"] = (1400 * (1.1 - table["threshold"]) / table["min_detections"]).round().astype(int)
    return table.assign(n_raters=7, undefined="")


def pairwise(
    rng: np.random.Generator, raters: pd.DataFrame, conditions: list[str], groupings: list[str]
) -> pd.DataFrame:
    ends = list(combinations(raters.itertuples(index=False), 2))
    rows = [
        (condition, grouping, scope, first.rater, second.rater, first.cohort, second.cohort)
        for condition, grouping, scope in product(conditions, groupings, SCOPES)
        for first, second in ends
    ]
    columns = ["condition", "grouping", "scope", "first", "second", "first_cohort", "second_cohort"]
    table = pd.DataFrame(rows, columns=columns)
    table["n_anchors"] = rng.integers(40, 1300, len(table))
    worse = (table[["first_cohort", "second_cohort"]] == "NP").sum(axis=1)
    table["kappa"] = np.clip(0.75 - 0.08 * worse + rng.normal(0, 0.08, len(table)), -0.2, 1)
    table.loc[rng.random(len(table)) < 0.03, "kappa"] = np.nan
    return with_interval(table, "kappa").assign(percent_agreement=0.8, undefined="")


def self_agreement(
    rng: np.random.Generator, raters: pd.DataFrame, conditions: list[str], groupings: list[str]
) -> pd.DataFrame:
    keys = product(groupings, SCOPES, raters.itertuples(index=False), conditions[1:])
    rows = [(grouping, scope, r.rater, r.cohort, conditions[0], second) for grouping, scope, r, second in keys]
    columns = ["grouping", "scope", "rater", "cohort", "first_condition", "second_condition"]
    table = pd.DataFrame(rows, columns=columns)
    table["n_anchors"] = rng.integers(40, 1300, len(table))
    table["kappa"] = np.clip(rng.normal(0.8, 0.1, len(table)), -1, 1)
    table["proportion_clicked"] = np.clip(rng.normal(0.4, 0.15, len(table)), 0, 1)
    return with_interval(table, "kappa").assign(percent_agreement=0.85, undefined="")


def rater_map(
    rng: np.random.Generator, raters: pd.DataFrame, conditions: list[str], groupings: list[str]
) -> pd.DataFrame:
    keys = product(conditions, groupings, SCOPES, raters.itertuples(index=False))
    rows = [(condition, grouping, scope, r.rater, r.cohort) for condition, grouping, scope, r in keys]
    table = pd.DataFrame(rows, columns=["condition", "grouping", "scope", "rater", "cohort"])
    spread = np.where(table["cohort"] == "NP", 0.25, 0.12)
    return table.assign(x=rng.normal(0, spread), y=rng.normal(0, spread / 2))


def rater_scores(rng: np.random.Generator, raters: pd.DataFrame, conditions: list[str]) -> pd.DataFrame:
    rows = [(r.rater, r.cohort, condition) for condition, r in product(conditions, raters.itertuples(index=False))]
    table = pd.DataFrame(rows, columns=["rater", "cohort", "condition"])
    table = table.assign(reference="inferred P", in_reference=table["cohort"] != "NP", n_fovs=12, n_annotations=300)
    for name in ("precision", "recall", "f1", "class_accuracy", "mcc"):
        table[name] = np.clip(rng.normal(0.75, 0.08, len(table)), 0, 1)
        table = with_interval(table, name, prefix=f"{name}_")
    return table


def accuracy(
    rng: np.random.Generator, classes: Sequence[str], cohorts: list[str], conditions: list[str], groupings: list[str]
) -> pd.DataFrame:
    metrics = [("average_precision", ""), *(("auroc", name) for name in ("micro", "macro", *classes))]
    keys = product(cohorts, conditions, groupings, metrics)
    rows = [(who, condition, "inferred P", grouping, *metric) for who, condition, grouping, metric in keys]
    table = pd.DataFrame(rows, columns=["who", "condition", "reference", "grouping", "metric", "class"])
    return with_interval(table.assign(value=rng.uniform(0.7, 0.97, len(table)), n=500), width=0.02)


def curves(
    rng: np.random.Generator, classes: Sequence[str], cohorts: list[str], conditions: list[str], groupings: list[str]
) -> pd.DataFrame:
    x = np.linspace(0, 1, 101)
    tables = []
    for who, condition, grouping in product(cohorts, conditions, groupings):
        for name in ("micro", "macro", *classes):
            y = x ** rng.uniform(0.05, 0.4)
            tables.append(_curve((who, condition, grouping), "roc", name, x, y))
        tables.append(_curve((who, condition, grouping), "precision_recall", "", x, 1 - 0.6 * x ** rng.uniform(3, 6)))
    return pd.concat(tables, ignore_index=True)


def _curve(of: tuple[str, str, str], curve: str, name: str, x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    keys = dict(zip(("who", "condition", "grouping"), of, strict=True)) | {"reference": "inferred P", "curve": curve}
    band = {"low": np.clip(y - 0.04, 0, 1), "high": np.clip(y + 0.04, 0, 1)}
    return pd.DataFrame({**keys, "class": name, "x": x, "y": y, **band})


def rater_confusion(
    rng: np.random.Generator, raters: pd.DataFrame, classes: Sequence[str], conditions: list[str], groupings: list[str]
) -> pd.DataFrame:
    rows = [
        (r.rater, r.cohort, condition, "inferred P", grouping, true, assigned)
        for condition, grouping, r, true, assigned in product(
            conditions, groupings, raters.itertuples(index=False), (*classes, ""), (*classes, "undetected")
        )
        if (true, assigned) != ("", "undetected")
    ]
    table = pd.DataFrame(rows, columns=["who", "cohort", "condition", "reference", "grouping", "true", "assigned"])
    table["count"] = rng.poisson(np.where(table["true"] == table["assigned"], 40, 1.5))
    totals = table.groupby(["who", "condition", "grouping", "true"])["count"].transform("sum")
    return with_interval(table.assign(share=table["count"] / totals.clip(lower=1)), "share")


def anchor_confusion(
    rng: np.random.Generator,
    cohorts: dict[str, int],
    classes: Sequence[str],
    conditions: list[str],
    groupings: list[str],
) -> pd.DataFrame:
    rows = [
        (cohort, condition, "inferred P", grouping, true, assigned, cohorts[cohort])
        for cohort, condition, grouping, true, assigned in product(
            cohorts, conditions, groupings, classes, (*classes, "undetected")
        )
    ]
    columns = ["cohort", "condition", "reference", "grouping", "true", "assigned", "n_raters"]
    table = pd.DataFrame(rows, columns=columns).assign(n_anchors=120, n_fovs=12)
    share = np.where(table["true"] == table["assigned"], 0.6, 0.4 / len(classes))
    table["mean_raters"] = share * table["n_raters"] * rng.uniform(0.6, 1.1, len(table))
    bounds = {"low": 0.9 * table["mean_raters"], "high": 1.1 * table["mean_raters"]}
    return table.assign(**bounds, resampled="fov")


def ease(cohorts: dict[str, int], classes: Sequence[str], conditions: list[str], groupings: list[str]) -> pd.DataFrame:
    tables = []
    for cohort, condition, grouping, (place, name) in product(cohorts, conditions, groupings, enumerate(classes)):
        least = np.arange(cohorts[cohort] + 1)
        share = 1 - (least / (cohorts[cohort] + 1)) ** (4 / (place + 1))
        keys = {"cohort": cohort, "condition": condition, "reference": "inferred P", "grouping": grouping}
        n_objects = 400 // (place + 1)
        counts = {"n": (share * n_objects).round().astype(int), "n_objects": n_objects, "share": share}
        tables.append(pd.DataFrame({**keys, "class": name, "at_least": least, **counts}))
    return with_interval(pd.concat(tables, ignore_index=True), "share")


def segmented(rng: np.random.Generator, cohorts: list[str], conditions: list[str], n_fovs: int = 12) -> pd.DataFrame:
    keys = product(cohorts, conditions, [f"fov-{n:03}" for n in range(n_fovs)])
    table = pd.DataFrame(list(keys), columns=["cohort", "condition", "fov"])
    n_anchors = rng.integers(5, 60, len(table))
    n_correct = rng.binomial(n_anchors, np.where(table["condition"] == "E", 0.45, 0.3))
    table = table.assign(n_anchors=n_anchors, n_correct=n_correct, proportion=n_correct / n_anchors)
    overall = table.groupby(["cohort", "condition"])[["n_anchors", "n_correct"]].sum().reset_index().assign(fov="")
    overall["proportion"] = overall["n_correct"] / overall["n_anchors"]
    single = table.assign(low=np.nan, high=np.nan, resampled="")
    return pd.concat([with_interval(overall, "proportion"), single], ignore_index=True)[
        [*table, "low", "high", "resampled"]
    ]


def outlines(rng: np.random.Generator, cohorts: list[str], conditions: list[str], n: int = 120) -> pd.DataFrame:
    keys = product(cohorts, conditions, range(n))
    table = pd.DataFrame(list(keys), columns=["cohort", "condition", "anchor"]).astype({"anchor": "str"})
    right = rng.random(n)[table["anchor"].astype(int)] < 0.6
    dice = np.clip(rng.beta(14, 2.4, len(table)) - 0.25 * ~right, 0, 1)
    return table.assign(fov="fov-000", boundary_correct=right.astype(int), dice=dice, iou=dice / (2 - dice))


def redundancy(
    rng: np.random.Generator,
    classes: Sequence[str],
    cohorts: list[str],
    conditions: list[str],
    groupings: list[str],
    *,
    most: int = 15,
    n_realizations: int = 60,
) -> pd.DataFrame:
    metrics = [("f1", ""), ("mcc", ""), *(("auroc", name) for name in ("micro", "macro", *classes))]
    keys = product(range(n_realizations), cohorts, conditions, groupings, range(1, most + 1), metrics)
    rows = [
        (r, cohort, condition, "inferred P", grouping, k, *metric) for r, cohort, condition, grouping, k, metric in keys
    ]
    columns = ["realization", "cohort", "condition", "reference", "grouping", "raters_per_fov", "metric", "class"]
    table = pd.DataFrame(rows, columns=columns)
    middle = 0.92 - 0.35 / table["raters_per_fov"] - 0.02 * table["class"].map(["", "micro", "macro", *classes].index)
    value = np.clip(middle + rng.normal(0, 0.08, len(table)) / np.sqrt(table["raters_per_fov"]), 0, 1)
    return table.assign(n_fovs=40, n_unique_raters=18, value=value)


def plan(classes: Sequence[str], cohorts: list[str]) -> pd.DataFrame:
    rows = [
        (
            cohort,
            "all",
            metric,
            name,
            0.8,
            4.0 + place,
            3.0 + place,
            6.0 + place,
            100.0 * (4 + place),
            f"{4 + place} raters per FOV reach {metric} ≥ 0.80 ({3 + place} to {6 + place}); the cheapest cohort",
        )
        for cohort in cohorts
        for place, (metric, name) in enumerate([("f1", ""), ("mcc", ""), *(("auroc", name) for name in classes[:4])])
    ]
    rows.append(
        (cohorts[0], "all", "auroc", "macro", 0.99, np.nan, np.nan, np.nan, np.nan, "cannot tell: too few FOVs")
    )
    columns = ["cohort", "condition", "metric", "class", "target", "raters_per_fov", "low", "high", "cost", "verdict"]
    return pd.DataFrame(rows, columns=columns)
