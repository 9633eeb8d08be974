"""Images and targets of each forward pass, loaded by as many workers as asked for; their number changes no image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nucls_model.instances import Target
from nucls_model.train.schedule import Draw, draws_of, generator_of_part, split_evenly


@dataclass(frozen=True)
class TrainingData:
    """What a training draws from, and how often each FOV."""

    fovs: Dataset[tuple[Tensor, Target]]  # item (place, seed) = image (3, height, width) in 0..1 and its objects
    names: Sequence[str]  # (n_fovs,) for messages
    weights: Tensor  # (n_fovs,) how often each FOV is drawn, up to a factor


@dataclass(frozen=True)
class Part:
    """What one forward pass learns from."""

    images: list[Tensor]  # each (3, height, width) float32 in 0..1
    targets: list[Target]
    fovs: list[str]
    generator: torch.Generator  # draws the proposals

    def to(self, device: torch.device) -> "Part":
        """The same images and targets on another device; the generator stays where it is."""
        images = [image.to(device, non_blocking=True) for image in self.images]
        return replace(self, images=images, targets=[target.to(device) for target in self.targets])


class _Drawn(Dataset):
    """FOVs by draw: the image as its seed crops, flips and stains it, with the name of the FOV."""

    def __init__(self, data: TrainingData) -> None:
        self.data = data

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Target, str] | ValueError:
        """The FOV, or why it cannot be read: what a worker raises comes with its traceback in the message."""
        try:
            image, target = self.data.fovs[draw.place, draw.seed]
        except ValueError as error:
            return error
        return image, target, self.data.names[draw.place]


def parts_of_updates(
    data: TrainingData,
    first: int,
    last: int,
    *,
    batch_size: int,
    seed: int,
    rank: int = 0,
    n_processes: int = 1,
    n_accumulated: int = 1,
    workers: int = 0,
) -> Iterator[Part]:
    """The forward passes of updates `first` to `last` - 1 that this process makes, in order.

    Parameters
    ----------
    data : FOVs with their weights
    first, last : updates, from 0
    batch_size : images of an update over all processes
    seed : of the whole training
    rank, n_processes : which of the processes that train together this is
    n_accumulated : forward passes of this process in one update
    workers : processes that load images; 0 loads them here

    Raises
    ------
    ValueError
        If a batch does not divide into the forward passes, or an FOV cannot be read.
    """
    n_parts = n_processes * n_accumulated
    own = range(rank * n_accumulated, (rank + 1) * n_accumulated)

    def draws() -> Iterator[Sequence[Draw]]:
        for update in range(first, last):
            drawn = draws_of(update, weights=data.weights, batch_size=batch_size, seed=seed)
            parts = split_evenly(drawn, n_parts)
            yield from (parts[number] for number in own)

    loader: Any = DataLoader(
        _Drawn(data),
        batch_sampler=draws(),
        collate_fn=list,
        num_workers=workers,
        generator=torch.Generator().manual_seed(0),  # the workers' seeds, which nothing uses
    )
    numbers = ((update, part) for update in range(first, last) for part in own)
    for (update, part), items in zip(numbers, loader, strict=True):
        if failed := [item for item in items if isinstance(item, ValueError)]:
            raise failed[0]
        images, targets, fovs = (list(column) for column in zip(*items, strict=True))
        yield Part(images, targets, fovs, generator_of_part(update, part, seed=seed))
