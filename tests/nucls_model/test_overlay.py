"""Pictures show what they say: colours at the places of objects, matches as evaluation counts them."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nucls_model.overlay import MATCH_COLORS, Scene, color_of, draw_page, match_scene, write_pages

COLUMNS = ["xmin", "ymin", "xmax", "ymax", "label", "coords_x", "coords_y"]
COLORS = {"tumor": (255, 0, 0), "stroma": (0, 230, 77)}
GROUND = (230, 200, 220)
ZOOM, TOP, SPACE = 2, 18 + 12 + 6, 12  # pixels above and between the panels


def table(*rows):
    return pd.DataFrame([(*row, "", "")[:7] for row in rows], columns=COLUMNS)


def scene(predictions, truth=None, name="f", size=(90, 60)):
    image = np.full((size[1], size[0], 3), GROUND, np.uint8)
    return Scene(name, image, predictions, truth)


def panels(page, size=(90, 60), n=4):
    """The panels of the first scene of a page, (n, height, width, 3)."""
    pixels = np.asarray(page).astype(int)
    width, height = size[0] * ZOOM, size[1] * ZOOM
    starts = [SPACE + k * (width + SPACE) for k in range(n)]
    return np.array([pixels[TOP : TOP + height, x : x + width] for x in starts])


def is_near(panel, color, x, y):
    """Whether a pixel within 2 of x, y of the image has nearly this colour."""
    part = panel[ZOOM * y - 2 : ZOOM * y + 3, ZOOM * x - 2 : ZOOM * x + 3].reshape(-1, 3)
    return bool((np.abs(part - color).max(axis=1) < 40).any())


def test_match_scene__counts_found_missed_wrong_and_leaves_ambiguous_out():
    truth = table((10, 10, 30, 30, "tumor"), (50, 10, 70, 30, "stroma"), (10, 35, 30, 55, "AMBIGUOUS"))
    truth = pd.concat([truth, table((70, 40, 80, 50, "undetected"))])
    predictions = table((11, 10, 31, 30, "stroma"), (10, 36, 30, 56, "tumor"), (70, 40, 80, 50, "tumor"))
    matches = match_scene(scene(predictions, truth))
    assert {kind: boxes.tolist() for kind, boxes in matches.items()} == {
        "found": [[11, 10, 31, 30]],
        "wrong": [[70, 40, 80, 50]],
        "missed": [[50, 10, 70, 30]],
        "on AMBIGUOUS": [[10, 36, 30, 56]],
    }


def test_match_scene__needs_truth():
    with pytest.raises(ValueError, match="FOV 'f': expected the truth to compare with"):
        match_scene(scene(table()))


def test_draw_page__draws_every_kind_of_line_where_it_belongs():
    truth = table((10, 10, 30, 30, "tumor"), (50, 10, 70, 30, "stroma"))
    predictions = table((10, 10, 30, 30, "stroma"), (40, 35, 60, 55, "tumor"))
    plain, matched, predicted, true = panels(draw_page([scene(predictions, truth)], COLORS))
    assert (plain == GROUND).all()
    assert is_near(matched, MATCH_COLORS["found"], 10, 20)
    assert is_near(matched, MATCH_COLORS["missed"], 50, 20)
    assert is_near(matched, MATCH_COLORS["wrong"], 40, 36)
    assert is_near(predicted, COLORS["stroma"], 10, 20)
    assert is_near(predicted, COLORS["tumor"], 40, 45)
    assert is_near(true, COLORS["tumor"], 10, 20)
    assert not is_near(true, COLORS["tumor"], 40, 45)


def test_draw_page__draws_wrong_boxes_dashed():
    box = table((10, 10, 80, 50, "tumor"))
    drawn = {}
    for kind, truth in (("wrong", table()), ("found", box)):
        panel = panels(draw_page([scene(box, truth)], COLORS))[1]
        side = panel[19:22, 30:150]  # across the upper side of the box, well within it
        drawn[kind] = (np.abs(side - MATCH_COLORS[kind]).max(axis=2) < 40).any(axis=0).mean()
    assert 0.4 < drawn["wrong"] < 0.8
    assert drawn["found"] == 1


def test_draw_page__draws_the_outline_in_place_of_the_box_where_there_is_one():
    row = (10, 10, 50, 50, "tumor", "30,50,30,10", "10,30,50,30")
    _, predicted = panels(draw_page([scene(table(row))], COLORS), n=2)
    assert is_near(predicted, COLORS["tumor"], 40, 20)
    assert not is_near(predicted, COLORS["tumor"], 11, 11)


def test_draw_page__shows_two_panels_where_nobody_knows_the_truth():
    page = draw_page([scene(table((10, 10, 30, 30, "tumor")))], COLORS)
    assert page.width == 2 * 90 * ZOOM + 3 * SPACE


def test_draw_page__makes_room_for_fovs_of_different_sizes_and_a_long_legend():
    labels = [f"a class with a long name {n}" for n in range(12)]
    rows = [(5, 5, 20, 20, label) for label in labels]
    narrow = draw_page([scene(table(*rows))], {})
    short = draw_page([scene(table(rows[0]))], {})
    assert narrow.height > short.height
    two = draw_page([scene(table()), scene(table(), name="g", size=(120, 30))], {})
    assert two.width == 2 * 120 * ZOOM + 3 * SPACE


@pytest.mark.parametrize(
    ("scenes", "zoom", "words"),
    [
        ([], 2.0, "at least one scene and a zoom above 0, got 0 and 2.0"),
        ([scene(table())], 0.0, "got 1 and 0.0"),
        ([scene(table())], float("nan"), "got 1 and nan"),
        ([scene(table(), size=(9_000, 2_000))], 2.0, "is too large; draw fewer FOVs, or a smaller zoom"),
    ],
)
def test_draw_page__says_what_it_cannot_draw(scenes, zoom, words):
    with pytest.raises(ValueError, match=words):
        draw_page(scenes, COLORS, zoom=zoom)


def test_color_of__is_grey_for_classes_without_one():
    assert [color_of(name, COLORS) for name in ("tumor", "AMBIGUOUS", "new")] == [
        (255, 0, 0), (80, 80, 80), (128, 128, 128),
    ]  # fmt: skip


def test_write_pages__writes_whole_files_and_the_same_bytes_again(tmp_path):
    scenes = [scene(table((10, 10, 30, 30, "tumor")), name=f"f{n}") for n in range(5)]
    files = write_pages(scenes, COLORS, tmp_path, per_page=2)
    assert [file.name for file in files] == ["page_01.png", "page_02.png", "page_03.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name for file in files]
    first = files[0].read_bytes()
    with Image.open(files[0]) as page:
        assert page.format == "PNG"
    write_pages(scenes, COLORS, tmp_path, per_page=2)
    assert files[0].read_bytes() == first


@pytest.mark.parametrize("size", [(600, 500), (20_000, 3)])
def test_write_pages__draws_large_fovs_smaller(tmp_path, monkeypatch, size):
    monkeypatch.setattr("nucls_model.overlay.PAGE_LIMIT", 1 << 22)
    scenes = [scene(table((10, 10, 30, 30, "tumor")), table(), name=str(n), size=size) for n in range(4)]
    with pytest.raises(ValueError, match="too large"):
        draw_page(scenes, COLORS)
    [path] = write_pages(scenes, COLORS, tmp_path)
    with Image.open(path) as page:
        width, height = page.size
    assert 3 << 18 < width * height <= 1 << 20  # drawn at twice the size, then reduced


def test_write_pages__refuses_two_fovs_of_one_name(tmp_path):
    with pytest.raises(ValueError, match="names of their own, got 'f', 'f'"):
        write_pages([scene(table()), scene(table())], COLORS, tmp_path)
