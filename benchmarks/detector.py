"""One training step of the whole detector at the paper's sizes, beside its convolutions and its dense layers alone.

Layers are timed alone on the very inputs they had in the step, forward and backward. Proposals are those of a network
that has learnt where nuclei are, all of them around true boxes, so that the heads are as busy as in training and not as
idle as from random weights. A larger tile shows how time and memory grow.
"""

import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nucls_model.config import NuclsConfig
from nucls_model.instances import Target
from nucls_model.nucls import Nucls, build_nucls

_STATUS = Path("/proc/self/status")
QUICK = {"stages": 2, "box_features": 32, "mask_channels": 16, "head_samples": 64, "rpn_post_nms": 300}


def run(quick: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note)."""
    config = dataclasses.replace(NuclsConfig(scale_jitter=0.0), **(QUICK if quick else {}))
    runs, side = (1, 64) if quick else (3, config.crop_size)
    rows = _step(config, side, runs)
    return rows + [_tile(factor * side, quick) for factor in (1, 2, 3)]


def _step(config: NuclsConfig, side: int, runs: int) -> list[dict]:
    """The whole step, and the time of its layers alone."""
    model, image, target, generator = _scene(config, side)
    optimiser = torch.optim.SGD(
        model.parameters(), lr=1e-6, momentum=config.momentum, weight_decay=config.weight_decay, fused=True
    )

    def step() -> None:
        optimiser.zero_grad()
        sum(model([image], [target], generator).values()).backward()
        optimiser.step()

    whole = _median(step, runs)
    convolutions = _layers_alone(model, (nn.Conv2d, nn.ConvTranspose2d), step, runs)
    dense = _layers_alone(model, (nn.Linear,), step, runs)
    size = f"{side} × {side} × scale {config.scale_factor:g}, batch 1, {len(target.boxes)} nuclei"
    return [
        _row("training step", size, "nucls_model", whole, runs, f"{whole / convolutions:.2f} × the convolutions"),
        _row("its convolutions alone", size, "torch", convolutions, runs, ""),
        _row("its dense layers alone", size, "torch", dense, runs, f"{dense / convolutions:.2f} × the convolutions"),
    ]


def _scene(config: NuclsConfig, side: int) -> tuple[Nucls, Tensor, Target, torch.Generator]:
    """A model in training, and an image with a nucleus for every 2,250 square pixels, all outlined."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    n = max(4, side * side // 2250)
    corner = torch.rand(n, 2, generator=generator) * (side - 40)
    boxes = torch.cat([corner, corner + 15 + 25 * torch.rand(n, 2, generator=generator)], dim=1)
    masks = torch.zeros(n, side, side, dtype=torch.bool)
    for mask, (xmin, ymin, xmax, ymax) in zip(masks, boxes.round().int().tolist(), strict=True):
        mask[ymin:ymax, xmin:xmax] = True
    classes = torch.eye(7)[torch.randint(0, 7, (n,), generator=generator)]
    ones = torch.ones(n)
    target = Target(boxes, classes, ones, ones, ones.bool(), masks, torch.zeros(0, 4))
    model = build_nucls(config, list("abcdefg"))
    assert isinstance(model, Nucls)
    proposals = _learnt_proposals(boxes * config.scale_factor, config.rpn_post_nms, generator)
    model.rpn.propose = lambda scores, sizes: [proposals]  # type: ignore[method-assign,assignment]
    return model.train(), torch.rand(3, side, side, generator=generator), target, generator


def _learnt_proposals(boxes: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """`n` boxes, every one somewhere around a nucleus (k, 4)."""
    around = boxes[torch.randint(0, len(boxes), (n,), generator=generator)]
    size = (around[:, 2:] - around[:, :2]).repeat(1, 2)
    moved = around + size * torch.randn(n, 4, generator=generator) * torch.rand(n, 1, generator=generator)
    return torch.cat([moved[:, :2].minimum(moved[:, 2:]), moved[:, :2].maximum(moved[:, 2:]) + 1], dim=1).clamp(min=0)


def _layers_alone(model: nn.Module, kinds: tuple[type, ...], step: Callable[[], None], runs: int) -> float:
    """Seconds of all layers of some kinds, each on the inputs it has in a step, forward and backward."""
    inputs: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda layer, args, _: inputs.append((layer, args[0].detach())))
        for layer in model.modules()
        if isinstance(layer, kinds)
    ]
    step()
    for hook in hooks:
        hook.remove()
    return sum(_layer_alone(layer, x, runs) for layer, x in inputs)


def _layer_alone(layer: nn.Module, x: Tensor, runs: int) -> float:
    """Seconds of one layer; the image itself needs no gradient."""
    x = x.requires_grad_(x.shape[1] != 3)
    gradient = torch.rand_like(layer(x))
    return _median(lambda: layer(x).backward(gradient), runs)


def _tile(side: int, quick: bool) -> dict:
    """Detection in a tile by a process of its own: its seconds, and the memory it took beyond an idle one."""
    code = f"from benchmarks.detector import detect_in; print(*detect_in({side}, {quick}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    seconds, megabytes = map(float, out.split())
    return _row(
        "detection", f"{side} × {side} × scale 4", "nucls_model", seconds, 1, f"{megabytes:.0f} MB beyond the model"
    )


def detect_in(side: int, quick: bool) -> tuple[float, float]:
    """Seconds of detection in a tile of one image, and the megabytes that it took at most beyond the model."""
    torch.manual_seed(0)
    config = dataclasses.replace(NuclsConfig(), **(QUICK if quick else {}))
    model = build_nucls(config, list("abcdefg")).eval()
    image = torch.rand(3, side, side)
    before = _peak_afresh()
    start = time.perf_counter()
    model.detect([image])
    return time.perf_counter() - start, _memory("VmHWM") - before


def _peak_afresh() -> float:
    """Megabytes in use; the peak is counted from here on (Linux alone; elsewhere both are no number)."""
    if not _STATUS.exists():
        return float("nan")
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> float:
    """A figure of the process's status in megabytes."""
    if not _STATUS.exists():
        return float("nan")
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def _median(work: Callable[[], object], runs: int) -> float:
    """Median seconds of a call, after one that does not count."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _row(work: str, size: str, tool: str, seconds: float, runs: int, note: str) -> dict:  # noqa: PLR0917
    return {"work": work, "size": size, "tool": tool, "median_s": seconds, "runs": runs, "note": note}
