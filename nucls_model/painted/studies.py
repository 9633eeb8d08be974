"""Pictures for synthetic studies: what the raters were shown, and the truth in the published format."""

from dataclasses import replace
from enum import IntEnum
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray

from crowdtruth.checks import CORNERS
from crowdtruth.files import whole_folder
from crowdtruth.formats import write_study
from crowdtruth.parallel import track
from crowdtruth.study import Study
from crowdtruth.synthetic import SyntheticStudy
from crowdtruth.synthetic.layout import Layout
from crowdtruth.synthetic.studies import place_of_fov
from nucls_model.painted.folders import PARTS, object_table, write_fov, write_png
from nucls_model.painted.fovs import MPP, check_hospitals, slide_name
from nucls_model.painted.looks import DEBRIS, check_classes
from nucls_model.painted.scene import Scene, paint
from nucls_model.painted.staining import staining_of


class _Stream(IntEnum):
    """What a generator draws; numbers apart from those of the study's own."""

    PICTURE = 100


def paint_study(made: SyntheticStudy, folder: str | Path) -> pd.DataFrame:
    """Paint the FOVs of a synthetic study; write the study with its pictures, and the truth beside it.

    Every nucleus is painted within its true outline, every distractor of the study as debris. What raters find hard to
    see is stained weakly, what they find hard to name is out of focus. FOVs and slides get names in the published form,
    so that the hospital stands in them.

    Parameters
    ----------
    made : the study, with what is true about it
    folder : a new or empty folder; ``study`` in it becomes a study with pictures, ``truth`` the true nuclei in the
        published format (``rgb``, ``csv``, ``mask``), cut off at the edges of the pictures

    Returns
    -------
    one row per FOV
        fov, slide, hospital; in the study's order.

    Raises
    ------
    ValueError
        If the study has a class nobody has said the look of, or a hospital that cannot stand in a slide's name, or if
        its truth is not what its parameters and seed give.
    WriteError
        If the folder holds something, or cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from crowdtruth.synthetic import synthesise
    >>> with TemporaryDirectory() as folder:
    ...     painted = paint_study(synthesise("demo", n_fovs=1, seed=3), Path(folder, "painted"))
    ...     painted["fov"].tolist(), sorted(path.name for path in Path(folder, "painted").iterdir())
    (['TCGA-E2-S002-DX1_fov-000'], ['study', 'truth'])
    """
    check_classes(one.name for one in made.parameters.tissue.classes)
    check_hospitals(tuple(made.parameters.tissue.hospitals))
    names = _published_names(made.study.fovs)
    with whole_folder(folder) as place:
        for part in PARTS:
            (place / "truth" / part).mkdir(parents=True)
        write_study(_renamed(made.study, names), place / "study", format="csv")
        (place / "study" / "rgb").mkdir()
        for number, row in enumerate(track(list(names.itertuples()), "painting FOVs")):
            rgb, objects = _paint_fov(made, number, row.hospital, row.slide)
            write_fov(place / "truth", row.fov, rgb, objects)
            write_png(rgb, place / "study" / "rgb" / f"{row.fov}.png")
    return names[["fov", "slide", "hospital"]]


def _published_names(fovs: pd.DataFrame) -> pd.DataFrame:
    """New names of FOVs and slides: was, fov, slide, hospital; one row per FOV."""
    numbers = fovs["slide"].str.extract(r"(\d+)$", expand=False).astype(int)
    slides = [slide_name(hospital, number) for hospital, number in zip(fovs["hospital"], numbers, strict=True)]
    names = pd.DataFrame({"was": fovs["fov"], "slide": slides, "hospital": fovs["hospital"]})
    return names.assign(fov=names["slide"] + "_" + names["was"])


def _renamed(study: Study, names: pd.DataFrame) -> Study:
    """The study with new names of FOVs and slides, and with its pictures."""
    fov_of = names.set_index("was")["fov"]
    fovs = study.fovs.assign(slide=names["slide"], image=[f"rgb/{fov}.png" for fov in names["fov"]])
    assert study.reference is not None, "a synthetic study has its truth as reference"
    annotations, assignments, fovs, reference = (
        table.assign(fov=table["fov"].map(fov_of).astype("str"))
        for table in (study.annotations, study.assignments, fovs, study.reference)
    )
    return replace(study, annotations=annotations, assignments=assignments, fovs=fovs, reference=reference)


def _paint_fov(made: SyntheticStudy, number: int, hospital: str, slide: str) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Picture and true objects of one FOV."""
    tissue = made.parameters.tissue
    layout = _layout(made, number)
    rng = np.random.default_rng(SeedSequence(made.seed, spawn_key=(_Stream.PICTURE, number)))
    scene = _scene(layout, [one.name for one in tissue.classes], tissue.fov_side, MPP / tissue.mpp, rng)
    rgb = paint(scene, staining_of(hospital, slide), rng)
    n_nuclei = int((layout.label < len(tissue.classes)).sum())
    objects = object_table(
        scene.outlines[:n_nuclei], scene.looks[:n_nuclei], np.ones(n_nuclei, bool), tissue.fov_side, tissue.fov_side
    )
    return rgb, objects


def _layout(made: SyntheticStudy, number: int) -> Layout:
    """What lies in one FOV, distractors too: drawn again, and checked to be what the study holds."""
    tissue, seed = made.parameters.tissue, made.seed
    layout = place_of_fov(made.parameters, number, seed).layout
    fov = made.study.fovs["fov"].iloc[number]
    true = made.truth.loc[made.truth["fov"] == fov, CORNERS].to_numpy()
    if not np.array_equal(layout.boxes[layout.label < len(tissue.classes)], true):
        raise ValueError(f"{fov}: the study's true boxes are not those that its parameters and seed {seed} give")
    return layout


def _scene(layout: Layout, classes: list[str], side: int, scale: float, rng: Generator) -> Scene:
    """What is to be seen of a layout."""
    kinds = rng.integers(len(DEBRIS), size=len(layout.label))
    low, size = layout.boxes[:, None, :2], (layout.boxes[:, 2:] - layout.boxes[:, :2])[:, None, :]
    seeing, naming = layout.difficulty.T
    return Scene(
        side,
        side,
        looks=tuple(
            classes[label] if label < len(classes) else list(DEBRIS)[kind]
            for label, kind in zip(layout.label, kinds, strict=True)
        ),
        outlines=tuple(np.rint(low + layout.outline * size)),
        strength=np.clip(np.exp(-0.14 * seeing), 0.6, 1.25),
        defocus=scale * np.clip(0.3 + 0.6 * naming, 0, 2),
        angle=rng.uniform(0, np.pi),
        scale=scale,
    )
