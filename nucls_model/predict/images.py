"""Images of any size opened for reading in parts: PNG and JPEG with Pillow, slides and TIFF by their tiles."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crowdtruth.images import on_white
from nucls_model.labelled.table import EIGHT_BITS

Pixels = NDArray[np.uint8]

PIXEL_LIMIT = 1 << 27
"""Pixels of the largest image that has to be decoded as a whole; larger ones are read as tiled TIFF or slides."""

PLAIN_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
TIFF_SUFFIXES = (".tif", ".tiff")
SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".czi", ".dcm")

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")


@dataclass(frozen=True)
class Source:
    """An image that is open: its levels, finest first, and how to read a part of one."""

    name: str
    sizes: tuple[tuple[int, int], ...]  # width, height of each level
    mpp: float | None  # µm per pixel of the finest level; None where the file does not say
    read: Callable[[int, int, int, int, int], Pixels]  # level, xmin, ymin, xmax, ymax -> (height, width, 3)


def check_image(path: str | Path) -> None:
    """Refuse, before any work is done, what cannot be opened.

    Raises
    ------
    ValueError
        If there is no such file, no reader knows its suffix, or the reader is not installed, with how to install it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: expected an image, there is no such file")
    suffix = path.suffix.lower()
    if suffix not in (*PLAIN_SUFFIXES, *TIFF_SUFFIXES, *SLIDE_SUFFIXES):
        known = " ".join((*PLAIN_SUFFIXES, *TIFF_SUFFIXES, *SLIDE_SUFFIXES))
        raise ValueError(f"{path}: expected an image ending in one of {known}; got {suffix or 'no suffix'}")
    if suffix in SLIDE_SUFFIXES and not _has_openslide():
        raise ValueError(f"{path}: {suffix} slides are read by openslide, which is not installed; {INSTALL}")
    if suffix in TIFF_SUFFIXES and find_spec("tifffile") is None:
        raise ValueError(f'{path}: TIFF is read by tifffile, which is not installed; pip install "nucls[model]"')


INSTALL = 'pip install "nucls[slides]"'


def _has_openslide() -> bool:
    return find_spec("openslide") is not None


def open_image(path: str | Path) -> AbstractContextManager[Source]:
    """An image or slide, open for the length of the block.

    Slides, and TIFF files that openslide knows, are read by openslide where it is installed; other TIFF files by
    tifffile, tile by tile. PNG, JPEG, BMP and WebP have no parts: they are decoded as a whole, up to `PIXEL_LIMIT`, and
    so are TIFF files compressed in a way that tifffile only reads beside the package imagecodecs.

    Parameters
    ----------
    path : file with one of the suffixes in `PLAIN_SUFFIXES`, `TIFF_SUFFIXES`, `SLIDE_SUFFIXES`

    Raises
    ------
    ValueError
        If it cannot be opened, naming the file and what was expected; also while a part is read, if it is damaged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("RGB", (4, 3), "white").save(Path(folder, "a.png"))
    ...     with open_image(Path(folder, "a.png")) as source:
    ...         source.sizes, source.mpp, source.read(0, 1, 0, 3, 3).shape
    (((4, 3),), None, (3, 2, 3))
    """
    path = Path(path)
    check_image(path)
    suffix = path.suffix.lower()
    if suffix in PLAIN_SUFFIXES:
        return _open_plain(path)
    from nucls_model.predict import slides

    if suffix in SLIDE_SUFFIXES or (_has_openslide() and slides.is_slide(path)):
        return slides.open_slide(path)
    return slides.open_tiff(path) if slides.has_codec(path) else _open_plain(path)


def read_whole(path: str | Path, pixel_limit: int) -> Pixels:
    """All pixels of an image, (height, width, 3).

    Raises
    ------
    ValueError
        As `open_image`, and if the image has more than `pixel_limit` pixels.
    """
    with open_image(path) as source:
        width, height = source.sizes[0]
        if width * height > pixel_limit:
            raise ValueError(f"{path}: {width:,} × {height:,} pixels; at most {pixel_limit:,} are worked on at once")
        return source.read(0, 0, 0, width, height)


@contextmanager
def _open_plain(path: Path) -> Iterator[Source]:
    """An image without levels or tiles, decoded as a whole."""
    pixels = _decode(path)
    height, width, _ = pixels.shape

    def read(level: int, xmin: int, ymin: int, xmax: int, ymax: int) -> Pixels:
        return pixels[ymin:ymax, xmin:xmax]

    yield Source(path.name, ((width, height),), None, read)


def _decode(path: Path) -> Pixels:
    """All pixels of an image, (height, width, 3); transparent ones on white."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's advice on size is not for our users: we have a limit of our own
        try:
            image = Image.open(path, formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise ValueError(f"{path}: {error}") from error
        except Exception as error:  # what a damaged file raises is anything
            raise ValueError(f"{path}: not a whole image ({error})") from error
        with image:
            check_size(path, image.width, image.height)
            if image.mode not in EIGHT_BITS:
                raise ValueError(f"{path}: expected 8 bits per channel, this image has Pillow's mode {image.mode}")
            try:
                return np.asarray(on_white(image))
            except Exception as error:
                raise ValueError(f"{path}: not a whole image ({error})") from error


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse to decode as a whole what is too large for it."""
    if width * height > PIXEL_LIMIT:
        raise ValueError(
            f"{path}: {width:,} × {height:,} pixels that have to be decoded as a whole; at most {PIXEL_LIMIT:,} are. "
            "Save a larger image as tiled TIFF (for instance with libvips), which is read tile by tile"
        )
