"""Rank tests and the table of comparisons: scipy's own calls, rules worked by hand, and what stays undefined."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crowdtruth.comparisons import COLUMNS, comparisons_table, holm, mann_whitney, wilcoxon

values = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=12)


def pairs_table(groupings=("main", "super"), conditions=("E", "U"), seed=0):
    """Kappas of all pairs of five pathologists and seven others, one of them missing."""
    rng = np.random.default_rng(seed)
    raters = [f"P.{i}" for i in range(5)] + [f"NP.{i}" for i in range(7)]
    rows = [
        (condition, grouping, scope, one, other, one.split(".")[0], other.split(".")[0])
        for condition in conditions
        for grouping in groupings
        for scope in ("detection_and_classification", "classification")
        for place, one in enumerate(raters)
        for other in raters[place + 1 :]
    ]
    names = ["condition", "grouping", "scope", "first", "second", "first_cohort", "second_cohort"]
    table = pd.DataFrame(rows, columns=names)
    shift = (table["first_cohort"] == "P") * 0.2 + (table["grouping"] == "super") * 0.1
    table["kappa"] = (rng.normal(0.5, 0.1, len(table)) + shift).round(3)
    table.loc[0, "kappa"] = np.nan
    return table


def own_table(conditions=(("U", "B"), ("U", "E"), ("B", "E")), seed=0):
    """Kappas with oneself of six pathologists and eight others; only half of them were asked in B."""
    rng = np.random.default_rng(seed)
    rows = [
        (grouping, scope, f"{cohort}.{i}", cohort, first, second)
        for grouping in ("main", "super")
        for scope in ("detection_and_classification", "classification")
        for cohort, n_raters in (("P", 6), ("NP", 8))
        for i in range(n_raters)
        for first, second in conditions
        if i % 2 == 0 or "B" not in (first, second)
    ]
    table = pd.DataFrame(rows, columns=["grouping", "scope", "rater", "cohort", "first_condition", "second_condition"])
    table["kappa"] = rng.uniform(0.3, 0.9, len(table)).round(3)
    click = {(r, c): rng.uniform(0.1, 0.6) for r in table["rater"].unique() for c in ("U", "B", "E")}
    table["proportion_clicked"] = [click[key] for key in zip(table["rater"], table["second_condition"], strict=True)]
    return table


def outlines_table(seed=0):
    """DICE of 30 anchors in two conditions with the verdicts of two cohorts."""
    rng = np.random.default_rng(seed)
    rows = [(f"a{i}", cohort, condition) for cohort in ("P", "NP") for condition in ("B", "E") for i in range(30)]
    table = pd.DataFrame(rows, columns=["anchor", "cohort", "condition"])
    table["boundary_correct"] = np.where(rng.random(len(table)) < 0.1, np.nan, rng.integers(0, 2, len(table)))
    return table.assign(dice=rng.uniform(0.5, 1, len(table)))


def rows_of(table, **where):
    for name, level in where.items():
        table = table[table[name] == level]
    return table


# the two tests


@given(values, values)
def test_mann_whitney__is_scipys(first, second):
    found = mann_whitney(first, second)
    if not found.undefined:
        expected = stats.mannwhitneyu(first, second)
        assert (found.statistic, found.p) == (expected.statistic, expected.pvalue)


@given(values, values)
def test_mann_whitney__effect_counts_larger_values(first, second):
    larger = np.sign(np.subtract.outer(first, second)).mean()
    assert mann_whitney(first, second).effect_size == pytest.approx(larger)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=14))
def test_wilcoxon__is_scipys(pairs):
    first, second = np.array(pairs, dtype=float).T
    found = wilcoxon(first, second)
    if not found.undefined:
        expected = stats.wilcoxon(first, second, zero_method="wilcox")
        assert found.statistic == expected.statistic
        # scipy takes the exact distribution only without zeros; here they have left before
        assert found.p == stats.wilcoxon((first - second)[first != second]).pvalue


def test_wilcoxon__effect_by_hand():
    # differences 1, -2, 3, 4, 5, 6 have the ranks 1 to 6: 19 for the first, 2 for the second, of 21
    found = wilcoxon([1, 0, 3, 4, 5, 6], [0, 2, 0, 0, 0, 0])
    assert found.effect_size == pytest.approx(17 / 21)
    assert found.statistic == 2


def test_rank_tests__turn_with_their_samples():
    first, second = [5.0, 6, 7, 8, 9, 3], [1.0, 2, 8, 4, 5, 5]
    for test in (mann_whitney, wilcoxon):
        one, other = test(first, second), test(second, first)
        assert one.effect_size == pytest.approx(-other.effect_size)
        assert one.p == pytest.approx(other.p)
        assert (one.median_first, one.median_second) == (other.median_second, other.median_first)


def test_mann_whitney__leaves_missing_values_out():
    found = mann_whitney([1, 2, np.nan, 3, 4], [5, 6, 7, np.nan, 8])
    assert (found.n_first, found.n_second) == (4, 4)
    assert found.p == stats.mannwhitneyu([1, 2, 3, 4], [5, 6, 7, 8]).pvalue


def test_wilcoxon__leaves_units_out_that_lack_a_value():
    found = wilcoxon([1, 2, np.nan, 3, 4, 5, 6, 7], [5, np.nan, 7, 8, 9, 9, 9, 9])
    assert found.n_first == found.n_second == 6
    assert found.median_first == np.median([1, 3, 4, 5, 6, 7])


@pytest.mark.parametrize(
    ("test", "first", "second", "reason"),
    [
        (mann_whitney, [], [1.0], "no values"),
        (mann_whitney, [np.nan], [1.0], "no values"),
        (mann_whitney, [2.0] * 6, [2.0] * 6, "all equal"),
        (mann_whitney, [1.0, 2, 3], [4.0, 5, 6], "too few"),  # p is .1 at best
        (wilcoxon, [], [], "no values"),
        (wilcoxon, [1.0, np.nan], [np.nan, 1.0], "no values"),
        (wilcoxon, [1.0, 2, 3, 4, 5, 6], [1.0, 2, 3, 4, 5, 6], "all equal"),
        (wilcoxon, [1.0, 2, 3, 4, 5], [0.0] * 5, "too few"),  # p is .0625 at best
    ],
)
def test_rank_tests__say_why_there_is_no_p(test, first, second, reason):
    found = test(first, second)
    assert found.undefined == reason
    assert np.isnan(found.p)


@pytest.mark.parametrize(("test", "n"), [(mann_whitney, 4), (wilcoxon, 6)])
def test_rank_tests__clearest_data_of_the_smallest_size_fall_below(test, n):
    found = test(np.arange(n) + 100.0, np.arange(n) / 7)
    assert found.undefined == ""
    assert found.p < 0.05
    assert found.effect_size == 1


def test_rank_tests__all_equal_is_no_effect():
    assert mann_whitney([2.0] * 6, [2.0] * 6).effect_size == 0
    assert wilcoxon([2.0] * 6, [2.0] * 6).effect_size == 0


@pytest.mark.parametrize(
    ("test", "first", "second", "message"),
    [
        (mann_whitney, [[1.0]], [1.0], r"first must be a row of numbers, got an array of shape \(1, 1\)"),
        (mann_whitney, [1.0], [1.0, np.inf], "second must be finite or missing; value 1 is infinite"),
        (wilcoxon, [1.0], [1.0, 2.0], "needs two values of every unit, got 1 and 2 values"),
    ],
)
def test_rank_tests__refuse_what_is_no_sample(test, first, second, message):
    with pytest.raises(ValueError, match=message):
        test(first, second)


def test_holm__by_hand():
    # smallest first: .01 × 4, .02 × 3, max(.06, .025 × 2), max(.06, .5 × 1)
    assert holm([0.02, 0.5, 0.01, 0.025]).tolist() == pytest.approx([0.06, 0.5, 0.04, 0.06])


def test_holm__keeps_missing_values_out_of_the_family():
    np.testing.assert_array_equal(holm([np.nan, 0.03]), [np.nan, 0.03])
    assert np.isnan(holm([np.nan])).all()
    assert not len(holm([]))


# the table


def test_comparisons_table__kinds_of_pairs_by_cohorts():
    pairs = pairs_table()
    found = rows_of(
        comparisons_table({"pairwise": pairs}, by=["cohorts"]),
        question="kappa of pairs, classification by cohorts",
        condition="E",
        grouping="main",
    )
    assert found[["first", "second"]].to_numpy().tolist() == [["P–P", "NP–P"], ["P–P", "NP–NP"], ["NP–P", "NP–NP"]]
    kappa = rows_of(pairs, scope="classification", condition="E", grouping="main")
    of_p = kappa[(kappa["first_cohort"] == "P") & (kappa["second_cohort"] == "P")]["kappa"]
    of_np = kappa[(kappa["first_cohort"] == "NP") & (kappa["second_cohort"] == "NP")]["kappa"]
    row = found.iloc[1]
    assert (row["n_first"], row["n_second"]) == (10, 21)
    assert row["p"] == stats.mannwhitneyu(of_p, of_np).pvalue
    assert row["median_first"] == of_p.median()


@pytest.mark.parametrize(("by", "split"), [("conditions", "condition"), ("groupings", "grouping")])
def test_comparisons_table__same_pairs_in_two_conditions_or_groupings(by, split):
    pairs = pairs_table()
    fixed = {"condition": "E", "grouping": "main", "scope": "detection_and_classification"}
    del fixed[split]
    question = f"kappa of pairs, detection and classification by {by}"
    found = rows_of(comparisons_table({"pairwise": pairs}, by=[by]), question=question, cohort="NP–P")
    of_both = rows_of(pairs, **fixed).query("first_cohort != second_cohort")
    wide = of_both.pivot(index=["first", "second"], columns=split, values="kappa")
    elsewhere = "grouping" if split == "condition" else "condition"
    row = rows_of(found, **{elsewhere: fixed[elsewhere]}).iloc[0]
    assert row["test"] == "wilcoxon"
    assert row["p"] == pytest.approx(stats.wilcoxon(wide[row["first"]], wide[row["second"]]).pvalue)
    assert row["n_first"] == len(wide)


def test_comparisons_table__self_agreement_between_conditions_has_a_third_in_common():
    own = own_table()
    question = "kappa with oneself, classification by conditions"
    found = rows_of(comparisons_table({"self_agreement": own}, by=["conditions"]), question=question)
    assert set(found["condition"]) == {"U", "B", "E"}
    against_u = rows_of(found, condition="U", grouping="super", cohort="NP")
    assert against_u[["first", "second"]].drop_duplicates().to_numpy().tolist() == [["B", "E"]]
    kappa = rows_of(own, scope="classification", grouping="super", cohort="NP", first_condition="U")
    wide = kappa.pivot(index="rater", columns="second_condition", values="kappa")
    paired, unpaired = (rows_of(against_u, test=name).iloc[0] for name in ("wilcoxon", "mann_whitney"))
    assert (paired["n_first"], paired["undefined"]) == (4, "too few")
    assert (unpaired["n_first"], unpaired["n_second"]) == (4, 8)
    assert unpaired["p"] == stats.mannwhitneyu(wide["B"].dropna(), wide["E"]).pvalue


def test_comparisons_table__order_of_the_conditions_of_a_kappa_does_not_matter():
    own = own_table(conditions=(("U", "B"), ("U", "E")))
    turned = own.rename(columns={"first_condition": "second_condition", "second_condition": "first_condition"})
    one, other = (
        comparisons_table({"self_agreement": table}, by=["conditions"]).query("condition == 'U' and n_first > 0")
        for table in (own, turned)
    )
    kappas = [table[table["question"].str.startswith("kappa")] for table in (one, other)]
    pd.testing.assert_frame_equal(*(table.drop(columns="p_holm").reset_index(drop=True) for table in kappas))


def test_comparisons_table__clicks_count_once_per_rater_and_condition():
    own = own_table()
    found = rows_of(
        comparisons_table({"self_agreement": own}, by=["conditions"]),
        question="proportion clicked by conditions",
        cohort="",
    )
    clicked = own.drop_duplicates(["rater", "second_condition"]).pivot(
        index="rater", columns="second_condition", values="proportion_clicked"
    )
    both = clicked.dropna()
    paired = rows_of(found, test="wilcoxon").iloc[0]
    assert (paired["first"], paired["second"], paired["n_first"]) == ("B", "E", len(both))
    assert paired["p"] == pytest.approx(stats.wilcoxon(both["B"], both["E"]).pvalue)
    assert rows_of(found, test="mann_whitney").iloc[0]["n_second"] == 14


def test_comparisons_table__conditions_without_clicks_are_not_compared():
    own = own_table(conditions=(("U", "E"), ("E", "U")))
    own.loc[own["second_condition"] == "U", "proportion_clicked"] = 0.0
    found = comparisons_table({"self_agreement": own}, by=["conditions"])
    assert not found["question"].str.startswith("proportion").any()


def test_comparisons_table__outlines_by_conditions_and_verdicts():
    outlines = outlines_table()
    found = rows_of(comparisons_table({"outlines": outlines}), cohort="NP")
    of_np = rows_of(outlines, cohort="NP")
    wide = of_np[of_np["boundary_correct"] == 1].pivot(index="anchor", columns="condition", values="dice").dropna()
    paired = rows_of(found, question="dice, correct outlines by conditions", test="wilcoxon").iloc[0]
    assert (paired["first"], paired["second"], paired["n_first"]) == ("B", "E", len(wide))
    assert paired["p"] == pytest.approx(stats.wilcoxon(wide["B"], wide["E"]).pvalue)
    verdicts = rows_of(found, question="dice by verdicts", condition="E").iloc[0]
    in_e = rows_of(of_np, condition="E")
    samples = [in_e[in_e["boundary_correct"] == verdict]["dice"] for verdict in (1, 0)]
    assert (verdicts["first"], verdicts["second"]) == ("correct", "wrong")
    assert verdicts["p"] == stats.mannwhitneyu(*samples).pvalue
    every = rows_of(found, question="dice, all outlines by conditions", test="mann_whitney").iloc[0]
    assert every["n_first"] + every["n_second"] == of_np["boundary_correct"].notna().sum()


def test_comparisons_table__holm_within_each_question():
    table = comparisons_table({"pairwise": pairs_table(), "self_agreement": own_table(), "outlines": outlines_table()})
    assert [*table] == [*COLUMNS]
    assert set(table["table"]) == {"pairwise", "self_agreement", "outlines"}
    for _, family in table.groupby(["table", "question"]):
        np.testing.assert_array_equal(family["p_holm"], holm(family["p"]))
        assert (family["p_holm"].isna() == (family["undefined"] != "")).all()


def test_comparisons_table__one_cohort_and_one_condition_leave_the_groupings():
    pairs = pairs_table(conditions=("E",))
    pairs = pairs[(pairs["first_cohort"] == "P") & (pairs["second_cohort"] == "P")]
    table = comparisons_table({"pairwise": pairs})
    assert set(table["first"]) == {"main"}
    assert (table["cohort"] == "P–P").all()


@pytest.mark.parametrize(
    ("tables", "by", "error", "message"),
    [
        ({}, ["cohort"], ValueError, r"comparisons are by cohorts, .*; got \['cohort'\]"),
        ({}, "cohorts", TypeError, "by must be a sequence of names"),
        ({"pairwise": [1]}, ["cohorts"], TypeError, "pairwise must be a pandas DataFrame, got list"),
        ({"pairwise": pd.DataFrame({"kappa": []})}, ["cohorts"], ValueError, "pairwise need the columns condition"),
        (
            {"outlines": pd.DataFrame({"dice": []})},
            ["cohorts"],
            ValueError,
            "outlines need the columns .*missing: anchor",
        ),
        (
            {"self_agreement": own_table().drop(columns="kappa")},
            ["cohorts"],
            ValueError,
            "self_agreement need the columns .*missing: kappa",
        ),
    ],
)
def test_comparisons_table__names_what_is_wrong(tables, by, error, message):
    with pytest.raises(error, match=message):
        comparisons_table(tables, by)


def test_comparisons_table__nothing_to_compare_is_an_empty_table():
    assert comparisons_table({}).empty
    empty = comparisons_table({"pairwise": pairs_table().iloc[:0], "outlines": outlines_table().iloc[:0]})
    assert [*empty] == [*COLUMNS]
    assert empty.empty
