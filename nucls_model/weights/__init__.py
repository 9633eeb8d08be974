"""Weights on disk: tensors by name, ImageNet backbones, trained models as folders."""

from nucls_model.weights.model import RECORD, WEIGHTS, ModelRecord, read_model, read_model_record, write_model
from nucls_model.weights.tensors import (
    check_tensors,
    load_backbone,
    load_weights,
    read_tensors,
    save_weights,
    write_tensors,
)

__all__ = [
    "RECORD",
    "WEIGHTS",
    "ModelRecord",
    "check_tensors",
    "load_backbone",
    "load_weights",
    "read_model",
    "read_model_record",
    "read_tensors",
    "save_weights",
    "write_model",
    "write_tensors",
]
