"""Many raters' marks on images in; located objects, inferred labels and rater quality out.

Public names resolve on first use, so that importing the package stays cheap.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_HOME = {
    name: module
    for module, names in {
        "taxonomy": "Grouping Taxonomy group_labels group_probabilities load_taxonomy",
        "boxes": "overlapping_pairs pairwise_iou",
        "study": "Study StudyError make_study select",
        "formats": "read_study write_study",
        "merging": "MergeHistory merge_history",
        "clustering": "Located Preference cluster_annotations paper_preference sweep",
        "ratings": "EncodedRatings Ratings encode_ratings rate_anchors",
        "truth": "ConvergenceWarning DawidSkene Inference MajorityVote OneCoin infer_labels",
        "metrics": "match_boxes",
        "resampling": "bootstrap bootstrap_difference",
        "agreement": "agreement_sweep agreement_table krippendorff_alpha pairwise_table rater_map self_agreement",
        "comparisons": "comparisons_table mann_whitney wilcoxon",
        "references": "Reference box_reference cohort_reference label_of_anchors task_reference",
        "outcomes": "Outcomes label_outcomes rater_outcomes",
        "accuracy": "label_accuracy label_curves rater_accuracy",
        "synthetic": "synthesise",
        "simulation": "make_experiment redundancy_bands simulate",
        "planning": "plan_raters",
        "training": "training_table",
        "options": "RunOptions make_options",
        "pipeline": "infer_source locate_objects report_on run_study",
    }.items()
    for name in names.split()
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - the names are listed once, above


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'crowdtruth' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"crowdtruth.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


def _warn_of_the_foreign_distribution() -> None:
    """Another project on PyPI is called crowdtruth and installs a package of this name: say so where both are."""
    foreign = [
        info
        for folder in map(Path, sys.path)
        if folder.name in ("site-packages", "dist-packages") and folder.is_dir()
        for info in folder.glob("[cC]rowd[tT]ruth-*.*-info")
    ]
    if foreign:
        import warnings

        warnings.warn(
            f"the unrelated distribution {foreign[0].name.rsplit('.', 1)[0]!r} is installed beside 'nucls' and brings "
            "an import package of the same name, 'crowdtruth'; whichever was installed last has overwritten files of "
            "the other. Uninstall both (pip uninstall crowdtruth nucls), then install nucls again",
            stacklevel=3,
        )


_warn_of_the_foreign_distribution()
