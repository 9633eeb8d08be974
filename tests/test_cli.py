"""The command as its user meets it: exit codes, messages, nothing half-written."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crowdtruth.cli import app

GOOD = "fov,rater,xmin,ymin,xmax,ymax,label\nf,a,10,10,30,30,tumor\nf,b,11,10,31,30,tumor\n"


def command(*arguments: object):
    """The command; a run without figures and with few draws."""
    if arguments[0] == "run":
        arguments = (*arguments, "--no-report", "--realizations", 3, "--replicates", 20)
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "annotations.csv").write_text(GOOD)
    return folder


@pytest.mark.parametrize(
    "name",
    ["run", "cluster", "infer", "agree", "accuracy", "simulate", "plan", "report", "convert", "validate", "demo"],
)
def test_help__shows_an_example_of_each_command(name: str) -> None:
    result = command(name, "--help")
    assert result.exit_code == 0
    assert f"crowdtruth {name}" in result.output


def test_run__says_where_the_results_are(study: Path, tmp_path: Path) -> None:
    result = command("run", study, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"results in {tmp_path / 'out'}" in result.stdout
    assert "no assignments" in result.stderr


def test_validate__describes_a_study(study: Path) -> None:
    result = command("validate", study)
    assert result.exit_code == 0
    assert "2 marks of 2 raters in 1 FOVs" in result.stdout


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_convert__writes_a_study_that_gives_the_same_results(study: Path, tmp_path: Path, to: str) -> None:
    (study / "assignments.csv").write_text("fov,rater\nf,a\nf,b\nf,c\n")
    assert command("convert", study, tmp_path / "copy", "--to", to).exit_code == 0
    for source in (study, tmp_path / "copy"):
        assert command("run", source, "--out", tmp_path / f"{source.name}_out").exit_code == 0
    truth = [(tmp_path / f"{name}_out" / "truth.csv").read_bytes() for name in ("study", "copy")]
    assert truth[0] == truth[1]


def test_convert__never_overwrites(study: Path) -> None:
    result = command("convert", study, study, "--to", "csv")
    assert result.exit_code == 1
    assert "exists; give a new name" in result.stderr


BAD_TABLES = {
    "empty file": ("annotations.csv", "", "empty"),
    "missing column": ("annotations.csv", "fov,rater,xmin,ymin,xmax,ymax\nf,a,1,1,2,2\n", "label"),
    "non-numeric coordinate": ("annotations.csv", GOOD + "f,a,ten,10,30,30,tumor\n", "ten"),
    "infinite coordinate": ("annotations.csv", GOOD + "f,a,inf,10,30,30,tumor\n", "inf"),
    "box without area": ("annotations.csv", GOOD + "f,a,30,10,30,30,tumor\n", "xmax"),
    "mark by a rater not assigned": ("assignments.csv", "fov,rater\nf,a\n", "annotations.csv, line 3, rater"),
    "unknown FOV in assignments": ("assignments.csv", "fov,rater\nf,a\nf,b\nnowhere,a\n", "nowhere"),
    "unknown rater": ("raters.csv", "rater,cohort\na,P\n", "b"),
    "reserved label": ("annotations.csv", GOOD + "f,a,50,50,60,60,undetected\n", "undetected"),
    "mixed encodings": ("annotations.csv", GOOD.encode() + b"f,a,50,50,60,60,t\xfcmor\n", "UTF-8"),
    "cut off in the middle": ("annotations.csv", GOOD + "f,a,50,5", "cut off"),
    "duplicate ids": (
        "annotations.csv",
        "annotation,fov,rater,xmin,ymin,xmax,ymax,label\n1,f,a,1,1,2,2,t\n1,f,b,1,1,2,2,t\n",
        "annotation",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_run__bad_data_give_one_message_and_no_files(study: Path, tmp_path: Path, case: str) -> None:
    name, content, word = BAD_TABLES[case]
    if case == "unknown FOV in assignments":
        (study / "fovs.csv").write_text("fov\nf\n")
    (study / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = command("run", study, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("error:") == 1
    assert word in result.stderr
    assert ".csv, line" in result.stderr or name in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_run__a_label_outside_the_taxonomy_is_named(study: Path, tmp_path: Path) -> None:
    (study / "annotations.csv").write_text(GOOD.replace("b,11,10,31,30,tumor", "b,11,10,31,30,tumour"))
    result = command("run", study, "--out", tmp_path / "out", "--taxonomy", "nucls")
    assert result.exit_code == 1
    assert "tumour" in result.stderr
    assert command("run", study, "--out", tmp_path / "o", "--taxonomy", "nucls", "--normalise-labels").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--iou", "2"], "iou must lie in (0, 1], got 2"),
        (["--method", "wbf"], "method must be one of cannot_link, demotion, unconstrained; got 'wbf'"),
        (["--cohort", "SP"], "unknown cohort 'SP' in --cohort SP; the study has all"),
        (["--condition", "E"], "unknown condition 'E'; the study has all"),
        (["--reference", "nowhere.csv"], "nowhere.csv"),
        (["--reference", "cohort:SP"], "SP"),
        (["--train-on", "SP"], "SP"),
        (["--prefer", "SP.3"], "a preference is rater:NAME@CONDITION or cohort:NAME@CONDITION, got 'SP.3'"),
        (["--start", "good"], "start must be an initial quality in (0, 1], or votes; got 'good'"),
        (["--start", "nan"], "start must be an initial quality in (0, 1], or votes; got nan"),
        (["--cohort", "P=all+all"], "--cohort P=all+all: expected a name, or NAME=A+B with each cohort once"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
        (["--classes", "super"], "super"),
        (["--preset", "papier"], "preset must be one of default, paper; got 'papier'"),
    ],
)
def test_run__wrong_arguments_give_one_message(study: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    result = command("run", study, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("content", ["fov,rater,xmin,ymin,xmax,ymax,label\n"])
def test_run__a_study_in_which_nobody_marked_anything_has_empty_tables(
    study: Path, tmp_path: Path, content: str
) -> None:
    (study / "annotations.csv").write_text(content)
    (study / "assignments.csv").write_text("fov,rater\nf,a\nf,b\n")
    result = command("run", study, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    for name in ("anchors", "members", "ratings", "truth", "confusion", "training"):
        assert len((tmp_path / "out" / f"{name}.csv").read_text().splitlines()) == 1


def test_convert__never_writes_into_its_source(study: Path) -> None:
    result = command("convert", study, study / "copy", "--to", "csv")
    assert result.exit_code == 1
    assert "a study is never written into" in result.stderr


def test_run__a_crowd_reference_of_other_tasks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("task,worker,label\nt1,w1,yes\nt1,w2,yes\n")
    (tmp_path / "gold.csv").write_text("task,label\nq1,yes\n")
    arguments = ("--reference", tmp_path / "gold.csv", "--out", tmp_path / "out")
    result = command("run", tmp_path / "answers.csv", *arguments)
    assert result.exit_code == 1
    assert "gold.csv shares no task with the study" in result.stderr


def test_run__unknown_options_are_usage_errors(study: Path, tmp_path: Path) -> None:
    assert command("run", study, "--out", tmp_path / "out", "--nonsense", "1").exit_code == 2
    assert command("run", study).exit_code == 2


def test_run__a_study_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = command("run", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "there is no study at" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/sys/kernel").exists(), reason="no file system here that even root cannot write")
def test_run__a_read_only_place_is_named(study: Path) -> None:
    result = command("run", study, "--out", "/sys/crowdtruth")
    assert result.exit_code == 1
    assert "/sys/crowdtruth: " in result.stderr
    assert "Errno" not in result.stderr


def test_run__a_full_disk_is_named_and_leaves_whole_files(study: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys, errno\n"
        "import crowdtruth.files as files\n"
        "def full(handle): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "real, calls = os.fsync, []\n"
        "def fsync(handle):\n"
        "    calls.append(handle)\n"
        "    return full(handle) if len(calls) > 3 else real(handle)\n"
        "files.os.fsync = fsync\n"
        "from crowdtruth.cli import main\n"
        "main()\n"
    )
    run = [sys.executable, "-c", code, "run", str(study), "--out", str(tmp_path / "out")]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    assert not [f for f in (tmp_path / "out").iterdir() if f.suffix not in (".csv", ".json")]


def test_import__is_light() -> None:
    code = (
        "import sys, crowdtruth; print(sorted({'numpy', 'pandas', 'numba', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_import__warns_of_the_foreign_distribution(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    (site / "crowdtruth-2.1.dist-info").mkdir(parents=True)
    code = f"import sys; sys.path.append({str(site)!r}); import crowdtruth"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "unrelated distribution 'crowdtruth-2.1'" in result.stderr


def test_version__is_shown() -> None:
    assert command("--version").stdout.startswith("crowdtruth 0.")
