"""The page as a whole, its figures, and how it writes numbers and lists."""

import hashlib
import json
import re
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.report import render_report, write_report
from crowdtruth.report.figures import figures_of
from crowdtruth.report.words import Estimate, joined, number
from tests.report_cases import folder_of, small_tables

HOSTILE = '</script><b onclick="x()">&\'"\x01'


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
