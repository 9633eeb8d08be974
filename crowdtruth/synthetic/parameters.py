"""Parameters of a synthetic study: tissue, cohorts of raters, conditions. Lengths in pixels, shares as fractions.

Vary them with `dataclasses.replace`; `check_parameters` says what does not fit together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

_NOT_NEGATIVE = (
    *("detection_sd", "false_marks_per_fov", "false_marks_log_sd", "box_shift", "box_scale"),
    *("click_sd", "drift_sd"),
)


@dataclass(frozen=True)
class ClassParameters:
    """One raw class of nuclei."""

    name: str
    frequency: float  # relative to the other classes
    side: float  # median of the square root of box width × height
    side_log_sd: float  # standard deviation of its logarithm
    aspect_log_sd: float  # standard deviation of log(width / height)
    niches: Mapping[str, float]  # where nuclei of the class live: niche -> share, summing to 1


@dataclass(frozen=True)
class TissueParameters:
    """What lies in the fields of view."""

    classes: tuple[ClassParameters, ...]
    hospitals: Mapping[str, float]  # hospital -> relative number of slides
    fov_side: int = 325  # 65 µm
    mpp: float = 0.2  # micrometres per pixel
    n_slides: int = 30
    nuclei_median: float = 21.0  # nuclei per FOV are log-normal between the limits
    nuclei_log_sd: float = 0.5
    nuclei_min: int = 10
    nuclei_max: int = 90
    slide_concentration: float = 4.0  # Dirichlet of the niches of a slide; small: slides differ
    fov_concentration: float = 1.0  # Dirichlet of the niches of an FOV around those of its slide
    patch_spread: float = 45.0  # standard deviation of nuclei around the centre of their patch
    touching: float = 0.05  # share of nuclei placed right beside one of their niche
    max_iou: float = 0.25  # nuclei overlap no more, where there is room
    distractors_per_fov: float = 4.0  # things that are no nuclei, which several raters may mark
    distractor_side: float = 24.0
    outline_points: int = 20
    outline_wobble: float = 0.12  # relative departure of outlines from ellipses


@dataclass(frozen=True)
class CohortParameters:
    """Raters of one kind; every rater draws own rates around these."""

    name: str
    n_raters: int
    detection: Mapping[str, float]  # true class -> probability of a mark by the middle rater
    distractor_detection: float  # the same for a distractor
    detection_sd: float  # between raters, on the probit scale
    confusion: Mapping[str, Mapping[str, float]]  # true class -> wrong class -> mean probability; the rest is right
    confusion_concentration: float  # Dirichlet of each rater's rows around the mean; large: raters are alike
    false_labels: Mapping[str, float]  # what marks on distractors and on nothing are called, summing to 1
    false_marks_per_fov: float  # marks on nothing, at random places
    false_marks_log_sd: float  # between raters
    box_shift: float  # standard deviation of the centre, per axis, relative to the nucleus's side
    box_scale: float  # standard deviation of log width and log height
    shared_errors: float = 0.0  # variance of detection and labels, of what not all raters share, that the cohort shares
    persistence: float | None = None  # as in the study's parameters, where it differs from them
    click_sd: float = 0.0  # between raters, of how readily suggestions are accepted, on the probit scale
    drift_sd: float = 0.0  # between raters, of the change of their quality from round to round, on the probit scale


@dataclass(frozen=True)
class SuggestionParameters:
    """Outlines shown to the raters, who accept them with a click."""

    coverage: float  # share of nuclei with a suggestion
    distractor_coverage: float
    correct: float  # share of suggestions with a good outline
    shift: float  # box errors of good outlines, as of raters' boxes
    scale: float
    wrong_shift: float  # of the other outlines
    wrong_scale: float
    click_correct: float  # probability that a rater who marks the object accepts a good outline
    click_wrong: float  # … one of the others
    detection_gain: float = 0.0  # suggested objects are seen more easily: added on the probit scale


@dataclass(frozen=True)
class ConditionParameters:
    """One round over all FOVs."""

    name: str
    asked: Mapping[str, int]  # cohort -> raters per FOV; absent: none
    suggestions: SuggestionParameters | None = None
    tracers: tuple[str, ...] = ()  # raters who trace outlines instead of drawing boxes
    classification_gain: float = (
        0.0  # labels are right more often: taken off the label's latent, in standard deviations
    )


@dataclass(frozen=True)
class SyntheticParameters:
    """A whole study."""

    tissue: TissueParameters
    cohorts: tuple[CohortParameters, ...]
    conditions: tuple[ConditionParameters, ...]
    n_fovs: int
    shared_difficulty: float = 0.35  # variance of detection and of labels that all raters share about an object
    persistence: float = 0.5  # variance of a rater's remaining errors that repeats in every condition
    steadiness: float = 0.7  # 1: always the same raters are asked, 0: others in every FOV
    start: str = "2020-01-06"  # a Monday, when the first condition begins; empty: marks have no times
    weeks_per_condition: int = 4  # one condition after the other


def check_parameters(parameters: SyntheticParameters) -> None:
    """Refuse parameters that do not fit together.

    Raises
    ------
    ValueError
        Naming the parameter, what was expected and what came.
    """
    _check_tissue(parameters.tissue)
    classes = [one.name for one in parameters.tissue.classes]
    for cohort in parameters.cohorts:
        _check_cohort(cohort, classes)
    _check_distinct("cohort", [cohort.name for cohort in parameters.cohorts])
    _check_distinct("condition", [condition.name for condition in parameters.conditions])
    for condition in parameters.conditions:
        _check_condition(condition, parameters.cohorts)
    if parameters.n_fovs < 1:
        raise ValueError(f"a study needs at least one FOV, got n_fovs={parameters.n_fovs}")
    for name in ("shared_difficulty", "persistence", "steadiness"):
        _check_share(name, getattr(parameters, name))
    if parameters.weeks_per_condition < 1:
        raise ValueError(f"a condition takes at least one week, got {parameters.weeks_per_condition}")
    if parameters.start:
        try:
            date.fromisoformat(parameters.start)
        except ValueError:
            raise ValueError(f"start must be a date like 2020-01-06, or empty; got {parameters.start!r}") from None


def _check_tissue(tissue: TissueParameters) -> None:
    """Classes, niches, hospitals and numbers of nuclei."""
    _check_distinct("class", [one.name for one in tissue.classes])
    for one in tissue.classes:
        _check_distribution(f"niches of class {one.name}", one.niches)
        if not (one.frequency > 0 and one.side >= 4):
            raise ValueError(f"class {one.name} needs a frequency above 0 and a side of at least 4 pixels, got {one}")
    if not tissue.hospitals or min(tissue.hospitals.values()) <= 0:
        raise ValueError(f"hospitals need weights above 0, got {dict(tissue.hospitals)}")
    if not 1 <= tissue.nuclei_min <= tissue.nuclei_median <= tissue.nuclei_max:
        raise ValueError(
            "nuclei per FOV need 1 <= nuclei_min <= nuclei_median <= nuclei_max, got "
            f"{tissue.nuclei_min}, {tissue.nuclei_median}, {tissue.nuclei_max}"
        )
    if min(tissue.n_slides, tissue.slide_concentration, tissue.fov_concentration, tissue.outline_points - 5) <= 0:
        raise ValueError("tissue needs slides, concentrations above 0 and outlines of more than 5 points")
    for name in ("touching", "max_iou"):
        _check_share(name, getattr(tissue, name))


def _check_cohort(cohort: CohortParameters, classes: list[str]) -> None:
    """Rates of every class, confusions between known classes."""
    where = f"cohort {cohort.name}"
    if missing := [name for name in classes if name not in cohort.detection]:
        raise ValueError(f"{where}: no detection rate for {missing}")
    for name, rate in {**cohort.detection, "distractor": cohort.distractor_detection}.items():
        if not 0 < rate < 1:
            raise ValueError(f"{where}: detection rates lie strictly between 0 and 1, {name} has {rate}")
    for true, row in cohort.confusion.items():
        if unknown := ({true, *row} - set(classes)):
            raise ValueError(f"{where}: confusion names unknown classes {sorted(unknown)}")
        if true in row or min(row.values(), default=0) < 0 or sum(row.values()) > 1:
            raise ValueError(
                f"{where}: confusion of {true} lists only wrong classes, with a sum up to 1; got {dict(row)}"
            )
    if unknown := set(cohort.false_labels) - set(classes):
        raise ValueError(f"{where}: false_labels names unknown classes {sorted(unknown)}")
    _check_distribution(f"{where}: false_labels", cohort.false_labels)
    if cohort.n_raters < 1 or cohort.confusion_concentration <= 0:
        raise ValueError(f"{where}: needs a rater and a confusion_concentration above 0")
    for name in ("shared_errors", "persistence"):
        _check_share(f"{where}: {name}", getattr(cohort, name) or 0.0)
    for name in _NOT_NEGATIVE:
        if getattr(cohort, name) < 0:
            raise ValueError(f"{where}: {name} must not be negative, got {getattr(cohort, name)}")


def _check_condition(condition: ConditionParameters, cohorts: tuple[CohortParameters, ...]) -> None:
    """Raters asked and shares of the suggestions."""
    sizes = {cohort.name: cohort.n_raters for cohort in cohorts}
    for cohort, n_asked in condition.asked.items():
        if cohort not in sizes:
            raise ValueError(f"condition {condition.name} asks unknown cohort {cohort!r}; cohorts are {sorted(sizes)}")
        if not 0 <= n_asked <= sizes[cohort]:
            raise ValueError(
                f"condition {condition.name} asks {n_asked} raters of {cohort} per FOV, which has {sizes[cohort]}"
            )
    if condition.suggestions is not None:
        for name in ("coverage", "distractor_coverage", "correct", "click_correct", "click_wrong"):
            _check_share(f"condition {condition.name}: {name}", getattr(condition.suggestions, name))


def _check_share(name: str, share: float) -> None:
    """A number in [0, 1]."""
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {share}")


def _check_distribution(name: str, shares: Mapping[str, float]) -> None:
    """Shares that are not negative and sum to 1."""
    if min(shares.values(), default=-1) < 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError(f"{name} must be shares that sum to 1, got {dict(shares)}")


def _check_distinct(what: str, names: Iterable[str]) -> None:
    """At least one name, each once."""
    names = list(names)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a study needs at least one {what} and distinct names, got {names}")
