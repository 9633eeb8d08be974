"""The command `crowdtruth`: arguments in, one clear message out; the work is done by `pipeline`.

Slow libraries are imported inside the commands, so that ``--help`` answers at once.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="crowdtruth",
    help="Many raters' marks on images in; located objects, inferred labels and rater quality out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

READING, LOCATING, INFERRING, JUDGING = "Reading", "Locating objects", "Inferring labels", "Judging and training"

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="A study: a folder of tables, or one file.")]
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the results; never inside the study.")]
Preset = Annotated[str | None, typer.Option(help="default, or paper (the settings of the NuCLS paper).")]
Config = Annotated[Path | None, typer.Option(help="TOML file with options; flags win.", dir_okay=False)]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random (default 0).")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Workers; changes no result.")]

Format = Annotated[str | None, typer.Option(help="Format of STUDY; default: detected.", rich_help_panel=READING)]
TaxonomyOption = Annotated[
    str | None,
    typer.Option(
        "--taxonomy", help="nucls, or a TOML file; default: the format's own, or none.", rich_help_panel=READING
    ),
]
Normalise = Annotated[
    bool | None,
    typer.Option(
        "--normalise-labels", help="Map labels typed by hand to the taxonomy's names.", rich_help_panel=READING
    ),
]
Iou = Annotated[
    float | None,
    typer.Option(help="IOU that every pair in an object reaches (default 0.25).", rich_help_panel=LOCATING),
]
Inclusive = Annotated[
    bool | None,
    typer.Option("--inclusive", help="The paper's inclusive-pixel IOU.", rich_help_panel=LOCATING),
]
Method = Annotated[
    str | None,
    typer.Option(help="cannot_link (default), demotion (the paper's) or unconstrained.", rich_help_panel=LOCATING),
]
AnchorBox = Annotated[
    str | None,
    typer.Option("--anchor-box", help="medoid (default), mean or median of the marks.", rich_help_panel=LOCATING),
]
Prefer = Annotated[
    list[str] | None,
    typer.Option(
        help="Whose box an object takes first: rater:NAME@CONDITION (a traced outline), cohort:NAME@CONDITION; repeat.",
        rich_help_panel=LOCATING,
    ),
]
Cohort = Annotated[
    list[str] | None,
    typer.Option(help="Cohort to infer, or a union P=SP+JP; repeat (default: each).", rich_help_panel=INFERRING),
]
Condition = Annotated[
    list[str] | None, typer.Option(help="Condition to infer; repeat (default: each).", rich_help_panel=INFERRING)
]
Model = Annotated[
    str | None, typer.Option(help="dawid-skene (default), one-coin or majority.", rich_help_panel=INFERRING)
]
Start = Annotated[
    str | None,
    typer.Option(help="Where EM starts: an initial quality such as 0.7, or votes.", rich_help_panel=INFERRING),
]
Iterations = Annotated[int | None, typer.Option(min=1, help="EM iterations at most.", rich_help_panel=INFERRING)]
Tolerance = Annotated[
    float | None,
    typer.Option(help="EM stops when the objective gains less per rating; 0: never early.", rich_help_panel=INFERRING),
]
PseudoCounts = Annotated[
    float | None, typer.Option(help="Ratings added to each row of each rater's confusion.", rich_help_panel=INFERRING)
]
Acceleration = Annotated[str | None, typer.Option(help="squarem: fewer passes of EM.", rich_help_panel=INFERRING)]
MinDetections = Annotated[
    int | None,
    typer.Option(help="Marks of the cohort an object needs (default 1, the paper's 2).", rich_help_panel=INFERRING),
]
Classes = Annotated[
    str | None,
    typer.Option(help="Group classes after inference: main, super or a TOML file.", rich_help_panel=INFERRING),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="Truth to judge against: a file, or cohort:P[@CONDITION]; default: the study's, else each one's cohort.",
        rich_help_panel=JUDGING,
    ),
]
TrainOn = Annotated[
    str | None,
    typer.Option(help="COHORT[@CONDITION] of training.csv, or none; default: the only one.", rich_help_panel=JUDGING),
]


def clear_errors(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with wrong data or arguments told in one message, exit 1; anything else is a bug and shows itself."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from crowdtruth.parallel import reporting_to
        from crowdtruth.terminal import reporter_for

        try:
            with reporting_to(reporter_for(sys.stderr)):
                command(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("interrupted; files already written are whole, and the same command continues", err=True)
            raise typer.Exit(130) from None
        except (ValueError, OSError) as error:
            if os.environ.get("CROWDTRUTH_DEBUG"):
                raise
            typer.echo(f"error: {words_of(error)}", err=True)
            raise typer.Exit(1) from None

    return wrapped


def words_of(error: ValueError | OSError) -> str:
    """An error as a sentence; the system's own errors with the file first and without their number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def chosen_options(arguments: dict[str, Any]) -> Any:
    """`RunOptions` from the arguments of a command: its preset, its configuration file and every field it offers."""
    from dataclasses import fields

    from crowdtruth.options import RunOptions, make_options

    flags = {f.name: arguments[f.name] for f in fields(RunOptions) if f.name in arguments}
    flags = {name: tuple(value) if isinstance(value, list) else value for name, value in flags.items()}
    if flags.get("start") is not None:
        flags["start"] = number_or_word(flags["start"])
    return make_options(preset=arguments["preset"], config=arguments["config"], flags=flags)


def number_or_word(text: str) -> float | str:
    """A number where `text` is one, else `text`."""
    try:
        return float(text)
    except ValueError:
        return text


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
def convert(
    source: StudyPath,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Folder or file to write; must not exist.")],
    to: Annotated[str, typer.Option(help="csv, parquet or coco.")],
    format: Format = None,
    taxonomy: TaxonomyOption = None,
    normalise_labels: Normalise = None,
) -> None:
    """Write a study in another format.

    Examples:

        crowdtruth convert nucls_fovs study --to csv

        crowdtruth convert study study.json --to coco
    """
    from crowdtruth.formats import read_study, write_study
    from crowdtruth.parallel import say

    if target.exists():
        raise ValueError(f"{target} exists; give a new name")
    if source.resolve() in target.resolve().parents:
        raise ValueError(f"{target} is inside {source}; a study is never written into")
    study = read_study(source, format=format, taxonomy=taxonomy, normalise_labels=bool(normalise_labels))
    for note in study.notes:
        say(note)
    write_study(study, target, format=to)
    typer.echo(f"written: {target}")


@app.command()
@clear_errors
def validate(
    study: StudyPath,
    format: Format = None,
    taxonomy: TaxonomyOption = None,
    normalise_labels: Normalise = None,
) -> None:
    """Check a study and say what is in it; every problem is named with file, line and reason.

    Examples:

        crowdtruth validate study

        crowdtruth validate annotations.csv --taxonomy nucls
    """
    from crowdtruth.formats import read_study
    from crowdtruth.summary import describe_study

    checked = read_study(study, format=format, taxonomy=taxonomy, normalise_labels=bool(normalise_labels))
    typer.echo(describe_study(checked))


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


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """Many raters' marks on images in; located objects, inferred labels and rater quality out."""
    if show:
        from crowdtruth import __version__

        typer.echo(f"crowdtruth {__version__} (distribution nucls)")
        raise typer.Exit


def main() -> None:
    """Entry point of the command; when told to end, it cleans up as after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()


if __name__ == "__main__":
    main()
