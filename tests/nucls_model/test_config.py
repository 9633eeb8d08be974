"""The paper's tables, written down a second time: Table S7 as the defaults, Table S5 as its rows."""

from dataclasses import asdict, replace

import pytest

from nucls_model.config import CONFIGURATIONS, NuclsConfig

TABLE_S7 = {
    "class_level": "main",  # seven classes; Table S5 varies it
    "scale_factor": 4.0,  # 0.2 to 0.05 µm per pixel
    "scale_jitter": 0.4,  # corrected: "up to 10 %" of 4
    "crop_size": 300,
    "backbone": "resnet18",
    "stages": 4,  # stride 32
    "prior_sizes": (12.0, 24.0, 48.0),  # corrected: printed as they are after scaling, see below
    "prior_aspects": (0.5, 1.0, 2.0),
    "rpn_foreground_iou": 0.7,
    "rpn_background_iou": 0.3,
    "rpn_samples": 256,
    "rpn_foreground_share": 0.5,
    "rpn_pre_nms": 6000,
    "rpn_post_nms": 3000,
    "rpn_nms_iou": 0.7,
    "head_foreground_iou": 0.5,
    "head_samples": 512,
    "head_foreground_share": 0.25,
    "box_pool": 14,
    "box_features": 1024,
    "mask_pool": 14,
    "mask_convs": 4,
    "mask_channels": 256,
    "is_class_agnostic": True,
    "class_convs": 4,
    "thumbnails": False,
    "thumbnail_field": 64.0,  # our choice, like the side: paper and program are silent
    "thumbnail_side": 128,
    "thumbnail_shifts": 0,
    "nms_iou": 0.2,
    "min_objectness": 0.05,
    "min_size": 0.01,
    "max_detections": 300,
    "batch_size": 4,  # corrected: the program's gradient came from two images
    "learning_rate": 2e-3,
    "momentum": 0.9,
    "weight_decay": 5e-4,  # the program's: not in the table
    "detector_updates": 15_000,
    "classifier_updates": 1_000,
}

# Row: class-agnostic boxes, masks and NMS; own convolutions; thumbnails; shifts of them; level of the classes.
TABLE_S5 = {
    "1": (False, 0, False, 0, "main"),
    "2": (True, 0, False, 0, "main"),
    "3": (True, 4, False, 0, "main"),
    "4": (False, 0, True, 0, "main"),
    "4+": (False, 0, True, 8, "main"),
    "5": (False, 0, False, 0, "super"),
    "6": (True, 0, False, 0, "super"),
    "7": (False, 0, True, 0, "super"),
    "7+": (False, 0, True, 8, "super"),
}
VARIED = ("is_class_agnostic", "class_convs", "thumbnails", "thumbnail_shifts", "class_level")


def test_nucls_config__is_table_s7() -> None:
    assert asdict(NuclsConfig()) == TABLE_S7


def test_nucls_config__has_the_prior_boxes_printed_in_the_table_after_scaling() -> None:
    config = NuclsConfig()
    assert [size * config.scale_factor for size in config.prior_sizes] == [48, 96, 192]


def test_nucls_config__jitters_the_scale_by_a_tenth() -> None:
    assert NuclsConfig().scale_jitter == pytest.approx(0.1 * NuclsConfig().scale_factor)


@pytest.mark.parametrize("row", TABLE_S5)
def test_configurations__are_the_rows_of_table_s5(row: str) -> None:
    expected = replace(NuclsConfig(), **dict(zip(VARIED, TABLE_S5[row], strict=True)))
    assert NuclsConfig(**CONFIGURATIONS[row]) == expected


def test_configurations__are_all_rows_of_table_s5() -> None:
    assert list(CONFIGURATIONS) == list(TABLE_S5)
