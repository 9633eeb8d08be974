"""Painted FOVs out of nothing: a training set in the published format, of any size, from any number of hospitals."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray

from crowdtruth.files import whole_folder
from crowdtruth.parallel import track
from crowdtruth.problems import quoted
from crowdtruth.synthetic import ClassParameters, TissueParameters
from crowdtruth.synthetic.layout import Layout, draw_layout, slide_mixture, spread_evenly
from nucls_model.painted.folders import PARTS, object_table, write_fov
from nucls_model.painted.looks import DEBRIS, LOOKS, check_classes, look_of
from nucls_model.painted.outlines import draw_outline
from nucls_model.painted.scene import Scene, paint
from nucls_model.painted.staining import staining_of

MPP = 0.2  # micrometres per pixel of the published FOVs
UNNAMED = "unlabeled"  # the raw class of what nobody can name
_INSET = 12  # pixels of 0.2 µm that the middles of nuclei keep from the edges
_LARGEST = 72  # pixels of 0.2 µm of the largest nuclei, or nearly
_MAIN_THREE = MappingProxyType({"tumor": 0.36, "lymphocyte": 0.36, "fibroblast": 0.28})


class _Stream(IntEnum):
    """What a generator draws."""

    FOV = 2
    SIZE = 3


@dataclass(frozen=True)
class FovParameters:
    """What `paint_fovs` paints."""

    size: int = 160  # pixels of a side
    classes: Mapping[str, float] = field(
        default_factory=lambda: _MAIN_THREE
    )  # raw class -> frequency, relative to the others
    hospitals: tuple[str, ...] = ("H1", "H2", "H3", "H4")  # each with a staining of its own; FOVs in turn
    fovs_per_slide: int = 2
    room: float = 48.0  # side of the square each nucleus has on average, pixels of 0.2 µm
    debris: float = 1.0  # things that are no nuclei, mean per FOV
    outlined: float = 0.6  # share of nuclei with an outline; the others are rectangles
    ambiguous: float = 0.05  # share of nuclei out of focus, which nobody can name
    mpp: float = MPP  # micrometres per pixel


@dataclass(frozen=True)
class PaintedFov:
    """One FOV and what is true about it."""

    name: str
    slide: str
    hospital: str
    rgb: NDArray[np.uint8]  # (height, width, 3)
    objects: pd.DataFrame  # in the published columns, see `folders.object_table`


def paint_fovs(out: str | Path, *, n_fovs: int, seed: int = 0, **changes: Any) -> pd.DataFrame:
    """Paint FOVs into a new folder in the published format: ``rgb``, ``csv``, ``mask``.

    Parameters
    ----------
    out : a new or empty folder
    n_fovs : how many; a smaller number gives the first of them
    seed : not negative; the same seed gives the same bytes
    changes : fields of `FovParameters` to replace, such as ``size`` or ``hospitals``

    Returns
    -------
    one row per FOV
        fov, slide, hospital.

    Raises
    ------
    ValueError
        If there is no such field, or values do not fit together.
    WriteError
        If the folder holds something, or cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     paint_fovs(Path(folder, "painted"), n_fovs=2, size=80)["hospital"].tolist()
    ['H1', 'H2']
    """
    if n_fovs < 1:
        raise ValueError(f"n_fovs must be at least 1, got {n_fovs}")
    parameters = _changed(changes)
    rows = []
    with whole_folder(out) as folder:
        for part in PARTS:
            (folder / part).mkdir()
        for number in track(range(n_fovs), "painting FOVs"):
            fov = paint_fov(number, seed=seed, parameters=parameters)
            write_fov(folder, fov.name, fov.rgb, fov.objects)
            rows.append({"fov": fov.name, "slide": fov.slide, "hospital": fov.hospital})
    return pd.DataFrame(rows)


def _changed(changes: Mapping[str, Any]) -> FovParameters:
    """The default parameters with some fields replaced; unknown names are refused by name."""
    if unknown := set(changes) - set(FovParameters.__dataclass_fields__):
        known = quoted(FovParameters.__dataclass_fields__, 20)
        raise ValueError(f"no parameters {quoted(sorted(unknown))}; painted FOVs have {known}")
    return replace(FovParameters(), **changes)


def paint_fov(number: int, *, seed: int = 0, parameters: FovParameters | None = None) -> PaintedFov:
    """FOV number `number`, as `paint_fovs` paints it, without any other.

    Parameters
    ----------
    number : from 0
    seed : not negative
    parameters : default: `FovParameters()`

    Raises
    ------
    ValueError
        If parameters do not fit together.

    Examples
    --------
    >>> fov = paint_fov(3)
    >>> fov.rgb.shape, fov.slide
    ((160, 160, 3), 'TCGA-H4-S000-DX1')
    """
    chosen = parameters or FovParameters()
    _check(chosen)
    if min(number, seed) < 0:
        raise ValueError(f"number and seed must not be negative, got {number} and {seed}")
    hospital = chosen.hospitals[number % len(chosen.hospitals)]
    slide = slide_name(hospital, number // len(chosen.hospitals) // chosen.fovs_per_slide)
    rng = _generator(seed, _Stream.FOV, number)
    scene, labels = _draw_scene(chosen, spread_evenly(_generator(seed, _Stream.SIZE).random(), number), rng)
    has_outline = rng.random(len(labels)) < chosen.outlined
    rgb = paint(scene, staining_of(hospital, slide), rng)
    objects = object_table(scene.outlines[: len(labels)], labels, has_outline, chosen.size, chosen.size)
    left, right = number * chosen.size, (number + 1) * chosen.size
    name = f"{slide}_id-{number:024x}_left-{left}_top-0_bottom-{chosen.size}_right-{right}"
    return PaintedFov(name, slide, hospital, rgb, objects)


def slide_name(hospital: str, number: int) -> str:
    """The name of a slide as NuCLS writes them, the hospital in its second part."""
    return f"TCGA-{hospital}-S{number:03d}-DX1"


def check_hospitals(names: tuple[str, ...]) -> None:
    """Refuse hospitals whose names cannot stand in that of a slide."""
    if wrong := [name for name in names if not re.fullmatch("[A-Z0-9]+", name)]:
        raise ValueError(f"hospitals are capital letters and digits, as in 'A2'; got {quoted(wrong)}")


def _generator(seed: int, *key: int) -> Generator:
    return np.random.default_rng(SeedSequence(seed, spawn_key=key))


def _check(parameters: FovParameters) -> None:
    """Refuse what cannot be painted."""
    check_classes(parameters.classes)
    if not parameters.classes or not all(share > 0 for share in parameters.classes.values()):
        raise ValueError(f"classes need frequencies above 0, got {dict(parameters.classes)}")
    if not parameters.hospitals or len(set(parameters.hospitals)) < len(parameters.hospitals):
        raise ValueError(f"hospitals need at least one name, each once; got {list(parameters.hospitals)}")
    check_hospitals(parameters.hospitals)
    for name in ("outlined", "ambiguous"):
        if not 0 <= getattr(parameters, name) <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {getattr(parameters, name)}")
    if not 0.05 <= parameters.mpp <= 1:
        raise ValueError(f"mpp must lie in [0.05, 1] micrometres per pixel, got {parameters.mpp}")
    least = int(np.ceil(_LARGEST * MPP / parameters.mpp))
    if parameters.size < least:
        raise ValueError(
            f"a FOV needs {least} pixels of {parameters.mpp:g} µm for the largest nuclei, got size {parameters.size}"
        )
    if parameters.fovs_per_slide < 1 or parameters.room < 20 or parameters.debris < 0:
        raise ValueError(
            "painted FOVs need fovs_per_slide >= 1, room >= 20 and debris >= 0, got "
            f"{parameters.fovs_per_slide}, {parameters.room:g} and {parameters.debris:g}"
        )


def _draw_scene(parameters: FovParameters, size: float, rng: Generator) -> tuple[Scene, list[str]]:
    """What is to be seen, nuclei first, and the labels of the nuclei."""
    scale = MPP / parameters.mpp
    inset = int(np.rint(_INSET * scale))
    tissue = _tissue(parameters, scale, inset)
    layout = draw_layout(tissue, slide_mixture(tissue, rng), rng, size)
    looks = _looks(layout, tuple(parameters.classes), rng)
    n_objects, n_nuclei = len(looks), int((layout.label < len(parameters.classes)).sum())
    angle = rng.uniform(0, np.pi)
    falling = (angle < np.pi / 2) ^ (rng.random(n_objects) < 0.12)  # most spindles lie along the fibres
    outlines = tuple(
        draw_outline(box + inset, look_of(name), falls, rng)
        for box, name, falls in zip(layout.boxes, looks, falling, strict=True)
    )
    is_ambiguous = (rng.random(n_objects) < parameters.ambiguous) & (np.arange(n_objects) < n_nuclei)
    labels = [UNNAMED if hidden else name for name, hidden in zip(looks, is_ambiguous, strict=True)]
    scene = Scene(
        parameters.size,
        parameters.size,
        looks,
        outlines,
        strength=np.where(is_ambiguous, 0.7, 1.0) * np.exp(0.1 * rng.standard_normal(n_objects)),
        defocus=scale * np.where(is_ambiguous, 3.0, rng.uniform(0, 0.7, n_objects)),
        angle=angle,
        scale=scale,
    )
    return scene, labels[:n_nuclei]


def _tissue(parameters: FovParameters, scale: float, inset: int) -> TissueParameters:
    """Where nuclei lie: the layouts of synthetic studies, with the classes' own sizes and beds."""
    median = max(1.0, (parameters.size / (parameters.room * scale)) ** 2)
    classes = tuple(
        ClassParameters(
            name, frequency, LOOKS[name].side * scale, LOOKS[name].spread, LOOKS[name].aspect, {LOOKS[name].bed: 1.0}
        )
        for name, frequency in parameters.classes.items()
    )
    return TissueParameters(
        classes=classes,
        hospitals=dict.fromkeys(parameters.hospitals, 1.0),
        fov_side=parameters.size - 2 * inset,
        mpp=parameters.mpp,
        nuclei_median=median,
        nuclei_log_sd=0.25,
        nuclei_min=1,
        nuclei_max=int(np.ceil(2 * median)),
        fov_concentration=3.0,
        patch_spread=45 * scale,
        touching=0.1,
        max_iou=0.12,
        distractors_per_fov=parameters.debris,
        distractor_side=LOOKS["lymphocyte"].side * scale,
    )


def _looks(layout: Layout, classes: tuple[str, ...], rng: Generator) -> tuple[str, ...]:
    """What each object looks like: its class, or some kind of debris."""
    kinds = rng.integers(len(DEBRIS), size=len(layout.label))
    return tuple(
        classes[label] if label < len(classes) else list(DEBRIS)[kind]
        for label, kind in zip(layout.label, kinds, strict=True)
    )
