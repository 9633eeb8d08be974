"""How the clustering methods differ where the truth is known: the table of docs/methods/clustering.md.

``python -m tests.verification.test_clustering_methods`` prints it.
"""

import numpy as np
import pandas as pd
import pytest

from crowdtruth.clustering import sweep
from crowdtruth.synthetic import synthesise

METHODS = ["cannot_link", "demotion", "unconstrained"]
THRESHOLDS = [0.25, 0.5]


def scores(anchor: pd.Series, source: pd.Series) -> dict[str, float]:
    """How anchors (n_marks,) fit the objects that were marked (n_marks,), as fractions.

    precision, recall : of the pairs of marks put together, and of the pairs that belong together
    misplaced : marks in an anchor most of whose marks are of another object
    split : objects whose marks are in several anchors
    glued : anchors with marks of several objects
    """
    table = pd.DataFrame({"anchor": anchor, "source": source})
    both = table.value_counts()
    together, belong = table["anchor"].value_counts(), table["source"].value_counts()

    def pairs(counts: pd.Series) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    return {
        "precision": pairs(both) / pairs(together),
        "recall": pairs(both) / pairs(belong),
        "misplaced": 1 - both.groupby("anchor").max().sum() / len(table),
        "split": float((both.groupby("source").size() > 1).mean()),
        "glued": float((both.groupby("anchor").size() > 1).mean()),
    }


def nucls_like(seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Annotations of a synthetic study and the object of each: nuclei seldom overlap, raters leave stray marks."""
    made = synthesise("nucls", seed=seed, n_fovs=60)
    return made.study.annotations, made.origins.set_index("annotation")["source"].replace("", np.nan)


def crowded(seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Pairs of nuclei whose boxes overlap by 0.2 to 0.5; 12 raters who see each nucleus with probability 0.7."""
    rng = np.random.default_rng(seed)
    n_pairs, n_raters = 1500, 12
    side = rng.uniform(20, 40, (n_pairs, 2))
    iou = rng.uniform(0.2, 0.5, n_pairs)
    first = np.stack([np.arange(n_pairs) * 200.0, np.zeros(n_pairs)], axis=1)
    second = first + np.stack([side[:, 0] * (1 - iou) / (1 + iou), np.zeros(n_pairs)], axis=1)
    corner, side = np.concatenate([first, second]), np.concatenate([side, side])
    nucleus, rater = np.nonzero(rng.random((2 * n_pairs, n_raters)) < 0.7)
    low = corner[nucleus] + rng.normal(0, 0.04, (len(nucleus), 2)) * side[nucleus]
    high = corner[nucleus] + side[nucleus] * (1 + rng.normal(0, 0.04, (len(nucleus), 2)))
    marks = pd.DataFrame(np.hstack([low, high]), columns=["xmin", "ymin", "xmax", "ymax"])
    marks = marks.assign(fov="f", rater=rater.astype(str), condition="all", label="nucleus")
    marks.insert(0, "annotation", np.arange(len(marks)).astype(str))
    return marks, pd.Series(nucleus.astype(str), index=marks["annotation"], name="source")


SCENARIOS = {"nucls": nucls_like, "crowded": crowded}


def compare(seeds: tuple[int, ...] = (0, 1, 2)) -> pd.DataFrame:
    """Scores of each scenario, threshold and method, one row each; the mean over the seeds."""
    rows = []
    for scenario, make in SCENARIOS.items():
        for annotations, source in map(make, seeds):
            for method in METHODS:
                for threshold, located in sweep(annotations, THRESHOLDS, method=method).items():
                    marks = located.members.set_index("annotation")["anchor"].to_frame().join(source).dropna()
                    score = scores(marks["anchor"], marks["source"])
                    rows.append({"scenario": scenario, "threshold": threshold, "method": method, **score})
    return pd.DataFrame(rows).groupby(["scenario", "threshold", "method"], sort=False).mean().reset_index()


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return compare().set_index(["scenario", "threshold", "method"])


def test_cannot_link__keeps_crowded_objects_apart_better_than_demotion(table: pd.DataFrame) -> None:
    ours, demotion = (table.loc[("crowded", 0.25, method)] for method in METHODS[:2])
    assert ours["misplaced"] < demotion["misplaced"]
    assert ours["recall"] > demotion["recall"]


def test_demotion__minds_stray_marks_less_than_cannot_link(table: pd.DataFrame) -> None:
    ours, demotion = (table.loc[("nucls", 0.25, method)] for method in METHODS[:2])
    assert 0 < demotion["recall"] - ours["recall"] < 0.02
    assert min(ours["precision"], demotion["precision"]) > 0.999


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_constraint__glues_fewer_objects(table: pd.DataFrame, scenario: str) -> None:
    glued = {method: table.loc[(scenario, 0.25, method), "glued"] for method in METHODS}
    assert glued["cannot_link"] < glued["unconstrained"]


if __name__ == "__main__":
    print(compare().round(4).to_string(index=False))
