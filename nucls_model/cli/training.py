"""The command from labels to a detector: train."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from crowdtruth.cli.app import takes
from nucls_model.cli.app import app, clear_errors
from nucls_model.cli.arguments import FOVS, LABELS, MACHINE, SETTINGS, Device, Labels, OutFolder, Seed


@app.command()
@clear_errors
@takes(SETTINGS, LABELS, FOVS)
def train(
    labels: Labels,
    out: OutFolder,
    config: Annotated[
        str, typer.Option(help="A row of Table S5 (1, 2, 3, 4, 4+, 5, 6, 7, 7+), or a TOML file of settings.")
    ] = "3",
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights of the backbone, in torchvision's names; default: from scratch.", dir_okay=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training in DIR, given as before.")] = False,
    seed: Seed = 0,
    device: Device = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that load images; change no result.", rich_help_panel=MACHINE)
    ] = 0,
    accumulate: Annotated[
        int,
        typer.Option(min=1, help="Forward passes a batch is parted into, to save memory.", rich_help_panel=MACHINE),
    ] = 1,
    full_precision: Annotated[
        bool, typer.Option("--full-precision", help="No half floats on a GPU.", rich_help_panel=MACHINE)
    ] = False,
    checkpoint_every: Annotated[
        int, typer.Option(min=1, help="Updates between two checkpoints.", rich_help_panel=MACHINE)
    ] = 500,
    **options: Any,
) -> None:
    """Train a detector: writes the model, its checkpoint, losses.csv, losses.png and run.json to a new folder.

    Start it with 'torchrun --nproc-per-node N -m nucls_model.cli train …' to share a batch among N GPUs.

    Examples:

        nucls train results --out model                        (the result folder of 'crowdtruth run')

        nucls train nucls_fovs --out model --fold 2 --weights resnet18.pth

        nucls train nucls_fovs --out small --hospitals A2 --crop 128 --scale 2 --stages 3 --updates 300

        nucls train nucls_fovs --out small --hospitals A2 --crop 128 --scale 2 --stages 3 --updates 300 --resume
    """
    from crowdtruth.parallel import Silent, reporting_to, say
    from nucls_model.cli.choosing import chosen_places
    from nucls_model.cli.configuring import make_config
    from nucls_model.cli.folders import check_apart, read_labels
    from nucls_model.train.running import Means, train_detector

    is_first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started; the others keep quiet
    chosen = {group: {name: options[name] for name in names} for group, names in _GROUPS.items()}
    row, settings = make_config(config, chosen["settings"])
    check_apart(out, labels, options["images"], options["splits"])
    with nullcontext() if is_first else reporting_to(Silent()):
        labelled, origin = read_labels(labels, settings.class_level, **chosen["labels"])
        places = chosen_places(labelled.fovs, "train", **chosen["fovs"])
        say(f"{len(places):,} FOVs to train on; classes: {', '.join(labelled.class_names)}")
        means = Means(device, not full_precision, accumulate, workers, checkpoint_every)
        try:
            train_detector(
                labelled,
                out,
                settings,
                places=places,
                seed=seed,
                backbone=weights,
                means=means,
                is_resumed=resume,
                origin=origin | {"configuration": row, "fold": chosen["fovs"]["fold"]},
            )
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command with --resume continues from the last checkpoint", err=True)
            raise typer.Exit(130) from None
    if is_first:
        typer.echo(f"written: {out}\nnext: nucls evaluate {out} FOLDER --out scores")


_GROUPS = {"settings": SETTINGS, "labels": LABELS, "fovs": FOVS}
