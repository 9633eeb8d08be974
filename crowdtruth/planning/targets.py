"""What a plan is to reach, and what raters cost: targets and prices, also as the command line writes them."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crowdtruth.simulation.experiment import Experiment
from crowdtruth.simulation.scores import count_metric_names
from crowdtruth.taxonomy import UNDETECTED

DEFAULT_SHORTFALL = {"f1": 0.02, "mcc": 0.02, "recall": 0.05, "class_mcc": 0.05}
"""Default targets: so much below what all raters of the pilot reach; recall and class_mcc of each class."""

OF_ALL = ("precision", "recall", "f1", "class_accuracy", "mcc")
OF_CLASS = ("class_mcc", "recall")
OF_DETECTION = ("precision", "recall", "f1")
"""Metrics of `count_metric_names`: over all classes, of one class; those that crowd tables lack."""


@dataclass(frozen=True)
class Target:
    """A value of a metric to be reached; `class_name` is empty for metrics over all classes."""

    metric: str
    class_name: str
    value: float
    is_shortfall: bool = False  # value is how far below what all raters of the pilot reach it may stay

    def __str__(self) -> str:
        """The target as the command line has it."""
        name = f"{self.metric}:{self.class_name}" if self.class_name else self.metric
        return f"{name}={'best-' if self.is_shortfall else ''}{self.value:g}"


def parse_target(text: str) -> Target:
    """A target as the command line has it: ``mcc=.8``, ``recall:lymphocyte=.7`` or ``mcc=best-.02``.

    Raises
    ------
    ValueError
        If the text is not of this form.

    Examples
    --------
    >>> parse_target("recall:lymphocyte=best-.05")
    Target(metric='recall', class_name='lymphocyte', value=0.05, is_shortfall=True)
    """
    match = re.fullmatch(r"\s*([a-z_0-9]+)(?::(.+?))?\s*=\s*(best\s*-)?\s*([0-9]*\.?[0-9]+)\s*", text)
    value = float(match[4]) if match else np.nan
    if match is None or not 0 <= value <= 1:
        raise ValueError(
            f"a target reads METRIC=VALUE, METRIC:CLASS=VALUE or METRIC=best-VALUE with a value from 0 to 1, such as "
            f"mcc=.8; got {text!r}"
        )
    return Target(match[1], match[2] or "", value, match[3] is not None)


def parse_price(text: str) -> tuple[str, float]:
    """Cohort and price of one of its raters in one FOV, as the command line has it: ``SP=20``.

    Raises
    ------
    ValueError
        If the text is not of this form.

    Examples
    --------
    >>> parse_price("SP=20")
    ('SP', 20.0)
    """
    match = re.fullmatch(r"(.+)=\s*([0-9]*\.?[0-9]+)\s*", text)
    if match is None:
        raise ValueError(f"a price reads COHORT=PRICE, such as SP=20; got {text!r}")
    return match[1].strip(), float(match[2])


def check_plan(
    targets: Sequence[Target],
    prices: Mapping[str, float],
    *,
    cohorts: Collection[str],
    classes: Collection[str] | None = None,
    has_detection: bool = True,
) -> None:
    """Raise unless a study can be planned for these targets at these prices; nothing is computed.

    Parameters
    ----------
    targets : to be reached
    prices : cohort -> price of one of its raters in one FOV
    cohorts : of the study
    classes : of the study, at the level that is judged; None: unknown, any is taken
    has_detection : whether raters look for objects; False for crowd tables, where tasks are given

    Raises
    ------
    ValueError
        If no target can be set for a metric, a value lies outside [0, 1], a class or a cohort is unknown, or a price is
        negative or no number.

    Examples
    --------
    >>> check_plan([parse_target("recall:x=.7")], {"SP": 20.0}, cohorts=["NP", "SP"], classes=["x", "y"])
    >>> check_plan([], {"ZZ": 3.0}, cohorts=["NP", "SP"])
    Traceback (most recent call last):
        ...
    ValueError: --price ZZ=3: the study has the cohorts NP, SP
    """
    for cohort, price in prices.items():
        if cohort not in cohorts:
            raise ValueError(f"--price {cohort}={price:g}: the study has the cohorts {', '.join(sorted(cohorts))}")
        if not 0 <= price < np.inf:
            raise ValueError(f"--price {cohort}={price:g}: a price is a number from 0 on")
    for target in targets:
        _check_metric(target, has_detection)
        if classes is not None and target.class_name and target.class_name not in classes:
            raise ValueError(f"--target {target}: the study has the classes {', '.join(sorted(classes))}")


def _check_metric(target: Target, has_detection: bool) -> None:
    """Raise unless a target can be set for the metric, with a class or without, and has a value in [0, 1]."""
    of_all, of_class = (
        [name for name in names if has_detection or name not in OF_DETECTION] for names in (OF_ALL, OF_CLASS)
    )
    if target.metric not in (of_class if target.class_name else of_all):
        raise ValueError(
            f"--target {target}: a target is METRIC=VALUE for {', '.join(of_all)}, "
            f"or METRIC:CLASS=VALUE for {', '.join(of_class)}"
        )
    if not 0 <= target.value <= 1:
        raise ValueError(f"--target {target}: a value, or a distance from the best, lies in [0, 1]")


def check_for_experiments(
    targets: Sequence[Target],
    prices: Mapping[str, float],
    experiments: Sequence[Experiment],
    cohorts: Collection[str],
) -> None:
    """Raise unless the study of these experiments can be planned; `cohorts` are those that it has besides."""
    known = {experiment.cohort for experiment in experiments} | set(cohorts)
    classes = {name for experiment in experiments for name in experiment.classes} - {UNDETECTED}
    has_detection = any(experiment.has_detection for experiment in experiments)
    check_plan(targets, prices, cohorts=known, classes=classes, has_detection=has_detection)


def default_targets(experiment: Experiment) -> list[Target]:
    """What is planned for when nothing is asked for."""
    return [
        Target(metric, name, DEFAULT_SHORTFALL[metric], True)
        for metric, name in count_metric_names(experiment)
        if metric in DEFAULT_SHORTFALL and (metric != "recall" or name)
    ]


def title_of(metric: str, class_name: str) -> str:
    """A metric and its class for a person."""
    return f"{metric} of {class_name}" if class_name else metric
