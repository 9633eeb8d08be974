"""Commands on studies: convert, validate."""

from pathlib import Path
from typing import Annotated

import typer

from crowdtruth.cli.app import app, clear_errors
from crowdtruth.cli.arguments import Format, Normalise, StudyPath, TaxonomyOption


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
