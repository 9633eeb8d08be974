"""``python -m benchmarks [NAME ...] [--quick]``: measure, print as a Markdown table, keep as CSV in ``out/bench``."""

import argparse
import importlib
import os
import platform
from pathlib import Path

import pandas as pd

TOPICS = ("startup", "clustering", "truth", "agreement", "simulation", "study", "operators", "detector")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topics", nargs="*", choices=[*TOPICS, []], help=f"default: all of {', '.join(TOPICS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few runs: does it work?")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {_processor()}, {os.cpu_count()} cores\n")
    out = Path("out/bench")
    out.mkdir(parents=True, exist_ok=True)
    for topic in arguments.topics or TOPICS:
        rows = pd.DataFrame(importlib.import_module(f"benchmarks.{topic}").run(quick=arguments.quick))
        rows.to_csv(out / f"{topic}.csv", index=False)
        print(f"## {topic}\n\n{_markdown(rows)}\n", flush=True)


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _markdown(rows: pd.DataFrame) -> str:
    shown = rows.assign(median_s=rows["median_s"].map(_seconds)).astype(str)
    lines = [shown.columns, ["---"] * shown.shape[1], *shown.to_numpy()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _seconds(value: float) -> str:
    """Three digits with a unit that fits."""
    if pd.isna(value):
        return ""
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


if __name__ == "__main__":
    main()
