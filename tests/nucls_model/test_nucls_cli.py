"""The command as its user meets it: exit codes, messages, nothing half-written; a detector is trained and used."""

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crowdtruth.files import read_toml
from crowdtruth.parallel import reporting_to
from nucls_model.cli import judging, main
from nucls_model.cli.choosing import chosen_places
from nucls_model.cli.configuring import make_config
from nucls_model.config import CONFIGURATIONS, NuclsConfig
from nucls_model.labelled import read_labelled
from nucls_model.painted import paint_fovs
from nucls_model.train.running import Means, train_detector
from tests.nucls_model.cli_cases import TINY, command, error_of
from tests.nucls_model.training_cases import Interrupted


@pytest.fixture(scope="module")
def painted(tmp_path_factory) -> Path:
    """Six painted FOVs of three hospitals, in the NuCLS format."""
    folder = tmp_path_factory.mktemp("painted") / "fovs"
    paint_fovs(folder, n_fovs=6, size=80, hospitals=("H1", "H2", "H3"), fovs_per_slide=1)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A TOML file of the smallest settings."""
    path = tmp_path_factory.mktemp("settings") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def trained(painted, tiny, tmp_path_factory) -> Path:
    """The folder of a model trained for three updates on two of the hospitals."""
    out = tmp_path_factory.mktemp("trained") / "model"
    result = command("train", painted, "--out", out, "--config", tiny, "--hospitals", "H1,H2", "--device", "cpu")
    assert result.exit_code == 0, result.output
    return out


# ---- help


def test_help__loads_neither_torch_nor_pandas():
    code = "import sys; from nucls_model.cli import app; print({'torch', 'pandas', 'numpy'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"


@pytest.mark.parametrize("name", ["train", "evaluate", "predict", "normalise", "demo"])
def test_help__shows_an_example_of_each_command(name):
    result = command(name, "--help")
    assert result.exit_code == 0
    assert f"nucls {name} " in result.output


@pytest.fixture
def _own_signals():
    """What the process does when told to end, as it was."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_own_signals")
def test_main__sets_how_threads_wait_before_torch_loads(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(sys, "argv", ["nucls", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_usage__is_exit_code_2():
    assert command("train").exit_code == 2
    assert command("train", "x", "--out", "y", "--updates", "many").exit_code == 2


# ---- train, evaluate, predict


def test_train__writes_the_folder_it_promises(trained, tiny):
    names = {path.name for path in trained.iterdir()}
    assert names == {"run.json", "losses.csv", "losses.png", "checkpoint", "weights.safetensors", "model.json"}
    record = json.loads((trained / "run.json").read_text())
    assert record["command"] == "nucls train"
    assert record["hospitals"] == ["H1", "H2"]
    assert len(record["training"]["fovs"]) == 4
    assert record["training"]["config"]["box_features"] == 8
    assert record["labels"]["configuration"] == "3"
    losses = pd.read_csv(trained / "losses.csv")
    assert losses["phase"].tolist() == ["detector", "detector", "classifier"]


def test_train__resumed_ends_with_the_same_bytes(trained, painted, tiny, tmp_path):
    _, settings = make_config(str(tiny))
    labelled = read_labelled(painted)
    places = chosen_places(labelled.fovs, "train", hospitals="H1,H2")
    with pytest.raises(KeyboardInterrupt), reporting_to(Interrupted(1)):
        train_detector(
            labelled, tmp_path / "model", settings, places=places, means=Means(device="cpu", checkpoint_every=1)
        )
    assert not (tmp_path / "model" / "model.json").exists()
    options = ("--config", tiny, "--hospitals", "H1,H2", "--device", "cpu", "--out", tmp_path / "model")
    assert "add --resume to continue it" in error_of(command("train", painted, *options))
    result = command("train", painted, *options, "--resume")
    assert result.exit_code == 0, result.output
    assert "continued after update 1" in result.stderr
    for name in ("weights.safetensors", "losses.csv", "losses.png", "model.json"):
        assert (tmp_path / "model" / name).read_bytes() == (trained / name).read_bytes(), name


def test_train__resume_refuses_another_training(trained, painted, tiny):
    options = ("--config", tiny, "--hospitals", "H1,H2", "--device", "cpu", "--out", trained, "--resume")
    message = error_of(command("train", painted, *options, "--seed", 1, "--crop", 48))
    assert "holds another training: it differs in seed, crop_size (64 then)" in message
    assert "differs in fovs" in error_of(command("train", painted, "--config", tiny, "--out", trained, "--resume"))


def test_train__resume_needs_a_training(painted, tiny, tmp_path):
    message = error_of(command("train", painted, "--config", tiny, "--out", tmp_path / "none", "--resume"))
    assert "holds no training to resume: it has no run.json" in message
    assert not (tmp_path / "none").exists()


def test_train__never_writes_into_its_labels(painted):
    message = error_of(command("train", painted, "--out", painted / "model"))
    assert "results are never written into what is read" in message
    assert not (painted / "model").exists()


def test_evaluate__writes_scores_and_pictures(trained, painted, tmp_path):
    result = command("evaluate", trained, painted, "--out", tmp_path / "scores", "--hospitals", "H3", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "nuclei" in result.stdout
    assert "trained on" not in result.stderr
    names = {path.name for path in (tmp_path / "scores").iterdir()}
    assert names == {"predictions.csv", "metrics.csv", "nuclei.csv", "losses.csv", "page_01.png", "run.json"}
    assert (tmp_path / "scores" / "losses.csv").read_bytes() == (trained / "losses.csv").read_bytes()
    metrics = pd.read_csv(tmp_path / "scores" / "metrics.csv", keep_default_na=False)
    assert set(metrics["hospitals"]) == {"H3"}
    assert set(metrics["configuration"].astype(str)) == {"3, changed"}
    assert set(metrics["updates"]) == {2}
    assert set(metrics["trained_on"]) == {"corrected"}


def test_evaluate__says_what_was_learned_from_as_told(trained, painted, tmp_path):
    words = ("--trained-on", "uncorrected", "--tested-on", "P-truth", "--pictures", 0, "--device", "cpu")
    assert command("evaluate", trained, painted, "--out", tmp_path / "scores", *words).exit_code == 0
    metrics = pd.read_csv(tmp_path / "scores" / "metrics.csv", keep_default_na=False)
    assert set(metrics["trained_on"] + metrics["tested_on"]) == {"uncorrectedP-truth"}


def test_evaluate__tells_of_fovs_that_were_trained_on(trained, painted, tmp_path):
    result = command("evaluate", trained, painted, "--out", tmp_path / "scores", "--pictures", 0, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "4 of 6 FOVs are those the detector was trained on" in result.stderr


def test_evaluate__names_classes_the_detector_does_not_know(trained, painted, tmp_path):
    record = json.loads((trained / "model.json").read_text())
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights.safetensors").write_bytes((trained / "weights.safetensors").read_bytes())
    record["classes"][0]["name"] = "something"
    (model / "model.json").write_text(json.dumps(record))
    message = error_of(command("evaluate", model, painted, "--out", tmp_path / "scores", "--device", "cpu"))
    assert "the labels have the classes 'tumor_nonMitotic'; the detector knows 'something'" in message


def test_predict__writes_what_it_found_in_each_image(trained, painted, tmp_path):
    images = sorted((painted / "rgb").glob("*.png"))[:2]
    result = command("predict", trained, *images, "--out", tmp_path / "found", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "in 2 images" in result.stdout
    found = tmp_path / "found"
    names = {"predictions.csv", "predictions.json", "geojson", "page_01.png", "page_02.png", "run.json"}
    assert {path.name for path in found.iterdir()} == names
    assert {path.stem for path in (found / "geojson").iterdir()} <= {image.stem for image in images}
    columns = pd.read_csv(found / "predictions.csv").columns
    assert {"fov", "xmin", "objectness", "label", "p_ambiguous", "prob_lymphocyte", "coords_x"} <= set(columns)


def test_predict__draws_images_that_are_no_slides(trained, painted, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "DRAWN_LIMIT", 80 * 80)
    Image.new("RGB", (81, 80), "white").save(tmp_path / "large.png")
    small = next((painted / "rgb").glob("*.png"))
    longs = [tmp_path / f"{'a' * 40}{n}.png" for n in range(2)]  # their names differ beyond what a page shows
    for long in longs:
        long.write_bytes(small.read_bytes())
    for images, n_pages in (((tmp_path / "large.png",), 0), ((tmp_path / "large.png", small), 1), (longs, 2)):
        result = command("predict", trained, *images, "--out", tmp_path / "found", "--device", "cpu")
        assert result.exit_code == 0, result.output
        assert len(list((tmp_path / "found").glob("page_*.png"))) == n_pages
    result = command("predict", trained, small, "--out", tmp_path / "found", "--device", "cpu", "--pictures", 0)
    assert not list((tmp_path / "found").glob("page_*.png"))


def test_predict__again_leaves_nothing_of_the_first(trained, painted, tmp_path):
    first, second = sorted((painted / "rgb").glob("*.png"))[:2]
    for image, formats in ((first, ()), (second, ("--format", "geojson"))):
        result = command("predict", trained, image, "--out", tmp_path, *formats, "--device", "cpu")
        assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {"geojson", "run.json"}
    assert [path.stem for path in (tmp_path / "geojson").iterdir()] == [second.stem]


def test_predict__again_removes_nothing_of_others(trained, painted, tmp_path):
    first, second = sorted((painted / "rgb").glob("*.png"))[:2]
    assert command("predict", trained, first, "--out", tmp_path, "--device", "cpu").exit_code == 0
    (tmp_path / "geojson" / "by_hand.geojson").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    assert command("predict", trained, second, "--out", tmp_path, "--device", "cpu").exit_code == 0
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {
        *("run.json", "predictions.csv", "predictions.json", "page_01.png", "notes.txt"),
        *("geojson/by_hand.geojson", f"geojson/{second.stem}.geojson"),
    }


def test_predict__follows_no_link_out_of_its_folder(trained, painted, tmp_path):
    image = next((painted / "rgb").glob("*.png"))
    out, other = tmp_path / "found", tmp_path / "other"
    assert command("predict", trained, image, "--out", out, "--device", "cpu").exit_code == 0
    other.mkdir()
    (other / f"{image.stem}.geojson").write_text("mine")
    for path in (out / "geojson").iterdir():
        path.unlink()
    (out / "geojson").rmdir()
    (out / "geojson").symlink_to(other)
    before = (out / "predictions.csv").read_bytes()
    assert "leads out of the folder" in error_of(command("predict", trained, image, "--out", out, "--device", "cpu"))
    assert command("predict", trained, image, "--out", out, "--format", "csv", "--device", "cpu").exit_code == 0
    assert (other / f"{image.stem}.geojson").read_text() == "mine"
    assert (out / "predictions.csv").read_bytes() == before


def test_predict__that_fails_leaves_nothing(trained, painted, tmp_path):
    image = next((painted / "rgb").glob("*.png"))
    (tmp_path / "cut.png").write_bytes(image.read_bytes()[:200])
    for wrong in ((image, tmp_path / "cut.png"), (image, "--format", "xml"), (image, "--level", 3)):
        error_of(command("predict", trained, *wrong, "--out", tmp_path / "found", "--device", "cpu"))
        assert not (tmp_path / "found").exists()


def test_predict__again_into_its_own_folder_alone(trained, painted, tmp_path):
    image = next((painted / "rgb").glob("*.png"))
    options = ("--format", "csv", "--device", "cpu")
    for _ in range(2):
        assert command("predict", trained, image, "--out", tmp_path / "found", *options).exit_code == 0
    message = error_of(command("evaluate", trained, painted, "--out", tmp_path / "found", "--device", "cpu"))
    assert "holds files that 'nucls evaluate' did not write" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{model}", "{missing}", "--out", "{out}"], "missing.png"),
        (["{missing}", "{image}", "--out", "{out}"], "expected a trained model"),
        (["{model}", "{image}", "{image}", "--out", "{out}"], "several images are called 'x'"),
        (["{model}", "{image}", "--out", "{out}", "--format", "xml"], "no format 'xml'"),
        (["{model}", "{image}", "--out", "{model}/found"], "inside of it"),
        (["{model}", "{image}", "--out", "{image}"], "is a file; give a folder"),
        (["{model}", "{image}", "--out", "{out}", "--device", "gpu"], "--device gpu cannot be used"),
        (["{model}", "{image}", "--out", "{out}", "--tile", "100"], "multiple of 32"),
    ],
)
def test_predict__names_what_is_wrong(trained, tmp_path, arguments, words):
    Image.fromarray(np.full((64, 64, 3), 120, np.uint8)).save(tmp_path / "x.png")
    places = {"model": trained, "image": tmp_path / "x.png", "missing": tmp_path / "missing.png", "out": tmp_path / "o"}
    assert words in error_of(command("predict", *(argument.format(**places) for argument in arguments)))
    assert not (tmp_path / "o" / "predictions.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--config", "9"], "--config is a row of Table S5 (1, 2, 3"),
        (["--config", "none.toml"], "none.toml: expected a TOML file"),
        (["--classes", "fine"], "class_level takes raw or main or super, got 'fine'"),
        (["--rate", "0"], "learning_rate must be a finite number, above 0; got 0"),
        (["--scale", "-1"], "scale_factor must be a finite number, above 0"),
        (["--jitter", "9"], "scale_jitter must be below scale_factor, got 9 and 4"),
        (["--updates", "0", "--class-updates", "0"], "at least one update"),
        (["--hospitals", "XX"], "no FOV is of hospital 'XX'; there are H1, H2, H3"),
        (["--fold", "4", "--folds", "3"], "there is no fold 4; there are 1, 2, 3"),
        (["--fold", "1"], "5 folds and 3 hospitals"),
        (["--folds", "3"], "--folds and --splits belong to --fold"),
        (["--fold", "1", "--folds", "3", "--splits", "."], "--splits brings its own folds"),
        (["--targets", "posterior"], "--targets is for the result folder"),
        (["--targets", "votes"], "--targets is one of posterior, inferred, majority"),
        (["--batch", "4", "--accumulate", "3"], "does not divide into 3 equal forward passes"),
        (["--device", "cuda:77"], "--device cuda:77 cannot be used"),
    ],
)
def test_train__names_what_is_wrong(painted, tmp_path, options, words):
    assert words in error_of(command("train", painted, "--out", tmp_path / "model", *options))
    assert not (tmp_path / "model").exists()


def test_train__names_a_pickle_in_place_of_weights(painted, tiny, tmp_path):
    (tmp_path / "resnet18.pth").write_bytes(pickle.dumps({"a": object}))
    options = ("--config", tiny, "--device", "cpu", "--weights", tmp_path / "resnet18.pth")
    message = error_of(command("train", painted, "--out", tmp_path / "model", *options))
    assert "resnet18.pth: expected a torch state dict" in message
    assert not (tmp_path / "model").exists()


def test_train__names_labels_that_are_not_there(tmp_path):
    for targets in ([], ["--targets", "inferred"]):
        message = error_of(command("train", tmp_path / "none", "--out", tmp_path / "model", *targets))
        assert f"no such file or folder: {tmp_path / 'none'}" in message


def test_train__names_a_folder_that_is_no_source_of_labels(tmp_path):
    (tmp_path / "empty").mkdir()
    message = error_of(command("train", tmp_path / "empty", "--out", tmp_path / "model"))
    assert "expected labels to learn from" in message


# ---- settings


@pytest.mark.parametrize("row", CONFIGURATIONS)
def test_make_config__is_a_row_of_table_s5(row):
    assert make_config(row) == (row, NuclsConfig(**CONFIGURATIONS[row]))


def test_make_config__flags_win_over_the_file_and_the_file_over_the_row(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('configuration = "7"\ncrop_size = 128\nscale_factor = 2\nclass_level = "raw"\n')
    row, config = make_config(str(path), {"crop_size": 64, "stages": None})
    assert (row, config.thumbnails, config.crop_size, config.scale_factor, config.class_level) == (
        "7",
        True,
        64,
        2,
        "raw",
    )
    assert type(config.scale_factor) is float
    assert set(read_toml(path)) >= {"configuration"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("crop = 128", "no setting 'crop'; there are class_level"),
        ("crop_size = 12.5", "crop_size takes a whole number, got 12.5"),
        ("crop_size = true", "crop_size takes a whole number, got True"),
        ("thumbnails = 1", "thumbnails takes true or false, got 1"),
        ('scale_factor = "4"', "scale_factor takes a number, got '4'"),
        ("prior_sizes = []", "prior_sizes takes a list of numbers"),
        ("prior_sizes = [12, 0]", "prior_sizes must be a finite number, above 0; got 0.0"),
        ("nms_iou = 1.5", "nms_iou must be at most 1"),
        ("learning_rate = inf", "learning_rate must be a finite number"),
        ('backbone = "vgg"', "backbone takes resnet18 or resnet34 or resnet50, got 'vgg'"),
        ('configuration = "8"', "expected a row of Table S5"),
    ],
)
def test_make_config__names_what_is_wrong_in_a_file(tmp_path, line, words):
    path = tmp_path / "a.toml"
    path.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=words):
        make_config(str(path))


# ---- which FOVs


def fovs_of(*hospitals: str) -> pd.DataFrame:
    return pd.DataFrame({"slide": [f"s{n}" for n in range(len(hospitals))], "hospital": hospitals})


def test_chosen_places__the_sides_of_a_fold_part_the_hospitals():
    fovs = fovs_of("A", "B", "C", "A", "B", "D")
    for fold in (1, 2, 3):
        train, test = (chosen_places(fovs, side, fold=fold, folds=3) for side in ("train", "test"))
        assert sorted([*train, *test]) == list(range(6))
        assert not set(fovs["hospital"][train]) & set(fovs["hospital"][test])


def test_chosen_places__reads_published_splits(tmp_path):
    (tmp_path / "fold_1_train.csv").write_text("slide_name,hospital\ns0,A\n")
    (tmp_path / "fold_1_test.csv").write_text("slide_name,hospital\ns1,B\n")
    fovs = fovs_of("A", "B")
    assert chosen_places(fovs, "train", fold=1, splits=tmp_path) == [0]
    assert chosen_places(fovs, "test", fold=1, splits=tmp_path) == [1]


def test_chosen_places__names_a_fold_without_these_hospitals():
    fovs = fovs_of("A", "B")
    [hospital] = set(fovs["hospital"][chosen_places(fovs, "test", fold=1, folds=2)])
    with pytest.raises(ValueError, match="no FOV to train on is left"):
        chosen_places(fovs, "train", fold=1, folds=2, hospitals=hospital)
