"""The evaluation of a detector: names, outlines, intervals, and what it says of wrong tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef, roc_auc_score

import nucls_model.evaluate
from crowdtruth.boxes import aligned_iou
from crowdtruth.curves import multiclass_auroc
from crowdtruth.resampling import bootstrap
from nucls_model.evaluate import Trial, evaluate, write_evaluation
from nucls_model.evaluate.average_precision import (
    coco_average_precision,
    interpolated_area,
    judge_detections,
    overlaps_in_frames,
)
from nucls_model.evaluate.classification import Named, coarser_levels, group_named
from nucls_model.evaluate.inputs import read_found, read_nuclei
from nucls_model.evaluate.intervals import METRIC_COLUMNS, score_levels
from nucls_model.evaluate.outlines import median_of_steps, outline_overlaps
from tests.evaluation_cases import CLASSES, CORNERS, TAXONOMY, made_up
from tests.reference.metrics import best_matching
from tests.test_import_direction import imported_modules

FAST = {"n_replicates": 60, "seed": 3}


@pytest.fixture(scope="module")
def tables():
    return made_up(seed=1)


@pytest.fixture(scope="module")
def evaluation(tables):
    truth, predictions, fovs = tables
    return evaluate(truth, predictions, CLASSES, fovs=fovs, taxonomy=TAXONOMY, **FAST)


def value(evaluation, metric, level="", name="", assigned=""):
    table = evaluation.metrics
    row = table[
        (table.metric == metric) & (table.level == level) & (table["class"] == name) & (table.assigned == assigned)
    ]
    assert len(row) == 1, (metric, level, name)
    return row["value"].item()


def matches_by_hand(tables):
    """FOV, true class and prediction of the nuclei that are found; made-up nuclei do not overlap each other."""
    truth, predictions, fovs = tables
    rows = []
    for fov, there in truth[truth.label != "AMBIGUOUS"].groupby("fov"):
        found = predictions[predictions.fov == fov]
        for _, nucleus in there.iterrows():
            copies = np.tile(nucleus[CORNERS].to_numpy(float), (len(found), 1))
            iou = aligned_iou(found[CORNERS].to_numpy(), copies)
            if iou.max() >= 0.5:
                rows.append((list(fovs.fov).index(fov), nucleus.label, found.iloc[iou.argmax()]))
    return rows


def matched_by_hand(tables):
    """True class (n,) and probabilities (n, C) of the nuclei that are found."""
    rows = matches_by_hand(tables)
    true = np.array([CLASSES.index(label) for _, label, _ in rows])
    return true, np.array([row[[f"prob_{name}" for name in CLASSES]].to_numpy(float) for _, _, row in rows])


def matched_fovs(tables):
    """Code of the FOV (n,) of the nuclei that are found."""
    return np.array([fov for fov, _, _ in matches_by_hand(tables)])


def test_evaluate__names_equal_scikit_learns(tables, evaluation):
    true, chances = matched_by_hand(tables)
    assigned = chances.argmax(axis=1)
    assert value(evaluation, "n_matched") == len(true)
    assert value(evaluation, "accuracy", "main") == pytest.approx((true == assigned).mean())
    assert value(evaluation, "mcc", "main") == pytest.approx(matthews_corrcoef(true, assigned))
    one_hot = true[:, None] == np.arange(len(CLASSES))
    assert value(evaluation, "auroc_micro", "main") == pytest.approx(roc_auc_score(one_hot.ravel(), chances.ravel()))
    assert value(evaluation, "auroc_macro", "main") == pytest.approx(roc_auc_score(one_hot, chances, average="macro"))
    for code, name in enumerate(CLASSES):
        is_one = true == code, assigned == code
        assert value(evaluation, "accuracy", "main", name) == pytest.approx((is_one[0] == is_one[1]).mean())
        assert value(evaluation, "mcc", "main", name) == pytest.approx(matthews_corrcoef(*is_one))
        assert value(evaluation, "auroc", "main", name) == pytest.approx(roc_auc_score(is_one[0], chances[:, code]))


def test_evaluate__adds_probabilities_to_super_classes(tables, evaluation):
    true, chances = matched_by_hand(tables)
    group = coarser_levels(CLASSES, "main", TAXONOMY)["super"]
    names = list(dict.fromkeys(group.values()))
    code = np.array([names.index(group[name]) for name in CLASSES])
    sums = np.stack([chances[:, code == k].sum(axis=1) for k in range(len(names))], axis=1)
    assert value(evaluation, "accuracy", "super") == pytest.approx((code[true] == sums.argmax(axis=1)).mean())
    for k, name in enumerate(names):
        assert value(evaluation, "auroc", "super", name) == pytest.approx(roc_auc_score(code[true] == k, sums[:, k]))


def test_evaluate__confusion_counts_every_matched_nucleus(tables, evaluation):
    rows = evaluation.metrics[evaluation.metrics.metric == "confusion"]
    for level in ("main", "super"):
        of_level = rows[rows.level == level]
        assert of_level["value"].sum() == value(evaluation, "n_matched")
        right = of_level[of_level["class"] == of_level.assigned]["value"].sum()
        assert right / of_level["value"].sum() == pytest.approx(value(evaluation, "accuracy", level))
    matched = evaluation.nuclei[evaluation.nuclei.kind == "matched"]
    counts = matched.value_counts(["true", "predicted"])
    main = rows[(rows.level == "main") & (rows["value"] > 0)].set_index(["class", "assigned"])["value"]
    assert main.to_dict() == counts.astype(float).to_dict()


def test_evaluate__objectness_takes_all_classes_for_one(tables, evaluation):
    truth, predictions, _ = tables
    fov = {name: code for code, name in enumerate(sorted(set(truth.fov)))}
    frames = predictions.fov.map(fov), truth.fov.map(fov)
    label = np.where(truth.label == "AMBIGUOUS", -1, 0)
    areas = coco_average_precision(
        predictions[CORNERS], predictions.objectness, truth[CORNERS], frames=frames,
        labels=(np.zeros(len(predictions)), label),
    )[0]  # fmt: skip
    found = [value(evaluation, metric, "objectness") for metric in ("ap_50", "ap_75", "map_50_95")]
    assert found == pytest.approx([areas[0], areas[5], areas.mean()])


def test_evaluate__ranks_doubles_of_a_nucleus_by_their_class():
    boxes = [dict(zip(CORNERS, corners, strict=True)) for corners in ([0, 0, 9, 9], [30, 0, 39, 9])]
    truth = pd.DataFrame([{"fov": "f", "label": "sTIL", **box} for box in boxes])
    doubles = [
        {"fov": "f", "objectness": objectness, "p_ambiguous": 0.0, "label": label, "prob_sTIL": 0.8, "prob_tumor": 0.2}
        for objectness in (0.9, 0.8)
        for label in ("tumor", "sTIL")
    ]
    found = pd.DataFrame([{**double, **boxes[k // 2]} for k, double in enumerate(doubles)])
    areas = [
        value(
            evaluate(truth, found, ["sTIL", "tumor"], fovs=pd.DataFrame({"fov": ["f"]}), ranked_by=by),
            "ap_50",
            "objectness",
        )
        for by in ("objectness", "class")
    ]
    assert areas[0] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)  # of equals the first claims the nucleus
    assert areas[1] == 1.0  # .72 and .64 before .18 and .16


def test_evaluate__names_doubles_of_a_nucleus_by_their_vector():
    """Two nuclei, each found as both classes; the box of the wrong class fits better."""
    true = {"fov": "f", "ymin": 0, "ymax": 20}
    truth = pd.DataFrame(
        [true | {"xmin": x, "xmax": x + 20, "label": name} for x, name in ((0, "sTIL"), (50, "tumor"))]
    )
    found = pd.DataFrame(
        [
            true | {"xmin": x + shift, "xmax": x + 20 + shift, "label": name, "objectness": 0.9, "p_ambiguous": 0.0}
            | {"prob_sTIL": 0.8 if x == 0 else 0.2, "prob_tumor": 0.2 if x == 0 else 0.8}
            for x in (0, 50)
            for name, shift in (("sTIL", 2 * (x == 0)), ("tumor", 2 * (x == 50)))
        ]
    )  # fmt: skip
    scores = evaluate(truth, found, ["sTIL", "tumor"], fovs=pd.DataFrame({"fov": ["f"]}), ranked_by="class")
    assert value(scores, "accuracy", "main") == 1.0
    assert scores.nuclei["predicted"].tolist()[:2] == ["sTIL", "tumor"]
    assert set(scores.nuclei["box_iou"].dropna()) == {1.0}


def test_evaluate__mean_over_classes_leaves_out_those_without_a_nucleus(tables):
    truth, predictions, fovs = tables
    absent = CLASSES[1]
    found = evaluate(truth[truth.label != absent], predictions, CLASSES, fovs=fovs, **FAST)
    each = [value(found, "ap_50", "main", name) for name in CLASSES]
    assert np.isnan(each[1])
    assert value(found, "ap_50", "main") == pytest.approx(np.nanmean(each))
    assert np.isnan(value(found, "mcc", "main", absent))
    assert np.isnan(value(found, "auroc", "main", absent))


def test_evaluate__scores_of_a_class_do_not_move_when_another_is_absent(tables):
    truth, predictions, fovs = tables
    some = truth[truth.label.isin([CLASSES[0], CLASSES[4]])]
    found = evaluate(some, predictions, CLASSES, fovs=fovs, **FAST)
    true, chances = matched_by_hand((some, predictions, fovs))
    assert value(found, "auroc", "main", CLASSES[4]) == pytest.approx(roc_auc_score(true == 4, chances[:, 4]))


@pytest.mark.parametrize(
    ("metric", "n_nuclei", "tolerance"),
    [
        ("ap_50", 15, 1e-9),  # no more true detections than levels: exact
        ("map_50_95", 15, 1e-3),  # levels are closed by what is true at .5, which another threshold may call false
        ("ap_50", 150, 2e-3),
        ("map_50_95", 150, 2e-3),
    ],
)
def test_evaluate__interval_of_precision_is_that_of_weighted_detections(metric, n_nuclei, tolerance):
    truth, predictions, fovs = made_up(8, n_nuclei, seed=4)
    names = sorted(fovs.fov)
    nuclei, found = read_nuclei(truth, names, CLASSES), read_found(predictions, names, CLASSES)
    label = np.where(nuclei.label < 0, -1, 0)
    overlaps = overlaps_in_frames(found.boxes, found.fov, nuclei.boxes, nuclei.fov)
    verdicts = judge_detections(found.fov, found.objectness, np.zeros_like(found.label), label, overlaps)
    of_detection = found.fov[verdicts.detection]
    n_by_fov = np.bincount(nuclei.fov[label == 0], minlength=len(names))

    def by_weights(weights):
        each = weights[:, of_detection]
        areas = [
            interpolated_area((each * true).cumsum(-1), (each * false).cumsum(-1), weights @ n_by_fov)
            for true, false in zip(verdicts.is_true.T, verdicts.is_false.T, strict=True)
        ]
        return areas[0] if metric == "ap_50" else np.mean(areas, axis=0)

    expected = bootstrap(np.eye(len(names)), by_weights, **FAST)
    table = evaluate(truth, predictions, CLASSES, fovs=fovs, **FAST).metrics
    row = table[(table.metric == metric) & (table.level == "objectness")].iloc[0]
    found_bounds = [row["value"], row.low, row.high]
    assert found_bounds == pytest.approx(
        [float(one) for one in (expected.value, expected.low, expected.high)], abs=tolerance
    )


def test_evaluate__interval_of_auroc_is_that_of_weighted_nuclei(tables, evaluation):
    true, chances = matched_by_hand(tables)
    fovs, fov = tables[2], matched_fovs(tables)

    def by_weights(weights):
        areas = [multiclass_auroc(true, chances, weights=row[fov]) for row in weights]
        return np.array([[area.micro, area.macro] for area in areas])

    expected = bootstrap(np.eye(len(fovs)), by_weights, **FAST)
    rows = (
        evaluation.metrics[evaluation.metrics.level == "main"].set_index("metric").loc[["auroc_micro", "auroc_macro"]]
    )
    np.testing.assert_allclose(rows["value"], expected.value)
    np.testing.assert_allclose(rows.low, expected.low, atol=3e-3)  # 128 levels for some 800 probabilities
    np.testing.assert_allclose(rows.high, expected.high, atol=3e-3)


def test_evaluate__columns_rows_and_units(evaluation):
    table = evaluation.metrics
    assert list(table.columns) == list(METRIC_COLUMNS)
    assert not table.duplicated(["metric", "level", "class", "assigned"]).any()
    has_bounds = table.low.notna()
    assert set(table.resampled[has_bounds]) == {"fov"}
    assert not has_bounds[table.metric.str.startswith("n_") | (table.metric == "confusion")].any()
    printed = table[table.metric.isin(["ap_50", "accuracy", "mcc", "median_iou", "mean_dice"]) & (table["class"] == "")]
    assert printed.low.notna().all()


def test_evaluate__does_not_depend_on_the_order_of_fovs_or_columns(tables, evaluation):
    truth, predictions, fovs = tables
    other = truth.sample(frac=1, random_state=1), predictions.sample(frac=1, random_state=2)[[*predictions][::-1]]
    shuffled = evaluate(*other, CLASSES, fovs=fovs[::-1], taxonomy=TAXONOMY, **FAST)
    pd.testing.assert_frame_equal(shuffled.metrics, evaluation.metrics)


def test_evaluate__of_copies_is_perfect():
    truth, _, fovs = made_up(seed=2, outlined=1.0)
    clear = truth[truth.label != "AMBIGUOUS"]
    chances = {f"prob_{name}": (clear.label == name).astype(float) for name in CLASSES}
    copies = clear.assign(objectness=0.9, p_ambiguous=0.0, **chances)
    found = evaluate(truth, copies, CLASSES, fovs=fovs, taxonomy=TAXONOMY, **FAST)
    for metric, level in [("ap_50", "objectness"), ("map_50_95", "main"), ("mcc", "super"), ("auroc_micro", "main")]:
        assert value(found, metric, level) == pytest.approx(1.0)
    assert value(found, "mean_dice") == pytest.approx(1.0)
    assert value(found, "n_outlines_compared") == len(clear)


def test_evaluate__nuclei_say_what_became_of_each(tables, evaluation):
    truth, predictions, _ = tables
    kinds = evaluation.nuclei.kind.value_counts()
    n_true, n_ambiguous = value(evaluation, "n_true"), value(evaluation, "n_ambiguous")
    assert kinds["matched"] + kinds["missed"] == n_true
    assert kinds["ambiguous"] == n_ambiguous
    assert kinds["matched"] + kinds["extra"] + kinds["excused"] == len(predictions)
    assert n_true + n_ambiguous == len(truth)
    extra = evaluation.nuclei[evaluation.nuclei.kind == "extra"]
    assert (extra.true == "").all()
    assert (extra.predicted != "").all()


def test_evaluate__outlines_count_only_where_both_sides_have_one(tables):
    truth, predictions, fovs = tables
    half = predictions.assign(coords_x=predictions.coords_x.where(predictions.index % 2 == 0, ""))
    found = evaluate(truth, half, CLASSES, fovs=fovs, **FAST)
    compared = found.nuclei.outline_iou.notna()
    assert 0 < value(found, "n_outlines_compared") < value(found, "n_outlined_matched") < value(found, "n_outlined")
    assert value(found, "n_outlines_compared") == compared.sum()
    assert value(found, "mean_iou") == pytest.approx(found.nuclei.outline_iou.mean())
    assert value(found, "median_dice") == pytest.approx(found.nuclei.outline_dice.median())
    clear = truth[truth.label != "AMBIGUOUS"]
    assert value(found, "n_outlined") == clear.has_outline.sum()


@pytest.mark.parametrize("nothing", ["truth", "predictions", "outlines", "all"])
def test_evaluate__of_nothing_is_undefined_not_an_error(tables, nothing):
    truth, predictions, fovs = tables
    truth = truth[:0] if nothing in ("truth", "all") else truth
    predictions = predictions[:0] if nothing in ("predictions", "all") else predictions
    if nothing == "outlines":
        truth, predictions = (table.drop(columns=["coords_x", "coords_y"]) for table in (truth, predictions))
    found = evaluate(truth, predictions, CLASSES, fovs=fovs, taxonomy=TAXONOMY, **FAST)
    area = value(found, "ap_50", "objectness")
    assert {"truth": np.isnan(area), "predictions": area == 0, "outlines": area > 0, "all": np.isnan(area)}[nothing]
    assert np.isnan(value(found, "accuracy", "main")) == (nothing != "outlines")
    assert np.isnan(value(found, "median_iou"))
    assert value(found, "n_outlined") == 0 or nothing == "predictions"


def test_evaluate__undetected_rows_are_no_nuclei(tables):
    truth, predictions, fovs = tables
    more = pd.concat([truth, truth.head(5).assign(label="undetected"), truth.head(2).assign(label="")])
    one, other = (evaluate(table, predictions, CLASSES, fovs=fovs, **FAST).metrics for table in (truth, more))
    pd.testing.assert_frame_equal(one, other)


def test_evaluate__fovs_without_anything_count_in_the_interval(tables):
    truth, predictions, fovs = tables
    more = pd.concat([fovs, pd.DataFrame({"fov": [f"empty{k}" for k in range(8)]})])
    one, other = (evaluate(truth, predictions, CLASSES, fovs=table, **FAST).metrics for table in (fovs, more))
    np.testing.assert_array_equal(one["value"], other["value"])
    assert not np.array_equal(one.low.dropna(), other.low.dropna())


def test_evaluate__resamples_slides(tables):
    truth, predictions, fovs = tables
    slides = fovs.assign(slide=[f"s{k // 4}" for k in range(len(fovs))])
    table = evaluate(truth, predictions, CLASSES, fovs=slides, resample="slide", **FAST).metrics
    assert table.low.isna().all()  # two slides are too few
    assert set(table.resampled[table.metric == "ap_50"]) == {"slide"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, p, f: (t.drop(columns="label"), p, f), "the truth need columns 'label'"),
        (lambda t, p, f: (t, p.drop(columns="prob_macrophage"), f), "the predictions need columns 'prob_macrophage'"),
        (lambda t, p, f: (t, p.assign(prob_other=0.0), f), "the predictions have 'prob_other'"),
        (lambda t, p, f: (t.replace({"label": {CLASSES[0]: "tumour"}}), p, f), "the truth have the label 'tumour'"),
        (lambda t, p, f: (t, p, f[1:]), "have the FOV 'fov000'"),
        (lambda t, p, f: (t, p.assign(label="AMBIGUOUS"), f), "the predictions have the label 'AMBIGUOUS'"),
        (lambda t, p, f: (t, p.assign(objectness=np.nan), f), "objectness of prediction 0 is nan, not a probability"),
        (lambda t, p, f: (t, p.assign(prob_macrophage=1.0), f), "sum to one; those of prediction 0"),
        (lambda t, p, f: (t, p.assign(p_ambiguous=1.0, objectness=0.5), f), "p_ambiguous is part of the objectness"),
        (lambda t, p, f: (t, p.assign(xmax=p.xmin), f), "every box needs xmin < xmax"),
        (lambda t, p, f: (t, p, pd.concat([f, f[:1]])), "every FOV once, please: 'fov000' come twice"),
    ],
)  # fmt: skip
def test_evaluate__says_what_is_wrong_with_a_table(tables, change, message):
    truth, predictions, fovs = change(*tables)
    with pytest.raises(ValueError, match=message):
        evaluate(truth, predictions, CLASSES, fovs=fovs, **FAST)


def test_write_evaluation__puts_the_trial_before_every_score(evaluation, tmp_path):
    write_evaluation(tmp_path / "fold 2", evaluation, Trial(fold="2", configuration="3", scale_factor=4.0))
    table = pd.read_csv(tmp_path / "fold 2" / "metrics.csv", keep_default_na=False, dtype=str)
    assert list(table.columns[-len(METRIC_COLUMNS) :]) == list(METRIC_COLUMNS)
    assert set(table.fold) == {"2"}
    assert len(table) == len(evaluation.metrics)
    again = pd.read_csv(tmp_path / "fold 2" / "nuclei.csv")
    assert len(again) == len(evaluation.nuclei)


def test_coarser_levels__refuses_a_class_in_two_groups():
    assert coarser_levels(["sTIL"], "super", TAXONOMY) == {}
    raw = coarser_levels(["tumor", "apoptotic_body"], "raw", TAXONOMY)
    assert raw["main"] == {"tumor": "tumor_nonMitotic", "apoptotic_body": "AMBIGUOUS"}
    assert list(raw) == ["main", "super"]
    with pytest.raises(ValueError, match="has levels"):
        coarser_levels(["tumor"], "fine", TAXONOMY)


def test_group_named__leaves_out_what_is_ambiguous_above():
    chances = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0], [0.2, 0.2, 0.6]])
    one = Named("raw", ("a", "b", "z"), np.zeros(3, int), np.array([0, 1, 2]), np.array([0, 2, 2]), chances)
    grouped = group_named(one, "main", {"a": "x", "b": "y", "z": "AMBIGUOUS"})
    assert grouped.class_names == ("x", "y")
    assert grouped.true.tolist() == [0, 1]
    np.testing.assert_allclose(grouped.probabilities, [[2 / 3, 1 / 3], [0.5, 0.5]])


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9]), max_size=30), st.integers(1, 6))
def test_score_levels__keep_the_order_and_equal_scores_together(scores, n_levels):
    levels = score_levels(np.array(scores), n_levels)
    assert levels.max(initial=0) < max(n_levels, len(set(scores)))
    for a, first in zip(scores, levels, strict=True):
        for b, second in zip(scores, levels, strict=True):
            assert first <= second or a < b
            assert (a != b) or first == second


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_median_of_steps__equals_the_median(steps):
    assert median_of_steps(np.bincount(steps, minlength=1001)) == pytest.approx(np.median(steps) / 1000)


@settings(max_examples=30)
@given(st.tuples(*[st.integers(0, 8)] * 4), st.tuples(*[st.integers(0, 8)] * 4))
def test_outline_overlaps__equal_counted_pixels(one, other):
    sides = [(x, y, x + w + 1, y + h + 1) for x, y, w, h in (one, other)]
    pixels = [{(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])} for b in sides]
    outlines = [
        pd.DataFrame({"coords_x": [f"{a},{c},{c},{a}"], "coords_y": [f"{b},{b},{d},{d}"]}) for a, b, c, d in sides
    ]
    iou, dice = outline_overlaps(*outlines)
    shared, total = len(pixels[0] & pixels[1]), len(pixels[0]) + len(pixels[1])
    assert iou[0] == pytest.approx(shared / (total - shared))
    assert dice[0] == pytest.approx(2 * shared / total)


def test_outline_overlaps__without_an_area_are_undefined():
    empty, line = {"coords_x": [""], "coords_y": [""]}, {"coords_x": ["0,5,9"], "coords_y": ["0,0,0"]}
    square = {"coords_x": ["0,2,2,0"], "coords_y": ["0,0,2,2"]}
    for side in (empty, line):
        assert np.isnan(outline_overlaps(pd.DataFrame(side), pd.DataFrame(square))[0]).all()


def test_match__takes_as_many_pairs_as_possible():
    boxes = [(0, 0, 10, 10), (0, 2, 10, 12)]
    others = [(0, 1, 10, 11), (0, 4, 10, 14)]
    truth = pd.DataFrame(others, columns=CORNERS).assign(fov="f", label="a")
    found = pd.DataFrame(boxes, columns=CORNERS).assign(fov="f", label="a", objectness=0.9, p_ambiguous=0, prob_a=1.0)
    result = evaluate(truth, found, ["a"], fovs=pd.DataFrame({"fov": ["f"]}), level="own")
    assert value(result, "n_matched") == best_matching(boxes, others, 0.5)[0] == 2


def test_evaluate__needs_no_torch():
    for path in Path(nucls_model.evaluate.__file__).parent.glob("*.py"):
        assert "torch" not in imported_modules(path), path.name
