"""Simulated raters with known confusion: what is fitted must be what was put in, within sampling error."""

import warnings

import numpy as np
import pytest

from crowdtruth.ratings import Ratings
from crowdtruth.truth import ConvergenceWarning, DawidSkene, MajorityVote, OneCoin


def simulate(rng, *, n_items, per_item, n_raters, prevalence, confusion):
    """Ratings by raters drawn per item, each with the confusion given for them; and the true classes."""
    n_classes = len(prevalence)
    truth = rng.choice(n_classes, n_items, p=prevalence)
    item = np.repeat(np.arange(n_items), per_item)
    rater = np.concatenate([rng.choice(n_raters, per_item, replace=False) for _ in range(n_items)])
    cumulative = confusion[rater, truth[item]].cumsum(axis=1)
    label = (rng.random(len(item))[:, np.newaxis] > cumulative[:, :-1]).sum(axis=1)
    return Ratings(item, rater, label, n_items, n_raters, n_classes), truth


def random_confusion(rng, n_raters, n_classes, quality):
    """Confusion of raters who vary around a quality, [rater, true, assigned]."""
    mean = np.where(np.eye(n_classes, dtype=bool), quality, (1 - quality) / (n_classes - 1))
    return np.array([[rng.dirichlet(20 * row) for row in mean] for _ in range(n_raters)])


@pytest.mark.parametrize("n_classes", [2, 4, 8])
@pytest.mark.parametrize("estimator", [DawidSkene(pseudo_counts=0), DawidSkene(), DawidSkene(acceleration="squarem")])
def test_dawid_skene__recovers_confusion_and_prevalence(estimator, n_classes):
    rng = np.random.default_rng(n_classes)
    confusion = random_confusion(rng, 20, n_classes, 0.75)
    prevalence = rng.dirichlet(np.full(n_classes, 5.0))
    ratings, truth = simulate(rng, n_items=40_000, per_item=6, n_raters=20, prevalence=prevalence, confusion=confusion)
    fit = estimator.fit(ratings)
    n_of_row = 40_000 * 6 / 20 * prevalence  # ratings of a rater by true class
    error = np.sqrt(confusion * (1 - confusion) / n_of_row[:, np.newaxis])
    z = (fit.confusion_ - confusion) / np.maximum(error, 1 / n_of_row[:, np.newaxis])
    assert np.sqrt((z**2).mean()) < 1.5  # sampling error alone gives 1; the unknown truth adds to it
    np.testing.assert_allclose(fit.prevalence_, prevalence, atol=4 * np.sqrt(0.25 / 40_000))
    right = fit.probabilities_[np.arange(40_000), truth].mean()
    assert (fit.labels_ == truth).mean() == pytest.approx(fit.probabilities_.max(axis=1).mean(), abs=0.005)
    assert right == pytest.approx((fit.probabilities_**2).sum(axis=1).mean(), abs=0.005)  # calibrated


def test_one_coin__recovers_quality():
    rng = np.random.default_rng(1)
    quality = rng.uniform(0.4, 0.95, 20)
    eye = np.eye(4, dtype=bool)
    confusion = np.where(eye, quality[:, None, None], (1 - quality[:, None, None]) / 3)
    ratings, _ = simulate(
        rng, n_items=20_000, per_item=5, n_raters=20, prevalence=np.full(4, 0.25), confusion=confusion
    )
    fitted = OneCoin().fit(ratings).confusion_[:, 0, 0]
    np.testing.assert_allclose(fitted, quality, atol=4.5 * np.sqrt(0.25 / 5000))


@pytest.mark.parametrize("n_items", [100, 300, 1000])
def test_dawid_skene__defaults_do_not_lose_to_the_vote_on_small_data(n_items):
    """Without pseudo-counts Dawid–Skene loses to majority vote on small data; the default must not."""
    accuracies = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        confusion = random_confusion(rng, 25, 8, 0.75)
        ratings, truth = simulate(
            rng, n_items=n_items, per_item=4, n_raters=25, prevalence=np.full(8, 1 / 8), confusion=confusion
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            models = (MajorityVote(), DawidSkene.preset("paper"), DawidSkene())
            accuracies.append([(model.fit(ratings).labels_ == truth).mean() for model in models])
    majority, paper, default = np.mean(accuracies, axis=0)
    assert default >= majority - 0.003
    assert default >= paper


def test_dawid_skene__squarem_reaches_the_same_optimum_in_fewer_passes():
    rng = np.random.default_rng(3)
    confusion = random_confusion(rng, 50, 8, 0.6)
    ratings, _ = simulate(
        rng, n_items=30_000, per_item=2, n_raters=50, prevalence=np.full(8, 1 / 8), confusion=confusion
    )
    plain = DawidSkene(tolerance=1e-10, n_iter=5000).fit(ratings)
    fast = DawidSkene(tolerance=1e-10, n_iter=5000, acceleration="squarem").fit(ratings)
    assert fast.objective_[-1] == pytest.approx(plain.objective_[-1], rel=1e-7)
    assert fast.n_iter_ < plain.n_iter_ / 2
    assert (fast.labels_ == plain.labels_).mean() > 0.999
