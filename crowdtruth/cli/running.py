"""Commands that compute from marks to labels: run, demo, cluster, infer."""

from pathlib import Path
from typing import Annotated

import typer

from crowdtruth.cli.app import app, chosen_options, clear_errors
from crowdtruth.cli.arguments import (
    Acceleration,
    AnchorBox,
    Classes,
    Cohort,
    Condition,
    Config,
    Format,
    Inclusive,
    Iou,
    Iterations,
    Jobs,
    Method,
    MinDetections,
    Model,
    Normalise,
    OutFolder,
    Prefer,
    Preset,
    PseudoCounts,
    ReferenceOption,
    Seed,
    Start,
    StudyPath,
    TaxonomyOption,
    Tolerance,
    TrainOn,
)


@app.command()
@clear_errors
def run(
    study: StudyPath,
    out: OutFolder,
    preset: Preset = None,
    config: Config = None,
    format: Format = None,
    taxonomy: TaxonomyOption = None,
    normalise_labels: Normalise = None,
    iou: Iou = None,
    inclusive: Inclusive = None,
    method: Method = None,
    anchor_box: AnchorBox = None,
    prefer: Prefer = None,
    cohort: Cohort = None,
    condition: Condition = None,
    model: Model = None,
    start: Start = None,
    iterations: Iterations = None,
    tolerance: Tolerance = None,
    pseudo_counts: PseudoCounts = None,
    acceleration: Acceleration = None,
    min_detections: MinDetections = None,
    classes: Classes = None,
    reference: ReferenceOption = None,
    train_on: TrainOn = None,
    seed: Seed = None,
    jobs: Jobs = 1,
) -> None:
    """Do everything: locate objects, infer their labels, judge the raters, write the training table.

    A second run with the same study and options continues where the first stopped.

    Examples:

        crowdtruth run study --out results

        crowdtruth run study --out results --reference ground_truth.csv

        crowdtruth run nucls --out results --cohort P=SP+JP --cohort NP --reference cohort:P --train-on P@E
    """
    arguments = locals()
    from crowdtruth.pipeline import run_study
    from crowdtruth.summary import describe_results

    options = chosen_options(arguments)
    typer.echo(describe_results(run_study(study, out, options, jobs=jobs)))


@app.command()
@clear_errors
def cluster(
    study: StudyPath,
    out: OutFolder,
    preset: Preset = None,
    config: Config = None,
    format: Format = None,
    taxonomy: TaxonomyOption = None,
    normalise_labels: Normalise = None,
    iou: Iou = None,
    inclusive: Inclusive = None,
    method: Method = None,
    anchor_box: AnchorBox = None,
    prefer: Prefer = None,
    jobs: Jobs = 1,
) -> None:
    """Locate objects: cluster the marks of all raters; writes anchors.csv and members.csv.

    Examples:

        crowdtruth cluster study --out located --iou 0.5

        crowdtruth cluster study --out located --method demotion --inclusive
    """
    arguments = locals()
    from crowdtruth.pipeline import locate_objects
    from crowdtruth.summary import describe_results

    options = chosen_options(arguments)
    typer.echo(describe_results(locate_objects(study, out, options, jobs=jobs)))


@app.command()
@clear_errors
def infer(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A study, a result folder with ratings, or a crowd table.")
    ],
    out: OutFolder,
    preset: Preset = None,
    config: Config = None,
    format: Format = None,
    taxonomy: TaxonomyOption = None,
    normalise_labels: Normalise = None,
    iou: Iou = None,
    inclusive: Inclusive = None,
    method: Method = None,
    cohort: Cohort = None,
    condition: Condition = None,
    model: Model = None,
    start: Start = None,
    iterations: Iterations = None,
    tolerance: Tolerance = None,
    pseudo_counts: PseudoCounts = None,
    acceleration: Acceleration = None,
    min_detections: MinDetections = None,
    classes: Classes = None,
    jobs: Jobs = 1,
) -> None:
    """Infer labels: which objects are real and what they are; writes truth.csv and confusion.csv.

    Examples:

        crowdtruth infer answers.csv --out labels            (a table with columns task, worker, label)

        crowdtruth infer results --out votes --model majority   (ratings of an earlier run)
    """
    arguments = locals()
    from crowdtruth.pipeline import infer_source
    from crowdtruth.summary import describe_results

    options = chosen_options(arguments)
    typer.echo(describe_results(infer_source(source, out, options, jobs=jobs)))


@app.command()
@clear_errors
def demo(
    out: OutFolder = Path("out/demo"),
    seed: Seed = None,
    jobs: Jobs = 1,
) -> None:
    """Make a small synthetic study with known truth and run everything on it.

    Example:

        crowdtruth demo --out out/demo
    """
    from crowdtruth.pipeline import run_demo
    from crowdtruth.summary import describe_results

    typer.echo(describe_results(run_demo(out, seed=seed or 0, jobs=jobs)))
