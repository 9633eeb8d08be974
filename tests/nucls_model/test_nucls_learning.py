"""What the detector is taught, and how it says what it was taught: heads whose answers are known give known losses."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nucls_model.instances import Target
from nucls_model.nucls import Nucls
from nucls_model.proposals import Proposals
from tests.nucls_model.detector_cases import (
    SMALL,
    build,
    config_of,
    detect,
    generator,
    image,
    losses_of,
    nothing,
    target,
)

TRUTH_ALONE = replace(SMALL, scale_jitter=0.0, min_size=1e6)
"""No proposal is large enough, so the heads learn from the objects' own boxes; the input has twice the pixels."""

AMBIGUOUS = 3
"""What comes after the three real classes."""


def always(layer: nn.Linear | nn.Conv2d, answer: list[float]) -> None:
    """The layer answers the same, whatever it is asked."""
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor(answer))


def two_outlined(**changes: Tensor) -> Target:
    """An object that fills its surroundings, and one of which nothing is painted."""
    masks = torch.stack([torch.ones(64, 72), torch.zeros(64, 72)]).bool()
    return target(has_outline=torch.tensor([True, True]), masks=masks, **changes)


def one_proposal(kind: int) -> Proposals:
    """A square that must move by 7 pixels of the input and become twice as wide to be its object's box."""
    return Proposals(
        boxes=torch.tensor([[10.0, 10, 20, 20]]),
        image=torch.tensor([0]),
        is_object=torch.tensor([True]),
        row=torch.tensor([0]),
        truth=torch.tensor([[12.0, 10, 32, 20]]),
        classes=torch.eye(3)[[min(kind, 2)]],
        class_weight=torch.tensor([float(kind != AMBIGUOUS)]),
        existence=torch.ones(1),
    )


WAY = [10 * 7 / 10, 0.0, 5 * math.log(2), 0.0]
"""That way, encoded: shifts in sides times 10, log ratios of sides times 5."""


def knowing_the_way(row: str, kind: int) -> Nucls:
    """A detector of a row of Table S5 that takes that way for objects of one kind, and another for all others."""
    model = build(replace(config_of(row), scale_jitter=0.0))
    wrong = [-3.0, 2.0, 1.0, -2.0]
    always(model.box_head.encoded, [x for k in range(model.box_head.n_kinds) for x in (WAY if k == kind else wrong)])
    model.choose = lambda proposals, targets, generator: one_proposal(kind)
    model.rpn.propose = lambda scores, sizes: [one_proposal(kind).boxes]
    return model


class Painter(nn.Module):
    """A mask head that paints a pattern for objects of one kind, and its opposite for all others."""

    def __init__(self, pattern: Tensor, n_kinds: int, kind: int) -> None:
        super().__init__()
        self.side = len(pattern)
        self.logits = torch.where(pattern, 20.0, -20.0).repeat(n_kinds, 1, 1)  # (n_kinds, side, side)
        self.logits[torch.arange(n_kinds) != kind] *= -1

    def forward(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        return self.logits.repeat(len(boxes), 1, 1, 1)


def test_forward__draws_its_scale_evenly_within_the_jitter() -> None:
    model = build(replace(SMALL, stages=1, scale_factor=2.0, scale_jitter=1.0)).train()
    sides = []
    model.backbone.register_forward_pre_hook(lambda _, given: sides.append(given[0].shape[-1]))
    for seed in range(24):
        model([image(32, 32)], [nothing()], torch.Generator().manual_seed(seed))
    scales = torch.tensor(sides) / 32  # padded to whole cells: up to 4 pixels more
    assert 1 <= scales.min() < 1.3
    assert 2.7 < scales.max() <= 3
    assert scales.mean().item() == pytest.approx(2, abs=0.3)  # 2.5 standard errors


def test_detect__draws_no_scale() -> None:
    model = build(replace(SMALL, scale_jitter=1.0)).eval()
    shapes = []
    model.backbone.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape[-2:]))
    model.detect([image()] * 4)
    assert shapes == [(128, 144)] * 4


def test_forward__teaches_the_posterior_not_its_likeliest_class() -> None:
    model = build(TRUTH_ALONE)
    always(model.class_logits, [math.log(p) for p in (0.1, 0.4, 0.2, 0.25, 0.05)])  # background first, AMBIGUOUS last
    posterior = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.35, 0.45]])
    taught = target(classes=posterior, class_weight=torch.tensor([1.0, 0.25]))
    first = -(0.6 * math.log(0.4) + 0.3 * math.log(0.2) + 0.1 * math.log(0.25))
    second = -(0.2 * math.log(0.4) + 0.35 * math.log(0.2) + 0.45 * math.log(0.25))
    assert losses_of(model, taught)["class"].item() == pytest.approx((first + 0.25 * second) / 1.25)


def test_forward__weighs_a_mask_by_the_probability_that_its_object_exists() -> None:
    model = build(TRUTH_ALONE)
    always(model.mask_head.logits, [2.0])
    loss = losses_of(model, two_outlined(existence=torch.tensor([0.9, 0.3])))["mask"].item()
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert loss == pytest.approx((0.9 * right + 0.3 * wrong) / 1.2)


@pytest.mark.parametrize(("row", "kind"), [("3", 0), ("1", 0), ("1", 2), ("1", AMBIGUOUS)])
def test_forward__teaches_the_pixels_of_an_object_at_any_scale_to_the_mask_of_its_kind(row: str, kind: int) -> None:
    model = build(replace(config_of(row), scale_jitter=0.0, min_size=1e6))
    pattern = torch.rand(14, 14, generator=generator()) < 0.5
    model.mask_head = Painter(pattern, 1 if row == "3" else 4, kind)
    masks = torch.zeros(1, 64, 72, dtype=torch.bool)
    masks[0, 8:36, 20:48] = pattern.repeat_interleave(2, 0).repeat_interleave(2, 1)  # 2 × 2 pixels for each of 14 × 14
    box = torch.tensor([[20.0, 8, 48, 36], [50.0, 40, 60, 50]])
    weight = torch.ones(2) * (kind != AMBIGUOUS)
    taught = target(boxes=box, classes=torch.eye(3)[[min(kind, 2)] * 2], class_weight=weight, masks=masks)
    assert losses_of(model, taught)["mask"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("row", "kind"), [("2", 0), ("3", 0), ("1", 0), ("1", 2), ("1", AMBIGUOUS), ("5", 1)])
def test_forward__has_no_box_loss_where_the_box_of_the_objects_kind_is_right(row: str, kind: int) -> None:
    assert losses_of(knowing_the_way(row, kind), target())["box"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("row", "kind"), [("2", 0), ("3", 0), ("1", 0), ("1", 2), ("5", 1)])
def test_detect__takes_the_way_that_the_box_head_says_for_the_kind(row: str, kind: int) -> None:
    model = knowing_the_way(row, kind)
    always(model.class_logits, [0.0, *(8.0 * (k == kind) for k in range(3)), 0.0])
    (found,) = detect(model, image())
    torch.testing.assert_close(found.boxes, torch.tensor([[12.0, 10, 32, 20]]) / 2)
    assert found.label.tolist() == [kind]


@pytest.mark.parametrize("kind", [0, 2])
def test_detect__gives_the_mask_of_the_kind(kind: int) -> None:
    model = knowing_the_way("1", kind)
    always(model.class_logits, [0.0, *(8.0 * (k == kind) for k in range(3)), 0.0])
    pattern = torch.rand(14, 14, generator=generator()) < 0.5
    model.mask_head = Painter(pattern, 4, kind)
    (found,) = detect(model, image())
    torch.testing.assert_close(found.masks, pattern[None].float())


ODD = replace(
    SMALL,
    scale_factor=2.5,
    scale_jitter=0.3,
    backbone="resnet34",
    stages=1,
    prior_sizes=(6.0, 10.0),
    prior_aspects=(0.7, 1.1, 1.3, 1.9),
    rpn_foreground_iou=0.61,
    rpn_background_iou=0.21,
    rpn_samples=23,
    rpn_foreground_share=0.31,
    rpn_pre_nms=211,
    rpn_post_nms=97,
    rpn_nms_iou=0.67,
    head_foreground_iou=0.53,
    head_samples=29,
    head_foreground_share=0.37,
    box_pool=3,
    box_features=11,
    mask_pool=5,
    mask_convs=2,
    mask_channels=6,
    class_convs=4,
    nms_iou=0.13,
    min_objectness=0.07,
    min_size=0.03,
    max_detections=19,
)
"""No number of it is said twice."""


def test_build_nucls__gives_each_setting_to_the_part_it_is_for() -> None:
    model = build(ODD)
    rpn, choose, suppress = model.rpn, model.choose.keywords, model.suppress
    assert (rpn.sizes, rpn.aspects) == ((15.0, 25.0), (0.7, 1.1, 1.3, 1.9))  # sizes in pixels of the input
    assert (rpn.foreground_iou, rpn.background_iou) == (0.61, 0.21)
    assert (rpn.samples, rpn.foreground_share) == (23, 0.31)
    assert (rpn.pre_nms, rpn.post_nms, rpn.nms_iou, rpn.min_size) == (211, 97, 0.67, 0.03)
    assert choose == {"foreground_iou": 0.53, "samples": 29, "foreground_share": 0.37}
    assert (suppress.iou, suppress.min_objectness, suppress.max_detections) == (0.13, 0.07, 19)
    assert (model.scale_factor, model.scale_jitter) == (2.5, 0.3)
    assert (model.min_objectness, model.min_size) == (0.07, 0.03)


def test_build_nucls__makes_the_layers_of_the_sizes_that_are_set() -> None:
    model = build(ODD)
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert (model.backbone.n_stages, model.stride) == (1, 4)
    assert sum(name.startswith("backbone.layer1") and "conv1" in name for name in shapes) == 3  # blocks of a ResNet-34
    assert shapes["rpn.head.objectness.weight"] == (8, 64, 1, 1)  # 2 sizes × 4 aspects
    assert shapes["box_features.fc1.weight"] == (11, 64 * 3 * 3)
    assert shapes["class_branch.fc.weight"] == (11, 64 * 3 * 3)
    assert sum(name.startswith("class_branch.convs") and name.endswith("weight") for name in shapes) == 4
    assert sum(name.startswith("mask_head.convs") and name.endswith("weight") for name in shapes) == 2
    assert (model.mask_head.side, shapes["mask_head.logits.weight"]) == (10, (1, 6, 1, 1))
    assert {part.pool.stride for part in (model.box_features, model.class_branch, model.mask_head)} == {4}


def test_build_nucls__gives_each_class_its_nms_with_the_same_settings() -> None:
    suppress = build(replace(ODD, is_class_agnostic=False)).suppress
    assert (suppress.iou, suppress.min_objectness, suppress.max_detections) == (0.13, 0.07, 19)


def test_build_nucls__gives_the_thumbnails_their_settings() -> None:
    model = build(replace(ODD, thumbnails=True, thumbnail_field=41.0, thumbnail_side=43, thumbnail_shifts=5))
    assert (model.field, model.side, model.n_shifts) == (41.0, 43, 5)
    assert model.detector.class_names == ("nucleus",)
