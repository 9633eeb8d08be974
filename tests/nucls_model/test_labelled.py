import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crowdtruth.problems import StudyError
from nucls_model.labelled import (
    LabelledFovs,
    read_coco_labels,
    read_labelled,
    read_nucls_folder,
)
from tests.nucls_model.labelled_cases import (
    POLYLINE,
    RECTANGLE,
    UNLABELED,
    Result,
    write_fov,
    write_image,
    write_result,
)

BOX = ["xmin", "ymin", "xmax", "ymax"]


def probabilities(labelled: LabelledFovs) -> pd.DataFrame:
    return labelled.objects.filter(like="prob_")


# --- the NuCLS folder


def test_read_nucls_folder__gives_labels_boxes_and_outlines_of_polylines(tmp_path: Path) -> None:
    write_fov(tmp_path)
    labelled = read_nucls_folder(tmp_path, "super")
    assert labelled.class_names == ("tumor_any", "nonTIL_stromal", "sTIL", "other_nucleus")
    assert labelled.objects["label"].tolist() == ["tumor_any", "sTIL", "AMBIGUOUS"]
    assert labelled.objects[BOX].to_numpy().tolist() == [list(RECTANGLE[2]), list(POLYLINE[2]), list(UNLABELED[2])]
    assert labelled.objects["has_outline"].tolist() == [False, True, False]
    assert labelled.objects["coords_x"].tolist() == ["", POLYLINE[3], ""]
    assert labelled.fovs.loc[0, ["hospital", "width", "height"]].tolist() == ["A2", 64, 64]


def test_read_nucls_folder__labels_are_certain(tmp_path: Path) -> None:
    write_fov(tmp_path)
    labelled = read_nucls_folder(tmp_path)
    assert (labelled.objects["p_exists"] == 1).all()
    chosen = probabilities(labelled).idxmax(axis=1).str.removeprefix("prob_")
    assert chosen.tolist() == labelled.objects["label"].tolist()
    assert (probabilities(labelled).sum(axis=1) == 1).all()


def test_read_nucls_folder__raw_level_has_the_ambiguous_classes_as_one(tmp_path: Path) -> None:
    write_fov(tmp_path, rows=(RECTANGLE, UNLABELED, ("apoptotic_body", *UNLABELED[1:])))
    labelled = read_nucls_folder(tmp_path, "raw")
    assert labelled.objects["label"].tolist() == ["tumor", "AMBIGUOUS", "AMBIGUOUS"]
    assert len(labelled.class_names) == 11


def test_read_nucls_folder__a_corrected_label_is_the_class_itself(tmp_path: Path) -> None:
    write_fov(tmp_path, rows=(("correction_tumor", *RECTANGLE[1:]),))
    assert read_nucls_folder(tmp_path).objects["label"].tolist() == ["tumor_nonMitotic"]


def test_read_nucls_folder__refuses_an_unknown_class_with_its_line(tmp_path: Path) -> None:
    write_fov(tmp_path, rows=(RECTANGLE, ("nonsense", *RECTANGLE[1:])))
    with pytest.raises(StudyError, match=r"A000-DX1\.csv, line 3.*'nonsense' is not in taxonomy 'nucls'"):
        read_nucls_folder(tmp_path)


def test_read_nucls_folder__refuses_the_visits_of_several_raters(tmp_path: Path) -> None:
    stem = write_fov(tmp_path)
    table = (tmp_path / "csv" / f"{stem}.csv").read_text()
    for rater in ("SP.1", "SP.2"):
        (tmp_path / "csv" / f"{rater}_#_E_#_{stem}.csv").write_text(table)
    with pytest.raises(StudyError, match=r"marked by several raters .* infer their labels first"):
        read_nucls_folder(tmp_path)


def broken(folder: Path, stem: str, kind: str) -> None:
    """Break one FOV."""
    image, mask = folder / "rgb" / f"{stem}.png", folder / "mask" / f"{stem}.png"
    if kind == "missing":
        image.unlink()
    elif kind == "tiny":
        write_image(image, 23, 25)
    elif kind == "no image":
        image.write_text("not a picture")
    elif kind == "cut short":
        image.write_bytes(image.read_bytes()[:-20])
    elif kind == "other image":
        write_image(image, 40, 40)
    elif kind == "other mask":
        write_image(mask, 64, 66)
    elif kind == "bomb":
        Image.new("1", (10_000, 10_000)).save(image)
    else:
        mask.parent.mkdir()
        mask.write_text("not a picture")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "there is no image"),
        ("tiny", r"23 × 25 pixels; expected at least 32"),
        ("no image", "no whole image"),
        ("cut short", "no whole image"),
        ("other image", r"1 of 3 boxes lie outside of its 40 × 40 pixels, the first is 40, 40, 55, 60"),
        ("other mask", r"its mask has 64 × 66 pixels, its image 64 × 64"),
        ("bomb", r"10000 × 10000 pixels; at most 67,108,864 are read"),
        ("no mask", r"mask .* is no whole image"),
    ],
)
def test_read_nucls_folder__leaves_a_broken_fov_out_and_says_why(tmp_path: Path, kind: str, words: str) -> None:
    good, bad = write_fov(tmp_path, 0), write_fov(tmp_path, 1)
    broken(tmp_path, bad, kind)
    labelled = read_nucls_folder(tmp_path)
    assert labelled.fovs["fov"].tolist() == [good]
    assert set(labelled.objects["fov"]) == {good}
    (note,) = [note for note in labelled.notes if bad in note]
    assert note.startswith(f"FOV '{bad}' is left out: ")
    assert pd.Series(note).str.contains(words).all()


def test_read_nucls_folder__without_any_image_is_an_error(tmp_path: Path) -> None:
    for number in range(2):
        broken(tmp_path, write_fov(tmp_path, number), "missing")
    with pytest.raises(StudyError, match=r"none of 2 FOVs can be learned from(.|\n)*there is no image"):
        read_nucls_folder(tmp_path)


def test_read_nucls_folder__needs_its_folders(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="expected a NuCLS folder"):
        read_nucls_folder(tmp_path)


def test_read_nucls_folder__cuts_boxes_to_the_image(tmp_path: Path) -> None:
    write_fov(tmp_path, rows=(("tumor", "rectangle", (-4, 50, 20, 66), "", ""),))
    assert read_nucls_folder(tmp_path).objects[BOX].to_numpy().tolist() == [[0, 50, 20, 64]]


def test_read_nucls_folder__an_object_hardly_in_the_image_is_left_out_and_said(tmp_path: Path) -> None:
    write_fov(tmp_path, rows=(RECTANGLE, ("tumor", "rectangle", (63.5, 50, 80, 60), "", "")))
    labelled = read_nucls_folder(tmp_path)
    assert len(labelled.objects) == 1
    assert any("1 objects with less than a pixel in the image" in note for note in labelled.notes)


def test_read_nucls_folder__an_fov_whose_masks_fill_the_memory_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nucls_model.labelled.table.MASK_LIMIT", 64 * 64)
    good = write_fov(tmp_path, 0)
    write_fov(tmp_path, 1, rows=(POLYLINE, POLYLINE))
    labelled = read_nucls_folder(tmp_path)
    assert labelled.fovs["fov"].tolist() == [good]
    assert any("2 outlines in 64 × 64 pixels are too much" in note for note in labelled.notes)


# --- COCO


def coco(folder: Path, **more: object) -> Path:
    """A COCO file without raters: a box, a polygon, a crowd region."""
    write_image(folder / "images" / "a.png")
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [5, 5, 20, 25], "iscrowd": 0},
        {
            "id": 2,
            "image_id": 7,
            "category_id": 2,
            "bbox": [30, 10, 12, 12],
            "segmentation": [[30, 16, 36, 10, 42, 16]],
        },
        {"id": 3, "image_id": 7, "category_id": 1, "bbox": [40, 40, 15, 20], "iscrowd": 1},
        {"id": 4, "image_id": 7, "category_id": 3, "bbox": [2, 50, 9, 9]},
    ]
    categories = [{"id": 1, "name": "blob"}, {"id": 2, "name": "star"}, {"id": 3, "name": "AMBIGUOUS"}]
    content = {"images": [{"id": 7, "file_name": "images/a.png", "width": 64, "height": 64, "hospital": "X"}]}
    path = folder / "labels.json"
    path.write_text(json.dumps({**content, "annotations": annotations, "categories": categories, **more}))
    return path


def test_read_coco_labels__gives_boxes_outlines_and_regions_to_ignore(tmp_path: Path) -> None:
    labelled = read_coco_labels(coco(tmp_path))
    assert labelled.class_names == ("blob", "star")
    assert labelled.objects["label"].tolist() == ["blob", "star", "undetected", "AMBIGUOUS"]
    assert labelled.objects["has_outline"].tolist() == [False, True, False, False]
    assert labelled.objects.loc[0, BOX].tolist() == [5, 5, 25, 30]
    assert labelled.fovs.loc[0, "hospital"] == "X"


def test_read_coco_labels__says_which_entry_is_wrong(tmp_path: Path) -> None:
    path = coco(tmp_path, annotations=[{"id": 1, "image_id": 7, "category_id": 1, "bbox": [5, 5, 0, 25]}])
    with pytest.raises(StudyError, match=r"labels\.json, annotations.*expected xmin < xmax"):
        read_coco_labels(path)


@pytest.mark.parametrize("name", [None, "", "undetected", "a\nb", ["a"]])
def test_read_coco_labels__every_category_needs_a_name(tmp_path: Path, name: object) -> None:
    path = coco(tmp_path)
    content = json.loads(path.read_text())
    content["categories"].append({"id": 9} if name is None else {"id": 9, "name": name})  # no annotation has it
    path.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=r"labels\.json, categories, entry 4: expected the name of a class"):
        read_coco_labels(path)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([30, 16] * 10_001, "an outline has 10,001 points; at most 10,000 are drawn"),
        ([30, 16, 1e7, 16, 30, 20], "points 1,000,000 pixels away, or farther"),
        ([30, 16, 10**400, 16, 30, 20], "points 1,000,000 pixels away, or farther"),
    ],
)
def test_read_coco_labels__an_outline_that_cannot_be_drawn_is_told_first(
    tmp_path: Path, points: list[float], words: str
) -> None:
    path = coco(tmp_path)
    content = json.loads(path.read_text())
    content["annotations"][1]["segmentation"] = [points]
    path.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=words):
        read_coco_labels(path)


def test_read_coco_labels__refuses_several_raters(tmp_path: Path) -> None:
    entry = {"image_id": 7, "category_id": 1, "bbox": [5, 5, 20, 25]}
    marks = [{"id": n, "rater_id": f"r{n}", **entry} for n in range(2)]
    with pytest.raises(StudyError, match="marked by several raters"):
        read_coco_labels(coco(tmp_path, annotations=marks))


def test_read_coco_labels__that_are_all_ambiguous_teach_no_class(tmp_path: Path) -> None:
    path = coco(tmp_path, categories=[{"id": number, "name": "AMBIGUOUS"} for number in (1, 2, 3)])
    with pytest.raises(StudyError, match="no class to learn"):
        read_coco_labels(path)


# --- any of them


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return write_result(tmp_path / "run")


def test_read_labelled__finds_the_source(tmp_path: Path, result: Result) -> None:
    write_fov(tmp_path / "nucls")
    assert read_labelled(tmp_path / "nucls").objects["label"].iloc[0] == "tumor_nonMitotic"
    assert read_labelled(coco(tmp_path)).class_names == ("blob", "star")
    assert (read_labelled(result.folder, targets="inferred").objects["p_exists"] == 1).all()


def test_read_labelled__a_nucls_folder_has_its_own_images(tmp_path: Path) -> None:
    write_fov(tmp_path)
    with pytest.raises(StudyError, match="images of a NuCLS folder are in its folder rgb, not in elsewhere"):
        read_labelled(tmp_path, images="elsewhere")


def test_read_labelled__says_what_it_looked_for(tmp_path: Path, result: Result) -> None:
    with pytest.raises(StudyError, match="no such file or folder"):
        read_labelled(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="expected labels to learn from"):
        read_labelled(tmp_path / "empty")
    (result.folder / "training.csv").unlink()
    with pytest.raises(StudyError, match=r"the run wrote no training\.csv"):
        read_labelled(result.folder)


def test_class_counts__are_expected_numbers_of_objects() -> None:
    fovs = pd.DataFrame({"fov": ["f", "g"]})
    rows = [
        ("f", "a", 1.0, 1.0, 0.0, 0.0),
        ("f", "b", 0.5, 0.2, 0.8, 0.0),
        ("f", "AMBIGUOUS", 1.0, 0.3, 0.0, 0.7),  # no class
        ("f", "undetected", 0.4, 1.0, 0.0, 0.0),  # no object
    ]
    objects = pd.DataFrame(rows, columns=["fov", "label", "p_exists", "prob_a", "prob_b", "prob_AMBIGUOUS"])
    counts = LabelledFovs(fovs, objects, ("a", "b"), {}, ()).class_counts()
    np.testing.assert_allclose(counts, [[1.1, 0.4], [0, 0]])


# --- the published FOVs


@pytest.mark.data
def test_read_nucls_folder__reads_the_published_fovs(data_dir: Path) -> None:
    labelled = read_nucls_folder(data_dir / "nucls_fovs")
    index = pd.read_csv(data_dir / "nucls_fovs" / "fov_index.csv")
    assert len(labelled.fovs) == len(index) == 12
    assert set(labelled.fovs["hospital"]) == {"A2", "AR", "BH"}
    of_fov = labelled.objects.groupby("fov").size()
    published = index.set_index("slide")["n"]
    whole = index.loc[~index["has_mask"], "slide"]
    assert of_fov[whole].to_dict() == published[whole].to_dict()
    assert (of_fov <= published).all()
    assert of_fov.sum() == published.sum() - 12  # hardly anything of these lies in the annotated area
    assert not [note for note in labelled.notes if "FOV '" in note]
