"""Small sources of labels on disk: a NuCLS folder, a result folder of a run, images of a study."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from crowdtruth.clustering import cluster_annotations
from crowdtruth.files import write_table
from crowdtruth.formats.taxonomy_file import write_taxonomy_file
from crowdtruth.ratings import rate_anchors
from crowdtruth.study import Study
from crowdtruth.synthetic import synthesise
from crowdtruth.training import training_table
from crowdtruth.truth import infer_labels

COLUMNS = "raw_classification,main_classification,super_classification,type,xmin,ymin,xmax,ymax,coords_x,coords_y"
STEM = "TCGA-{hospital}-A{number:03d}-DX1"

RECTANGLE = ("tumor", "rectangle", (5, 5, 25, 30), "5,25,25,5", "5,5,30,30")
POLYLINE = ("lymphocyte", "polyline", (30, 10, 42, 22), "30,36,42,36", "16,10,16,22")
UNLABELED = ("unlabeled", "rectangle", (40, 40, 55, 60), "40,55,55,40", "40,40,60,60")


def write_image(path: Path, width: int = 64, height: int = 64) -> None:
    """A plain image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (200, 150, 180)).save(path)


def write_fov(folder: Path, number: int = 0, *, hospital: str = "A2", rows=(RECTANGLE, POLYLINE, UNLABELED)) -> str:
    """One FOV of a NuCLS folder, 64 × 64 pixels: its table and image; returns its name."""
    stem = STEM.format(hospital=hospital, number=number)
    lines = [
        f'{label},,,{kind},{",".join(map(str, box))},"{x}","{y}"'
        if x
        else f"{label},,,{kind},{','.join(map(str, box))},,"
        for label, kind, box, x, y in rows
    ]
    (folder / "csv").mkdir(parents=True, exist_ok=True)
    (folder / "csv" / f"{stem}.csv").write_text("\n".join([COLUMNS, *lines]) + "\n")
    write_image(folder / "rgb" / f"{stem}.png")
    return stem


def paint_mask(path: Path, pieces: list[tuple[int, int, int, np.ndarray]], *, side: int = 64) -> None:
    """A mask image: (code, second, third channel, pixels (side, side)) of each instance, painted in order."""
    mask = np.zeros((side, side, 3), dtype=np.uint8)
    mask[...] = 253, 1, 2
    for code, second, third, pixels in pieces:
        mask[pixels] = code, second, third
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def disc(x: float, y: float, radius: float, *, side: int = 64) -> np.ndarray:
    """Pixels (side, side) of a disc around (x, y)."""
    rows, columns = np.mgrid[:side, :side]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


@dataclasses.dataclass(frozen=True)
class Result:
    """A study with images, and the result folder of its run."""

    study: Study
    tables: dict[str, pd.DataFrame]
    study_folder: Path
    folder: Path


def write_result(folder: Path, *, min_detections: int = 1, n_fovs: int = 4) -> Result:
    """The tables that a run writes on a synthetic study, cohort P under condition E, and the study's images."""
    study = synthesise("nucls", n_fovs=n_fovs, seed=3).study
    study = dataclasses.replace(study, fovs=study.fovs.assign(image=[f"rgb/{fov}.png" for fov in study.fovs["fov"]]))
    located = cluster_annotations(study.annotations, iou_threshold=0.25)
    ratings = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    assert study.taxonomy is not None
    used = [name for name in study.taxonomy.classes if name in set(ratings["label"])]
    truth = infer_labels(
        ratings,
        located.anchors,
        cohorts={"P": ["SP", "JP"], "NP": ["NP"]},
        conditions=["E"],
        classes=used,
        min_detections=min_detections,
    ).truth
    training = training_table(
        truth,
        located.anchors,
        located.members,
        study.annotations,
        cohort="P",
        condition="E",
        raters=study.raters.loc[study.raters["cohort"] != "NP", "rater"],
    )
    tables = {"fovs": study.fovs, "anchors": located.anchors, "ratings": ratings, "truth": truth, "training": training}
    source, out = folder / "study", folder / "results"
    out.mkdir(parents=True)
    for name, table in tables.items():
        write_table(table, out / f"{name}.csv")
    write_taxonomy_file(study.taxonomy, out)
    options = {"cohort": ["P=SP+JP", "NP"], "min_detections": min_detections, "classes": None}
    (out / "run.json").write_text(json.dumps({"study": str(source), "options": options}))
    for row in study.fovs.itertuples():
        write_image(source / row.image, int(row.width), int(row.height))
    return Result(study, tables, source, out)
