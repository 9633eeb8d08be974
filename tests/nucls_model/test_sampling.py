import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nucls_model.sampling import draw_fovs, fov_weights


def plain_weights(counts: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The formula, object by object."""
    weights = np.zeros(len(counts))
    for f in range(len(counts)):
        for c in range(counts.shape[1]):
            if counts[f, c]:
                weights[f] += counts[f, c] / counts[:, c].sum() / areas[f]
    return weights / weights.sum()


@given(arrays(np.int64, (5, 3), elements=st.integers(0, 9)), arrays(np.int64, 5, elements=st.integers(1, 999)))
def test_fov_weights__are_the_formula(counts: np.ndarray, areas: np.ndarray) -> None:
    counts[0, 0] = max(counts[0, 0], 1)
    np.testing.assert_allclose(fov_weights(counts, areas).numpy(), plain_weights(counts, areas))


def test_fov_weights__an_fov_without_classes_is_never_drawn() -> None:
    weights = fov_weights([[2, 1], [0, 0]], [10, 10])
    assert weights.tolist() == [1.0, 0.0]


def test_draw_fovs__frequencies_follow_the_weights() -> None:
    weights = fov_weights([[40, 0], [30, 1], [30, 9]], [100, 200, 100])
    n = 20_000
    drawn = torch.bincount(draw_fovs(weights, n, torch.Generator().manual_seed(1)), minlength=3) / n
    # four standard errors of a frequency
    np.testing.assert_allclose(drawn, weights, atol=4 * float((weights * (1 - weights) / n).max()) ** 0.5)


def test_draw_fovs__follows_from_the_generator() -> None:
    weights = fov_weights([[1], [2], [3]], [1, 1, 1])
    first, again = (draw_fovs(weights, 9, torch.Generator().manual_seed(5)) for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize(
    ("counts", "areas", "words"),
    [
        ([1, 2], [1, 1], r"counts \(n_fovs, n_classes\)"),
        ([[1], [2]], [1], "an area per FOV"),
        ([[1], [-2]], [1, 1], r"FOV 1: expected no negative count, finite, got \[-2.0\]"),
        ([[1], [2]], [0, 1], "FOV 0: expected a positive area, finite, got 0.0"),
        ([[0], [0]], [1, 1], "none of the 2 FOVs"),
    ],
)
def test_fov_weights__says_what_is_wrong(counts: list, areas: list, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fov_weights(counts, areas)
