"""One realization: raters drawn in every FOV, EM on what they said, and what it got right. Arrays in, counts out."""

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from crowdtruth._kernels import em
from crowdtruth._kernels import realization as kernels
from crowdtruth._kernels._simd import WIDTHS, lanes_of
from crowdtruth.simulation.experiment import NOT_JUDGED, Experiment
from crowdtruth.taxonomy import RAW
from crowdtruth.truth import DawidSkene, MajorityVote, OneCoin
from crowdtruth.truth.arguments import PRIOR_QUALITY, pseudo_table, start_table
from crowdtruth.truth.expectation import (
    TIE,
    FreeConfusion,
    Model,
    OneQuality,
    SparseRatings,
    Table,
    expectation_maximization,
    passes_over,
    vote_posteriors,
)
from crowdtruth.truth.squarem import squarem


@dataclass(frozen=True)
class Score:
    """What the labels inferred from some of the raters got right."""

    n_unique_raters: int
    counts: NDArray[np.int64]  # (n_classes + 1, n_classes + 1): true by assigned; no object, not found last
    areas: NDArray[np.float64]  # (n_classes + 1,): under the ROC, by class, pooled; NaN where undefined


@dataclass(frozen=True)
class Inferred:
    """Labels from the ratings of some of the raters."""

    items: NDArray[np.int64]  # (n_left,), ascending: those with a rating
    label: NDArray[np.int64]  # (n_left,), places among the classes, -1 where there is none
    probabilities: NDArray[np.float64]  # (n_left, n_classes)


def draw(experiment: Experiment, realization: int) -> NDArray[np.intp]:
    """The place of each asked rater in the order in which an FOV's raters are drawn, (n_pairs,).

    With k raters per FOV those of the places below k take part, so that a rater is only ever added as k grows. The
    order depends on the seed and on the realization's number alone.
    """
    lottery = np.random.default_rng([experiment.seed, realization]).random(len(experiment.pair_fov))
    order = np.lexsort((lottery, experiment.pair_fov))
    first = np.searchsorted(experiment.pair_fov, experiment.pair_fov)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order)) - first
    return place


def first_drawn(experiment: Experiment, place: NDArray[np.intp], raters_per_fov: int) -> NDArray[np.bool_]:
    """Who takes part, (n_pairs,): the first so many of each FOV that has so many; `place` is of `draw`."""
    is_large = experiment.n_asked >= raters_per_fov
    return (place < raters_per_fov) & is_large[experiment.pair_fov]


def realize(experiment: Experiment, is_drawn: NDArray[np.bool_]) -> Score:
    """The score of the labels inferred from the raters drawn, in the FOVs that have any.

    Parameters
    ----------
    experiment : ratings and reference
    is_drawn : (n_pairs,), see `first_drawn`
    """
    inferred = infer(experiment, is_drawn)
    part = np.where(_is_judged(experiment, is_drawn), 0, -1)
    counts = _count(experiment, inferred, part, 1)[0]
    counts[:-1, -1] += experiment.unfound[_has_drawn(experiment, is_drawn)].sum(axis=0)
    return Score(len(np.unique(experiment.pair_rater[is_drawn])), counts, _areas_of_found(experiment, inferred))


def realize_by_fov(experiment: Experiment, is_drawn: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`Score.counts` of each FOV, (n_fovs, n_classes + 1, n_classes + 1); zero where nobody was drawn."""
    part = np.where(_is_judged(experiment, is_drawn), experiment.item_fov, -1)
    counts = _count(experiment, infer(experiment, is_drawn), part, experiment.n_fovs)
    counts[:, :-1, -1] += experiment.unfound * _has_drawn(experiment, is_drawn)[:, np.newaxis]
    return counts


def infer(experiment: Experiment, is_drawn: NDArray[np.bool_]) -> Inferred:
    """Labels inferred from the ratings of the raters drawn, as `crowdtruth.truth.infer_labels` would."""
    items, left, occurring = _ratings_left(experiment, is_drawn)
    label, probabilities = _labels(experiment, left, _posteriors(experiment, left), occurring)
    return Inferred(items, label, probabilities)


def _has_drawn(experiment: Experiment, is_drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether anybody was drawn in each FOV, (n_fovs,)."""
    return np.bincount(experiment.pair_fov[is_drawn], minlength=experiment.n_fovs) > 0


def _is_judged(experiment: Experiment, is_drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the reference knows each item, and somebody was drawn there, (n_items,)."""
    return _has_drawn(experiment, is_drawn)[experiment.item_fov] & (experiment.truth != NOT_JUDGED)


def _count(
    experiment: Experiment, inferred: Inferred, part: NDArray[np.integer[Any]], n_parts: int
) -> NDArray[np.int64]:
    """True by assigned in each part, (n_parts, n_classes + 1, n_classes + 1); objects without an anchor are not in.

    part (n_items,): where each item counts, -1 for nowhere.
    """
    last = len(experiment.classes)
    assigned = np.full(len(part), last)
    is_found = (inferred.label >= 0) & (inferred.label != experiment.undetected)
    assigned[inferred.items[is_found]] = inferred.label[is_found]
    true = np.where(experiment.truth >= 0, experiment.truth, last)
    cells = (part * (last + 1) + true) * (last + 1) + assigned
    shape = (n_parts, last + 1, last + 1)
    return np.bincount(cells[part >= 0], minlength=math.prod(shape)).reshape(shape)


def _areas_of_found(experiment: Experiment, inferred: Inferred) -> NDArray[np.float64]:
    """Areas under the ROC among objects that were found, of each class against the rest, and pooled, (n_classes + 1,).

    Probabilities are taken among the classes that these objects are of, with sum 1; see `crowdtruth.curves`.
    """
    true, label = experiment.truth[inferred.items], inferred.label
    found = np.flatnonzero((true >= 0) & (label >= 0) & (label != experiment.undetected))
    n_objects = np.bincount(true[found], minlength=len(experiment.classes))
    present = np.flatnonzero(n_objects)
    chances = inferred.probabilities[found[:, np.newaxis], present]
    mass = chances.sum(axis=1)
    chances, true = chances[mass > 0] / mass[mass > 0, np.newaxis], true[found[mass > 0]]
    areas = np.full(len(experiment.classes) + 1, np.nan)
    areas[[*present, -1]] = _areas(chances, np.searchsorted(present, true))
    return areas


def _areas(chances: NDArray[np.float64], true: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Areas under the ROC of each class and of all pooled: (n_items, n_classes), (n_items,) -> (n_classes + 1,)."""
    n_areas = chances.shape[1] + 1
    areas, scratch = np.full(n_areas, np.nan), np.zeros((5, n_areas))
    kernels.area_under_roc(chances.ravel(), true, np.argsort(chances, axis=None), scratch, areas)
    return areas


def _ratings_left(
    experiment: Experiment, is_drawn: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], SparseRatings, NDArray[np.intp]]:
    """The items that drawn raters rated, their ratings, and the classes that occur in them.

    Codes are without gaps: a rater or class without a rating does not take part in EM.
    """
    starts, codes, pair, n_classes = experiment.starts, experiment.codes, experiment.pair, experiment.n_classes
    occurs = np.zeros((experiment.n_raters, n_classes), dtype=np.bool_)
    n_ratings = kernels.codes_left(codes, pair, is_drawn, occurs.reshape(-1))
    is_rater, is_class = occurs.any(axis=1), occurs.any(axis=0)
    n_raters, n_left = int(is_rater.sum()), int(is_class.sum())
    recode = (np.cumsum(is_rater) - 1)[:, np.newaxis] * n_left + np.cumsum(is_class) - 1
    kept = np.zeros(len(starts), np.int64), np.empty(n_ratings, codes.dtype), np.empty(len(starts), np.int64)
    n_items = kernels.keep_drawn(starts, codes, pair, is_drawn, recode.reshape(-1), kept)
    left = SparseRatings(kept[0][: n_items + 1], kept[1], n_items, n_raters, n_left, 0)
    return kept[2][:n_items], left, np.flatnonzero(is_class)


def _posteriors(experiment: Experiment, left: SparseRatings) -> NDArray[np.float64]:
    """Posterior of each item left, (n_items, n_classes left, or more)."""
    model = experiment.model
    if left.n_items == 0:
        return np.zeros((0, 0))
    if isinstance(model, MajorityVote):
        return vote_posteriors(left)
    start = start_table(left, cast(float | str, model.start))
    if isinstance(model, OneCoin):
        return _by_any_model(model, OneQuality(left, start, PRIOR_QUALITY, model.pseudo_counts), left, start)
    rule = FreeConfusion(left, start, pseudo_table(left, model.pseudo_counts))
    if model.acceleration or left.n_lanes not in WIDTHS:
        return _by_any_model(model, rule, left, start)
    return _by_dawid_skene(model, rule, left)


def _by_dawid_skene(model: DawidSkene, rule: FreeConfusion, left: SparseRatings) -> NDArray[np.float64]:
    """As `DawidSkene.fit`, all iterations in one call."""
    tables = np.repeat(rule.start[np.newaxis], 4, axis=0)
    if isinstance(model.start, str):
        em.add_sums(left.starts, left.codes, vote_posteriors(left), _cleared(tables[2]))
        for table in tables[:2]:
            em.normalise(tables[2], rule.pseudo_counts, rule.start, left.n_classes, table)
    stop = (int(model.n_iter), model.tolerance * len(left.codes), int(model.tolerance > 0))
    lanes = lanes_of(left.n_lanes)
    last = kernels.iterate(left.starts, left.codes, tables, rule.pseudo_counts, stop, left.n_classes, lanes)
    posteriors = np.zeros((left.n_items, left.n_lanes))
    em.posterior_pass(left.starts, left.codes, tables[last], posteriors, left.n_classes, lanes)
    return posteriors


def _cleared(table: Table) -> Table:
    """The table, now all zero."""
    table[:] = 0.0
    return table


def _by_any_model(model: DawidSkene | OneCoin, rule: Model, left: SparseRatings, start: Table) -> NDArray[np.float64]:
    """As the estimator's own `fit`, iteration by iteration."""
    is_accelerated = isinstance(model, DawidSkene) and model.acceleration
    with passes_over(left, 1) as passes:
        if isinstance(model.start, str):
            start = rule.maximise(passes.sums_of(vote_posteriors(left)))
        stop: dict[str, Any] = {"n_iter": model.n_iter, "tolerance": model.tolerance}
        if is_accelerated:
            return squarem(passes, cast(FreeConfusion, rule), start, **stop).posteriors
        return expectation_maximization(passes, rule, start, **stop).posteriors


def _labels(
    experiment: Experiment, left: SparseRatings, posteriors: NDArray[np.float64], occurring: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Label of each item left (-1: none) and its grouped probabilities over all classes; see `choose_labels`."""
    probabilities = np.zeros((left.n_items, len(experiment.classes)))
    label = np.empty(left.n_items, dtype=np.int64)
    most = np.inf if experiment.grouping == RAW else 1.0  # a sum may round to more
    rule = (experiment.undetected, experiment.min_detections, TIE, most)
    groups = experiment.group_of[occurring]
    kernels.group_and_choose(left.starts, left.codes, posteriors, groups, rule, probabilities, label)
    return label, probabilities
