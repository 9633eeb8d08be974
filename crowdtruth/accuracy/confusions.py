"""What was taken for what, with intervals: by rater and cohort, and by the average object."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.accuracy.scores import Codes, Floats, groups_of, judged_rows
from crowdtruth.metrics import ratio
from crowdtruth.outcomes import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE, Outcomes
from crowdtruth.ratings import of_cohorts
from crowdtruth.references import AnchorLabels, asked_raters, at_level
from crowdtruth.resampling import Unit, bootstrap, group_codes
from crowdtruth.taxonomy import RAW, UNDETECTED, Grouping

_OF_RATER = ["who", "cohort", "condition", "reference", "grouping", "true", "assigned", "count", "share"]
_OF_ANCHOR = ["cohort", "condition", "reference", "grouping", "true", "assigned", "mean_raters"]
_BOUNDS = ["low", "high"]
_SIZES = ["n_anchors", "n_fovs", "n_raters"]
_GROUP = ["cohort", "condition", "reference"]
_CELLS = 1000  # that are resampled at a time


def rater_confusion(
    outcomes: Outcomes,
    raters: pd.DataFrame | None = None,
    *,
    fovs: pd.DataFrame | None = None,
    resample: Unit = "fov",
    **options: Any,
) -> pd.DataFrame:
    """How often each judged rater, or cohort, assigned each label to objects of each true label.

    Parameters
    ----------
    outcomes : of `crowdtruth.outcomes.rater_outcomes` or `label_outcomes`
    raters : rater, cohort; default: whoever is judged is a cohort
    fovs : fov, slide; needed where slides are resampled
    resample : ``"fov"`` or ``"slide"``; the tasks of a crowd table are resampled themselves
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per who × condition × true × assigned that occurs
        who, cohort, condition, reference, grouping, true (empty: no such object), assigned (``undetected``: missed),
        count; share: count of all with this true label; its bounds low, high; resampled. Marks on ambiguous objects are
        left out.

    Raises
    ------
    ValueError
        If somebody who is judged is not among the raters; if slides are resampled and an FOV has none.

    Examples
    --------
    >>> from crowdtruth.accuracy import rater_outcomes, task_reference
    >>> ratings = pd.DataFrame({"anchor": ["t1", "t2"], "label": "x", "fov": "", "rater": "r", "condition": "all"})
    >>> gold = task_reference(pd.DataFrame({"anchor": ["t1", "t2"], "label": ["x", "y"]}), "truth.csv")
    >>> raters = pd.DataFrame({"rater": ["r"], "cohort": ["P"]})
    >>> judged = rater_outcomes(gold, assignments=raters[:0], raters=raters, ratings=ratings)
    >>> rater_confusion(judged, raters)[["who", "cohort", "true", "assigned", "count", "share"]]
      who cohort true assigned  count  share
    0   r      P    x        x      1    1.0
    1   r      P    y        x      1    1.0
    """
    counts = _counted(outcomes, fovs, resample, options).assign(grouping=outcomes.grouping)
    columns = [*_OF_RATER, *_BOUNDS, "resampled"]
    if raters is None:
        return counts.assign(cohort=counts["who"])[columns]
    known = raters[["rater", "cohort"]].rename(columns={"rater": "who"})
    if unknown := sorted(set(counts["who"]) - set(known["who"])):
        raise ValueError(f"every judged rater needs a cohort; there is none for {unknown[:20]} ({len(unknown)} raters)")
    return counts.merge(known, on="who")[columns]


def _counted(outcomes: Outcomes, fovs: pd.DataFrame | None, resample: Unit, options: dict[str, Any]) -> pd.DataFrame:
    """What occurs, sorted: who, condition, reference, true, assigned, count, share, low, high, resampled."""
    rows, judged = outcomes.rows, judged_rows(outcomes)
    group, n_groups, resampled = groups_of(outcomes, judged, fovs, resample)
    is_counted = rows["outcome"].isin([TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE]).to_numpy()
    names = [rows[column].cat.categories for column in ("true", "assigned")]
    shape = len(outcomes.judged), len(names[0]), len(names[1])
    codes = judged, rows["true"].cat.codes.to_numpy(), rows["assigned"].cat.codes.to_numpy()
    cell, cells = pd.factorize(np.ravel_multi_index([code[is_counted] for code in codes], shape), sort=True)
    who, true, assigned = np.unravel_index(cells, shape)
    count, line = np.bincount(cell, minlength=len(cells)), np.unique(cells // shape[2], return_inverse=True)[1]
    low, high = _bounds_of_shares(cell, group[is_counted], line, n_groups[who], options)
    table = outcomes.judged[["who", "condition", "reference"]].iloc[who]
    table = table.assign(true=names[0][true], assigned=names[1][assigned], count=count)
    table = table.assign(share=count / np.bincount(line, count)[line], low=low, high=high, resampled=resampled)
    key = ["who", "condition", "true", "assigned"]
    return table.astype(dict.fromkeys(key, "str")).sort_values(key, ignore_index=True)


def _bounds_of_shares(
    cell: NDArray[Any], group: Codes, line: NDArray[Any], n_groups: Codes, options: dict[str, Any]
) -> tuple[Floats, Floats]:
    """Bounds of the share that each cell has of its line, (n_cells,) each.

    cell, group (n_events,); line, n_groups (n_cells,): the cells of a line are next to each other and have the same
    groups. Cells with equally many groups are resampled together, about `_CELLS` at a time.
    """
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(len(line) + 1))
    low, high = np.full(len(line), np.nan), np.full(len(line), np.nan)
    for n in np.unique(n_groups):
        alike = np.flatnonzero(n_groups == n)
        part = np.searchsorted(line[alike], line[alike]) // _CELLS  # that of the line's first cell
        for chosen in np.split(alike, np.flatnonzero(np.diff(part)) + 1):
            events = np.concatenate([order[starts[one] : starts[one + 1]] for one in chosen])
            counts = _occurrences((group[events], np.searchsorted(chosen, cell[events])), (n, len(chosen)))
            first, of_line = np.unique(line[chosen], return_index=True, return_inverse=True)[1:]
            low[chosen], high[chosen] = _bounds(counts, np.add.reduceat(counts, first, axis=1), of_line, options)
    return low, high


def _bounds(
    counts: NDArray[Any], totals: NDArray[Any], of: NDArray[Any], options: dict[str, Any]
) -> tuple[Floats, Floats]:
    """Bounds of counts (n_groups, n_cells) over totals (n_groups, n_lines); `of` (n_cells,): the line of each."""
    interval = bootstrap((counts, totals), lambda count, total: ratio(count, total[..., of]), **options)
    return interval.low, interval.high


def anchor_confusion(
    labels: AnchorLabels,
    ratings: pd.DataFrame,
    *,
    assignments: pd.DataFrame,
    raters: pd.DataFrame,
    cohorts: Mapping[str, Sequence[str]] | None = None,
    grouping: Grouping | None = None,
    fovs: pd.DataFrame | None = None,
    resample: Unit = "fov",
    **options: Any,
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
    fovs : fov, slide; needed where slides are resampled
    resample : ``"fov"`` or ``"slide"``
    options : of `crowdtruth.resampling.bootstrap`

    Returns
    -------
    one row per cohort × condition × true × assigned that occurs
        cohort, condition, reference, grouping, true, assigned (``undetected``: missed), mean_raters and its bounds low,
        high, n_anchors (objects of the true label), n_fovs, n_raters (asked in each FOV), resampled. The means of a
        true label add up to `n_raters`. Empty for crowd tables.

    Raises
    ------
    ValueError
        If a label is not in the grouping; if slides are resampled and an FOV has none.

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
    columns = [*_OF_ANCHOR, *_BOUNDS, *_SIZES, "resampled"]
    if objects.empty:
        return pd.DataFrame(columns=columns)
    marks = at_level(labels_given(ratings, cohorts), grouping).rename(columns={"label": "assigned"})
    level = RAW if grouping is None else grouping.level
    tables = []
    for names, rows in objects.groupby(_GROUP):
        base = {column: str(name) for column, name in zip(_GROUP, names, strict=True)}
        tables.append(_mean_raters(rows, marks, fovs, resample, options).assign(**base, grouping=level))
    return pd.concat(tables, ignore_index=True)[columns]


def _mean_raters(
    objects: pd.DataFrame, marks: pd.DataFrame, fovs: pd.DataFrame | None, resample: Unit, options: dict[str, Any]
) -> pd.DataFrame:
    """Rows of one cohort and condition, sorted: means of what occurs with their bounds, and sizes."""
    group, groups = group_codes(objects["fov"], fovs, resample)
    code, true = pd.factorize(objects["true"], sort=True)
    found = objects.assign(group=group, code=code).merge(marks, on=["anchor", "cohort", "condition"])
    mark, assigned = pd.factorize(found["assigned"], sort=True)
    shape, n_raters = (len(groups), len(true)), int(objects["n_raters"].iloc[0])
    n_objects = _occurrences((group, code), shape)
    marked = _occurrences((found["group"].to_numpy(), found["code"].to_numpy(), mark), (*shape, len(assigned)))
    missed = n_objects * n_raters - marked.sum(axis=-1)
    called = np.concatenate([marked, missed[..., None]], axis=-1)
    row, column = np.nonzero(called.sum(axis=0) > 0)
    low, high = _bounds(called[:, row, column], n_objects, row, options)
    n_anchors = n_objects.sum(axis=0)
    table = pd.DataFrame({"true": true[row], "assigned": np.array([*assigned, UNDETECTED], object)[column]})
    table["mean_raters"] = called.sum(axis=0)[row, column] / n_anchors[row]
    table = table.assign(low=low, high=high, n_anchors=n_anchors[row], n_raters=n_raters, resampled=resample)
    table["n_fovs"] = table["true"].map(objects.groupby("true")["fov"].nunique())
    return table.sort_values(["true", "assigned"])


def _occurrences(codes: tuple[NDArray[Any], ...], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """How often each combination of codes (n,) occurs: `shape`."""
    return np.bincount(np.ravel_multi_index(codes, shape), minlength=int(np.prod(shape))).reshape(shape)


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
