"""The plan: the fewest raters per FOV that reach each target, where the pilot's replicates agree on a number."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crowdtruth.planning.pilots import Effort, Floats, Pilot, Planned, pilot_curves
from crowdtruth.planning.targets import Target, check_for_experiments, default_targets, title_of
from crowdtruth.resampling import LEAST_DEFINED, least_groups
from crowdtruth.simulation.experiment import Experiment

COLUMNS = ("cohort", "condition", "metric", "class", "target", "raters_per_fov", "low", "high", "cost", "verdict")
DEFAULT_REALIZATIONS = 50
DEFAULT_REPLICATES = 1000

_LEVEL = 0.9
"""Of the band."""

_WIDEST = 3
"""Raters from the lower to the upper quartile of the replicates, or nothing is told."""

_LEAST_RISE = 5.0
"""Of a curve, in standard errors: a 95 % interval nearly as wide as the whole curve tells no number from another."""

_LEAST_SHORTFALL = 1.0
"""In standard errors of the difference: a smaller one cannot be seen in the pilot."""

_EQUAL = 1e-12


def plan_raters(
    experiments: Sequence[Experiment],
    *,
    targets: Sequence[Target] = (),
    prices: Mapping[str, float] | None = None,
    cohorts: Collection[str] = (),
    n_fovs: int | None = None,
    n_raters: int | None = None,
    raters_per_fov: Sequence[int] | None = None,
    realizations: int = DEFAULT_REALIZATIONS,
    replicates: int = DEFAULT_REPLICATES,
    seed: int = 0,
    jobs: int = 1,
) -> pd.DataFrame:
    """How many raters per FOV, of which cohort and at which cost, reach each target.

    Parameters
    ----------
    experiments : the pilot, one per cohort and condition, see `crowdtruth.simulation.make_experiment`
    targets : to be reached; default: `crowdtruth.planning.DEFAULT_SHORTFALL` below what all raters of the pilot reach
    prices : cohort -> price of one of its raters in one FOV; default: 1
    cohorts : of the study that have no experiment; a price of theirs is no mistake
    n_fovs : FOVs of the planned study; default: as many as the pilot has, in the cohort with most of them
    n_raters : raters of each cohort in the planned study, who all leave anchors; default: as many as the pilot has
    raters_per_fov : numbers to choose from; default: from 1 to the most that half of the pilot's FOVs have
    realizations : draws of raters at each number
    replicates : of the bootstrap
    seed : of the bootstrap; the draws have the experiments' own
    jobs : threads; no byte of the result depends on them

    Returns
    -------
    one row per experiment × target
        cohort, condition, metric, class, target (a value, also where the target was a shortfall; NaN where the best is
        unknown), raters_per_fov (the fewest that reach it), low, high (90 % band), cost (raters_per_fov × price ×
        FOVs), verdict (a sentence). raters_per_fov and cost are NaN where the pilot cannot tell, or no number reaches
        the target; low and high where they lie beyond the pilot's raters, and where there is no band.

    Raises
    ------
    ValueError
        If a metric, class or price is none of the study's (see `crowdtruth.planning.check_plan`), or a number is out of
        range; all before anything is computed.

    Examples
    --------
    >>> from crowdtruth.simulation import make_experiment
    >>> names = [f"{i:02}" for i in range(40)]
    >>> marks = [(a, a[1], r, "x" if (int(a) + n) % 4 else "undetected") for a in names for n, r in enumerate("rst")]
    >>> pilot = make_experiment(pd.DataFrame(marks, columns=["anchor", "fov", "rater", "label"]),
    ...                         pd.DataFrame({"anchor": names, "true": "x"}))
    >>> plan = plan_raters([pilot], targets=[Target("recall", "", 0.5)])
    >>> plan[["target", "raters_per_fov", "low", "high", "cost"]]
       target  raters_per_fov  low  high  cost
    0     0.5             1.0  1.0   1.0  10.0
    >>> plan["verdict"][0]
    '1 rater per FOV reaches recall ≥ 0.50 (90 % band: 1)'
    """
    _check_numbers(
        {
            "n_fovs (--fovs-planned)": n_fovs,
            "n_raters (--raters-planned)": n_raters,
            "realizations": realizations,
            "replicates": replicates,
        }
    )
    prices = prices or {}
    if experiments:
        check_for_experiments(targets, prices, experiments, cohorts)
    planned, effort = Planned(n_fovs, n_raters), Effort(realizations, replicates, seed, jobs)
    rows = []
    for experiment in experiments:
        pilot = pilot_curves(experiment, planned, raters_per_fov, effort)
        price = prices.get(experiment.cohort, 1.0) * (n_fovs or _fovs_of(experiment.condition, experiments))
        rows += [
            (_yardstick(experiment, target), _row(experiment, pilot, target, price))
            for target in targets or default_targets(experiment)
        ]
    return _marked_cheapest(rows)


def _check_numbers(numbers: Mapping[str, int | None]) -> None:
    """Raise unless the numbers given are at least 1."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")


def _fovs_of(condition: str, experiments: Sequence[Experiment]) -> int:
    """FOVs of the pilot under a condition: those of the cohort that saw most."""
    return max(experiment.n_fovs for experiment in experiments if experiment.condition == condition)


class _Answer(NamedTuple):
    """What the pilot says about a target; infinite: beyond the pilot's raters."""

    target: float
    raters_per_fov: float
    low: float
    high: float
    verdict: str


def _row(experiment: Experiment, pilot: Pilot, target: Target, price: float) -> dict[str, Any]:
    """One row of the plan."""
    answer = _answer(pilot, target)
    is_own = _is_judged_by_itself(experiment)
    note = "; judged by labels of the same raters, which flatters all numbers near theirs" if is_own else ""
    raters, low, high = (n if np.isfinite(n) else np.nan for n in answer[1:4])
    names = {"cohort": experiment.cohort, "condition": experiment.condition, "metric": target.metric}
    planned = {"target": answer.target, "raters_per_fov": raters, "low": low, "high": high, "cost": raters * price}
    return {**names, "class": target.class_name, **planned, "verdict": answer.verdict + note}


def _is_judged_by_itself(experiment: Experiment) -> bool:
    """Whether the reference is what these very raters' labels came to."""
    judge, _, cohort = experiment.reference.partition("@")[0].partition(":")
    return judge == "cohort" and cohort in ("own", experiment.cohort)


def _answer(pilot: Pilot, target: Target) -> _Answer:
    """The fewest raters per FOV that reach the target, if the replicates agree on it."""
    if missing := _what_is_missing(pilot, target):
        return _Answer(_value_of(pilot, target), np.inf, np.nan, np.nan, f"cannot tell: {missing}")
    title, place = title_of(target.metric, target.class_name), pilot.names.index((target.metric, target.class_name))
    curve, curves = pilot.values[:, place], pilot.replicates[:, :, place]
    curves = curves[np.isfinite(curves).all(axis=1)]
    n, value = pilot.raters_per_fov[-1], _value_of(pilot, target)
    values = curves[:, -1] - target.value if target.is_shortfall else np.full(len(curves), value)
    reached = _fewest(pilot.raters_per_fov, curve[None], np.array([value]))[0]
    replicated = _fewest(pilot.raters_per_fov, curves, values)
    low, high = np.quantile(replicated, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], method="nearest")
    band, doubt = _range(low, high, n), _doubt(curve, curves - values[:, None], replicated, target, n)
    if np.isinf(low):
        with_all = f"{title} is {curve[-1]:.2f} with {'it' if n == 1 else 'them'}"
        return _Answer(value, np.inf, low, high, f"not reached by {_raters(n)} per {pilot.unit}: {with_all}")
    if doubt or np.isinf(reached):
        return _Answer(value, np.nan, low, high, f"cannot tell: {doubt or f'the 90 % band is {band}'}")
    return _Answer(value, reached, low, high, f"{_claim(int(reached), pilot, target)} (90 % band: {band})")


def _what_is_missing(pilot: Pilot, target: Target) -> str:
    """What the pilot lacks for any answer, or nothing."""
    name = target.metric, target.class_name
    if pilot.most < 2:
        return f"fewer than half of the {pilot.unit}s have two raters"
    if pilot.n_fovs < (least := least_groups(_LEVEL)):
        count = f"1 {pilot.unit}" if pilot.n_fovs == 1 else f"{pilot.n_fovs} {pilot.unit}s"
        return f"a band takes at least {least} {pilot.unit}s with {_raters(pilot.most)} or more, this pilot has {count}"
    if name not in pilot.names:
        return f"the reference of this pilot has nothing for {title_of(*name)}"
    place = pilot.names.index(name)
    share = np.isfinite(pilot.replicates[..., place]).all(axis=1).mean()
    is_defined = np.isfinite(pilot.values[:, place]).all() and share >= LEAST_DEFINED
    return "" if is_defined else f"{title_of(*name)} is undefined in this pilot"


def _value_of(pilot: Pilot, target: Target) -> float:
    """The target as a value; NaN where it is a distance from a best that is unknown."""
    if not target.is_shortfall:
        return target.value
    name = target.metric, target.class_name
    if pilot.most < 2 or name not in pilot.names:
        return np.nan
    return float(pilot.values[-1, pilot.names.index(name)]) - target.value


def _fewest(every_k: Sequence[int], curves: Floats, values: Floats) -> Floats:
    """The fewest raters per FOV with which each curve is at its value, (n,); infinite where none are."""
    is_reached = curves >= values[:, None] - _EQUAL
    return np.where(is_reached.any(axis=1), np.array(every_k, float)[is_reached.argmax(axis=1)], np.inf)


def _doubt(curve: Floats, above_target: Floats, replicated: Floats, target: Target, n: int) -> str:
    """Why the pilot cannot tell, or nothing.

    above_target (n_replicates, n_k): what lies between curve and target in each replicate.
    """
    title = title_of(target.metric, target.class_name)
    low, lower, upper, high = np.quantile(
        replicated, [(1 - _LEVEL) / 2, 0.25, 0.75, (1 + _LEVEL) / 2], method="nearest"
    )
    error = np.median(above_target.std(axis=0))
    if low == high:
        return ""
    if target.is_shortfall and target.value < _LEAST_SHORTFALL * error:
        return f"a difference of {target.value:.2f} in {title} is within this pilot's error of {error:.2f}"
    if not target.is_shortfall and len(curve) > 1 and np.ptp(curve) < _LEAST_RISE * error:
        return (
            f"{title} is between {curve.min():.2f} and {curve.max():.2f} with any number of raters, "
            f"± {error:.2f} by this pilot"
        )
    if np.isinf(upper) or upper - lower > _WIDEST:
        return f"the 90 % band is {_range(low, high, n)}"
    return ""


def _claim(raters: int, pilot: Pilot, target: Target) -> str:
    """What is reached, in words."""
    title, every_k = title_of(target.metric, target.class_name), pilot.raters_per_fov
    subject, s = f"{_raters(raters)} per {pilot.unit}", "s" if raters == 1 else ""
    if not target.is_shortfall:
        return f"{subject} reach{'es' if s else ''} {title} ≥ {target.value:.2f}"
    if raters == every_k[-1] > every_k[0]:  # who are within any distance of themselves
        return f"{subject} are needed: with {every_k[-2]} the {title} is more than {target.value:.2f} below theirs"
    best = f"{every_k[-1]} {'reaches' if every_k[-1] == 1 else 'reach'}"
    return f"{subject} come{s} within {target.value:.2f} of the {title} that {best}"


def _range(low: float, high: float, n: int) -> str:
    """A band of numbers of raters; infinite is more than the n there are."""
    first, last = (f"{int(k)}" if np.isfinite(k) else f"more than {n}" for k in (low, high))
    return last if low == high else f"{first} to {last}"


def _raters(number: int) -> str:
    """A number of raters for a person."""
    return "1 rater" if number == 1 else f"{number} raters"


def _yardstick(experiment: Experiment, target: Target) -> tuple[Target, str, str] | None:
    """What rows share whose costs can be compared: value, condition and reference.

    None for a distance, which is from each cohort's own best, and for labels of the same raters: a cohort would win by
    a low bar.
    """
    if target.is_shortfall or _is_judged_by_itself(experiment):
        return None
    return target, experiment.condition, experiment.reference


def _marked_cheapest(rows: Sequence[tuple[tuple[Target, str, str] | None, dict[str, Any]]]) -> pd.DataFrame:
    """The plan, where the cheapest of several cohorts that reach the same value says so."""
    table = pd.DataFrame([row for _, row in rows], columns=list(COLUMNS))
    texts = ["cohort", "condition", "metric", "class", "verdict"]
    table = table.astype({**dict.fromkeys(texts, "str"), **dict.fromkeys(set(COLUMNS) - set(texts), float)})
    yardsticks = [yardstick for yardstick, _ in rows]
    for yardstick in dict.fromkeys(filter(None, yardsticks)):
        same = table.index[[other == yardstick for other in yardsticks]]
        costs = table.loc[same, "cost"].dropna()
        if len(costs) > 1:
            cheapest = costs.index[costs == costs.min()]
            table.loc[cheapest, "verdict"] += "; the cheapest cohort" if len(cheapest) == 1 else "; none is cheaper"
    return table
