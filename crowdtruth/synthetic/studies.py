"""Synthetic studies: tables of marks as raters would leave them, with the truth beside them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crowdtruth.checks import CORNERS
from crowdtruth.study import Study, make_study
from crowdtruth.synthetic.layout import (
    Layout,
    draw_layout,
    hospital_of_slide,
    outline_coordinates,
    slide_mixture,
    spread_evenly,
)
from crowdtruth.synthetic.marks import KINDS, Marks, draw_marks
from crowdtruth.synthetic.parameters import SyntheticParameters, check_parameters
from crowdtruth.synthetic.presets import change, load_preset
from crowdtruth.synthetic.raters import RaterTraits, asked_raters, draw_raters
from crowdtruth.synthetic.seeds import Stream, generator
from crowdtruth.synthetic.visits import Place, mark_times
from crowdtruth.taxonomy import Taxonomy, load_taxonomy


@dataclass(frozen=True)
class SyntheticStudy:
    """A study and everything that is true about it."""

    study: Study  # its `reference` holds the true nuclei
    truth: pd.DataFrame  # nucleus, fov, xmin, ymin, xmax, ymax, label, coords_x, coords_y
    origins: pd.DataFrame  # annotation, source: the nucleus or distractor marked, empty for a mark on nothing
    raters: RaterTraits
    parameters: SyntheticParameters
    seed: int


def synthesise(preset: str | SyntheticParameters = "nucls", *, seed: int = 0, **changes: Any) -> SyntheticStudy:
    """A study drawn from parameters: the same seed gives the same study, byte for byte.

    Every slide, FOV, rater and round has its own random numbers: more raters change no nucleus, fewer FOVs change none
    of those that remain, a later condition changes no mark in the earlier ones.

    Parameters
    ----------
    preset : name of a preset (``nucls``, ``demo``) or parameters of your own
    seed : not negative
    changes : fields of `SyntheticParameters` to replace, such as ``n_fovs``

    Returns
    -------
    SyntheticStudy

    Raises
    ------
    ValueError
        If there is no such preset or field, or parameters do not fit together.

    Examples
    --------
    >>> made = synthesise("demo", n_fovs=2, seed=1)
    >>> made.study.fovs["fov"].tolist(), len(made.truth) == len(made.study.reference)
    (['fov-000', 'fov-001'], True)
    """
    parameters = load_preset(preset, **changes) if isinstance(preset, str) else change(preset, **changes)
    check_parameters(parameters)
    traits = draw_raters(parameters, seed)
    fovs = [_draw_fov(parameters, traits, fov, seed) for fov in range(parameters.n_fovs)]
    truth = pd.concat([fov.truth for fov in fovs], ignore_index=True)
    annotations = pd.concat([fov.annotations for fov in fovs], ignore_index=True)
    annotations.insert(0, "annotation", np.arange(len(annotations)).astype(str))
    study = make_study(
        annotations.drop(columns="source"),
        assignments=pd.concat([fov.assignments for fov in fovs], ignore_index=True),
        raters=pd.DataFrame({"rater": traits.rater, "cohort": traits.cohort}),
        fovs=pd.DataFrame([fov.record for fov in fovs]),
        reference=truth.drop(columns="nucleus"),
        taxonomy=_taxonomy_of({*annotations["label"], *truth["label"]}),
    )
    return SyntheticStudy(study, truth, annotations[["annotation", "source"]], traits, parameters, seed)


def _taxonomy_of(labels: set[str]) -> Taxonomy | None:
    """The paper's class scheme, if all labels are classes of it."""
    nucls = load_taxonomy("nucls")
    return nucls if labels <= set(nucls.classes) else None


class _Fov(NamedTuple):
    """Tables of one FOV."""

    record: dict[str, object]
    truth: pd.DataFrame
    annotations: pd.DataFrame
    assignments: pd.DataFrame


class FovPlace(NamedTuple):
    """Where an FOV was taken, and what lies in it."""

    slide: int
    hospital: str
    layout: Layout  # nuclei and what looks like one


def place_of_fov(parameters: SyntheticParameters, fov: int, seed: int) -> FovPlace:
    """Slide, hospital and contents of FOV number `fov`, alone: the same whatever else is drawn."""
    tissue = parameters.tissue
    slide = int(generator(seed, Stream.FOV, fov, "slide").integers(tissue.n_slides))
    rng = generator(seed, Stream.SLIDE, slide)
    hospital, mixture = hospital_of_slide(tissue, rng), slide_mixture(tissue, rng)
    size = spread_evenly(generator(seed, Stream.SIZE).random(), fov)
    return FovPlace(slide, hospital, draw_layout(tissue, mixture, generator(seed, Stream.FOV, fov), size))


def _draw_fov(parameters: SyntheticParameters, traits: RaterTraits, fov: int, seed: int) -> _Fov:
    """FOV number `fov`, alone: its slide, its nuclei, and the marks on it in every condition."""
    tissue, place = parameters.tissue, place_of_fov(parameters, fov, seed)
    layout = place.layout
    name = f"fov-{fov:03d}"
    rounds = [
        _draw_round(parameters, layout, traits, Place(fov, one, seed, number))
        for number, one in enumerate(parameters.conditions)
    ]
    record = {
        "fov": name,
        "slide": f"slide-{place.slide:02d}",
        "hospital": place.hospital,
        "width": tissue.fov_side,
        "height": tissue.fov_side,
        "mpp": tissue.mpp,
    }
    annotations = pd.concat([table for table, _ in rounds], ignore_index=True)
    assignments = pd.concat([table for _, table in rounds], ignore_index=True)
    annotations.insert(0, "fov", name)
    assignments.insert(0, "fov", name)
    return _Fov(record, _truth_table(parameters, layout, name), annotations, assignments)


def _draw_round(
    parameters: SyntheticParameters, layout: Layout, traits: RaterTraits, place: Place
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Annotations (with their source) and assignments of one FOV in one condition, without the FOV's name."""
    asked = asked_raters(traits, place.condition, place.fov, parameters.steadiness, place.seed)
    marks = draw_marks(parameters, layout, traits, asked, place)
    names = np.array(traits.rater, object)
    annotations = _annotation_table(parameters, layout, names, marks)
    annotations.insert(1, "condition", place.condition.name)
    if parameters.start:
        annotations["created"] = mark_times(parameters, traits, asked, marks.rater, place)
    annotations["source"] = _source_names(parameters, layout, f"fov-{place.fov:03d}")[marks.object]
    return annotations, pd.DataFrame({"rater": names[asked], "condition": place.condition.name})


def _annotation_table(parameters: SyntheticParameters, layout: Layout, names: np.ndarray, marks: Marks) -> pd.DataFrame:
    """The marks as a study's annotations: rater, box, label, kind and outline."""
    classes = np.array([one.name for one in parameters.tissue.classes], object)
    coords_x, coords_y = np.full((2, len(marks.rater)), "", object)
    has_outline = marks.kind != KINDS.index("box")
    coords_x[has_outline], coords_y[has_outline] = outline_coordinates(
        marks.boxes[has_outline], layout.outline[marks.object[has_outline]]
    )
    table = pd.DataFrame(marks.boxes, columns=CORNERS)
    table.insert(0, "rater", names[marks.rater])
    return table.assign(
        label=classes[marks.label], kind=np.array(KINDS, object)[marks.kind], coords_x=coords_x, coords_y=coords_y
    )


def _source_names(parameters: SyntheticParameters, layout: Layout, fov: str) -> np.ndarray:
    """Ids of the objects, then the empty id of nothing: (n_objects + 1,)."""
    n_nuclei = int((layout.label < len(parameters.tissue.classes)).sum())
    nuclei = [f"{fov}/nucleus-{i:02d}" for i in range(n_nuclei)]
    distractors = [f"{fov}/distractor-{i:02d}" for i in range(len(layout.label) - n_nuclei)]
    return np.array([*nuclei, *distractors, ""], object)


def _truth_table(parameters: SyntheticParameters, layout: Layout, fov: str) -> pd.DataFrame:
    """The nuclei, in the columns of a study's reference, with their ids."""
    is_nucleus = layout.label < len(parameters.tissue.classes)
    classes = np.array([one.name for one in parameters.tissue.classes], object)
    coords_x, coords_y = outline_coordinates(layout.boxes[is_nucleus], layout.outline[is_nucleus])
    table = pd.DataFrame(layout.boxes[is_nucleus], columns=CORNERS)
    table.insert(0, "nucleus", _source_names(parameters, layout, fov)[:-1][is_nucleus])
    table.insert(1, "fov", fov)
    return table.assign(label=classes[layout.label[is_nucleus]], coords_x=coords_x, coords_y=coords_y)
