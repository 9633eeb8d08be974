"""Work split over threads or processes, with progress: one interface for everything that is embarrassingly parallel.

joblib carries the work, so its Dask backend reaches a cluster. Results come back in the order of the inputs, and no
result depends on the number of workers.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, Protocol


class Reporter(Protocol):
    """Where progress goes: a bar on a terminal, plain lines in a log, or nowhere."""

    def track(self, items: Iterable[Any], description: str, total: int | None) -> Iterator[Any]:
        """`items`, one by one, each counted as done when the next is asked for."""
        ...

    def say(self, message: str) -> None:
        """One line for the user."""
        ...


class Silent:
    """The reporter of library use: no progress, no words."""

    def track(self, items: Iterable[Any], description: str, total: int | None) -> Iterator[Any]:
        """`items`, unchanged."""
        yield from items

    def say(self, message: str) -> None:
        """Nothing."""


_reporter: ContextVar[Reporter] = ContextVar("crowdtruth_reporter", default=Silent())  # noqa: B039 - Silent has no state


@contextmanager
def reporting_to(reporter: Reporter) -> Iterator[None]:
    """Within the block, progress and messages of all steps go to `reporter`."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def say(message: str) -> None:
    """One line to the current reporter."""
    _reporter.get().say(message)


def track(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
    """`items` one by one, with progress shown by the current reporter.

    Parameters
    ----------
    items : iterable
    description : what the user reads beside the bar
    total : number of items, where `items` has no length
    """
    if total is None and isinstance(items, Sequence):
        total = len(items)
    return _reporter.get().track(items, description, total)


@contextmanager
def working_on(description: str) -> Iterator[None]:
    """Show the user, for the length of the block, what is being done."""
    tracker = _reporter.get().track((None,), description, None)
    next(tracker)
    try:
        yield
    finally:
        next(tracker, None)


def parallel_map(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    *,
    jobs: int = 1,
    prefer: Literal["threads", "processes"] = "threads",
    description: str = "",
) -> list[Any]:
    """``[function(item) for item in items]``, on `jobs` workers, in the order of `items`.

    Parameters
    ----------
    function : called once per item; with processes it and the items must pickle
    items : the pieces of work
    jobs : workers, at least 1; with 1 everything runs in the caller's thread
    prefer : threads for compiled kernels (they release the interpreter lock), processes for Python
    description : what the user reads beside the progress bar; empty shows none

    Raises
    ------
    ValueError
        If `jobs` is below 1.

    Examples
    --------
    >>> parallel_map(abs, [-1, 2, -3], jobs=2)
    [1, 2, 3]
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if jobs == 1 or len(items) < 2:
        results: Iterable[Any] = map(function, items)
    else:
        from joblib import Parallel, delayed

        results = Parallel(n_jobs=jobs, prefer=prefer, return_as="generator")(delayed(function)(i) for i in items)
    if description:
        results = track(results, description, total=len(items))
    return list(results)
