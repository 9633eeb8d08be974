"""Expectation-maximization over ratings in item order: one fused pass per iteration.

The ratings of item i are ``codes[starts[i]:starts[i + 1]]``. A code is a row of `table`, (n_rows, n_lanes): its entry k
is the probability of that rating if the item is of class k, so a rating costs one product of short vectors. Rows
``rater * n_classes + label`` are the raters'; the next `n_classes` rows say "known to be of class k" (a one and zeros);
the last row is the prevalence. Lanes beyond the classes are zero.
"""

import math
from typing import Any

import numpy as np

from crowdtruth._kernels._jit import kernel
from crowdtruth._kernels._simd import add_to, load, multiply, scale, store, total

_TINY = 1e-200
"""Where the likelihood of an item falls below this, it is computed again with an exponent per class."""

_FLUSH = 1e-100
"""Likelihoods are multiplied until below this, then one logarithm is taken: no logarithm per item."""

_SPLIT = 2.0**13 + 1
"""Times this and back leaves 53 - 13 significant bits of a double."""

_STEP = 512
_UP = 2.0**_STEP


@kernel
def fused_pass(starts: Any, codes: Any, table: Any, sums: Any, n_classes: int, lanes: Any) -> float:  # noqa: PLR0917
    """E-step of some items and their sums for the M-step, added to `sums`; returns the log-likelihood.

    starts (n_items + 1,), codes (n_ratings,), table and sums (n_rows, n_lanes). ``sums[code]`` gains the posteriors of
    the items rated so, the last row those of all items.
    """
    scratch = np.empty((2, table.shape[1]))
    last = table.shape[0] - 1
    log_likelihood, running = 0.0, 1.0
    for i in range(starts.shape[0] - 1):
        begin, end = np.uint64(starts[i]), np.uint64(starts[i + 1])  # unsigned: no look for indices from the end
        posterior = load(table, last, lanes)
        for r in range(begin, end):
            posterior = multiply(posterior, load(table, codes[r], lanes))
        likelihood = total(posterior)
        if likelihood > _TINY:
            posterior = scale(posterior, 1.0 / likelihood)
            running *= likelihood
            if running < _FLUSH:
                log_likelihood += math.log(running)
                running = 1.0
        else:
            log_likelihood += careful_posterior(codes[starts[i] : starts[i + 1]], table, n_classes, scratch)
            posterior = load(scratch, 0, lanes)
        for r in range(begin, end):
            add_to(sums, codes[r], posterior)
        add_to(sums, last, posterior)
    return log_likelihood + math.log(running)


@kernel
def posterior_pass(starts: Any, codes: Any, table: Any, posteriors: Any, n_classes: int, lanes: Any) -> None:  # noqa: PLR0917
    """The E-step alone, as in `fused_pass`: the posterior of each item into `posteriors`, (n_items, n_lanes)."""
    scratch = np.empty((2, table.shape[1]))
    last = table.shape[0] - 1
    for i in range(starts.shape[0] - 1):
        begin, end = np.uint64(starts[i]), np.uint64(starts[i + 1])  # unsigned: no look for indices from the end
        posterior = load(table, last, lanes)
        for r in range(begin, end):
            posterior = multiply(posterior, load(table, codes[r], lanes))
        likelihood = total(posterior)
        if likelihood > _TINY:
            posterior = scale(posterior, 1.0 / likelihood)
        else:
            careful_posterior(codes[starts[i] : starts[i + 1]], table, n_classes, scratch)
            posterior = load(scratch, 0, lanes)
        store(posteriors, i, posterior)


@kernel
def careful_posterior(codes: Any, table: Any, n_classes: int, scratch: Any) -> float:
    """Posterior of one item into ``scratch[0]``, whatever its number of ratings; returns its log-likelihood.

    Each class carries its own power of two in ``scratch[1]``, so nothing underflows; an exact zero rules the class out.
    Where all classes are ruled out, the posterior is the known class if there is one, else uniform, and the
    log-likelihood is -inf. scratch (2, n_lanes). Plain loops: numpy's reductions would take seconds to compile.
    """
    posterior, exponents = scratch[0], scratch[1]
    for k in range(posterior.shape[0]):
        posterior[k] = 0.0
    top = -np.inf
    for k in range(n_classes):
        posterior[k], exponents[k] = _scaled_product(codes, table, k)
        if posterior[k] > 0.0 and exponents[k] > top:
            top = exponents[k]
    if top == -np.inf:
        _rule_in(codes, table.shape[0] - 1 - n_classes, n_classes, posterior)
        return -np.inf
    likelihood = 0.0
    for k in range(n_classes):
        posterior[k] = math.ldexp(posterior[k], int(max(exponents[k] - top, -4.0 * _STEP)))
        likelihood += posterior[k]
    for k in range(n_classes):
        posterior[k] /= likelihood
    return math.log(likelihood) + top * math.log(2.0)


@kernel
def _scaled_product(codes: Any, table: Any, k: int) -> tuple[float, float]:
    """Prevalence of class k times the probabilities of all ratings given k, as a number from 1 and a power of two."""
    value, exponent = table[table.shape[0] - 1, k], 0.0
    for code in codes:
        while 0.0 < value < 1.0:
            value *= _UP
            exponent -= _STEP
        value *= table[code, k]
    while 0.0 < value < 1.0:
        value *= _UP
        exponent -= _STEP
    return value, exponent


@kernel
def _rule_in(codes: Any, first_known: int, n_classes: int, posterior: Any) -> None:
    """Into `posterior`: one for the known class, if the item has one, else uniform."""
    known = -1
    for code in codes:
        if code >= first_known:
            known = code - first_known
    for k in range(n_classes):
        posterior[k] = 1.0 / n_classes if known < 0 else 0.0
    if known >= 0:
        posterior[known] = 1.0


@kernel
def fused_pass_plain(starts: Any, codes: Any, table: Any, sums: Any, n_classes: int) -> float:
    """`fused_pass` for more classes than the widest vector has lanes."""
    scratch = np.empty((2, table.shape[1]))
    log_likelihood = 0.0
    for i in range(starts.shape[0] - 1):
        log_likelihood += _plain_posterior(codes[starts[i] : starts[i + 1]], table, n_classes, scratch)
        for r in range(starts[i], starts[i + 1]):
            for k in range(n_classes):
                sums[codes[r], k] += scratch[0, k]
        for k in range(n_classes):
            sums[sums.shape[0] - 1, k] += scratch[0, k]
    return log_likelihood


@kernel
def posterior_pass_plain(starts: Any, codes: Any, table: Any, posteriors: Any, n_classes: int) -> None:
    """`posterior_pass` for more classes than the widest vector has lanes."""
    scratch = np.empty((2, table.shape[1]))
    for i in range(starts.shape[0] - 1):
        _plain_posterior(codes[starts[i] : starts[i + 1]], table, n_classes, scratch)
        for k in range(n_classes):
            posteriors[i, k] = scratch[0, k]


@kernel
def _plain_posterior(codes: Any, table: Any, n_classes: int, scratch: Any) -> float:
    """Posterior of one item into ``scratch[0]``; returns its log-likelihood."""
    likelihood = 0.0
    for k in range(n_classes):
        scratch[0, k] = table[table.shape[0] - 1, k]
        for code in codes:
            scratch[0, k] *= table[code, k]
        likelihood += scratch[0, k]
    if not likelihood > _TINY:
        return careful_posterior(codes, table, n_classes, scratch)
    for k in range(n_classes):
        scratch[0, k] /= likelihood
    return math.log(likelihood)


@kernel
def add_sums(starts: Any, codes: Any, posteriors: Any, sums: Any) -> None:
    """Add to `sums`, (n_rows, n_lanes), what the M-step needs of given `posteriors`, (n_items, n_classes)."""
    for i in range(starts.shape[0] - 1):
        for k in range(posteriors.shape[1]):
            for r in range(starts[i], starts[i + 1]):
                sums[codes[r], k] += posteriors[i, k]
            sums[sums.shape[0] - 1, k] += posteriors[i, k]


@kernel
def vote_shares(starts: Any, codes: Any, first_known: int, shares: Any) -> None:
    """Shares of the labels among each item's ratings into `shares`, (n_items, n_classes), all zero before.

    Codes from `first_known` on are known classes and take all; without any rating the shares are uniform.
    """
    n_classes = shares.shape[1]
    for i in range(starts.shape[0] - 1):
        begin, end = starts[i], starts[i + 1]
        if begin == end:
            for k in range(n_classes):
                shares[i, k] = 1.0 / n_classes
        elif codes[end - 1] >= first_known:  # the known class has the item's largest code, and codes are sorted
            shares[i, codes[end - 1] - first_known] = 1.0
        else:
            for r in range(begin, end):
                shares[i, codes[r] % n_classes] += 1.0 / (end - begin)


def rounded(values: Any) -> Any:
    """The number, or each of an array, rounded to 40 significant bits."""
    scaled = values * _SPLIT
    return scaled - (scaled - values)


_rounded = kernel(rounded)


@kernel
def normalise(sums: Any, pseudo_counts: Any, start: Any, n_classes: int, table: Any) -> None:
    """M-step: the raters' rows and the prevalence of `table` from the sums of an E-step.

    sums, start and table (n_rows, n_lanes); pseudo_counts (n_classes + 1, n_lanes): of each label by true class, the
    last row those of the prevalence. Where a true class of a rater has no mass, its probabilities are those of `start`.
    Probabilities are `rounded`, so that what the order of the additions left in their last bits does not grow.
    """
    last = table.shape[0] - 1
    for row in range(0, last - n_classes, n_classes):
        for k in range(n_classes):
            mass = 0.0
            for label in range(n_classes):
                mass += sums[row + label, k] + pseudo_counts[label, k]
            for label in range(n_classes):
                if mass > 0.0:
                    table[row + label, k] = _rounded((sums[row + label, k] + pseudo_counts[label, k]) / mass)
                else:
                    table[row + label, k] = start[row + label, k]
    mass = 0.0
    for k in range(n_classes):
        mass += sums[last, k] + pseudo_counts[n_classes, k]
    for k in range(n_classes):
        table[last, k] = _rounded((sums[last, k] + pseudo_counts[n_classes, k]) / mass)


@kernel
def log_prior(table: Any, pseudo_counts: Any, n_classes: int) -> float:
    """Sum of pseudo-counts times log-probabilities over raters, true classes and labels, and the prevalence's."""
    n_raters = (table.shape[0] - 1) // n_classes - 1
    total_log = 0.0
    for k in range(n_classes):
        last = pseudo_counts[n_classes, k]
        if last > 0.0:
            total_log += last * math.log(table[table.shape[0] - 1, k])
        for label in range(n_classes):
            if pseudo_counts[label, k] > 0.0:
                total_log += pseudo_counts[label, k] * _log_of_product(table, label, n_raters * n_classes, n_classes, k)
    return total_log


@kernel
def _log_of_product(table: Any, first: int, stop: int, step: int, k: int) -> float:
    """Sum of the logarithms of ``table[first:stop:step, k]``, one logarithm for many."""
    log_product, running = 0.0, 1.0
    for row in range(first, stop, step):
        if table[row, k] > _FLUSH:
            running *= table[row, k]
            if running < _FLUSH:
                log_product += math.log(running)
                running = 1.0
        else:
            log_product += math.log(table[row, k])
    return log_product + math.log(running)
