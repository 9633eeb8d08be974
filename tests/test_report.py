"""The report's words, numbers and ranking, on tables small enough to read."""

import hashlib
import json
import re
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crowdtruth.report import render_report, write_report
from crowdtruth.report.agreement import agreement
from crowdtruth.report.confusions import confusions
from crowdtruth.report.crops import PIXEL_LIMIT, crop_images
from crowdtruth.report.drift import drifts
from crowdtruth.report.figures import figures_of
from crowdtruth.report.hardest import as_script_data, hardest, view_around
from crowdtruth.report.inputs import Inputs
from crowdtruth.report.overview import overview
from crowdtruth.report.ranking import rank_anchors
from crowdtruth.report.raters import raters
from crowdtruth.report.redundancy import redundancy
from crowdtruth.report.suggestions import suggestions
from crowdtruth.report.words import Estimate, joined, number
from crowdtruth.results import ResultFolder
from crowdtruth.study import Study, make_study
from crowdtruth.taxonomy import load_taxonomy

HOSTILE = '</script><b onclick="x()">&\'"\x01'
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


def agreement_rows(value: float, low: float, high: float, cohort: str = "P", undefined: str = "") -> pd.DataFrame:
    return pd.DataFrame([{
        "statistic": "alpha", "scope": "classification", "cohort": cohort, "condition": "all", "threshold": 0.25,
        "grouping": "raw", "min_detections": 1, "value": value, "low": low, "high": high, "n_anchors": 9, "n_raters": 3,
        "resampled": "fov", "undefined": undefined,
    }])  # fmt: skip


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


def test_render_report__says_of_every_section_what_is_missing() -> None:
    page = render_report(folder_of({}))
    assert page.count('class="absent"') == 6
    assert "The results hold no agreement table" in page
    assert "The results hold no redundancy experiment" in page
    assert "<table" not in page


def test_render_report__same_inputs_give_the_same_bytes() -> None:
    assert render_report(folder_of(small_tables())) == render_report(folder_of(small_tables()))


def test_render_report__the_order_of_figures_changes_nothing() -> None:
    figures = {"rater_map-E": "<svg/>", "agreement": "<svg/>", "rater_map-B": "<svg/>", "own": "<svg/>"}
    turned = dict(reversed(figures.items()))
    results = folder_of(small_tables())
    assert render_report(results, figures=figures) == render_report(results, figures=turned)


def test_render_report__hostile_names_stay_text() -> None:
    tables = small_tables(label=HOSTILE, rater=HOSTILE, fov=HOSTILE)
    page = render_report(folder_of(tables, study=f"/x/{HOSTILE.replace('/', '')}", notes=[HOSTILE]))
    assert '<b onclick="x()">' not in page
    assert "\x01" not in page
    assert page.count("</script>") == 2  # the data and the program
    data = json.loads(re.search(r'id="queue-data">(.*?)</script>', page).group(1))  # type: ignore[union-attr]
    assert data["raters"][0][0] == HOSTILE
    assert data["classes"][0][0] == HOSTILE


def test_render_report__policy_names_the_one_style_and_the_one_script() -> None:
    page = render_report(folder_of(small_tables()))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1).replace("&#39;", "'")  # type: ignore[union-attr]
    assert policy.startswith("default-src 'none';")
    for text in (*re.findall(r"<style>(.*?)</style>", page, re.S), *re.findall(r"<script>(.*?)</script>", page, re.S)):
        assert b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert not re.search(r"\son\w+=|\sstyle=|https?://(?!www\.w3\.org/2000/svg)", page)


def test_render_report__a_crowd_table_has_a_queue_without_boxes() -> None:
    tables = small_tables(fov="")
    del tables["fovs"]
    tables["truth"] = tables["truth"].assign(xmin=np.nan, ymin=np.nan, xmax=np.nan, ymax=np.nan)
    page = render_report(folder_of(tables))
    assert "The study has no boxes; the queue shows who said what." in page
    assert "1 task, hardest first" in page
    assert 'id="export-csv"' in page
    assert 'id="export-coco"' not in page


def test_render_report__at_least_one_anchor_is_asked_for() -> None:
    with pytest.raises(ValueError, match="n_hardest must be at least 1, got 0"):
        render_report(folder_of(small_tables()), n_hardest=0)


def test_write_report__leaves_the_old_page_where_it_cannot_make_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(ValueError, match="n_hardest"):
        write_report(folder_of({}), tmp_path / "report.html", n_hardest=0)
    assert (tmp_path / "report.html").read_text() == "old"


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


def test_suggestions__a_single_condition_is_said() -> None:
    assert suggestions(inputs_of()).absent.startswith("The study has a single condition (“all”).")


def of_two_conditions(before: dict[str, float], after: dict[str, float]) -> Inputs:
    """Recalls of raters under the conditions all and later."""
    scores = [rater_rows(before), rater_rows(after).assign(condition="later")]
    ratings = [small_tables()["ratings"].assign(condition=name) for name in ("all", "later")]
    return inputs_of(raters=pd.concat(scores, ignore_index=True), ratings=pd.concat(ratings, ignore_index=True))


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


def test_overview__certainty_is_a_count() -> None:
    assert "0 of 1 objects have a label that is at least 95 % probable" in overview(inputs_of()).words[-1]


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


def truth_and_votes(votes: dict[str, list[str]], fov_of: dict[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth that is certain, and the labels given to each anchor."""
    truth = pd.DataFrame({"anchor": list(votes), "cohort": "P", "condition": "all", "entropy": 0.0})
    truth["fov"] = truth["anchor"].map(fov_of)
    said = [(anchor, label) for anchor, labels in votes.items() for label in labels]
    ratings = pd.DataFrame(said, columns=["anchor", "label"])
    return truth, ratings.assign(cohort="P", condition="all")


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), min_size=1, max_size=12), st.integers(1, 12))
def test_rank_anchors__order_is_that_of_entropy_in_plain_python(votes: list[list[str]], n_ranked: int) -> None:
    names = [f"{place:02d}" for place in range(len(votes))]
    truth, ratings = truth_and_votes(dict(zip(names, votes, strict=True)), dict.fromkeys(names, "f"))
    shares = {
        name: [said.count(c) / len(said) for c in sorted(set(said))] for name, said in zip(names, votes, strict=True)
    }
    plain = {name: -sum(p * np.log(p) for p in found) for name, found in shares.items()}
    expected = sorted((name for name in names if plain[name] > 0), key=lambda name: (-round(plain[name], 12), name))
    ranked = rank_anchors(truth, ratings, {"P": ["P"]}, n_ranked)
    np.testing.assert_allclose(ranked["disagreement"], [plain[name] for name in ranked["anchor"]])
    np.testing.assert_allclose(ranked["hardness"], [plain[name] for name in expected[:n_ranked]])


def test_rank_anchors__no_fov_takes_more_than_twice_its_share_while_others_have_any() -> None:
    hard, easier = ["a", "b", "c"], ["a", "a", "b"]
    votes = {f"x{i}": hard for i in range(6)} | {f"y{i}": easier for i in range(6)}
    truth, ratings = truth_and_votes(votes, {name: name[0] for name in votes} | {"z": "z"})
    ranked = rank_anchors(truth, ratings, {"P": ["P"]}, 3)
    assert ranked["fov"].tolist() == ["x", "x", "x"]
    truth["fov"] = [name if name[0] == "y" else "x" for name in truth["anchor"]]
    assert rank_anchors(truth, ratings, {"P": ["P"]}, 4)["fov"].tolist() == ["x", "x", "y0", "y1"]


def test_rank_anchors__a_union_counts_the_votes_of_its_cohorts() -> None:
    truth, ratings = truth_and_votes({"1": ["a", "b"]}, {"1": "f"})
    ratings["cohort"] = ["SP", "JP"]
    assert rank_anchors(truth, ratings, {"P": ["SP", "JP"]})["disagreement"].tolist() == [pytest.approx(np.log(2))]
    assert rank_anchors(truth, ratings, {"P": ["SP"]}).empty


def test_hardest__all_of_one_mind_is_said() -> None:
    tables = small_tables()
    tables["ratings"]["label"] = "a"
    tables["truth"]["entropy"] = 0.0
    assert hardest(Inputs(folder_of(tables), None, {})).absent.startswith("All raters are of one mind")


@given(st.text())
def test_as_script_data__is_json_without_markup(text: str) -> None:
    data = as_script_data({"label": text.encode(errors="replace").decode()})
    assert not set("<>&") & set(data)
    assert json.loads(data) == {"label": text.encode(errors="replace").decode()}


def test_crop_images__cuts_the_view_out_of_the_image(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[10:20, 30:50] = 250
    Image.fromarray(pixels).save(tmp_path / "f.png")
    crops = crop_images(tmp_path, {"f": "f.png"}, [("f", (30, 10, 50, 20)), ("g", (0, 0, 5, 5))])
    assert list(crops.of) == [0]
    assert crops.problems == []


def test_crop_images__a_view_larger_than_any_image_is_not_made(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "f.png")
    crops = crop_images(tmp_path, {"f": "f.png"}, [("f", (0, 0, 10**6, 10**6)), ("f", (0, 0, 9, 9))])
    assert list(crops.of) == [1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside.png", "leads out of the folder"),
        ("/etc/hostname", "leads out of the folder"),
        ("link.png", "leads out of the folder"),
        ("absent.png", "there is no such file"),
        ("text.png", "cannot identify image file"),
        ("cut.png", "truncated"),
        ("huge.png", f"at most {PIXEL_LIMIT:,} are opened"),
    ],
)
def test_crop_images__says_what_is_not_shown(tmp_path: Path, name: str, reason: str) -> None:
    study = tmp_path / "study"
    study.mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "outside.png")
    (study / "link.png").symlink_to(tmp_path / "outside.png")
    (study / "text.png").write_text("no image")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99, 3), dtype=np.uint8)).save(study / "whole.png")
    (study / "cut.png").write_bytes((study / "whole.png").read_bytes()[:9000])
    Image.new("1", (9000, 9000)).save(study / "huge.png")
    crops = crop_images(study, {"f": name}, [("f", (0, 0, 5, 5))])
    assert crops.of == {}
    assert reason in crops.problems[0]


def test_figures_of__known_kinds_have_their_section_and_others_the_last() -> None:
    figures = {"roc-P-main": "<svg/>", "roc-NP-main": "<svg/>", "mine_own": "<svg/>"}
    assert [(figure.name, figure.is_first) for figure in figures_of("raters", figures)] == [
        ("roc-NP-main", True), ("roc-P-main", False)
    ]  # fmt: skip
    assert [figure.caption for figure in figures_of("method", figures)] == ["Mine own"]


@given(st.floats(allow_nan=True), st.integers(0, 3))
def test_number__has_one_minus_sign_and_never_minus_zero(value: float, digits: int) -> None:
    text = number(value, digits)
    assert "-" not in text
    assert not re.fullmatch(r"−[0.,]*", text)


@given(st.lists(st.text("xyz", min_size=1), max_size=9), st.integers(1, 9))
def test_joined__shows_at_most_so_many(names: list[str], most: int) -> None:
    text = joined(names, most)
    assert all(name in text for name in names[:most])
    assert ("more" in text) == (len(names) > most)


def test_estimate__side_needs_an_interval_beside_what_is_usual() -> None:
    assert [Estimate(0.5, 0.4, 0.6, usual).side for usual in (0.3, 0.5, 0.7, np.nan)] == [1, 0, -1, 0]
    assert Estimate(0.5, usual=0.9).side == 0


def test_hardest__labels_are_grouped_and_cohorts_united_as_the_run_did() -> None:
    tables = small_tables(label="tumor_any")
    tables["ratings"] = tables["ratings"].assign(cohort=["SP", "JP", "JP"], label=["tumor", "mitotic_figure", "tumor"])
    marks = tables["ratings"].assign(**BOX).drop(columns=["anchor", "cohort"])
    study = make_study(marks, taxonomy=load_taxonomy("nucls"))
    options = {"classes": "super", "cohort": ["P=SP+JP"]}
    section = hardest(Inputs(folder_of(tables, options=options), study, {}))
    data = json.loads(section.body["data"])
    names = [name for name, _ in data["classes"]]
    assert [(names[said], names[label]) for _, _, said, label, *_ in data["items"][0]["ratings"]] == [
        ("tumor_any", "tumor"), ("tumor_any", "mitotic_figure"), ("tumor_any", "tumor")
    ]  # fmt: skip
    assert data["items"][0]["disagreement"] == 0
    assert dict(data["classes"])["tumor_any"] == "#ff0000"


@pytest.mark.parametrize(
    ("box", "size", "view"),
    [
        ((50, 50, 70, 70), (200, 200), (12, 12, 108, 108)),
        ((0, 0, 20, 20), (200, 200), (0, 0, 96, 96)),
        ((180, 180, 200, 200), (200, 200), (104, 104, 200, 200)),
        ((10, 10, 30, 30), (40, 40), (0, 0, 40, 40)),
        ((-5, 10, 30, 30), (None, None), (-49, -41, 74, 81)),
    ],
)
def test_view_around__stays_in_the_fov(box: Any, size: Any, view: Any) -> None:
    fov = {key: value for key, value in zip(("width", "height"), size, strict=True) if value}
    assert view_around(box, fov) == view
