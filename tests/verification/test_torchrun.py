"""Several processes started by torchrun train as one does.

Not among the fast tests: in one of some forty starts on a busy machine torch aborted a process at its very end
("terminate called without an active exception"), and torchrun then says that the training failed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from torch import distributed

from nucls_model.painted import paint_fovs
from nucls_model.train.folders import read_training_record
from tests.nucls_model.cli_cases import TINY, command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """Six painted FOVs in the NuCLS format."""
    paint_fovs(tmp_path / "fovs", n_fovs=6, size=80)
    return tmp_path / "fovs"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A TOML file of the smallest settings."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.mark.skipif(not distributed.is_available(), reason="this torch is built without torch.distributed")
def test_train__two_processes_of_torchrun_have_the_losses_of_one(painted: Path, tiny: Path, tmp_path: Path) -> None:
    options = ["--config", str(tiny), "--updates", "2", "--class-updates", "0"]
    alone = ("train", painted, "--out", tmp_path / "alone", *options, "--accumulate", 2, "--device", "cpu")
    assert command(*alone).exit_code == 0
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "nucls_model.cli"]
    words = ["train", str(painted), "--out", str(tmp_path / "together"), *options, "--device", "cpu"]
    settings = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    ended = subprocess.run(
        [sys.executable, *launch, *words],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("written: ") == 1  # the second process keeps quiet
    assert ended.stderr.count("FOVs to train on") == 1
    alone, together = (read_training_record(tmp_path / name) for name in ("alone", "together"))
    assert (alone["processes"], together["processes"]) == (1, 2)
    assert alone["training"] == together["training"]
    of_one, of_two = (pd.read_csv(tmp_path / name / "losses.csv") for name in ("alone", "together"))
    assert len(of_one) == 2
    pd.testing.assert_frame_equal(of_one, of_two, rtol=1e-4)  # gradients are added in another order
