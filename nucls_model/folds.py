"""Internal–external cross-validation: every fold is tested on hospitals that it was not trained on (Figure 6c).

The hospitals with most slides are big, one for each fold; the others are small. Both are put in an order of their own
and dealt to the folds, so every fold tests on one big hospital and some small ones. The order is that of a checksum of
seed and name: it depends neither on the order of rows nor on any library's random numbers.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.files import read_table, write_table
from crowdtruth.problems import StudyError, quoted

N_FOLDS = 5
BIG, SMALL = "big", "small"

_SLIDE = "slide_name"  # of the published files


@dataclass(frozen=True)
class Fold:
    """Slides of one fold: what a model learns from, and what it is judged on."""

    number: int  # from 1; the paper tunes on 1 and tests on the others
    train: tuple[str, ...]
    test: tuple[str, ...]


def assign_folds(slides: pd.DataFrame, *, n_folds: int = N_FOLDS, seed: int = 0) -> pd.DataFrame:
    """The fold that each slide is tested in.

    Parameters
    ----------
    slides : slide, hospital; rows may repeat, as in a table of FOVs
    n_folds : also the number of big hospitals: those with most slides, the first by name where numbers are equal
    seed : of the order in which hospitals are dealt

    Returns
    -------
    one row per slide, sorted
        slide, hospital, type (``big`` or ``small``, of the hospital), fold (from 1).

    Raises
    ------
    ValueError
        If a slide has no name or hospital, or two hospitals; or there are fewer hospitals than folds.

    Examples
    --------
    >>> slides = pd.DataFrame({"slide": ["a", "b", "c", "d"], "hospital": ["X", "X", "Y", "Z"]})
    >>> assign_folds(slides, n_folds=2)[["hospital", "type"]].values.tolist()
    [['X', 'big'], ['X', 'big'], ['Y', 'big'], ['Z', 'small']]
    """
    table = _slide_table(slides)
    n_slides = table["hospital"].value_counts()
    by_size = sorted(n_slides.index, key=lambda hospital: (-n_slides[hospital], hospital))
    if not 2 <= n_folds <= len(by_size):
        raise ValueError(
            f"expected 2 folds or more, each with a hospital of its own; got {n_folds} folds and "
            f"{len(by_size)} hospitals ({quoted(by_size)})"
        )
    fold_of: dict[str, int] = {}
    for hospitals in (by_size[:n_folds], by_size[n_folds:]):
        dealt = np.array_split(_in_order(hospitals, seed), n_folds)
        fold_of |= {str(hospital): number for number, own in enumerate(dealt, start=1) for hospital in own}
    kinds = {hospital: BIG if place < n_folds else SMALL for place, hospital in enumerate(by_size)}
    return table.assign(type=table["hospital"].map(kinds), fold=table["hospital"].map(fold_of))


def _slide_table(slides: pd.DataFrame) -> pd.DataFrame:
    """Slide and hospital, each slide once, sorted."""
    table = slides[["slide", "hospital"]].fillna("").astype("str").drop_duplicates().sort_values("slide")
    nameless = (table == "").any(axis=1)
    if nameless.any():
        raise ValueError(
            f"folds by hospital need the slide and hospital of every FOV; {nameless.sum()} combinations lack one, "
            f"the first is slide {table.loc[nameless, 'slide'].iloc[0]!r}, "
            f"hospital {table.loc[nameless, 'hospital'].iloc[0]!r}"
        )
    twice = table["slide"].duplicated()
    if twice.any():
        raise ValueError(f"a slide comes from one hospital; {quoted(table.loc[twice, 'slide'])} come from two")
    return table.reset_index(drop=True)


def _in_order(names: list[str], seed: int) -> list[str]:
    """Names in an order that follows from the seed and the names alone."""
    return sorted(names, key=lambda name: sha256(f"{seed} {name}".encode()).hexdigest())


def make_folds(slides: pd.DataFrame, *, n_folds: int = N_FOLDS, seed: int = 0) -> tuple[Fold, ...]:
    """The folds of `assign_folds`, each with its slides: it trains on all that it is not tested on.

    Examples
    --------
    >>> slides = pd.DataFrame({"slide": ["a", "b"], "hospital": ["X", "Y"]})
    >>> [(len(fold.train), len(fold.test)) for fold in make_folds(slides, n_folds=2)]
    [(1, 1), (1, 1)]
    """
    table = assign_folds(slides, n_folds=n_folds, seed=seed)
    return tuple(_fold(table, number) for number in range(1, n_folds + 1))


def _fold(table: pd.DataFrame, number: int) -> Fold:
    """One fold of an assignment."""
    is_test = table["fold"] == number
    return Fold(number, tuple(table.loc[~is_test, "slide"]), tuple(table.loc[is_test, "slide"]))


def fold_rows(fold: Fold, fovs: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of a table of FOVs that a fold trains on, and rows that it is tested on.

    Parameters
    ----------
    fold : slides
    fovs : with a column slide

    Raises
    ------
    ValueError
        If an FOV's slide is not in the fold, or nothing is left to train or to test on.

    Examples
    --------
    >>> fold_rows(Fold(1, ("a",), ("b",)), pd.DataFrame({"slide": ["b", "a", "a"]}))
    (array([1, 2]), array([0]))
    """
    is_train, is_test = (fovs["slide"].isin(slides).to_numpy() for slides in (fold.train, fold.test))
    unknown = fovs.loc[~(is_train | is_test), "slide"].unique()
    if len(unknown):
        raise ValueError(f"fold {fold.number} does not say where {quoted(unknown)} belong")
    if not is_train.any() or not is_test.any():
        raise ValueError(
            f"expected FOVs to train on and to test on; fold {fold.number} has {is_train.sum()} and {is_test.sum()}"
        )
    return np.flatnonzero(is_train), np.flatnonzero(is_test)


def read_folds(folder: str | Path) -> tuple[Fold, ...]:
    """The folds in published split files: ``fold_1_train.csv``, ``fold_1_test.csv``, ``fold_2_train.csv`` and so on.

    Parameters
    ----------
    folder : their folder; the files need the column slide_name, a column hospital is checked, others are not read

    Raises
    ------
    StudyError
        If there are no such files, one of a pair is missing, or a slide, or a hospital, is on both sides of a fold.
    """
    folder = Path(folder)
    numbers = sorted(
        {int(part) for path in folder.glob("fold_*_t*.csv") if (part := path.name.split("_")[1]).isdecimal()}
    )
    if not numbers:
        raise StudyError(f"{folder}: no split files (fold_1_train.csv, fold_1_test.csv, …)")
    return tuple(_read_fold(folder, number) for number in numbers)


def _read_fold(folder: Path, number: int) -> Fold:
    """One pair of split files."""
    train, test = (read_table(folder / f"fold_{number}_{part}.csv", required=[_SLIDE]) for part in ("train", "test"))
    for column in (_SLIDE, "hospital"):
        shared = set(train.get(column, ())) & set(test.get(column, ()))
        if shared:
            raise StudyError(
                f"{folder.name}: fold {number} trains and tests on the same {column}: {quoted(sorted(shared))}"
            )
    return Fold(number, tuple(sorted(set(train[_SLIDE]))), tuple(sorted(set(test[_SLIDE]))))


def write_folds(assignment: pd.DataFrame, folder: str | Path) -> None:
    """Write the table of `assign_folds` as split files in the published form.

    Parameters
    ----------
    assignment : slide, hospital, type, fold
    folder : must exist
    """
    table = assignment.rename(columns={"slide": _SLIDE}).reset_index(names="index")
    for number in sorted(table["fold"].unique()):
        is_test = table["fold"] == number
        for part, rows in (("train", table[~is_test]), ("test", table[is_test])):
            write_table(rows.assign(fold=number), Path(folder) / f"fold_{number}_{part}.csv")
