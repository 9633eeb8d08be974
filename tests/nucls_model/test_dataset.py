import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import line

from crowdtruth.problems import StudyError
from nucls_model.dataset import FovDataset, class_targets, collate, lines, rasterise, target_of
from nucls_model.labelled import LabelledFovs, read_nucls_folder
from nucls_model.transforms import RandomCrop
from tests.nucls_model.labelled_cases import POLYLINE, RECTANGLE, UNLABELED, write_fov

CLASSES = ("a", "b")
OUTLINE = {"coords_x": "10,20,20,10", "coords_y": "10,10,20,20"}


def row(
    label: str = "a", p_exists: float = 1.0, a: float = 1.0, b: float = 0.0, ambiguous: float = 0.0, **more
) -> dict:
    given = {"xmin": 10.0, "ymin": 10.0, "xmax": 21.0, "ymax": 21.0, "label": label, "p_exists": p_exists}
    return {**given, "prob_a": a, "prob_b": b, "prob_AMBIGUOUS": ambiguous, "coords_x": "", "coords_y": "", **more}


def target_from(*rows: dict):
    return target_of(pd.DataFrame(rows or [row()])[: len(rows)], CLASSES, height=40, width=30)


# --- soft targets


def test_target_of__class_target_is_the_posterior_over_the_real_classes() -> None:
    target = target_from(row(p_exists=0.8, a=0.3, b=0.1, ambiguous=0.6))
    torch.testing.assert_close(target.classes, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(target.class_weight, torch.tensor([0.8 * 0.4]))
    torch.testing.assert_close(target.existence, torch.tensor([0.8]))


def test_target_of__ambiguous_has_box_and_mask_but_no_class() -> None:
    target = target_from(row("AMBIGUOUS", a=0.4, ambiguous=0.6, **OUTLINE))
    assert target.class_weight.tolist() == [0.0]
    assert target.classes.tolist() == [[0.5, 0.5]]
    assert target.existence.tolist() == [1.0]
    assert target.has_outline.tolist() == [True]
    assert target.masks.shape == (1, 40, 30)


def test_target_of__without_mass_on_a_real_class_is_uniform_and_weighs_nothing() -> None:
    target = target_from(row("a", a=0.0, ambiguous=1.0))
    assert target.classes.tolist() == [[0.5, 0.5]]
    assert target.class_weight.tolist() == [0.0]


@pytest.mark.parametrize("label", ["undetected", ""])
def test_target_of__what_may_exist_is_ignored_and_no_object(label: str) -> None:
    target = target_from(row(), row(label, p_exists=0.06, xmin=1.0))
    assert len(target.boxes) == 1
    assert target.ignored.tolist() == [[1.0, 10.0, 21.0, 21.0]]


def test_target_of__what_hardly_exists_is_background() -> None:
    assert len(target_from(row("undetected", p_exists=0.05)).ignored) == 0


def test_target_of__certain_labels_are_one_hot_with_weight_one() -> None:
    target = target_from(row("b", a=0.0, b=1.0))
    assert target.classes.tolist() == [[0.0, 1.0]]
    assert target.class_weight.tolist() == target.existence.tolist() == [1.0]


def test_target_of__no_object_has_empty_tensors_of_the_right_shapes() -> None:
    target = target_from()
    shapes = {field.name: tuple(getattr(target, field.name).shape) for field in dataclasses.fields(target)}
    assert shapes == {
        "boxes": (0, 4),
        "classes": (0, 2),
        "class_weight": (0,),
        "existence": (0,),
        "has_outline": (0,),
        "masks": (0, 40, 30),
        "ignored": (0, 4),
    }


def test_target_of__masks_are_of_the_outlined_objects_in_their_order() -> None:
    far = {"coords_x": "1,3,3,1", "coords_y": "30,30,33,33"}
    target = target_from(row(**OUTLINE), row(), row(**far))
    assert target.has_outline.tolist() == [True, False, True]
    assert [mask.sum().item() for mask in target.masks] == [11 * 11, 3 * 4]
    assert target.masks[1, 30, 1]


def test_target_of__an_outline_outside_of_the_image_counts_as_none() -> None:
    target = target_from(row(coords_x="100,110,110", coords_y="5,5,9"))
    assert target.has_outline.tolist() == [False]
    assert target.masks.shape == (0, 40, 30)


probability = st.floats(0, 1).filter(lambda p: p == 0 or p > 1e-6)


@given(st.lists(st.tuples(probability, probability, probability, probability), min_size=1, max_size=6))
def test_class_targets__rows_sum_to_one_and_weights_are_fractions(values: list[tuple[float, ...]]) -> None:
    frame = pd.DataFrame(values, columns=["p_exists", "prob_a", "prob_b", "prob_AMBIGUOUS"]).assign(label="a")
    classes, weight = class_targets(frame, CLASSES)
    torch.testing.assert_close(classes.sum(dim=1), torch.ones(len(frame)))
    assert ((weight >= 0) & (weight <= 1)).all()


# --- rasters


def test_rasterise__cuts_what_leaves_the_image() -> None:
    mask = rasterise([-5, 3, 3, -5], [-5, -5, 2, 2], 10, 10)
    assert mask[:3, :4].all()
    assert mask.sum() == 12


@given(st.lists(st.tuples(st.integers(-5, 25), st.integers(-5, 25)), min_size=1, max_size=8))
def test_rasterise__in_a_cut_image_is_the_cut_of_the_whole(points: list[tuple[int, int]]) -> None:
    x, y = np.array(points).T
    whole = rasterise(x + 10, y + 10, 50, 50)[10:30, 10:28]
    np.testing.assert_array_equal(rasterise(x, y, 20, 18), whole)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), min_size=3, max_size=3))
def test_rasterise__has_every_pixel_inside_of_a_triangle_and_its_corners(points: list[tuple[int, int]]) -> None:
    import shapely

    x, y = np.array(points).T
    mask = rasterise(x, y, 20, 20)
    rows, columns = np.mgrid[:20, :20]
    triangle = shapely.Polygon(points)
    inside = shapely.contains_properly(triangle, shapely.points(columns, rows))
    near = shapely.dwithin(triangle, shapely.points(columns, rows), 0.75)  # a line is drawn on the nearest pixels
    assert mask[y, x].all()
    assert mask[inside].all()
    assert not mask[~near].any()


@pytest.mark.parametrize("x", [[], [0, 1e7], [0, np.nan]])
def test_rasterise__needs_points_in_reach(x: list[float]) -> None:
    with pytest.raises(ValueError, match="an outline has points, less than 1,000,000 pixels away"):
        rasterise(x, x, 5, 5)


@settings(max_examples=60)
@given(
    arrays(np.int64, st.tuples(st.integers(1, 6), st.just(2)), elements=st.integers(-40, 60)), st.integers(0, 2**32 - 1)
)
def test_lines__are_the_usual_ones_as_far_as_they_are_in_the_image(starts: np.ndarray, seed: int) -> None:
    ends = np.random.default_rng(seed).permutation(starts.ravel()).reshape(starts.shape)
    expected = np.zeros((20, 30), dtype=bool)
    for row, column in np.concatenate(
        [np.column_stack(line(*start, *end)) for start, end in zip(starts, ends, strict=True)]
    ):
        if 0 <= row < 20 and 0 <= column < 30:
            expected[row, column] = True
    drawn = np.zeros_like(expected)
    drawn[lines(starts, ends, 20, 30)] = True
    np.testing.assert_array_equal(drawn, expected)


def test_rasterise__points_far_away_cost_no_memory() -> None:
    x, y = np.tile([-999_999, 999_999], 5_000), np.repeat([5, 6], 5_000)
    tracemalloc.start()
    mask = rasterise(x, y, 20, 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mask[5:7].all()
    assert not mask[7:].any()
    assert peak < 200e6


# --- the dataset


@pytest.fixture
def labelled(tmp_path: Path) -> LabelledFovs:
    for number in range(3):
        write_fov(tmp_path, number, rows=(RECTANGLE, POLYLINE, UNLABELED)[: number + 1])
    return read_nucls_folder(tmp_path)


def test_fov_dataset__items_follow_the_rows_asked_for(labelled: LabelledFovs) -> None:
    dataset = FovDataset(labelled, [2, 0])
    assert len(dataset) == 2
    assert [len(dataset[place][1].boxes) for place in range(2)] == [3, 1]


def test_fov_dataset__images_are_fractions(labelled: LabelledFovs) -> None:
    image, target = FovDataset(labelled, [1])[0]
    assert image.shape == (3, 64, 64)
    assert image.dtype == torch.float32
    torch.testing.assert_close(image[:, 0, 0], torch.tensor([200, 150, 180]) / 255)
    assert target.boxes.tolist() == [list(RECTANGLE[2]), list(POLYLINE[2])]


def test_fov_dataset__an_item_follows_from_its_seed(labelled: LabelledFovs) -> None:
    dataset = FovDataset(labelled, [2], transform=RandomCrop(40))
    crops = [dataset[0, seed][1].boxes.tolist() for seed in (1, 2, 1)]
    assert crops[0] == crops[2] != crops[1]


def test_fov_dataset__a_transform_needs_a_seed(labelled: LabelledFovs) -> None:
    with pytest.raises(ValueError, match="a transform and a seed belong together"):
        FovDataset(labelled, [0], transform=RandomCrop(40))[0]
    with pytest.raises(ValueError, match="a transform and a seed belong together"):
        FovDataset(labelled, [0])[0, 1]


def test_fov_dataset__refuses_rows_that_are_not_there(labelled: LabelledFovs) -> None:
    with pytest.raises(IndexError, match="rows must be 0 to 2, the FOVs of the table; got 3"):
        FovDataset(labelled, [0, 3])


def test_fov_dataset__an_image_that_went_away_is_named(labelled: LabelledFovs) -> None:
    dataset = FovDataset(labelled, [0])
    Path(labelled.fovs.loc[0, "image"]).unlink()
    with pytest.raises(StudyError, match=r"A000-DX1\.png of FOV .* cannot be read: there is no such file"):
        dataset[0]


def test_fov_dataset__a_loader_gives_lists_of_any_sizes(labelled: LabelledFovs) -> None:
    loader = torch.utils.data.DataLoader(FovDataset(labelled, [0, 1, 2]), batch_size=2, collate_fn=collate)
    batches = list(loader)
    assert [len(images) for images, _ in batches] == [2, 1]
    assert batches[0][1][1].boxes.shape == (2, 4)


@pytest.mark.data
def test_fov_dataset__masks_of_the_published_fovs_fill_their_boxes(data_dir: Path) -> None:
    labelled = read_nucls_folder(data_dir / "nucls_fovs")
    dataset = FovDataset(labelled, range(len(labelled.fovs)))
    for place in range(0, len(dataset), 4):
        image, target = dataset[place]
        assert image.shape[1:] == target.masks.shape[1:]
        for box, mask in zip(target.boxes[target.has_outline], target.masks, strict=True):
            ys, xs = torch.nonzero(mask, as_tuple=True)
            extent = torch.stack([xs.min(), ys.min(), xs.max(), ys.max()])
            assert (extent - box).abs().max() <= 1.5  # a cut outline ends between pixels
            assert 0.4 < mask.sum() / ((box[2] - box[0]) * (box[3] - box[1])) < 1.1
