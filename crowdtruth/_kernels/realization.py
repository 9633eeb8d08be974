"""One realization of the redundancy experiment: the ratings of the raters drawn, EM on them, and what it got right.

Ratings are in item order: those of item i are ``codes[starts[i]:starts[i + 1]]``, a code is ``rater * n_classes +
label``, and the codes of an item ascend. Nothing here is a table, and nothing is random: who was drawn comes in.
"""

from typing import Any

import numpy as np

from crowdtruth._kernels import em
from crowdtruth._kernels._jit import kernel

_BELOW, _TIED, _WINS = 0, 2, 4
"""Rows of the scratch of areas: items not of the class and of it that are below, the same two tied, pairs won."""

_fused_pass, _normalise, _log_prior = em.fused_pass, em.normalise, em.log_prior


@kernel
def codes_left(codes: Any, pair: Any, is_drawn: Any, occurs: Any) -> int:
    """Mark in `occurs`, (n_codes,), all zero before, the codes that drawn raters gave; returns how many ratings.

    pair (n_ratings,): which (FOV, rater) pair each rating belongs to; is_drawn (n_pairs,) zeros and ones.
    """
    n_ratings = 0
    for r in range(codes.shape[0]):
        if is_drawn[pair[r]]:
            occurs[codes[r]] = 1
            n_ratings += 1
    return n_ratings


@kernel
def keep_drawn(starts: Any, codes: Any, pair: Any, is_drawn: Any, recode: Any, kept: Any) -> int:  # noqa: PLR0917
    """The ratings of drawn raters into `kept`, as three arrays: their starts, their codes, the items that have any.

    recode (n_codes,): the new code of each code, ascending. Returns the number of items left.
    """
    new_starts, new_codes, items = kept
    n_items, n_ratings = 0, 0
    for i in range(starts.shape[0] - 1):
        before = n_ratings
        for r in range(starts[i], starts[i + 1]):
            if is_drawn[pair[r]]:
                new_codes[n_ratings] = recode[codes[r]]
                n_ratings += 1
        if n_ratings > before:
            items[n_items] = i
            n_items += 1
            new_starts[n_items] = n_ratings
    return n_items


@kernel
def iterate(starts: Any, codes: Any, tables: Any, pseudo_counts: Any, stop: Any, n_classes: int, lanes: Any) -> int:  # noqa: PLR0917
    """EM: iterations of E, then M, from ``tables[0]``; returns in which of the two the last E-step's parameters lie.

    tables (4, n_rows, n_lanes): the first two are worked on and begin equal, the third is for sums, the fourth holds
    what a rater's probabilities are where there is no mass. stop: most iterations; the gain in the objective below
    which they end; 1 if it is looked at, else 0. An iteration that changes no bit changes none ever after, so it ends
    there.
    """
    n_iter, least_gain, looks = stop
    sums, start = tables[2], tables[3]
    has_prior = looks and pseudo_counts[n_classes, 0] > 0.0
    now, before = 0, -np.inf
    for iteration in range(n_iter):
        table, following = tables[now], tables[1 - now]
        is_last = iteration == n_iter - 1
        if is_last and not looks:
            return now
        _clear(sums)
        objective = _fused_pass(starts, codes, table, sums, n_classes, lanes)
        if has_prior:
            objective += _log_prior(table, pseudo_counts, n_classes)
        if is_last or (looks and iteration > 0 and objective - before < least_gain):
            return now
        before = objective
        _normalise(sums, pseudo_counts, start, n_classes, following)
        if _are_equal(table, following):
            return now
        now = 1 - now
    return now


@kernel
def _clear(table: Any) -> None:
    """Zero everywhere."""
    for row in range(table.shape[0]):
        for k in range(table.shape[1]):
            table[row, k] = 0.0


@kernel
def _are_equal(left: Any, right: Any) -> bool:
    """Whether two tables hold the same numbers."""
    for row in range(left.shape[0]):
        for k in range(left.shape[1]):
            if left[row, k] != right[row, k]:
                return False
    return True


@kernel
def group_and_choose(  # noqa: PLR0917
    starts: Any, codes: Any, posteriors: Any, groups: Any, rule: Any, probabilities: Any, label: Any
) -> None:
    """Probabilities of the groups, and the label of each item: -1 where there is none.

    posteriors (n_items, at least n_classes); groups (n_classes,): the group of each class. rule: place of
    ``undetected`` among the groups, or -1; fewest detections, 0 if every item gets a label, of all groups; relative
    difference that is a tie; the largest probability. probabilities (n_items, n_groups), all zero before, label
    (n_items,).
    """
    undetected, min_detections, tie, most = rule
    n_classes = groups.shape[0]
    is_given = np.empty(probabilities.shape[1], np.bool_)
    for i in range(starts.shape[0] - 1):
        for k in range(n_classes):
            probabilities[i, groups[k]] += posteriors[i, k]
        for g in range(probabilities.shape[1]):
            probabilities[i, g] = min(probabilities[i, g], most)
            is_given[g] = min_detections == 0
        n_detected, last = 0, -1
        for r in range(starts[i], starts[i + 1]):
            rater, group = codes[r] // n_classes, groups[codes[r] % n_classes]
            is_given[group] = True
            if group != undetected and rater != last:
                n_detected += 1
                last = rater
        label[i] = _first_of_most(probabilities[i], is_given, tie) if n_detected >= min_detections else -1


@kernel
def _first_of_most(probabilities: Any, is_given: Any, tie: float) -> int:
    """The first of those given whose probability is the largest but for a tie."""
    best = -1.0
    for g in range(probabilities.shape[0]):
        if is_given[g] and probabilities[g] > best:
            best = probabilities[g]
    for g in range(probabilities.shape[0]):
        if is_given[g] and probabilities[g] >= best * (1.0 - tie):
            return g
    return -1


@kernel
def area_under_roc(probabilities: Any, true: Any, order: Any, scratch: Any, areas: Any) -> None:
    """Areas under the ROC of each class against the rest, then of all pooled, into `areas`, (n_classes + 1,).

    probabilities (n_items * n_classes,), item by item, and their places in `order`, ascending; true (n_items,); scratch
    (5, n_classes + 1), all zero before. Equal probabilities count half: the area is the chance that an item of the
    class has more probability of it than another item. `areas` stays as it is where a side is empty.
    """
    n_classes = areas.shape[0] - 1
    begin, end = 0, 0
    while begin < order.shape[0]:
        while end < order.shape[0] and probabilities[order[end]] == probabilities[order[begin]]:
            k = order[end] % n_classes
            hit = 1 if true[order[end] // n_classes] == k else 0
            scratch[_TIED + hit, k] += 1.0
            scratch[_TIED + hit, n_classes] += 1.0
            end += 1
        for place in range(begin, end):
            _settle(order[place] % n_classes, scratch)
        _settle(n_classes, scratch)
        begin = end
    for k in range(n_classes + 1):
        n_pairs = scratch[_BELOW, k] * scratch[_BELOW + 1, k]
        if n_pairs > 0.0:
            areas[k] = scratch[_WINS, k] / n_pairs


@kernel
def _settle(k: int, scratch: Any) -> None:
    """Count the pairs that tied items of class k win, and let them be below all that follow."""
    scratch[_WINS, k] += scratch[_TIED + 1, k] * (scratch[_BELOW, k] + 0.5 * scratch[_TIED, k])
    for hit in range(2):
        scratch[_BELOW + hit, k] += scratch[_TIED + hit, k]
        scratch[_TIED + hit, k] = 0.0
