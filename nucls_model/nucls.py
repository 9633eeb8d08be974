"""The NuCLS detector, assembled from its parts (Figure 6): what it learns from a batch, what it finds in an image."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn

from nucls_model.backbone import ResNet, build_backbone
from nucls_model.box_ops import clip, decode, encode, is_sized
from nucls_model.config import NuclsConfig
from nucls_model.heads import BoxFeatures, BoxHead, ClassBranch, MaskHead, RoiPool
from nucls_model.inputs import Batch, check_targets, prepare, scale_target
from nucls_model.instances import Detections, Target
from nucls_model.losses import box_loss, class_loss, mask_loss
from nucls_model.proposals import Proposals, choose_proposals, class_targets, has_mask, kinds_of, mask_targets
from nucls_model.rpn import RegionProposals
from nucls_model.suppression import ClassNms, GlobalNms, Kept, objectness_of, real_probabilities
from nucls_model.thumbnails import ThumbnailClassifier, ThumbnailNucls

ENCODING = (10.0, 10.0, 5.0, 5.0)
"""Weights of the encoded coordinates of proposals, as in Faster R-CNN's reference code."""

BLOCK = 256
"""Proposals that pass the heads at once in detection: 3,000 pooled at once would take 1.2 GB."""

Suppression = Callable[[Tensor, Tensor, Tensor], Kept]
ChooseProposals = Callable[[Sequence[Tensor], Sequence[Target], Generator], Proposals]


class Nucls(nn.Module):
    """Mask R-CNN that trains on boxes and outlines mixed, and gives every nucleus one vector of class probabilities.

    Parameters
    ----------
    class_names : the real classes, in the order of the probabilities
    backbone, rpn, box_features, box_head, mask_head : the detector
    class_branch : what embeds a box for its class; None: the box features do
    class_logits : background, the real classes and AMBIGUOUS, from the embedding
    choose : which proposals train the heads
    suppress : which candidates become detections
    scale_factor, scale_jitter : pixels of the network's input per pixel of the image; in training uniform ± the jitter
    min_objectness, min_size : candidates with less are no detections
    """

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        backbone: ResNet,
        rpn: RegionProposals,
        box_features: BoxFeatures,
        box_head: BoxHead,
        mask_head: MaskHead,
        class_branch: ClassBranch | None,
        class_logits: nn.Linear,
        choose: ChooseProposals,
        suppress: Suppression,
        scale_factor: float,
        scale_jitter: float,
        min_objectness: float,
        min_size: float,
    ) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        self.backbone, self.rpn = backbone, rpn
        self.box_features, self.box_head, self.mask_head = box_features, box_head, mask_head
        self.class_branch, self.class_logits = class_branch, class_logits
        self.choose, self.suppress = choose, suppress
        self.scale_factor, self.scale_jitter = scale_factor, scale_jitter
        self.min_objectness, self.min_size = min_objectness, min_size
        self.is_frozen = False

    @property
    def stride(self) -> int:
        """Pixels of the network's input per cell of the feature map."""
        return self.backbone.stride

    def forward(self, images: Sequence[Tensor], targets: Sequence[Target], generator: Generator) -> dict[str, Tensor]:
        """The losses of a batch, one scalar each; only that of the class where the detector is frozen.

        Parameters
        ----------
        images : (3, height, width) each, as fractions
        targets : the objects of each image
        generator : draws the scale, the same for all images, and which prior boxes and proposals count; on any device

        Raises
        ------
        ValueError
            If an image is none, or a target is missing or of other classes.
        """
        check_targets(targets, len(images), len(self.class_names))
        jitter = self.scale_jitter * (2 * torch.rand((), generator=generator, device=generator.device).item() - 1)
        batch = prepare(images, self.scale_factor + jitter, self.stride)
        targets = [scale_target(target, ratio) for target, ratio in zip(targets, batch.ratios, strict=True)]
        features = self.backbone(batch.pixels)  # (n, channels, height / stride, width / stride)
        scores = self.rpn(features)
        losses = {}
        if not self.is_frozen:
            losses["rpn_objectness"], losses["rpn_box"] = self.rpn.losses(scores, targets, generator)
        # A model that diverged must come to its losses: who reads them knows the images. Detection raises.
        proposals = self.choose(self.rpn.propose(scores.finite(), batch.sizes), targets, generator)
        embedding = self._embed(features, self._class_features(features), proposals.boxes, proposals.image)  # (k, f)
        logits = self.class_logits(embedding).float()  # (k, C + 2)
        losses["class"] = class_loss(logits, class_targets(proposals), proposals.class_weight)
        if not self.is_frozen:
            losses["box"] = self._box_loss(features, embedding, proposals)
            losses["mask"] = self._mask_loss(features, proposals, targets, batch)
        return losses

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[Detections]:
        """The objects of each image (3, height, width), in its own pixels.

        Raises
        ------
        RuntimeError
            If the model is in training mode: batch norm would depend on the batch.
        """
        if self.training:
            raise RuntimeError("detect() needs the model in evaluation mode: call model.eval() first")
        return [self._detect_in(image) for image in images]  # one by one: padding of a batch would show at the borders

    def detector_parameters(self) -> Iterator[nn.Parameter]:
        """Everything that finds objects: all but the classification branch and the class logits."""
        return (p for part in self._detector_parts() for p in part.parameters())

    def classifier_parameters(self) -> Iterator[nn.Parameter]:
        """The classification branch, where there is one, and the class logits."""
        parts = [part for part in (self.class_branch, self.class_logits) if part is not None]
        return (p for part in parts for p in part.parameters())

    def freeze_detector(self) -> None:
        """Nothing of the detector moves from here on, the running statistics of its batch norms included."""
        self.is_frozen = True
        for parameter in self.detector_parameters():
            parameter.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Nucls":
        """Training or evaluation mode; a frozen detector stays in evaluation mode."""
        super().train(mode)
        if self.is_frozen:
            for part in self._detector_parts():
                part.eval()
        return self

    def _detector_parts(self) -> list[nn.Module]:
        return [self.backbone, self.rpn, self.box_features, self.box_head, self.mask_head]

    def _class_features(self, features: Tensor) -> Tensor:
        """The feature map that classes are pooled from: (n, channels, height, width)."""
        return features if self.class_branch is None else self.class_branch.convs(features)

    def _embed(self, features: Tensor, class_features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """What the class of each box is computed from: (k, n_features)."""
        if self.class_branch is None:
            return self.box_features(features, boxes, image)
        return self.class_branch(class_features, boxes, image)

    def _box_loss(self, features: Tensor, embedding: Tensor, proposals: Proposals) -> Tensor:
        """Only boxes of objects are learnt, so only they pass the box head."""
        found = proposals.at(proposals.is_object)
        if self.class_branch is None:
            x = embedding[proposals.is_object]
        else:
            x = self.box_features(features, found.boxes, found.image)
        encoded = self.box_head(x).unflatten(1, (self.box_head.n_kinds, 4))  # (k, n_kinds, 4)
        encoded = _of_kind(encoded, kinds_of(found))  # (k, 4)
        target = encode(found.truth, found.boxes, ENCODING)
        return box_loss(encoded, target, found.existence, proposals.existence.sum())

    def _mask_loss(self, features: Tensor, proposals: Proposals, targets: Sequence[Target], batch: Batch) -> Tensor:
        """Objects without an outline have no mask to learn, and send nothing to the mask head."""
        outlined = proposals.at(has_mask(proposals, targets))
        logits = self.mask_head(features, outlined.boxes, outlined.image)  # (k, n_kinds, side, side)
        logits = _of_kind(logits, kinds_of(outlined))  # (k, side, side)
        covered = mask_targets(outlined, targets, batch.ratios, self.mask_head.side)
        return mask_loss(logits, covered, outlined.existence)

    def _detect_in(self, pixels: Tensor) -> Detections:
        """The objects of one image (3, height, width)."""
        batch = prepare([pixels], self.scale_factor, self.stride)
        features = self.backbone(batch.pixels)  # (1, channels, height / stride, width / stride)
        class_features = self._class_features(features)
        (proposals,) = self.rpn.propose(self.rpn(features), batch.sizes)  # (p, 4)
        embedding = _in_blocks(proposals, lambda boxes, image: self._embed(features, class_features, boxes, image))
        probabilities = self.class_logits(embedding).float().softmax(dim=1)  # (p, C + 2)
        candidates = (objectness_of(probabilities) > self.min_objectness).nonzero()[:, 0]
        proposals, embedding, probabilities = proposals[candidates], embedding[candidates], probabilities[candidates]
        if self.class_branch is None:
            encoded = self.box_head(embedding)
        else:
            encoded = _in_blocks(
                proposals, lambda boxes, image: self.box_head(self.box_features(features, boxes, image))
            )
        boxes = clip(decode(encoded, proposals, ENCODING), *batch.sizes[0])  # (k, n_kinds, 4)
        is_valid = is_sized(boxes.flatten(0, 1), self.min_size).view(boxes.shape[:2])
        kept = self.suppress(boxes, probabilities, is_valid)
        boxes, probabilities = boxes[kept.row, kept.kind], probabilities[kept.row]
        return Detections(
            boxes=boxes / batch.ratios[0],
            objectness=objectness_of(probabilities),
            probabilities=real_probabilities(probabilities),
            ambiguous=probabilities[:, -1],
            masks=self._masks_of(features, boxes, kept.kind),
            embedding=embedding[kept.row].float(),
            label=kept.label,
        )

    def _masks_of(self, features: Tensor, boxes: Tensor, kind: Tensor) -> Tensor:
        """Probability of each object's pixels over its box: (d, side, side)."""
        logits = _in_blocks(boxes, lambda block, image: self.mask_head(features, block, image))
        return _of_kind(logits, kind).sigmoid()


def _of_kind(said: Tensor, kind: Tensor) -> Tensor:
    """What is said (k, n_kinds, …) of the kind (k,) of each: (k, …); a head with one kind says the same of all."""
    return said[:, 0] if said.shape[1] == 1 else said[torch.arange(len(kind), device=kind.device), kind]


def _in_blocks(boxes: Tensor, head: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """What a head says of the boxes (k, 4) of one image, a block at a time; of no boxes, too."""
    blocks = boxes.split(BLOCK) if len(boxes) else [boxes]
    return torch.cat([head(b, torch.zeros(len(b), dtype=torch.int64, device=b.device)) for b in blocks])


def build_nucls(config: NuclsConfig, class_names: Sequence[str]) -> "Nucls | ThumbnailNucls":
    """The detector of a configuration, from random weights.

    Parameters
    ----------
    config : Table S7, with what a row of Table S5 changes
    class_names : the real classes, without background and AMBIGUOUS

    Raises
    ------
    ValueError
        If there is no class, one is named twice, or a thumbnail is no larger than a cell of its feature map.

    Examples
    --------
    >>> small = NuclsConfig(stages=2, box_features=8, mask_channels=4, class_convs=1)
    >>> build_nucls(small, ["tumor", "stroma"]).stride
    8
    """
    if not class_names or len(set(class_names)) < len(class_names):
        raise ValueError(f"a detector needs classes with names of their own, not {list(class_names)}")
    if not config.thumbnails:
        return _build_detector(config, class_names)
    detector, backbone = _build_detector(config, ["nucleus"]), build_backbone(config.backbone, config.stages)
    if config.thumbnail_side <= backbone.stride:  # batch norm needs more than one cell where there is one nucleus
        raise ValueError(f"thumbnail_side must be above the stride of {backbone.stride}, got {config.thumbnail_side}")
    return ThumbnailNucls(
        class_names,
        detector=detector,
        classifier=ThumbnailClassifier(backbone, len(class_names)),
        field=config.thumbnail_field,
        side=config.thumbnail_side,
        n_shifts=config.thumbnail_shifts,
    )


def _build_detector(config: NuclsConfig, class_names: Sequence[str]) -> Nucls:
    """The parts of a configuration, put together."""
    backbone = build_backbone(config.backbone, config.stages)
    channels = backbone.out_channels
    pool = RoiPool(config.box_pool, backbone.stride)
    n_kinds = 1 if config.is_class_agnostic else len(class_names) + 1
    suppress = (GlobalNms if config.is_class_agnostic else ClassNms)(
        config.nms_iou, config.min_objectness, config.max_detections
    )
    branch = ClassBranch(pool, channels, config.class_convs, config.box_features) if config.class_convs else None
    return Nucls(
        class_names,
        backbone=backbone,
        rpn=_build_rpn(config, backbone),
        box_features=BoxFeatures(pool, channels, config.box_features),
        box_head=BoxHead(config.box_features, n_kinds),
        mask_head=MaskHead(
            RoiPool(config.mask_pool, backbone.stride), channels, config.mask_convs, config.mask_channels, n_kinds
        ),
        class_branch=branch,
        class_logits=nn.Linear(config.box_features, len(class_names) + 2),
        choose=partial(
            choose_proposals,
            foreground_iou=config.head_foreground_iou,
            samples=config.head_samples,
            foreground_share=config.head_foreground_share,
        ),
        suppress=suppress,
        scale_factor=config.scale_factor,
        scale_jitter=config.scale_jitter,
        min_objectness=config.min_objectness,
        min_size=config.min_size,
    )


def _build_rpn(config: NuclsConfig, backbone: ResNet) -> RegionProposals:
    """The region proposal network of a configuration; its prior boxes are scaled with the image."""
    return RegionProposals(
        backbone.out_channels,
        backbone.stride,
        sizes=[size * config.scale_factor for size in config.prior_sizes],
        aspects=config.prior_aspects,
        foreground_iou=config.rpn_foreground_iou,
        background_iou=config.rpn_background_iou,
        samples=config.rpn_samples,
        foreground_share=config.rpn_foreground_share,
        pre_nms=config.rpn_pre_nms,
        post_nms=config.rpn_post_nms,
        nms_iou=config.rpn_nms_iou,
        min_size=config.min_size,
    )
