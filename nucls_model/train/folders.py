"""The folder of a training: what stands there before the first update, so that nobody takes it for another."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from crowdtruth import __version__
from crowdtruth.files import sha256_of, write_json
from nucls_model.config import NuclsConfig
from nucls_model.labelled import LabelledFovs

RECORD = "run.json"
_COMMAND = "nucls train"


def read_training_record(folder: str | Path) -> dict[str, Any]:
    """What run.json says of a training; empty where a model came without one.

    Raises
    ------
    ValueError
        If the file is there and not the record of a training.
    """
    path = Path(folder, RECORD)
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["command"] != _COMMAND:
            raise ValueError(f"it is of {record['command']!r}")
        training = record["training"]
        if not (isinstance(training["config"], dict) and isinstance(record["labels"], dict)):
            raise ValueError("config and labels are no objects")
        if not (isinstance(training["fovs"], list) and all(isinstance(fov, str) for fov in training["fovs"])):
            raise ValueError("fovs is no list of names")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not the record of a training ({error}); give a new folder") from error
    return dict(record)


def training_record(
    labelled: LabelledFovs,
    places: Sequence[int],
    config: NuclsConfig,
    *,
    seed: int,
    passes: int,
    backbone: str | Path | None,
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """What run.json says; what the weights follow from stands under ``training``.

    Parameters
    ----------
    labelled, places, config, seed, backbone, origin : see `train_detector`
    passes : forward passes of an update, over all processes
    """
    fovs = labelled.fovs.iloc[list(places)]
    training = {
        "config": asdict(config),
        "classes": list(labelled.class_names),
        "seed": seed,
        "fovs": list(fovs["fov"]),
        "labels": _checksum(labelled),
        "backbone": sha256_of(backbone) if backbone else None,
        "passes": passes,
    }
    libraries = {name: version_of(name) for name in ("numpy", "pandas", "torch")}
    return {
        "command": _COMMAND,
        "program": {"nucls": __version__, "python": platform.python_version(), **libraries},
        "training": json.loads(json.dumps(training)),  # as it reads back: tuples are lists
        "labels": dict(origin),
        "hospitals": sorted(set(fovs["hospital"]) - {""}),
        "notes": list(labelled.notes),
    }


def _checksum(labelled: LabelledFovs) -> str:
    """SHA-256 of what is learned, wherever the images lie."""
    digest = hashlib.sha256()
    for table in (labelled.fovs.drop(columns="image"), labelled.objects):
        digest.update(table.to_csv(index=False).encode())
    return digest.hexdigest()


def open_folder(out: Path, record: Mapping[str, Any], *, is_resumed: bool) -> None:
    """Write the record of a training, new or resumed, unless the folder holds something else.

    Raises
    ------
    ValueError
        If it does, or there is no training to resume, or another one.
    """
    if out.is_file():
        raise ValueError(f"--out {out} is a file; give a folder")
    has_training = (out / RECORD).is_file()
    if is_resumed:
        if not has_training:
            raise ValueError(f"--out {out} holds no training to resume: it has no {RECORD}")
        _check_same(out, record["training"])
    elif out.exists() and any(not file.name.startswith(".") for file in out.iterdir()):
        what, advice = ("a training", "add --resume to continue it, or give") if has_training else ("files", "give")
        raise ValueError(f"--out {out} holds {what} already; {advice} a new folder")
    out.mkdir(parents=True, exist_ok=True)
    write_json(record, out / RECORD)


def _check_same(out: Path, now: Mapping[str, Any]) -> None:
    """Raise unless the training in a folder is this one."""
    then = read_training_record(out)["training"]
    settings, before = now["config"], then["config"]
    differing = [name for name in now if name != "config" and then.get(name) != now[name]]
    differing += [f"{name} ({before.get(name)} then)" for name in settings if before.get(name) != settings[name]]
    if differing:
        raise ValueError(f"--out {out} holds another training: it differs in {', '.join(differing)}")
