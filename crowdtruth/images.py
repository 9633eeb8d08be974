"""Pictures of FOVs: opened only inside the folder given, only in known formats, only up to a size."""

import warnings
from pathlib import Path
from typing import Any

from crowdtruth.files import inside

PIXEL_LIMIT = 1 << 26
"""Pixels of the largest image that is opened; cut larger ones into FOVs first."""

IMAGE_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
"""Those that are opened, as Pillow calls them."""


def read_image(folder: Path, name: str) -> Any:
    """The RGB image at a path below a folder, as `on_white`; raises what `open_image` does."""
    return on_white(open_image(folder, name))


def open_image(folder: Path, name: str) -> Any:
    """The image at a path below a folder as it is stored, decoded.

    Raises
    ------
    StudyError
        If the path leads out of the folder.
    OSError
        If it is no image of a known format.
    ValueError
        If it has more than `PIXEL_LIMIT` pixels.
    """
    from PIL import Image

    path = inside(folder, name)
    if not path.is_file():
        raise OSError("there is no such file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own limit is higher than ours, its advice is not for our users
        try:
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                if image.width * image.height > PIXEL_LIMIT:
                    raise ValueError(f"{image.width} × {image.height} pixels; at most {PIXEL_LIMIT:,} are opened")
                image.load()
                return image
        except Image.DecompressionBombError as error:
            raise ValueError(f"more than {PIXEL_LIMIT:,} pixels") from error
        except (SyntaxError, EOFError, MemoryError) as error:  # Pillow's words for files that are broken
            raise OSError(f"not a whole image ({error})") from error


def on_white(image: Any) -> Any:
    """A Pillow image as RGB; where it is transparent, white shows through."""
    from PIL import Image

    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
