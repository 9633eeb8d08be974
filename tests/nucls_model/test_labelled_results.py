import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crowdtruth.files import write_table
from crowdtruth.problems import StudyError
from crowdtruth.results import read_result
from crowdtruth.taxonomy import load_taxonomy
from crowdtruth.truth import infer_labels
from nucls_model.labelled import LabelledFovs, read_result_folder
from tests.nucls_model.labelled_cases import Result, write_result

BOX = ["xmin", "ymin", "xmax", "ymax"]
GATE = 4  # detections an object needs, of nine pathologists


def probabilities(labelled: LabelledFovs) -> pd.DataFrame:
    return labelled.objects.filter(like="prob_")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return write_result(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return write_result(tmp_path_factory.mktemp("run"), min_detections=GATE)


@pytest.fixture
def copy_of_result(result: Result, tmp_path: Path) -> Path:
    return Path(shutil.copytree(result.folder, tmp_path / "copy"))


def grouped_truth(result: Result, level: str, min_detections: int) -> pd.DataFrame:
    tables = result.tables
    return infer_labels(
        tables["ratings"],
        tables["anchors"],
        cohorts={"P": ["SP", "JP"]},
        conditions=["E"],
        classes=[n for n in load_taxonomy("nucls").classes if n in set(tables["ratings"]["label"])],
        grouping=load_taxonomy("nucls").grouping(level),
        min_detections=min_detections,
    ).truth.set_index("anchor")


@pytest.mark.parametrize("level", ["main", "super"])
def test_read_result_folder__has_the_labels_that_the_run_grouped_to_the_level_has(gated: Result, level: str) -> None:
    labelled = read_result_folder(gated.folder, level)
    expected = grouped_truth(gated, level, GATE).loc[gated.tables["training"]["anchor"]]
    assert labelled.objects["label"].tolist() == expected["label"].tolist()
    assert (labelled.objects["label"] == "").any(), "the case holds anchors below the gate"
    given = expected.filter(like="prob_").drop(columns="prob_undetected")
    np.testing.assert_allclose(
        probabilities(labelled).to_numpy(),
        given.div(given.sum(axis=1), axis=0)[list(probabilities(labelled))].to_numpy(),
        atol=1e-9,
    )


def test_read_result_folder__posteriors_are_those_of_the_training_table(result: Result) -> None:
    labelled, training = read_result_folder(result.folder, "main"), result.tables["training"]
    np.testing.assert_array_equal(labelled.objects["p_exists"], training["p_exists"])
    np.testing.assert_allclose(probabilities(labelled).sum(axis=1), 1)
    expected = training["prob_tumor"]
    np.testing.assert_allclose(labelled.objects["prob_tumor_nonMitotic"], expected)
    np.testing.assert_array_equal(labelled.objects["has_outline"], training["has_outline"])


def test_read_result_folder__inferred_labels_are_certain_and_the_rest_is_gone(gated: Result) -> None:
    soft, hard = (read_result_folder(gated.folder, "main", targets=t).objects for t in ("posterior", "inferred"))
    is_object = ~soft["label"].isin(["undetected", ""])
    assert hard["label"].tolist() == soft.loc[is_object, "label"].tolist()
    assert (hard["p_exists"] == 1).all()
    assert hard.filter(like="prob_").isin([0, 1]).all(axis=None)


def plain_majority(result: Result, level: str, min_detections: int) -> dict[tuple, str]:
    """Box of each object -> its class: two votes, counted one rating at a time."""
    grouping = load_taxonomy("nucls").grouping(level)
    ratings = result.tables["ratings"]
    ratings = ratings[ratings["cohort"].isin(["SP", "JP"]) & (ratings["condition"] == "E")]
    boxes = result.tables["anchors"].set_index("anchor")[["fov", *BOX]]
    objects = {}
    for anchor, rows in ratings.groupby("anchor"):
        placed = [grouping.class_of[label] for label in rows["label"] if label != "undetected"]
        if 2 * len(placed) >= len(rows) and len(placed) >= min_detections:
            votes = {name: placed.count(name) for name in grouping.classes}
            objects[tuple(boxes.loc[anchor])] = max(votes, key=lambda name: votes[name])  # the first of equals
    return objects


@pytest.mark.parametrize("level", ["main", "super"])
def test_read_result_folder__majority_is_counted_by_hand(gated: Result, level: str) -> None:
    objects = read_result_folder(gated.folder, level, targets="majority").objects
    expected = plain_majority(gated, level, GATE)
    # boxes are cut to the image, so compare what no edge touches
    found = {tuple(row[:5]): row[5] for row in objects[["fov", *BOX, "label"]].itertuples(index=False)}
    assert len(found) == len(expected)
    inner = {key: label for key, label in expected.items() if min(key[1:]) >= 0 and max(key[1:]) <= 300}
    assert len(inner) > 30
    assert {key: found[key] for key in inner} == inner


def test_read_result_folder__fovs_the_cohort_did_not_see_are_left_out(result: Result, copy_of_result: Path) -> None:
    ratings = result.tables["ratings"]
    unseen = result.study.fovs["fov"].iloc[0]
    hidden = (ratings["fov"] == unseen) & ratings["cohort"].isin(["SP", "JP"]) & (ratings["condition"] == "E")
    write_table(ratings[~hidden], copy_of_result / "ratings.csv")
    labelled = read_result_folder(copy_of_result, "main", targets="majority")
    assert unseen not in set(labelled.fovs["fov"]) | set(labelled.objects["fov"])
    assert any(note.startswith("1 FOVs in which nobody of cohort 'P'") for note in labelled.notes)


def test_read_result_folder__images_may_have_moved(result: Result, copy_of_result: Path, tmp_path: Path) -> None:
    record = json.loads((copy_of_result / "run.json").read_text()) | {"study": str(tmp_path / "gone")}
    (copy_of_result / "run.json").write_text(json.dumps(record))
    with pytest.raises(StudyError, match=r"the study is no longer at .*gone; say \(--images\) where"):
        read_result_folder(copy_of_result, "main")
    labelled = read_result_folder(copy_of_result, "main", images=result.study_folder)
    assert len(labelled.fovs) == len(result.study.fovs)


def test_read_result_folder__opens_no_image_outside_of_the_study(result: Result, copy_of_result: Path) -> None:
    fovs = result.study.fovs.copy()
    fovs.loc[0, "image"] = "../elsewhere.png"
    write_table(fovs, copy_of_result / "fovs.csv")
    with pytest.raises(StudyError, match="leads out of the folder"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__an_image_of_another_size_is_left_out(result: Result, copy_of_result: Path) -> None:
    fovs = result.study.fovs.copy()
    fovs["width"] = fovs["width"].where(fovs.index != 1, 900)
    write_table(fovs, copy_of_result / "fovs.csv")
    labelled = read_result_folder(copy_of_result, "main")
    assert len(labelled.fovs) == len(fovs) - 1
    assert any("its table says 900" in note for note in labelled.notes)


def test_read_result_folder__needs_image_paths(result: Result, copy_of_result: Path) -> None:
    write_table(result.study.fovs.drop(columns="image"), copy_of_result / "fovs.csv")
    with pytest.raises(StudyError, match="has no image paths"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__without_a_taxonomy_there_are_only_raw_classes(copy_of_result: Path) -> None:
    (copy_of_result / "taxonomy.toml").unlink()
    with pytest.raises(StudyError, match="class level 'raw', not 'main'"):
        read_result_folder(copy_of_result, "main")
    training = read_result(copy_of_result / "training.csv")
    labelled = read_result_folder(copy_of_result, "raw")
    assert labelled.objects["label"].tolist() == training["label"].tolist()


def test_read_result_folder__a_run_grouped_to_another_level_is_refused(result: Result, copy_of_result: Path) -> None:
    training = result.tables["training"]
    grouped = training.loc[:, ~training.columns.str.startswith("prob_")].assign(prob_sTIL=1.0, label="sTIL")
    write_table(grouped, copy_of_result / "training.csv")
    with pytest.raises(StudyError, match="'sTIL' cannot be grouped to level 'main'"):
        read_result_folder(copy_of_result, "main")


@pytest.mark.parametrize("content", ["[]", '{"study": 1, "options": {}}', '{"study": "x"}', "{"])
def test_read_result_folder__needs_the_record_of_a_run(copy_of_result: Path, content: str) -> None:
    (copy_of_result / "run.json").write_text(content)
    with pytest.raises(StudyError, match=r"run\.json"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__without_rows_has_nothing_to_learn(result: Result, copy_of_result: Path) -> None:
    write_table(result.tables["training"].iloc[:0], copy_of_result / "training.csv")
    with pytest.raises(StudyError, match=r"training\.csv has no rows"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__refuses_labels_of_two_cohorts(result: Result, copy_of_result: Path) -> None:
    training = result.tables["training"]
    mixed = training["cohort"].where(training.index != 0, "NP")
    write_table(training.assign(cohort=mixed), copy_of_result / "training.csv")
    with pytest.raises(StudyError, match="labels of several cohorts or conditions"):
        read_result_folder(copy_of_result, "main")


def test_read_result_folder__refuses_tables_of_different_runs(result: Result, copy_of_result: Path) -> None:
    truth = result.tables["truth"]
    lost = result.tables["training"]["anchor"].iloc[0]
    write_table(truth[truth["anchor"] != lost], copy_of_result / "truth.csv")
    with pytest.raises(StudyError, match=r"ratings\.csv, truth\.csv and training\.csv do not fit at 'fov-"):
        read_result_folder(copy_of_result, "main")


@pytest.mark.parametrize("table", ["training", "ratings", "fovs"])
def test_read_result_folder__names_a_column_that_is_gone(result: Result, copy_of_result: Path, table: str) -> None:
    write_table(result.tables[table].drop(columns="fov"), copy_of_result / f"{table}.csv")
    with pytest.raises(StudyError, match=rf"{table}\.csv: has no column 'fov'"):
        read_result_folder(copy_of_result)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("p_exists", -0.5, "row 1, p_exists: expected a probability, from 0 to 1"),
        ("prob_tumor", 1.5, "row 1, prob_tumor: expected a probability"),
        ("xmax", -1e6, "row 1, xmax: expected xmin < xmax"),
        ("label", "alien", "row 1, label: expected one of 'tumor'"),
        ("coords_x", "1,2,3", "coords_x and coords_y belong together|expected the same number"),
        ("coords_y", "1,x", "coords_x and coords_y belong together|expected numbers with commas"),
        ("fov", "elsewhere", "training.csv has the FOVs 'elsewhere', which fovs.csv has not"),
    ],
)
def test_read_result_folder__refuses_a_training_table_that_no_run_writes(
    result: Result, copy_of_result: Path, column: str, value: object, words: str
) -> None:
    training = result.tables["training"].copy()
    training.loc[training.index[0], column] = value
    write_table(training, copy_of_result / "training.csv")
    with pytest.raises(StudyError, match=words):
        read_result_folder(copy_of_result)


def test_read_result_folder__a_class_without_its_column_is_missed(result: Result, copy_of_result: Path) -> None:
    write_table(result.tables["training"].drop(columns="prob_lymphocyte"), copy_of_result / "training.csv")
    with pytest.raises(StudyError, match="the probabilities of the classes sum to one, here to"):
        read_result_folder(copy_of_result)


@pytest.mark.parametrize("options", [{"cohort": 5}, {"cohort": [5]}, {"cohort": None}, {"min_detections": "many"}])
def test_read_result_folder__names_options_that_no_run_writes(copy_of_result: Path, options: dict) -> None:
    record = json.loads((copy_of_result / "run.json").read_text())
    record["options"] |= options
    (copy_of_result / "run.json").write_text(json.dumps(record))
    with pytest.raises(StudyError, match=r"run\.json is not the record of a run: expected a list of names in cohort"):
        read_result_folder(copy_of_result)


def test_read_result_folder__knows_its_targets(result: Result) -> None:
    with pytest.raises(ValueError, match="targets must be one of 'posterior', 'inferred', 'majority', got 'soft'"):
        read_result_folder(result.folder, targets="soft")  # type: ignore[arg-type]
