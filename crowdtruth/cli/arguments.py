"""The arguments of the commands: names, types and the words of ``--help``, each said once."""

from pathlib import Path
from typing import Annotated

import typer

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
