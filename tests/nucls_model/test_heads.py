"""What the heads are given, and what they say."""

import pytest
import torch

from nucls_model.heads import BoxFeatures, BoxHead, ClassBranch, MaskHead, RoiPool, conv_stack

BOXES, IMAGE = torch.tensor([[0.0, 0, 40, 40], [8, 16, 60, 32]]), torch.tensor([0, 1])


def features(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(2, 8, 10, 12, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_roi_pool__keeps_half_floats_half(dtype: torch.dtype) -> None:
    assert (
        RoiPool(7, 8)(features(dtype), BOXES, IMAGE).dtype == dtype
    )  # 512 boxes of 14 × 14 × 512 take 103 MB, not 206


def test_roi_pool__reads_the_map_where_a_box_lies_without_half_a_cell_of_shift() -> None:
    x = 8.0 * torch.arange(12).expand(1, 1, 10, 12)  # convolutions with odd kernels centre cell i on pixel 8 i
    y = 8.0 * torch.arange(10)[:, None].expand(1, 1, 10, 12)
    pooled = RoiPool(4, 8)(torch.cat([x, y], dim=1), torch.tensor([[16.0, 24, 48, 40]]), torch.tensor([0]))
    assert pooled[0, 0, 0].tolist() == pytest.approx([20, 28, 36, 44])
    assert pooled[0, 1, :, 0].tolist() == pytest.approx([26, 30, 34, 38])


def test_heads__say_in_float32_what_they_compute_in_half_floats() -> None:
    pool = RoiPool(4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        x = BoxFeatures(pool, 8, 16)(features(), BOXES, IMAGE)
        encoded, masks = BoxHead(16, 3)(x), MaskHead(pool, 8, 1, 6, 2)(features(), BOXES, IMAGE)
    assert x.dtype == torch.bfloat16
    assert (encoded.dtype, encoded.shape) == (torch.float32, (2, 12))
    assert (masks.dtype, masks.shape) == (torch.float32, (2, 2, 8, 8))


@pytest.mark.parametrize("n_convs", [0, 2])
def test_mask_head__of_any_number_of_convolutions_gives_masks_twice_the_pooled_side(n_convs: int) -> None:
    head = MaskHead(RoiPool(4, 8), 8, n_convs, 6, 1)
    assert head(features(), BOXES, IMAGE).shape == (2, 1, head.side, head.side) == (2, 1, 8, 8)


def test_class_branch__embeds_each_box_from_its_own_convolutions() -> None:
    branch = ClassBranch(RoiPool(4, 8), 8, 2, 16)
    embedding = branch(branch.convs(features()), BOXES, IMAGE)
    assert embedding.shape == (2, 16)
    assert (embedding >= 0).all()


def test_conv_stack__keeps_height_and_width() -> None:
    assert conv_stack(8, 6, 3)(features()).shape == (2, 6, 10, 12)
