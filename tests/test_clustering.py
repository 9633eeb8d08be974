"""Tables of anchors and members."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.checks import CORNERS
from crowdtruth.clustering import REQUIRED, Preference, cluster_annotations, paper_preference, sweep
from crowdtruth.study import make_study
from tests import strategies
from tests.reference import boxes as plain_boxes

METHODS = ["cannot_link", "demotion", "unconstrained"]


def annotations(*rows: tuple, kind: str = "box") -> pd.DataFrame:
    """Marks of one FOV from (rater, box, label, condition, kind), the last three optional."""
    table = []
    for i, (rater, box, *rest) in enumerate(rows):
        label, condition, own_kind = (*rest, *("tumor", "all", kind)[len(rest) :])
        table.append((str(i), "f", rater, condition, *map(float, box), label, own_kind))
    return pd.DataFrame(table, columns=[*REQUIRED, "kind"])


def contents(located, marks: pd.DataFrame) -> dict[str, Counter]:
    """For each anchor id, its box and the multiset of what its marks are apart from the raters."""
    joined = located.members.merge(marks[["annotation", *CORNERS]], on="annotation")
    anchors = located.anchors.set_index("anchor")
    return {
        name: (
            tuple(anchors.loc[name, CORNERS]),
            Counter(rows[["condition", "label", *CORNERS]].itertuples(index=False)),
        )
        for name, rows in joined.groupby("anchor")
    }


@pytest.mark.parametrize("method", METHODS)
@given(strategies.marks(), strategies.thresholds)
def test_cluster_annotations__tables_agree_with_each_other(method: str, marks: pd.DataFrame, threshold: float) -> None:
    located = cluster_annotations(marks, iou_threshold=threshold, method=method)
    assert list(located.anchors) == ["anchor", "fov", *CORNERS, "n_annotations", "n_raters", "mean_iou"]
    assert list(located.members) == ["annotation", "anchor", "fov", "rater", "condition", "label"]
    assert located.members["annotation"].tolist() == marks["annotation"].tolist()
    assert located.anchors["anchor"].is_unique
    for row in located.anchors.itertuples():
        rows = located.members[located.members["anchor"] == row.anchor]
        boxes = marks.loc[rows.index, CORNERS].to_numpy()
        assert (row.n_annotations, row.n_raters) == (len(rows), rows["rater"].nunique())
        assert set(rows["fov"]) == {row.fov}
        pairs = [plain_boxes.iou(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
        assert row.mean_iou == pytest.approx(np.mean(pairs) if pairs else 1.0, rel=1e-12)
        box = np.array([row.xmin, row.ymin, row.xmax, row.ymax])
        means = [np.mean([plain_boxes.iou(a, b) for b in boxes]) for a in boxes]
        chosen = means[np.flatnonzero((boxes == box).all(axis=1))[0]]
        assert chosen == pytest.approx(max(means), rel=1e-12)
        assert method == "unconstrained" or not rows.duplicated(["rater", "condition"]).any()


@pytest.mark.parametrize("box", ["medoid", "mean", "median"])
@given(strategies.marks(max_size=16), st.randoms(use_true_random=False))
def test_cluster_annotations__ids_and_boxes_ignore_row_order_and_rater_names(
    box: str, marks: pd.DataFrame, random
) -> None:
    names = ["ann", "bob", "cat", "dan"]
    renamed = marks.sample(frac=1, random_state=random.randrange(2**31)).reset_index(drop=True)
    renamed["rater"] = renamed["rater"].map(dict(zip(names, random.sample(names, 4), strict=True))).astype("str")
    before, after = (contents(cluster_annotations(table, box=box), table) for table in (marks, renamed))
    assert before == after


@given(strategies.marks(max_size=16))
def test_cluster_annotations__ids_and_raters_ignore_row_order(marks: pd.DataFrame) -> None:
    def by_anchor(table: pd.DataFrame) -> dict:
        members = cluster_annotations(table).members.merge(table[["annotation", *CORNERS]], on="annotation")
        columns = ["rater", "condition", "label", *CORNERS]
        return {name: Counter(rows[columns].itertuples(index=False)) for name, rows in members.groupby("anchor")}

    assert by_anchor(marks) == by_anchor(marks.iloc[::-1].reset_index(drop=True))


def test_cluster_annotations__numbers_anchors_by_fov_and_box() -> None:
    marks = annotations(("a", (9, 0, 12, 3)), ("a", (0, 5, 3, 8)), ("b", (0, 0, 3, 3)), ("b", (9, 0, 12, 3)))
    marks.loc[2, "fov"] = "e"
    anchors = cluster_annotations(marks).anchors
    assert anchors["anchor"].tolist() == ["e:1", "f:1", "f:2"]
    assert anchors["n_annotations"].tolist() == [1, 1, 2]
    assert anchors["xmin"].tolist() == [0, 0, 9]


def test_cluster_annotations__orders_anchors_of_one_box_by_their_members() -> None:
    box = (0, 0, 5, 5)
    marks = annotations(("a", box, "x"), ("a", box, "a"), ("a", box, "m"))
    assert cluster_annotations(marks).members["anchor"].tolist() == ["f:3", "f:1", "f:2"]


def test_cluster_annotations__one_rater_in_two_conditions_shares_an_anchor() -> None:
    box = (0, 0, 5, 5)
    marks = annotations(("a", box, "x", "first"), ("a", box, "x", "second"), ("a", box, "x", "first"))
    anchors = cluster_annotations(marks).anchors
    assert anchors[["n_annotations", "n_raters"]].to_numpy().tolist() in ([[2, 1], [1, 1]], [[1, 1], [2, 1]])


def test_cluster_annotations__no_marks_give_no_anchors() -> None:
    marks = annotations(("a", (0, 0, 1, 1))).iloc[:0]
    for box in ("medoid", "mean", "median"):
        located = cluster_annotations(marks, box=box)
        assert len(located.anchors) == len(located.members) == 0
        assert located.anchors.dtypes.astype(str).to_dict() == {
            "anchor": "str", "fov": "str", **dict.fromkeys(CORNERS, "float64"),
            "n_annotations": "int64", "n_raters": "int64", "mean_iou": "float64",
        }  # fmt: skip


def test_cluster_annotations__leaves_its_input_alone() -> None:
    marks = annotations(("a", (0, 0, 5, 5)), ("b", (0, 0, 5, 4)))
    before = marks.copy(deep=True)
    cluster_annotations(marks)
    pd.testing.assert_frame_equal(marks, before)


def test_cluster_annotations__inclusive_pixels_can_join_what_half_open_boxes_do_not() -> None:
    marks = annotations(("a", (0, 0, 3, 3)), ("b", (2, 0, 5, 3)))  # 3 of 15 without, 8 of 24 with the last pixels
    assert len(cluster_annotations(marks).anchors) == 2
    inclusive = cluster_annotations(marks, inclusive=True).anchors
    assert inclusive["mean_iou"].tolist() == [8 / 24]
    assert inclusive[CORNERS].to_numpy().tolist() == [[0, 0, 3, 3]]


TRIPLE = annotations(("a", (0, 0, 8, 8)), ("b", (0, 0, 8, 9)), ("c", (2, 0, 8, 16)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"box": "medoid"}, [0, 0, 8, 9]),
        ({"box": "mean"}, [2 / 3, 0, 8, 11]),
        ({"box": "median"}, [0, 0, 8, 9]),
        ({"box": "weighted", "weights": {"a": 1, "b": 1, "c": 2}}, [1, 0, 8, 12.25]),
    ],
)
def test_cluster_annotations__anchor_box_is_as_asked(options: dict, expected: list) -> None:
    box = cluster_annotations(TRIPLE, **options).anchors[CORNERS].to_numpy()[0]
    np.testing.assert_allclose(box, expected, rtol=1e-12)


def test_cluster_annotations__median_of_two_is_their_middle() -> None:
    box = cluster_annotations(TRIPLE.iloc[:2], box="median").anchors[CORNERS].to_numpy()[0]
    assert box.tolist() == [0, 0, 8, 8.5]


@pytest.mark.parametrize(
    ("preference", "expected"),
    [
        ((Preference(raters=("c",)),), 16),
        ((Preference(kinds=("polygon",)),), 9),
        ((Preference(cohorts=("P", "Q")),), 8),
        ((Preference(raters=("a",), conditions=("none",)), Preference(raters=("c",))), 16),
        (paper_preference("c", "all", [("P",)]), 8),
    ],
)
def test_cluster_annotations__preferred_marks_give_the_anchor_box(preference: tuple, expected: float) -> None:
    marks = annotations(("a", (0, 0, 8, 8)), ("b", (0, 0, 8, 9), "x", "all", "polygon"), ("c", (2, 0, 8, 16)))
    cohorts = {"a": "P", "b": "NP", "c": "NP"}
    assert cluster_annotations(marks, preference=preference, cohort_of=cohorts).anchors["ymax"].tolist() == [expected]


def test_cluster_annotations__medoid_of_preferred_marks_looks_at_the_whole_cluster() -> None:
    # among b and c alone the first would win the tie; the whole cluster lies closer to c
    marks = annotations(("b", (0, 0, 10, 8)), ("c", (0, 0, 10, 10)), ("a", (0, 0, 10, 11)), ("d", (0, 0, 10, 12)))
    located = cluster_annotations(marks, preference=[Preference(raters=("b", "c"))])
    assert located.anchors["ymax"].tolist() == [10]


@given(strategies.marks(), st.sampled_from(METHODS))
def test_sweep__equals_clustering_at_each_threshold(marks: pd.DataFrame, method: str) -> None:
    for threshold, located in sweep(marks, [0.75, 0.25, 0.5], method=method).items():
        alone = cluster_annotations(marks, iou_threshold=threshold, method=method)
        pd.testing.assert_frame_equal(located.anchors, alone.anchors)
        pd.testing.assert_frame_equal(located.members, alone.members)


@given(strategies.marks())
def test_cluster_annotations__does_not_depend_on_the_number_of_threads(marks: pd.DataFrame) -> None:
    one, two = cluster_annotations(marks), cluster_annotations(marks, jobs=2)
    pd.testing.assert_frame_equal(one.anchors, two.anchors)
    pd.testing.assert_frame_equal(one.members, two.members)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iou_threshold": 0}, r"must lie in \(0, 1\], got 0"),
        ({"iou_threshold": "a"}, r"an IOU threshold must lie in \(0, 1\], got 'a'"),
        ({"iou_threshold": True}, r"an IOU threshold must lie in \(0, 1\], got True"),
        ({"method": "average"}, "method must be one of"),
        ({"box": "largest"}, "box must be one of medoid, mean, median, weighted, got 'largest'"),
        ({"box": "weighted"}, "weights are missing"),
        ({"weights": {"a": 1}}, "go together: box is 'medoid'"),
        ({"box": "weighted", "weights": {"a": 1, "b": 0}}, "finite weight above 0; not so: b, c"),
        ({"box": "mean", "preference": [Preference()]}, "needs box='medoid', got 'mean'"),
        ({"preference": [Preference(cohorts=("P",))], "cohort_of": {"a": "P"}}, "cohort of every rater; unknown: b, c"),
    ],
)
def test_cluster_annotations__says_which_option_is_wrong(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cluster_annotations(TRIPLE, **options)


def test_cluster_annotations__names_missing_columns_and_cells() -> None:
    with pytest.raises(ValueError, match="missing: rater, label"):
        cluster_annotations(TRIPLE.drop(columns=["rater", "label"]))
    with pytest.raises(ValueError, match="missing: annotation, condition; make_study adds annotation and condition"):
        cluster_annotations(TRIPLE.drop(columns=["annotation", "condition"]))
    with pytest.raises(ValueError, match="every annotation needs a condition; row 1 has none"):
        cluster_annotations(TRIPLE.assign(condition=["all", None, "all"]))
    with pytest.raises(ValueError, match="a preference by kind needs annotations with the column kind"):
        cluster_annotations(TRIPLE.drop(columns="kind"), preference=[Preference(kinds=("click",))])


@pytest.mark.data
def test_cluster_annotations__real_study_keeps_the_guarantees(data_dir) -> None:
    marks = pd.read_csv(data_dir / "exact_asthma_round1" / "annotations.csv", dtype={"fov": str, "rater": str})
    marks = marks.assign(annotation=marks.index.astype(str), condition="all")
    for located in sweep(marks, [0.25, 0.5]).values():
        assert not located.members.duplicated(["anchor", "rater"]).any()
        assert located.anchors["n_annotations"].sum() == len(marks)


def test_cluster_annotations__needs_a_table() -> None:
    with pytest.raises(TypeError, match=r"got Study; pass study\.annotations$"):
        cluster_annotations(make_study(TRIPLE))
    with pytest.raises(TypeError, match=r"annotations must be a pandas DataFrame, got str$"):
        cluster_annotations("marks.csv")


def test_preference__takes_several_names() -> None:
    with pytest.raises(TypeError, match=r"raters must be a sequence of names, got the text 'SP.3'; write \['SP.3'\]"):
        Preference(raters="SP.3")
    for cohorts in ("SP", ["SP"]):
        with pytest.raises(TypeError, match="cohorts must be a sequence of names, got the text 'SP'"):
            paper_preference("SP.3", "U-control", cohorts)
