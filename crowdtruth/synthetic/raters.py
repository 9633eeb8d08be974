"""The raters: what each sees, how each names it, how each draws, and who is asked where."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from crowdtruth.synthetic.parameters import CohortParameters, ConditionParameters, SyntheticParameters
from crowdtruth.synthetic.seeds import Stream, generator


class RaterTraits(NamedTuple):
    """True rates of all raters, cohort by cohort. The last object class is the distractor."""

    rater: tuple[str, ...]
    cohort: tuple[str, ...]
    detection: NDArray[np.float64]  # (n_raters, n_classes + 1) probability of a mark without suggestions
    confusion: NDArray[np.float64]  # (n_raters, n_classes + 1, n_classes) true, assigned; rows sum to 1
    false_marks: NDArray[np.float64]  # (n_raters,) marks on nothing per FOV
    box_errors: NDArray[np.float64]  # (n_raters, 4) standard deviations of shift x, y and log width, height
    steady: NDArray[np.float64]  # (n_raters,) who is asked first, from 0 to 1
    shared: NDArray[np.float64]  # (n_raters,) share of what not all raters share that the rater's cohort shares
    persistence: NDArray[np.float64]  # (n_raters,) share of the rest that repeats in every condition
    click: NDArray[np.float64]  # (n_raters,) how much more readily suggestions are accepted, probit scale
    drift: NDArray[np.float64]  # (n_raters,) change of quality from round to round, probit scale


def draw_raters(parameters: SyntheticParameters, seed: int) -> RaterTraits:
    """Traits of every rater; a rater's depend on the cohort, the number within it and the seed alone."""
    classes = [one.name for one in parameters.tissue.classes]
    columns = [
        _draw_rater(cohort, f"{cohort.name}.{i + 1}", classes, parameters.persistence, seed)
        for cohort in parameters.cohorts
        for i in range(cohort.n_raters)
    ]
    rater, cohort, *traits = zip(*columns, strict=True)
    return RaterTraits(rater, cohort, *(np.array(trait) for trait in traits))


def _draw_rater(cohort: CohortParameters, name: str, classes: list[str], persistence: float, seed: int) -> tuple:
    """One rater's fields of `RaterTraits`."""
    from scipy.special import ndtr, ndtri

    rng = generator(seed, Stream.RATER, name)
    skill, noise, steady = rng.standard_normal(), rng.standard_normal(), rng.random()
    middle = np.array([*(cohort.detection[one] for one in classes), cohort.distractor_detection])
    gain = np.append(np.full(len(classes), skill), -skill)  # who sees more nuclei takes fewer things for one
    return (
        name,
        cohort.name,
        ndtr(ndtri(middle) + cohort.detection_sd * gain),
        _draw_confusion(mean_confusion(cohort, classes), cohort.confusion_concentration, rng),
        cohort.false_marks_per_fov * np.exp(cohort.false_marks_log_sd * noise - cohort.false_marks_log_sd**2 / 2),
        [cohort.box_shift, cohort.box_shift, cohort.box_scale, cohort.box_scale],
        steady,
        cohort.shared_errors,
        persistence if cohort.persistence is None else cohort.persistence,
        cohort.click_sd * rng.standard_normal(),
        cohort.drift_sd * rng.standard_normal(),
    )


def mean_confusion(cohort: CohortParameters, classes: list[str]) -> NDArray[np.float64]:
    """Labels the cohort's raters give on average, (n_classes + 1, n_classes); the last row is that of distractors."""
    rows = [[cohort.confusion.get(true, {}).get(assigned, 0.0) for assigned in classes] for true in classes]
    wrong = np.array(rows)
    right = np.diag(1 - wrong.sum(axis=1))
    return np.vstack([wrong + right, [cohort.false_labels.get(assigned, 0.0) for assigned in classes]])


def _draw_confusion(mean: NDArray[np.float64], concentration: float, rng: Generator) -> NDArray[np.float64]:
    """A rater's own confusion: each row Dirichlet around the mean, impossible labels stay impossible."""
    gamma = rng.standard_gamma(concentration * mean)
    total = gamma.sum(axis=1, keepdims=True)
    return np.where(total > 0, gamma / np.where(total > 0, total, 1), mean)


def asked_raters(
    traits: RaterTraits, condition: ConditionParameters, fov: int, steadiness: float, seed: int
) -> NDArray[np.intp]:
    """Rows of the raters asked in this FOV and condition, ascending.

    Raters queue in an order that depends on the rater and the FOV, not on the condition: who is asked where few are
    asked is asked where many are.
    """
    chance = np.array([generator(seed, Stream.QUEUE, fov, name).random() for name in traits.rater])
    queue = steadiness * traits.steady + (1 - steadiness) * chance
    cohort = np.array(traits.cohort)
    asked = [
        np.flatnonzero(cohort == name)[np.argsort(queue[cohort == name])[:n]] for name, n in condition.asked.items()
    ]
    return np.sort(np.concatenate(asked)) if asked else np.zeros(0, np.intp)
