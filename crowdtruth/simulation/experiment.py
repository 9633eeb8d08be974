"""Everything a realization of the redundancy experiment needs, checked once and turned into arrays."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth import __version__
from crowdtruth.arguments import check_several, check_table
from crowdtruth.ratings import EncodedRatings, encode_ratings
from crowdtruth.taxonomy import RAW, UNDETECTED, Grouping, group_labels
from crowdtruth.truth import DawidSkene, MajorityVote, OneCoin
from crowdtruth.truth.arguments import check_fit_arguments
from crowdtruth.truth.expectation import SparseRatings, sparse_ratings
from crowdtruth.truth.inference import class_order

NOT_JUDGED, NO_OBJECT = -2, -1
"""What an anchor without a true class is: unknown to the reference, or nothing at all."""

Model = DawidSkene | MajorityVote | OneCoin
Codes = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Experiment:
    """Ratings of one cohort under one condition, who was asked where, and the reference to judge against.

    Made by `make_experiment`. Ratings are in item order; items are anchors, or tasks of a crowd table.
    """

    cohort: str
    condition: str
    reference: str
    grouping: str
    starts: NDArray[np.int64]  # (n_items + 1,)
    codes: NDArray[np.unsignedinteger[Any]]  # (n_ratings,), rater * n_classes + label, ascending within an item
    pair: NDArray[np.int32]  # (n_ratings,), which of the pairs below each rating is of
    pair_fov: NDArray[np.int32]  # (n_pairs,), ascending: who was asked where
    pair_rater: NDArray[np.int32]  # (n_pairs,)
    item_fov: NDArray[np.int32]  # (n_items,)
    n_fovs: int
    n_raters: int
    group_of: NDArray[np.int64]  # (n_classes,), place among `classes` of each class that raters gave
    classes: tuple[str, ...]  # what can be inferred, then what only the reference knows
    truth: NDArray[np.int64]  # (n_items,), place among `classes`, or NO_OBJECT or NOT_JUDGED
    unfound: NDArray[np.int64]  # (n_fovs, len(classes)), objects of the reference without an anchor
    min_detections: int  # 0 for crowd tables: every item gets a label
    has_detection: bool
    model: Model
    seed: int

    @property
    def n_asked(self) -> Codes:
        """Raters asked in each FOV, (n_fovs,)."""
        return np.bincount(self.pair_fov, minlength=self.n_fovs)

    @property
    def n_classes(self) -> int:
        """Classes of the ratings, before grouping."""
        return len(self.group_of)

    @property
    def undetected(self) -> int:
        """Place of ``undetected`` among the classes, -1 for crowd tables."""
        return self.classes.index(UNDETECTED) if self.has_detection else -1

    @property
    def true_classes(self) -> Codes:
        """Places of the classes that the objects of the reference are of."""
        occurs = self.unfound.sum(axis=0) > 0
        occurs[self.truth[self.truth >= 0]] = True
        return np.flatnonzero(occurs)

    @property
    def key(self) -> str:
        """Checksum of all that decides what a realization gives, 64 hexadecimal digits."""
        digest = hashlib.sha256(__version__.encode())
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                digest.update(f"\0{field.name}: {value.dtype} {value.shape}\0".encode())
                digest.update(value.tobytes())
            elif field.name != "model":
                digest.update(f"\0{field.name}: {value!r}\0".encode())
        digest.update(f"{type(self.model).__name__} {self.model.get_params()}".encode())
        return digest.hexdigest()


def make_experiment(
    ratings: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    unfound: pd.DataFrame | None = None,
    assignments: pd.DataFrame | None = None,
    estimator: Model | None = None,
    min_detections: int = 1,
    grouping: Grouping | None = None,
    classes: Sequence[str] | None = None,
    cohort: str = "all",
    condition: str = "all",
    reference_name: str = "reference",
    seed: int = 0,
) -> Experiment:
    """The redundancy experiment on the ratings of one cohort under one condition.

    Parameters
    ----------
    ratings : anchor, fov, rater, label; one row per rating, all of the cohort and condition
        `label` is a class or ``undetected``. Where every `fov` is empty it is a crowd table: raters are drawn for each
        task on its own, and there is nothing to detect.
    reference : anchor, true; the truth, which stays what it is however few raters are left
        `true` is a class of the level of `grouping`, empty for an anchor that is no object. An anchor without a row is
        not judged; rows of anchors without a rating are ignored.
    unfound : fov, true; one row per object of the reference that has no anchor, and so is always missed
    assignments : fov, rater; who was asked where. Default: whoever has a rating in an FOV
    estimator : the model of the run, `DawidSkene()` by default; it is copied, not changed
    min_detections : an anchor that fewer of the raters left detected gets no label
    grouping : classes to group to after inference, by adding probabilities
    classes : all classes of the ratings in order; default: those that occur, sorted
    cohort, condition, reference_name : what the results call them
    seed : a whole number; another one draws other raters

    Raises
    ------
    ValueError
        If a column is missing, there are no ratings, an anchor lies in two FOVs or stands twice in the reference, a
        label is outside the classes or the grouping, a rater has a rating where not asked, or a number is out of range.
    TypeError
        If a table is no table, or the estimator none of the three of `crowdtruth.truth`.

    Examples
    --------
    >>> ratings = pd.DataFrame({"anchor": ["a", "a", "b", "b"], "fov": "f", "rater": ["r", "s", "r", "s"],
    ...                         "label": ["x", "x", "x", "undetected"]})
    >>> truth = pd.DataFrame({"anchor": ["a", "b"], "true": ["x", ""]})
    >>> experiment = make_experiment(ratings, truth)
    >>> experiment.classes, experiment.n_asked
    (('x', 'undetected'), array([2]))
    """
    _check_tables(ratings, reference, unfound, assignments)
    _check_number("min_detections", min_detections, 1)
    _check_number("seed", seed, 0)
    check_several("classes", classes)
    is_crowd = bool((ratings["fov"] == "").all())
    rated = ratings[ratings["label"].notna() & (ratings["label"] != "")]
    if rated.empty:
        raise ValueError("the redundancy experiment needs ratings; there are none")
    asked = _asked(rated, assignments, is_crowd=is_crowd)
    every_class = class_order(rated["label"], classes, is_crowd=is_crowd)
    encoded = _encode(rated, asked, every_class)
    sparse = sparse_ratings(encoded.ratings)
    groups, group_of = _groups(every_class, grouping)
    fovs, item_fov = _fovs(rated, asked, encoded, is_crowd=is_crowd)
    names, truth = _truth(reference, unfound, encoded.items, groups)
    pair_fov, pair_rater, pair = _pairs(asked, fovs, item_fov, encoded, sparse)
    return Experiment(
        cohort=cohort,
        condition=condition,
        reference=reference_name,
        grouping=RAW if grouping is None else grouping.level,
        starts=sparse.starts,
        codes=sparse.codes,
        pair=pair,
        pair_fov=pair_fov,
        pair_rater=pair_rater,
        item_fov=item_fov,
        n_fovs=len(fovs),
        n_raters=sparse.n_raters,
        group_of=group_of,
        classes=names,
        truth=truth,
        unfound=_unfound(unfound, fovs, names),
        min_detections=0 if is_crowd else min_detections,
        has_detection=not is_crowd,
        model=_checked_model(estimator),
        seed=seed,
    )


def _check_tables(ratings: Any, reference: Any, unfound: Any, assignments: Any) -> None:
    """Raise unless these are tables with the columns needed, and the reference says one thing of each anchor."""
    check_table("ratings", ratings, ["anchor", "fov", "rater", "label"])
    check_table("reference", reference, ["anchor", "true"])
    if unfound is not None:
        check_table("unfound", unfound, ["fov", "true"])
    if assignments is not None:
        check_table("assignments", assignments, ["fov", "rater"])
    twice = reference["anchor"][reference["anchor"].duplicated()]
    if len(twice):
        raise ValueError(f"the reference has one row per anchor; {twice.iloc[0]!r} has several")


def _check_number(name: str, number: Any, least: int) -> None:
    """Raise unless this is a whole number from `least` on."""
    if not isinstance(number, Integral) or isinstance(number, bool) or number < least:
        raise ValueError(f"{name} must be a whole number from {least} on, got {number!r}")


def _checked_model(estimator: Model | None) -> Model:
    """A copy of the estimator, on one thread: realizations are what runs side by side."""
    model = DawidSkene() if estimator is None else copy.deepcopy(estimator)
    if isinstance(model, MajorityVote):
        return model
    if not isinstance(model, DawidSkene | OneCoin):
        raise TypeError(f"estimator must be a DawidSkene, OneCoin or MajorityVote, got {type(model).__name__}")
    if not isinstance(model.start, Real | str):
        raise ValueError(
            "realizations start from a quality or 'votes': a given confusion does not fit where fewer raters or "
            "classes are left"
        )
    check_fit_arguments(model.n_iter, model.tolerance, model.pseudo_counts)
    return model.set_params(jobs=1, classes=None)


def _asked(rated: pd.DataFrame, assignments: pd.DataFrame | None, *, is_crowd: bool) -> pd.DataFrame:
    """Who was asked where: fov, rater, one row each. A task of a crowd table is an FOV of its own."""
    if is_crowd:
        asked = rated[["anchor", "rater"]].set_axis(["fov", "rater"], axis=1)
    else:
        asked = (rated if assignments is None else assignments)[["fov", "rater"]]
    return asked.drop_duplicates()


def _encode(rated: pd.DataFrame, asked: pd.DataFrame, classes: Sequence[str]) -> EncodedRatings:
    """Codes of the ratings, among all raters asked."""
    raters = pd.Index(pd.concat([rated["rater"], asked["rater"]])).unique().sort_values()
    rater = pd.Categorical(rated["rater"], categories=raters)
    return encode_ratings(rated[["anchor", "label"]].assign(rater=rater), classes=classes)


def _groups(classes: Sequence[str], grouping: Grouping | None) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The labels that can be inferred, ``undetected`` last, and the place among them of each class of the ratings."""
    if grouping is None:
        return tuple(classes), np.arange(len(classes))
    groups = grouping.classes + ((UNDETECTED,) if UNDETECTED in classes else ())
    return groups, pd.Index(groups).get_indexer(pd.Index(group_labels(list(classes), grouping))).astype(np.int64)


def _fovs(
    rated: pd.DataFrame, asked: pd.DataFrame, encoded: EncodedRatings, *, is_crowd: bool
) -> tuple[pd.Index, NDArray[np.int32]]:
    """Names of the FOVs, sorted, and the FOV of each item, (n_items,)."""
    if is_crowd:
        return pd.Index(encoded.items), np.arange(len(encoded.items), dtype=np.int32)
    places = rated[["anchor", "fov"]].drop_duplicates()
    if places["anchor"].duplicated().any():
        anchor = places["anchor"][places["anchor"].duplicated()].iloc[0]
        raise ValueError(f"an anchor lies in one FOV; {anchor!r} has ratings in several")
    fovs = pd.Index(pd.concat([places["fov"], asked["fov"]])).unique().sort_values()
    fov_of = places.set_index("anchor")["fov"].reindex(encoded.items)
    return fovs, fovs.get_indexer(pd.Index(fov_of)).astype(np.int32)


def _truth(
    reference: pd.DataFrame, unfound: pd.DataFrame | None, items: NDArray[Any], groups: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """All classes, those that only the reference has at the end; and the true class of each item, (n_items,)."""
    true = reference.set_index("anchor")["true"].astype("str").fillna("")
    if (true == UNDETECTED).any():
        raise ValueError(f"the reference says {UNDETECTED!r} of {true[true == UNDETECTED].index[0]!r}; expected ''")
    used = set(true) | (set() if unfound is None else set(unfound["true"]))
    names = groups + tuple(sorted(used - set(groups) - {""}))
    place = pd.Series({"": NO_OBJECT, **{name: place for place, name in enumerate(names)}})
    of_items = true.reindex(pd.Index(items).astype("str"))
    return names, place.reindex(of_items).fillna(NOT_JUDGED).to_numpy(np.int64)


def _unfound(unfound: pd.DataFrame | None, fovs: pd.Index, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Objects without an anchor by FOV and true class, (n_fovs, n_classes)."""
    counts = np.zeros((len(fovs), len(classes)), dtype=np.int64)
    if unfound is not None and len(unfound):
        fov, true = fovs.get_indexer(pd.Index(unfound["fov"])), pd.Index(classes).get_indexer(pd.Index(unfound["true"]))
        is_asked = fov >= 0
        np.add.at(counts, (fov[is_asked], true[is_asked]), 1)
    return counts


def _pairs(
    asked: pd.DataFrame, fovs: pd.Index, item_fov: NDArray[np.int32], encoded: EncodedRatings, sparse: SparseRatings
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """FOV and rater of each pair that was asked, by FOV; and the pair of each rating."""
    raters = pd.Index(encoded.raters)
    keys = fovs.get_indexer(pd.Index(asked["fov"])) * np.int64(len(raters))
    keys = np.sort(keys + raters.get_indexer(pd.Index(asked["rater"])))
    item = np.repeat(np.arange(sparse.n_items), np.diff(sparse.starts))
    rater = (sparse.codes // sparse.n_classes).astype(np.int64)
    wanted = item_fov[item] * np.int64(len(raters)) + rater
    pair = np.searchsorted(keys, wanted)
    is_absent = keys[np.minimum(pair, len(keys) - 1)] != wanted
    if is_absent.any():
        row = int(is_absent.argmax())
        raise ValueError(
            f"rater {raters[rater[row]]!r} has a rating in FOV {fovs[item_fov[item[row]]]!r}, but was not asked there "
            f"({is_absent.sum()} of {len(item)} ratings)"
        )
    return (keys // len(raters)).astype(np.int32), (keys % len(raters)).astype(np.int32), pair.astype(np.int32)
