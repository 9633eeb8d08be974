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
        self.say(description if total is None else f"{description}: {total}")
        yield from items

    def say(self, message: str) -> None:
        """One line to stderr."""
        print(message, file=sys.stderr, flush=True)


class Bars:
    """A progress bar for each piece of work; messages appear above it."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    def track(self, items: Iterable[Any], description: str, total: int | None) -> Iterator[Any]:
        """`items`, with a bar that goes away when they are done."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            yield from bar.track(items, total=total, description=description)

    def say(self, message: str) -> None:
        """One line above the bars; text as it is, without markup."""
        self._console.print(message, markup=False, soft_wrap=True)
