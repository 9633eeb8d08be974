"""What is wrong with a study's files, told in one message: which file, which line, which column, and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SHOWN = 20


class StudyError(ValueError):
    """A study cannot be read; the message names file, line, column and reason of every problem (the first 20).

    Examples
    --------
    >>> try:
    ...     raise_findings(in_table(memory_source("raters"), "has no column 'cohort'"))
    ... except StudyError as error:
    ...     print(error)
    raters: has no column 'cohort'
    """


@dataclass(frozen=True)
class Source:
    """Where the rows of a table come from; `locate` gives the words for row positions (from 0), in their order."""

    name: str
    locate: Callable[[Sequence[int]], list[str]]
    columns: Mapping[str, str] = field(default_factory=dict)  # our column -> the file's word for it, "" for none


@dataclass(frozen=True)
class Finding:
    """One kind of problem in some rows of a table, or in the table as a whole (`rows` None)."""

    source: Source
    rows: NDArray[np.intp] | None  # (n,) row positions from 0
    column: str  # "" where no single column is meant
    reason: Callable[[int], str]  # row position -> words
    hint: str = ""  # what helps with all of these rows, told once at the end


def memory_source(name: str) -> Source:
    """The source of a table made in memory: rows are positions from 0.

    Examples
    --------
    >>> memory_source("annotations").locate([3])
    ['annotations, row 3']
    """
    return Source(name, lambda rows: [f"{name}, row {row}" for row in rows])


def numbered_source(name: str) -> Source:
    """The source of a file without lines (Parquet, SQLite, JSON): rows are counted from 1."""
    return Source(name, lambda rows: [f"{name}, row {row + 1}" for row in rows])


def joined_source(name: str, parts: Sequence[tuple[Source, int]]) -> Source:
    """The source of tables laid one under another.

    Parameters
    ----------
    name : what the whole is called
    parts : source and number of rows of each table, in order
    """
    starts = np.cumsum([0, *(n_rows for _, n_rows in parts)])

    def locate(rows: Sequence[int]) -> list[str]:
        part = np.searchsorted(starts, rows, side="right") - 1
        return [parts[p][0].locate([int(row - starts[p])])[0] for p, row in zip(part, rows, strict=True)]

    return Source(name, locate)


def in_rows(
    source: Source, mask: NDArray[np.bool_], column: str, reason: Callable[[int], str] | str, hint: str = ""
) -> list[Finding]:
    """A finding for the rows where `mask` (n_rows,) is true; none where it is nowhere true."""
    rows = np.flatnonzero(mask)
    if not len(rows):
        return []
    return [Finding(source, rows, column, (lambda _: reason) if isinstance(reason, str) else reason, hint)]


def in_table(source: Source, reason: str, column: str = "") -> list[Finding]:
    """A finding about a table as a whole."""
    return [Finding(source, None, column, lambda _: reason)]


def raise_findings(findings: Iterable[Finding]) -> None:
    """Raise one error for all findings, if there are any.

    Raises
    ------
    StudyError
        File by file, the first 20 problems by row; the total is counted, and hints stand once at the end.

    Examples
    --------
    >>> raise_findings(in_table(memory_source("raters"), "has no column 'cohort'"))
    Traceback (most recent call last):
    crowdtruth.problems.StudyError: raters: has no column 'cohort'
    """
    found = list(findings)
    total = sum(1 if finding.rows is None else len(finding.rows) for finding in found)
    if not total:
        return
    lines = _lines(found)
    hints = dict.fromkeys(finding.hint for finding in found if finding.hint)
    if total == 1:
        raise StudyError("\n  ".join([*lines, *hints]))
    more = [f"… and {total - len(lines):,} more"] if total > len(lines) else []
    raise StudyError("\n  ".join([f"{total:,} problems:", *lines, *more, *hints]))


def _lines(findings: list[Finding]) -> list[str]:
    """The first problems in words: file by file, whole-table ones first, then by row."""
    names = list(dict.fromkeys(finding.source.name for finding in findings))
    sources = list({id(finding.source): finding.source for finding in findings}.values())
    number = {id(source): n for n, source in enumerate(sources)}
    entries = [
        (names.index(finding.source.name), number[id(finding.source)], -1 if row is None else int(row), n)
        for n, finding in enumerate(findings)
        for row in ([None] if finding.rows is None else finding.rows[:SHOWN])
    ]
    shown = [entry[1:] for entry in sorted(entries)[:SHOWN]]
    places = _places(sources, [(source, row) for source, row, _ in shown])
    return [f"{places[source, row]}{_column(findings[n])}: {findings[n].reason(row)}" for source, row, n in shown]


def _column(finding: Finding) -> str:
    """The column of a finding as its file calls it, after a comma."""
    name = finding.source.columns.get(finding.column, finding.column)
    return f", {name}" if name else ""


def _places(sources: list[Source], wanted: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """Words for places, each a source's number and a row (-1: the whole); each source is asked once."""
    places: dict[tuple[int, int], str] = {}
    for number, source in enumerate(sources):
        rows = sorted({row for of, row in wanted if of == number and row >= 0})
        places |= {(number, row): place for row, place in zip(rows, source.locate(rows), strict=True)}
        places[number, -1] = source.name
    return places


def quoted(names: Iterable[object], limit: int = 8) -> str:
    """Names in quotes for a message, the first few.

    Examples
    --------
    >>> quoted(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    listed = [repr(str(name)) for name in names]
    rest = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + rest
