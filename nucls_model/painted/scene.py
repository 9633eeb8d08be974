"""A whole picture: tissue, then the objects, then the microscope."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nucls_model.painted.looks import LOOKS, look_of
from nucls_model.painted.nuclei import Placed, draw_grains, paint_object
from nucls_model.painted.outlines import Points, bounds
from nucls_model.painted.staining import Staining, develop
from nucls_model.painted.tissue import lay_tissue

_MARGIN = 8  # pixels of canvas beyond the outermost object


@dataclass(frozen=True)
class Scene:
    """What is to be seen in one picture: n objects, nuclei and others."""

    width: int
    height: int
    looks: tuple[str, ...]  # of each object, see `looks`
    outlines: tuple[Points, ...]  # (n_points, 2) each; they may reach beyond the picture
    strength: NDArray[np.float64]  # (n,) factors on the amounts of stain
    defocus: NDArray[np.float64]  # (n,) standard deviations of their own blur, pixels
    angle: float  # direction of the fibres, radians from x towards y
    scale: float = 1.0  # pixels per 0.2 µm


def largest_first(boxes: NDArray[np.float64]) -> NDArray[np.intp]:
    """The order in which objects are painted and masks drawn, so that small ones end on top: (n, 4) -> (n,)."""
    return np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")


def paint(scene: Scene, staining: Staining, rng: Generator) -> NDArray[np.uint8]:
    """The picture of a scene, (height, width, 3), red, green, blue from 0 to 255."""
    from scipy.ndimage import gaussian_filter

    amounts, pad = stain_amounts(scene, rng)
    blur = staining.blur * max(scene.scale, 0.5)
    amounts = gaussian_filter(amounts, (blur, blur, 0), truncate=3)
    return develop(amounts[pad : pad + scene.height, pad : pad + scene.width], staining, rng)


def stain_amounts(scene: Scene, rng: Generator) -> tuple[NDArray[np.float32], int]:
    """Hematoxylin and eosin of a canvas larger than the picture, (rows, columns, 2), and by how much on each side."""
    boxes = np.array([bounds(points) for points in scene.outlines]).reshape(-1, 4)
    size = np.array([scene.width, scene.height])
    beyond = max(0.0, float((-boxes[:, :2]).max(initial=0)), float((boxes[:, 2:] - size).max(initial=0)))
    pad = int(np.ceil(beyond)) + _MARGIN
    shape = (scene.height + 2 * pad, scene.width + 2 * pad)
    looks = [look_of(name) for name in scene.looks]
    is_nucleus = np.array([name in LOOKS for name in scene.looks], bool)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + pad
    beds = [look.bed for look, nucleus in zip(looks, is_nucleus, strict=True) if nucleus]
    amounts = lay_tissue(shape, centres[is_nucleus], beds, angle=scene.angle, scale=scene.scale, rng=rng)
    grains = draw_grains(shape, scene.scale, rng)
    for i in largest_first(boxes):
        blur = looks[i].defocus * scene.scale + float(scene.defocus[i])
        one = Placed(looks[i], scene.outlines[i] + pad, float(scene.strength[i]), blur, scene.scale)
        paint_object(amounts, one, grains, rng)
    return amounts, pad
