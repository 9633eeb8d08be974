"""The label table of a detector: its FOVs with their images, its objects with what is known of each.

All sources end here: images are looked for, sizes compared, boxes cut to the image. An FOV that cannot be learned from
is left out and named in the notes with its reason.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.checks import CORNERS
from crowdtruth.files import inside
from crowdtruth.images import IMAGE_FORMATS, PIXEL_LIMIT
from crowdtruth.problems import StudyError, quoted
from crowdtruth.taxonomy import AMBIGUOUS, RAW, UNDETECTED, Color, Grouping, Taxonomy

PROBABILITY = "prob_"
OUTLINE = ["coords_x", "coords_y"]
SMALLEST_FOV = 32
"""Pixels: a smaller image shows no nucleus with its surroundings (one of the published set has 23 × 25)."""

EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Kinds of pixels, in Pillow's words, of 8 bits per channel and less; others have no colours without a scale."""

SIZE_TOLERANCE = 1
"""Pixels by which the sizes of an image, its mask and its table may differ; in the published set they do."""

FARTHEST = 1_000_000
"""Pixels from the corner of an image to any point of an outline, less than."""

POINT_LIMIT = 10_000
"""Points of an outline; nuclei have some tens, and a polygon is compared with every pixel of its box."""

MASK_LIMIT = 1 << 31
"""Bytes of the masks of one FOV, a byte per pixel and outlined object."""

_FOVS = ["fov", "slide", "hospital", "image", "width", "height"]
_OBJECTS = ["fov", *CORNERS, "label", "p_exists"]


@dataclass(frozen=True)
class LabelledFovs:
    """FOVs and the objects in them. Made by the readers, which check; nothing is checked here.

    Examples
    --------
    >>> fovs = pd.DataFrame({"fov": ["f"], "width": [64], "height": [64]})
    >>> objects = pd.DataFrame({"fov": ["f"], "label": ["a"], "p_exists": [0.5], "prob_a": [0.8], "prob_b": [0.2]})
    >>> LabelledFovs(fovs, objects, ("a", "b"), {}, ()).class_counts()
    array([[0.4, 0.1]])
    """

    fovs: pd.DataFrame  # fov, slide, hospital, image (absolute path), width, height, left, top
    objects: pd.DataFrame  # fov, box, label, p_exists, prob_<class> … prob_AMBIGUOUS, coords_x, coords_y, has_outline
    class_names: tuple[str, ...]  # the real classes
    colors: Mapping[str, Color]
    notes: tuple[str, ...]  # to be said once to the user

    @property
    def is_object(self) -> NDArray[np.bool_]:
        """(n_objects,): rows that are objects; the others, inferred to be none, are ignored."""
        return ~self.objects["label"].isin([UNDETECTED, ""]).to_numpy()

    def class_counts(self) -> NDArray[np.float64]:
        """Expected number of objects of each real class in each FOV, (n_fovs, n_classes); AMBIGUOUS is none of them."""
        objects = self.objects[self.is_object & (self.objects["label"] != AMBIGUOUS).to_numpy()]
        expected = objects[[f"{PROBABILITY}{name}" for name in self.class_names]].mul(objects["p_exists"], axis=0)
        summed = expected.groupby(objects["fov"]).sum()
        return summed.reindex(self.fovs["fov"], fill_value=0.0).to_numpy()


def grouping_at(taxonomy: Taxonomy, level: str) -> Grouping:
    """The classes of a level; at the level of raw classes, the ambiguous ones are together AMBIGUOUS.

    Examples
    --------
    >>> from crowdtruth.taxonomy import load_taxonomy
    >>> grouping_at(load_taxonomy("nucls"), "raw").classes[-2:]
    ('ductal_epithelium', 'AMBIGUOUS')
    """
    grouping = taxonomy.grouping(level)
    if level != RAW:
        return grouping
    class_of = {name: AMBIGUOUS if name in taxonomy.ambiguous else name for name in taxonomy.classes}
    real = [name for name in taxonomy.classes if class_of[name] != AMBIGUOUS]
    classes = (*real, AMBIGUOUS) if taxonomy.ambiguous else tuple(real)
    return Grouping(RAW, classes, class_of, grouping.colors, grouping.prefixes)


def real_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that an object can be: all but AMBIGUOUS and undetected, in their order."""
    return tuple(name for name in classes if name not in (AMBIGUOUS, UNDETECTED))


def one_hot(labels: pd.Series, class_names: Sequence[str]) -> pd.DataFrame:
    """Certain labels as the columns p_exists, prob_<class> … and prob_AMBIGUOUS, on the index of `labels` (n,).

    Examples
    --------
    >>> one_hot(pd.Series(["a"]), ["a"])
       p_exists  prob_a  prob_AMBIGUOUS
    0       1.0     1.0             0.0
    """
    columns = {f"{PROBABILITY}{name}": (labels == name).astype("float64") for name in (*class_names, AMBIGUOUS)}
    return pd.DataFrame({"p_exists": pd.Series(1.0, index=labels.index), **columns})


def labelled_fovs(
    fovs: pd.DataFrame,
    objects: pd.DataFrame,
    folder: Path,
    *,
    class_names: Sequence[str],
    colors: Mapping[str, Color],
    notes: Sequence[str] = (),
    problems: Mapping[str, str] | None = None,
) -> LabelledFovs:
    """The table of a source, checked against its images.

    Parameters
    ----------
    fovs : fov, image (path below `folder`); optional slide, hospital, width, height
    objects : fov, xmin, ymin, xmax, ymax, label, p_exists, prob_<class> …, prob_AMBIGUOUS, coords_x, coords_y
    folder : no image outside of it is read
    class_names : the real classes
    colors : of classes
    notes : what the reader has to say
    problems : FOV -> why it cannot be learned from, as far as the reader knows

    Raises
    ------
    StudyError
        If there is no class, or no FOV is left; also if an image path leads out of `folder`.
    """
    if not class_names:
        raise StudyError(f"{folder.name}: no class to learn; the labels are all AMBIGUOUS")
    paths = [inside(folder, name).resolve() if name else None for name in fovs["image"]]
    sizes = {fov: image_size(path) for fov, path in zip(fovs["fov"], paths, strict=True)}
    found = {fov: size for fov, size in sizes.items() if isinstance(size, str)} | dict(problems or {})
    found |= {fov: words for fov, words in _wrong_sizes(fovs, sizes).items() if fov not in found}
    found |= {fov: words for fov, words in _boxes_outside(objects, sizes).items() if fov not in found}
    found |= {fov: words for fov, words in _too_large(objects, sizes).items() if fov not in found}
    found |= {fov: words for fov, words in _wrong_outlines(objects).items() if fov not in found}
    left_out = [f"FOV {fov!r} is left out: {words}" for fov, words in found.items()]
    if len(found) == len(fovs):
        raise StudyError("\n  ".join([f"{folder}: none of {len(fovs):,} FOVs can be learned from", *left_out[:20]]))
    kept = ~fovs["fov"].isin(found).to_numpy()
    table = fovs.reindex(columns=_FOVS).assign(image=[str(path) for path in paths])[kept].reset_index(drop=True)
    table[["width", "height"]] = np.array([sizes[fov] for fov in table["fov"]], dtype=np.int64)
    table = table.astype({"slide": "str", "hospital": "str"}).fillna({"slide": "", "hospital": ""})
    table[["left", "top"]] = 0
    objects, lost = _cut_to_images(objects[~objects["fov"].isin(found).to_numpy()], table)
    columns = [*_OBJECTS, *(f"{PROBABILITY}{name}" for name in (*class_names, AMBIGUOUS)), *OUTLINE]
    objects = objects[columns].assign(has_outline=objects["coords_x"] != "")
    return LabelledFovs(table, objects, tuple(class_names), dict(colors), (*notes, *left_out, *lost))


def image_size(path: Path | None, kinds: Sequence[str] = EIGHT_BITS) -> tuple[int, int] | str:
    """Width and height of an image, or in words why it cannot be learned from; its pixels are not decoded.

    Parameters
    ----------
    path : file; None where the table names none
    kinds : of pixels, in Pillow's words
    """
    from PIL import Image

    if path is None:
        return "it has no image"
    if not path.is_file():
        return f"there is no image {path.name}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's advice on size is not for our users: we have a limit of our own
        try:
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                size, kind = image.size, image.mode
                image.verify()  # checksums, where the format has them: a file cut short shows here, not hours later
        except Exception as error:  # what a damaged file raises is anything
            return f"{path.name} is no whole image ({error})"
    return _why_unsuitable(path.name, size, kind, kinds) or size


def _why_unsuitable(name: str, size: tuple[int, int], kind: str, kinds: Sequence[str]) -> str:
    """Why a whole image cannot be learned from, in words; empty where it can."""
    if kind not in kinds:
        return f"{name} has pixels of Pillow's kind {kind}; expected one of {', '.join(kinds)}"
    if min(size) < SMALLEST_FOV:
        return f"{name} has {size[0]} × {size[1]} pixels; expected at least {SMALLEST_FOV} on a side"
    if size[0] * size[1] > PIXEL_LIMIT:
        return f"{name} has {size[0]} × {size[1]} pixels; at most {PIXEL_LIMIT:,} are read: cut it into FOVs"
    return ""


def _wrong_sizes(fovs: pd.DataFrame, sizes: Mapping[str, tuple[int, int] | str]) -> dict[str, str]:
    """FOVs whose image has another size than their table says, in words."""
    if not {"width", "height"} <= set(fovs):
        return {}
    wrong = {}
    for fov, *told in fovs[["fov", "width", "height"]].itertuples(index=False):
        size = sizes[fov]
        if isinstance(size, str) or np.isnan(told).any():
            continue
        if np.abs(np.subtract(size, told)).max() > SIZE_TOLERANCE:
            wrong[fov] = f"its image has {size[0]} × {size[1]} pixels, its table says {told[0]:g} × {told[1]:g}"
    return wrong


def _boxes_outside(objects: pd.DataFrame, sizes: Mapping[str, tuple[int, int] | str]) -> dict[str, str]:
    """FOVs with a box that has nothing of the image: the table belongs to another image."""
    wrong: dict[str, str] = {}
    for fov, rows in objects.groupby("fov", sort=False):
        size = sizes[str(fov)]
        if isinstance(size, str):
            continue
        boxes = rows[CORNERS].to_numpy()
        outside = (boxes[:, 2:] <= 0).any(axis=1) | (boxes[:, :2] >= size).any(axis=1)
        if outside.any():
            box = ", ".join(f"{value:g}" for value in boxes[outside][0])
            wrong[str(fov)] = (
                f"{outside.sum()} of {len(boxes)} boxes lie outside of its {size[0]} × {size[1]} pixels, "
                f"the first is {box}"
            )
    return wrong


def _too_large(objects: pd.DataFrame, sizes: Mapping[str, tuple[int, int] | str]) -> dict[str, str]:
    """FOVs whose masks would fill the memory: pixels times outlined objects."""
    n_outlines = (objects["coords_x"] != "").groupby(objects["fov"]).sum()
    wrong = {}
    for fov, size in sizes.items():
        n = int(n_outlines.get(fov, 0))
        if not isinstance(size, str) and n * size[0] * size[1] > MASK_LIMIT:
            wrong[fov] = (
                f"{n:,} outlines in {size[0]} × {size[1]} pixels are too much for one FOV: cut it into smaller ones"
            )
    return wrong


def _wrong_outlines(objects: pd.DataFrame) -> dict[str, str]:
    """FOVs with an outline that cannot be drawn, in words."""
    wrong: dict[str, str] = {}
    outlined = objects[objects["coords_x"] != ""]
    for fov, *outline in outlined[["fov", *OUTLINE]].itertuples(index=False):
        if fov in wrong:
            continue
        if (n_points := outline[0].count(",") + 1) > POINT_LIMIT:
            wrong[fov] = f"an outline has {n_points:,} points; at most {POINT_LIMIT:,} are drawn: simplify it"
        elif not all((np.abs(np.array(axis.split(","), dtype=np.float64)) < FARTHEST).all() for axis in outline):
            wrong[fov] = f"an outline has points {FARTHEST:,} pixels away, or farther"
    return wrong


def _cut_to_images(objects: pd.DataFrame, fovs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Objects with their boxes cut to the images, and a note on those of which less than a pixel is left."""
    edge = fovs.set_index("fov").loc[objects["fov"], ["width", "height"]].to_numpy(dtype=np.float64)
    boxes = objects[CORNERS].to_numpy(dtype=np.float64)
    cut = np.clip(boxes, 0.0, np.tile(edge, 2))
    is_seen = (cut[:, 2:] - cut[:, :2]).min(axis=1, initial=np.inf) >= np.minimum(
        1.0, (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf)
    )
    objects = objects.assign(**{name: cut[:, k] for k, name in enumerate(CORNERS)})
    notes = [f"{(~is_seen).sum():,} objects with less than a pixel in the image are left out"] * bool((~is_seen).any())
    return objects[is_seen].reset_index(drop=True), notes


def refuse_several_raters(marks: pd.DataFrame, name: str) -> None:
    """Raise where several raters marked an FOV, or one in several rounds: their labels are to be inferred first.

    Parameters
    ----------
    marks : fov, rater, condition
    name : what the source is called
    """
    visits = marks[["fov", "rater", "condition"]].drop_duplicates()
    repeated = visits.loc[visits["fov"].duplicated(), "fov"].unique()
    if len(repeated):
        raise StudyError(
            f"{name}: {len(repeated):,} FOVs were marked by several raters or in several rounds "
            f"({quoted(repeated, 3)}); infer their labels first with 'crowdtruth run', and train on its result folder"
        )
