"""The whole way from marks to results: files, resuming, determinism, interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
from matplotlib.figure import Figure

from crowdtruth import pipeline, plots, synthesise, write_study
from crowdtruth.options import RunOptions
from crowdtruth.plots import figure_bytes
from crowdtruth.results import read_result
from crowdtruth.steps import judging, simulating
from crowdtruth.steps import run as run_of_steps

ALL_FILES = {
    *("fovs.csv", "anchors.csv", "members.csv", "ratings.csv", "truth.csv", "confusion.csv"),
    *("raters.csv", "accuracy.csv", "agreement.csv", "pairwise.csv", "rater_map.csv", "redundancy.csv", "plan.csv"),
    *("rater_confusion.csv", "anchor_confusion.csv", "ease.csv"),
    *("training.csv", "run.json", "figures", "report.html"),
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

QUICK = ("--realizations", "3", "--replicates", "20")


def run_study(study: Path, out: Path, jobs: int = 1, **options: object):
    """A run without figures, with few draws."""
    quick = {"realizations": 3, "replicates": 20, "report": False}
    return pipeline.run_study(study, out, RunOptions(**{**quick, **options}), jobs=jobs)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "annotations.csv").write_text(MARKS)
    (folder / "assignments.csv").write_text(ASSIGNMENTS)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a result folder, without run.json, whose timings differ, and blocks of an unfinished simulation."""
    files = (f for f in sorted(folder.rglob("*")) if f.is_file() and f.name != "run.json" and f.suffix != ".npy")
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in files}


def test_run_study__writes_every_table(study: Path, tmp_path: Path) -> None:
    results = run_study(study, tmp_path / "out", report=True)
    found = {f.name for f in (tmp_path / "out").iterdir()}
    assert found == ALL_FILES
    assert len(results.table("anchors")) == 3
    assert len(results.table("ratings")) == 9
    assert results.table("truth")["label"].tolist().count("tumor") == 2


def test_run_study__has_a_rating_for_who_looked_and_found_nothing(study: Path, tmp_path: Path) -> None:
    ratings = run_study(study, tmp_path / "out").table("ratings")
    missed = ratings[ratings["label"] == "undetected"]
    assert missed[["fov", "rater"]].values.tolist() == [["f", "c"], ["g", "b"]]


def test_run_study__gives_the_same_bytes_for_any_row_order_and_jobs(study: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(study / "annotations.csv", dtype=str).assign(annotation=[f"m{i}" for i in range(7)])
    rows.to_csv(study / "annotations.csv", index=False)
    run_study(study, tmp_path / "one", jobs=1)
    rows.iloc[::-1].to_csv(study / "annotations.csv", index=False)
    run_study(study, tmp_path / "two", jobs=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert sorted(one.pop("members.csv").splitlines()) == sorted(two.pop("members.csv").splitlines())
    assert one == two


def test_run_study__continues_from_its_own_files_to_the_same_bytes(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_study(study, out)
    whole = contents(out)
    record = json.loads((out / "run.json").read_text())
    for step in ("infer", "judge", "training"):
        for file in record["steps"].pop(step)["files"]:
            (out / file).unlink()
    (out / "run.json").write_text(json.dumps(record))
    run_study(study, out)
    assert contents(out) == whole


def test_run_study__does_no_step_twice(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_study(study, tmp_path / "out")
    monkeypatch.setattr(run_of_steps, "read_study", None)
    run_study(study, tmp_path / "out")


def test_run_study__matches_anchors_with_the_reference_once(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = {"label_of_anchors": judging, "rater_outcomes": judging, "make_experiment": simulating}
    spies = {name: Mock(wraps=getattr(module, name)) for name, module in watched.items()}
    for name, module in watched.items():
        monkeypatch.setattr(module, name, spies[name])
    run_study(study, tmp_path / "out")
    assert [spy.call_count for spy in spies.values()] == [1, 1, 1]
    run_study(study, tmp_path / "out", target=("f1=0.5",))  # the plan alone is made anew
    assert [spy.call_count for spy in spies.values()] == [2, 1, 2]


def test_run_study__changes_only_what_an_option_touches(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_study(study, out)
    before = json.loads((out / "run.json").read_text())["steps"]
    run_study(study, out, model="majority")
    after = json.loads((out / "run.json").read_text())["steps"]
    assert {name for name in after if before[name]["key"] != after[name]["key"]} == {
        "check",
        "infer",
        "judge",
        "compare",
        "differ",
        "simulate",
        "plan",
        "training",
        "draw",
        "report",
    }


def test_run_study__never_changes_its_input(study: Path, tmp_path: Path) -> None:
    before = contents(study)
    run_study(study, tmp_path / "out")
    assert contents(study) == before


def test_run_study__records_how_it_was_made(study: Path, tmp_path: Path) -> None:
    run_study(study, tmp_path / "out", iou=0.5)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["options"]["iou"] == 0.5
    assert set(record["inputs"]) == {"annotations.csv", "assignments.csv"}
    assert set(record["program"]) == {"nucls", "python", "numpy", "scipy", "pandas", "numba"}
    assert all(step["seconds"] >= 0 for step in record["steps"].values())


def test_run_study__records_what_it_had_to_say(study: Path, tmp_path: Path) -> None:
    (study / "assignments.csv").unlink()
    run_study(study, tmp_path / "out", iterations=1)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert "no assignments" in record["notes"][0]
    assert "ended before convergence" in record["steps"]["infer"]["warnings"][0]


def test_run_study__asks_which_cohort_to_train_on_before_it_works(study: Path, tmp_path: Path) -> None:
    (study / "raters.csv").write_text("rater,cohort\na,SP\nb,NP\nc,NP\n")
    with pytest.raises(ValueError, match=r"--train-on.*NP@all, SP@all"):
        run_study(study, tmp_path / "out")
    results = run_study(study, tmp_path / "out", train_on="NP")
    assert set(results.table("training")["cohort"]) == {"NP"}
    run_study(study, tmp_path / "out", train_on="none")
    assert not (tmp_path / "out" / "training.csv").exists()


def test_run_study__judges_against_the_inferred_truth_of_a_cohort(study: Path, tmp_path: Path) -> None:
    (study / "raters.csv").write_text("rater,cohort\na,SP\nb,JP\nc,NP\n")
    options = {"cohort": ("P=SP+JP", "NP"), "reference": "cohort:P", "train_on": "P"}
    raters = run_study(study, tmp_path / "out", **options).table("raters").set_index("rater")
    assert raters["in_reference"].to_dict() == {"a": True, "b": True, "c": False}
    assert set(raters["reference"]) == {"cohort:P@all"}
    assert raters.loc["c", "recall"] == pytest.approx(2 / 3)


def test_run_study__judges_against_outside_truth(study: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "fov,xmin,ymin,xmax,ymax,label\nf,10,10,30,30,tumor\nf,200,200,220,220,tumor\ng,10,10,30,30,tumor\n"
    )
    results = run_study(study, tmp_path / "out", reference=str(truth))
    raters = results.table("raters").set_index("rater")
    assert raters.loc["a", ["n_true_positive", "n_false_positive", "n_false_negative"]].tolist() == [2, 1, 1]
    assert not raters["in_reference"].any()


def test_run_study__takes_a_crowd_table(tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_text("task,worker,label\nt1,w1,yes\nt1,w2,yes\nt2,w1,no\nt2,w2,no\nt3,w1,yes\nt3,w2,\n")
    results = run_study(table, tmp_path / "out")
    truth = results.table("truth").set_index("anchor")
    assert truth["label"].to_dict() == {"t1": "yes", "t2": "no", "t3": "yes"}
    assert truth["is_object"].all()
    assert "prob_undetected" not in truth
    assert len(results.table("ratings")) == 5
    again = run_study(table, tmp_path / "out")
    assert again.table("raters")["n_fovs"].isna().all()
    assert again.table("raters")["class_accuracy"].tolist() == results.table("raters")["class_accuracy"].tolist()
    assert not (tmp_path / "out" / "training.csv").exists()


def test_run_study__judges_located_objects_by_the_boxes_of_their_anchors(study: Path, tmp_path: Path) -> None:
    run_study(study, tmp_path / "first")
    located = tmp_path / "located"
    located.mkdir()
    for name in ("anchors.csv", "ratings.csv"):
        (located / name).write_bytes((tmp_path / "first" / name).read_bytes())
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "fov,xmin,ymin,xmax,ymax,label\nf,10,10,30,30,tumor\nf,200,200,220,220,tumor\ng,10,10,30,30,tumor\n"
    )
    again = run_study(located, tmp_path / "again", reference=str(truth))
    pd.testing.assert_frame_equal(again.table("truth"), read_result(tmp_path / "first" / "truth.csv"))
    raters = again.table("raters").set_index("rater")
    assert raters.loc["a", ["n_true_positive", "n_false_positive", "n_false_negative"]].tolist() == [2, 1, 1]


def test_locate_objects__writes_anchors_and_members_alone(study: Path, tmp_path: Path) -> None:
    pipeline.locate_objects(study, tmp_path / "out")
    assert {f.name for f in (tmp_path / "out").iterdir()} == {"anchors.csv", "members.csv", "run.json"}


@pytest.mark.parametrize("source", ["study", "results"])
def test_infer_source__gives_the_labels_of_a_whole_run(study: Path, tmp_path: Path, source: str) -> None:
    run_study(study, tmp_path / "results")
    pipeline.infer_source(tmp_path / source, tmp_path / "labels")
    labels = tmp_path / "labels"
    assert {f.name for f in labels.iterdir()} == {"truth.csv", "confusion.csv", "run.json"}
    pd.testing.assert_frame_equal(read_result(labels / "truth.csv"), read_result(tmp_path / "results" / "truth.csv"))


def test_infer_source__finds_the_taxonomy_of_the_run_that_rated(study: Path, tmp_path: Path) -> None:
    run_study(study, tmp_path / "results", taxonomy="nucls")
    labels = pipeline.infer_source(tmp_path / "results", tmp_path / "labels", RunOptions(classes="super"))
    assert set(labels.table("truth")["label"]) <= {"tumor_any", "sTIL", "undetected"}
    run_study(study, tmp_path / "results")
    assert not (tmp_path / "results" / "taxonomy.toml").exists()


def test_run_demo__makes_the_same_files_from_the_same_seed_and_others_from_another(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("one", 7)):
        pipeline.run_demo(tmp_path / name, seed=seed, report=False)
    for folder in ("study-3", "results-3"):
        assert contents(tmp_path / "one" / folder) == contents(tmp_path / "two" / folder)
    studies = [contents(tmp_path / "one" / f"study-{seed}")["annotations.csv"] for seed in (3, 7)]
    assert studies[0] != studies[1]


def test_report_on__makes_the_same_page_again(study: Path, tmp_path: Path) -> None:
    run_study(study, tmp_path / "out", report=True)
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "report.html").unlink()
    pipeline.report_on(tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_report_on__finds_a_study_that_was_moved(study: Path, tmp_path: Path) -> None:
    (study / "f.png").write_bytes(figure_bytes(Figure(figsize=(2, 2)), ".png"))
    (study / "fovs.csv").write_text("fov,image,width,height\nf,f.png,240,240\ng,,240,240\n")
    run_study(study, tmp_path / "out", report=True)
    before = (tmp_path / "out" / "report.html").read_text()
    assert "data:image/jpeg" in before
    study.rename(tmp_path / "moved")
    pipeline.report_on(tmp_path / "out", study=tmp_path / "moved")
    assert (tmp_path / "out" / "report.html").read_text().count("data:image/jpeg") == before.count("data:image/jpeg")


def test_report_on__keeps_the_old_page_until_there_is_a_new_one(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(study, tmp_path / "out", report=True)
    before = contents(tmp_path / "out")
    monkeypatch.setattr(plots, "figures_of", None)
    with pytest.raises(TypeError):
        pipeline.report_on(tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_report_on__refuses_a_study_that_was_changed(study: Path, tmp_path: Path) -> None:
    run_study(study, tmp_path / "out")
    (study / "annotations.csv").write_text(MARKS + "g,b,50,50,60,60,tumor\n")
    with pytest.raises(ValueError, match="not the one of these results any more"):
        pipeline.report_on(tmp_path / "out")


@pytest.mark.parametrize(
    ("command", "tables"),
    [
        (pipeline.agree_on, {"agreement.csv", "pairwise.csv", "rater_map.csv"}),
        (pipeline.simulate_redundancy, {"redundancy.csv"}),
        (pipeline.plan_study, {"plan.csv"}),
        (
            pipeline.judge_source,
            {"raters.csv", "accuracy.csv", "rater_confusion.csv", "anchor_confusion.csv", "ease.csv"},
        ),
    ],
)
def test_command__writes_what_a_run_writes(study: Path, tmp_path: Path, command, tables: set[str]) -> None:
    whole = run_study(study, tmp_path / "run")
    command(study, tmp_path / "out", RunOptions(realizations=3, replicates=20))
    assert set(contents(tmp_path / "out")) == tables
    assert all((tmp_path / "out" / name).read_bytes() == (whole.path / name).read_bytes() for name in tables)


def test_run_study__says_which_options_change_nothing(study: Path, tmp_path: Path) -> None:
    run_study(study, tmp_path / "out")
    options = {"iou": 0.9, "method": "demotion", "model": "majority", "iterations": 3}
    run_study(tmp_path / "out", tmp_path / "again", **options)
    record = json.loads((tmp_path / "again" / "run.json").read_text())
    assert record["steps"]["check"]["warnings"] == [
        "a majority vote has no parameters: iterations change nothing",
        "the objects are located already: iou, method change nothing",
    ]


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_run__killed_at_any_time_leaves_whole_files_and_continues(tmp_path: Path, end: signal.Signals) -> None:
    study, out = tmp_path / "study", tmp_path / "out"
    write_study(synthesise("demo", seed=1, n_fovs=4).study, study, format="csv")
    command = [sys.executable, "-m", "crowdtruth.cli", "run", "--out", str(out), str(study)]
    command += ["--taxonomy", "nucls", "--classes", "main", "--train-on", "none", "--seed", "1", *QUICK]
    subprocess.run([*command[:5], str(tmp_path / "whole"), *command[6:]], check=True, capture_output=True)
    whole = contents(tmp_path / "whole")
    for wait in (0.9, 1.7, 2.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(end)
        process.wait()
        if out.exists():
            assert all(whole[name] == text for name, text in contents(out).items() if not name.endswith(".part"))
    subprocess.run(command, check=True, capture_output=True)
    assert contents(out) == whole
