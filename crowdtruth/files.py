"""Files that are whole or absent: atomic writes, tables that read back exactly, checksums, paths that stay inside."""

import hashlib
import json
import os
import re
import shutil
import threading
import tomllib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.cells import read_cells
from crowdtruth.problems import Finding, Source, StudyError, in_rows, in_table, quoted, raise_findings

_ROWS_AT_ONCE = 1 << 17
TOML_LIMIT = 1 << 18
_MARKS_PER_LINE = 64
_QUOTED = re.compile(r"""\"{3}|'{3}|"(?:[^"\\]|\\.?)*+"?|'[^']*'?|\#.*""")  # texts and comments of a TOML line
_TRUE_FALSE = {"true": True, "True": True, "false": False, "False": False}


class WriteError(OSError):
    """A file cannot be written; what stood there before still does."""


@contextmanager
def atomic_write(path: str | Path, *, text: bool = False) -> Iterator[IO[Any]]:
    """A handle to write `path` with; the file appears whole when the block ends, or stays as it was.

    Parameters
    ----------
    path : file to write; its folder must exist
    text : a handle for text (UTF-8, line ends as written) instead of bytes

    Raises
    ------
    WriteError
        If the folder is absent or read-only, the disk is full, or `path` is a folder.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") if text else temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except WriteError:  # of another file, written within the block
        _remove(temporary)
        raise
    except OSError as error:
        _remove(temporary)
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        _remove(temporary)
        raise


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A new folder to write into, which appears at `path` when the block ends, or not at all.

    Raises
    ------
    WriteError
        If there is something at `path` already, or it cannot be written.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise WriteError(f"cannot write {path}: it exists already; give the name of a new or empty folder")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.mkdir()
        yield temporary
        os.replace(temporary, path)
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove a temporary file, if it came to be."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the folder is gone or read-only: the first error is the one to tell
        return


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    r"""Write a table as CSV or Parquet, by the suffix of `path`; the index is not written.

    CSV is UTF-8 with ``\n`` line ends; numbers read back exactly; a missing value is an empty cell. The same table
    gives the same bytes.

    Parameters
    ----------
    frame : (n_rows, n_columns)
    path : file ending in ``.csv`` or ``.parquet``

    Raises
    ------
    ValueError
        If `path` ends otherwise, or the table has no columns or one twice.
    WriteError
        If the file cannot be written.
    """
    import pyarrow as pa

    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"a table is written to .csv or .parquet, not to {path.name}")
    if frame.shape[1] == 0 or not frame.columns.is_unique:
        raise ValueError(f"a table needs columns with different names, got {list(frame.columns)}")
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with atomic_write(path) as handle:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            parquet.write_table(table, handle, compression="zstd")
        else:
            _write_csv(table, handle)


def _write_csv(table: Any, handle: IO[bytes]) -> None:
    """Write an Arrow table as CSV, some rows at a time."""
    handle.write((",".join(_quote(str(name)) for name in table.column_names) + "\n").encode())
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        part = table.slice(start, _ROWS_AT_ONCE)
        lines = _join([_csv_cells(column.combine_chunks(), alone=table.num_columns == 1) for column in part.columns])
        handle.write("\n".join(lines).encode())
        handle.write(b"\n")


def _quote(text: str) -> str:
    """A CSV cell, in quotes where it needs them."""
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in '",\r\n') else text


def _csv_cells(column: Any, *, alone: bool) -> Any:
    """Arrow array -> text of its CSV cells; a missing value alone in its row is quoted, or the row would be blank."""
    import pyarrow as pa
    from pyarrow import compute

    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if pa.types.is_dictionary(column.type):
        column, is_text = column.dictionary_decode(), True
    cells = compute.cast(column, pa.large_string())
    if is_text:
        needs_quotes = compute.match_substring_regex(cells, '[",\r\n]')
        if compute.any(needs_quotes).as_py():
            doubled = compute.replace_substring(cells, '"', '""')
            quote, nothing = pa.scalar('"', pa.large_string()), pa.scalar("", pa.large_string())
            in_quotes = compute.binary_join_element_wise(quote, doubled, quote, nothing)
            cells = compute.if_else(needs_quotes, in_quotes, cells)
    cells = compute.fill_null(cells, "")
    return compute.if_else(compute.equal(cells, ""), '""', cells) if alone else cells


def _join(cells: list[Any]) -> list[str]:
    """Cells by column -> text lines."""
    import pyarrow as pa
    from pyarrow import compute

    joined = compute.binary_join_element_wise(*cells, pa.scalar(",", pa.large_string()))
    return joined.to_pylist()


def read_table(
    path: str | Path,
    *,
    floats: Collection[str] = (),
    integers: Collection[str] = (),
    booleans: Collection[str] = (),
    required: Collection[str] = (),
) -> pd.DataFrame:
    """A CSV or Parquet table; columns not named as numbers are text, as it stands, and only the empty cell is missing.

    Parameters
    ----------
    path : file ending in ``.csv`` or ``.parquet``
    floats, integers, booleans : columns to parse, also patterns like ``prob_*``; they may be absent
    required : columns that must be there

    Returns
    -------
    (n_rows, n_columns)
        Text columns of dtype ``str``; floats with NaN where the cell is empty.

    Raises
    ------
    StudyError
        With file, line, column and reason of every problem.
    """
    cells = read_cells(Path(path))
    findings = [*cells.findings, *missing_columns(cells.frame, cells.source, required)]
    columns: dict[str, Any] = {}
    for name, column in cells.frame.items():
        if _is_named(name, floats):
            columns[str(name)], wrong = as_floats(column, cells.source)
        elif _is_named(name, integers):
            columns[str(name)], wrong = _as_integers(column, cells.source)
        elif _is_named(name, booleans):
            columns[str(name)], wrong = _as_booleans(column, cells.source)
        else:
            columns[str(name)], wrong = as_text(column), []
        findings += wrong
    raise_findings(findings)
    return pd.DataFrame(columns, index=cells.frame.index)


def _is_named(name: object, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(str(name), pattern) for pattern in patterns)


def missing_columns(frame: pd.DataFrame, source: Source, required: Collection[str]) -> list[Finding]:
    """A finding for the required columns that a table does not have."""
    absent = [name for name in required if name not in frame]
    if not absent:
        return []
    words = f"has no column {quoted(absent)}; its columns are {quoted(frame.columns, limit=20)}"
    return in_table(source, words)


def as_text(column: pd.Series) -> pd.Series:
    """A column as text: numbers as they are written, whole floats without a point; missing stays missing.

    Examples
    --------
    >>> as_text(pd.Series([1.0, None, 30.0])).tolist()
    ['1', nan, '30']
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(pd.CategoricalDtype(column.cat.categories)).astype("str")
    if pd.api.types.is_float_dtype(column.dtype) and (column.dropna() % 1 == 0).all():
        return column.astype("Int64").astype("str")
    return column.astype("str")


def as_floats(column: pd.Series, source: Source) -> tuple[NDArray[np.float64], list[Finding]]:
    """A column as finite floats (n_rows,), NaN where the cell is empty or wrong, and what is wrong."""
    if pd.api.types.is_numeric_dtype(column.dtype) and column.dtype != bool:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = np.isinf(values)
        values = np.where(wrong, np.nan, values)
    else:
        text = as_text(column)
        values = _parse_floats(text)
        wrong = ~np.isfinite(values) & text.notna().to_numpy()
        values = np.where(wrong, np.nan, values)
    reason = "expected a finite number, got {!r}".format
    return values, in_rows(source, wrong, str(column.name), lambda row: reason(str(column.iloc[row])))


def _parse_floats(text: pd.Series) -> NDArray[np.float64]:
    """Text (n,) -> floats, NaN where a cell is no number; the fast way unless one is not."""
    import pyarrow as pa
    from pyarrow import compute

    try:
        return compute.cast(pa.array(text, from_pandas=True), pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return pd.to_numeric(text.str.strip(), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _as_integers(column: pd.Series, source: Source) -> tuple[NDArray[np.int64], list[Finding]]:
    """A column as int64, and what is wrong; an empty cell is."""
    values, findings = as_floats(column, source)
    told = np.zeros(len(values), dtype=bool)
    for finding in findings:
        told[finding.rows] = True
    wrong = ~told & ((values % 1 != 0) | (np.abs(values) > 2**53))
    reason = in_rows(source, wrong, str(column.name), lambda row: f"expected a whole number, got {column.iloc[row]!r}")
    return np.where(wrong | told, 0, values).astype(np.int64), findings + reason


def _as_booleans(column: pd.Series, source: Source) -> tuple[NDArray[np.bool_], list[Finding]]:
    """A column as true or false, and what is wrong; an empty cell is."""
    if column.dtype == bool:
        return column.to_numpy(), []
    values = as_text(column).map(_TRUE_FALSE)
    wrong = values.isna().to_numpy()
    findings = in_rows(source, wrong, str(column.name), lambda row: f"expected true or false, got {column.iloc[row]!r}")
    return (values == True).to_numpy(dtype=bool), findings  # noqa: E712 - elementwise


def write_json(value: Any, path: str | Path) -> None:
    """Write JSON with sorted keys, so that equal values give equal bytes; NumPy numbers and paths are understood.

    Raises
    ------
    ValueError
        If `value` holds NaN or infinity, which JSON does not know.
    WriteError
        If the file cannot be written.
    """
    words = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    with atomic_write(path, text=True) as handle:
        handle.write(words + "\n")


def _plain(value: Any) -> Any:
    """NumPy values, paths and sets as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"JSON has no form for {type(value).__name__}")


def read_toml(path: str | Path) -> dict[str, Any]:
    """The entries of a TOML file of bounded size, nesting and cost.

    Parsing takes time with the square of a key's depth, so a line may hold 64 dots, brackets and braces outside of
    texts, and no text may go over several lines.

    Raises
    ------
    ValueError
        Naming the file: if it is no regular file, too large, not UTF-8, not TOML or nested too deeply.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path.name}: expected a TOML file, there is none ({path})")
    with path.open("rb") as handle:
        content = handle.read(TOML_LIMIT + 1)
    if len(content) > TOML_LIMIT:
        raise ValueError(f"{path.name}: a TOML file has at most {TOML_LIMIT:,} bytes, this one more")
    try:
        text = content.decode("utf-8")
        _check_lines(text)
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: not UTF-8 ({error})") from error
    except RecursionError as error:
        raise ValueError(f"{path.name}: not TOML: nested too deeply") from error
    except ValueError as error:  # TOML errors, and numbers of thousands of digits
        raise ValueError(f"{path.name}: not TOML: {error}") from error


def _check_lines(text: str) -> None:
    """Refuse the lines of a TOML file that would take the parser long."""
    for number, line in enumerate(text.split("\n"), start=1):
        if any(found in ('"""', "'''") for found in _QUOTED.findall(line)):
            raise ValueError(f"line {number}: a text over several lines (three quotes) is not read")
        bare = _QUOTED.sub("", line)
        if bare.count(".") + bare.count("[") + bare.count("{") > _MARKS_PER_LINE:
            raise ValueError(f"line {number}: more than {_MARKS_PER_LINE} dots, brackets and braces outside of texts")


def sha256_of(path: str | Path) -> str:
    """The SHA-256 checksum of a file, 64 hexadecimal digits."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def inside(folder: str | Path, name: str) -> Path:
    """The path of `name` below `folder`.

    Raises
    ------
    StudyError
        If the name is absolute, empty, or leads out of the folder, also by a link.

    Examples
    --------
    >>> inside("study", "rgb/a.png").as_posix()
    'study/rgb/a.png'
    """
    path = Path(folder) / name
    stays = name and "\0" not in name and not Path(name).is_absolute() and ".." not in Path(name).parts
    if not stays or not path.resolve().is_relative_to(Path(folder).resolve()):
        raise StudyError(f"{name!r} leads out of the folder {folder}; expected a path below it")
    return path
