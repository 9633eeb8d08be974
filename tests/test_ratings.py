"""Ratings tables: codes, and who said what of each anchor."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.clustering import Located
from crowdtruth.ratings import Ratings, encode_ratings, rate_anchors
from tests.reference import truth as reference


@pytest.mark.parametrize(
    "columns", [("item", "rater", "rating"), ("task", "worker", "label"), ("anchor", "rater", "label")]
)
def test_encode_ratings__accepts_the_usual_column_names(columns):
    encoded = encode_ratings(pd.DataFrame([["b", "u", "y"], ["a", "v", "x"]], columns=list(columns)))
    assert encoded.items.tolist() == ["a", "b"]
    assert encoded.raters.tolist() == ["u", "v"]
    assert encoded.classes.tolist() == ["x", "y"]
    assert encoded.ratings.item.tolist() == [1, 0]
    assert encoded.ratings.rater.tolist() == [0, 1]
    assert encoded.ratings.label.tolist() == [1, 0]


@pytest.mark.parametrize("missing", [None, np.nan, "", "  "])
def test_encode_ratings__missing_and_empty_labels_are_no_ratings_but_keep_item_and_rater(missing):
    table = pd.DataFrame({"task": ["a", "b"], "worker": ["u", "v"], "label": ["x", missing]})
    encoded = encode_ratings(table)
    assert encoded.ratings.item.tolist() == [0]
    assert encoded.items.tolist() == ["a", "b"]
    assert encoded.raters.tolist() == ["u", "v"]
    assert encoded.classes.tolist() == ["x"]


def test_encode_ratings__classes_give_the_order():
    table = pd.DataFrame({"task": ["a", "b"], "worker": ["u", "u"], "label": ["x", "y"]})
    encoded = encode_ratings(table, classes=["z", "y", "x"])
    assert encoded.ratings.label.tolist() == [2, 1]
    assert encoded.ratings.n_classes == 3


def test_encode_ratings__takes_categories_as_they_are():
    table = pd.DataFrame({"task": ["b", "a"], "worker": ["u", "u"], "label": ["y", None]})
    table = table.astype({"task": pd.CategoricalDtype(["b", "a", "c"]), "label": pd.CategoricalDtype(["y", "x"])})
    encoded = encode_ratings(table)
    assert encoded.items.tolist() == ["b", "a", "c"]
    assert encoded.classes.tolist() == ["y", "x"]
    assert encoded.ratings.item.tolist() == [0]


def test_encode_ratings__numbers_stay_numbers():
    encoded = encode_ratings(pd.DataFrame({"item": [10, 9], "rater": [1, 1], "rating": [2, 1]}))
    assert encoded.items.tolist() == [9, 10]
    assert encoded.classes.tolist() == [1, 2]


@given(st.permutations(range(6)))
def test_encode_ratings__row_order_changes_no_code(order):
    table = pd.DataFrame({"task": list("ccbbaa"), "worker": list("uvuvuv"), "label": list("xyxyzz")})
    first, second = encode_ratings(table), encode_ratings(table.iloc[order])
    np.testing.assert_array_equal(first.ratings.item[order], second.ratings.item)
    np.testing.assert_array_equal(first.ratings.label[order], second.ratings.label)
    assert first.classes.tolist() == second.classes.tolist()


@pytest.mark.parametrize(
    ("table", "classes", "message"),
    [
        ({"task": ["a"], "worker": ["u"]}, None, r"needs a column 'label' or 'rating'; it has \['task', 'worker'\]"),
        ({"task": ["a", None], "worker": ["u", "u"], "label": ["x", "x"]}, None, r"its task; row 1 has none \(1 of 2"),
        ({"task": ["a"], "worker": [None], "label": ["x"]}, None, "its worker; row 0 has none"),
        ({"task": ["a"], "worker": ["u"], "label": ["x"]}, ["y"], r"outside the classes \['y'\]: \['x'\]"),
        ({"task": ["a"], "worker": ["u"], "label": ["x"]}, ["x", "x"], "classes must differ from each other"),
    ],
)
def test_encode_ratings__says_what_is_wrong(table, classes, message):
    with pytest.raises(ValueError, match=message):
        encode_ratings(pd.DataFrame(table), classes=classes)


def test_ratings__checks_its_codes():
    zero, one = np.array([0]), np.array([1])
    with pytest.raises(ValueError, match=r"rater codes must lie in 0 … 0; row 0 has 1"):
        Ratings(zero, one, zero, 1, 1, 1)
    with pytest.raises(ValueError, match=r"label codes must lie in 0 … 0; row 0 has -1"):
        Ratings(zero, zero, -one, 1, 1, 1)
    with pytest.raises(ValueError, match="one code per rating each, got 1, 1 and 2 codes"):
        Ratings(zero, zero, np.array([0, 0]), 1, 1, 1)
    with pytest.raises(TypeError, match="item codes must be integers, got float64"):
        Ratings(np.array([0.0]), zero, zero, 1, 1, 1)


def test_ratings__accepts_sequences():
    ratings = Ratings([0, 1], (0, 0), pd.Series([1, 0]), 2, 1, 2)
    assert [codes.tolist() for codes in (ratings.item, ratings.rater, ratings.label)] == [[0, 1], [0, 0], [1, 0]]
    assert all(isinstance(codes, np.ndarray) for codes in (ratings.item, ratings.rater, ratings.label))
    assert len(Ratings([], [], [], 0, 0, 0).item) == 0


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        ([[0]], ValueError, r"item codes must be one whole number per rating, got the shape \(1, 1\)"),
        (0, ValueError, r"item codes must be one whole number per rating, got the shape \(\)"),
        ([[0], [0, 1]], ValueError, "item codes must be one whole number per rating, got rows of different length"),
        (["a"], TypeError, "item codes must be integers, got <U1"),
    ],
)
def test_ratings__says_what_is_no_code(item, error, message):
    with pytest.raises(error, match=message):
        Ratings(item, [0], [0], 1, 1, 1)


@pytest.mark.parametrize(
    ("table", "classes", "message"),
    [
        ([("a", "u", "x")], None, "ratings must be a pandas DataFrame, got list"),
        (pd.DataFrame({"task": ["a"], "worker": ["u"], "label": ["x"]}), "x", r"classes must be .* got the text 'x'"),
    ],
)
def test_encode_ratings__needs_a_table_and_several_classes(table, classes, message):
    with pytest.raises(TypeError, match=message):
        encode_ratings(table, classes=classes)


RATERS = pd.DataFrame({"rater": ["u", "v", "w"], "cohort": ["P", "P", "N"]})
ANCHORS = pd.DataFrame({"anchor": ["b", "a", "c"], "fov": ["f", "f", "g"]})
ASKED = pd.DataFrame(
    [("f", "v", "E"), ("f", "u", "U"), ("f", "v", "U"), ("g", "w", "U"), ("h", "w", "U")],
    columns=["fov", "rater", "condition"],
)


def members(*rows):
    return pd.DataFrame(rows, columns=["anchor", "rater", "condition", "label"])


def test_rate_anchors__undetected_is_not_not_asked():
    ratings = rate_anchors(members(("a", "u", "U", "tumor")), ASKED, RATERS, ANCHORS)
    assert ratings.to_numpy().tolist() == [
        ["b", "f", "u", "P", "U", "undetected"],
        ["b", "f", "v", "P", "E", "undetected"],
        ["b", "f", "v", "P", "U", "undetected"],
        ["a", "f", "u", "P", "U", "tumor"],
        ["a", "f", "v", "P", "E", "undetected"],
        ["a", "f", "v", "P", "U", "undetected"],
        ["c", "g", "w", "N", "U", "undetected"],
    ]


def test_rate_anchors__of_several_marks_the_commonest_label_counts_the_first_on_ties():
    marks = members(
        ("a", "u", "U", "x"), ("a", "u", "U", "y"), ("a", "u", "U", "y"), ("a", "v", "E", "y"), ("a", "v", "E", "x")
    )
    ratings = rate_anchors(marks, ASKED, RATERS, ANCHORS)
    labels = ratings[ratings["anchor"] == "a"].set_index(["rater", "condition"])["label"]
    assert labels.to_dict() == {("u", "U"): "y", ("v", "E"): "y", ("v", "U"): "undetected"}


def test_rate_anchors__no_anchors_no_ratings():
    ratings = rate_anchors(members(), ASKED, RATERS, ANCHORS.iloc[:0])
    assert list(ratings) == ["anchor", "fov", "rater", "cohort", "condition", "label"]
    assert len(ratings) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("uv"), st.sampled_from("U"), st.sampled_from("xyz")),
        max_size=12,
    )
)
def test_rate_anchors__equals_plain_python(marks):
    cohorts = dict(zip(RATERS["rater"], RATERS["cohort"], strict=True))
    expected = reference.rate_anchors(
        marks,
        list(ASKED.itertuples(index=False, name=None)),
        cohorts,
        list(ANCHORS.itertuples(index=False, name=None)),
    )
    ratings = rate_anchors(members(*marks), ASKED, RATERS, ANCHORS)
    columns = ["anchor", "rater", "cohort", "condition", "label"]
    assert list(ratings[columns].itertuples(index=False, name=None)) == expected


def test_rate_anchors__says_what_is_wrong():
    with pytest.raises(
        ValueError, match=r"anchor 'c' has a mark of rater 'u' under condition 'U', .* \(1 of 1 marks\)"
    ):
        rate_anchors(members(("c", "u", "U", "x")), ASKED, RATERS, ANCHORS)
    with pytest.raises(ValueError, match=r"every asked rater needs a cohort; missing for \['w'\] \(1 raters\)"):
        rate_anchors(members(), ASKED, RATERS.iloc[:2], ANCHORS)


def test_rate_anchors__needs_tables():
    located = Located(ANCHORS, members())
    with pytest.raises(TypeError, match=r"members must be a pandas DataFrame, got Located; pass located\.members$"):
        rate_anchors(located, ASKED, RATERS, ANCHORS)
    with pytest.raises(TypeError, match=r"anchors must be a pandas DataFrame, got Located; pass located\.anchors$"):
        rate_anchors(members(), ASKED, RATERS, located)


@pytest.mark.parametrize(
    ("place", "column", "name"),
    [(0, "label", "members"), (1, "condition", "assignments"), (2, "cohort", "raters"), (3, "fov", "anchors")],
)
def test_rate_anchors__names_missing_columns(place, column, name):
    tables = [members(), ASKED, RATERS, ANCHORS]
    tables[place] = tables[place].drop(columns=column)
    with pytest.raises(ValueError, match=f"{name} need the columns .*; missing: {column}$"):
        rate_anchors(*tables)
