"""The options of a run: everything that changes a result, with presets and configuration files.

Later sources win: defaults, then a preset, then a TOML file, then flags of the command line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from crowdtruth import truth
from crowdtruth.clustering import AnchorBox, Preference
from crowdtruth.comparisons import BY
from crowdtruth.files import read_toml
from crowdtruth.merging import Method
from crowdtruth.planning import parse_price, parse_target
from crowdtruth.resampling import Unit
from crowdtruth.study import Study

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "method": "demotion",
        "iou": 0.25,
        "inclusive": True,
        "anchor_box": "medoid",
        "min_detections": 2,
        "model": "dawid-skene",
        "start": 0.7,
        "iterations": 70,
        "tolerance": 0.0,
        "pseudo_counts": 0.0,
        "acceleration": None,
    },
}
"""The paper's settings; its published program's preference order of anchor boxes is the separate option `prefer`."""

Model = Literal["dawid-skene", "one-coin", "majority"]


@dataclass(frozen=True)
class RunOptions:
    """What a run does, apart from its study and its folder; jobs and progress change no result and are not here."""

    # reading
    format: str | None = None  # None: detected
    taxonomy: str | None = None  # None: the format's own, or labels as they come
    normalise_labels: bool = False  # free text to the names of the taxonomy
    # locating
    iou: float = 0.25
    inclusive: bool = False  # the paper's inclusive-pixel IOU
    method: Method = "cannot_link"
    anchor_box: AnchorBox = "medoid"
    prefer: tuple[str, ...] = ()  # rater:SP.3@U-control, cohort:P@U-control, …
    # inferring
    cohort: tuple[str, ...] = ()  # SP, or a union P=SP+JP; () is each cohort there is
    condition: tuple[str, ...] = ()  # () is each condition there is
    model: Model = "dawid-skene"
    start: float | str = truth.DEFAULT_START
    iterations: int = truth.DEFAULT_ITERATIONS
    tolerance: float = truth.DEFAULT_TOLERANCE
    pseudo_counts: float = truth.DEFAULT_PSEUDO_COUNTS
    acceleration: Literal["squarem"] | None = None
    min_detections: int = 1
    classes: str | None = None  # grouping after inference: main, super or a TOML file
    # judging, training
    reference: str | None = None  # a file, or cohort:P[@CONDITION]
    train_on: str | None = None  # COHORT[@CONDITION], or none
    # intervals, agreement, comparisons
    resample: Unit = "fov"
    replicates: int = 2000
    thresholds: tuple[float, ...] = (0.25, 0.5, 0.75)  # of clustering, for agreement; `iou` is always among them
    min_overlap: int = 10  # anchors that two raters share, or there is no kappa
    compare: tuple[str, ...] = ()  # cohorts, conditions, groupings, verdicts; () is all
    # redundancy, plan
    realizations: int = 200
    raters_per_fov: str | None = None  # 1-6,8; None is each number there is
    target: tuple[str, ...] = ()  # mcc=.8, recall:lymphocyte=.7, mcc=best-.02
    price: tuple[str, ...] = ()  # SP=20: of one rater in one FOV
    fovs_planned: int | None = None  # None: as many as the study has
    raters_planned: int | None = None  # of each cohort in the planned study; None: as many as here
    # figures and report
    report: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        _check_types({f.name: getattr(self, f.name) for f in fields(self)})
        _check_choice("method", self.method, get_args(Method))
        _check_choice("anchor_box", self.anchor_box, ("medoid", "mean", "median"))  # weights come with rater quality
        _check_choice("model", self.model, get_args(Model))
        _check_choice("acceleration", self.acceleration, ("squarem", None))
        _check_choice("resample", self.resample, get_args(Unit))
        for value in self.compare:
            _check_choice("compare", value, BY)
        _check_numbers(self)
        if self.raters_per_fov is not None:
            chosen_numbers(self.raters_per_fov, largest=1)
        for text in self.target:
            parse_target(text)
        for text in self.price:
            parse_price(text)


_LEAST = {
    **dict.fromkeys(("iterations", "min_detections", "min_overlap", "realizations"), 1),
    **{"fovs_planned": 1, "raters_planned": 1, "replicates": 20, "seed": 0, "tolerance": 0, "pseudo_counts": 0},
}
"""The smallest value of each number; fewer replicates bound nothing."""


def _check_numbers(options: RunOptions) -> None:
    """Raise if a number is out of its range."""
    for name, least in _LEAST.items():
        value = getattr(options, name)
        if value is not None and not least <= value < float("inf"):
            raise ValueError(f"{name} must be a finite number from {least} on, got {value}")
    for name, values in (("iou", (options.iou,)), ("thresholds", options.thresholds)):
        for value in values:
            if not (isinstance(value, float | int) and 0 < value <= 1):
                raise ValueError(f"{name} must lie in (0, 1], got {value!r}")
    if options.start != "votes" and not (isinstance(options.start, float | int) and 0 < options.start <= 1):
        raise ValueError(f"start must be an initial quality in (0, 1], or votes; got {options.start!r}")


def _check_choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}; got {value!r}")


def make_options(
    *, preset: str | None = None, config: Path | None = None, flags: Mapping[str, Any] | None = None
) -> RunOptions:
    """Options from a preset, a TOML file and flags, the later winning.

    Parameters
    ----------
    preset : ``default`` or ``paper``; None: the file's, else default
    config : a TOML file whose keys are the fields of `RunOptions`, and `preset`; `cohort` may be a table of unions
    flags : fields given on the command line; those that are None or empty were not given

    Raises
    ------
    ValueError
        If a name is unknown, a value has the wrong type, or the file is no TOML.

    Examples
    --------
    >>> make_options(preset="paper", flags={"iou": 0.5}).iou
    0.5
    """
    from_file = dict(read_config(config)) if config else {}
    preset_of_file = from_file.pop("preset", "default")
    chosen_preset = preset or preset_of_file
    _check_choice("preset", chosen_preset, tuple(PRESETS))
    given = {k: v for k, v in (flags or {}).items() if v is not None and v != ()}
    merged = {**PRESETS[chosen_preset], **from_file, **given}
    _check_names(merged)
    return replace(RunOptions(), **merged)


def read_config(path: Path) -> dict[str, Any]:
    """Options of a TOML file, with lists as tuples and a table of cohorts as unions."""
    values = read_toml(path)
    cohort = values.get("cohort")
    if isinstance(cohort, dict):
        values["cohort"] = [f"{name}={'+'.join(_texts(f'cohort.{name}', parts))}" for name, parts in cohort.items()]
    for name in ("cohort", "condition", "prefer", "compare", "target", "price"):
        if name in values:
            values[name] = tuple(_texts(name, values[name]))
    if isinstance(values.get("thresholds"), list | float | int):
        values["thresholds"] = tuple(np.atleast_1d(values["thresholds"]).tolist())
    if isinstance(values.get("raters_per_fov"), int):
        values["raters_per_fov"] = str(values["raters_per_fov"])
    return values


def recorded_options(recorded: Mapping[str, Any]) -> RunOptions:
    """Options as run.json has them: lists are tuples again, a file with its checksum is its path.

    Raises
    ------
    ValueError
        If they are not those of a run of this version.
    """
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value.get("file") if isinstance(value, Mapping) else value
        for name, value in recorded.items()
    }
    _check_names(values)
    return replace(RunOptions(), **values)


def _texts(name: str, value: Any) -> list[str]:
    """A text, or a list of texts, as a list."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise ValueError(f"option {name} takes a text or a list of texts, got {value!r}")
    return values


def _check_names(values: Mapping[str, Any]) -> None:
    known = [f.name for f in fields(RunOptions)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"unknown option(s) {', '.join(unknown)}; there are {', '.join(known)}")


def _check_types(values: Mapping[str, Any]) -> None:
    defaults = {f.name: f.default for f in fields(RunOptions)}
    for name, value in values.items():
        expected = _types_of(name, defaults[name])
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            names = " or ".join(_IN_WORDS[t] for t in expected if t is not type(None))
            raise ValueError(f"option {name} takes {names}, got {value!r}")


_IN_WORDS = {tuple: "a list", str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _types_of(name: str, default: Any) -> tuple[type, ...]:
    """Types that an option may have."""
    if name == "start":
        return (float, int, str)
    if name in ("fovs_planned", "raters_planned"):
        return (int, type(None))
    if default is None:
        return (str, type(None))
    return (float, int) if isinstance(default, float) else (type(default),)


def cohort_members(specs: Iterable[str], cohorts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Cohorts to infer, each with the cohorts it unites; without `specs` each cohort on its own.

    Raises
    ------
    ValueError
        If a cohort is unknown, or a name is given twice.

    Examples
    --------
    >>> cohort_members(["P=SP+JP", "NP"], ["JP", "NP", "SP"])
    {'P': ('SP', 'JP'), 'NP': ('NP',)}
    """
    known = sorted(set(cohorts))
    unions: dict[str, tuple[str, ...]] = {}
    for spec in list(specs) or known:
        name, _, parts = spec.partition("=") if spec not in known else (spec, "", "")
        members = tuple(parts.split("+")) if parts else (name,)
        if not name or len(set(members)) < len(members):
            raise ValueError(f"--cohort {spec}: expected a name, or NAME=A+B with each cohort once")
        unknown = [member for member in members if member not in known]
        if unknown:
            raise ValueError(f"unknown cohort {unknown[0]!r} in --cohort {spec}; the study has {', '.join(known)}")
        if name in unions:
            raise ValueError(f"cohort {name!r} is given twice")
        unions[name] = members
    return unions


def split_at_condition(spec: str, names: Iterable[str], conditions: Iterable[str]) -> tuple[str, str | None]:
    """``NAME@CONDITION`` as (name, condition), condition None where it is not given; both may hold an ``@``.

    Parameters
    ----------
    spec : what the user wrote
    names, conditions : those there are

    Raises
    ------
    ValueError
        If it is no name, and no name with a condition.

    Examples
    --------
    >>> split_at_condition("P@U-control", ["P", "NP"], ["U-control", "E"])
    ('P', 'U-control')
    """
    known, rounds = sorted(set(names)), sorted(set(conditions))
    if spec in known:
        return spec, None
    for condition in rounds:
        name = spec.removesuffix(f"@{condition}")
        if name != spec and name in known:
            return name, condition
    raise ValueError(f"{spec!r} is none of {', '.join(known)}, with or without @ and one of {', '.join(rounds)}")


def chosen_conditions(options: RunOptions, conditions: Iterable[str]) -> tuple[str, ...]:
    """Conditions to infer: those asked for, else all there are, sorted."""
    known = sorted(set(conditions))
    unknown = [condition for condition in options.condition if condition not in known]
    if unknown:
        raise ValueError(f"unknown condition {unknown[0]!r}; the study has {', '.join(known)}")
    return options.condition or tuple(known)


def chosen_numbers(spec: str, largest: int) -> tuple[int, ...]:
    """Numbers of raters per FOV, from ``1-6,8``; those above `largest` are left out.

    Raises
    ------
    ValueError
        If a part is neither a number from 1 nor two with a hyphen between them, in order.

    Examples
    --------
    >>> chosen_numbers("1-3,6,20", largest=10)
    (1, 2, 3, 6)
    """
    chosen: set[int] = set()
    for part in spec.split(","):
        first, _, last = part.strip().partition("-")
        last = last or first
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
            raise ValueError(f"--raters-per-fov {spec}: expected numbers and ranges such as 1-6,8; got {part!r}")
        chosen.update(range(int(first), min(int(last), largest) + 1))
    return tuple(sorted(number for number in chosen if number <= largest))


def parse_preferences(specs: Iterable[str], study: Study) -> tuple[Preference, ...]:
    """Whose box an anchor takes first, from ``rater:NAME@CONDITION`` and ``cohort:SP+JP@CONDITION``.

    A rater stands for the outlines they traced, a cohort for the medoid of its marks. Without a condition all count.

    Raises
    ------
    ValueError
        If a preference has another form, or names a rater, cohort or condition that the study does not have.
    """
    return tuple(_parse_preference(spec, study) for spec in specs)


def _parse_preference(spec: str, study: Study) -> Preference:
    kind, _, rest = spec.partition(":")
    if kind not in ("rater", "cohort") or not rest:
        raise ValueError(f"a preference is rater:NAME@CONDITION or cohort:NAME@CONDITION, got {spec!r}")
    names = study.raters["rater"] if kind == "rater" else unions_of(study.cohorts, rest)
    name, condition = split_at_condition(rest, names, study.conditions)
    conditions = (condition,) if condition else None
    if kind == "rater":
        return Preference(raters=(name,), conditions=conditions, kinds=("polygon",))
    return Preference(cohorts=(name,) if name in study.cohorts else tuple(name.split("+")), conditions=conditions)


def unions_of(cohorts: Iterable[str], spec: str) -> list[str]:
    """The cohorts, and the union of some that `spec` begins with, if it does.

    Examples
    --------
    >>> unions_of(["JP", "NP", "SP"], "SP+JP@E")
    ['JP', 'NP', 'SP', 'SP+JP']
    """
    known = list(cohorts)
    union = spec.partition("@")[0]
    return [*known, union] if "+" in union and set(union.split("+")) <= set(known) else known
