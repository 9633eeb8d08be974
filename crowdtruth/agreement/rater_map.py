"""Raters on a map: the better two agree, the nearer they lie. (Figure 3d)"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.agreement.formulas import Floats
from crowdtruth.agreement.raters import kappa_matrix

MAP_COLUMNS = ("condition", "grouping", "scope", "rater", "cohort", "x", "y")


@dataclass(frozen=True)
class RaterMap:
    """Positions of raters, and how badly distances on the map fit."""

    positions: pd.DataFrame  # rater, x, y, component
    stress: float  # Kruskal's stress-1: 0 fits, NaN where no pair has a distance


def rater_map(
    kappa: pd.DataFrame, *, seed: int = 0, n_starts: int = 8, n_iterations: int = 500, tolerance: float = 1e-9
) -> RaterMap:
    """Metric multidimensional scaling of 1 − kappa in two dimensions; missing pairs pull nowhere.

    Parameters
    ----------
    kappa : raters × raters, symmetric, NaN where two have no kappa; see `kappa_matrix`
    seed : of the random starts; the best of `n_starts` is kept, the first of equals
    n_iterations, tolerance : of majorization, which stops when stress falls by less than that share

    Returns
    -------
    positions and stress
        Turned so that x is the direction of the largest spread, centred, the first rater not left or below of the
        centre. Raters who are linked by no chain of pairs are of different `component`; each component is laid out
        by itself and centred, and positions in different ones cannot be compared.

    Raises
    ------
    ValueError
        If `kappa` is not square and symmetric, or exceeds 1.

    References
    ----------
    J. de Leeuw, Applications of convex analysis to multidimensional scaling. Recent Developments in Statistics (1977).

    Examples
    --------
    >>> names = ["a", "b"]
    >>> rater_map(pd.DataFrame([[1, 0.5], [0.5, 1]], names, names)).positions.round(2)
      rater     x    y  component
    0     a  0.25  0.0          0
    1     b -0.25  0.0          0
    """
    values = kappa.to_numpy(dtype=float)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.array_equal(values, values.T, equal_nan=True):
        raise ValueError(f"kappas of raters are a symmetric square; got a table of {values.shape}")
    if (values > 1 + 1e-9).any():
        raise ValueError(f"kappa is at most 1, got {np.nanmax(values)}")
    distance = np.maximum(1 - values, 0)
    weight = (~np.isnan(distance)).astype(float)
    np.fill_diagonal(weight, 0)
    distance = np.where(weight > 0, distance, 0)
    component = _components(weight)
    position = np.zeros((len(values), 2))
    rng = np.random.default_rng(seed)
    for one in range(component.max(initial=-1) + 1):
        own = np.flatnonzero(component == one)
        if len(own) > 1:
            square = np.ix_(own, own)
            starts = rng.normal(scale=max(distance[square].max(), 1e-3), size=(n_starts, len(own), 2))
            stress, tries = _scale(distance[square], weight[square], starts, n_iterations, tolerance)
            position[own] = _turned(tries[stress.argmin()])
    table = pd.DataFrame({"rater": list(kappa.index), "x": position[:, 0], "y": position[:, 1], "component": component})
    return RaterMap(table, _stress_1(position, distance, weight))


def rater_map_table(pairs: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """A map of the raters for every condition, grouping and scope.

    Parameters
    ----------
    pairs : as from `pairwise_table`; pairs without a kappa are missing
    options : of `rater_map`

    Returns
    -------
    condition, grouping, scope, rater, cohort, x, y
        Only the raters of the largest component (of equals, that of the rater whose name sorts first) have a place;
        x and y of the others are empty, since nothing is known of their distance.

    Examples
    --------
    >>> pairs = pd.DataFrame({"condition": "E", "grouping": "raw", "scope": "classification", "first": ["a"],
    ...                       "second": ["b"], "first_cohort": "P", "second_cohort": "NP", "kappa": [0.5]})
    >>> rater_map_table(pairs)[["rater", "cohort", "x", "y"]].round(2)
      rater cohort     x    y
    0     a      P  0.25  0.0
    1     b     NP -0.25  0.0
    """
    tables = []
    for (condition, grouping, scope), rows in pairs.groupby(["condition", "grouping", "scope"], sort=False):
        cohort = {**_cohorts(rows, "second"), **_cohorts(rows, "first")}
        places = rater_map(kappa_matrix(rows), **options).positions
        largest = places["component"].value_counts(sort=False).idxmax()
        places.loc[places["component"] != largest, ["x", "y"]] = np.nan
        places["cohort"] = places["rater"].map(cohort)
        tables.append(places.assign(condition=str(condition), grouping=str(grouping), scope=str(scope)))
    return pd.concat(tables, ignore_index=True)[[*MAP_COLUMNS]] if tables else pd.DataFrame(columns=[*MAP_COLUMNS])


def _cohorts(pairs: pd.DataFrame, side: str) -> dict[str, str]:
    """Cohort of each rater on one side of the pairs."""
    return dict(zip(pairs[side], pairs[f"{side}_cohort"], strict=True))


def _components(weight: Floats) -> NDArray[np.intp]:
    """Number of the component of each rater, (n_raters,), in order of their first members."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if not len(weight):
        return np.zeros(0, dtype=np.intp)
    return pd.factorize(connected_components(csr_array(weight), directed=False)[1])[0]


def _scale(
    distance: Floats, weight: Floats, starts: Floats, n_iterations: int, tolerance: float
) -> tuple[Floats, Floats]:
    """Stress (n_starts,) and positions (n_starts, n, 2) by majorization; distance and weight (n, n).

    All starts go on together, each until its own stress hardly falls.
    """
    inverse = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight)
    position, apart = starts.copy(), _apart(starts)
    stress = _raw_stress(apart, distance, weight)
    going = np.arange(len(starts))
    for _ in range(n_iterations):
        near = apart[going]
        pull = weight * distance / np.where(near > 0, near, np.inf)  # two in one place pull nowhere
        here = position[going]
        position[going] = inverse @ (pull.sum(axis=-1, keepdims=True) * here - pull @ here)
        apart[going] = _apart(position[going])
        before, after = stress[going], _raw_stress(apart[going], distance, weight)
        stress[going] = after
        going = going[before - after > tolerance * before]
        if not len(going):
            break
    return stress, position


def _apart(position: Floats) -> Floats:
    """Distances on the map, (..., n, n), of positions (..., n, 2)."""
    x, y = position[..., 0], position[..., 1]
    return np.hypot(x[..., :, None] - x[..., None, :], y[..., :, None] - y[..., None, :])


def _raw_stress(apart: Floats, distance: Floats, weight: Floats) -> Floats:
    """Weighted squared misfit (...) of all ordered pairs of distances (..., n, n)."""
    return np.asarray((weight * (apart - distance) ** 2).sum(axis=(-2, -1)))


def _stress_1(position: Floats, distance: Floats, weight: Floats) -> float:
    """Root of the misfit over the squared distances on the map."""
    apart = _apart(position)
    size, misfit = float((weight * apart**2).sum()), float(_raw_stress(apart, distance, weight))
    if not weight.any():
        return float("nan")
    return float(np.sqrt(misfit / size)) if size > 0 else float(misfit > 0)


def _turned(position: Floats) -> Floats:
    """Centred, along the principal axes, the first rater neither left nor below of the centre."""
    centred = position - position.mean(axis=0)
    turned = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    turned = turned * np.where(turned[0] < -1e-12, -1.0, 1.0)
    return np.where(np.abs(turned) < 1e-12, 0.0, turned)
