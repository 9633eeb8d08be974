"""What an anchor looks like: pieces of the FOV images, small enough for a page."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crowdtruth.images import PIXEL_LIMIT, read_image
from crowdtruth.problems import StudyError

_LARGEST_SIDE = 256  # pixels of a crop
_QUALITY = 80

View = tuple[int, int, int, int]
"""xmin, ymin, xmax, ymax of what is shown, whole pixels of the FOV."""


@dataclass(frozen=True)
class Crops:
    """Data URIs of the views that have an image, by number, and what could not be read."""

    of: Mapping[int, str]
    problems: Sequence[str]


def crop_images(folder: Path, images: Mapping[str, str], views: Sequence[tuple[str, View]]) -> Crops:
    """A JPEG of each view of an FOV; every image is opened once.

    Parameters
    ----------
    folder : the study's folder; no image outside of it is opened
    images : FOV -> path below `folder`
    views : (FOV, view); a view of more than `PIXEL_LIMIT` pixels is left out
    """
    found: dict[int, str] = {}
    problems = []
    for fov in dict.fromkeys(fov for fov, _ in views):
        if not images.get(fov):
            continue
        numbers = [number for number, (name, _) in enumerate(views) if name == fov]
        try:
            image = read_image(folder, images[fov])
        except (OSError, ValueError, StudyError) as error:
            problems.append(f"image {images[fov]!r} of FOV {fov!r} is not shown: {error}")
            continue
        found |= {
            number: _jpeg(image, views[number][1]) for number in numbers if _area(views[number][1]) <= PIXEL_LIMIT
        }
    return Crops(found, problems)


def _area(view: View) -> int:
    return (view[2] - view[0]) * (view[3] - view[1])


def _jpeg(image: Any, view: View) -> str:
    """One view as a data URI; what lies outside of the image is black."""
    piece = image.crop(view)
    piece.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    content = io.BytesIO()
    piece.save(content, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
