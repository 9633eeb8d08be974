"""Truth inference: time per rating and iteration, threads, way in, memory, fewer passes; crowd-kit and C beside it."""

import ctypes
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from crowdtruth.ratings import Ratings, encode_ratings
from crowdtruth.truth import DEFAULT_PSEUDO_COUNTS, ConvergenceWarning, DawidSkene
from crowdtruth.truth.expectation import (
    FreeConfusion,
    SparseRatings,
    Table,
    evaluate,
    even_errors,
    passes_over,
    sparse_ratings,
    table_of,
)

N_CLASSES = 8
PER_ITEM = 10
N_ITER = 10
SIZES = (22_000, 500_000, 1_000_000, 10_000_000)
QUICK_SIZES = (22_000, 200_000)
HUGE = 100_000_000


def run(quick: bool = False, huge: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note); `huge` adds 10⁸ ratings, which takes minutes and 5 GB."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = []
    for size in QUICK_SIZES if quick else SIZES:
        rows += _iteration_rows(size, runs=5 if size >= 10**7 else 15)
        rows += _way_in_rows(size, runs=5)
    rows += _memory_rows(QUICK_SIZES[-1] if quick else 10**7)
    rows += _squarem_rows(20_000 if quick else 200_000)
    return rows + (_huge_rows() if huge else [])


def simulate(n_ratings: int, *, per_item: int = PER_ITEM, seed: int = 0) -> Ratings:
    """Ratings in random order by raters who are right more often than not; 100 raters, 1,000 from 10⁷ ratings on."""
    rng = np.random.default_rng(seed)
    n_items, n_raters = n_ratings // per_item, 1000 if n_ratings >= 10**7 else 100
    truth = rng.integers(0, N_CLASSES, n_items, dtype=np.int32)
    item = rng.permutation(np.repeat(np.arange(n_items, dtype=np.int32), per_item))
    label = np.where(rng.random(len(item)) < 0.6, truth[item], rng.integers(0, N_CLASSES, len(item), dtype=np.int32))
    rater = rng.integers(0, n_raters, len(item), dtype=np.int32)
    return Ratings(item, rater, label, n_items, n_raters, N_CLASSES)


def _row(work: str, size: int, tool: str, seconds: list[float], note: str) -> dict:
    return {
        "work": work, "size": f"{size:,}", "tool": tool, "median_s": statistics.median(seconds), "runs": len(seconds),
        "note": note,
    }  # fmt: skip


def _times(work: Callable[[], object], runs: int) -> list[float]:
    """Seconds of each run, after one that does not count (it may compile)."""
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def _iteration_rows(size: int, runs: int) -> list[dict]:
    """One iteration, log-likelihood and pseudo-counts included: ours on one and two cores, C, crowd-kit."""
    ratings = simulate(size)
    sparse = sparse_ratings(ratings)
    start = table_of(sparse, even_errors(0.7, N_CLASSES), np.full(N_CLASSES, 1 / N_CLASSES))
    pseudo_counts = np.vstack([even_errors(0.7, N_CLASSES), np.ones(N_CLASSES)])
    model = FreeConfusion(sparse, start, pseudo_counts)
    work, rows = "EM, one iteration, 8 classes", []
    for jobs in (1, 2):
        with passes_over(sparse, jobs) as passes:
            seconds = _times(lambda passes=passes: evaluate(passes, model, start), runs)
        rows.append(
            _row(work, size, f"crowdtruth, {jobs} thread{'s'[: jobs - 1]}", seconds, _per_rating(seconds, size))
        )
    yardstick = _yardstick(sparse, start)
    if yardstick is None:
        rows.append(_row(work, size, "C, -O3, one core", [np.nan], "skipped: no C compiler (cc) found"))
    else:
        seconds = _times(yardstick, runs)
        rows.append(_row(work, size, "C, -O3, one core", seconds, _per_rating(seconds, size)))
    table = as_table(ratings)
    rows.append(_crowd_kit_row(work, "crowd-kit, integer codes", table))
    if size < 10**7:
        rows.append(_crowd_kit_row(work, "crowd-kit, text", table.astype(str)))
    return rows


def _per_rating(seconds: list[float], size: int) -> str:
    return f"{statistics.median(seconds) / size * 1e9:.2f} ns per rating"


def _yardstick(sparse: SparseRatings, table: Table) -> Callable[[], float] | None:
    """One pass of the C version over the same data, None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "yardstick.so"
        source = Path(__file__).with_name("em_yardstick.c")
        subprocess.run(
            [compiler, "-O3", "-march=native", "-shared", "-fPIC", str(source), "-o", str(library), "-lm"], check=True
        )
        fused_pass = ctypes.CDLL(str(library)).fused_pass
    fused_pass.restype = ctypes.c_double
    sums, codes = np.zeros_like(table), sparse.codes.astype(np.uint16)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (sparse.starts, codes, table, sums)]

    def one_pass(keep: tuple = (codes, sums, table)) -> float:
        starts, code, parameters, out = pointers
        n_items, n_rows = ctypes.c_int64(sparse.n_items), ctypes.c_int64(sparse.n_rows)
        return fused_pass(starts, n_items, code, parameters, out, n_rows)

    return one_pass


def _crowd_kit_row(work: str, tool: str, table: pd.DataFrame) -> dict:
    """crowd-kit's time per iteration: the difference of two runs, so that its way in does not count."""
    size = len(table)
    try:
        from crowdkit.aggregation import DawidSkene as CrowdKit
    except Exception as error:  # its dependencies may break the import in many ways
        return _row(work, size, tool, [np.nan], f"skipped: {type(error).__name__} on import")
    few, many = (1, 3) if size >= 10**7 else (1, 6)
    runs = 1 if size >= 10**7 else 5
    seconds = []
    for _ in range(runs):
        took = []
        for n_iter in (few, many):
            started = time.perf_counter()
            CrowdKit(n_iter=n_iter, tol=-np.inf).fit(table)
            took.append(time.perf_counter() - started)
        seconds.append((took[1] - took[0]) / (many - few))
    return _row(work, size, tool, seconds, _per_rating(seconds, size))


def as_table(ratings: Ratings) -> pd.DataFrame:
    """Codes as a table task, worker, label of integers, what is fastest for crowd-kit."""
    return pd.DataFrame({"task": ratings.item, "worker": ratings.rater, "label": ratings.label})


def _way_in_rows(size: int, runs: int) -> list[dict]:
    """Integer codes to item order; and a table of text or of categories to codes."""
    ratings = simulate(size)
    seconds = _times(lambda: sparse_ratings(ratings), runs)
    rows = [_row("codes → item order", size, "crowdtruth", seconds, _per_rating(seconds, size))]
    if size <= 10**6:
        text = as_table(ratings).astype(str)
        for name, table in (("text", text), ("categories", text.astype("category"))):
            seconds = _times(lambda table=table: encode_ratings(table), runs)
            rows.append(_row(f"table of {name} → codes", size, "crowdtruth", seconds, _per_rating(seconds, size)))
    return rows


def _memory_rows(size: int) -> list[dict]:
    """Memory that a fit of two iterations takes beside its data, each tool in a process of its own (Linux only)."""
    work = "memory of a fit, 2 iterations"
    if not _STATUS.exists():
        return [_row(work, size, "", [np.nan], "skipped: no /proc/self/status here")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.npz"
        np.savez(path, **vars(simulate(size)))
        for tool, fit in (("crowdtruth", _fit_ours), ("crowd-kit", _fit_crowd_kit)):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, added = pool.apply(_memory_of, (fit, path))
            note = f"{added:,.0f} MiB beside the data" if added else "skipped: it does not import"
            rows.append(_row(work, size, tool, [seconds], note))
    return rows


_STATUS = Path("/proc/self/status")


def _memory_of(fit: Callable[[Ratings], None], path: Path) -> tuple[float, float]:
    """Seconds of a fit, and MiB at its peak beyond what the process held before; nothing where the tool is missing."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored}
    sizes = {name: int(arrays.pop(name)) for name in ("n_items", "n_raters", "n_classes")}
    ratings = Ratings(**arrays, **sizes)
    try:
        fit(simulate(2000))  # what is imported or compiled on first use is not memory of the fit
    except ImportError:
        return np.nan, 0.0
    before = _mebibytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    started = time.perf_counter()
    fit(ratings)
    return time.perf_counter() - started, _mebibytes("VmHWM") - before


def _mebibytes(name: str) -> float:
    """Memory of this process as the kernel counts it: VmRSS now, VmHWM at the peak."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def _fit_ours(ratings: Ratings) -> None:
    DawidSkene(n_iter=2, tolerance=0).fit(ratings)


def _fit_crowd_kit(ratings: Ratings) -> None:
    from crowdkit.aggregation import DawidSkene as CrowdKit

    CrowdKit(n_iter=2, tol=-np.inf).fit(as_table(ratings))


def _squarem_rows(size: int) -> list[dict]:
    """Passes and seconds to the objective of converged EM, less 1e-7 per rating, with 2 ratings per item."""
    ratings = simulate(size, per_item=2)
    rows = []
    for pseudo_counts in (DEFAULT_PSEUDO_COUNTS, 0.0):
        work = f"EM to convergence, 2 ratings per item, {pseudo_counts:g} pseudo-counts"
        target = DawidSkene(n_iter=5000, tolerance=1e-10, pseudo_counts=pseudo_counts).fit(ratings).objective_[-1]
        for tool, acceleration in (("EM", None), ("SQUAREM", "squarem")):
            model = DawidSkene(tolerance=0, pseudo_counts=pseudo_counts, acceleration=acceleration)
            model.set_params(n_iter=_passes_to(target - 1e-7 * size, model, ratings))
            seconds = _times(lambda model=model: model.fit(ratings), 5)
            rows.append(_row(work, size, f"crowdtruth, {tool}", seconds, f"{model.n_iter} passes"))
    return rows


def _passes_to(target: float, model: DawidSkene, ratings: Ratings, most: int = 4096) -> int:
    """The fewest passes after which the objective is at least `target`, by bisection."""
    fewest = 1
    while fewest < most:
        middle = (fewest + most) // 2
        reached = model.set_params(n_iter=middle).fit(ratings).objective_[-1] >= target
        fewest, most = (fewest, middle) if reached else (middle + 1, most)
    return fewest


def _huge_rows() -> list[dict]:
    """A fit of two iterations at 10⁸ ratings: memory of the whole process, its data included."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, peak = pool.apply(_huge_fit)
    return [_row("EM, 2 iterations, way in included", HUGE, "crowdtruth", [seconds], f"{peak:,.0f} MiB, data included")]


def _huge_fit() -> tuple[float, float]:
    warnings.simplefilter("ignore", ConvergenceWarning)
    ratings = simulate(HUGE)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    started = time.perf_counter()
    _fit_ours(ratings)
    return time.perf_counter() - started, _mebibytes("VmHWM")


if __name__ == "__main__":
    print(pd.DataFrame(run(huge="--huge" in sys.argv)).to_string())
