"""Plain versions of what a plan is made of."""

import numpy as np

from crowdtruth.simulation.realization import draw, first_drawn, realize_by_fov


def outcomes(experiment, n_fovs, realizations, k):
    """Mean counts by FOV, and of each rater the mean without, minus the mean with, over FOVs, times k / n.

    Copies of the pilot's `n_fovs` FOVs are further draws.
    """
    seen = {fov: [] for fov in range(n_fovs)}  # who took part, counts
    for realization in range(realizations):
        is_drawn = first_drawn(experiment, draw(experiment, realization), k)
        counts = realize_by_fov(experiment, is_drawn)
        for fov in range(experiment.n_fovs):
            who = set(experiment.pair_rater[is_drawn & (experiment.pair_fov == fov)].tolist())
            seen[fov % n_fovs].append((who, counts[fov]))
    means = np.array([np.mean([counts for _, counts in draws], axis=0) for draws in seen.values()])
    effects = np.zeros((experiment.n_raters, *means.shape[1:]))
    for fov, draws in seen.items():
        for rater in set(experiment.pair_rater[experiment.pair_fov == fov].tolist()):
            inside = [counts for who, counts in draws if rater in who]
            outside = [counts for who, counts in draws if rater not in who]
            if inside and outside:
                share = k / experiment.n_asked[fov]
                effects[rater] += share * (np.mean(outside, axis=0) - np.mean(inside, axis=0))
    return means, effects
