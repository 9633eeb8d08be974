"""Which parameters an update moves, and which FOVs it sees: both follow from its number and the seed alone.

Nothing here has a state. An update drawn again, after an interruption, on other processes or alone, is the same update.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nucls_model.config import NuclsConfig
from nucls_model.sampling import draw_fovs

_FOVS, _IMAGE, _MODEL = 0, 1, 2  # streams of random numbers: which FOVs, how each is changed, which proposals count


@dataclass(frozen=True)
class Phase:
    """Updates ``first`` to ``last - 1``, counted from 0 over the whole training."""

    name: str
    first: int
    last: int
    is_detector_frozen: bool


@dataclass(frozen=True)
class Draw:
    """One image of a batch: the place of its FOV in the dataset, and the seed of its crop, flips and stain."""

    place: int
    seed: int


def phases_of(config: NuclsConfig) -> tuple[Phase, ...]:
    """The phases of a training: all parameters, then the classification part with the detector frozen.

    A model whose classes come from the box head has no second phase: without convolutions of its own the only
    parameters left would be the class layer, whose background column is the detector's objectness.

    Raises
    ------
    ValueError
        If a number of updates is negative, or both are zero.

    Examples
    --------
    >>> [(phase.name, phase.first, phase.last) for phase in phases_of(NuclsConfig())]
    [('detector', 0, 15000), ('classifier', 15000, 16000)]
    >>> [phase.name for phase in phases_of(NuclsConfig(class_convs=0))]
    ['detector']
    """
    first, second = config.detector_updates, config.classifier_updates
    has_own_part = config.class_convs > 0 or config.thumbnails
    if min(first, second) < 0 or first + second * has_own_part == 0:
        raise ValueError(f"training needs at least one update, got {first} of the detector and {second} of the classes")
    phases = (Phase("detector", 0, first, False), Phase("classifier", first, first + second * has_own_part, True))
    return tuple(phase for phase in phases if phase.first < phase.last)


def draws_of(update: int, *, weights: Tensor, batch_size: int, seed: int) -> tuple[Draw, ...]:
    """The images of one update, drawn with replacement.

    Parameters
    ----------
    update : its number, from 0
    weights : (n_fovs,) how often each FOV is drawn, up to a factor
    batch_size : images of the update, over all processes
    seed : of the whole training

    Examples
    --------
    >>> [draw.place for draw in draws_of(0, weights=torch.tensor([0.0, 1.0]), batch_size=2, seed=7)]
    [1, 1]
    """
    generator = spawned_generator(seed, _FOVS, update)
    places = draw_fovs(weights, batch_size, generator)
    return tuple(Draw(place, spawned_seed(seed, _IMAGE, update, n)) for n, place in enumerate(places.tolist()))


def generator_of_part(update: int, part: int, *, seed: int) -> torch.Generator:
    """What a forward pass draws its proposals with; `part` counts the passes of an update over all processes."""
    return spawned_generator(seed, _MODEL, update, part)


def split_evenly(draws: Sequence[Draw], n_parts: int) -> list[tuple[Draw, ...]]:
    """The images of an update in `n_parts` forward passes of equal size.

    Raises
    ------
    ValueError
        If they do not divide.

    Examples
    --------
    >>> [len(part) for part in split_evenly([Draw(0, 0)] * 4, 2)]
    [2, 2]
    """
    check_divides(len(draws), n_parts)
    size = len(draws) // n_parts
    return [tuple(draws[start : start + size]) for start in range(0, len(draws), size)]


def check_divides(batch_size: int, n_parts: int) -> None:
    """Raise if a batch does not part evenly: the mean of the passes' gradients would not be that of the images.

    Raises
    ------
    ValueError
    """
    if batch_size % n_parts or not batch_size:
        raise ValueError(
            f"a batch of {batch_size} images does not divide into {n_parts} equal forward passes "
            "(processes × accumulated passes)"
        )


def spawned_seed(seed: int, *path: int) -> int:
    """A seed below 2⁶³ for the place `path` of a training with `seed`."""
    return int(np.random.SeedSequence(seed, spawn_key=path).generate_state(1, np.uint64)[0] >> np.uint64(1))


def spawned_generator(seed: int, *path: int) -> torch.Generator:
    """A generator of its own for the place `path` of a training with `seed`."""
    return torch.Generator().manual_seed(spawned_seed(seed, *path))
