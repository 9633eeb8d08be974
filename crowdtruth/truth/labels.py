"""From posteriors to labels: which class an anchor gets, and how many raters stand behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crowdtruth.ratings import EncodedRatings
from crowdtruth.taxonomy import UNDETECTED, Grouping, group_labels, group_probabilities
from crowdtruth.truth.expectation import most_probable


@dataclass(frozen=True)
class Labels:
    """Labels of the items of some ratings, over classes that may be grouped; -1 where there is none."""

    label: NDArray[np.intp]  # (n_items,), places in `classes`
    probabilities: NDArray[np.float64]  # (n_items, n_classes)
    classes: tuple[str, ...]
    n_asked: NDArray[np.intp]  # (n_items,), raters
    n_detected: NDArray[np.intp]
    n_agree: NDArray[np.intp]

    @property
    def names(self) -> NDArray[np.object_]:
        """The label of each item, empty where there is none."""
        return np.array([*self.classes, ""], dtype=object)[self.label]

    @property
    def probability(self) -> NDArray[np.float64]:
        """Posterior of each item's label, NaN where there is none."""
        chosen = np.take_along_axis(self.probabilities, self.label[:, np.newaxis], axis=1)[:, 0]
        return np.where(self.label >= 0, chosen, np.nan)

    @property
    def is_object(self) -> NDArray[np.bool_]:
        """Whether the label is a class."""
        is_class = np.array([*(name != UNDETECTED for name in self.classes), False])
        return is_class[self.label]

    @property
    def entropy(self) -> NDArray[np.float64]:
        """Entropy of each item's posterior in nats, from 0 to log n_classes."""
        p = self.probabilities
        terms = p * np.log(p, out=np.zeros_like(p), where=p > 0)
        return np.clip(-terms.sum(axis=1), 0, np.log(len(self.classes))) + 0.0  # no minus zero


def choose_labels(
    encoded: EncodedRatings,
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    *,
    grouping: Grouping | None = None,
    min_detections: int | None = 1,
) -> Labels:
    """The most probable class of each item among those somebody gave it, the first in class order on ties (see `TIE`).

    Parameters
    ----------
    encoded : the ratings; their classes are among `classes`
    probabilities : (n_items, n_classes), posteriors over `classes`
    classes : all classes in order, ``undetected`` last
    grouping : classes to group to, by adding probabilities
    min_detections : items that fewer raters detected get no label; None: all get one, of all classes (crowd tables)

    Examples
    --------
    >>> from crowdtruth.ratings import Ratings
    >>> codes = Ratings(np.array([0, 0]), np.array([0, 1]), np.array([1, 2]), 1, 2, 3)
    >>> encoded = EncodedRatings(codes, np.array(["a"]), np.array(["r", "s"]), np.array(["x", "y", "undetected"]))
    >>> labels = choose_labels(encoded, np.array([[.5, .3, .2]]), ["x", "y", "undetected"])
    >>> labels.names, labels.n_agree
    (array(['y'], dtype=object), array([1]))
    """
    groups = tuple(classes)
    if grouping is not None:
        probabilities, groups = group_probabilities(probabilities, classes, grouping)
        probabilities = np.minimum(probabilities, 1.0)  # a sum may round to more
    place = _places(encoded, groups, grouping)
    given = place[encoded.ratings.label]
    detected = given != _undetected(groups)
    n_detected = _count_raters(encoded, detected)
    label = most_probable(probabilities)
    if min_detections is not None:
        is_given = np.zeros(probabilities.shape, dtype=bool)
        is_given[encoded.ratings.item, given] = True
        label = most_probable(np.where(is_given, probabilities, -1.0))
        label[n_detected < min_detections] = -1
    n_agree = _count_raters(encoded, given == label[encoded.ratings.item])
    return Labels(label, probabilities, groups, _count_raters(encoded, None), n_detected, n_agree)


def _places(encoded: EncodedRatings, groups: tuple[str, ...], grouping: Grouping | None) -> NDArray[np.intp]:
    """Place among `groups` of each class of the ratings."""
    names = list(encoded.classes) if grouping is None else group_labels(list(encoded.classes), grouping).tolist()
    return np.array([groups.index(name) for name in names], dtype=np.intp)


def _undetected(groups: tuple[str, ...]) -> int:
    """Place of ``undetected``, -1 where it is no class."""
    return groups.index(UNDETECTED) if UNDETECTED in groups else -1


def _count_raters(encoded: EncodedRatings, chosen: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    """Number of different raters of each item among the chosen ratings, (n_items,)."""
    codes = encoded.ratings
    pairs = codes.item.astype(np.int64) * codes.n_raters + codes.rater
    if chosen is not None:
        pairs = pairs[chosen]
    pairs.sort()  # np.unique builds a hash table of them, which takes a hundred times longer
    is_first = np.diff(pairs, prepend=-1) > 0
    return np.bincount(pairs[is_first] // max(codes.n_raters, 1), minlength=codes.n_items)
