"""Predictions on disk: the same objects in every format, whatever the tiles; files whole or absent."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from crowdtruth.files import read_table
from crowdtruth.outlines import as_polygons
from crowdtruth.parallel import Silent, reporting_to
from nucls_model.config import NuclsConfig
from nucls_model.nucls import build_nucls
from nucls_model.predict import Tiling, outline_of, predict_images, tiling_for
from tests.nucls_model import blobs

CORNERS = ["xmin", "ymin", "xmax", "ymax"]
SMALL = Tiling(tile=160, overlap=64)


def painted(folder, name="a.png", size=(420, 300), seed=0, step=1):
    """An image file of discs, and how many there are; `step` pixels of the file along one of the painting."""
    rng = np.random.default_rng(seed)
    centres = list(rng.uniform((0, 0), size, (60, 2)))
    pixels, kept = blobs.paint(size, centres, rng.uniform(3, 27, 60), seed)
    pixels = pixels.repeat(step, axis=0).repeat(step, axis=1)
    if name.endswith(".tif"):
        tifffile.imwrite(folder / name, pixels, tile=(64, 64), photometric="rgb", compression="zlib")
    else:
        Image.fromarray(pixels).save(folder / name)
    return folder / name, len(kept)


def predict(images, out, **options):
    options = {"class_names": blobs.CLASSES, "colors": blobs.COLORS, "tiling": SMALL, **options}
    return predict_images(blobs.detect, images, out, **options)


def read_predictions(out):
    table = read_table(out / "predictions.csv", floats=[*CORNERS, "objectness", "prob_*", "p_ambiguous"])
    return table.sort_values(CORNERS, ignore_index=True)


def test_predict_images__writes_the_table_of_predictions(tmp_path):
    path, n = painted(tmp_path)
    assert predict({"a": path}, tmp_path / "out") == {"a": n}
    table = read_predictions(tmp_path / "out")
    names = [f"prob_{name}" for name in blobs.CLASSES]
    assert list(table) == ["fov", *CORNERS, "objectness", "label", *names, "p_ambiguous", "coords_x", "coords_y"]
    assert len(table) == n > 20
    np.testing.assert_allclose(table[names].sum(axis=1), 1, atol=2e-6)  # six decimals each
    assert (table["label"] == table[names].idxmax(axis=1).str.removeprefix("prob_")).all()
    polygons = as_polygons(table[["coords_x", "coords_y"]])
    boxes = shapely.box(*(table[name] for name in CORNERS))
    share = shapely.area(polygons) / shapely.area(boxes)
    whole = (table["xmin"] > 0) & (table["ymin"] > 0) & (table["xmax"] < 420) & (table["ymax"] < 300)
    assert (np.abs(share[whole] - np.pi / 4) < 0.08).all()  # discs, in cells of a fourteenth
    assert shapely.covers(shapely.buffer(boxes, 0.01), polygons).all()  # two decimals


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("tiling", [Tiling(tile=96, overlap=64), Tiling(tile=224, overlap=64), Tiling(tile=1024)])
def test_predict_images__finds_the_same_whatever_the_tiles(tmp_path, name, tiling):
    path, _ = painted(tmp_path, name)
    predict({"a": path}, tmp_path / "small")
    predict({"a": path}, tmp_path / "other", tiling=tiling)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "small"), read_predictions(tmp_path / "other"))


def test_predict_images__gives_the_same_bytes_again(tmp_path):
    path, _ = painted(tmp_path)
    for out in ("one", "two"):
        predict({"a": path}, tmp_path / out)
    for file in ("predictions.csv", "predictions.json", "geojson/a.geojson"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_predict_images__answers_in_pixels_of_the_file_whatever_its_resolution(tmp_path):
    path, n = painted(tmp_path)
    fine, _ = painted(tmp_path, "fine.tif", step=2)
    predict({"a": path}, tmp_path / "out")
    with tifffile.TiffFile(fine) as file:
        assert file.pages[0].shape == (600, 840, 3)
    # every second pixel of the file is what the triangle filter would blend, so boxes agree to a pixel of the view
    assert abs(predict({"a": fine}, tmp_path / "fine", source_mpp=0.1)["a"] - n) <= 1
    coarse, table = read_predictions(tmp_path / "out"), read_predictions(tmp_path / "fine")
    centre = [(t[["xmin", "ymin"]].to_numpy() + t[["xmax", "ymax"]].to_numpy()) / 2 for t in (coarse, table)]
    distance = np.abs(centre[1][:, None] - 2 * centre[0][None]).max(axis=2)
    assert np.median(distance.min(axis=1)) <= 1
    assert table["xmax"].max() <= 840


@pytest.mark.parametrize("thumbnails", [False, True])
def test_predict_images__writes_what_a_model_detects(tmp_path, thumbnails):
    config = replace(
        NuclsConfig(), stages=2, scale_factor=1.0, box_pool=2, box_features=8, mask_pool=4, mask_convs=1,
        mask_channels=4, class_convs=1, rpn_post_nms=40, min_objectness=0.0, thumbnails=thumbnails,
        is_class_agnostic=not thumbnails,
    )  # fmt: skip
    torch.manual_seed(0)
    model = build_nucls(config, blobs.CLASSES).eval()
    path, _ = painted(tmp_path, size=(128, 96))
    n = predict_images(
        model.detect, {"a": path}, tmp_path / "out", class_names=blobs.CLASSES, colors={}, tiling=tiling_for(config)
    )
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1) / np.float32(255))
    found = model.detect([pixels])[0]
    table = read_table(tmp_path / "out" / "predictions.csv", floats=[*CORNERS, "objectness", "prob_*", "p_ambiguous"])
    assert n == {"a": len(found.boxes)}
    assert len(found.boxes) > 0
    np.testing.assert_allclose(table[CORNERS], found.boxes, atol=1e-3)
    np.testing.assert_allclose(table["objectness"], found.objectness, atol=1e-6)
    np.testing.assert_allclose(table[[f"prob_{name}" for name in blobs.CLASSES]], found.probabilities, atol=1e-6)
    assert table["label"].tolist() == [blobs.CLASSES[k] for k in found.label]


def test_predict_images__writes_coco_with_probabilities_and_outlines(tmp_path):
    images = {"a": painted(tmp_path)[0], "empty": tmp_path / "empty.png", "b": painted(tmp_path, "b.tif", seed=1)[0]}
    Image.new("RGB", (50, 40), "white").save(images["empty"])
    n_found = predict(images, tmp_path / "out")
    coco = COCO(tmp_path / "out" / "predictions.json")
    table = read_table(tmp_path / "out" / "predictions.csv", floats=[*CORNERS, "objectness", "prob_*", "p_ambiguous"])
    entries = coco.dataset["annotations"]
    assert len(entries) == len(table) == sum(n_found.values())
    assert {image["fov"]: (image["file_name"], image["width"]) for image in coco.dataset["images"]} == {
        "a": ("a.png", 420), "empty": ("empty.png", 50), "b": ("b.tif", 420),
    }  # fmt: skip
    for entry, row in zip(entries, table.to_dict("records"), strict=True):
        assert coco.imgs[entry["image_id"]]["fov"] == row["fov"]
        assert coco.cats[entry["category_id"]]["name"] == row["label"]
        assert entry["score"] == row["objectness"]
        assert entry["probabilities"] == {name: row[f"prob_{name}"] for name in blobs.CLASSES}
        x, y, width, height = entry["bbox"]
        np.testing.assert_allclose([x, y, x + width, y + height], [row[name] for name in CORNERS])
        assert ",".join(map(str, entry["segmentation"][0][::2])) == row["coords_x"]
    assert 0.5 * entries[0]["area"] < coco_mask.area(coco.annToRLE(entries[0])) < entries[0]["area"]


def test_predict_images__writes_geojson_as_qupath_reads_it(tmp_path):
    path, n = painted(tmp_path)
    predict({"a": path}, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "geojson" / "a.geojson").read_text(encoding="utf-8"))
    table = read_table(tmp_path / "out" / "predictions.csv", floats=[*CORNERS, "objectness", "prob_*", "p_ambiguous"])
    assert content["type"] == "FeatureCollection"
    assert len(content["features"]) == n
    for feature, row in zip(content["features"], table.to_dict("records"), strict=True):
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.is_valid
        assert shape.exterior.coords[0] == shape.exterior.coords[-1]
        np.testing.assert_allclose(shape.bounds, [row[name] for name in CORNERS], atol=2)
        properties = feature["properties"]
        assert properties["objectType"] == "detection"
        color = blobs.COLORS.get(row["label"], (128, 128, 128))
        assert properties["classification"] == {"name": row["label"], "color": list(color)}
        measured = {f"probability {name}": row[f"prob_{name}"] for name in blobs.CLASSES}
        extra = {"objectness": row["objectness"], "probability ambiguous": row["p_ambiguous"]}
        assert properties["measurements"] == measured | extra


def test_predict_images__writes_an_image_without_objects(tmp_path):
    Image.new("RGB", (50, 40), "white").save(tmp_path / "a.png")
    assert predict({"a": tmp_path / "a.png"}, tmp_path / "out") == {"a": 0}
    assert len(read_predictions(tmp_path / "out")) == 0
    assert json.loads((tmp_path / "out" / "predictions.json").read_text())["annotations"] == []
    assert json.loads((tmp_path / "out" / "geojson" / "a.geojson").read_text())["features"] == []


def test_predict_images__gives_the_box_where_the_mask_has_no_outline(tmp_path):
    path, n = painted(tmp_path)

    def faint(images):
        found = blobs.detect(images)[0]
        return [type(found)(**{**vars(found), "masks": found.masks * 0.4})]

    predict_images(faint, {"a": path}, tmp_path / "out", class_names=blobs.CLASSES, colors={}, tiling=SMALL)
    table = read_predictions(tmp_path / "out")
    assert len(table) == n
    assert table["coords_x"].isna().all()
    feature = json.loads((tmp_path / "out" / "geojson" / "a.geojson").read_text())["features"][0]
    assert len(feature["geometry"]["coordinates"][0]) == 5
    assert "segmentation" not in json.loads((tmp_path / "out" / "predictions.json").read_text())["annotations"][0]


def test_predict_images__keeps_what_overlaps_by_label_where_the_detector_does(tmp_path):
    path, n = painted(tmp_path)

    def twice(images):
        found = blobs.detect(images)[0]
        doubled = {name: value.repeat_interleave(2, dim=0) for name, value in vars(found).items()}
        doubled["label"][1::2] = (doubled["label"][1::2] + 1) % 3
        return [type(found)(**doubled)]

    options = {"class_names": blobs.CLASSES, "colors": {}}
    by_label = Tiling(tile=160, overlap=64, is_class_agnostic=False)
    assert predict_images(twice, {"a": path}, tmp_path / "out", tiling=by_label, **options) == {"a": 2 * n}
    assert predict_images(twice, {"a": path}, tmp_path / "out", tiling=SMALL, **options) == {"a": n}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_predict_images__leaves_no_file_when_it_is_broken_off(tmp_path, error):
    path, _ = painted(tmp_path)
    seen = []

    def failing(images):
        seen.append(1)
        if len(seen) > 3:
            raise error("enough")
        return blobs.detect(images)

    with pytest.raises(error, match="enough"):
        predict_images(failing, {"a": path}, tmp_path / "out", class_names=blobs.CLASSES, colors={}, tiling=SMALL)
    assert [file for file in (tmp_path / "out").rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        ({"a": "a.png", "b": "b.png"}, {}, r"b\.png: expected an image, there is no such file"),
        ({"a/b": "a.png"}, {}, "FOV 'a/b': expected a name without slashes"),
        ({"": "a.png"}, {}, "FOV '': expected a name without control characters"),
        ({"a\nb": "a.png"}, {}, r"FOV 'a\\nb': expected a name without control characters"),
        ({"a\udcff": "a.png"}, {}, r"FOV 'a\\udcff': expected a name .* in UTF-8"),
        ({"..": "a.txt"}, {}, r"expected an image ending in"),
        ({"a": "a.png"}, {"formats": ["csv", "xml"]}, "no format 'xml' to write predictions in; there are 'csv'"),
        ({"a": "a.png"}, {"mpp": -1.0}, r"mpp must be above 0 µm per pixel, got -1\.0"),
    ],
)
def test_predict_images__says_what_is_wrong_before_it_writes(tmp_path, images, options, words):
    painted(tmp_path)
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(ValueError, match=words):
        predict({fov: tmp_path / name for fov, name in images.items()}, tmp_path / "out", **options)
    assert not [file for file in tmp_path.rglob("*") if file.name.startswith("predictions")]


def test_predict_images__tells_of_glass_of_full_tiles_and_of_cut_objects(tmp_path):
    lines = []

    class Told(Silent):
        def say(self, message):
            lines.append(message)

    pixels, _ = blobs.paint((500, 200), [(80, 100), (20, 20)], [70.0, 8.0])
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with reporting_to(Told()):
        predict({"a": tmp_path / "a.png"}, tmp_path / "out", tiling=Tiling(tile=96, overlap=32, max_detections=1))
    said = "\n".join(lines)
    assert "a.png: the file does not say its µm per pixel; taken as 0.2" in said
    assert "tiles have no stained pixel and were passed over" in said
    assert "of the smallest tiles still hold 1 objects, the most the detector returns" in said
    assert "objects reach over their tile; objects longer than 24 pixels" in said


@pytest.mark.parametrize("side", [1, 2, 7, 28])
def test_outline_of__a_full_mask_is_its_box(side):
    outline = outline_of(np.ones((side, side)), [3, 5, 17, 13])
    polygon = shapely.Polygon(outline)
    assert polygon.bounds == (3, 5, 17, 13)
    corner = (14 / side) * (8 / side) / 2  # each corner lacks half a cell's quarter: the line goes from edge to edge
    assert polygon.area == pytest.approx(14 * 8 - corner, rel=1e-9) or side == 1


def test_outline_of__lies_between_the_cells_of_a_disc():
    y, x = (np.mgrid[:28, :28] + 0.5) / 28
    distance = np.hypot(x - 0.5, y - 0.5) - 0.4
    mask = 1 / (1 + np.exp(30 * distance))  # one half at a radius of 0.4 boxes
    outline = outline_of(mask, [100, 200, 140, 240])
    radius = np.hypot(*(outline - [120, 220]).T)
    assert np.abs(radius - 16).max() < 0.05


def test_outline_of__takes_the_largest_part_and_fills_its_holes():
    mask = np.zeros((12, 12))
    mask[1:3, 1:3] = 1
    mask[4:11, 4:11] = 1
    mask[6:9, 6:9] = 0
    polygon = shapely.Polygon(outline_of(mask, [0, 0, 12, 12]))
    assert polygon.bounds == (4, 4, 11, 11)
    assert polygon.is_valid
    assert polygon.area > 48


@pytest.mark.parametrize(("mask", "box"), [(np.zeros((9, 9)), [0, 0, 9, 9]), (np.ones((9, 9)), [0, 0, 0.5, 9])])
def test_outline_of__is_empty_where_no_part_is_large_enough(mask, box):
    outline = outline_of(mask, box)
    assert outline.shape == (0, 2) or shapely.Polygon(outline).area >= 1
