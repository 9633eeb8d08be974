"""One training step of the whole detector at the paper's sizes, beside its layers and its own operators alone.

Layers are timed alone on the very inputs they had in the step, forward and backward. Proposals are those of a network
that has learnt where nuclei are, all of them around true boxes, so that the heads are as busy as in training and not as
idle as from random weights. A larger tile shows how time and memory grow.
"""

import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nucls_model.config import NuclsConfig
from nucls_model.heads import RoiPool
from nucls_model.instances import Target
from nucls_model.nucls import Nucls, build_nucls
from nucls_model.rpn import PriorScores, RegionProposals

_STATUS = Path("/proc/self/status")
QUICK = {"stages": 2, "box_features": 32, "mask_channels": 16, "head_samples": 64, "rpn_post_nms": 300}


def run(quick: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = dataclasses.replace(NuclsConfig(scale_jitter=0.0), **(QUICK if quick else {}))
    runs, side = (1, 64) if quick else (3, config.crop_size)
    rows = [
        row for batch in ((1,) if device.type == "cpu" else (1, 4)) for row in _step(config, side, batch, device, runs)
    ]
    return rows + [_tile(factor * side, quick) for factor in (1, 2, 3)]


def _step(config: NuclsConfig, side: int, batch: int, device: torch.device, runs: int) -> list[dict]:
    """The whole step, and the time of its layers alone; half floats on a GPU, as in training."""
    model, image, target, generator = _scene(config, side, device)
    half = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
    optimiser = torch.optim.SGD(
        model.parameters(), lr=1e-6, momentum=config.momentum, weight_decay=config.weight_decay, fused=True
    )

    def step() -> None:
        optimiser.zero_grad()
        with half:
            losses = model([image] * batch, [target] * batch, generator)
        sum(losses.values()).backward()
        optimiser.step()

    whole = _median(step, runs)
    speed = f"{batch / whole:.2f} images/s{_peak_of(device)}"
    calls = _calls_of(model, step)
    size = f"{side} × {side} × scale {config.scale_factor:g}, batch {batch}, {len(target.boxes)} nuclei, {device.type}"
    rows = [_row("training step", size, "nucls_model", whole, runs, speed)]
    for what, tool, kinds in (
        ("convolutions", "torch", (nn.Conv2d, nn.ConvTranspose2d)),
        ("dense layers", "torch", (nn.Linear,)),
        ("RoIAlign and proposals", "nucls_model", (RoiPool, RegionProposals)),
    ):
        with half:
            alone = sum(_median(call, runs) for kind, call in calls if issubclass(kind, kinds))
        rows.append(_row(f"its {what} alone", size, tool, alone, runs, f"{alone / whole:.0%} of the step"))
    return rows


def _peak_of(device: torch.device) -> str:
    """The most memory of a GPU that was in use, in words; elsewhere nothing."""
    return "" if device.type == "cpu" else f", {torch.cuda.max_memory_allocated(device) / 2**20:,.0f} MB"


def _scene(config: NuclsConfig, side: int, device: torch.device) -> tuple[Nucls, Tensor, Target, torch.Generator]:
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
    target = Target(boxes, classes, ones, ones, ones.bool(), masks, torch.zeros(0, 4)).to(device)
    model = build_nucls(config, list("abcdefg")).to(device)
    assert isinstance(model, Nucls)
    learnt, propose = _learnt_proposals(boxes * config.scale_factor, config.rpn_post_nms, generator), model.rpn.propose

    def as_if_learnt(scores: PriorScores, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        return [learnt.to(device) for _ in propose(scores, sizes)]

    model.rpn.propose = as_if_learnt  # type: ignore[method-assign]
    image = torch.rand(3, side, side, generator=generator).to(device)
    return model.train(), image, target, generator


def _learnt_proposals(boxes: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """`n` boxes, every one somewhere around a nucleus (k, 4)."""
    around = boxes[torch.randint(0, len(boxes), (n,), generator=generator)]
    size = (around[:, 2:] - around[:, :2]).repeat(1, 2)
    moved = around + size * torch.randn(n, 4, generator=generator) * torch.rand(n, 1, generator=generator)
    return torch.cat([moved[:, :2].minimum(moved[:, 2:]), moved[:, :2].maximum(moved[:, 2:]) + 1], dim=1).clamp(min=0)


def _calls_of(model: Nucls, step: Callable[[], None]) -> list[tuple[type, Callable[[], None]]]:
    """Each layer of a step by its kind, with a call that repeats it on the inputs it had, forward and backward."""
    inputs: list[tuple[nn.Module, tuple[Tensor, ...]]] = []
    hooks = [
        layer.register_forward_hook(lambda layer, args, _: inputs.append((layer, args)))
        for layer in model.modules()
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, RoiPool))
    ]
    scores: list[tuple[Any, ...]] = []
    propose = model.rpn.propose
    model.rpn.propose = lambda *args: scores.append(args) or propose(*args)  # type: ignore[method-assign,assignment]
    step()
    model.rpn.propose = propose  # type: ignore[method-assign]
    for hook in hooks:
        hook.remove()
    return [(type(layer), _repeated(layer, *args)) for layer, args in inputs] + [
        (RegionProposals, lambda args=args: propose(*args)) for args in scores
    ]


def _repeated(layer: nn.Module, x: Tensor, *args: Tensor) -> Callable[[], None]:
    """A call of one layer, forward and backward; the image itself needs no gradient."""
    x = x.detach().requires_grad_(x.shape[1] != 3)
    gradient = torch.rand_like(layer(x, *args))
    return lambda: layer(x, *args).backward(gradient)


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
        _wait()
        start = time.perf_counter()
        work()
        _wait()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _wait() -> None:
    """Until a GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _row(work: str, size: str, tool: str, seconds: float, runs: int, note: str) -> dict:  # noqa: PLR0917
    return {"work": work, "size": size, "tool": tool, "median_s": seconds, "runs": runs, "note": note}
