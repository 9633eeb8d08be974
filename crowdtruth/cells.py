"""The cells of a CSV or Parquet file as they stand there: text is text, and every row knows its line."""

import csv
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.problems import Finding, Source, StudyError, numbered_source, quoted

TABLE_SUFFIXES = (".csv", ".parquet")
_CHUNK = 1 << 24  # bytes at once; a longer row is refused
_HEADER_LIMIT = 1 << 20


@dataclass(frozen=True)
class Cells:
    """A table as it stands in its file."""

    frame: pd.DataFrame  # CSV: text columns, missing where the cell is empty. Parquet: numbers stay numbers
    source: Source
    findings: tuple[Finding, ...]  # rows that are not whole; they are absent from `frame`


def read_cells(
    path: Path, *, name: str = "", categorical: bool = False, columns: Collection[str] | None = None
) -> Cells:
    """All cells of a CSV or Parquet file; nothing is parsed, only the empty cell is missing.

    Parameters
    ----------
    path : file ending in ``.csv`` or ``.parquet``
    name : what messages call the file; by default its name
    categorical : text columns as categories, which a table of 10⁸ rows needs
    columns : those to read, as far as they are there; None reads all

    Raises
    ------
    StudyError
        If there is no such file, it is empty, is no text in UTF-8, ends within a quoted cell, has no header or a
        column twice, or is not a whole Parquet file.
    """
    path = Path(path)
    name = name or path.name
    if path.suffix not in TABLE_SUFFIXES:
        raise StudyError(f"{name}: a table ends in .csv or .parquet")
    check_readable(path, name)
    wanted = [column for column in column_names(path, name=name) if columns is None or column in columns]
    return (_read_parquet if path.suffix == ".parquet" else _read_csv)(path, name, categorical, wanted)


def check_readable(path: Path, name: str) -> None:
    """Refuse what is not a file with something in it."""
    if not path.exists():
        raise StudyError(f"{name}: no such file ({path})")
    if not path.is_file():
        raise StudyError(f"{name}: is not a file ({path})")
    try:
        with path.open("rb") as handle:
            first = handle.read(1)
    except OSError as error:
        raise StudyError(f"{name}: cannot be read: {error.strerror} ({path})") from error
    if not first:
        raise StudyError(f"{name}: the file is empty ({path})")


def column_names(path: Path, *, name: str = "") -> list[str]:
    """The column names of a CSV or Parquet file, without reading the rest."""
    name = name or path.name
    check_readable(path, name)
    return list(_open_parquet(path, name).schema_arrow.names) if path.suffix == ".parquet" else csv_header(path, name)


def csv_header(path: Path, name: str) -> list[str]:
    """The column names of a CSV file."""
    with path.open("rb") as handle:
        start = handle.read(_HEADER_LIMIT)
    if b"\0" in start:
        raise StudyError(f"{name}: holds NUL bytes; expected text in UTF-8, not a binary file or UTF-16")
    text = start.removeprefix(b"\xef\xbb\xbf")
    where = f"{name}, line {_blank_lines(path) + 1}"
    try:
        # a multi-byte character may be cut by the limit, but not within the header
        lines = text.lstrip(b"\r\n").decode("utf-8", errors="replace").splitlines(keepends=True)
        header = next(csv.reader(lines, strict=True), [])
    except csv.Error as error:
        raise StudyError(f"{where}: the header cannot be read: {error}") from error
    if any("\ufffd" in column for column in header):
        raise StudyError(f"{where}: the header is not UTF-8")
    if twice := sorted(column for column, count in Counter(header).items() if count > 1):
        raise StudyError(f"{where}: more than one column is named {quoted(twice)}")
    if not header:
        raise StudyError(f"{name}: the file has no header")
    if len(header) == 1 and (separator := next((c for c in ";\t|" if c in header[0]), "")):
        raise StudyError(f"{where}: expected commas between the cells, the header seems to have {separator!r}")
    if len(header) == 1 and header[0].startswith("#"):
        raise StudyError(f"{where}: expected the names of the columns, got the comment {header[0]!r}")
    return header


def _blank_lines(path: Path) -> int:
    """How many blank lines there are before the header."""
    with path.open("rb") as handle:
        start = handle.read(_HEADER_LIMIT).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    return len(start) - len(start.lstrip(b"\r\n"))


def _read_csv(path: Path, name: str, categorical: bool, wanted: list[str]) -> Cells:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    header = csv_header(path, name)
    _check_whole(path, name)
    source = Source(name, lambda rows: [f"{name}, line {line}" for line in _lines_of_rows(path, len(header), rows)])
    if len(list(islice(_records(path), 2))) < 2:
        return Cells(pd.DataFrame({column: pd.Series(dtype="str") for column in wanted}), source, ())
    text = pa.dictionary(pa.int32(), pa.string()) if categorical else pa.string()
    broken: list[Any] = []

    def skip(row: Any) -> str:
        broken.append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                column_names=header, skip_rows=_blank_lines(path), skip_rows_after_names=1, block_size=_CHUNK
            ),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, text),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise StudyError(_why_unreadable(path, name, str(error))) from error
    findings = _broken_rows(path, name, header) if broken else ()
    return Cells(pd.DataFrame({column: _as_series(table[column]) for column in wanted}), source, findings)


def _as_series(column: Any) -> pd.Series:
    """A column of an Arrow table; a dictionary per chunk becomes one for all, without going through the texts."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type) or not len(column):
        return column.to_pandas()
    runs: list[tuple[Any, list[Any]]] = []  # a dictionary and the indices into it, of neighbouring chunks
    for chunk in column.chunks:
        if runs and chunk.dictionary.equals(runs[-1][0]):
            runs[-1][1].append(chunk.indices)
        else:
            runs.append((chunk.dictionary, [chunk.indices]))
    joined = [pa.DictionaryArray.from_arrays(pa.concat_arrays(parts), words) for words, parts in runs]
    whole = pa.chunked_array(joined).unify_dictionaries().combine_chunks() if len(joined) > 1 else joined[0]
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(whole.dictionary.to_pandas(), dtype="str")))


def _check_whole(path: Path, name: str) -> None:
    """Refuse NUL bytes anywhere, and a quote that is still open where the file ends."""
    n_quotes = 0
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            n_quotes += chunk.count(b'"')
            if b"\0" in chunk:
                raise StudyError(f"{name}: holds NUL bytes; expected text in UTF-8, not a binary file or UTF-16")
    if n_quotes % 2 == 0:
        return
    line = 1
    try:
        for line, _ in _records(path):  # noqa: B007 - the last line is told
            pass
    except csv.Error as error:
        raise StudyError(f"{name}: cut off in the middle? A quoted cell is still open at the end ({error})") from error


def _why_unreadable(path: Path, name: str, error: str) -> str:
    """The lines that are not UTF-8, in words; else what the parser said."""
    wrong: list[int] = []
    total = 0
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                total += 1
                if len(wrong) < 20:
                    wrong.append(number)
    if not wrong:
        return f"{name}: cannot be read as CSV: {error}"
    more = f" and {total - len(wrong):,} more" if total > len(wrong) else ""
    return (
        f"{name}, line{'s' * (total > 1)} {', '.join(map(str, wrong))}{more}: not UTF-8 "
        "(mixed encodings?); save the file as UTF-8"
    )


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """First line (from 1) and cells of every record that is not blank."""
    limit = csv.field_size_limit(1 << 30)
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            line = 1
            for record in reader:
                if record:
                    yield line, record
                line = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)


def _lines_of_rows(path: Path, n_columns: int, rows: Sequence[int]) -> list[int]:
    """The line (from 1) where each row begins; `rows` (from 0, ascending) count whole records after the header."""
    wanted, lines = list(rows), []
    whole = (line for line, record in _records(path) if len(record) == n_columns)
    for row, line in enumerate(whole, start=-1):  # the header is row -1
        if wanted and row == wanted[0]:
            lines.append(line)
            wanted.pop(0)
        if not wanted:
            break
    return lines


def _broken_rows(path: Path, name: str, header: list[str]) -> tuple[Finding, ...]:
    """Records with too few or too many cells; the last one too short means that the file was cut off."""
    broken, last = [], 0
    for line, record in _records(path):
        last = line
        if len(record) != len(header):
            broken.append((line, len(record)))
    source = Source(name, lambda rows: [f"{name}, line {broken[row][0]}" for row in rows])

    def reason(row: int) -> str:
        line, n_cells = broken[row]
        cut = "; the file seems to be cut off here" if line == last and n_cells < len(header) else ""
        return f"has {n_cells} cells where the header has {len(header)}{cut}"

    return (Finding(source, np.arange(len(broken)), "", reason),)


def _open_parquet(path: Path, name: str) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{name}: not a whole Parquet file (cut off?): {error}") from error


def _read_parquet(path: Path, name: str, categorical: bool, wanted: list[str]) -> Cells:
    import pyarrow as pa
    from pyarrow import parquet

    fields = [_open_parquet(path, name).schema_arrow.field(column) for column in wanted]
    texts = [field.name for field in fields if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    nested = [field.name for field in fields if pa.types.is_nested(field.type)]
    if nested:
        raise StudyError(f"{name}: columns {quoted(nested)} hold lists or structures; expected one value per cell")
    columns = {}
    try:
        file = parquet.ParquetFile(path, read_dictionary=texts if categorical else [])
        for column in wanted:  # one by one: the dictionaries of a column with many texts are large
            columns[column] = _as_series(_parquet_column(file, column))
            if isinstance(columns[column].dtype, pd.CategoricalDtype) and not categorical:
                columns[column] = columns[column].astype("str")
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{name}: cannot be read, damaged or cut off: {error}") from error
    return Cells(pd.DataFrame(columns, copy=False), numbered_source(name), ())


def _parquet_column(file: Any, column: str) -> Any:
    """A column of a Parquet file; row groups that repeat the dictionary of the one before share it in memory."""
    import pyarrow as pa

    chunks: list[Any] = []
    for group in range(file.num_row_groups):
        for chunk in file.read_row_group(group, columns=[column]).column(0).chunks:
            is_repeated = (
                pa.types.is_dictionary(chunk.type) and chunks and chunk.dictionary.equals(chunks[-1].dictionary)
            )
            shared = pa.DictionaryArray.from_arrays(chunk.indices, chunks[-1].dictionary) if is_repeated else chunk
            chunks.append(shared)
    return pa.chunked_array(chunks, type=None if chunks else file.schema_arrow.field(column).type)
