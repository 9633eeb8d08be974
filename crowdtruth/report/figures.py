"""Which figure stands in which section, and what it shows in words."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

# kind of a figure, which is its name up to the first hyphen -> section, what it shows
_CAPTIONS: Mapping[str, tuple[str, str]] = {
    "agreement": ("agreement", "Agreement of the raters of each cohort, with 95 % intervals."),
    "sweep": (
        "agreement",
        "Agreement and the number of anchors, by how much marks must overlap and how many are needed.",
    ),
    "pairwise": ("agreement", "Every two raters; dark squares are pairs who agree."),
    "kappa": ("agreement", "Agreement of pairs of raters, by cohort; a point is a pair."),
    "rater_map": ("agreement", "Raters on a map: near each other where they agree. Directions mean nothing."),
    "raters": ("raters", "All raters on one scale, with 95 % intervals."),
    "drift": ("raters", "Raters over time."),
    "precision_recall": ("raters", "Finding objects: precision against recall, with 95 % bands."),
    "roc": ("raters", "Naming objects: sensitivity against 1 − specificity, with 95 % bands."),
    "roc_conditions": ("raters", "Naming objects under each condition, with 95 % bands."),
    "confusion": ("raters", "What is taken for what by the raters of a cohort."),
    "anchor_confusion": ("raters", "How many raters of an anchor say what, by its class."),
    "ease": ("raters", "How many objects are marked by at least so many raters."),
    "self_agreement": ("suggestions", "Agreement of each rater with themselves in another round; a point is a rater."),
    "proportion_clicked": ("suggestions", "Share of marks that are accepted suggestions; a point is a rater."),
    "segmented": (
        "suggestions",
        "Share of objects whose accepted outline is inferred to be right; a point is a FOV, a cross all of them.",
    ),
    "outlines": ("suggestions", "Overlap of accepted outlines with traced ones."),
    "outlines_joint": ("suggestions", "Overlap of accepted outlines with traced ones, by two measures."),
    "redundancy": ("redundancy", "How good inferred labels are with fewer raters per FOV; bands hold 95 % of draws."),
    "redundancy_boxes": ("redundancy", "How good inferred labels are with fewer raters per FOV; a box is all draws."),
    "plan": ("redundancy", "Raters per FOV that reach the target; bars are what the pilot allows."),
}
_ELSEWHERE = "method"


@dataclass(frozen=True)
class Figure:
    """A figure as an image that can neither run anything nor ask for anything."""

    name: str
    caption: str
    source: str  # data URI
    is_first: bool  # of its kind; the others are folded away


def figures_of(section: str, figures: Mapping[str, str]) -> list[Figure]:
    """The figures of a section, in the order of the kinds; those of unknown names stand in the last section.

    Examples
    --------
    >>> [figure.name for figure in figures_of("agreement", {"roc": "<svg/>", "rater_map": "<svg/>"})]
    ['rater_map']
    """
    kinds: set[str] = set()
    found = []
    for name in sorted(figures, key=_order):
        where, caption = _place(name)
        if where == section:
            found.append(Figure(name, caption, _data_uri(figures[name]), is_first=name.partition("-")[0] not in kinds))
            kinds.add(name.partition("-")[0])
    return found


def _order(name: str) -> tuple[int, str]:
    """By kind, then by name: however the figures came, the page is the same."""
    kind = name.partition("-")[0]
    return (list(_CAPTIONS).index(kind) if kind in _CAPTIONS else len(_CAPTIONS)), name


def _place(name: str) -> tuple[str, str]:
    """Section and caption of a figure."""
    return _CAPTIONS.get(name.partition("-")[0], (_ELSEWHERE, name.replace("_", " ").capitalize()))


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
