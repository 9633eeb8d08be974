"""Images in, predictions out: every image by its tiles, and what is found kept on disk until its seams are merged."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from crowdtruth.checks import CORNERS
from crowdtruth.parallel import say, track
from crowdtruth.problems import quoted
from crowdtruth.taxonomy import Color
from nucls_model.predict.found import Counts, Detect, Found, find_objects, read_ahead
from nucls_model.predict.images import check_image, open_image
from nucls_model.predict.outputs import (
    FORMATS,
    Add,
    all_writers,
    check_name,
    coco_writer,
    csv_writer,
    geojson_path,
    geojson_writer,
)
from nucls_model.predict.seams import keep_once
from nucls_model.predict.spool import spooled, unspooled
from nucls_model.predict.tiles import SEAM, Tiling, count_tiles, make_tiles
from nucls_model.predict.views import MPP, View, make_view

_BOX_DECIMALS, _POINT_DECIMALS, _PROBABILITY_DECIMALS = 3, 2, 6


def predict_images(
    detect: Detect,
    images: Mapping[str, Path],
    out: str | Path,
    *,
    class_names: Sequence[str],
    colors: Mapping[str, Color],
    tiling: Tiling | None = None,
    formats: Sequence[str] = tuple(FORMATS),
    mpp: float = MPP,
    source_mpp: float | None = None,
    level: int | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, int]:
    """Find the objects of images of any size and write them as CSV, COCO and GeoJSON.

    Two tiles of an image are in memory at a time, and of every object found only its box. Tiles overlap: an object
    belongs to the tile in whose core its centre lies, and where two tiles still tell of one object, it is kept once.

    Parameters
    ----------
    detect : a list of images (3, height, width) from 0 to 1 -> what is in each; `Nucls.detect`
    images : FOV -> file
    out : folder to write to; made if it is not there
    class_names : (C,) names of the columns of the detector's probabilities
    colors : class -> red, green, blue, for GeoJSON
    tiling : sides and overlap of tiles, and the detector's own suppression rule
    formats : of `FORMATS`
    mpp : µm per pixel that the detector was trained for
    source_mpp : µm per pixel of the images, where the files do not say or are wrong
    level : level of a slide to read in place of the one chosen
    device : where the detector is

    Returns
    -------
    dict
        FOV -> number of objects.

    Raises
    ------
    ValueError
        If an image is missing, of an unknown kind, damaged or too large, or an FOV's name is none, before any is
        worked on where possible.
    WriteError
        If a file cannot be written. Files appear whole: the table and COCO at the end, GeoJSON image by image.
    """
    out, tiling = Path(out), tiling or Tiling()
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ValueError(f"no format {quoted(unknown)} to write predictions in; there are {quoted(FORMATS)}")
    for fov, path in images.items():
        check_image(path)
        check_name(fov)
        if "geojson" in formats:
            geojson_path(out / "geojson", fov)
    (out / "geojson" if "geojson" in formats else out).mkdir(parents=True, exist_ok=True)
    known: dict[str, tuple[str, int, int]] = {}
    n_found = {}
    with all_writers(_common_writers(out, formats, class_names, known)) as add:
        for fov, path in _followed(images):
            with open_image(path) as source:
                view = make_view(source, mpp=mpp, source_mpp=source_mpp, level=level)
                known[fov] = (Path(path).name, *view.size)
                of_image: list[AbstractContextManager[Add]] = []
                if "geojson" in formats:
                    of_image.append(geojson_writer(geojson_path(out / "geojson", fov), class_names, colors))
                with all_writers(of_image) as add_to_image:
                    as_rows = partial(_rows, view=view, fov=fov, class_names=class_names)
                    n_found[fov] = _predict(
                        _on(device, detect),
                        view,
                        tiling,
                        as_rows=as_rows,
                        adds=(add, add_to_image),
                        folder=out,
                        is_alone=len(images) == 1,
                    )
    return n_found


def _followed(images: Mapping[str, Path]) -> Iterable[tuple[str, Path]]:
    """The images, with a bar if they are several; the tiles of a single one have the bar instead."""
    return track(images.items(), "finding objects in images", len(images)) if len(images) > 1 else images.items()


def _on(device: torch.device | str, detect: Detect) -> Detect:
    """A detector on a device, for images on the CPU."""
    return lambda images: detect([image.to(device) for image in images])


def _common_writers(
    out: Path, formats: Sequence[str], class_names: Sequence[str], images: Mapping[str, tuple[str, int, int]]
) -> list[AbstractContextManager[Add]]:
    """The outputs that all images share."""
    writers: list[AbstractContextManager[Add]] = []
    if "csv" in formats:
        writers.append(csv_writer(out / "predictions.csv", class_names))
    if "coco" in formats:
        writers.append(coco_writer(out / "predictions.json", class_names, images))
    return writers


def _predict(
    detect: Detect,
    view: View,
    tiling: Tiling,
    *,
    as_rows: Callable[[Found], pd.DataFrame],
    adds: Sequence[Add],
    folder: Path,
    is_alone: bool,
) -> int:
    """Find the objects of one image, keep each once, and hand the rows to the outputs; how many there are.

    Rows wait in a file without a name in `folder`, which is gone when the process ends, however it ends.
    """
    counts = Counts()
    tiles = make_tiles(view.width, view.height, tiling)
    n_tiles = count_tiles(view.width, view.height, tiling)
    corners: list[_Corners] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        with spooled(file) as put:
            pieces = read_ahead(view, tiles)
            for piece in track(pieces, f"tiles of {view.name}", n_tiles) if is_alone else pieces:
                for found in find_objects(detect, piece, (view.width, view.height), tiling, counts):
                    rows = as_rows(found)
                    score = found.objectness if tiling.is_class_agnostic else found.class_score
                    corners.append((rows[list(CORNERS)].to_numpy(), score, found.claim, found.label))
                    put(rows)
        stays = _merged(corners, tiling)
        for rows in unspooled(file, stays):
            for add in adds:
                add(rows)
    _tell(view.name, counts, tiling)
    return int(stays.sum())


_Corners = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int8], NDArray[np.int64]]


def _rows(found: Found, view: View, fov: str, class_names: Sequence[str]) -> pd.DataFrame:
    """Objects of one tile as rows of the table of predictions, in pixels of the image's finest level."""
    boxes = (found.boxes * view.scale).clip(0, view.size * 2).round(_BOX_DECIMALS)
    points = [(ring * view.scale).clip(0, view.size).round(_POINT_DECIMALS) for ring in found.outlines]
    probabilities = found.probabilities.round(_PROBABILITY_DECIMALS)
    columns: dict[str, Any] = {"fov": fov} | dict(zip(CORNERS, boxes.T, strict=True))
    columns["objectness"] = found.objectness.round(_PROBABILITY_DECIMALS)
    columns["label"] = np.array(class_names, dtype=object)[found.label]
    columns |= {f"prob_{name}": probabilities[:, n] for n, name in enumerate(class_names)}
    columns["p_ambiguous"] = found.ambiguous.round(_PROBABILITY_DECIMALS)
    for axis, name in enumerate(("coords_x", "coords_y")):
        columns[name] = [",".join(map(str, ring[:, axis].tolist())) for ring in points]
    frame = pd.DataFrame(columns, index=range(len(boxes)))
    return frame.astype({"fov": "str", "label": "str", "coords_x": "str", "coords_y": "str"})


def _merged(corners: Sequence[_Corners], tiling: Tiling) -> NDArray[np.bool_]:
    """Which objects stay, tile after tile: each once over all seams."""
    if not corners:
        return np.zeros(0, dtype=np.bool_)
    boxes, score, claim, label = (np.concatenate(parts) for parts in zip(*corners, strict=True))
    groups = np.zeros_like(label) if tiling.is_class_agnostic else label
    return keep_once(boxes, score, claim, groups, iou=tiling.nms_iou)


def _tell(name: str, counts: Counts, tiling: Tiling) -> None:
    """What the user should know of how an image was seen."""
    if counts.glass:
        say(f"{name}: {counts.glass:,} of {counts.tiles:,} tiles have no stained pixel and were passed over")
    if counts.full:
        say(
            f"{name}: {counts.full:,} of the smallest tiles still hold {tiling.max_detections} objects, the most the "
            "detector returns; objects may be missing there"
        )
    if counts.cut:
        longest = tiling.overlap - 2 * SEAM
        say(
            f"{name}: {counts.cut:,} objects reach over their tile; objects longer than {longest:g} pixels at the "
            "detector's resolution need a larger overlap"
        )
