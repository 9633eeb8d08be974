"""Which figure stands in which section, and what it shows in words."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

# first part of a figure's name -> section, what it shows; the longest that fits counts
_CAPTIONS: Mapping[str, tuple[str, str]] = {
    "agreement": ("agreement", "Agreement of the raters of each cohort, with 95 % intervals."),
    "pairwise": ("agreement", "Agreement of every two raters (Cohen's kappa)."),
    "kappa": ("agreement", "Agreement of every two raters (Cohen's kappa)."),
    "rater_map": ("agreement", "Raters on a map: near each other where they agree."),
    "threshold": ("agreement", "How agreement and the number of objects depend on how marks are joined."),
    "sweep": ("agreement", "How agreement and the number of objects depend on how marks are joined."),
    "precision_recall": ("raters", "Finding objects: precision against recall, with 95 % bands."),
    "roc": ("raters", "Naming objects: sensitivity against 1 − specificity, with 95 % bands."),
    "accuracy": ("raters", "Scores against the reference, with 95 % intervals."),
    "raters": ("raters", "Scores of all raters against the reference, with 95 % intervals."),
    "rater": ("raters", "Scores of all raters against the reference, with 95 % intervals."),
    "confusion": ("raters", "What is taken for what."),
    "anchor": ("raters", "What is taken for what, by object."),
    "ease": ("raters", "How many objects are marked by at least so many raters."),
    "self_agreement": ("suggestions", "Agreement of each rater with themselves between conditions."),
    "comparison": ("suggestions", "Values by rater under each condition."),
    "segmented": ("suggestions", "Share of objects whose suggested outline is accepted rightly."),
    "proportion": ("suggestions", "Share of objects whose suggested outline is accepted rightly."),
    "outline": ("suggestions", "Accepted outlines against traced ones."),
    "redundancy": ("redundancy", "How good inferred labels are with fewer raters per FOV; bands hold 95 % of draws."),
    "plan": ("redundancy", "How many raters per FOV reach the target."),
}  # fmt: skip
_ELSEWHERE = "method"


@dataclass(frozen=True)
class Figure:
    """A figure as an image that can neither run anything nor ask for anything."""

    name: str
    caption: str
    source: str  # data URI


def figures_of(section: str, figures: Mapping[str, str]) -> list[Figure]:
    """The figures of a section, by name; those of unknown names stand in the last section.

    Examples
    --------
    >>> [figure.name for figure in figures_of("agreement", {"roc": "<svg/>", "rater_map": "<svg/>"})]
    ['rater_map']
    """
    placed = {name: _place(name) for name in sorted(figures)}
    return [
        Figure(name, caption, _data_uri(figures[name])) for name, (where, caption) in placed.items() if where == section
    ]


def _place(name: str) -> tuple[str, str]:
    """Section and caption of a figure."""
    for start in sorted(_CAPTIONS, key=len, reverse=True):
        if name.startswith(start):
            return _CAPTIONS[start]
    return _ELSEWHERE, name.replace("_", " ").capitalize()


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
