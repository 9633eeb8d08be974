"""Which updates there are and what they see: from number and seed alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nucls_model.config import CONFIGURATIONS, NuclsConfig
from nucls_model.train.batches import parts_of_updates
from nucls_model.train.schedule import Draw, draws_of, phases_of, spawned_seed, split_evenly
from tests.nucls_model.training_cases import tiny_data

SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_phases_of__second_where_the_classes_have_a_part_of_their_own(name):
    config = NuclsConfig(**CONFIGURATIONS[name], detector_updates=15, classifier_updates=3)
    phases = phases_of(config)
    assert phases[0].last == 15
    assert [phase.is_detector_frozen for phase in phases] == (
        [False, True] if name in ["3", "4", "4+", "7", "7+"] else [False]
    )
    assert phases[-1].last == (18 if len(phases) == 2 else 15)


@pytest.mark.parametrize("updates", [(0, 0), (-1, 5), (5, -1)])
def test_phases_of__needs_an_update(updates):
    first, second = updates
    with pytest.raises(ValueError, match=f"at least one update, got {first} of the detector and {second} of the class"):
        phases_of(NuclsConfig(detector_updates=first, classifier_updates=second))


def test_phases_of__without_updates_of_the_detector_trains_the_classes_alone():
    [phase] = phases_of(NuclsConfig(detector_updates=0, classifier_updates=5))
    assert (phase.name, phase.first, phase.last) == ("classifier", 0, 5)


@given(seed=SEEDS, update=st.integers(0, 10**6))
def test_draws_of__follow_from_number_and_seed(seed, update):
    weights = torch.tensor([1.0, 2.0, 0.0, 4.0])
    draws = draws_of(update, weights=weights, batch_size=4, seed=seed)
    assert draws == draws_of(update, weights=weights, batch_size=4, seed=seed)
    assert 2 not in [draw.place for draw in draws]  # no weight, never drawn
    assert len({draw.seed for draw in draws}) == 4  # the same FOV twice is not the same crop twice


def test_draws_of__frequencies_are_the_weights():
    weights = torch.tensor([1.0, 2.0, 5.0])
    places = [draw.place for update in range(500) for draw in draws_of(update, weights=weights, batch_size=8, seed=1)]
    shares = torch.bincount(torch.tensor(places)) / len(places)
    torch.testing.assert_close(shares, weights / 8, rtol=0, atol=0.02)  # three standard deviations of 4,000 draws


@given(
    seed=SEEDS, paths=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), min_size=2, max_size=5, unique=True)
)
def test_spawned_seed__differs_from_place_to_place(seed, paths):
    seeds = {spawned_seed(seed, *path) for path in paths}
    assert len(seeds) == len(paths)
    assert all(0 <= value < 2**63 for value in seeds)


@given(n_parts=st.integers(1, 6), size=st.integers(1, 4))
def test_split_evenly__keeps_order_and_size(n_parts, size):
    draws = [Draw(place, 0) for place in range(n_parts * size)]
    parts = split_evenly(draws, n_parts)
    assert [draw for part in parts for draw in part] == draws
    assert {len(part) for part in parts} == {size}


@pytest.mark.parametrize("n_parts", [3, 5])
def test_split_evenly__refuses_what_does_not_divide(n_parts):
    with pytest.raises(ValueError, match=f"4 images does not divide into {n_parts}"):
        split_evenly([Draw(0, 0)] * 4, n_parts)


@pytest.mark.parametrize(("n_processes", "n_accumulated"), [(1, 4), (2, 2), (4, 1)])
def test_parts_of_updates__all_processes_together_see_what_one_sees(n_processes, n_accumulated):
    options = {"batch_size": 4, "seed": 5}
    alone = list(parts_of_updates(tiny_data(), 2, 4, n_accumulated=4, **options))
    shared = [
        list(
            parts_of_updates(
                tiny_data(), 2, 4, rank=rank, n_processes=n_processes, n_accumulated=n_accumulated, **options
            )
        )
        for rank in range(n_processes)
    ]
    together = [
        part
        for update in range(2)
        for own in shared
        for part in own[update * n_accumulated : (update + 1) * n_accumulated]
    ]
    for one, other in zip(alone, together, strict=True):
        assert one.fovs == other.fovs
        assert torch.equal(one.images[0], other.images[0])
        assert one.generator.initial_seed() == other.generator.initial_seed()


def test_parts_of_updates__an_image_drawn_twice_is_changed_in_two_ways():
    [part] = parts_of_updates(tiny_data(n_fovs=1), 0, 1, batch_size=2, seed=5)
    assert part.fovs == ["fov-0", "fov-0"]
    assert not torch.equal(part.images[0], part.images[1])
