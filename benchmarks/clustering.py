"""Marks to clusters: ours beside scikit-learn, weighted boxes fusion and the best recipe from libraries.

Every tool gets all marks in one frame in one call, IOU included, and must not put two marks of one rater together.
Where a tool computes the same thing (complete linkage with that constraint) its clusters are compared with ours.
"""

import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crowdtruth.merging import merge_history

N_RATERS = 25
NUCLEI_PER_FOV = 32  # 680 marks
SIZES = (700, 3_000, 30_000, 300_000)
LONG_CALL_S = 20.0
APART = 4.0  # the distance of two marks of one rater


class Layout(NamedTuple):
    """Marks of 25 raters on FOVs that lie side by side."""

    boxes: np.ndarray  # (n, 4)
    rater: np.ndarray  # (n,)
    fov: np.ndarray  # (n,)


def layout(n_marks: int, seed: int = 0) -> Layout:
    """Nuclei of 40 to 60 pixels, many of them touching; raters jitter every side and miss one nucleus in seven."""
    rng = np.random.default_rng(seed)
    detection = 0.85
    n_fovs = math.ceil(n_marks / (N_RATERS * detection * NUCLEI_PER_FOV)) + 1
    nucleus = np.arange(n_fovs * NUCLEI_PER_FOV)
    fov, cell = np.divmod(nucleus, NUCLEI_PER_FOV)
    across = math.ceil(math.sqrt(n_fovs))
    centre = np.stack([(cell % 6 + 0.5) * 54 + (fov % across) * 325, (cell // 6 + 0.5) * 54 + (fov // across) * 325], 1)
    centre = centre + rng.uniform(-16, 16, centre.shape)
    side = rng.uniform(40, 60, centre.shape)
    seen = rng.random((len(nucleus), N_RATERS)) < detection
    which, rater = np.nonzero(seen)
    middle = centre[which] + rng.normal(0, 2.5, (len(which), 2))
    size = side[which] * np.exp(rng.normal(0, 0.07, (len(which), 2)))
    rows = rng.permutation(n_marks)
    return Layout(np.hstack([middle - size / 2, middle + size / 2])[rows], rater[rows], fov[which[rows]])


def ours(marks: Layout, iou: float) -> np.ndarray:
    """The compiled merge history, cut once."""
    return merge_history(marks.boxes, marks.rater, min_iou=iou).cut(iou)


def iou_matrix(boxes: np.ndarray) -> np.ndarray:
    """IOU of all pairs by numpy, (n, n)."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / (area[:, None] + area[None, :] - shared)


def scikit_learn(marks: Layout, iou: float) -> np.ndarray:
    """Agglomerative clustering with complete linkage on the matrix of 1 − IOU."""
    from sklearn.cluster import AgglomerativeClustering

    if len(marks.boxes) == 1:
        return np.zeros(1, int)
    distance = 1 - iou_matrix(marks.boxes)
    distance[marks.rater[:, None] == marks.rater[None, :]] = APART
    np.fill_diagonal(distance, 0)
    linkage = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="complete", distance_threshold=1 - iou
    )
    return linkage.fit_predict(distance)


def scikit_learn_per_fov(marks: Layout, iou: float) -> np.ndarray:
    """The same, FOV by FOV (which is told to no other tool)."""
    order = np.argsort(marks.fov, kind="stable")
    cluster = np.empty(len(order), int)
    n_clusters = 0
    for rows in np.split(order, np.flatnonzero(np.diff(marks.fov[order])) + 1):
        cluster[rows] = scikit_learn(Layout(*(column[rows] for column in marks)), iou) + n_clusters
        n_clusters = cluster[rows].max() + 1
    return cluster


def library_recipe(marks: Layout, iou: float) -> np.ndarray:
    """Shapely's spatial index, connected components, and scipy's complete linkage in each component."""
    import shapely
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(marks.boxes)
    shapes = shapely.box(*marks.boxes.T)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = first < second
    first, second = first[once], second[once]
    value = _paired_iou(marks.boxes[first], marks.boxes[second])
    linked = (value >= iou) & (marks.rater[first] != marks.rater[second])
    first, second, value = first[linked], second[linked], value[linked]
    component = connected_components(coo_array((value, (first, second)), shape=(n, n)), directed=False)[1]
    rows = np.argsort(component, kind="stable")
    starts = np.searchsorted(component[rows], np.arange(component.max() + 2))
    pairs = np.argsort(component[first], kind="stable")
    pair_starts = np.searchsorted(component[first][pairs], np.arange(component.max() + 2))
    place = np.empty(n, int)
    place[rows] = np.arange(n) - starts[component[rows]]
    cluster, n_clusters = np.empty(n, int), 0
    for c in range(len(starts) - 1):
        members, size = rows[starts[c] : starts[c + 1]], starts[c + 1] - starts[c]
        if size == 1:
            cluster[members] = n_clusters
        else:
            own = pairs[pair_starts[c] : pair_starts[c + 1]]
            a, b = place[first[own]], place[second[own]]
            a, b = np.minimum(a, b), np.maximum(a, b)
            distance = np.full(size * (size - 1) // 2, APART)
            distance[size * a - a * (a + 1) // 2 + b - a - 1] = 1 - value[own]
            cluster[members] = fcluster(linkage(distance, "complete"), 1 - iou, "distance") - 1 + n_clusters
        n_clusters = cluster[members].max() + 1
    return cluster


def _paired_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IOU of the boxes in equal rows, (n,)."""
    shared = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=1)
    return shared / ((a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - shared)


def weighted_boxes_fusion(marks: Layout, iou: float) -> None:
    """ensemble-boxes: another method for the same need, which does not say which mark went where."""
    from ensemble_boxes import weighted_boxes_fusion as fuse

    low, span = marks.boxes.min(), np.ptp(marks.boxes)
    per_rater = [(marks.boxes[marks.rater == r] - low) / span for r in range(N_RATERS)]
    ones = [np.ones(len(boxes)) for boxes in per_rater]
    fuse(per_rater, ones, [np.zeros(len(boxes), int) for boxes in per_rater], iou_thr=iou, skip_box_thr=0)


Tool = Callable[[Layout, float], np.ndarray | None]
TOOLS: dict[str, tuple[Tool, int]] = {  # and the largest size it is timed at
    "crowdtruth": (ours, 300_000),
    "library recipe": (library_recipe, 300_000),
    "scikit-learn": (scikit_learn, 3_000),
    "scikit-learn per FOV": (scikit_learn_per_fov, 300_000),
    "ensemble-boxes WBF": (weighted_boxes_fusion, 3_000),
}


def run(quick: bool = False) -> list[dict]:
    """Rows (work, size, tool, median_s, runs, note)."""
    rows = []
    for size in SIZES[:2] if quick else SIZES:
        rows += _compared(size, 0.25, 2 if quick else 7)
    for iou in (0.25, 0.05):
        rows += _large(iou, 10**5 if quick else 10**6, 2 if quick else 5)
    return rows


def _compared(size: int, iou: float, runs: int) -> list[dict]:
    """All tools on one layout, one after the other in each round."""
    marks = layout(size)
    tools = {name: tool for name, (tool, largest) in TOOLS.items() if size <= largest}
    expected = ours(marks, iou)
    same = {}
    for name, tool in tools.items():
        found = tool(marks, iou)  # warms up what compiles or imports on first use
        same[name] = found is not None and name != "scikit-learn per FOV" and _is_same_partition(found, expected)
        if name in ("library recipe", "scikit-learn") and not same[name]:
            raise AssertionError(f"{name} and crowdtruth disagree at {size} marks")
    times = {name: _times(tool, marks, iou, runs) for name, tool in tools.items()}
    base = statistics.median(times["crowdtruth"])
    return [
        {
            "work": f"marks to clusters, IOU {iou}", "size": f"{size:,} marks", "tool": name,
            "median_s": statistics.median(seconds), "runs": len(seconds),
            "note": _note(statistics.median(seconds) / base, same[name]) if name != "crowdtruth" else "",
        }
        for name, seconds in times.items()
    ]  # fmt: skip


def _times(tool: Tool, marks: Layout, iou: float, runs: int) -> list[float]:
    """Seconds of each call; fewer calls where one takes long."""
    seconds: list[float] = []
    while len(seconds) < (runs if sum(seconds) < LONG_CALL_S else 1 if seconds[0] > LONG_CALL_S else 3):
        start = time.perf_counter()
        tool(marks, iou)
        seconds.append(time.perf_counter() - start)
    return seconds


def _note(ratio: float, is_same: bool) -> str:
    return f"{ratio:.1f} × ours" + (", same clusters" if is_same else "")


def _is_same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two clusterings (n,) put the same marks together."""
    pairs = np.unique(np.column_stack([a, b]), axis=0)
    return len(pairs) == len(np.unique(a)) == len(np.unique(b))


def _large(iou: float, largest: int, runs: int) -> list[dict]:
    """Time at 10⁴ to `largest` marks, the growth exponent, and the memory of the largest call."""
    sizes = [size for size in (10**4, 10**5, 10**6) if size <= largest]
    times = {size: _times(ours, layout(size), iou, runs) for size in sizes}
    medians = {size: statistics.median(seconds) for size, seconds in times.items()}
    exponent = math.log(medians[largest] / medians[sizes[0]]) / math.log(largest / sizes[0])
    rows = []
    for size, seconds in times.items():
        note = f"{medians[size] / size * 1e6:.2f} µs per box"
        if size == largest:
            note += f", {_bytes_per_box(size, iou):.0f} bytes per box beyond the input, exponent {exponent:.2f}"
        rows.append({
            "work": f"one frame, IOU {iou}", "size": f"{size:,} marks", "tool": "crowdtruth",
            "median_s": medians[size], "runs": len(seconds), "note": note,
        })  # fmt: skip
    return rows


_MEASURE_PEAK = """
import sys
import numpy as np
from pathlib import Path
from crowdtruth.merging import merge_history

def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

boxes, rater, iou = np.load(sys.argv[1]), np.load(sys.argv[2]), float(sys.argv[3])
merge_history(boxes[:100], rater[:100], min_iou=iou).cut(iou)
before = memory("VmRSS")
merge_history(boxes, rater, min_iou=iou).cut(iou)
print((memory("VmHWM") - before) / len(boxes))
"""


def _bytes_per_box(size: int, iou: float) -> float:
    """Growth of the resident memory's peak in a fresh process, per box: result included, input not."""
    marks = layout(size)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "boxes.npy", Path(folder) / "rater.npy"]
        np.save(paths[0], marks.boxes)
        np.save(paths[1], marks.rater)
        command = [sys.executable, "-c", _MEASURE_PEAK, *map(str, paths), str(iou)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
