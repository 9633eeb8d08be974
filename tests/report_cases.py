"""Results small enough to read, that several tests of the report share."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.report.inputs import Inputs
from crowdtruth.results import ResultFolder
from crowdtruth.study import Study

BOX = {"xmin": 10.0, "ymin": 10.0, "xmax": 30.0, "ymax": 34.0}


def small_tables(label: str = "a", rater: str = "r1", fov: str = "f1") -> dict[str, pd.DataFrame]:
    """One anchor about which two of three raters disagree."""
    said = pd.DataFrame({"anchor": "1", "fov": fov, "rater": [rater, "r2", "r3"], "cohort": "P", "condition": "all"})
    said["label"] = [label, "b", "undetected"]
    truth = {"anchor": ["1"], "fov": [fov], "cohort": ["P"], "condition": ["all"], **{k: [v] for k, v in BOX.items()}}
    truth |= {"label": [label], "probability": [0.6], "is_object": [True], f"prob_{label}": [0.6], "prob_b": [0.3]}
    truth |= {"prob_undetected": [0.1], "entropy": [0.9]}
    fovs = pd.DataFrame({"fov": [fov], "slide": ["s"], "width": [100], "height": [100]})
    return {"ratings": said, "truth": pd.DataFrame(truth), "fovs": fovs}


def folder_of(tables: dict[str, pd.DataFrame], path: Path = Path("nowhere"), **record: Any) -> ResultFolder:
    """Result tables in memory, with the record of a run."""
    return ResultFolder(path, {"options": {}, "steps": {}, "study": "study", **record}, tables)


def inputs_of(study: Study | None = None, **tables: pd.DataFrame) -> Inputs:
    return Inputs(folder_of({**small_tables(), **tables}), study, {})


def rater_rows(recalls: dict[str, float], *, low: float = 0.01, high: float = 0.01) -> pd.DataFrame:
    """Raters with a recall and an interval around it; all else is missing."""
    rows = []
    for rater, recall in recalls.items():
        row = dict.fromkeys(("precision", "recall", "f1", "class_accuracy", "mcc"), np.nan)
        row |= {f"{name}_{end}": np.nan for name in row for end in ("low", "high")}
        row |= {"recall": recall, "recall_low": recall - low, "recall_high": recall + high}
        rows.append({"rater": rater, "cohort": "P", "condition": "all", "reference": "gold", "in_reference": False,
                     "n_fovs": 4, "n_annotations": 20, "n_true_positive": round(20 * recall), "n_false_positive": 0,
                     "n_false_negative": 20 - round(20 * recall), **row, "resampled": "fov"})  # fmt: skip
    return pd.DataFrame(rows)
