"""How often each FOV is drawn: more often where rare classes are dense, so that the detector sees them."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def fov_weights(counts: ArrayLike, areas: ArrayLike) -> Tensor:
    """Probability of each FOV to be drawn: Σ over classes of w_c · n_cf / area, with w_c one over the class's count.

    Parameters
    ----------
    counts : (n_fovs, n_classes)
        Objects n_cf of each real class in each FOV; expected numbers where labels are soft (`class_counts`). AMBIGUOUS
        is no column: it weighs nothing.
    areas : (n_fovs,)
        Pixels.

    Returns
    -------
    (n_fovs,) float64
        They sum to one. An FOV without objects of a real class is never drawn; a class without objects adds nothing.

    Raises
    ------
    ValueError
        If the shapes do not fit, a count is negative or no number, an area not positive, or there is no object at all.

    Examples
    --------
    >>> fov_weights([[4, 0], [4, 1]], [100, 100])
    tensor([0.2500, 0.7500], dtype=torch.float64)
    """
    n, area = np.asarray(counts, dtype=np.float64), np.asarray(areas, dtype=np.float64)
    if n.ndim != 2 or area.shape != n.shape[:1]:
        raise ValueError(f"expected counts (n_fovs, n_classes) and an area per FOV, got {n.shape} and {area.shape}")
    for what, values, is_wrong in (
        ("no negative count", n, ~(n >= 0) | np.isinf(n)),
        ("a positive area", area, ~(area > 0) | np.isinf(area)),
    ):
        if is_wrong.any():
            row = int(np.argwhere(is_wrong)[0][0])
            raise ValueError(f"FOV {row}: expected {what}, finite, got {values[row].tolist()}")
    of_class = n.sum(axis=0)
    if not of_class.any():
        raise ValueError(f"none of the {len(n):,} FOVs has an object of a real class: there is nothing to draw")
    per_object = np.divide(1.0, of_class, out=np.zeros_like(of_class), where=of_class > 0)
    weights = (n @ per_object) / area
    return torch.from_numpy(weights / weights.sum())


def draw_fovs(weights: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """`n` FOVs drawn with replacement, (n,) int64 places in `weights` (n_fovs,).

    Examples
    --------
    >>> draw_fovs(torch.tensor([0.0, 1.0]), 3, torch.Generator().manual_seed(0))
    tensor([1, 1, 1])
    """
    return torch.multinomial(weights, n, replacement=True, generator=generator)
