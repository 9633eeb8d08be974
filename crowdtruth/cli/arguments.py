"""The arguments of the commands: names, types and the words of ``--help``, each said once.

A group is option name → type. Every option is a field of `RunOptions` and None where it is not given.
"""

from pathlib import Path
from typing import Annotated

import typer

_READING, _LOCATING, _INFERRING, _JUDGING = "Reading", "Locating objects", "Inferring labels", "Judging and training"
_INTERVALS, _AGREEING, _SIMULATING, _PLANNING = "Intervals", "Agreement", "Redundancy", "Plan"

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="A study: a folder of tables, or one file.")]
Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="A study, a result folder with ratings, or a crowd table.")
]
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the results; never inside the study.")]
Preset = Annotated[str | None, typer.Option(help="default, or paper (the settings of the NuCLS paper).")]
Config = Annotated[Path | None, typer.Option(help="TOML file with options; flags win.", dir_okay=False)]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random (default 0).")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Workers; changes no result.")]

Format = Annotated[str | None, typer.Option(help="Format of STUDY; default: detected.", rich_help_panel=_READING)]
TaxonomyOption = Annotated[
    str | None,
    typer.Option(
        "--taxonomy", help="nucls, or a TOML file; default: the format's own, or none.", rich_help_panel=_READING
    ),
]
Normalise = Annotated[
    bool | None,
    typer.Option(
        "--normalise-labels", help="Map labels typed by hand to the taxonomy's names.", rich_help_panel=_READING
    ),
]
Iou = Annotated[
    float | None,
    typer.Option(help="IOU that every pair in an object reaches (default 0.25).", rich_help_panel=_LOCATING),
]
Inclusive = Annotated[
    bool | None,
    typer.Option("--inclusive", help="The paper's inclusive-pixel IOU.", rich_help_panel=_LOCATING),
]
Method = Annotated[
    str | None,
    typer.Option(help="cannot_link (default), demotion (the paper's) or unconstrained.", rich_help_panel=_LOCATING),
]
AnchorBox = Annotated[
    str | None,
    typer.Option("--anchor-box", help="medoid (default), mean or median of the marks.", rich_help_panel=_LOCATING),
]
Prefer = Annotated[
    list[str] | None,
    typer.Option(
        help="Whose box an object takes first: rater:NAME@CONDITION (a traced outline), cohort:NAME@CONDITION; repeat.",
        rich_help_panel=_LOCATING,
    ),
]
Cohort = Annotated[
    list[str] | None,
    typer.Option(help="Cohort to infer, or a union P=SP+JP; repeat (default: each).", rich_help_panel=_INFERRING),
]
Condition = Annotated[
    list[str] | None, typer.Option(help="Condition to infer; repeat (default: each).", rich_help_panel=_INFERRING)
]
Model = Annotated[
    str | None, typer.Option(help="dawid-skene (default), one-coin or majority.", rich_help_panel=_INFERRING)
]
Start = Annotated[
    str | None,
    typer.Option(help="Where EM starts: an initial quality such as 0.7, or votes.", rich_help_panel=_INFERRING),
]
Iterations = Annotated[int | None, typer.Option(min=1, help="EM iterations at most.", rich_help_panel=_INFERRING)]
Tolerance = Annotated[
    float | None,
    typer.Option(help="EM stops when the objective gains less per rating; 0: never early.", rich_help_panel=_INFERRING),
]
PseudoCounts = Annotated[
    float | None, typer.Option(help="Ratings added to each row of each rater's confusion.", rich_help_panel=_INFERRING)
]
Acceleration = Annotated[str | None, typer.Option(help="squarem: fewer passes of EM.", rich_help_panel=_INFERRING)]
MinDetections = Annotated[
    int | None,
    typer.Option(help="Marks of the cohort an object needs (default 1, the paper's 2).", rich_help_panel=_INFERRING),
]
Classes = Annotated[
    str | None,
    typer.Option(help="Group classes after inference: main, super or a TOML file.", rich_help_panel=_INFERRING),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="Truth to judge against: a file, or cohort:P[@CONDITION]; default: the study's, else each one's cohort.",
        rich_help_panel=_JUDGING,
    ),
]
TrainOn = Annotated[
    str | None,
    typer.Option(help="COHORT[@CONDITION] of training.csv, or none; default: the only one.", rich_help_panel=_JUDGING),
]

Resample = Annotated[
    str | None, typer.Option(help="What intervals draw again: fov (default) or slide.", rich_help_panel=_INTERVALS)
]
Replicates = Annotated[
    int | None, typer.Option(min=20, help="Bootstrap replicates (default 2000).", rich_help_panel=_INTERVALS)
]
Thresholds = Annotated[
    list[float] | None,
    typer.Option("--threshold", help="Clustering IOU; repeat (default .25 .5 .75).", rich_help_panel=_AGREEING),
]
MinOverlap = Annotated[
    int | None,
    typer.Option(help="Anchors two raters share, or they have no kappa (default 10).", rich_help_panel=_AGREEING),
]
Compare = Annotated[
    list[str] | None,
    typer.Option(
        help="Rank tests by cohorts, conditions, groupings or verdicts; repeat (default: all).",
        rich_help_panel=_AGREEING,
    ),
]
Realizations = Annotated[
    int | None,
    typer.Option(min=1, help="Random draws at each number of raters (default 200).", rich_help_panel=_SIMULATING),
]
RatersPerFov = Annotated[
    str | None, typer.Option(help="Numbers of raters, such as 1-6,8 (default: all).", rich_help_panel=_SIMULATING)
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        help="Value to reach: mcc=.8, recall:lymphocyte=.7, or mcc=best-.02 (within .02 of what all raters here "
        "reach); repeat.",
        rich_help_panel=_PLANNING,
    ),
]
Price = Annotated[
    list[str] | None,
    typer.Option(help="COHORT=PRICE of one rater in one FOV; repeat (default 1).", rich_help_panel=_PLANNING),
]
FovsPlanned = Annotated[
    int | None, typer.Option(min=1, help="FOVs of the planned study (default: as here).", rich_help_panel=_PLANNING)
]
RatersPlanned = Annotated[
    int | None,
    typer.Option(
        min=1, help="Raters of each cohort in the planned study (default: as here).", rich_help_panel=_PLANNING
    ),
]
Report = Annotated[bool | None, typer.Option("--report/--no-report", help="Figures and report.html (default: yes).")]

Backend = Annotated[str | None, typer.Option(help="threads (default), or dask.", rich_help_panel=_SIMULATING)]
Address = Annotated[
    str | None, typer.Option(help="Of the Dask scheduler, like tcp://10.0.0.1:8786.", rich_help_panel=_SIMULATING)
]

GENERAL = {"preset": Preset, "config": Config}
READING = {"format": Format, "taxonomy": TaxonomyOption, "normalise_labels": Normalise}
LOCATING = {"iou": Iou, "inclusive": Inclusive, "method": Method, "anchor_box": AnchorBox, "prefer": Prefer}
SELECTING = {"cohort": Cohort, "condition": Condition}
INFERRING = {
    **SELECTING,
    "model": Model,
    "start": Start,
    "iterations": Iterations,
    "tolerance": Tolerance,
    "pseudo_counts": PseudoCounts,
    "acceleration": Acceleration,
    "min_detections": MinDetections,
    "classes": Classes,
}
JUDGING = {"reference": ReferenceOption}
INTERVALS = {"resample": Resample, "replicates": Replicates, "seed": Seed}
AGREEING = {"thresholds": Thresholds, "min_overlap": MinOverlap, "compare": Compare}
SIMULATING = {"realizations": Realizations, "raters_per_fov": RatersPerFov}
PLANNING = {"target": Target, "price": Price, "fovs_planned": FovsPlanned, "raters_planned": RatersPlanned}
TRAINING = {"train_on": TrainOn}
REPORTING = {"report": Report}
