"""One object painted into its tissue: cell body, pale ring, nucleus with its chromatin."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nucls_model.dataset import rasterise
from nucls_model.painted.looks import Look
from nucls_model.painted.outlines import Points, bounds
from nucls_model.painted.textures import smooth_noise

_EDGE = 1.6  # pixels over which coverage falls from 1 to 0

Field = NDArray[np.float32]


class Placed(NamedTuple):
    """One object: how it looks and where."""

    look: Look
    points: Points  # (n_points, 2) on the canvas
    strength: float  # factor on its amounts of stain
    defocus: float  # standard deviation of a blur of its own, pixels
    scale: float  # pixels per 0.2 µm


class Grains(NamedTuple):
    """Random fields that chromatin is cut from, each as large as the canvas."""

    fine: Field
    coarse: Field
    tone: Field


def draw_grains(shape: tuple[int, int], scale: float, rng: Generator) -> Grains:
    """The fields of one picture, (height, width) each."""
    small = smooth_noise(shape, max(2.0 * scale, 1), rng)
    large = smooth_noise(shape, max(5.0 * scale, 1), rng)
    return Grains(0.85 * small + 0.5 * large, 0.5 * small + 0.85 * large, smooth_noise(shape, 14 * scale, rng))


def paint_object(amounts: Field, one: Placed, grains: Grains, rng: Generator) -> None:
    """Paint an object over the amounts of stain of a canvas, (height, width, 2), in place."""
    window = _window(one, amounts.shape[:2])
    under = amounts[window]
    depth = _depth(one.points, window)
    _paint_surroundings(under, one, depth, grains.coarse[window], rng)
    cover = np.clip(0.5 + depth / _EDGE, 0, 1)
    if one.look.lobes > 1:
        cover = cover * _lobes(one, window, rng)
    chromatin = _chromatin(one, depth, grains, window, rng)
    mean = (chromatin * cover).sum() / max(cover.sum(), 1e-6)
    nucleus = np.stack([chromatin * (one.look.hematoxylin / mean), np.full_like(chromatin, one.look.eosin)], axis=2)
    layer, cover = _focus(one, nucleus * one.strength * cover[..., None], cover)
    under *= (1 - cover)[..., None]
    under += layer


def _window(one: Placed, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the canvas that the object may change."""
    margin = (max(one.look.reach * 1.6, one.look.halo) + 3) * one.scale + 3 * one.defocus
    box = bounds(one.points)
    low = np.maximum(np.floor(box[:2] - margin), 0).astype(int)
    high = np.minimum(np.ceil(box[2:] + margin), shape[::-1]).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _depth(points: Points, window: tuple[slice, slice]) -> Field:
    """Pixels from the outline, positive within: (height, width) of the window."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = window
    x, y = (points - [columns.start, rows.start]).T
    inside = rasterise(x, y, rows.stop - rows.start, columns.stop - columns.start)
    signed = np.where(inside, distance_transform_edt(inside) - 0.5, 0.5 - distance_transform_edt(~inside))
    return signed.astype(np.float32)


def _paint_surroundings(under: Field, one: Placed, depth: Field, texture: Field, rng: Generator) -> None:
    """The cell's own body, off its centre, and the pale ring around the nucleus, in place."""
    look, reach = one.look, one.look.reach * one.scale
    if reach:
        angle = rng.uniform(0, 2 * np.pi)
        y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in depth.shape)
        lean = 0.6 * reach * (np.cos(angle) * x[None, :] + np.sin(angle) * y[:, None])
        body = np.clip(0.5 + (depth + reach + lean) / (4 * one.scale), 0, 1)[..., None] * np.float32(0.8)
        tint = np.array(look.body, np.float32) * rng.uniform(0.85, 1.15)
        under *= 1 - body
        under += body * tint * np.exp(0.2 * texture)[..., None]
    if look.halo:
        ring = np.clip((depth + look.halo * one.scale) / (1.5 * _EDGE), 0, 1)
        under *= (1 - 0.7 * ring)[..., None]


def _unit_places(one: Placed, window: tuple[slice, slice]) -> tuple[Field, Field]:
    """x and y of the window's pixels, from the middle of the object's box in halves of its sides: (h, w) each."""
    box = bounds(one.points)
    middle, half = (box[:2] + box[2:]) / 2, np.maximum((box[2:] - box[:2]) / 2, 1)
    y, x = (np.arange(side.start, side.stop, dtype=np.float32) for side in window)
    places = np.meshgrid((x - middle[0]) / half[0], (y - middle[1]) / half[1])
    return places[0], places[1]


def _lobes(one: Placed, window: tuple[slice, slice], rng: Generator) -> Field:
    """Coverage by separate lobes within the outline, (height, width)."""
    x, y = _unit_places(one, window)
    angle = rng.uniform(0, 2 * np.pi) + np.arange(one.look.lobes) * (2 * np.pi / one.look.lobes)
    radius = 0.62 if one.look.lobes < 3 else 0.5
    away = [np.hypot(x - 0.45 * np.cos(a), y - 0.45 * np.sin(a)) for a in angle]
    return np.clip((radius - np.min(away, axis=0)) * 6 + 0.5, 0, 1)


def _chromatin(one: Placed, depth: Field, grains: Grains, window: tuple[slice, slice], rng: Generator) -> Field:
    """How chromatin is spread within the nucleus, (height, width), relative."""
    look = one.look
    field = grains.coarse if look.grain_length == "coarse" else grains.fine
    chromatin = np.exp(look.grain * field[window] + 0.12 * grains.tone[window])
    if look.rim:
        width = 2.0 * one.scale
        chromatin = chromatin + look.rim * np.exp(-(((depth - 0.4 * width) / width) ** 2))
    if look.spokes:
        x, y = _unit_places(one, window)
        turn = np.cos(rng.integers(6, 9) * np.arctan2(y, x) + rng.uniform(0, 2 * np.pi))
        chromatin = chromatin + look.spokes * turn * np.clip(1.6 * np.hypot(x, y) - 0.3, 0, 1)
    for _ in range(min(rng.poisson(look.nucleoli), 4)):
        x, y = _unit_places(one, window)
        at, radius = rng.uniform(-0.45, 0.45, 2), rng.uniform(2.0, 3.4) * one.scale
        half = (bounds(one.points)[2:] - bounds(one.points)[:2]) / 2
        away = (((x - at[0]) * half[0]) ** 2 + ((y - at[1]) * half[1]) ** 2) / (2 * (0.6 * radius) ** 2)
        chromatin = chromatin + 1.5 * np.exp(-away)
    return np.maximum(chromatin, 0.1)


def _focus(one: Placed, layer: Field, cover: Field) -> tuple[Field, Field]:
    """The object's layer, already weighted by its coverage, and the coverage, as blurred as it is out of focus."""
    if one.defocus <= 0:
        return layer, cover
    from scipy.ndimage import gaussian_filter

    blur = (one.defocus, one.defocus)
    return gaussian_filter(layer, (*blur, 0), truncate=3), gaussian_filter(cover, blur, truncate=3)
