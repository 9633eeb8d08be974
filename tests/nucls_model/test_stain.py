from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nucls_model.stain import TARGET, arrays, tensors

HAEMATOXYLIN_EOSIN = np.array([[0.65, 0.07], [0.70, 0.99], [0.29, 0.11]])
HAEMATOXYLIN_EOSIN = HAEMATOXYLIN_EOSIN / np.linalg.norm(HAEMATOXYLIN_EOSIN, axis=0)


def painted(stains: np.ndarray, *, seed: int = 0, side: int = 80) -> np.ndarray:
    """An image in which each pixel has its own amounts of two stains; some have one of them alone."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0, 1.5, (side, side, 2))
    amounts[: side // 4, :, 0] = 0.0
    amounts[side // 4 : side // 2, :, 1] = 0.0
    return np.rint(255 * np.exp(-amounts @ stains.T)).astype(np.uint8)


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255


def as_bytes(image: torch.Tensor) -> np.ndarray:
    return (image * 255).permute(1, 2, 0).numpy()


def test_stain_matrix__finds_the_stains_an_image_was_painted_with() -> None:
    found = arrays.stain_matrix(painted(HAEMATOXYLIN_EOSIN))
    assert found is not None
    np.testing.assert_allclose(found, HAEMATOXYLIN_EOSIN, atol=0.01)  # bytes round the densities


def test_stain_matrix__haematoxylin_comes_first_whichever_is_stronger() -> None:
    found = arrays.stain_matrix(painted(HAEMATOXYLIN_EOSIN[:, ::-1]))
    assert found is not None
    np.testing.assert_allclose(found, HAEMATOXYLIN_EOSIN, atol=0.01)


@pytest.mark.data
def test_stain_matrix__is_that_of_histomicstk(data_dir: Path) -> None:
    from PIL import Image

    expected = np.array([[0.089411, 0.558021], [0.837138, 0.729935], [0.539635, 0.394725]])  # eosin first, I0 = 255
    image = np.asarray(Image.open(data_dir / "he" / "easy1.png").convert("RGB"))
    np.testing.assert_allclose(arrays.stain_matrix(image), expected[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(tensors.stain_matrix(as_tensor(image)), expected[:, ::-1], atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_tensors__equal_arrays(seed: int) -> None:
    image = painted(HAEMATOXYLIN_EOSIN, seed=seed)
    tensor = as_tensor(image)
    stains = arrays.stain_matrix(image)
    assert stains is not None
    np.testing.assert_allclose(tensors.stain_matrix(tensor), stains, atol=1e-4)
    np.testing.assert_allclose(
        tensors.amounts(tensor, torch.from_numpy(stains).float()).permute(1, 2, 0),
        arrays.amounts(image, stains),
        atol=1e-4,
    )
    # arrays round to whole bytes
    np.testing.assert_allclose(as_bytes(tensors.normalise(tensor)), arrays.normalise(image), atol=0.55)
    alpha = np.array([0.6, 1.4])
    np.testing.assert_allclose(
        as_bytes(tensors.augment(tensor, torch.from_numpy(alpha))), arrays.augment(image, alpha), atol=0.55
    )


def test_normalise__gives_the_stains_and_amounts_of_the_target() -> None:
    normal = arrays.normalise(painted(HAEMATOXYLIN_EOSIN))
    found = arrays.stain_matrix(normal)
    assert found is not None
    np.testing.assert_allclose(found, TARGET.stains, atol=0.02)
    strong = np.quantile(arrays.amounts(normal, np.array(TARGET.stains)).reshape(-1, 2), 0.99, axis=0)
    np.testing.assert_allclose(strong, TARGET.strong, rtol=0.02)


@pytest.mark.data
def test_target_of__an_image_is_itself_what_it_is_normalised_to(data_dir: Path) -> None:
    image = np.asarray(Image.open(data_dir / "he" / "easy1.png").convert("RGB"))[:400, :400]
    target = arrays.target_of(image)
    assert target is not None
    stains = arrays.stain_matrix(image)
    explained = 255 * np.exp(-arrays.amounts(image, stains) @ stains.T)  # what neither stain explains is not kept
    assert np.abs(arrays.normalise(image, target) - np.clip(explained, 0, 255)).max() <= 0.5 + 1e-6


def test_augment__multiplies_the_amounts() -> None:
    image = as_tensor(painted(HAEMATOXYLIN_EOSIN))
    stains = tensors.stain_matrix(image)
    assert stains is not None
    alpha = torch.tensor([0.5, 1.2])
    before, after = tensors.amounts(image, stains), tensors.amounts(tensors.augment(image, alpha), stains)
    is_open = (image > 0.02).all(dim=0) & (before >= 0).all(dim=0)  # neither end of the range of a pixel
    torch.testing.assert_close(after[:, is_open], before[:, is_open] * alpha[:, None], atol=2e-3, rtol=0)


def test_normalise__little_tissue_looks_as_it_does_without_the_glass() -> None:
    tissue = painted(HAEMATOXYLIN_EOSIN, side=60)
    glass = np.random.default_rng(0).integers(252, 256, (800, 800, 3)).astype(np.uint8)
    glass[100:160, 200:260] = tissue
    alone, within = arrays.normalise(tissue), arrays.normalise(glass)[100:160, 200:260]
    np.testing.assert_allclose(within.astype(float), alone, atol=12)
    assert np.median(arrays.normalise(glass)[:90]) > 245
    np.testing.assert_allclose(as_bytes(tensors.normalise(as_tensor(glass))), arrays.normalise(glass), atol=1.1)
    assert np.allclose(arrays.target_of(glass).strong, arrays.target_of(tissue).strong, rtol=0.05)


def test_normalise__black_padding_says_nothing_and_stays_black() -> None:
    image = painted(HAEMATOXYLIN_EOSIN)
    padded = np.zeros((image.shape[0], image.shape[1] + 30, 3), np.uint8)
    padded[:, 30:] = image
    for normal in (arrays.normalise(padded), as_bytes(tensors.normalise(as_tensor(padded)))):
        assert not normal[:, :30].any()
        np.testing.assert_allclose(normal[:, 30:], arrays.normalise(image), atol=1.1)
    np.testing.assert_array_equal(arrays.augment(padded, [1.4, 0.7])[:, 30:], arrays.augment(image, [1.4, 0.7]))


def test_augment__by_one_changes_nothing() -> None:
    image = as_tensor(painted(HAEMATOXYLIN_EOSIN))
    assert torch.equal(tensors.augment(image, torch.ones(2)), image)


def test_augment__leaves_black_padding_black() -> None:
    image = as_tensor(painted(HAEMATOXYLIN_EOSIN))
    image[:, :10] = 0
    assert not tensors.augment(image, torch.tensor([0.5, 0.5]))[:, :10].any()


DEGENERATE = {
    "white": np.full((64, 64, 3), 255, dtype=np.uint8),
    "black": np.zeros((64, 64, 3), dtype=np.uint8),
    "one colour": np.full((64, 64, 3), (120, 40, 160), dtype=np.uint8),
    "one stain": np.rint(
        255 * np.exp(-np.linspace(0, 2, 64 * 64).reshape(64, 64, 1) * HAEMATOXYLIN_EOSIN[:, 0])
    ).astype(np.uint8),
    "few stained pixels": np.where(np.arange(64 * 64).reshape(64, 64, 1) < 50, np.uint8([90, 50, 120]), np.uint8(255)),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_stain_matrix__of_an_image_without_two_stains_is_none(name: str) -> None:
    image = DEGENERATE[name]
    assert arrays.stain_matrix(image) is None
    assert tensors.stain_matrix(as_tensor(image)) is None
    np.testing.assert_array_equal(arrays.normalise(image), image)
    np.testing.assert_array_equal(arrays.augment(image, [0.5, 1.5]), image)
    assert torch.equal(tensors.normalise(as_tensor(image)), as_tensor(image))
    assert torch.equal(tensors.augment(as_tensor(image), torch.tensor([0.5, 1.5])), as_tensor(image))


def test_optical_density__needs_an_image() -> None:
    with pytest.raises(ValueError, match=r"\(height, width, 3\), got \(3, 8, 9\)"):
        arrays.optical_density(np.zeros((3, 8, 9)))
    with pytest.raises(ValueError, match=r"\(3, height, width\), got \(8, 9, 3\)"):
        tensors.optical_density(torch.zeros(8, 9, 3))
