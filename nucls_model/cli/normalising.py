"""The command that makes images look stained alike: normalise."""

from pathlib import Path
from typing import Annotated

import typer

from nucls_model.cli.app import app, clear_errors
from nucls_model.cli.arguments import OutFolder

PIXEL_LIMIT = 1 << 25
"""Pixels of the largest image that is normalised: its optical densities take some 4 GB."""


@app.command()
@clear_errors
def normalise(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="PNG, JPEG or TIFF of stained tissue.")],
    out: OutFolder,
    target: Annotated[
        Path | None, typer.Option(help="Image whose stains all get; default: those in common use.", dir_okay=False)
    ] = None,
) -> None:
    """Make images look stained alike, by Macenko's method: a PNG of each.

    The paper's detector was trained on such images. Images to predict in are then normalised to the same target.

    Examples:

        nucls normalise nucls_fovs/rgb/*.png --out alike/rgb     (then copy csv and mask there, to train on)

        nucls normalise tiles/*.png --out alike --target nucls_fovs/rgb/liked.png
    """
    import numpy as np
    from PIL import Image

    from crowdtruth.files import atomic_write
    from crowdtruth.parallel import say, track
    from crowdtruth.problems import quoted
    from nucls_model.cli.folders import named_images, results_in
    from nucls_model.predict.images import check_image, read_whole
    from nucls_model.stain import TARGET, arrays

    named = named_images(images)
    for path in images:
        check_image(path)
    if out.resolve() in {path.resolve().parent for path in (*images, *([target] if target else []))}:
        raise ValueError(f"--out {out} is the folder of an image; results are never written into what is read")
    wanted = TARGET if target is None else arrays.target_of(read_whole(target, PIXEL_LIMIT))
    if wanted is None:
        raise ValueError(f"--target {target} has no two stains that can be told apart")
    unchanged = []
    with results_in(out, "nucls normalise") as folder:
        for name, path in track(named.items(), "normalising images", len(named)):
            pixels = read_whole(path, PIXEL_LIMIT)
            alike = arrays.normalise(pixels, wanted)
            if np.array_equal(alike, pixels):
                unchanged.append(name)
            with atomic_write(folder / f"{name}.png") as handle:
                Image.fromarray(alike).save(handle, "PNG")
    if unchanged:
        say(f"{len(unchanged):,} without two stains that can be told apart stay as they are: {quoted(unchanged)}")
    typer.echo(f"{len(images):,} images\nwritten: {out}")
