"""COCO files of several raters."""

import json

import pytest

from crowdtruth.formats import coco as coco_format
from crowdtruth.formats import read_study, write_study
from crowdtruth.problems import StudyError
from crowdtruth.taxonomy import parse_taxonomy


def plain(**changes) -> dict:
    """A file as other tools write it."""
    content = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 30, "height": 20, "rater_list": ["r1", 2]},
            {"id": 2, "file_name": "b.png", "rater_list": ["r1"]},
        ],
        "categories": [{"id": 7, "name": "cell"}],
        "annotations": [
            {"id": 10, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3.5, 4], "rater_id": "r1",
             "segmentation": [[1, 2, 4.5, 2, 4.5, 6]]},
            {"id": 11, "image_id": 1, "category_id": 7, "bbox": [0, 0, 5, 5], "rater_id": 2},
        ],
    }  # fmt: skip
    return content | changes


def write(tmp_path, content):
    path = tmp_path / "study.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def annotation(**changes):
    return plain(annotations=[plain()["annotations"][0] | changes])


def test_coco__reads_files_of_other_tools(tmp_path):
    study = read_study(write(tmp_path, plain()))
    marks = study.annotations
    assert marks[["annotation", "fov", "rater", "label", "kind"]].values.tolist() == [
        ["10", "a.png", "r1", "cell", "polygon"], ["11", "a.png", "2", "cell", "box"],
    ]  # fmt: skip
    assert marks[["xmin", "ymin", "xmax", "ymax"]].values.tolist() == [[1, 2, 4.5, 6], [0, 0, 5, 5]]
    assert marks["coords_x"].tolist() == ["1,4.5,4.5", ""]
    assert study.assignments.values.tolist() == [["a.png", "r1", "all"], ["a.png", "2", "all"], ["b.png", "r1", "all"]]
    assert study.assignments_given
    assert study.fovs["image"].tolist() == ["a.png", "b.png"]
    assert study.fovs["width"].fillna(-1).tolist() == [30, -1]


def test_coco__takes_marks_as_asked_without_rater_lists(tmp_path):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    study = read_study(write(tmp_path, plain(images=images)))
    assert not study.assignments_given


def test_coco__says_which_outlines_are_not_read(tmp_path):
    mask = read_study(write(tmp_path, annotation(segmentation={"counts": "abc", "size": [2, 2]})))
    assert any("1 annotations carry RLE masks, which are not read; their boxes are" in note for note in mask.notes)
    parts = read_study(write(tmp_path, annotation(segmentation=[[1, 2, 3, 4, 5, 6], [1, 1, 2, 2, 3, 3]])))
    assert any("1 annotations have several polygons; only the first is their outline" in note for note in parts.notes)
    assert parts.annotations["coords_x"].tolist() == ["1,3,5"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "study.json: the file is empty"),
        ("[1, 2", "study.json: not whole JSON (cut off?)"),
        ("[1, 2]", "expected an object with the lists 'images', 'annotations', 'categories' of objects"),
        ("[" * 100_000, "study.json: nested too deeply"),
        ('{"images": [' + "9" * 5000 + "]}", "study.json: not whole JSON"),
        (plain(images=3), "expected an object with the lists"),
        (plain(annotations=[3]), "expected an object with the lists"),
        (plain(categories=[{"name": "a"}]), "study.json, categories, entry 1: expected an id of its own, got None"),
        (plain(images=[{"id": 1}, {"id": 1}]), "study.json, images, entry 2: expected an id of its own, got 1"),
        (plain(images=[{"id": 1, "rater_list": "r1"}]), "image 1: expected a list in rater_list, got 'r1'"),
        (annotation(bbox=[1, 2, 3]), "study.json, annotations, row 1, xmin: expected a number, the cell is empty"),
        (annotation(bbox=[1, 2, 0, 3]), "study.json, annotations, row 1, xmax: expected xmin < xmax, got 1 and 1"),
        (annotation(bbox=[1, 2, "3", 3]), "row 1, xmin: expected a number, the cell is empty"),
        (annotation(bbox=[1, 2, float("inf"), 3]), "row 1, xmin: expected a number, the cell is empty"),
        (annotation(image_id=9), "row 1, fov: expected a text, the cell is empty"),
        (annotation(category_id=9), "row 1, label: expected a text, the cell is empty"),
        (annotation(rater_id=None), "row 1, rater: expected a text, the cell is empty"),
        (annotation(rater_id="r9"), "row 1, rater: rater 'r9' has a mark but no assignment in FOV 'a.png'"),
        (annotation(segmentation=[[1, 2, "x", 3]]), "row 1, coords_x: expected numbers with commas between them"),
        (annotation(segmentation=[[1, 2, 3]]), "row 1, coords_x: coords_x has 2 points, coords_y 1"),
        (annotation(corners=[1, 2, "x", 3]), "row 1, xmax: expected a finite number, got 'x'"),
        (plain(categories=[{"id": 7, "name": "\ud800"}]), "study.json: a text holds half a character"),
        (plain(taxonomy="nucls"), "study.json, taxonomy: expected the entries of a taxonomy, got str; mend the file"),
        (plain(taxonomy={}), "study.json, taxonomy: expected at least one [[classes]] entry"),
        (plain(taxonomy={"name": "n", "classes": [{"name": "x"}]}), "label: 'cell' is not in taxonomy 'n'"),
        (plain(taxonomy={"name": "n" * (1 << 20), "classes": []}), "a taxonomy has at most 262,144 bytes"),
        (plain(images=[{"id": 1, "file_name": "../../etc/passwd", "rater_list": ["r1", 2]}]),
         "image: expected a path inside"),
    ],
)  # fmt: skip
def test_coco__says_what_is_wrong(tmp_path, content, words):
    with pytest.raises(StudyError) as error:
        read_study(write(tmp_path, content))
    assert words in str(error.value)


def test_coco__refuses_other_encodings_and_files_too_large(tmp_path, monkeypatch):
    path = tmp_path / "study.json"
    path.write_bytes(b'{"images": "caf\xe9"}')
    with pytest.raises(StudyError, match=r"study\.json: not UTF-8"):
        read_study(path)
    monkeypatch.setattr(coco_format, "LARGEST_FILE", 10)
    with pytest.raises(StudyError, match="bytes of JSON; at most 10 are read"):
        read_study(path)


def test_coco__prefers_the_taxonomy_that_was_asked_for(tmp_path):
    path = write(tmp_path, plain(taxonomy="another tool's"))
    scheme = parse_taxonomy({"name": "n", "classes": [{"name": "cell"}]})
    assert read_study(path, taxonomy=scheme).taxonomy == scheme
    path = write(tmp_path, plain(taxonomy={"name": "own", "classes": [{"name": "cell", "code": 4}]}))
    assert read_study(path).taxonomy.codes == {"cell": 4}


def test_coco__takes_characters_beyond_the_first_plane(tmp_path):
    study = read_study(write(tmp_path, plain(categories=[{"id": 7, "name": "\U0001f600"}])))
    assert set(study.annotations["label"]) == {"\U0001f600"}


def test_coco__writes_the_keys_other_tools_read(tmp_path):
    study = read_study(write(tmp_path, plain()))
    write_study(study, tmp_path / "out.json", format="coco")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["images"][0]["rater_list"] == ["2", "r1"]
    assert content["annotations"][0]["bbox"] == [1, 2, 3.5, 4]
    assert content["annotations"][0]["segmentation"] == [[1, 2, 4.5, 2, 4.5, 6]]
    assert content["annotations"][1]["rater_id"] == "2"
    assert content["categories"] == [{"id": 1, "name": "cell"}]
