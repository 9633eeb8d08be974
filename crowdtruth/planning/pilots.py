"""The curves of a pilot and their replicates.

The pilot's raters are drawn as in the redundancy experiment, and what each realization got right is kept by FOV, and by
whether each rater took part. A replicate of the curves is then a weight for each FOV and each rater: nothing is
inferred again.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdtruth.parallel import parallel_map
from crowdtruth.resampling import bootstrap_weights
from crowdtruth.simulation.experiment import NOT_JUDGED, Experiment
from crowdtruth.simulation.realization import draw, first_drawn, realize_by_fov
from crowdtruth.simulation.scores import count_metric_names, count_metrics

Floats = NDArray[np.float64]

_MOST_COPIES = 2  # further ones make EM fit the objects of the pilot
_MOST_GROUPS = 1000  # tasks of a crowd table are resampled in so many groups
_FIRST_SMOOTHED, _LEAST_SMOOTHED = 3, 4
_TINY = 1e-12


class Planned(NamedTuple):
    """The study to be: None is as in the pilot."""

    n_fovs: int | None = None
    n_raters: int | None = None  # in each cohort


class Effort(NamedTuple):
    """How much is computed."""

    realizations: int
    replicates: int
    seed: int = 0
    jobs: int = 1


class Pilot(NamedTuple):
    """Curves of a pilot and their replicates."""

    names: list[tuple[str, str]]  # metric and class of each value
    raters_per_fov: tuple[int, ...]  # every k
    values: Floats  # (n_k, n_metrics)
    replicates: Floats  # (n_replicates, n_k, n_metrics)
    most: int  # raters that at least half of the FOVs have
    n_fovs: int  # FOVs that have so many
    unit: str = "FOV"  # what raters are asked about


def pilot_curves(
    experiment: Experiment, planned: Planned, raters_per_fov: Sequence[int] | None, effort: Effort
) -> Pilot:
    """The curves of the planned study, as far as the pilot tells."""
    most = int(np.sort(experiment.n_asked)[::-1][(experiment.n_fovs - 1) // 2])
    every_k = tuple(sorted(k for k in set(raters_per_fov or range(1, most + 1)) if 1 <= k <= most))
    if not every_k:
        raise ValueError(f"raters_per_fov needs a number from 1 to {most}, as half the FOVs have; got {raters_per_fov}")
    n_copies = _number_of_copies(experiment, planned)
    study = _repeated(_with_unseen(experiment, planned.n_raters), n_copies)
    has_most = experiment.n_asked >= most
    is_used = np.tile(has_most, n_copies)
    at_k = partial(_outcomes, study, is_used, n_copies, effort.realizations)
    parts = parallel_map(at_k, every_k, jobs=effort.jobs, description="raters per FOV")
    counts, effects = (np.stack(part) for part in zip(*parts, strict=True))
    if every_k[-1] == most and len(every_k) > 1:  # all take part: what each adds shows with fewer
        effects[-1] = effects[-2] * every_k[-1] / every_k[-2]
    drawn = _replicated(counts, effects, effort)
    smooth = smoother(every_k)
    values, replicates = (smooth @ count_metrics(experiment, mean) for mean in (counts.sum(axis=1), drawn))
    unit = "FOV" if experiment.has_detection else "task"
    return Pilot(count_metric_names(experiment), every_k, values, replicates, most, int(has_most.sum()), unit)


def smoother(every_k: Sequence[int]) -> Floats:
    """The matrix that smooths curves, (n_k, n_k): a + b / k + c / k² by least squares, from three raters on.

    With one or two raters EM has nobody to side with, and their values stay. So do all where fewer than four of the
    others are left.
    """
    matrix, k = np.eye(len(every_k)), np.array(every_k, dtype=float)
    is_fitted = k >= _FIRST_SMOOTHED
    if is_fitted.sum() >= _LEAST_SMOOTHED:
        basis = k[is_fitted, None] ** [0.0, -1.0, -2.0]
        matrix[np.ix_(is_fitted, is_fitted)] = basis @ np.linalg.pinv(basis)
    return matrix


def _number_of_copies(experiment: Experiment, planned: Planned) -> int:
    """How often each FOV is taken, for a rater to see about as many as in the planned study (two times at most)."""
    per_rater = (planned.n_fovs or experiment.n_fovs) / (planned.n_raters or experiment.n_raters)
    return int(np.clip(round(per_rater * experiment.n_raters / experiment.n_fovs), 1, _MOST_COPIES))


def _with_unseen(experiment: Experiment, n_raters: int | None) -> Experiment:
    """The pilot with the anchors that only other raters of the planned study will mark: here all left them out."""
    if n_raters is None or not experiment.has_detection:
        return experiment
    fov = np.repeat(np.arange(experiment.n_fovs), _unseen_anchors(experiment, n_raters))
    n_ratings = experiment.n_asked[fov]
    starts = np.cumsum(n_ratings)
    first = np.cumsum(experiment.n_asked) - experiment.n_asked
    pair = np.repeat(first[fov] - (starts - n_ratings), n_ratings) + np.arange(n_ratings.sum())
    codes = experiment.pair_rater[pair] * experiment.n_classes + _undetected_code(experiment)
    return replace(
        experiment,
        starts=np.append(experiment.starts, experiment.starts[-1] + starts),
        codes=np.append(experiment.codes, codes.astype(experiment.codes.dtype)),
        pair=np.append(experiment.pair, pair.astype(np.int32)),
        item_fov=np.append(experiment.item_fov, fov.astype(np.int32)),
        truth=np.append(experiment.truth, np.full(len(fov), NOT_JUDGED)),
    )


def _undetected_code(experiment: Experiment) -> int:
    """The code of ``undetected`` among the classes of the ratings."""
    return int(np.flatnonzero(experiment.group_of == experiment.undetected)[0])


def _unseen_anchors(experiment: Experiment, n_raters: int) -> NDArray[np.intp]:
    """How many anchors of each FOV the pilot's raters left to the others, (n_fovs,), after Good and Toulmin.

    With t times as many raters more, Σ −(−t)^m over the anchors of m marks are expected, for t up to 1. They are laid
    where anchors of a single mark are.
    """
    n_items = len(experiment.starts) - 1
    item = np.repeat(np.arange(n_items), np.diff(experiment.starts))
    is_mark = experiment.codes % experiment.n_classes != _undetected_code(experiment)
    n_marks = np.bincount(item[is_mark], minlength=n_items)
    more = np.clip(n_raters / np.maximum(experiment.n_asked, 1) - 1, 0, 1)[experiment.item_fov]
    expected = -np.where(n_marks > 0, (-more) ** n_marks, 0).sum()
    once = np.cumsum(np.bincount(experiment.item_fov, more * (n_marks == 1), experiment.n_fovs))
    total = round(max(float(expected), 0.0)) if once[-1] > 0 else 0
    return np.diff(np.round(once / max(once[-1], _TINY) * total), prepend=0).astype(np.intp)


def _repeated(experiment: Experiment, n_copies: int) -> Experiment:
    """The FOVs several times over, each time with raters drawn anew."""
    if n_copies == 1:
        return experiment

    def shifted(codes: NDArray[np.int32], step: int) -> NDArray[np.int32]:
        return (np.tile(codes, n_copies) + np.repeat(np.arange(n_copies) * step, len(codes))).astype(np.int32)

    return replace(
        experiment,
        starts=np.append(0, np.cumsum(np.tile(np.diff(experiment.starts), n_copies))),
        codes=np.tile(experiment.codes, n_copies),
        pair=shifted(experiment.pair, len(experiment.pair_fov)),
        pair_fov=shifted(experiment.pair_fov, experiment.n_fovs),
        pair_rater=np.tile(experiment.pair_rater, n_copies),
        item_fov=shifted(experiment.item_fov, experiment.n_fovs),
        n_fovs=experiment.n_fovs * n_copies,
        truth=np.tile(experiment.truth, n_copies),
        unfound=np.tile(experiment.unfound, (n_copies, 1)),
    )


def _outcomes(
    experiment: Experiment, is_used: NDArray[np.bool_], n_copies: int, realizations: int, k: int
) -> tuple[Floats, Floats]:
    """Mean counts with k raters: of each FOV used, and what each rater would take away, over all FOVs.

    (n_fovs, n_labels, n_labels) and (n_raters, n_labels, n_labels), see `realize_by_fov`.
    """
    n_labels, n_pairs = len(experiment.classes) + 1, len(experiment.pair_fov)
    total, with_pair = np.zeros((experiment.n_fovs, n_labels, n_labels)), np.zeros((n_pairs, n_labels, n_labels))
    n_with = np.zeros(n_pairs)
    for realization in range(realizations):
        is_drawn = first_drawn(experiment, draw(experiment, realization), k)
        counts = realize_by_fov(experiment, is_drawn)
        total += counts
        with_pair[is_drawn] += counts[experiment.pair_fov[is_drawn]]
        n_with += is_drawn
    total, with_pair, n_with = (_folded(array, n_copies) for array in (total, with_pair, n_with))
    is_used = is_used[: len(total)]
    n_draws = realizations * n_copies
    fov, rater = experiment.pair_fov[: len(n_with)], experiment.pair_rater[: len(n_with)]
    is_varied = (n_with > 0) & (n_with < n_draws) & is_used[fov]
    fov, n = fov[is_varied], n_with[is_varied, None, None]
    gain = with_pair[is_varied] / n - (total[fov] - with_pair[is_varied]) / (n_draws - n)
    effects = np.zeros((experiment.n_raters, n_labels, n_labels))
    np.add.at(effects, rater[is_varied], -gain * (k / experiment.n_asked[fov])[:, None, None])
    return total * is_used[:, None, None] / n_draws, effects


def _folded(values: NDArray[Any], n_copies: int) -> Floats:
    """Sums over the copies: (n_copies * n, ...) -> (n, ...)."""
    return values.reshape(n_copies, -1, *values.shape[1:]).sum(axis=0, dtype=float)


def _replicated(counts: Floats, effects: Floats, effort: Effort) -> Floats:
    """Counts of replicates, (n_replicates, n_k, n_labels, n_labels): FOVs drawn anew, raters by the jackknife.

    counts (n_k, n_fovs, ...), effects (n_k, n_raters, ...). Raters are not drawn anew: EM would take two copies of one
    for two who agree. Leaving out each in turn gives the same variance: (n − 1) / n × the sum of the squared effects.
    """
    groups = np.arange(counts.shape[1]) % _MOST_GROUPS
    by_group = np.stack([counts[:, groups == group].sum(axis=1) for group in range(groups.max() + 1)])
    n_groups, n_raters = len(by_group), effects.shape[1]
    weights = bootstrap_weights(n_groups, effort.replicates, effort.seed)
    of_fovs = np.tensordot(weights, by_group, 1)
    shares = np.random.default_rng([effort.seed, n_raters]).standard_normal((effort.replicates, n_raters))
    centred = np.moveaxis(effects - effects.mean(axis=1, keepdims=True), 1, 0)
    of_raters = np.tensordot(shares * np.sqrt((n_raters - 1) / n_raters), centred, 1)
    return np.maximum(of_fovs + of_raters, 0.0)
