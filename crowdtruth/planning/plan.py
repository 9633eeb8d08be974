"""The plan: the fewest raters per FOV that reach each target, where the pilot's replicates agree on a number."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crowdtruth.planning.pilots import Effort, Floats, Pilot, Planned, pilot_curves
from crowdtruth.planning.targets import Target, check_targets, checked_prices, default_targets, title_of
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
    n_fovs : FOVs of the planned study; default: as many as the pilot has
    n_raters : raters of each cohort in the planned study, who all leave anchors; default: as many as the pilot has
    raters_per_fov : numbers to choose from; default: from 1 to the most that half of the pilot's FOVs have
    realizations : draws of raters at each number
    replicates : of the bootstrap
    seed : of the bootstrap; the draws have the experiments' own
    jobs : threads; no byte of the result depends on them

    Returns
    -------
    one row per experiment × target
        cohort, condition, metric, class, target (a value, also where the target was a shortfall), raters_per_fov (the
        fewest that reach it), low, high (90 % band), cost (raters_per_fov × price × FOVs), verdict (a sentence).
        raters_per_fov and cost are NaN where the pilot cannot tell, or no number reaches the target; low and high
        where they lie beyond the pilot's raters.

    Raises
    ------
    ValueError
        If a metric or class of a target is in none of the experiments, a price is of no cohort or below 0, or a number
        is out of range.

    Examples
    --------
    >>> from crowdtruth.simulation import make_experiment
    >>> names = [f"{i:02}" for i in range(40)]
    >>> marks = [(a, a[0], r, "x" if (int(a) + n) % 4 else "undetected") for a in names for n, r in enumerate("rst")]
    >>> pilot = make_experiment(pd.DataFrame(marks, columns=["anchor", "fov", "rater", "label"]),
    ...                         pd.DataFrame({"anchor": names, "true": "x"}))
    >>> plan_raters([pilot], targets=[Target("recall", "", 0.5)])[["raters_per_fov", "low", "high", "verdict"]]
       raters_per_fov  low  high                                        verdict
    0             1.0  1.0   1.0  1 rater per FOV reaches recall ≥ 0.50 (1 to 1)
    """
    _check_numbers(n_fovs=n_fovs, n_raters=n_raters, realizations=realizations, replicates=replicates)
    prices = checked_prices(prices or {}, experiments)
    check_targets(targets, experiments)
    planned, effort = Planned(n_fovs, n_raters), Effort(realizations, replicates, seed, jobs)
    rows = []
    for experiment in experiments:
        pilot = pilot_curves(experiment, planned, raters_per_fov, effort)
        price = prices.get(experiment.cohort, 1.0) * (experiment.n_fovs if n_fovs is None else n_fovs)
        for target in targets or default_targets(experiment):
            if (target.metric, target.class_name) in pilot.names:
                rows.append((target, _row(experiment, pilot, target, price)))
    return _marked_cheapest(rows)


def _check_numbers(**numbers: int | None) -> None:
    """Raise unless the numbers given are at least 1."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")


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
    judge, _, cohort = experiment.reference.partition("@")[0].partition(":")
    is_own = judge == "cohort" and cohort in ("own", experiment.cohort)
    note = "; judged by labels of the same raters, which flatters all numbers near theirs" if is_own else ""
    raters, low, high = (n if np.isfinite(n) else np.nan for n in answer[1:4])
    names = {"cohort": experiment.cohort, "condition": experiment.condition, "metric": target.metric}
    planned = {"target": answer.target, "raters_per_fov": raters, "low": low, "high": high, "cost": raters * price}
    return {**names, "class": target.class_name, **planned, "verdict": answer.verdict + note}


def _answer(pilot: Pilot, target: Target) -> _Answer:
    """The fewest raters per FOV that reach the target, if the replicates agree on it."""
    title, place = title_of(target.metric, target.class_name), pilot.names.index((target.metric, target.class_name))
    curve, curves = pilot.values[:, place], pilot.replicates[:, :, place]
    n, value = pilot.raters_per_fov[-1], target.value
    if n < 2:
        return _Answer(
            value, np.inf, np.nan, np.nan, f"cannot tell: no two raters were asked about the same {pilot.unit}s"
        )
    curves = curves[np.isfinite(curves).all(axis=1)]
    if not np.isfinite(curve).all() or len(curves) < _LEVEL * len(pilot.replicates):
        return _Answer(np.nan, np.inf, np.nan, np.nan, f"cannot tell: {title} is undefined in this pilot")
    values = np.full(len(curves), value)
    if target.is_shortfall:
        values, value = curves[:, -1] - value, curve[-1] - value
    reached = _fewest(pilot.raters_per_fov, curve[None], np.array([value]))[0]
    replicated = _fewest(pilot.raters_per_fov, curves, values)
    low, high = np.quantile(replicated, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], method="nearest")
    doubt = _doubt(curve, curves - values[:, None], replicated, target, n)
    band = f"({_number(low, n)} to {_number(high, n)})"
    if np.isinf(low):
        return _Answer(
            value, np.inf, low, high, f"not reached by {n} raters: {title} is {curve[-1]:.2f} with all of them"
        )
    if doubt or np.isinf(reached):
        doubt = doubt or f"{_number(low, n)} to {_number(high, n)} raters fit this pilot"
        return _Answer(value, np.nan, low, high, f"cannot tell: {doubt}")
    return _Answer(value, reached, low, high, f"{_claim(int(reached), pilot, target)} {band}")


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
            f"{title} is between {curve.min():.2f} and {curve.max():.2f} with any number, ± {error:.2f} by this pilot"
        )
    if np.isinf(upper) or upper - lower > _WIDEST:
        return f"{_number(low, n)} to {_number(high, n)} raters fit this pilot"
    return ""


def _claim(raters: int, pilot: Pilot, target: Target) -> str:
    """What is reached, in words."""
    title, n = title_of(target.metric, target.class_name), pilot.raters_per_fov[-1]
    subject = f"1 rater per {pilot.unit}" if raters == 1 else f"{raters} raters per {pilot.unit}"
    if target.is_shortfall:
        return f"{subject} {'comes' if raters == 1 else 'come'} within {target.value:.2f} of the {title} of all {n}"
    return f"{subject} {'reaches' if raters == 1 else 'reach'} {title} ≥ {target.value:.2f}"


def _number(raters: float, n: int) -> str:
    """A number of raters for a person."""
    return f"{int(raters)}" if np.isfinite(raters) else f"more than {n}"


def _marked_cheapest(rows: Sequence[tuple[Target, dict[str, Any]]]) -> pd.DataFrame:
    """The plan, where the cheapest of several cohorts that reach a target under a condition says so."""
    table = pd.DataFrame([row for _, row in rows], columns=list(COLUMNS))
    texts = ["cohort", "condition", "metric", "class", "verdict"]
    table = table.astype({**dict.fromkeys(texts, "str"), **dict.fromkeys(set(COLUMNS) - set(texts), float)})
    goals = [(target, row["condition"]) for target, row in rows]
    for goal in dict.fromkeys(goals):
        same = table.index[[other == goal for other in goals]]
        costs = table.loc[same, "cost"].dropna()
        if len(costs) > 1:
            cheapest = costs.index[costs == costs.min()]
            table.loc[cheapest, "verdict"] += "; the cheapest cohort" if len(cheapest) == 1 else "; none is cheaper"
    return table
