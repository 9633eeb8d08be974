"""The command in the hands of the impatient: odd settings, odd files, a lack of memory or of a library."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nucls_model.painted import paint_fovs
from tests.nucls_model.cli_cases import TINY, command, error_of


@pytest.fixture(scope="module")
def painted(tmp_path_factory) -> Path:
    """Two painted FOVs in the NuCLS format, in a folder with a space and a letter beyond ASCII."""
    folder = tmp_path_factory.mktemp("refusals") / "two fovs é"
    paint_fovs(folder, n_fovs=2, size=80)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A TOML file of the smallest settings."""
    path = tmp_path_factory.mktemp("settings") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def trained(painted, tiny, tmp_path_factory) -> Path:
    """The folder of a model trained on both FOVs."""
    out = tmp_path_factory.mktemp("trained") / "a model é"
    result = command("train", painted, "--out", out, "--config", tiny, "--device", "cpu")
    assert result.exit_code == 0, result.output
    return out


# ---- machine


@pytest.mark.parametrize(
    "arguments", [("train", "x"), ("evaluate", "x", "y"), ("predict", "x", "y"), ("normalise", "x"), ("demo",)]
)
def test_commands__without_torch_say_what_to_install(tmp_path, arguments):
    code = "import sys; sys.modules['torch'] = None; from nucls_model.cli import main; main()"
    words = [sys.executable, "-c", code, *arguments, "--out", str(tmp_path / "out")]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == 'error: a detector needs torch, which is not installed: pip install "nucls[model]"\n'
    assert not (tmp_path / "out").exists()


def test_train__says_when_the_memory_does_not_suffice(painted, tiny, tmp_path):
    options = ("--config", tiny, "--out", tmp_path / "model", "--device", "cpu", "--crop", 10_000_000)
    assert "the memory does not suffice: a smaller --tile, --crop" in error_of(command("train", painted, *options))


def test_train__leaves_other_errors_of_torch_as_they_are(painted, tiny, tmp_path, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nucls_model.train.running.train_detector", broken)
    result = command("train", painted, "--config", tiny, "--out", tmp_path / "model")
    assert isinstance(result.exception, RuntimeError)


def test_train__takes_no_device_without_numbers(painted, tmp_path):
    message = error_of(command("train", painted, "--out", tmp_path / "model", "--device", "meta"))
    assert "--device meta cannot be used: expected cpu, cuda or cuda:0" in message


def test_train__takes_no_seed_beyond_the_generators(painted, tmp_path):
    result = command("train", painted, "--out", tmp_path / "model", "--seed", 10**30)
    assert result.exit_code == 2
    assert "4294967295" in result.output


def test_train__takes_no_setting_beyond_all_sense(painted, tmp_path):
    message = error_of(command("train", painted, "--out", tmp_path / "model", "--batch", 10**13))
    assert "batch_size must be at most 1,000,000,000, got 10000000000000" in message


# ---- what is read


def coco_of(folder: Path, images: Path, *, prefix: str = "") -> Path:
    """A COCO file of the images in a folder, a box in each; their names begin with `prefix`."""
    names = sorted(path.name for path in images.glob("*.png"))
    pictures = [{"id": n, "file_name": prefix + name} for n, name in enumerate(names)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [10, 10, 20, 20]} for n in range(len(names))]
    path = folder / "labels.json"
    categories = [{"id": 1, "name": "tumor_nonMitotic"}]
    path.write_text(json.dumps({"images": pictures, "annotations": boxes, "categories": categories}))
    return path


def test_evaluate__fovs_named_by_their_path_are_judged(painted, trained, tmp_path):
    shutil.copytree(painted / "rgb", tmp_path / "rgb")
    labels = coco_of(tmp_path, tmp_path / "rgb", prefix="rgb/")
    result = command("evaluate", trained, labels, "--out", tmp_path / "scores", "--device", "cpu", "--replicates", 20)
    assert result.exit_code == 0, result.output
    nuclei = pd.read_csv(tmp_path / "scores" / "nuclei.csv")
    assert nuclei["fov"].str.startswith("rgb/").all()


def test_evaluate__again_leaves_no_page_of_before(painted, trained, tmp_path):
    options = ("--out", tmp_path / "scores", "--device", "cpu", "--replicates", 20)
    assert command("evaluate", trained, painted, *options).exit_code == 0
    assert (tmp_path / "scores" / "page_01.png").is_file()
    assert command("evaluate", trained, painted, *options, "--pictures", 0).exit_code == 0
    assert not list((tmp_path / "scores").glob("page_*"))


@pytest.mark.parametrize("option", ["--images", "--splits"])
def test_train__never_writes_into_what_its_options_name(painted, tmp_path, option):
    labels = coco_of(tmp_path, painted / "rgb")
    options = (option, painted, "--out", painted / "model")
    message = error_of(command("train", labels, *options))
    assert f"--out {painted / 'model'} is {painted} or inside of it" in message
    assert not (painted / "model").exists()


def test_train__never_writes_into_the_study_of_a_result_folder(painted, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"study": painted.as_posix(), "options": {}}))
    message = error_of(command("train", tmp_path, "--out", painted / "model"))
    assert f"--out {painted / 'model'} is {painted} or inside of it" in message


def test_evaluate__names_a_wrong_unit_before_it_works(painted, trained, tmp_path):
    message = error_of(command("evaluate", trained, painted, "--out", tmp_path / "scores", "--resample", "nucleus"))
    assert "--resample is fov or slide, got 'nucleus'" in message
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("name", ["csv", "rgb", "mask"])
def test_train__follows_no_link_out_of_its_folder(painted, tiny, tmp_path, name):
    folder = tmp_path / "linked"
    shutil.copytree(painted, folder)
    shutil.rmtree(folder / name)
    (folder / name).symlink_to(painted / name)
    message = error_of(command("train", folder, "--config", tiny, "--out", tmp_path / "model"))
    assert f"'{name}' leads out of the folder {folder}" in message


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (("rgb", np.full((80, 80), 7_000, np.uint16)), "has pixels of Pillow's kind I;16; expected one of 1, L"),
        (("mask", np.full((80, 80), 7, np.uint8)), "has pixels of Pillow's kind L; expected one of RGB, RGBA, P"),
    ],
)
def test_train__leaves_out_fovs_whose_pixels_are_of_another_kind(painted, tiny, tmp_path, pixels, words):
    folder = tmp_path / "fovs"
    shutil.copytree(painted, folder)
    kind, values = pixels
    for path in (folder / kind).iterdir():
        Image.fromarray(values).save(path)
    result = command("train", folder, "--config", tiny, "--out", tmp_path / "model")
    assert result.exit_code == 1
    assert words in result.stderr
