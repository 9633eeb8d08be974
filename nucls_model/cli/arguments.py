"""The arguments of the commands: names, types and the words of ``--help``, each said once.

A group is option name → type, and None where it is not given. Those of `SETTINGS` are fields of `NuclsConfig`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

_LABELS, _FOVS, _SETTINGS, MACHINE = (
    "Labels",
    "Which FOVs",
    "Settings of the model (they win over --config)",
    "Machine",
)

Labels = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY|FOLDER",
        help="Labels: the result folder of 'crowdtruth run', a NuCLS folder (rgb, csv, mask), or a COCO file.",
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of 'nucls train'.")]
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the results; never inside of what is read.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda or cuda:0; default: a GPU if there is one.", rich_help_panel=MACHINE)
]

TargetsOption = Annotated[
    str | None,
    typer.Option(
        "--targets",
        help="Labels of a result folder: posterior (probabilities; default), inferred or majority.",
        rich_help_panel=_LABELS,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(help="Folder of the images, if not where the labels say.", file_okay=False, rich_help_panel=_LABELS),
]
Hospitals = Annotated[
    str | None, typer.Option(help="Only FOVs of these hospitals, such as A2,BH.", rich_help_panel=_FOVS)
]
FoldNumber = Annotated[
    int | None,
    typer.Option("--fold", min=1, help="This side of a fold that parts hospitals.", rich_help_panel=_FOVS),
]
FoldCount = Annotated[
    int | None, typer.Option("--folds", min=2, help="How many folds (default 5).", rich_help_panel=_FOVS)
]
Splits = Annotated[
    Path | None,
    typer.Option(help="Folder of published split files, in place of our folds.", rich_help_panel=_FOVS),
]


def _setting(kind: Any, words: str, *names: str, **limits: Any) -> Any:
    """An option that is a field of `NuclsConfig`."""
    return Annotated[kind | None, typer.Option(*names, help=words, rich_help_panel=_SETTINGS, **limits)]


LABELS = {"targets": TargetsOption, "images": Images}
FOVS = {"hospitals": Hospitals, "fold": FoldNumber, "folds": FoldCount, "splits": Splits}
SETTINGS = {
    "class_level": _setting(str, "raw, main or super (by the row of Table S5); a COCO file has its own.", "--classes"),
    "detector_updates": _setting(int, "Updates of the whole model (default 15,000).", "--updates", min=0),
    "classifier_updates": _setting(
        int, "Then of the classes alone, the detector frozen (default 1,000).", "--class-updates", min=0
    ),
    "crop_size": _setting(int, "Side of a training crop, pixels (default 300).", "--crop", min=16),
    "scale_factor": _setting(float, "Images are enlarged by this (default 4).", "--scale"),
    "scale_jitter": _setting(float, "… plus or minus up to this in training (default 0.4).", "--jitter"),
    "backbone": _setting(str, "resnet18 (default), resnet34 or resnet50.", "--backbone"),
    "stages": _setting(int, "Residual stages that are kept (default 4).", "--stages", min=1, max=4),
    "batch_size": _setting(int, "Images of an update, over all processes (default 4).", "--batch", min=1),
    "learning_rate": _setting(float, "Learning rate (default 0.002).", "--rate"),
}
