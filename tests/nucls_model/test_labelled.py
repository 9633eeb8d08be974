import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crowdtruth.files import write_table
from crowdtruth.problems import StudyError
from crowdtruth.results import read_result
from crowdtruth.taxonomy import load_taxonomy
from crowdtruth.truth import infer_labels
from nucls_model.dataset import rasterise
from nucls_model.labelled import (
    LabelledFovs,
    read_coco_labels,
    read_labelled,
    read_nucls_folder,
    read_result_folder,
)
from nucls_model.labelled.masks import border, outlines_in_mask
from tests.nucls_model.labelled_cases import (
    POLYLINE,
    RECTANGLE,
    UNLABELED,
    Result,
    disc,
    paint_mask,
    write_fov,
    write_image,
    write_result,
)

BOX = ["xmin", "ymin", "xmax", "ymax"]
GATE = 4  # detections an object needs, of nine pathologists


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


# --- outlines from masks


def outline_pixels(outlines: pd.DataFrame, row: int, side: int = 64) -> np.ndarray:
    x, y = ([int(value) for value in outlines.loc[row, name].split(",")] for name in ("coords_x", "coords_y"))
    return rasterise(x, y, side, side)


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_border__filled_gives_the_largest_piece_again(pixels: np.ndarray) -> None:
    from scipy.ndimage import binary_fill_holes, label

    if not pixels.any():
        return
    pieces, _ = label(pixels, structure=np.ones((3, 3)))
    largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    points = border(pixels)
    filled = rasterise(points[:, 0], points[:, 1], *pixels.shape)
    np.testing.assert_array_equal(filled, binary_fill_holes(largest))


def test_outlines_in_mask__come_from_the_box_not_from_its_centre(tmp_path: Path) -> None:
    large, small = disc(30, 30, 16), disc(30, 30, 5)  # the small one is painted over the centre of the large one
    paint_mask(tmp_path / "m.png", [(1, 1, 3, large), (3, 1, 4, small)])
    outlines = outlines_in_mask(tmp_path / "m.png", np.array([[14, 14, 47, 47], [25, 25, 36, 36]], dtype=float))
    np.testing.assert_array_equal(outline_pixels(outlines, 0), large)  # its hole is filled
    np.testing.assert_array_equal(outline_pixels(outlines, 1), small)


def test_outlines_in_mask__products_above_a_byte_are_different_instances(tmp_path: Path) -> None:
    left, right = disc(15, 30, 8), disc(45, 30, 8)
    paint_mask(tmp_path / "m.png", [(1, 20, 13, left), (1, 2, 2, right)])  # 260 is 4 in a byte
    outlines = outlines_in_mask(tmp_path / "m.png", np.array([[7, 22, 24, 39], [37, 22, 54, 39]], dtype=float))
    np.testing.assert_array_equal(outline_pixels(outlines, 0), left)
    np.testing.assert_array_equal(outline_pixels(outlines, 1), right)


def test_outlines_in_mask__of_equal_products_the_piece_that_fits_is_taken(tmp_path: Path) -> None:
    left, right = disc(15, 30, 8), disc(45, 30, 8)
    paint_mask(tmp_path / "m.png", [(1, 2, 6, left), (1, 3, 4, right)])  # 12 both, as in older masks
    outlines = outlines_in_mask(tmp_path / "m.png", np.array([[37, 22, 54, 39]], dtype=float))
    np.testing.assert_array_equal(outline_pixels(outlines, 0), right)


def test_outlines_in_mask__the_area_of_annotation_is_no_object(tmp_path: Path) -> None:
    paint_mask(tmp_path / "m.png", [])
    assert outlines_in_mask(tmp_path / "m.png", np.array([[0, 0, 64, 64]], dtype=float)).loc[0, "coords_x"] == ""


def test_read_nucls_folder__polylines_without_coordinates_have_outlines_from_the_mask(tmp_path: Path) -> None:
    stem = write_fov(tmp_path, rows=(("tumor", "polyline", (12, 22, 28, 38), "", ""), (*POLYLINE[:3], "", "")))
    pixels = disc(20, 30, 8)
    paint_mask(tmp_path / "mask" / f"{stem}.png", [(1, 1, 3, pixels)])
    labelled = read_nucls_folder(tmp_path)
    assert labelled.objects["has_outline"].tolist() == [True, False]
    np.testing.assert_array_equal(outline_pixels(labelled.objects, 0), pixels)
    assert any("1 polylines without coordinates have their outlines from the masks" in n for n in labelled.notes)
    assert any("1 polylines without coordinates are in no mask" in n for n in labelled.notes)


# --- the result folder of a run


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return write_result(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return write_result(tmp_path_factory.mktemp("run"), min_detections=GATE)


@pytest.fixture
def copy_of_result(result: Result, tmp_path: Path) -> Path:
    return Path(shutil.copytree(result.folder, tmp_path / "copy"))


def grouped_truth(result: Result, level: str, min_detections: int) -> pd.DataFrame:
    tables = result.tables
    return infer_labels(
        tables["ratings"],
        tables["anchors"],
        cohorts={"P": ["SP", "JP"]},
        conditions=["E"],
        classes=[n for n in load_taxonomy("nucls").classes if n in set(tables["ratings"]["label"])],
        grouping=load_taxonomy("nucls").grouping(level),
        min_detections=min_detections,
    ).truth.set_index("anchor")


@pytest.mark.parametrize("level", ["main", "super"])
def test_read_result_folder__has_the_labels_that_the_run_grouped_to_the_level_has(gated: Result, level: str) -> None:
    labelled = read_result_folder(gated.folder, level)
    expected = grouped_truth(gated, level, GATE).loc[gated.tables["training"]["anchor"]]
    assert labelled.objects["label"].tolist() == expected["label"].tolist()
    assert (labelled.objects["label"] == "").any(), "the case holds anchors below the gate"
    given = expected.filter(like="prob_").drop(columns="prob_undetected")
    np.testing.assert_allclose(
        probabilities(labelled).to_numpy(),
        given.div(given.sum(axis=1), axis=0)[list(probabilities(labelled))].to_numpy(),
        atol=1e-9,
    )


def test_read_result_folder__posteriors_are_those_of_the_training_table(result: Result) -> None:
    labelled, training = read_result_folder(result.folder, "main"), result.tables["training"]
    np.testing.assert_array_equal(labelled.objects["p_exists"], training["p_exists"])
    np.testing.assert_allclose(probabilities(labelled).sum(axis=1), 1)
    expected = training["prob_tumor"]
    np.testing.assert_allclose(labelled.objects["prob_tumor_nonMitotic"], expected)
    np.testing.assert_array_equal(labelled.objects["has_outline"], training["has_outline"])


def test_read_result_folder__inferred_labels_are_certain_and_the_rest_is_gone(gated: Result) -> None:
    soft, hard = (read_result_folder(gated.folder, "main", targets=t).objects for t in ("posterior", "inferred"))
    is_object = ~soft["label"].isin(["undetected", ""])
    assert hard["label"].tolist() == soft.loc[is_object, "label"].tolist()
    assert (hard["p_exists"] == 1).all()
    assert hard.filter(like="prob_").isin([0, 1]).all(axis=None)


def plain_majority(result: Result, level: str, min_detections: int) -> dict[tuple, str]:
    """Box of each object -> its class: two votes, counted one rating at a time."""
    grouping = load_taxonomy("nucls").grouping(level)
    ratings = result.tables["ratings"]
    ratings = ratings[ratings["cohort"].isin(["SP", "JP"]) & (ratings["condition"] == "E")]
    boxes = result.tables["anchors"].set_index("anchor")[["fov", *BOX]]
    objects = {}
    for anchor, rows in ratings.groupby("anchor"):
        placed = [grouping.class_of[label] for label in rows["label"] if label != "undetected"]
        if 2 * len(placed) >= len(rows) and len(placed) >= min_detections:
            votes = {name: placed.count(name) for name in grouping.classes}
            objects[tuple(boxes.loc[anchor])] = max(votes, key=lambda name: votes[name])  # the first of equals
    return objects


@pytest.mark.parametrize("level", ["main", "super"])
def test_read_result_folder__majority_is_counted_by_hand(gated: Result, level: str) -> None:
    objects = read_result_folder(gated.folder, level, targets="majority").objects
    expected = plain_majority(gated, level, GATE)
    # boxes are cut to the image, so compare what no edge touches
    found = {tuple(row[:5]): row[5] for row in objects[["fov", *BOX, "label"]].itertuples(index=False)}
    assert len(found) == len(expected)
    inner = {key: label for key, label in expected.items() if min(key[1:]) >= 0 and max(key[1:]) <= 300}
    assert len(inner) > 30
    assert {key: found[key] for key in inner} == inner


def test_read_result_folder__fovs_the_cohort_did_not_see_are_left_out(result: Result, copy_of_result: Path) -> None:
    ratings = result.tables["ratings"]
    unseen = result.study.fovs["fov"].iloc[0]
    hidden = (ratings["fov"] == unseen) & ratings["cohort"].isin(["SP", "JP"]) & (ratings["condition"] == "E")
    write_table(ratings[~hidden], copy_of_result / "ratings.csv")
    labelled = read_result_folder(copy_of_result, "main", targets="majority")
    assert unseen not in set(labelled.fovs["fov"]) | set(labelled.objects["fov"])
    assert any(note.startswith("1 FOVs in which nobody of cohort 'P'") for note in labelled.notes)


def test_read_result_folder__images_may_have_moved(result: Result, copy_of_result: Path, tmp_path: Path) -> None:
    record = json.loads((copy_of_result / "run.json").read_text()) | {"study": str(tmp_path / "gone")}
    (copy_of_result / "run.json").write_text(json.dumps(record))
    with pytest.raises(StudyError, match=r"the study is no longer at .*gone; say which folder"):
        read_result_folder(copy_of_result, "main")
    labelled = read_result_folder(copy_of_result, "main", images=result.study_folder)
    assert len(labelled.fovs) == len(result.study.fovs)


def test_read_result_folder__opens_no_image_outside_of_the_study(result: Result, copy_of_result: Path) -> None:
    fovs = result.study.fovs.copy()
    fovs.loc[0, "image"] = "../elsewhere.png"
    write_table(fovs, copy_of_result / "fovs.csv")
    with pytest.raises(StudyError, match="leads out of the folder"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__an_image_of_another_size_is_left_out(result: Result, copy_of_result: Path) -> None:
    fovs = result.study.fovs.copy()
    fovs["width"] = fovs["width"].where(fovs.index != 1, 900)
    write_table(fovs, copy_of_result / "fovs.csv")
    labelled = read_result_folder(copy_of_result, "main")
    assert len(labelled.fovs) == len(fovs) - 1
    assert any("its table says 900" in note for note in labelled.notes)


def test_read_result_folder__needs_image_paths(result: Result, copy_of_result: Path) -> None:
    write_table(result.study.fovs.drop(columns="image"), copy_of_result / "fovs.csv")
    with pytest.raises(StudyError, match="has no image paths"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__without_a_taxonomy_there_are_only_raw_classes(copy_of_result: Path) -> None:
    (copy_of_result / "taxonomy.toml").unlink()
    with pytest.raises(StudyError, match="class level 'raw', not 'main'"):
        read_result_folder(copy_of_result, "main")
    training = read_result(copy_of_result / "training.csv")
    labelled = read_result_folder(copy_of_result, "raw")
    assert labelled.objects["label"].tolist() == training["label"].tolist()


def test_read_result_folder__a_run_grouped_to_another_level_is_refused(result: Result, copy_of_result: Path) -> None:
    training = result.tables["training"]
    grouped = training.loc[:, ~training.columns.str.startswith("prob_")].assign(prob_sTIL=1.0)
    write_table(grouped, copy_of_result / "training.csv")
    with pytest.raises(StudyError, match="'sTIL' cannot be grouped to level 'main'"):
        read_result_folder(copy_of_result, "main")


@pytest.mark.parametrize("content", ["[]", '{"study": 1, "options": {}}', '{"study": "x"}', "{"])
def test_read_result_folder__needs_the_record_of_a_run(copy_of_result: Path, content: str) -> None:
    (copy_of_result / "run.json").write_text(content)
    with pytest.raises(StudyError, match=r"run\.json"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__without_rows_has_nothing_to_learn(result: Result, copy_of_result: Path) -> None:
    write_table(result.tables["training"].iloc[:0], copy_of_result / "training.csv")
    with pytest.raises(StudyError, match=r"training\.csv has no rows"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__refuses_labels_of_two_cohorts(result: Result, copy_of_result: Path) -> None:
    training = result.tables["training"]
    mixed = training["cohort"].where(training.index != 0, "NP")
    write_table(training.assign(cohort=mixed), copy_of_result / "training.csv")
    with pytest.raises(StudyError, match="labels of several cohorts or conditions"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__refuses_tables_of_different_runs(result: Result, copy_of_result: Path) -> None:
    truth = result.tables["truth"]
    lost = result.tables["training"]["anchor"].iloc[0]
    write_table(truth[truth["anchor"] != lost], copy_of_result / "truth.csv")
    with pytest.raises(StudyError, match=r"ratings\.csv, truth\.csv and training\.csv do not fit at 'fov-"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__knows_its_targets(result: Result) -> None:
    with pytest.raises(ValueError, match="targets must be one of 'posterior', 'inferred', 'majority', got 'soft'"):
        read_result_folder(result.folder, targets="soft")  # type: ignore[arg-type]


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


def test_read_labelled__finds_the_source(tmp_path: Path, result: Result) -> None:
    write_fov(tmp_path / "nucls")
    assert read_labelled(tmp_path / "nucls").objects["label"].iloc[0] == "tumor_nonMitotic"
    assert read_labelled(coco(tmp_path)).class_names == ("blob", "star")
    assert (read_labelled(result.folder, targets="inferred").objects["p_exists"] == 1).all()


def test_read_labelled__says_what_it_looked_for(tmp_path: Path, copy_of_result: Path) -> None:
    with pytest.raises(StudyError, match="no such file or folder"):
        read_labelled(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="expected labels to learn from"):
        read_labelled(tmp_path / "empty")
    (copy_of_result / "training.csv").unlink()
    with pytest.raises(StudyError, match=r"the run wrote no training\.csv"):
        read_labelled(copy_of_result)


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
    assert labelled.objects.groupby("fov").size().to_dict() == dict(zip(index["slide"], index["n"], strict=True))
    assert labelled.objects["has_outline"].sum() == index["n_polyline"].sum()
    assert not [note for note in labelled.notes if "left out" in note]


@pytest.mark.data
def test_outlines_in_mask__are_the_published_polylines(data_dir: Path) -> None:
    folder = data_dir / "nucls_fovs"
    labelled = read_nucls_folder(folder)
    dice = []
    for fov, rows in labelled.objects.groupby("fov"):
        mask = folder / "mask" / f"{fov}.png"
        if not mask.exists():
            continue
        outlines = outlines_in_mask(mask, rows[BOX].to_numpy())
        for place, row in enumerate(rows.itertuples()):
            if not row.has_outline:
                continue
            points = [np.array(text.split(","), dtype=float) for text in (row.coords_x, row.coords_y)]
            drawn = rasterise(*points, 450, 450)
            found = outline_pixels(outlines, place, 450) if outlines.loc[place, "coords_x"] else np.zeros_like(drawn)
            dice.append(2 * (drawn & found).sum() / (drawn.sum() + found.sum()))
    assert len(dice) == 115
    assert np.median(dice) > 0.95
    assert min(dice) > 0.85  # masks lack the last row and column, and neighbours lie on top
