"""SQUAREM: two iterations of EM show where the following ones lead, and one jump takes most of the way.

Varadhan and Roland (2008), Scandinavian Journal of Statistics 35, 335–353, scheme S3, on the probabilities themselves.
"""

import numpy as np

from crowdtruth._kernels import em
from crowdtruth.truth.expectation import Fit, FreeConfusion, Passes, Point, Table, evaluate, finish, has_settled

_KEPT = 0.1
"""A jump keeps at least this share of each probability: zero would rule a label out for ever."""


def squarem(passes: Passes, model: FreeConfusion, start: Table, *, n_iter: int, tolerance: float) -> Fit:
    """EM with jumps: at most `n_iter` passes; the trace holds the points that were kept, and never falls.

    It ends where an ordinary iteration gains less than `tolerance` per rating.
    """
    point = evaluate(passes, model, start)
    trace, n_passes = [point.objective], 1
    while n_passes < n_iter:
        second = evaluate(passes, model, point.following)
        n_passes += 1
        trace.append(second.objective)
        if n_passes == n_iter or has_settled(passes, second.objective - point.objective, tolerance):
            point = second
            break
        landed = evaluate(passes, model, jump(model, point, second))
        n_passes += 1
        if not landed.objective >= second.objective and n_passes < n_iter:
            landed = evaluate(passes, model, second.following)
            n_passes += 1
        if landed.objective >= second.objective:
            trace.append(landed.objective)
            point = landed
        else:
            point = second
    return finish(passes, point, trace, n_iter=n_passes, tolerance=tolerance)


def jump(model: FreeConfusion, first: Point, second: Point) -> Table:
    """Where the two iterations that began at `first` and `second` point to, as probabilities."""
    step = second.table - first.table
    bend = second.following - second.table - step
    length = np.linalg.norm(step) / max(float(np.linalg.norm(bend)), np.finfo(float).tiny)
    if not length > 1:
        return second.following
    target = first.table + 2 * length * step + length**2 * bend
    target = np.maximum(target, _KEPT * second.following)
    no_counts = np.zeros_like(model.pseudo_counts)
    landed = second.following.copy()
    em.normalise(target, no_counts, second.following, model.sparse.n_classes, landed)
    return landed
