"""How good is a detector: boxes found, classes named, outlines drawn."""

from nucls_model.evaluate.average_precision import coco_average_precision

__all__ = ["coco_average_precision"]
