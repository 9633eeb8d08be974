"""Simulations that are interrupted, or done by a cluster that loses a worker: the same bytes in the end."""

import os
import signal
import sys

import numpy as np
import pandas as pd
import pytest

from crowdtruth.files import write_table
from crowdtruth.parallel import Silent, reporting_to
from crowdtruth.simulation import make_experiment, parts, simulate, simulate_into, simulate_parts, workers
from crowdtruth.truth import DawidSkene

N = 90  # realizations: five blocks


def experiment_of(seed, cohort="all"):
    rng = np.random.default_rng(seed)
    item, rater = (axis.ravel() for axis in np.indices((24, 5)))
    true = rng.integers(0, 2, 24)
    label = np.where(rng.random(120) < 0.7, true[item], rng.integers(0, 3, 120))
    ratings = pd.DataFrame({
        "anchor": item.astype(str), "fov": (item // 6).astype(str), "rater": rater.astype(str),
        "label": np.array(["x", "y", "undetected"])[label],
    })  # fmt: skip
    told = pd.DataFrame({"anchor": np.arange(24).astype(str), "true": np.array(["x", "y"])[true]})
    return make_experiment(ratings, told, cohort=cohort, estimator=DawidSkene.preset("paper"))


class After(Silent):
    """Does something once, when some of the results have come."""

    def __init__(self, n_results, act):
        self.left, self.act = n_results, act

    def track(self, items, description, total):
        for item in items:
            yield item
            self.left -= 1
            if self.left == 0:
                self.act()


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture
def blocks_done(monkeypatch):
    done = []

    def counted(every_k, experiment, numbers):
        done.append(numbers[0])
        return run_block(every_k, experiment, numbers)

    run_block = parts.run_block
    monkeypatch.setattr(parts, "run_block", counted)
    return done


def test_simulate_into__writes_the_table_of_simulate(tmp_path):
    experiments = [experiment_of(0, "P"), experiment_of(1, "NP")]
    table = simulate_into(tmp_path / "new", experiments, 3)
    pd.testing.assert_frame_equal(table, pd.concat([simulate(e, 3) for e in experiments], ignore_index=True))
    write_table(table, tmp_path / "expected.csv")
    assert (tmp_path / "new" / "redundancy.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["redundancy.csv"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_simulate_into__continues_where_it_was_interrupted(tmp_path, blocks_done, jobs):
    experiment = experiment_of(0)
    simulate_into(tmp_path / "whole", [experiment], N)
    blocks_done.clear()
    with pytest.raises(KeyboardInterrupt), reporting_to(After(2, interrupt)):
        simulate_into(tmp_path / "torn", [experiment], N, jobs=jobs)
    assert not (tmp_path / "torn" / "redundancy.csv").exists()
    kept = len(list((tmp_path / "torn" / parts.PARTS).glob("*.npy")))
    assert kept >= 2
    blocks_done.clear()
    simulate_into(tmp_path / "torn", [experiment], N)
    assert len(blocks_done) == 5 - kept
    assert (tmp_path / "torn" / "redundancy.csv").read_bytes() == (tmp_path / "whole" / "redundancy.csv").read_bytes()


def test_simulate_parts__does_more_realizations_on_top(tmp_path, blocks_done):
    experiment = experiment_of(0)
    simulate_parts(tmp_path, [experiment], 40)
    blocks_done.clear()
    table = simulate_parts(tmp_path, [experiment], N)
    assert blocks_done == [40, 60, 80]
    pd.testing.assert_frame_equal(table, simulate(experiment, N))


def test_simulate_parts__of_other_ratings_are_not_used(tmp_path, blocks_done):
    simulate_parts(tmp_path, [experiment_of(0)], 20)
    blocks_done.clear()
    table = simulate_parts(tmp_path, [experiment_of(1)], 20)
    assert blocks_done == [0]
    assert len(list((tmp_path / parts.PARTS).iterdir())) == 1
    pd.testing.assert_frame_equal(table, simulate(experiment_of(1), 20))


def test_simulate_parts__leaves_out_what_only_another_experiment_has(tmp_path):
    ratings = pd.DataFrame({"anchor": ["p", "p"], "fov": "f", "rater": ["r", "s"], "label": "x"})
    small = make_experiment(ratings, pd.DataFrame({"anchor": ["p"], "true": "x"}), cohort="small")
    table = simulate_parts(tmp_path, [small, experiment_of(0, "large")], 2, raters_per_fov=[1, 4])
    assert table.groupby("cohort")["raters_per_fov"].unique().map(list).to_dict() == {"small": [1], "large": [1, 4]}


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"nonsense"])
def test_simulate_parts__that_are_broken_are_done_again(tmp_path, blocks_done, content):
    simulate_parts(tmp_path, [experiment_of(0)], 20)
    next((tmp_path / parts.PARTS).iterdir()).write_bytes(content)
    blocks_done.clear()
    table = simulate_parts(tmp_path, [experiment_of(0)], 20)
    assert blocks_done == [0]
    pd.testing.assert_frame_equal(table, simulate(experiment_of(0), 20))


def test_simulate__on_a_cluster_that_loses_a_worker_gives_the_same_rows():
    distributed = pytest.importorskip("distributed")
    experiment = experiment_of(0)
    expected = simulate(experiment, 600)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            worker = next(iter(client.run(os.getpid).values()))
        with reporting_to(After(10, lambda: os.kill(worker, signal.SIGKILL))):
            rows = simulate(experiment, 600, address=cluster.scheduler_address)
    pd.testing.assert_frame_equal(rows, expected)


def test_simulate__says_where_no_cluster_answers(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "_PATIENCE", 0.2)
    with pytest.raises(ValueError, match="no Dask scheduler answers at tcp"):
        simulate(experiment_of(0), 2, address="tcp://127.0.0.1:1")


def test_simulate__says_what_a_cluster_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"pip install 'nucls\[dask\]'"):
        simulate(experiment_of(0), 2, address="tcp://127.0.0.1:1")
