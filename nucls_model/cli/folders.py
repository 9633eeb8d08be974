"""What commands read and where they write: labels with what is to be said of them, folders that are no input."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crowdtruth.files import write_json
from crowdtruth.parallel import say
from crowdtruth.problems import quoted
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
    out.mkdir(parents=True, exist_ok=True)
    write_json({"command": command}, out / RECORD)


def _entry_of(path: Path, name: str) -> str | None:
    """What the record of a folder says, such as which command wrote it; None where nothing says so."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[name])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
