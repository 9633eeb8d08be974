"""Which class a detector gives to the nuclei it found: scores of matched nuclei at one level of classes.

Columns belong to classes by their place in the list of names, whichever classes occur, and areas are computed from the
probabilities as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.curves import ThresholdCounts, multiclass_auroc, multiclass_auroc_from
from crowdtruth.metrics import accuracy, matthews_correlation, one_vs_rest
from crowdtruth.taxonomy import AMBIGUOUS, Taxonomy
from nucls_model.evaluate.inputs import AMBIGUOUS_CODE, Codes, Floats
from nucls_model.evaluate.intervals import METRIC_COLUMNS, N_LEVELS, Resampling, score_levels, score_rows

NAMING = ("accuracy", "mcc")


@dataclass(frozen=True)
class Named:
    """The matched nuclei at one level of classes: n nuclei, C classes."""

    level: str
    class_names: tuple[str, ...]
    fov: Codes  # (n,)
    true: Codes  # (n,)
    assigned: Codes  # (n,)
    probabilities: Floats  # (n, C), rows sum to one

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How often each true class was given each name: (C, C), rows true."""
        n_classes = len(self.class_names)
        return np.bincount(self.true * n_classes + self.assigned, minlength=n_classes**2).reshape(n_classes, n_classes)


def coarser_levels(class_names: Sequence[str], level: str, taxonomy: Taxonomy) -> dict[str, dict[str, str]]:
    """The levels above one, and the class there of each class.

    Parameters
    ----------
    class_names : (C,) classes of the level
    level : ``"raw"``, or a level of the taxonomy
    taxonomy : its levels stand from the finest to the coarsest

    Raises
    ------
    ValueError
        If the taxonomy has no such level, or a class belongs to several classes of a coarser one.

    Examples
    --------
    >>> from crowdtruth.taxonomy import load_taxonomy
    >>> coarser_levels(["lymphocyte", "plasma_cell"], "main", load_taxonomy("nucls"))
    {'super': {'lymphocyte': 'sTIL', 'plasma_cell': 'sTIL'}}
    """
    own = taxonomy.grouping(level).class_of
    names = list(taxonomy.levels)
    above = names if level not in names else names[names.index(level) + 1 :]
    found: dict[str, dict[str, str]] = {}
    for name in above:
        coarser = taxonomy.grouping(name).class_of
        members = {one: {coarser[raw] for raw in own if own[raw] == one} for one in class_names}
        if wrong := {one: sorted(several) for one, several in members.items() if len(several) != 1}:
            raise ValueError(f"every class of {level!r} lies in one class of {name!r}; these do not: {wrong}")
        found[name] = {one: only for one, (only,) in members.items()}
    return found


def group_named(named: Named, level: str, group_of: Mapping[str, str]) -> Named:
    """The matched nuclei at a coarser level: probabilities added up, the largest sum is the label.

    Nuclei whose class is AMBIGUOUS there are left out; so is its probability, and the rest sums to one again (all
    classes alike where nothing is left).

    Examples
    --------
    >>> one = Named("main", ("a", "b", "c"), *np.zeros((3, 1), int), np.array([[0.4, 0.3, 0.3]]))
    >>> group_named(one, "super", {"a": "x", "b": "y", "c": "y"}).assigned
    array([1])
    """
    names = tuple(dict.fromkeys(group_of[one] for one in named.class_names if group_of[one] != AMBIGUOUS))
    code = np.array([names.index(g) if g in names else AMBIGUOUS_CODE for g in map(group_of.get, named.class_names)])
    sums = named.probabilities @ (code[:, None] == np.arange(len(names)))
    total = sums.sum(axis=1, keepdims=True)
    chances = np.where(total > 0, sums / np.where(total > 0, total, 1), 1 / len(names))
    is_clear = code[named.true] != AMBIGUOUS_CODE
    return Named(
        level,
        names,
        named.fov[is_clear],
        code[named.true][is_clear],
        chances.argmax(axis=1)[is_clear],
        chances[is_clear],
    )


def naming_scores(named: Named, resampling: Resampling) -> pd.DataFrame:
    """Accuracy, MCC and AUROC of all classes and of each against the rest, and the confusion: rows of the table."""
    n_classes = len(named.class_names)
    counts = resampling.counts(named.fov, (named.true, named.assigned), (n_classes, n_classes))
    values = _naming(named.confusion)
    support = [len(named.true), *np.bincount(named.true, minlength=n_classes)]
    rows = score_rows(
        NAMING, named.level, ["", *named.class_names], values,
        resampling.bounds(values, (counts,), _naming), n=support, resampled=resampling.unit,
    )  # fmt: skip
    return pd.concat([rows, _areas(named, resampling, support), _confusion_rows(named)], ignore_index=True)


def _naming(confusion: NDArray[np.generic]) -> Floats:
    """Accuracy and MCC, of all classes and of each: (..., C, C) -> (..., 1 + C, 2)."""
    each = one_vs_rest(confusion)
    both = [
        np.concatenate([score(confusion)[..., None], score(each)], axis=-1)
        for score in (accuracy, matthews_correlation)
    ]
    return np.stack(both, axis=-1)


def _areas(named: Named, resampling: Resampling, support: Sequence[int]) -> pd.DataFrame:
    """Rows of AUROC: micro, macro, and each class."""
    n_classes = len(named.class_names)
    exact = multiclass_auroc(named.true, named.probabilities)
    values = np.concatenate([[exact.micro, exact.macro], exact.by_class])
    low, high = (
        np.clip(bound, 0, 1) for bound in resampling.bounds(values, (_level_counts(named, resampling),), _areas_of)
    )
    metrics = np.array(["auroc_micro", "auroc_macro", *["auroc"] * n_classes], object)
    rows = score_rows(
        ["auroc"], named.level, ["", "", *named.class_names], values[:, None], (low[:, None], high[:, None]),
        n=[support[0], *support], resampled=resampling.unit,
    )  # fmt: skip
    return rows.assign(metric=metrics)


def _level_counts(named: Named, resampling: Resampling) -> Floats:
    """Nuclei by class (last: all pooled), level of score, and whether they are of the class: (G, C + 1, levels, 2)."""
    n_classes = len(named.class_names)
    is_rest = named.true[:, None] != np.arange(n_classes)
    shape = (N_LEVELS, 2)
    alone = [
        resampling.counts(named.fov, (score_levels(named.probabilities[:, k]), is_rest[:, k]), shape)
        for k in range(n_classes)
    ]
    pooled = score_levels(named.probabilities.ravel()), is_rest.ravel()
    return np.stack([*alone, resampling.counts(np.repeat(named.fov, n_classes), pooled, shape)], axis=1)


def _areas_of(sums: Floats) -> Floats:
    """AUROC from sums (..., C + 1, levels, 2): micro, macro, each class (..., 2 + C)."""
    reached = sums.cumsum(axis=-2)
    curves = [ThresholdCounts(one[..., 0], one[..., 1], one[..., -1, 0]) for one in np.moveaxis(reached, -3, 0)]
    areas = multiclass_auroc_from(curves)
    return np.concatenate([areas.micro[..., None], areas.macro[..., None], areas.by_class], axis=-1)


def _confusion_rows(named: Named) -> pd.DataFrame:
    """Counts of true and assigned classes; `n` are the nuclei of the true class."""
    names = np.asarray(named.class_names, object)
    counts = named.confusion
    table = pd.DataFrame({"value": counts.ravel().astype(float), "n": np.repeat(counts.sum(axis=1), len(names))})
    table = table.assign(metric="confusion", level=named.level, low=np.nan, high=np.nan, resampled="")
    table["class"], table["assigned"] = np.repeat(names, len(names)), np.tile(names, len(names))
    return table[[*METRIC_COLUMNS]]
