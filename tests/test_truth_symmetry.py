"""Raters and classes that nothing tells apart: neither names nor the order of a sum decide."""

import numpy as np
import pytest

from crowdtruth.ratings import Ratings
from crowdtruth.truth import DawidSkene, MajorityVote, OneCoin

pytestmark = pytest.mark.filterwarnings("ignore::crowdtruth.truth.estimators.ConvergenceWarning")


def disagreement(n_items, n_raters, n_classes, names=None):
    """Raters who never agree: rater r calls item i by the class after that of rater r - 1."""
    item, rater = np.repeat(np.arange(n_items), n_raters), np.tile(np.arange(n_raters), n_items)
    names = np.arange(n_raters) if names is None else names
    return Ratings(item, names[rater], (item + rater) % n_classes, n_items, n_raters, n_classes)


SYMMETRIC = [
    MajorityVote(),
    OneCoin(),
    DawidSkene(),
    DawidSkene(acceleration="squarem"),
    DawidSkene.preset("paper"),
    DawidSkene.preset("paper", start="votes"),
]


@pytest.mark.parametrize("model", SYMMETRIC)
@pytest.mark.parametrize(
    ("n_items", "n_raters", "n_classes"), [(12, 2, 2), (12, 2, 3), (12, 3, 3), (21, 3, 5), (17, 4, 4), (20, 5, 5)]
)
def test_estimators__names_do_not_decide_where_raters_never_agree(model, n_items, n_raters, n_classes):
    """Without care, 70 iterations turn the last bit of a sum into certainty, in the direction of some rater's name."""
    sizes = (n_items, n_raters, n_classes)
    model.fit(disagreement(*sizes))
    probabilities, labels = model.probabilities_, model.labels_
    rng = np.random.default_rng(0)
    for _ in range(4):
        model.fit(disagreement(*sizes, names=rng.permutation(n_raters)))
        np.testing.assert_allclose(model.probabilities_, probabilities, atol=1e-11)
        np.testing.assert_array_equal(model.labels_, labels)


@pytest.mark.parametrize("model", SYMMETRIC)
@pytest.mark.parametrize("n_classes", range(2, 9))
def test_estimators__ties_go_to_the_first_class(model, n_classes):
    everyone = np.tile(np.arange(n_classes), 3)  # rater r always says class r
    ratings = Ratings(np.repeat(np.arange(3), n_classes), everyone, everyone, 3, n_classes, n_classes)
    assert model.fit(ratings).labels_.tolist() == [0, 0, 0]
