import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nucls_model.instances import Target
from nucls_model.transforms import Compose, RandomCrop, RandomFlip, StainJitter, flip, training_transform


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def painted(
    boxes: list[tuple[int, ...]], *, height: int, width: int, ignored: list | None = None
) -> tuple[Tensor, Target]:
    """An image in which object k is painted with (k + 1) / 10 over its box, outlined by it."""
    image, masks = torch.zeros(3, height, width), torch.zeros(len(boxes), height, width, dtype=torch.bool)
    for k, (xmin, ymin, xmax, ymax) in enumerate(boxes):
        image[:, ymin:ymax, xmin:xmax] = (k + 1) / 10
        masks[k, ymin:ymax, xmin:xmax] = True
    n = len(boxes)
    return image, Target(
        boxes=torch.tensor(boxes, dtype=torch.float32).view(n, 4),
        classes=torch.eye(max(n, 1))[:n],
        class_weight=torch.arange(n) / 10,
        existence=(1 + torch.arange(n)) / 10,
        has_outline=torch.ones(n, dtype=torch.bool),
        masks=masks,
        ignored=torch.tensor(ignored or [], dtype=torch.float32).view(-1, 4),
    )


def extent(mask: Tensor) -> list[int]:
    ys, xs = torch.nonzero(mask, as_tuple=True)
    return [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]


# boxes side by side, so that none is painted over
APART = [(2, 2, 12, 14), (20, 4, 31, 30), (5, 20, 15, 38), (33, 30, 38, 36)]


@given(st.integers(0, 10_000), st.integers(5, 60), st.integers(40, 50), st.integers(40, 50))
def test_random_crop__boxes_and_masks_stay_with_the_pixels(seed: int, size: int, height: int, width: int) -> None:
    image, target = painted(APART, height=height, width=width)
    cut, left = RandomCrop(size, min_side=2)(image, target, generator(seed))
    assert cut.shape == (3, size, size)
    for k, box in enumerate(left.boxes.tolist()):
        value = float(left.existence[k])  # which object it was
        assert extent(cut[0].sub(value).abs() < 1e-6) == extent(left.masks[k]) == box


@given(st.integers(0, 10_000), st.integers(5, 60))
def test_random_crop__leaves_out_exactly_what_it_cut_too_small(seed: int, size: int) -> None:
    image, target = painted(APART, height=45, width=45)
    cut, left = RandomCrop(size)(image, target, generator(seed))
    expected = []
    for k, (xmin, ymin, xmax, ymax) in enumerate(APART):
        shown = cut[0].sub((k + 1) / 10).abs() < 1e-6
        if shown.any():
            x0, y0, x1, y1 = extent(shown)
            sides = ((x1 - x0, xmax - xmin), (y1 - y0, ymax - ymin))
            if all(now > 8 or now == whole for now, whole in sides):
                expected.append(round((k + 1) / 10, 1))
    assert [round(value, 1) for value in left.existence.tolist()] == expected


def test_random_crop__a_small_nucleus_that_is_whole_stays() -> None:
    image, target = painted([(10, 10, 15, 16)], height=40, width=40)
    assert len(RandomCrop(40)(image, target, generator())[1].boxes) == 1


def test_random_crop__of_a_small_image_pads_on_the_left_and_above() -> None:
    image, target = painted([(0, 0, 10, 12)], height=20, width=30, ignored=[(3, 3, 9, 9)])
    cut, left = RandomCrop(40)(image, target, generator())
    assert left.boxes.tolist() == [[10, 20, 20, 32]]
    assert left.ignored.tolist() == [[13, 23, 19, 29]]
    assert not cut[:, :20].any()
    assert not cut[:, :, :10].any()


def test_random_crop__ignored_boxes_are_cut_and_dropped_outside() -> None:
    image, target = painted([], height=40, width=40, ignored=[(0, 0, 40, 40), (0, 0, 1, 1)])
    _, left = RandomCrop(20)(image, target, generator(1))
    assert left.ignored.tolist() == [[0, 0, 20, 20]]


def test_random_crop__keeps_objects_without_outline_without_one() -> None:
    image, target = painted(APART, height=45, width=45)
    bare = Target(
        **{
            **vars(target),
            "has_outline": torch.tensor([True, False, True, False]),
            "masks": target.masks[[0, 2]],
        }
    )
    _, left = RandomCrop(45)(image, bare, generator())
    assert left.has_outline.tolist() == [True, False, True, False]
    assert [extent(mask) for mask in left.masks] == [list(APART[0]), list(APART[2])]


def test_random_crop__an_outline_cut_off_altogether_is_none() -> None:
    image, target = painted([(0, 0, 40, 40)], height=40, width=40)
    mask = torch.zeros(1, 40, 40, dtype=torch.bool)
    mask[0, 0, 0] = True
    _, left = RandomCrop(12)(image, Target(**{**vars(target), "masks": mask}), generator(3))
    assert left.has_outline.tolist() == [False]
    assert left.masks.shape == (0, 12, 12)


def test_random_crop__every_place_is_equally_likely() -> None:
    image, target = painted([(0, 0, 1, 1)], height=12, width=10)
    image[0] = torch.arange(120).view(12, 10)
    draw = generator(1)
    corner = [int(RandomCrop(8)(image, target, draw)[0][0, 0, 0]) for _ in range(3000)]
    counts = np.bincount([10 * (c // 10) + c % 10 for c in corner], minlength=120).reshape(12, 10)
    assert counts[:5, :3].sum() == 3000
    # 15 places, 200 each; five standard deviations
    assert np.abs(counts[:5, :3] - 200).max() < 5 * np.sqrt(200)


def test_random_crop__writes_to_nothing_it_was_given() -> None:
    image, target = painted(APART, height=45, width=45)
    before = image.clone(), target.boxes.clone(), target.masks.clone()
    RandomCrop(20)(image, target, generator())
    RandomFlip(1.0, 1.0)(image, target, generator())
    for now, then in zip((image, target.boxes, target.masks), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize("axis", [0, 1])
def test_flip__boxes_and_masks_stay_with_the_pixels(axis: int) -> None:
    image, target = painted(APART, height=45, width=40, ignored=[APART[0]])
    turned, moved = flip(image, target, axis=axis)
    for k, box in enumerate(moved.boxes.tolist()):
        assert extent(turned[0].sub((k + 1) / 10).abs() < 1e-6) == extent(moved.masks[k]) == box
    assert moved.ignored.tolist() == moved.boxes[:1].tolist()


@pytest.mark.parametrize("axis", [0, 1])
def test_flip__twice_is_as_before(axis: int) -> None:
    image, target = painted(APART, height=45, width=40)
    again, back = flip(*flip(image, target, axis=axis), axis=axis)
    assert torch.equal(again, image)
    assert torch.equal(back.boxes, target.boxes)
    assert torch.equal(back.masks, target.masks)


def test_random_flip__happens_with_its_probabilities() -> None:
    image, target = painted([(0, 0, 4, 4)], height=10, width=10)
    draw = generator(2)
    corners = [tuple(RandomFlip(0.5, 0.25)(image, target, draw)[1].boxes[0, :2].tolist()) for _ in range(2000)]
    assert abs(np.mean([x > 0 for x, _ in corners]) - 0.5) < 0.05
    assert abs(np.mean([y > 0 for _, y in corners]) - 0.25) < 0.05


def test_stain_jitter__changes_colours_alone() -> None:
    rng = np.random.default_rng(0)
    stains = np.array([[0.65, 0.07], [0.70, 0.99], [0.29, 0.11]])
    image = torch.from_numpy(np.exp(-(stains @ rng.uniform(0, 1.5, (2, 1600))))).float().view(3, 40, 40)
    _, target = painted([], height=40, width=40)
    stained, same = StainJitter()(image, target, generator())
    assert same is target
    assert (stained - image).abs().mean() > 0.01
    assert torch.equal(StainJitter(1.0, 1.0)(image, target, generator())[0], image)


def test_training_transform__follows_from_the_generator() -> None:
    image, target = painted(APART, height=45, width=45)
    steps = training_transform(30, vertical_flip=0.5)
    first, again, other = (steps(image, target, generator(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_transform__without_stain_has_no_such_step() -> None:
    assert [type(step) for step in training_transform(30, has_stain_jitter=False).steps] == [RandomCrop, RandomFlip]


def test_compose__goes_in_order() -> None:
    image, target = painted(APART, height=45, width=45)
    cut, _ = Compose((RandomCrop(20), RandomCrop(10)))(image, target, generator())
    assert cut.shape == (3, 10, 10)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RandomCrop(0), "a size of at least 1"),
        (lambda: RandomCrop(5, -1), "a min_side of at least 0"),
        (lambda: RandomFlip(1.5), "probabilities from 0 to 1"),
        (lambda: StainJitter(0.5, 0.4), "0 <= low <= high"),
    ],
)
def test_transforms__say_what_they_expected(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
