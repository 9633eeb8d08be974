"""Inferred labels as tables: the rules of truth.csv, cohorts, conditions, grouping, boundaries, confusion."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdtruth.clustering import cluster_annotations
from crowdtruth.formats import read_study
from crowdtruth.metrics import match_boxes
from crowdtruth.ratings import encode_ratings, rate_anchors
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import UNDETECTED, load_taxonomy
from crowdtruth.truth import ConvergenceWarning, DawidSkene, MajorityVote, OneCoin, infer_labels
from crowdtruth.truth.labels import choose_labels
from tests.reference import truth as reference

BOX = ["xmin", "ymin", "xmax", "ymax"]
PAPER = DawidSkene.preset("paper")
TRUTH = [
    *("anchor", "fov", "cohort", "condition", "xmin", "ymin", "xmax", "ymax", "label", "probability", "is_object"),
    *("prob_lymphocyte", "prob_tumor", "prob_undetected"),
    *("n_asked", "n_detected", "n_agree", "entropy", "boundary_correct"),
]

pytestmark = pytest.mark.filterwarnings("ignore::crowdtruth.truth.estimators.ConvergenceWarning")


def anchors(names, boxes=True):
    """An anchor table; without boxes, that of a crowd table."""
    side = 9.0 if boxes else np.nan
    return pd.DataFrame({"anchor": list(names), "fov": "f" if boxes else "", "xmin": side - 9, "ymin": side - 9,
                         "xmax": side, "ymax": side})  # fmt: skip


def ratings(rows, *, cohort="all", condition="all"):
    """A ratings table from (anchor, rater, label)."""
    table = pd.DataFrame(rows, columns=["anchor", "rater", "label"])
    return table.assign(fov="f", cohort=cohort, condition=condition)


def rated(by_anchor, **names):
    """A ratings table from anchor -> labels of raters 0, 1, …: l(ymphocyte), t(umor), -, blank for not asked."""
    full = {"l": "lymphocyte", "t": "tumor", "m": "mitotic_figure", "-": UNDETECTED}
    rows = [(a, str(r), full[c]) for a, labels in by_anchor.items() for r, c in enumerate(labels) if c != " "]
    return ratings(rows, **names)


def test_infer_labels__has_the_columns_and_order_of_the_design():
    truth = infer_labels(rated({"b": "tt-", "a": "l--"}), anchors("ba")).truth
    assert list(truth) == TRUTH
    assert truth["anchor"].tolist() == ["b", "a"]


def test_infer_labels__counts_raters():
    truth = infer_labels(rated({"a": "ttl- ", "b": "----t"}), anchors("ab")).truth
    assert truth[["n_asked", "n_detected", "n_agree"]].to_numpy().tolist() == [[4, 3, 2], [5, 1, 4]]


def test_infer_labels__a_label_nobody_gave_never_wins():
    """The model believes that both raters swap the classes; the label must be one they gave all the same."""
    swapped = np.array([[0.02, 0.96, 0.02], [0.96, 0.02, 0.02], [0.02, 0.02, 0.96]])
    estimator = DawidSkene(start=swapped, n_iter=1, tolerance=0)
    truth = infer_labels(rated({"a": "tt", "b": "ll", "c": "--"}), anchors("abc"), estimator=estimator).truth
    assert truth["label"].tolist() == ["tumor", "lymphocyte", ""]
    assert truth.at[0, "prob_lymphocyte"] > 0.9  # probabilities are left as inferred
    assert truth.at[0, "probability"] == truth.at[0, "prob_tumor"]


def test_infer_labels__ties_go_to_the_first_class_and_undetected_last():
    estimator = MajorityVote()
    truth = infer_labels(rated({"a": "tl", "b": "-t"}), anchors("ab"), estimator=estimator).truth
    assert truth["label"].tolist() == ["lymphocyte", "tumor"]
    reordered = infer_labels(
        rated({"a": "tl", "b": "-t"}), anchors("ab"), estimator=estimator, classes=[UNDETECTED, "tumor", "lymphocyte"]
    ).truth
    assert reordered["label"].tolist() == ["tumor", "tumor"]


def test_infer_labels__min_detections_empties_label_and_probability_only():
    truth = infer_labels(rated({"a": "t----", "b": "tt---"}), anchors("ab"), min_detections=2).truth
    assert truth["label"].tolist()[0] == ""
    assert np.isnan(truth.at[0, "probability"])
    assert not truth.at[0, "is_object"]
    assert truth.at[0, "prob_undetected"] > 0.5
    assert truth.at[0, "n_agree"] == 0
    assert truth["label"].tolist()[1] != ""


def test_infer_labels__an_anchor_nobody_detected_has_no_label():
    truth = infer_labels(rated({"a": "--", "b": "tt"}), anchors("ab")).truth
    assert truth["label"].tolist() == ["", "tumor"]
    assert truth["n_asked"].tolist() == [2, 2]


def test_infer_labels__undetected_can_win():
    truth = infer_labels(rated({"a": "t----", "b": "ttttt"}), anchors("ab")).truth
    assert truth["label"].tolist() == [UNDETECTED, "tumor"]
    assert truth["is_object"].tolist() == [False, True]


def test_infer_labels__cohorts_and_conditions_are_inferred_on_their_own():
    first = rated({"a": "tt", "b": "t-"}, cohort="P", condition="E")
    second = rated({"a": "ll", "b": "ll"}, cohort="N", condition="U")
    both = infer_labels(pd.concat([first, second]), anchors("ab"))
    assert both.truth[["anchor", "cohort", "condition"]].to_numpy().tolist() == [
        ["a", "N", "U"], ["a", "P", "E"], ["b", "N", "U"], ["b", "P", "E"],
    ]  # fmt: skip
    alone = infer_labels(first, anchors("ab"), classes=["lymphocyte", "tumor"])
    of_p = both.truth[both.truth["cohort"] == "P"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_p, alone.truth)
    assert set(both.fits) == {("P", "E"), ("N", "U")}


def test_infer_labels__a_union_of_cohorts_is_one_cohort():
    table = rated({"a": "tt--", "b": "tttl"})
    table["cohort"] = np.where(table["rater"].isin(["0", "1"]), "SP", "JP")
    truth = infer_labels(table, anchors("ab"), cohorts={"P": ("SP", "JP")}).truth
    whole = infer_labels(table.assign(cohort="P"), anchors("ab")).truth
    pd.testing.assert_frame_equal(truth, whole)


def test_infer_labels__classes_nobody_of_the_cohort_gave_have_probability_zero():
    table = pd.concat([rated({"a": "tt"}, cohort="P"), rated({"a": "ll"}, cohort="N")])
    truth = infer_labels(table, anchors("a"), cohorts={"P": ["P"]}).truth
    assert truth.at[0, "prob_lymphocyte"] == 0
    assert truth.at[0, "prob_tumor"] == pytest.approx(1)


def test_infer_labels__an_anchor_nobody_was_asked_about_has_no_row():
    truth = infer_labels(rated({"a": "tt"}), anchors("ab")).truth
    assert truth["anchor"].tolist() == ["a"]


def test_infer_labels__grouping_adds_probabilities_and_counts_by_group():
    grouping = load_taxonomy("nucls").grouping("super")
    table = rated({"a": "tm-", "b": "ttt", "c": "ll-"})
    raw, grouped = (infer_labels(table, anchors("abc"), grouping=g).truth for g in (None, grouping))
    tumor = raw["prob_tumor"] + raw["prob_mitotic_figure"]
    np.testing.assert_allclose(grouped["prob_tumor_any"], tumor, atol=1e-15)
    np.testing.assert_allclose(grouped["prob_undetected"], raw["prob_undetected"], atol=1e-15)
    assert grouped.at[0, "label"] == "tumor_any"
    assert grouped.at[0, "n_agree"] == 2
    assert raw.at[0, "n_agree"] == 1


def test_infer_labels__grouped_probabilities_do_not_exceed_one():
    """Sums of shares round: 0.7 + 0.2 + 0.1 and the like may be one and a bit."""
    grouping = load_taxonomy("nucls").grouping("super")
    rows = [("a", f"{r}", "tumor" if r % 3 else "mitotic_figure") for r in range(49)] + [("b", "0", UNDETECTED)]
    truth = infer_labels(ratings(rows), anchors("ab"), grouping=grouping).truth
    probabilities = truth.filter(like="prob").fillna(0)
    assert (probabilities <= 1).all(axis=None)
    choice = choose_labels(
        encode_ratings(ratings(rows)[["anchor", "rater", "label"]]),
        np.array([[1 + 2**-52, 2**-52, 0], [0, 0, 1]]),
        ["tumor", "mitotic_figure", UNDETECTED],
        grouping=grouping,
    )
    assert choice.probability[0] == choice.probabilities.max() == 1


def test_infer_labels__entropy_of_certainty_is_no_minus_zero():
    truth = infer_labels(ratings([("a", "u", "x"), ("a", "v", "x")]), anchors("a")).truth
    assert truth.at[0, "probability"] == 1
    assert not np.signbit(truth["entropy"]).any()


def test_infer_labels__renamed_raters_change_no_label_where_nobody_agrees():
    table = rated(dict.fromkeys("abc", "tl-") | {"d": "t- ", "e": "-t "})
    first, *others = (
        infer_labels(table.assign(rater=table["rater"].map(names)), anchors("abcde"), estimator=PAPER).truth
        for names in ({"0": "x", "1": "y", "2": "z"}, {"0": "z", "1": "x", "2": "y"}, {"0": "y", "1": "z", "2": "x"})
    )
    for other in others:
        assert other["label"].tolist() == first["label"].tolist()
        np.testing.assert_allclose(other.filter(like="prob"), first.filter(like="prob"), atol=1e-9)


@pytest.fixture(scope="module")
def demo_ratings():
    """Ratings of a synthetic study: several cohorts and conditions, missed objects; and its anchors."""
    study = synthesise("demo", seed=0).study
    located = cluster_annotations(study.annotations)
    return rate_anchors(located.members, study.assignments, study.raters, located.anchors), located.anchors


@pytest.mark.parametrize("estimator", [DawidSkene(), PAPER])
def test_infer_labels__equals_plain_python_on_a_study(demo_ratings, estimator):
    table, located = demo_ratings
    inference = infer_labels(table, located, estimator=estimator)
    assert len(inference.fits) > 1
    for (cohort, condition), fit in inference.fits.items():
        own = table[(table["cohort"] == cohort) & (table["condition"] == condition)]
        truth = inference.truth[(inference.truth["cohort"] == cohort) & (inference.truth["condition"] == condition)]
        classes = list(fit.classes_)
        posterior, prevalence, _, _ = reference.dawid_skene(
            list(own[["anchor", "rater", "label"]].itertuples(index=False, name=None)),
            truth["anchor"].tolist(),
            fit.raters_,
            classes,
            n_iter=fit.n_iter_,
            pseudo_counts=estimator.pseudo_counts,
        )
        expected = [[posterior[anchor][name] for name in classes] for anchor in truth["anchor"]]
        np.testing.assert_allclose(truth[[f"prob_{name}" for name in classes]], expected, atol=1e-9)
        np.testing.assert_allclose(fit.prevalence_, [prevalence[name] for name in classes], atol=1e-9)
        assert UNDETECTED in classes


def test_infer_labels__grouping_leaves_the_confusion_raw():
    inference = infer_labels(rated({"a": "tm-"}), anchors("a"), grouping=load_taxonomy("nucls").grouping("super"))
    assert set(inference.confusion["true"]) == {"tumor", "mitotic_figure", UNDETECTED}


def test_infer_labels__entropy_is_in_nats():
    truth = infer_labels(rated({"a": "tl", "b": "tt"}), anchors("ab"), estimator=MajorityVote()).truth
    assert truth["entropy"].tolist() == pytest.approx([math.log(2), 0])


def test_infer_labels__crowd_tables_have_plain_argmax_and_no_gate():
    table = ratings([("a", "u", "x"), ("a", "v", "y"), ("b", "u", "y"), ("b", "v", None), ("c", "u", "")])
    swapped = DawidSkene(start=np.array([[0.1, 0.9], [0.9, 0.1]]), n_iter=1, tolerance=0)
    truth = infer_labels(table, anchors("abc", boxes=False), estimator=swapped, min_detections=5).truth
    assert truth["anchor"].tolist() == ["a", "b"]
    assert truth["label"].tolist() == ["x", "x"]  # nobody called b an x
    assert truth["is_object"].all()
    assert "prob_undetected" not in truth
    assert truth["n_asked"].tolist() == [2, 1]
    assert truth["xmin"].isna().all()


def test_infer_labels__repeated_ratings_are_counted_and_said():
    table = ratings([("a", "u", "x"), ("a", "u", "x"), ("a", "u", "y"), ("a", "v", "y")])
    inference = infer_labels(table, anchors("a", boxes=False))
    assert inference.truth[["n_asked", "n_agree"]].to_numpy().tolist() in ([[2, 1]], [[2, 2]])
    assert inference.messages == (
        "cohort 'all', condition 'all': 2 ratings repeat an earlier one of the same item by the same rater; all count",
    )


def test_infer_labels__boundary_is_correct_where_raters_clicked():
    table = rated({"a": "ttt", "b": "ttt", "c": "---", "d": "tt-"})
    clicked = pd.DataFrame(
        [("a", r, "all") for r in "012"] + [("b", "0", "other")], columns=["anchor", "rater", "condition"]
    )
    truth = infer_labels(table, anchors("abcd"), clicked=clicked).truth
    np.testing.assert_array_equal(truth["boundary_correct"], [1, 0, np.nan, 0])


def test_infer_labels__boundaries_are_empty_where_nobody_clicked():
    table = rated({"a": "ttt"})
    nobody = pd.DataFrame(columns=["anchor", "rater", "condition"])
    for clicked in (None, nobody):
        assert infer_labels(table, anchors("a"), clicked=clicked).truth["boundary_correct"].isna().all()


def test_infer_labels__confusion_is_that_of_the_fit_and_counts_by_inferred_label():
    inference = infer_labels(rated({"a": "ttl", "b": "ttt", "c": "ll-"}), anchors("abc"), estimator=PAPER)
    confusion = inference.confusion
    assert list(confusion) == ["rater", "cohort", "condition", "true", "assigned", "probability", "count"]
    assert len(confusion) == 3 * 3 * 3
    counts = confusion.set_index(["rater", "true", "assigned"])["count"]
    assert counts["2", "tumor", "lymphocyte"] == 1
    assert counts["2", "tumor", "tumor"] == 1
    assert counts["2", "lymphocyte", UNDETECTED] == 1
    assert counts.sum() == 9
    fit = inference.fits["all", "all"]
    np.testing.assert_array_equal(confusion["probability"], fit.confusion_.ravel())
    sums = confusion.groupby(["rater", "true"])["probability"].sum()
    np.testing.assert_allclose(sums, 1)


def test_infer_labels__ratings_without_a_label_are_not_counted_in_the_confusion():
    inference = infer_labels(rated({"a": "t--", "b": "ttt"}), anchors("ab"), min_detections=2)
    assert inference.confusion["count"].sum() == 3


@pytest.mark.parametrize("estimator", [MajorityVote(), OneCoin(), DawidSkene(acceleration="squarem")])
def test_infer_labels__takes_any_estimator_and_leaves_it_as_it_is(estimator):
    before = dict(vars(estimator))
    inference = infer_labels(rated({"a": "ttl", "b": "ll-"}), anchors("ab"), estimator=estimator, jobs=2)
    assert inference.truth["label"].tolist() == ["tumor", "lymphocyte"]
    assert vars(estimator) == before


def test_infer_labels__one_rater_is_believed():
    truth = infer_labels(rated({"a": "t", "b": "l", "c": "t"}), anchors("abc")).truth
    assert truth["label"].tolist() == ["tumor", "lymphocyte", "tumor"]


def test_infer_labels__nobody_asked_anything_is_an_empty_table():
    for table in (anchors(""), anchors("ab")):
        inference = infer_labels(rated({}), table)
        assert list(inference.truth)[:4] == ["anchor", "fov", "cohort", "condition"]
        assert "prob_undetected" in inference.truth
        assert len(inference.truth) == len(inference.confusion) == 0


def test_infer_labels__warnings_say_which_cohort():
    table = rated({"a": "tl-", "b": "ttl", "c": "l-t", "d": "ltt"}, cohort="P", condition="E")
    with pytest.warns(ConvergenceWarning, match="cohort 'P', condition 'E': the 2 iterations ended"):
        infer_labels(table, anchors("abcd"), estimator=DawidSkene(n_iter=2))


def test_infer_labels__says_what_is_wrong():
    with pytest.raises(ValueError, match="row 1 of the ratings has 'b'"):
        infer_labels(rated({"a": "t", "b": "t"}), anchors("a"))
    with pytest.raises(ValueError, match=r"outside the classes .*\['tumor'\]"):
        infer_labels(rated({"a": "t"}), anchors("a"), classes=["lymphocyte"])
    with pytest.raises(ValueError, match="min_detections must be at least 1, got 0"):
        infer_labels(rated({"a": "t"}), anchors("a"), min_detections=0)
    with pytest.raises(ValueError, match="every anchor has one row; 'a' has several"):
        infer_labels(rated({"a": "t"}), anchors("aa"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"conditions": ["E", "U-contrl"]}, "no ratings of condition 'U-contrl'; the ratings have E, U-control"),
        ({"cohorts": {"P": ["SP", "nope"]}}, "no ratings of cohort 'nope'; the ratings have JP, SP"),
    ],
)
def test_infer_labels__says_which_names_there_are(names, message):
    table = pd.concat(
        [rated({"a": "t"}, cohort="SP", condition="E"), rated({"a": "t"}, cohort="JP").assign(condition="U-control")]
    )
    with pytest.raises(ValueError, match=message):
        infer_labels(table, anchors("a"), **names)
    assert len(infer_labels(table.iloc[:0], anchors("a"), **names).truth) == 0  # nothing to compare the names with


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"conditions": "all"}, r"conditions must be a sequence of names, got the text 'all'; write \['all'\]"),
        ({"cohorts": {"P": "all"}}, r"cohorts\['P'\] must be a sequence of names, got the text 'all'"),
        ({"cohorts": "all"}, "cohorts must map a name to the cohorts it unites, got str"),
        ({"cohorts": ["all"]}, "cohorts must map a name to the cohorts it unites, got list"),
        ({"classes": "xy"}, r"classes must be a sequence of names, got the text 'xy'"),
        ({"estimator": DawidSkene}, r"such as DawidSkene\(\), got the class DawidSkene"),
        ({"estimator": "dawid-skene"}, r"such as DawidSkene\(\), got 'dawid-skene'"),
        ({"estimator": ""}, r"such as DawidSkene\(\), got ''"),
        ({"ratings": [1]}, "ratings must be a pandas DataFrame, got list"),
        ({"anchors": [1]}, "anchors must be a pandas DataFrame, got list"),
        ({"clicked": [1]}, "clicked must be a pandas DataFrame, got list"),
    ],
)
def test_infer_labels__says_what_was_expected_and_what_came(arguments, message):
    with pytest.raises(TypeError, match=message):
        infer_labels(**{"ratings": rated({"a": "t"}), "anchors": anchors("a"), **arguments})


@pytest.mark.parametrize("column", ["anchor", "rater", "cohort", "condition", "label"])
def test_infer_labels__names_missing_columns(column):
    with pytest.raises(ValueError, match=f"ratings need the columns .*; missing: {column}$"):
        infer_labels(rated({"a": "t"}).drop(columns=column), anchors("a"))
    with pytest.raises(ValueError, match=r"anchors need the columns .*; missing: fov, xmin$"):
        infer_labels(rated({"a": "t"}), anchors("a").drop(columns=["fov", "xmin"]))


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.text("lt- ", min_size=4, max_size=4), min_size=1), st.integers(1, 3)
)
@settings(max_examples=60)
def test_infer_labels__follows_its_rules_on_any_input(by_anchor, min_detections):
    table = rated(by_anchor)
    truth = infer_labels(table, anchors("abcdef"), min_detections=min_detections, classes=["lymphocyte", "tumor"]).truth
    classes = ["lymphocyte", "tumor", UNDETECTED]
    assert truth["anchor"].tolist() == [a for a in "abcdef" if by_anchor.get(a, "").strip()]
    for row in truth.to_dict("records"):
        given = table.loc[table["anchor"] == row["anchor"], "label"]
        detected = (given != UNDETECTED).sum()
        posterior = {c: row[f"prob_{c}"] for c in classes}
        label = reference.inferred_label(posterior, set(given), classes) if detected >= min_detections else ""
        assert row["label"] == label
        assert row["is_object"] == (label in ("lymphocyte", "tumor"))
        assert (row["n_asked"], row["n_detected"]) == (len(given), detected)
        assert row["n_agree"] == (given == label).sum()
        assert sum(posterior.values()) == pytest.approx(1)
        assert 0 <= row["entropy"] <= math.log(3)


@given(st.permutations(range(12)))
@settings(max_examples=20)
def test_infer_labels__row_order_changes_no_bit(order):
    table = rated({"a": "ttl-", "b": "l-lt", "c": "--t "}, cohort="P")
    first = infer_labels(table, anchors("abc"))
    second = infer_labels(table.iloc[[i for i in order if i < len(table)]], anchors("abc"))
    pd.testing.assert_frame_equal(first.truth, second.truth, check_exact=True)
    pd.testing.assert_frame_equal(first.confusion, second.confusion, check_exact=True)


@pytest.mark.data
def test_infer_labels__ten_raters_together_match_the_studys_own_reference(data_dir):
    """The asthma study, default settings, IOU 0.5: what the inferred labels must reach."""
    folder = data_dir / "exact_asthma_round1"
    study, reference_boxes = read_study(folder), pd.read_csv(folder / "ground_truth.csv")
    located = cluster_annotations(study.annotations)
    table = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    truth = infer_labels(table, located.anchors).truth
    objects = truth[truth["is_object"]]
    fovs = pd.Index(study.fovs["fov"])
    match = match_boxes(
        objects[BOX],
        reference_boxes[BOX],
        frame=fovs.get_indexer(objects["fov"]),
        reference_frame=fovs.get_indexer(reference_boxes["fov"]),
    )
    is_right = objects["label"].to_numpy()[match.row] == reference_boxes["label"].to_numpy()[match.reference_row]
    assert 2 * len(match.row) / (len(objects) + len(reference_boxes)) >= 0.965
    assert is_right.mean() >= 0.970
