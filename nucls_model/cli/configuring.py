"""Settings of a model from a row of Table S5, a TOML file and flags; the later win."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from crowdtruth.files import read_toml
from crowdtruth.problems import quoted
from nucls_model.config import CONFIGURATIONS, NuclsConfig
from nucls_model.settings import check_settings

DEFAULT = "3"
_FREE = {
    *("backbone", "scale_factor", "scale_jitter", "crop_size", "batch_size", "learning_rate", "momentum"),
    *("weight_decay", "detector_updates", "classifier_updates"),
}
"""Settings that may differ within a row of Table S5."""
_ROW = "configuration"  # the key of a TOML file that names the row of Table S5 it begins with


def make_config(source: str | None = None, flags: Mapping[str, Any] | None = None) -> tuple[str, NuclsConfig]:
    """The row of Table S5 that settings begin with, and the settings.

    Parameters
    ----------
    source : a row of Table S5, such as ``3`` or ``4+``, or a TOML file: fields of `NuclsConfig`, and ``configuration``
    flags : fields of `NuclsConfig`; those that are None were not given

    Raises
    ------
    ValueError
        If there is no such row or file, or a name, a type or a value is wrong.

    Examples
    --------
    >>> row, config = make_config("7", {"crop_size": 128, "stages": None})
    >>> row, config.class_level, config.crop_size, config.stages
    ('7', 'super', 128, 4)
    """
    row, values = _read_source(source or DEFAULT)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    hints = get_type_hints(NuclsConfig)
    known = [field.name for field in fields(NuclsConfig)]
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"{source}: no setting {quoted(unknown)}; there are {', '.join(known)} and {_ROW}")
    merged = CONFIGURATIONS[row] | values | given
    config = NuclsConfig(**{name: _typed(name, value, hints[name]) for name, value in merged.items()})
    check_settings(config)
    return row, config


def name_of_row(row: str, config: NuclsConfig) -> str:
    """The row of Table S5 that settings are of, or what they began with: ``3``, or ``3, changed``.

    Other backbones, scales and trainings of a row are still of it; Tables S3 and S6 compare them.

    Examples
    --------
    >>> name_of_row("3", NuclsConfig(backbone="resnet34", crop_size=128)), name_of_row("3", NuclsConfig(stages=3))
    ('3', '3, changed')
    """
    known = asdict(NuclsConfig()) | CONFIGURATIONS.get(row, {})
    changed = [name for name, value in asdict(config).items() if name not in _FREE and value != known[name]]
    return f"{row}, changed" if changed else row


def _read_source(source: str) -> tuple[str, dict[str, Any]]:
    """The row of Table S5 and what a file changes of it."""
    if source in CONFIGURATIONS:
        return source, {}
    rows = ", ".join(CONFIGURATIONS)
    if not source.endswith(".toml"):
        raise ValueError(f"--config is a row of Table S5 ({rows}) or a TOML file, got {source!r}")
    values = read_toml(Path(source))
    row = str(values.pop(_ROW, DEFAULT))
    if row not in CONFIGURATIONS:
        raise ValueError(f"{source}, {_ROW}: expected a row of Table S5 ({rows}), got {row!r}")
    return row, values


def _typed(name: str, value: Any, hint: Any) -> Any:
    """A setting as its field has it."""
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if get_origin(hint) is tuple and isinstance(value, list | tuple) and value and all(map(_is_number, value)):
        return tuple(float(number) for number in value)
    if hint is float and _is_number(value):
        return float(value)
    if hint in (int, bool) and type(value) is hint:
        return value
    expected = {bool: "true or false", int: "a whole number", float: "a number"}.get(hint, "a list of numbers")
    if get_origin(hint) is Literal:
        expected = " or ".join(map(str, get_args(hint)))
    raise ValueError(f"{name} takes {expected}, got {value!r}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
