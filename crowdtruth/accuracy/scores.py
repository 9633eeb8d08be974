"""Scores of raters and of inferred labels with their intervals: the tables ``raters.csv`` and ``accuracy.csv``.

Every score is a function of sums over marks and objects. They are kept for each FOV in which a rater (or a cohort) was
judged, and these FOVs are resampled, so the interval of a rater rests on the rater's own FOVs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.metrics import detection_scores, matthews_from_margins, ratio
from crowdtruth.outcomes import FALSE_NEGATIVE, FALSE_POSITIVE, KINDS, TRUE_POSITIVE, Outcomes
from crowdtruth.resampling import TASK_GROUPS, Unit, bootstrap, group_codes

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

SCORES = ("precision", "recall", "f1", "class_accuracy", "mcc")
CLASS_SCORES = ("recall", "class_recall", "class_precision", "class_f1", "class_mcc")

_COUNTS = ["n_fovs", "n_annotations", "n_true_positive", "n_false_positive", "n_false_negative"]
_LONG = ["who", "condition", "reference", "grouping", "metric", "class", "value", "low", "high", "n", "resampled"]
_CHUNK = 2**21  # doubles of sums by group that are held at a time


def rater_accuracy(
    outcomes: Outcomes,
    raters: pd.DataFrame,
    *,
    fovs: pd.DataFrame | None = None,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """Counts and scores of every rater under each condition: ``raters.csv``.

    Parameters
    ----------
    outcomes : of `rater_outcomes`
    raters : rater, cohort; gives the order of the rows
    fovs : fov, slide; needed where slides are resampled
    resample : ``"fov"`` or ``"slide"``; the tasks of a crowd table are resampled themselves
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per rater × condition
        rater, cohort, condition, reference, in_reference, n_fovs, n_annotations, n_true_positive, n_false_positive,
        n_false_negative; precision, recall, f1, class_accuracy, mcc, each followed by its bounds ``_low``, ``_high``;
        resampled. For a crowd table everything about detection is missing, and n_annotations counts the ratings of
        tasks with a known label.

    Raises
    ------
    ValueError
        If slides are resampled and an FOV has none.

    Examples
    --------
    >>> from crowdtruth.accuracy import box_reference, rater_outcomes
    >>> marks = pd.DataFrame({"fov": ["f"], "rater": ["r"], "condition": ["all"], "xmin": [0.0], "ymin": [0.0],
    ...                       "xmax": [10.0], "ymax": [10.0], "label": ["a"]})
    >>> asked = pd.DataFrame({"fov": ["f"], "rater": ["r"], "condition": ["all"]})
    >>> raters = pd.DataFrame({"rater": ["r"], "cohort": ["all"]})
    >>> reference = box_reference(marks[["fov", "xmin", "ymin", "xmax", "ymax", "label"]], "itself")
    >>> judged = rater_outcomes(reference, assignments=asked, raters=raters, annotations=marks)
    >>> rater_accuracy(judged, raters)[["rater", "n_true_positive", "f1", "class_accuracy"]].values.tolist()
    [['r', 1, 1.0, 1.0]]
    """
    table = _counts(outcomes)
    sums = sums_of(outcomes, fovs, resample)
    scored = _scored(sums, overall_scores, outcomes.has_detection, options)
    for place, name in enumerate(SCORES):
        for suffix, values in zip(("", "_low", "_high"), scored, strict=True):
            table[name + suffix] = values[:, place]
    table = raters[["rater", "cohort"]].merge(table.rename(columns={"who": "rater"}), on="rater")
    scores = [name + suffix for name in SCORES for suffix in ("", "_low", "_high")]
    columns = ["rater", "cohort", "condition", "reference", "in_reference", *_COUNTS, *scores]
    return table[columns].assign(resampled=sums.resampled).reset_index(drop=True)


def label_accuracy(
    outcomes: Outcomes, *, fovs: pd.DataFrame | None = None, resample: Unit = "fov", **options: Any
) -> pd.DataFrame:
    """The same scores and those of each class, one per row: ``accuracy.csv``.

    Parameters
    ----------
    outcomes : of `label_outcomes`, or of `rater_outcomes`
    fovs, resample, options : see `rater_accuracy`

    Returns
    -------
    one row per who × condition × metric × class
        who (cohort or rater), condition, reference, grouping, metric, class (empty: all), value, low, high, n,
        resampled. `n` is what the value is a share of. Metrics of all classes: precision, recall, f1, class_accuracy,
        mcc; of one: recall (of its objects, found under any label), and among found objects class_recall,
        class_precision, class_f1 and class_mcc (the class against the rest).

    Raises
    ------
    ValueError
        If slides are resampled and an FOV has none.

    Examples
    --------
    >>> from crowdtruth.accuracy import rater_outcomes, task_reference
    >>> said = {"anchor": ["t1", "t2"], "label": ["x", "y"]}
    >>> ratings = pd.DataFrame({**said, "fov": "", "rater": "r", "condition": "all"})
    >>> gold = task_reference(pd.DataFrame({"anchor": ["t1", "t2"], "label": ["x", "x"]}), "truth.csv")
    >>> raters = pd.DataFrame({"rater": ["r"], "cohort": ["all"]})
    >>> judged = rater_outcomes(gold, assignments=raters[:0], raters=raters, ratings=ratings)
    >>> label_accuracy(judged)[["metric", "class", "value", "n"]].head(2)
               metric class  value  n
    0  class_accuracy          0.5  2
    1             mcc          NaN  2
    """
    sums = sums_of(outcomes, fovs, resample)
    scored = _scored(sums, all_scores, outcomes.has_detection, options)
    names, classes = _score_names(sums.classes)
    n = _numbers_of(sums)
    is_told = n > 0
    is_told[:, : len(SCORES)] = True
    if not outcomes.has_detection:
        is_told[:, (names == "precision") | (names == "recall") | (names == "f1")] = False
    row, column = np.nonzero(is_told)
    by_metric = np.array([(*SCORES, *CLASS_SCORES[1:]).index(name) for name in names])
    order = np.lexsort((classes[column].astype(str), by_metric[column], classes[column] != "", row))
    row, column = row[order], column[order]
    table = outcomes.judged[["who", "condition", "reference"]].iloc[row].reset_index(drop=True)
    value, low, high = (values[row, column] for values in scored)
    table = table.assign(grouping=outcomes.grouping, metric=names[column], value=value, low=low, high=high)
    table = table.assign(**{"class": classes[column]}, n=n[row, column], resampled=sums.resampled)
    return table.astype({"grouping": "str", "metric": "str", "class": "str"})[_LONG]


@dataclass(frozen=True)
class Sums:
    """What scores are made of: how often each thing happened, by judged row and group.

    Things are numbered: 0 false positives; then for each class objects named rightly, found objects of the class,
    found objects given its name, missed objects of the class.
    """

    row: Codes  # (n_events,) of the judged
    group: Codes  # (n_events,) from 0 in each judged row
    thing: Codes  # (n_events,)
    n_groups: Codes  # (n_judged,)
    classes: tuple[str, ...]
    resampled: str

    @property
    def n_things(self) -> int:
        """Columns of the sums."""
        return 1 + 4 * len(self.classes)

    def totals(self) -> Floats:
        """Sums over all groups, (n_judged, n_things)."""
        shape = len(self.n_groups), self.n_things
        return np.bincount(self.row * shape[1] + self.thing, minlength=shape[0] * shape[1]).reshape(shape).astype(float)

    def batches(self) -> Iterator[tuple[Codes, Floats]]:
        """Judged rows with equally many groups, some at a time, and their sums: (n,), (n_groups, n, n_things)."""
        order = np.argsort(self.row, kind="stable")
        starts = np.searchsorted(self.row[order], np.arange(len(self.n_groups) + 1))
        for n_groups in np.unique(self.n_groups):
            alike = np.flatnonzero(self.n_groups == n_groups)
            step = max(1, _CHUNK // int(n_groups * self.n_things))
            for begin in range(0, len(alike), step):
                rows = alike[begin : begin + step]
                events = np.concatenate([order[starts[row] : starts[row + 1]] for row in rows])
                shape = int(n_groups), len(rows), self.n_things
                key = np.ravel_multi_index(
                    (self.group[events], np.searchsorted(rows, self.row[events]), self.thing[events]), shape
                )
                yield rows, np.bincount(key, minlength=int(np.prod(shape))).reshape(shape).astype(float)


def sums_of(outcomes: Outcomes, fovs: pd.DataFrame | None, resample: Unit) -> Sums:
    """Outcomes as countable events, by judged row and group."""
    judged = judged_rows(outcomes)
    group, n_groups, resampled = groups_of(outcomes, judged, fovs, resample)
    place, thing, classes = events_of(outcomes)
    return Sums(judged[place], group[place], thing, n_groups, classes, resampled)


def events_of(outcomes: Outcomes) -> tuple[Codes, Codes, tuple[str, ...]]:
    """What is counted of each outcome: its row in the outcomes, the number of the thing (see `Sums`), the classes."""
    rows = outcomes.rows
    kind = rows["outcome"]
    found, missed, wrong = ((kind == name).to_numpy() for name in (TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE))
    classes = tuple(sorted({*rows.loc[found | missed, "true"].unique(), *rows.loc[found, "assigned"].unique()}))
    true, assigned = (_codes(rows[column], classes) for column in ("true", "assigned"))
    n_classes = len(classes)
    events = [
        (wrong, np.zeros(len(rows), np.intp)),
        (found & (true == assigned), 1 + true),
        (found, 1 + n_classes + true),
        (found, 1 + 2 * n_classes + assigned),
        (missed, 1 + 3 * n_classes + true),
    ]
    place = np.concatenate([np.flatnonzero(chosen) for chosen, _ in events])
    return place, np.concatenate([code[chosen] for chosen, code in events]), classes


def groups_of(outcomes: Outcomes, judged: Codes, fovs: pd.DataFrame | None, resample: Unit) -> tuple[Codes, Codes, str]:
    """What is resampled: the group of each outcome (from 0 in each judged row), their number (at least 1), its name."""
    rows = outcomes.rows
    if outcomes.has_detection:
        names = rows["fov"].astype("str")
        codes, _ = group_codes(names, fovs, resample)
        resampled: str = resample
    else:
        codes, resampled = rows["anchor"].cat.codes.to_numpy().astype(np.intp), "anchor"
    n_codes = int(codes.max(initial=0)) + 1
    pairs, place = np.unique(judged * n_codes + codes, return_inverse=True)
    first = np.searchsorted(pairs // n_codes, np.arange(len(outcomes.judged) + 1))
    group, n_groups = place - first[judged], np.maximum(np.diff(first), 1)
    if not outcomes.has_detection:
        group, n_groups = group % TASK_GROUPS, np.minimum(n_groups, TASK_GROUPS)
    return group, n_groups, resampled


def _scored(
    sums: Sums, scores: Callable[[Floats], Floats], has_detection: bool, options: dict[str, Any]
) -> tuple[Floats, Floats, Floats]:
    """Value, low and high of `scores` of the sums, (n_judged, n_scores) each; those of detection come first."""
    n_scores = scores(np.zeros(1 + 4 * len(sums.classes))).shape[-1]
    value, low, high = (np.full((len(sums.n_groups), n_scores), np.nan) for _ in range(3))
    for rows, counts in sums.batches():
        interval = bootstrap(counts, scores, **options)
        value[rows], low[rows], high[rows] = interval.value, interval.low, interval.high
    if not has_detection:
        for values in (value, low, high):
            values[:, :3] = np.nan
    return value, low, high


def overall_scores(sums: Floats) -> Floats:
    """`SCORES` of sums: (..., 1 + 4 n_classes) -> (..., 5)."""
    right, true, assigned, missed = _by_class(sums)
    found = true.sum(axis=-1)
    detection = detection_scores(found, sums[..., 0], missed.sum(axis=-1))
    overall = [*detection, ratio(right.sum(axis=-1), found), matthews_from_margins(right, true, assigned)]
    return np.stack(overall, axis=-1)


def all_scores(sums: Floats) -> Floats:
    """`SCORES`, then `CLASS_SCORES` of every class, of sums: (..., 1 + 4 n_classes) -> (..., 5 + 5 n_classes)."""
    right, true, assigned, missed = _by_class(sums)
    total = true.sum(axis=-1)[..., None]
    rest = total - true - assigned + right
    two = [np.stack(pair, axis=-1) for pair in ((right, rest), (true, total - true), (assigned, total - assigned))]
    classes = [
        ratio(true, true + missed),
        ratio(right, true),
        ratio(right, assigned),
        ratio(2 * right, true + assigned),
        matthews_from_margins(*two),
    ]
    return np.concatenate([overall_scores(sums), *classes], axis=-1)


def _by_class(sums: Floats) -> Floats:
    """Objects found and named right, found, given the name, missed, by class: (4, ..., n_classes)."""
    return np.moveaxis(sums[..., 1:].reshape(*sums.shape[:-1], 4, -1), -2, 0)


def _score_names(classes: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Metric and class of each column of `all_scores`."""
    names = [*SCORES, *np.repeat(CLASS_SCORES, len(classes))]
    return np.array(names, object), np.array([""] * len(SCORES) + [*classes] * len(CLASS_SCORES), object)


def _numbers_of(sums: Sums) -> NDArray[np.int64]:
    """What each score is a share of, (n_judged, n_scores)."""
    totals = sums.totals()
    wrong = totals[:, 0]
    right, true, assigned, missed = np.moveaxis(totals[:, 1:].reshape(len(totals), 4, (totals.shape[1] - 1) // 4), 1, 0)
    found, n_missed = true.sum(axis=1), missed.sum(axis=1)
    overall = [found + wrong, found + n_missed, found + wrong + n_missed, found, found]
    occurs = true + assigned > 0
    classes = [true + missed, true, assigned, true + assigned - right, np.where(occurs, found[:, None], 0)]
    return np.concatenate([np.stack(overall, axis=1), *classes], axis=1).astype(np.int64)


def _counts(outcomes: Outcomes) -> pd.DataFrame:
    """Counts of each row of `outcomes.judged`; those of detection are missing for crowd tables."""
    n_judged = len(outcomes.judged)
    key = judged_rows(outcomes) * len(KINDS) + _codes(outcomes.rows["outcome"], KINDS)
    found, wrong, missed, ignored = np.bincount(key, minlength=n_judged * len(KINDS)).reshape(n_judged, len(KINDS)).T
    detection = {"n_true_positive": found, "n_false_positive": wrong, "n_false_negative": missed}
    table = outcomes.judged.assign(n_annotations=found + wrong + ignored, **detection)
    table = table.astype(dict.fromkeys(_COUNTS, "Int64"))
    if not outcomes.has_detection:
        table[["n_fovs", *detection]] = pd.NA
    return table


def judged_rows(outcomes: Outcomes) -> Codes:
    """Row of `outcomes.judged` that each outcome belongs to, (n_outcomes,)."""
    judged = pd.MultiIndex.from_frame(outcomes.judged[["who", "condition"]])
    who, condition = (outcomes.rows[name] for name in ("who", "condition"))
    pairs = pd.MultiIndex.from_product([who.cat.categories, condition.cat.categories])
    place = judged.get_indexer(pairs).reshape(len(who.cat.categories), len(condition.cat.categories))
    return place[who.cat.codes, condition.cat.codes].astype(np.intp)


def _codes(column: pd.Series, names: Sequence[str]) -> Codes:
    """Place in `names` of each value of a categorical column, -1 for others: (n,)."""
    return pd.Index([*names], dtype="object").get_indexer(column.cat.categories)[column.cat.codes].astype(np.intp)
