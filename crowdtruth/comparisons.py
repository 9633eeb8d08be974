"""Rank tests between groups of raters, conditions and groupings, with effect sizes and Holm's correction.

Every comparison is of one number per unit: the kappa of a pair of raters, the kappa of a rater with themselves, the
share of a rater's marks that are clicks, the DICE of an outline. No test here sees a bootstrap replicate: the number of
replicates would decide on p. What these p-values assume, and where not to trust them: docs/methods/comparisons.md.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crowdtruth.arguments import check_several, check_table

BY = ("cohorts", "conditions", "groupings", "verdicts")
COLUMNS = (
    "table", "question", "cohort", "first", "second", "grouping", "condition", "test", "n_first", "n_second",
    "median_first", "median_second", "test_statistic", "effect", "effect_size", "p", "p_holm", "undefined",
)  # fmt: skip
MOST_SURE = 0.05  # a test that could not fall below, however clear the data, is not made
_PAIRS = "condition grouping scope first second first_cohort second_cohort kappa"
_OWN = "grouping scope rater cohort first_condition second_condition kappa proportion_clicked"
_OUTLINES = "anchor cohort condition boundary_correct dice"
_VERDICTS = {1.0: "correct", 0.0: "wrong"}
_EFFECTS = {"mann_whitney": "rank_biserial", "wilcoxon": "matched_rank_biserial"}

Floats = NDArray[np.float64]


class RankTest(NamedTuple):
    """A two-sided rank test of two samples; `first` larger gives a positive effect."""

    test: str  # mann_whitney, or wilcoxon (signed-rank)
    n_first: int
    n_second: int
    median_first: float
    median_second: float
    statistic: float  # U of the first sample; the smaller sum of signed ranks
    effect: str  # rank_biserial, or matched_rank_biserial
    effect_size: float  # from -1 to 1
    p: float  # NaN where undefined
    undefined: str  # why there is no p: "no values", "all equal" or "too few"


def mann_whitney(first: ArrayLike, second: ArrayLike) -> RankTest:
    """Mann–Whitney U test of two independent samples.

    Parameters
    ----------
    first, second : (n_first,), (n_second,)
        Numbers; NaN is missing.

    Returns
    -------
    RankTest
        The effect is the rank-biserial correlation 2 U / (n_first n_second) − 1: how much more often a value of the
        first exceeds one of the second than the other way round.

    Raises
    ------
    ValueError
        If a sample is not one row of finite numbers.

    References
    ----------
    Mann & Whitney (1947), Annals of Mathematical Statistics 18, 50–60; Wendt (1972), European Journal of Social
    Psychology 2, 463–465.

    Examples
    --------
    >>> found = mann_whitney([3, 4, 5, 6], [1, 2, 2, 3.5])
    >>> found.statistic, found.effect_size, round(found.p, 3)
    (15.0, 0.875, 0.059)
    """
    from scipy import stats

    one, other = (_sample(name, values) for name, values in (("first", first), ("second", second)))
    one, other = one[~np.isnan(one)], other[~np.isnan(other)]
    found = _described("mann_whitney", one, other)
    n_pairs = len(one) * len(other)
    if not n_pairs:
        return found
    ranks = stats.rankdata(np.concatenate([one, other]))
    statistic = float(ranks[: len(one)].sum() - len(one) * (len(one) + 1) / 2)
    found = found._replace(statistic=statistic, effect_size=2 * statistic / n_pairs - 1)
    if len(np.unique(ranks)) == 1:
        return found._replace(undefined="all equal")
    if 2 / comb(len(one) + len(other), len(one)) >= MOST_SURE:
        return found._replace(undefined="too few")
    return found._replace(p=float(stats.mannwhitneyu(one, other).pvalue), undefined="")


def wilcoxon(first: ArrayLike, second: ArrayLike) -> RankTest:
    """Wilcoxon signed-rank test of two values of the same units.

    Parameters
    ----------
    first, second : (n_units,) each
        Numbers; a unit where either is NaN is left out. Equal pairs are left out of the ranks, as Wilcoxon did.

    Returns
    -------
    RankTest
        The effect is the matched-pairs rank-biserial correlation: the sum of the ranks of pairs whose first value is
        larger, minus that of the others, over the sum of all ranks.

    Raises
    ------
    ValueError
        If a sample is not one row of finite numbers, or they differ in length.

    References
    ----------
    Wilcoxon (1945), Biometrics Bulletin 1, 80–83; Kerby (2014), Comprehensive Psychology 3, 1.

    Examples
    --------
    >>> found = wilcoxon([3, 4, 5, 6, 7, 8], [2, 2, 2, 7, 2, 2])
    >>> found.statistic, round(found.effect_size, 3), found.p
    (1.5, 0.857, 0.09375)
    """
    from scipy import stats

    one, other = (_sample(name, values) for name, values in (("first", first), ("second", second)))
    if len(one) != len(other):
        raise ValueError(f"a paired test needs two values of every unit, got {len(one)} and {len(other)} values")
    both = ~(np.isnan(one) | np.isnan(other))
    one, other = one[both], other[both]
    found = _described("wilcoxon", one, other)
    if not len(one):
        return found
    difference = (one - other)[one != other]
    if not len(difference):
        return found._replace(statistic=0.0, effect_size=0.0, undefined="all equal")
    ranks = stats.rankdata(np.abs(difference))
    larger, smaller = float(ranks[difference > 0].sum()), float(ranks[difference < 0].sum())
    found = found._replace(statistic=min(larger, smaller), effect_size=(larger - smaller) / (larger + smaller))
    if 2.0 ** (1 - len(difference)) >= MOST_SURE:
        return found._replace(undefined="too few")
    return found._replace(p=float(stats.wilcoxon(difference).pvalue), undefined="")


def holm(p: ArrayLike) -> Floats:
    """p-values of one family (n,) adjusted by Holm's step-down method (1979); NaN stays and is no member of it.

    Examples
    --------
    >>> holm([0.01, 0.04, float("nan"), 0.03]).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    adjusted = np.array(p, dtype=float)
    given = ~np.isnan(adjusted)
    if given.any():
        adjusted[given] = multipletests(adjusted[given], method="holm")[1]
    return adjusted


def comparisons_table(tables: Mapping[str, pd.DataFrame], by: Collection[str] = BY) -> pd.DataFrame:
    """Every comparison the result tables allow, as ``comparisons.csv``.

    Parameters
    ----------
    tables : result tables by name: ``pairwise``, ``self_agreement``, ``outlines``; any of them, others are not read
    by : which comparisons: between ``cohorts``, ``conditions``, ``groupings``, or ``verdicts`` on outlines

    Returns
    -------
    one row per test
        The columns of `COLUMNS`. `question` says what is compared, and by what; the tests of one question are a family,
        over which `p_holm` corrects. `first` and `second` are the levels compared; `cohort`, `grouping` and `condition`
        tell where, and are empty where they are what is compared or do not matter. A cohort of pairs of raters is
        ``NP–P``. Levels and rows are in the order of the tables.

    Raises
    ------
    ValueError
        If a comparison is unknown or a table lacks a column.
    TypeError
        If a table is no table, or `by` a text.

    Examples
    --------
    >>> kappa = {"P": [0.6, 0.7, 0.8, 0.9], "NP": [0.1, 0.2, 0.3, 0.4]}
    >>> rows = [(f"{cohort}{i}", f"{cohort}{i + 1}", cohort, cohort, value)
    ...         for cohort, values in kappa.items() for i, value in enumerate(values)]
    >>> pairs = pd.DataFrame(rows, columns=["first", "second", "first_cohort", "second_cohort", "kappa"])
    >>> pairs = pairs.assign(condition="E", grouping="main", scope="classification")
    >>> found = comparisons_table({"pairwise": pairs}, by=["cohorts"])
    >>> found[["question", "first", "second", "effect_size", "p"]].round(3)
                                        question first second  effect_size      p
    0  kappa of pairs, classification by cohorts   P–P  NP–NP          1.0  0.029
    """
    check_several("by", by)
    if unknown := sorted(set(by) - set(BY)):
        raise ValueError(f"comparisons are by {', '.join(BY)}; got {unknown}")
    rows = [
        row
        for name, compare in (
            ("pairwise", compare_pairs),
            ("self_agreement", compare_self_agreement),
            ("outlines", compare_outlines),
        )
        if name in tables
        for row in compare(tables[name], by)
    ]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_holm"])
    corrected = table.groupby(["table", "question"], sort=False)["p"].transform(lambda p: holm(p.to_numpy()))
    return table.assign(p_holm=corrected.astype(float))[[*COLUMNS]]


def compare_pairs(pairs: pd.DataFrame, by: Collection[str] = BY) -> Iterator[dict[str, object]]:
    """Kappas of pairs of raters: between kinds of pairs, and of the same pairs between conditions and groupings.

    Parameters
    ----------
    pairs : condition, grouping, scope, first, second, first_cohort, second_cohort, kappa
    by : as for `comparisons_table`

    Yields
    ------
    rows of `comparisons_table`, without `p_holm`

    Raises
    ------
    ValueError, TypeError
        If a column is missing; if it is no table.
    """
    check_table("pairwise", pairs, _PAIRS.split())
    cohorts = np.sort(pairs[["first_cohort", "second_cohort"]].to_numpy(dtype=object), axis=1)
    units = pairs.assign(
        unit=pairs.groupby(["first", "second"], sort=False).ngroup(),
        cohort=["–".join(two) for two in cohorts],
        value=pairs["kappa"],
    )
    for scope, rows in units.groupby("scope", sort=False):
        question = ("pairwise", f"kappa of pairs, {str(scope).replace('_', ' ')}")
        if "cohorts" in by:
            yield from _compare(rows, "cohort", question, [mann_whitney])
        if "conditions" in by:
            yield from _compare(rows, "condition", question, [wilcoxon])
        if "groupings" in by:
            yield from _compare(rows, "grouping", question, [wilcoxon])


def compare_self_agreement(own: pd.DataFrame, by: Collection[str] = BY) -> Iterator[dict[str, object]]:
    """Kappas of raters with themselves, and their shares of clicks (Figure 4b and d).

    Parameters
    ----------
    own : grouping, scope, rater, cohort, first_condition, second_condition, kappa, proportion_clicked
    by : as for `comparisons_table`

    Yields
    ------
    rows of `comparisons_table`, without `p_holm`
        Kappas are compared between conditions where both were compared with the same third one, which stands in
        `condition`; there, and for clicks, an empty cohort is that of all raters.

    Raises
    ------
    ValueError, TypeError
        If a column is missing; if it is no table.
    """
    check_table("self_agreement", own, _OWN.split())
    both = own["first_condition"] + " / " + own["second_condition"]
    units = own.assign(unit=own["rater"], value=own["kappa"], condition=both)
    for scope, rows in units.groupby("scope", sort=False):
        question = ("self_agreement", f"kappa with oneself, {str(scope).replace('_', ' ')}")
        if "cohorts" in by:
            yield from _compare(rows, "cohort", question, [mann_whitney])
        if "conditions" in by:
            yield from _compare(_with_all(_against(rows)), "condition", question, [wilcoxon, mann_whitney], "against")
        if "groupings" in by:
            yield from _compare(rows, "grouping", question, [wilcoxon])
    question = ("self_agreement", "proportion clicked")
    clicked = _clicked(units)
    if "cohorts" in by:
        yield from _compare(clicked, "cohort", question, [mann_whitney])
    if "conditions" in by:
        yield from _compare(_with_all(clicked), "condition", question, [wilcoxon, mann_whitney])


def compare_outlines(outlines: pd.DataFrame, by: Collection[str] = BY) -> Iterator[dict[str, object]]:
    """DICE of clicked outlines and traced ones (Figure 4c): between conditions, and between verdicts on the outline.

    Parameters
    ----------
    outlines : anchor, cohort, condition, boundary_correct, dice
    by : as for `comparisons_table`

    Yields
    ------
    rows of `comparisons_table`, without `p_holm`
        `cohort` is the one whose verdict it is. Between conditions: of all outlines with a verdict, of correct ones
        (paired: correct in both) and of wrong ones.

    Raises
    ------
    ValueError, TypeError
        If a column is missing; if it is no table.
    """
    check_table("outlines", outlines, _OUTLINES.split())
    verdict = outlines["boundary_correct"].astype(float).map(_VERDICTS)
    units = outlines.assign(unit=outlines["anchor"], value=outlines["dice"], grouping="", verdict=verdict)
    units = units[verdict.notna()].sort_values("verdict", kind="stable")
    if "conditions" in by:
        for name in ("all", *_VERDICTS.values()):
            rows = units if name == "all" else units[units["verdict"] == name]
            yield from _compare(rows, "condition", ("outlines", f"dice, {name} outlines"), [wilcoxon, mann_whitney])
    if "verdicts" in by:
        yield from _compare(units, "verdict", ("outlines", "dice"), [mann_whitney], "condition")


def _compare(
    units: pd.DataFrame, split: str, question: tuple[str, str], tests: list, condition: str = "condition"
) -> Iterator[dict[str, object]]:
    """Tests of every two levels of the column `split`, wherever the other columns are the same.

    `units` has unit, value, cohort, grouping and the column that is told as the condition.
    """
    within = [name for name in ("cohort", "grouping", condition) if name != split]
    levels = list(units[split].unique())  # one order everywhere, so that signs of effects can be compared
    for place, rows in units.groupby(within, sort=False, observed=True):
        told = dict(zip(within, map(str, place), strict=True))
        where = {"cohort": "", "grouping": "", **told, "condition": told.pop(condition, "")}
        values = pd.Series(rows["value"].to_numpy(float), index=rows["unit"].to_numpy())
        samples = {level: values.iloc[places] for level, places in rows.groupby(split, observed=True).indices.items()}
        for first, second in combinations([level for level in levels if level in samples], 2):
            for test in tests:
                found = test(*_samples(samples[first], samples[second], is_paired=test is wilcoxon))
                names = {"table": question[0], "question": f"{question[1]} by {split}s"}
                yield {**names, **where, "first": str(first), "second": str(second), **_columns(found)}


def _columns(found: RankTest) -> dict[str, object]:
    """A test as columns; `statistic` is the name of a coefficient in other tables."""
    columns = found._asdict()
    return {"test_statistic": columns.pop("statistic"), **columns}


def _samples(first: pd.Series, second: pd.Series, *, is_paired: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Values of two levels, by unit; where paired, of the units that both have, in one order."""
    if is_paired:
        shared = first.index[first.index.isin(second.index)]
        first, second = first.loc[shared], second.loc[shared]
    return first.to_numpy(), second.to_numpy()


def _against(own: pd.DataFrame) -> pd.DataFrame:
    """Each kappa of two conditions twice: as that of either against the other."""
    first, second = own["first_condition"], own["second_condition"]
    both = [own.assign(condition=second, against=first), own.assign(condition=first, against=second)]
    return pd.concat(both).drop_duplicates(["rater", "grouping", "condition", "against"])


def _clicked(own: pd.DataFrame) -> pd.DataFrame:
    """The share of clicks of each rater in each second condition that anyone clicked in.

    A click does not depend on how labels are grouped or on the scope: the first row of each rater and condition counts.
    """
    rows = own.drop_duplicates(["rater", "second_condition"])
    rows = rows.assign(value=rows["proportion_clicked"], condition=rows["second_condition"], grouping="")
    has_clicks = rows.groupby("condition")["value"].transform("max") > 0
    return rows[has_clicks]


def _with_all(units: pd.DataFrame) -> pd.DataFrame:
    """The rows again with an empty cohort, if there are several cohorts."""
    if units["cohort"].nunique() < 2:
        return units
    return pd.concat([units, units.assign(cohort="")])


def _described(test: str, first: Floats, second: Floats) -> RankTest:
    """A test not made yet: sizes and medians of the samples."""
    medians = [float(np.median(values)) if len(values) else np.nan for values in (first, second)]
    return RankTest(
        test, len(first), len(second), medians[0], medians[1], np.nan, _EFFECTS[test], np.nan, np.nan, "no values"
    )


def _sample(name: str, values: ArrayLike) -> Floats:
    """Numbers in a row, NaN allowed."""
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1:
        raise ValueError(f"{name} must be a row of numbers, got an array of shape {sample.shape}")
    if np.isinf(sample).any():
        raise ValueError(f"{name} must be finite or missing; value {int(np.isinf(sample).argmax())} is infinite")
    return sample
