"""Section 3, a card per rater: how good, how sure, compared with the cohort, and what is taken for what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import pandas as pd

from crowdtruth.report.confusions import Heat, confusions
from crowdtruth.report.differences import ACCURACY, COHORTS, differences
from crowdtruth.report.drift import Drift, drifts
from crowdtruth.report.figures import figures_of
from crowdtruth.report.inputs import Inputs, Section, in_order
from crowdtruth.report.words import (
    Estimate,
    as_float,
    counted,
    estimate_of,
    group_words,
    joined,
    median,
    percent,
    reference_words,
)

_NAME, _TITLE = "raters", "How good is each rater?"
SCORES = {
    "recall": "Finds",
    "precision": "Marks rightly",
    "f1": "Both (F1)",
    "class_accuracy": "Names rightly",
    "mcc": "Names, beyond chance (MCC)",
}
_IN_WORDS = {
    "recall": ("finds fewer objects", "finds more objects"),
    "precision": ("marks more that is no object", "marks less that is no object"),
    "class_accuracy": ("names what is found wrongly more often", "names what is found rightly more often"),
}
_FLAGGED = ("recall", "class_accuracy")
_LEAST_OF_A_COHORT = 3


@dataclass(frozen=True)
class Score:
    """One score of a rater under every condition."""

    name: str
    values: Sequence[tuple[str, Estimate]]  # condition, value

    @property
    def is_below(self) -> bool:
        """Whether the interval lies below the cohort's median under every condition that has one."""
        sides = [value.side for _, value in self.values if value.has_interval]
        return bool(sides) and max(sides) < 0


@dataclass(frozen=True)
class Card:
    """What is known of one rater."""

    rater: str
    cohort: str
    place: int  # among the raters, for links
    sentences: Sequence[str]
    counts: str
    scores: Sequence[Score]
    confusion: Heat | None
    drift: Drift | None
    is_below: bool  # finds or names less than the cohort's median, under every condition


def raters(inputs: Inputs) -> Section:
    """A card for every rater, and the words for all of them."""
    figures = figures_of(_NAME, inputs.figures)
    if not inputs.has("raters"):
        return Section(
            _NAME, _TITLE, figures=figures, absent="The results hold no table of raters: nobody could be judged."
        )
    table = inputs.table("raters")
    usual, conditions = usual_scores(table), list(table["condition"].unique())
    heats, changes = confusions(inputs), drifts(inputs)
    cards = [
        _card(
            place,
            rows.iloc[rows["condition"].map(conditions.index).argsort(kind="stable")],
            usual,
            heats.get(rater),
            changes.of.get(rater),
        )
        for place, ((rater,), rows) in enumerate(in_order(table, ["rater"]))
    ]
    cards.sort(key=lambda card: card.cohort)
    body = {
        "cards": cards, "scores": SCORES, "conditions": conditions, "lowest": _lowest(cards),
        "differences": differences(inputs, COHORTS, ACCURACY),
        "drift_absent": changes.absent, "has_confusion": bool(heats),
    }  # fmt: skip
    words = _words(table, cards)
    return Section(_NAME, _TITLE, words, body, figures, _next_steps(cards), brief=" ".join(words[1:]))


def usual_scores(table: pd.DataFrame) -> Mapping[tuple[str, str, str], float]:
    """The median of each cohort × condition × score, where the cohort is large enough to have one worth the name.

    Examples
    --------
    >>> scores = pd.DataFrame({"cohort": "P", "condition": "all", "rater": ["a", "b", "c"], "recall": [0.5, 0.7, 0.8]})
    >>> usual_scores(scores)
    {('P', 'all', 'recall'): 0.7}
    """
    found: dict[tuple[str, str, str], float] = {}
    for (cohort, condition), rows in in_order(table, ["cohort", "condition"]):
        if len(rows) >= _LEAST_OF_A_COHORT:
            found |= {(cohort, condition, name): median(rows[name]) for name in SCORES if name in rows}
    return found


def _card(
    place: int, rows: pd.DataFrame, usual: Mapping[tuple[str, str, str], float], heat: Heat | None, drift: Drift | None
) -> Card:
    """The card of one rater, from their rows in raters.csv."""
    cohort, scores = str(rows["cohort"].iloc[0]), []
    for name in SCORES:
        values = [
            (row["condition"], estimate_of(row, name, usual.get((cohort, row["condition"], name), float("nan"))))
            for row in rows.to_dict("records")
        ]
        if any(value.is_known for _, value in values):
            scores.append(Score(name, values))
    sentences = [*_level_sentence(rows), *_compared(scores, cohort)]
    return Card(
        str(rows["rater"].iloc[0]), cohort, place, sentences, _counts(rows), scores, heat, drift,
        is_below=any(score.is_below for score in scores if score.name in _FLAGGED),
    )  # fmt: skip


def _counts(rows: pd.DataFrame) -> str:
    """How much a rater did, over all conditions."""
    n_fovs = int(rows["n_fovs"].fillna(0).max())
    done = counted(rows["n_annotations"].sum(), "mark")
    return f"{done} in {counted(n_fovs, 'FOV')}" if n_fovs else counted(rows["n_annotations"].sum(), "answer")


def _compared(scores: Sequence[Score], cohort: str) -> list[str]:
    """How a rater differs from the cohort, where the interval says so."""
    told = []
    for score in scores:
        for side, words in zip((-1, 1), _IN_WORDS.get(score.name, ()), strict=False):
            where = [condition for condition, value in score.values if value.side == side]
            if where:
                told.append(words + (f" ({joined(where)})" if len(where) < len(score.values) else ""))
    has_usual = any(value.has_interval and isfinite(value.usual) for score in scores for _, value in score.values)
    if told:
        return [f"Compared with the median of {group_words(cohort)}: {joined(told, most=9)}."]
    return [f"No clear difference from the median of {group_words(cohort)}."] * has_usual


def _level_sentence(rows: pd.DataFrame) -> list[str]:
    """What a rater finds and how they name it, counted over all conditions."""
    named = rows.dropna(subset=["class_accuracy"])
    if rows["n_true_positive"].isna().all():  # a crowd table: nothing to be found
        return [f"Answers {percent(median(named['class_accuracy']))} of the tasks rightly."] if len(named) else []
    n_found, n_missed = rows["n_true_positive"].sum(), rows["n_false_negative"].sum()
    n_right = float((named["n_true_positive"] * named["class_accuracy"]).sum())
    text = f"Finds {n_found:,.0f} of {counted(n_found + n_missed, 'object')}"
    return [text + (f" and names {n_right:,.0f} of these rightly." if len(named) else ".")]


def _words(table: pd.DataFrame, cards: Sequence[Card]) -> list[str]:
    """Against what raters are held, and how far apart they are."""
    pairs = table[["reference", "condition"]].drop_duplicates().astype("str").itertuples(index=False)
    references = joined(dict.fromkeys(reference_words(*pair) for pair in pairs))
    sentences = [f"Each rater is held against {references}."]
    if "in_reference" in table and table["in_reference"].astype(bool).any():
        sentences.append(
            "Careful: some raters helped to make the labels that they are held against, so their scores show agreement "
            "with the others rather than correctness."
        )
    parts: list[str] = []
    for name, what in (("recall", "find {} of the objects"), ("class_accuracy", "name {} rightly")):
        if name in table and table[name].notna().any():
            low, high = (as_float(bound) for bound in (table[name].min(), table[name].max()))
            span = percent(high) if len(cards) == 1 else f"{percent(low)} to {percent(high)}"
            parts.append(what.format(f"{span} of these" if parts else span))
    if parts:
        sentences.append(f"They {joined(parts)}, by rater." if len(cards) > 1 else f"They {joined(parts)}.")
    return sentences


def _lowest(cards: Sequence[Card]) -> float:
    """Where the scale of the scores begins: 0, or below it where a score is negative."""
    lowest = [value.lowest for card in cards for score in card.scores for _, value in score.values]
    return min([0.0, *(bound for bound in lowest if isfinite(bound))])


def _next_steps(cards: Sequence[Card]) -> list[str]:
    """Whom to talk to."""
    below = [card.rater for card in cards if card.is_below]
    drifting = [card.rater for card in cards if card.drift is not None and card.drift.change.high < 0]
    steps = []
    if below:
        steps.append(
            f"Finding or naming less than the median of their cohort, beyond the interval: {joined(below, most=12)}. "
            "Some are always below a median; see in section 6 what they said before you conclude."
        )
    if drifting:
        steps.append(
            f"Agreement falls over time: {joined(drifting, most=12)}. A break or a second look at late FOVs may help."
        )
    return steps
