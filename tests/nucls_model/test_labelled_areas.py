"""FOVs are what was annotated of their images, and nothing beyond."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nucls_model.dataset import FovDataset
from nucls_model.labelled import LabelledFovs, read_nucls_folder
from nucls_model.labelled.areas import cut_to_areas
from tests.nucls_model.labelled_cases import write_fov

AREA = (10, 20, 74, 84)


def labelled(boxes: list[list[float]], outlines: list[tuple[str, str]] | None = None) -> LabelledFovs:
    """One FOV of 100 × 100 pixels; every object has an outline or none."""
    n = len(boxes)
    xs, ys = zip(*(outlines or [("", "")] * n), strict=True)
    objects = pd.DataFrame(boxes, columns=["xmin", "ymin", "xmax", "ymax"]).astype("float64")
    objects = objects.assign(fov="f", label="a", p_exists=1.0, prob_a=1.0, prob_AMBIGUOUS=0.0)
    objects = objects.assign(coords_x=list(xs), coords_y=list(ys)).astype({"coords_x": "str", "coords_y": "str"})
    fovs = pd.DataFrame({"fov": ["f"], "slide": "", "hospital": "", "image": "f.png", "width": 100, "height": 100})
    fovs = fovs.assign(left=0, top=0)
    return LabelledFovs(fovs, objects.assign(has_outline=objects["coords_x"] != ""), ("a",), {}, ())


def boxes_of(found: LabelledFovs) -> list[list[float]]:
    return found.objects[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist()


def test_cut_to_areas__begins_coordinates_at_the_corner_of_the_area() -> None:
    found = cut_to_areas(labelled([[30, 30, 50, 60]], [("30,50,40", "30,30,60")]), {"f": AREA})
    assert boxes_of(found) == [[20, 10, 40, 40]]
    assert found.objects[["coords_x", "coords_y"]].to_numpy().tolist() == [["20,40,30", "10,10,40"]]
    assert found.fovs[["left", "top", "width", "height"]].to_numpy().tolist() == [[10, 20, 64, 64]]


def test_cut_to_areas__cuts_boxes_and_outlines_at_its_edge() -> None:
    found = cut_to_areas(labelled([[60, 30, 90, 50]], [("60,90,90,60", "30,30,50,50")]), {"f": AREA})
    assert boxes_of(found) == [[50, 10, 64, 30]]
    x, y = (np.array(found.objects[name].iloc[0].split(","), float) for name in ("coords_x", "coords_y"))
    assert (x.min(), x.max(), y.min(), y.max()) == (50, 64, 10, 30)


def test_cut_to_areas__leaves_out_what_is_hardly_in_it() -> None:
    found = cut_to_areas(labelled([[66, 30, 90, 50], [65, 30, 90, 50], [80, 30, 95, 50]]), {"f": AREA})
    assert boxes_of(found) == [[55, 10, 64, 30]]  # 8, 9 and no pixels
    assert "2 objects have no more than 8 pixels" in found.notes[0]


def test_cut_to_areas__keeps_small_objects_that_are_whole() -> None:
    assert boxes_of(cut_to_areas(labelled([[30, 30, 34, 34]]), {"f": AREA})) == [[20, 10, 24, 14]]


def test_cut_to_areas__loses_an_outline_that_lies_beyond() -> None:
    found = cut_to_areas(labelled([[60, 30, 90, 50]], [("80,90,85", "30,30,50")]), {"f": AREA})
    assert not found.objects["has_outline"].any()


@pytest.mark.parametrize("areas", [{}, {"f": (0, 0, 100, 100)}, {"f": (1, 0, 100, 99)}, {"f": (10, 10, 30, 90)}])
def test_cut_to_areas__leaves_whole_images_and_areas_too_small_alone(areas: dict) -> None:
    whole = labelled([[30, 30, 50, 60]])
    found = cut_to_areas(whole, areas)
    assert boxes_of(found) == boxes_of(whole)
    assert found.fovs.equals(whole.fovs)
    assert found.notes == ()


@pytest.mark.data
def test_read_nucls_folder__shows_the_annotated_area_of_real_fovs(data_dir: Path) -> None:
    found = read_nucls_folder(data_dir / "nucls_fovs")
    of_a2 = found.fovs["hospital"] == "A2"
    assert found.fovs.loc[of_a2, ["width", "height"]].to_numpy().min() >= 314
    assert found.fovs.loc[of_a2, ["width", "height"]].to_numpy().max() <= 321  # 65 µm, give or take
    dataset = FovDataset(found, [0])
    row = found.fovs.iloc[0]
    whole = np.asarray(Image.open(row["image"]).convert("RGB"))
    part = whole[row["top"] : row["top"] + row["height"], row["left"] : row["left"] + row["width"]]
    assert np.array_equal((dataset.image(0) * 255).round().byte().permute(1, 2, 0).numpy(), part)
    edge = found.objects.merge(found.fovs, on="fov")
    assert (edge["xmax"] <= edge["width"]).all()
    assert (edge["ymax"] <= edge["height"]).all()
    assert any("2 FOVs have no mask" in note for note in found.notes)


def write_mask(folder: Path, stem: str, area: tuple[int, int, int, int], alpha: int | None = None) -> None:
    """A mask of 64 × 64 pixels whose annotated area is xmin, ymin, xmax, ymax."""
    xmin, ymin, xmax, ymax = area
    mask = np.zeros((64, 64, 3 + (alpha is not None)), np.uint8)
    mask[ymin:ymax, xmin:xmax, :3] = 253, 1, 2
    mask[..., 3:] = alpha or 0
    (folder / "mask").mkdir(exist_ok=True)
    Image.fromarray(mask).save(folder / "mask" / f"{stem}.png")


@pytest.mark.parametrize("alpha", [None, 255, 128, 0])
def test_read_nucls_folder__cuts_to_the_area_whatever_a_mask_says_of_opacity(tmp_path: Path, alpha: int | None) -> None:
    write_mask(tmp_path, write_fov(tmp_path), (4, 2, 60, 50), alpha)
    found = read_nucls_folder(tmp_path)
    assert found.fovs[["left", "top", "width", "height"]].to_numpy().tolist() == [[4, 2, 56, 48]]
    assert boxes_of(found)[0] == [1, 3, 21, 28]


def test_read_nucls_folder__says_of_an_area_too_small_that_the_image_is_taken(tmp_path: Path) -> None:
    write_mask(tmp_path, write_fov(tmp_path), (0, 0, 64, 31))
    found = read_nucls_folder(tmp_path)
    assert found.fovs["height"].tolist() == [64]
    assert any("1 FOVs have no mask that shows the area" in note for note in found.notes)


def test_read_nucls_folder__leaves_out_an_fov_of_which_all_is_broken(tmp_path: Path) -> None:
    broken = write_fov(tmp_path, 0)
    write_fov(tmp_path, 1)
    write_mask(tmp_path, broken, (0, 0, 64, 64))
    mask = tmp_path / "mask" / f"{broken}.png"
    mask.write_bytes(mask.read_bytes()[:-20])
    (tmp_path / "rgb" / f"{broken}.png").unlink()
    found = read_nucls_folder(tmp_path)
    assert len(found.fovs) == 1
    assert any("is left out" in note and "mask" in note for note in found.notes)
