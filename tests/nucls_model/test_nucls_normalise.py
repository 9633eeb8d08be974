"""The command that makes images look stained alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nucls_model.cli import normalising
from nucls_model.stain import TARGET, arrays
from tests.nucls_model.cli_cases import command, error_of

PALE = np.array([[0.60, 0.10], [0.75, 0.95], [0.28, 0.30]])
PALE /= np.linalg.norm(PALE, axis=0)
DEEP = np.array(TARGET.stains)


def paint(path: Path, stains: np.ndarray, strength: float, seed: int) -> Path:
    """A PNG in which a part has one stain, a part the other, a part both."""
    amounts = np.random.default_rng(seed).uniform(0, strength, (96, 96, 2))
    amounts[:32, :, 0] = 0.0
    amounts[32:64, :, 1] = 0.0
    Image.fromarray(np.rint(255 * np.exp(-amounts @ stains.T)).astype(np.uint8)).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture
def images(tmp_path) -> list[Path]:
    return [paint(tmp_path / "pale.png", PALE, 0.8, 1), paint(tmp_path / "deep.png", DEEP, 2.0, 2)]


def test_normalise__images_have_the_stains_and_the_strength_of_the_target(images, tmp_path):
    result = command("normalise", *images, "--out", tmp_path / "alike")
    assert result.exit_code == 0, result.output
    for image in images:
        now = arrays.target_of(pixels(tmp_path / "alike" / image.name))
        assert np.allclose(now.stains, TARGET.stains, atol=0.02)
        assert np.allclose(now.strong, TARGET.strong, rtol=0.05)


def test_normalise__to_an_image_leaves_that_image_nearly_as_it_was(images, tmp_path):
    pale = pixels(images[0])
    result = command("normalise", *images, "--out", tmp_path / "alike", "--target", images[0])
    assert result.exit_code == 0, result.output
    assert np.abs(pixels(tmp_path / "alike" / "pale.png").astype(float) - pale).mean() < 2
    assert np.array_equal(pixels(images[0]), pale)
    now = arrays.target_of(pixels(tmp_path / "alike" / "deep.png"))
    assert np.allclose(now.stains, arrays.stain_matrix(pale), atol=0.03)


def test_normalise__says_which_images_stay_as_they_are(images, tmp_path):
    Image.new("RGB", (50, 40), (240, 240, 240)).save(tmp_path / "glass.png")
    result = command("normalise", *images, tmp_path / "glass.png", "--out", tmp_path / "alike")
    assert result.exit_code == 0, result.output
    assert "1 without two stains that can be told apart stay as they are: 'glass'" in result.output
    assert (pixels(tmp_path / "alike" / "glass.png") == 240).all()


def test_normalise__never_writes_where_it_reads(images, tmp_path):
    assert "is the folder of an image" in error_of(command("normalise", images[0], "--out", tmp_path))
    assert command("normalise", images[0], "--out", tmp_path / "alike").exit_code == 0
    before = (tmp_path / "alike" / "pale.png").read_bytes()
    message = error_of(command("normalise", tmp_path / "alike" / "pale.png", "--out", tmp_path / "alike"))
    assert "is the folder of an image" in message
    assert (tmp_path / "alike" / "pale.png").read_bytes() == before


def test_normalise__names_what_is_wrong(images, tmp_path, monkeypatch):
    out = ("--out", tmp_path / "alike")
    assert "several images are called 'pale'" in error_of(command("normalise", images[0], images[0], *out))
    assert "there is no such file" in error_of(command("normalise", tmp_path / "none.png", *out))
    Image.new("RGB", (50, 40), (240, 240, 240)).save(tmp_path / "glass.png")
    message = error_of(command("normalise", *images, *out, "--target", tmp_path / "glass.png"))
    assert "glass.png has no two stains" in message
    monkeypatch.setattr(normalising, "PIXEL_LIMIT", 9000)
    assert "96 × 96 pixels; at most 9,000" in error_of(command("normalise", *images, *out))
    assert not list((tmp_path / "alike").glob("*.png"))
