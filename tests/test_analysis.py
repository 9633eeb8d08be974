"""The paper's figures and tables: all of them on a small synthetic study, those that make sense on a real one."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef
from typer.testing import CliRunner

from analysis.__main__ import app
from analysis.catalogue import PAGES, chosen_pages
from analysis.data import QUICK_FOVS
from analysis.figures.detection import pooled_mcc
from analysis.page import DetectorPage, ExperimentPage, Page
from analysis.published import COLUMNS, as_markdown, beside, published, published_tables
from analysis.running import make_pages
from analysis.setting import setting_of, united
from analysis.work import QUICK, Asked
from crowdtruth.study import make_study
from crowdtruth.synthetic import synthesise
from tests.verification import nucls_measures

COMMAND = CliRunner()
OF_STUDIES = {name: page for name, page in PAGES.items() if isinstance(page, Page)}


def run(*words: object):
    return COMMAND.invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Everything, quickly, and what the command said."""
    out = tmp_path_factory.mktemp("analysis") / "out"
    result = run("all", "--quick", "--out", out)
    assert result.exit_code == 0, result.output
    return out, result.output


def test_list__names_every_page() -> None:
    result = run("--list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(PAGES)


def test_all_quick__draws_every_figure_with_its_rows(made: tuple[Path, str]) -> None:
    out, _ = made
    for name, page in OF_STUDIES.items():
        folder = out / ("tables" if page.draw is None else "figures")
        drawn = folder / (f"{name}.md" if page.draw is None else f"{name}.png")
        assert drawn.stat().st_size > 1000, name
        rows = [pd.read_csv(file) for file in folder.glob(f"{name}_*.csv")]
        assert rows, name
        assert all(len(table) for table in rows), name


def test_all_quick__says_what_detectors_need(made: tuple[Path, str]) -> None:
    out, words = made
    index = (out / "index.md").read_text()
    for name in [name for name, page in PAGES.items() if isinstance(page, DetectorPage)]:
        assert f"{name}: not made: no evaluations were given: --evaluations DIR" in words
        assert f"| {name} |" in index
    assert "true is: labels inferred from P" in index.splitlines()[0]


def test_all_quick__sets_every_printed_value_beside_ours(made: tuple[Path, str]) -> None:
    out, words = made
    compared = pd.read_csv(out / "published" / "comparison.csv")
    printed = published()
    assert list(compared["quantity"]) == list(printed.loc[printed["page"] != "", "quantity"])
    assert compared["ours"].notna().all()
    assert set(pd.read_csv(out / "published" / "published_fig5a.csv")["page"]) == {"fig5a"}
    assert f"of {len(compared)} printed values within .05" in words
    assert "| fig3b | AUROC of NP-labels, micro, main classes | 0.930 |" in (out / "comparison.md").read_text()


@pytest.mark.filterwarnings("ignore:.*iterations ended before convergence")
def test_comparison__equals_the_measures_written_out_once_more(made: tuple[Path, str]) -> None:
    ours = pd.read_csv(made[0] / "published" / "comparison.csv").set_index("quantity")["ours"]
    theirs = nucls_measures.measure(synthesise("nucls", n_fovs=QUICK_FOVS))
    pairs = {
        "nuclei at IOU 0.25": "nuclei in E",
        "Krippendorff's alpha among Ps, main classes": "alpha of Ps, main",
        "Krippendorff's alpha among Ps, super-classes": "alpha of Ps, super",
        "Krippendorff's alpha among NPs, super-classes": "alpha of NPs, super",
        "average precision of NP-labels, detection": "average precision of NPs",
        "AUROC of NP-labels, micro, main classes": "AUROC of NPs, micro",
        "MCC of classes, lowest of the NPs": "MCC of NPs, lowest",
        "MCC of classes, highest of the NPs": "MCC of NPs, highest",
        "kappa of Ps with themselves, E and U-control, mean": "kappa of Ps with themselves",
    }
    found = {name: ours[name] for name in pairs}
    assert found == pytest.approx({name: theirs[key] for name, key in pairs.items()}, abs=1e-9)
    # there of the nuclei of E, here of those that are nuclei in U-control too
    assert ours["share of clicked nuclei in E, mean of all raters"] == pytest.approx(
        theirs["proportion clicked in E"], abs=0.01
    )
    # which of several clicked outlines is compared is a choice: here the one most raters accepted
    assert ours["DICE of clicked and traced outlines in E, mean"] == pytest.approx(theirs["DICE in E"], abs=0.02)


def test_second_run__keeps_what_it_has_and_gives_the_same_bytes(made: tuple[Path, str], tmp_path: Path) -> None:
    again = run("fig3d", "fig5d", "--quick", "--out", made[0])
    assert "locate: unchanged, kept" in again.output
    fresh = run("fig3d", "fig5d", "--quick", "--out", tmp_path / "out", "--jobs", 2)
    assert "kept" not in fresh.output
    for name in ("fig3d.png", "fig3d_rater_map.csv", "fig5d.png", "fig5d_pairwise.csv"):
        assert (tmp_path / "out" / "figures" / name).read_bytes() == (made[0] / "figures" / name).read_bytes(), name


def test_figures__say_which_data_they_show(made: tuple[Path, str]) -> None:
    result = run("fig5d", "--quick", "--format", "svg", "--out", made[0])
    assert result.exit_code == 0, result.output
    drawn = (made[0] / "figures" / "fig5d.svg").read_text()
    assert f"synthetic NuCLS-like study, seed 0, {QUICK_FOVS} FOVs" in drawn
    assert "true is: labels inferred from P" in drawn


def test_asthma__skips_what_makes_no_sense_and_says_why(data_dir: Path, tmp_path: Path) -> None:
    asked = ["fig3a", "fig4b", "fig4d", "fig5d", "figS3", "tests"]
    result = run(*asked, "--quick", "--study", data_dir / "exact_asthma_round1", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    index = (tmp_path / "out" / "index.md").read_text()
    assert [file.name for file in tmp_path.glob("out/figures/*.png")] == ["fig5d.png"]
    for reason in ("nobody clicked", "no second condition", "no coarser level", "own inferred labels", "one cohort"):
        assert reason in index
    assert not (tmp_path / "out" / "comparison.md").exists()


def test_asthma__with_its_reference_has_curves(data_dir: Path, tmp_path: Path) -> None:
    study = data_dir / "exact_asthma_round1"
    words = ("--reference", study / "ground_truth.csv", "--out", tmp_path / "out")
    assert run("fig3a", "fig3c", "--quick", "--study", study, *words).exit_code == 0
    curves = pd.read_csv(tmp_path / "out" / "figures" / "fig3a_curves.csv")
    assert set(curves["reference"]) == {"ground_truth.csv"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fig5d", "--study", "nowhere"], "--study nowhere: there is no such file or folder"),
        (["fig9"], "no figure or table 'fig9'; there are fig3a"),
        (["fig5d", "--format", "gif"], "--format gif: a figure is written as png, svg, pdf"),
        (["fig5d", "--quick", "--reference", "boxes.csv"], "--reference with a file is for a --study"),
        (["fig5d", "--quick", "--condition", "X"], "no condition 'X'; the study has U-control, B-control, E"),
        (["fig5d", "--quick", "--reference", "cohort:X"], "no cohort 'X'; the study has P, NP"),
    ],
)
def test_wrong_arguments__give_one_message(words: list[str], message: str, tmp_path: Path) -> None:
    result = run(*words, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_no_page__is_a_usage_error(tmp_path: Path) -> None:
    assert run("--quick", "--out", tmp_path).exit_code == 2


def test_crowd_table__is_refused(tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_text("task,worker,label\n1,ann,cat\n1,ben,dog\n")
    result = run("fig5d", "--study", table, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "a crowd table has no images" in result.output


def test_one_rater__is_refused(data_dir: Path, tmp_path: Path) -> None:
    result = run("all", "--study", data_dir / "nucls_fovs", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "all marks are by one rater, 'single_rater'" in result.output


def test_located_study__has_agreement_but_no_clustering(made: tuple[Path, str], tmp_path: Path) -> None:
    study = tmp_path / "located"
    study.mkdir()
    for name in ("anchors.csv", "ratings.csv"):
        shutil.copy(made[0] / "computed" / name, study)
    result = run("fig5", "fig3c", "--quick", "--study", study, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "fig5b: not made: the objects are located already" in result.output
    agreement = pd.read_csv(tmp_path / "out" / "figures" / "fig5a_agreement.csv")
    assert agreement["threshold"].isna().all()
    assert agreement["value"].notna().any()


def test_out_inside_the_study__is_refused(tmp_path: Path) -> None:
    marks = pd.DataFrame({"fov": ["f"], "rater": ["r"], "xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9, "label": ["a"]})
    marks.to_csv(tmp_path / "annotations.csv", index=False)
    with pytest.raises(ValueError, match="inside the study"):
        make_pages(chosen_pages(["fig5d"]), Asked(**QUICK), tmp_path / "out", study=tmp_path)


def test_published__every_value_says_what_it_is_and_where_it_stands() -> None:
    values = published()
    assert (values[["quantity", "source"]] != "").all(axis=None)
    assert values["value"].notna().all()
    made_here = values[values["page"] != ""]
    assert set(made_here["page"]) <= set(PAGES)
    assert (made_here[["key", "definition"]] != "").all(axis=None)
    assert not made_here.duplicated(["page", "key"]).any()


def test_published_tables__have_as_many_cells_as_columns() -> None:
    tables = published_tables()
    assert {"Table S2", "Table 1, corrected, by fold"} <= set(tables)
    for name, table in tables.items():
        numbers = table.select_dtypes("number").drop(columns=["n", "n_segmented", "n_classified"], errors="ignore")
        fractions = numbers.drop(columns=["fold", "scale_factor"], errors="ignore")
        assert ((fractions <= 1) | fractions.isna()).all(axis=None), name


def test_beside__leaves_what_was_not_computed_empty() -> None:
    table = beside("fig4c", {})
    assert list(table.columns) == list(COLUMNS)
    assert table["ours"].isna().all()
    assert "| – | – | – | no |" in as_markdown(table, "nothing")


def test_pooled_mcc__is_that_of_all_one_vs_rest_answers() -> None:
    rng = np.random.default_rng(5)
    true, assigned = rng.choice(["a", "b", "c"], (2, 200), p=[0.5, 0.3, 0.2])
    assigned = np.where(rng.random(200) < 0.6, true, assigned)
    rows = pd.DataFrame({"true": true, "assigned": assigned}).value_counts().rename("count").reset_index()
    not_counted = pd.DataFrame({"true": ["", "a"], "assigned": ["a", "undetected"], "count": [7, 9]})
    expected = matthews_corrcoef(*(np.concatenate([labels == name for name in "abc"]) for labels in (true, assigned)))
    assert pooled_mcc(pd.concat([rows, not_counted])) == pytest.approx(expected)


def two_cohorts(**more: object):
    marks = pd.DataFrame({"fov": "f", "rater": ["r", "s"], "xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9, "label": "a"})
    return make_study(marks, raters=pd.DataFrame({"rater": ["r", "s"], "cohort": ["x", "y"]}), **more)


def test_setting__of_unknown_cohorts_has_no_judge_unless_asked() -> None:
    study = two_cohorts()
    assert setting_of(study).judged == ()
    assert setting_of(study, judge="x").judged == ("y",)
    assert setting_of(study, outside="truth.csv").judged == ("x", "y")


def test_setting__takes_the_condition_with_the_fewest_clicks_as_control() -> None:
    marks = pd.DataFrame({"fov": "f", "rater": ["r", "s", "r", "s"], "condition": ["a", "a", "b", "b"], "label": "x"})
    marks = marks.assign(xmin=0, ymin=0, xmax=9, ymax=9, coords_x="0,9,9", coords_y="0,0,9")
    setting = setting_of(make_study(marks.assign(kind=["click", "box", "box", "box"])))
    assert (setting.condition, setting.control) == ("a", "b")
    assert setting_of(make_study(marks.assign(kind="box")), condition="a").control is None


def test_united__makes_p_of_senior_and_junior_pathologists() -> None:
    study = united(synthesise("demo", n_fovs=2).study)
    setting = setting_of(study)
    assert setting.cohorts == ("P", "NP")
    assert (setting.judge, setting.condition, setting.control) == ("P", "E", "U-control")
    assert setting.is_paper


def test_chosen_pages__come_in_the_papers_order() -> None:
    assert [page.name for page in chosen_pages(["tests", "fig5", "fig3a"])] == [
        *("fig3a", "fig5a", "fig5b", "fig5c", "fig5d", "tests"),
    ]
    everything = chosen_pages(["all"])
    assert not any(isinstance(page, ExperimentPage) for page in everything)
    assert len(everything) == len(PAGES) - 1
    assert [page.name for page in chosen_pages(["label_kinds", "all"])] == list(PAGES)
