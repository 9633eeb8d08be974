"""``python -m benchmarks.truth_defaults``: which start and pseudo-counts do best over all sets with known labels?

Prints the table of docs/methods/truth.md. Real sets come from ``CROWDTRUTH_DATA``; the simulated ones are seeded. A
candidate is good if it is best, or within noise of the best, on every set: the last row is the standard error of the
shipped default.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from crowdtruth.clustering import cluster_annotations
from crowdtruth.formats import read_study
from crowdtruth.metrics import match_boxes
from crowdtruth.ratings import rate_anchors
from crowdtruth.truth import ConvergenceWarning, DawidSkene, MajorityVote, OneCoin, infer_labels
from crowdtruth.truth.estimators import DEFAULT_PSEUDO_COUNTS, DEFAULT_START, Estimator

CROWD = ("duck", "dog", "pos_sentiment", "rte")
BOX = ["xmin", "ymin", "xmax", "ymax"]
FEW_RATERS = {2: 15, 3: 15}  # raters per draw from the asthma study -> number of draws
SEEDS = range(20)

SIMULATED = {
    "8 classes, 4 of 25 raters": {"n_items": 300, "per_item": 4, "n_raters": 25, "n_classes": 8},
    "8 classes, 5 of 10": {"n_items": 100, "per_item": 5, "n_raters": 10, "n_classes": 8},
    "3 classes, 3 of 20": {"n_items": 500, "per_item": 3, "n_raters": 20, "n_classes": 3},
    "2 classes, 3 of 3": {"n_items": 200, "per_item": 3, "n_raters": 3, "n_classes": 2},
    "8 classes, 2 of 2": {"n_items": 500, "per_item": 2, "n_raters": 2, "n_classes": 8},
    "4 classes, one rater": {"n_items": 100, "per_item": 1, "n_raters": 1, "n_classes": 4},
}

Scores = dict[str, tuple[float, float]]
"""Column -> value and its standard error."""

Score = Callable[[Estimator], Scores]


DEFAULT = f"{DEFAULT_START}, {DEFAULT_PSEUDO_COUNTS:g}"


def candidates() -> dict[str, Estimator]:
    """The paper's settings, every start with every pseudo-count, and the two simpler models."""
    grid = {
        f"{start}, {count:g}": DawidSkene(start=start, pseudo_counts=count)
        for start in (0.6, 0.7, 0.8, "votes")
        for count in (0.0, 0.5, 1.0, 2.0, 5.0)
    }
    return {"majority": MajorityVote(), "one-coin": OneCoin(), "paper": DawidSkene.preset("paper"), **grid}


def share(value: float, n: int) -> tuple[float, float]:
    """A share of `n`, with its binomial standard error."""
    return float(value), float(np.sqrt(value * (1 - value) / n))


def mean(values: list[float]) -> tuple[float, float]:
    """A mean with its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def crowd_score(folder: Path) -> Score:
    """Share of right labels among the tasks with a known one."""
    answers = pd.read_csv(folder / "answers.csv", dtype=str)
    gold = pd.read_csv(folder / "truth.csv", dtype=str).set_index("task")["label"]
    gold = gold[gold.index.isin(answers["task"])]

    def score(estimator: Estimator) -> Scores:
        fit = estimator.fit(answers)
        is_right = pd.Series(fit.labels_, index=fit.items_)[gold.index] == gold
        return {folder.name: share(is_right.mean(), len(is_right))}

    return score


def asthma_score(folder: Path) -> Score:
    """F1 and class accuracy at IOU 0.5, by all ten raters; and the mean class accuracy by draws of a few."""
    study = read_study(folder)
    reference = pd.read_csv(folder / "ground_truth.csv")
    located = cluster_annotations(study.annotations)
    ratings = rate_anchors(located.members, study.assignments, study.raters, located.anchors)
    rng, raters = np.random.default_rng(0), sorted(study.raters["rater"])
    draws = {n: [rng.choice(raters, n, replace=False) for _ in range(times)] for n, times in FEW_RATERS.items()}

    def score(estimator: Estimator) -> Scores:
        f1, right = box_scores(ratings, located.anchors, reference, estimator)
        result = {"asthma F1": share(f1, len(reference)), "asthma class": share(right, len(reference))}
        for n, chosen in draws.items():
            parts = [ratings[ratings["rater"].isin(who)] for who in chosen]
            both = [box_scores(part, located.anchors, reference, estimator) for part in parts]
            result |= {f"{n} raters F1": mean([f1 for f1, _ in both]), f"{n} raters class": mean([r for _, r in both])}
        return result

    return score


def box_scores(
    ratings: pd.DataFrame, anchors: pd.DataFrame, reference: pd.DataFrame, estimator: Estimator
) -> tuple[float, float]:
    """F1 of the inferred objects and class accuracy of those found, at IOU 0.5; anchors nobody here marked are none."""
    marked = ratings.loc[ratings["label"] != "undetected", "anchor"]
    truth = infer_labels(ratings[ratings["anchor"].isin(marked)], anchors, estimator=estimator).truth
    objects = truth[truth["is_object"]]
    fovs = pd.Index(reference["fov"].unique())
    match = match_boxes(
        objects[BOX], reference[BOX],
        frame=fovs.get_indexer(objects["fov"]), reference_frame=fovs.get_indexer(reference["fov"]),
    )  # fmt: skip
    is_right = objects["label"].to_numpy()[match.row] == reference["label"].to_numpy()[match.reference_row]
    return 2 * len(match.row) / (len(objects) + len(reference)), float(is_right.mean())


def simulated_score(name: str, sizes: dict[str, int]) -> Score:
    """Mean share of right labels over the seeds."""
    studies = [simulate(**sizes, seed=seed) for seed in SEEDS]

    def score(estimator: Estimator) -> Scores:
        estimator.set_params(classes=range(sizes["n_classes"]))
        accuracies = [np.mean(estimator.fit(ratings).labels_ == truth) for ratings, truth in studies]
        estimator.set_params(classes=None)
        return {name: mean(accuracies)}

    return score


def simulate(
    *, n_items: int, per_item: int, n_raters: int, n_classes: int, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Ratings by raters who are right about three times in four, each with a confusion of their own; and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(n_classes, n_items, p=rng.dirichlet(np.full(n_classes, 3.0)))
    mean = np.where(np.eye(n_classes, dtype=bool), 0.75, 0.25 / (n_classes - 1))
    confusion = np.array([[rng.dirichlet(n_classes * row) for row in mean] for _ in range(n_raters)])
    rows = [
        (item, rater, rng.choice(n_classes, p=confusion[rater, truth[item]]))
        for item in range(n_items)
        for rater in rng.choice(n_raters, per_item, replace=False)
    ]
    return pd.DataFrame(rows, columns=["item", "rater", "label"]), truth


def compare() -> pd.DataFrame:
    """One row per candidate, one column per set."""
    data = Path(os.environ.get("CROWDTRUTH_DATA", "../shared/data"))
    scores = [crowd_score(data / "crowd" / name) for name in CROWD]
    scores.append(asthma_score(data / "exact_asthma_round1"))
    scores += [simulated_score(name, sizes) for name, sizes in SIMULATED.items()]
    rows = {}
    for name, estimator in candidates().items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            scored = {column: both for score in scores for column, both in score(estimator).items()}
        rows[name] = {column: value for column, (value, _) in scored.items()}
        if name == DEFAULT:
            errors = {column: error for column, (_, error) in scored.items()}
    return pd.DataFrame.from_dict({**rows, "standard error": errors}, orient="index")


def main() -> None:
    table = compare()
    lines = [["start, pseudo-counts", *table], ["---"] * (table.shape[1] + 1)]
    lines += [[name, *(f"{value:.4f}".lstrip("0") for value in row)] for name, row in table.T.items()]
    print("\n".join("| " + " | ".join(line) + " |" for line in lines))


if __name__ == "__main__":
    main()
