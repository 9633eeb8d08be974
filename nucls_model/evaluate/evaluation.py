"""One detector on one set of FOVs: every score of the paper's tables, and what became of every nucleus."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from crowdtruth.files import write_table
from crowdtruth.metrics import Matches, match_boxes
from crowdtruth.problems import quoted
from crowdtruth.resampling import Unit
from crowdtruth.taxonomy import AMBIGUOUS, Taxonomy
from nucls_model.evaluate.average_precision import Overlaps, overlaps_in_frames
from nucls_model.evaluate.classification import Named, coarser_levels, group_named, naming_scores
from nucls_model.evaluate.detection import class_detection_scores, objectness_scores
from nucls_model.evaluate.inputs import AMBIGUOUS_CODE, CORNERS, Codes, Floats, Found, Nuclei, read_found, read_nuclei
from nucls_model.evaluate.intervals import count_rows, resampling_of
from nucls_model.evaluate.outlines import outline_overlaps, outline_scores

MATCH_IOU = 0.5
METRICS_FILE, NUCLEI_FILE = "metrics.csv", "nuclei.csv"
MATCHED, MISSED, EXTRA, EXCUSED, UNCLEAR = "matched", "missed", "extra", "excused", "ambiguous"
NUCLEI_COLUMNS = (
    *("fov", "kind", "true", "predicted", "objectness", "box_iou", "outline_iou", "outline_dice", *CORNERS),
)


@dataclass(frozen=True)
class Trial:
    """Which detector was tested on what; empty where that has no name."""

    fold: str = ""
    configuration: str = ""  # of Table S5
    backbone: str = ""
    scale_factor: float = float("nan")
    trained_on: str = ""  # corrected, uncorrected, inferred, …
    tested_on: str = ""  # corrected, P-truth, …
    hospitals: str = ""  # of the FOVs tested on, comma list
    updates: int = 0  # of the detector's training; 0: not known


@dataclass(frozen=True)
class Evaluation:
    """The scores of a detector, and the nuclei behind them."""

    metrics: pd.DataFrame  # the columns of METRIC_COLUMNS
    nuclei: pd.DataFrame  # the columns of NUCLEI_COLUMNS


def evaluate(
    truth: pd.DataFrame,
    predictions: pd.DataFrame,
    class_names: Sequence[str],
    *,
    fovs: pd.DataFrame,
    level: str = "main",
    taxonomy: Taxonomy | None = None,
    ranked_by: Literal["objectness", "class"] = "objectness",
    resample: Unit = "fov",
    **options: Any,
) -> Evaluation:
    """Every score of a detector on some FOVs.

    Boxes: average precision over all detections. Classes and outlines: nuclei that are matched one to one at an IOU of
    0.5 or more, as many as possible, then of the largest total IOU, ambiguous ones removed before.

    Parameters
    ----------
    truth : fov, xmin, ymin, xmax, ymax, label; optionally coords_x, coords_y, has_outline
        A label is a real class, AMBIGUOUS, or undetected (no nucleus).
    predictions : fov, xmin, ymin, xmax, ymax, objectness, label, p_ambiguous, prob_<class> …; optionally outlines
    class_names : (C,) the real classes, in the detector's order
    fovs : fov, and slide where slides are resampled; every FOV the detector looked at, those without a nucleus too
    level : what `class_names` are: ``"raw"``, ``"main"``, ``"super"`` or any other name
    taxonomy : whose coarser levels are scored too, if it has this level
    ranked_by : what orders detections where all classes are one
        ``"class"``, the probability of the label, for detectors that find a nucleus once as each class (rows 1 and 5 of
        Table S5): those detections share one objectness, so the wrong class would rank as high as the right one. Which
        of them is matched then says nothing of the class, so a nucleus is named by the likeliest of its vector.
    resample : ``"fov"`` or ``"slide"``
    options : n_replicates, seed and others of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If a table lacks a column, names an FOV or a class that is not known, or holds an empty box.

    Examples
    --------
    >>> box = {"fov": "f", "xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9, "label": "sTIL"}
    >>> chances = {"objectness": 0.9, "p_ambiguous": 0.0, "prob_sTIL": 1.0}
    >>> fovs = pd.DataFrame({"fov": ["f"]})
    >>> found = evaluate(pd.DataFrame([box]), pd.DataFrame([{**box, **chances}]), ["sTIL"], fovs=fovs, level="super")
    >>> found.metrics[["metric", "level", "value"]].head(3).values.tolist()
    [['ap_50', 'objectness', 1.0], ['ap_75', 'objectness', 1.0], ['map_50_95', 'objectness', 1.0]]
    """
    names = _fov_names(fovs)
    nuclei, found = read_nuclei(truth, names, class_names), read_found(predictions, names, class_names)
    resampling = resampling_of(fovs, names, resample, **options)
    overlaps = overlaps_in_frames(found.boxes, found.fov, nuclei.boxes, nuclei.fov)
    match = _match(found, nuclei)
    iou, dice = outline_overlaps(found.outlines.iloc[match.row], nuclei.outlines.iloc[match.reference_row])
    score, named = found.objectness, found.label
    if ranked_by == "class":
        score, named = found.class_score, found.probabilities.argmax(axis=1)
    levels = _levels(found, named, nuclei, match, class_names=class_names, level=level, taxonomy=taxonomy)
    tables = [
        objectness_scores(found, score, nuclei, overlaps, resampling),
        class_detection_scores(found, nuclei, overlaps, resampling, class_names=class_names, level=level),
        *(naming_scores(named, resampling) for named in levels),
        outline_scores(found.fov[match.row], iou, dice, resampling),
        count_rows("", _counts(found, nuclei, match, iou)),
    ]
    table = _nuclei(found, named, nuclei, match, overlaps, outline=(iou, dice), fovs=names, class_names=class_names)
    return Evaluation(pd.concat(tables, ignore_index=True), table)


def write_evaluation(folder: Path, evaluation: Evaluation, trial: Trial) -> None:
    """Write ``metrics.csv``, its first columns saying which trial it is, and ``nuclei.csv`` into a folder.

    Raises
    ------
    WriteError
        If a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = pd.DataFrame([asdict(trial)] * len(evaluation.metrics))
    write_table(pd.concat([first, evaluation.metrics], axis=1), folder / METRICS_FILE)
    write_table(evaluation.nuclei, folder / NUCLEI_FILE)


def _fov_names(fovs: pd.DataFrame) -> list[str]:
    """Names of the FOVs, sorted, each once."""
    names = fovs["fov"].astype(str)
    if names.duplicated().any():
        raise ValueError(f"every FOV once, please: {quoted(sorted(set(names[names.duplicated()])))} come twice")
    return sorted(names)


def _match(found: Found, nuclei: Nuclei) -> Matches:
    """One-to-one matches of detections and nuclei that are not ambiguous."""
    clear = np.flatnonzero(nuclei.label != AMBIGUOUS_CODE)
    match = match_boxes(
        found.boxes,
        nuclei.boxes[clear],
        iou_threshold=MATCH_IOU,
        frame=found.fov,
        reference_frame=nuclei.fov[clear],
    )
    return match._replace(reference_row=clear[match.reference_row])


def _levels(
    found: Found,
    named: Codes,
    nuclei: Nuclei,
    match: Matches,
    *,
    class_names: Sequence[str],
    level: str,
    taxonomy: Taxonomy | None,
) -> list[Named]:
    """The matched nuclei at the detector's level, and at those above it; `named` (n_found,) are codes of classes."""
    own = Named(
        level,
        tuple(class_names),
        found.fov[match.row],
        nuclei.label[match.reference_row],
        named[match.row],
        found.probabilities[match.row],
    )
    if taxonomy is None or level not in ("raw", *taxonomy.levels):
        return [own]
    above = coarser_levels(class_names, level, taxonomy)
    return [own, *(group_named(own, name, group_of) for name, group_of in above.items())]


def _counts(found: Found, nuclei: Nuclei, match: Matches, outline_iou: Floats) -> dict[str, int]:
    """Numbers of nuclei, of outlines, and of what was compared."""
    is_clear = nuclei.label != AMBIGUOUS_CODE
    has_outline = (nuclei.outlines["coords_x"] != "").to_numpy()
    return {
        "n_true": int(is_clear.sum()),
        "n_ambiguous": int((~is_clear).sum()),
        "n_predicted": len(found.fov),
        "n_matched": len(match.row),
        "n_outlined": int((is_clear & has_outline).sum()),
        "n_outlined_matched": int(has_outline[match.reference_row].sum()),
        "n_outlines_compared": int((~np.isnan(outline_iou)).sum()),
    }


def _nuclei(
    found: Found,
    named: Codes,
    nuclei: Nuclei,
    match: Matches,
    overlaps: Overlaps,
    *,
    outline: tuple[Floats, Floats],
    fovs: Sequence[str],
    class_names: Sequence[str],
) -> pd.DataFrame:
    """One row per true nucleus, then one per detection without one; boxes are the true ones where there is one."""
    true_names = np.array([*class_names, AMBIGUOUS], object)  # the code of AMBIGUOUS, -1, is the last
    there = pd.DataFrame(nuclei.boxes, columns=CORNERS).assign(fov=nuclei.fov, true=true_names[nuclei.label])
    there["kind"] = np.where(nuclei.label == AMBIGUOUS_CODE, UNCLEAR, MISSED)
    at = match.reference_row
    there.loc[at, "kind"] = MATCHED
    there.loc[at, "predicted"] = true_names[named[match.row]]
    for name, values in (
        ("objectness", found.objectness[match.row]),
        ("box_iou", match.iou),
        ("outline_iou", outline[0]),
        ("outline_dice", outline[1]),
    ):
        there.loc[at, name] = values
    alone = np.setdiff1d(np.arange(len(found.fov)), match.row)
    on_ambiguous = np.unique(overlaps.detection[nuclei.label[overlaps.nucleus] == AMBIGUOUS_CODE])
    extra = pd.DataFrame(found.boxes[alone], columns=CORNERS).assign(
        fov=found.fov[alone],
        kind=np.where(np.isin(alone, on_ambiguous), EXCUSED, EXTRA),
        predicted=true_names[found.label[alone]],
        objectness=found.objectness[alone],
    )
    table = pd.concat([there, extra], ignore_index=True)
    table["fov"] = np.asarray(fovs, object)[table["fov"].to_numpy(np.intp)]
    table[["true", "predicted"]] = table[["true", "predicted"]].fillna("")
    return table[[*NUCLEI_COLUMNS]]
