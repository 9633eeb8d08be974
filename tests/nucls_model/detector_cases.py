"""Detectors small enough to train a step in a blink, and objects for them."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from nucls_model.config import CONFIGURATIONS, NuclsConfig
from nucls_model.instances import Detections, Target
from nucls_model.nucls import build_nucls

CLASSES = ("tumor", "stroma", "sTIL")
SMALL = NuclsConfig(
    scale_factor=2.0,
    scale_jitter=0.2,
    stages=2,
    rpn_pre_nms=400,
    rpn_post_nms=100,
    head_samples=32,
    box_pool=7,
    box_features=16,
    mask_pool=7,
    mask_convs=1,
    mask_channels=8,
    class_convs=1,
)
"""Configuration 3, small enough to train a step in a blink."""


def config_of(row: str) -> NuclsConfig:
    """A row of Table S5, small."""
    changes = {**CONFIGURATIONS[row], **({"class_convs": 1} if CONFIGURATIONS[row].get("class_convs", 4) else {})}
    return replace(SMALL, **changes, thumbnail_side=32)


def build(config: NuclsConfig = SMALL) -> nn.Module:
    torch.manual_seed(0)
    return build_nucls(config, CLASSES)


def generator() -> Generator:
    return torch.Generator().manual_seed(0)


def image(height: int = 64, width: int = 72, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def target(**changes: Tensor) -> Target:
    """A tumour with an outline, a lymphocyte without."""
    masks = torch.zeros(1, 64, 72, dtype=torch.bool)
    masks[0, 8:24, 8:20] = True
    values = {
        "boxes": torch.tensor([[8.0, 8.0, 20.0, 24.0], [40.0, 30.0, 56.0, 44.0]]),
        "classes": torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        "class_weight": torch.ones(2),
        "existence": torch.ones(2),
        "has_outline": torch.tensor([True, False]),
        "masks": masks,
        "ignored": torch.zeros(0, 4),
    }
    return Target(**{**values, **changes})


def without_outlines() -> Target:
    return target(has_outline=torch.zeros(2, dtype=torch.bool), masks=torch.zeros(0, 64, 72, dtype=torch.bool))


def nothing() -> Target:
    of_objects = ("boxes", "classes", "class_weight", "existence", "has_outline")
    return replace(without_outlines(), **{name: getattr(target(), name)[:0] for name in of_objects})


def losses_of(model: nn.Module, *targets: Target) -> dict[str, Tensor]:
    return model.train()([image(seed=i) for i in range(len(targets))], targets, generator())


def gradients(parameters: Iterable[nn.Parameter]) -> float:
    return sum(0.0 if p.grad is None else float(p.grad.abs().sum()) for p in parameters)


def detect(model: nn.Module, *images: Tensor) -> list[Detections]:
    return model.eval().detect(images)
