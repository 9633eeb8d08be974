"""Operators of the detector at the paper's sizes: ours beside torchvision, where it imports, and the usual recipes.

The answers of all tools are compared before they are timed.
"""

import importlib
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from nucls_model.box_ops import nms, pairwise_iou
from nucls_model.roi_align import roi_align

STRIDE, MAP = 32, 38  # a crop of 300 pixels, scaled by 4
Tool = Callable[[], Any]


def boxes_of(n: int, largest: float, seed: int = 0) -> Tensor:
    """Boxes (n, 4) in the image, sides from 48 pixels to `largest`."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(n, 2, generator=generator) * STRIDE * MAP
    side = 48 * (torch.rand(n, 2, generator=generator) * torch.tensor(largest / 48).log()).exp()
    return torch.cat([centre - side / 2, centre + side / 2], dim=1).clamp(0, STRIDE * MAP)


def run(quick: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note)."""
    runs = 2 if quick else 7
    n_boxes, n_channels = (64, 64) if quick else (512, 512)
    rows = []
    for name, largest in (("nuclei", 192), ("any size", 1200)):
        rows += _roi_align(name, boxes_of(n_boxes, largest), n_channels, runs)
    if not quick:
        rows += [_largest_case()]
    for name, boxes in (("random", boxes_of(6000, 192)), ("crowded", _crowded(6000))):
        rows += _nms(f"NMS at 0.7, {name} boxes", boxes[: 600 if quick else None], runs)
    return rows


def _roi_align(name: str, boxes: Tensor, n_channels: int, runs: int) -> list[dict]:
    """RoIAlign and its gradient, 14 × 14 bins, adaptive sampling."""
    features = torch.randn(1, n_channels, MAP, MAP, generator=torch.Generator().manual_seed(0), requires_grad=True)
    first = torch.zeros(len(boxes), dtype=torch.int64)
    forward: dict[str, Tool] = {
        "nucls_model": lambda: roi_align(features, boxes, first, 14, 1 / STRIDE),
        "embedding_bag": lambda: _gathered(features, boxes),
    }
    ops = _torchvision()
    if ops:
        rois = torch.cat([first[:, None], boxes], dim=1)
        forward["torchvision"] = lambda: ops.roi_align(features, rois, 14, 1 / STRIDE, 0, False)
    backward = {name: _gradient_of(tool(), features) for name, tool in forward.items()}
    size = f"{len(boxes)} boxes × 14 × 14 × {n_channels}"
    return [
        *_compared(f"RoIAlign, {name}", size, forward, runs),
        *_compared(f"its gradient, {name}", size, backward, runs),
    ]


def _gathered(features: Tensor, boxes: Tensor) -> Tensor:
    """A fused weighted gather of four cells for each point, as many points in each bin as the largest box needs."""
    n_boxes, size = len(boxes), 14
    scaled = boxes / STRIDE
    low, length = scaled[:, :2], (scaled[:, 2:] - scaled[:, :2]).clamp(min=1)
    n_points = (length / size).ceil()  # (n_boxes, 2)
    axes = []
    for axis in (1, 0):
        n = n_points[:, axis, None, None]
        steps = torch.arange(int(n.max()))
        bins = torch.arange(size)[:, None]
        bin_length = length[:, axis, None, None] / size
        place = low[:, axis, None, None] + bins * bin_length + (steps + 0.5) * bin_length / n
        share = ((steps < n) & (place >= -1) & (place <= MAP)) / n
        place = place.clamp(0, MAP - 1)
        before = place.long()
        cells = torch.cat([before, (before + 1).clamp(max=MAP - 1)], dim=2)
        weights = torch.cat([share * (1 - place.frac()), share * place.frac()], dim=2)
        axes.append((cells, weights))  # (n_boxes, size, 2 * points) each
    (y, y_weight), (x, x_weight) = axes
    cells = y[:, :, None, :, None] * MAP + x[:, None, :, None, :]
    weights = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
    rows = features[0].flatten(1).T.contiguous()  # (MAP * MAP, channels)
    bags = n_boxes * size * size
    pooled = embedding_bag(cells.view(bags, -1), rows, per_sample_weights=weights.view(bags, -1), mode="sum")
    return pooled.view(n_boxes, size, size, -1).permute(0, 3, 1, 2)


def _gradient_of(pooled: Tensor, features: Tensor) -> Tool:
    """The call of the gradient for a fixed one of what was pooled."""
    given = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1))
    return lambda: torch.autograd.grad(pooled, features, given, retain_graph=True)[0]


def _crowded(n: int) -> Tensor:
    """Boxes (n, 4) as region proposals are: many around each of 40 objects."""
    generator = torch.Generator().manual_seed(0)
    centre = (torch.rand(40, 2, generator=generator) * STRIDE * MAP)[torch.arange(n) % 40]
    centre = centre + torch.randn(n, 2, generator=generator) * 15
    side = 100 * (torch.randn(n, 2, generator=generator) * 0.2).exp()
    return torch.cat([centre - side / 2, centre + side / 2], dim=1)


def _nms(work: str, boxes: Tensor, runs: int) -> list[dict]:
    scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(2))
    tools: dict[str, Tool] = {
        "nucls_model": lambda: nms(boxes, scores, 0.7),
        "loop over boxes": lambda: _loop(boxes, scores),
    }
    ops = _torchvision()
    if ops:
        tools["torchvision"] = lambda: ops.nms(boxes, scores, 0.7)
    return _compared(work, f"{len(boxes):,} boxes", tools, runs)


def _loop(boxes: Tensor, scores: Tensor) -> Tensor:
    """Each best box in turn removes what it overlaps."""
    kept, rest = [], scores.argsort(descending=True, stable=True)
    while len(rest):
        kept.append(rest[0])
        rest = rest[1:][pairwise_iou(boxes[rest[:1]], boxes[rest[1:]])[0] <= 0.7]
    return torch.stack(kept)


def _torchvision() -> Any:
    """Its operators, or nothing where it cannot be imported: beside a torch of another build that is no ImportError."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return importlib.import_module("torchvision.ops")
    except Exception:
        return None


def _compared(work: str, size: str, tools: dict[str, Tool], runs: int) -> list[dict]:
    """All tools in turn in each round; raises where they do not give the same."""
    expected = tools["nucls_model"]()
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for tool in tools.values():
        torch.testing.assert_close(tool(), expected, rtol=1e-3, atol=1e-3)
    for _ in range(runs):
        for name, tool in tools.items():
            start = time.perf_counter()
            tool()
            seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["nucls_model"])
    return [
        {
            "work": work, "size": size, "tool": name, "median_s": statistics.median(times), "runs": len(times),
            "note": "" if name == "nucls_model" else f"{statistics.median(times) / base:.1f} × ours, same values",
        }
        for name, times in seconds.items()
    ]  # fmt: skip


_MEASURE_LARGEST = """
import time
from pathlib import Path
import torch
from benchmarks.operators import MAP, STRIDE, boxes_of
from nucls_model.roi_align import roi_align
boxes, first = boxes_of(3000, 192), torch.zeros(3000, dtype=torch.int64)
features = torch.randn(1, 512, MAP, MAP, requires_grad=True)
start = time.perf_counter()
pooled = roi_align(features, boxes, first, 14, 1 / STRIDE)
(gradient,) = torch.autograd.grad(pooled, features, torch.ones_like(pooled))
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(time.perf_counter() - start, int(peak) / 2**20)
"""


def _largest_case() -> dict:
    """Seconds and peak memory of a fresh process that pools the proposals of a whole image and their gradient."""
    command = [sys.executable, "-c", _MEASURE_LARGEST]
    seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return {
        "work": "RoIAlign and its gradient, nuclei", "size": "3,000 boxes × 14 × 14 × 512", "tool": "nucls_model",
        "median_s": float(seconds), "runs": 1, "note": f"the whole process at its peak: {float(peak):.1f} GB",
    }  # fmt: skip
