"""Settings of a model from a row of Table S5, a TOML file and flags; the later win."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from crowdtruth.files import read_toml
from crowdtruth.problems import quoted
from nucls_model.config import CONFIGURATIONS, NuclsConfig

DEFAULT = "3"
_ROW = "configuration"  # the key of a TOML file that names the row of Table S5 it begins with

_MAY_BE_ZERO = {
    *("scale_jitter", "mask_convs", "class_convs", "thumbnail_shifts", "min_objectness", "min_size"),
    *("momentum", "weight_decay", "detector_updates", "classifier_updates"),
}
_LARGEST = 1_000_000_000  # no setting means anything beyond
_SHARES = {
    *("rpn_foreground_iou", "rpn_background_iou", "rpn_foreground_share", "rpn_nms_iou", "head_foreground_iou"),
    *("head_foreground_share", "nms_iou", "min_objectness", "momentum"),
}


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
    _check_values(config)
    return row, config


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


def _check_values(config: NuclsConfig) -> None:
    """Raise for a number out of its range."""
    for name, value in asdict(config).items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, bool) or not _is_number(number):
                continue
            least = "0 or more" if name in _MAY_BE_ZERO else "above 0"
            is_low = number < 0 or (number == 0 and name not in _MAY_BE_ZERO)
            if is_low or not number < float("inf"):
                raise ValueError(f"{name} must be a finite number, {least}; got {number}")
            if number > _LARGEST:
                raise ValueError(f"{name} must be at most {_LARGEST:,}, got {number}")
            if name in _SHARES and number > 1:
                raise ValueError(f"{name} must be at most 1, got {number}")
    if config.scale_jitter >= config.scale_factor:
        raise ValueError(
            f"scale_jitter must be below scale_factor, got {config.scale_jitter:g} and {config.scale_factor:g}"
        )
