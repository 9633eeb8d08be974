"""A detector on labelled FOVs: its predictions, its scores, and those in a few lines of text."""

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from crowdtruth.files import read_table
from crowdtruth.parallel import say
from crowdtruth.problems import quoted
from crowdtruth.taxonomy import Color, Taxonomy, load_taxonomy
from nucls_model.cli.configuring import name_of_row
from nucls_model.dataset import FovDataset
from nucls_model.evaluate import Trial, evaluate, write_evaluation
from nucls_model.labelled import LabelledFovs
from nucls_model.labelled.table import image_size
from nucls_model.overlay import Scene, write_pages
from nucls_model.predict import open_image, predict_images, tiling_for
from nucls_model.train.folders import read_training_record
from nucls_model.train.log import LOSSES
from nucls_model.weights import ModelRecord

_TILE, _OVERLAP = 1024, 128  # pixels; the FOVs of the published set are smaller, and seen whole as in the paper
_WHITE = 255
DRAWN_LIMIT = 1 << 22
"""Pixels of the largest image that is drawn with what was found in it: on a page, nuclei of larger ones are dots."""

_TITLE = 32  # letters above a picture; names of FOVs are longer than pictures are wide
_MPP = 0.2  # labelled images are at the detector's resolution
_SHOWN = {
    "ap_50": "AP@.5",
    "ap_75": "AP@.75",
    "map_50_95": "mAP@.5:.95",
    "accuracy": "class accuracy",
    "mcc": "class MCC",
    "auroc_macro": "AUROC, macro",
    "median_iou": "outlines, median IOU",
    "median_dice": "outlines, median DICE",
}


def trial_of(
    model: Path, record: ModelRecord, fovs: pd.DataFrame, *, fold: int | None, trained_on: str | None, tested_on: str
) -> Trial:
    """Which detector is tested on what; FOVs that it was trained on are told.

    Without a word for what it was `trained_on`, it is the targets of a result folder, or corrected labels.
    """
    training = read_training_record(model)
    origin = training.get("labels", {})
    seen = fovs["fov"].isin(training.get("training", {}).get("fovs", []))
    if seen.any():
        say(f"{seen.sum():,} of {len(fovs):,} FOVs are those the detector was trained on: their scores are no test")
    config = record.config
    return Trial(
        fold="" if fold is None else str(fold),
        configuration=name_of_row(str(origin["configuration"]), config) if "configuration" in origin else "",
        backbone=config.backbone,
        scale_factor=config.scale_factor,
        trained_on=trained_on or (str(origin.get("targets") or "corrected") if origin else ""),
        tested_on=tested_on,
        hospitals=",".join(sorted(set(fovs["hospital"]) - {""})),
        updates=config.detector_updates,
    )


def evaluate_detector(
    detector: nn.Module,
    record: ModelRecord,
    labelled: LabelledFovs,
    places: Sequence[int],
    out: Path,
    *,
    trial: Trial,
    device: torch.device | str = "cpu",
    resample: Any = "fov",
    n_replicates: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The scores of a detector on some FOVs; predictions.csv, metrics.csv and nuclei.csv in `out`.

    Parameters
    ----------
    detector, record : as `nucls_model.weights.read_model` gives them
    labelled, places : the labels, and the rows of their FOVs
    out : folder to write to
    trial : what it is called in metrics.csv
    device : where the detector is
    resample, n_replicates, seed : of the intervals, see `nucls_model.evaluate.evaluate`

    Raises
    ------
    ValueError
        If the labels have a class that the detector does not know, or tables are wrong.
    """
    config = record.config
    if unknown := [name for name in labelled.class_names if name not in record.class_names]:
        raise ValueError(
            f"the labels have the classes {quoted(unknown)}; the detector knows {quoted(record.class_names)}"
        )
    fovs = labelled.fovs.iloc[list(places)]
    tiling = tiling_for(config, tile=_TILE, overlap=_OVERLAP)
    with TemporaryDirectory() as temporary:
        predict_images(
            detector.detect,
            _images_of(labelled, places, Path(temporary)),
            out,
            class_names=record.class_names,
            colors=record.colors,
            tiling=tiling,
            formats=("csv",),
            source_mpp=_MPP,
            device=device,
        )
    scores = evaluate(
        labelled.objects[labelled.objects["fov"].isin(fovs["fov"])],
        read_predictions(out / "predictions.csv"),
        record.class_names,
        fovs=fovs,
        level=config.class_level,
        taxonomy=_taxonomy_of(record),
        ranked_by="objectness" if tiling.is_class_agnostic else "class",
        resample=resample,
        **({} if n_replicates is None else {"n_replicates": n_replicates}),
        seed=seed,
    )
    write_evaluation(out, scores, trial)
    return scores.metrics


def copy_losses(model: Path, out: Path) -> None:
    """The losses of a detector's training beside its scores: ``losses.csv``, for figures of both."""
    if (model / LOSSES).is_file():
        shutil.copyfile(model / LOSSES, out / LOSSES)


def _images_of(labelled: LabelledFovs, places: Sequence[int], folder: Path) -> dict[str, Path]:
    """FOV -> its image; one of its part, written to a folder, where the FOV is less than its image."""
    from PIL import Image

    dataset, images = FovDataset(labelled, places), {}
    for k, row in enumerate(dataset.fovs.itertuples()):
        images[str(row.fov)] = Path(str(row.image))
        if image_size(images[str(row.fov)]) != (row.width, row.height):
            images[str(row.fov)] = folder / f"{k}.png"
            Image.fromarray(_bytes(dataset.image(k))).save(folder / f"{k}.png")
    return images


def _bytes(image: torch.Tensor) -> NDArray[np.uint8]:
    """An image (3, height, width) of fractions as (height, width, 3)."""
    return (image * _WHITE).round().byte().permute(1, 2, 0).numpy()


def draw_fovs(labelled: LabelledFovs, places: Sequence[int], out: Path, *, n_drawn: int) -> list[Path]:
    """Draw what was found in FOVs of which ``predictions.csv`` in `out` tells, evenly taken among them: PNG pages.

    Parameters
    ----------
    labelled, places : the labels, and the rows of the FOVs that were predicted
    out : folder of the predictions, for the pages too
    n_drawn : FOVs to draw at most
    """
    predictions = read_predictions(out / "predictions.csv")
    dataset = FovDataset(labelled, places)
    n_drawn = min(n_drawn, len(dataset))
    scenes = []
    for k in range(n_drawn):
        place = k * len(dataset) // n_drawn
        fov = str(dataset.fovs["fov"].iloc[place])
        pixels = _bytes(dataset.image(place))
        found, true = (table[table["fov"] == fov] for table in (predictions, labelled.objects))
        slide = str(dataset.fovs["slide"].iloc[place])
        scenes.append(Scene(f"{place + 1}. {slide or fov}"[:_TITLE], pixels, found, true))
    return write_pages(scenes, labelled.colors, out) if scenes else []


def draw_images(images: Mapping[str, Path], colors: Mapping[str, Color], out: Path, *, n_drawn: int) -> list[Path]:
    """Draw what ``predictions.csv`` in `out` tells of the first images that are small enough: a PNG page of each.

    Parameters
    ----------
    images : name -> file
    colors : of classes
    out : folder of the predictions, for the pages too
    n_drawn : images to draw at most; those of more than `DRAWN_LIMIT` pixels are passed over
    """
    predictions = read_predictions(out / "predictions.csv")
    scenes: list[Scene] = []
    for name, path in images.items():
        if len(scenes) == n_drawn:
            break
        with open_image(path) as source:
            width, height = source.sizes[0]
            if width * height <= DRAWN_LIMIT:
                found = predictions[predictions["fov"] == name]
                title = f"{len(scenes) + 1}. {name}"[:_TITLE]
                scenes.append(Scene(title, source.read(0, 0, 0, width, height), found))
    return write_pages(scenes, colors, out, per_page=1) if scenes else []  # sizes may differ widely


def read_predictions(path: Path) -> pd.DataFrame:
    """A table of predictions as it was in memory: absent outlines are ``""``."""
    frame = read_table(path, floats=("xmin", "ymin", "xmax", "ymax", "objectness", "p_ambiguous", "prob_*"))
    return frame.fillna({"coords_x": "", "coords_y": ""})


def _taxonomy_of(record: ModelRecord) -> Taxonomy | None:
    """The NuCLS scheme where the detector's classes are of it; other classes have no coarser levels."""
    taxonomy = load_taxonomy("nucls")
    known = taxonomy.grouping(record.config.class_level).classes
    return taxonomy if set(record.class_names) <= set(known) else None


def describe_scores(metrics: pd.DataFrame, level: str) -> str:
    """The scores that papers print, line by line, with their intervals."""
    overall = metrics[(metrics["class"] == "") & metrics["level"].isin(["objectness", "", level])]
    counts = overall.set_index("metric")["value"]
    lines = [f"{counts['n_true']:,.0f} nuclei, {counts['n_predicted']:,.0f} found, {counts['n_matched']:,.0f} matched"]
    shown = overall.drop_duplicates("metric").set_index("metric").reindex(list(_SHOWN)).dropna(subset="value")
    for metric, (value, low, high) in zip(shown.index, shown[["value", "low", "high"]].to_numpy(float), strict=True):
        interval = "" if math.isnan(low) else f" ({low:.3f} – {high:.3f})"  # too few FOVs have none
        lines.append(f"  {_SHOWN[metric]:<24} {value:.3f}{interval}")
    return "\n".join(lines)
