"""Which proposals train the heads, and towards what."""

import pytest
import torch
from torch import Tensor

from nucls_model.instances import Target
from nucls_model.proposals import (
    Proposals,
    choose_proposals,
    class_targets,
    has_mask,
    kinds_of,
    mask_targets,
)

FIRST, SECOND, ELSEWHERE = [0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 40.0, 40.0], [60.0, 60.0, 70.0, 70.0]
POSTERIOR = [0.7, 0.2, 0.1]


def target(**changes: Tensor) -> Target:
    """A tumour that surely exists, with an outline, and a doubtful object without."""
    masks = torch.zeros(1, 80, 80, dtype=torch.bool)
    masks[0, :5, :10] = True
    values = {
        "boxes": torch.tensor([FIRST, SECOND]),
        "classes": torch.tensor([[1.0, 0.0, 0.0], POSTERIOR]),
        "class_weight": torch.tensor([1.0, 0.4]),
        "existence": torch.tensor([1.0, 0.5]),
        "has_outline": torch.tensor([True, False]),
        "masks": masks,
        "ignored": torch.zeros(0, 4),
    }
    return Target(**{**values, **changes})


def choose(boxes: list[list[float]], truth: Target, samples: int = 16) -> Proposals:
    generator = torch.Generator().manual_seed(0)
    proposals = torch.tensor(boxes).reshape(-1, 4)
    return choose_proposals([proposals], [truth], generator, foreground_iou=0.5, samples=samples, foreground_share=0.5)


def rows_at(proposals: Proposals, box: list[float]) -> Tensor:
    return (proposals.boxes == torch.tensor(box)).all(dim=1).nonzero()[:, 0]


def test_choose_proposals__takes_the_objects_own_boxes() -> None:
    chosen = choose([], target())
    assert sorted(chosen.boxes.tolist()) == [FIRST, SECOND]
    assert chosen.is_object.all()


def test_choose_proposals__gives_each_box_its_object() -> None:
    near = [21.0, 21.0, 40.0, 40.0]
    chosen = choose([near, ELSEWHERE], target())
    found, background = chosen.at(rows_at(chosen, near)), chosen.at(rows_at(chosen, ELSEWHERE))
    assert found.truth.tolist() == [SECOND]
    assert (found.row.item(), found.class_weight.item(), found.existence.item()) == (1, pytest.approx(0.4), 0.5)
    assert (background.is_object.item(), background.class_weight.item(), background.existence.item()) == (False, 1, 1)


def test_choose_proposals__never_takes_an_ignored_place_for_background() -> None:
    near_ignored = [61.0, 60.0, 70.0, 70.0]
    chosen = choose([ELSEWHERE, near_ignored, [0.0, 60.0, 9.0, 70.0]], target(ignored=torch.tensor([ELSEWHERE])))
    assert not len(rows_at(chosen, ELSEWHERE))
    assert not len(rows_at(chosen, near_ignored))
    assert len(rows_at(chosen, [0.0, 60.0, 9.0, 70.0]))


def test_choose_proposals__keeps_an_object_that_an_ignored_box_overlaps() -> None:
    chosen = choose([], target(ignored=torch.tensor([FIRST])))
    assert chosen.at(rows_at(chosen, FIRST)).is_object.item()


def test_choose_proposals__of_an_image_without_objects_are_background() -> None:
    empty = target(
        boxes=torch.zeros(0, 4),
        classes=torch.zeros(0, 3),
        class_weight=torch.zeros(0),
        existence=torch.zeros(0),
        has_outline=torch.zeros(0, dtype=torch.bool),
        masks=torch.zeros(0, 80, 80, dtype=torch.bool),
    )
    chosen = choose([FIRST, ELSEWHERE], empty)
    assert len(chosen.boxes) == 2
    assert not chosen.is_object.any()
    assert class_targets(chosen).tolist() == [[1, 0, 0, 0, 0]] * 2


def test_class_targets__put_nothing_of_an_object_on_background() -> None:
    chosen = choose([ELSEWHERE], target())
    targets = class_targets(chosen)
    assert targets[rows_at(chosen, SECOND)[0]].tolist() == pytest.approx([0, *POSTERIOR, 0])
    assert targets[rows_at(chosen, ELSEWHERE)[0]].tolist() == [1, 0, 0, 0, 0]
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(3))


def test_kinds_of__puts_ambiguous_after_the_real_classes() -> None:
    chosen = choose([], target(class_weight=torch.tensor([1.0, 0.0])))
    kinds = kinds_of(chosen)
    assert kinds[rows_at(chosen, FIRST)[0]] == 0
    assert kinds[rows_at(chosen, SECOND)[0]] == 3


def test_has_mask__is_for_outlined_objects_alone() -> None:
    chosen = choose([ELSEWHERE], target())
    found = has_mask(chosen, [target()])
    assert found[rows_at(chosen, FIRST)].all()
    assert not found[rows_at(chosen, SECOND)].any()
    assert not found[rows_at(chosen, ELSEWHERE)].any()


def test_mask_targets__show_the_object_within_its_box() -> None:
    chosen = choose([], target())
    outlined = chosen.at(has_mask(chosen, [target()]))
    covered = mask_targets(outlined, [target()], [torch.ones(4)], 10)
    assert covered.shape == (1, 10, 10)
    assert (covered[0, :4] == 1).all()  # the upper half of the box is the object
    assert (covered[0, 6:] == 0).all()


def test_mask_targets__do_not_depend_on_the_scale_of_the_input() -> None:
    plain = choose([], target())
    scaled = choose([], target(boxes=target().boxes * 4))
    expected = mask_targets(plain.at(has_mask(plain, [target()])), [target()], [torch.ones(4)], 14)
    found = mask_targets(scaled.at(has_mask(scaled, [target()])), [target()], [torch.full((4,), 4.0)], 14)
    torch.testing.assert_close(found, expected)
