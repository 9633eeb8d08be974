"""The demonstration of the detector reaches what it promises, on FOVs it has not seen, for three seeds.

``python -m tests.verification.test_nucls_demo`` prints the table of docs/methods/training.md.
"""

import tempfile
import time
from pathlib import Path

import pytest

from nucls_model.cli.showing import run_demo

SEEDS = (0, 1, 2)
_METRICS = ("ap_50", "ap_75", "accuracy", "median_dice")


def scores(out: Path, seed: int) -> dict[str, float]:
    """The scores of a demonstration on its unseen FOVs, and its processor time in seconds."""
    started = time.process_time()
    metrics = run_demo(out, seed=seed)
    overall = metrics[(metrics["class"] == "") & metrics["level"].isin(["objectness", "main", ""])]
    values = overall.drop_duplicates("metric").set_index("metric")["value"]
    return {name: float(values[name]) for name in _METRICS} | {"cpu_s": time.process_time() - started}


@pytest.mark.parametrize("seed", SEEDS)
def test_run_demo__finds_and_names_nuclei_it_has_not_seen(seed: int, tmp_path: Path) -> None:
    found = scores(tmp_path / "demo", seed)
    assert found["ap_50"] >= 0.85
    assert found["accuracy"] >= 0.95


if __name__ == "__main__":
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            print(seed, {name: round(value, 3) for name, value in scores(Path(folder, "demo"), seed).items()})
