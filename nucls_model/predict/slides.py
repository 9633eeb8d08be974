"""Slides and TIFF files read by their tiles: openslide for what it knows, tifffile for the rest.

The OME header is searched for two numbers and not parsed as XML, so nothing in it can be expanded.
"""

import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from crowdtruth.images import on_white
from nucls_model.predict.images import INSTALL, Pixels, Source, check_size

_OTHER_COLOURS = (3, 5)  # TIFF's PhotometricInterpretation: palette, CMYK; Pillow converts them
_ASSOCIATED, _UNASSOCIATED = 1, 2  # TIFF's ExtraSamples: colours are multiplied by the opacity already, or not
_ALPHA = (_ASSOCIATED, _UNASSOCIATED)
_LEAST_MPP, _LARGEST_MPP = 0.02, 20.0  # µm per pixel of a microscope; 72 dpi would be 353
_UM_PER_UNIT = {2: 25_400.0, 3: 10_000.0}  # TIFF's ResolutionUnit: inch, centimetre
_OME_SIZE = re.compile(r'PhysicalSizeX="([0-9.eE+-]{1,32})"')
_OME_UNIT = re.compile(r'PhysicalSizeXUnit="(\w{1,8}|µm|μm)"')
_UM_PER_OME_UNIT = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3}
_CACHE = 1 << 26  # bytes of decoded segments that are kept
_DEFLATE, _LZMA = (8, 32946, 50013), 34925  # TIFF's Compression: what can unpack to a thousand times its length
_EXPANSION = 2  # a compressed segment is at most this many times as long as its pixels


def is_slide(path: Path) -> bool:
    """Whether openslide, which must be installed, knows the format of a file."""
    import openslide

    return openslide.OpenSlide.detect_format(str(path)) is not None


@contextmanager
def open_slide(path: Path) -> Iterator[Source]:
    """A slide, read by openslide.

    Raises
    ------
    ValueError
        If openslide does not know the file, or a part of it is damaged.
    """
    import openslide

    try:
        slide = openslide.OpenSlide(str(path))
    except (openslide.OpenSlideError, OSError) as error:
        raise ValueError(f"{path}: not a slide that openslide can read ({error})") from error

    def read(level: int, xmin: int, ymin: int, xmax: int, ymax: int) -> Pixels:
        factor = downsample(slide.dimensions, slide.level_dimensions[level])
        place = round(xmin * factor), round(ymin * factor)
        try:
            region = slide.read_region(place, level, (xmax - xmin, ymax - ymin))
        except (openslide.OpenSlideError, OSError) as error:
            raise ValueError(f"{path}: damaged at x {place[0]:,}, y {place[1]:,} ({error})") from error
        return np.asarray(on_white(region))

    with slide:
        sides = [_number(slide.properties.get(f"openslide.mpp-{axis}")) for axis in "xy"]
        mpp = (sides[0] + sides[1]) / 2 if sides[0] is not None and sides[1] is not None else None
        yield Source(path.name, tuple(slide.level_dimensions), _plausible(mpp), read)


def downsample(finest: tuple[int, int], level: tuple[int, int]) -> float:
    """How many pixels of the finest level (width, height) lie along one of another level.

    Levels are halves, quarters, … with the last pixels cut off, so a ratio near a whole number is that number.

    Examples
    --------
    >>> downsample((1001, 801), (250, 200)), downsample((1000, 800), (400, 320))
    (4.0, 2.5)
    """
    ratio = (finest[0] / level[0] + finest[1] / level[1]) / 2
    whole = float(round(ratio))
    return whole if abs(ratio - whole) <= 0.01 * ratio else ratio


def _number(text: str | None) -> float | None:
    """A property of a slide as a number; None where it is none."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _plausible(mpp: float | None) -> float | None:
    """A resolution that a microscope has; None for anything else, such as that of a screen or a printer."""
    return mpp if mpp is not None and _LEAST_MPP <= mpp <= _LARGEST_MPP else None


def has_codec(path: Path) -> bool:
    """Whether tifffile gives the parts of a TIFF file as grey or RGB; true of what `open_tiff` refuses otherwise."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            compression, predictor, photometric = page.compression, page.predictor, page.photometric
    except Exception:  # what a damaged file raises is anything; open_tiff tells of it
        return True
    is_decoded = compression in tifffile.TIFF.DECOMPRESSORS and predictor in tifffile.TIFF.UNPREDICTORS
    return is_decoded and photometric not in _OTHER_COLOURS


@contextmanager
def open_tiff(path: Path) -> Iterator[Source]:
    """A TIFF file, read by tifffile one tile or strip at a time.

    Raises
    ------
    ValueError
        If it is no TIFF of 8 bits per channel, grey or RGB, is damaged, or compressed in a way that cannot be read.
    """
    import tifffile

    try:
        file = tifffile.TiffFile(path)
    except Exception as error:  # what a damaged file raises is anything
        raise ValueError(f"{path}: not a whole TIFF file ({error})") from error
    with file:
        try:
            series = file.series[0]
            pages = [level.keyframe for level in series.levels]
            n_planes = len(series.pages)
            mpp = _tiff_mpp(file, pages[0])
        except Exception as error:
            raise ValueError(f"{path}: not a whole TIFF file ({error})") from error
        for page in pages:
            _check_page(path, page, n_planes)
        readers = [_segment_reader(path, page) for page in pages]

        def read(level: int, xmin: int, ymin: int, xmax: int, ymax: int) -> Pixels:
            return _read_page(pages[level], readers[level], (xmin, ymin, xmax, ymax))

        yield Source(path.name, tuple((page.imagewidth, page.imagelength) for page in pages), mpp, read)


def _check_page(path: Path, page: Any, n_planes: int) -> None:
    """Refuse a page that is no picture of 8 bits per channel, side by side, in parts of bounded size."""
    is_picture = page.dtype == np.uint8 and page.samplesperpixel in (1, 3, 4) and page.imagedepth == 1
    if not is_picture or n_planes != 1 or (page.samplesperpixel > 1 and page.planarconfig != 1):
        raise ValueError(
            f"{path}: expected one picture, grey or RGB, 8 bits per channel, channels of a pixel together; got "
            f"{n_planes} of shape {page.shape}, {page.dtype}, planar configuration {int(page.planarconfig)}"
        )
    if page.photometric not in (0, 1, 2, 6):
        kind = getattr(
            page.photometric, "name", page.photometric
        )  # a number, or several, where TIFF has no name for it
        raise ValueError(f"{path}: expected a grey or RGB picture, got photometric {kind}")
    width, height, _ = _segments(page)
    if min(width, height, page.imagewidth, page.imagelength) < 1:
        raise ValueError(f"{path}: not a whole TIFF file (parts of {width} × {height} pixels)")
    check_size(path, width, height)


def _segments(page: Any) -> tuple[int, int, int]:
    """Width and height of a page's tiles or strips, and how many lie side by side."""
    if page.is_tiled:
        return page.tilewidth, page.tilelength, -(-page.imagewidth // page.tilewidth)
    return page.imagewidth, min(page.rowsperstrip, page.imagelength), 1


def _segment_reader(path: Path, page: Any) -> Any:
    """A function segment number -> decoded pixels (height, width, channels) or None where the file has none."""
    width, height, _ = _segments(page)
    n_bytes = width * height * page.samplesperpixel

    @lru_cache(maxsize=max(1, _CACHE // n_bytes))
    def read(number: int) -> Any:
        try:
            length = page.databytecounts[number]
            if length > _EXPANSION * n_bytes + 4096:
                raise ValueError(f"{length:,} bytes for {n_bytes:,} of pixels")
            file = page.parent.filehandle
            file.seek(page.dataoffsets[number])
            data = file.read(length)
            if len(data) != length:
                raise ValueError("the file ends before")
            if _expands(data, page.compression, n_bytes):
                raise ValueError(f"it unpacks to more than its {n_bytes:,} bytes of pixels")
            decoded = page.decode(data, number, jpegtables=page.jpegtables)[0]
        except Exception as error:  # codecs raise anything
            if isinstance(error, MemoryError | KeyboardInterrupt):
                raise
            raise ValueError(
                f"{path}: part {number} ({page.compression.name} compression) cannot be decoded ({error}); the file is "
                f"damaged, or needs openslide ({INSTALL}) or tifffile's codecs (pip install imagecodecs)"
            ) from error
        return None if decoded is None else decoded[0]

    return read


def _expands(data: bytes, compression: int, n_bytes: int) -> bool:
    """Whether compressed data would unpack to more than `n_bytes`; told without unpacking more than that."""
    if compression in _DEFLATE:
        return len(zlib.decompressobj().decompress(data, n_bytes + 1)) > n_bytes
    return compression == _LZMA and len(lzma.LZMADecompressor().decompress(data, n_bytes + 1)) > n_bytes


def _read_page(page: Any, read_segment: Any, box: tuple[int, int, int, int]) -> Pixels:
    """The part of a page in a box (xmin, ymin, xmax, ymax), (height, width, 3); missing segments are white."""
    xmin, ymin, xmax, ymax = box
    width, height, n_across = _segments(page)
    found = np.full((ymax - ymin, xmax - xmin, 3), 255, np.uint8)
    for row in range(ymin // height, -(-ymax // height)):
        for column in range(xmin // width, -(-xmax // width)):
            segment = read_segment(row * n_across + column)
            if segment is None:
                continue
            top, left = row * height, column * width
            y0, x0 = max(ymin, top), max(xmin, left)
            y1, x1 = min(ymax, top + segment.shape[0]), min(xmax, left + segment.shape[1])
            part = segment[y0 - top : y1 - top, x0 - left : x1 - left]
            found[y0 - ymin : y1 - ymin, x0 - xmin : x1 - xmin] = _over_white(part, page)  # grey is repeated
    return 255 - found if page.photometric == 0 else found


def _over_white(part: Any, page: Any) -> Any:
    """Pixels (height, width, 1 or 3) of a part with 1, 3 or 4 channels; where a fourth says so, white shows through."""
    if part.shape[2] < 4 or not page.extrasamples or page.extrasamples[0] not in _ALPHA:
        return part[..., :3]
    colour, alpha = part[..., :3].astype(np.uint16), part[..., 3:].astype(np.uint16)
    if page.extrasamples[0] == _UNASSOCIATED:
        colour = (colour * alpha + 127) // 255
    return np.minimum(colour + 255 - alpha, 255).astype(np.uint8)


def _tiff_mpp(file: Any, page: Any) -> float | None:
    """µm per pixel by the OME header, else by the resolution tags."""
    header = file.ome_metadata or ""
    if size := _OME_SIZE.search(header):
        unit = _OME_UNIT.search(header)
        return _plausible(float(size[1]) * _UM_PER_OME_UNIT.get(unit[1] if unit else "µm", np.nan))
    resolution, unit = page.tags.get("XResolution"), page.tags.get("ResolutionUnit")
    if resolution is None or unit is None or int(unit.value) not in _UM_PER_UNIT:
        return None
    pixels, per = resolution.value
    return _plausible(_UM_PER_UNIT[int(unit.value)] * per / pixels) if pixels > 0 else None
