"""Majority vote, one-coin and Dawid–Skene: true classes and raters' confusion, one interface.

The form is scikit-learn's (`get_params`, `set_params`, `fit` returns the estimator), without its import. Ratings are a
table (see `crowdtruth.ratings.encode_ratings`) or integer codes. After `fit` every estimator has

- ``labels_`` (n_items,): the most probable class of each item, the first in class order on ties (to 1e-9)
- ``probabilities_`` (n_items, n_classes): its posterior; uniform where nothing is known or all classes are ruled out
- ``confusion_`` (n_raters, n_classes, n_classes), axes [rater, true, assigned], rows sum to one
- ``prevalence_`` (n_classes,)
- ``log_likelihood_``, in nats, of the parameters that gave `probabilities_`
- ``objective_``: log-likelihood plus log-prior at each iteration; it never falls beyond rounding
- ``n_iter_``, passes over the ratings; ``converged_``; ``moving_``, the share of items whose label the next iteration
  would change
- ``items_``, ``raters_``, ``classes_``: the names, or 0, 1, … for codes
- ``n_repeats_``: how many ratings come on top of another one of the same item by the same rater (all of them count)
"""

import inspect
import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdtruth.ratings import EncodedRatings
from crowdtruth.truth.arguments import (
    PRIOR_QUALITY,
    Gold,
    RatingsLike,
    check_fit_arguments,
    encode,
    pseudo_table,
    start_table,
)
from crowdtruth.truth.expectation import (
    Fit,
    FreeConfusion,
    Model,
    OneQuality,
    Passes,
    SparseRatings,
    Table,
    confusion_of,
    evaluate,
    expectation_maximization,
    most_probable,
    passes_over,
    vote_posteriors,
)
from crowdtruth.truth.squarem import squarem

DEFAULT_START = 0.7
DEFAULT_ITERATIONS = 1000
DEFAULT_TOLERANCE = 1e-8
DEFAULT_PSEUDO_COUNTS = 2.0
"""Chosen with the start by the comparison in docs/methods/truth.md."""

PRESETS: dict[str, dict[str, Any]] = {"paper": {"start": 0.7, "n_iter": 70, "tolerance": 0.0, "pseudo_counts": 0.0}}


class ConvergenceWarning(RuntimeWarning):
    """The iterations ended before the fit had settled.

    Examples
    --------
    >>> import pandas as pd
    >>> votes = pd.DataFrame({"task": list("aab"), "worker": list("uvu"), "label": list("xyy")})
    >>> with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
    ...     OneCoin(n_iter=1).fit(votes).converged_
    False
    """


class Estimator:
    """What all three have in common: the results, and the methods that follow from `fit`."""

    labels_: NDArray[Any]
    probabilities_: NDArray[np.float64]
    confusion_: NDArray[np.float64]
    prevalence_: NDArray[np.float64]
    log_likelihood_: float
    objective_: NDArray[np.float64]
    n_iter_: int
    converged_: bool
    moving_: float
    items_: NDArray[Any]
    raters_: NDArray[Any]
    classes_: NDArray[Any]
    n_repeats_: int

    def __repr__(self) -> str:
        """The call that makes this estimator: the arguments that differ from the defaults."""
        defaults = inspect.signature(type(self)).parameters
        changed = {k: repr(v) for k, v in self.get_params().items() if repr(v) != repr(defaults[k].default)}
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in changed.items())})"

    def fit(self, ratings: RatingsLike, gold: Gold | None = None) -> Self:
        """Infer from ratings, with the true classes of some items given."""
        raise NotImplementedError

    def fit_predict(self, ratings: RatingsLike, gold: Gold | None = None) -> NDArray[Any]:
        """`labels_` after `fit`."""
        return self.fit(ratings, gold).labels_

    def fit_predict_proba(self, ratings: RatingsLike, gold: Gold | None = None) -> NDArray[np.float64]:
        """`probabilities_` after `fit`."""
        return self.fit(ratings, gold).probabilities_

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Change arguments by name; returns the estimator."""
        for name, value in parameters.items():
            if name not in self.get_params():
                raise ValueError(f"{type(self).__name__} has no argument {name!r}; it has {sorted(self.get_params())}")
            setattr(self, name, value)
        return self


class MajorityVote(Estimator):
    """Shares of the votes; every rater counts the same.

    `confusion_` and `prevalence_` are what the vote shares imply; a class that a rater never met has a uniform row.

    Parameters
    ----------
    classes : in order; default: the labels that occur, sorted

    Examples
    --------
    >>> import pandas as pd
    >>> votes = pd.DataFrame({"task": list("aaab"), "worker": list("uvwu"), "label": ["x", "x", "y", "y"]})
    >>> MajorityVote().fit_predict(votes)
    array(['x', 'y'], dtype=object)
    """

    def __init__(self, *, classes: Sequence[Any] | None = None) -> None:
        self.classes = classes

    def fit(self, ratings: RatingsLike, gold: Gold | None = None) -> Self:
        """Count the votes; `gold` gives the class of some items (name → class, or a code per item with -1)."""
        encoded, sparse = encode(ratings, self.classes, gold)
        model = FreeConfusion(sparse, start_table(sparse, "votes"), pseudo_table(sparse, 0.0))
        shares = vote_posteriors(sparse)
        with passes_over(sparse, 1) as passes:
            table = model.maximise(passes.sums_of(shares))
            log_likelihood = evaluate(passes, model, table).log_likelihood
        objective = np.array([log_likelihood])
        _publish(self, encoded, sparse, Fit(shares, table, log_likelihood, objective, 1, True, 0.0))
        return self


class OneCoin(Estimator):
    """Raters who are each right with one probability, whatever the class, and else err evenly, by EM.

    Parameters
    ----------
    start : the initial quality of every rater, in (0, 1]; or "votes": from the vote shares
    n_iter : most iterations
    tolerance : iterations end when the objective gains less than this per rating, in nats; 0: never early
    pseudo_counts : ratings added to each rater's own, right as often as `PRIOR_QUALITY`; and items added to each class
    classes : in order; default: the labels that occur, sorted
    jobs : threads; no bit of the result depends on it

    Examples
    --------
    >>> import pandas as pd
    >>> votes = pd.DataFrame({"task": list("aaabbb"), "worker": list("uvwuvw"), "label": list("xxyyyx")})
    >>> OneCoin().fit_predict(votes)
    array(['x', 'y'], dtype=object)
    """

    def __init__(
        self,
        *,
        start: float | str = DEFAULT_START,
        n_iter: int = DEFAULT_ITERATIONS,
        tolerance: float = DEFAULT_TOLERANCE,
        pseudo_counts: float = DEFAULT_PSEUDO_COUNTS,
        classes: Sequence[Any] | None = None,
        jobs: int = 1,
    ) -> None:
        self.start = start
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.pseudo_counts = pseudo_counts
        self.classes = classes
        self.jobs = jobs

    def fit(self, ratings: RatingsLike, gold: Gold | None = None) -> Self:
        """Infer by EM; `gold` gives the class of some items (name → class, or a code per item with -1)."""
        check_fit_arguments(self.n_iter, self.tolerance, self.pseudo_counts)
        if not isinstance(self.start, (str, Real)):
            raise TypeError(f"the start of one-coin is a quality or 'votes', got {type(self.start).__name__}")
        encoded, sparse = encode(ratings, self.classes, gold)
        start = start_table(sparse, self.start)
        model = OneQuality(sparse, start, PRIOR_QUALITY, self.pseudo_counts)
        with passes_over(sparse, self.jobs) as passes:
            if isinstance(self.start, str):
                start = _from_votes(passes, sparse, model)
            fit = expectation_maximization(passes, model, start, n_iter=self.n_iter, tolerance=self.tolerance)
        _warn_unless_settled(fit, self.tolerance)
        _publish(self, encoded, sparse, fit)
        return self


class DawidSkene(Estimator):
    """Raters who each have a confusion matrix of their own, by EM.

    An iteration is E then M: `probabilities_` are those of the last E-step, `confusion_` that of the last M-step. Where
    a rater has no mass for a true class, that row keeps its start.

    Parameters
    ----------
    start : the initial quality of every rater, in (0, 1]; or "votes": from the vote shares; or a confusion
        (n_raters, n_classes, n_classes) or (n_classes, n_classes), axes [rater, true, assigned], rows sum to one
    n_iter : most iterations, each one pass over the ratings
    tolerance : iterations end when the objective gains less than this per rating, in nats; 0: never early
    pseudo_counts : ratings added to each row of each rater's confusion, right as often as `PRIOR_QUALITY` and else
        spread evenly; and items added to each class
    classes : in order; default: the labels that occur, sorted
    acceleration : None, or "squarem": fewer passes to the same likelihood
    jobs : threads; no bit of the result depends on it

    References
    ----------
    Dawid and Skene (1979), Applied Statistics 28, 20–28.

    Examples
    --------
    >>> import pandas as pd
    >>> votes = pd.DataFrame({"task": list("aaabbb"), "worker": list("uvwuvw"), "label": list("xxyyyx")})
    >>> model = DawidSkene().fit(votes)
    >>> model.labels_, model.probabilities_.round(2)
    (array(['x', 'y'], dtype=object), array([[0.92, 0.08],
           [0.08, 0.92]]))
    """

    def __init__(
        self,
        *,
        start: float | str | ArrayLike = DEFAULT_START,
        n_iter: int = DEFAULT_ITERATIONS,
        tolerance: float = DEFAULT_TOLERANCE,
        pseudo_counts: float = DEFAULT_PSEUDO_COUNTS,
        classes: Sequence[Any] | None = None,
        acceleration: Literal["squarem"] | None = None,
        jobs: int = 1,
    ) -> None:
        self.start = start
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.pseudo_counts = pseudo_counts
        self.classes = classes
        self.acceleration = acceleration
        self.jobs = jobs

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """An estimator with the arguments of a preset: "paper" is 0.7, 70 iterations, no pseudo-counts.

        Raises
        ------
        ValueError
            If there is no preset of this name.

        Examples
        --------
        >>> DawidSkene.preset("paper").n_iter
        70
        """
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}; there are {sorted(PRESETS)}")
        return cls(**{**PRESETS[name], **changes})

    def fit(self, ratings: RatingsLike, gold: Gold | None = None) -> Self:
        """Infer by EM; `gold` gives the class of some items (name → class, or a code per item with -1)."""
        check_fit_arguments(self.n_iter, self.tolerance, self.pseudo_counts)
        if self.acceleration not in (None, "squarem"):
            raise ValueError(f"acceleration must be None or 'squarem', got {self.acceleration!r}")
        encoded, sparse = encode(ratings, self.classes, gold)
        start = start_table(sparse, self.start)
        model = FreeConfusion(sparse, start, pseudo_table(sparse, self.pseudo_counts))
        maximise = squarem if self.acceleration else expectation_maximization
        with passes_over(sparse, self.jobs) as passes:
            if isinstance(self.start, str):
                start = _from_votes(passes, sparse, model)
            fit = maximise(passes, model, start, n_iter=self.n_iter, tolerance=self.tolerance)
        hint = "" if self.acceleration else ", or let acceleration='squarem' need fewer"
        _warn_unless_settled(fit, self.tolerance, hint)
        _publish(self, encoded, sparse, fit)
        return self


def _from_votes(passes: Passes, sparse: SparseRatings, model: Model) -> Table:
    """Parameters after an M-step from the vote shares."""
    return model.maximise(passes.sums_of(vote_posteriors(sparse)))


def _warn_unless_settled(fit: Fit, tolerance: float, hint: str = "") -> None:
    """Warn where the iterations ended early; if their number was asked for (tolerance 0), only if labels still move."""
    if fit.converged or (tolerance == 0 and fit.moving == 0):
        return
    warnings.warn(
        f"the {fit.n_iter} iterations ended before convergence: the next one would change the label of "
        f"{fit.moving:.2%} of the items; allow more (n_iter){hint}",
        ConvergenceWarning,
        stacklevel=3,
    )


def _publish(estimator: Estimator, encoded: EncodedRatings, sparse: SparseRatings, fit: Fit) -> None:
    """Give the estimator its results."""
    estimator.labels_ = encoded.classes[most_probable(fit.posteriors)]
    estimator.probabilities_ = fit.posteriors
    estimator.confusion_ = confusion_of(sparse, fit.table)
    estimator.prevalence_ = fit.table[-1, : sparse.n_classes].copy()
    estimator.log_likelihood_ = fit.log_likelihood
    estimator.objective_ = fit.objective
    estimator.n_iter_ = fit.n_iter
    estimator.converged_ = fit.converged
    estimator.moving_ = fit.moving
    estimator.items_, estimator.raters_, estimator.classes_ = encoded.items, encoded.raters, encoded.classes
    estimator.n_repeats_ = sparse.n_repeats
