"""Commands from marks to labels: run, cluster, infer, demo."""

from pathlib import Path
from typing import Any

import typer

from crowdtruth.cli.app import app, chosen_options, clear_errors, scheduler_address, takes
from crowdtruth.cli.arguments import (
    AGREEING,
    GENERAL,
    INFERRING,
    INTERVALS,
    JUDGING,
    LOCATING,
    PLANNING,
    READING,
    REPORTING,
    SIMULATING,
    TRAINING,
    Address,
    Backend,
    Jobs,
    OutFolder,
    Seed,
    Source,
    StudyPath,
)


@app.command()
@clear_errors
@takes(
    *(GENERAL, READING, LOCATING, INFERRING, JUDGING, TRAINING, INTERVALS, AGREEING, SIMULATING, PLANNING, REPORTING)
)
def run(
    study: StudyPath,
    out: OutFolder,
    jobs: Jobs = 1,
    backend: Backend = None,
    address: Address = None,
    **options: Any,
) -> None:
    """Do everything: objects, labels, accuracy, agreement, redundancy, plan, training table, figures and report.

    A second run with the same study and options continues where the first stopped.

    Examples:

        crowdtruth run study --out results

        crowdtruth run study --out results --reference ground_truth.csv

        crowdtruth run nucls --out results --cohort P=SP+JP --cohort NP --reference cohort:P --train-on P@E
    """
    from crowdtruth.pipeline import run_study
    from crowdtruth.summary import describe_results

    chosen, cluster = chosen_options(options), scheduler_address(backend, address)
    typer.echo(describe_results(run_study(study, out, chosen, jobs=jobs, address=cluster)))


@app.command()
@clear_errors
@takes(GENERAL, READING, LOCATING)
def cluster(study: StudyPath, out: OutFolder, jobs: Jobs = 1, **options: Any) -> None:
    """Locate objects: cluster the marks of all raters; writes anchors.csv and members.csv.

    Examples:

        crowdtruth cluster study --out located --iou 0.5

        crowdtruth cluster study --out located --method demotion --inclusive
    """
    from crowdtruth.pipeline import locate_objects
    from crowdtruth.summary import describe_results

    typer.echo(describe_results(locate_objects(study, out, chosen_options(options), jobs=jobs)))


@app.command()
@clear_errors
@takes(GENERAL, READING, LOCATING, INFERRING)
def infer(source: Source, out: OutFolder, jobs: Jobs = 1, **options: Any) -> None:
    """Infer labels: which objects are real and what they are; writes truth.csv and confusion.csv.

    Examples:

        crowdtruth infer answers.csv --out labels            (a table with columns task, worker, label)

        crowdtruth infer results --out votes --model majority   (ratings of an earlier run)
    """
    from crowdtruth.pipeline import infer_source
    from crowdtruth.summary import describe_results

    typer.echo(describe_results(infer_source(source, out, chosen_options(options), jobs=jobs)))


@app.command()
@clear_errors
def demo(out: OutFolder = Path("out/demo"), seed: Seed = None, jobs: Jobs = 1) -> None:
    """Make a small synthetic study with known truth and run everything on it.

    Example:

        crowdtruth demo --out out/demo
    """
    from crowdtruth.pipeline import run_demo
    from crowdtruth.summary import describe_results

    typer.echo(describe_results(run_demo(out, seed=seed or 0, jobs=jobs)))
