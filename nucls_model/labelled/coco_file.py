"""COCO files as labels: one annotation per object, each certain; ``iscrowd`` regions are ignored."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from crowdtruth.checks import CORNERS, with_control
from crowdtruth.formats.coco import load_json, read_coco
from crowdtruth.problems import StudyError
from crowdtruth.study import Study
from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED
from nucls_model.labelled.table import (
    OUTLINE,
    LabelledFovs,
    labelled_fovs,
    one_hot,
    real_classes,
    refuse_several_raters,
)

_NOBODY = "coco"


def read_coco_labels(path: str | Path, *, images: str | Path | None = None) -> LabelledFovs:
    """The objects of a COCO file; its categories are the classes, AMBIGUOUS if one is named so.

    Polygons are outlines (the first of several); run-length masks are not read, and that is said. Annotations with
    ``iscrowd`` are neither objects nor background.

    Parameters
    ----------
    path : JSON file
    images : folder that file names are relative to; default: that of the file

    Raises
    ------
    StudyError
        With entry, key and reason of every problem; if the annotations are of several raters.
    """
    path = Path(path)
    content = load_json(path)
    study = _study(path, content)
    refuse_several_raters(study.annotations, path.name)
    if "image" not in study.fovs:
        raise StudyError(f"{path.name}: its images have no file_name")
    names = _category_names(content["categories"], path.name)
    crowd = {str(entry["id"]) for entry in content["annotations"] if entry.get("iscrowd") == 1}
    class_names = real_classes(names)
    marks = study.annotations
    label = marks["label"].mask(marks["annotation"].isin(crowd), UNDETECTED).astype("str")
    objects = pd.concat([marks[["fov", *CORNERS, *OUTLINE]].assign(label=label), one_hot(label, class_names)], axis=1)
    taxonomy = study.taxonomy
    colors = {} if taxonomy is None else {k: v for k, v in taxonomy.colors.items() if k in (*class_names, AMBIGUOUS)}
    return labelled_fovs(
        study.fovs,
        objects,
        path.parent if images is None else Path(images),
        class_names=class_names,
        colors=colors,
        notes=study.notes,
    )


def _category_names(categories: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """The names of the categories, each once; also of those that no annotation has, which become classes as well."""
    for number, entry in enumerate(categories, start=1):
        label = entry.get("name")
        if not isinstance(label, str) or not label or label == UNDETECTED or with_control(pd.Series([label])).any():
            raise StudyError(
                f"{name}, categories, entry {number}: expected the name of a class, on one line and not "
                f"{UNDETECTED!r}; got {label!r}"
            )
    return list(dict.fromkeys(str(category["name"]) for category in categories))


def _study(path: Path, content: Any) -> Study:
    """The file as a study of one rater; where annotations name none, a copy of the file that does is read."""
    if not _is_without_raters(content):
        return read_coco(path)
    marks = [{"rater_id": _NOBODY, **entry} for entry in content["annotations"]]
    shown = [{"rater_list": [_NOBODY], **image} for image in content["images"] if isinstance(image, dict)]
    with TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        copy.write_text(json.dumps({**content, "annotations": marks, "images": shown}), encoding="utf-8")
        return read_coco(copy)


def _is_without_raters(content: Any) -> bool:
    """Whether no annotation of a COCO file names its rater."""
    if not isinstance(content, Mapping) or not all(isinstance(content.get(k), list) for k in ("images", "annotations")):
        return False
    return all(isinstance(entry, dict) and "rater_id" not in entry for entry in content["annotations"])
