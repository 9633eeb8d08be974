"""A study of the paper's size from tables to report, in one process: seconds of each step, memory, size of the page."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import crowdtruth as ct

COHORTS = ("--cohort", "P=SP+JP", "--cohort", "NP", "--reference", "cohort:P", "--train-on", "P@E", "--classes", "main")


def run(quick: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note)."""
    with tempfile.TemporaryDirectory() as folder:
        study = ct.synthesise("nucls", seed=0, **({"n_fovs": 5} if quick else {})).study
        size = f"{len(study.annotations):,} marks, {len(study.raters)} raters, {len(study.fovs)} FOVs"
        ct.write_study(study, Path(folder) / "study", format="csv")
        out = Path(folder) / "out"
        command = [sys.executable, "-m", "crowdtruth.cli", "run", str(Path(folder) / "study"), "--out", str(out)]
        command += [*COHORTS, "--jobs", "2", "--realizations", "5" if quick else "200"]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        whole = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        page = (out / "report.html").stat().st_size / 1e6
        steps = json.loads((out / "run.json").read_text())["steps"]
    notes = {"run": f"{peak:,.0f} MB at most", "report": f"{page:.1f} MB"}
    seconds = {"run": whole, **{name: step["seconds"] for name, step in steps.items()}}
    return [
        {"work": work, "size": size, "tool": "crowdtruth", "median_s": value, "runs": 1, "note": notes.get(work, "")}
        for work, value in seconds.items()
    ]
