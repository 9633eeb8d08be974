"""The demonstration in small: it learns, it judges, it draws. In full it is in tests/verification."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from crowdtruth.files import WriteError
from nucls_model.cli.judging import describe_scores
from nucls_model.cli.showing import DEMO, run_demo

SMALL = replace(DEMO, crop_size=96, detector_updates=60, classifier_updates=5)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of a small demonstration, and its scores."""
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, run_demo(out, SMALL, n_fovs=24, n_unseen=8, device="cpu")


def overall(metrics: pd.DataFrame, metric: str, level: str) -> float:
    is_row = (metrics["metric"] == metric) & (metrics["level"] == level) & (metrics["class"] == "")
    return float(metrics.loc[is_row, "value"].iloc[0])


def test_run_demo__finds_and_names_most_nuclei_after_a_minute(demo):
    _, metrics = demo
    assert overall(metrics, "ap_50", "objectness") > 0.3
    assert overall(metrics, "accuracy", "main") > 0.8


def test_run_demo__losses_fall(demo):
    out, _ = demo
    losses = pd.read_csv(out / "model" / "losses.csv").query("phase == 'detector'")
    for name in ("rpn_objectness", "class", "mask"):
        assert losses[name].tail(10).mean() < 0.75 * losses[name].head(10).mean(), name


def test_run_demo__writes_what_it_promises(demo):
    out, metrics = demo
    assert {path.name for path in out.iterdir()} == {"fovs", "unseen", "model", "scores", "run.json"}
    scores = {path.name for path in (out / "scores").iterdir()}
    assert {"predictions.csv", "metrics.csv", "nuclei.csv", "page_01.png"} == scores
    assert json.loads((out / "run.json").read_text())["command"] == "nucls demo"
    read = pd.read_csv(out / "scores" / "metrics.csv", keep_default_na=False)
    assert read["metric"].tolist() == metrics["metric"].tolist()


def test_describe_scores__says_what_papers_print(demo):
    _, metrics = demo
    words = describe_scores(metrics, "main")
    assert f"AP@.5                    {overall(metrics, 'ap_50', 'objectness'):.3f} (" in words
    assert f"class accuracy           {overall(metrics, 'accuracy', 'main'):.3f} (" in words


def test_describe_scores__without_an_interval_shows_none(demo):
    _, metrics = demo
    words = describe_scores(metrics.assign(low=float("nan"), high=float("nan")), "main")
    assert "nan" not in words
    assert "(" not in words


def test_run_demo__never_paints_over_an_earlier_one(demo):
    out, _ = demo
    with pytest.raises(WriteError, match="it exists already"):
        run_demo(out, SMALL, n_fovs=2, n_unseen=1)
