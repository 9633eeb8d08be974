"""Whether a rater changes over the study's time: agreement with the inferred labels, FOV by FOV in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
import pandas as pd

from crowdtruth.report.inputs import Inputs
from crowdtruth.report.words import Estimate, median
from crowdtruth.resampling import bootstrap

PIECES = 8
LEAST_FOVS = 8
"""FOVs that a rater needs with a time; with fewer, halves say nothing."""


@dataclass(frozen=True)
class Drift:
    """Share of a rater's marks that agree with the inferred labels, over time."""

    shares: Sequence[float]  # of successive eighths of the rater's FOVs
    cohort: Sequence[float]  # the median of the cohort's raters there
    change: Estimate  # second half minus first
    first: str  # day of the first and of the last mark
    last: str


@dataclass(frozen=True)
class Drifts:
    """The drift of each rater that has one, and why there is none where there is none."""

    of: Mapping[str, Drift]
    absent: str = ""


def drifts(inputs: Inputs) -> Drifts:
    """Drift of all raters whose marks have a time."""
    study = inputs.study
    if study is None or not inputs.has("members") or not inputs.has("truth"):
        return Drifts({}, "the study's marks are not at hand")
    if "created" not in study.annotations:
        return Drifts({}, "the marks have no time (column created)")
    marks = _timed_marks(inputs, study.annotations)
    found: dict[str, Drift] = {}
    cohort_of: dict[str, str] = {}
    for (cohort, rater), rows in marks.groupby(["cohort", "rater"], sort=True):
        sums = _by_fov(rows)
        if len(sums) >= LEAST_FOVS:
            found[str(rater)] = _drift(sums, rows["time"])
            cohort_of[str(rater)] = str(cohort)
    if not found:
        return Drifts({}, f"no rater has times in {LEAST_FOVS} FOVs or more")
    return Drifts(_beside_cohort(found, cohort_of))


def _timed_marks(inputs: Inputs, annotations: pd.DataFrame) -> pd.DataFrame:
    """Marks with a readable time: rater, cohort, fov, condition, time, and whether they agree with the truth."""
    marks = annotations[["annotation", "created"]]
    time = pd.to_datetime(marks["created"], format="ISO8601", utc=True, errors="coerce")
    marks = marks.assign(time=time)[time.notna().to_numpy()]
    members, truth = inputs.table("members"), inputs.table("truth")
    marks = members.merge(marks[["annotation", "time"]], on="annotation")
    own = inputs.table("ratings")[["rater", "cohort"]].drop_duplicates().astype("str")
    union_of = {member: name for name, parts in reversed([*inputs.members_of.items()]) for member in parts}
    marks["cohort"] = marks["rater"].map(own.set_index("rater")["cohort"].map(union_of))
    marks = marks.dropna(subset=["cohort"]).merge(
        truth[["anchor", "cohort", "condition", "label", "is_object"]],
        on=["anchor", "cohort", "condition"], suffixes=("", "_inferred"),
    )  # fmt: skip
    said = inputs.grouped(marks["label"].astype("str")).astype("str")
    return marks.assign(agrees=(said == marks["label_inferred"].astype("str")) & marks["is_object"].astype(bool))


def _by_fov(rows: pd.DataFrame) -> pd.DataFrame:
    """time, agreeing, marks of each FOV and condition, in the order in which the rater began them."""
    groups = rows.groupby(["fov", "condition"], observed=True)
    sums = groups.agg(time=("time", "min"), agreeing=("agrees", "sum"), marks=("agrees", "size")).reset_index()
    return sums.sort_values(["time", "fov", "condition"], ignore_index=True)


def _drift(sums: pd.DataFrame, time: pd.Series) -> Drift:
    """Shares by eighth, and the change between halves with its interval over FOVs."""
    counts = sums[["agreeing", "marks"]].to_numpy(dtype=float)
    shares = [float(np.divide(*piece.sum(axis=0))) for piece in np.array_split(counts, PIECES)]
    is_late = (np.arange(len(counts)) >= len(counts) / 2)[:, None]
    interval = bootstrap(np.hstack([counts * ~is_late, counts * is_late]), _change)
    change = Estimate(*(float(bound) for bound in (interval.value, interval.low, interval.high)))
    return Drift(shares, (), change, f"{time.min():%Y-%m-%d}", f"{time.max():%Y-%m-%d}")


def _change(sums: np.ndarray) -> np.ndarray:
    """Share of the second half minus that of the first: sums (..., 4) -> (...)."""
    early, late = (np.where(sums[..., n] > 0, sums[..., n], nan) for n in (1, 3))
    return sums[..., 2] / late - sums[..., 0] / early


def _beside_cohort(found: Mapping[str, Drift], cohort_of: Mapping[str, str]) -> dict[str, Drift]:
    """Each drift with the median of its cohort's raters in every piece."""
    cohorts = {
        name: [median(column) for column in zip(*(found[r].shares for r in found if cohort_of[r] == name), strict=True)]
        for name in set(cohort_of.values())
    }
    return {rater: replace(drift, cohort=cohorts[cohort_of[rater]]) for rater, drift in found.items()}
