import numpy as np
import pandas as pd
import pytest

from crowdtruth.training import training_table

BOX = ["xmin", "ymin", "xmax", "ymax"]


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    anchors = pd.DataFrame({"anchor": ["f:1", "f:2", "f:3"], "fov": "f", "xmin": [0.0, 50, 90], "ymin": 0.0,
                            "xmax": [10.0, 60, 99], "ymax": 10.0})  # fmt: skip
    truth = pd.DataFrame(
        {
            "anchor": ["f:3", "f:2", "f:1"],
            "fov": "f",
            "cohort": "P",
            "condition": "E",
            **{name: anchors[name].to_numpy()[::-1] for name in BOX},
            "label": ["undetected", "undetected", "tumor"],
            "prob_tumor": [0.01, 0.1, 0.6],
            "prob_AMBIGUOUS": [0.01, 0.1, 0.2],
            "prob_undetected": [0.98, 0.8, 0.2],
            "boundary_correct": [np.nan, 0.0, 1.0],
        }
    )
    marks = pd.DataFrame(
        [
            ("a", "f:1", "r1", "click", 0, 10, "0,10,10,0"),
            ("b", "f:1", "r2", "click", 0, 4, "0,4,4,0"),
            ("c", "f:1", "r3", "polygon", 0, 6, "0,6,6,0"),
            ("d", "f:2", "r1", "click", 50, 60, "50,60,60,50"),
        ],
        columns=["annotation", "anchor", "rater", "kind", "xmin", "xmax", "coords_x"],
    ).assign(fov="f", condition="E", label="tumor", ymin=0.0, ymax=10.0, coords_y="0,0,10,10")
    members = marks[["annotation", "anchor", "fov", "rater", "condition", "label"]]
    return {"truth": truth, "anchors": anchors, "members": members, "annotations": marks.drop(columns="anchor")}


def table(tables: dict[str, pd.DataFrame], raters: tuple[str, ...] = ("r1", "r2")) -> pd.DataFrame:
    return training_table(**tables, cohort="P", condition="E", raters=raters).set_index("anchor")


def test_training_table__keeps_what_may_exist_in_the_order_of_the_anchors(tables: dict[str, pd.DataFrame]) -> None:
    assert table(tables).index.tolist() == ["f:1", "f:2"]


def test_training_table__probabilities_are_given_existence_and_sum_to_one(tables: dict[str, pd.DataFrame]) -> None:
    rows = table(tables)
    assert rows["p_exists"].tolist() == pytest.approx([0.8, 0.2])
    assert rows[["prob_tumor", "prob_AMBIGUOUS"]].to_numpy() == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5]]))


def test_training_table__takes_the_best_overlapping_suggestion_where_the_boundary_is_correct(
    tables: dict[str, pd.DataFrame],
) -> None:
    rows = table(tables)
    assert rows["coords_x"].tolist() == ["0,10,10,0", ""]
    assert rows["has_outline"].tolist() == [True, False]


def test_training_table__takes_a_traced_outline_before_a_suggestion(tables: dict[str, pd.DataFrame]) -> None:
    assert table(tables, raters=("r1", "r2", "r3"))["coords_x"].tolist() == ["0,6,6,0", ""]


def test_training_table__ignores_outlines_of_other_cohorts(tables: dict[str, pd.DataFrame]) -> None:
    assert not table(tables, raters=("r9",))["has_outline"].any()


def test_training_table__says_when_there_is_nothing_to_train_on(tables: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(ValueError, match="no inferred labels of cohort 'NP' under condition 'E'"):
        training_table(**tables, cohort="NP", condition="E", raters=())
