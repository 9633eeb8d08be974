"""The redundancy experiment: with k raters per FOV, how good are the inferred labels? (Figure 3e)

Realization *r* gives the same rows alone, in any order and on any number of workers: its generator is seeded by its
number. Within a realization the raters of k + 1 are those of k and one more in each FOV, so two k are compared on the
same draw.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.parallel import track
from crowdtruth.simulation.experiment import Experiment
from crowdtruth.simulation.realization import draw, first_drawn, realize
from crowdtruth.simulation.scores import metric_values, redundancy_rows
from crowdtruth.simulation.workers import Workers

DEFAULT_REALIZATIONS = 1000

BLOCK = 20
"""Realizations done in one piece: some tenths of a second of work."""

DEFAULT_BAND = 0.95


def simulate(
    experiment: Experiment,
    realizations: int | Sequence[int] = DEFAULT_REALIZATIONS,
    *,
    raters_per_fov: Sequence[int] | None = None,
    jobs: int = 1,
    address: str | None = None,
) -> pd.DataFrame:
    """How good the labels are that k raters per FOV lead to, for every k and realization.

    In each FOV, k of its asked raters are drawn without replacement, and labels are inferred from what they said.
    Anchors and reference stay those of the full study. FOVs with fewer than k asked raters are left out at k.

    Parameters
    ----------
    experiment : see `make_experiment`
    realizations : how many, or the numbers of those to do
    raters_per_fov : every k; those above the most raters asked in an FOV are left out. Default: all from 1 to that
    jobs : threads; no byte of the result depends on them
    address : of the scheduler of a Dask cluster, which then does the work

    Returns
    -------
    one row per realization × k × metric × class
        realization, cohort, condition, reference, grouping, raters_per_fov, n_fovs (not left out), n_unique_raters
        (drawn in any of them), metric, class, value (NaN where undefined). Metrics are those of
        `crowdtruth.simulation.scores.metric_names`.

    Raises
    ------
    ValueError
        If a realization's number or a k is out of range, no k is left, or no cluster answers.

    Examples
    --------
    >>> from crowdtruth.simulation import make_experiment
    >>> ratings = pd.DataFrame({"anchor": ["a", "a", "b", "b"], "fov": "f", "rater": ["r", "s", "r", "s"],
    ...                         "label": ["x", "x", "x", "undetected"]})
    >>> truth = pd.DataFrame({"anchor": ["a", "b"], "true": ["x", ""]})
    >>> rows = simulate(make_experiment(ratings, truth), 1)
    >>> rows.loc[rows["metric"] == "precision", ["raters_per_fov", "n_fovs", "n_unique_raters", "value"]]
        raters_per_fov  n_fovs  n_unique_raters  value
    0                1       1                1    1.0
    10               2       1                2    0.5
    """
    numbers, every_k = realization_numbers(realizations), checked_k(experiment, raters_per_fov)
    blocks = blocks_of(numbers)
    results = Workers(jobs, address).map(partial(run_block, every_k), experiment, blocks)
    values = np.concatenate(list(track(results, "realizations", total=len(blocks))))
    return redundancy_rows(experiment, numbers, every_k, values)


def run_block(every_k: Sequence[int], experiment: Experiment, numbers: Sequence[int]) -> NDArray[np.float64]:
    """Some realizations: the number of raters drawn, then the metrics, (n_realizations, n_k, 1 + n_metrics)."""
    scores = []
    for number in numbers:
        place = draw(experiment, number)
        scores += [realize(experiment, first_drawn(experiment, place, k)) for k in every_k]
    return metric_values(experiment, scores).reshape(len(numbers), len(every_k), -1)


def blocks_of(numbers: Sequence[int]) -> list[Sequence[int]]:
    """The numbers in pieces."""
    return [numbers[begin : begin + BLOCK] for begin in range(0, len(numbers), BLOCK)]


def realization_numbers(realizations: int | Sequence[int]) -> list[int]:
    """The numbers of the realizations to do, checked."""
    numbers = list(range(realizations)) if isinstance(realizations, int) else [int(n) for n in realizations]
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise ValueError(f"realizations need different numbers from 0 on, at least one; got {realizations!r}")
    return numbers


def checked_k(experiment: Experiment, raters_per_fov: Sequence[int] | None) -> list[int]:
    """Every number of raters per FOV to simulate, checked."""
    most = int(experiment.n_asked.max())
    asked = range(1, most + 1) if raters_per_fov is None else [int(k) for k in raters_per_fov]
    every_k = [k for k in asked if k <= most]
    if not every_k or min(every_k) < 1 or len(set(every_k)) < len(every_k):
        raise ValueError(
            f"raters_per_fov must be different whole numbers, one of them from 1 to {most}, the most raters asked in "
            f"an FOV; got {raters_per_fov!r}"
        )
    return every_k


def redundancy_bands(table: pd.DataFrame, *, level: float = DEFAULT_BAND) -> pd.DataFrame:
    """Median and band of each metric by the number of raters per FOV.

    Parameters
    ----------
    table : as `simulate` returns it; several cohorts, conditions, references and groupings may be in it
    level : share of the realizations in the band, in (0, 1)

    Returns
    -------
    one row per cohort × condition × reference × grouping × metric × class × k
        those columns, raters_per_fov, n_fovs, n (realizations in which the metric has a value), median, low, high.
        The band is of the realizations: how much depends on which raters happen to be asked. It holds no uncertainty
        of the FOVs.

    Raises
    ------
    ValueError
        If `level` is out of range.

    Examples
    --------
    >>> table = pd.DataFrame({"realization": [0, 1, 2], "cohort": "P", "condition": "all", "reference": "truth",
    ...     "grouping": "raw", "raters_per_fov": 1, "n_fovs": 9, "n_unique_raters": 3, "metric": "mcc", "class": "",
    ...     "value": [.5, .6, .8]})
    >>> redundancy_bands(table)[["raters_per_fov", "n", "median", "low", "high"]]
       raters_per_fov  n  median   low  high
    0               1  3     0.6  0.505  0.79
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    keys = ["cohort", "condition", "reference", "grouping", "metric", "class", "raters_per_fov", "n_fovs"]
    by_k = table.groupby(keys, sort=False, dropna=False)["value"]
    tail = (1 - level) / 2
    bands = pd.DataFrame({
        "n": by_k.count(), "median": by_k.median(), "low": by_k.quantile(tail), "high": by_k.quantile(1 - tail)
    })  # fmt: skip
    order = bands.reset_index()
    first = order.groupby(keys[:-2], sort=False).ngroup()
    return order.iloc[np.lexsort((order["raters_per_fov"], first))].reset_index(drop=True)
