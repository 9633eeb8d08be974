"""A study or a result folder in a few lines of text, for the end of a command."""

import textwrap

import pandas as pd

from crowdtruth.results import ResultFolder
from crowdtruth.study import Study

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
    parts = (_describe_anchors, _describe_truth, _describe_accuracy, _describe_raters)
    lines = [line for part in parts for line in part(results)]
    files = sorted({file for step in results.record["steps"].values() for file in step["files"]})
    return "\n".join([f"results in {results.path}", *(f"  {line}" for line in lines), *_wrapped(files)])


def _wrapped(files: list[str]) -> list[str]:
    """Names of files, on lines that fit a page."""
    return textwrap.wrap(f"files: {', '.join(files)}", 96, initial_indent="  ", subsequent_indent="    ")


def _describe_anchors(results: ResultFolder) -> list[str]:
    if not results.has("members"):
        return []
    members, n_anchors = results.table("members"), len(results.table("anchors"))
    if not results.has("ratings"):
        return [f"{_number(len(members), 'mark')} are {_number(n_anchors, 'anchor')}"]
    fovs, raters = len(results.table("fovs")), results.table("ratings")["rater"].nunique()
    return [
        f"{_number(len(members), 'mark')} in {_number(fovs, 'FOV')} are {_number(n_anchors, 'anchor')}; "
        f"{_number(raters, 'rater')} asked there"
    ]


def _number(count: int, what: str) -> str:
    """A count with its word.

    Examples
    --------
    >>> _number(1, "mark"), _number(4521, "mark")
    ('1 mark', '4,521 marks')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _describe_truth(results: ResultFolder) -> list[str]:
    if not results.has("truth"):
        return []
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
    if not results.has("accuracy"):
        return []
    accuracy = results.table("accuracy")
    cohorts = set(results.table("truth")["cohort"])
    overall = accuracy[accuracy["who"].isin(cohorts) & (accuracy["class"] == "")]
    lines = []
    for (who, condition, reference), rows in overall.groupby(["who", "condition", "reference"], sort=False):
        score = rows.set_index("metric")["value"]
        words = ", ".join(f"{name} {score[name]:.3f}" for name in _SCORES if name in score and pd.notna(score[name]))
        lines += [f"inferred labels of {who}, condition {condition}, against {reference}", f"  {words}"]
    return lines


def _describe_raters(results: ResultFolder) -> list[str]:
    if not results.has("raters"):
        return []
    raters = results.table("raters")
    lines = []
    for (condition, reference), rows in raters.groupby(["condition", "reference"], sort=False):
        scored = [name for name in _SCORES if rows[name].notna().any()]
        ranges = [f"{name} {rows[name].min():.3f}–{rows[name].max():.3f}" for name in scored]
        lines += [f"{len(rows)} raters, condition {condition}, against {reference}", f"  {', '.join(ranges)}"]
    return lines


def _counts(what: str, column: pd.Series) -> str:
    return f"{what}: {_shares(column)}"


def _shares(column: pd.Series) -> str:
    """Values with their counts, most frequent first."""
    counts = column.value_counts()
    shown = ", ".join(f"{value} {count:,}" for value, count in counts.head(15).items())
    return shown + (f", … ({len(counts)} in all)" if len(counts) > 15 else "")
