"""A result folder: its tables on disk and in memory, and the record that makes a run resumable.

A step is kept only if its key (the program's version, the inputs' checksums, the options that matter to it and the keys
of the steps it builds on) and the checksums of the files it wrote are those recorded in ``run.json``.
"""

import hashlib
import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import pandas as pd

from crowdtruth import __version__
from crowdtruth.files import atomic_write, inside, read_table, sha256_of, write_json, write_table
from crowdtruth.parallel import say, working_on

RECORD = "run.json"
_FLOATS = (
    *("xmin", "ymin", "xmax", "ymax", "mean_iou", "width", "height", "mpp", "x", "y", "iou", "dice"),
    *("probability", "prob_*", "p_exists", "entropy", "boundary_correct"),
    *("precision", "recall", "f1", "class_accuracy", "mcc", "value", "low", "high", "*_low", "*_high"),
    *("threshold", "kappa", "percent_agreement", "share", "proportion", "proportion_*", "mean_raters"),
    *("median_first", "median_second", "test_statistic", "effect_size", "p", "p_holm", "target", "cost"),
)
_INTEGERS = ("n_*", "n", "count", "min_detections", "at_least", "realization", "raters_per_fov")
_FLAGS = ("is_object", "has_outline", "in_reference")

Product = pd.DataFrame | str | bytes
"""What a step makes: a table, or the content of a file."""


@dataclass(frozen=True)
class ResultFolder:
    """Where a run writes; `record` is run.json in memory, `tables` what this process has computed or read."""

    path: Path
    record: dict[str, Any]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the folder has this table."""
        return name in self.tables or (self.path / f"{name}.csv").exists()

    def table(self, name: str) -> pd.DataFrame:
        """A table of the folder, read once.

        Raises
        ------
        ValueError
            If the folder has no such table.
        """
        if name not in self.tables:
            if not self.has(name):
                raise ValueError(f"{self.path} has no {name}.csv")
            self.tables[name] = read_result(self.path / f"{name}.csv")
        return self.tables[name]

    def keep(self, products: Mapping[str, "Product"]) -> None:
        """Have the tables among `products` at hand for later steps."""
        self.tables.update({name: product for name, product in products.items() if isinstance(product, pd.DataFrame)})


def read_result(path: Path) -> pd.DataFrame:
    """A table of a result folder as it was in memory: numbers exact, flags as booleans, absent text as ``""``."""
    frame = read_table(path, floats=(*_FLOATS, *_INTEGERS), booleans=_FLAGS)
    text: list[str] = list(frame.select_dtypes("str"))
    whole = [name for name in frame if any(fnmatchcase(name, pattern) for pattern in _INTEGERS)]
    columns: dict[str, pd.Series] = {name: frame[name].fillna("") for name in text}
    columns |= {name: frame[name].astype("Int64" if frame[name].isna().any() else "int64") for name in whole}
    return frame.assign(**columns)


def is_result_folder(path: Path) -> bool:
    """Whether a run of this program wrote the folder."""
    return (path / RECORD).is_file()


def open_results(
    out: Path, *, command: str, study: Path, inputs: Mapping[str, str], options: Mapping[str, Any]
) -> ResultFolder:
    """The result folder of a run, new or continued; nothing is written before the first step has its tables.

    Parameters
    ----------
    out : the folder; created with the first table if absent
    command : which command writes; a folder belongs to one
    study : the study's file or folder, which `out` must not be or lie in
    inputs : checksum of each input file
    options : the effective configuration

    Raises
    ------
    ValueError
        If `out` is the study or inside it, is a file, holds files that no run of this program wrote, or belongs to
        another command.
    """
    target, source = out.resolve(), study.resolve()
    if target == source or source in target.parents:
        raise ValueError(f"--out {out} is inside the study {study}; a run never writes into its input")
    if out.is_file():
        raise ValueError(f"--out {out} is a file; give a folder")
    record: dict[str, Any] = {"steps": {}}
    if is_result_folder(out):
        record = _read_record(out / RECORD)
        if record.get("command") != command:
            raise ValueError(
                f"--out {out} holds the results of 'crowdtruth {record.get('command')}', which 'crowdtruth {command}' "
                "would take apart; give another folder"
            )
    elif out.is_dir() and any(not file.name.startswith(".") for file in out.iterdir()):
        raise ValueError(f"--out {out} holds files but no {RECORD} of an earlier run; give a new or empty folder")
    libraries = {name: version_of(name) for name in ("numpy", "scipy", "pandas", "numba")}
    record |= {
        "command": command,
        "program": {"nucls": __version__, "python": platform.python_version(), **libraries},
        "study": source.as_posix(),
        "inputs": dict(inputs),
        "options": dict(options),
    }
    return ResultFolder(out, record)


def reopen_results(folder: Path, *, command: str, redo: Collection[str] = ()) -> ResultFolder:
    """A result folder as a command left it; the files of the steps to `redo` may be gone or changed.

    Raises
    ------
    ValueError
        If there is none, another command wrote it, or a file is not as it was written.
    """
    if not is_result_folder(folder):
        raise ValueError(f"{folder} is no result folder: it has no {RECORD}")
    record = _read_record(folder / RECORD)
    if record.get("command") != command:
        raise ValueError(f"{folder} holds the results of 'crowdtruth {record.get('command')}', not of '{command}'")
    if missing := [name for name in ("study", "inputs", "options") if name not in record]:
        raise ValueError(f"{folder / RECORD} is not the record of a run: it has no {missing[0]}")
    for step in record["steps"].keys() - set(redo):
        for name, checksum in record["steps"][step]["files"].items():
            file = inside(folder, name)
            if not file.is_file() or sha256_of(file) != checksum:
                raise ValueError(f"{file} is not as the run left it: run 'crowdtruth {command}' again")
    return ResultFolder(folder, record)


def _read_record(path: Path) -> dict[str, Any]:
    """run.json of an earlier run."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not the record of a run ({error}); give another --out") from error
    if not isinstance(record, dict) or not _are_steps(record.get("steps")) or not _has_places(record):
        raise ValueError(f"{path} is not the record of a run; give another --out")
    return record


def _has_places(record: Mapping[str, Any]) -> bool:
    """Whether study, inputs, options and program, where they are recorded, are what `open_results` records."""
    study, inputs = record.get("study", ""), record.get("inputs", {})
    mappings = (inputs, record.get("options", {}), record.get("program", {}))
    return (
        isinstance(study, str)
        and "\0" not in study
        and all(isinstance(mapping, dict) for mapping in mappings)
        and all(isinstance(checksum, str) for checksum in inputs.values())
    )


def _are_steps(steps: Any) -> bool:
    """Whether this is what `run_step` records: step → key, after, files with checksums."""
    return isinstance(steps, dict) and all(
        isinstance(step, dict)
        and isinstance(step.get("key"), str)
        and isinstance(step.get("after"), list)
        and isinstance(step.get("files"), dict)
        and all(isinstance(checksum, str) for checksum in step["files"].values())
        for step in steps.values()
    )


def run_step(
    results: ResultFolder,
    name: str,
    *,
    options: Mapping[str, Any],
    after: Sequence[str],
    compute: Callable[[], Mapping[str, Product]],
) -> None:
    """Compute the tables and files of a step and write them, unless they are there already from an equal step.

    Parameters
    ----------
    results : the folder; its `tables` and `record` are brought up to date
    name : the step's name in run.json
    options : the options that change this step's tables
    after : the steps whose tables this one reads
    compute : the work; returns table name → table, and file name → content
    """
    key = _key(results, name, options, after)
    if _is_current(results, name, key):
        say(f"{name}: unchanged, kept")
        return
    started = time.perf_counter()
    with working_on(name), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        products = compute()
    messages = sorted({str(w.message) for w in caught})
    for message in messages:
        say(f"warning: {message}")
    forget_step(results, name)
    prepare_folder(results)
    files = {file_name(name, product): product for name, product in products.items()}
    for file, product in files.items():
        _write(product, results.path / file)
    results.keep(products)
    results.record["steps"][name] = {
        "key": key,
        "after": list(after),
        "files": {file: sha256_of(results.path / file) for file in files},
        "seconds": round(time.perf_counter() - started, 3),
        "warnings": messages,
    }
    write_json(results.record, results.path / RECORD)


def file_name(name: str, product: Product) -> str:
    """The file of a step's product: a table's name with its suffix, other names as they are.

    Examples
    --------
    >>> file_name("truth", pd.DataFrame()), file_name("report.html", "<!doctype html>")
    ('truth.csv', 'report.html')
    """
    return f"{name}.csv" if isinstance(product, pd.DataFrame) else name


def _write(product: Product, path: Path) -> None:
    """Write a table or a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(product, pd.DataFrame):
        write_table(product, path)
        return
    with atomic_write(path) as handle:
        handle.write(product.encode() if isinstance(product, str) else product)


def prepare_folder(results: ResultFolder) -> None:
    """Create the folder with its record, or clear it of what a killed process left half-written."""
    results.path.mkdir(parents=True, exist_ok=True)
    for temporary in results.path.rglob(".*.part"):
        if temporary.is_file() and _is_abandoned(temporary):
            temporary.unlink(missing_ok=True)
    write_json(results.record, results.path / RECORD)


def _is_abandoned(temporary: Path) -> bool:
    """Whether the process whose number stands in a temporary file's name is gone; only POSIX can tell without harm."""
    number = temporary.name.split(".")[-2].partition("-")[0]
    if os.name != "posix" or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def outdate_step(results: ResultFolder, name: str) -> None:
    """Have a step and all built on it done again; their files stay until the new ones are computed."""
    steps = results.record["steps"]
    if name in steps:
        steps[name]["key"] = ""
    for later, done in steps.items():
        if name in done["after"]:
            outdate_step(results, later)


def forget_step(results: ResultFolder, name: str) -> None:
    """Remove a step's files and record, and those of all steps built on it, so that no stale table stays behind."""
    steps = results.record["steps"]
    for later, done in list(steps.items()):
        if name in done["after"]:
            forget_step(results, later)
    if name in steps:
        files = [inside(results.path, file) for file in steps[name]["files"]]
        for file in files:
            file.unlink(missing_ok=True)
            results.tables.pop(file.stem, None)
        for folder in {file.parent for file in files} - {results.path}:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        del steps[name]
        write_json(results.record, results.path / RECORD)


def _key(results: ResultFolder, name: str, options: Mapping[str, Any], after: Sequence[str]) -> str:
    """What the step's tables depend on, as one checksum."""
    parts = {
        "step": name,
        "version": __version__,
        "inputs": results.record["inputs"],
        "options": options,
        "after": {earlier: results.record["steps"][earlier]["key"] for earlier in after},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _is_current(results: ResultFolder, name: str, key: str) -> bool:
    """Whether the step was done with this key and its files are as it left them."""
    done = results.record["steps"].get(name)
    if not done or done.get("key") != key:
        return False
    files = {inside(results.path, file): checksum for file, checksum in done["files"].items()}
    return all(file.is_file() and sha256_of(file) == checksum for file, checksum in files.items())
