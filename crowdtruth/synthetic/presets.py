"""Ready parameters: ``nucls`` resembles the paper's multi-rater study, ``demo`` runs in a blink.

Frequencies, sizes and shapes of the classes, FOV sizes and hospitals were measured on the published single-rater set
(54,685 boxes in 1,562 FOVs of 113 slides). The raters' rates of ``nucls`` were chosen so that the measures printed in
the paper come out near (`docs/methods/synthetic.md` has both); those of ``demo`` are plausible.
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
    "tumor": {"nest": 0.985, "stroma": 0.01, "lymphoid": 0.005},
    "fibroblast": {"stroma": 0.95, "lymphoid": 0.03, "plasmacytic": 0.02},
    "lymphocyte": {"lymphoid": 0.93, "stroma": 0.03, "plasmacytic": 0.02, "nest": 0.02},
    "plasma_cell": {"plasmacytic": 0.93, "lymphoid": 0.04, "stroma": 0.03},
    "macrophage": {"lymphoid": 0.5, "stroma": 0.3, "plasmacytic": 0.2},
    "mitotic_figure": {"nest": 1.0},
    "vascular_endothelium": {"stroma": 1.0},
    "myoepithelium": {"duct": 1.0},
    "apoptotic_body": {"nest": 0.5, "debris": 0.3, "lymphoid": 0.1, "stroma": 0.1},
    "neutrophil": {"lymphoid": 0.6, "stroma": 0.4},
    "ductal_epithelium": {"duct": 0.7, "nest": 0.3},
    "eosinophil": {"lymphoid": 1.0},
    "unlabeled": {"debris": 0.6, "nest": 0.14, "stroma": 0.12, "lymphoid": 0.1, "plasmacytic": 0.04},
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


def _cohort(
    name: str,
    n_raters: int,
    *,
    errors: float,
    misses: float,
    noise: float,
    errors_of: Mapping[str, float] = MappingProxyType({}),
    misses_of: Mapping[str, float] = MappingProxyType({}),
    lookalikes: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
    **changes: Any,
) -> CohortParameters:
    """A cohort whose wrong labels and misses are multiples of a senior pathologist's; some classes have their own."""
    error = {true: min(errors_of.get(true, errors) * rates[0], 0.9) for true, rates in _SENIOR.items()}
    miss = {true: min(misses_of.get(true, misses) * rates[1], 0.75) for true, rates in _SENIOR.items()}
    cohort = CohortParameters(
        name=name,
        n_raters=n_raters,
        detection={true: 1 - rate for true, rate in miss.items()},
        distractor_detection=0.12 * misses,
        detection_sd=0.35,
        confusion={
            true: {assigned: error[true] * share for assigned, share in row.items()}
            for true, row in {**_LOOKALIKES, **lookalikes}.items()
        },
        confusion_concentration=25.0,
        false_labels=_FALSE_LABELS,
        false_marks_per_fov=0.4 * noise,
        false_marks_log_sd=0.6,
        box_shift=0.05 * noise,
        box_scale=0.09 * noise,
    )
    return replace(cohort, **changes)


# The pathologists of the paper disagree mostly within a super-class: which cell of an infiltrate is a plasma cell?
_INFILTRATE = {
    "lymphocyte": {
        "plasma_cell": 0.75, "unlabeled": 0.1, "tumor": 0.07, "fibroblast": 0.05, "apoptotic_body": 0.03,
    },
    "plasma_cell": {"lymphocyte": 0.85, "tumor": 0.08, "unlabeled": 0.03, "macrophage": 0.02, "fibroblast": 0.02},
}  # fmt: skip
_CHOSEN_PATHOLOGISTS: dict[str, Any] = {
    "errors_of": {
        "lymphocyte": 2.3, "plasma_cell": 2.0, "mitotic_figure": 0.5, "ductal_epithelium": 0.5, "myoepithelium": 0.6,
        "neutrophil": 0.6,
    },
    "lookalikes": _INFILTRATE,
    "false_marks_per_fov": 0.2,
    "persistence": 0.85,
    "click_sd": 1.2,
    "drift_sd": 0.04,
}  # fmt: skip
_SENIORS = _cohort(
    "SP", 3, errors=1.0, misses=0.8, noise=1.0, distractor_detection=0.12, confusion_concentration=12.0,
    **_CHOSEN_PATHOLOGISTS,
)  # fmt: skip
_JUNIORS = _cohort(
    "JP", 6, errors=1.2, misses=1.0, noise=1.2, distractor_detection=0.15, confusion_concentration=10.0,
    **_CHOSEN_PATHOLOGISTS,
)  # fmt: skip

# The others mark much that pathologists leave out, and take the same rare nuclei for the same common ones: their
# inferred label detects at a low average precision, and its macro AUROC is far below the micro one.
_NON_PATHOLOGISTS = _cohort(
    "NP", 29, errors=2.1, misses=1.8, noise=1.4,
    errors_of={
        "lymphocyte": 2.9, "plasma_cell": 2.6, "fibroblast": 2.3, "macrophage": 2.57, "mitotic_figure": 3.6,
        "ductal_epithelium": 3.0, "vascular_endothelium": 1.6,
    },
    misses_of={"lymphocyte": 3.4, "plasma_cell": 3.4, "fibroblast": 3.1, "tumor": 2.6},
    lookalikes={
        **_INFILTRATE,
        "tumor": {
            "fibroblast": 0.4, "unlabeled": 0.2, "lymphocyte": 0.15, "macrophage": 0.1, "ductal_epithelium": 0.05,
            "mitotic_figure": 0.05, "apoptotic_body": 0.05,
        },
        "fibroblast": {
            "tumor": 0.4, "lymphocyte": 0.2, "unlabeled": 0.15, "vascular_endothelium": 0.15, "macrophage": 0.1,
        },
        "macrophage": {"tumor": 0.4, "fibroblast": 0.3, "lymphocyte": 0.2, "unlabeled": 0.1},
        "mitotic_figure": {"tumor": 0.8, "apoptotic_body": 0.1, "unlabeled": 0.1},
        "ductal_epithelium": {"tumor": 0.9, "fibroblast": 0.1},
        "myoepithelium": {"fibroblast": 0.6, "tumor": 0.4},
    },
    distractor_detection=0.82,
    false_marks_per_fov=0.28,
    confusion_concentration=30.0,
    shared_errors=0.76,
    persistence=0.0,
    click_sd=1.2,
    drift_sd=0.04,
)  # fmt: skip

# image processing finds fewer nuclei, with worse outlines, than the network that refined it
_BOOTSTRAPPED = SuggestionParameters(
    coverage=0.45, distractor_coverage=0.25, correct=0.6, shift=0.05, scale=0.09, wrong_shift=0.2, wrong_scale=0.3,
    click_correct=0.8, click_wrong=0.1, detection_gain=0.1,
)  # fmt: skip
_REFINED = SuggestionParameters(
    coverage=0.6, distractor_coverage=0.25, correct=0.8, shift=0.04, scale=0.07, wrong_shift=0.18, wrong_scale=0.28,
    click_correct=0.85, click_wrong=0.1, detection_gain=0.2,
)  # fmt: skip

_CHOSEN_REFINED = replace(_REFINED, click_correct=0.9)

_TISSUE = TissueParameters(
    classes=tuple(ClassParameters(name, *measured, _NICHES[name]) for name, measured in _MEASURED.items()),
    hospitals=_HOSPITALS,
)

_NUCLS = SyntheticParameters(
    tissue=replace(_TISSUE, nuclei_median=24.0, distractors_per_fov=14.0),
    cohorts=(_SENIORS, _JUNIORS, _NON_PATHOLOGISTS),
    conditions=(
        ConditionParameters("U-control", {"SP": 3, "JP": 5, "NP": 18}, tracers=("SP.3",)),
        ConditionParameters("B-control", {"SP": 2, "JP": 2, "NP": 9}, _BOOTSTRAPPED),
        ConditionParameters("E", {"SP": 3, "JP": 5, "NP": 18}, _CHOSEN_REFINED),
    ),
    n_fovs=53,
    steadiness=0.25,
)

_DEMO = SyntheticParameters(
    tissue=replace(_TISSUE, n_slides=4),
    cohorts=(
        _cohort("SP", 2, errors=1.0, misses=1.0, noise=1.0),
        _cohort("NP", 6, errors=1.7, misses=1.6, noise=1.4),
    ),
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
