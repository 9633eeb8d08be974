"""Synthetic tissue: classes, sizes, overlaps and neighbours of nuclei."""

import numpy as np
import pytest

from crowdtruth.boxes import overlapping_pairs
from crowdtruth.synthetic.layout import class_niches, draw_layout, slide_mixture, spread_evenly
from tests.synthetic_cases import DEMO


def test_class_niches__mix_to_the_frequencies_of_the_classes():
    weight, within = class_niches(DEMO.tissue)
    frequency = np.array([one.frequency for one in DEMO.tissue.classes])
    np.testing.assert_allclose(weight @ within, frequency / frequency.sum())


@pytest.fixture(scope="module")
def tissue():
    """Layouts of 400 FOVs on as many slides."""
    rng = np.random.default_rng(0)
    return [
        draw_layout(DEMO.tissue, slide_mixture(DEMO.tissue, rng), rng, spread_evenly(0.3, number))
        for number in range(400)
    ]


def test_draw_layout__has_the_real_proportions(tissue):
    labels = np.concatenate([one.label for one in tissue])
    share = np.bincount(labels[labels < 13], minlength=13) / (labels < 13).sum()
    frequency = np.array([one.frequency for one in DEMO.tissue.classes])
    # FOVs differ widely: shares of a class scatter with a standard deviation below .3 between them, 400 FOVs
    np.testing.assert_allclose(share, frequency / frequency.sum(), atol=4 * 0.3 / np.sqrt(400))


def test_draw_layout__has_the_sizes_of_each_class(tissue):
    boxes, labels = (np.concatenate([getattr(one, name) for one in tissue]) for name in ("boxes", "label"))
    side = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    for code in (0, 1, 2, 3):  # tumor, fibroblast, lymphocyte, plasma cell: hundreds of nuclei each
        expected, spread = DEMO.tissue.classes[code].side, DEMO.tissue.classes[code].side_log_sd
        assert np.median(side[labels == code]) == pytest.approx(expected, rel=0.05)
        assert np.log(side[labels == code]).std() == pytest.approx(spread, rel=0.15)


def test_draw_layout__keeps_the_numbers_within_limits(tissue):
    n_nuclei = np.array([(one.label < 13).sum() for one in tissue])
    assert n_nuclei.min() >= 10
    assert n_nuclei.max() <= 90
    assert 20 < n_nuclei.mean() < 30


def test_spread_evenly__fills_the_interval_at_every_length():
    for length in (5, 53, 400):
        places = np.sort([spread_evenly(0.7, number) for number in range(length)])
        assert np.diff(places, prepend=places[-1] - 1).max() < 3 / length


def test_draw_layout__number_of_nuclei_is_the_quantile():
    rng = np.random.default_rng(0)
    numbers = [
        (draw_layout(DEMO.tissue, slide_mixture(DEMO.tissue, rng), rng, size).label < 13).sum()
        for size in (1e-9, 0.5, 1 - 1e-9)
    ]
    assert numbers == [10, 21, 90]


def test_draw_layout__keeps_centres_in_the_fov(tissue):
    boxes = np.concatenate([one.boxes for one in tissue])
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert centre.min() > -1
    assert centre.max() < DEMO.tissue.fov_side + 1


def test_draw_layout__nuclei_touch_but_rarely_overlap_much(tissue):
    # measured in the single-rater set: half overlap another box, a quarter by more than .05, a hundredth by .25
    worst = np.concatenate([_worst_overlaps(one.boxes[one.label < 13]) for one in tissue])
    assert 0.4 < (worst > 0).mean() < 0.7
    assert 0.15 < (worst > 0.05).mean() < 0.35
    assert 0 < (worst > 0.25).mean() < 0.02


def _worst_overlaps(boxes):
    """Largest IOU of each box with another, (n,)."""
    first, second, iou = overlapping_pairs(boxes, min_iou=1e-9)
    worst = np.zeros(len(boxes))
    np.maximum.at(worst, first, iou)
    np.maximum.at(worst, second, iou)
    return worst


def test_draw_layout__neighbours_resemble_each_other(tissue):
    from scipy.spatial import cKDTree

    is_same = []
    for one in tissue:
        nuclei = one.label < 13
        centre, label = (one.boxes[nuclei, :2] + one.boxes[nuclei, 2:]) / 2, one.label[nuclei]
        nearest = cKDTree(centre).query(centre, 2)[1][:, 1]
        is_same.append(label == label[nearest])
    # measured in the single-rater set: .71
    assert np.concatenate(is_same).mean() == pytest.approx(0.71, abs=0.07)


def test_draw_layout__outlines_fill_their_boxes(tissue):
    for one in tissue[:20]:
        np.testing.assert_allclose(one.outline.min(axis=1), 0)
        np.testing.assert_allclose(one.outline.max(axis=1), 1)
