"""RoIAlign, beside one point after the other and beside torchvision."""

import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nucls_model import roi_align as module
from nucls_model.roi_align import roi_align
from tests.nucls_model import operator_cases
from tests.reference import roi_align as reference


def boxes_around_a_map(n: int, extent: float, seed: int) -> Tensor:
    """Boxes (n, 4), float64, some outside the map; the first have no width, no height, no size."""
    boxes = operator_cases.random_boxes(n, extent, torch.Generator().manual_seed(seed)).double()
    boxes[0, 2], boxes[1, 3], boxes[2, 2:] = boxes[0, 0], boxes[1, 1], boxes[2, :2]
    return boxes


def random_map(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("is_aligned", [False, True])
@pytest.mark.parametrize("samples", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("values_at_once", [1, 2**20])
def test_roi_align__matches_reading_point_by_point(
    size: int, samples: int, is_aligned: bool, values_at_once: int
) -> None:
    features, boxes = random_map(2, 3, 7, 9), boxes_around_a_map(12, 70, seed=size)
    image = torch.tensor([0, 1, 1] * 4)
    options = {"samples": samples, "is_aligned": is_aligned}
    expected = [
        [reference.roi_align(channel, box, size, 1 / 8, **options) for channel in features[i].tolist()]
        for i, box in zip(image, boxes.tolist(), strict=True)
    ]
    with patch.dict(module._VALUES_AT_ONCE, cpu=values_at_once):
        np.testing.assert_allclose(roi_align(features, boxes, image, size, 1 / 8, **options), expected, atol=1e-12)


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 4), st.sampled_from([0, 1, 2]), st.booleans(),
    st.lists(st.tuples(*[st.integers(-6, 6)] * 2, *[st.integers(0, 9)] * 2), max_size=5),
)  # fmt: skip
def test_roi_align__matches_reading_point_by_point_on_small_maps_and_borders(
    map_size: tuple[int, int], size: int, samples: int, is_aligned: bool, corners: list
) -> None:
    features = random_map(1, 1, *map_size)
    boxes = torch.tensor([(x, y, x + w, y + h) for x, y, w, h in corners], dtype=torch.float64).reshape(-1, 4)
    image = torch.zeros(len(boxes), dtype=torch.int64)
    options = {"samples": samples, "is_aligned": is_aligned}
    channel = features[0, 0].tolist()
    expected = [[reference.roi_align(channel, box, size, 0.5, **options)] for box in boxes.tolist()]
    pooled = roi_align(features, boxes, image, size, 0.5, **options)
    np.testing.assert_allclose(pooled, np.reshape(expected, (-1, 1, size, size)), atol=1e-12)


def test_roi_align__of_a_ramp_is_its_value_in_the_middle_of_each_bin() -> None:
    ramp = torch.arange(20.0).expand(20, 20)  # the column's number
    box, first = torch.tensor([[16.0, 24, 64, 120]]), torch.tensor([0])
    maps = torch.stack([ramp, ramp.T])[None]
    plain = roi_align(maps, box, first, 3, 1 / 8)
    torch.testing.assert_close(plain[0, 0], torch.tensor([3.0, 5, 7]).expand(3, 3))
    torch.testing.assert_close(plain[0, 1], torch.tensor([5.0, 9, 13])[:, None].expand(3, 3))
    aligned = roi_align(maps, box, first, 3, 1 / 8, is_aligned=True)
    torch.testing.assert_close(aligned, plain - 0.5)


@pytest.mark.parametrize(
    ("box", "options", "value"),
    [
        ([8.0, 8, 8, 8], {}, 1.0),  # without alignment it is a cell wide and high
        ([8.0, 8, 8, 8], {"is_aligned": True}, 0.0),  # no point to read
        ([8.0, 8, 8, 8], {"is_aligned": True, "samples": 2}, 1.0),
        ([-80.0, 0, -40, 32], {}, 0.0),  # outside
        ([-16.0, 0, 0, 8], {"samples": 2}, 0.5),  # points at -1.5 and -0.5 cells: the border reaches one cell
        ([-8.0, -8, 40, 40], {"samples": 1}, 1.0),
        ([32.0, 0, 48, 8], {"samples": 2}, 0.0),  # points at 4.5 and 5.5 of 4 cells
        ([24.0, 0, 40, 8], {"samples": 2}, 0.5),  # points at 3.5 and 4.5
    ],
)
def test_roi_align__of_ones_counts_the_points_near_the_map(box: list[float], options: dict, value: float) -> None:
    pooled = roi_align(torch.ones(1, 1, 4, 4), torch.tensor([box]), torch.tensor([0]), 1, 1 / 8, **options)
    assert pooled.item() == pytest.approx(value, abs=1e-6)


def test_roi_align__of_no_boxes_is_empty_and_sends_no_gradient() -> None:
    features = torch.randn(2, 3, 5, 5, requires_grad=True)
    pooled = roi_align(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 7, 1 / 8)
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert not features.grad.any()


@pytest.mark.parametrize(("samples", "is_aligned"), operator_cases.ROI_OPTIONS)
def test_roi_align__has_the_gradient_of_its_formula(samples: int, is_aligned: bool) -> None:
    features = random_map(2, 2, 4, 5).requires_grad_()
    boxes, image = boxes_around_a_map(8, 40, seed=1), torch.tensor([0, 1] * 4)
    options = {"samples": samples, "is_aligned": is_aligned}
    assert torch.autograd.gradcheck(lambda f: roi_align(f, boxes, image, 3, 1 / 8, **options), features)
    assert torch.autograd.gradcheck(lambda f: roi_align(f, boxes.float(), image, 3, 1 / 8, **options), features)


def test_roi_align__pools_200_boxes_and_spreads_their_gradient_back() -> None:
    """As the map is linear, <pooled, g> = <features, gradient> for any g."""
    features = random_map(2, 64, 38, 38).requires_grad_()
    boxes, image = boxes_around_a_map(200, 1216, seed=2), torch.arange(200) % 2
    g = random_map(200, 64, 14, 14, seed=3)
    pooled = roi_align(features, boxes, image, 14, 1 / 32)
    (gradient,) = torch.autograd.grad(pooled, features, g)
    torch.testing.assert_close((pooled * g).sum(), (features * gradient).sum())
    single = roi_align(features.float(), boxes.float(), image, 14, 1 / 32)
    torch.testing.assert_close(single.double(), pooled, rtol=1e-4, atol=1e-4)  # coordinates of 38 cells in float32


def test_roi_align__is_the_same_in_any_order_of_boxes_and_beside_any_others() -> None:
    features, boxes, image = random_map(2, 4, 12, 12), boxes_around_a_map(40, 96, seed=5), torch.arange(40) % 2
    pooled = roi_align(features, boxes, image, 5, 1 / 8)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:15]
    torch.testing.assert_close(roi_align(features, boxes[order], image[order], 5, 1 / 8), pooled[order])


def test_roi_align__keeps_the_type_and_computes_in_float32() -> None:
    features = torch.randn(1, 8, 9, 9, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
    boxes, image = boxes_around_a_map(6, 72, seed=6).float(), torch.zeros(6, dtype=torch.int64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = roi_align(features, boxes, image, 3, 1 / 8)
    expected = roi_align(features.float(), boxes, image, 3, 1 / 8)
    assert pooled.dtype == torch.bfloat16
    assert pooled.equal(expected.bfloat16())
    pooled.float().sum().backward()
    assert features.grad.dtype == torch.bfloat16


def test_roi_align__leaves_channels_last() -> None:
    pooled = roi_align(torch.ones(1, 8, 5, 5), torch.tensor([[0.0, 0, 8, 8]] * 3), torch.tensor([0] * 3), 4, 1 / 8)
    assert pooled.is_contiguous(memory_format=torch.channels_last)


BOX, FIRST = torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": torch.zeros(2, 5, 5)}, r"\(n_images, channels, height, width\), got \(2, 5, 5\)"),
        ({"features": torch.zeros(1, 2, 0, 5)}, r"got \(1, 2, 0, 5\)"),
        ({"boxes": torch.zeros(1, 5)}, r"boxes must be floats of the shape \(n, 4\)"),
        ({"boxes": torch.tensor([[0, 0, math.nan, 1]])}, "boxes must be finite; row 0 is"),
        ({"boxes": torch.tensor([[4.0, 0, 2, 1]])}, "xmin <= xmax and ymin <= ymax; row 0"),
        ({"image": torch.tensor([0, 0])}, r"image of each of 1 boxes is needed, got the shape \(2,\)"),
        ({"image": torch.tensor([2])}, "box 0 is of image 2, but features are of 1 images"),
        ({"image": torch.tensor([-1])}, "box 0 is of image -1"),
        ({"size": 0}, "size >= 1, samples >= 0 and scale > 0 are needed, got 0, 0 and 0.125"),
        ({"samples": -1}, "got 3, -1 and 0.125"),
        ({"scale": 0.0}, "got 3, 0 and 0.0"),
    ],
)
def test_roi_align__says_what_does_not_fit(changes: dict[str, Any], message: str) -> None:
    given_ = {"features": torch.zeros(1, 2, 5, 5), "boxes": BOX, "image": FIRST, "size": 3, "scale": 0.125}
    with pytest.raises(ValueError, match=message):
        roi_align(**{**given_, **changes})


def test_roi_align__is_the_same_on_an_accelerator() -> None:
    operator_cases.need_accelerator()
    features, boxes, image = random_map(2, 16, 38, 38), boxes_around_a_map(200, 304, seed=7), torch.arange(200) % 2
    on_both = []
    for device in ("cpu", "cuda"):
        leaf = features.to(device).requires_grad_()
        pooled = roi_align(leaf, boxes.to(device), image.to(device), 7, 1 / 8)
        (gradient,) = torch.autograd.grad(pooled.sin().sum(), leaf)
        on_both.append((pooled.cpu(), gradient.cpu()))
    torch.testing.assert_close(*on_both)


def our_answers(cases: dict[str, Tensor]) -> list[Tensor]:
    """What `operator_cases.answers` holds of RoIAlign, by our function."""
    inputs = cases["features"], cases["boxes"], cases["image"], 3, 1 / 8
    return [roi_align(*inputs, samples=samples, is_aligned=aligned) for samples, aligned in operator_cases.ROI_OPTIONS]


def test_roi_align__gives_torchvisions_golden_answers() -> None:
    cases, expected = operator_cases.read_golden()
    torch.testing.assert_close(our_answers(cases), expected["roi_align"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_roi_align__gives_torchvisions_answers_and_gradients_live(seed: int) -> None:
    operator_cases.need_torchvision()
    cases = {
        **operator_cases.small_cases(),
        "features": random_map(2, 64, 38, 38, seed=seed).requires_grad_(),
        "boxes": boxes_around_a_map(200, 304, seed=seed),
        "image": torch.arange(200) % 2,
    }
    for ours, theirs in zip(our_answers(cases), operator_cases.answers(cases)["roi_align"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        g = torch.randn_like(theirs)
        gradients = [torch.autograd.grad(pooled, cases["features"], g)[0] for pooled in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)
