"""Predictions written as they come: a CSV table, a COCO file, and GeoJSON for QuPath; whole or not at all.

Coordinates are pixels of the image's finest level. Every format holds the probabilities of all classes and the outline.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unicodedata import category

import pandas as pd

from crowdtruth.checks import CORNERS
from crowdtruth.files import atomic_write, inside
from crowdtruth.taxonomy import Color

FORMATS: Mapping[str, str] = {
    "csv": "predictions.csv, one row per object",
    "coco": "predictions.json, one COCO file of all images",
    "geojson": "geojson/FOV.geojson, one file per image for QuPath",
}
"""What can be written, and where."""

GREY: Color = (128, 128, 128)
"""The colour of a class that has none."""

_PROBABILITY = "prob_"
Add = Callable[[pd.DataFrame], None]


def prediction_columns(class_names: Sequence[str]) -> list[str]:
    """The columns of a table of predictions.

    Examples
    --------
    >>> prediction_columns(["a"])
    ['fov', 'xmin', 'ymin', 'xmax', 'ymax', 'objectness', 'label', 'prob_a', 'p_ambiguous', 'coords_x', 'coords_y']
    """
    probabilities = [f"{_PROBABILITY}{name}" for name in class_names]
    return ["fov", *CORNERS, "objectness", "label", *probabilities, "p_ambiguous", "coords_x", "coords_y"]


@contextmanager
def csv_writer(path: Path, class_names: Sequence[str]) -> Iterator[Add]:
    """A function that adds rows to a CSV table of predictions; the file appears when the block ends."""
    columns = prediction_columns(class_names)
    with atomic_write(path, text=True) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        yield lambda rows: writer.writerows(rows[columns].itertuples(index=False))


@contextmanager
def coco_writer(path: Path, class_names: Sequence[str], images: Mapping[str, tuple[str, int, int]]) -> Iterator[Add]:
    """A function that adds rows to a COCO file; the file appears when the block ends.

    Parameters
    ----------
    path : file to write
    class_names : categories, numbered from 1
    images : FOV -> file name, width, height; filled before rows of that FOV are added, written at the end
    """
    category_of = {name: number for number, name in enumerate(class_names, start=1)}
    image_of: dict[str, int] = {}
    n_written = 0

    def add(rows: pd.DataFrame) -> None:
        nonlocal n_written
        for row in rows.to_dict("records"):
            image = image_of.setdefault(row["fov"], len(image_of) + 1)
            entry = _annotation(row, n_written + 1, image, category_of)
            handle.write((",\n" if n_written else "\n") + json.dumps(entry, allow_nan=False))
            n_written += 1

    with atomic_write(path, text=True) as handle:
        handle.write('{"annotations": [')
        yield add
        pictures = [
            {"id": image_of.setdefault(fov, len(image_of) + 1), "fov": fov, "file_name": name, "width": w, "height": h}
            for fov, (name, w, h) in images.items()
        ]
        categories = [{"id": number, "name": name} for name, number in category_of.items()]
        rest = json.dumps({"images": pictures, "categories": categories}, ensure_ascii=False)
        handle.write("\n],\n" + rest.removeprefix("{") + "\n")


def _annotation(row: Mapping[Any, Any], number: int, image: int, category_of: Mapping[str, int]) -> dict[str, Any]:
    """One object as COCO has it, with everything known of its class beside."""
    width, height = row["xmax"] - row["xmin"], row["ymax"] - row["ymin"]
    entry = {
        "id": number,
        "image_id": image,
        "category_id": category_of[row["label"]],
        "bbox": [row["xmin"], row["ymin"], width, height],
        "area": width * height,
        "iscrowd": 0,
        "score": row["objectness"],
        "probabilities": {name: row[f"{_PROBABILITY}{name}"] for name in category_of},
        "p_ambiguous": row["p_ambiguous"],
    }
    ring = ring_of(row)
    return entry | ({"segmentation": [[value for point in ring for value in point]]} if ring else {})


def ring_of(row: Mapping[Any, Any]) -> list[list[float]]:
    """The points x, y of the outline in a row of a table; none where it is empty or missing.

    Examples
    --------
    >>> ring_of({"coords_x": "0,2,2", "coords_y": "0,0,1.5"})
    [[0, 0], [2, 0], [2, 1.5]]
    """
    if pd.isna(row["coords_x"]) or not row["coords_x"]:
        return []
    x, y = (json.loads(f"[{row[name]}]") for name in ("coords_x", "coords_y"))
    return [list(point) for point in zip(x, y, strict=True)]


@contextmanager
def geojson_writer(path: Path, class_names: Sequence[str], colors: Mapping[str, Color]) -> Iterator[Add]:
    """A function that adds rows to a FeatureCollection as QuPath reads it; the file appears when the block ends."""
    n_written = 0

    def add(rows: pd.DataFrame) -> None:
        nonlocal n_written
        for row in rows.to_dict("records"):
            feature = _feature(row, class_names, colors)
            handle.write((",\n" if n_written else "\n") + json.dumps(feature, ensure_ascii=False, allow_nan=False))
            n_written += 1

    with atomic_write(path, text=True) as handle:
        handle.write('{"type": "FeatureCollection", "features": [')
        yield add
        handle.write("\n]}\n")


def _feature(row: Mapping[Any, Any], class_names: Sequence[str], colors: Mapping[str, Color]) -> dict[str, Any]:
    """One object as QuPath has it: its outline, or its box where there is none."""
    xmin, ymin, xmax, ymax = (row[name] for name in CORNERS)
    ring = ring_of(row) or [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]]
    measurements = {"objectness": row["objectness"]}
    measurements |= {f"probability {name}": row[f"{_PROBABILITY}{name}"] for name in class_names}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {
            "objectType": "detection",
            "classification": {"name": row["label"], "color": list(colors.get(row["label"], GREY))},
            "measurements": measurements | {"probability ambiguous": row["p_ambiguous"]},
        },
    }


def check_name(fov: str) -> None:
    """Refuse an FOV whose name is no line of text: a terminal would obey it, and no table could hold it.

    Raises
    ------
    ValueError
        If the name is empty, or holds control characters or bytes that are no characters.
    """
    if not fov or any(category(letter) in ("Cc", "Cs") for letter in fov):
        raise ValueError(f"FOV {fov!a}: expected a name without control characters and line breaks, in UTF-8")


def geojson_path(folder: Path, fov: str) -> Path:
    """Where the GeoJSON of an FOV goes.

    Raises
    ------
    ValueError
        If the FOV's name is no file name.
    """
    if "/" in fov or "\\" in fov:
        raise ValueError(f"FOV {fov!r}: expected a name without slashes, its GeoJSON file is called after it")
    return inside(folder, f"{fov}.geojson")


@contextmanager
def all_writers(writers: Sequence[Any]) -> Iterator[Add]:
    """One function that adds rows to several outputs; if the block fails, none of them appears."""
    with ExitStack() as stack:
        adds = [stack.enter_context(writer) for writer in writers]

        def add(rows: pd.DataFrame) -> None:
            for each in adds:
                each(rows)

        yield add
