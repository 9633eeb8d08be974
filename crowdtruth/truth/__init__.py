"""Ratings in; inferred classes with probabilities, and the raters' confusion, out."""

from crowdtruth.truth.estimators import (
    DEFAULT_ITERATIONS,
    DEFAULT_PSEUDO_COUNTS,
    DEFAULT_START,
    DEFAULT_TOLERANCE,
    ConvergenceWarning,
    DawidSkene,
    MajorityVote,
    OneCoin,
)
from crowdtruth.truth.inference import Inference, infer_labels

__all__ = [
    "DEFAULT_ITERATIONS",
    "DEFAULT_PSEUDO_COUNTS",
    "DEFAULT_START",
    "DEFAULT_TOLERANCE",
    "ConvergenceWarning",
    "DawidSkene",
    "Inference",
    "MajorityVote",
    "OneCoin",
    "infer_labels",
]
