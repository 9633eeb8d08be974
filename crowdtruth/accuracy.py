"""How good raters and inferred labels are against a reference: the tables ``raters.csv`` and ``accuracy.csv``.

Definitions are in docs/methods/accuracy.md. A score without anything to divide by is missing: NaN here, an empty cell
in the file.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.metrics import accuracy, detection_scores, matthews_correlation
from crowdtruth.outcomes import (
    FALSE_NEGATIVE,
    KINDS,
    TRUE_POSITIVE,
    Outcomes,
    label_outcomes,
    rater_outcomes,
)
from crowdtruth.references import Reference, box_reference, cohort_reference, task_reference

__all__ = [
    "Outcomes",
    "Reference",
    "box_reference",
    "cohort_reference",
    "label_accuracy",
    "label_outcomes",
    "rater_accuracy",
    "rater_outcomes",
    "task_reference",
]

_COUNTS = ["n_fovs", "n_annotations", "n_true_positive", "n_false_positive", "n_false_negative"]
_SCORES = ["precision", "recall", "f1", "class_accuracy", "mcc"]
_LONG = ["who", "condition", "reference", "grouping", "metric", "class", "value", "n"]


def rater_accuracy(outcomes: Outcomes, raters: pd.DataFrame) -> pd.DataFrame:
    """Counts and scores of every rater under each condition: ``raters.csv``.

    Parameters
    ----------
    outcomes : of `rater_outcomes`
    raters : rater, cohort; gives the order of the rows

    Returns
    -------
    one row per rater × condition
        rater, cohort, condition, reference, in_reference, n_fovs, n_annotations, n_true_positive, n_false_positive,
        n_false_negative, precision, recall, f1, class_accuracy, mcc. For a crowd table everything about detection is
        missing, and n_annotations counts the ratings of tasks with a known label.

    Examples
    --------
    >>> marks = pd.DataFrame({"fov": ["f"], "rater": ["r"], "condition": ["all"], "xmin": [0.0], "ymin": [0.0],
    ...                       "xmax": [10.0], "ymax": [10.0], "label": ["a"]})
    >>> asked = pd.DataFrame({"fov": ["f"], "rater": ["r"], "condition": ["all"]})
    >>> raters = pd.DataFrame({"rater": ["r"], "cohort": ["all"]})
    >>> reference = box_reference(marks[["fov", "xmin", "ymin", "xmax", "ymax", "label"]], "itself")
    >>> judged = rater_outcomes(reference, assignments=asked, raters=raters, annotations=marks)
    >>> rater_accuracy(judged, raters)[["rater", "n_true_positive", "f1", "class_accuracy"]].values.tolist()
    [['r', 1, 1.0, 1.0]]
    """
    table = _scores(outcomes).rename(columns={"who": "rater"})
    table = raters[["rater", "cohort"]].merge(table, on="rater").reset_index(drop=True)
    return table[["rater", "cohort", "condition", "reference", "in_reference", *_COUNTS, *_SCORES]]


def label_accuracy(outcomes: Outcomes) -> pd.DataFrame:
    """The same scores and those of each class, one per row: ``accuracy.csv``.

    Parameters
    ----------
    outcomes : of `label_outcomes`, or of `rater_outcomes`

    Returns
    -------
    one row per who × condition × metric × class
        who (cohort or rater), condition, reference, grouping, metric, class (empty: all), value, n. `n` is what the
        value is a share of. Metrics of all classes: precision, recall, f1, class_accuracy, mcc; of one: recall (of its
        objects, found under any label), class_recall and class_precision (among found objects).

    Examples
    --------
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
    overall = _scores(outcomes)
    parts = [_overall_rows(overall, outcomes.has_detection), *_class_rows(outcomes, overall)]
    rows = pd.concat(parts, ignore_index=True)
    rows["grouping"] = outcomes.grouping
    rows["metric"] = pd.Categorical(rows["metric"], [*_SCORES, "class_recall", "class_precision"])
    order = rows["row"].to_numpy(), (rows["class"] != "").to_numpy(), rows["metric"].cat.codes.to_numpy()
    rows = rows.iloc[np.lexsort((rows["class"].to_numpy(object).astype(str), *order[::-1]))]
    return rows.astype({"metric": "str", "n": "int64"})[_LONG].reset_index(drop=True)


def _scores(outcomes: Outcomes) -> pd.DataFrame:
    """Counts and scores of each row of `outcomes.judged`."""
    group, kind = _groups(outcomes), _codes(outcomes.rows["outcome"], KINDS)
    n_judged = len(outcomes.judged)
    counts = np.bincount(group * len(KINDS) + kind, minlength=n_judged * len(KINDS)).reshape(n_judged, len(KINDS))
    found, wrong, missed, ignored = counts.T
    confusion = _confusions(outcomes)[0]
    table = outcomes.judged.assign(n_annotations=found + wrong + ignored)
    detection = {"n_true_positive": found, "n_false_positive": wrong, "n_false_negative": missed}
    scores = detection_scores(found, wrong, missed)._asdict()
    table = table.assign(**detection, **scores, class_accuracy=accuracy(confusion), mcc=matthews_correlation(confusion))
    table = table.astype(dict.fromkeys(_COUNTS, "Int64"))
    if not outcomes.has_detection:
        table[["n_fovs", *detection]] = pd.NA
        table[list(scores)] = np.nan
    return table


def _groups(outcomes: Outcomes) -> NDArray[np.intp]:
    """Row of `outcomes.judged` that each outcome belongs to, (n_outcomes,)."""
    judged = pd.MultiIndex.from_frame(outcomes.judged[["who", "condition"]])
    who, condition = (outcomes.rows[name] for name in ("who", "condition"))
    pairs = pd.MultiIndex.from_product([who.cat.categories, condition.cat.categories])
    place = judged.get_indexer(pairs).reshape(len(who.cat.categories), len(condition.cat.categories))
    return place[who.cat.codes, condition.cat.codes].astype(np.intp)


def _codes(column: pd.Series, names: tuple[str, ...] | list[str]) -> NDArray[np.intp]:
    """Place in `names` of each value of a categorical column, -1 for others: (n,)."""
    return pd.Index(names).get_indexer(column.cat.categories)[column.cat.codes]


def _confusions(outcomes: Outcomes) -> tuple[NDArray[np.int64], list[str]]:
    """Confusion of found objects of each judged row, (n_judged, n_classes, n_classes), and the classes."""
    is_found = (outcomes.rows["outcome"] == TRUE_POSITIVE).to_numpy()
    rows, group = outcomes.rows[is_found], _groups(outcomes)[is_found]
    classes = sorted({name for column in ("true", "assigned") for name in rows[column].unique()})
    true, assigned = (_codes(rows[column], classes) for column in ("true", "assigned"))
    n_judged, n_classes = len(outcomes.judged), len(classes)
    key = (group * n_classes + true) * n_classes + assigned
    counts = np.bincount(key, minlength=n_judged * n_classes**2)
    return counts.reshape(n_judged, n_classes, n_classes), classes


def _overall_rows(overall: pd.DataFrame, has_detection: bool) -> pd.DataFrame:
    """Scores over all classes, with the number each is a share of."""
    found, wrong, missed = (overall[f"n_{name}"] for name in ("true_positive", "false_positive", "false_negative"))
    named = found if has_detection else overall["n_annotations"]
    counts = {
        "precision": found + wrong,
        "recall": found + missed,
        "f1": found + wrong + missed,
        "class_accuracy": named,
        "mcc": named,
    }
    if not has_detection:
        counts = {name: counts[name] for name in ("class_accuracy", "mcc")}
    base = overall[["who", "condition", "reference"]].assign(row=np.arange(len(overall)))
    return pd.concat(
        [base.assign(metric=name, **{"class": ""}, value=overall[name], n=n) for name, n in counts.items()],
        ignore_index=True,
    )


def _class_rows(outcomes: Outcomes, overall: pd.DataFrame) -> list[pd.DataFrame]:
    """Scores of each class that occurs: recall of its objects, recall and precision of its name."""
    confusion, classes = _confusions(outcomes)
    right, true, assigned = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    shares = [("class_recall", right, true, classes), ("class_precision", right, assigned, classes)]
    if outcomes.has_detection:
        shares.append(_recall_by_class(outcomes))
    base = overall[["who", "condition", "reference"]]
    parts = []
    for metric, part, whole, names in shares:
        row, column = np.nonzero(whole)
        values = {
            "metric": metric,
            "class": np.array(names, object)[column],
            "value": part[row, column] / whole[row, column],
        }
        parts.append(base.iloc[row].assign(row=row, **values, n=whole[row, column]))
    return parts


def _recall_by_class(outcomes: Outcomes) -> tuple[str, NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Found and all objects of each judged row and true class, (n_judged, n_classes) each."""
    is_object = outcomes.rows["outcome"].isin([TRUE_POSITIVE, FALSE_NEGATIVE]).to_numpy()
    rows, group = outcomes.rows[is_object], _groups(outcomes)[is_object]
    classes = sorted(rows["true"].unique())
    key, shape = group * len(classes) + _codes(rows["true"], classes), (len(outcomes.judged), len(classes))
    is_found = (rows["outcome"] == TRUE_POSITIVE).to_numpy()
    found, every = (np.bincount(keys, minlength=shape[0] * shape[1]).reshape(shape) for keys in (key[is_found], key))
    return "recall", found, every, classes
