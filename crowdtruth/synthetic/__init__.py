"""Studies with known truth: tissue, raters and their marks, every number seeded."""

from crowdtruth.synthetic.parameters import (
    ClassParameters,
    CohortParameters,
    ConditionParameters,
    SuggestionParameters,
    SyntheticParameters,
    TissueParameters,
)
from crowdtruth.synthetic.presets import PRESETS, load_preset
from crowdtruth.synthetic.raters import RaterTraits
from crowdtruth.synthetic.studies import SyntheticStudy, synthesise

__all__ = [
    "PRESETS",
    "ClassParameters",
    "CohortParameters",
    "ConditionParameters",
    "RaterTraits",
    "SuggestionParameters",
    "SyntheticParameters",
    "SyntheticStudy",
    "TissueParameters",
    "load_preset",
    "synthesise",
]
