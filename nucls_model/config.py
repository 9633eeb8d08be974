"""The hyperparameters of the detector: Table S7 as one frozen record, and the configurations of Table S5 beside it.

Values are the paper's. Where its text, its table and its published program disagree, the comment says so and the value
is the corrected one. Lengths are pixels of the image as it is read (0.2 µm) unless they say otherwise.
"""

from dataclasses import dataclass
from typing import Literal

ClassLevel = Literal["raw", "main", "super"]


@dataclass(frozen=True)
class NuclsConfig:
    """Table S7, right column, and what Table S5 varies."""

    # Input
    class_level: ClassLevel = "main"
    scale_factor: float = 4.0  # 0.2 µm per pixel becomes 0.05
    scale_jitter: float = 0.4  # half-width, uniform; the text says "up to 10 %", which is 0.4 of a factor of 4
    crop_size: int = 300
    # Backbone
    backbone: Literal["resnet18", "resnet34", "resnet50"] = "resnet18"
    stages: int = 4  # residual stages kept; the stride is 2 ** (stages + 1): 32 in the paper
    # Region proposals
    prior_sizes: tuple[float, ...] = (12.0, 24.0, 48.0)  # printed as 48, 96, 192: after scaling by 4
    prior_aspects: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    rpn_foreground_iou: float = 0.7
    rpn_background_iou: float = 0.3
    rpn_samples: int = 256  # per image
    rpn_foreground_share: float = 0.5
    rpn_pre_nms: int = 6000  # Table S7 has these two for training and for testing alike
    rpn_post_nms: int = 3000
    rpn_nms_iou: float = 0.7
    # Heads
    head_foreground_iou: float = 0.5
    head_samples: int = 512  # proposals per image
    head_foreground_share: float = 0.25
    box_pool: int = 14
    box_features: int = 1024
    mask_pool: int = 14
    mask_convs: int = 4
    mask_channels: int = 256
    # What Table S5 varies
    is_class_agnostic: bool = True  # boxes, masks and NMS
    class_convs: int = 4  # own convolutions of the classification branch; 0: it shares the box features
    thumbnails: bool = False  # an independent classifier on thumbnails gives the classes
    thumbnail_field: float = 64.0  # side of the square around a nucleus (12.8 µm); the paper does not say
    thumbnail_side: int = 128  # pixels of the thumbnail made of it
    thumbnail_shifts: int = 0  # test-time augmentation: shifted thumbnails averaged beside the centred one
    # Detections
    nms_iou: float = 0.2
    min_objectness: float = 0.05
    min_size: float = 0.01
    max_detections: int = 300
    # Training
    batch_size: int = 4  # the program's gradient came from the last two images alone (nucls_facts 12.8)
    learning_rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4  # in the program, not in the table
    detector_updates: int = 15_000
    classifier_updates: int = 1_000  # then with the detector frozen, running statistics included


CONFIGURATIONS: dict[str, dict[str, object]] = {
    "1": {"is_class_agnostic": False, "class_convs": 0},
    "2": {"class_convs": 0},
    "3": {},
    "4": {"is_class_agnostic": False, "class_convs": 0, "thumbnails": True},
    "4+": {"is_class_agnostic": False, "class_convs": 0, "thumbnails": True, "thumbnail_shifts": 8},
    "5": {"is_class_agnostic": False, "class_convs": 0, "class_level": "super"},
    "6": {"class_convs": 0, "class_level": "super"},
    "7": {"is_class_agnostic": False, "class_convs": 0, "thumbnails": True, "class_level": "super"},
    "7+": {
        "is_class_agnostic": False,
        "class_convs": 0,
        "thumbnails": True,
        "thumbnail_shifts": 8,
        "class_level": "super",
    },
}
"""Table S5: what each row changes of the final model (configuration 3)."""
