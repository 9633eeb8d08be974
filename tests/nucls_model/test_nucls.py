"""What the paper claims of the detector, on tiny tensors."""

import math
from collections.abc import Iterable
from dataclasses import fields, replace

import pytest
import torch
from torch import Generator, Tensor, nn

from nucls_model.config import CONFIGURATIONS, NuclsConfig
from nucls_model.instances import Detections, Target
from nucls_model.nucls import build_nucls
from nucls_model.thumbnails import as_nuclei

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
    model = build(
        replace(one_prior, nms_iou=1, rpn_nms_iou=1, max_detections=5000, rpn_pre_nms=5000, rpn_post_nms=5000)
    )
    large = image(128, 128)
    tile, whole = detect(model, large[:, 16:112, 16:112])[0], detect(model, large)[0]
    centre = (tile.boxes[:, :2] + tile.boxes[:, 2:]) / 2
    inner = ((centre > 44) & (centre < 52)).all(dim=1)  # farther from the tile's edge than the network sees
    expected = tile.boxes[inner] + 16
    assert inner.sum() > 10
    distance = torch.cdist(expected, whole.boxes, p=math.inf).min(dim=1).values
    assert distance.max() < 1


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


def test_thumbnails__average_over_shifted_squares() -> None:
    centred, shifted = build(config_of("4")), build(config_of("4+"))
    a, b = detect(centred, image())[0], detect(shifted, image())[0]
    torch.testing.assert_close(a.boxes, b.boxes)
    assert not torch.allclose(a.probabilities, b.probabilities, atol=1e-7)
    torch.testing.assert_close(b.probabilities.sum(dim=1), torch.ones(len(b.boxes)))


def test_thumbnails__show_the_square_around_a_nucleus() -> None:
    model = build(replace(config_of("4"), thumbnail_field=16.0, thumbnail_side=16))
    picture = image()
    thumbnail = model.thumbnails(picture, torch.tensor([[20.0, 30.0, 24.0, 34.0]]))
    torch.testing.assert_close(thumbnail[0], picture[:, 24:40, 14:30])


def test_thumbnails__are_larger_than_a_cell_of_their_map() -> None:
    with pytest.raises(ValueError, match="thumbnail_side must be above the stride of 8, got 8"):
        build(replace(config_of("4"), thumbnail_side=8))
    one = target(**{name: getattr(target(), name)[:1] for name in ("boxes", "classes", "class_weight", "existence")})
    losses = losses_of(build(replace(config_of("4"), thumbnail_side=9)), replace(one, has_outline=torch.tensor([True])))
    assert losses["thumbnail"].isfinite()


@pytest.mark.parametrize("is_frozen", [False, True])
def test_thumbnails__of_no_nucleus_send_a_gradient_of_nothing_to_the_whole_classifier(is_frozen: bool) -> None:
    model = build(config_of("4"))
    if is_frozen:
        model.freeze_detector()
    losses = losses_of(model, nothing())
    losses["thumbnail"].backward()
    assert losses["thumbnail"].item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in model.classifier_parameters())
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_thumbnails__refuse_training_mode_beside_a_frozen_detector_too() -> None:
    model = build(config_of("4"))
    model.freeze_detector()
    with pytest.raises(RuntimeError, match="evaluation mode"):
        model.train().detect([image()])


def test_as_nuclei__keeps_the_weight_of_what_may_be_ambiguous() -> None:
    doubtful = target(class_weight=torch.tensor([0.3, 0.0]), existence=torch.tensor([0.9, 0.8]))
    nuclei = as_nuclei(doubtful)
    assert nuclei.classes.tolist() == [[1], [1]]
    assert nuclei.class_weight.tolist() == pytest.approx([0.3, 0.0])
    assert nuclei.existence.tolist() == pytest.approx([0.9, 0.8])
