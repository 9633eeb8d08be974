"""ResNet-18, -34 and -50 without the feature pyramid, cut after any residual stage, as the paper's detector uses them.

Parameters carry the names of torchvision's checkpoints, which load unchanged; nothing is downloaded.

References
----------
He, K., Zhang, X., Ren, S., Sun, J. (2016): Deep residual learning for image recognition. CVPR, Table 1.
"""

from torch import Tensor, nn

STEM_CHANNELS = 64


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut (ResNet-18 and -34)."""

    expansion = 1

    def __init__(self, n_in: int, n_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_channels)
        self.conv2 = nn.Conv2d(n_channels, n_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(n_in, n_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in, height, width) -> (n, n_channels, height / stride, width / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions beside a shortcut (ResNet-50); the stride is in the 3 × 3 one."""

    expansion = 4

    def __init__(self, n_in: int, n_channels: int, stride: int) -> None:
        super().__init__()
        n_out = n_channels * self.expansion
        self.conv1 = nn.Conv2d(n_in, n_channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_channels)
        self.conv2 = nn.Conv2d(n_channels, n_channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_channels)
        self.conv3 = nn.Conv2d(n_channels, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(n_in, n_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in, height, width) -> (n, 4 n_channels, height / stride, width / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


Block = type[BasicBlock] | type[Bottleneck]

_DESIGNS: dict[str, tuple[Block, tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """The feature map of a residual network, from its stem to its last stage kept.

    Parameters
    ----------
    block : the residual block
    n_blocks : how many of them in each stage kept; stage s has 64 · 2 ** s channels (times the block's expansion)
    """

    def __init__(self, block: Block, n_blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        n_in = STEM_CHANNELS
        for stage, n in enumerate(n_blocks):
            n_channels = STEM_CHANNELS * 2**stage
            strides = [1 if stage == 0 else 2, *[1] * (n - 1)]
            blocks = []
            for stride in strides:
                blocks.append(block(n_in, n_channels, stride))
                n_in = n_channels * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.n_stages = len(n_blocks)
        self.out_channels = n_in
        self.stride = 2 ** (self.n_stages + 1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Images, normalised, (n, 3, height, width) -> (n, out_channels, height / stride, width / stride)."""
        x = self.relu(self.bn1(self.conv1(x)))  # (n, 64, height / 2, width / 2)
        x = self.maxpool(x)  # (n, 64, height / 4, width / 4)
        for stage in range(self.n_stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)  # (n, 64 · 2 ** stage, …): half the size from the second on
        return x


def build_backbone(name: str, stages: int = 4) -> ResNet:
    """A residual network by its name, from random weights (He initialisation), without its later stages.

    Raises
    ------
    ValueError
        If there is no such network, or `stages` is not 1, 2, 3 or 4.

    Examples
    --------
    >>> backbone = build_backbone("resnet18", stages=3)
    >>> backbone.out_channels, backbone.stride
    (256, 16)
    """
    if name not in _DESIGNS:
        raise ValueError(f"there is no backbone {name!r}; known: {', '.join(_DESIGNS)}")
    block, n_blocks = _DESIGNS[name]
    if not 1 <= stages <= len(n_blocks):
        raise ValueError(f"a backbone has 1 to {len(n_blocks)} stages, not {stages}")
    return ResNet(block, n_blocks[:stages])


def _shortcut(n_in: int, n_out: int, stride: int) -> nn.Sequential | None:
    """What makes a block's input fit its output; None where it fits."""
    if stride == 1 and n_in == n_out:
        return None
    return nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))


def _initialise(module: nn.Module) -> None:
    """He initialisation of a convolution; batch norms start as the identity, as torch makes them."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
