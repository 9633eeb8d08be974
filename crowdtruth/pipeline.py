"""Study in, result folder out: every step of the method in order.

read → cluster → rate → infer → judge → agree → compare → differ → simulate → plan → training → draw → report. Each step
writes whole files and records itself, so that a killed run continues where it stopped (`results`).
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from crowdtruth._kernels._jit import say_when_compiling
from crowdtruth.files import sha256_of
from crowdtruth.formats import write_study
from crowdtruth.options import RunOptions, recorded_options
from crowdtruth.parallel import say
from crowdtruth.results import ResultFolder, open_results, outdate_step, reopen_results
from crowdtruth.simulation import remove_parts
from crowdtruth.steps.agreeing import AGREEING, agree
from crowdtruth.steps.checking import check_common, check_options
from crowdtruth.steps.comparing import compare, differ
from crowdtruth.steps.inferring import INFERRING, infer
from crowdtruth.steps.judging import JUDGING, judge
from crowdtruth.steps.locating import LOCATING, READING, locate, rate, read
from crowdtruth.steps.reporting import draw, report
from crowdtruth.steps.run import Run, Step, Tables, with_checksum
from crowdtruth.steps.simulating import PLANNING, SIMULATING, plan, simulate
from crowdtruth.steps.training_set import make_training
from crowdtruth.synthetic import synthesise

DRAWN = ("read", "agree", "judge", "simulate", "plan")
_INPUT_SUFFIXES = (".csv", ".parquet", ".json", ".sqlite", ".db", ".toml")


def run_study(
    source: str | Path, out: str | Path, options: RunOptions | None = None, *, jobs: int = 1, address: str | None = None
) -> ResultFolder:
    """Every step: objects, labels, accuracy, agreement, redundancy, plan, training table, figures and report.

    Parameters
    ----------
    source : the study, a folder or a file
    out : folder of the results; created, or continued where an equal run stopped
    options : default `RunOptions()`
    jobs : workers; changes no result
    address : of a Dask scheduler, which then does the simulation; changes no result

    Raises
    ------
    ValueError
        If the study or the options are wrong; each message says what and where.
    """
    run = open_run("run", source, out, options or RunOptions(), jobs=jobs, address=address)
    run.step("check", tuple(asdict(run.options)), (), check_options)
    run.step("read", READING, (), read)
    run.step("cluster", LOCATING, ("read",), locate)
    run.step("rate", (), ("cluster",), rate)
    run.step("infer", INFERRING, ("rate",), infer)
    run.step("judge", JUDGING, ("infer",), judge)
    run.step("agree", AGREEING, ("rate",), agree)
    run.step("compare", ("compare",), ("agree", "judge"), compare)
    run.step("differ", ("compare",), ("agree", "judge"), differ)
    run.step("simulate", ("reference", *SIMULATING), ("infer",), simulate)
    remove_parts(run.results.path)
    run.step("plan", ("reference", *PLANNING), ("infer",), plan)
    run.common.clear()  # the steps that are left read tables alone
    run.step("training", ("train_on",), ("infer",), make_training)
    run.step("draw", ("report",), DRAWN, draw)
    run.step("report", ("report",), ("draw", "compare", "differ"), report)
    return run.results


def locate_objects(
    source: str | Path, out: str | Path, options: RunOptions | None = None, *, jobs: int = 1
) -> ResultFolder:
    """The first half alone: anchors.csv and members.csv."""
    run = open_run("cluster", source, out, options or RunOptions(), jobs=jobs)
    if run.study.is_located:
        raise ValueError(f"{source} is located already: it holds ratings, not marks")
    run.step("cluster", (*READING, *LOCATING), (), locate)
    return run.results


def infer_source(
    source: str | Path, out: str | Path, options: RunOptions | None = None, *, jobs: int = 1
) -> ResultFolder:
    """Labels alone, from a study, a result folder with ratings, or a crowd table: truth.csv and confusion.csv."""
    run = open_run("infer", source, out, options or RunOptions(), jobs=jobs)
    run.step("infer", (*READING, *LOCATING, *INFERRING), (), alone(infer, after=(locate, rate)))
    return run.results


def agree_on(source: str | Path, out: str | Path, options: RunOptions | None = None, *, jobs: int = 1) -> ResultFolder:
    """Agreement alone: of cohorts, of every two raters, of each with themselves; and the rank tests between them."""
    run = open_run("agree", source, out, options or RunOptions(), jobs=jobs)
    run.step("agree", (*READING, *LOCATING, *AGREEING), (), alone(agree, after=(locate, rate)))
    run.step("compare", ("compare",), ("agree",), compare)
    return run.results


def judge_source(
    source: str | Path, out: str | Path, options: RunOptions | None = None, *, jobs: int = 1
) -> ResultFolder:
    """Accuracy alone: raters and inferred labels against the reference."""
    run = open_run("accuracy", source, out, options or RunOptions(), jobs=jobs)
    depends_on = (*READING, *LOCATING, *INFERRING, *JUDGING)
    run.step("judge", depends_on, (), alone(judge, after=(locate, rate, infer)))
    return run.results


def simulate_redundancy(
    source: str | Path,
    out: str | Path,
    options: RunOptions | None = None,
    *,
    jobs: int = 1,
    address: str | None = None,
) -> ResultFolder:
    """The redundancy experiment alone: redundancy.csv; on a Dask cluster if the address of its scheduler is given."""
    run = open_run("simulate", source, out, options or RunOptions(), jobs=jobs, address=address)
    depends_on = (*READING, *LOCATING, *INFERRING, "reference", *SIMULATING)
    run.step("simulate", depends_on, (), alone(simulate, after=(locate, rate, infer)))
    remove_parts(run.results.path)
    return run.results


def plan_study(
    source: str | Path, out: str | Path, options: RunOptions | None = None, *, jobs: int = 1
) -> ResultFolder:
    """The plan alone: plan.csv."""
    run = open_run("plan", source, out, options or RunOptions(), jobs=jobs)
    depends_on = (*READING, *LOCATING, *INFERRING, "reference", *PLANNING)
    run.step("plan", depends_on, (), alone(plan, after=(locate, rate, infer)))
    return run.results


def report_on(folder: str | Path, *, study: str | Path | None = None) -> ResultFolder:
    """Figures and report of a result folder, made anew.

    Parameters
    ----------
    folder : where a run wrote
    study : where the study is now; default: where it was. Without it the report has no marks and no images

    Raises
    ------
    ValueError
        If no run wrote the folder.
    """
    results = reopen_results(Path(folder), command="run", redo=("draw", "report"))
    if unfinished := [step for step in (*DRAWN, "compare", "differ") if step not in results.record["steps"]]:
        raise ValueError(f"the run in {folder} did not come to its step {unfinished[0]!r}: run it again to its end")
    source = Path(study if study is not None else results.record["study"])
    if study is not None and not source.exists():
        raise ValueError(f"there is no study at {source}")
    if not source.exists():
        say(f"the study is no longer at {source}: the report shows no marks and no images (--study says where it is)")
    elif input_checksums(source) != results.record["inputs"]:
        raise ValueError(f"the study at {source} is not the one of these results any more; run it again")
    run = Run(source, replace(recorded_options(results.record["options"]), report=True), results, jobs=1)
    results.record["study"] = source.resolve().as_posix()  # where images are looked for
    outdate_step(results, "draw")
    run.step("draw", ("report",), DRAWN, draw)
    run.step("report", ("report",), ("draw", "compare", "differ"), report)
    return results


def alone(step: Step, *, after: Sequence[Step]) -> Step:
    """`step` as a command of its own: what it builds on is computed on the way and not written."""

    def with_earlier_steps(run: Run) -> Tables:
        check_common(run)
        for earlier in after:
            run.results.keep(earlier(run))
        return step(run)

    return with_earlier_steps


def run_demo(out: str | Path, *, seed: int = 0, jobs: int = 1, report: bool = True) -> ResultFolder:
    """A small synthetic study and its results against the known truth, in folders of `out` named by the seed."""
    out = Path(out)
    study = out / f"study-{seed}"
    if not study.exists():
        out.mkdir(parents=True, exist_ok=True)
        say("making a synthetic study with known truth")
        write_study(synthesise("demo", seed=seed).study, study, format="csv")
    options = RunOptions(classes="main", train_on="none", realizations=50, report=report, seed=seed)
    return run_study(study, out / f"results-{seed}", options, jobs=jobs)


def open_run(
    command: str, source: str | Path, out: str | Path, options: RunOptions, *, jobs: int, address: str | None = None
) -> Run:
    """A run with its result folder, its inputs' checksums taken."""
    source, out = Path(source), Path(out)
    say_when_compiling(say)
    if not source.exists():
        raise ValueError(f"there is no study at {source}")
    effective = {name: with_checksum(name, value) for name, value in asdict(options).items()}
    results = open_results(out, command=command, study=source, inputs=input_checksums(source), options=effective)
    return Run(source, options, results, jobs, address)


def input_checksums(source: Path) -> dict[str, str]:
    """Checksum of the study's file, or of each table in its folder, by relative name."""
    if source.is_file():
        return {source.name: sha256_of(source)}
    files = sorted(f for f in source.rglob("*") if f.is_file() and f.suffix.lower() in _INPUT_SUFFIXES)
    return {f.relative_to(source).as_posix(): sha256_of(f) for f in files}
