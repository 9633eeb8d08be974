"""Commands that hand on to each other: sides of folds, marks to scores, what judges a detector."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from crowdtruth.cli import app as crowdtruth
from crowdtruth.synthetic import load_preset, synthesise
from nucls_model.cli.judging import evaluate_detector
from nucls_model.config import CONFIGURATIONS, NuclsConfig
from nucls_model.evaluate import Trial
from nucls_model.instances import Detections
from nucls_model.labelled import TARGETS, LabelledFovs, read_labelled
from nucls_model.painted import paint_fovs, paint_study
from nucls_model.train.folders import read_training_record
from nucls_model.weights import ModelRecord
from tests.nucls_model.cli_cases import TINY, command
from tests.nucls_model.labelled_cases import POLYLINE, RECTANGLE, paint_mask, write_fov
from tests.nucls_model.test_evaluate_average_precision import crowded, ours, theirs

HOSPITALS = ("H1", "H2", "H3")
CORNERS = ["xmin", "ymin", "xmax", "ymax"]


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six painted FOVs of three hospitals, in the NuCLS format."""
    folder = tmp_path_factory.mktemp("painted") / "fovs"
    paint_fovs(folder, n_fovs=6, size=80, hospitals=HOSPITALS, fovs_per_slide=1)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TOML file of the smallest settings."""
    path = tmp_path_factory.mktemp("settings") / "tiny.toml"
    path.write_text(TINY)
    return path


def done(*arguments: object) -> None:
    """A command of the detector on the CPU, which succeeds."""
    result = command(*arguments, "--device", "cpu")
    assert result.exit_code == 0, result.output


def read(path: Path) -> pd.DataFrame:
    """A table in which an empty cell of text is empty text."""
    return pd.read_csv(path, keep_default_na=False, na_values={"value": "", "low": "", "high": ""})


def hospitals_of(fovs: "pd.Series[str]") -> set[str]:
    """The hospitals in the published names of FOVs."""
    return set(fovs.str.split("-").str[1])


def value_of(metrics: pd.DataFrame, metric: str, level: str) -> float:
    [found] = metrics.loc[
        (metrics["metric"] == metric) & (metrics["level"] == level) & (metrics["class"] == ""), "value"
    ]
    return float(found)


# ---- folds


def test_fold__is_trained_on_at_one_side_and_judged_at_the_other(painted: Path, tiny: Path, tmp_path: Path) -> None:
    model, scores, fold = tmp_path / "model", tmp_path / "scores", ("--fold", 2, "--folds", 3)
    done("train", painted, "--out", model, "--config", tiny, *fold)
    done("evaluate", model, painted, "--out", scores, *fold, "--replicates", 20, "--pictures", 0)
    record, metrics = read_training_record(model), read(scores / "metrics.csv")
    [tested] = set(metrics["hospitals"])
    assert len(record["hospitals"]) == 2  # three hospitals in three folds: each is tested on alone
    assert {*record["hospitals"], tested} == set(HOSPITALS)
    assert hospitals_of(pd.Series(record["training"]["fovs"])) == set(record["hospitals"])
    assert hospitals_of(read(scores / "nuclei.csv")["fov"]) == {tested}
    assert hospitals_of(read(scores / "predictions.csv")["fov"]) <= {tested}
    assert (record["labels"]["fold"], set(metrics["fold"].astype(int))) == (2, {2})


# ---- from marks to scores


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small painted study of two hospitals: ``painted``, and ``results`` of the run on it."""
    demo = load_preset("demo")
    tissue = replace(
        demo.tissue, hospitals={"H1": 1.0, "H2": 1.0}, n_slides=4, fov_side=120, nuclei_median=8.0, nuclei_min=4,
        nuclei_max=12,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("study")
    paint_study(synthesise(replace(demo, tissue=tissue, n_fovs=4), seed=0), folder / "painted")
    words = ["run", folder / "painted" / "study", "--out", folder / "results", "--train-on", "NP@E"]
    few = ["--no-report", "--replicates", 20, "--realizations", 1]
    result = CliRunner().invoke(crowdtruth, [str(word) for word in (*words, *few)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def judged(run: Path, tiny: Path) -> Path:
    """The same folder with a model of each kind of targets, trained at one hospital, and its scores at the other."""
    for targets in TARGETS:
        model, scores = run / targets / "model", run / targets / "scores"
        done("train", run / "results", "--out", model, "--config", tiny, "--targets", targets, "--hospitals", "H1")
        judge = ("evaluate", model, run / "painted" / "truth", "--out", scores, "--hospitals", "H2")
        done(*judge, "--tested-on", "truth", "--replicates", 20)
    return run


@pytest.mark.parametrize("targets", TARGETS)
def test_run_train_evaluate__leave_the_files_and_say_what_was_learned_from(judged: Path, targets: str) -> None:
    model, scores = judged / targets / "model", judged / targets / "scores"
    assert {"model.json", "weights.safetensors", "losses.csv", "run.json"} <= {path.name for path in model.iterdir()}
    files = {"predictions.csv", "metrics.csv", "nuclei.csv", "losses.csv", "page_01.png", "run.json"}
    assert files <= {path.name for path in scores.iterdir()}
    record = read_training_record(model)
    assert record["labels"]["targets"] == targets
    assert Path(record["labels"]["path"]) == (judged / "results").resolve()
    assert record["hospitals"] == ["H1"]
    metrics = read(scores / "metrics.csv")
    said = metrics[["trained_on", "tested_on", "hospitals", "configuration"]].drop_duplicates()
    assert said.to_numpy().tolist() == [[targets, "truth", "H2", "3, changed"]]


@pytest.mark.parametrize("targets", TARGETS)
def test_run_train_evaluate__end_in_scores_of_the_true_nuclei(judged: Path, targets: str) -> None:
    assert np.isfinite(pd.read_csv(judged / targets / "model" / "losses.csv")["total"]).all()
    metrics = read(judged / targets / "scores" / "metrics.csv")
    truth = read_labelled(judged / "painted" / "truth")
    there = truth.objects[truth.is_object & (truth.objects["label"] != "AMBIGUOUS").to_numpy()]
    at_h2 = there["fov"].str.split("-").str[1] == "H2"
    assert value_of(metrics, "n_true", "") == at_h2.sum() > 0
    for level in ("objectness", "main"):
        for metric in ("ap_50", "ap_75", "map_50_95"):
            assert 0 <= value_of(metrics, metric, level) <= 1


def test_run_train__learns_something_else_from_each_kind_of_targets(judged: Path) -> None:
    training = [read_training_record(judged / targets / "model")["training"] for targets in TARGETS]
    assert len({one["labels"] for one in training}) == len(TARGETS)
    assert len({tuple(one["fovs"]) for one in training}) == 1


# ---- what judges a detector


Find = Callable[[Tensor], Detections]


def judge(find: Find, labelled: LabelledFovs, config: NuclsConfig, out: Path) -> pd.DataFrame:
    """The table of metrics that is written of a detector with this way of finding the objects of an image."""
    detector: Any = SimpleNamespace(detect=lambda images: [find(image) for image in images])
    record = ModelRecord(config, labelled.class_names, labelled.colors, out / "weights.safetensors", "")
    places = range(len(labelled.fovs))
    evaluate_detector(detector, record, labelled, places, out, trial=Trial(), n_replicates=20)
    return read(out / "metrics.csv")


def detections(boxes: Any, labels: Any, objectness: Any, probabilities: Any) -> Detections:
    """Objects without doubt of being one that can be named; masks fill their boxes."""
    n = len(labels)
    return Detections(
        boxes=torch.tensor(np.array(boxes), dtype=torch.float32).reshape(n, 4),
        objectness=torch.tensor(objectness),
        probabilities=torch.tensor(probabilities),
        ambiguous=torch.zeros(n),
        masks=torch.ones(n, 4, 4),
        embedding=torch.zeros(n, 1),
        label=torch.tensor(labels),
    )


def found_right(labelled: LabelledFovs) -> Detections:
    """Every object of a single FOV where it is, as what it is."""
    labels = [labelled.class_names.index(name) for name in labelled.objects["label"]]
    certain = np.eye(len(labelled.class_names), dtype=np.float32)[labels]
    return detections(labelled.objects[CORNERS], labels, np.full(len(labels), 0.9, np.float32), certain)


def found_twice(labelled: LabelledFovs) -> Detections:
    """Each of two objects as what it is and as another class, with one objectness; by falling probability."""
    right = [labelled.class_names.index(name) for name in labelled.objects["label"]]
    vectors = np.full((2, len(labelled.class_names)), 0.0, np.float32)
    vectors[[0, 1], right] = 0.8
    vectors[[0, 1], right[::-1]] = 0.2
    objectness = np.array([0.9, 0.8] * 2, np.float32)
    boxes = np.tile(labelled.objects[CORNERS].to_numpy(), (2, 1))
    return detections(boxes, [*right, *right[::-1]], objectness, np.tile(vectors, (2, 1)))


@pytest.fixture
def two_nuclei(tmp_path: Path) -> Path:
    """A NuCLS folder with one FOV of two nuclei, of different super-classes."""
    write_fov(tmp_path / "fovs", rows=(RECTANGLE, POLYLINE))
    return tmp_path / "fovs"


def test_evaluate_detector__scores_super_classes_of_a_detector_of_main_ones(two_nuclei: Path, tmp_path: Path) -> None:
    labelled = read_labelled(two_nuclei, "main")
    metrics = judge(lambda _: found_right(labelled), labelled, NuclsConfig(), tmp_path / "scores")
    assert {"objectness", "main", "super"} <= set(metrics["level"])
    named = metrics[(metrics["level"] == "super") & (metrics["metric"] == "accuracy")].set_index("class")["value"]
    assert set(named.index) == {"", *read_labelled(two_nuclei, "super").class_names}
    assert (named == 1).all()


@pytest.mark.parametrize("row", ["1", "5"])
def test_evaluate_detector__ranks_by_class_where_each_class_finds_for_itself(
    two_nuclei: Path, tmp_path: Path, row: str
) -> None:
    config = NuclsConfig(**CONFIGURATIONS[row])  # type: ignore[arg-type]
    labelled = read_labelled(two_nuclei, config.class_level)
    metrics = judge(lambda _: found_twice(labelled), labelled, config, tmp_path / "scores")
    assert value_of(metrics, "n_predicted", "") == 4
    assert value_of(metrics, "ap_50", "objectness") == 1  # .72 and .64 before .18 and .16; by objectness .84
    assert value_of(metrics, "accuracy", config.class_level) == 1


@pytest.mark.parametrize("row", ["2", "3"])
def test_evaluate_detector__ranks_by_objectness_where_a_nucleus_is_found_once(
    two_nuclei: Path, tmp_path: Path, row: str
) -> None:
    config = replace(NuclsConfig(**CONFIGURATIONS[row]), class_level="main")  # type: ignore[arg-type]
    labelled = read_labelled(two_nuclei, "main")
    n_classes = len(labelled.class_names)
    vectors = np.full((3, n_classes), 1 / n_classes, np.float32)  # the two nuclei could be anything,
    vectors[2] = np.eye(n_classes)[0]  # what is none has a class for sure
    boxes = [*labelled.objects[CORNERS].to_numpy().tolist(), [0, 50, 9, 60]]
    found = detections(boxes, [0, 0, 0], np.array([0.9, 0.8, 0.7], np.float32), vectors)
    metrics = judge(lambda _: found, labelled, config, tmp_path / "scores")
    assert value_of(metrics, "ap_50", "objectness") == 1


def test_evaluate_detector__shows_the_detector_the_area_that_was_annotated_alone(tmp_path: Path) -> None:
    folder = tmp_path / "fovs"
    inner = "tumor", "rectangle", (14, 12, 34, 40), "14,34,34,14", "12,12,40,40"
    stem = write_fov(folder, rows=(inner,))
    pixels = np.random.default_rng(0).integers(0, 180, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "rgb" / f"{stem}.png")
    outside = np.ones((64, 64), dtype=bool)
    outside[6:54, 4:60] = False
    paint_mask(folder / "mask" / f"{stem}.png", [(0, 0, 0, outside)])
    labelled, seen = read_labelled(folder), []

    def find(image: Tensor) -> Detections:
        seen.append((image * 255).round().byte().permute(1, 2, 0).numpy())
        return found_right(labelled)

    metrics = judge(find, labelled, NuclsConfig(), tmp_path / "scores")
    [shown] = seen
    np.testing.assert_array_equal(shown, pixels[6:54, 4:60])
    assert value_of(metrics, "ap_50", "objectness") == 1
    assert read(tmp_path / "scores" / "predictions.csv")[CORNERS].to_numpy().tolist() == [[10, 6, 30, 34]]


def test_coco_average_precision__counts_300_detections_of_a_class_in_an_fov() -> None:
    found, nuclei = crowded(1, 160, 400, np.random.default_rng(3), side=600)
    found = [(*row[:3], 0) for row in found]
    nuclei = [(*row[:2], 0) for row in nuclei]
    expected = theirs(found, nuclei, 1, max_detections=300)
    np.testing.assert_allclose(ours(found, nuclei, 1), expected, atol=1e-6)
    for other in (100, 400):
        assert not np.allclose(theirs(found, nuclei, 1, max_detections=other), expected, atol=1e-4), other
