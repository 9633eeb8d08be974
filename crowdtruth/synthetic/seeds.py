"""One generator for every thing that is drawn, so that each can be drawn again alone."""

from enum import IntEnum
from zlib import crc32

import numpy as np
from numpy.random import Generator, SeedSequence


class Stream(IntEnum):
    """What a generator draws."""

    SLIDE = 0
    FOV = 1
    RATER = 2
    QUEUE = 3
    SUGGESTION = 4
    HABIT = 5  # what a rater repeats in every condition
    ROUND = 6  # what a rater does in one condition
    COHORT = 7  # what the raters of a cohort share about an FOV
    TIME = 8  # when a rater visits an FOV in one condition
    SIZE = 9  # how many nuclei the FOVs of the study have


def generator(seed: int, stream: Stream, *key: int | str) -> Generator:
    """The generator of `stream` for these numbers and names; no other generator's draws matter to it."""
    words = [crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return np.random.default_rng(SeedSequence(seed, spawn_key=(int(stream), *words)))
