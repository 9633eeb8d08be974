"""Agreement: alpha beside the krippendorff package, all pairwise kappas beside scikit-learn, replicates of alpha.

Each peer gets the ratings in the form it takes: krippendorff a matrix of doubles, raters × items, NaN where missing.
Ours gets the same memory (transposed, without a copy) and, in a row of its own, the codes of a ratings table.
"""

import statistics
import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from crowdtruth.agreement import count_items, krippendorff_alpha, pairwise_kappa, sum_coincidences
from crowdtruth.agreement.formulas import alpha_from
from crowdtruth.ratings import Ratings
from crowdtruth.resampling import bootstrap

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
    ]


def _alpha(n_items: int, n_raters: int, runs: int) -> list[dict]:
    """Nominal alpha; every tool's value is compared."""
    import krippendorff

    by_rater = np.ascontiguousarray(labels_of(n_items, n_raters, missing=0.05).T)
    item, rater = np.nonzero(~np.isnan(by_rater.T))
    codes = Ratings(item, rater, by_rater.T[item, rater].astype(np.int32), n_items, n_raters, N_CLASSES)
    tools: dict[str, Callable[[], Any]] = {
        "crowdtruth": lambda: krippendorff_alpha(by_rater.T),
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
