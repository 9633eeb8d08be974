"""Which of the three sources a path is."""

from pathlib import Path

from crowdtruth.problems import StudyError
from crowdtruth.results import is_result_folder
from nucls_model.labelled.coco_file import read_coco_labels
from nucls_model.labelled.nucls_folder import read_nucls_folder
from nucls_model.labelled.result_folder import Targets, read_result_folder
from nucls_model.labelled.table import LabelledFovs


def read_labelled(
    path: str | Path, level: str = "main", *, targets: Targets = "posterior", images: str | Path | None = None
) -> LabelledFovs:
    """The labels at a path: a NuCLS folder, the result folder of a run, or a COCO file.

    Parameters
    ----------
    path : folder or file
    level : ``raw``, ``main`` or ``super``; the categories of a COCO file are taken as they are
    targets : which labels of a result folder
    images : folder that image paths of a result folder or COCO file are relative to; default: as they record it. A
        NuCLS folder has its own

    Raises
    ------
    StudyError
        If it is none of these, or something in it is wrong.
    """
    path = Path(path)
    if not path.exists():
        raise StudyError(f"no such file or folder: {path}")
    if path.is_file() and path.suffix == ".json":
        return read_coco_labels(path, images=images)
    if path.is_dir() and is_result_folder(path):
        if not (path / "training.csv").is_file():
            raise StudyError(f"{path}: the run wrote no training.csv; run 'crowdtruth run' with --train-on")
        return read_result_folder(path, level, targets=targets, images=images)
    if (path / "csv").is_dir():
        if images is not None:
            raise StudyError(f"{path}: the images of a NuCLS folder are in its folder rgb, not in {images}")
        return read_nucls_folder(path, level)
    raise StudyError(
        f"{path}: expected labels to learn from: a NuCLS folder (csv, rgb), the result folder of 'crowdtruth run' "
        "(run.json, training.csv), or a COCO file (.json). A study of many raters is run first"
    )
