"""The project's own formats: folders of tables, single tables, results, crowd tables; recognised and round-tripped."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.files import WriteError, write_table
from crowdtruth.formats import (
    FORMATS,
    WRITE_FORMATS,
    detect_format,
    read_study,
    write_study,
)
from crowdtruth.formats.reference import read_box_reference, read_task_reference
from crowdtruth.pipeline import run_study
from crowdtruth.problems import StudyError
from crowdtruth.study import make_study

TABLES = ("annotations", "assignments", "raters", "fovs", "reference", "anchors", "ratings")
GOOD = "fov,rater,xmin,ymin,xmax,ymax,label\nf,r1,0,0,2,2,a\nf,r2,0,0,2,3,b\n"
IDS = st.text("ab 1,\"é'#", min_size=1, max_size=4)
CORNERS = st.floats(-1e6, 1e6, allow_subnormal=False)
SIZES = st.floats(0.01, 1e6)
OUTLINES = st.sampled_from([("", ""), ("1,2,3", "4,5,6"), ("0.5,-2,1e-07", "1,2.25,3")])


def assert_same(one, other) -> None:
    for name in TABLES:
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), name
        if left is not None:
            pd.testing.assert_frame_equal(left, right, check_exact=True, obj=name)
    assert one.assignments_given == other.assignments_given


def written(study, folder: Path, name: str) -> Path:
    path = folder / ("study.json" if name == "coco" else name)
    write_study(study, path, format=name)
    return path


@st.composite
def studies(draw):
    rows = draw(
        st.lists(
            st.tuples(IDS, IDS, st.sampled_from(["U", "E"]), CORNERS, CORNERS, SIZES, SIZES, IDS, OUTLINES),
            min_size=1,
            max_size=6,
        )
    )
    table = pd.DataFrame([
        {"fov": f, "rater": r, "condition": c, "xmin": x, "ymin": y, "xmax": x + w, "ymax": y + h, "label": label,
         "coords_x": xs, "coords_y": ys, "kind": draw(st.sampled_from(["click", "polygon"])) if xs else "box"}
        for f, r, c, x, y, w, h, label, (xs, ys) in rows
    ])  # fmt: skip
    extra = {}
    if draw(st.booleans()):
        extra["assignments"] = table[["fov", "rater", "condition"]]
        extra["raters"] = pd.DataFrame({"rater": sorted(set(table["rater"]))}).assign(cohort=draw(IDS))
        fovs = pd.DataFrame({"fov": sorted(set(table["fov"]))})
        extra["fovs"] = fovs.assign(slide="s", width=[draw(SIZES) for _ in range(len(fovs))], image="rgb/a b.png")
        extra["reference"] = table[["fov", "xmin", "ymin", "xmax", "ymax", "label"]]
    return make_study(table, **extra)


@pytest.mark.parametrize("name", list(WRITE_FORMATS))
@given(study=studies())
def test_write_study__reads_back_exactly(tmp_path_factory, name, study):
    assert_same(read_study(written(study, tmp_path_factory.mktemp("s"), name)), study)


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_write_study__round_trips_crowd_tables_and_located_studies(tmp_path, name):
    ratings = pd.DataFrame({"anchor": ["1", "1", "02"], "rater": ["w", "v", "w"], "label": ["a", "NA", "b"]})
    crowd = make_study(ratings=ratings, reference=pd.DataFrame({"anchor": ["1"], "label": ["a"]}))
    assert_same(read_study(written(crowd, tmp_path, name)), crowd)
    anchors = pd.DataFrame({"anchor": ["1", "02"], "fov": "f", "xmin": 0.5, "ymin": 0, "xmax": 2, "ymax": 2})
    anchors = anchors.assign(n_annotations=[2, 1], n_raters=[2, 1], mean_iou=1.0)
    located = make_study(ratings=ratings.assign(cohort=["x", "y", "x"]), anchors=anchors)
    (tmp_path / "located").mkdir()
    path = written(located, tmp_path / "located", name)
    assert detect_format(path) == "located"
    assert_same(read_study(path), located)


def test_write_study__refuses_what_the_format_cannot_hold(tmp_path):
    crowd = make_study(ratings=pd.DataFrame({"anchor": ["1"], "rater": ["w"], "label": ["a"]}))
    with pytest.raises(ValueError, match="a COCO file holds marks"):
        write_study(crowd, tmp_path / "a.json", format="coco")
    with pytest.raises(ValueError, match="no format 'xml' to write; there are 'csv', 'parquet', 'coco'"):
        write_study(crowd, tmp_path / "a", format="xml")
    assert not list(tmp_path.iterdir())


def test_write_study__refuses_a_folder_with_something_in_it(tmp_path):
    study = make_study(ratings=pd.DataFrame({"anchor": ["1"], "rater": ["w"], "label": ["a"]}))
    (tmp_path / "mine").mkdir()
    write_study(study, tmp_path / "mine", format="csv")
    with pytest.raises(WriteError, match="it exists already; give the name of a new or empty folder"):
        write_study(study, tmp_path / "mine", format="csv")


def test_write_study__leaves_nothing_half_written(tmp_path, monkeypatch):
    study = make_study(
        pd.DataFrame({"fov": ["f"], "rater": "r", "xmin": 0, "ymin": 0, "xmax": 1, "ymax": 1, "label": "a"})
    )
    calls = []

    def write_then_fail(frame, path):
        calls.append(path)
        if len(calls) == 2:
            raise WriteError(f"cannot write {path}: No space left on device")
        write_table(frame, path)

    monkeypatch.setattr("crowdtruth.formats.folder.write_table", write_then_fail)
    with pytest.raises(WriteError, match="No space left on device"):
        write_study(study, tmp_path / "new", format="csv")
    assert not list(tmp_path.iterdir())
    with pytest.raises(WriteError, match=r"cannot write .*new: No such file or directory"):
        write_study(study, tmp_path / "absent" / "new", format="csv")


def test_read_study__says_which_files_and_columns_are_not_read(tmp_path):
    (tmp_path / "annotations.csv").write_text("fov,rater,xmin,ymin,xmax,ymax,label,mood\nf,r1,0,0,2,2,a,good\n")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "rgb").mkdir()
    study = read_study(tmp_path)
    assert f"{tmp_path.name}: files not read: 'notes.txt'" in study.notes
    assert "annotations.csv: columns not read: 'mood'" in study.notes


def test_read_study__tells_problems_of_all_files_in_one_message(tmp_path):
    (tmp_path / "annotations.csv").write_text(GOOD + "f,r3,5,0,x,1,a\nf,r1,1\nf,r1,5,0,1,1,undetected\n")
    (tmp_path / "assignments.csv").write_text("fov,rater\nf,r1\nf,r2\ng,r2\n")
    (tmp_path / "fovs.csv").write_text("fov\nf\n")
    with pytest.raises(StudyError) as error:
        read_study(tmp_path)
    assert str(error.value).splitlines() == [
        "6 problems:",
        "  annotations.csv, line 5: has 3 cells where the header has 7",
        "  annotations.csv, line 4, xmax: expected a finite number, got 'x'",
        "  annotations.csv, line 4, rater: rater 'r3' has a mark but no assignment in FOV 'f'",
        "  annotations.csv, line 6, label: 'undetected' is reserved for raters who were asked and marked nothing; "
        "a mark needs a class",
        "  annotations.csv, line 6, xmax: expected xmin < xmax, got 5 and 1",
        "  assignments.csv, line 4, fov: unknown fov 'g': it is not in fovs.csv",
    ]


def test_read_study__refuses_a_table_that_is_there_twice(tmp_path):
    (tmp_path / "annotations.csv").write_text(GOOD)
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "annotations.parquet")
    with pytest.raises(StudyError, match=r"'annotations\.csv', 'annotations\.parquet' are the same table"):
        read_study(tmp_path)


def test_read_study__never_writes(tmp_path):
    (tmp_path / "annotations.csv").write_text(GOOD)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    read_study(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("header", ["fov,rater,xmin,ymin,xmax,ymax", "fov,label,rater,xmin"])
def test_read_study__names_columns_that_a_single_table_lacks(tmp_path, header):
    path = tmp_path / "marks.csv"
    path.write_text(header + "\n")
    with pytest.raises(StudyError, match=r"marks\.csv: has no column '"):
        read_study(path)


@pytest.mark.parametrize("name", ["paper.xml", "a.txt", "b.csv"])
def test_detect_format__lists_what_was_looked_for(tmp_path, name):
    (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(StudyError, match="not recognised as a study; this file is none of") as error:
        read_study(tmp_path / name)
    assert all(f"  {key}: " in str(error.value) for key in FORMATS)
    with pytest.raises(StudyError, match="this folder is none of"):
        read_study(tmp_path)
    with pytest.raises(StudyError, match="no such file or folder"):
        read_study(tmp_path / "absent")
    with pytest.raises(ValueError, match="no format 'xml' to read; there are 'folder', 'table'"):
        read_study(tmp_path, format="xml")


def test_read_study__takes_a_taxonomy_by_name(tmp_path):
    (tmp_path / "marks.csv").write_text(GOOD.replace(",a\n", ",Tumour\n").replace(",b\n", ",debris\n"))
    study = read_study(tmp_path / "marks.csv", taxonomy="nucls", normalise_labels=True)
    assert study.annotations["label"].tolist() == ["tumor", "unlabeled"]
    with pytest.raises(StudyError, match=r"marks\.csv, line 2, label: 'Tumour' is not in taxonomy 'nucls'"):
        read_study(tmp_path / "marks.csv", taxonomy="nucls")


@pytest.mark.parametrize(
    "text",
    [
        "task,worker,label\n1,w1,a\n1,w2,\n2,w1,b\n",
        "item,rater,rating\n1,w1,a\n1,w2,\n2,w1,b\n",
        "label,worker,task\na,w1,1\n,w2,1\nb,w1,2\n",
        "task,w1,w2\n1,a,\n2,b,\n",
    ],
)
def test_read_study__reads_crowd_tables_long_and_wide(tmp_path, text):
    path = tmp_path / "answers.csv"
    path.write_text(text)
    for place in (path, tmp_path):
        study = read_study(place)
        assert study.is_crowd
        assert study.ratings[["anchor", "rater", "label"]].astype(str).values.tolist() == [
            ["1", "w1", "a"],
            ["2", "w1", "b"],
        ]
        assert any("missing answers, not 'undetected'" in note for note in study.notes)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("task,worker,label\n,a,x\n1,,x\n", ["line 2, task: expected a text", "line 3, worker: expected a text"]),
        ("item,rater,rating\n,a,x\n1,b,undetected\n", ["line 2, item: expected", "line 3, rating: 'undetected' is"]),
        ("task,w1,w2\n,a,b\n1,a,undetected\n", ["line 2, task: expected a text", "line 3, w2: 'undetected' is"]),
        ("task,worker,label\n", ["has no answers; a crowd table needs at least one label"]),
        ("task,w1,w2\n1,,\n2,,\n", ["has no answers; a crowd table needs at least one label"]),
        ("task,w1,w2\n", ["has no answers; a crowd table needs at least one label"]),
    ],
)
def test_read_study__speaks_of_the_columns_of_a_crowd_table_as_they_are_named(tmp_path, text, lines):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(StudyError) as error:
        read_study(tmp_path / "c.csv")
    told = [line for line in str(error.value).splitlines() if not line.endswith("problems:")]
    assert len(told) == len(lines)
    assert all(words in line for words, line in zip(lines, told, strict=True))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("n_blank", [0, 1, 3])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_read_study__takes_blank_lines_before_the_header(tmp_path, newline, n_blank, mark):
    path = tmp_path / "marks.csv"
    path.write_bytes((mark + "\n" * n_blank + GOOD).replace("\n", newline).encode())
    assert read_study(path).annotations["label"].tolist() == ["a", "b"]
    path.write_bytes((mark + "\n" * n_blank + GOOD.replace("2,3,b", "2,?,b")).replace("\n", newline).encode())
    with pytest.raises(StudyError, match=rf"^marks\.csv, line {n_blank + 3}, ymax: expected a finite number"):
        read_study(path)


def test_read_study__says_that_a_comment_is_no_header(tmp_path):
    (tmp_path / "annotations.csv").write_text("\n# made by hand\n" + GOOD)
    with pytest.raises(
        StudyError, match=r"^annotations\.csv, line 2: expected the names of the columns, got the comment"
    ):
        read_study(tmp_path)


def test_read_study__says_what_located_objects_come_without(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "annotations.csv").write_text(GOOD)
    run_study(tmp_path / "study", tmp_path / "out")
    assert read_study(tmp_path / "out").notes == (
        "out: located objects come without the marks they were made of: boundary_correct and outlines stay empty, "
        "and there is no reference",
    )


def test_read_study__takes_numbers_of_a_wide_parquet_table_as_labels(tmp_path):
    pd.DataFrame({"item": [1, 2], "w1": [1.0, np.nan], "w2": [2.0, 3.0]}).to_parquet(tmp_path / "wide.parquet")
    study = read_study(tmp_path / "wide.parquet")
    assert study.ratings[["anchor", "rater", "label"]].astype(str).values.tolist() == [
        ["1", "w1", "1"],
        ["1", "w2", "2"],
        ["2", "w2", "3"],
    ]


def test_read_study__tells_the_line_of_a_wide_crowd_table(tmp_path):
    (tmp_path / "wide.csv").write_text("task,w1,w2\n1,a,b\n2,a,undetected\n")
    with pytest.raises(StudyError, match=r"^wide\.csv, line 3, w2: 'undetected' is reserved"):
        read_study(tmp_path / "wide.csv")


def test_read_study__keeps_crowd_tables_small_in_memory(tmp_path):
    n = 1_000_000
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"task": rng.integers(0, 10**5, n), "worker": rng.integers(0, 1000, n), "label": rng.integers(0, 5, n)}
    )
    for texts, name in ((table, "numbers"), (table.astype(str), "texts")):
        texts.to_parquet(tmp_path / f"{name}.parquet")
        study = read_study(tmp_path / f"{name}.parquet")
        assert (study.ratings.dtypes == "category").all()
        assert sum(column.cat.codes.memory_usage(index=False) for _, column in study.ratings.items()) <= 11 * n
        assert study.ratings["rater"].astype(str).tolist() == table["worker"].astype(str).tolist()


def test_read_study__knows_the_crowd_tables_at_hand(data_dir):
    for name, n_tasks, n_workers in (
        ("duck", 108, 39),
        ("dog", 807, 109),
        ("rte", 800, 164),
        ("pos_sentiment", 1000, 85),
    ):
        study = read_study(data_dir / "crowd" / name)
        assert (len(study.anchors), len(study.raters)) == (n_tasks, n_workers)
        assert list(study.reference.columns) == ["anchor", "label"]
    study = read_study(data_dir / "crowd" / "anesthesia")
    assert "90 ratings repeat a task by the same rater; each counts" in study.notes


def test_read_study__reads_the_asthma_study(data_dir):
    study = read_study(data_dir / "exact_asthma_round1")
    assert (len(study.annotations), len(study.assignments), len(study.raters), len(study.fovs)) == (4521, 200, 10, 20)
    assert study.assignments_given
    assert study.annotations["xmin"].min() < 0
    assert study.notes == ("exact_asthma_round1: files not read: 'ground_truth.csv'",)
    reference = read_box_reference(data_dir / "exact_asthma_round1" / "ground_truth.csv")
    assert len(reference) == 455
    assert set(reference["fov"]) <= set(study.fovs["fov"])


def test_read_study__takes_the_folder_it_is_in(tmp_path, monkeypatch):
    (tmp_path / "annotations.csv").write_text(GOOD)
    (tmp_path / "x.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert f"{tmp_path.name}: files not read: 'x.txt'" in read_study(".").notes


def test_read_task_reference__takes_any_of_the_words_and_leaves_out_empty_labels(tmp_path):
    path = tmp_path / "gold.csv"
    path.write_text("item,truth\nt1,01\nt2,\nt3,no\n")
    assert read_task_reference(path).values.tolist() == [["t1", "01"], ["t3", "no"]]


def test_read_task_reference__says_which_column_is_missing(tmp_path):
    path = tmp_path / "gold.csv"
    path.write_text("question,truth\nt1,yes\n")
    with pytest.raises(
        StudyError, match=r"gold.csv: expected one column named 'task' or 'item' or 'anchor'; its columns are"
    ):
        read_task_reference(path)


def test_read_study__results_in_which_nobody_marked_anything_are_no_crowd_table(tmp_path):
    marks = pd.DataFrame({name: pd.Series(dtype="str") for name in ("fov", "rater", "xmin", "ymin", "xmax", "ymax")})
    asked = pd.DataFrame({"fov": ["f", "f"], "rater": ["r1", "r2"]})
    (tmp_path / "study").mkdir()
    write_table(marks.assign(label=pd.Series(dtype="str")), tmp_path / "study" / "annotations.csv")
    write_table(asked, tmp_path / "study" / "assignments.csv")
    run_study(tmp_path / "study", tmp_path / "out")
    study = read_study(tmp_path / "out")
    assert study.is_located
    assert not study.is_crowd
    assert detect_format(tmp_path / "out") == "located"


def test_read_study__results_of_a_crowd_table_are_one(tmp_path):
    (tmp_path / "answers.csv").write_text("task,worker,label\n1,v,a\n1,w,a\n2,v,b\n")
    run_study(tmp_path / "answers.csv", tmp_path / "out")
    assert read_study(tmp_path / "out").is_crowd


def test_read_study__names_line_and_reason_of_control_characters(tmp_path):
    (tmp_path / "marks.csv").write_text(GOOD.replace("r2", '"r\x1b]0;x"'))
    with pytest.raises(StudyError, match=r"marks.csv, line 3, rater: expected a name .* got 'r\\x1b]0;x'"):
        read_study(tmp_path / "marks.csv")
    (tmp_path / "wide.csv").write_text("task,w1,\x1b[2J\n1,a,b\n")
    with pytest.raises(StudyError) as error:
        read_study(tmp_path / "wide.csv")
    assert "\x1b" not in str(error.value)


def test_write_study__takes_studies_alone(tmp_path):
    with pytest.raises(TypeError, match="expected a Study to write, got str"):
        write_study("a", tmp_path / "a", format="csv")
    with pytest.raises(TypeError, match="taxonomy: expected a Taxonomy, a name or a path, got int"):
        read_study(tmp_path, taxonomy=3)
