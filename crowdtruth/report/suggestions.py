"""Section 4, whether suggestions (or any other condition) change what raters say."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crowdtruth.agreement import agreement_level
from crowdtruth.report.differences import ACCURACY, AGREEMENT, CONDITIONS, differences
from crowdtruth.report.figures import figures_of
from crowdtruth.report.inputs import Inputs, Section, at_level, in_order
from crowdtruth.report.raters import SCORES
from crowdtruth.report.words import (
    Estimate,
    as_float,
    counted,
    group_words,
    joined,
    median,
    median_estimate,
    number,
    signed_estimate,
)
from crowdtruth.resampling import bootstrap

_NAME, _TITLE = "suggestions", "Do suggestions change what raters say?"
_IN_WORDS = {
    "recall": ("find fewer objects", "find more objects"),
    "precision": ("mark more that is no object", "mark less that is no object"),
    "class_accuracy": ("name fewer of them rightly", "name more of them rightly"),
}
_LEAST_RATERS = 6  # of whom it is said in words that they change
_SIGNIFICANT = 0.05
_SCOPE = "classification"


def suggestions(inputs: Inputs) -> Section:
    """Raters against themselves, paired differences and clicks, for studies of several conditions."""
    figures = figures_of(_NAME, inputs.figures)
    conditions = sorted(inputs.table("ratings")["condition"].astype("str").unique()) if inputs.has("ratings") else []
    if len(conditions) < 2:
        only = f" (“{conditions[0]}”)" if conditions else ""
        absent = (
            f"The study has a single condition{only}. The effect of suggestions is seen where the same raters mark the "
            "same FOVs with and without."
        )
        return Section(_NAME, _TITLE, figures=figures, absent=absent)
    themselves, paired, tests = _self_agreement(inputs), _paired(inputs), _tests(inputs)
    changed = differences(inputs, CONDITIONS, {**AGREEMENT, **ACCURACY})
    sentences = changed.sentences if changed else _changed(paired)
    words = [f"The study has {len(conditions)} conditions: {joined(conditions)}."]
    words += [entry["words"] for entry in themselves if entry["words"]] + _clicks(themselves)
    words += [] if changed else sentences
    body = {
        "differences": changed,
        "self_agreement": themselves,
        "paired": paired,
        "tests": tests,
        "scores": list(SCORES.values()),
    }
    if not (themselves or paired or tests or changed):
        absent = "There are several conditions, but no rater was asked about the same objects under two of them."
        return Section(_NAME, _TITLE, figures=figures, absent=absent)
    return Section(_NAME, _TITLE, words, body, figures, brief=" ".join([*words[1:2], *sentences[:2]]))


def _self_agreement(inputs: Inputs) -> list[dict[str, Any]]:
    """One entry per pair of conditions: kappa and clicks of each rater."""
    if not inputs.has("self_agreement"):
        return []
    table = at_level(inputs.table("self_agreement"), inputs.level)
    table = table[table["scope"] == (_SCOPE if _SCOPE in set(table["scope"]) else table["scope"].iloc[0])]
    entries = []
    for (first, second), rows in in_order(table, ["first_condition", "second_condition"]):
        raters = [
            {
                **{name: row[name] for name in ("rater", "cohort", "n_anchors")},
                "estimate": Estimate(as_float(row["kappa"]), as_float(row["low"]), as_float(row["high"])),
                "clicked": as_float(row.get("proportion_clicked")),
            }
            for row in rows.to_dict("records")
        ]
        words = _self_words(first, second, [row["estimate"].value for row in raters if row["estimate"].is_known])
        entries.append({
            "first": first, "second": second, "raters": raters, "words": words,
            "cohorts": [_of_cohort(name, raters) for name in dict.fromkeys(row["cohort"] for row in raters)],
        })  # fmt: skip
    return entries


def _self_words(first: str, second: str, kappas: list[float]) -> str:
    """How raters agree with themselves, in a sentence."""
    if not kappas:
        return ""
    level = agreement_level(min(median(kappas), 1.0))
    return (
        f"Between {first} and {second} the middle rater's agreement with themselves is {level}: "
        f"kappa {median_estimate(kappas)}, {counted(len(kappas), 'rater')}."
    )


def _of_cohort(name: str, raters: list[dict[str, Any]]) -> dict[str, Any]:
    """How the raters of a cohort spread: kappa, and clicks in 100 marks."""
    own = [row for row in raters if row["cohort"] == name]
    known = [row["estimate"].value for row in own if row["estimate"].is_known]
    span = f"{number(min(known))} to {number(max(known))}" if known else "–"
    clicked = _in_hundred(median_estimate([row["clicked"] for row in own]))
    return {"cohort": name, "n_raters": len(known), "median": median_estimate(known), "span": span, "clicked": clicked}


def _in_hundred(share: Estimate) -> str:
    """A share with its interval, out of a hundred."""
    interval = f" ({number(100 * share.low, 0)} to {number(100 * share.high, 0)})" if share.has_interval else ""
    return number(100 * share.value, 0) + interval


def _clicks(entries: list[dict[str, Any]]) -> list[str]:
    """How many of their marks the middle rater accepts from suggestions, under each condition that has some."""
    shares = {entry["second"]: median_estimate([row["clicked"] for row in entry["raters"]]) for entry in entries}
    return [
        f"Under {condition} {_in_hundred(share)} of 100 marks of the middle rater are accepted suggestions."
        for condition, share in shares.items()
        if share.value > 0
    ]


def _paired(inputs: Inputs) -> list[dict[str, Any]]:
    """Mean difference of each score between two conditions, over the raters who worked under both."""
    if not inputs.has("raters"):
        return []
    rows = []
    for (cohort,), table in in_order(inputs.table("raters"), ["cohort"]):
        for first, second in combinations(dict.fromkeys(table["condition"].astype("str")), 2):
            before, after = (table[table["condition"] == name].set_index("rater") for name in (first, second))
            changes = [(after[name].astype(float) - before[name].astype(float)).dropna() for name in SCORES]
            if any(len(change) for change in changes):
                found = {name: mean_change(one.to_numpy()) for name, one in zip(SCORES, changes, strict=True)}
                n_raters = max(len(change) for change in changes)
                shown = [signed_estimate(change) for change in found.values()]
                place = {"cohort": cohort, "first": first, "second": second, "n": n_raters}
                rows.append(place | {"found": found, "changes": shown})
    return rows


def mean_change(change: NDArray[Any]) -> Estimate:
    """The mean of differences (n_raters,), with its interval over raters.

    Examples
    --------
    >>> signed_estimate(mean_change(np.array([0.1] * 6))), signed_estimate(mean_change(np.array([-0.25])))
    ('+0.10 (+0.10 to +0.10)', '−0.25 (no interval)')
    """
    if not len(change):
        return Estimate()
    found = bootstrap(np.stack([change, np.ones(len(change))], axis=1), lambda sums: sums[..., 0] / sums[..., 1])
    return Estimate(*(float(bound) for bound in (found.value, found.low, found.high)))


def _changed(paired: list[dict[str, Any]]) -> list[str]:
    """What clearly changes for the raters of a cohort from one condition to another, in sentences."""
    sentences = []
    for row in paired:
        clear = [
            words[change.low > 0]
            for name, change in row["found"].items()
            if (words := _IN_WORDS.get(name)) and change.has_interval and (change.low > 0 or change.high < 0)
        ]
        if clear and row["n"] >= _LEAST_RATERS:
            sentences.append(f"From {row['first']} to {row['second']}, {group_words(row['cohort'])} {joined(clear)}.")
    return sentences or ["No score of a cohort changes clearly between conditions."] * bool(paired)


def _tests(inputs: Inputs) -> list[dict[str, Any]]:
    """The rank tests of the run between conditions."""
    if not inputs.has("comparisons"):
        return []
    rows = []
    table = inputs.table("comparisons")
    table = table[table["question"].str.endswith("by conditions") & table["p_holm"].notna()]
    for row in table.to_dict("records"):
        p = as_float(row["p_holm"])
        rows.append({
            **{name: row[name] for name in ("question", "cohort", "first", "second", "grouping", "condition")},
            "medians": f"{number(row['median_first'])} and {number(row['median_second'])}",
            "n": f"{row['n_first']} and {row['n_second']}", "effect": f"{row['effect']} {number(row['effect_size'])}",
            "p": "< 0.001" if p < 0.001 else number(p, 3), "is_clear": p < _SIGNIFICANT,
        })  # fmt: skip
    return rows
