"""Ready parameters: ``nucls`` has the structure and size of the paper's multi-rater study, ``demo`` runs in a blink.

Frequencies, sizes and shapes of the classes, FOV sizes and hospitals were measured on the published single-rater set
(54,685 boxes in 1,562 FOVs of 113 slides, `docs/methods/synthetic.md`). The raters' rates are plausible first values.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from crowdtruth.synthetic.parameters import (
    ClassParameters,
    CohortParameters,
    ConditionParameters,
    SuggestionParameters,
    SyntheticParameters,
    TissueParameters,
)

# class: number of boxes (with `correction_`); then of outlines: median side, log sd of it, sd of the log aspect
_MEASURED = {
    "tumor": (19182, 44.5, 0.28, 0.26),
    "fibroblast": (8063, 33.5, 0.24, 0.40),
    "lymphocyte": (12463, 26.5, 0.13, 0.23),
    "plasma_cell": (5322, 27.5, 0.14, 0.23),
    "macrophage": (873, 32.0, 0.21, 0.22),
    "mitotic_figure": (191, 34.3, 0.22, 0.23),
    "vascular_endothelium": (509, 36.9, 0.21, 0.38),
    "myoepithelium": (49, 31.2, 0.23, 0.28),
    "apoptotic_body": (373, 29.9, 0.18, 0.22),
    "neutrophil": (45, 28.5, 0.15, 0.20),
    "ductal_epithelium": (490, 34.5, 0.24, 0.25),
    "eosinophil": (1, 32.0, 0.15, 0.20),  # one box in the set: sizes are those of neutrophils
    "unlabeled": (7124, 30.9, 0.24, 0.29),
}

_NICHES = {
    "tumor": {"nest": 0.97, "stroma": 0.02, "lymphoid": 0.01},
    "fibroblast": {"stroma": 0.88, "lymphoid": 0.08, "plasmacytic": 0.04},
    "lymphocyte": {"lymphoid": 0.86, "stroma": 0.07, "plasmacytic": 0.04, "nest": 0.03},
    "plasma_cell": {"plasmacytic": 0.86, "lymphoid": 0.08, "stroma": 0.06},
    "macrophage": {"lymphoid": 0.5, "stroma": 0.3, "plasmacytic": 0.2},
    "mitotic_figure": {"nest": 1.0},
    "vascular_endothelium": {"stroma": 1.0},
    "myoepithelium": {"duct": 1.0},
    "apoptotic_body": {"nest": 0.5, "debris": 0.3, "lymphoid": 0.1, "stroma": 0.1},
    "neutrophil": {"lymphoid": 0.6, "stroma": 0.4},
    "ductal_epithelium": {"duct": 1.0},
    "eosinophil": {"lymphoid": 1.0},
    "unlabeled": {"debris": 0.4, "nest": 0.2, "lymphoid": 0.18, "stroma": 0.16, "plasmacytic": 0.06},
}

_HOSPITALS = {
    "A2": 319, "E2": 209, "D8": 183, "EW": 138, "A7": 134, "GM": 126, "AN": 108, "BH": 95, "AR": 85, "S3": 43,
    "AO": 42, "LL": 28, "C8": 26, "AQ": 18, "GI": 5, "AC": 3,
}  # fmt: skip

# what a nucleus is taken for when it is not recognised: true class -> wrong class -> share of the errors
_LOOKALIKES = {
    "tumor": {
        "unlabeled": 0.3, "fibroblast": 0.25, "macrophage": 0.15, "lymphocyte": 0.1, "ductal_epithelium": 0.1,
        "mitotic_figure": 0.05, "apoptotic_body": 0.05,
    },
    "fibroblast": {
        "unlabeled": 0.3, "vascular_endothelium": 0.25, "tumor": 0.25, "lymphocyte": 0.1, "macrophage": 0.1,
    },
    "lymphocyte": {"plasma_cell": 0.5, "unlabeled": 0.2, "tumor": 0.15, "fibroblast": 0.1, "apoptotic_body": 0.05},
    "plasma_cell": {"lymphocyte": 0.65, "tumor": 0.15, "unlabeled": 0.1, "macrophage": 0.05, "fibroblast": 0.05},
    "macrophage": {"tumor": 0.3, "fibroblast": 0.25, "unlabeled": 0.2, "lymphocyte": 0.15, "plasma_cell": 0.1},
    "mitotic_figure": {"tumor": 0.7, "apoptotic_body": 0.2, "unlabeled": 0.1},
    "vascular_endothelium": {"fibroblast": 0.75, "unlabeled": 0.15, "tumor": 0.1},
    "myoepithelium": {"fibroblast": 0.5, "ductal_epithelium": 0.3, "tumor": 0.2},
    "apoptotic_body": {"unlabeled": 0.4, "lymphocyte": 0.25, "tumor": 0.2, "mitotic_figure": 0.15},
    "neutrophil": {"lymphocyte": 0.4, "apoptotic_body": 0.3, "unlabeled": 0.3},
    "ductal_epithelium": {"tumor": 0.7, "myoepithelium": 0.2, "unlabeled": 0.1},
    "eosinophil": {"neutrophil": 0.3, "plasma_cell": 0.3, "lymphocyte": 0.2, "unlabeled": 0.2},
    "unlabeled": {"lymphocyte": 0.3, "tumor": 0.3, "fibroblast": 0.25, "apoptotic_body": 0.1, "macrophage": 0.05},
}  # fmt: skip

# class: (rate of wrong labels, rate of misses) of a senior pathologist; other cohorts multiply both
_SENIOR = {
    "tumor": (0.07, 0.06),
    "fibroblast": (0.13, 0.2),
    "lymphocyte": (0.08, 0.08),
    "plasma_cell": (0.2, 0.09),
    "macrophage": (0.35, 0.15),
    "mitotic_figure": (0.25, 0.08),
    "vascular_endothelium": (0.35, 0.25),
    "myoepithelium": (0.4, 0.25),
    "apoptotic_body": (0.35, 0.4),
    "neutrophil": (0.3, 0.15),
    "ductal_epithelium": (0.3, 0.1),
    "eosinophil": (0.35, 0.15),
    "unlabeled": (0.5, 0.45),
}

_FALSE_LABELS = {"unlabeled": 0.4, "lymphocyte": 0.2, "fibroblast": 0.2, "tumor": 0.12, "apoptotic_body": 0.08}


def _cohort(name: str, n_raters: int, *, errors: float, misses: float, noise: float) -> CohortParameters:
    """A cohort whose wrong labels and misses are multiples of a senior pathologist's."""
    error = {true: min(errors * senior[0], 0.75) for true, senior in _SENIOR.items()}
    return CohortParameters(
        name=name,
        n_raters=n_raters,
        detection={true: 1 - min(misses * senior[1], 0.75) for true, senior in _SENIOR.items()},
        distractor_detection=0.12 * misses,
        detection_sd=0.35,
        confusion={
            true: {assigned: error[true] * share for assigned, share in row.items()}
            for true, row in _LOOKALIKES.items()
        },
        confusion_concentration=25.0,
        false_labels=_FALSE_LABELS,
        false_marks_per_fov=0.4 * noise,
        false_marks_log_sd=0.6,
        box_shift=0.05 * noise,
        box_scale=0.09 * noise,
    )


_SENIORS = _cohort("SP", 3, errors=1.0, misses=1.0, noise=1.0)
_JUNIORS = _cohort("JP", 6, errors=1.25, misses=1.25, noise=1.2)
_NON_PATHOLOGISTS = _cohort("NP", 29, errors=1.7, misses=1.6, noise=1.4)

# image processing finds fewer nuclei, with worse outlines, than the network that refined it
_BOOTSTRAPPED = SuggestionParameters(
    coverage=0.45, distractor_coverage=0.25, correct=0.6, shift=0.05, scale=0.09, wrong_shift=0.2, wrong_scale=0.3,
    click_correct=0.8, click_wrong=0.1, detection_gain=0.1,
)  # fmt: skip
_REFINED = SuggestionParameters(
    coverage=0.6, distractor_coverage=0.25, correct=0.8, shift=0.04, scale=0.07, wrong_shift=0.18, wrong_scale=0.28,
    click_correct=0.85, click_wrong=0.1, detection_gain=0.2,
)  # fmt: skip

_TISSUE = TissueParameters(
    classes=tuple(ClassParameters(name, *measured, _NICHES[name]) for name, measured in _MEASURED.items()),
    hospitals=_HOSPITALS,
)

_NUCLS = SyntheticParameters(
    tissue=_TISSUE,
    cohorts=(_SENIORS, _JUNIORS, _NON_PATHOLOGISTS),
    conditions=(
        ConditionParameters("U-control", {"SP": 3, "JP": 6, "NP": 27}, tracers=("SP.3",)),
        ConditionParameters("B-control", {"SP": 2, "JP": 3, "NP": 14}, _BOOTSTRAPPED),
        ConditionParameters("E", {"SP": 3, "JP": 6, "NP": 27}, _REFINED),
    ),
    n_fovs=53,
)

_DEMO = SyntheticParameters(
    tissue=replace(_TISSUE, n_slides=4),
    cohorts=(replace(_SENIORS, n_raters=2), replace(_NON_PATHOLOGISTS, n_raters=6)),
    conditions=(
        ConditionParameters("U-control", {"SP": 2, "NP": 5}),
        ConditionParameters("E", {"SP": 2, "NP": 5}, _REFINED),
    ),
    n_fovs=12,
)

PRESETS: Mapping[str, SyntheticParameters] = MappingProxyType({"nucls": _NUCLS, "demo": _DEMO})


def load_preset(name: str, **changes: Any) -> SyntheticParameters:
    """The parameters called `name`, with some fields changed.

    Parameters
    ----------
    name : ``nucls`` or ``demo``
    changes : fields of `SyntheticParameters` to replace

    Raises
    ------
    ValueError
        If there is no such preset or no such field.

    Examples
    --------
    >>> load_preset("nucls", n_fovs=5).n_fovs
    5
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; there are {sorted(PRESETS)}")
    return change(PRESETS[name], **changes)


def change(parameters: SyntheticParameters, **changes: Any) -> SyntheticParameters:
    """`parameters` with some fields changed; unknown names are refused by name."""
    if unknown := set(changes) - set(SyntheticParameters.__dataclass_fields__):
        raise ValueError(
            f"no parameters {sorted(unknown)}; a study has {sorted(SyntheticParameters.__dataclass_fields__)}"
        )
    return replace(parameters, **changes)
