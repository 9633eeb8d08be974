"""What the user sees while a command works: bars on a terminal, plain lines in a log. Everything goes to stderr."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from crowdtruth.parallel import Reporter


def reporter_for(stream: Any) -> Reporter:
    """Bars where `stream` is a terminal, plain lines where it is a log."""
    return Bars() if stream.isatty() else Lines()


class Lines:
    """One line when a piece of work begins, and one for each message."""

    def track(self, items: Iterable[Any], description: str, total: int | None) -> Iterator[Any]:
        """`items`, announced once."""
        self.say(f"{description} …" if total is None else f"{description}: {total} …")
        yield from items

    def say(self, message: str) -> None:
        """One line to stderr."""
        print(message, file=sys.stderr, flush=True)


class Bars:
    """A bar for each piece of work under way, gone when it is done; messages appear above them."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)

    def track(self, items: Iterable[Any], description: str, total: int | None) -> Iterator[Any]:
        """`items`, with a bar below those of the work they are part of."""
        if not self._bars.tasks:
            self._bars.start()
        task = self._bars.add_task(description, total=total)
        try:
            for item in items:
                yield item
                self._bars.advance(task)
        finally:
            self._bars.remove_task(task)
            if not self._bars.tasks:
                self._bars.stop()

    def say(self, message: str) -> None:
        """One line above the bars; text as it is, without markup."""
        self._console.print(message, markup=False, soft_wrap=True)
