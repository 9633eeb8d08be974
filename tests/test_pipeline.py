"""The whole way from marks to results: files, resuming, determinism, interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from crowdtruth import pipeline
from crowdtruth.options import RunOptions
from crowdtruth.results import read_result
from crowdtruth.steps import run as run_of_steps

ALL_FILES = {
    *("fovs.csv", "anchors.csv", "members.csv", "ratings.csv", "truth.csv", "confusion.csv"),
    *("raters.csv", "accuracy.csv", "agreement.csv", "pairwise.csv", "rater_map.csv", "redundancy.csv"),
    *("training.csv", "run.json"),
}
MARKS = """fov,rater,xmin,ymin,xmax,ymax,label
f,a,10,10,30,30,tumor
f,b,11,10,31,30,tumor
f,c,10,11,30,31,lymphocyte
f,a,100,100,120,120,lymphocyte
f,b,101,100,121,120,lymphocyte
g,a,10,10,30,30,tumor
g,c,10,10,30,30,tumor
"""
ASSIGNMENTS = "fov,rater\nf,a\nf,b\nf,c\ng,a\ng,b\ng,c\n"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "annotations.csv").write_text(MARKS)
    (folder / "assignments.csv").write_text(ASSIGNMENTS)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a result folder, without run.json, whose timings differ."""
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.name != "run.json"}


def test_run_study__writes_every_table(study: Path, tmp_path: Path) -> None:
    results = pipeline.run_study(study, tmp_path / "out")
    assert {f.name for f in (tmp_path / "out").iterdir()} == ALL_FILES
    assert len(results.table("anchors")) == 3
    assert len(results.table("ratings")) == 9
    assert results.table("truth")["label"].tolist().count("tumor") == 2


def test_run_study__has_a_rating_for_who_looked_and_found_nothing(study: Path, tmp_path: Path) -> None:
    ratings = pipeline.run_study(study, tmp_path / "out").table("ratings")
    missed = ratings[ratings["label"] == "undetected"]
    assert missed[["fov", "rater"]].values.tolist() == [["f", "c"], ["g", "b"]]


def test_run_study__gives_the_same_bytes_for_any_row_order_and_jobs(study: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(study / "annotations.csv", dtype=str).assign(annotation=[f"m{i}" for i in range(7)])
    rows.to_csv(study / "annotations.csv", index=False)
    pipeline.run_study(study, tmp_path / "one", jobs=1)
    rows.iloc[::-1].to_csv(study / "annotations.csv", index=False)
    pipeline.run_study(study, tmp_path / "two", jobs=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert sorted(one.pop("members.csv").splitlines()) == sorted(two.pop("members.csv").splitlines())
    assert one == two


def test_run_study__continues_from_its_own_files_to_the_same_bytes(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pipeline.run_study(study, out)
    whole = contents(out)
    record = json.loads((out / "run.json").read_text())
    for step in ("infer", "judge", "training"):
        for file in record["steps"].pop(step)["files"]:
            (out / file).unlink()
    (out / "run.json").write_text(json.dumps(record))
    pipeline.run_study(study, out)
    assert contents(out) == whole


def test_run_study__does_no_step_twice(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.run_study(study, tmp_path / "out")
    monkeypatch.setattr(run_of_steps, "read_study", None)
    pipeline.run_study(study, tmp_path / "out")


def test_run_study__changes_only_what_an_option_touches(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pipeline.run_study(study, out)
    before = json.loads((out / "run.json").read_text())["steps"]
    pipeline.run_study(study, out, RunOptions(model="majority"))
    after = json.loads((out / "run.json").read_text())["steps"]
    assert {name for name in after if before[name]["key"] != after[name]["key"]} == {
        "check",
        "infer",
        "judge",
        "compare",
        "simulate",
        "training",
    }


def test_run_study__never_changes_its_input(study: Path, tmp_path: Path) -> None:
    before = contents(study)
    pipeline.run_study(study, tmp_path / "out")
    assert contents(study) == before


def test_run_study__records_how_it_was_made(study: Path, tmp_path: Path) -> None:
    pipeline.run_study(study, tmp_path / "out", RunOptions(iou=0.5))
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["options"]["iou"] == 0.5
    assert set(record["inputs"]) == {"annotations.csv", "assignments.csv"}
    assert set(record["program"]) == {"nucls", "python", "numpy", "scipy", "pandas", "numba"}
    assert all(step["seconds"] >= 0 for step in record["steps"].values())


def test_run_study__records_what_it_had_to_say(study: Path, tmp_path: Path) -> None:
    (study / "assignments.csv").unlink()
    pipeline.run_study(study, tmp_path / "out", RunOptions(iterations=1))
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert "no assignments" in record["notes"][0]
    assert "ended before convergence" in record["steps"]["infer"]["warnings"][0]


def test_run_study__asks_which_cohort_to_train_on_before_it_works(study: Path, tmp_path: Path) -> None:
    (study / "raters.csv").write_text("rater,cohort\na,SP\nb,NP\nc,NP\n")
    with pytest.raises(ValueError, match=r"--train-on.*NP@all, SP@all"):
        pipeline.run_study(study, tmp_path / "out")
    results = pipeline.run_study(study, tmp_path / "out", RunOptions(train_on="NP"))
    assert set(results.table("training")["cohort"]) == {"NP"}
    pipeline.run_study(study, tmp_path / "out", RunOptions(train_on="none"))
    assert not (tmp_path / "out" / "training.csv").exists()


def test_run_study__judges_against_the_inferred_truth_of_a_cohort(study: Path, tmp_path: Path) -> None:
    (study / "raters.csv").write_text("rater,cohort\na,SP\nb,JP\nc,NP\n")
    options = RunOptions(cohort=("P=SP+JP", "NP"), reference="cohort:P", train_on="P")
    raters = pipeline.run_study(study, tmp_path / "out", options).table("raters").set_index("rater")
    assert raters["in_reference"].to_dict() == {"a": True, "b": True, "c": False}
    assert set(raters["reference"]) == {"cohort:P@all"}
    assert raters.loc["c", "recall"] == pytest.approx(2 / 3)


def test_run_study__judges_against_outside_truth(study: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "fov,xmin,ymin,xmax,ymax,label\nf,10,10,30,30,tumor\nf,200,200,220,220,tumor\ng,10,10,30,30,tumor\n"
    )
    results = pipeline.run_study(study, tmp_path / "out", RunOptions(reference=str(truth)))
    raters = results.table("raters").set_index("rater")
    assert raters.loc["a", ["n_true_positive", "n_false_positive", "n_false_negative"]].tolist() == [2, 1, 1]
    assert not raters["in_reference"].any()


def test_run_study__takes_a_crowd_table(tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_text("task,worker,label\nt1,w1,yes\nt1,w2,yes\nt2,w1,no\nt2,w2,no\nt3,w1,yes\nt3,w2,\n")
    results = pipeline.run_study(table, tmp_path / "out")
    truth = results.table("truth").set_index("anchor")
    assert truth["label"].to_dict() == {"t1": "yes", "t2": "no", "t3": "yes"}
    assert truth["is_object"].all()
    assert "prob_undetected" not in truth
    assert len(results.table("ratings")) == 5
    again = pipeline.run_study(table, tmp_path / "out")
    assert again.table("raters")["n_fovs"].isna().all()
    assert again.table("raters")["class_accuracy"].tolist() == results.table("raters")["class_accuracy"].tolist()
    assert not (tmp_path / "out" / "training.csv").exists()


def test_run_study__judges_located_objects_by_the_boxes_of_their_anchors(study: Path, tmp_path: Path) -> None:
    pipeline.run_study(study, tmp_path / "first")
    located = tmp_path / "located"
    located.mkdir()
    for name in ("anchors.csv", "ratings.csv"):
        (located / name).write_bytes((tmp_path / "first" / name).read_bytes())
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "fov,xmin,ymin,xmax,ymax,label\nf,10,10,30,30,tumor\nf,200,200,220,220,tumor\ng,10,10,30,30,tumor\n"
    )
    again = pipeline.run_study(located, tmp_path / "again", RunOptions(reference=str(truth)))
    pd.testing.assert_frame_equal(again.table("truth"), read_result(tmp_path / "first" / "truth.csv"))
    raters = again.table("raters").set_index("rater")
    assert raters.loc["a", ["n_true_positive", "n_false_positive", "n_false_negative"]].tolist() == [2, 1, 1]


def test_locate_objects__writes_anchors_and_members_alone(study: Path, tmp_path: Path) -> None:
    pipeline.locate_objects(study, tmp_path / "out")
    assert {f.name for f in (tmp_path / "out").iterdir()} == {"anchors.csv", "members.csv", "run.json"}


@pytest.mark.parametrize("source", ["study", "results"])
def test_infer_source__gives_the_labels_of_a_whole_run(study: Path, tmp_path: Path, source: str) -> None:
    pipeline.run_study(study, tmp_path / "results")
    pipeline.infer_source(tmp_path / source, tmp_path / "labels")
    labels = tmp_path / "labels"
    assert {f.name for f in labels.iterdir()} == {"truth.csv", "confusion.csv", "run.json"}
    pd.testing.assert_frame_equal(read_result(labels / "truth.csv"), read_result(tmp_path / "results" / "truth.csv"))


def test_infer_source__finds_the_taxonomy_of_the_run_that_rated(study: Path, tmp_path: Path) -> None:
    pipeline.run_study(study, tmp_path / "results", RunOptions(taxonomy="nucls"))
    labels = pipeline.infer_source(tmp_path / "results", tmp_path / "labels", RunOptions(classes="super"))
    assert set(labels.table("truth")["label"]) <= {"tumor_any", "sTIL", "undetected"}
    pipeline.run_study(study, tmp_path / "results")
    assert not (tmp_path / "results" / "taxonomy.toml").exists()


def test_run_demo__makes_the_same_files_from_the_same_seed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        pipeline.run_demo(tmp_path / name, seed=3)
    for folder in ("study-3", "results-3"):
        assert contents(tmp_path / "one" / folder) == contents(tmp_path / "two" / folder)


def test_run_demo__makes_another_study_from_another_seed(tmp_path: Path) -> None:
    for seed in (0, 7):
        pipeline.run_demo(tmp_path, seed=seed)
    assert contents(tmp_path / "study-0")["annotations.csv"] != contents(tmp_path / "study-7")["annotations.csv"]


def test_run_study__says_which_options_change_nothing(study: Path, tmp_path: Path) -> None:
    pipeline.run_study(study, tmp_path / "out")
    options = RunOptions(iou=0.9, method="demotion", model="majority", iterations=3)
    pipeline.run_study(tmp_path / "out", tmp_path / "again", options)
    record = json.loads((tmp_path / "again" / "run.json").read_text())
    assert record["steps"]["check"]["warnings"] == [
        "a majority vote has no parameters: iterations change nothing",
        "the objects are located already: iou, method change nothing",
    ]


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_run__killed_at_any_time_leaves_whole_files_and_continues(tmp_path: Path, end: signal.Signals) -> None:
    pipeline.run_demo(tmp_path / "whole", seed=1)
    whole = contents(tmp_path / "whole" / "results-1")
    study, out = tmp_path / "whole" / "study-1", tmp_path / "out"
    command = [sys.executable, "-m", "crowdtruth.cli", "run", str(study), "--out", str(out)]
    command += ["--taxonomy", "nucls", "--classes", "main", "--train-on", "none", "--seed", "1"]
    for wait in (0.9, 1.3, 1.7):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(end)
        process.wait()
        if out.exists():
            assert all(whole[name] == text for name, text in contents(out).items() if not name.endswith(".part"))
    subprocess.run(command, check=True, capture_output=True)
    assert contents(out) == whole
