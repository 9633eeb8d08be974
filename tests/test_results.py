import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from crowdtruth.results import RECORD, ResultFolder, open_results, read_result, run_step


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


def opened(out: Path, study: Path, inputs: dict[str, str] | None = None) -> ResultFolder:
    return open_results(out, command="run", study=study, inputs=inputs or {"a.csv": "0"}, options={})


class Counter:
    """A step's work that counts how often it is done."""

    def __init__(self, value: float = 0.1) -> None:
        self.calls = 0
        self.value = value

    def __call__(self) -> dict[str, pd.DataFrame]:
        self.calls += 1
        return {"anchors": pd.DataFrame({"anchor": ["f:1"], "xmin": [self.value]})}


@pytest.mark.parametrize("inner", [".", "results", "deep/results"])
def test_open_results__refuses_the_study_and_its_inside(study: Path, inner: str) -> None:
    with pytest.raises(ValueError, match="inside the study"):
        opened(study / inner, study)


def test_open_results__refuses_a_folder_with_foreign_files(study: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "raters.csv").write_text("rater\n")
    with pytest.raises(ValueError, match=r"holds files but no run.json"):
        opened(tmp_path / "other", study)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"steps": 3}',
        '{"steps": {"cluster": 5}}',
        '{"steps": {"cluster": {}}}',
        '{"steps": {"cluster": {"key": "", "after": 3, "files": {}}}}',
        '{"steps": {"cluster": {"key": "", "after": [], "files": {"a.csv": 1}}}}',
        "[" * 100_000,
    ],
    ids=range(8),
)
def test_open_results__refuses_a_foreign_record(study: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / RECORD).write_text(text)
    with pytest.raises(ValueError, match="is not the record of a run"):
        opened(tmp_path / "other", study)


def test_run_step__is_done_once_for_equal_inputs_and_options(study: Path, tmp_path: Path) -> None:
    work = Counter()
    for _ in range(3):
        run_step(opened(tmp_path / "out", study), "cluster", options={"iou": 0.25}, after=(), compute=work)
    assert work.calls == 1


@pytest.mark.parametrize("change", ["option", "input", "file", "missing file"])
def test_run_step__is_done_again_when_something_changed(study: Path, tmp_path: Path, change: str) -> None:
    out, work = tmp_path / "out", Counter()
    run_step(opened(out, study), "cluster", options={"iou": 0.25}, after=(), compute=work)
    if change == "file":
        (out / "anchors.csv").write_text("anchor,xmin\nf:1,0.2\n")
    if change == "missing file":
        (out / "anchors.csv").unlink()
    inputs = {"a.csv": "1" if change == "input" else "0"}
    options = {"iou": 0.5 if change == "option" else 0.25}
    run_step(opened(out, study, inputs), "cluster", options=options, after=(), compute=work)
    assert work.calls == 2
    assert read_result(out / "anchors.csv")["xmin"].tolist() == [0.1]


def test_run_step__removes_what_was_built_on_an_old_step(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    results = opened(out, study)
    run_step(results, "cluster", options={"iou": 0.25}, after=(), compute=Counter())
    run_step(
        results, "rate", options={}, after=("cluster",), compute=lambda: {"ratings": pd.DataFrame({"anchor": ["f:1"]})}
    )
    run_step(opened(out, study), "cluster", options={"iou": 0.5}, after=(), compute=Counter())
    assert not (out / "ratings.csv").exists()
    assert list(json.loads((out / RECORD).read_text())["steps"]) == ["cluster"]


def test_run_step__leaves_no_file_of_a_step_that_failed(study: Path, tmp_path: Path) -> None:
    def fail() -> dict[str, pd.DataFrame]:
        raise KeyboardInterrupt

    results = opened(tmp_path / "out", study)
    with pytest.raises(KeyboardInterrupt):
        run_step(results, "cluster", options={}, after=(), compute=fail)
    assert not (tmp_path / "out").exists()


def test_run_step__clears_what_a_killed_process_left(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (out / f".anchors.csv.{gone.pid}-1.part").write_text("anch")
    (out / f".truth.csv.{os.getppid()}-1.part").write_text("another process writes")
    (out / f".folder.{gone.pid}.part").mkdir()
    (out / ".DS_Store").write_text("no business of ours")
    run_step(opened(out, study), "cluster", options={}, after=(), compute=Counter())
    left = {f.name for f in out.iterdir()}
    assert left == {"anchors.csv", RECORD, ".DS_Store", f".truth.csv.{os.getppid()}-1.part", f".folder.{gone.pid}.part"}


def test_open_results__refuses_the_results_of_another_command(study: Path, tmp_path: Path) -> None:
    run_step(opened(tmp_path / "out", study), "cluster", options={}, after=(), compute=Counter())
    with pytest.raises(ValueError, match="holds the results of 'crowdtruth run', which 'crowdtruth infer'"):
        open_results(tmp_path / "out", command="infer", study=study, inputs={}, options={})


def test_run_step__never_follows_a_record_out_of_its_folder(study: Path, tmp_path: Path) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim.csv"
    victim.write_text("precious")
    run_step(opened(out, study), "cluster", options={}, after=(), compute=Counter())
    record = json.loads((out / RECORD).read_text())
    record["steps"]["cluster"]["files"] = {"../victim.csv": "0"}
    (out / RECORD).write_text(json.dumps(record))
    with pytest.raises(ValueError, match="leads out of the folder"):
        run_step(opened(out, study), "cluster", options={"iou": 0.5}, after=(), compute=Counter())
    assert victim.read_text() == "precious"


def test_read_result__gives_back_what_was_written(study: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "anchor": ["001", "NA"],
            "label": ["", "1e5"],
            "probability": [0.1 + 0.2, float("nan")],
            "is_object": [True, False],
            "n_asked": [3, 4],
        }
    )
    results = opened(tmp_path / "out", study)
    run_step(results, "infer", options={}, after=(), compute=lambda: {"truth": frame})
    pd.testing.assert_frame_equal(read_result(tmp_path / "out" / "truth.csv"), frame)


def test_run_step__writes_files_beside_tables_and_forgets_them_with_the_step(study: Path, tmp_path: Path) -> None:
    results = opened(tmp_path / "out", study)
    page = {"report.html": "<p>é</p>", "figures/a.svg": b"<svg/>"}
    run_step(results, "report", options={"a": 1}, after=(), compute=lambda: page)
    assert (results.path / "report.html").read_text(encoding="utf-8") == "<p>é</p>"
    assert (results.path / "figures" / "a.svg").read_bytes() == b"<svg/>"
    run_step(results, "report", options={"a": 2}, after=(), compute=dict)
    assert [file.name for file in results.path.rglob("*") if file.is_file()] == [RECORD]


def test_run_step__makes_a_step_again_if_a_file_was_changed(study: Path, tmp_path: Path) -> None:
    results = opened(tmp_path / "out", study)
    for _ in range(2):
        run_step(results, "report", options={}, after=(), compute=lambda: {"figures/a.svg": "<svg/>"})
        (results.path / "figures" / "a.svg").write_text("<svg></svg>")
    run_step(results, "report", options={}, after=(), compute=lambda: {"figures/a.svg": "<svg/>"})
    assert (results.path / "figures" / "a.svg").read_text() == "<svg/>"
