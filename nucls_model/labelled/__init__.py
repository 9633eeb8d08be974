"""Label tables of the three sources a detector learns from: NuCLS folders, result folders of a run, COCO files."""

from nucls_model.labelled.coco_file import read_coco_labels
from nucls_model.labelled.nucls_folder import read_nucls_folder
from nucls_model.labelled.result_folder import TARGETS, Targets, read_result_folder
from nucls_model.labelled.sources import read_labelled
from nucls_model.labelled.table import LabelledFovs

__all__ = [
    "TARGETS",
    "LabelledFovs",
    "Targets",
    "read_coco_labels",
    "read_labelled",
    "read_nucls_folder",
    "read_result_folder",
]
