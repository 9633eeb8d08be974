"""Sums of pairs of ratings → coefficients of agreement.

Every formula takes leading axes along, so that it serves a study, its FOVs, and all replicates of a bootstrap alike.
A coefficient that is undefined is NaN, for one of two reasons that `why_undefined` tells apart: no item has two
ratings, or agreement by chance is complete (all ratings that can be paired are of one class).
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdtruth.metrics import ratio

Level = Literal["nominal", "ordinal", "interval", "ratio"]
Weights = Literal["linear", "quadratic"] | ArrayLike | None
Floats = NDArray[np.float64]

_VERBAL = ("slight", "fair", "moderate", "substantial", "near perfect")


def alpha_from(
    coincidences: ArrayLike, *, level: Level = "nominal", classes: Sequence[Any] | NDArray[Any] | None = None
) -> Floats:
    """Krippendorff's alpha of coincidences.

    Parameters
    ----------
    coincidences : (..., n_classes, n_classes), see `AgreementCounts`
    level : what differences between classes mean
    classes : (n_classes,) numbers, for ``interval`` and ``ratio``; default: 0, 1, …

    Returns
    -------
    (...)

    Raises
    ------
    ValueError
        If `level` is none of the four, or needs numbers and the classes are none.

    Examples
    --------
    >>> float(alpha_from([[2, 1], [1, 2]]).round(4))
    0.4444
    """
    table = _as_square(coincidences)
    totals = table.sum(axis=-1)
    difference = _differences(totals, level, classes)
    observed = _weighted_sum(table, difference)
    expected = np.einsum("...c,...ck,...k->...", totals, np.broadcast_to(difference, table.shape), totals)
    return 1 - ratio((totals.sum(axis=-1) - 1) * observed, expected)


def _differences(totals: Floats, level: Level, classes: Sequence[Any] | NDArray[Any] | None) -> Floats:
    """Squared difference of every two classes: (n_classes, n_classes), or (..., n_classes, n_classes) for ordinal."""
    n_classes = totals.shape[-1]
    if level == "nominal":
        return 1 - np.eye(n_classes)
    if level == "ordinal":
        rank = totals.cumsum(axis=-1) - totals / 2
        return (rank[..., :, None] - rank[..., None, :]) ** 2
    if level not in ("interval", "ratio"):
        raise ValueError(f"level is 'nominal', 'ordinal', 'interval' or 'ratio'; got {level!r}")
    value = _as_numbers(np.arange(n_classes) if classes is None else classes, n_classes, level)
    difference = (value[:, None] - value[None, :]) ** 2
    return difference if level == "interval" else difference / nonzero((value[:, None] + value[None, :]) ** 2)


def _as_numbers(classes: Sequence[Any] | NDArray[Any], n_classes: int, level: str) -> Floats:
    """Classes as finite numbers (n_classes,)."""
    try:
        value = np.asarray(classes, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"level {level!r} needs classes that are numbers, got {list(classes)}") from None
    if value.shape != (n_classes,) or not np.isfinite(value).all() or (level == "ratio" and (value < 0).any()):
        least = ", none negative" if level == "ratio" else ""
        raise ValueError(f"level {level!r} needs {n_classes} finite numbers{least}; got {list(classes)}")
    return value


def fleiss_from(pairs: ArrayLike, shares: ArrayLike) -> Floats:
    """Fleiss' kappa of sums (..., n_classes, n_classes) and (..., n_classes) -> (...), see `AgreementCounts`.

    Examples
    --------
    >>> float(fleiss_from([[1, 0.5], [0.5, 1]], [1.5, 1.5]).round(4))
    0.3333
    """
    share = _as_shares(shares)
    return beyond_chance(percent_from(pairs), (share**2).sum(axis=-1))


def gwet_from(pairs: ArrayLike, shares: ArrayLike, *, weights: Weights = None) -> Floats:
    """Gwet's AC1 or AC2 of sums (..., n_classes, n_classes) and (..., n_classes) -> (...), see `AgreementCounts`.

    Examples
    --------
    >>> float(gwet_from([[1, 0.5], [0.5, 1]], [1.5, 1.5]).round(4))
    0.3333
    """
    share = _as_shares(shares)
    n_classes = share.shape[-1]
    agreement = 1 - disagreement_weights(weights, n_classes)
    spread = agreement.sum() / max(n_classes * (n_classes - 1), 1)
    return beyond_chance(percent_from(pairs, weights=weights), spread * (share * (1 - share)).sum(axis=-1))


def percent_from(pairs: ArrayLike, *, weights: Weights = None) -> Floats:
    """Percent agreement, as a fraction, of pairs (..., n_classes, n_classes) -> (...)."""
    table = _as_square(pairs)
    disagreement = disagreement_weights(weights, table.shape[-1])
    return 1 - ratio(_weighted_sum(table, disagreement), table.sum(axis=(-2, -1)))


def kappa_from(table: ArrayLike, *, weights: Weights = None) -> Floats:
    """Cohen's kappa of tables of two raters (..., n_classes, n_classes) -> (...); else as `cohen_kappa`.

    Examples
    --------
    >>> float(kappa_from([[20, 5], [10, 15]]))
    0.4
    """
    counts = _as_square(table)
    disagreement = disagreement_weights(weights, counts.shape[-1])
    expected = np.einsum("...c,...c->...", counts.sum(axis=-1) @ disagreement, counts.sum(axis=-2))
    return 1 - ratio(_weighted_sum(counts, disagreement) * counts.sum(axis=(-2, -1)), expected)


def disagreement_weights(weights: Weights, n_classes: int) -> Floats:
    """How much every two classes differ, from 0 to 1: (n_classes, n_classes).

    Raises
    ------
    ValueError
        If a matrix is not square, symmetric, within 0 … 1 and zero on the diagonal; or a name is unknown.

    Examples
    --------
    >>> disagreement_weights("linear", 3)
    array([[0. , 0.5, 1. ],
           [0.5, 0. , 0.5],
           [1. , 0.5, 0. ]])
    """
    if weights is None:
        return 1 - np.eye(n_classes)
    if isinstance(weights, str):
        if weights not in ("linear", "quadratic"):
            raise ValueError(f"weights are None, 'linear', 'quadratic' or a matrix; got {weights!r}")
        place = np.arange(n_classes) / max(n_classes - 1, 1)
        apart = np.abs(place[:, None] - place[None, :])
        return apart if weights == "linear" else apart**2
    matrix = np.asarray(weights, dtype=float)
    if matrix.shape != (n_classes, n_classes):
        raise ValueError(f"weights of {n_classes} classes are ({n_classes}, {n_classes}); got {matrix.shape}")
    if not ((matrix >= 0) & (matrix <= 1) & (matrix == matrix.T)).all() or np.diagonal(matrix).any():
        raise ValueError("weights are disagreements: symmetric, from 0 to 1, zero on the diagonal")
    return matrix


def why_undefined(pairs: ArrayLike) -> str:
    """Why a coefficient has no value: ``"no pairs"``, ``"one class"``, or ``""`` if it has.

    Parameters
    ----------
    pairs : (n_classes, n_classes) pairs or coincidences of several raters, or the table of two

    Examples
    --------
    >>> why_undefined([[4, 0], [0, 0]])
    'one class'
    """
    table = _as_square(pairs)
    if not table.any():
        return "no pairs"
    return "one class" if np.count_nonzero(table.sum(axis=0) + table.sum(axis=1)) < 2 else ""


def agreement_level(value: float) -> str:
    """Words for a coefficient of agreement; a bound belongs to the words below it.

    Poor below 0, then slight up to .2, fair .4, moderate .6, substantial .8, near perfect 1; "undefined" for NaN.

    References
    ----------
    J. R. Landis and G. G. Koch, The measurement of observer agreement for categorical data. Biometrics 33 (1977).

    Examples
    --------
    >>> agreement_level(0.555), agreement_level(-0.1)
    ('moderate', 'poor')
    """
    if np.isnan(value):
        return "undefined"
    if value < 0:
        return "poor"
    if value > 1 + 1e-9:
        raise ValueError(f"a coefficient of agreement is at most 1, got {value}")
    return next(word for word, top in zip(_VERBAL, (0.2, 0.4, 0.6, 0.8, np.inf), strict=True) if value <= top)


def _as_square(table: ArrayLike) -> Floats:
    counts = np.asarray(table, dtype=float)
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2]:
        raise ValueError(f"expected counts of pairs of classes, (..., n_classes, n_classes); got {counts.shape}")
    return counts


def _as_shares(shares: ArrayLike) -> Floats:
    """Shares that add up to 1, (..., n_classes); zero where there are none."""
    sums = np.asarray(shares, dtype=float)
    return sums / nonzero(sums.sum(axis=-1, keepdims=True))


def beyond_chance(observed: Floats, chance: Floats) -> Floats:
    """(observed − chance) / (1 − chance), NaN where chance agreement is complete."""
    return 1 - ratio(1 - observed, 1 - chance)


def _weighted_sum(table: Floats, weight: Floats) -> Floats:
    return (table * weight).sum(axis=(-2, -1))


def nonzero(values: Floats) -> Floats:
    """`values` with 1 in place of 0, to divide zeros by."""
    return np.where(values == 0, 1, values)
