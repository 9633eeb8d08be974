"""The command that shows everything on FOVs painted for the purpose: demo."""

from pathlib import Path

import typer

from nucls_model.cli.app import app, clear_errors
from nucls_model.cli.arguments import Device, OutFolder, Seed


@app.command()
@clear_errors
def demo(out: OutFolder = Path("out/nucls-demo"), seed: Seed = 0, device: Device = None) -> None:
    """Paint FOVs with three kinds of nuclei, train a small detector on them, judge it on others, draw what it finds.

    A few minutes on two CPU cores. The folder holds the FOVs, the model, its scores and pictures of them.

    Example:

        nucls demo --out out/nucls-demo
    """
    from nucls_model.cli.judging import describe_scores
    from nucls_model.cli.showing import DEMO, run_demo

    metrics = run_demo(out, DEMO, seed=seed, device=device)
    typer.echo(f"FOVs that the detector has not seen: {describe_scores(metrics, DEMO.class_level)}")
    typer.echo(f"written: {out}; begin with {out / 'scores' / 'page_01.png'}")
