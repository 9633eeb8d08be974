"""Fewer raters per FOV: how good are the inferred labels? (Figure 3e)"""

from crowdtruth.simulation.experiment import Experiment, make_experiment
from crowdtruth.simulation.parts import remove_parts, simulate_into, simulate_parts
from crowdtruth.simulation.redundancy import DEFAULT_BAND, DEFAULT_REALIZATIONS, redundancy_bands, simulate

__all__ = [
    "DEFAULT_BAND",
    "DEFAULT_REALIZATIONS",
    "Experiment",
    "make_experiment",
    "redundancy_bands",
    "remove_parts",
    "simulate",
    "simulate_into",
    "simulate_parts",
]
