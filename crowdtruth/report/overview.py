"""Section 1, the study in numbers."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from crowdtruth.report.inputs import Inputs, Section, in_order
from crowdtruth.report.words import counted, joined, number
from crowdtruth.taxonomy import UNDETECTED

_NAME, _TITLE = "overview", "The study in numbers"


@dataclass(frozen=True)
class Share:
    """One class of the inferred labels: how many objects, and where its piece of the bar lies, in percent."""

    label: str
    count: int
    left: float
    width: float


def overview(inputs: Inputs) -> Section:
    """Who marked what, and what came of it."""
    if not inputs.has("ratings"):
        return Section(_NAME, _TITLE, absent=_nothing_marked(inputs))
    ratings = inputs.table("ratings")
    words = [_what(inputs, ratings), _who(ratings)]
    body: dict[str, Any] = {"raters": _asked(inputs, ratings), "labels": []}
    if inputs.has("truth"):
        body["labels"] = _labels(inputs)
        body["place_of"] = {name: place for place, name in enumerate(inputs.classes)}
        words.append(_certainty(inputs.table("truth")))
    return Section(_NAME, _TITLE, words, body, brief=words[0])


def _nothing_marked(inputs: Inputs) -> str:
    """Why there is nothing to count: nobody marked anything, where it is known who looked."""
    asked = inputs.study.assignments if inputs.study else pd.DataFrame()
    if asked.empty:
        return "The results hold no ratings, so there is nothing to count."
    raters, fovs = asked["rater"].nunique(), asked["fov"].nunique()
    return f"{counted(raters, 'rater')} looked at {counted(fovs, 'FOV')} and marked nothing."


def _what(inputs: Inputs, ratings: pd.DataFrame) -> str:
    """What was marked, where."""
    n_anchors = ratings["anchor"].nunique()
    fovs = set(ratings["fov"].unique()) - {""}
    if not fovs:
        return f"{counted(len(ratings), 'answer')} to {counted(n_anchors, 'task')}."
    places = [counted(len(fovs), "field of view", "fields of view") + " (FOVs)"]
    if inputs.has("fovs"):
        known = inputs.table("fovs")
        known = known[known["fov"].isin(fovs)]
        for column in ("slide", "hospital"):
            if column in known and (names := set(known[column].dropna()) - {""}):
                places.append(counted(len(names), column))
    if not inputs.has("members"):
        return f"{counted(n_anchors, 'located object')} in {joined(places)} were given labels."
    marks = counted(len(inputs.table("members")), "mark")
    return f"{marks} in {joined(places)} were joined to {counted(n_anchors, 'anchor')}: places that someone marked."


def _who(ratings: pd.DataFrame) -> str:
    """Who was asked, under which conditions."""
    cohort_of = ratings[["rater", "cohort"]].drop_duplicates()
    counts = cohort_of.groupby("cohort", observed=True)["rater"].nunique()
    cohorts = joined(f"{count} in {name}" for name, count in counts.items())
    conditions = sorted(ratings["condition"].astype("str").unique())
    text = f"{counted(cohort_of['rater'].nunique(), 'rater')} took part"
    text += f" ({cohorts})" if len(counts) > 1 else ""
    return text + (f", under {len(conditions)} conditions: {joined(conditions)}." if len(conditions) > 1 else ".")


def _certainty(truth: pd.DataFrame) -> str:
    """How sure the inferred labels are."""
    objects = truth[truth["is_object"].astype(bool)]
    if objects.empty:
        return "No anchor is inferred to be an object."
    n_sure = int((objects["probability"] >= 0.95).sum())
    are_several = len(objects[["cohort", "condition"]].drop_duplicates()) > 1
    what = "inferred labels of objects, all cohorts and conditions together," if are_several else "objects"
    rest = "" if n_sure == len(objects) else "; the others are where to look first (section 6)"
    return (
        "From what the raters of a cohort say, the true label of each anchor is inferred, and how probable it is. "
        f"{n_sure:,} of {len(objects):,} {what} {'are' if are_several else 'have a label that is'} at least 95 % "
        f"probable{rest}."
    )


def _asked(inputs: Inputs, ratings: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per cohort × condition: raters, FOVs, ratings and how many of them are marks."""
    rows = []
    for (cohort, condition), group in in_order(ratings, ["cohort", "condition"]):
        marked = group["label"].astype("str") != UNDETECTED
        per_fov = group.groupby("fov", observed=True)["rater"].nunique()
        rows.append({
            "cohort": cohort, "condition": condition, "n_raters": group["rater"].nunique(),
            "n_fovs": group["fov"].nunique() if (group["fov"] != "").any() else "–",
            "per_fov": _span(per_fov), "n_anchors": group["anchor"].nunique(), "n_marks": int(marked.sum()),
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["cohort"], row["condition"]))


def _span(counts: pd.Series) -> str:
    """The least and the most of some counts."""
    least, most = int(counts.min()), int(counts.max())
    return number(least, 0) if least == most else f"{least} to {most}"


def _labels(inputs: Inputs) -> list[dict[str, Any]]:
    """One row per cohort × condition of the inferred labels: objects, and the share of each class."""
    rows = []
    for (cohort, condition), group in in_order(inputs.table("truth"), ["cohort", "condition"]):
        objects = group[group["is_object"].astype(bool)]
        counts = objects["label"].astype("str").value_counts()
        rows.append({
            "cohort": cohort, "condition": condition, "n_anchors": len(group), "n_objects": len(objects),
            "shares": _shares([(name, int(counts.get(name, 0))) for name in inputs.classes]),
        })  # fmt: skip
    return rows


def _shares(counts: list[tuple[str, int]]) -> list[Share]:
    """Pieces of a bar of 100 %, without those of nothing."""
    total, left, pieces = sum(count for _, count in counts), 0.0, []
    for label, count in counts:
        if count:
            width = 100 * count / total
            pieces.append(Share(label, count, left, width))
            left += width
    return pieces
