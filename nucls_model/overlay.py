"""Pictures of what a detector found beside what is true, as Figures 6d and S12 have them, drawn with Pillow.

An FOV is a row of panels: the image; boxes found, missed and wrong; predicted outlines; true ones, boxes where there
is no outline. Several FOVs are a page with one legend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.checks import CORNERS
from crowdtruth.files import atomic_write
from crowdtruth.metrics import match_boxes
from crowdtruth.problems import quoted
from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED, Color
from nucls_model.predict.outputs import GREY, ring_of

MATCH_COLORS: Mapping[str, Color] = {
    "found": (190, 255, 35),
    "wrong": (255, 255, 35),
    "missed": (255, 64, 100),
    "on AMBIGUOUS": (160, 160, 160),
}
"""The published program's colours of true positives, false positives and false negatives; grey counts as neither."""

PAGE_LIMIT = 1 << 27
"""Pixels of the largest page."""

_DASHED = {"wrong"}  # its colour is hardly another than that of what was found
_AMBIGUOUS_COLOR: Color = (80, 80, 80)
_GROUND, _INK = (255, 255, 255), (30, 30, 30)
_LIGHT_HALO, _DARK_HALO = (255, 255, 255, 170), (0, 0, 0, 170)  # under every line, so that blue shows on purple
_BRIGHT = 100  # of 255; brighter lines lie on a dark halo
_FINER = 2  # pictures are drawn larger and reduced, which smooths lines
_LINE, _DASH, _GAP = 2.5, 7.0, 5.0  # pixels of the page
_TEXT, _TITLE = 15, 18  # height of letters
_SPACE = 12  # between panels
_SWATCH = 14


@dataclass(frozen=True)
class Scene:
    """One FOV and what is known of it."""

    name: str
    image: NDArray[np.uint8]  # (height, width, 3)
    predictions: pd.DataFrame  # xmin, ymin, xmax, ymax, label, coords_x, coords_y
    truth: pd.DataFrame | None = None  # the same columns; None where nobody knows


def match_scene(scene: Scene, *, iou: float = 0.5) -> dict[str, NDArray[np.float64]]:
    """The boxes of a scene by what became of them, as evaluation counts them.

    Parameters
    ----------
    scene : with truth
    iou : least overlap of a match

    Returns
    -------
    dict
        ``found`` (predicted), ``wrong`` (predicted), ``missed`` (true), ``on AMBIGUOUS`` (predicted, where the truth is
        ambiguous: neither right nor wrong) -> (n, 4).

    Examples
    --------
    >>> boxes = pd.DataFrame([[0, 0, 9, 9, "a"], [20, 0, 29, 9, "a"]], columns=[*CORNERS, "label"])
    >>> scene = Scene("f", np.zeros((9, 29, 3), np.uint8), boxes[:1], boxes)
    >>> {name: len(found) for name, found in match_scene(scene).items()}
    {'found': 1, 'wrong': 0, 'missed': 1, 'on AMBIGUOUS': 0}
    """
    if scene.truth is None:
        raise ValueError(f"FOV {scene.name!r}: expected the truth to compare with, there is none")
    truth = _objects(scene.truth)
    predicted, true = scene.predictions[[*CORNERS]].to_numpy(float), truth[[*CORNERS]].to_numpy(float)
    is_ambiguous = (truth["label"] == AMBIGUOUS).to_numpy()
    clear = match_boxes(predicted, true[~is_ambiguous], iou_threshold=iou)
    rest = np.setdiff1d(np.arange(len(predicted)), clear.row)
    unclear = match_boxes(predicted[rest], true[is_ambiguous], iou_threshold=iou)
    return {
        "found": predicted[clear.row],
        "wrong": np.delete(predicted[rest], unclear.row, axis=0),
        "missed": np.delete(true[~is_ambiguous], clear.reference_row, axis=0),
        "on AMBIGUOUS": predicted[rest][unclear.row],
    }


def _objects(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are objects."""
    return table[~table["label"].isin([UNDETECTED, ""])]


def draw_page(scenes: Sequence[Scene], colors: Mapping[str, Color], *, zoom: float = 2.0, iou: float = 0.5) -> Any:
    """A page of scenes, one below the other, with a legend.

    Parameters
    ----------
    scenes : at least one; truth is shown for those that have it
    colors : class -> red, green, blue
    zoom : pixels of the page along one of the image
    iou : least overlap of a match

    Returns
    -------
    PIL.Image.Image
        RGB; letters and lines have the same size at any zoom.

    Raises
    ------
    ValueError
        If there is no scene, `zoom` is not above 0, or the page had more than `PAGE_LIMIT` pixels.

    Examples
    --------
    >>> none = pd.DataFrame(columns=[*CORNERS, "label", "coords_x", "coords_y"])
    >>> draw_page([Scene("f", np.zeros((60, 80, 3), np.uint8), none)], {}).size
    (356, 201)
    """
    from PIL import Image

    if not scenes or not zoom > 0:
        raise ValueError(f"a page needs at least one scene and a zoom above 0, got {len(scenes)} and {zoom}")
    width, height = _page_size(scenes, colors, zoom)
    if width * height * _FINER**2 > PAGE_LIMIT:
        raise ValueError(f"a page of {width:,} × {height:,} pixels is too large; draw fewer FOVs, or a smaller zoom")
    legend = _legend(scenes, colors, width)
    page = Image.new("RGB", (width, height), _GROUND)
    panel_width = max(_zoomed(scene, zoom)[0] for scene in scenes)
    top = 0
    for scene in scenes:
        top += _SPACE
        for n, (title, panel) in enumerate(_panels(scene, colors, zoom, iou)):
            left = _SPACE + n * (panel_width + _SPACE)
            _write(page, (left, top), title if n else f"{scene.name}", _TITLE)
            page.paste(panel, (left, top + _TITLE + _SPACE // 2))
        top += _TITLE + _SPACE + _zoomed(scene, zoom)[1]
    page.paste(legend, (0, height - legend.height))
    return page


def _page_size(scenes: Sequence[Scene], colors: Mapping[str, Color], zoom: float) -> tuple[int, int]:
    """Width and height of a page of scenes."""
    n_panels = 4 if any(scene.truth is not None for scene in scenes) else 2
    widths, heights = zip(*(_zoomed(scene, zoom) for scene in scenes), strict=True)
    width = n_panels * max(widths) + (n_panels + 1) * _SPACE
    names = [name for name, *_ in _entries(scenes, colors)]
    return width, sum(heights) + len(scenes) * (_TITLE + 2 * _SPACE) + _places(names, width)[1] + _SPACE


def _zoomed(scene: Scene, zoom: float) -> tuple[int, int]:
    """Width and height of one panel of a scene."""
    height, width = scene.image.shape[:2]
    return max(1, round(width * zoom)), max(1, round(height * zoom))


def _fitting_zoom(scenes: Sequence[Scene], colors: Mapping[str, Color], zoom: float) -> float:
    """The zoom, or the first of nine tenths of it, of that, and so on, at which a page is not too large."""
    while np.prod(_page_size(scenes, colors, zoom)) * _FINER**2 > PAGE_LIMIT:
        zoom *= 0.9
    return zoom


def _panels(scene: Scene, colors: Mapping[str, Color], zoom: float, iou: float) -> list[tuple[str, Any]]:
    """Title and picture of each panel of a scene."""
    plain = ("", _draw(scene, [], zoom))
    predicted = ("predicted", _draw(scene, _shapes(scene.predictions, colors), zoom))
    if scene.truth is None:
        return [plain, predicted]
    matches = match_scene(scene, iou=iou)
    boxes = [(_corners_of(box), MATCH_COLORS[kind], kind in _DASHED) for kind in matches for box in matches[kind]]
    counts = ", ".join(f"{len(matches[kind])} {kind}" for kind in ("found", "missed", "wrong"))
    true = ("true", _draw(scene, _shapes(_objects(scene.truth), colors), zoom))
    return [plain, (counts, _draw(scene, boxes, zoom)), predicted, true]


Shape = tuple[NDArray[np.float64], Color, bool]
"""Points (n, 2) of a closed line, its colour, whether it is dashed."""


def _shapes(table: pd.DataFrame, colors: Mapping[str, Color]) -> list[Shape]:
    """The outline of each object, its box where there is none, in the colour of its class."""
    shapes = []
    for row in table.to_dict("records"):
        ring = np.array(ring_of(row), float)
        points = ring if len(ring) else _corners_of(np.array([row[name] for name in CORNERS], float))
        shapes.append((points, color_of(str(row["label"]), colors), False))
    return shapes


def color_of(label: str, colors: Mapping[str, Color]) -> Color:
    """The colour of a class; grey where it has none."""
    return colors.get(label, _AMBIGUOUS_COLOR if label == AMBIGUOUS else GREY)


def _corners_of(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The four corners (4, 2) of a box (4,)."""
    return box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)


def _draw(scene: Scene, shapes: Sequence[Shape], zoom: float) -> Any:
    """The image of a scene with closed lines on it, `zoom` times as large."""
    from PIL import Image, ImageDraw

    size = _zoomed(scene, zoom)
    picture = Image.fromarray(scene.image).resize((size[0] * _FINER, size[1] * _FINER), Image.Resampling.BICUBIC)
    for is_halo in (True, False):
        layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
        pen = ImageDraw.Draw(layer)
        for points, color, is_dashed in shapes:
            lines = _dashes(points * zoom) if is_dashed else [np.concatenate([points, points[:2]]) * zoom]
            for line in lines:
                ends = [tuple(point) for point in (line * _FINER).tolist()]
                width = round((_LINE + 1.5 * is_halo) * _FINER)
                pen.line(ends, fill=_halo(color) if is_halo else (*color, 255), width=width, joint="curve")
        picture.paste(layer, (0, 0), layer)
    return picture.resize(size, Image.Resampling.BOX)


def _halo(color: Color) -> tuple[int, int, int, int]:
    """What lies under a line of a colour: light under dark, dark under bright."""
    return _DARK_HALO if np.dot(color, (0.299, 0.587, 0.114)) > _BRIGHT else _LIGHT_HALO


def _dashes(points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Pieces (2, 2) of the sides of a polygon (n, 2), with gaps between."""
    pieces = []
    for start, stop in zip(points, np.roll(points, -1, axis=0), strict=True):
        length = float(np.hypot(*(stop - start)))
        for begin in np.arange(0, length, _DASH + _GAP):
            part = np.array([[begin], [min(begin + _DASH, length)]]) / length
            pieces.append(start + part * (stop - start))
    return pieces


def _entries(scenes: Sequence[Scene], colors: Mapping[str, Color]) -> list[tuple[str, Color, bool]]:
    """What the colours mean: classes that occur, in the order of `colors`, then what became of boxes."""
    tables = [table for scene in scenes for table in (scene.predictions, scene.truth) if table is not None]
    seen = {str(label) for table in tables for label in _objects(table)["label"]}
    names = [name for name in colors if name in seen] + sorted(seen - set(colors))
    entries = [(name, color_of(name, colors), False) for name in names]
    if any(scene.truth is not None for scene in scenes):
        entries += [(name, color, name in _DASHED) for name, color in MATCH_COLORS.items()]
    return entries


def _legend(scenes: Sequence[Scene], colors: Mapping[str, Color], width: int) -> Any:
    """What the colours mean, as wide as a page."""
    from PIL import Image, ImageDraw

    entries = _entries(scenes, colors)
    places, bottom = _places([name for name, *_ in entries], width)
    legend = Image.new("RGB", (width, bottom + _SPACE), _GROUND)
    pen = ImageDraw.Draw(legend)
    for (name, color, is_dashed), (left, top) in zip(entries, places, strict=True):
        box = np.array([left, top, left + _SWATCH, top + _SWATCH], float)
        pen.rectangle(tuple(box.tolist()), fill=_GROUND if is_dashed else color, outline=_INK)
        if is_dashed:
            pen.rectangle((left + 4, top + 4, left + _SWATCH - 4, top + _SWATCH - 4), fill=color, outline=_INK)
        _write(legend, (left + _SWATCH + 6, top - 2), name, _TEXT)
    return legend


def _places(names: Sequence[str], width: int) -> tuple[list[tuple[int, int]], int]:
    """Left and top of each entry of a legend, broken to its width, and where it ends."""
    places, left, top = [], _SPACE, _SPACE
    for name in names:
        needed = _SWATCH + 6 + int(_font(_TEXT).getlength(name)) + 2 * _SPACE
        if left > _SPACE and left + needed > width:
            left, top = _SPACE, top + _TEXT + _SPACE
        places.append((left, top))
        left += needed
    return places, top + _TEXT


def _write(picture: Any, place: tuple[int, int], text: str, size: int) -> None:
    """Text on a picture, its upper left corner at `place`."""
    from PIL import ImageDraw

    ImageDraw.Draw(picture).text(place, text, fill=_INK, font=_font(size))


def _font(size: int) -> Any:
    """Pillow's own letters, `size` pixels high."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def write_pages(
    scenes: Sequence[Scene],
    colors: Mapping[str, Color],
    folder: str | Path,
    *,
    per_page: int = 4,
    zoom: float = 2.0,
    iou: float = 0.5,
) -> list[Path]:
    """Write scenes as PNG pages, ``page_01.png`` and on; each file appears whole.

    Parameters
    ----------
    scenes, colors, iou : as `draw_page`
    zoom : as `draw_page`; large images are drawn smaller, so that a page keeps within `PAGE_LIMIT`
    folder : where to; it must exist
    per_page : scenes on a page

    Returns
    -------
    list
        The files.

    Raises
    ------
    ValueError
        If `zoom` is not above 0, or two scenes have one name.
    WriteError
        If a file cannot be written.
    """
    names = [scene.name for scene in scenes]
    if len(set(names)) < len(names):
        raise ValueError(f"expected scenes with names of their own, got {quoted(names)}")
    written = []
    for number, start in enumerate(range(0, len(scenes), per_page), start=1):
        path = Path(folder, f"page_{number:02d}.png")
        shown = scenes[start : start + per_page]
        page = draw_page(shown, colors, zoom=_fitting_zoom(shown, colors, zoom), iou=iou)
        with atomic_write(path) as handle:
            page.save(handle, "PNG")
        written.append(path)
    return written
