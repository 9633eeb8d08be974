"""The classifier of thumbnails: what it sees around a nucleus, and what it learns."""

import math
from dataclasses import replace

import pytest
import torch

from nucls_model.instances import Detections
from nucls_model.thumbnails import as_nuclei
from tests.nucls_model.detector_cases import build, config_of, detect, image, losses_of, nothing, target


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


def test_thumbnails__are_shifted_by_an_eighth_of_the_field_and_averaged_as_probabilities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build(replace(config_of("4"), thumbnail_field=16.0, thumbnail_side=16, thumbnail_shifts=4)).eval()
    found = detect(build(config_of("4")), image())[0]
    one = Detections(**{name: value[:1] for name, value in vars(found).items()})
    nucleus = replace(one, boxes=torch.tensor([[26.0, 20, 34, 32]]))
    monkeypatch.setattr(model.detector, "detect", lambda images: [nucleus])
    seen = []
    model.classifier.register_forward_hook(lambda _, given, said: seen.append((given[0], said[0].softmax(dim=1))))
    x, y = torch.arange(64).expand(64, 64), torch.arange(64)[:, None].expand(64, 64)
    (classified,) = model.detect([torch.stack([x, y, 0 * x]) / 64])
    middles = {
        tuple((64 * thumbnail[0, :2].mean(dim=(1, 2)) + 0.5).round(decimals=3).tolist()) for thumbnail, _ in seen
    }
    assert middles == {(30, 26), (32, 26), (28, 26), (30, 28), (30, 24)}
    torch.testing.assert_close(classified.probabilities, torch.stack([said for _, said in seen]).mean(dim=0))


def test_forward__teaches_the_posterior_of_each_nucleus_with_its_weight_from_its_thumbnail() -> None:
    model = build(config_of("4"))
    with torch.no_grad():
        model.classifier.logits.weight.zero_()
        model.classifier.logits.bias.copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    posterior = torch.tensor([[0.6, 0.3, 0.1], [0.0, 0.0, 1.0]])
    loss = losses_of(model, target(classes=posterior, class_weight=torch.tensor([1.0, 0.25])))["thumbnail"].item()
    first = -(0.6 * math.log(0.5) + 0.3 * math.log(0.3) + 0.1 * math.log(0.2))
    assert loss == pytest.approx((first - 0.25 * math.log(0.2)) / 1.25)


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
