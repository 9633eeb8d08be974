"""Section 2, whether the raters agree beyond what chance would give."""

from typing import Any

import pandas as pd

from crowdtruth.agreement import agreement_level
from crowdtruth.agreement.selection import rows_of_run
from crowdtruth.report.differences import AGREEMENT, COHORTS, differences
from crowdtruth.report.figures import figures_of
from crowdtruth.report.inputs import Inputs, Section, at_level, in_order
from crowdtruth.report.words import Estimate, as_float, estimate_of, joined, median, number

_NAME, _TITLE = "agreement", "Do the raters agree?"
_SCOPES = {
    "detection_and_classification": "is something there, and what is it",
    "classification": "what is it, among those who marked it",
}
_STATISTICS = {
    "alpha": "Krippendorff's alpha",
    "fleiss_kappa": "Fleiss' kappa",
    "ac1": "Gwet's AC1",
    "percent_agreement": "share of agreeing pairs",
}
_UNDEFINED = {
    "no pairs": "no object was rated twice",
    "one class": "all ratings are of one class",
    "few shared": "too few shared objects",
}
_GOOD = 0.6  # above it agreement is called substantial
_WORST_PAIRS = 5


def agreement(inputs: Inputs) -> Section:
    """Coefficients by cohort and condition with intervals and words, then pairs of raters."""
    figures = figures_of(_NAME, inputs.figures)
    if not inputs.has("agreement"):
        absent = (
            "The results hold no agreement table: no two raters of a cohort rated the same objects, or the step was "
            "not run."
        )
        return Section(_NAME, _TITLE, figures=figures, absent=absent)
    options = inputs.options
    table = rows_of_run(
        inputs.table("agreement"),
        iou=options.get("iou"),
        min_detections=options.get("min_detections", 1),
        grouping=inputs.level,
    )
    rows = _rows(table[table["statistic"] == "alpha"])
    body = {
        "rows": rows, "all": _all_rows(table), "pairs": _pairs(inputs), "level": inputs.level,
        "differences": differences(inputs, COHORTS, AGREEMENT),
    }  # fmt: skip
    words = _words(rows)
    return Section(_NAME, _TITLE, words, body, figures, _next_steps(rows), brief=words[-1] if words else "")


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per scope × cohort × condition: the estimate and its words."""
    rows = []
    for scope, question in _SCOPES.items():
        for row in table[table["scope"] == scope].to_dict("records"):
            found = estimate_of(row)
            rows.append({
                "scope": scope, "question": question, "cohort": row["cohort"], "condition": row["condition"],
                "estimate": found, "level": _level(found, row),
                "n_anchors": row["n_anchors"], "n_raters": row["n_raters"],
            })  # fmt: skip
    return rows


def _level(found: Estimate, row: Any) -> str:
    """The words for a coefficient, and those that its interval reaches to."""
    if not found.is_known:
        return "cannot be told: " + _UNDEFINED.get(row["undefined"], row["undefined"] or "no value")
    word = agreement_level(min(found.value, 1.0))
    if not found.has_interval:
        return word
    ends = [agreement_level(min(bound, 1.0)) for bound in (found.low, found.high)]
    return word if ends[0] == ends[1] else f"{word} ({ends[0]} to {ends[1]})"


def _words(rows: list[dict[str, Any]]) -> list[str]:
    """The answer in a sentence for each question."""
    sentences = []
    for scope, question in _SCOPES.items():
        of_scope = [row for row in rows if row["scope"] == scope and row["estimate"].is_known]
        if not of_scope:
            continue
        several = len({row["cohort"] for row in of_scope}) > 1
        sentences.append(f"On “{question}” agreement is {joined(_by_cohort(of_scope, several), most=12)}.")
    return sentences


def _by_cohort(rows: list[dict[str, Any]], several: bool) -> list[str]:
    """Words for each cohort; conditions are named where the words differ between them."""
    found = {row["level"].split(" (")[0] for row in rows}
    if len(found) == 1:
        return [found.pop() + (" in all cohorts" if several else "")]
    words = []
    for cohort in dict.fromkeys(row["cohort"] for row in rows):
        conditions: dict[str, list[str]] = {}
        for row in rows:
            if row["cohort"] == cohort:
                conditions.setdefault(row["level"].split(" (")[0], []).append(row["condition"])
        where = f" among {cohort}" if several else ""
        words += [
            level + where + (f" under {joined(names)}" if len(conditions) > 1 else "")
            for level, names in conditions.items()
        ]
    return words


def _all_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Every coefficient of the same rows, for the full table."""
    return [
        {
            **{name: row[name] for name in ("cohort", "condition", "n_anchors", "n_raters", "resampled")},
            "statistic": _STATISTICS.get(row["statistic"], row["statistic"]),
            "question": _SCOPES.get(row["scope"], row["scope"]),
            "estimate": estimate_of(row),
            "undefined": _UNDEFINED.get(row["undefined"], row["undefined"]),
        }
        for row in table.to_dict("records")
    ]


def _pairs(inputs: Inputs) -> list[dict[str, Any]]:
    """One entry per condition × scope: how pairs of raters spread, and those that agree least.

    Pairs without an interval share too little to be called the worst.
    """
    if not inputs.has("pairwise"):
        return []
    entries = []
    table = at_level(inputs.table("pairwise"), inputs.level)
    for (condition, scope), rows in in_order(table, ["condition", "scope"]):
        known = rows[rows["kappa"].notna()].sort_values(["kappa", "first", "second"], kind="stable")
        ends = (known["kappa"].min(), known["kappa"].max()) if len(known) else (None, None)
        entries.append({
            "condition": condition, "question": _SCOPES.get(scope, scope), "n_pairs": len(rows), "n_known": len(known),
            "median": number(median(known["kappa"])), "least": number(ends[0]), "most": number(ends[1]),
            "worst": [_pair(row) for row in known[known["low"].notna()].head(_WORST_PAIRS).to_dict("records")],
        })  # fmt: skip
    return entries


def _pair(row: Any) -> dict[str, Any]:
    """Two raters and their kappa."""
    kappa = Estimate(as_float(row["kappa"]), as_float(row["low"]), as_float(row["high"]))
    return {"first": row["first"], "second": row["second"], "n_anchors": row["n_anchors"], "estimate": kappa}


def _next_steps(rows: list[dict[str, Any]]) -> list[str]:
    """What to do where agreement on the class is not substantial."""
    weak = [
        row for row in rows
        if row["scope"] == "classification" and row["estimate"].is_known and row["estimate"].value <= _GOOD
    ]  # fmt: skip
    if not weak:
        return []
    groups = joined(sorted({row["cohort"] for row in weak}))
    return [
        f"Agreement on the class is not yet substantial (cohort {groups}). Read the confusion tables of section 3 for "
        "the classes that are mixed up, and settle them on the examples of section 6."
    ]
