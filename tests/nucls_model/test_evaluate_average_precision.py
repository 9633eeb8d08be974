"""Average precision: equal to the COCO program, and to the plain version where nuclei are ambiguous."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nucls_model.evaluate.average_precision import IOU_THRESHOLDS, RECALLS, coco_average_precision, interpolated_area
from tests import strategies
from tests.reference import evaluation as reference

N_CLASSES = 3
AMBIGUOUS = -1

SCORES = st.sampled_from([0.9, 0.8, 0.5, 0.5, 0.1])
FRAMES = st.integers(0, 3)
found_rows = st.lists(st.tuples(FRAMES, strategies.boxes(4, 6), SCORES, st.integers(0, N_CLASSES - 1)), max_size=25)


def nuclei_rows(*labels: int):
    return st.lists(st.tuples(FRAMES, strategies.boxes(4, 6), st.sampled_from(labels)), max_size=15)


def ours(found, nuclei, n_classes=N_CLASSES, **options):
    return coco_average_precision(
        np.reshape([box for _, box, _, _ in found], (-1, 4)),
        [score for _, _, score, _ in found],
        np.reshape([box for _, box, _ in nuclei], (-1, 4)),
        frames=([row[0] for row in found], [row[0] for row in nuclei]),
        labels=([row[3] for row in found], [row[2] for row in nuclei]),
        n_classes=n_classes,
        **options,
    )


def theirs(found, nuclei, n_classes=N_CLASSES, max_detections=300):
    """Average precision of each class and threshold by the COCO program; NaN without a nucleus."""
    ids = [{"id": k + 1} for k in range(20)]
    truth = COCO()
    annotations = [
        {"id": n + 1, "image_id": f + 1, "category_id": label + 1, "bbox": as_coco(box), "area": 1.0, "iscrowd": 0}
        for n, (f, box, label) in enumerate(nuclei)
    ]
    truth.dataset = {"images": ids, "annotations": annotations, "categories": ids[:n_classes]}
    results = [
        {"image_id": f + 1, "category_id": label + 1, "bbox": as_coco(box), "score": score}
        for f, box, score, label in found
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        program = COCOeval(truth, truth.loadRes(results) if results else COCO(), "bbox")
        program.params.maxDets = [max_detections]
        program.params.areaRng, program.params.areaRngLbl = [[0, 1e10]], ["all"]
        program.evaluate()
        program.accumulate()
    precision = program.eval["precision"][:, :, :, 0, 0]  # threshold, recall, class
    precision = np.where(precision < 0, np.nan, precision)
    return precision.mean(axis=1).T


def as_coco(box):
    xmin, ymin, xmax, ymax = map(float, box)
    return [xmin, ymin, xmax - xmin, ymax - ymin]


def crowded(n_frames, n_nuclei, n_found, rng, side=200):
    """Nuclei of a field and detections near most of them, on quarters of a pixel, scores with ties."""
    nuclei, found = [], []
    for frame in range(n_frames):
        corner = rng.integers(0, side * 4, (n_nuclei, 2)) / 4
        size = rng.integers(8, 25, (n_nuclei, 2)) * 1.0
        boxes = np.concatenate([corner, corner + size], axis=1)
        label = rng.integers(0, N_CLASSES, n_nuclei)
        nuclei += [(frame, tuple(box), int(k)) for box, k in zip(boxes, label, strict=True)]
        near = rng.integers(0, n_nuclei, n_found)
        moved = boxes[near] + rng.integers(-12, 13, (n_found, 4)) / 4
        named = np.where(rng.random(n_found) < 0.8, label[near], rng.integers(0, N_CLASSES, n_found))
        score = np.round(rng.random(n_found), 2)
        found += [(frame, tuple(b), float(s), int(k)) for b, s, k in zip(moved, score, named, strict=True)]
    return found, nuclei


@settings(max_examples=40)
@given(found_rows, nuclei_rows(0, 1, 2))
def test_coco_average_precision__equals_the_coco_program(found, nuclei):
    np.testing.assert_allclose(ours(found, nuclei), theirs(found, nuclei), atol=1e-6)


@settings(max_examples=30)
@given(found_rows, nuclei_rows(0, 2), st.integers(1, 4))
def test_coco_average_precision__counts_as_many_detections_as_the_coco_program(found, nuclei, most):
    np.testing.assert_allclose(
        ours(found, nuclei, max_detections=most), theirs(found, nuclei, max_detections=most), atol=1e-6
    )


def test_coco_average_precision__equals_the_coco_program_on_crowded_fields():
    found, nuclei = crowded(6, 40, 120, np.random.default_rng(3))
    np.testing.assert_allclose(ours(found, nuclei), theirs(found, nuclei), atol=1e-6)


@settings(max_examples=60)
@given(found_rows, nuclei_rows(0, 1, AMBIGUOUS, AMBIGUOUS))
def test_coco_average_precision__equals_the_plain_version_with_ambiguous_nuclei(found, nuclei):
    areas = ours(found, nuclei)
    for label in range(N_CLASSES):
        of_class = [row[:3] for row in found if row[3] == label]
        there = [row for row in nuclei if row[2] in (label, AMBIGUOUS)]
        for area, threshold in zip(areas[label], IOU_THRESHOLDS, strict=True):
            expected = reference.average_precision(of_class, there, threshold)
            assert area == pytest.approx(np.nan if expected is None else expected, abs=1e-12, nan_ok=True)


def test_coco_average_precision__excuses_every_detection_on_an_ambiguous_nucleus():
    box, far = (0, 0, 10, 10), (50, 50, 60, 60)
    found = [(0, box, 0.9, 0), (0, box, 0.8, 1), (0, box, 0.7, 0), (0, far, 0.6, 0), (0, far, 0.5, 1)]
    nuclei = [(0, box, AMBIGUOUS), (0, far, 0), (1, far, 1)]
    assert ours(found, nuclei, 2)[0] == pytest.approx(1.0)
    assert ours(found, nuclei[1:], 2)[0] == pytest.approx(1 / 3)


def test_coco_average_precision__excuses_none_where_a_nucleus_of_the_class_is_free():
    box = (0, 0, 10, 10)
    assert ours([(0, box, 0.9, 0)], [(0, box, AMBIGUOUS), (0, (0, 0, 10, 8), 0)], 1)[0, 0] == 1.0


def test_coco_average_precision__excuses_none_that_only_lies_inside_an_ambiguous_region():
    inside, wide = (0, 0, 4, 4), (0, 0, 40, 40)
    found = [(0, inside, 0.9, 0), (0, (60, 0, 70, 10), 0.5, 0)]
    assert ours(found, [(0, wide, AMBIGUOUS), (0, (60, 0, 70, 10), 0)], 1)[0, 0] == pytest.approx(0.5)


def test_coco_average_precision__is_one_for_copies_and_nan_without_a_nucleus():
    nuclei = [(0, (0, 0, 9, 9), 0), (1, (5, 5, 9, 9), 0)]
    areas = ours([(frame, box, 0.5, label) for frame, box, label in nuclei], nuclei, 2)
    np.testing.assert_allclose(areas[0], 1.0)
    assert np.isnan(areas[1]).all()
    assert ours([], nuclei, 1)[0, 0] == 0.0


def test_coco_average_precision__does_not_depend_on_where_the_frames_lie():
    found, nuclei = crowded(3, 10, 30, np.random.default_rng(5))
    far = [(1000 * row[0] + 7, *row[1:]) for row in found], [(1000 * row[0] + 7, *row[1:]) for row in nuclei]
    np.testing.assert_array_equal(ours(found, nuclei), ours(*far))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": [0.5]}, r"one score per detection: got \(1,\) for 2"),
        ({"frames": ([0], [0])}, r"one code per detection and per nucleus: got \(1,\) and \(1,\) for 2 and 1"),
        ({"nuclei": [[0, 0, 0, 5]]}, "box 0 is"),
    ],
)
def test_coco_average_precision__says_what_does_not_fit(change, message):
    given_ = {"boxes": [[0, 0, 1, 1]] * 2, "score": [0.5, 0.4], "nuclei": [[0, 0, 1, 1]], "frames": ([0, 0], [0])}
    with pytest.raises(ValueError, match=message):
        coco_average_precision(**{**given_, **change})


def test_interpolated_area__takes_the_recalls_of_the_coco_program():
    params = COCOeval(iouType="bbox").params
    np.testing.assert_array_equal(params.recThrs, RECALLS)
    np.testing.assert_array_equal(params.iouThrs, IOU_THRESHOLDS)
    assert interpolated_area(np.zeros((2, 0)), np.zeros((2, 0)), [0, 3]).tolist() == pytest.approx(
        [np.nan, 0.0], nan_ok=True
    )
