"""Expectation-maximization for models in which each rater has a confusion matrix (Dawid and Skene, 1979).

An iteration is an E-step, then an M-step. Ratings are held in item order, one small integer each, and both steps are
done in one pass over them; only the last E-step writes its posteriors. Items are split into chunks by a rule that looks
at the data alone, and the chunks' sums are added in their order, so the number of threads changes no bit.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crowdtruth._kernels import em, item_order
from crowdtruth._kernels._simd import WIDTHS, lanes_of
from crowdtruth.parallel import track
from crowdtruth.ratings import Ratings

Table = NDArray[np.float64]
"""Parameters, (n_rows, n_lanes): see `crowdtruth._kernels.em`."""

_CHUNK_RATINGS = 2**18
"""Ratings of a chunk, about half a millisecond of work: a thread that has fewer costs more than it saves."""

_MAX_CHUNKS = 64
_ROWS_PER_CHUNK = 8
"""A chunk has at least this many ratings per row of the table, so that the chunks' sums stay smaller than the data."""

_WORTH_A_BAR = 2_000_000
"""Ratings from which the user sees the iterations go by: they then take some milliseconds each."""

_ROUNDING = 1e-12
"""Relative change of the objective that rounding alone can make."""


TIE = 1e-9
"""Relative difference of two probabilities below which they are a tie: far above what rounding makes of equal ones."""


@dataclass(frozen=True)
class SparseRatings:
    """Ratings in item order. The known classes (gold) are ratings by a last rater who is never wrong."""

    starts: NDArray[np.int64]  # (n_items + 1,)
    codes: NDArray[np.unsignedinteger[Any]]  # (n_ratings,), rater * n_classes + label, sorted within each item
    n_items: int
    n_raters: int  # without the one who is never wrong
    n_classes: int
    n_repeats: int  # ratings beyond the first of an item by a rater

    @property
    def n_rows(self) -> int:
        """Rows of the parameter table: raters' labels, known classes, prevalence."""
        return (self.n_raters + 1) * self.n_classes + 1

    @property
    def n_lanes(self) -> int:
        """Columns of the parameter table: the classes, filled up to a width with a vector form."""
        return next((width for width in WIDTHS if width >= self.n_classes), self.n_classes)

    @cached_property
    def chunks(self) -> list[slice]:
        """Runs of items with about the same number of ratings; a function of the data alone."""
        n_ratings = len(self.codes)
        size = max(_CHUNK_RATINGS, -(-n_ratings // _MAX_CHUNKS), _ROWS_PER_CHUNK * self.n_rows)
        n_chunks = max(1, round(n_ratings / size))
        wanted = np.linspace(0, n_ratings, n_chunks + 1)[1:-1]
        borders = [0, *np.searchsorted(self.starts, wanted).tolist(), self.n_items]
        return [slice(begin, end) for begin, end in pairwise(borders) if end > begin]


def sparse_ratings(ratings: Ratings, gold: NDArray[np.integer[Any]] | None = None) -> SparseRatings:
    """Ratings in item order.

    Parameters
    ----------
    ratings : codes in any order
    gold : (n_items,), the known class of each item, -1 where unknown
    """
    item, rater, label = (np.asarray(a, dtype=np.int32) for a in (ratings.item, ratings.rater, ratings.label))
    if gold is not None:
        known = np.flatnonzero(gold >= 0).astype(np.int32)
        item = np.concatenate([item, known])
        rater = np.concatenate([rater, np.full(len(known), ratings.n_raters, dtype=np.int32)])
        label = np.concatenate([label, gold[known].astype(np.int32)])
    n_codes = (ratings.n_raters + 1) * ratings.n_classes
    codes: NDArray[Any] = np.empty(len(item), dtype=np.uint16 if n_codes < 2**16 else np.uint32)
    starts = np.zeros(ratings.n_items + 2, dtype=np.int64)
    item_order.order_by_item(item, rater, label, ratings.n_classes, starts, codes)
    starts = starts[:-1]
    n_repeats = item_order.sort_within_items(starts, codes, ratings.n_classes)
    return SparseRatings(starts, codes, ratings.n_items, ratings.n_raters, ratings.n_classes, n_repeats)


def table_of(sparse: SparseRatings, confusion: NDArray[np.float64], prevalence: NDArray[np.float64]) -> Table:
    """Parameter table of a confusion [rater, true, assigned] (or one for all raters) and a prevalence (n_classes,)."""
    n_raters, n_classes = sparse.n_raters, sparse.n_classes
    table = np.zeros((sparse.n_rows, sparse.n_lanes))
    confusion = np.broadcast_to(confusion, (n_raters, n_classes, n_classes))
    table[: n_raters * n_classes, :n_classes] = confusion.transpose(0, 2, 1).reshape(-1, n_classes)
    table[n_raters * n_classes : -1, :n_classes] = np.eye(n_classes)
    table[-1, :n_classes] = prevalence
    return table


def confusion_of(sparse: SparseRatings, table: Table) -> NDArray[np.float64]:
    """The raters' part of a table, [rater, true, assigned]."""
    n_raters, n_classes = sparse.n_raters, sparse.n_classes
    by_label = table[: n_raters * n_classes, :n_classes].reshape(n_raters, n_classes, n_classes)
    return np.ascontiguousarray(by_label.transpose(0, 2, 1))


class Model(Protocol):
    """What an M-step is."""

    def maximise(self, sums: Table) -> Table:
        """Parameters that maximise the expected log-posterior, given the sums of an E-step."""
        ...

    def log_prior(self, table: Table) -> float:
        """What is added to the log-likelihood to give the objective."""
        ...


@dataclass(frozen=True)
class FreeConfusion:
    """Each rater has a confusion matrix of their own (Dawid–Skene)."""

    sparse: SparseRatings
    start: Table  # kept where a rater has no mass
    pseudo_counts: Table  # (n_classes + 1, n_lanes): of each label by true class; last row, of the prevalence

    def maximise(self, sums: Table) -> Table:
        """Shares of the labels by true class, pseudo-counts included."""
        table = self.start.copy()
        em.normalise(sums, self.pseudo_counts, self.start, self.sparse.n_classes, table)
        return table

    def log_prior(self, table: Table) -> float:
        """Log-density of the Dirichlet whose counts the pseudo-counts are, up to a constant."""
        if not self.pseudo_counts.any():
            return 0.0
        return float(em.log_prior(table, self.pseudo_counts, self.sparse.n_classes))


@dataclass(frozen=True)
class OneQuality:
    """Each rater is right with one probability, whatever the class, and else errs evenly (one-coin)."""

    sparse: SparseRatings
    start: Table
    prior_quality: float  # how often a pseudo-rating is right
    pseudo_counts: float  # ratings of each rater, and items of each class

    def maximise(self, sums: Table) -> Table:
        """Expected share of right ratings of each rater."""
        counts = confusion_of(self.sparse, sums)
        n_right = np.einsum("jkk->j", counts) + self.pseudo_counts * self.prior_quality
        n_all = counts.sum(axis=(1, 2)) + self.pseudo_counts
        start = np.einsum("jkk->jk", confusion_of(self.sparse, self.start))[:, :1].ravel()
        quality = np.divide(n_right, n_all, out=start.copy(), where=n_all > 0)
        prevalence = sums[-1, : self.sparse.n_classes] + self.pseudo_counts
        confusion = even_errors(em.rounded(quality), self.sparse.n_classes)
        return table_of(self.sparse, confusion, em.rounded(prevalence / prevalence.sum()))

    def log_prior(self, table: Table) -> float:
        """Log-density of the Beta and the Dirichlet whose counts the pseudo-counts are, up to a constant."""
        if self.pseudo_counts == 0 or self.sparse.n_classes == 1:
            return 0.0
        quality = np.einsum("jkk->jk", confusion_of(self.sparse, table))[:, 0]
        prevalence = table[-1, : self.sparse.n_classes]
        with np.errstate(divide="ignore"):
            of_quality = self.prior_quality * np.log(quality) + (1 - self.prior_quality) * np.log1p(-quality)
            return float(self.pseudo_counts * (of_quality.sum() + np.log(prevalence).sum()))


def even_errors(quality: NDArray[np.float64] | float, n_classes: int) -> NDArray[np.float64]:
    """Confusion of raters who are right with probability `quality` and else err evenly, (..., n_classes, n_classes)."""
    quality = np.asarray(quality, dtype=np.float64)[..., np.newaxis, np.newaxis]
    if n_classes == 1:
        return np.ones((*quality.shape[:-2], 1, 1))
    return np.where(np.eye(n_classes, dtype=bool), quality, (1 - quality) / (n_classes - 1))


def most_probable(probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
    """The first column of each row that is less than `TIE` below the row's largest, relatively; (n_rows,).

    Examples
    --------
    >>> most_probable(np.array([[0.25, 0.25 + 1e-16, 0.5 - 1e-16, 0.5], [0.25, 0.25 + 1e-6, 0, 0]]))
    array([2, 1])
    """
    least = probabilities.max(axis=1, keepdims=True) * (1 - TIE)
    return (probabilities >= least).argmax(axis=1)


class Passes:
    """Passes over the ratings, chunk by chunk, on one pool of threads for all iterations."""

    def __init__(self, sparse: SparseRatings, run: Callable[..., Any]) -> None:
        self._sparse = sparse
        self._run = run
        self._vector = sparse.n_lanes in WIDTHS
        self._lanes = (lanes_of(sparse.n_lanes),) if self._vector else ()
        self._sums = np.empty((len(sparse.chunks), sparse.n_rows, sparse.n_lanes))

    @property
    def n_ratings(self) -> int:
        """Ratings in one pass, known classes included."""
        return len(self._sparse.codes)

    def sums(self, table: Table) -> tuple[Table, float]:
        """E-step: the sums the M-step needs, and the log-likelihood of `table`."""
        fused = em.fused_pass if self._vector else em.fused_pass_plain
        sparse = self._sparse

        def work(number: int) -> float:
            starts = self._starts(sparse.chunks[number])
            self._sums[number] = 0.0
            return float(fused(starts, sparse.codes, table, self._sums[number], sparse.n_classes, *self._lanes))

        log_likelihood = sum(self._run(work, range(len(sparse.chunks))))
        return self._added_up(), log_likelihood

    def posteriors(self, table: Table) -> NDArray[np.float64]:
        """E-step: the posterior of every item, (n_items, n_classes)."""
        one_pass = em.posterior_pass if self._vector else em.posterior_pass_plain
        sparse = self._sparse
        posteriors = np.zeros((sparse.n_items, sparse.n_lanes))

        def work(items: slice) -> None:
            one_pass(self._starts(items), sparse.codes, table, posteriors[items], sparse.n_classes, *self._lanes)

        list(self._run(work, sparse.chunks))
        return posteriors[:, : sparse.n_classes]

    def sums_of(self, posteriors: NDArray[np.float64]) -> Table:
        """The sums the M-step needs, of given posteriors (n_items, n_classes)."""
        sparse = self._sparse

        def work(number: int) -> None:
            self._sums[number] = 0.0
            items = sparse.chunks[number]
            em.add_sums(self._starts(items), sparse.codes, posteriors[items], self._sums[number])

        list(self._run(work, range(len(sparse.chunks))))
        return self._added_up()

    def _starts(self, items: slice) -> NDArray[np.int64]:
        return self._sparse.starts[items.start : items.stop + 1]

    def _added_up(self) -> Table:
        total = np.zeros((self._sparse.n_rows, self._sparse.n_lanes))
        for sums in self._sums:
            total += sums
        return total


@contextmanager
def passes_over(sparse: SparseRatings, jobs: int) -> Iterator[Passes]:
    """Passes on `jobs` threads, as far as there is work for them; else in the caller's thread."""
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    n_threads = min(jobs, len(sparse.codes) // _CHUNK_RATINGS, len(sparse.chunks))
    if n_threads < 2:
        yield Passes(sparse, map)
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            yield Passes(sparse, pool.map)


def vote_posteriors(sparse: SparseRatings) -> NDArray[np.float64]:
    """Shares of the labels among an item's ratings, (n_items, n_classes): a known class takes all; uniform if none."""
    shares = np.zeros((sparse.n_items, sparse.n_classes))
    em.vote_shares(sparse.starts, sparse.codes, sparse.n_raters * sparse.n_classes, shares)
    return shares


@dataclass(frozen=True)
class Point:
    """Parameters, what the objective is there, and where one iteration leads."""

    table: Table
    log_likelihood: float
    objective: float
    following: Table  # after the M-step


def evaluate(passes: Passes, model: Model, table: Table) -> Point:
    """One iteration from `table`: E-step, then M-step."""
    sums, log_likelihood = passes.sums(table)
    return Point(table, log_likelihood, log_likelihood + model.log_prior(table), model.maximise(sums))


@dataclass(frozen=True)
class Fit:
    """What EM ends with."""

    posteriors: NDArray[np.float64]  # (n_items, n_classes), of the last E-step
    table: Table  # of the last M-step
    log_likelihood: float  # of the last E-step's parameters
    objective: NDArray[np.float64]  # of the parameters of each E-step that was kept
    n_iter: int
    converged: bool
    moving: float  # share of the items whose label the next E-step would change; 0 where converged


def expectation_maximization(passes: Passes, model: Model, start: Table, *, n_iter: int, tolerance: float) -> Fit:
    """EM from `start`: at most `n_iter` iterations, fewer once the objective gains less than `tolerance` per rating."""
    point = evaluate(passes, model, start)
    trace = [point.objective]
    for _ in further_iterations(passes, n_iter):
        point = evaluate(passes, model, point.following)
        trace.append(point.objective)
        if has_settled(passes, trace[-1] - trace[-2], tolerance):
            break
    return finish(passes, point, trace, n_iter=len(trace), tolerance=tolerance)


def further_iterations(passes: Passes, n_iter: int) -> Iterator[int]:
    """The iterations after the first, with a progress bar where each takes its time."""
    iterations = range(1, n_iter)
    return track(iterations, "EM iterations, at most") if passes.n_ratings >= _WORTH_A_BAR else iter(iterations)


def has_settled(passes: Passes, gain: float, tolerance: float) -> bool:
    """Whether an iteration gained less than `tolerance` per rating; never with tolerance 0, whatever the rounding."""
    return tolerance > 0 and gain < tolerance * passes.n_ratings


def finish(passes: Passes, point: Point, trace: list[float], *, n_iter: int, tolerance: float) -> Fit:
    """The result after the last iteration, which began at `point`."""
    posteriors = passes.posteriors(point.table)
    gain = trace[-1] - trace[-2] if len(trace) > 1 else np.inf
    converged = bool(has_settled(passes, gain, tolerance) or gain <= _ROUNDING * abs(trace[-1]))
    moving = 0.0
    if not converged and len(posteriors):
        next_labels = most_probable(passes.posteriors(point.following))
        moving = float(np.mean(most_probable(posteriors) != next_labels))
    return Fit(posteriors, point.following, point.log_likelihood, np.array(trace), n_iter, converged, moving)
