"""Section 5, how many raters per FOV are enough."""

from math import isfinite
from typing import Any

import pandas as pd

from crowdtruth.checks import ALL
from crowdtruth.report.figures import figures_of
from crowdtruth.report.inputs import Inputs, Section, at_level, in_order
from crowdtruth.report.words import Estimate, as_float, counted, group_words, number

_NAME, _TITLE = "redundancy", "How many raters are enough?"
_METRICS = {
    ("f1", ""): "Objects found (F1)",
    ("class_accuracy", ""): "Right class",
    ("mcc", ""): "Right class, beyond chance (MCC)",
    ("auroc", "micro"): "AUROC, micro",
    ("auroc", "macro"): "AUROC, macro",
}
_OF_CLASS = {"class_mcc": "MCC of", "class_f1": "F1 of", "recall": "Share found of", "auroc": "AUROC of"}
_IN_WORDS = {("f1", ""): "Finding objects (F1)", ("class_accuracy", ""): "Naming them rightly"}
_HARDLY = 0.01
_BAND = (0.025, 0.5, 0.975)


def redundancy(inputs: Inputs) -> Section:
    """The curve of quality over raters per FOV, and the plan."""
    figures = figures_of(_NAME, inputs.figures)
    if not inputs.has("redundancy") and not inputs.has("plan"):
        absent = "The results hold no redundancy experiment: this run did not try what labels fewer raters would give."
        return Section(_NAME, _TITLE, figures=figures, absent=absent)
    plan = _plan(inputs)
    curves = _curves(inputs) if inputs.has("redundancy") else []
    words = [
        "In a simulation, raters of each FOV are left out at random, labels are inferred from those who remain, and "
        "held against the reference. The band holds 95 % of the draws."
    ]
    steps = [row["sentence"] for row in plan if not row["is_of_class"]]
    words += [sentence for table in curves for sentence in table["words"]] if len(curves) == 1 else []
    brief = " ".join(
        steps[:1] or words[1:] or [f"{table['name']}: {' '.join(table['words'][:1])}" for table in curves[:3]]
    )
    overall, single = ([row for row in plan if row["is_of_class"] is which] for which in (False, True))
    body = {"curves": curves, "plan": overall, "of_classes": single}
    return Section(_NAME, _TITLE, words, body, figures, steps, brief=brief)


def _curves(inputs: Inputs) -> list[dict[str, Any]]:
    """One table per cohort × condition: rows by raters per FOV, columns by metric."""
    table = at_level(inputs.table("redundancy"), inputs.level)
    tables = []
    for (cohort, condition), rows in in_order(table, ["cohort", "condition"]):
        metrics = [key for key in _METRICS if ((rows["metric"] == key[0]) & (rows["class"] == key[1])).any()]
        lines = [_line(k, group, metrics) for k, group in rows.groupby("raters_per_fov", sort=True)]
        tables.append({
            "is_own": _is_own(str(rows["reference"].iloc[0]), cohort),
            "cohort": cohort, "condition": condition, "lines": lines, "metrics": [_METRICS[key] for key in metrics],
            "words": _enough(lines, metrics, "task" if inputs.is_crowd else "FOV"),
            "name": group_words(cohort, condition),
            "n_realizations": rows["realization"].nunique(),
        })  # fmt: skip
    return tables


def _is_own(reference: str, cohort: str) -> bool:
    """Whether a cohort is held against its own labels."""
    judge, _, name = reference.partition("@")[0].partition(":")
    return judge == "cohort" and name in ("own", cohort)


def _enough(lines: list[dict[str, Any]], metrics: list[tuple[str, str]], place_word: str) -> list[str]:
    """For finding and naming: from how many raters on more of them hardly change the median."""
    sentences = []
    for place, metric in enumerate(metrics):
        medians = [line["values"][place].value for line in lines]
        if metric not in _IN_WORDS or len(lines) < 2 or not isfinite(medians[-1]):
            continue
        far = [n for n, value in enumerate(medians) if not abs(value - medians[-1]) <= _HARDLY]
        first, last = lines[far[-1] + 1]["k"] if far else lines[0]["k"], lines[-1]["k"]
        levels_off = f"from {first} on it stays within {_HARDLY} of that"
        sentences.append(
            f"{_IN_WORDS[metric]}: {number(medians[0])} with {counted(lines[0]['k'], 'rater')} per {place_word}, "
            f"{number(medians[-1])} with {last}; {levels_off if first < last else 'the last rater still tells'}."
        )
    return sentences


def _line(k: Any, rows: pd.DataFrame, metrics: list[tuple[str, str]]) -> dict[str, Any]:
    """Medians and bands of the metrics at k raters per FOV."""
    values = []
    for metric, name in metrics:
        found = rows.loc[(rows["metric"] == metric) & (rows["class"] == name), "value"].dropna()
        low, middle, high = found.quantile(_BAND) if len(found) else (float("nan"),) * 3
        values.append(Estimate(float(middle), float(low), float(high)))
    return {"k": int(k), "n_fovs": int(rows["n_fovs"].max()), "values": values}


def _plan(inputs: Inputs) -> list[dict[str, Any]]:
    """The plan, row by row, each with its verdict as a sentence."""
    if not inputs.has("plan"):
        return []
    rows = []
    for row in inputs.table("plan").to_dict("records"):
        k, low, high = (as_float(row[name]) for name in ("raters_per_fov", "low", "high"))
        band = f" ({number(low, 0)} to {number(high, 0)})" if isfinite(low) and isfinite(high) else ""
        rows.append({
            "cohort": row["cohort"], "condition": row["condition"], "what": _goal(row["metric"], row["class"]),
            "target": number(row["target"]), "raters": f"{number(k, 0)}{band}" if isfinite(k) else "–",
            "cost": number(row["cost"], 0 if as_float(row["cost"]).is_integer() else 2),
            "verdict": row["verdict"], "is_of_class": bool(row["class"]),
            "is_cheapest": "the cheapest" in row["verdict"],
            "sentence": f"{_start(row['cohort'], row['condition'])}: {row['verdict']}.",
        })  # fmt: skip
    return rows


def _start(cohort: str, condition: str) -> str:
    """A cohort and a condition at the start of a sentence; names stay as they are."""
    words = group_words(cohort, condition)
    return f"A{words[1:]}" if cohort == ALL else words


def _goal(metric: str, name: str) -> str:
    """What a target is of, in words."""
    if (metric, name) in _METRICS:
        return _METRICS[metric, name]
    return " ".join(part for part in (_OF_CLASS.get(metric, metric), name) if part)
