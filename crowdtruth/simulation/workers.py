"""Where realizations are done: here, on threads, or on the workers of a Dask cluster."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_PATIENCE = 10
"""Seconds to wait for a scheduler."""


@dataclass(frozen=True)
class Workers:
    """Threads of this process, or the workers of a Dask cluster; what they compute depends on neither."""

    jobs: int = 1
    address: str | None = None  # of a Dask scheduler, like tcp://10.0.0.1:8786

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs must be at least 1, got {self.jobs}")

    def map(self, function: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any]) -> Iterator[Any]:
        """``function(shared, item)`` of each item, in their order, as they are done; `shared` travels once."""
        if self.address is None and (self.jobs == 1 or len(items) < 2):
            yield from (function(shared, item) for item in items)
            return
        from joblib import Parallel, delayed

        tasks = (delayed(function)(shared, item) for item in items)
        if self.address is None:
            yield from _closing(Parallel(n_jobs=self.jobs, prefer="threads", return_as="generator")(tasks))
        else:
            with _on_cluster(self.address, shared):
                yield from _closing(Parallel(n_jobs=-1, return_as="generator")(tasks))


def _closing(results: Any) -> Iterator[Any]:
    """The results; joblib warns of those that nobody takes any more, which an interruption need not."""
    try:
        for result in results:  # noqa: UP028 - `yield from` would close the results before the warning is off
            yield result
    finally:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            results.close()


@contextmanager
def _on_cluster(address: str, shared: Any) -> Iterator[None]:
    """Within the block, joblib's work goes to a Dask cluster, whose workers all hold `shared`."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError("a Dask cluster needs the package distributed: pip install 'nucls[dask]'") from error
    import joblib

    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {error}") from error
    with client, joblib.parallel_config(backend="dask", scatter=[shared]):
        yield
