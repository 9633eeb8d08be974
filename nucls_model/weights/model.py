"""A trained model as a folder: its weights, and one JSON file that says what they are the weights of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints
from unicodedata import category

import torch
from torch import nn

from crowdtruth.files import sha256_of, write_json
from crowdtruth.problems import quoted
from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED, Color
from nucls_model.config import NuclsConfig
from nucls_model.nucls import build_nucls
from nucls_model.settings import check_settings
from nucls_model.weights.tensors import load_weights, save_weights

WEIGHTS = "weights.safetensors"
RECORD = "model.json"

_RECORD_LIMIT = 1 << 20  # bytes of model.json
_LARGEST_COLOR = 255


@dataclass(frozen=True)
class ModelRecord:
    """What a trained model is, but for its weights."""

    config: NuclsConfig
    class_names: tuple[str, ...]  # real classes, in the order of the model's probabilities
    colors: Mapping[str, Color]  # class -> red, green, blue; only those that have one
    weights: Path
    sha256: str  # of the weights


def write_model(
    folder: str | Path, config: NuclsConfig, class_names: Sequence[str], colors: Mapping[str, Color], module: nn.Module
) -> None:
    """Write a trained model: ``weights.safetensors``, then ``model.json``, which names them by checksum.

    Parameters
    ----------
    folder : where to; it must exist
    config : what `module` was built from
    class_names : real classes, in the order of the module's probabilities
    colors : class -> red, green, blue; classes without a colour may be absent
    module : the model

    Raises
    ------
    WriteError
        If a file cannot be written.
    """
    checksum = save_weights(module, Path(folder, WEIGHTS))
    classes = [{"name": name} | ({"color": list(colors[name])} if name in colors else {}) for name in class_names]
    record = {"config": asdict(config), "classes": classes, "weights": {"file": WEIGHTS, "sha256": checksum}}
    write_json(record, Path(folder, RECORD))


def read_model_record(folder: str | Path) -> ModelRecord:
    """What the model in a folder is; its weights are checked to be those it was written with, and not read.

    Raises
    ------
    ValueError
        If `folder` is none of a trained model, ``model.json`` is damaged, or the weights are others.
    """
    path, weights = Path(folder, RECORD), Path(folder, WEIGHTS)
    absent = [file.name for file in (path, weights) if not file.is_file()]
    if absent:
        raise ValueError(
            f"{folder}: expected a trained model, a folder with {RECORD} and {WEIGHTS} as training writes it at its "
            f"end; {quoted(absent)} not there"
        )
    content = _read_record(path)
    config = _config_from(content.get("config"), path)
    class_names, colors = _classes_from(content.get("classes"), path)
    checksum = sha256_of(weights)
    stated = content.get("weights")
    if not isinstance(stated, dict) or stated.get("sha256") != checksum:
        raise ValueError(
            f"{weights}: not the weights {path.name} was written with (SHA-256 {checksum}); a training was broken off "
            "here, or the file was changed"
        )
    return ModelRecord(config, class_names, colors, weights, checksum)


def read_model(folder: str | Path, *, device: torch.device | str = "cpu") -> tuple[nn.Module, ModelRecord]:
    """The trained model in a folder, ready to detect, and what it is.

    Parameters
    ----------
    folder : as `write_model` wrote it
    device : where the model goes

    Raises
    ------
    ValueError
        As `read_model_record`, or if the weights do not fit the configuration.
    """
    record = read_model_record(folder)
    module = build_nucls(record.config, record.class_names)
    load_weights(module, record.weights)
    return module.to(device).eval(), record


def _read_record(path: Path) -> dict[str, Any]:
    """The object in model.json."""
    if path.stat().st_size > _RECORD_LIMIT:
        raise ValueError(f"{path}: a model's record has at most {_RECORD_LIMIT:,} bytes, this one more")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON, as training writes it: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected an object with config, classes and weights")
    return content


def _config_from(content: Any, path: Path) -> NuclsConfig:
    """The configuration in model.json, every entry of the right kind."""
    if not isinstance(content, dict):
        raise ValueError(f"{path}, config: expected an object, got {content!r}")
    names = [field.name for field in fields(NuclsConfig)]
    if set(content) != set(names):
        missing, unknown = [n for n in names if n not in content], sorted(set(content) - set(names))
        raise ValueError(
            f"{path}, config: missing {quoted(missing) or 'nothing'}, unknown {quoted(unknown) or 'nothing'}; "
            "the model is of another version"
        )
    hints = get_type_hints(NuclsConfig)
    config = NuclsConfig(**{name: _entry(content[name], hints[name], f"{path}, config.{name}") for name in names})
    try:
        check_settings(config)
    except ValueError as error:
        raise ValueError(f"{path}, config: {error}") from error
    return config


def _entry(value: Any, hint: Any, where: str) -> Any:
    """An entry of the configuration as its field has it: a number, a truth value, a word of a few, or numbers."""
    if hint in (bool, int) and type(value) is hint:
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if isinstance(value, list) and get_args(hint)[1:] == (...,) and all(type(n) in (int, float) for n in value):
        return tuple(float(number) for number in value)
    if isinstance(value, str) and value in get_args(hint):
        return value
    raise ValueError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {value!r}")


def _classes_from(content: Any, path: Path) -> tuple[tuple[str, ...], dict[str, Color]]:
    """Class names and colours in model.json."""
    if not isinstance(content, list) or not content or not all(isinstance(entry, dict) for entry in content):
        raise ValueError(f"{path}, classes: expected a list of objects with a name each")
    names = [entry.get("name") for entry in content]
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        raise ValueError(f"{path}, classes: expected different names, got {quoted(names)}")
    if any(category(letter) in ("Cc", "Cs") for name in names for letter in name):
        raise ValueError(f"{path}, classes: expected names without control characters, got {quoted(names)}")
    if reserved := {AMBIGUOUS, UNDETECTED} & set(names):
        raise ValueError(f"{path}, classes: {quoted(sorted(reserved))} is no class a model predicts")
    colors = {str(entry["name"]): entry["color"] for entry in content if "color" in entry}
    for name, color in colors.items():
        is_triple = isinstance(color, list) and len(color) == 3
        if not is_triple or not all(type(part) is int and 0 <= part <= _LARGEST_COLOR for part in color):
            raise ValueError(f"{path}, color of {name!r}: expected red, green, blue from 0 to 255, got {color!r}")
    return tuple(names), {name: (color[0], color[1], color[2]) for name, color in colors.items()}
