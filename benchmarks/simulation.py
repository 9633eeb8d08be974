"""The redundancy experiment: realizations per second, the whole of Figure 3e, crowd-kit with pandas beside it.

The peer does what its users write: cut the table of ratings with pandas, fit `crowdkit.aggregation.DawidSkene` for as
many iterations, take the labels. It computes no metrics, ours all of them.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.simulation import Experiment, make_experiment, simulate
from crowdtruth.simulation.realization import draw, first_drawn, realize
from crowdtruth.truth import DawidSkene

N_ANCHORS, N_RATERS, N_FOVS, N_CLASSES = 1_238, 18, 53, 7
N_ITER = 70
DETECTION, QUALITY = 0.65, 0.8


def ratings_of(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ratings and reference of a study of the paper's size; everybody was asked in every FOV."""
    rng = np.random.default_rng(seed)
    names = np.array([*(f"class {k}" for k in range(N_CLASSES)), "undetected"])
    fov = np.sort(rng.integers(0, N_FOVS, N_ANCHORS))
    true = rng.choice(N_CLASSES + 1, N_ANCHORS, p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.03, 0.07])
    anchor, rater = (axis.ravel() for axis in np.indices((N_ANCHORS, N_RATERS)))
    ease = rng.beta(DETECTION * 2, (1 - DETECTION) * 2, N_ANCHORS)[anchor]  # some objects are hard for everybody
    named = np.where(rng.random(len(anchor)) < QUALITY, true[anchor], rng.integers(0, N_CLASSES, len(anchor)))
    label = np.where(rng.random(len(anchor)) < np.where(true[anchor] < N_CLASSES, ease, 0.1), named, N_CLASSES)
    ratings = pd.DataFrame({"anchor": anchor, "fov": fov[anchor], "rater": rater}).astype("str")
    told = pd.DataFrame(
        {"anchor": np.arange(N_ANCHORS).astype(str), "true": np.where(true < N_CLASSES, names[true], "")}
    )
    return ratings.assign(label=pd.Series(names[label], dtype="str")), told


def run(quick: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note)."""
    ratings, told = ratings_of()
    experiment = make_experiment(ratings, told, estimator=DawidSkene.preset("paper"))
    simulate(experiment, 1)  # compiles
    rows = []
    for k in (2, 9, 17):
        rows += _one_realization(experiment, ratings, k, n_iter=3 if quick else N_ITER, runs=1 if quick else 5)
    return [*rows, *_figure(experiment, n=10 if quick else 1000)]


def _one_realization(experiment: Experiment, ratings: pd.DataFrame, k: int, *, n_iter: int, runs: int) -> list[dict]:
    """Draw, infer and score with k raters per FOV; beside it, in turns, pandas and crowd-kit draw and infer."""
    work, size = "one realization", f"{k} of {N_RATERS} raters, {N_ANCHORS:,} anchors"
    theirs, why_not = _crowd_kit(ratings, k, n_iter)
    ours_s, theirs_s = [], []
    for number in range(runs + 1):
        for _ in range(5):
            ours_s.append(
                _seconds(lambda n=number: realize(experiment, first_drawn(experiment, draw(experiment, n), k)))
            )
        if theirs is not None:
            theirs_s.append(_seconds(lambda n=number: theirs(n)))
    rows = [_row(work, size, "crowdtruth", ours_s[5:], f"{N_ITER} iterations, all metrics")]
    if theirs is None:
        return [*rows, _row(work, size, "crowd-kit, pandas", [np.nan], why_not)]
    ratio = statistics.median(theirs_s[1:]) / statistics.median(ours_s[5:])
    note = f"{ratio:.0f} × ours; " if n_iter == N_ITER else ""
    return [*rows, _row(work, size, "crowd-kit, pandas", theirs_s[1:], f"{note}{n_iter} iterations, no metrics")]


def _crowd_kit(ratings: pd.DataFrame, k: int, n_iter: int) -> tuple[Callable[[int], Any] | None, str]:
    """A realization with pandas and crowd-kit; or why there is none."""
    try:
        from crowdkit.aggregation import DawidSkene as CrowdKit
    except Exception as error:  # its dependencies may break the import in many ways
        return None, f"skipped: {type(error).__name__} on import"

    def realization(number: int) -> Any:
        pairs = ratings[["fov", "rater"]].drop_duplicates()
        drawn = pairs.groupby("fov").sample(k, random_state=number)
        left = ratings.merge(drawn, on=["fov", "rater"])
        table = left.rename(columns={"anchor": "task", "rater": "worker"})[["task", "worker", "label"]]
        return CrowdKit(n_iter=n_iter, tol=-np.inf).fit_predict_proba(table)  # at 0 its bound stops it early

    return realization, ""


def _figure(experiment: Experiment, n: int) -> list[dict]:
    """All k and realizations of Figure 3e, on one and two threads."""
    rows = []
    for jobs in (1, 2):
        started, cpu = time.perf_counter(), time.process_time()
        simulate(experiment, n, raters_per_fov=range(1, N_RATERS), jobs=jobs)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        tool = f"crowdtruth, {jobs} thread{'s'[: jobs - 1]}"
        size = f"k = 1 … {N_RATERS - 1}, {n:,} realizations"
        rows.append(_row("the whole of Figure 3e", size, tool, [seconds], f"{cpu:.0f} s of processor time"))
    return rows


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of one run."""
    with warnings.catch_warnings(action="ignore"):  # the peer's, of coming versions of pandas
        started = time.perf_counter()
        work()
        return time.perf_counter() - started


def _row(work: str, size: str, tool: str, seconds: list[float], note: str) -> dict:
    return {
        "work": work, "size": size, "tool": tool, "median_s": statistics.median(seconds), "runs": len(seconds),
        "note": note,
    }  # fmt: skip
