"""What was taken for what: by rater and cohort, and by the average object."""

from collections.abc import Mapping, Sequence

import pandas as pd

from crowdtruth.outcomes import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE, Outcomes
from crowdtruth.ratings import of_cohorts
from crowdtruth.references import AnchorLabels, asked_raters, at_level
from crowdtruth.taxonomy import RAW, UNDETECTED, Grouping

_OF_RATER = ["who", "cohort", "condition", "reference", "grouping", "true", "assigned", "count"]
_OF_ANCHOR = ["cohort", "condition", "reference", "grouping", "true", "assigned", "mean_raters"]
_SIZES = ["n_anchors", "n_fovs", "n_raters"]
_GROUP = ["cohort", "condition", "reference"]


def rater_confusion(outcomes: Outcomes, raters: pd.DataFrame | None = None) -> pd.DataFrame:
    """How often each judged rater, or cohort, assigned each label to objects of each true label.

    Parameters
    ----------
    outcomes : of `crowdtruth.outcomes.rater_outcomes` or `label_outcomes`
    raters : rater, cohort; default: whoever is judged is a cohort

    Returns
    -------
    one row per who × condition × true × assigned that occurs
        who, cohort, condition, reference, grouping, true (empty: no such object), assigned (``undetected``: missed),
        count. Marks on ambiguous objects are left out.

    Raises
    ------
    ValueError
        If somebody who is judged is not among the raters.

    Examples
    --------
    >>> from crowdtruth.accuracy import rater_outcomes, task_reference
    >>> ratings = pd.DataFrame({"anchor": ["t1", "t2"], "label": "x", "fov": "", "rater": "r", "condition": "all"})
    >>> gold = task_reference(pd.DataFrame({"anchor": ["t1", "t2"], "label": ["x", "y"]}), "truth.csv")
    >>> raters = pd.DataFrame({"rater": ["r"], "cohort": ["P"]})
    >>> judged = rater_outcomes(gold, assignments=raters[:0], raters=raters, ratings=ratings)
    >>> rater_confusion(judged, raters)[["who", "cohort", "true", "assigned", "count"]]
      who cohort true assigned  count
    0   r      P    x        x      1
    1   r      P    y        x      1
    """
    rows = outcomes.rows[outcomes.rows["outcome"].isin([TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE])]
    key = ["who", "condition", "true", "assigned"]
    counts = rows.groupby(key, observed=True, sort=True).size().reset_index(name="count")
    counts = counts.astype(dict.fromkeys(key, "str")).sort_values(key, ignore_index=True)
    counts = counts.merge(outcomes.judged[["who", "condition", "reference"]], on=["who", "condition"])
    if raters is None:
        return counts.assign(cohort=counts["who"], grouping=outcomes.grouping)[_OF_RATER]
    known = raters[["rater", "cohort"]].rename(columns={"rater": "who"})
    if unknown := sorted(set(counts["who"]) - set(known["who"])):
        raise ValueError(f"every judged rater needs a cohort; there is none for {unknown[:20]} ({len(unknown)} raters)")
    return counts.merge(known, on="who").assign(grouping=outcomes.grouping)[_OF_RATER]


def anchor_confusion(
    labels: AnchorLabels,
    ratings: pd.DataFrame,
    *,
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    cohorts: Mapping[str, Sequence[str]] | None = None,
    grouping: Grouping | None = None,
) -> pd.DataFrame:
    """How many raters of a cohort choose each label for the average object of each true label.

    Only FOVs that as many raters were asked about as about most FOVs, so that *missed* is not confounded with *not
    asked*.

    Parameters
    ----------
    labels : of `crowdtruth.references.label_of_anchors`; also those of a cohort by itself
    ratings : anchor, fov, rater, cohort, condition, label
    assignments : fov, rater, condition
    raters : rater, cohort
    cohorts : cohort in `labels` -> cohorts in the other tables it unites; default: each is itself
    grouping : of the labels in `ratings`

    Returns
    -------
    one row per cohort × condition × true × assigned that occurs
        cohort, condition, reference, grouping, true, assigned (``undetected``: missed), mean_raters, n_anchors (objects
        of the true label), n_fovs, n_raters (asked in each FOV). The means of a true label add up to `n_raters`.
        Empty for crowd tables.

    Raises
    ------
    ValueError
        If a label is not in the grouping.

    Examples
    --------
    >>> said = {"anchor": "a", "fov": "f", "cohort": "P", "condition": "all"}
    >>> ratings = pd.DataFrame([{**said, "rater": "r", "label": "x"}, {**said, "rater": "s", "label": "undetected"}])
    >>> told = pd.DataFrame([{**said, "true": "x", "reference": "truth.csv", "is_own": False}])
    >>> anchor_confusion(
    ...     AnchorLabels(told, told[:0], True), ratings, assignments=ratings[["fov", "rater", "condition"]],
    ...     raters=pd.DataFrame({"rater": ["r", "s"], "cohort": "P"}),
    ... )[["true", "assigned", "mean_raters", "n_raters"]]
      true    assigned  mean_raters  n_raters
    0    x  undetected          1.0         2
    1    x           x          1.0         2
    """
    objects = objects_all_were_asked_about(labels, assignments=assignments, raters=raters, cohorts=cohorts)
    if objects.empty:
        return pd.DataFrame(columns=[*_OF_ANCHOR, *_SIZES])
    key = [*_GROUP, "true"]
    of_class = objects.groupby(key).agg(
        n_anchors=("fov", "size"), n_fovs=("fov", "nunique"), n_raters=("n_raters", "first")
    )
    marks = at_level(labels_given(ratings, cohorts), grouping).rename(columns={"label": "assigned"})
    found = objects.merge(marks, on=["anchor", "cohort", "condition"])
    counts = found.groupby([*key, "assigned"]).size()
    n_marks = counts.groupby(key).sum().reindex(of_class.index, fill_value=0)
    missed = of_class["n_anchors"] * of_class["n_raters"] - n_marks
    table = pd.concat([counts.rename("n").reset_index(), missed.rename("n").reset_index().assign(assigned=UNDETECTED)])
    table = table.merge(of_class.reset_index(), on=key).query("n > 0").sort_values([*key, "assigned"])
    table["mean_raters"] = table["n"] / table["n_anchors"]
    level = RAW if grouping is None else grouping.level
    return table.assign(grouping=level)[[*_OF_ANCHOR, *_SIZES]].reset_index(drop=True)


def objects_all_were_asked_about(
    labels: AnchorLabels,
    *,
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    cohorts: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Objects of the reference in FOVs that the usual number of a cohort's raters were asked about.

    Parameters
    ----------
    labels, assignments, raters, cohorts : see `anchor_confusion`

    Returns
    -------
    one row per object × cohort × condition
        anchor (empty: it has none), fov, cohort, condition, reference, true, n_raters: how many were asked, the number
        that most FOVs have; of equally frequent ones the largest.

    Examples
    --------
    >>> here = {"cohort": "P", "condition": "all", "reference": "truth.csv", "is_own": False}
    >>> told = pd.DataFrame({"anchor": ["a", "b", "c"], "fov": ["f", "g", "h"], "true": "x", **here})
    >>> asked = pd.DataFrame({"fov": ["f", "f", "g", "g", "h"], "rater": ["r", "s", "r", "s", "r"], "condition": "all"})
    >>> objects_all_were_asked_about(
    ...     AnchorLabels(told, told[:0], True), assignments=asked,
    ...     raters=pd.DataFrame({"rater": ["r", "s"], "cohort": "P"}),
    ... )["anchor"].tolist()
    ['a', 'b']
    """
    asked = asked_raters(labels.labels, assignments, raters, cohorts).drop_duplicates()
    n_raters = asked.groupby(["cohort", "condition", "fov"]).size().rename("n_raters").reset_index()
    frequency = n_raters.groupby(["cohort", "condition", "n_raters"]).size().rename("n").reset_index()
    usual = frequency.sort_values(["n", "n_raters"]).drop_duplicates(["cohort", "condition"], keep="last")
    chosen = n_raters.merge(usual.drop(columns="n"), on=["cohort", "condition", "n_raters"])
    columns = ["anchor", "fov", *_GROUP, "true"]
    objects = pd.concat([labels.labels, labels.unfound.assign(anchor="")])[columns]
    return objects[objects["true"] != ""].merge(chosen, on=["fov", "cohort", "condition"])


def labels_given(ratings: pd.DataFrame, cohorts: Mapping[str, Sequence[str]] | None) -> pd.DataFrame:
    """What the raters of each cohort marked, and as what, each rater's label once.

    Parameters
    ----------
    ratings : anchor, rater, cohort, condition, label
    cohorts : cohort asked for -> cohorts in `ratings` it unites; default: each is itself

    Returns
    -------
    anchor, rater, cohort, condition, label
        Without ``undetected``.

    Examples
    --------
    >>> said = {"anchor": "a", "cohort": "SP", "condition": "U"}
    >>> ratings = pd.DataFrame([{**said, "rater": "r", "label": "x"}, {**said, "rater": "s", "label": "undetected"}])
    >>> labels_given(ratings, {"P": ("SP", "JP")}).values.tolist()
    [['a', 'r', 'P', 'U', 'x']]
    """
    marks = ratings.loc[ratings["label"] != UNDETECTED, ["anchor", "rater", "cohort", "condition", "label"]]
    return of_cohorts(marks.astype("str").drop_duplicates(), cohorts)
