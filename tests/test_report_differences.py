"""Differences between cohorts and between conditions, as the report tells them."""

from pathlib import Path

import pandas as pd

from crowdtruth.report.differences import ACCURACY, AGREEMENT, COHORTS, CONDITIONS, differences
from crowdtruth.report.inputs import Inputs
from crowdtruth.results import ResultFolder


def inputs_of(**tables: pd.DataFrame) -> Inputs:
    return Inputs(ResultFolder(Path("nowhere"), {"options": {}, "steps": {}, "study": "study"}, tables), None, {})


def difference_rows(
    value: float, low: float, high: float, *, measure: str = "raters", by: str = "conditions", **of: object
) -> pd.DataFrame:
    """One row of differences.csv: E minus U among P, or NP minus P under E."""
    names = {"cohort": "P", "condition": "", "first": "E", "second": "U"}
    if by == "cohorts":
        names = {"cohort": "", "condition": "E", "first": "NP", "second": "P"}
    metric, scope = {"raters": ("recall", ""), "agreement": ("alpha", "classification")}[measure]
    row = {"measure": measure, "metric": metric, "scope": scope, "class": "", "grouping": "raw", "by": by, **names}
    return pd.DataFrame([{**row, "value": value, "low": low, "high": high, "n_groups": 9, "resampled": "fov", **of}])


CLICKS = pd.DataFrame({"first_condition": ["U"], "second_condition": ["E"], "proportion_clicked": [0.4]})


def test_differences__say_in_counts_what_more_suggestions_change() -> None:
    rows = pd.concat([difference_rows(0.031, 0.0104, 0.05), difference_rows(0.1, 0.02, 0.2, measure="agreement")])
    found = differences(inputs_of(differences=rows, self_agreement=CLICKS), CONDITIONS, {**AGREEMENT, **ACCURACY})
    assert found is not None
    assert found.sentences == [
        "With E rather than U, P agreed more on the class (alpha by 0.10, 0.02 to 0.20) and found 3 more of 100 "
        "objects (1 to 5)."
    ]
    assert [(pair.first, pair.second, pair.n_groups) for pair in found.pairs] == [("U", "E", 9)]


def test_differences__are_the_same_whichever_side_the_table_has_first() -> None:
    other = difference_rows(-0.031, -0.05, -0.0104, first="U", second="E")
    tables = [{"differences": rows, "self_agreement": CLICKS} for rows in (difference_rows(0.031, 0.0104, 0.05), other)]
    one, same = (differences(inputs_of(**found), CONDITIONS, ACCURACY) for found in tables)
    assert one == same


def test_differences__of_cohorts_name_both_and_zero_in_the_interval_is_no_difference() -> None:
    clear = differences(inputs_of(differences=difference_rows(-0.2, -0.3, -0.1, by="cohorts")), COHORTS, ACCURACY)
    assert clear is not None
    assert clear.sentences == ["Under E, compared with P, NP found 20 fewer of 100 objects (10 to 30)."]
    unclear = differences(inputs_of(differences=difference_rows(-0.2, -0.3, 0.1, by="cohorts")), COHORTS, ACCURACY)
    assert unclear is not None
    assert unclear.sentences == ["No clear difference between cohorts: every interval holds 0."]


def test_differences__none_where_the_table_has_none_of_the_kind() -> None:
    assert differences(inputs_of(), COHORTS, ACCURACY) is None
    assert differences(inputs_of(differences=difference_rows(0.1, 0.0, 0.2)), COHORTS, ACCURACY) is None
