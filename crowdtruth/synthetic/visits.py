"""When raters work: one condition after the other, the FOVs of each in an order of the rater's own."""

from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdtruth.synthetic.parameters import ConditionParameters, SyntheticParameters
from crowdtruth.synthetic.raters import RaterTraits
from crowdtruth.synthetic.seeds import Stream, generator

_OPENS, _HOURS = 9, 8  # a working day, from nine to five
_SECONDS = (2.0, 10.0)  # from one mark to the next


class Place(NamedTuple):
    """One FOV in one condition, with what is needed to draw it again."""

    fov: int
    condition: ConditionParameters
    seed: int
    round: int = 0  # place of the condition in time


def rounds_passed(traits: RaterTraits, asked: NDArray[np.intp], place: Place) -> NDArray[np.float64]:
    """When each asked rater visits this FOV, in rounds since the study began: (n_asked,)."""
    return place.round + np.array([_visit(traits.rater[row], place).random() for row in asked]).reshape(len(asked))


def mark_times(
    parameters: SyntheticParameters,
    traits: RaterTraits,
    asked: NDArray[np.intp],
    rater: NDArray[np.intp],
    place: Place,
) -> NDArray[np.str_]:
    """When each mark was made, as ISO 8601 times without a zone: (n_marks,).

    `rater` (n_marks,) has the marks of a rater together, in the order in which they are made. Nobody works at night or
    on weekends; two visits of one rater may overlap, since each is drawn without looking at the others.
    """
    begins = dict(zip(asked.tolist(), _begin(parameters, rounds_passed(traits, asked, place)), strict=True))
    times = [np.zeros(0, "datetime64[s]")]
    for row, n_marks in zip(*np.unique(rater, return_counts=True), strict=True):
        rng = _visit(traits.rater[row], place)
        rng.random()  # the visit itself
        seconds = rng.uniform(*_SECONDS, n_marks).cumsum()
        times.append(begins[row] + seconds.astype("timedelta64[s]"))
    return np.datetime_as_string(np.concatenate(times))


def _visit(rater: str, place: Place) -> np.random.Generator:
    """First the place of the visit in its round, then the seconds between its marks."""
    return generator(place.seed, Stream.TIME, place.fov, rater, place.condition.name)


def _begin(parameters: SyntheticParameters, rounds: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Begin of visits at these numbers of rounds, to the second: (n,) -> (n,)."""
    start = np.datetime64(date.fromisoformat(parameters.start), "s")
    workday, part = np.divmod(rounds * parameters.weeks_per_condition * 5, 1)
    days = workday // 5 * 7 + workday % 5
    seconds = days * 86_400 + (_OPENS + part * _HOURS) * 3_600
    return start + seconds.astype("timedelta64[s]")
