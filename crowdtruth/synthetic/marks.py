"""The marks raters leave on the objects of an FOV, and on nothing.

Whether an object is seen, what it is called, how it is drawn and whether a suggestion is accepted all hang on standard
normal numbers. Each is a weighted sum of what all raters share about the object, what the rater repeats in every
condition, and what is new each time. The sum is standard normal again, so a rater's rates are exactly those given,
while errors are correlated between raters and between a rater's rounds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdtruth.synthetic.layout import Layout, draw_around, whole_boxes
from crowdtruth.synthetic.parameters import SuggestionParameters, SyntheticParameters
from crowdtruth.synthetic.raters import RaterTraits
from crowdtruth.synthetic.seeds import Stream, generator
from crowdtruth.synthetic.visits import Place, rounds_passed

KINDS = ("box", "polygon", "click")
_SEEN, _NAMED, _CLICKED, _DRAWN = 0, 1, 2, slice(3, 7)
_N_LATENTS = 7


class Suggestions(NamedTuple):
    """Outlines shown in one FOV and condition, one row per object."""

    boxes: NDArray[np.float64]  # (n_objects, 4)
    click_probability: NDArray[np.float64]  # (n_objects,) 0 where none is shown
    detection_gain: NDArray[np.float64]  # (n_objects,)


class Marks(NamedTuple):
    """Marks of one FOV and condition."""

    rater: NDArray[np.intp]  # (n_marks,) rows of the traits
    object: NDArray[np.intp]  # (n_marks,) rows of the layout; -1 on nothing
    boxes: NDArray[np.float64]  # (n_marks, 4)
    label: NDArray[np.intp]  # (n_marks,) class codes
    kind: NDArray[np.intp]  # (n_marks,) places in KINDS


def draw_suggestions(layout: Layout, n_classes: int, place: Place) -> Suggestions:
    """Outlines shown to all raters in this FOV and condition."""
    n_objects = len(layout.boxes)
    shown = place.condition.suggestions
    if shown is None:
        return Suggestions(layout.boxes, np.zeros(n_objects), np.zeros(n_objects))
    rng = generator(place.seed, Stream.SUGGESTION, place.fov, place.condition.name)
    coverage = np.where(layout.label < n_classes, shown.coverage, shown.distractor_coverage)
    is_shown = rng.random(n_objects) < coverage
    is_correct = rng.random(n_objects) < shown.correct
    errors = rng.standard_normal((n_objects, 4)) * _suggestion_errors(shown)[is_correct.astype(int)]
    return Suggestions(
        boxes=draw_around(layout.boxes, errors),
        click_probability=np.where(is_correct, shown.click_correct, shown.click_wrong) * is_shown,
        detection_gain=np.where(is_shown, shown.detection_gain, 0.0),
    )


def _suggestion_errors(shown: SuggestionParameters) -> NDArray[np.float64]:
    """Standard deviations of wrong and of correct outlines, (2, 4)."""
    return np.array(
        [
            [shown.wrong_shift, shown.wrong_shift, shown.wrong_scale, shown.wrong_scale],
            [shown.shift, shown.shift, shown.scale, shown.scale],
        ]
    )


def draw_marks(
    parameters: SyntheticParameters, layout: Layout, traits: RaterTraits, asked: NDArray[np.intp], place: Place
) -> Marks:
    """Marks of the asked raters, rows of `traits`: rater by rater, each on the objects in order, then on nothing."""
    suggestions = draw_suggestions(layout, len(parameters.tissue.classes), place)
    latent, generators = _draw_latents(parameters, layout, traits, asked, place)
    rate = traits.detection[asked[:, None], layout.label]
    who, seen = np.nonzero(_is_seen(rate, latent[..., _SEEN], suggestions.detection_gain))
    rater, latent = asked[who], latent[who, seen]
    is_tracer = np.isin(np.array(traits.rater), place.condition.tracers)[rater]
    kind = _draw_kinds(latent[:, _CLICKED] - traits.click[rater], suggestions.click_probability[seen], is_tracer)
    drawn = draw_around(layout.boxes[seen], latent[:, _DRAWN] * traits.box_errors[rater])
    on_objects = Marks(
        rater,
        seen,
        np.where((kind == KINDS.index("click"))[:, None], suggestions.boxes[seen], drawn),
        _draw_labels(traits.confusion, rater, layout.label[seen], latent[:, _NAMED]),
        kind,
    )
    return _in_rater_order([on_objects, _marks_on_nothing(parameters, traits, asked, generators)])


def _draw_latents(
    parameters: SyntheticParameters, layout: Layout, traits: RaterTraits, asked: NDArray[np.intp], place: Place
) -> tuple[NDArray[np.float64], list[np.random.Generator]]:
    """Standard normal (n_asked, n_objects, n_latents), and each rater's generator for what else there is to draw."""
    shape = (len(asked), len(layout.boxes), _N_LATENTS)
    habit, once, generators = np.empty(shape), np.empty(shape), []
    for row, name in enumerate(traits.rater[rater] for rater in asked):
        generator(place.seed, Stream.HABIT, place.fov, name).standard_normal(out=habit[row])
        rng = generator(place.seed, Stream.ROUND, place.fov, name, place.condition.name)
        rng.standard_normal(out=once[row])
        generators.append(rng)
    latent = _blend(habit, once, traits.persistence[asked, None, None])
    in_cohort = _cohort_difficulty(layout, traits, asked, place)
    share = traits.shared[asked, None]
    for column in (_SEEN, _NAMED):
        own = _blend(in_cohort[..., column], latent[..., column], share)
        latent[..., column] = _blend(layout.difficulty[:, column], own, parameters.shared_difficulty)
    gained = traits.drift[asked] * rounds_passed(traits, asked, place)
    is_nucleus = layout.label < len(parameters.tissue.classes)
    latent[..., _SEEN] -= np.where(is_nucleus, 1, -1) * gained[:, None]
    latent[..., _NAMED] -= place.condition.classification_gain + gained[:, None]
    return latent, generators


def _cohort_difficulty(
    layout: Layout, traits: RaterTraits, asked: NDArray[np.intp], place: Place
) -> NDArray[np.float64]:
    """What each asked rater shares with the cohort alone: of seeing, of naming each object, (n_asked, n_objects, 2)."""
    cohorts = [traits.cohort[rater] for rater in asked]
    drawn = {
        name: generator(place.seed, Stream.COHORT, place.fov, name).standard_normal((len(layout.boxes), 2))
        for name in set(cohorts)
    }
    return np.array([drawn[name] for name in cohorts]).reshape(len(asked), len(layout.boxes), 2)


def _blend(
    first: NDArray[np.float64], second: NDArray[np.float64], share: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standard normal again, with this share of the variance from `first`."""
    return np.sqrt(share) * first + np.sqrt(1 - share) * second


def _is_seen(rate: NDArray[np.float64], latent: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the rater marks the object: (n_asked, n_objects), twice, and (n_objects,) -> (n_asked, n_objects)."""
    from scipy.special import ndtri

    return latent < ndtri(rate) + gain


def _draw_labels(
    confusion: NDArray[np.float64], rater: NDArray[np.intp], true: NDArray[np.intp], latent: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Labels of marks, (n_marks,): the right one up to its probability, then the others in class order.

    A hard object, of large latent for all raters, is thus often given the same wrong label by several.
    """
    from scipy.special import ndtr

    n_classes = confusion.shape[2]
    order = np.argsort(np.arange(n_classes) != np.arange(n_classes + 1)[:, None], axis=1, kind="stable")
    share = confusion[rater[:, None], true[:, None], order[true]]
    place = (ndtr(latent)[:, None] > share.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return order[true, _last_possible(share, place)]


def _last_possible(share: NDArray[np.float64], place: NDArray[np.intp]) -> NDArray[np.intp]:
    """`place`, or the last place of share above zero where rounding of the sum passed it: (n, K), (n,) -> (n,)."""
    last = share.shape[1] - 1 - (share[:, ::-1] > 0).argmax(axis=1)
    return np.minimum(place, last)


def _draw_kinds(
    latent: NDArray[np.float64], click_probability: NDArray[np.float64], is_tracer: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Whether each mark is a box, a traced polygon or a click: (n_marks,), three times -> (n_marks,)."""
    from scipy.special import ndtr

    is_click = ndtr(latent) < click_probability
    return np.select([is_click, is_tracer], [KINDS.index("click"), KINDS.index("polygon")], KINDS.index("box"))


def _marks_on_nothing(
    parameters: SyntheticParameters,
    traits: RaterTraits,
    asked: NDArray[np.intp],
    generators: list[np.random.Generator],
) -> Marks:
    """Marks at random places: sizes of distractors, labels of distractors."""
    tissue, n_classes = parameters.tissue, len(parameters.tissue.classes)
    counts = [rng.poisson(traits.false_marks[row]) for row, rng in zip(asked, generators, strict=True)]
    rater = np.repeat(asked, counts)
    drawn = [rng.random((n, 3)) for n, rng in zip(counts, generators, strict=True)]
    sizes = [np.exp(0.25 * rng.standard_normal((n, 2))) for n, rng in zip(counts, generators, strict=True)]
    uniform = np.concatenate([np.zeros((0, 3)), *drawn])
    size = tissue.distractor_side * np.concatenate([np.zeros((0, 2)), *sizes])
    share = traits.confusion[rater, n_classes]
    label = (uniform[:, 2:] > share.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return Marks(
        rater,
        np.full(len(rater), -1),
        whole_boxes(uniform[:, :2] * tissue.fov_side, size),
        _last_possible(share, label),
        np.full(len(rater), KINDS.index("box")),
    )


def _in_rater_order(parts: list[Marks]) -> Marks:
    """All marks, sorted by rater; parts keep their order."""
    rater, *others = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(rater, kind="stable")
    return Marks(rater[order], *(column[order] for column in others))
