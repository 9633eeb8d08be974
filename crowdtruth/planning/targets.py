"""What a plan is to reach, and what raters cost: targets and prices, also as the command line writes them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crowdtruth.simulation.experiment import Experiment
from crowdtruth.simulation.scores import count_metric_names

DEFAULT_SHORTFALL = {"f1": 0.02, "mcc": 0.02, "recall": 0.05, "class_mcc": 0.05}
"""Default targets: so much below what all raters of the pilot reach; recall and class_mcc of each class."""


@dataclass(frozen=True)
class Target:
    """A value of a metric to be reached; `class_name` is empty for metrics over all classes."""

    metric: str
    class_name: str
    value: float
    is_shortfall: bool = False  # value is how far below what all raters of the pilot reach it may stay


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


def checked_prices(prices: Mapping[str, float], experiments: Sequence[Experiment]) -> dict[str, float]:
    """Prices of cohorts there are."""
    cohorts = sorted({experiment.cohort for experiment in experiments})
    for cohort, price in prices.items():
        if cohort not in cohorts or not price >= 0:
            raise ValueError(f"prices are of the cohorts {cohorts} and not negative; got {price} of {cohort!r}")
    return dict(prices)


def check_targets(targets: Sequence[Target], experiments: Sequence[Experiment]) -> None:
    """Raise unless each target's metric and class are in some experiment."""
    known = {name for experiment in experiments for name in count_metric_names(experiment)}
    for target in targets:
        if experiments and (target.metric, target.class_name) not in known:
            there = ", ".join(sorted(title_of(*name) for name in known))
            raise ValueError(
                f"no target can be set for {title_of(target.metric, target.class_name)!r}; there are {there}"
            )


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
