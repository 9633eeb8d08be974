"""Between cohorts and between conditions: rank tests, and paired differences with intervals."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import pandas as pd

from crowdtruth.accuracy import Outcomes, accuracy_difference, area_difference
from crowdtruth.agreement import agreement_difference
from crowdtruth.comparisons import BY, comparisons_table
from crowdtruth.ratings import of_cohorts
from crowdtruth.steps.agreeing import chosen_ratings, with_rows
from crowdtruth.steps.inferring import classes_in_order
from crowdtruth.steps.judging import labels_of_anchors, outcomes_of_labels, outcomes_of_raters
from crowdtruth.steps.run import Run, Tables, cohorts_of, grouping_of, resampling_of
from crowdtruth.taxonomy import RAW

COLUMNS = (
    *("measure", "metric", "scope", "class", "grouping", "by", "cohort", "condition", "first", "second"),
    *("value", "low", "high", "n_groups", "resampled"),
)
Side = tuple[str, str]
"""Cohort and condition."""
Difference = Callable[[Side, Side], pd.DataFrame]


def compare(run: Run) -> Tables:
    """Rank tests between cohorts, conditions, groupings and verdicts on outlines."""
    results = run.results
    names = [name for name in ("pairwise", "self_agreement", "outlines") if results.has(name)]
    tables = {name: results.table(name) for name in names}
    return with_rows({"comparisons": comparisons_table(tables, by=run.options.compare or BY)})


def differ(run: Run) -> Tables:
    """Agreement and accuracy of one cohort or condition minus those of another, on the same FOVs."""
    if run.study.is_crowd:
        return {}
    by = run.options.compare or BY
    measures = {**agreement_measure(run), **accuracy_measures(run)}
    rows = [
        difference(*sides).assign(measure=measure, **names)
        for measure, (there, difference) in measures.items()
        for names, sides in pairs_of(there)
        if names["by"] in by
    ]
    grouping = grouping_of(run)
    level = RAW if grouping is None else grouping.level
    table = pd.concat(rows, ignore_index=True).assign(grouping=level) if rows else pd.DataFrame(columns=[*COLUMNS])
    texts = {name: table[name].fillna("") for name in ("scope", "class") if name in table}
    return with_rows({"differences": table.assign(**texts).reindex(columns=[*COLUMNS])})


def pairs_of(sides: list[Side]) -> Iterator[tuple[dict[str, str], tuple[Side, Side]]]:
    """Every two sides that differ in the cohort alone or in the condition alone, with how a table names them.

    Examples
    --------
    >>> [(names["by"], names["first"], names["second"]) for names, _ in pairs_of([("P", "E"), ("P", "U"), ("NP", "E")])]
    [('conditions', 'E', 'U'), ('cohorts', 'P', 'NP')]
    """
    for one, other in combinations(sides, 2):
        if one[0] == other[0]:
            yield (
                {"by": "conditions", "cohort": one[0], "condition": "", "first": one[1], "second": other[1]},
                (one, other),
            )
        elif one[1] == other[1]:
            yield (
                {"by": "cohorts", "cohort": "", "condition": one[1], "first": one[0], "second": other[0]},
                (one, other),
            )


def agreement_measure(run: Run) -> Mapping[str, tuple[list[Side], Difference]]:
    """Agreement of the raters of a cohort under a condition."""
    ratings, cohorts = chosen_ratings(run)
    given = of_cohorts(ratings, cohorts).astype({"cohort": "str", "condition": "str"})
    parts = {(str(side[0]), str(side[1])): rows for side, rows in given.groupby(["cohort", "condition"], sort=False)}
    counting: dict[str, Any] = {
        "grouping": grouping_of(run),
        "classes": classes_in_order(run.study.taxonomy, ratings["label"]),
        **resampling_of(run.options),
    }

    def difference(one: Side, other: Side) -> pd.DataFrame:
        found = agreement_difference(parts[one], parts[other], run.study.fovs, **counting)
        return found.rename(columns={"statistic": "metric"})

    return {"agreement": (list(parts), difference)}


def accuracy_measures(run: Run) -> Mapping[str, tuple[list[Side], Difference]]:
    """Accuracy of the raters of a cohort, pooled, and of its inferred labels; and the areas under their curves."""
    judged, truth = labels_of_anchors(run), run.results.table("truth")
    drawn: dict[str, Any] = {**resampling_of(run.options), "fovs": run.study.fovs}

    def areas(one: Side, other: Side) -> pd.DataFrame:
        return area_difference(judged, truth, one, other, **drawn)

    scored = {
        "raters": by_side(outcomes_of_raters(run), members_of(run)),
        "labels": by_side(outcomes_of_labels(run), {cohort: [cohort] for cohort in cohorts_of(run)}),
    }
    measures: dict[str, tuple[list[Side], Difference]] = {
        name: (list(parts), partial(score_difference, parts, drawn)) for name, parts in scored.items()
    }
    return {**measures, "areas": (list(scored["labels"]), areas)}


def score_difference(parts: Mapping[Side, Outcomes], drawn: Mapping[str, Any], one: Side, other: Side) -> pd.DataFrame:
    """Scores of one side minus those of another."""
    return accuracy_difference(parts[one], parts[other], **drawn)


def members_of(run: Run) -> Mapping[str, list[str]]:
    """The raters of every cohort asked for."""
    raters = run.study.raters
    return {name: raters.loc[raters["cohort"].isin(union), "rater"].tolist() for name, union in cohorts_of(run).items()}


def by_side(outcomes: Outcomes, who: Mapping[str, list[str]]) -> dict[Side, Outcomes]:
    """Outcomes of every cohort under every condition in which any of its own is judged."""
    parts = {}
    for cohort, names in who.items():
        for condition in outcomes.judged["condition"].unique():
            rows, judged = (
                table[table["who"].isin(names) & (table["condition"] == condition)]
                for table in (outcomes.rows, outcomes.judged)
            )
            if len(judged):
                parts[cohort, str(condition)] = replace(outcomes, rows=rows, judged=judged)
    return parts
