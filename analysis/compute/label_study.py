"""A painted study of moderately reliable raters, the labels that come of it, and how far these are from the truth."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.checks import CORNERS
from crowdtruth.metrics import accuracy, confusion_matrix, detection_scores, match_boxes, matthews_correlation
from crowdtruth.options import RunOptions
from crowdtruth.pipeline import run_study
from crowdtruth.synthetic import (
    CohortParameters,
    ConditionParameters,
    SyntheticParameters,
    load_preset,
    synthesise,
)
from crowdtruth.taxonomy import AMBIGUOUS
from nucls_model.dataset import class_targets
from nucls_model.evaluate.outlines import outline_overlaps
from nucls_model.labelled import TARGETS, LabelledFovs, read_labelled
from nucls_model.painted import paint_study

LEVEL: Final = "main"
TRUTH = "truth"
"""The kind of labels nobody has: the nuclei as they were painted. A detector that learns from them is the ceiling."""

KINDS = ("majority", "inferred", "posterior", TRUTH)
"""What detectors learn from, in the order of the table."""

MATCH_IOU = 0.5
_HOSPITALS, _UNSEEN_HOSPITALS = ("H1", "H2", "H3", "H4"), ("H5", "H6")
_COHORT, _CONDITION = "R", "E"

# true class -> probability of a mark, then of each wrong name; the rest is right
_RATES: dict[str, tuple[float, dict[str, float]]] = {
    "tumor": (0.88, {"fibroblast": 0.08, "unlabeled": 0.05, "lymphocyte": 0.05}),
    "fibroblast": (0.70, {"tumor": 0.12, "unlabeled": 0.08, "lymphocyte": 0.05}),
    "lymphocyte": (0.85, {"plasma_cell": 0.18, "unlabeled": 0.04, "tumor": 0.03}),
    "plasma_cell": (0.85, {"lymphocyte": 0.30, "tumor": 0.05}),
    "unlabeled": (0.50, {"lymphocyte": 0.25, "tumor": 0.25, "fibroblast": 0.20}),
}

_RATERS = CohortParameters(
    name=_COHORT,
    n_raters=8,
    detection={name: seen for name, (seen, _) in _RATES.items()},
    distractor_detection=0.25,
    detection_sd=0.5,
    confusion={name: wrong for name, (_, wrong) in _RATES.items()},
    confusion_concentration=6.0,  # raters differ: of a class they name right three times in four, sd .16
    false_labels={"unlabeled": 0.4, "lymphocyte": 0.25, "fibroblast": 0.2, "tumor": 0.15},
    false_marks_per_fov=0.4,
    false_marks_log_sd=0.6,
    box_shift=0.06,
    box_scale=0.1,
    click_sd=0.5,
)


def study_parameters(n_fovs: int) -> SyntheticParameters:
    """Eight moderately reliable raters, three of them asked in each FOV, with suggested outlines to click on.

    The tissue is that of the preset ``demo`` with its five common classes alone (unlabeled ones are ambiguous), in
    smaller FOVs: a detector that learns for minutes does not learn the rare ones.

    Examples
    --------
    >>> parameters = study_parameters(4)
    >>> parameters.conditions[0].asked, len(parameters.tissue.classes)
    ({'R': 3}, 5)
    """
    demo = load_preset("demo")
    tissue = replace(
        demo.tissue,
        classes=tuple(one for one in demo.tissue.classes if one.name in _RATES),
        hospitals=dict.fromkeys(_HOSPITALS, 1.0),
        n_slides=24,
        fov_side=200,
        nuclei_median=16.0,
        nuclei_min=6,
        nuclei_max=40,
        distractors_per_fov=3.0,
    )
    suggestions = demo.conditions[-1].suggestions
    condition = ConditionParameters(_CONDITION, {_COHORT: 3}, suggestions)
    return SyntheticParameters(tissue, (_RATERS,), (condition,), n_fovs=n_fovs)


def unseen_parameters(n_fovs: int) -> SyntheticParameters:
    """The same tissue at two other hospitals, stained otherwise; what raters said there is not looked at."""
    known = study_parameters(n_fovs)
    tissue = replace(known.tissue, hospitals=dict.fromkeys(_UNSEEN_HOSPITALS, 1.0), n_slides=16)
    return replace(known, tissue=tissue)


def make_labels(folder: Path, n_fovs: int, n_unseen: int, *, seed: int, jobs: int = 1) -> pd.DataFrame:
    """Paint a study, infer its labels, paint FOVs that are unseen; judge the labels.

    Parameters
    ----------
    folder : receives ``painted`` and ``unseen`` (pictures and truth) and ``results`` (of `crowdtruth run`)
    n_fovs, n_unseen : FOVs to learn from, and to be judged on
    seed : of tissue and raters

    Returns
    -------
    one row per kind of labels and score
        kind, metric, value: see `judge_labels`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paint_study(synthesise(study_parameters(n_fovs), seed=2 * seed), folder / "painted")
    paint_study(synthesise(unseen_parameters(n_unseen), seed=2 * seed + 1), folder / "unseen")
    # what is not read here is asked for as little as may be: accuracies, redundancy
    options = RunOptions(train_on=f"{_COHORT}@{_CONDITION}", replicates=20, realizations=1, report=False, seed=seed)
    run_study(folder / "painted" / "study", folder / "results", options, jobs=jobs)
    true = labels_of(folder, TRUTH)
    return pd.concat([judge_labels(labels_of(folder, kind), true).assign(kind=kind) for kind in KINDS])


def labels_of(folder: Path, kind: str) -> LabelledFovs:
    """The labels of a kind, of the FOVs to learn from, in a folder of `make_labels`."""
    if kind in TARGETS:
        return read_labelled(folder / "results", LEVEL, targets=kind)  # type: ignore[arg-type]
    return read_labelled(folder / "painted" / "truth", LEVEL)


def unseen_labels(folder: Path) -> LabelledFovs:
    """The truth of the FOVs to be judged on, in a folder of `make_labels`."""
    return read_labelled(folder / "unseen" / "truth", LEVEL)


def judge_labels(labels: LabelledFovs, true: LabelledFovs) -> pd.DataFrame:
    """How far labels to learn from are from the truth.

    Objects are matched one to one with true nuclei at an IOU of .5; those on an ambiguous nucleus count neither way.
    What a matched nucleus is called is scored where a class is learned from it: not where its label is AMBIGUOUS.

    Parameters
    ----------
    labels, true : of the same FOVs

    Returns
    -------
    columns metric, value
        n_objects; precision, recall; accuracy and mcc of the most probable class; brier, the squared distance of the
        class probabilities that are learned from the true class, over the weight they are learned with (0 is best,
        2 worst); mean_dice of outlines.
    """
    objects, nuclei = labels.objects[labels.is_object], true.objects[true.is_object]
    fovs = pd.Index(true.fovs["fov"])
    match = match_boxes(
        objects[CORNERS],
        nuclei[CORNERS],
        iou_threshold=MATCH_IOU,
        frame=fovs.get_indexer(objects["fov"]),
        reference_frame=fovs.get_indexer(nuclei["fov"]),
    )
    is_clear = (nuclei["label"] != AMBIGUOUS).to_numpy()
    on_clear = is_clear[match.reference_row]
    n_right = int(on_clear.sum())
    found = detection_scores(n_right, len(objects) - len(match.row), is_clear.sum() - n_right)
    ours, theirs = objects.iloc[match.row[on_clear]], nuclei.iloc[match.reference_row[on_clear]]
    outlines = ["coords_x", "coords_y"]
    dice = outline_overlaps(ours[outlines], theirs[outlines])[1]
    scores = {
        "n_objects": len(objects),
        "precision": found.precision,
        "recall": found.recall,
        **_naming(ours, theirs, true.class_names),
        "mean_dice": dice[~np.isnan(dice)].mean() if (~np.isnan(dice)).any() else np.nan,
    }
    return pd.DataFrame({"metric": list(scores), "value": [float(value) for value in scores.values()]})


def _naming(objects: pd.DataFrame, nuclei: pd.DataFrame, class_names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Scores of class targets, row by row beside the true nuclei."""
    targets, weights = (tensor.numpy().astype(float) for tensor in class_targets(objects, class_names))
    is_taught = weights > 0
    targets, weights = targets[is_taught], weights[is_taught]
    names = np.array(class_names, object)
    true = nuclei["label"].to_numpy()[is_taught]
    confusion = confusion_matrix(true, names[targets.argmax(axis=1)], class_names)
    squares = ((targets - (true[:, None] == names)) ** 2).sum(axis=1)
    brier = (weights * squares).sum() / weights.sum() if len(weights) else np.nan
    return {"accuracy": accuracy(confusion), "mcc": matthews_correlation(confusion), "brier": np.asarray(brier)}
