"""What nuclei lie in: collagen fibres, cells side by side, loose tissue, and glass where there is none.

Each nucleus spreads the bed of its class around it; between beds they mix.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nucls_model.painted.textures import fibres, smooth_noise

BEDS = ("stroma", "nest", "loose")
_PRIOR = (0.12, 0.02, 0.05)  # of the beds, where no nucleus is near
_STEP = 4  # pixels between the points at which cells are looked up

Field = NDArray[np.float32]


def lay_tissue(
    shape: tuple[int, int],
    centres: NDArray[np.float64],
    beds: Sequence[str],
    *,
    angle: float,
    scale: float,
    rng: Generator,
) -> Field:
    """Amounts of hematoxylin and eosin before any nucleus is painted, (height, width, 2).

    Parameters
    ----------
    shape : height, width
    centres : (n_nuclei, 2)
        x, y in pixels.
    beds : (n_nuclei,)
        The bed of each nucleus, one of `BEDS`.
    angle : direction of the fibres, radians from x towards y
    scale : pixels per 0.2 µm
    rng : of the tissue
    """
    share = _bed_shares(shape, centres, np.array(beds, object), scale, rng)
    patches = smooth_noise(shape, 45 * scale, rng)
    strands = fibres(shape, angle, scale, rng)
    laid = np.stack(
        [
            _stroma(strands, scale, rng),
            _nest(shape, centres[np.array(beds, object) == "nest"], scale, rng),
            _loose(shape, patches, scale, rng),
        ]
    )  # (n_beds, height, width, 2)
    amounts = np.einsum("bhw,bhws->hws", share, laid)
    return amounts * (1 - 0.92 * _bare(share, patches, strands, scale, rng))[..., None]


def _bare(share: Field, patches: Field, strands: Field, scale: float, rng: Generator) -> Field:
    """Where there is no tissue, (height, width), 0 to 1: tears along fibres, gaps in loose tissue, few in nests."""
    gaps = patches - 0.45 * share[0] * strands + 0.7 * share[2] * smooth_noise(patches.shape, 14 * scale, rng)
    return np.clip((gaps - (1.55 + 0.4 * share[1] - 0.4 * share[2])) / 0.4, 0, 1)


def _bed_shares(
    shape: tuple[int, int], centres: NDArray[np.float64], beds: NDArray[np.object_], scale: float, rng: Generator
) -> Field:
    """How much each bed is of every place, (n_beds, height, width); sums to one."""
    height, width = shape
    y = (np.arange(height, dtype=np.float32)[:, None] - centres[:, 1]) / (30 * scale)  # (height, n_nuclei)
    x = (np.arange(width, dtype=np.float32)[:, None] - centres[:, 0]) / (30 * scale)
    near_y, near_x = np.exp(-y * y / 2), np.exp(-x * x / 2)
    weight = np.empty((len(BEDS), *shape), np.float32)
    for i, bed in enumerate(BEDS):
        here = beds == bed
        weight[i] = (near_y[:, here] @ near_x[:, here].T + _PRIOR[i]) * np.exp(
            0.35 * smooth_noise(shape, 28 * scale, rng)
        )
    weight **= 2  # beds have borders
    return weight / weight.sum(axis=0)


def _stroma(strands: Field, scale: float, rng: Generator) -> Field:
    """Collagen: eosin in wavy fibres, pale between them."""
    fine = strands + 0.35 * smooth_noise(strands.shape, 2 * max(scale, 0.5), rng)
    bundles = smooth_noise(strands.shape, 38 * scale, rng)
    eosin = 0.6 * np.exp(0.34 * fine + 0.22 * bundles)
    return np.stack([0.19 * np.exp(0.3 * bundles - 0.12 * fine), np.minimum(eosin, 1.6)], axis=2)


def _nest(shape: tuple[int, int], centres: NDArray[np.float64], scale: float, rng: Generator) -> Field:
    """Cells side by side: granular cytoplasm, each cell in a tint of its own, clefts between some."""
    granules = smooth_noise(shape, 2 * max(scale, 0.5), rng) + 0.8 * smooth_noise(shape, 6 * scale, rng)
    hematoxylin, eosin = 0.46 * np.exp(0.16 * granules), 0.62 * np.exp(0.13 * granules)
    if len(centres) > 1:
        tint, cleft = _cells(shape, centres, scale, rng)
        open_cleft = cleft * np.clip(0.45 + 0.5 * smooth_noise(shape, 40 * scale, rng), 0, 0.85)
        hematoxylin, eosin = (amount * tint * (1 - open_cleft) for amount in (hematoxylin, eosin))
    return np.stack([hematoxylin, eosin], axis=2)


def _cells(shape: tuple[int, int], centres: NDArray[np.float64], scale: float, rng: Generator) -> tuple[Field, Field]:
    """The tint of the cell every pixel belongs to, and how near it is to the cell's border: (height, width) each."""
    from PIL import Image
    from scipy.spatial import cKDTree

    rows, columns = (-(-side // _STEP) for side in shape)
    wander = [7 * scale * smooth_noise((rows, columns), 22 * scale / _STEP + 1, rng) for _ in range(2)]
    y, x = np.indices((rows, columns)) * _STEP + _STEP / 2
    distance, cell = cKDTree(centres).query(np.stack([x + wander[0], y + wander[1]], axis=2), k=2)
    tint = rng.uniform(0.8, 1.2, len(centres))[cell[..., 0]]
    slack = distance[..., 1] - distance[..., 0]
    large = [
        np.asarray(Image.fromarray(field.astype(np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC))
        for field in (tint, slack)
    ]
    return large[0], np.exp(-((large[1] / (4.5 * scale)) ** 2))


def _loose(shape: tuple[int, int], patches: Field, scale: float, rng: Generator) -> Field:
    """Little of anything: pale, uneven, with some strands."""
    uneven = smooth_noise(shape, 9 * scale, rng) + 0.5 * smooth_noise(shape, 3 * max(scale, 0.4), rng)
    eosin = 0.34 * np.exp(0.42 * uneven - 0.35 * patches)
    return np.stack([0.24 * np.exp(0.35 * uneven), np.minimum(eosin, 1.3)], axis=2)
