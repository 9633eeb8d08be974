"""Labelled FOVs as what a detector learns from: an image and the targets of its objects, one FOV at a time.

The targets follow the label table. An object's class target is its posterior over the real classes, renormalised, with
weight p_exists × (1 − P(AMBIGUOUS given that it exists)); its existence, p_exists, weights the losses of box and mask.
Objects labelled AMBIGUOUS, or without a real class, have a box and a mask but no class. What is inferred to be no
object although it may be one (p_exists above .05) is ignored: neither object nor background.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

from crowdtruth.checks import CORNERS
from crowdtruth.images import read_image
from crowdtruth.problems import StudyError
from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED
from crowdtruth.training import MIN_P_EXISTS
from nucls_model.instances import Target
from nucls_model.labelled import LabelledFovs
from nucls_model.labelled.table import FARTHEST

Transform = Callable[[Tensor, Target, torch.Generator], tuple[Tensor, Target]]

_DRAWN_AT_ONCE = 1 << 22  # pixels of lines


_PLACE = ["fov", "image", "left", "top", "width", "height"]  # of an FOV: the image, and which part of it


class FovDataset(Dataset):
    """Images and targets of some labelled FOVs.

    Parameters
    ----------
    labelled : the label table
    rows : (n,) rows of ``labelled.fovs``; their order is that of the items
    transform : applied to items asked for as ``dataset[place, seed]``, with a generator of that seed; so an item is the
        same in every worker, order and run. ``dataset[place]`` is the FOV as it is.

    Raises
    ------
    IndexError
        If a row is not in the table.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> objects = pd.DataFrame({"fov": ["f"], "xmin": 1, "ymin": 1, "xmax": 9, "ymax": 9, "label": ["a"],
    ...     "p_exists": 1.0, "prob_a": 1.0, "prob_AMBIGUOUS": 0.0, "coords_x": [""], "coords_y": [""]})
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("RGB", (40, 32)).save(f"{folder}/f.png")
    ...     place = {"image": f"{folder}/f.png", "left": 0, "top": 0, "width": 40, "height": 32}
    ...     fovs = pd.DataFrame({"fov": ["f"], **place})
    ...     image, target = FovDataset(LabelledFovs(fovs, objects, ("a",), {}, ()), [0])[0]
    >>> image.shape, target.boxes.tolist()
    (torch.Size([3, 32, 40]), [[1.0, 1.0, 9.0, 9.0]])
    """

    def __init__(self, labelled: LabelledFovs, rows: Sequence[int], *, transform: Transform | None = None) -> None:
        n_fovs = len(labelled.fovs)
        if wrong := [row for row in rows if not 0 <= row < n_fovs]:
            raise IndexError(f"rows must be 0 to {n_fovs - 1}, the FOVs of the table; got {wrong[0]}")
        self.fovs = labelled.fovs.iloc[list(rows)].reset_index(drop=True)
        self.class_names = labelled.class_names
        self.transform = transform
        places = labelled.objects.groupby("fov").indices
        none = np.zeros(0, dtype=np.intp)
        self._objects = [labelled.objects.iloc[places.get(fov, none)] for fov in self.fovs["fov"]]

    def __len__(self) -> int:
        """Number of FOVs."""
        return len(self.fovs)

    def __getitem__(self, item: int | tuple[int, int]) -> tuple[Tensor, Target]:
        """Image (3, height, width) float32 in 0..1 and its objects; of an FOV, or of an FOV and a seed.

        Raises
        ------
        ValueError
            If there is a transform but no seed, or a seed and nothing that takes it.
        """
        place, seed = item if isinstance(item, tuple) else (item, None)
        image = self.image(place)
        target = target_of(self._objects[place], self.class_names, height=image.shape[1], width=image.shape[2])
        if seed is None and self.transform is None:
            return image, target
        if seed is None or self.transform is None:
            raise ValueError(
                "a transform and a seed belong together: dataset[place, seed] with one, dataset[place] without"
            )
        return self.transform(image, target, torch.Generator().manual_seed(seed))

    def image(self, place: int) -> Tensor:
        """The image of an FOV, (3, height, width) float32 in 0..1.

        Raises
        ------
        StudyError
            If it cannot be read, naming it.
        """
        fov, name, left, top, width, height = self.fovs.iloc[place][_PLACE]
        path = Path(str(name))
        try:
            pixels = np.array(read_image(path.parent, path.name))  # (height, width, 3)
        except (OSError, ValueError) as error:
            raise StudyError(f"image {path} of FOV {fov!r} cannot be read: {error}") from error
        pixels = pixels[top : top + height, left : left + width]
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().to(torch.float32).div_(255)


def collate(batch: Sequence[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    """Items of a dataset as the lists a detector takes; images keep their sizes.

    Examples
    --------
    >>> images, targets = collate([(torch.zeros(3, 8, 8), None), (torch.zeros(3, 9, 9), None)])
    >>> [tuple(image.shape) for image in images]
    [(3, 8, 8), (3, 9, 9)]
    """
    return [image for image, _ in batch], [target for _, target in batch]


def target_of(objects: pd.DataFrame, class_names: Sequence[str], *, height: int, width: int) -> Target:
    """The targets of the objects of one FOV.

    Parameters
    ----------
    objects : rows of the label table: box, label, p_exists, prob_<class> …, prob_AMBIGUOUS, coords_x, coords_y
    class_names : the real classes
    height, width : of the image, pixels

    Returns
    -------
    Target
        Objects in the order of their rows. An outline that covers no pixel of the image counts as none.
    """
    is_object = ~objects["label"].isin([UNDETECTED, ""]).to_numpy()
    maybe = objects[~is_object & (objects["p_exists"] > MIN_P_EXISTS).to_numpy()]
    objects = objects[is_object]
    classes, class_weight = class_targets(objects, class_names)
    outlines = [
        rasterise(_numbers(x), _numbers(y), height, width) if x else None
        for x, y in zip(objects["coords_x"], objects["coords_y"], strict=True)
    ]
    masks = [mask for mask in outlines if mask is not None and mask.any()]
    has_outline = [mask is not None and bool(mask.any()) for mask in outlines]
    return Target(
        boxes=_float32(objects[CORNERS]),
        classes=classes,
        class_weight=class_weight,
        existence=_float32(objects["p_exists"]),
        has_outline=torch.tensor(has_outline, dtype=torch.bool),
        masks=torch.from_numpy(np.stack(masks) if masks else np.zeros((0, height, width), dtype=bool)),
        ignored=_float32(maybe[CORNERS]),
    )


def class_targets(objects: pd.DataFrame, class_names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Class probabilities (n, n_classes) over the real classes, and the weight of each object's class loss (n,).

    Examples
    --------
    >>> row = {"label": "a", "p_exists": 0.9, "prob_a": 0.6, "prob_b": 0.2, "prob_AMBIGUOUS": 0.2}
    >>> classes, weight = class_targets(pd.DataFrame([row, {**row, "label": "AMBIGUOUS"}]), ["a", "b"])
    >>> classes.tolist(), weight.round(decimals=2).tolist()
    ([[0.75, 0.25], [0.5, 0.5]], [0.7200000286102295, 0.0])
    """
    real = objects[[f"prob_{name}" for name in class_names]].to_numpy(dtype=np.float64)
    mass = real.sum(axis=1, keepdims=True)
    has_class = (mass[:, 0] > 0) & (objects["label"] != AMBIGUOUS).to_numpy()
    uniform = np.full_like(real, 1 / len(class_names))
    shares = np.divide(real, mass, out=uniform.copy(), where=mass > 0)
    classes = np.where(has_class[:, None], shares, uniform)
    weight = objects["p_exists"].to_numpy() * (1 - objects[f"prob_{AMBIGUOUS}"].to_numpy())
    return _float32(classes), _float32(np.where(has_class, weight, 0.0))


def rasterise(x: ArrayLike, y: ArrayLike, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels of an outline, those under its line among them; what lies outside of the image is cut off.

    Coordinates are numbers of pixels, as NuCLS publishes outlines: (2, 3) is the centre of the pixel in column 2 and
    row 3. An outline of one or two points is a point or a line.

    Parameters
    ----------
    x, y : (n_points,)
    height, width : of the image, pixels

    Returns
    -------
    (height, width)

    Raises
    ------
    ValueError
        If there is no point, not as many x as y, or a point is absurdly far away.

    Examples
    --------
    >>> rasterise([1, 3, 3, 1], [0, 0, 1, 1], 3, 5).astype(int)
    array([[0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 0, 0, 0, 0]])
    """
    from skimage.draw import polygon

    points = np.rint(np.column_stack([x, y]))
    if not len(points) or not (np.abs(points) < FARTHEST).all():
        raise ValueError(f"an outline has points, less than {FARTHEST:,} pixels away; got {len(points)} points")
    places = points.astype(np.int64)[:, ::-1]  # row, column
    places = places[(places != np.roll(places, 1, axis=0)).any(axis=1)] if (places != places[0]).any() else places[:1]
    mask = np.zeros((height, width), dtype=bool)
    mask[polygon(*places.T, shape=mask.shape)] = True
    ends = np.roll(places, -1, axis=0)
    step = max(1, _DRAWN_AT_ONCE // max(height, width))
    for first in range(0, len(places), step):
        mask[lines(places[first : first + step], ends[first : first + step], height, width)] = True
    return mask


def lines(
    starts: NDArray[np.int64], ends: NDArray[np.int64], height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the pixels of straight lines, as far as they lie in an image: Bresenham's, of each line.

    Parameters
    ----------
    starts, ends : (n_lines, 2)
        Row and column, anywhere; what lies outside of the image costs nothing.
    height, width : of the image, pixels

    Returns
    -------
    (n_pixels,), (n_pixels,)

    Examples
    --------
    >>> [part.tolist() for part in lines(np.array([[0, -4]]), np.array([[2, 4]]), 3, 4)]
    [[1, 1, 2, 2], [0, 1, 2, 3]]
    """
    reach = np.abs(ends - starts)
    along = np.where(reach[:, 0] > reach[:, 1], 0, 1)  # the axis in which a line has a pixel at each step
    each = np.arange(len(starts))
    begin, side = starts[each, along], np.array([height, width])[along]
    length, rise = reach[each, along], reach[each, 1 - along]
    is_falling = ends[each, along] < begin
    first = np.maximum(0, np.where(is_falling, begin - (side - 1), -begin))
    n_steps = np.maximum(0, np.minimum(length, np.where(is_falling, begin, side - 1 - begin)) + 1 - first)
    line = np.repeat(each, n_steps)
    step = np.arange(len(line)) - np.repeat(np.cumsum(n_steps) - n_steps, n_steps) + first[line]
    offsets = np.empty((len(line), 2), dtype=np.int64)
    pixel = np.arange(len(line))
    offsets[pixel, along[line]] = step
    offsets[pixel, 1 - along[line]] = (2 * rise[line] * step + length[line]) // np.maximum(1, 2 * length[line])
    rows, columns = (starts[line] + np.sign(ends - starts)[line] * offsets).T
    is_seen = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return rows[is_seen], columns[is_seen]


def _numbers(text: str) -> list[float]:
    """A comma list as numbers."""
    return [float(number) for number in text.split(",")]


def _float32(values: ArrayLike) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))
