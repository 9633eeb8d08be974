"""What a user waits for: imports, --help, the first use's compilation, a warm run on real marks. Whole processes."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_CODE = {
    "import numpy": "import numpy",
    "import crowdtruth": "import crowdtruth",
    "import crowdtruth, every name": "import crowdtruth\nfor name in crowdtruth.__all__: getattr(crowdtruth, name)",
}


def run(quick: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note)."""
    runs = 3 if quick else 9
    rows = [_row(name, "python", _times([sys.executable, "-c", code], runs)) for name, code in _CODE.items()]
    crowdtruth = [sys.executable, "-m", "crowdtruth.cli"]
    rows.append(_row("crowdtruth --help", "whole process", _times([*crowdtruth, "--help"], runs)))
    rows.append(
        _row("compile every kernel, 8 classes", "cold cache", [_compile_seconds() for _ in range(1 if quick else 3)])
    )
    data = Path(os.environ.get("CROWDTRUTH_DATA", "../shared/data")) / "exact_asthma_round1"
    if data.exists():
        for command in ("accuracy", "run"):
            seconds = _run_times([*crowdtruth, command], data, runs if command == "accuracy" else 3)
            rows.append(_row(f"{command}, asthma study, warm", "whole process", seconds))
        if not quick:
            rows.append(_row("run, asthma study, cold cache", "whole process", [_cold_run([*crowdtruth, "run"], data)]))
    return rows


def _row(work: str, tool: str, seconds: list[float]) -> dict:
    spread = f"{min(seconds):.2f}–{max(seconds):.2f} s"
    return {
        "work": work, "size": "", "tool": tool, "median_s": statistics.median(seconds), "runs": len(seconds),
        "note": spread,
    }  # fmt: skip


def _times(command: list[str], runs: int, env: dict[str, str] | None = None) -> list[float]:
    """Seconds of each run of a whole process, after one that does not count."""
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=env)
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def _compile_seconds() -> float:
    """Seconds that compiling takes in a process that uses every kernel and finds none in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-m", "benchmarks.compile_all"]
        return float(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout)


def _run_times(crowdtruth: list[str], data: Path, runs: int) -> list[float]:
    """Seconds of a command into a new folder each time, after one that does not count."""
    seconds = []
    for _ in range(runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            seconds += _one_run(crowdtruth, data, Path(folder), None)
    return seconds[1:]


def _one_run(crowdtruth: list[str], data: Path, folder: Path, env: dict[str, str] | None) -> list[float]:
    reference = ["--reference", str(data / "ground_truth.csv")]
    command = [*crowdtruth, str(data), *reference, "--out", str(folder / "out")]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=env)
    return [time.perf_counter() - started]


def _cold_run(crowdtruth: list[str], data: Path) -> float:
    """Seconds of a run that has to compile every kernel it needs."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
        seconds = _one_run(crowdtruth, data, Path(folder), env)[0]
        shutil.rmtree(Path(folder) / "cache")
        return seconds
