"""Residual networks in torchvision's names: counted against the published sizes."""

import pytest
import torch

from nucls_model.backbone import build_backbone

# Parameters of torchvision's models as published with its weights, less the last layer (1,000 classes).
PUBLISHED = {"resnet18": 11_689_512 - 513_000, "resnet34": 21_797_672 - 513_000, "resnet50": 25_557_032 - 2_049_000}


@pytest.mark.parametrize("name", PUBLISHED)
def test_build_backbone__has_the_published_number_of_parameters(name: str) -> None:
    assert sum(p.numel() for p in build_backbone(name).parameters()) == PUBLISHED[name]


def test_build_backbone__names_parameters_as_torchvision_does() -> None:
    names = set(build_backbone("resnet18").state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer1.1.conv2.weight", "layer2.0.downsample.0.weight"} <= names
    assert "layer4.2.conv3.weight" in build_backbone("resnet50").state_dict()


@pytest.mark.parametrize(("stages", "channels", "stride"), [(1, 64, 4), (2, 128, 8), (3, 256, 16), (4, 512, 32)])
def test_resnet__has_the_stride_and_channels_it_says(stages: int, channels: int, stride: int) -> None:
    backbone = build_backbone("resnet18", stages).eval()
    assert (backbone.out_channels, backbone.stride) == (channels, stride)
    assert backbone(torch.zeros(2, 3, 64, 96)).shape == (2, channels, 64 // stride, 96 // stride)


def test_resnet50__strides_in_its_3x3_convolutions() -> None:
    block = build_backbone("resnet50").get_submodule("layer2.0")
    assert [block.get_submodule(f"conv{i}").stride for i in (1, 2, 3)] == [(1, 1), (2, 2), (1, 1)]


@pytest.mark.parametrize(("name", "stages", "words"), [("vgg16", 4, "no backbone 'vgg16'"), ("resnet18", 5, "1 to 4")])
def test_build_backbone__refuses_what_it_does_not_know(name: str, stages: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_backbone(name, stages)
