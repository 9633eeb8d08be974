"""What the paper claims of the detector, on tiny tensors."""

import math
from dataclasses import fields, replace

import pytest
import torch

from nucls_model.config import CONFIGURATIONS
from nucls_model.inputs import MEAN
from nucls_model.instances import Target
from nucls_model.nucls import build_nucls
from tests.nucls_model.detector_cases import (
    SMALL,
    build,
    config_of,
    detect,
    generator,
    gradients,
    image,
    losses_of,
    nothing,
    target,
    without_outlines,
)


@pytest.mark.parametrize("row", CONFIGURATIONS)
def test_build_nucls__trains_and_detects_in_every_configuration_of_table_s5(row: str) -> None:
    model = build(config_of(row))
    losses = losses_of(model, target(), without_outlines())
    sum(losses.values()).backward()
    assert all(math.isfinite(loss.item()) for loss in losses.values())
    assert all(p.grad is not None for name, p in model.named_parameters())
    found = detect(model, image())[0]
    assert len(found.boxes) > 0
    assert found.probabilities.shape == (len(found.boxes), 3)
    assert found.masks.shape == (len(found.boxes), 14, 14)


def test_forward__gives_the_five_losses_of_the_paper() -> None:
    assert list(losses_of(build(), target())) == ["rpn_objectness", "rpn_box", "class", "box", "mask"]


def test_forward__of_a_box_without_outline_sends_no_gradient_to_the_mask_branch() -> None:
    model = build()
    sum(losses_of(model, without_outlines()).values()).backward()
    assert gradients(model.mask_head.parameters()) == 0
    assert gradients(model.box_head.parameters()) > 0


def test_forward__of_an_outlined_box_trains_the_mask_branch() -> None:
    model = build()
    losses_of(model, target())["mask"].backward()
    assert gradients(model.mask_head.parameters()) > 0


def test_forward__of_ambiguous_objects_trains_boxes_and_masks_but_no_class() -> None:
    ambiguous = target(class_weight=torch.zeros(2), classes=torch.full((2, 3), 1 / 3))
    model = build()
    losses = losses_of(model, ambiguous)
    losses["class"].backward(retain_graph=True)
    assert losses["box"] > 0
    assert losses["mask"] > 0
    assert (model.class_logits.bias.grad[1:] > 0).all()  # background alone is taught: all others are pushed down


def test_forward__of_one_hot_posteriors_and_unit_weights_is_that_of_hard_labels() -> None:
    soft, hard = build(), build()
    posterior = target(classes=torch.tensor([[1.0 - 1e-9, 5e-10, 5e-10], [0.0, 0.0, 1.0]]))
    for a, b in zip(losses_of(soft, posterior).values(), losses_of(hard, target()).values(), strict=True):
        assert a.item() == pytest.approx(b.item(), abs=1e-6)


def test_forward__counts_a_doubtful_object_by_its_probability() -> None:
    surely, hardly = (losses_of(build(), target(existence=torch.full((2,), p))) for p in (1.0, 1e-6))
    assert hardly["box"] < 1e-4 * surely["box"]
    assert hardly["rpn_box"] < 1e-4 * surely["rpn_box"]


def test_forward__of_images_without_objects_is_defined() -> None:
    losses = losses_of(build(), nothing(), nothing())
    assert all(math.isfinite(loss.item()) for loss in losses.values())
    assert losses["box"].item() == losses["mask"].item() == losses["rpn_box"].item() == 0


@pytest.mark.parametrize("name", ["backbone.conv1.weight", "rpn.head.conv.weight", "class_logits.bias"])
def test_forward__of_a_model_that_diverged_shows_it_in_the_losses(name: str) -> None:
    model = build()
    with torch.no_grad():
        model.get_parameter(name).fill_(math.nan)
    assert any(loss.isnan() for loss in losses_of(model, target()).values())


def test_detect__refuses_a_model_that_diverged() -> None:
    model = build()
    with torch.no_grad():
        model.backbone.conv1.weight.fill_(math.nan)
    with pytest.raises(ValueError, match="deltas must be finite"):
        detect(model, image())


def test_forward__is_the_same_for_the_same_generator() -> None:
    first, second = (losses_of(build(), target(), without_outlines()) for _ in range(2))
    assert [loss.item() for loss in first.values()] == [loss.item() for loss in second.values()]


def test_forward__trains_the_class_branch_by_the_class_loss_alone() -> None:
    model = build()
    losses = losses_of(model, target())
    sum(loss for name, loss in losses.items() if name != "class").backward()
    assert gradients(model.classifier_parameters()) == 0


@pytest.mark.parametrize("row", ["2", "3", "4"])
def test_freeze_detector__keeps_everything_but_the_classifier_where_it_is(row: str) -> None:
    model = build(config_of(row))
    model.freeze_detector()
    frozen = {id(p) for p in model.detector_parameters()}
    prefixes = tuple(name for name, p in model.named_parameters() if id(p) not in frozen)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        sum(losses_of(model, target(), without_outlines()).values()).backward()
        optimiser.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    running = {name for name in moved if "running" in name or "batches" in name}
    assert moved - running
    assert moved - running <= set(prefixes)
    assert all(name.startswith("classifier.") for name in running)  # the thumbnails' own backbone still learns


def test_detector_and_classifier_parameters__are_all_there_are() -> None:
    model = build()
    ids = [id(p) for p in (*model.detector_parameters(), *model.classifier_parameters())]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())


def test_detect__gives_probabilities_that_sum_to_one() -> None:
    found = detect(build(), image())[0]
    torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(len(found.boxes)))
    assert (found.ambiguous <= found.objectness + 1e-6).all()
    assert (found.masks >= 0).all()
    assert (found.masks <= 1).all()


def test_detect__sorts_by_objectness_and_keeps_boxes_inside_the_image() -> None:
    found = detect(build(), image(50, 61))[0]
    assert (found.objectness.diff() <= 0).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2] <= 61 + 1e-4).all()
    assert (found.boxes[:, 3] <= 50 + 1e-4).all()


@pytest.mark.parametrize("size", [(64, 72), (100, 130)])
def test_detect__does_not_depend_on_the_other_images_of_a_batch(size: tuple[int, int]) -> None:
    model = build()
    alone, together = detect(model, image())[0], detect(model, image(), image(*size, seed=1))[0]
    torch.testing.assert_close(together.boxes, alone.boxes)
    torch.testing.assert_close(together.probabilities, alone.probabilities)


@pytest.mark.parametrize(("row", "n_features"), [("1", 16), ("3", 16), ("4+", 128)])
def test_detect__finds_nothing_where_nothing_is_likely(row: str, n_features: int) -> None:
    model = build(replace(config_of(row), min_objectness=1.0))
    found = detect(model, image())[0]
    assert found.boxes.shape == (0, 4)
    assert found.probabilities.shape == (0, 3)
    assert found.masks.shape == (0, 14, 14)
    assert found.embedding.shape == (0, n_features)
    assert found.label.shape == (0,)


def test_detect__moves_no_nucleus_in_a_larger_tile() -> None:
    one_prior = replace(SMALL, stages=1, prior_sizes=(12.0,), prior_aspects=(1.0,))
    model = build(replace(one_prior, rpn_nms_iou=1.0, rpn_pre_nms=5000, rpn_post_nms=5000, nms_iou=0.0))
    with torch.no_grad():  # what is as bland as padding is background, and the less so the more there is to see
        model.class_branch.fc.bias.zero_()
        model.class_logits.weight[0], model.class_logits.bias[0] = -2.0, 6.0
    large = torch.tensor(MEAN)[:, None, None].repeat(1, 112, 128)
    for n, (y, x) in enumerate([(36, 40), (40, 76), (72, 44), (70, 80)]):
        large[:, y : y + 6, x : x + 6] = image(6, 6, seed=n)
    tile, whole = detect(model, large[:, 16:96, 16:112])[0].boxes + 16, detect(model, large)[0].boxes
    apart = torch.cdist(whole, whole, p=math.inf) + 100 * torch.eye(len(whole))
    nearest = torch.cdist(tile, whole, p=math.inf).min(dim=1)
    assert len(whole) >= 4
    assert apart.min() > 8
    assert sorted(nearest.indices.tolist()) == list(range(len(whole)))  # one to one
    assert nearest.values.max() < 0.1


@pytest.mark.parametrize("row", ["1", "3", "4"])
def test_detect__in_half_floats_gives_float32(row: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = detect(build(config_of(row)), image())[0]
    values = [getattr(found, field.name) for field in fields(found) if field.name != "label"]
    assert len(found.boxes)
    assert [value.dtype for value in values] == [torch.float32] * len(values)
    torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(len(found.boxes)))


@pytest.mark.parametrize("row", ["1", "3", "4"])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2)])
def test_detect__takes_images_smaller_than_a_cell(row: str, size: tuple[int, int]) -> None:
    found = detect(build(config_of(row)), image(*size))[0]
    assert (found.boxes[:, [3, 2]] <= torch.tensor(size) + 1e-4).all()


@pytest.mark.parametrize("row", ["1", "3", "4"])
def test_forward__of_hundreds_of_crowded_objects_is_defined(row: str) -> None:
    corner = torch.rand(400, 2, generator=generator()) * 50
    crowd = Target(
        boxes=torch.cat([corner, corner + 10], dim=1),
        classes=torch.eye(3)[torch.arange(400) % 3],
        class_weight=torch.ones(400),
        existence=torch.ones(400),
        has_outline=torch.ones(400, dtype=torch.bool),
        masks=torch.ones(400, 64, 72, dtype=torch.bool),
        ignored=torch.zeros(0, 4),
    )
    losses = losses_of(build(config_of(row)), crowd)
    sum(losses.values()).backward()
    assert all(math.isfinite(loss.item()) for loss in losses.values())


def test_detect__refuses_training_mode() -> None:
    with pytest.raises(RuntimeError, match="evaluation mode"):
        build().train().detect([image()])


@pytest.mark.parametrize("row", ["3", "4"])
def test_forward__says_what_a_target_lacks(row: str) -> None:
    model = build(config_of(row))
    with pytest.raises(ValueError, match="got 1 images and 2 targets"):
        model([image()], [target(), target()], generator())
    with pytest.raises(ValueError, match="the model has 3 classes; target 1 has 2"):
        losses_of(model, target(), target(classes=torch.full((2, 2), 0.5)))


@pytest.mark.parametrize("names", [[], ["tumor", "tumor"]])
def test_build_nucls__needs_classes_of_their_own_names(names: list[str]) -> None:
    with pytest.raises(ValueError, match="names of their own"):
        build_nucls(SMALL, names)
