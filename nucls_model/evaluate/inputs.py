"""The two tables that are compared, checked and as arrays: the nuclei that are there, and those that were found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.boxes import as_boxes
from crowdtruth.problems import quoted
from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED

CORNERS = ["xmin", "ymin", "xmax", "ymax"]
OUTLINE = ["coords_x", "coords_y"]
AMBIGUOUS_CODE = -1
"""Label of nuclei whose class nobody can tell, beside the codes of the real classes from 0."""

Codes = NDArray[np.intp]
Floats = NDArray[np.float64]

_SUM_TOLERANCE = 1e-3  # of a row of probabilities, which may come from half precision or a rounded file


@dataclass(frozen=True)
class Nuclei:
    """The nuclei that are there, by FOV; rows keep the order of the table within an FOV."""

    fov: Codes  # (n,) place among the names of the FOVs, sorted
    boxes: Floats  # (n, 4)
    label: Codes  # (n,) code of the class, or AMBIGUOUS_CODE
    outlines: pd.DataFrame  # (n, 2) coords_x, coords_y; empty where there is none


@dataclass(frozen=True)
class Found:
    """The nuclei that a detector found, by FOV; n found, C real classes."""

    fov: Codes  # (n,) place among the names of the FOVs, sorted
    boxes: Floats  # (n, 4)
    label: Codes  # (n,)
    objectness: Floats  # (n,)
    ambiguous: Floats  # (n,) P(AMBIGUOUS), part of the objectness
    probabilities: Floats  # (n, C) over the real classes, rows sum to one
    outlines: pd.DataFrame  # (n, 2) coords_x, coords_y; empty where there is none

    @property
    def class_score(self) -> Floats:
        """The detector's probability of the label, beside background and AMBIGUOUS: (n,)."""
        return (self.objectness - self.ambiguous) * self.probabilities[np.arange(len(self.label)), self.label]


def read_nuclei(truth: pd.DataFrame, fovs: Sequence[str], class_names: Sequence[str]) -> Nuclei:
    """The true nuclei as arrays.

    Parameters
    ----------
    truth : fov, xmin, ymin, xmax, ymax, label; optionally coords_x, coords_y, and has_outline
        Rows labelled `undetected`, or not at all, are no nuclei and are left out.
    fovs : (n_fovs,) names, sorted
    class_names : (C,) the real classes

    Raises
    ------
    ValueError
        If a column is missing, a box is empty, or an FOV or a label is unknown.

    Examples
    --------
    >>> row = {"fov": "f", "xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9, "label": "AMBIGUOUS"}
    >>> read_nuclei(pd.DataFrame([row]), ["f"], ["sTIL"]).label
    array([-1])
    """
    _need(truth, ["fov", *CORNERS, "label"], "the truth")
    label = truth["label"].fillna("").astype(str)
    rows = truth[~label.isin(["", UNDETECTED])]
    fov = _codes(rows["fov"], fovs, "the truth", "FOV")
    code = _codes(rows["label"], [*class_names, AMBIGUOUS], "the truth", "label")
    code = np.where(code == len(class_names), AMBIGUOUS_CODE, code)
    order = np.argsort(fov, kind="stable")
    outlines = _outlines(rows)
    if "has_outline" in rows:
        outlines[~rows["has_outline"].astype(bool)] = ""
    return Nuclei(fov[order], as_boxes(rows[CORNERS])[order], code[order], outlines.iloc[order])


def read_found(predictions: pd.DataFrame, fovs: Sequence[str], class_names: Sequence[str]) -> Found:
    """The nuclei found as arrays.

    Parameters
    ----------
    predictions : fov, xmin, ymin, xmax, ymax, objectness, label, p_ambiguous, prob_<class> … of every real class
        Optionally coords_x and coords_y.
    fovs : (n_fovs,) names, sorted
    class_names : (C,) the real classes

    Raises
    ------
    ValueError
        If a column is missing, a box is empty, an FOV or a label is unknown, or a probability is none.

    Examples
    --------
    >>> row = {"fov": "f", "xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9, "objectness": 0.9, "p_ambiguous": 0.1}
    >>> read_found(pd.DataFrame([{**row, "label": "sTIL", "prob_sTIL": 1.0}]), ["f"], ["sTIL"]).class_score
    array([0.8])
    """
    names = [f"prob_{name}" for name in class_names]
    what = "the predictions"
    _need(predictions, ["fov", *CORNERS, "objectness", "label", "p_ambiguous", *names], what)
    if extra := [name for name in map(str, predictions) if name.startswith("prob_") and name not in names]:
        raise ValueError(f"{what} have {quoted(extra)}: the classes compared are {quoted(class_names)}")
    fov = _codes(predictions["fov"], fovs, what, "FOV")
    label = _codes(predictions["label"], class_names, what, "label")
    order = np.argsort(fov, kind="stable")
    chances = predictions[["objectness", "p_ambiguous", *names]].to_numpy(float)
    _check_chances(chances, ["objectness", "p_ambiguous", *names])
    chances = chances[order]
    return Found(
        fov[order],
        as_boxes(predictions[CORNERS])[order],
        label[order],
        chances[:, 0],
        chances[:, 1],
        chances[:, 2:],
        _outlines(predictions).iloc[order],
    )


def _check_chances(chances: Floats, names: Sequence[str]) -> None:
    """Raise unless every number is a probability, and those of the classes sum to one: (n, 2 + C)."""
    wrong = ~((chances >= 0) & (chances <= 1 + _SUM_TOLERANCE))
    if wrong.any():
        row, column = (int(place[0]) for place in np.nonzero(wrong))
        raise ValueError(f"{names[column]} of prediction {row} is {chances[row, column]}, not a probability")
    total = chances[:, 2:].sum(axis=1)
    off = np.abs(total - 1) > _SUM_TOLERANCE
    if off.any():
        row = int(off.argmax())
        raise ValueError(
            f"the class probabilities of a prediction sum to one; those of prediction {row} to {total[row]:.4g} "
            f"({off.sum()} of {len(off)} predictions)"
        )
    over = chances[:, 1] > chances[:, 0] + _SUM_TOLERANCE
    if over.any():
        row = int(over.argmax())
        raise ValueError(
            f"p_ambiguous is part of the objectness; prediction {row} has {chances[row, 1]} of {chances[row, 0]}"
        )


def _need(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"{what} need columns {quoted(missing)}; there are {quoted(table.columns, limit=20)}")


def _codes(values: pd.Series, names: Sequence[str], what: str, kind: str) -> Codes:
    """Place of each value among the names: (n,)."""
    text = values.astype(str)
    code = np.asarray(text.map({name: place for place, name in enumerate(names)}).fillna(-1), np.intp)
    if (code < 0).any():
        unknown = sorted(set(text[code < 0]))
        raise ValueError(f"{what} have the {kind} {quoted(unknown)}; known are {quoted(names, limit=20)}")
    return code


def _outlines(table: pd.DataFrame) -> pd.DataFrame:
    """Coordinates as text, empty where there are none: (n, 2)."""
    absent = pd.Series("", index=table.index, dtype=object)
    text = {name: table[name].astype(object) if name in table else absent for name in OUTLINE}
    return pd.DataFrame(text).fillna("").astype(str)
