"""What commands read and where they write: labels with what is to be said of them, folders that are no input."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crowdtruth.files import inside, write_json
from crowdtruth.parallel import say
from crowdtruth.problems import StudyError, quoted
from nucls_model.labelled import TARGETS, LabelledFovs, read_labelled

RECORD = "run.json"


def read_labels(
    path: Path, level: str, *, targets: str | None = None, images: Path | None = None
) -> tuple[LabelledFovs, dict[str, Any]]:
    """The labels at a path, and where they come from; what their reader noted is said.

    Raises
    ------
    ValueError
        If there are none, or `targets` is unknown, or given for labels that are what they are.
    """
    if targets is not None and targets not in TARGETS:
        raise ValueError(f"--targets is one of {', '.join(TARGETS)}; got {targets!r}")
    is_inferred = path.is_dir() and (path / RECORD).is_file()
    if targets is not None and path.exists() and not is_inferred:
        raise ValueError(f"--targets is for the result folder of 'crowdtruth run', which {path} is not")
    labelled = read_labelled(path, level, targets=targets or TARGETS[0], images=images)  # type: ignore[arg-type]
    for note in labelled.notes:
        say(note)
    return labelled, {"path": path.resolve().as_posix(), "targets": (targets or TARGETS[0]) if is_inferred else None}


def named_images(images: Sequence[Path]) -> dict[str, Path]:
    """Images by the name that results go by, which is that of the file without its suffix.

    Raises
    ------
    ValueError
        If two have the same.
    """
    names = [path.stem for path in images]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several images are called {quoted(twice)}; results go by the name without its suffix")
    return dict(zip(names, images, strict=True))


def check_apart(out: Path, *inputs: Path | None) -> None:
    """Raise if a folder to write to is one that is read from, or inside of it.

    The result folder of a run names the study whose images are read; that is one, too.

    Raises
    ------
    ValueError
    """
    target = out.resolve()
    given = [path for path in inputs if path is not None]
    for path in [*given, *(study for folder in given if (study := _study_of(folder)))]:
        source = path.resolve()
        if source.is_dir() and (target == source or source in target.parents):
            raise ValueError(f"--out {out} is {path} or inside of it; results are never written into what is read")


def _study_of(folder: Path) -> Path | None:
    """The study that a result folder is of, by its record; None for any other path."""
    study = _entry_of(folder / RECORD, "study")
    return Path(study) if study and "\0" not in study else None


def open_out(out: Path, command: str, *inputs: Path | None) -> None:
    """Make a folder for the results of a command, or take the one it wrote before.

    Raises
    ------
    ValueError
        If it is an input, a file, or holds what another command wrote.
    """
    check_apart(out, *inputs)
    if out.is_file():
        raise ValueError(f"--out {out} is a file; give a folder")
    holds_files = out.is_dir() and any(not file.name.startswith(".") for file in out.iterdir())
    if holds_files and _entry_of(out / RECORD, "command") != command:
        raise ValueError(f"--out {out} holds files that '{command}' did not write; give a new or empty folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # a link to nowhere
        raise ValueError(f"--out {out} is a link that leads nowhere; give a folder") from error
    write_json({"command": command, "files": _earlier_files(out)}, out / RECORD)


@contextmanager
def results_in(out: Path, command: str, *inputs: Path | None) -> Iterator[Path]:
    """A folder to write the results of a command into, which appear in `out` when the block ends, or not at all.

    What the command wrote to `out` before, and not anew, is removed; other files there are left alone.

    Raises
    ------
    ValueError
        As `open_out`, and if a result would fall on a folder.
    StudyError
        If a link in `out` leads elsewhere.
    """
    is_new = not out.exists()
    open_out(out, command, *inputs)
    work = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=out))
    is_done = False
    try:
        yield work
        _put(
            sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()), work, out, command
        )
        is_done = True
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if is_new and not is_done:
            shutil.rmtree(out, ignore_errors=True)


def _put(files: Sequence[str], work: Path, out: Path, command: str) -> None:
    """Move files from `work` into `out`, then remove those of before; killed between, all of them are on record."""
    places = {name: inside(out, name) for name in files}
    for place in places.values():
        if place.is_dir():
            raise ValueError(f"{place} is a folder, where '{command}' writes a file")
    older = [name for name in _earlier_files(out) if name not in places]
    write_json({"command": command, "files": sorted({*files, *older})}, out / RECORD)
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(work / name, place)
    for name in older:
        if not (out / name).is_symlink():
            inside(out, name).unlink(missing_ok=True)
    write_json({"command": command, "files": list(files)}, out / RECORD)


def _earlier_files(out: Path) -> list[str]:
    """The files in a folder that its record says the command wrote."""
    files = _record_of(out / RECORD).get("files", [])
    is_list = isinstance(files, list) and all(isinstance(name, str) for name in files)
    return [name for name in files if _is_own(out, name)] if is_list else []


def _is_own(out: Path, name: str) -> bool:
    """Whether a name on record is that of a file in the folder, and leads nowhere else."""
    try:
        return inside(out, name).is_file()
    except StudyError:
        return False


def _entry_of(path: Path, name: str) -> str | None:
    """What the record of a folder says, such as which command wrote it; None where nothing says so."""
    record = _record_of(path)
    return str(record[name]) if name in record else None


def _record_of(path: Path) -> dict[str, Any]:
    """The record of a folder; empty where there is none, or it is no record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
