"""The paper's tables and figures of detectors: made from evaluations, the printed values beside them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.__main__ import app
from analysis.evaluations import no_evaluations, over_folds, read_evaluations
from analysis.figures.detector import pick_confusion, pick_objects, pick_progress
from analysis.published import published_tables
from analysis.tables.detector import pick_configurations, pick_final, pick_scales
from nucls_model.evaluate import Trial
from tests.evaluation_cases import write_trial

COMMAND = CliRunner()
FINAL = {"configuration": "3", "backbone": "resnet18", "scale_factor": 4.0, "updates": 16_000}
PAGES = ("figS9", "figS10", "figS11", "table1", "tableS3", "tableS4", "tableS5", "tableS6")


def run(*words: object):
    return COMMAND.invoke(app, [str(word) for word in words])


def trial(**changes: object) -> Trial:
    """The final model, tested on fold 2 of the corrected labels, but for the changes."""
    return Trial(**{"fold": "2", "trained_on": "corrected", "tested_on": "corrected", **FINAL, **changes})


TRIALS = {
    **{f"corrected_{fold}": trial(fold=fold) for fold in "12345"},
    **{f"experts_{fold}": trial(fold=fold, tested_on="P-truth") for fold in "1345"},
    **{f"uncorrected_{fold}": trial(fold=fold, trained_on="uncorrected") for fold in "23"},
    "early": trial(updates=8000),
    "configuration_2": trial(fold="1", configuration="2"),
    "scale_1": trial(fold="1", scale_factor=1.0, backbone="resnet34"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evaluations of made-up detectors, the log of one training among them."""
    place = tmp_path_factory.mktemp("detectors") / "folds"
    for seed, (name, one) in enumerate(TRIALS.items()):
        write_trial(place / name, one, seed=seed, n_fovs=6, n_nuclei=15, prefix=f"{one.fold}_")
    update = np.arange(1, 101)
    losses = pd.DataFrame({"update": update, "phase": "detector", "class": 50 / update, "mask": np.nan})
    losses.assign(total=losses["class"]).to_csv(place / "corrected_2" / "losses.csv", index=False)
    return place


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("analysis") / "out"
    result = run(*PAGES, "--evaluations", folder, "--out", out)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def evaluations(folder: Path):
    return read_evaluations([folder])


def scores_of(folder: Path, name: str, metric: str, level: str) -> float:
    table = pd.read_csv(folder / name / "metrics.csv", keep_default_na=False)
    row = table[(table.metric == metric) & (table.level == level) & (table["class"] == "")]
    return float(row["value"].item())


def test_pages__are_made_with_their_rows(made: Path) -> None:
    for name in PAGES:
        place = made / ("figures" if name.startswith("fig") else "tables")
        written = place / (f"{name}.png" if name.startswith("fig") else f"{name}.md")
        assert written.stat().st_size > 300, name
        rows = [pd.read_csv(file) for file in place.glob(f"{name}_*.csv")]
        assert rows, name
        assert all(len(table) for table in rows), name


def test_pages__need_no_study(made: Path) -> None:
    assert not (made / "computed").exists()
    assert (made / "index.md").read_text().startswith("# Figures and tables of: 14 evaluations of folds")


def test_table1__has_mean_and_population_deviation_of_folds_2_to_5(folder: Path, evaluations) -> None:
    means = pick_final(evaluations)["means"].set_index(["tested_on", "score"])
    values = [scores_of(folder, f"corrected_{fold}", "mcc", "super") for fold in "2345"]
    row = means.loc[("corrected", "super_mcc")]
    assert (row["mean"], row["sd"]) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=0)))
    assert row["folds"] == "2, 3, 4, 5"
    assert (row["published_mean"], row["published_sd"]) == (0.656, 0.079)
    assert means.loc[("P-truth", "ap_50"), "folds"] == "3, 4, 5"


def test_table1__has_every_fold_beside_the_printed_one(folder: Path, evaluations) -> None:
    folds = pick_final(evaluations)["folds"].set_index(["tested_on", "fold", "score"])
    row = folds.loc[("corrected", "1", "ap_50")]
    assert row["value"] == pytest.approx(scores_of(folder, "corrected_1", "ap_50", "objectness"))
    assert row["low"] < row["value"] < row["high"]
    assert row["published"] == 0.753
    assert folds.loc[("P-truth", "4", "median_dice"), "published"] == 0.865


def test_table1__takes_the_end_of_the_training(folder: Path, evaluations) -> None:
    folds = pick_final(evaluations)["folds"].set_index(["tested_on", "fold", "score"])
    last = scores_of(folder, "corrected_2", "ap_50", "objectness")
    assert folds.loc[("corrected", "2", "ap_50"), "value"] == last
    assert last != scores_of(folder, "early", "ap_50", "objectness")


def test_tables_s3_and_s5__are_of_fold_1(folder: Path, evaluations) -> None:
    scales = pick_scales(evaluations)["scales"]
    assert scales[scales.tested_on == "corrected"][["scale_factor", "backbone", "published"]].values.tolist() == [
        [1.0, "resnet34", 0.63],
        [4.0, "resnet18", 0.75],
    ]
    table = pick_configurations(evaluations)["configurations"]
    own = table[(table.tested_on == "corrected") & (table.score == "main_mcc")].set_index("configuration")
    assert own["published"].to_dict() == {"2": 0.57, "3": 0.596}
    assert own.loc["2", "value"] == pytest.approx(scores_of(folder, "configuration_2", "mcc", "main"))


def test_tables__set_every_printed_mean_beside_ours(made: Path) -> None:
    compared = pd.read_csv(made / "published" / "comparison.csv")
    printed = published_tables()
    own = compared[compared.page == "table1"]
    n_printed = len(printed["Table 1, Table S6: mean and standard deviation (population) over folds"])
    assert len(compared[compared.page.isin(["table1", "tableS6"])]) == 2 * n_printed
    assert own["ours"].notna().all()
    np.testing.assert_allclose(compared["difference"], compared["ours"] - compared["published"])
    assert set(compared.page) == {"table1", "tableS3", "tableS4", "tableS5", "tableS6"}
    assert "| table1 | corrected → corrected: ap_50, mean | 0.748 |" in (made / "comparison.md").read_text()


def test_figs9__counts_every_nucleus_once(folder: Path, evaluations) -> None:
    rows = pick_objects(evaluations)
    one = pd.read_csv(folder / "experts_3" / "nuclei.csv", keep_default_na=False)
    there = one[one.true != ""]
    fov = rows["fovs"][(rows["fovs"].tested_on == "P-truth") & rows["fovs"].fov.str.startswith("3_")]
    assert fov["n_nuclei"].sum() == (there.kind != "ambiguous").sum()
    assert fov["n_ambiguous"].sum() == (there.kind == "ambiguous").sum()
    assert rows["classes"]["n"].sum() == rows["fovs"][["n_nuclei", "n_ambiguous"]].to_numpy().sum()
    assert rows["sizes"]["n"].sum() == rows["fovs"]["n_nuclei"].sum()


def test_figs10__has_means_of_losses_and_scores_on_the_way(evaluations) -> None:
    rows = pick_progress(evaluations)
    losses = rows["losses"]
    assert set(losses.component) == {"class", "total"}
    first = losses[(losses.component == "class") & (losses["update"] == 25)]["value"].item()
    assert first == pytest.approx((50 / np.arange(1, 26)).mean())
    of_fold = rows["scores"][(rows["scores"].fold == "2") & (rows["scores"].trained_on == "corrected")]
    assert set(of_fold["updates"]) == {8000, 16_000}


def test_figs10__shows_no_losses_of_other_configurations(evaluations) -> None:
    other = evaluations.losses.assign(configuration="4", fold="9", total=1e6)
    mixed = replace(evaluations, losses=pd.concat([evaluations.losses, other]))
    assert pick_progress(mixed)["losses"].equals(pick_progress(evaluations)["losses"])


def test_figs11__sums_the_folds_but_the_first(folder: Path, evaluations) -> None:
    table = pick_confusion(evaluations)["confusion"]
    own = table[(table.trained_on == "corrected") & (table.tested_on == "corrected") & (table.level == "super")]
    assert set(own.folds) == {"2, 3, 4, 5"}
    n_matched = sum(scores_of(folder, f"corrected_{fold}", "n_matched", "") for fold in "2345")
    assert own["count"].sum() == n_matched


def test_over_folds__counts_a_single_fold_whatever_it_is() -> None:
    rows = pd.DataFrame({"fold": ["1"], "metric": ["ap_50"], "value": [0.5]})
    assert over_folds(rows, ["metric"])[["mean", "sd", "n_folds"]].values.tolist() == [[0.5, 0.0, 1]]
    assert over_folds(rows.assign(value=np.nan), ["metric"]).empty


def test_pages__without_evaluations_say_what_is_missing_and_stop(tmp_path: Path) -> None:
    result = run("table1", "figS9", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "table1: not made: no evaluations were given: --evaluations DIR" in result.output
    assert not (tmp_path / "out" / "tables").exists()
    assert "`nucls evaluate` wrote" in (tmp_path / "out" / "index.md").read_text()
    assert no_evaluations().final.empty


def test_pages__say_what_the_evaluations_lack(folder: Path, tmp_path: Path) -> None:
    words = ("--evaluations", folder / "experts_3", "--out", tmp_path / "out")
    result = run("figS9", "figS10", "tableS3", "tableS5", "tableS6", *words)
    assert result.exit_code == 0, result.output
    for told in (
        "figS10: not made: 1 evaluation of experts_3: no losses.csv",
        "tableS3: not made: none of 1 evaluation of experts_3 is of fold 1",
        "tableS5: not made: none of 1 evaluation of experts_3 is of fold 1",
        "tableS6: not made: none of 1 evaluation of experts_3 is of labels nobody corrected (trained_on uncorrected)",
    ):
        assert told in result.output
    assert (tmp_path / "out" / "figures" / "figS9.png").exists()


def test_evaluations__that_share_a_place_are_told_apart(folder: Path, tmp_path: Path) -> None:
    other = write_trial(tmp_path / "other", trial(hospitals="A2"), seed=99)
    result = run("table1", "--evaluations", folder, "--evaluations", other, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "Table 1 has one place for 2 evaluations of a fold" in result.output
    assert "hospitals A2" in result.output


def test_evaluations__of_one_trial_come_once(folder: Path, tmp_path: Path) -> None:
    twin = write_trial(tmp_path / "twin", TRIALS["corrected_2"], seed=50)
    result = run("table1", "--evaluations", folder, "--evaluations", twin, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "are of the same trial (fold 2" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table1", "--evaluations", "nowhere"], "--evaluations nowhere: there is no such folder"),
        (["table1", "--study", "."], "--study is for pages about raters, and none of these is"),
        (["fig5d", "--evaluations", "."], "--evaluations is for pages about detectors, and none of these is"),
    ],
)
def test_wrong_evaluations__give_one_message(words: list[str], message: str, tmp_path: Path) -> None:
    result = run(*words, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert message in result.output


def test_folder_without_scores__is_told(tmp_path: Path) -> None:
    result = run("table1", "--evaluations", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "no metrics.csv in it or below" in result.output


def test_scores_without_a_column__are_told(folder: Path, tmp_path: Path) -> None:
    table = pd.read_csv(folder / "early" / "metrics.csv").drop(columns="level")
    table.to_csv(tmp_path / "metrics.csv", index=False)
    result = run("table1", "--evaluations", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "level" in result.output
