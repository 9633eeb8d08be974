import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.problems import StudyError
from nucls_model.folds import Fold, assign_folds, fold_rows, make_folds, read_folds, write_folds


def slides_of(**n_slides: int) -> pd.DataFrame:
    rows = [(f"{hospital}-{k}", hospital) for hospital, n in n_slides.items() for k in range(n)]
    return pd.DataFrame(rows, columns=["slide", "hospital"])


PAPER_LIKE = slides_of(A=9, B=8, C=7, D=6, E=5, F=4, G=3, H=2, I=2, J=1, K=1)


def test_assign_folds__each_fold_tests_one_big_hospital_and_some_small_ones() -> None:
    table = assign_folds(PAPER_LIKE)
    for _, rows in table.groupby("fold"):
        assert rows.loc[rows["type"] == "big", "hospital"].nunique() == 1
        assert rows.loc[rows["type"] == "small", "hospital"].nunique() in (1, 2)
    assert set(table.loc[table["type"] == "big", "hospital"]) == set("ABCDE")


@given(st.lists(st.integers(1, 6), min_size=5, max_size=12), st.integers(0, 3))
def test_make_folds__no_hospital_is_on_both_sides_and_every_slide_is_tested_once(sizes: list[int], seed: int) -> None:
    slides = slides_of(**{f"h{k}": n for k, n in enumerate(sizes)})
    hospital = dict(zip(slides["slide"], slides["hospital"], strict=True))
    folds = make_folds(slides, seed=seed)
    for fold in folds:
        assert not {hospital[slide] for slide in fold.train} & {hospital[slide] for slide in fold.test}
        assert {*fold.train, *fold.test} == set(slides["slide"])
    assert sorted(slide for fold in folds for slide in fold.test) == sorted(slides["slide"])


@given(st.randoms(use_true_random=False))
def test_assign_folds__ignores_the_order_and_repetition_of_rows(random) -> None:
    rows = [*range(len(PAPER_LIKE)), 3, 3]
    random.shuffle(rows)
    pd.testing.assert_frame_equal(assign_folds(PAPER_LIKE.iloc[rows]), assign_folds(PAPER_LIKE))


def test_assign_folds__is_the_same_everywhere() -> None:
    # written down once: a change of Python, NumPy or the hash seed must not move a hospital
    table = assign_folds(PAPER_LIKE).drop_duplicates("hospital")
    assert "".join(table.sort_values(["fold", "hospital"])["hospital"]) == "DIJAKEFBHCG"


def test_assign_folds__seed_deals_anew() -> None:
    dealt = {tuple(assign_folds(PAPER_LIKE, seed=seed)["fold"]) for seed in range(4)}
    assert len(dealt) > 1


@pytest.mark.parametrize(
    ("slides", "words"),
    [
        (slides_of(A=3, B=3), "5 folds and 2 hospitals"),
        (pd.DataFrame({"slide": ["a"], "hospital": [""]}), "first is slide 'a', hospital ''"),
        (pd.DataFrame({"slide": ["a", "a"], "hospital": ["X", "Y"]}), "'a' come from two"),
    ],
)
def test_assign_folds__says_what_is_wrong(slides: pd.DataFrame, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        assign_folds(slides)


def test_read_folds__gives_back_what_was_written(tmp_path: Path) -> None:
    write_folds(assign_folds(PAPER_LIKE), tmp_path)
    assert read_folds(tmp_path) == make_folds(PAPER_LIKE)
    columns = (tmp_path / "fold_1_train.csv").read_text().splitlines()[0]
    assert columns == "index,slide_name,hospital,type,fold"


def write_pair(folder: Path, train: str, test: str) -> None:
    (folder / "fold_1_train.csv").write_text(f",slide_name,hospital\n{train}\n")
    (folder / "fold_1_test.csv").write_text(f",slide_name,hospital\n{test}\n")


def test_read_folds__refuses_a_hospital_on_both_sides(tmp_path: Path) -> None:
    write_pair(tmp_path, "0,a,X", "1,b,X")
    with pytest.raises(StudyError, match="fold 1 trains and tests on the same hospital: 'X'"):
        read_folds(tmp_path)


def test_read_folds__refuses_a_slide_on_both_sides(tmp_path: Path) -> None:
    write_pair(tmp_path, "0,a,X", "1,a,Y")
    with pytest.raises(StudyError, match="same slide_name: 'a'"):
        read_folds(tmp_path)


def test_read_folds__misses_half_a_pair(tmp_path: Path) -> None:
    write_pair(tmp_path, "0,a,X", "1,b,Y")
    (tmp_path / "fold_1_train.csv").unlink()
    with pytest.raises(StudyError, match=r"fold_1_train.csv: no such file"):
        read_folds(tmp_path)


def test_read_folds__needs_files(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no split files"):
        read_folds(tmp_path)


def test_fold_rows__are_the_rows_of_the_slides() -> None:
    train, test = fold_rows(Fold(1, ("a", "c"), ("b",)), pd.DataFrame({"slide": list("abcb")}))
    np.testing.assert_array_equal(train, [0, 2])
    np.testing.assert_array_equal(test, [1, 3])


@pytest.mark.parametrize(("slides", "words"), [("abx", "where 'x' belong"), ("aa", "fold 1 has 2 and 0")])
def test_fold_rows__says_what_is_wrong(slides: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fold_rows(Fold(1, ("a",), ("b",)), pd.DataFrame({"slide": list(slides)}))


@pytest.fixture
def single_rater_slides(data_dir: Path) -> pd.DataFrame:
    """Slide and hospital of each FOV of the published single-rater set."""
    with closing(sqlite3.connect(data_dir / "nucls_single_rater" / "single_rater_boxes.sqlite")) as database:
        names = [name for (name,) in database.execute("SELECT slide_name FROM fov_meta")]
    return pd.DataFrame({"slide": names, "hospital": [name.split("-")[1] for name in names]})


@pytest.mark.data
def test_assign_folds__big_hospitals_of_the_single_rater_set_have_nine_slides_or_more(
    single_rater_slides: pd.DataFrame,
) -> None:
    # the paper's "small: fewer than 9 patients" and the program's "not among the five largest" agree
    table = assign_folds(single_rater_slides)
    n_slides = table.groupby(["type", "hospital"]).size()
    assert len(table) == 113
    assert set(n_slides["big"].index) == {"A2", "BH", "D8", "E2", "EW"}
    assert n_slides["big"].min() == 9 > n_slides["small"].max()


@pytest.mark.data
def test_assign_folds__of_the_single_rater_set_are_those_in_the_docs(single_rater_slides: pd.DataFrame) -> None:
    page = (Path(__file__).parents[2] / "docs" / "methods" / "detector_data.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (\d) \| (.*?) \| (.*?) \| (\d+) \| (\d+) \|", page, flags=re.MULTILINE)
    table = assign_folds(single_rater_slides)
    expected = []
    for fold, rows in table.groupby("fold"):
        n_slides = rows.groupby(["type", "hospital"]).size()
        big, small = (", ".join(f"{name} ({n})" for name, n in n_slides[kind].items()) for kind in ("big", "small"))
        n_fovs = single_rater_slides["slide"].isin(rows["slide"]).sum()
        expected.append((str(fold), big, small, str(len(rows)), str(n_fovs)))
    assert told == expected
