"""Agreement: alpha beside the krippendorff package, all pairwise kappas beside scikit-learn, and the tables of a run.

Each peer gets the ratings in the form it takes: krippendorff a matrix of doubles, raters × items, NaN where missing.
Ours gets the same memory (transposed, without a copy) and, in rows of their own, the same matrix with the ratings of an
item side by side, and the codes of a ratings table.
"""

import statistics
import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from crowdtruth.agreement import (
    agreement_sweep,
    agreement_table,
    count_items,
    krippendorff_alpha,
    pairwise_kappa,
    pairwise_table,
    rater_map_table,
    self_agreement,
    sum_coincidences,
)
from crowdtruth.agreement.formulas import alpha_from
from crowdtruth.clustering import sweep
from crowdtruth.ratings import Ratings, rate_anchors
from crowdtruth.resampling import bootstrap
from crowdtruth.synthetic import synthesise
from crowdtruth.taxonomy import load_taxonomy

N_CLASSES = 8


def labels_of(n_items: int, n_raters: int, missing: float = 0.0, seed: int = 0) -> np.ndarray:
    """Labels (n_items, n_raters) of raters who are right 6 times in 10, as doubles; NaN where missing."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, N_CLASSES, (n_items, 1))
    labels = np.where(rng.random((n_items, n_raters)) < 0.6, truth, rng.integers(0, N_CLASSES, (n_items, n_raters)))
    return np.where(rng.random(labels.shape) < missing, np.nan, labels)


def run(quick: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note)."""
    runs = 2 if quick else 7
    scale = 20 if quick else 1
    return [
        *_alpha(18_900 // 18, 18, runs),
        *_alpha(2_100_000 // 20 // scale, 20, runs),
        *_kappas(1_238, 18, runs),
        *_kappas(100_000 // scale, 25, runs, n_pairs=300 if not quick else 10),
        *_replicates(runs),
        *_tables("demo" if quick else "nucls", min(runs, 3)),
        *_crowd(50_000 // scale, 10, 300 // scale, min(runs, 3)),
    ]


def _alpha(n_items: int, n_raters: int, runs: int) -> list[dict]:
    """Nominal alpha; every tool's value is compared."""
    import krippendorff

    by_rater = np.ascontiguousarray(labels_of(n_items, n_raters, missing=0.05).T)
    item, rater = np.nonzero(~np.isnan(by_rater.T))
    by_item = np.ascontiguousarray(by_rater.T)
    codes = Ratings(item, rater, by_rater.T[item, rater].astype(np.int32), n_items, n_raters, N_CLASSES)
    tools: dict[str, Callable[[], Any]] = {
        "crowdtruth": lambda: krippendorff_alpha(by_rater.T),
        "crowdtruth, items in rows": lambda: krippendorff_alpha(by_item),
        "crowdtruth, from codes": lambda: krippendorff_alpha(codes),
        "krippendorff": lambda: krippendorff.alpha(by_rater, level_of_measurement="nominal"),
    }
    return _compared("nominal alpha", f"{len(item):,} ratings", tools, runs)


def _kappas(n_items: int, n_raters: int, runs: int, n_pairs: int | None = None) -> list[dict]:
    """Cohen's kappa of every two raters; of the peer, no more than `n_pairs`, scaled up."""
    from sklearn.metrics import cohen_kappa_score

    labels = labels_of(n_items, n_raters).astype(np.int64)
    columns = [np.ascontiguousarray(column) for column in labels.T]
    pairs = list(combinations(range(n_raters), 2))
    measured = pairs[: n_pairs or len(pairs)]
    first, second = np.array(measured).T
    tools: dict[str, Callable[[], Any]] = {
        "crowdtruth": lambda: pairwise_kappa(labels)[0][first, second],
        "scikit-learn": lambda: np.array([cohen_kappa_score(columns[i], columns[j]) for i, j in measured]),
    }
    rows = _compared("all pairwise kappas", f"{n_raters} raters × {n_items:,} items", tools, min(runs, 3))
    if len(measured) < len(pairs):
        rows[-1]["note"] = f"{len(measured)} of {len(pairs)} pairs only"
    return rows


def _replicates(runs: int) -> list[dict]:
    """2,000 replicates of alpha over 53 FOVs, counting included."""
    labels, fov = labels_of(1_238, 18), np.random.default_rng(1).integers(0, 53, 1_238)
    tools: dict[str, Callable[[], Any]] = {
        "crowdtruth": lambda: bootstrap(sum_coincidences(count_items(labels), fov), alpha_from).value
    }
    return _compared("2,000 replicates of alpha, BCa", "1,238 × 18, 53 FOVs", tools, runs)


def _tables(preset: str, runs: int) -> list[dict]:
    """The tables of a run, of labels grouped in two ways, with 2,000 replicates each."""
    study, taxonomy = synthesise(preset, seed=0).study, load_taxonomy("nucls")
    located = sweep(study.annotations, [0.25, 0.5, 0.75])
    at = located[0.25]
    ratings = rate_anchors(at.members, study.assignments, study.raters, at.anchors)
    groupings = {"groupings": [taxonomy.grouping("main"), taxonomy.grouping("super")]}
    asked = (study.assignments, study.raters, study.fovs)
    pairs = pairwise_table(ratings, study.fovs, **groupings)
    tables: dict[str, Callable[[], Any]] = {
        "agreement at 3 thresholds": lambda: agreement_sweep(located, *asked, min_detections=[1, 2, 3], **groupings),
        "agreement of every two raters": lambda: pairwise_table(ratings, study.fovs, **groupings),
        "self-agreement": lambda: self_agreement(ratings, study.fovs, annotations=study.annotations, **groupings),
        "rater maps": lambda: rater_map_table(pairs),
    }
    size = f"{preset}: {len(study.raters)} raters, {len(study.annotations):,} marks"
    return [_timed(work, size, table, runs) for work, table in tables.items()]


def _crowd(n_tasks: int, n_answers: int, n_workers: int, runs: int) -> list[dict]:
    """Agreement of the workers of a crowd table, together and two by two, with 2,000 replicates each."""
    rng = np.random.default_rng(0)
    task = np.repeat(np.arange(n_tasks), n_answers)
    worker = np.concatenate([rng.choice(n_workers, n_answers, replace=False) for _ in range(n_tasks)])
    label = np.where(rng.random(len(task)) < 0.7, task % 3, rng.integers(0, 3, len(task)))
    names = {"anchor": [f"t{i:05d}" for i in task], "rater": [f"w{i:03d}" for i in worker]}
    ratings = pd.DataFrame({**names, "label": np.array(["x", "y", "z"])[label]})
    ratings = ratings.assign(fov="", cohort="all", condition="all")
    size = f"crowd: {n_workers} workers, {n_tasks:,} tasks × {n_answers}"
    return [
        _timed("agreement of all", size, lambda: agreement_table(ratings, scopes=["classification"]), runs),
        _timed("agreement of every two raters", size, lambda: pairwise_table(ratings, scopes=["classification"]), runs),
    ]


def _timed(work: str, size: str, table: Callable[[], Any], runs: int) -> dict:
    """Median time of a table, after a first one, and its number of rows."""
    n_rows, seconds = len(table()), []
    for _ in range(runs):
        start = time.perf_counter()
        table()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return {
        "work": work, "size": size, "tool": "crowdtruth", "median_s": median, "runs": runs, "note": f"{n_rows:,} rows",
    }  # fmt: skip


def _compared(work: str, size: str, tools: dict[str, Callable[[], Any]], runs: int) -> list[dict]:
    """All tools in turn in each round; raises where they do not give the same."""
    expected = tools["crowdtruth"]()
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for tool in tools.values():
        np.testing.assert_allclose(tool(), expected, rtol=0, atol=1e-12)
    for _ in range(runs):
        for name, tool in tools.items():
            start = time.perf_counter()
            tool()
            seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["crowdtruth"])
    return [
        {
            "work": work, "size": size, "tool": name, "median_s": statistics.median(times), "runs": len(times),
            "note": "" if name == "crowdtruth" else f"{statistics.median(times) / base:.1f} × ours, same values",
        }
        for name, times in seconds.items()
    ]  # fmt: skip
