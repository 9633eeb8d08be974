"""The command in the hands of the impatient: odd settings, odd files, a lack of memory or of a library."""

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("arguments", [("train", "x"), ("evaluate", "x", "y"), ("predict", "x", "y"), ("demo",)])
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
