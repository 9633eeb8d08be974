"""What labels are worth: from painted studies to the table, on two FOVs; and what the labels themselves are worth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.__main__ import app
from analysis.compute import label_kinds
from analysis.compute.label_kinds import FULL, QUICK, compute_label_kinds
from analysis.compute.label_study import KINDS, judge_labels, study_parameters, unseen_parameters
from analysis.tables.label_kinds import pick_label_kinds, write_label_kinds
from nucls_model.cli.configuring import make_config
from nucls_model.labelled import LabelledFovs

COMMAND = CliRunner()
ONE_SEED = replace(QUICK, n_seeds=1)
SEED_0 = "label_kinds_quick/seed-0"
TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorials" / "labels_for_a_detector.md"


def run(*words: object):
    return COMMAND.invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The page, quickly, and what the command said."""
    out = tmp_path_factory.mktemp("analysis") / "out"
    result = run("label_kinds", "--quick", "--out", out)
    assert result.exit_code == 0, result.output
    return out, result.output


def test_label_kinds__has_every_score_of_every_kind_and_seed(made: tuple[Path, str]) -> None:
    out, _ = made
    labels, scores, summary = (
        pd.read_csv(out / f"tables/label_kinds_{n}.csv") for n in ("labels", "scores", "summary")
    )
    assert set(map(tuple, labels[["kind", "seed"]].to_numpy())) == {(kind, seed) for kind in KINDS for seed in (0, 1)}
    assert (labels.groupby(["kind", "seed"]).size() == 7).all()
    counts = scores[scores.metric == "n_true"].set_index(["seed", "kind"])["value"]
    assert len(counts) == 2 * len(KINDS)
    assert (counts.groupby("seed").nunique() == 1).all(), "all kinds are judged on the same nuclei"
    n_rows = 2 * len(KINDS) - 1  # kinds, and their differences from the majority vote
    assert summary.groupby("of").size().to_dict() == {"labels": 7 * n_rows, "detectors": 7 * n_rows}


def test_label_kinds__says_and_writes_the_table(made: tuple[Path, str]) -> None:
    out, words = made
    page = (out / "tables" / "label_kinds.md").read_text()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")]
    one = ["learned from", "majority vote", "inferred labels", "posteriors", "the truth"]
    one += [f"{name} − majority vote" for name in one[2:]]
    assert rows == 2 * one
    assert page.split("\n\n", 1)[1].strip() in words
    assert page.count("1.000 (1.000 – 1.000)") == 5, "the truth is right about itself"
    assert "too few and too short to say anything" in (out / "index.md").read_text()


def test_label_kinds__learns_from_labels_and_is_judged_elsewhere(made: tuple[Path, str]) -> None:
    seed = made[0] / SEED_0
    seen = {path.stem for path in (seed / "painted" / "truth" / "rgb").iterdir()}
    unseen = {path.stem for path in (seed / "unseen" / "truth" / "rgb").iterdir()}
    hospital = {name: {fov.split("-")[1] for fov in fovs} for name, fovs in (("seen", seen), ("unseen", unseen))}
    assert not hospital["seen"] & hospital["unseen"]
    for kind in KINDS:
        predictions = pd.read_csv(seed / "models" / kind / "scores" / "predictions.csv")
        assert set(predictions["fov"]) <= unseen
        metrics = pd.read_csv(seed / "models" / kind / "scores" / "metrics.csv")
        assert set(metrics["trained_on"]) == {kind}


def test_second_call__trains_nothing_and_gives_the_same_bytes(made: tuple[Path, str]) -> None:
    out, _ = made
    before = {path: path.read_bytes() for path in (out / "tables").iterdir()}
    again = run("label_kinds", "--quick", "--out", out)
    assert again.output.count("unchanged, kept") == 2 * (1 + len(KINDS))
    assert {path: path.read_bytes() for path in (out / "tables").iterdir()} == before


def test_interrupted__continues_after_the_detectors_that_are_done(
    made: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def interrupt(*_: object, trial, **__: object) -> None:
        trained.append(trial.trained_on)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(label_kinds, "evaluate_detector", interrupt)
        with pytest.raises(KeyboardInterrupt):
            compute_label_kinds(tmp_path / "page", ONE_SEED)
    weights = tmp_path / "page" / "seed-0" / "models" / "majority" / "weights.safetensors"
    kept = weights.read_bytes()
    _, scores = compute_label_kinds(tmp_path / "page", ONE_SEED)
    assert trained == ["majority"]
    assert weights.read_bytes() == kept
    whole = pd.read_csv(made[0] / "tables" / "label_kinds_scores.csv", keep_default_na=False, na_values={"value": ""})
    expected = whole[whole.seed == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(scores, expected, check_dtype=False)


def test_folder_of_something_else__is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "label_kinds_quick"
    place.mkdir()
    (place / "notes.txt").write_text("mine")
    result = run("label_kinds", "--quick", "--out", tmp_path)
    assert result.exit_code == 1
    assert "label_kinds_quick holds files that no run of this page wrote" in result.output
    assert [path.name for path in place.iterdir()] == ["notes.txt"]


def test_study__asks_few_of_raters_who_differ() -> None:
    known, unseen = study_parameters(9), unseen_parameters(3)
    assert known.conditions[0].asked["R"] < known.cohorts[0].n_raters
    assert not set(known.tissue.hospitals) & set(unseen.tissue.hospitals)
    assert replace(unseen.tissue, hospitals=known.tissue.hospitals, n_slides=known.tissue.n_slides) == known.tissue


def test_tutorial__has_the_settings_of_the_table(tmp_path: Path) -> None:
    settings = TUTORIAL.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    (tmp_path / "small.toml").write_text(settings)
    assert make_config(str(tmp_path / "small.toml"))[1] == FULL.config
    assert f"study_parameters({FULL.n_fovs})" in TUTORIAL.read_text(encoding="utf-8")


def labelled(*rows: tuple[float, str, float, float, float]) -> LabelledFovs:
    """Squares of 10 pixels at x, with their label, p_exists, P(a) and P(AMBIGUOUS); the rest is P(b)."""
    objects = pd.DataFrame(rows, columns=["xmin", "label", "p_exists", "prob_a", "prob_AMBIGUOUS"])
    objects = objects.assign(fov="f", ymin=0.0, ymax=10.0, xmax=objects["xmin"] + 10, coords_x="", coords_y="")
    objects["prob_b"] = 1 - objects["prob_a"] - objects["prob_AMBIGUOUS"]
    return LabelledFovs(pd.DataFrame({"fov": ["f"]}), objects, ("a", "b"), {}, ())


TRUE = labelled((0, "a", 1, 1, 0), (20, "b", 1, 0, 0), (40, "a", 1, 1, 0), (60, "AMBIGUOUS", 1, 0, 1))


def scores_of(labels: LabelledFovs) -> dict[str, float]:
    return judge_labels(labels, TRUE).set_index("metric")["value"].to_dict()


def test_judge_labels__of_the_truth_are_perfect() -> None:
    found = scores_of(TRUE)
    assert {name: found[name] for name in ("precision", "recall", "accuracy", "mcc", "brier")} == {
        **dict.fromkeys(("precision", "recall", "accuracy", "mcc"), 1.0),
        "brier": 0.0,
    }
    assert np.isnan(found["mean_dice"])


def test_judge_labels__objects_on_ambiguous_nuclei_count_neither_way() -> None:
    found = scores_of(labelled((1, "a", 1, 1, 0), (60, "b", 1, 0, 0), (80, "b", 1, 0, 0)))
    assert (found["n_objects"], found["precision"], found["recall"]) == (3, 1 / 2, pytest.approx(1 / 3))


def test_judge_labels__scores_what_is_learned_by_its_weight() -> None:
    rows = ((0, "a", 0.5, 0.8, 0.0), (20, "a", 1.0, 0.6, 0.2), (40, "AMBIGUOUS", 1.0, 0.1, 0.9))
    found = scores_of(labelled(*rows, (80, "undetected", 0.3, 1, 0)))
    assert (found["n_objects"], found["accuracy"]) == (3, 1 / 2)
    first, second = 2 * 0.2**2, 2 * 0.75**2  # a at .8; b at .2 of the .8 that are not ambiguous
    assert found["brier"] == pytest.approx((0.5 * first + 0.8 * second) / 1.3)


def test_pick_label_kinds__differs_within_a_seed() -> None:
    rows = [("majority", 0, 0.5), ("majority", 1, 0.9), ("posterior", 0, 0.6), ("posterior", 1, np.nan)]
    scores = pd.DataFrame(rows, columns=["kind", "seed", "value"]).assign(metric="mcc", level="main")
    summary = pick_label_kinds(scores.assign(metric="recall"), scores)
    table = summary[summary.of == "detectors"].set_index(["kind", "minus"])[["mean", "low", "high", "n_seeds"]]
    assert table.loc[("majority", "")].tolist() == pytest.approx([0.7, 0.5, 0.9, 2])
    assert table.loc[("posterior", "majority")].tolist() == pytest.approx([0.1, 0.1, 0.1, 1])
    assert "| posteriors − majority vote | – | – | – | – | +.100 (+.100 – +.100) |" in write_label_kinds(
        {"summary": summary}
    )
