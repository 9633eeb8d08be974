"""COCO files of several raters: ``rater_id`` on annotations, ``rater_list`` on images.

What COCO has no key for is written beside it and read back: ``raters`` (cohorts), ``assignments`` (conditions),
``reference`` and ``taxonomy`` at the top; ``condition``, ``kind``, ``corners`` (where width and height cannot say them
exactly) and ``created`` on annotations; ``fov``, ``image``, ``slide``, ``hospital``, ``mpp`` on images.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from crowdtruth.cells import Cells, check_readable
from crowdtruth.checks import CORNERS, FOV_NUMBERS
from crowdtruth.files import atomic_write
from crowdtruth.formats.taxonomy_file import taxonomy_content, taxonomy_from
from crowdtruth.problems import StudyError, numbered_source, quoted
from crowdtruth.study import Study, make_study
from crowdtruth.taxonomy import Taxonomy

LARGEST_FILE = 1 << 29
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LISTS = ("images", "annotations", "categories")


def read_coco(path: Path, *, taxonomy: Taxonomy | None = None, normalise_labels: bool = False) -> Study:
    """The study in a COCO file; boxes are ``[x, y, width, height]``, the FOV is the image's file name.

    Parameters
    ----------
    path : JSON file of at most 512 MB
    taxonomy : class scheme the categories must be in; default: the one in the file, or none
    normalise_labels : read categories typed by hand as the class they mean

    Raises
    ------
    StudyError
        If it is not such a file, and with entry, key and reason of every problem.
    """
    content = load_json(path)
    if not isinstance(content, dict) or not all(_is_list_of_objects(content.get(key)) for key in _LISTS):
        raise StudyError(
            f"{path.name}: expected an object with the lists {quoted(_LISTS)} of objects, as COCO files have"
        )
    fov_of = _by_id(content["images"], _fov_name, f"{path.name}, images")
    label_of = _by_id(content["categories"], lambda entry: str(entry.get("name", "")), f"{path.name}, categories")
    marks, notes = _marks(content["annotations"], fov_of, label_of, path.name)
    tables: dict[str, Any] = {"fovs": _fovs(content["images"])}
    if asked := _assignments(content, fov_of):
        tables["assignments"] = _cells(asked, ("fov", "rater", "condition"), f"{path.name}, assignments")
    for key, columns in (
        ("raters", ("rater", "cohort")),
        ("reference", ("fov", *CORNERS, "label", "coords_x", "coords_y")),
    ):
        if _is_list_of_objects(content.get(key)):
            tables[key] = _cells(content[key], columns, f"{path.name}, {key}")
    if taxonomy is None and content.get("taxonomy") is not None:
        taxonomy = taxonomy_from(content["taxonomy"], f"{path.name}, taxonomy")
    return make_study(marks, **tables, taxonomy=taxonomy, normalise_labels=normalise_labels, notes=notes)


def load_json(path: Path) -> Any:
    """The content of a JSON file, of bounded size and depth.

    Raises
    ------
    StudyError
        If it is too large, nested too deeply, cut off, not UTF-8 or not JSON.
    """
    check_readable(path, path.name)
    if path.stat().st_size > LARGEST_FILE:
        raise StudyError(
            f"{path.name}: {path.stat().st_size:,} bytes of JSON; at most {LARGEST_FILE:,} are read. "
            "Keep a larger study as a folder of Parquet tables"
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
        content = json.loads(text)
        if _SURROGATE.search(text):  # escapes come in pairs; half a pair is no character and no text
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except UnicodeDecodeError as error:
        raise StudyError(f"{path.name}: not UTF-8: {error}") from error
    except UnicodeEncodeError as error:
        raise StudyError(f"{path.name}: a text holds half a character: {error}") from error
    except RecursionError as error:
        raise StudyError(f"{path.name}: nested too deeply") from error
    except ValueError as error:  # JSON errors, and numbers of thousands of digits
        raise StudyError(f"{path.name}: not whole JSON (cut off?): {error}") from error


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _fov_name(image: Mapping[str, Any]) -> str:
    """The FOV of an image entry: as we wrote it, else the file name, else the id."""
    return str(image.get("fov", image.get("file_name", image.get("id", ""))))


def _by_id(
    entries: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], str], name: str
) -> dict[str, str]:
    """Id as text -> value; ids must be there, and each once."""
    found: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        key = str(entry.get("id", ""))
        if not key or key in found:
            raise StudyError(f"{name}, entry {number}: expected an id of its own, got {entry.get('id')!r}")
        found[key] = value(entry)
    return found


def _marks(
    entries: Sequence[Mapping[str, Any]], fov_of: Mapping[str, str], label_of: Mapping[str, str], name: str
) -> tuple[Cells, list[str]]:
    """The annotations as a table of marks; what cannot be read of an entry is an empty cell, told by the checks."""
    rows, n_masks, n_parts = [], 0, 0
    for entry in entries:
        outline, is_mask, is_parted = _outline(entry.get("segmentation"))
        n_masks, n_parts = n_masks + is_mask, n_parts + is_parted
        row = {
            "annotation": entry.get("id"),
            "fov": fov_of.get(str(entry.get("image_id"))),
            "rater": entry.get("rater_id"),
            "condition": entry.get("condition", "all"),
            **_corners(entry),
            "label": label_of.get(str(entry.get("category_id"))),
            "kind": entry.get("kind", "polygon" if outline[0] else "box"),
            "coords_x": outline[0],
            "coords_y": outline[1],
        }
        rows.append(row | ({"created": entry["created"]} if "created" in entry else {}))
    notes = [f"{name}: {n_masks:,} annotations carry RLE masks, which are not read; their boxes are"] * bool(n_masks)
    notes += [f"{name}: {n_parts:,} annotations have several polygons; only the first is their outline"] * bool(n_parts)
    return _cells(
        rows,
        ("annotation", "fov", "rater", "condition", *CORNERS, "label", "kind", "coords_x", "coords_y"),
        f"{name}, annotations",
    ), notes


def _corners(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The corners of an annotation: exact where we wrote them, else of its bbox."""
    exact, box = entry.get("corners"), entry.get("bbox")
    if isinstance(exact, list) and len(exact) == 4:
        return dict(zip(CORNERS, exact, strict=True))
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return dict.fromkeys(CORNERS)
    x, y, width, height = box
    return dict(zip(CORNERS, (x, y, x + width, y + height), strict=True))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _outline(segmentation: object) -> tuple[tuple[str, str], bool, bool]:
    """coords_x and coords_y of a segmentation, whether it is a mask, whether it has several polygons."""
    if isinstance(segmentation, dict):
        return ("", ""), True, False
    if not isinstance(segmentation, list) or not segmentation or not isinstance(segmentation[0], list):
        return ("", ""), False, False
    points = segmentation[0]
    return (_list(points[::2]), _list(points[1::2])), False, len(segmentation) > 1


def _list(numbers: Sequence[Any]) -> str:
    return ",".join(str(number) for number in numbers)


def _assignments(content: Mapping[str, Any], fov_of: Mapping[str, str]) -> list[dict[str, Any]]:
    """Who was asked where: our own table, else the images' rater_list; none where neither is there."""
    if _is_list_of_objects(content.get("assignments")):
        return content["assignments"]
    rows = []
    for image in content["images"]:
        raters = image.get("rater_list", [])
        if not isinstance(raters, list):
            raise StudyError(f"image {image.get('id')!r}: expected a list in rater_list, got {raters!r}")
        rows += [{"fov": fov_of[str(image["id"])], "rater": rater} for rater in raters]
    return rows


def _fovs(images: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The images as FOVs."""
    rows = []
    for entry in images:
        row = {key: entry[key] for key in (*FOV_NUMBERS, "slide", "hospital") if entry.get(key) is not None}
        image = entry.get("image") if "fov" in entry else entry.get("file_name")
        rows.append({"fov": _fov_name(entry)} | row | ({"image": image} if image is not None else {}))
    return pd.DataFrame(rows)


def _cells(rows: list[Any], columns: Sequence[str], name: str) -> Cells:
    """Entries as a table with those of the columns that some entry has; nothing but plain values."""
    keys = [key for key in (*columns, "created") if any(key in row for row in rows)]
    data = {key: [_plain(row.get(key)) for row in rows] for key in keys}
    return Cells(pd.DataFrame(data, columns=keys), numbered_source(name), ())


def _plain(value: Any) -> Any:
    """A value of a cell; lists and objects as their text, which the checks refuse where it matters."""
    return json.dumps(value) if isinstance(value, list | dict | bool) else value


def write_coco(study: Study, path: Path) -> None:
    """Write a study of marks as one COCO file.

    Raises
    ------
    ValueError
        If the study has no marks to write: located objects and crowd tables have no place in COCO.
    WriteError
        If the file cannot be written.
    """
    if study.is_located:
        raise ValueError(
            "a COCO file holds marks; a study of located objects or a crowd table is written as csv or parquet"
        )
    labels = sorted(set(study.annotations["label"]))
    category_of = {label: number for number, label in enumerate(labels, start=1)}
    image_of = {fov: number for number, fov in enumerate(study.fovs["fov"], start=1)}
    content: dict[str, Any] = {
        "images": _images(study, image_of),
        "categories": [{"id": number, "name": label} for label, number in category_of.items()],
        "annotations": [_annotation(row, image_of, category_of) for row in study.annotations.to_dict("records")],
        "raters": study.raters.to_dict("records"),
    }
    if study.assignments_given:
        content["assignments"] = study.assignments.to_dict("records")
    if study.reference is not None:
        content["reference"] = study.reference.to_dict("records")
    if study.taxonomy is not None:
        content["taxonomy"] = taxonomy_content(study.taxonomy)
    with atomic_write(path, text=True) as handle:
        json.dump(content, handle, ensure_ascii=False, allow_nan=False)


def _images(study: Study, image_of: Mapping[str, int]) -> list[dict[str, Any]]:
    """The image entries, with everyone who was asked."""
    asked = study.assignments.groupby("fov")["rater"].agg(lambda raters: sorted(set(raters))).to_dict()
    entries = []
    for row in study.fovs.to_dict("records"):
        known = {key: value for key, value in row.items() if pd.notna(value) and value != ""}
        entry = {"id": image_of[row["fov"]], "file_name": row.get("image") or row["fov"], **known}
        entries.append(entry | ({"rater_list": asked.get(row["fov"], [])} if study.assignments_given else {}))
    return entries


def _annotation(row: Mapping[Any, Any], image_of: Mapping[str, int], category_of: Mapping[str, int]) -> dict[str, Any]:
    """One annotation entry; corners beside the bbox where width and height cannot say them exactly."""
    width, height = row["xmax"] - row["xmin"], row["ymax"] - row["ymin"]
    exact = row["xmin"] + width == row["xmax"] and row["ymin"] + height == row["ymax"]
    x, y = (json.loads(f"[{row[name]}]") for name in ("coords_x", "coords_y"))
    entry = {
        "id": row["annotation"],
        "image_id": image_of[row["fov"]],
        "category_id": category_of[row["label"]],
        "bbox": [row["xmin"], row["ymin"], width, height],
        "area": width * height,
        "iscrowd": 0,
        "rater_id": row["rater"],
        "condition": row["condition"],
        "kind": row["kind"],
    }
    entry |= {"segmentation": [[value for point in zip(x, y, strict=True) for value in point]]} if x else {}
    entry |= {} if exact else {"corners": [row[name] for name in CORNERS]}
    return entry | ({"created": row["created"]} if "created" in row else {})
