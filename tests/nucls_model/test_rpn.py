"""Region proposals: which prior boxes learn what, and which boxes are proposed."""

import math
from dataclasses import replace

import pytest
import torch

from nucls_model.box_ops import pairwise_iou
from nucls_model.instances import Target
from nucls_model.rpn import PriorScores, RegionProposals

OBJECT = [16.0, 16.0, 32.0, 32.0]


def network(**changes: float) -> RegionProposals:
    torch.manual_seed(0)
    numbers = {
        "sizes": (16.0,), "aspects": (1.0,), "foreground_iou": 0.7, "background_iou": 0.3, "samples": 64,
        "foreground_share": 0.5, "pre_nms": 100, "post_nms": 50, "nms_iou": 0.7, "min_size": 0.01,
    }  # fmt: skip
    return RegionProposals(8, 8, **{**numbers, **changes})


def target(existence: float = 1.0, ignored: list[list[float]] | None = None, n: int = 1) -> Target:
    return Target(
        boxes=torch.tensor([OBJECT] * n).reshape(n, 4),
        classes=torch.ones(n, 1),
        class_weight=torch.ones(n),
        existence=torch.full((n,), existence),
        has_outline=torch.zeros(n, dtype=torch.bool),
        masks=torch.zeros(0, 64, 64, dtype=torch.bool),
        ignored=torch.tensor(ignored or []).reshape(-1, 4),
    )


def scores(rpn: RegionProposals, fill: float = 0.0) -> PriorScores:
    """Prior boxes of a 64 × 64 input whose objectness is `fill` everywhere, unmoved."""
    boxes = rpn(torch.zeros(1, 8, 8, 8)).boxes
    return PriorScores(boxes, torch.full((1, len(boxes)), fill), torch.zeros(1, len(boxes), 4))


def losses(rpn: RegionProposals, said: PriorScores, truth: Target) -> tuple[float, float]:
    objectness, box = rpn.losses(said, [truth], torch.Generator().manual_seed(0))
    return objectness.item(), box.item()


def test_forward__says_something_of_every_prior_box() -> None:
    said = network(sizes=(12.0, 24.0), aspects=(0.5, 1.0, 2.0))(torch.zeros(2, 8, 5, 7))
    assert said.boxes.shape == (5 * 7 * 6, 4)
    assert said.logits.shape == (2, 5 * 7 * 6)
    assert said.encoded.shape == (2, 5 * 7 * 6, 4)


def test_propose__stays_inside_the_image_not_its_padding() -> None:
    rpn = network()
    proposals = rpn.propose(scores(rpn), [(40, 50)])[0]
    assert 0 < len(proposals) <= 50
    assert (proposals >= 0).all()
    assert (proposals[:, 2] <= 50).all()
    assert (proposals[:, 3] <= 40).all()


def test_propose__moves_and_sizes_a_prior_box_as_its_encoding_says() -> None:
    rpn = network()
    said = scores(rpn)
    likeliest = (said.boxes == torch.tensor(OBJECT)).all(dim=1)
    said.logits[0, likeliest] = 20.0
    said.encoded[0, likeliest] = torch.tensor([0.5, -0.25, math.log(1.5), math.log(0.5)])  # of a side of 16
    assert rpn.propose(said, [(64, 64)])[0][0].tolist() == pytest.approx([20, 16, 44, 24])


def test_propose__gives_at_most_as_many_as_asked() -> None:
    rpn = network(post_nms=5)
    assert len(rpn.propose(scores(rpn), [(64, 64)])[0]) == 5


def test_losses__of_right_answers_are_nothing() -> None:
    rpn = network()
    said = scores(rpn, -20.0)
    said.logits[0, (said.boxes == torch.tensor(OBJECT)).all(dim=1)] = 20.0
    assert losses(rpn, said, target()) == pytest.approx((0, 0), abs=1e-6)


def test_losses__of_a_moved_object_teach_the_way_from_its_prior_box() -> None:
    rpn, moved = network(), [18.0, 16.0, 34.0, 32.0]
    truth, said = replace(target(), boxes=torch.tensor([moved])), scores(rpn)
    assert losses(rpn, said, truth)[1] > 0
    said.encoded[0, (said.boxes == torch.tensor(OBJECT)).all(dim=1), 0] = 2 / 16
    assert losses(rpn, said, truth)[1] == pytest.approx(0, abs=1e-6)


def test_losses__weigh_an_object_by_its_probability_to_exist() -> None:
    rpn = network()
    said = scores(rpn, -20.0)  # wrong about the object alone: a loss of 20 for it
    surely, hardly = losses(rpn, said, target(1.0))[0], losses(rpn, said, target(0.25))[0]
    n = min(rpn.samples, len(said.boxes))
    assert n * surely == pytest.approx(20, rel=0.3)
    assert hardly == pytest.approx(surely / 4, rel=0.05)


def test_losses__never_teach_that_an_ignored_place_is_background() -> None:
    rpn = network(samples=10_000)
    said = scores(rpn, -20.0)
    overlapped = pairwise_iou(torch.tensor([OBJECT]), said.boxes)[0] >= 0.3
    said.logits[0, overlapped] = 20.0  # taken for objects
    assert losses(rpn, said, target(n=0, ignored=[OBJECT]))[0] == pytest.approx(0, abs=1e-6)
    assert losses(rpn, said, target(n=0))[0] > 0.1


def test_losses__never_teach_that_the_best_prior_of_a_small_ignored_place_is_background() -> None:
    rpn, small = network(samples=10_000), [20.0, 20.0, 28.0, 28.0]
    said = scores(rpn, -20.0)
    iou = pairwise_iou(torch.tensor([small]), said.boxes)[0]
    assert iou.max() < 0.3  # as an object it would still keep those that overlap it most
    said.logits[0, iou == iou.max()] = 20.0
    assert losses(rpn, said, target(n=0, ignored=[small]))[0] == pytest.approx(0, abs=1e-6)
    assert losses(rpn, said, target(n=0))[0] > 0.1
