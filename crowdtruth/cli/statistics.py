"""Commands on labels and ratings: agree, accuracy, simulate, plan, report."""

from pathlib import Path
from typing import Annotated, Any

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
    SELECTING,
    SIMULATING,
    Address,
    Backend,
    Classes,
    Jobs,
    OutFolder,
    Seed,
    Source,
)


@app.command()
@clear_errors
@takes(GENERAL, READING, LOCATING, SELECTING, {"classes": Classes}, INTERVALS, AGREEING)
def agree(source: Source, out: OutFolder, jobs: Jobs = 1, **options: Any) -> None:
    """How far raters agree, with intervals: agreement, pairwise, self_agreement, rater_map, comparisons.

    Examples:

        crowdtruth agree study --out agreement

        crowdtruth agree study --out agreement --threshold .25 --threshold .5 --cohort P=SP+JP --cohort NP

        crowdtruth agree answers.csv --out agreement     (a table with columns task, worker, label)
    """
    from crowdtruth.pipeline import agree_on
    from crowdtruth.summary import describe_results

    typer.echo(describe_results(agree_on(source, out, chosen_options(options), jobs=jobs)))


@app.command()
@clear_errors
@takes(GENERAL, READING, LOCATING, INFERRING, JUDGING, INTERVALS)
def accuracy(source: Source, out: OutFolder, jobs: Jobs = 1, **options: Any) -> None:
    """How good raters and inferred labels are, with intervals: raters, accuracy, curves, confusions, ease, outlines.

    Examples:

        crowdtruth accuracy study --out accuracy --reference ground_truth.csv

        crowdtruth accuracy nucls --out accuracy --cohort P=SP+JP --cohort NP --reference cohort:P --classes super
    """
    from crowdtruth.pipeline import judge_source
    from crowdtruth.summary import describe_results

    typer.echo(describe_results(judge_source(source, out, chosen_options(options), jobs=jobs)))


@app.command()
@clear_errors
@takes(GENERAL, READING, LOCATING, INFERRING, JUDGING, SIMULATING, {"seed": Seed})
def simulate(
    source: Source, out: OutFolder, jobs: Jobs = 1, backend: Backend = None, address: Address = None, **options: Any
) -> None:
    """What fewer raters per FOV would have found: redundancy.csv. An interrupted simulation continues.

    Examples:

        crowdtruth simulate study --out redundancy --realizations 1000 --jobs 2

        crowdtruth simulate study --out redundancy --raters-per-fov 1-6,8 --cohort NP --reference cohort:P

        crowdtruth simulate study --out redundancy --backend dask --address tcp://10.0.0.1:8786
    """
    from crowdtruth.pipeline import simulate_redundancy
    from crowdtruth.summary import describe_results

    chosen = chosen_options(options)
    cluster = scheduler_address(backend, address)
    typer.echo(describe_results(simulate_redundancy(source, out, chosen, jobs=jobs, address=cluster)))


@app.command()
@clear_errors
@takes(GENERAL, READING, LOCATING, INFERRING, JUDGING, PLANNING, {"seed": Seed})
def plan(source: Source, out: OutFolder, jobs: Jobs = 1, **options: Any) -> None:
    """How many raters per FOV, of which cohort and at which price, reach a target: plan.csv, from a pilot study.

    Says so where the pilot cannot tell.

    Examples:

        crowdtruth plan pilot --out plan --reference ground_truth.csv --target mcc=.8 --target recall:lymphocyte=.7

        crowdtruth plan pilot --out plan --target f1=best-.02 --price NP=1 --price SP=20 --fovs-planned 100
    """
    from crowdtruth.pipeline import plan_study
    from crowdtruth.summary import describe_results

    typer.echo(describe_results(plan_study(source, out, chosen_options(options), jobs=jobs)))


@app.command()
@clear_errors
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Results of crowdtruth run.")],
    study: Annotated[Path | None, typer.Option(help="Where the study is now, if it was moved.")] = None,
) -> None:
    """Figures and report.html of a result folder, made anew.

    Examples:

        crowdtruth report results

        crowdtruth report results --study moved/study
    """
    from crowdtruth.pipeline import report_on

    report_on(folder, study=study)
    typer.echo(f"written: {folder / 'report.html'}")
