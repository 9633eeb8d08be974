"""Truth to judge against: boxes from outside, inferred labels of a cohort, or the true labels of a crowd table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from crowdtruth.checks import CORNERS


@dataclass(frozen=True)
class Reference:
    """Truth to judge against; made by `box_reference`, `cohort_reference` or `task_reference`."""

    kind: Literal["boxes", "anchors", "tasks"]
    name: str  # as `--reference` names it
    table: pd.DataFrame  # boxes: fov, box, label · anchors: rows of truth · tasks: anchor, label
    fovs: frozenset[str] = frozenset()  # of boxes: where it tells all there is
    cohort: str | None = None  # of anchors: whose labels; None is each rater's own cohort
    condition: str | None = None  # of anchors: under which condition; None is each mark's own
    contributors: pd.DataFrame | None = None  # of anchors: cohort, condition, rater


def box_reference(table: pd.DataFrame, name: str, *, fovs: Collection[str] | None = None) -> Reference:
    """Outside truth: boxes with labels.

    Parameters
    ----------
    table : fov, xmin, ymin, xmax, ymax, label
    name : what the results call it
    fovs : the FOVs it covers, those without any object included; default: those it has an object in

    Raises
    ------
    ValueError
        If it covers no FOV, or has an object in one it is said not to cover.

    Examples
    --------
    >>> truth = pd.DataFrame({"fov": ["f"], "xmin": [0], "ymin": [0], "xmax": [9], "ymax": [9], "label": ["a"]})
    >>> sorted(box_reference(truth, "truth.csv", fovs=["f", "empty"]).fovs)
    ['empty', 'f']
    """
    _need_columns(name, table, ["fov", *CORNERS, "label"])
    used = frozenset(table["fov"])
    covered = used if fovs is None else frozenset(fovs)
    if outside := sorted(used - covered):
        raise ValueError(f"{name} has objects in FOVs it is said not to cover: {outside[:20]} ({len(outside)} FOVs)")
    if not covered:
        raise ValueError(f"{name} covers no FOV: there is nothing to judge against")
    return Reference("boxes", name, table[["fov", *CORNERS, "label"]].reset_index(drop=True), covered)


def cohort_reference(
    truth: pd.DataFrame,
    ratings: pd.DataFrame,
    *,
    cohort: str | None = None,
    condition: str | None = None,
    cohorts: Mapping[str, Sequence[str]] | None = None,
) -> Reference:
    """The inferred labels of a cohort as the truth for others, or of every cohort for its own raters.

    Parameters
    ----------
    truth : one row per anchor × cohort × condition
        anchor, fov, cohort, condition, label, is_object.
    ratings : anchor, rater, cohort, condition; tells who contributed
    cohort : whose labels; None: those of each rater's own cohort
    condition : under which condition; None: that of the marks judged
    cohorts : cohort in `truth` -> cohorts in `ratings` it unites; default: each is itself

    Raises
    ------
    ValueError
        If there are no labels of this cohort and condition, saying which there are.

    Examples
    --------
    >>> truth = pd.DataFrame({"anchor": ["a"], "fov": ["f"], "cohort": ["P"], "condition": ["U"], "label": ["x"],
    ...                       "is_object": [True]})
    >>> ratings = pd.DataFrame({"anchor": ["a"], "rater": ["r"], "cohort": ["P"], "condition": ["U"], "label": ["x"]})
    >>> cohort_reference(truth, ratings, cohort="P", condition="U").name
    'cohort:P@U'
    """
    _need_columns("truth", truth, ["anchor", "fov", "cohort", "condition", "label", "is_object"])
    table = truth[["anchor", "fov", "cohort", "condition", "label", "is_object"]].astype({"is_object": bool})
    for column, value in (("cohort", cohort), ("condition", condition)):
        if value is not None:
            table = table[table[column] == value]
    if table.empty and len(truth):
        known = sorted({f"{row.cohort}@{row.condition}" for row in truth[["cohort", "condition"]].itertuples()})
        raise ValueError(f"no inferred labels of {_cohort_name(cohort, condition)}; there are {', '.join(known)}")
    unions = cohorts or {name: (name,) for name in sorted(truth["cohort"].unique())}
    parts = pd.DataFrame([(name, part) for name, union in unions.items() for part in union], columns=["cohort", "part"])
    raters = (
        ratings[["rater", "cohort", "condition"]].drop_duplicates().astype("str").rename(columns={"cohort": "part"})
    )
    contributors = raters.merge(parts.astype("str"), on="part")[["cohort", "condition", "rater"]]
    return Reference(
        "anchors", _cohort_name(cohort, condition), table.reset_index(drop=True), frozenset(), cohort, condition,
        contributors,
    )  # fmt: skip


def task_reference(table: pd.DataFrame, name: str) -> Reference:
    """The true labels of a crowd table's tasks: one row per task, columns anchor and label.

    Raises
    ------
    ValueError
        If a task stands there twice.

    Examples
    --------
    >>> task_reference(pd.DataFrame({"anchor": ["t1"], "label": ["yes"]}), "truth.csv").kind
    'tasks'
    """
    _need_columns(name, table, ["anchor", "label"])
    if table["anchor"].duplicated().any():
        raise ValueError(
            f"{name} must name each task once; {table['anchor'][table['anchor'].duplicated()].iloc[0]!r} is there twice"
        )
    return Reference("tasks", name, table[["anchor", "label"]].reset_index(drop=True))


def _cohort_name(cohort: str | None, condition: str | None) -> str:
    """As `--reference` names it."""
    return "cohort:" + (cohort or "own") + ("" if condition is None else f"@{condition}")


def _need_columns(name: str, table: pd.DataFrame, columns: list[str]) -> None:
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"{name} needs the columns {columns}; it lacks {missing}")
