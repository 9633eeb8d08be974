"""Tiles part an image, and what is found in them is put together without loss or repetition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.boxes import pairwise_iou
from nucls_model.instances import Detections
from nucls_model.predict.found import Counts, find_objects, read_ahead
from nucls_model.predict.images import Source
from nucls_model.predict.seams import keep_once
from nucls_model.predict.tiles import GRID, Tiling, claims, count_tiles, make_tiles, quarters
from nucls_model.predict.views import make_view
from tests.nucls_model import blobs

TILINGS = st.builds(
    lambda step, half: Tiling(tile=GRID * step + 2 * half, overlap=2 * half),
    step=st.integers(1, 6),
    half=st.integers(0, 40),
)


@given(st.integers(1, 700), st.integers(1, 700), TILINGS)
def test_make_tiles__cores_part_the_image_and_extents_reach_half_an_overlap_further(width, height, tiling):
    covered = np.zeros((height, width), np.int8)
    margin = tiling.overlap // 2
    tiles = list(make_tiles(width, height, tiling))
    assert len(tiles) == count_tiles(width, height, tiling)
    for tile in tiles:
        x0, y0, x1, y1 = tile.core
        covered[y0:y1, x0:x1] += 1
        assert tile.extent[0] == max(0, x0 - margin)
        assert tile.extent[1] == max(0, y0 - margin)
        assert tile.extent[2:] == (min(width, x1 + margin), min(height, y1 + margin))
        assert tile.extent[2] - tile.extent[0] <= tiling.tile
        assert tile.extent[0] % GRID == tile.extent[1] % GRID == 0
    assert (covered == 1).all()


@given(st.integers(1, 400), st.integers(1, 400))
def test_quarters__part_the_core_and_end(width, height):
    tiling = Tiling(tile=224, overlap=64)
    size = width, height

    def cut(tile):
        parts = quarters(tile, size, tiling)
        return [piece for part in parts for piece in cut(part)] if parts else [tile]

    covered = np.zeros((height, width), np.int8)
    for tile in make_tiles(width, height, tiling):
        for piece in cut(tile):
            x0, y0, x1, y1 = piece.core
            covered[y0:y1, x0:x1] += 1
            assert piece.extent[0] <= max(0, x0 - 32)
            assert piece.extent[3] == min(height, y1 + 32)
            assert x1 - x0 < 2 * GRID
    assert (covered == 1).all()


@pytest.mark.parametrize(("tile", "overlap"), [(500, 128), (512, 512), (512, -64), (511, 127)])
def test_tiling__refuses_tiles_that_do_not_fit_together(tile, overlap):
    with pytest.raises(ValueError, match=f"got tile {tile}, overlap {overlap}"):
        Tiling(tile=tile, overlap=overlap)


def test_claims__gives_every_centre_to_one_tile():
    tiling, size = Tiling(tile=128, overlap=32), (300, 200)
    centres = np.random.default_rng(0).uniform((-3, -3), (303, 203), (500, 2))  # boxes may jut out of the image
    centres[:4] = [112, 50], [112, 112], [208, 112], [111.999, 50]
    boxes = np.concatenate([centres - 6, centres + 6], axis=1)
    claim = np.array([claims(tile, boxes, size) for tile in make_tiles(*size, tiling)])
    np.testing.assert_array_equal((claim == 2).sum(axis=0), 1)
    assert (claim[:, 0] > 0).sum() == 2  # on a seam: at home in one, in reserve in the other


def test_keep_once__is_the_greedy_rule_whatever_the_order_of_rows():
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 60, (80, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 15, (80, 2))], axis=1)
    objectness, claim = rng.integers(0, 20, 80) / 20, rng.integers(1, 3, 80).astype(np.int8)
    groups, iou = rng.integers(0, 2, 80), pairwise_iou(boxes)
    expected = np.zeros(80, dtype=bool)
    for row in np.lexsort((*boxes.T[::-1], -objectness, -claim)):
        expected[row] = not any(expected[k] and groups[k] == groups[row] and iou[k, row] > 0.2 for k in range(80))
    np.testing.assert_array_equal(keep_once(boxes, objectness, claim, groups, iou=0.2), expected)
    order = rng.permutation(80)
    shuffled = keep_once(boxes[order], objectness[order], claim[order], groups[order], iou=0.2)
    np.testing.assert_array_equal(shuffled, expected[order])
    assert 0 < expected.sum() < 80


def test_keep_once__takes_no_objects():
    none = np.zeros(0)
    assert len(keep_once(np.zeros((0, 4)), none, none.astype(np.int8), none.astype(np.int64), iou=0.2)) == 0


def view_of(pixels):
    """A view of pixels (height, width, 3), and the sizes of the parts that were read."""
    read = []

    def part(level, x0, y0, x1, y1):
        read.append((x1 - x0, y1 - y0))
        return pixels[y0:y1, x0:x1]

    return make_view(Source("painted", (pixels.shape[1::-1],), 0.2, part)), read


def objects_of(detect, view, tiling):
    """Boxes and outlines found in an image, each once, ordered by place."""
    counts = Counts()
    tiles = make_tiles(view.width, view.height, tiling)
    size = view.width, view.height
    pieces = read_ahead(view, tiles)
    parts = [part for piece in pieces for part in find_objects(detect, piece, size, tiling, counts)]
    boxes = np.concatenate([np.zeros((0, 4)), *[part.boxes for part in parts]])
    objectness = np.concatenate([np.zeros(0), *[part.objectness for part in parts]])
    claim = np.concatenate([np.zeros(0, np.int8), *[part.claim for part in parts]])
    stays = keep_once(boxes, objectness, claim, np.zeros(len(boxes), np.int64), iou=tiling.nms_iou)
    outlines = [outline for part in parts for outline in part.outlines]
    order = [row for row in np.lexsort(boxes.T) if stays[row]]
    return boxes[order], objectness[order], [outlines[row] for row in order], counts


@given(
    st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300)), max_size=40),
    st.integers(0, 1000),
    st.integers(2, 8).map(lambda step: Tiling(tile=GRID * step + 64, overlap=64)),
)
def test_find_objects__does_not_depend_on_the_size_of_tiles(centres, seed, tiling):
    radii = np.random.default_rng(seed).uniform(2, 28, len(centres))  # at most 56 pixels: overlap - 2 × SEAM
    pixels, kept = blobs.paint((400, 300), centres, radii, seed)
    view, read = view_of(pixels)
    found = objects_of(blobs.detect, view, tiling)
    assert max(max(size) for size in read) <= tiling.tile
    at_once = objects_of(blobs.detect, view, Tiling(tile=2048, overlap=128))
    np.testing.assert_array_equal(found[0], at_once[0])
    np.testing.assert_array_equal(found[1], at_once[1])
    for outline, expected in zip(found[2], at_once[2], strict=True):
        np.testing.assert_allclose(outline, expected, atol=1e-9)
    assert len(found[0]) <= len(kept)
    assert found[3].cut == 0


def test_find_objects__neither_loses_nor_repeats_what_tiles_see_a_little_apart():
    """Every tile moves all it finds by up to a pixel, its own way: no centre near a seam is lost or found twice."""
    rng = np.random.default_rng(3)
    centres = [(x + rng.uniform(-6, 6), y + rng.uniform(-6, 6)) for x in range(16, 624, 32) for y in range(16, 464, 32)]
    pixels, kept = blobs.paint((640, 480), centres, np.full(len(centres), 7.0))
    view, _ = view_of(pixels)
    shifts = np.random.default_rng(4)

    def shaky(images):
        found = blobs.detect(images)[0]
        shift = torch.from_numpy(shifts.uniform(-1, 1, (len(found.boxes), 2))).float()
        return [Detections(**{**vars(found), "boxes": found.boxes + shift.repeat(1, 2)})]

    boxes, *_ = objects_of(shaky, view, Tiling(tile=128, overlap=64))
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = np.hypot(*(centre[:, None] - kept[None, :, :2]).transpose(2, 0, 1))
    assert len(boxes) == len(kept) == len(centres)
    assert (distance.min(axis=1) < 2.5).all()
    assert (distance.min(axis=0) < 2.5).all()


def test_find_objects__cuts_tiles_that_come_back_full():
    centres = [(x, y) for x in range(8, 400, 16) for y in range(8, 300, 16)]
    pixels, kept = blobs.paint((400, 300), centres, np.full(len(centres), 4.0))
    view, _ = view_of(pixels)

    def capped(images):
        found = blobs.detect(images)[0]
        return [Detections(**{name: value[:110] for name, value in vars(found).items()})]

    tiling = Tiling(tile=256, overlap=64, max_detections=110)
    found = objects_of(capped, view, tiling)
    expected = objects_of(blobs.detect, view, Tiling(tile=2048, overlap=64, max_detections=None))
    assert len(kept) == len(expected[0]) > 110
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[3].full == 0


def test_find_objects__counts_the_smallest_tiles_that_are_still_full():
    pixels, _ = blobs.paint((64, 64), [(20, 20), (40, 40)], [5, 5])
    view, _ = view_of(pixels)
    *_, counts = objects_of(blobs.detect, view, Tiling(tile=128, overlap=64, max_detections=1))
    assert counts.full == 4


def test_find_objects__counts_what_reaches_over_its_tile():
    pixels, _ = blobs.paint((400, 100), [(200, 50)], [49.0])
    view, _ = view_of(pixels)
    *_, counts = objects_of(blobs.detect, view, Tiling(tile=96, overlap=32))
    assert counts.cut > 0


def test_read_ahead__reads_every_tile_once_and_in_order():
    pixels = np.random.default_rng(0).integers(0, 256, (150, 200, 3)).astype(np.uint8)
    view, read = view_of(pixels)
    tiles = list(make_tiles(200, 150, Tiling(tile=96, overlap=32)))
    pieces = list(read_ahead(view, tiles))
    assert [piece.tile for piece in pieces] == tiles
    assert len(read) == len(tiles)
    for piece in pieces:
        x0, y0, x1, y1 = piece.tile.extent
        np.testing.assert_array_equal(piece.pixels, pixels[y0:y1, x0:x1])


def test_read_ahead__tells_of_a_part_that_cannot_be_read():
    def damaged(*box):
        raise ValueError("a.tif: part 0 cannot be decoded")

    view = make_view(Source("a.tif", ((100, 100),), 0.2, damaged))
    with pytest.raises(ValueError, match="part 0 cannot be decoded"):
        list(read_ahead(view, make_tiles(100, 100, Tiling())))


def test_find_objects__passes_over_glass():
    pixels, _ = blobs.paint((400, 100), [(20, 50)], [9.0])
    pixels = np.where(pixels == 255, 240, pixels).astype(np.uint8)  # glass is never quite white
    view, _ = view_of(pixels)
    seen = []

    def watched(images):
        seen.append(images[0].shape)
        return [Detections(**{name: value[:0] for name, value in vars(blobs.detect(images)[0]).items()})]

    *_, counts = objects_of(watched, view, Tiling(tile=128, overlap=32))
    assert (counts.tiles, counts.glass, len(seen)) == (4, 3, 1)
    *_, counts = objects_of(watched, view, Tiling(tile=128, overlap=32, skip_glass=False))
    assert (counts.glass, len(seen)) == (0, 5)
