"""Ratings of anchors → inferred labels of each cohort under each condition: the tables `truth` and `confusion`."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.arguments import check_several, check_table
from crowdtruth.checks import CORNERS
from crowdtruth.ratings import EncodedRatings, Ratings, encode_ratings
from crowdtruth.taxonomy import UNDETECTED, Grouping
from crowdtruth.truth.estimators import ConvergenceWarning, DawidSkene, Estimator
from crowdtruth.truth.labels import Labels, choose_labels

_CONFUSION = ["rater", "cohort", "condition", "true", "assigned", "probability", "count"]
_COUNTS = ["n_asked", "n_detected", "n_agree"]


@dataclass(frozen=True)
class Inference:
    """Inferred labels, the raters' confusion, what the user should know, and the fits behind them."""

    truth: pd.DataFrame  # anchor × cohort × condition
    confusion: pd.DataFrame  # rater × cohort × condition × true × assigned
    messages: tuple[str, ...]
    fits: Mapping[tuple[str, str], Estimator]  # (cohort, condition) -> the fitted estimator


@dataclass(frozen=True)
class _Group:
    """The ratings of one cohort under one condition."""

    cohort: str
    condition: str
    encoded: EncodedRatings  # items are rows of the anchor table; classes are those somebody gave
    place: NDArray[np.intp]  # (n_classes,), where they are among all classes

    def __str__(self) -> str:
        return f"cohort {self.cohort!r}, condition {self.condition!r}"


def infer_labels(
    ratings: pd.DataFrame,
    anchors: pd.DataFrame,
    *,
    cohorts: Mapping[str, Sequence[str]] | None = None,
    conditions: Sequence[str] | None = None,
    estimator: Estimator | None = None,
    min_detections: int = 1,
    grouping: Grouping | None = None,
    classes: Sequence[str] | None = None,
    clicked: pd.DataFrame | None = None,
    jobs: int = 1,
) -> Inference:
    """Inferred labels of each cohort under each condition, each inferred on its own.

    Parameters
    ----------
    ratings : anchor, rater, cohort, condition, label; one row per rating
        `label` is a class or ``undetected``; a missing or empty one is no rating.
    anchors : anchor, fov, xmin, ymin, xmax, ymax; one row per anchor
        Without boxes (all missing) it is a crowd table: its items exist, and no label is held back.
    cohorts : name → the cohorts it unites; default: each cohort on its own, sorted
    conditions : default: all there are, sorted
    estimator : default: `DawidSkene()`; it is copied, not changed
    min_detections : an anchor that fewer raters of the cohort detected under a condition gets no label
    grouping : classes to group to after inference, by adding probabilities
    classes : all classes in order; default: the labels that occur, sorted; ``undetected`` is the last in any case
    clicked : anchor, rater, condition of accepted suggestions; default: none
    jobs : threads

    Returns
    -------
    truth, confusion, messages, fits
        An anchor that nobody of a cohort was asked about under a condition has no row there. `entropy` is that of the
        (grouped) posterior in nats, from 0 to the logarithm of the number of ``prob_`` columns. `boundary_correct` is 1
        where an accepted suggestion is inferred to be right, else 0; empty where nobody detected the anchor, or nobody
        clicked at all. In `confusion`, `count` is the number of ratings `assigned` by the rater on anchors whose
        inferred label, ungrouped, is `true`.

    Raises
    ------
    ValueError
        If a column is missing, the ratings lack a cohort or condition asked for, a rated anchor is not among `anchors`,
        or a label not among `classes`.
    TypeError
        If a table is no table, the estimator no estimator, or a text is given where several names belong.

    Examples
    --------
    >>> anchors = pd.DataFrame({"anchor": ["a"], "fov": "f", "xmin": 0.0, "ymin": 0.0, "xmax": 9.0, "ymax": 9.0})
    >>> ratings = pd.DataFrame({"anchor": "a", "rater": ["r", "s", "t"], "cohort": "all", "condition": "all",
    ...                         "label": ["tumor", "tumor", "undetected"]})
    >>> infer_labels(ratings, anchors).truth[["label", "is_object", "n_asked", "n_detected", "n_agree"]]
       label  is_object  n_asked  n_detected  n_agree
    0  tumor       True        3           2        2
    """
    if min_detections < 1:
        raise ValueError(f"min_detections must be at least 1, got {min_detections}")
    _check_tables(ratings, anchors, clicked)
    _check_names(ratings, cohorts, conditions, classes)
    is_crowd = len(anchors) > 0 and bool(anchors[CORNERS].isna().all(axis=None))
    gate = None if is_crowd else min_detections
    rated = ratings[ratings["label"].notna() & (ratings["label"] != "")]
    every_class = class_order(rated["label"], classes, is_crowd=is_crowd)
    estimator = _on_threads(DawidSkene() if estimator is None else estimator, jobs)
    truth, confusion, fits = [], [], {}
    messages: list[str] = []
    for group in _groups(rated, anchors["anchor"], every_class, cohorts, conditions):
        fit = fits[group.cohort, group.condition] = _fit(estimator, group.encoded, str(group))
        messages += _repeats_message(group, fit)
        probabilities = _over_every_class(fit.probabilities_, group.place, len(every_class))
        labels = choose_labels(group.encoded, probabilities, every_class, min_detections=gate)
        confusion.append(_confusion_rows(group, fit, labels))
        if grouping is not None:
            labels = choose_labels(group.encoded, probabilities, every_class, grouping=grouping, min_detections=gate)
        boundary = _boundary_correct(group, estimator, anchors["anchor"], clicked)
        truth.append(_truth_rows(group, labels, anchors).assign(boundary_correct=boundary))
    if not truth:
        truth = [_truth_without_rows(every_class, anchors, grouping)]
    return Inference(_in_anchor_order(truth), _joined(confusion, _CONFUSION), tuple(messages), fits)


def _check_tables(ratings: Any, anchors: Any, clicked: Any) -> None:
    """Raise unless these are tables with the columns needed."""
    check_table("ratings", ratings, ["anchor", "rater", "cohort", "condition", "label"])
    check_table("anchors", anchors, ["anchor", "fov", *CORNERS])
    if clicked is not None:
        check_table("clicked", clicked, ["anchor", "rater", "condition"])


def _check_names(ratings: pd.DataFrame, cohorts: Any, conditions: Any, classes: Any) -> None:
    """Raise unless the names are given as they should, and the ratings, if there are any, have them."""
    check_several("classes", classes)
    check_several("conditions", conditions)
    if cohorts is not None and not isinstance(cohorts, Mapping):
        raise TypeError(f"cohorts must map a name to the cohorts it unites, got {type(cohorts).__name__}")
    for name, united in (cohorts or {}).items():
        check_several(f"cohorts[{name!r}]", united)
    asked_for = {
        "cohort": [member for united in (cohorts or {}).values() for member in united],
        "condition": [] if conditions is None else list(conditions),
    }
    for column, names in asked_for.items():
        known = set(ratings[column])
        unknown = [name for name in names if name not in known]
        if unknown and known:  # without ratings there is nothing to compare with, and the tables are empty
            there = ", ".join(sorted(map(str, known)))
            raise ValueError(f"no ratings of {column} {unknown[0]!r}; the ratings have {there}")


def class_order(labels: pd.Series, classes: Sequence[str] | None, *, is_crowd: bool) -> tuple[str, ...]:
    """All classes in order; for boxes ``undetected`` is one of them, and the last.

    Examples
    --------
    >>> class_order(pd.Series(["tumor", "undetected", "lymphocyte"]), None, is_crowd=False)
    ('lymphocyte', 'tumor', 'undetected')
    """
    if classes is None:
        classes = sorted(labels.unique())
    if is_crowd:
        return tuple(classes)
    return (*(name for name in classes if name != UNDETECTED), UNDETECTED)


def _on_threads(estimator: Estimator, jobs: int) -> Estimator:
    """A copy of the estimator that uses `jobs` threads, if it can, and leaves the classes to the ratings."""
    if isinstance(estimator, type) or not all(hasattr(estimator, name) for name in ("fit", "get_params", "set_params")):
        given = f"the class {estimator.__name__}" if isinstance(estimator, type) else repr(estimator)
        raise TypeError(f"estimator must be one that can be fitted, such as DawidSkene(), got {given}")
    estimator = copy.deepcopy(estimator).set_params(classes=None)
    if jobs > 1 and "jobs" in estimator.get_params():
        estimator.set_params(jobs=jobs)
    return estimator


def _groups(
    rated: pd.DataFrame,
    anchors: pd.Series,
    every_class: Sequence[str],
    cohorts: Mapping[str, Sequence[str]] | None,
    conditions: Sequence[str] | None,
) -> Iterator[_Group]:
    """The ratings of each cohort under each condition, where there are any."""
    encoded = encode_ratings(rated.assign(anchor=_as_anchors(rated["anchor"], anchors)), classes=every_class)
    cohorts = {name: (name,) for name in sorted(rated["cohort"].unique())} if cohorts is None else cohorts
    conditions = sorted(rated["condition"].unique()) if conditions is None else conditions
    for cohort, members in cohorts.items():
        of_cohort = rated["cohort"].isin(list(members)).to_numpy()
        for condition in conditions:
            chosen = of_cohort & (rated["condition"] == condition).to_numpy()
            if chosen.any():
                yield _Group(cohort, condition, *_only(encoded, chosen))


def _as_anchors(column: pd.Series, anchors: pd.Series) -> pd.Categorical:
    """Rated anchors as categories in the order of the anchor table."""
    if anchors.duplicated().any():
        raise ValueError(f"every anchor has one row; {anchors[anchors.duplicated()].iloc[0]!r} has several")
    codes, rated = pd.factorize(column)
    places = np.append(pd.Index(anchors).get_indexer(pd.Index(rated)), -1)[codes]  # a missing anchor has code -1
    if (places < 0).any():
        row = int((places < 0).argmax())
        raise ValueError(f"every rated anchor is among the anchors; row {row} of the ratings has {column.iloc[row]!r}")
    return pd.Categorical.from_codes(places, categories=pd.Index(anchors))


def _only(encoded: EncodedRatings, chosen: NDArray[np.bool_]) -> tuple[EncodedRatings, NDArray[np.intp]]:
    """The chosen ratings, with the items, raters and classes that occur in them; and the places of these classes.

    Items are named by their place in the input.
    """
    codes = encoded.ratings
    item, items = _renumbered(codes.item[chosen], codes.n_items)
    rater, raters = _renumbered(codes.rater[chosen], codes.n_raters)
    label, place = _renumbered(codes.label[chosen], codes.n_classes)
    ratings = Ratings(item, rater, label, len(items), len(raters), len(place))
    return EncodedRatings(ratings, items, encoded.raters[raters], encoded.classes[place]), place


def _renumbered(codes: NDArray[np.integer], size: int) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Codes without gaps, and the old code of each."""
    occurs = np.zeros(size, dtype=bool)
    occurs[codes] = True
    return (np.cumsum(occurs) - 1).astype(np.int32)[codes], np.flatnonzero(occurs)


def _fit(estimator: Estimator, encoded: EncodedRatings, what: str) -> Estimator:
    """A fitted copy of the estimator; its warnings say what was fitted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        fitted = copy.deepcopy(estimator).fit(encoded)
    for warning in caught:
        warnings.warn(f"{what}: {warning.message}", warning.category, stacklevel=3)
    return fitted


def _repeats_message(group: _Group, fit: Estimator) -> list[str]:
    """A word on repeated ratings, if there are any."""
    if fit.n_repeats_ == 0:
        return []
    return [f"{group}: {fit.n_repeats_:,} ratings repeat an earlier one of the same item by the same rater; all count"]


def _over_every_class(
    probabilities: NDArray[np.float64], place: NDArray[np.intp], n_classes: int
) -> NDArray[np.float64]:
    """Posteriors with zero for the classes nobody gave, (n_items, n_classes)."""
    wide = np.zeros((len(probabilities), n_classes))
    wide[:, place] = probabilities
    return wide


def _confusion_rows(group: _Group, fit: Estimator, labels: Labels) -> pd.DataFrame:
    """rater × true × assigned of one group: probability, and count by inferred label."""
    codes = group.encoded.ratings
    n_raters, n_classes = codes.n_raters, codes.n_classes
    true_of_place = np.full(len(labels.classes) + 1, -1)
    true_of_place[group.place] = np.arange(n_classes)
    true = true_of_place[labels.label[codes.item]]
    cells = (codes.rater.astype(np.int64) * n_classes + true) * n_classes + codes.label
    counts = np.bincount(cells[true >= 0], minlength=n_raters * n_classes**2)
    rater, true, assigned = (axis.ravel() for axis in np.indices((n_raters, n_classes, n_classes)))
    names = group.encoded.classes
    columns = [group.encoded.raters[rater], group.cohort, group.condition, names[true], names[assigned]]
    return pd.DataFrame(dict(zip(_CONFUSION, [*columns, fit.confusion_.ravel(), counts], strict=True)))


def _truth_rows(group: _Group, labels: Labels, anchors: pd.DataFrame) -> pd.DataFrame:
    """The rows of `truth` of one group, without boundary_correct; indexed by place in the anchor table."""
    places = group.encoded.items
    of_anchor = anchors[["anchor", "fov", *CORNERS]].iloc[places].set_axis(places)
    inferred = {"label": labels.names, "probability": labels.probability, "is_object": labels.is_object}
    probabilities = {f"prob_{name}": labels.probabilities[:, k] for k, name in enumerate(labels.classes)}
    counts = {name: getattr(labels, name) for name in _COUNTS}
    inferred |= {**probabilities, **counts, "entropy": labels.entropy}
    rows = pd.concat([of_anchor, pd.DataFrame(inferred, index=places)], axis=1)
    rows.insert(2, "cohort", group.cohort)
    rows.insert(3, "condition", group.condition)
    return rows.astype(dict.fromkeys(("label", "cohort", "condition"), "str"))


def _boundary_correct(
    group: _Group, estimator: Estimator, anchors: pd.Series, clicked: pd.DataFrame | None
) -> NDArray[np.float64]:
    """Whether the suggested boundary is right, (n_items,), by a second inference: clicked, or detected otherwise."""
    codes = group.encoded.ratings
    boundary = np.full(codes.n_items, np.nan)
    is_click = _is_click(group, anchors, clicked)
    if is_click.any():
        detected = group.encoded.classes[codes.label] != UNDETECTED
        item, items = _renumbered(codes.item[detected], codes.n_items)
        ratings = Ratings(
            item, codes.rater[detected], is_click[detected].astype(np.int32), len(items), codes.n_raters, 2
        )
        fit = _fit(
            estimator, EncodedRatings(ratings, items, group.encoded.raters, np.arange(2)), f"{group}, boundaries"
        )
        boundary[items] = fit.labels_
    return boundary


def _is_click(group: _Group, anchors: pd.Series, clicked: pd.DataFrame | None) -> NDArray[np.bool_]:
    """Whether each rating of the group is an accepted suggestion, (n_ratings,)."""
    codes = group.encoded.ratings
    if clicked is None:
        return np.zeros(len(codes.item), dtype=bool)
    clicks = clicked.loc[clicked["condition"] == group.condition, ["anchor", "rater"]]
    pairs = pd.MultiIndex.from_frame(clicks)
    rated = [anchors.to_numpy()[group.encoded.items[codes.item]], group.encoded.raters[codes.rater]]
    return pd.MultiIndex.from_arrays(rated).isin(pairs)


def _truth_without_rows(every_class: Sequence[str], anchors: pd.DataFrame, grouping: Grouping | None) -> pd.DataFrame:
    """The columns of `truth`, for a study in which nobody was asked about anything."""
    none = np.zeros(0, dtype=np.int32)
    nothing = Ratings(none, none, none, 0, 0, len(every_class))
    encoded = EncodedRatings(nothing, np.zeros(0, dtype=np.intp), np.zeros(0), np.array(every_class, dtype=object))
    labels = choose_labels(encoded, np.zeros((0, len(every_class))), every_class, grouping=grouping)
    group = _Group("", "", encoded, np.arange(len(every_class)))
    return _truth_rows(group, labels, anchors).assign(boundary_correct=np.zeros(0))


def _in_anchor_order(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows of all groups by anchor, then in the order of the groups."""
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Rows of all groups, one after the other."""
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
