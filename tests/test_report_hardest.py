"""The hardest anchors: their ranking, their page, and the images behind them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crowdtruth.report.crops import PIXEL_LIMIT, crop_images
from crowdtruth.report.hardest import as_script_data, hardest, view_around
from crowdtruth.report.inputs import Inputs
from crowdtruth.report.ranking import rank_anchors
from crowdtruth.study import make_study
from crowdtruth.taxonomy import load_taxonomy
from tests.report_cases import BOX, folder_of, small_tables


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
