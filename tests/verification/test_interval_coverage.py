"""Do 95 % intervals hold the truth in 95 % of studies? The table of docs/methods/resampling.md.

``python -m tests.verification.test_interval_coverage`` prints it.
"""

import numpy as np
import pytest

from crowdtruth.agreement import count_items, sum_coincidences
from crowdtruth.agreement.formulas import alpha_from
from crowdtruth.resampling import bootstrap

N_STUDIES, N_OBJECTS, N_RATERS, N_CLASSES = 1000, 20, 5, 4
ALPHA, CORRELATION = 0.6, 0.2
SIZES = (10, 20, 60, 100)


def study(n_fovs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n_items, n_raters) and the FOV of each item (n_items,), with an alpha of 0.6 in the long run.

    An object is clear with a probability that is its FOV's: then all raters give its class. Of an unclear object they
    guess. Whether objects of one FOV are clear correlates by 0.2, and so does whether they are of a class. Guesses are
    even, so observed agreement is p + (1 − p) / K, chance agreement 1 / K, and alpha p.
    """
    concentration = 1 / CORRELATION - 1
    clear = rng.beta(ALPHA * concentration, (1 - ALPHA) * concentration, n_fovs)
    prevalence = rng.dirichlet(np.full(N_CLASSES, concentration / N_CLASSES), n_fovs)
    fov = np.repeat(np.arange(n_fovs), N_OBJECTS)
    truth = (rng.random(len(fov))[:, None] > prevalence.cumsum(axis=1)[fov, :-1]).sum(axis=1)
    guesses = rng.integers(0, N_CLASSES, (len(fov), N_RATERS))
    return np.where((rng.random(len(fov)) < clear[fov])[:, None], truth[:, None], guesses), fov


def coverage(n_fovs: int, n_studies: int = N_STUDIES, n_replicates: int = 1000) -> dict[str, float]:
    """Share of studies whose interval holds the truth: FOVs resampled in two ways, and objects as if independent."""
    held = {"percentile": 0, "bca": 0, "objects": 0}
    for seed in range(n_studies):
        labels, fov = study(n_fovs, np.random.default_rng([n_fovs, seed]))
        items = count_items(labels)
        by_fov, by_object = sum_coincidences(items, fov), sum_coincidences(items, np.arange(len(fov)))
        for name, counts, method in (
            ("percentile", by_fov, "percentile"), ("bca", by_fov, "bca"), ("objects", by_object, "percentile"),
        ):  # fmt: skip
            interval = bootstrap(counts, alpha_from, method=method, n_replicates=n_replicates, seed=seed)
            held[name] += bool(interval.low <= ALPHA <= interval.high)
    return {name: count / n_studies for name, count in held.items()}


def test_study__has_the_alpha_and_the_correlation_asked_for():
    labels, _ = study(20_000, np.random.default_rng(0))
    assert float(alpha_from(sum_coincidences(count_items(labels)).sum(axis=0))) == pytest.approx(ALPHA, abs=0.01)
    agreed = (labels == labels[:, :1]).all(axis=1).reshape(-1, N_OBJECTS)
    between = agreed.mean(axis=1).var(ddof=1) - agreed.var(axis=1, ddof=1).mean() / N_OBJECTS
    assert between / (between + agreed.var(axis=1, ddof=1).mean()) == pytest.approx(CORRELATION, abs=0.02)


def test_bootstrap__intervals_hold_the_truth_as_often_as_they_say():
    held = coverage(60)
    assert 0.93 <= held["percentile"] <= 0.97
    assert 0.93 <= held["bca"] <= 0.97
    assert held["objects"] < 0.85


if __name__ == "__main__":
    print("| FOVs | percentile | BCa | objects as if independent |\n|---|---|---|---|")
    for size in SIZES:
        row = coverage(size)
        print(f"| {size} | " + " | ".join(f"{100 * share:.1f} %" for share in row.values()) + " |", flush=True)
