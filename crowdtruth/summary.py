"""A study or a result folder in a few lines of text, for the end of a command."""

import textwrap

import numpy as np
import pandas as pd

from crowdtruth.agreement.selection import rows_of_run
from crowdtruth.results import ResultFolder
from crowdtruth.study import Study
from crowdtruth.taxonomy import RAW

_SCORES = ("precision", "recall", "f1", "class_accuracy")


def describe_study(study: Study) -> str:
    """What is in a study, line by line."""
    ratings = study.ratings
    if ratings is not None:
        what, items = ("a crowd table", "tasks") if study.is_crowd else ("a located study", "anchors")
        n_items, n_raters = ratings["anchor"].nunique(), len(study.raters)
        lines = [
            f"{what}: {len(ratings):,} ratings of {n_items:,} {items} by {n_raters:,} raters",
            _counts("labels", ratings["label"]),
        ]
    else:
        marks = study.annotations
        lines = [
            f"{len(marks):,} marks of {len(study.raters):,} raters in {len(study.fovs):,} FOVs, "
            f"{len(study.assignments):,} assignments",
            _counts("labels", marks["label"]),
            _counts("kinds", marks["kind"]),
            _counts("conditions", marks["condition"]),
            _counts("cohorts (raters)", study.raters["cohort"]),
        ]
        if study.reference is not None:
            lines.append(f"reference: {len(study.reference):,} objects")
    lines += [f"note: {note}" for note in study.notes]
    return "\n".join(["the study is valid", *(f"  {line}" for line in lines)])


def describe_results(results: ResultFolder) -> str:
    """What a run found and where it is."""
    files = sorted({file for step in results.record["steps"].values() for file in step["files"]})
    parts = {
        "members.csv": _describe_anchors,
        "truth.csv": _describe_truth,
        "accuracy.csv": _describe_accuracy,
        "raters.csv": _describe_raters,
        "agreement.csv": _describe_agreement,
        "redundancy.csv": _describe_redundancy,
        "plan.csv": _describe_plan,
    }
    lines = [line for file, part in parts.items() if file in files for line in part(results)]
    files = sorted({file.partition("/")[0] + "/" * ("/" in file) for file in files})
    return "\n".join([f"results in {results.path}", *(f"  {line}" for line in lines), *_wrapped(files)])


def _wrapped(files: list[str]) -> list[str]:
    """Names of files, on lines that fit a page."""
    return textwrap.wrap(f"files: {', '.join(files)}", 96, initial_indent="  ", subsequent_indent="    ")


def _describe_anchors(results: ResultFolder) -> list[str]:
    members, n_anchors = results.table("members"), len(results.table("anchors"))
    if not results.has("ratings"):
        return [f"{_number(len(members), 'mark')} are {_number(n_anchors, 'anchor')}"]
    fovs = len(results.table("fovs"))
    asked = f"; {_number(results.table('ratings')['rater'].nunique(), 'rater')} asked there" if n_anchors else ""
    return [f"{_number(len(members), 'mark')} in {_number(fovs, 'FOV')} are {_number(n_anchors, 'anchor')}{asked}"]


def _number(count: int, what: str) -> str:
    """A count with its word.

    Examples
    --------
    >>> _number(1, "mark"), _number(4521, "mark")
    ('1 mark', '4,521 marks')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _describe_truth(results: ResultFolder) -> list[str]:
    lines = []
    for (cohort, condition), n_all, rows in _groups(results.table("truth")):
        lines.append(f"cohort {cohort}, condition {condition}: {len(rows):,} of {n_all:,} anchors are objects")
        lines.append(f"  {_shares(rows['label'])}")
    return lines


def _groups(truth: pd.DataFrame) -> list[tuple[tuple[str, str], int, pd.DataFrame]]:
    """(cohort, condition), number of anchors, and the rows that are objects."""
    groups = truth.groupby(["cohort", "condition"], sort=False)
    return [((str(key[0]), str(key[1])), len(rows), rows[rows["is_object"]]) for key, rows in groups]


def _describe_accuracy(results: ResultFolder) -> list[str]:
    accuracy = results.table("accuracy")
    raters = set(results.table("raters")["rater"])
    overall = accuracy[~accuracy["who"].isin(raters) & (accuracy["class"] == "")]
    lines = []
    for (who, condition, reference), rows in overall.groupby(["who", "condition", "reference"], sort=False):
        found = {row["metric"]: row for row in rows.to_dict("records") if pd.notna(row["value"])}
        words = [
            f"{name} {_with_interval(found[name]['value'], found[name]['low'], found[name]['high'])}"
            for name in _SCORES
            if name in found
        ]
        lines.append(f"inferred labels of {who}, condition {condition}, against {reference}")
        lines += textwrap.wrap(", ".join(words), 96, initial_indent="  ", subsequent_indent="  ")
    return lines


def _describe_raters(results: ResultFolder) -> list[str]:
    raters = results.table("raters")
    lines = []
    for (condition, reference), rows in raters.groupby(["condition", "reference"], sort=False):
        scored = [name for name in _SCORES if rows[name].notna().any()]
        ranges = [f"{name} {rows[name].min():.3f}–{rows[name].max():.3f}" for name in scored]
        lines += [
            f"{_number(len(rows), 'rater')}, condition {condition}, against {reference}",
            f"  {', '.join(ranges)}",
        ]
    return lines


def _describe_agreement(results: ResultFolder) -> list[str]:
    """Alpha of each cohort and condition at the threshold, number of detections and grouping of the run."""
    options, table = results.record["options"], results.table("agreement")
    classes = options["classes"]
    level = RAW if classes is None else classes if isinstance(classes, str) else None
    rows = rows_of_run(table, iou=options["iou"], min_detections=options["min_detections"], grouping=level)
    rows = rows[rows["statistic"] == "alpha"].drop_duplicates(["cohort", "condition", "scope"])
    return [
        f"agreement of {row['cohort']}, condition {row['condition']}, {row['scope'].replace('_', ' ')}: alpha "
        + _with_interval(row["value"], row["low"], row["high"])
        for row in rows.to_dict("records")
    ]


def _describe_redundancy(results: ResultFolder) -> list[str]:
    """The first metric of all classes at every fifth of the numbers of raters."""
    table = results.table("redundancy")
    lines = []
    for (cohort, condition, reference), rows in table.groupby(["cohort", "condition", "reference"], sort=False):
        metric = "f1" if (rows["metric"] == "f1").any() else "class_accuracy"
        median = rows[rows["metric"] == metric].groupby("raters_per_fov")["value"].median()
        shown = median.iloc[np.unique(np.linspace(0, len(median) - 1, 6).round().astype(int))]
        words = ", ".join(f"{k}: {value:.3f}" for k, value in shown.items())
        lines += [
            f"redundancy of {cohort}, condition {condition}, against {reference}",
            f"  {metric} by raters: {words}",
        ]
    return lines


def _describe_plan(results: ResultFolder) -> list[str]:
    """The verdicts asked for; else those on all classes together, and how many there are on single classes."""
    rows = results.table("plan")
    is_shown = (rows["class"] == "") | bool(results.record["options"]["target"])
    overall = rows[is_shown].to_dict("records") or rows.to_dict("records")
    lines = [f"plan for {row['cohort']}, condition {row['condition']}: {row['verdict']}" for row in overall]
    more = len(rows) - len(overall)
    return [*lines, f"  {more} more verdicts, on single classes, in plan.csv"] if more else lines


def _with_interval(value: float, low: float, high: float) -> str:
    """A value with its interval, in brackets, where it has one."""
    if pd.isna(value):
        return "undefined"
    return f"{value:.3f}" if pd.isna(low) else f"{value:.3f} ({low:.3f}–{high:.3f})"


def _counts(what: str, column: pd.Series) -> str:
    return f"{what}: {_shares(column)}"


def _shares(column: pd.Series) -> str:
    """Values with their counts, most frequent first."""
    counts = column.value_counts()
    shown = ", ".join(f"{value} {count:,}" for value, count in counts.head(15).items())
    return shown + (f", … ({len(counts)} in all)" if len(counts) > 15 else "")
