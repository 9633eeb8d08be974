"""The map of raters: places whose distances are disagreements."""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.agreement import kappa_matrix, pairwise_table, rater_map, rater_map_table
from tests.rating_tables import FEW, KINDS, study

SQUARE = pd.DataFrame([[1, 2], [2, 1]])


def test_rater_map_table__has_a_map_for_each_condition_grouping_and_scope():
    pairs = pairwise_table(study(), groupings=[None, KINDS], **FEW)
    table = rater_map_table(pairs, seed=1)
    assert [*table] == ["condition", "grouping", "scope", "rater", "cohort", "x", "y"]
    assert len(table) == 2 * 2 * 2 * 6
    assert table.set_index("rater")["cohort"].to_dict() == {f"r{i}": "NP" if i % 2 else "P" for i in range(6)}
    key = ["condition", "grouping", "scope"]
    for values, places in table.groupby(key):
        own = pairs[(pairs[key] == list(values)).all(axis=1)]
        expected = rater_map(kappa_matrix(own), seed=1).positions
        np.testing.assert_array_equal(places[["x", "y"]], expected[["x", "y"]])


def test_rater_map_table__leaves_raters_without_a_link_to_the_others_empty():
    pairs = pairwise_table(study(conditions=["u"]), scopes=["classification"], **FEW)
    pairs.loc[(pairs["first"] == "r2") | (pairs["second"] == "r2"), "kappa"] = np.nan
    table = rater_map_table(pairs).set_index("rater")
    assert table.index[table["x"].isna()].tolist() == ["r2"]
    assert table.loc["r2", "cohort"] == "P"


def test_rater_map__recovers_a_plane_with_missing_pairs():
    rng = np.random.default_rng(3)
    place = rng.uniform(0, 0.6, (10, 2))
    distance = np.sqrt(((place[:, None] - place[None]) ** 2).sum(-1))
    kappa = 1 - distance
    missing = [(0, 1), (2, 7), (4, 9), (3, 5)]
    for i, j in missing:
        kappa[i, j] = kappa[j, i] = np.nan
    names = [f"r{i}" for i in range(10)]
    found = rater_map(pd.DataFrame(kappa, names, names), n_iterations=5000)
    xy = found.positions[["x", "y"]].to_numpy()
    np.testing.assert_allclose(np.sqrt(((xy[:, None] - xy[None]) ** 2).sum(-1)), distance, atol=0.01)
    assert found.stress < 0.01
    assert (found.positions["component"] == 0).all()
    np.testing.assert_allclose(xy.mean(axis=0), 0, atol=1e-9)


def test_rater_map__same_seed_same_map():
    square = kappa_matrix(pairwise_table(study(conditions=["u"]), scopes=["classification"], **FEW))
    pd.testing.assert_frame_equal(rater_map(square, seed=4).positions, rater_map(square, seed=4).positions)


def test_rater_map__puts_perfect_agreement_in_one_place():
    names = ["a", "b", "c"]
    kappa = pd.DataFrame([[1, 1, 0.2], [1, 1, 0.2], [0.2, 0.2, 1]], names, names)
    xy = rater_map(kappa).positions[["x", "y"]].to_numpy()
    np.testing.assert_allclose(xy[0], xy[1], atol=1e-4)
    assert np.hypot(*(xy[0] - xy[2])) == pytest.approx(0.8, abs=1e-3)


def test_rater_map__lays_out_each_component_by_itself():
    names = ["a", "b", "c", "d", "alone"]
    kappa = np.full((5, 5), np.nan)
    np.fill_diagonal(kappa, 1)
    kappa[0, 2] = kappa[2, 0] = 0.4
    kappa[1, 3] = kappa[3, 1] = 0.8
    positions = rater_map(pd.DataFrame(kappa, names, names)).positions
    assert positions["component"].tolist() == [0, 1, 0, 1, 2]
    assert positions["x"].tolist() == pytest.approx([0.3, 0.1, -0.3, -0.1, 0])


def test_rater_map__of_one_or_no_rater():
    single = rater_map(pd.DataFrame([[1.0]], ["a"], ["a"]))
    assert single.positions[["x", "y"]].to_numpy().tolist() == [[0, 0]]
    assert np.isnan(single.stress)
    assert rater_map(pd.DataFrame(np.zeros((0, 0)))).positions.empty


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rater_map(SQUARE), "kappa is at most 1, got 2"),
        (lambda: rater_map(SQUARE.iloc[:1]), r"symmetric square; got a table of \(1, 2\)"),
    ],
)
def test_rater_map__says_what_is_wrong_with_its_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
