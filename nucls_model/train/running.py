"""Labels in, a trained detector out: the folder of a training, from its record to the weights at its end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crowdtruth.files import write_json
from crowdtruth.parallel import say
from crowdtruth.problems import quoted
from nucls_model.config import NuclsConfig
from nucls_model.dataset import FovDataset
from nucls_model.labelled import LabelledFovs
from nucls_model.nucls import build_nucls
from nucls_model.sampling import fov_weights
from nucls_model.train.batches import TrainingData
from nucls_model.train.curve import draw_losses
from nucls_model.train.folders import RECORD, open_folder, training_record
from nucls_model.train.loop import Descent, train_model
from nucls_model.train.processes import Processes, joined_processes
from nucls_model.train.schedule import check_divides, phases_of
from nucls_model.transforms import training_transform
from nucls_model.weights import load_backbone, write_model


@dataclass(frozen=True)
class Means:
    """What a training is done with. Workers change no result; accumulated passes and the device change rounding."""

    device: str | None = None  # None: the GPU if there is one
    is_mixed: bool = True  # half floats on a GPU where they do no harm
    n_accumulated: int = 1  # forward passes of each process in one update: memory for time
    workers: int = 0  # processes that load images
    checkpoint_every: int = 500  # updates
    say_every: int = 100  # updates


def train_detector(
    labelled: LabelledFovs,
    out: str | Path,
    config: NuclsConfig,
    *,
    places: Sequence[int] | None = None,
    seed: int = 0,
    backbone: str | Path | None = None,
    means: Means | None = None,
    is_resumed: bool = False,
    origin: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Train a detector on labelled FOVs and write it to a folder.

    Under ``torchrun`` all its processes train together, on a GPU each or on the CPU. The folder receives ``run.json``,
    ``losses.csv`` and ``checkpoint/`` while it lasts, ``weights.safetensors``, ``model.json`` and
    ``losses.png`` at its end.

    Parameters
    ----------
    labelled : the labels
    out : a new or empty folder, or that of the training to resume
    config : Table S7
    places : (n_fovs,) rows of ``labelled.fovs`` to train on; None: all
    seed : of weights, draws, augmentation and sampling
    backbone : weights of the backbone, see `nucls_model.weights.load_backbone`; None: from scratch
    means : device, workers and the like
    is_resumed : continue the training in `out`, which must be this one
    origin : where the labels come from, for the record

    Returns
    -------
    nn.Module
        The detector, in evaluation mode.

    Raises
    ------
    ValueError
        If `out` holds something else, or a training that is not this one; if there is nothing to learn from; and
        whatever `train_model` raises.
    crowdtruth.files.WriteError
        If a file cannot be written.
    """
    means, out = means or Means(), Path(out)
    places = range(len(labelled.fovs)) if places is None else places
    started = time.perf_counter()
    phases = phases_of(config)
    with joined_processes(means.device) as processes:
        passes = processes.count * means.n_accumulated
        record = training_record(
            labelled, places, config, seed=seed, passes=passes, backbone=backbone, origin=origin or {}
        ) | {"device": str(processes.device), "processes": processes.count}
        check_divides(config.batch_size, passes)
        data = training_data(labelled, places, config)
        model = _new_model(config, labelled.class_names, seed, backbone).to(processes.device)
        descent = _descent(config, means, processes)
        if processes.is_first:
            open_folder(out, record, is_resumed=is_resumed)
        processes.wait()
        train_model(
            model,
            data,
            phases,
            descent,
            out,
            seed=seed,
            processes=processes,
            workers=means.workers,
            checkpoint_every=means.checkpoint_every,
            say_every=means.say_every,
        )
        if processes.is_first:
            write_model(out, config, labelled.class_names, labelled.colors, model)
            draw_losses(out)
            write_json(record | {"seconds": round(time.perf_counter() - started, 1)}, out / RECORD)
        processes.wait()
    return model.eval()


def training_data(labelled: LabelledFovs, places: Sequence[int], config: NuclsConfig) -> TrainingData:
    """The FOVs in these rows, each drawn as often as the paper's formula says, cropped, flipped and stained anew.

    Raises
    ------
    ValueError
        If none of them has a nucleus of a real class.
    """
    fovs = labelled.fovs.iloc[list(places)]
    weights = fov_weights(labelled.class_counts()[list(places)], fovs["width"] * fovs["height"])
    never = fovs["fov"][(weights == 0).numpy()]
    if len(never):
        say(f"{len(never):,} FOVs without a nucleus of a real class are never drawn: {quoted(never, 3)}")
    dataset = FovDataset(labelled, places, transform=training_transform(config.crop_size))
    return TrainingData(dataset, list(fovs["fov"]), weights)


def _new_model(config: NuclsConfig, class_names: Sequence[str], seed: int, backbone: str | Path | None) -> nn.Module:
    """A model with random weights that follow from the seed, the backbone's from a file if there is one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_nucls(config, class_names)
    if backbone is not None:
        for name, module in model.named_modules():
            if name.split(".")[-1] == "backbone":
                load_backbone(module, backbone)
    return model


def _descent(config: NuclsConfig, means: Means, processes: Processes) -> Descent:
    """How an update moves the parameters; half floats are bfloat16 where the GPU has them."""
    is_mixed = means.is_mixed and processes.device.type == "cuda"
    half = (torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16) if is_mixed else None
    return Descent(
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        n_accumulated=means.n_accumulated,
        half=half,
    )
