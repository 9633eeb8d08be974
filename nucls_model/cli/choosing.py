"""Which FOVs a command works on: those of some hospitals, or one side of a fold."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from crowdtruth.problems import quoted
from nucls_model.folds import N_FOLDS, Fold, fold_rows, make_folds, read_folds


def chosen_places(
    fovs: Any,
    side: Literal["train", "test"],
    *,
    hospitals: str | None = None,
    fold: int | None = None,
    folds: int | None = None,
    splits: Path | None = None,
) -> list[int]:
    """Rows of a table of FOVs.

    Parameters
    ----------
    fovs : slide, hospital
    side : of the fold
    hospitals : comma list; None: all
    fold : its number, from 1; None: no fold
    folds : how many there are, where they are ours
    splits : folder of published split files, in place of ours

    Raises
    ------
    ValueError
        If a hospital or fold is unknown, options do not belong together, or no FOV is left.

    Examples
    --------
    >>> import pandas as pd
    >>> fovs = pd.DataFrame({"slide": ["a", "b", "c"], "hospital": ["A2", "BH", "A2"]})
    >>> chosen_places(fovs, "train", hospitals="A2")
    [0, 2]
    """
    if fold is None and (folds is not None or splits is not None):
        raise ValueError("--folds and --splits belong to --fold, which says which fold")
    if folds is not None and splits is not None:
        raise ValueError("--splits brings its own folds; --folds is the number of ours")
    is_chosen = np.ones(len(fovs), dtype=bool)
    if fold is not None:
        is_chosen[:] = False
        rows = fold_rows(_fold(fovs, fold, folds, splits), fovs)
        is_chosen[rows[0] if side == "train" else rows[1]] = True
    if hospitals is not None:
        is_chosen &= fovs["hospital"].isin(_known_hospitals(fovs, hospitals)).to_numpy()
    if not is_chosen.any():
        raise ValueError(f"no FOV to {side} on is left: the hospitals of fold {fold} are not {hospitals}")
    return np.flatnonzero(is_chosen).tolist()


def _fold(fovs: Any, number: int, n_folds: int | None, splits: Path | None) -> Fold:
    """One of our folds, or of the published ones."""
    known = read_folds(splits) if splits else make_folds(fovs, n_folds=n_folds or N_FOLDS)
    for fold in known:
        if fold.number == number:
            return fold
    raise ValueError(f"there is no fold {number}; there are {', '.join(str(fold.number) for fold in known)}")


def _known_hospitals(fovs: Any, hospitals: str) -> list[str]:
    """The hospitals of a comma list."""
    asked = [name.strip() for name in hospitals.split(",")]
    known = sorted(set(fovs["hospital"]) - {""})
    if unknown := [name for name in asked if name not in known]:
        raise ValueError(f"no FOV is of hospital {quoted(unknown)}; there are {', '.join(known) or 'none named'}")
    return asked
