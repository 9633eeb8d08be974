"""How good is a detector: boxes found, classes named, outlines drawn."""

from nucls_model.evaluate.average_precision import coco_average_precision
from nucls_model.evaluate.evaluation import Evaluation, Trial, evaluate, write_evaluation

__all__ = ["Evaluation", "Trial", "coco_average_precision", "evaluate", "write_evaluation"]
