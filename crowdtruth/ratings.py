"""The ratings table and its integer codes: who gave which label to which item.

A rating is one label of one item by one rater. *Undetected* (asked, marked nothing) is a label like any other; *not
asked* is an absent row; an empty cell is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.arguments import check_several, check_table
from crowdtruth.taxonomy import UNDETECTED

_COLUMNS = {
    "item": ("item", "task", "anchor"),
    "rater": ("rater", "worker"),
    "label": ("label", "rating"),
}
"""The names each column goes by; the first that a table has is taken."""

_RATINGS = ["anchor", "fov", "rater", "cohort", "condition", "label"]


@dataclass(frozen=True)
class Ratings:
    """Observed labels, one row per rating; codes from 0. The same item may be rated twice by one rater.

    Sequences of whole numbers become arrays.

    Raises
    ------
    TypeError, ValueError
        If codes are no whole numbers, differ in number, or lie outside 0 … size - 1.

    Examples
    --------
    >>> Ratings([0, 0, 1], [0, 1, 1], [1, 1, 0], n_items=2, n_raters=2, n_classes=2).label
    array([1, 1, 0])
    """

    item: NDArray[np.integer[Any]]  # (n_ratings,)
    rater: NDArray[np.integer[Any]]  # (n_ratings,)
    label: NDArray[np.integer[Any]]  # (n_ratings,)
    n_items: int
    n_raters: int
    n_classes: int

    def __post_init__(self) -> None:
        for name in ("item", "rater", "label"):
            object.__setattr__(self, name, _as_codes(name, getattr(self, name)))
        if not len(self.item) == len(self.rater) == len(self.label):
            raise ValueError(
                "item, rater and label need one code per rating each, got "
                f"{len(self.item)}, {len(self.rater)} and {len(self.label)} codes"
            )
        for name, size in (("item", self.n_items), ("rater", self.n_raters), ("label", self.n_classes)):
            _check_codes(name, getattr(self, name), size)


@dataclass(frozen=True)
class EncodedRatings:
    """Ratings with the names behind their codes."""

    ratings: Ratings
    items: NDArray[Any]  # (n_items,)
    raters: NDArray[Any]  # (n_raters,)
    classes: NDArray[Any]  # (n_classes,)


def _as_codes(name: str, codes: Any) -> NDArray[Any]:
    """Codes as an array (n_ratings,)."""
    if isinstance(codes, list | tuple) and not codes:
        return np.zeros(0, dtype=np.int32)  # an empty list would become floats
    try:
        array = np.asarray(codes)
    except ValueError as error:
        raise ValueError(f"{name} codes must be one whole number per rating, got rows of different length") from error
    if array.ndim != 1:
        raise ValueError(f"{name} codes must be one whole number per rating, got the shape {array.shape}")
    return array


def _check_codes(name: str, codes: NDArray[Any], size: int) -> None:
    """Raise unless `codes` are whole numbers from 0 to `size` - 1."""
    if not np.issubdtype(codes.dtype, np.integer):
        raise TypeError(f"{name} codes must be integers, got {codes.dtype}")
    if len(codes) and (codes.min() < 0 or codes.max() >= size):
        row = int(((codes < 0) | (codes >= size)).argmax())
        raise ValueError(f"{name} codes must lie in 0 … {size - 1}; row {row} has {codes[row]}")


def encode_ratings(table: pd.DataFrame, *, classes: Sequence[Any] | None = None) -> EncodedRatings:
    """Integer codes of a ratings table.

    Parameters
    ----------
    table : one row per rating
        Columns item (or task, anchor), rater (or worker), label (or rating); others are ignored. A missing or empty
        label is no rating; its item and rater are kept.
    classes : in the order of their codes; default: the labels that occur, sorted

    Returns
    -------
    codes and names
        Items, raters and classes are sorted, so that row order changes no code. The categories of a categorical column
        are taken as they are, the unused ones too, without a look at the text.

    Raises
    ------
    ValueError
        If a column is missing, an item or rater is missing in some row, or a label is not among `classes`.
    TypeError
        If `table` is no table, or `classes` is a text.

    Examples
    --------
    >>> encoded = encode_ratings(pd.DataFrame({"task": ["b", "a"], "worker": ["w", "w"], "label": ["yes", "no"]}))
    >>> encoded.ratings.item, encoded.items, encoded.classes
    (array([1, 0], dtype=int32), array(['a', 'b'], dtype=object), array(['no', 'yes'], dtype=object))
    """
    check_table("ratings", table, [])
    check_several("classes", classes)
    columns = {role: _find_column(table, role) for role in _COLUMNS}
    item, items = _codes_of_ids(table[columns["item"]])
    rater, raters = _codes_of_ids(table[columns["rater"]])
    label, class_names = _codes_of_labels(table[columns["label"]], classes)
    is_rating = label >= 0
    if not is_rating.all():
        item, rater, label = item[is_rating], rater[is_rating], label[is_rating]
    ratings = Ratings(item, rater, label, len(items), len(raters), len(class_names))
    return EncodedRatings(ratings, items, raters, class_names)


def _find_column(table: pd.DataFrame, role: str) -> str:
    """The first of the names of `role` that is a column."""
    for name in _COLUMNS[role]:
        if name in table:
            return name
    raise ValueError(
        f"a ratings table needs a column {' or '.join(map(repr, _COLUMNS[role]))}; it has {list(table.columns)}"
    )


def _codes_of_ids(column: pd.Series) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Codes and sorted names of items or raters, none of them missing."""
    codes, names = _factorize(column)
    if len(codes) and codes.min() < 0:
        row = int((codes < 0).argmax())
        raise ValueError(
            f"every rating needs its {column.name}; row {row} has none ({(codes < 0).sum()} of {len(codes)} rows)"
        )
    return codes, names


def _codes_of_labels(column: pd.Series, classes: Sequence[Any] | None) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Codes of labels, -1 where missing or empty, and the classes."""
    codes, names = _factorize(column)
    empty = np.asarray([isinstance(name, str) and not name.strip() for name in names], dtype=bool)
    if classes is None:
        wanted = names[~empty]
        position = np.where(empty, -1, np.cumsum(~empty) - 1)
    else:
        wanted = _as_objects(classes)
        if len(set(classes)) != len(wanted):
            raise ValueError(f"classes must differ from each other, got {list(classes)}")
        code_of = {name: code for code, name in enumerate(wanted)}
        position = np.array([-1 if e else code_of.get(n, -2) for n, e in zip(names, empty, strict=True)], dtype=np.intp)
        unknown = [name for code, name in enumerate(names) if position[code] == -2 and (codes == code).any()]
        if unknown:
            raise ValueError(f"labels outside the classes {list(classes)}: {unknown}")
    if len(position) and not np.array_equal(position, np.arange(len(position))):
        codes = np.append(position, -1).astype(np.int32)[codes]  # a missing label, code -1, takes the last place
    return codes, wanted


def _factorize(column: pd.Series) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Codes of a column (-1 where missing) and its sorted values, or its categories as they are."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.codes, dtype=np.int32), _as_objects(column.cat.categories)
    codes, names = pd.factorize(column, sort=True)
    return np.array(codes, dtype=np.int32), _as_objects(names)


def _as_objects(names: Any) -> NDArray[Any]:
    """Names as an array: numbers stay numbers, text is Python text."""
    array = np.asarray(names)
    return array if array.dtype.kind in "iufb" else array.astype(object)


def rate_anchors(
    members: pd.DataFrame, assignments: pd.DataFrame, raters: pd.DataFrame, anchors: pd.DataFrame
) -> pd.DataFrame:
    """What each asked rater said of each anchor under each condition.

    Parameters
    ----------
    members : anchor, rater, condition, label; one row per annotation
    assignments : fov, rater, condition; who was asked where
    raters : rater, cohort
    anchors : anchor, fov; one row per anchor

    Returns
    -------
    one row per anchor × asked rater × condition
        anchor, fov, rater, cohort, condition, label, in the order of `anchors`, then by rater and condition. `label` is
        ``undetected`` where the rater has no mark in the anchor. Who was not asked has no row. Where one rater has
        several marks in an anchor under one condition (unconstrained clustering only), the label given most often
        counts, the first in the order of `members` on ties.

    Raises
    ------
    ValueError
        If a column is missing, a member's rater was not asked in its FOV under its condition, or an asked rater has no
        cohort.
    TypeError
        If one of the four is no table.

    Examples
    --------
    >>> rate_anchors(
    ...     pd.DataFrame({"anchor": ["a"], "rater": ["r1"], "condition": ["all"], "label": ["tumor"]}),
    ...     pd.DataFrame({"fov": ["f", "f"], "rater": ["r1", "r2"], "condition": ["all", "all"]}),
    ...     pd.DataFrame({"rater": ["r1", "r2"], "cohort": ["P", "P"]}),
    ...     pd.DataFrame({"anchor": ["a"], "fov": ["f"]}),
    ... )
      anchor fov rater cohort condition       label
    0      a   f    r1      P       all       tumor
    1      a   f    r2      P       all  undetected
    """
    check_table("members", members, ["anchor", "rater", "condition", "label"])
    check_table("assignments", assignments, ["fov", "rater", "condition"])
    check_table("raters", raters, ["rater", "cohort"])
    check_table("anchors", anchors, ["anchor", "fov"])
    marks = _one_label_per_rater(members)
    asked = assignments[["fov", "rater", "condition"]].drop_duplicates().sort_values(["rater", "condition"])
    asked = asked.merge(raters[["rater", "cohort"]], on="rater", how="left", validate="many_to_one")
    if asked["cohort"].isna().any():
        missing = sorted(asked.loc[asked["cohort"].isna(), "rater"].unique())
        raise ValueError(f"every asked rater needs a cohort; missing for {missing[:20]} ({len(missing)} raters)")
    ratings = anchors[["anchor", "fov"]].merge(asked, on="fov", how="inner")
    ratings = ratings.merge(marks, on=["anchor", "rater", "condition"], how="left", validate="one_to_one")
    if ratings["label"].notna().sum() != len(marks):
        _raise_not_asked(marks, ratings)
    ratings["label"] = ratings["label"].fillna(UNDETECTED)
    return ratings[_RATINGS]


def _one_label_per_rater(members: pd.DataFrame) -> pd.DataFrame:
    """anchor, rater, condition, label: one row each, the commonest label where a rater has several marks."""
    key = ["anchor", "rater", "condition"]
    marks = members[[*key, "label"]]
    several = marks.duplicated(key, keep=False)
    if not several.any():
        return marks
    counted = marks[several].assign(first=np.arange(several.sum()))
    counted = counted.groupby([*key, "label"], as_index=False, sort=False).agg(
        n=("first", "size"), first=("first", "min")
    )
    commonest = counted.sort_values(["n", "first"], ascending=[False, True]).drop_duplicates(key)
    return pd.concat([marks[~several], commonest[[*key, "label"]]], ignore_index=True)


def _raise_not_asked(marks: pd.DataFrame, ratings: pd.DataFrame) -> None:
    """Raise for the marks that found no asked rater."""
    key = ["anchor", "rater", "condition"]
    placed = pd.MultiIndex.from_frame(ratings[key])
    lost = marks[~pd.MultiIndex.from_frame(marks[key]).isin(placed)]
    first = lost.iloc[0]
    raise ValueError(
        f"every mark needs an assignment of its rater; anchor {first['anchor']!r} has a mark of rater "
        f"{first['rater']!r} under condition {first['condition']!r}, who was not asked there "
        f"({len(lost)} of {len(marks)} marks)"
    )


def of_cohorts(table: pd.DataFrame, cohorts: Mapping[str, Sequence[str]] | None) -> pd.DataFrame:
    """Rows of every cohort asked for, under its name; those of a rater in two cohorts stand there twice.

    Parameters
    ----------
    table : cohort, and whatever else there is: ratings, or raters
    cohorts : name → the cohorts it unites; None: each is itself

    Examples
    --------
    >>> raters = pd.DataFrame({"rater": ["a", "b"], "cohort": ["SP", "NP"]})
    >>> of_cohorts(raters, {"P": ["SP"], "all": ["SP", "NP"]})[["rater", "cohort"]].values.tolist()
    [['a', 'P'], ['a', 'all'], ['b', 'all']]
    """
    check_table("ratings or raters", table, ["cohort"])
    if cohorts is None:
        return table
    parts = [table[table["cohort"].isin(members)].assign(cohort=name) for name, members in cohorts.items()]
    return pd.concat(parts, ignore_index=True) if parts else table[:0]
