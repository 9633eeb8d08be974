"""Many raters' marks on images in; located objects, inferred labels and rater quality out.

Public names resolve on first use, so that importing the package stays cheap.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Taxonomy": "taxonomy",
    "load_taxonomy": "taxonomy",
    "pairwise_iou": "boxes",
    "Study": "study",
    "StudyError": "study",
    "make_study": "study",
    "select": "study",
    "read_study": "formats",
    "write_study": "formats",
    "Located": "clustering",
    "MergeHistory": "merging",
    "Preference": "clustering",
    "cluster_annotations": "clustering",
    "paper_preference": "clustering",
    "sweep": "clustering",
    "merge_history": "merging",
    "Ratings": "ratings",
    "encode_ratings": "ratings",
    "rate_anchors": "ratings",
    "ConvergenceWarning": "truth",
    "DawidSkene": "truth",
    "MajorityVote": "truth",
    "OneCoin": "truth",
    "infer_labels": "truth",
    "match_boxes": "metrics",
    "Reference": "accuracy",
    "rater_accuracy": "accuracy",
    "label_accuracy": "accuracy",
    "synthesise": "synthetic",
    "training_table": "training",
    "RunOptions": "pipeline",
    "run_study": "pipeline",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - the names are listed once, above


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'crowdtruth' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"crowdtruth.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME]


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
