"""Tables of ratings that several tests of agreement share."""

import numpy as np
import pandas as pd

from crowdtruth.taxonomy import parse_taxonomy

FEW = {"n_replicates": 200}

KINDS = parse_taxonomy(
    {
        "name": "cells",
        "levels": ["kind"],
        "classes": [
            {"name": "tumor", "kind": "tumor"},
            {"name": "stroma", "kind": "other"},
            {"name": "lymphocyte", "kind": "other"},
            {"name": "debris", "kind": "AMBIGUOUS"},
        ],
    }
).grouping("kind")


def study(seed=0, n_anchors=120, n_raters=6, conditions=("u", "e")):
    """Ratings of two cohorts under two conditions; rater r5 was not asked in the first FOVs."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n_anchors)
    rows = []
    for condition in conditions:
        for rater in range(n_raters):
            said = np.where(rng.random(n_anchors) < 0.7, truth, rng.integers(0, 4, n_anchors))
            label = np.array(["lymphocyte", "stroma", "tumor", "undetected"])[said]
            rows.append(
                pd.DataFrame(
                    {
                        "anchor": [f"a{i}" for i in range(n_anchors)],
                        "fov": [f"f{i % 12}" for i in range(n_anchors)],
                        "rater": f"r{rater}",
                        "cohort": "NP" if rater % 2 else "P",
                        "condition": condition,
                        "label": label,
                    }
                )
            )
    ratings = pd.concat(rows, ignore_index=True)
    return ratings[~((ratings["rater"] == "r5") & ratings["fov"].isin(["f0", "f1"]))].reset_index(drop=True)


def matrix_of(ratings, scope):
    """Labels, anchors × raters, with what is missing in the scope as None."""
    wide = ratings.pivot(index="anchor", columns="rater", values="label")
    return wide.mask(wide == "undetected") if scope == "classification" else wide


def crowd(n_tasks, n_answers, n_workers, seed=0):
    """Answers of a crowd table, each worker right 7 times in 10; who answers a task is drawn."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 3, n_tasks), n_answers)
    task = np.repeat(np.arange(n_tasks), n_answers)
    worker = np.argsort(rng.random((n_tasks, n_workers)), axis=1)[:, :n_answers].ravel()
    label = np.where(rng.random(len(task)) < 0.7, truth, rng.integers(0, 3, len(task)))
    names = {"anchor": [f"t{i:05d}" for i in task], "rater": [f"w{i:03d}" for i in worker]}
    ratings = pd.DataFrame({**names, "label": np.array(list("xyz"))[label]})
    return ratings.assign(fov="", cohort="all", condition="all")
