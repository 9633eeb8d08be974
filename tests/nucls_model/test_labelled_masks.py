import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crowdtruth.formats import read_study
from nucls_model.dataset import rasterise
from nucls_model.labelled import read_nucls_folder
from nucls_model.labelled.masks import border, outlines_in_mask
from tests.nucls_model.labelled_cases import POLYLINE, disc, paint_mask, write_fov

BOX = ["xmin", "ymin", "xmax", "ymax"]


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


def test_outlines_in_mask__an_instance_in_pieces_costs_their_pixels_alone(tmp_path: Path) -> None:
    side = 512
    dots = np.zeros((side, side), dtype=bool)
    dots[::4, ::4] = True  # 16,384 pieces: their masks of the whole would be 4 GB
    paint_mask(tmp_path / "m.png", [(1, 3, 4, dots)], side=side)
    tracemalloc.start()
    outlines = outlines_in_mask(tmp_path / "m.png", np.array([[8.0, 12.0, 9.0, 13.0], [40.0, 40.0, 60.0, 60.0]]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outlines["coords_x"].tolist() == ["8", ""]
    assert peak < 200e6


def test_read_nucls_folder__polylines_without_coordinates_have_outlines_from_the_mask(tmp_path: Path) -> None:
    stem = write_fov(tmp_path, rows=(("tumor", "polyline", (12, 22, 28, 38), "", ""), (*POLYLINE[:3], "", "")))
    pixels = disc(20, 30, 8)
    paint_mask(tmp_path / "mask" / f"{stem}.png", [(1, 1, 3, pixels)])
    labelled = read_nucls_folder(tmp_path)
    assert labelled.objects["has_outline"].tolist() == [True, False]
    np.testing.assert_array_equal(outline_pixels(labelled.objects, 0), pixels)
    assert any("1 polylines without coordinates have their outlines from the masks" in n for n in labelled.notes)
    assert any("1 polylines without coordinates are in no mask" in n for n in labelled.notes)


@pytest.mark.data
def test_outlines_in_mask__are_the_published_polylines(data_dir: Path) -> None:
    folder = data_dir / "nucls_fovs"
    dice = []
    for fov, rows in read_study(folder / "csv").annotations.groupby("fov"):
        mask = folder / "mask" / f"{fov}.png"
        if not mask.exists():
            continue
        outlines = outlines_in_mask(mask, rows[BOX].to_numpy())
        for place, row in enumerate(rows.itertuples()):
            if row.kind == "box":
                continue
            points = [np.array(text.split(","), dtype=float) for text in (row.coords_x, row.coords_y)]
            drawn = rasterise(*points, 450, 450)
            found = outline_pixels(outlines, place, 450) if outlines.loc[place, "coords_x"] else np.zeros_like(drawn)
            dice.append(2 * (drawn & found).sum() / (drawn.sum() + found.sum()))
    assert len(dice) == 115
    assert np.median(dice) > 0.95
    assert min(dice) > 0.85  # masks lack the last row and column, and neighbours lie on top
