"""Scale and aspect are kept, whatever the size of the image."""

import pytest
import torch

from nucls_model.inputs import DEVIATION, MEAN, normalise, prepare


@pytest.mark.parametrize(("height", "width"), [(7, 300), (64, 64), (301, 33)])
@pytest.mark.parametrize("factor", [1.0, 2.67, 3.6, 4.4])
def test_prepare__scales_both_sides_by_the_same_factor_to_half_a_pixel(height: int, width: int, factor: float) -> None:
    batch = prepare([torch.zeros(3, height, width)], factor, 32)
    assert abs(batch.sizes[0][0] - height * factor) <= 0.5
    assert abs(batch.sizes[0][1] - width * factor) <= 0.5
    x, y = batch.ratios[0][:2].tolist()
    assert (x * width, y * height) == pytest.approx(batch.sizes[0][::-1])


def test_prepare__pads_right_and_below_to_the_multiple() -> None:
    batch = prepare([torch.ones(3, 10, 20), torch.ones(3, 30, 5)], 2.0, 32)
    assert batch.pixels.shape == (2, 3, 64, 64)
    padding = batch.pixels.clone()
    padding[0, :, :20, :40] = 0
    padding[1, :, :60, :10] = 0
    assert (padding == 0).all()
    assert batch.sizes == [(20, 40), (60, 10)]


def test_prepare__shows_a_tile_as_it_is_within_a_larger_one() -> None:
    large = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = prepare([large], 4.0, 32).pixels[0]
    tile = prepare([large[:, 16:48, 8:40]], 4.0, 32).pixels[0]
    torch.testing.assert_close(tile[:, 8:120, 8:120], whole[:, 72:184, 40:152])  # the tile's own edge apart


def test_normalise__takes_the_mean_colour_to_zero() -> None:
    mean = torch.tensor(MEAN)[:, None, None]
    torch.testing.assert_close(normalise(mean.expand(3, 2, 2)), torch.zeros(3, 2, 2))
    torch.testing.assert_close(normalise(mean + torch.tensor(DEVIATION)[:, None, None]), torch.ones(3, 1, 1))


@pytest.mark.parametrize("shape", [(3, 0, 5), (1, 8, 8), (8, 8)])
def test_prepare__says_which_image_is_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"image 1 is \("):
        prepare([torch.zeros(3, 8, 8), torch.zeros(shape)], 1.0, 32)


def test_prepare__wants_fractions() -> None:
    with pytest.raises(ValueError, match=r"as fractions; image 0 is \(3, 8, 8\) torch.uint8"):
        prepare([torch.zeros(3, 8, 8, dtype=torch.uint8)], 1.0, 32)


def test_prepare__wants_an_image() -> None:
    with pytest.raises(ValueError, match="needs an image, got none"):
        prepare([], 1.0, 32)
