"""Raters on a map: the better two agree, the nearer they lie. (Figure 3d)"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.agreement.formulas import Floats


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
            tries = [_scale(distance[square], weight[square], rng, n_iterations, tolerance) for _ in range(n_starts)]
            position[own] = _turned(min(tries, key=lambda found: found[0])[1])
    table = pd.DataFrame({"rater": list(kappa.index), "x": position[:, 0], "y": position[:, 1], "component": component})
    return RaterMap(table, _stress_1(position, distance, weight))


def _components(weight: Floats) -> NDArray[np.intp]:
    """Number of the component of each rater, (n_raters,), in order of their first members."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if not len(weight):
        return np.zeros(0, dtype=np.intp)
    return pd.factorize(connected_components(csr_array(weight), directed=False)[1])[0]


def _scale(
    distance: Floats, weight: Floats, rng: np.random.Generator, n_iterations: int, tolerance: float
) -> tuple[float, Floats]:
    """Stress and positions (n, 2) by majorization from a random start; distance and weight (n, n)."""
    laplacian = np.diag(weight.sum(axis=1)) - weight
    inverse = np.linalg.pinv(laplacian)
    position = rng.normal(scale=max(distance.max(), 1e-3), size=(len(distance), 2))
    stress = _raw_stress(position, distance, weight)
    for _ in range(n_iterations):
        apart = _apart(position)
        pull = np.where(apart > 0, weight * distance / np.where(apart > 0, apart, 1), 0)
        position = inverse @ ((np.diag(pull.sum(axis=1)) - pull) @ position)
        before, stress = stress, _raw_stress(position, distance, weight)
        if before - stress <= tolerance * before:
            break
    return stress, position


def _apart(position: Floats) -> Floats:
    """Distances on the map, (n, n)."""
    return np.sqrt(((position[:, None] - position[None, :]) ** 2).sum(axis=-1))


def _raw_stress(position: Floats, distance: Floats, weight: Floats) -> float:
    """Weighted squared misfit of all ordered pairs."""
    return float((weight * (_apart(position) - distance) ** 2).sum())


def _stress_1(position: Floats, distance: Floats, weight: Floats) -> float:
    """Root of the misfit over the squared distances on the map."""
    size = float((weight * _apart(position) ** 2).sum())
    misfit = _raw_stress(position, distance, weight)
    if not weight.any():
        return float("nan")
    return float(np.sqrt(misfit / size)) if size > 0 else float(misfit > 0)


def _turned(position: Floats) -> Floats:
    """Centred, along the principal axes, the first rater neither left nor below of the centre."""
    centred = position - position.mean(axis=0)
    turned = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    turned = turned * np.where(turned[0] < -1e-12, -1.0, 1.0)
    return np.where(np.abs(turned) < 1e-12, 0.0, turned)
