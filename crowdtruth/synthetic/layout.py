"""What lies in a field of view: nuclei in nests, stroma and infiltrates, and things that are no nuclei.

Tissue is a patchwork of niches. A slide has its own mixture of niches, an FOV scatters around its slide's, and nuclei
lie around the centres of patches of their class's niche: neighbours resemble each other, as in tissue.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from crowdtruth.synthetic.parameters import TissueParameters

_CANDIDATES = 24  # places tried for a nucleus before the one of least overlap is taken
_SMALLEST_SIDE = 6  # pixels
_CLOSE = 0.04  # IOU up to which nuclei lie beside each other
_PATCHES_PER_NICHE = 2


class Layout(NamedTuple):
    """Objects of an FOV: nuclei first, then distractors."""

    boxes: NDArray[np.float64]  # (n_objects, 4) whole pixels
    label: NDArray[np.intp]  # (n_objects,) class codes; n_classes for distractors
    outline: NDArray[np.float64]  # (n_objects, n_points, 2) x, y within the box, from 0 to 1
    difficulty: NDArray[np.float64]  # (n_objects, 2) standard normal: of seeing it, of naming it


def class_niches(tissue: TissueParameters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of each niche, (n_niches,), and of the classes within it, (n_niches, n_classes)."""
    names = sorted({niche for one in tissue.classes for niche in one.niches})
    frequency = np.array([one.frequency for one in tissue.classes])
    joint = np.array([[one.niches.get(name, 0.0) for one in tissue.classes] for name in names]) * frequency
    weight = joint.sum(axis=1)
    return weight / weight.sum(), joint / weight[:, None]


def slide_mixture(tissue: TissueParameters, rng: Generator) -> NDArray[np.float64]:
    """Niches of one slide, (n_niches,)."""
    return _dirichlet(tissue.slide_concentration * class_niches(tissue)[0], rng)


def draw_layout(tissue: TissueParameters, mixture: NDArray[np.float64], rng: Generator, size: float) -> Layout:
    """Nuclei and distractors of one FOV of a slide with these niches, (n_niches,).

    `size` between 0 and 1 is the quantile of its number of nuclei.
    """
    n_nuclei = _number_of_nuclei(tissue, size)
    label, niche = _draw_classes(tissue, _dirichlet(tissue.fov_concentration * mixture, rng), n_nuclei, rng)
    n_distractors = rng.poisson(tissue.distractors_per_fov)
    sizes = np.concatenate([_nucleus_sizes(tissue, label, rng), _distractor_sizes(tissue, n_distractors, rng)])
    niche = np.concatenate([niche, np.full(n_distractors, -1)])
    boxes = _place(tissue, sizes, niche, rng)
    return Layout(
        boxes=boxes,
        label=np.concatenate([label, np.full(n_distractors, len(tissue.classes))]),
        outline=_draw_outlines(len(boxes), tissue.outline_points, tissue.outline_wobble, rng),
        difficulty=rng.standard_normal((len(boxes), 2)),
    )


def draw_around(boxes: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes with errors of centre and size, in whole pixels: (..., 4), (..., 4) -> (..., 4).

    `errors` are the shifts in x and y, relative to the square root of width × height, and the logarithms of the
    factors of width and height.
    """
    size = boxes[..., 2:] - boxes[..., :2]
    side = np.sqrt(size.prod(axis=-1, keepdims=True))
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2 + errors[..., :2] * side
    return whole_boxes(centre, size * np.exp(errors[..., 2:]))


def whole_boxes(centre: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes in whole pixels, at least a few pixels wide: (..., 2), (..., 2) -> (..., 4)."""
    size = np.maximum(np.rint(size), _SMALLEST_SIDE)
    low = np.rint(centre - size / 2)
    return np.concatenate([low, low + size], axis=-1)


def outline_coordinates(boxes: NDArray[np.float64], outline: NDArray[np.float64]) -> tuple[list[str], list[str]]:
    """Comma lists of x and of y of outlines that fill their boxes: (n, 4), (n, n_points, 2) -> n strings each."""
    low, size = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None, :]
    points = np.rint(low + outline * size).astype(np.int64)
    return _comma_lists(points[..., 0]), _comma_lists(points[..., 1])


def _comma_lists(values: NDArray[np.int64]) -> list[str]:
    """Rows of (n, m) as text."""
    return [",".join(map(str, row)) for row in values.tolist()]


def _dirichlet(concentration: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """One draw; categories of tiny weight may vanish, all of them cannot."""
    gamma = rng.standard_gamma(np.maximum(concentration, 1e-6)) + 1e-12
    return gamma / gamma.sum()


def spread_evenly(offset: float, number: int) -> float:
    """Place `number` of a sequence that fills the interval from 0 to 1 evenly, however long it is.

    Steps of the golden ratio, modulo 1: studies of one preset differ little in their numbers of nuclei.
    """
    return (offset + number * (np.sqrt(5) - 1) / 2) % 1


def _number_of_nuclei(tissue: TissueParameters, size: float) -> int:
    """The quantile `size` of the log-normal numbers of nuclei, within their limits."""
    from scipy.special import ndtri

    drawn = tissue.nuclei_median * np.exp(tissue.nuclei_log_sd * ndtri(size))
    return int(np.clip(np.rint(drawn), tissue.nuclei_min, tissue.nuclei_max))


def _draw_classes(
    tissue: TissueParameters, mixture: NDArray[np.float64], n_nuclei: int, rng: Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Class and niche of each nucleus, (n_nuclei,) each."""
    niche = rng.choice(len(mixture), n_nuclei, p=mixture)
    cumulative = class_niches(tissue)[1].cumsum(axis=1)[niche, :-1]
    return (rng.random((n_nuclei, 1)) > cumulative).sum(axis=1), niche


def _nucleus_sizes(tissue: TissueParameters, label: NDArray[np.intp], rng: Generator) -> NDArray[np.float64]:
    """Width and height, (n_nuclei, 2)."""
    middle, spread, aspect = np.array([(one.side, one.side_log_sd, one.aspect_log_sd) for one in tissue.classes]).T
    normal = rng.standard_normal((len(label), 2))
    side = middle[label] * np.exp(spread[label] * normal[:, 0])
    half_aspect = aspect[label] * normal[:, 1] / 2
    return np.stack([side * np.exp(half_aspect), side * np.exp(-half_aspect)], axis=1)


def _distractor_sizes(tissue: TissueParameters, n_distractors: int, rng: Generator) -> NDArray[np.float64]:
    """Width and height, (n_distractors, 2)."""
    return tissue.distractor_side * np.exp(0.25 * rng.standard_normal((n_distractors, 2)))


def _place(
    tissue: TissueParameters, sizes: NDArray[np.float64], niche: NDArray[np.intp], rng: Generator
) -> NDArray[np.float64]:
    """Boxes of the objects, one after the other, each where it overlaps the earlier ones little: (n, 2) -> (n, 4)."""
    n_niches = niche.max() + 2  # the last one is that of the distractors, which lie anywhere
    patches = rng.uniform(0, tissue.fov_side, (n_niches, _PATCHES_PER_NICHE, 2))
    boxes = np.empty((len(sizes), 4))
    for i, size in enumerate(sizes):
        neighbours = np.flatnonzero(niche[:i] == niche[i])
        is_touching = niche[i] >= 0 and len(neighbours) > 0 and rng.random() < tissue.touching
        if is_touching:
            centres = _beside(boxes[rng.choice(neighbours)], size, rng)
        elif niche[i] >= 0:
            patch = rng.integers(_PATCHES_PER_NICHE, size=_CANDIDATES)
            centres = patches[niche[i], patch] + rng.normal(0, tissue.patch_spread, (_CANDIDATES, 2))
        else:
            centres = rng.uniform(0, tissue.fov_side, (_CANDIDATES, 2))
        candidates = whole_boxes(_reflect(centres, tissue.fov_side), np.tile(size, (_CANDIDATES, 1)))
        boxes[i] = _roomiest(candidates, boxes[:i], tissue.max_iou if is_touching else _CLOSE)
    return boxes


def _beside(box: NDArray[np.float64], size: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Centres of nuclei of this size that touch or slightly overlap the one in `box`, (n_candidates, 2)."""
    angle = rng.uniform(0, 2 * np.pi, _CANDIDATES)
    reach = (np.sqrt((box[2:] - box[:2]).prod()) + np.sqrt(size.prod())) / 2 * rng.uniform(0.85, 1.1, _CANDIDATES)
    return (box[:2] + box[2:]) / 2 + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _reflect(centres: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    """Centres mirrored at the borders of the FOV."""
    folded = np.mod(centres, 2 * side)
    return np.where(folded > side, 2 * side - folded, folded)


def _roomiest(candidates: NDArray[np.float64], placed: NDArray[np.float64], max_iou: float) -> NDArray[np.float64]:
    """The first candidate that overlaps no placed box by more than `max_iou`, else that of least overlap: (4,)."""
    if not len(placed):
        return candidates[0]
    low = np.maximum(candidates[:, None, :2], placed[None, :, :2])
    high = np.minimum(candidates[:, None, 2:], placed[None, :, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=2)
    areas = (candidates[:, 2:] - candidates[:, :2]).prod(axis=1)[:, None] + (placed[:, 2:] - placed[:, :2]).prod(axis=1)
    worst = (intersection / (areas - intersection)).max(axis=1)
    return candidates[int(np.argmin(np.maximum(worst, max_iou)))]


def _draw_outlines(n_objects: int, n_points: int, wobble: float, rng: Generator) -> NDArray[np.float64]:
    """Nucleus-shaped outlines that touch all four sides of the unit square, (n_objects, n_points, 2)."""
    angle = np.arange(n_points) * (2 * np.pi / n_points)
    phase = rng.uniform(0, 2 * np.pi, (n_objects, 2, 1))
    radius = 1 + wobble * np.cos(2 * angle + phase[:, 0]) + wobble / 2 * np.cos(3 * angle + phase[:, 1])
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2)
    low, high = points.min(axis=1, keepdims=True), points.max(axis=1, keepdims=True)
    return (points - low) / (high - low)


def hospital_of_slide(tissue: TissueParameters, rng: Generator) -> str:
    """Hospital of one slide, by the hospitals' numbers of slides."""
    weights = np.array(list(tissue.hospitals.values()), float)
    names: Sequence[str] = list(tissue.hospitals)
    return names[rng.choice(len(names), p=weights / weights.sum())]
