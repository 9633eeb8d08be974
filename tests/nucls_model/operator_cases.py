"""Inputs of the detection operators, what torchvision answers to them, and those answers kept as a file.

``python -m tests.nucls_model.operator_cases`` writes ``tests/golden/torchvision.json`` where torchvision is at hand.
Random inputs have three decimals, so the file holds them as they are.
"""

import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden" / "torchvision.json"
WEIGHTS = (10.0, 10.0, 5.0, 5.0)
ROI_OPTIONS = [(samples, is_aligned) for samples in (0, 2) for is_aligned in (False, True)]


def need_torchvision() -> None:
    """Skip the test, with the reason, where torchvision cannot be imported."""
    try:
        with warnings.catch_warnings(action="ignore"):
            importlib.import_module("torchvision.models.detection")
    except Exception as error:  # beside a torch of another build it is not an ImportError
        pytest.skip(f"torchvision cannot be imported: {type(error).__name__}: {error}")


def need_accelerator() -> None:
    """Skip the test where no CUDA device is at hand."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is at hand")


def random_boxes(n: int, extent: float, generator: torch.Generator) -> Tensor:
    """Boxes (n, 4) around an image of this extent, some of them outside it."""
    low = torch.rand(n, 2, generator=generator) * extent * 1.2 - extent * 0.2
    side = torch.rand(n, 2, generator=generator) ** 2 * extent * 0.8 + 0.05
    return _decimals(torch.cat([low, low + side], dim=1))


def small_cases() -> dict[str, Any]:
    """A few inputs of each operator, as tensors."""
    generator = torch.Generator().manual_seed(4)
    boxes = random_boxes(10, 48, generator)
    boxes[7, 2] = boxes[7, 0]  # no width
    boxes[8, 2:] = boxes[8, :2]  # no size
    crowd = random_boxes(12, 20, generator)
    iou = torch.rand(4, 12, generator=generator)
    return {
        "features": _decimals(torch.randn(2, 2, 5, 6, generator=generator)),
        "boxes": boxes,
        "image": torch.tensor([0, 1] * 5),
        "crowd": crowd,
        "scores": _decimals(torch.rand(12, generator=generator)),
        "groups": torch.tensor([0, 1, 2] * 4),
        "deltas": _decimals(torch.randn(12, 4, generator=generator) * 5),
        "other": random_boxes(12, 20, generator),
        "iou": _decimals(iou**2),
    }


def answers(cases: dict[str, Any]) -> dict[str, Any]:
    """What torchvision makes of `cases`."""
    from torchvision import ops
    from torchvision.models.detection import _utils, anchor_utils

    crowd, scores, coder = cases["crowd"], cases["scores"], _utils.BoxCoder(WEIGHTS)
    rois = torch.cat([cases["image"][:, None], cases["boxes"]], dim=1)
    priors = anchor_utils.AnchorGenerator(((12.0, 25.0),), ((0.5, 1.0, 2.0),))
    return {
        "roi_align": [
            ops.roi_align(cases["features"], rois, 3, 1 / 8, samples, is_aligned) for samples, is_aligned in ROI_OPTIONS
        ],
        "nms": [ops.nms(crowd, scores, iou) for iou in (0.1, 0.3, 0.5)],
        "grouped_nms": ops.batched_nms(crowd, scores, cases["groups"], 0.1),
        "pairwise_iou": ops.box_iou(crowd, cases["other"]),
        "encode": coder.encode_single(crowd, cases["other"]),
        "decode": coder.decode_single(cases["deltas"], crowd),
        "match": [_utils.Matcher(0.7, 0.3, allow_low_quality_matches=best)(cases["iou"]) for best in (False, True)],
        "prior_boxes": priors.grid_anchors([[2, 3]], [[torch.tensor(16), torch.tensor(8)]])[0],
    }


def _decimals(values: Tensor) -> Tensor:
    return (values * 1000).round() / 1000


def write_golden() -> None:
    """Inputs and answers as JSON, one array a line."""
    import torchvision

    cases = small_cases()
    lines = [f'"torchvision": "{torchvision.__version__.partition("+")[0]}"']
    for part, values in {"inputs": cases, "answers": answers(cases)}.items():
        arrays = [f"{json.dumps(name)}: {json.dumps(_rounded(value))}" for name, value in values.items()]
        lines.append(f'"{part}": {{\n' + ",\n".join(arrays) + "\n}")
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    """Tensors as lists, numbers to seven digits, as deep as they lie."""
    if isinstance(value, Tensor):
        return _rounded(value.tolist())
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def read_golden() -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs as tensors, answers as tensors or lists of tensors in the form of `answers`."""
    content = json.loads(GOLDEN.read_text(encoding="utf-8"))
    several = ("roi_align", "nms", "match")
    kept = {
        name: [torch.tensor(v) for v in value] if name in several else torch.tensor(value)
        for name, value in content["answers"].items()
    }
    return {name: torch.tensor(value) for name, value in content["inputs"].items()}, kept


if __name__ == "__main__":
    write_golden()
