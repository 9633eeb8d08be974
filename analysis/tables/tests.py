"""The statistical tests, and differences between conditions, as tables."""

import pandas as pd

from analysis.page import Rows
from analysis.setting import Setting


def why_no_tests(setting: Setting) -> str:
    """The tests compare cohorts, conditions or levels of classes."""
    if len(setting.cohorts) < 2 and setting.control is None and len(setting.levels) < 2:
        return "there is one cohort, one condition and one level of classes: nothing to compare"
    return ""


def pick_tests(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """All rank tests, corrected over each question."""
    return {"comparisons": tables["comparisons"]}


def pick_differences(tables: Rows, setting: Setting) -> dict[str, pd.DataFrame]:
    """Differences of average precision and AUROC, in place of the published test on bootstrap replicates."""
    return {"area_differences": tables["area_differences"]}
