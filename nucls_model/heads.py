"""What is said of each proposal: its box, its class, its pixels (Figure 6).

The box head and the classification branch each have their own weights: the paper's text gives the branch a single fully
connected layer, its program passes the branch through the box head's two (nucls_facts 12.7). Here the text holds, so
that nothing but the class loss trains the branch, and the detector can be frozen beside it.

References
----------
He, K., Gkioxari, G., Dollár, P., Girshick, R. (2017): Mask R-CNN. ICCV. Table S7 of the NuCLS paper gives the sizes.
"""

from torch import Tensor, nn

from nucls_model.roi_align import roi_align

MASK_SCALE = 2
"""A mask has this many pixels for each cell that was pooled: 28 from 14."""


class RoiPool(nn.Module):
    """The feature map under each box, in `size` × `size` cells, averaged from as many samples as a cell has pixels.

    Samples are not aligned by half a cell: convolutions with odd kernels centre cell i on pixel i · stride, not on the
    middle of the stride's pixels, so that the coordinate x of a box lies at x / stride of the map.
    """

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """Features (n, c, height, width), boxes (k, 4) of images (k,), in input pixels -> (k, c, size, size)."""
        return roi_align(features, boxes, image, self.size, 1 / self.stride)


def flat(pooled: Tensor) -> Tensor:
    """(k, c, size, size) as it lies in memory, channels last: (k, size² · c), without a copy."""
    return pooled.permute(0, 2, 3, 1).flatten(1)


class BoxFeatures(nn.Module):
    """Two fully connected layers on what was pooled under a box."""

    def __init__(self, pool: RoiPool, channels: int, n_features: int) -> None:
        super().__init__()
        self.pool = pool
        self.fc1 = nn.Linear(channels * pool.size**2, n_features)
        self.fc2 = nn.Linear(n_features, n_features)

    def forward(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """Boxes (k, 4) of images (k,) -> (k, n_features)."""
        x = flat(self.pool(features, boxes, image))  # (k, size² · channels)
        return self.fc2(self.fc1(x).relu()).relu()  # (k, n_features)


class BoxHead(nn.Module):
    """The object's box relative to its proposal: one for all classes, or one for each.

    Parameters
    ----------
    n_features : of the box features
    n_kinds : 1 where boxes are class-agnostic, else the number of classes, AMBIGUOUS among them
    """

    def __init__(self, n_features: int, n_kinds: int) -> None:
        super().__init__()
        self.n_kinds = n_kinds
        self.encoded = nn.Linear(n_features, 4 * n_kinds)

    def forward(self, x: Tensor) -> Tensor:
        """Box features (k, n_features) -> encoded boxes (k, 4 · n_kinds)."""
        return self.encoded(x).float()


class ClassBranch(nn.Module):
    """The embedding of each box's class, from convolutions that only the class loss trains (configuration 3).

    Parameters
    ----------
    pool : what is taken from under a box
    channels : of the feature map; the convolutions keep their number
    n_convs : 3 × 3 convolutions
    n_features : of the embedding
    """

    def __init__(self, pool: RoiPool, channels: int, n_convs: int, n_features: int) -> None:
        super().__init__()
        self.convs = conv_stack(channels, channels, n_convs)
        self.pool = pool
        self.fc = nn.Linear(channels * pool.size**2, n_features)

    def forward(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """Boxes (k, 4) of images (k,) -> (k, n_features), what DTALE explains; `features` from `convs`."""
        x = self.pool(features, boxes, image)  # (k, channels, size, size)
        return self.fc(flat(x)).relu()  # (k, n_features)


class MaskHead(nn.Module):
    """Which pixels of a box are the object's: one mask for all classes, or one for each."""

    def __init__(self, pool: RoiPool, channels: int, n_convs: int, mask_channels: int, n_kinds: int) -> None:
        super().__init__()
        self.pool = pool
        self.convs = conv_stack(channels, mask_channels, n_convs)
        self.up = nn.ConvTranspose2d(mask_channels if n_convs else channels, mask_channels, MASK_SCALE, MASK_SCALE)
        self.logits = nn.Conv2d(mask_channels, n_kinds, 1)
        nn.init.kaiming_normal_(self.up.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.up.bias)

    @property
    def side(self) -> int:
        """Pixels along a side of a mask."""
        return self.pool.size * MASK_SCALE

    def forward(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """Boxes (k, 4) of images (k,) -> mask logits (k, n_kinds, side, side)."""
        x = self.convs(self.pool(features, boxes, image))  # (k, mask_channels, size, size), or channels without convs
        x = self.up(x).relu()  # (k, mask_channels, side, side)
        return self.logits(x).float()  # (k, n_kinds, side, side)


def conv_stack(n_in: int, n_channels: int, n_convs: int) -> nn.Sequential:
    """`n_convs` 3 × 3 convolutions with ReLU, He initialised, that keep height and width and give `n_channels`."""
    layers: list[nn.Module] = []
    for i in range(n_convs):
        conv = nn.Conv2d(n_in if i == 0 else n_channels, n_channels, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(conv.bias)
        layers += [conv, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
