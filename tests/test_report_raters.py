"""Cards of raters: how they compare with their cohort, what they confuse, and how they drift."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from crowdtruth.report.confusions import confusions
from crowdtruth.report.drift import drifts
from crowdtruth.report.inputs import Inputs
from crowdtruth.report.raters import raters
from crowdtruth.study import Study, make_study
from tests.report_cases import BOX, folder_of, inputs_of, rater_rows


def test_raters__compares_with_the_median_of_the_cohort_where_the_interval_tells() -> None:
    cards = {
        card.rater: card for card in raters(inputs_of(raters=rater_rows({"x": 0.5, "y": 0.7, "z": 0.9}))).body["cards"]
    }
    assert cards["x"].sentences == ["Finds 10 of 20 objects.", "Compared with the median of P: finds fewer objects."]
    assert cards["y"].sentences == ["Finds 14 of 20 objects.", "No clear difference from the median of P."]
    assert [card.is_below for card in cards.values()] == [True, False, False]


def test_raters__two_raters_have_no_median_to_be_compared_with() -> None:
    cards = raters(inputs_of(raters=rater_rows({"x": 0.5, "y": 0.9}))).body["cards"]
    assert [card.sentences for card in cards] == [["Finds 10 of 20 objects."], ["Finds 18 of 20 objects."]]


def test_raters__names_what_is_found_in_counts_over_all_conditions() -> None:
    scores = rater_rows({"x": 0.5}).assign(class_accuracy=0.8)
    both = pd.concat([scores, scores.assign(condition="later")], ignore_index=True)
    assert raters(inputs_of(raters=both)).body["cards"][0].sentences == [
        "Finds 20 of 40 objects and names 16 of these rightly."
    ]


def test_raters__a_crowd_table_has_answers_only() -> None:
    missing = dict.fromkeys(("recall", "n_fovs", "n_true_positive", "n_false_negative"), np.nan)
    scores = rater_rows({"x": 0.5}).assign(class_accuracy=0.8, **missing)
    assert raters(inputs_of(raters=scores)).body["cards"][0].sentences == ["Answers 80 % of the tasks rightly."]


def test_raters__warns_where_they_made_their_own_reference() -> None:
    own = rater_rows({"x": 0.5, "y": 0.9}).assign(in_reference=True)
    assert any(sentence.startswith("Careful: some raters helped") for sentence in raters(inputs_of(raters=own)).words)


def test_confusions__rows_are_shares_and_the_worst_mistake_is_told() -> None:
    counts = pd.DataFrame(
        [("a", "a", 6), ("a", "b", 3), ("a", "undetected", 1), ("b", "b", 5), ("", "a", 2)],
        columns=["true", "assigned", "count"],
    ).assign(who="x", cohort="P", condition="all", reference="gold", grouping="raw")
    heat = confusions(inputs_of(rater_confusion=counts))["x"]
    assert list(heat.assigned) == ["a", "b", "undetected"]
    assert [name for name, _ in heat.rows] == ["a", "b", "no object"]
    assert [cell.share for cell in heat.rows[0][1]] == [0.6, 0.3, 0.1]
    assert heat.mistake == "a called b (3 times)"


def timed_study(agreeing: list[bool]) -> tuple[Study, dict[str, pd.DataFrame]]:
    """One rater, one mark per FOV, a day apart; whether it agrees with the inferred label."""
    n = len(agreeing)
    marks = pd.DataFrame({"fov": [f"f{i:02d}" for i in range(n)], "rater": "r", **BOX})
    marks["label"] = np.where(agreeing, "a", "b")
    marks["created"] = (pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(n), unit="D")).astype("str")
    study = make_study(marks)
    members = study.annotations[["annotation", "fov", "rater", "condition", "label"]].assign(anchor=marks["fov"])
    ratings = members.drop(columns="annotation").assign(cohort="all")
    truth = ratings.drop(columns=["rater"]).assign(
        label="a", is_object=True, prob_a=1.0, prob_b=0.0, prob_undetected=0.0
    )
    return study, {"members": members, "ratings": ratings, "truth": truth}


def test_drifts__change_is_second_half_minus_first() -> None:
    study, tables = timed_study([True] * 10 + [True, False] * 5)
    drift = drifts(Inputs(folder_of(tables), study, {})).of["r"]
    assert drift.change.value == pytest.approx(-0.5)
    assert drift.change.high < 0
    assert (drift.first, drift.last) == ("2026-01-01", "2026-01-20")
    assert len(drift.shares) == 8
    assert drift.shares == list(drift.cohort)


def test_drifts__says_why_there_is_none() -> None:
    study, tables = timed_study([True] * 3)
    assert "8 FOVs" in drifts(Inputs(folder_of(tables), study, {})).absent
    timeless = replace(study, annotations=study.annotations.drop(columns="created"))
    assert "no time" in drifts(Inputs(folder_of(tables), timeless, {})).absent
    assert "not at hand" in drifts(Inputs(folder_of(tables), None, {})).absent


def test_drifts__marks_without_a_readable_time_are_left_out() -> None:
    study, tables = timed_study([True] * 12)
    study.annotations.loc[0, "created"] = "soon"
    assert drifts(Inputs(folder_of(tables), study, {})).of["r"].first == "2026-01-02"
