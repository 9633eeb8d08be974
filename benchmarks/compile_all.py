"""``python -m benchmarks.compile_all``: use every kernel once, print the seconds that compiling them took."""

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numba.core import event

import crowdtruth as ct
from crowdtruth.agreement import pairwise_kappa


class CompileTime(event.Listener):
    """Seconds spent compiling; kernels that other kernels call are compiled within theirs."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started: list[float] = []

    def on_start(self, event: Any) -> None:
        self._started.append(time.perf_counter())

    def on_end(self, event: Any) -> None:
        started = self._started.pop()
        if not self._started:
            self.seconds += time.perf_counter() - started


def use_every_kernel() -> None:
    """All methods and boxes, a pile large enough for the sparse lists, every model of truth with eight classes."""
    marks = ct.synthesise("demo", seed=0).study.annotations
    for method in ("cannot_link", "demotion", "unconstrained"):
        ct.cluster_annotations(marks, method=method)
    for box in ("mean", "median"):
        ct.cluster_annotations(marks, box=box)
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 40, (800, 2))
    pile = np.hstack([corners, corners + 50])
    ct.merge_history(pile, np.arange(800) % 200, min_iou=0.05)
    ct.match_boxes(pile[:50], pile[50:100])
    ct.pairwise_iou(pile[:5])
    votes = pd.DataFrame({name: rng.integers(0, n, 500) for name, n in (("task", 50), ("worker", 9), ("label", 8))})
    for model in (ct.DawidSkene(), ct.DawidSkene(acceleration="squarem"), ct.DawidSkene(start="votes"), ct.OneCoin()):
        model.fit(votes)
    ct.MajorityVote().fit(votes)
    table = votes.rename(columns={"task": "anchor", "worker": "rater"}).astype("str").assign(fov="f")
    told = table[["anchor"]].drop_duplicates().assign(true="0")
    ct.simulate(ct.make_experiment(table, told), 1)
    crowd = table.assign(cohort="all", condition="all")
    ct.agreement_table(crowd, n_replicates=2)
    ct.pairwise_table(crowd, n_replicates=2)
    ct.krippendorff_alpha(rng.integers(0, 8, (50, 9)).astype(float))
    pairwise_kappa(rng.integers(0, 8, (50, 9)))


if __name__ == "__main__":
    warnings.simplefilter("ignore", ct.ConvergenceWarning)
    listener = CompileTime()
    event.register("numba:compile", listener)
    use_every_kernel()
    print(f"{listener.seconds:.2f}")
