"""The published NuCLS folder: ``rgb``, ``csv`` and, for objects whose outline the table does not give, ``mask``."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from crowdtruth.checks import CORNERS
from crowdtruth.files import inside
from crowdtruth.formats.nucls_csv import find_fov_files, read_nucls_csv
from crowdtruth.formats.nucls_names import parse_fov_name
from crowdtruth.problems import StudyError
from crowdtruth.taxonomy import group_labels, load_taxonomy
from nucls_model.labelled.areas import cut_to_areas
from nucls_model.labelled.masks import area_in_mask, mask_problem, outlines_in_mask
from nucls_model.labelled.table import (
    OUTLINE,
    LabelledFovs,
    grouping_at,
    labelled_fovs,
    one_hot,
    real_classes,
    refuse_several_raters,
)


def read_nucls_folder(path: str | Path, level: str = "main") -> LabelledFovs:
    """The corrected labels of a published NuCLS folder, each certain.

    FOVs are cut to the area that was annotated, where a mask shows it. Polylines are outlines, rectangles are boxes
    alone. A polyline without coordinates gets its outline from the mask, if there is one: the instance whose own box
    overlaps the object's best.

    Parameters
    ----------
    path : folder with ``csv`` and ``rgb``, and ``mask`` if there is one
    level : ``raw``, ``main`` or ``super``

    Raises
    ------
    StudyError
        With file, line, column and reason of everything wrong in the tables; if several raters marked an FOV; if there
        is no image at all; if something leads out of the folder.
    """
    path = Path(path)
    for name in ("csv", "rgb", "mask"):
        inside(path, name)  # a link may lead elsewhere
    files = find_fov_files(path / "csv") if (path / "csv").is_dir() else []
    if not files or not (path / "rgb").is_dir():
        raise StudyError(
            f"{path}: expected a NuCLS folder: CSV files in a folder csv, images in a folder rgb beside it"
        )
    taxonomy = load_taxonomy("nucls")
    study = read_nucls_csv(path / "csv", taxonomy=taxonomy)
    refuse_several_raters(study.assignments, path.name)
    stems = {parse_fov_name(file.stem).fov: file.stem for file in files}
    fovs = study.fovs.drop(columns=["width", "height"])
    fovs["image"] = [f"rgb/{stems[fov]}.png" for fov in fovs["fov"]]
    masks = {fov: path / "mask" / f"{stem}.png" for fov, stem in stems.items()}
    masks = {fov: inside(path, f"mask/{mask.name}") for fov, mask in masks.items() if mask.is_file()}
    problems = {fov: words for fov, mask in masks.items() if (words := mask_problem(mask, path / "rgb" / mask.name))}
    masks = {fov: mask for fov, mask in masks.items() if fov not in problems}
    marks, notes = _with_outlines(study.annotations, masks)
    grouping = grouping_at(taxonomy, level)
    class_names = real_classes(grouping.classes)
    objects = marks[["fov", *CORNERS, *OUTLINE]].assign(label=group_labels(marks["label"], grouping))
    labelled = labelled_fovs(
        fovs,
        pd.concat([objects, one_hot(objects["label"], class_names)], axis=1),
        path,
        class_names=class_names,
        colors=grouping.colors,
        notes=[*study.notes, *notes],
        problems=problems,
    )
    areas = {fov: area for fov, mask in masks.items() if (area := area_in_mask(mask)) is not None}
    cut = cut_to_areas(labelled, areas)
    unknown = len(set(cut.fovs["fov"]) - set(areas))
    note = f"{unknown:,} FOVs have no mask that shows the area that was annotated; the whole image is taken for it"
    return replace(cut, notes=(*cut.notes, note)) if unknown else cut


def _with_outlines(marks: pd.DataFrame, masks: dict[str, Path]) -> tuple[pd.DataFrame, list[str]]:
    """The marks, with outlines from the masks for polylines that have no coordinates; what is still missing is said."""
    lacking = (marks["kind"] != "box") & (marks["coords_x"] == "")
    outlines = [
        outlines_in_mask(masks[str(fov)], rows[CORNERS].to_numpy()).set_index(rows.index)[lacking[rows.index]]
        for fov, rows in marks.groupby("fov", sort=False)
        if lacking[rows.index].any() and str(fov) in masks
    ]
    if not lacking.any():
        return marks, []
    marks = marks.copy()
    if outlines:
        found = pd.concat(outlines)
        marks.loc[found.index, OUTLINE] = found[OUTLINE]
    missing = int((lacking & (marks["coords_x"] == "")).sum())
    notes = [f"{int(lacking.sum()) - missing:,} polylines without coordinates have their outlines from the masks"]
    return marks, notes + [f"{missing:,} polylines without coordinates are in no mask; only their boxes are used"] * (
        missing > 0
    )
