"""What the sections say of the whole study: overview, agreement, suggestions, redundancy and plan."""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.report.agreement import agreement
from crowdtruth.report.inputs import Inputs
from crowdtruth.report.overview import overview
from crowdtruth.report.redundancy import redundancy
from crowdtruth.report.suggestions import suggestions
from tests.report_cases import inputs_of, rater_rows, small_tables


def test_overview__certainty_is_a_count() -> None:
    assert "0 of 1 objects have a label that is at least 95 % probable" in overview(inputs_of()).words[-1]


def agreement_rows(value: float, low: float, high: float, cohort: str = "P", undefined: str = "") -> pd.DataFrame:
    return pd.DataFrame([{
        "statistic": "alpha", "scope": "classification", "cohort": cohort, "condition": "all", "threshold": 0.25,
        "grouping": "raw", "min_detections": 1, "value": value, "low": low, "high": high, "n_anchors": 9, "n_raters": 3,
        "resampled": "fov", "undefined": undefined,
    }])  # fmt: skip


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (agreement_rows(0.55, 0.5, 0.58), "moderate"),
        (agreement_rows(0.55, 0.35, 0.65), "moderate (fair to substantial)"),
        (agreement_rows(0.55, np.nan, np.nan), "moderate"),
        (agreement_rows(np.nan, np.nan, np.nan, undefined="one class"), "cannot be told: all ratings are of one class"),
    ],
)
def test_agreement__level_names_the_words_that_the_interval_reaches_to(row: pd.DataFrame, words: str) -> None:
    assert agreement(inputs_of(agreement=row)).body["rows"][0]["level"] == words


def test_agreement__cohorts_are_told_apart_and_weak_ones_named() -> None:
    rows = pd.concat([agreement_rows(0.7, 0.65, 0.75), agreement_rows(0.3, 0.25, 0.35, cohort="NP")], ignore_index=True)
    section = agreement(inputs_of(agreement=rows))
    assert section.words == [
        "On “what is it, among those who marked it” agreement is substantial among P and fair among NP."
    ]
    assert "(cohort NP)" in section.next_steps[0]


def test_agreement__shows_the_threshold_of_the_run() -> None:
    other = agreement_rows(0.9, 0.8, 0.95).assign(threshold=0.5)
    section = agreement(inputs_of(agreement=pd.concat([other, agreement_rows(0.3, 0.2, 0.4)], ignore_index=True)))
    assert [row["estimate"].value for row in section.body["rows"]] == [0.3]


def of_two_conditions(before: dict[str, float], after: dict[str, float]) -> Inputs:
    """Recalls of raters under the conditions all and later."""
    scores = [rater_rows(before), rater_rows(after).assign(condition="later")]
    ratings = [small_tables()["ratings"].assign(condition=name) for name in ("all", "later")]
    return inputs_of(raters=pd.concat(scores, ignore_index=True), ratings=pd.concat(ratings, ignore_index=True))


def test_suggestions__a_single_condition_is_said() -> None:
    assert suggestions(inputs_of()).absent.startswith("The study has a single condition (“all”).")


def test_suggestions__differences_are_paired_by_rater() -> None:
    section = suggestions(of_two_conditions({"x": 0.5, "y": 0.7}, {"x": 0.6, "y": 0.9, "z": 0.1}))
    row = section.body["paired"][0]
    assert (row["first"], row["second"], row["n"]) == ("all", "later", 2)
    assert row["changes"][0].startswith("+0.15 (")
    assert row["changes"][1] == "–"
    assert section.words[-1] == "No score of a cohort changes clearly between conditions."  # two raters are too few


def test_suggestions__says_in_words_what_clearly_changes() -> None:
    before = {name: 0.5 + place / 50 for place, name in enumerate("abcdef")}
    after = {name: recall + 0.1 for name, recall in before.items()}
    assert suggestions(of_two_conditions(before, after)).words[-1] == "From all to later, P find more objects."


def test_redundancy__band_is_that_of_the_draws_and_the_plan_a_sentence() -> None:
    draws = pd.DataFrame({"realization": range(41), "value": np.linspace(0.5, 0.9, 41)})
    draws = draws.assign(cohort="P", condition="all", reference="gold", grouping="raw", raters_per_fov=2, n_fovs=7,
                         n_unique_raters=3, metric="f1", **{"class": ""})  # fmt: skip
    plan = pd.DataFrame([{"cohort": "P", "condition": "all", "metric": "f1", "class": "", "target": 0.7, "low": 2.0,
                          "raters_per_fov": 3.0, "high": 4.0, "cost": 21.0,
                          "verdict": "fits; the cheapest cohort"}])  # fmt: skip
    plan = pd.concat([plan, plan.assign(**{"class": "a", "metric": "recall"})], ignore_index=True)
    section = redundancy(inputs_of(redundancy=draws, plan=plan))
    assert str(section.body["curves"][0]["lines"][0]["values"][0]) == "0.70 (0.51 to 0.89)"
    assert section.next_steps == ["P: fits; the cheapest cohort."]
    rows = [section.body[name][0] for name in ("plan", "of_classes")]
    assert [(row["what"], row["raters"], row["cost"]) for row in rows] == [
        ("Objects found (F1)", "3 (2 to 4)", "21"),
        ("Share found of a", "3 (2 to 4)", "21"),
    ]
    assert rows[0]["is_cheapest"]
    assert not section.body["curves"][0]["is_own"]
    for own in ("cohort:own", "cohort:P@all"):
        assert redundancy(inputs_of(redundancy=draws.assign(reference=own))).body["curves"][0]["is_own"]


def test_redundancy__a_pilot_that_cannot_tell_says_so() -> None:
    plan = pd.DataFrame([{"cohort": "P", "condition": "all", "metric": "f1", "class": "", "target": 0.7,
                          **dict.fromkeys(("low", "raters_per_fov", "high", "cost"), np.nan),
                          "verdict": "cannot tell"}])  # fmt: skip
    assert redundancy(inputs_of(plan=plan)).next_steps == ["P: cannot tell."]
