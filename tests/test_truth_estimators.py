"""Majority vote, one-coin and Dawid–Skene against plain Python, published values and properties."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdtruth.ratings import Ratings, encode_ratings
from crowdtruth.truth import ConvergenceWarning, DawidSkene, MajorityVote, OneCoin
from crowdtruth.truth.expectation import SparseRatings, most_probable, sparse_ratings
from tests.reference import truth as reference

GOLDEN = Path(__file__).parent / "golden"
CROWD = ["duck", "dog", "pos_sentiment", "rte"]
ACCURACY_AT_70 = {"duck": 0.8796, "dog": 0.8426, "pos_sentiment": 0.9600, "rte": 0.9275}
MAJORITY_TIES_SHARED = {"duck": 0.7593, "dog": 0.8222, "pos_sentiment": 0.9335, "rte": 0.8969}

pytestmark = pytest.mark.filterwarnings("ignore::crowdtruth.truth.estimators.ConvergenceWarning")


def crowd_set(data_dir, name):
    """Answers and gold labels of a crowd set; the gold of items without answers left out."""
    answers = pd.read_csv(data_dir / "crowd" / name / "answers.csv", dtype=str)
    gold = pd.read_csv(data_dir / "crowd" / name / "truth.csv", dtype=str).set_index("task")["label"]
    return answers, gold[gold.index.isin(answers["task"])]


def triples(table):
    """(item, rater, label) of a ratings table."""
    return list(table.itertuples(index=False, name=None))


def as_array(by_item, items, classes):
    """A dictionary item -> class -> number as (n_items, n_classes)."""
    return np.array([[by_item[i][c] for c in classes] for i in items])


def confusion_array(confusion, raters, classes):
    """A dictionary rater -> true -> assigned -> number as an array."""
    return np.array([[[confusion[r][t][a] for a in classes] for t in classes] for r in raters])


def small_ratings(max_raters=4):
    """Sparse ratings as triples, with repeats; up to five items of which some may have none."""
    rating = st.tuples(st.integers(0, 4), st.integers(0, max_raters - 1), st.integers(0, 2))
    return st.lists(rating, min_size=1, max_size=25)


def coded(ratings, n_items=5, n_raters=4, n_classes=3):
    """Triples as `Ratings`."""
    item, rater, label = np.array(ratings).reshape(-1, 3).T
    return Ratings(item, rater, label, n_items, n_raters, n_classes)


@pytest.mark.data
@pytest.mark.parametrize("name", CROWD)
def test_dawid_skene__paper_preset_gives_the_recorded_accuracy(data_dir, name):
    answers, gold = crowd_set(data_dir, name)
    model = DawidSkene.preset("paper").fit(answers)
    labels = pd.Series(model.labels_, index=model.items_)
    assert round((labels[gold.index] == gold).mean(), 4) == ACCURACY_AT_70[name]


@pytest.mark.data
@pytest.mark.parametrize("name", CROWD)
def test_dawid_skene__paper_preset_equals_plain_python_on_crowd_sets(data_dir, name):
    answers, _ = crowd_set(data_dir, name)
    model = DawidSkene.preset("paper").fit(answers)
    items, raters, classes = model.items_, model.raters_, model.classes_
    posterior, prevalence, confusion, trace = reference.dawid_skene(triples(answers), items, raters, classes)
    np.testing.assert_allclose(model.probabilities_, as_array(posterior, items, classes), atol=1e-9)
    np.testing.assert_allclose(model.confusion_, confusion_array(confusion, raters, classes), atol=1e-9)
    np.testing.assert_allclose(model.prevalence_, [prevalence[c] for c in classes], atol=1e-9)
    np.testing.assert_allclose(model.objective_, trace, rtol=1e-12)


@pytest.mark.data
@pytest.mark.parametrize("name", CROWD)
def test_majority_vote__gives_the_recorded_accuracy_with_ties_shared(data_dir, name):
    answers, gold = crowd_set(data_dir, name)
    model = MajorityVote().fit(answers)
    shares = pd.DataFrame(model.probabilities_, index=model.items_, columns=model.classes_).loc[gold.index]
    winners = shares.eq(shares.max(axis=1), axis=0)
    is_winner = [winners.at[item, label] for item, label in gold.items()]
    accuracy = np.mean(np.array(is_winner) / winners.sum(axis=1))
    assert round(accuracy, 4) == MAJORITY_TIES_SHARED[name]


@pytest.mark.parametrize(
    ("start", "prevalence", "tolerance"),
    [("votes", [0.40, 0.42, 0.11, 0.07], 0.005), (0.7, [0.400, 0.467, 0.111, 0.022], 0.0005)],
)
def test_dawid_skene__1979_table_has_an_optimum_for_each_start(start, prevalence, tolerance):
    """Table 1 of Dawid and Skene (1979); the first anaesthetist rated each of 45 patients three times."""
    ratings = pd.read_csv(GOLDEN / "anesthesia_1979.csv", dtype=str)
    model = DawidSkene.preset("paper", start=start).fit(ratings)
    np.testing.assert_allclose(model.prevalence_, prevalence, atol=tolerance)
    assert model.n_repeats_ == 90


@given(small_ratings(), st.sampled_from([0.7, 0.5, 0.99, "votes"]), st.sampled_from([0.0, 1.0]), st.booleans())
def test_dawid_skene__equals_plain_python(ratings, start, pseudo_count, with_gold):
    gold = {1: 2, 3: 0} if with_gold else {}
    posterior, prevalence, confusion, trace = reference.dawid_skene(
        ratings, range(5), range(4), range(3), start=start, n_iter=6, pseudo_counts=pseudo_count, gold=gold
    )
    model = DawidSkene(start=start, n_iter=6, tolerance=0, pseudo_counts=pseudo_count)
    model.fit(coded(ratings), gold=np.array([-1, 2, -1, 0, -1]) if with_gold else None)
    np.testing.assert_allclose(model.probabilities_, as_array(posterior, range(5), range(3)), atol=1e-9)
    np.testing.assert_allclose(model.confusion_, confusion_array(confusion, range(4), range(3)), atol=1e-9)
    np.testing.assert_allclose(model.prevalence_, [prevalence[c] for c in range(3)], atol=1e-9)
    assert model.log_likelihood_ == pytest.approx(trace[-1], rel=1e-9, abs=1e-9)


@given(small_ratings(), st.sampled_from([0.0, 2.0]))
def test_one_coin__equals_plain_python(ratings, pseudo_count):
    posterior, quality = reference.one_coin(ratings, range(5), range(4), range(3), n_iter=6, pseudo_counts=pseudo_count)
    model = OneCoin(start=0.7, n_iter=6, tolerance=0, pseudo_counts=pseudo_count).fit(coded(ratings))
    np.testing.assert_allclose(model.probabilities_, as_array(posterior, range(5), range(3)), atol=1e-9)
    np.testing.assert_allclose(model.confusion_[:, 1, 1], [quality[r] for r in range(4)], atol=1e-9)
    np.testing.assert_allclose(model.confusion_[:, 0, 1], [(1 - quality[r]) / 2 for r in range(4)], atol=1e-9)


@given(small_ratings())
def test_majority_vote__equals_plain_python(ratings):
    shares = reference.vote_shares(ratings, range(5), range(3))
    model = MajorityVote().fit(coded(ratings))
    np.testing.assert_allclose(model.probabilities_, as_array(shares, range(5), range(3)), atol=1e-15)
    assert np.isfinite(model.log_likelihood_)


@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.parametrize("pseudo_counts", [0.0, 1.0])
@given(ratings=small_ratings(), gold=st.lists(st.integers(-1, 2), min_size=5, max_size=5))
@settings(max_examples=40)
def test_dawid_skene__objective_never_falls(ratings, gold, pseudo_counts, acceleration):
    model = DawidSkene(n_iter=60, tolerance=0, pseudo_counts=pseudo_counts, acceleration=acceleration)
    objective = model.fit(coded(ratings), gold=np.array(gold)).objective_
    assert (np.diff(objective) >= -1e-9 * (1 + np.abs(objective[1:]))).all()


@given(small_ratings(), st.sampled_from([MajorityVote(), OneCoin(), DawidSkene(), DawidSkene(acceleration="squarem")]))
def test_estimators__give_probabilities(ratings, model):
    model.fit(coded(ratings))
    for probabilities in (model.probabilities_, model.confusion_, model.prevalence_):
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-12)
    np.testing.assert_array_equal(model.labels_, most_probable(model.probabilities_))
    assert (np.take_along_axis(model.probabilities_, model.labels_[:, np.newaxis], axis=1) > 1 / 3 - 1e-9).all()


@given(small_ratings(), st.randoms(use_true_random=False))
def test_dawid_skene__row_order_changes_no_bit(ratings, random):
    shuffled = list(ratings)
    random.shuffle(shuffled)
    first, second = DawidSkene().fit(coded(ratings)), DawidSkene().fit(coded(shuffled))
    assert first.probabilities_.tobytes() == second.probabilities_.tobytes()
    assert first.confusion_.tobytes() == second.confusion_.tobytes()


@given(small_ratings(), st.permutations(range(3)), st.permutations(range(4)), st.permutations(range(5)))
def test_dawid_skene__new_names_change_the_names_only(ratings, classes, raters, items):
    renamed = [(items[i], raters[r], classes[k]) for i, r, k in ratings]
    first = DawidSkene(n_iter=20, tolerance=0).fit(coded(ratings))
    second = DawidSkene(n_iter=20, tolerance=0).fit(coded(renamed))
    renamed_back = second.probabilities_[np.ix_(items, classes)]
    np.testing.assert_allclose(renamed_back, first.probabilities_, atol=1e-6)  # rounding, amplified by 20 iterations


def simulated(n_items=30_000, n_raters=30, n_classes=4, per_item=20, seed=0):
    """Ratings large enough for several chunks."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n_items)
    item = np.repeat(np.arange(n_items), per_item)
    label = np.where(rng.random(len(item)) < 0.6, truth[item], rng.integers(0, n_classes, len(item)))
    return Ratings(item, rng.integers(0, n_raters, len(item)), label, n_items, n_raters, n_classes), truth


def test_dawid_skene__jobs_change_no_bit():
    ratings, _ = simulated()
    one, two = (DawidSkene(n_iter=3, tolerance=0, start="votes", jobs=jobs).fit(ratings) for jobs in (1, 2))
    assert one.probabilities_.tobytes() == two.probabilities_.tobytes()
    assert one.confusion_.tobytes() == two.confusion_.tobytes()
    assert one.objective_.tobytes() == two.objective_.tobytes()


def test_dawid_skene__more_classes_than_lanes():
    ratings, truth = simulated(n_items=2000, n_classes=40)
    assert (DawidSkene().fit(ratings).labels_ == truth).mean() > 0.99


def test_dawid_skene__does_not_underflow_with_thousands_of_raters():
    n_raters = 5000
    rater, item = np.arange(n_raters).repeat(2), np.tile([0, 1], n_raters)
    label = np.where(np.random.default_rng(0).random(2 * n_raters) < 0.55, item, 1 - item)
    model = DawidSkene(start=0.6, n_iter=1, tolerance=0).fit(Ratings(item, rater, label, 2, n_raters, 2))
    np.testing.assert_allclose(model.probabilities_, np.eye(2), atol=1e-12)
    assert np.isfinite(model.log_likelihood_)


def test_dawid_skene__gold_items_keep_their_class_and_teach_the_confusion():
    votes = pd.DataFrame({"task": list("aabbcc"), "worker": list("uvuvuv"), "label": list("xyxyxy")})
    model = DawidSkene(pseudo_counts=0.1).fit(votes, gold={"a": "y", "b": "y"})
    assert model.labels_.tolist() == ["y", "y", "y"]
    np.testing.assert_allclose(model.probabilities_[:2], [[0, 1], [0, 1]], rtol=1e-15)
    v = model.raters_.tolist().index("v")
    assert model.confusion_[v, 1, 1] > 0.9


def test_dawid_skene__gold_wins_over_a_start_that_rules_it_out():
    votes = pd.DataFrame({"task": ["a"], "worker": ["u"], "label": ["x"]})
    model = DawidSkene(start=np.eye(2), n_iter=1, tolerance=0, classes=["x", "y"]).fit(votes, gold={"a": "y"})
    np.testing.assert_array_equal(model.probabilities_, [[0, 1]])


def test_dawid_skene__all_classes_ruled_out_is_uniform():
    votes = pd.DataFrame({"task": list("aa"), "worker": list("uv"), "label": list("xy")})
    model = DawidSkene(start=np.eye(2), n_iter=1, tolerance=0).fit(votes)
    np.testing.assert_array_equal(model.probabilities_, [[0.5, 0.5]])
    assert model.log_likelihood_ == -np.inf


def test_dawid_skene__a_row_without_mass_keeps_its_start():
    votes = pd.DataFrame({"task": list("ab"), "worker": list("uu"), "label": list("xx")})
    start = np.array([[1.0, 0.0], [0.2, 0.8]])  # an x rules nothing out, but class y cannot give two
    model = DawidSkene(start=np.array([[1.0, 0], [0, 1]]), n_iter=1, pseudo_counts=0, tolerance=0, classes=["x", "y"])
    np.testing.assert_array_equal(model.fit(votes).confusion_[0], np.eye(2))
    model.set_params(start=start)
    assert model.fit(votes).confusion_[0, 0].tolist() == [1, 0]


@pytest.mark.parametrize("model", [MajorityVote(), OneCoin(), DawidSkene()])
@pytest.mark.parametrize(
    ("ratings", "labels"),
    [
        ([(0, 0, 0)], [0]),  # one of each
        ([(0, 0, 1), (1, 0, 0), (2, 0, 1)], [1, 0, 1]),  # one rater
        ([(0, 0, 0), (1, 1, 0)], [0, 0]),  # one class
    ],
)
def test_estimators__degenerate_input_has_the_obvious_answer(model, ratings, labels):
    sizes = [1 + max(column) for column in zip(*ratings, strict=True)]
    model.fit(coded(ratings, *sizes))
    assert model.labels_.tolist() == labels
    assert np.isfinite(model.log_likelihood_)


def test_dawid_skene__items_without_ratings_get_the_prevalence():
    model = DawidSkene(n_iter=3, tolerance=0).fit(coded([(0, 0, 0), (1, 0, 0), (1, 1, 0), (2, 1, 1)]))
    np.testing.assert_allclose(model.probabilities_[3], model.probabilities_[4])
    assert model.probabilities_[3].argmax() == 0


def test_dawid_skene__a_given_confusion_is_the_start():
    ratings, truth = simulated(n_items=500, n_classes=2, per_item=3)
    liars = np.array([[0.3, 0.7], [0.7, 0.3]])
    model = DawidSkene(start=liars, pseudo_counts=0).fit(ratings)
    assert (model.labels_ == truth).mean() < 0.5  # the mirrored optimum
    assert model.confusion_[:, 0, 1].mean() > 0.5


def test_dawid_skene__squarem_reaches_the_likelihood_in_half_the_passes():
    ratings, _ = simulated(n_items=5000, per_item=2, n_classes=8, n_raters=50)
    plain = DawidSkene(tolerance=1e-9).fit(ratings)
    fast = DawidSkene(tolerance=1e-9, acceleration="squarem").fit(ratings)
    assert fast.objective_[-1] >= plain.objective_[-1] - 1e-6 * len(ratings.item)
    assert fast.n_iter_ <= plain.n_iter_ / 2


def test_dawid_skene__warns_with_the_share_of_labels_still_moving():
    ratings, _ = simulated(n_items=2000, per_item=2, n_classes=8)
    with pytest.warns(ConvergenceWarning, match=r"the 5 iterations ended .* label of \d+\.\d+% of the items"):
        model = DawidSkene(n_iter=5).fit(ratings)
    assert not model.converged_
    assert 0 < model.moving_ < 1


def test_dawid_skene__a_fixed_number_of_iterations_warns_only_if_labels_move():
    votes = pd.DataFrame({"task": list("aabb"), "worker": list("uvuv"), "label": list("xxyy")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DawidSkene(n_iter=3, tolerance=0).fit(votes)
    assert model.n_iter_ == 3


def test_estimators__have_scikit_learns_form():
    model = DawidSkene.preset("paper", jobs=2)
    twin = DawidSkene(**model.get_params())
    assert twin.get_params() == model.get_params()
    assert twin.set_params(n_iter=5, jobs=1) is twin
    assert twin.n_iter == 5
    votes = pd.DataFrame({"task": list("ab"), "worker": list("uu"), "label": list("xy")})
    assert twin.fit(votes) is twin
    assert twin.fit_predict(votes).tolist() == ["x", "y"]
    assert twin.fit_predict_proba(votes).shape == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_iter": 0}, "n_iter must be a whole number from 1 on, got 0"),
        ({"n_iter": np.nan}, "n_iter must be a whole number from 1 on, got nan"),
        ({"n_iter": True}, "n_iter must be a whole number from 1 on, got True"),
        ({"tolerance": "a"}, "tolerance must be a finite number from 0 on, got 'a'"),
        ({"pseudo_counts": "a"}, r"pseudo_counts must be a number from 0 to 1e\+15, got 'a'"),
        ({"pseudo_counts": True}, r"pseudo_counts must be a number from 0 to 1e\+15, got True"),
        ({"start": True}, r"start, an initial quality, must lie in \(0, 1\], got True"),
        ({"start": 0}, r"start, an initial quality, must lie in \(0, 1\], got 0"),
        ({"start": [[1, 0], [1]]}, r"start must be a quality, 'votes' or a confusion, got \[\[1, 0\], \[1\]\]"),
        ({"tolerance": -1}, "tolerance must be a finite number from 0 on, got -1"),
        ({"tolerance": np.nan}, "tolerance must be a finite number from 0 on, got nan"),
        ({"tolerance": np.inf}, "tolerance must be a finite number from 0 on, got inf"),
        ({"start": 1.5}, r"start, an initial quality, must lie in \(0, 1\], got 1.5"),
        ({"start": np.nan}, r"start, an initial quality, must lie in \(0, 1\], got nan"),
        ({"start": -np.inf}, r"start, an initial quality, must lie in \(0, 1\], got -inf"),
        ({"start": [[1, 0], [np.nan, 1]]}, r"row \(1,\) is \[nan, 1.0\] \(1 of 2 rows"),
        ({"start": "vote"}, "start must be a quality, 'votes' or a confusion, got 'vote'"),
        ({"start": np.eye(3)}, r"shape \(2, 2\) or \(1, 2, 2\) .* got \(3, 3\)"),
        ({"start": [[1, 0], [0.5, 0.4]]}, r"row \(1,\) is \[0.5, 0.4\] \(1 of 2 rows"),
        ({"pseudo_counts": -1}, r"pseudo_counts must be a number from 0 to 1e\+15, got -1"),
        ({"pseudo_counts": np.nan}, r"pseudo_counts must be a number from 0 to 1e\+15, got nan"),
        ({"pseudo_counts": np.inf}, r"pseudo_counts must be a number from 0 to 1e\+15, got inf"),
        ({"acceleration": "turbo"}, "acceleration must be None or 'squarem', got 'turbo'"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"classes": ["x"]}, r"labels outside the classes \['x'\]: \['y'\]"),
    ],
)
def test_dawid_skene__says_what_is_wrong_with_an_argument(arguments, message):
    votes = pd.DataFrame({"task": list("ab"), "worker": list("uu"), "label": list("xy")})
    with pytest.raises(ValueError, match=message):
        DawidSkene(**arguments).fit(votes)


@pytest.mark.parametrize("argument", ["n_iter", "start", "tolerance", "pseudo_counts"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1])
def test_one_coin__says_what_is_wrong_with_an_argument(argument, value):
    votes = pd.DataFrame({"task": list("ab"), "worker": list("uu"), "label": list("xy")})
    with pytest.raises(ValueError, match=f"^{argument}.* must .*got {re.escape(str(value))}"):
        OneCoin(**{argument: value}).fit(votes)


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ({"c": "x"}, r"gold has items that the ratings lack: \['c'\] \(1 of 1\)"),
        ({"a": "z"}, r"gold has classes that the ratings lack: \['z'\] \(1 of 1\)"),
        (np.array([0]), "one integer for each of 2 items"),
        (np.array([0, 2]), r"must lie in -1 … 1, got 0 … 2"),
    ],
)
def test_dawid_skene__says_what_is_wrong_with_gold(gold, message):
    votes = pd.DataFrame({"task": list("ab"), "worker": list("uu"), "label": list("xy")})
    with pytest.raises(ValueError, match=message):
        DawidSkene().fit(votes, gold=gold)


def test_estimators__other_mistakes():
    with pytest.raises(TypeError, match="DataFrame, Ratings or EncodedRatings, got list"):
        DawidSkene().fit([1, 2])
    with pytest.raises(ValueError, match="at least one item and one class, got 0 items"):
        DawidSkene().fit(pd.DataFrame({"task": [], "worker": [], "label": []}))
    with pytest.raises(ValueError, match="OneCoin has no argument 'speed'"):
        OneCoin().set_params(speed=2)
    with pytest.raises(TypeError, match="quality or 'votes', got ndarray"):
        OneCoin(start=np.eye(2)).fit(pd.DataFrame({"task": ["a"], "worker": ["u"], "label": ["x"]}))
    with pytest.raises(ValueError, match="no preset 'article'"):
        DawidSkene.preset("article")


@pytest.mark.parametrize(
    "ratings", [pd.DataFrame({"task": ["a"], "worker": ["u"], "label": ["x"]}), coded([(0, 0, 0)])]
)
def test_estimators__classes_are_not_taken_letter_by_letter(ratings):
    with pytest.raises(TypeError, match=r"classes must be a sequence of names, got the text 'xyz'; write \['xyz'\]"):
        MajorityVote(classes="xyz").fit(ratings)


@pytest.mark.parametrize(
    ("estimator", "text"),
    [
        (DawidSkene(), "DawidSkene()"),
        (MajorityVote(classes=["x", "y"]), "MajorityVote(classes=['x', 'y'])"),
        (OneCoin(start="votes", jobs=2), "OneCoin(start='votes', jobs=2)"),
        (DawidSkene.preset("paper"), "DawidSkene(n_iter=70, tolerance=0.0, pseudo_counts=0.0)"),
        (DawidSkene(start=np.eye(2, dtype=int)), "DawidSkene(start=array([[1, 0],\n       [0, 1]]))"),
    ],
)
def test_estimators__show_the_arguments_that_differ_from_the_defaults(estimator, text):
    assert repr(estimator) == text


@pytest.mark.parametrize(
    ("estimator", "hint"),
    [
        (OneCoin(n_iter=2), r"allow more \(n_iter\)$"),
        (DawidSkene(n_iter=2), r"allow more \(n_iter\), or let acceleration='squarem' need fewer$"),
        (DawidSkene(n_iter=2, acceleration="squarem"), r"allow more \(n_iter\)$"),
    ],
)
def test_estimators__the_warning_advises_what_the_estimator_has(estimator, hint):
    votes = pd.DataFrame({"task": list("aabbcc"), "worker": list("uvuvuv"), "label": list("xyyyxx")})
    with pytest.warns(ConvergenceWarning, match=hint):
        estimator.fit(votes)


def test_chunks__depend_on_the_data_alone_and_cover_every_item():
    ratings, _ = simulated()
    sparse = sparse_ratings(ratings)
    assert isinstance(sparse, SparseRatings)
    items = np.concatenate([np.arange(c.start, c.stop) for c in sparse.chunks])
    np.testing.assert_array_equal(items, np.arange(ratings.n_items))
    assert len(sparse.chunks) == 2


def test_encoded_ratings__can_be_fitted_as_they_are():
    votes = pd.DataFrame({"task": list("ab"), "worker": list("uu"), "label": list("xy")})
    assert DawidSkene().fit(encode_ratings(votes)).labels_.tolist() == ["x", "y"]


def test_estimators__classes_name_integer_codes():
    ratings = coded([(0, 0, 1), (1, 0, 0)], 2, 1, 2)
    assert MajorityVote(classes=["x", "y"]).fit_predict(ratings).tolist() == ["y", "x"]
    with pytest.raises(ValueError, match="the ratings have 2 classes, but 1 names came"):
        MajorityVote(classes=["x"]).fit(ratings)
