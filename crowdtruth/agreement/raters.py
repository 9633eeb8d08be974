"""Agreement between raters: Cohen's kappa of every two of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.agreement.counted import Scope, all_classes
from crowdtruth.agreement.formulas import Weights
from crowdtruth.agreement.label_matrix import LabelMatrix, cohort_of_raters
from crowdtruth.agreement.tables import SCOPES, check_ratings, joined_rows
from crowdtruth.resampling import Unit
from crowdtruth.taxonomy import Grouping

COLUMNS = (
    "condition", "grouping", "scope", "first", "second", "first_cohort", "second_cohort", "n_anchors", "kappa", "low",
    "high", "percent_agreement", "percent_agreement_low", "percent_agreement_high", "resampled", "undefined",
)  # fmt: skip


def pairwise_table(
    ratings: pd.DataFrame,
    fovs: pd.DataFrame | None = None,
    *,
    classes: Sequence[str] | None = None,
    groupings: Sequence[Grouping | None] = (None,),
    weights: Weights = None,
    scopes: Sequence[Scope] = SCOPES,
    min_overlap: int = 1,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Cohen's kappa of every two raters under every condition.

    Parameters
    ----------
    ratings : anchor, fov, rater, cohort, condition, label
        Of several ratings of an anchor by one rater the label given most often counts, the first class on ties.
    fovs : fov, slide; needed where slides are resampled
    classes : without ``undetected``, in order; default: those that occur, sorted
    groupings : levels of a taxonomy, None for the labels as they come; one set of rows for each
        An ambiguous class is a class like any other.
    weights : as for `cohen_kappa`; a matrix is of the classes in scope, ``undetected`` last
    scopes : one or both
    min_overlap : pairs that share fewer anchors have no kappa
    resample : ``"fov"`` or ``"slide"``; where a table has no FOVs (crowd tables), tasks are resampled
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per condition × grouping × scope × pair, the rater whose name sorts first as `first`
        condition, grouping, scope, first, second, first_cohort, second_cohort, n_anchors (which both rated), kappa,
        low, high, percent_agreement, percent_agreement_low, percent_agreement_high, resampled, undefined (``no
        pairs``, ``one class`` or ``few shared``). Intervals rest on the FOVs in which the two share an anchor.

    Examples
    --------
    >>> rows = [("a", "r1", "x"), ("a", "r2", "x"), ("b", "r1", "y"), ("b", "r2", "y")]
    >>> table = pd.DataFrame(rows, columns=["anchor", "rater", "label"]).assign(fov="f", cohort="P", condition="all")
    >>> pairwise_table(table, scopes=["classification"])[["first", "second", "n_anchors", "kappa"]]
      first second  n_anchors  kappa
    0    r1     r2          2    1.0
    """
    check_ratings(ratings, scopes)
    names = all_classes(ratings["label"], classes)
    found = []
    for condition, rows in ratings.groupby("condition", sort=True, observed=True):
        matrix = LabelMatrix.of(rows, names, fovs, resample)
        pairs = np.stack(np.triu_indices(len(matrix.raters), 1), axis=1)
        who = _pair_names(matrix, cohort_of_raters(rows), pairs).assign(condition=str(condition))
        for values in matrix.kappas(
            pairs, groupings=groupings, scopes=scopes, weights=weights, min_overlap=min_overlap, options=options
        ):
            found.append(pd.concat([who, values], axis=1))
    return joined_rows(found, COLUMNS)


def _pair_names(matrix: LabelMatrix, cohorts: pd.Series, pairs: np.ndarray) -> pd.DataFrame:
    """first, second and their cohorts, of pairs (n_pairs, 2) of columns."""
    cohort, names = cohorts.loc[list(matrix.raters)].to_numpy(), {}
    for place, side in enumerate(("first", "second")):
        names[side], names[f"{side}_cohort"] = matrix.raters[pairs[:, place]], cohort[pairs[:, place]]
    return pd.DataFrame(names).astype("str")


def kappa_matrix(pairs: pd.DataFrame) -> pd.DataFrame:
    """Kappas of one condition, grouping and scope as a square: raters × raters, 1 on the diagonal, NaN where none is.

    Parameters
    ----------
    pairs : rows of `pairwise_table`

    Raises
    ------
    ValueError
        If a pair stands there twice, as it does in several conditions, groupings or scopes.

    Examples
    --------
    >>> kappa_matrix(pd.DataFrame({"first": ["r1"], "second": ["r2"], "kappa": [0.5]}))
         r1   r2
    r1  1.0  0.5
    r2  0.5  1.0
    """
    if pairs.duplicated(["first", "second"]).any():
        raise ValueError("a square of kappas is of one condition, grouping and scope; some pair stands in several rows")
    raters = sorted({*pairs["first"], *pairs["second"]})
    place = {name: i for i, name in enumerate(raters)}
    values = np.full((len(raters), len(raters)), np.nan)
    np.fill_diagonal(values, 1)
    first, second = pairs["first"].map(place).to_numpy(int), pairs["second"].map(place).to_numpy(int)
    values[first, second] = values[second, first] = pairs["kappa"]
    return pd.DataFrame(values, index=raters, columns=raters)
