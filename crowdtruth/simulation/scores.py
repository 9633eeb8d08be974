"""From counts to numbers: the metrics of every realization, all at once, and their rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.curves import mean_of_defined
from crowdtruth.metrics import accuracy, detection_scores, matthews_correlation, one_vs_rest
from crowdtruth.simulation.experiment import Experiment
from crowdtruth.simulation.realization import Score

COLUMNS = (
    *("realization", "cohort", "condition", "reference", "grouping", "raters_per_fov", "n_fovs", "n_unique_raters"),
    *("metric", "class", "value"),
)


def metric_names(experiment: Experiment) -> list[tuple[str, str]]:
    """Metric and class of each value of a realization, in the order of the rows; the class is empty for overall ones.

    Those of `count_metric_names`, then auroc: micro, macro and of each class against the rest, among objects found.
    """
    classes = [experiment.classes[place] for place in experiment.true_classes]
    return count_metric_names(experiment) + [("auroc", name) for name in ("micro", "macro", *classes)]


def count_metric_names(experiment: Experiment) -> list[tuple[str, str]]:
    """Metric and class of each value that follows from counts.

    Detection (precision, recall, f1) is of anchors that are objects of the reference, recall by class the share found
    of the objects of a class; class_accuracy, mcc and class_mcc (a class against the rest) are among objects found.
    Crowd tables have nothing about detection.
    """
    classes = [experiment.classes[place] for place in experiment.true_classes]
    detection = [("precision", ""), ("recall", ""), ("f1", "")] if experiment.has_detection else []
    overall = [*detection, ("class_accuracy", ""), ("mcc", "")]
    by_class = ["class_mcc", "recall"] if experiment.has_detection else ["class_mcc"]
    return overall + [(metric, name) for metric in by_class for name in classes]


def metric_values(experiment: Experiment, scores: Sequence[Score]) -> NDArray[np.float64]:
    """The number of raters drawn, then the metrics of `metric_names`, of each score, (n_scores, 1 + n_metrics)."""
    n_unique_raters = np.array([[score.n_unique_raters] for score in scores])
    of_counts = count_metrics(experiment, np.stack([score.counts for score in scores]))
    areas = np.stack([score.areas for score in scores])
    by_class, micro = areas[:, experiment.true_classes], areas[:, -1:]
    return np.hstack([n_unique_raters, of_counts, micro, mean_of_defined(by_class)[:, np.newaxis], by_class])


def count_metrics(experiment: Experiment, counts: NDArray[Any]) -> NDArray[np.float64]:
    """The metrics of `count_metric_names`: counts (..., n_classes + 1, n_classes + 1) as in `Score` -> (..., n).

    Counts may be means.
    """
    confusion, missed, wrong = counts[..., :-1, :-1], counts[..., :-1, -1], counts[..., -1, :-1]
    found, true = confusion.sum(axis=-1), experiment.true_classes
    overall = [accuracy(confusion), matthews_correlation(confusion)]
    by_class = [matthews_correlation(one_vs_rest(confusion))[..., true]]
    if experiment.has_detection:
        overall = [*detection_scores(found.sum(axis=-1), wrong.sum(axis=-1), missed.sum(axis=-1)), *overall]
        by_class.append(detection_scores(found, 0, missed).recall[..., true])
    return np.concatenate([np.stack(overall, axis=-1), *by_class], axis=-1)


def redundancy_rows(
    experiment: Experiment, realizations: Sequence[int], every_k: Sequence[int], values: NDArray[np.float64]
) -> pd.DataFrame:
    """The rows of redundancy.csv: values (n_realizations, n_k, 1 + n_metrics) -> one row per value."""
    metrics = metric_names(experiment)
    n_fovs = [int((experiment.n_asked >= k).sum()) for k in every_k]
    realization, k, metric = (axis.ravel() for axis in np.indices((len(realizations), len(every_k), len(metrics))))
    names = {"cohort": experiment.cohort, "condition": experiment.condition, "reference": experiment.reference}
    rows = {
        "realization": np.asarray(realizations, dtype=np.int64)[realization],
        **{name: pd.array([text], dtype="str").repeat(len(k)) for name, text in names.items()},
        "grouping": pd.array([experiment.grouping], dtype="str").repeat(len(k)),
        "raters_per_fov": np.asarray(every_k, dtype=np.int64)[k],
        "n_fovs": np.asarray(n_fovs, dtype=np.int64)[k],
        "n_unique_raters": np.repeat(values[..., 0].ravel(), len(metrics)).astype(np.int64),
        "metric": pd.array([name for name, _ in metrics], dtype="str").take(metric),
        "class": pd.array([name for _, name in metrics], dtype="str").take(metric),
        "value": values[..., 1:].ravel(),
    }
    return pd.DataFrame(rows)[list(COLUMNS)]
