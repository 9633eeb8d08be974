"""Commands that use a trained detector: evaluate, predict."""

from pathlib import Path
from typing import Annotated, Any

import typer

from crowdtruth.cli.app import takes
from crowdtruth.cli.arguments import Replicates
from nucls_model.cli.app import app, clear_errors
from nucls_model.cli.arguments import FOVS, LABELS, Device, Labels, Model, OutFolder, Seed


@app.command()
@clear_errors
@takes(LABELS, FOVS)
def evaluate(
    model: Model,
    labels: Labels,
    out: OutFolder,
    device: Device = None,
    resample: Annotated[str, typer.Option(help="What intervals draw again: fov or slide.")] = "fov",
    replicates: Replicates = None,
    seed: Seed = 0,
    pictures: Annotated[int, typer.Option(min=0, help="FOVs to draw with what was found in them.")] = 4,
    trained_on: Annotated[
        str | None,
        typer.Option(help="What metrics.csv calls the labels that were learned from, such as uncorrected."),
    ] = None,
    tested_on: Annotated[str, typer.Option(help="What metrics.csv calls these labels, such as P-truth.")] = "",
    **options: Any,
) -> None:
    """Judge a detector: predictions.csv, metrics.csv with intervals, nuclei.csv (what became of each), pictures.

    With --fold the FOVs are those the fold tests on.

    Examples:

        nucls evaluate model nucls_fovs --out scores --fold 2

        nucls evaluate model nucls_fovs --out scores --hospitals AR,BH --resample slide
    """
    from nucls_model.cli.choosing import chosen_places
    from nucls_model.cli.folders import read_labels, results_in
    from nucls_model.cli.judging import copy_losses, describe_scores, draw_fovs, evaluate_detector, trial_of
    from nucls_model.train.processes import device_named
    from nucls_model.weights import read_model

    if resample not in ("fov", "slide"):
        raise ValueError(f"--resample is fov or slide, got {resample!r}")
    where = device_named(device)
    detector, record = read_model(model, device=where)
    labelled, _ = read_labels(labels, record.config.class_level, **{name: options[name] for name in LABELS})
    places = chosen_places(labelled.fovs, "test", **{name: options[name] for name in FOVS})
    with results_in(out, "nucls evaluate", model, labels, options["images"], options["splits"]) as folder:
        fovs = labelled.fovs.iloc[places]
        trial = trial_of(model, record, fovs, fold=options["fold"], trained_on=trained_on, tested_on=tested_on)
        metrics = evaluate_detector(
            detector,
            record,
            labelled,
            places,
            folder,
            trial=trial,
            device=where,
            resample=resample,
            n_replicates=replicates,
            seed=seed,
        )
        draw_fovs(labelled, places, folder, n_drawn=pictures)
        copy_losses(model, folder)
    typer.echo(describe_scores(metrics, record.config.class_level))
    typer.echo(f"written: {out}")


@app.command()
@clear_errors
def predict(
    model: Model,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE…", help="PNG, JPEG, TIFF, or whole slides where openslide is installed."),
    ],
    out: OutFolder,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="csv, coco or geojson; repeat (default: all).")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(min=0.001, help="µm per pixel of the images, where they do not say or are wrong.")
    ] = None,
    model_mpp: Annotated[float, typer.Option(min=0.001, help="µm per pixel that the detector was trained for.")] = 0.2,
    level: Annotated[int | None, typer.Option(min=0, help="Level of a slide; default: the one that fits.")] = None,
    tile: Annotated[int, typer.Option(help="Pixels along a tile.")] = 512,
    overlap: Annotated[int, typer.Option(help="Pixels that tiles share; longer than a nucleus.")] = 128,
    pictures: Annotated[int, typer.Option(min=0, help="Images to draw with what was found in them; no slides.")] = 4,
    device: Device = None,
) -> None:
    """Find nuclei in images of any size: boxes, class probabilities and outlines, as CSV, COCO and GeoJSON, and drawn.

    Examples:

        nucls predict model slide.svs --out found --format geojson

        nucls predict model tiles/*.png --out found --mpp 0.25
    """
    from nucls_model.cli.folders import named_images, results_in
    from nucls_model.cli.judging import draw_images
    from nucls_model.predict import FORMATS, predict_images, tiling_for
    from nucls_model.train.processes import device_named
    from nucls_model.weights import read_model

    named = named_images(images)
    where = device_named(device)
    detector, record = read_model(model, device=where)
    tiling = tiling_for(record.config, tile=tile, overlap=overlap)
    with results_in(out, "nucls predict", model) as folder:
        n_found = predict_images(
            detector.detect,
            named,
            folder,
            class_names=record.class_names,
            colors=record.colors,
            tiling=tiling,
            formats=tuple(formats or FORMATS),
            mpp=model_mpp,
            source_mpp=mpp,
            level=level,
            device=where,
        )
        if pictures and (folder / "predictions.csv").exists():
            draw_images(named, record.colors, folder, n_drawn=pictures)
    typer.echo(f"{sum(n_found.values()):,} nuclei in {len(n_found):,} images\nwritten: {out}")
