"""Weighted losses against torch's own, and what weights mean."""

import torch
from torch.nn import functional

from nucls_model.losses import box_loss, class_loss, mask_loss, objectness_loss

GENERATOR = torch.Generator().manual_seed(0)


def test_class_loss__of_one_hot_targets_and_unit_weights_is_the_hard_loss() -> None:
    logits = torch.randn(50, 9, generator=GENERATOR)
    label = torch.randint(0, 9, (50,), generator=GENERATOR)
    soft = class_loss(logits, functional.one_hot(label, 9).float(), torch.ones(50))
    torch.testing.assert_close(soft, functional.cross_entropy(logits, label), rtol=0, atol=1e-6)


def test_class_loss__is_the_expected_hard_loss_under_the_target() -> None:
    logits = torch.randn(1, 3, generator=GENERATOR)
    target = torch.tensor([[0.2, 0.5, 0.3]])
    hard = torch.stack([functional.cross_entropy(logits, torch.tensor([c])) for c in range(3)])
    torch.testing.assert_close(class_loss(logits, target, torch.tensor([0.4])), (target[0] * hard).sum())


def test_class_loss__of_a_row_without_weight_sends_no_gradient() -> None:
    logits = torch.randn(3, 4, generator=GENERATOR, requires_grad=True)
    class_loss(logits, torch.eye(4)[:3], torch.tensor([1.0, 0.0, 0.5])).backward()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[[0, 2]] != 0).all()


def test_class_loss__counts_a_row_by_its_weight() -> None:
    logits, target = torch.randn(2, 3, generator=GENERATOR), torch.eye(3)[:2]
    first, second = (class_loss(logits[i, None], target[i, None], torch.ones(1)) for i in (0, 1))
    both = class_loss(logits, target, torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(both, (3 * first + second) / 4)


def test_losses__of_nothing_are_zero_and_can_be_differentiated() -> None:
    row, box, mask = (torch.zeros(shape, requires_grad=True) for shape in ((0,), (0, 4), (0, 7, 7)))
    none = torch.zeros(0)
    total = objectness_loss(row, none.bool(), none) + mask_loss(mask, torch.zeros(0, 7, 7), none)
    total = total + box_loss(box, torch.zeros(0, 4), none, torch.tensor(5.0))
    total.backward()
    assert total.item() == 0


def test_objectness_loss__of_unit_weights_is_torchs_mean() -> None:
    logits = torch.randn(20, generator=GENERATOR)
    truth = torch.rand(20, generator=GENERATOR) < 0.5
    expected = functional.binary_cross_entropy_with_logits(logits, truth.float())
    torch.testing.assert_close(objectness_loss(logits, truth, torch.ones(20)), expected)


def test_box_loss__of_unit_weights_is_the_sum_over_all_that_were_sampled() -> None:
    encoded, target = torch.randn(2, 10, 4, generator=GENERATOR)
    expected = functional.smooth_l1_loss(encoded, target, beta=1 / 9, reduction="sum") / 40
    torch.testing.assert_close(box_loss(encoded, target, torch.ones(10), torch.tensor(40.0)), expected)


def test_mask_loss__of_unit_weights_is_torchs_mean() -> None:
    logits = torch.randn(3, 7, 7, generator=GENERATOR)
    truth = torch.rand(3, 7, 7, generator=GENERATOR)
    expected = functional.binary_cross_entropy_with_logits(logits, truth)
    torch.testing.assert_close(mask_loss(logits, truth, torch.ones(3)), expected)
