"""Several processes that train together, as torchrun starts them: on the CPU, two on this machine."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from nucls_model.train.processes import device_named, joined_processes
from nucls_model.weights import read_tensors
from tests.nucls_model.training_cases import DESCENT, tiny_detector, train_tiny

ROOT = Path(__file__).parents[2]
WORKER = """
import sys
from dataclasses import replace
from pathlib import Path
from nucls_model.train.processes import joined_processes
from nucls_model.weights import write_tensors
from tests.nucls_model.training_cases import DESCENT, tiny_detector, train_tiny

out = Path(sys.argv[1])
with joined_processes("cpu") as processes:  # all begin with the weights of the first
    for name in ("plain", "norm"):
        model = tiny_detector(seed=processes.rank, has_norm=name == "norm")
        train_tiny(out / name, model=model, descent=replace(DESCENT, n_accumulated=2), processes=processes)
        write_tensors(model.state_dict(), out / name / f"of-{processes.rank}.safetensors")
"""


@pytest.fixture(scope="module")
def trained_together(tmp_path_factory) -> Path:
    """The folder of two trainings by two processes: of a model without batch norm, and of one with it."""
    out = tmp_path_factory.mktemp("together")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "PYTHONPATH": str(ROOT)}
    settings |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error::FutureWarning", "-c", WORKER, str(out)],
            env=os.environ | settings | {"RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
        )
        for rank in "01"
    ]
    try:
        for process in started:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors.decode()
    finally:
        for process in started:
            process.kill()
            process.wait()
    return out


def weights_of(folder: Path) -> list[dict[str, torch.Tensor]]:
    """What each process ended with."""
    return [read_tensors(folder / f"of-{rank}.safetensors") for rank in range(2)]


def test_train_model__two_processes_equal_one_with_the_same_batch(trained_together, tmp_path):
    descent = replace(DESCENT, n_accumulated=4)
    alone = train_tiny(tmp_path, model=tiny_detector(has_norm=False), descent=descent).state_dict()
    first, second = weights_of(trained_together / "plain")
    for name, weight in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], weight, rtol=1e-5, atol=1e-7)
    ours, theirs = (pd.read_csv(folder / "losses.csv") for folder in (tmp_path, trained_together / "plain"))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-5)


def test_train_model__two_processes_with_batch_norm_equal_one_until_its_statistics_count(trained_together, tmp_path):
    alone = train_tiny(tmp_path, descent=replace(DESCENT, n_accumulated=4)).state_dict()
    first, second = weights_of(trained_together / "norm")
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name
    for name in ("detector.0.weight", "detector.1.weight"):  # frozen before the statistics were used
        torch.testing.assert_close(first[name], alone[name], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(first["detector.1.running_mean"], alone["detector.1.running_mean"], rtol=0, atol=0.1)


def test_train_model__the_first_of_two_processes_writes(trained_together):
    names = sorted(path.name for path in (trained_together / "plain" / "checkpoint").iterdir())
    assert names == ["optimiser-000007.safetensors", "state.json", "weights-000007.safetensors"]


def test_joined_processes__without_torchrun_is_one(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with joined_processes("cpu") as processes:
        assert (processes.rank, processes.count, processes.is_first) == (0, 1, True)
        assert processes.device == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps:7"])
def test_device_named__names_a_device_there_is_not(name):
    with pytest.raises(ValueError, match=f"--device {name} cannot be used: expected cpu, cuda or cuda:0"):
        device_named(name)
