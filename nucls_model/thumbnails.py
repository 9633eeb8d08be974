"""A detector and an independent classifier that looks at a thumbnail of each nucleus (rows 4 and 7 of Table S5).

The program that was published lacks this part. Built here from the table's words: the detector of configuration 1 finds
nuclei without telling classes apart, a second backbone sees the square around each, and the two share no weights.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from nucls_model.backbone import ResNet
from nucls_model.inputs import check_targets, normalise
from nucls_model.instances import Detections, Target
from nucls_model.losses import class_loss
from nucls_model.roi_align import roi_align

SHIFT = 1 / 8
"""How far a shifted thumbnail lies from the centred one, as a share of its field (our choice: the table is silent)."""

BLOCK = 64
"""Thumbnails that pass the classifier at once in detection."""


class ThumbnailClassifier(nn.Module):
    """Class logits of thumbnails: a backbone, the mean over its map, one layer."""

    def __init__(self, backbone: ResNet, n_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.logits = nn.Linear(backbone.out_channels, n_classes)

    def forward(self, thumbnails: Tensor) -> tuple[Tensor, Tensor]:
        """Fractions (k, 3, side, side) -> logits (k, C) and embedding (k, channels)."""
        x = self.backbone(normalise(thumbnails))  # (k, channels, side / stride, side / stride)
        embedding = x.mean(dim=(2, 3))  # (k, channels)
        return self.logits(embedding).float(), embedding.float()


class ThumbnailNucls(nn.Module):
    """Nuclei from a detector, their classes from their thumbnails.

    Parameters
    ----------
    class_names : the real classes, in the order of the probabilities
    detector : finds nuclei, with one class
    classifier : of thumbnails
    field : side of the square around a nucleus's centre, in pixels of the image
    side : side of the thumbnail, in its own pixels
    n_shifts : in detection, thumbnails around the centred one whose probabilities are averaged with its own
    """

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        detector: nn.Module,
        classifier: ThumbnailClassifier,
        field: float,
        side: int,
        n_shifts: int,
    ) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        self.detector, self.classifier = detector, classifier
        self.field, self.side, self.n_shifts = field, side, n_shifts
        self.is_frozen = False

    @property
    def stride(self) -> int:
        """Pixels of the detector's input per cell of its feature map."""
        return int(self.detector.stride)

    @property
    def scale_factor(self) -> float:
        """Pixels of the detector's input per pixel of the image."""
        return float(self.detector.scale_factor)

    def forward(self, images: Sequence[Tensor], targets: Sequence[Target], generator: Generator) -> dict[str, Tensor]:
        """The losses of a batch: the detector's, until it is frozen, and that of the `thumbnail` classes.

        Parameters
        ----------
        images : (3, height, width) each, as fractions
        targets : the objects of each image; the classifier sees the true boxes
        generator : draws what the detector draws

        Raises
        ------
        ValueError
            As `Nucls.forward`.
        """
        check_targets(targets, len(images), len(self.class_names))
        losses = {} if self.is_frozen else dict(self.detector(images, [as_nuclei(t) for t in targets], generator))
        thumbnails = torch.cat([self.thumbnails(image, t.boxes) for image, t in zip(images, targets, strict=True)])
        logits, _ = self.classifier(thumbnails)  # (k, C), of no thumbnail too: processes expect a gradient of each part
        classes = torch.cat([target.classes for target in targets])
        losses["thumbnail"] = class_loss(logits, classes, torch.cat([target.class_weight for target in targets]))
        return losses

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[Detections]:
        """The detector's objects of each image, with the classifier's probabilities, embedding and label.

        Raises
        ------
        RuntimeError
            If the model is in training mode: batch norm would depend on the batch.
        """
        if self.training:  # the detector, once frozen, no longer is
            raise RuntimeError("detect() needs the model in evaluation mode: call model.eval() first")
        found = self.detector.detect(images)
        return [self._classified(image, objects) for image, objects in zip(images, found, strict=True)]

    def thumbnails(self, image: Tensor, boxes: Tensor, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        """Squares around the centres of boxes (k, 4), moved by a `shift` in pixels: (k, 3, side, side).

        What lies outside the image is black.
        """
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + boxes.new_tensor(shift)  # (k, 2)
        squares = torch.cat([centre - self.field / 2, centre + self.field / 2], dim=1)  # (k, 4)
        first = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        return roi_align(image[None], squares, first, self.side, 1.0, is_aligned=True)

    def detector_parameters(self) -> Iterator[nn.Parameter]:
        """Everything that finds nuclei."""
        return self.detector.parameters()

    def classifier_parameters(self) -> Iterator[nn.Parameter]:
        """Everything that tells their classes."""
        return self.classifier.parameters()

    def freeze_detector(self) -> None:
        """Nothing of the detector moves from here on, the running statistics of its batch norms included."""
        self.is_frozen = True
        for parameter in self.detector_parameters():
            parameter.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "ThumbnailNucls":
        """Training or evaluation mode; a frozen detector stays in evaluation mode."""
        super().train(mode)
        if self.is_frozen:
            self.detector.eval()
        return self

    def _classified(self, image: Tensor, objects: Detections) -> Detections:
        """The detections of one image with the classes of their thumbnails; the embedding is the centred one's."""
        probabilities, embedding = self._classify(image, objects.boxes, (0.0, 0.0))
        for shift in shifts_around(self.n_shifts, self.field * SHIFT):
            probabilities = probabilities + self._classify(image, objects.boxes, shift)[0]
        probabilities = probabilities / (1 + self.n_shifts)
        return replace(objects, probabilities=probabilities, embedding=embedding, label=probabilities.argmax(dim=1))

    def _classify(self, image: Tensor, boxes: Tensor, shift: tuple[float, float]) -> tuple[Tensor, Tensor]:
        """Class probabilities (k, C) and embeddings (k, channels) of shifted thumbnails."""
        found = [self.classifier(self.thumbnails(image, block, shift)) for block in boxes.split(BLOCK)]
        logits, embedding = (torch.cat(parts) for parts in zip(*found, strict=True))
        return logits.softmax(dim=1), embedding


def as_nuclei(target: Target) -> Target:
    """The same objects with one class, nucleus, of the same weight: AMBIGUOUS ones stay without a class."""
    return replace(target, classes=torch.ones_like(target.existence)[:, None])


def shifts_around(n_shifts: int, radius: float) -> list[tuple[float, float]]:
    """`n_shifts` directions spread evenly over a circle, in pixels.

    Examples
    --------
    >>> [(round(x), round(y)) for x, y in shifts_around(4, 8.0)]
    [(8, 0), (0, 8), (-8, 0), (0, -8)]
    """
    angles = [2 * math.pi * i / n_shifts for i in range(n_shifts)]
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]
