"""The tables of a study: completed once, and every problem told with its row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.checks import ANNOTATIONS
from crowdtruth.problems import StudyError
from crowdtruth.study import make_study, select
from crowdtruth.taxonomy import UNDETECTED, load_taxonomy

NUCLS = load_taxonomy("nucls")


def marks(n=3, **columns) -> pd.DataFrame:
    """`n` marks that are right, with some columns replaced."""
    table = {
        "fov": ["f1", "f1", "f2"][:n], "rater": ["r1", "r2", "r1"][:n], "xmin": [0.0, 1, 2][:n],
         "ymin": [0.0, 1, 2][:n],
        "xmax": [10.0, 11, 12][:n], "ymax": [10.0, 11, 12][:n], "label": ["tumor", "tumor", "lymphocyte"][:n],
    }  # fmt: skip
    return pd.DataFrame(table | columns)


def problems(*args, **kwargs) -> list[str]:
    with pytest.raises(StudyError) as error:
        make_study(*args, **kwargs)
    return str(error.value).splitlines()


def test_make_study__completes_every_table():
    study = make_study(marks())
    assert list(study.annotations.columns) == list(ANNOTATIONS)
    assert study.annotations["annotation"].tolist() == ["0", "1", "2"]
    assert set(study.annotations["condition"]) == {"all"}
    assert set(study.annotations["kind"]) == {"box"}
    assert study.annotations.dtypes.astype(str).to_dict() == {
        name: "float64" if name in ("xmin", "ymin", "xmax", "ymax") else "str" for name in ANNOTATIONS
    }
    assert study.assignments.values.tolist() == [["f1", "r1", "all"], ["f1", "r2", "all"], ["f2", "r1", "all"]]
    assert study.raters.values.tolist() == [["r1", "all"], ["r2", "all"]]
    assert study.fovs.values.tolist() == [["f1"], ["f2"]]
    assert not study.is_located
    assert not study.is_crowd


def test_make_study__says_loudly_that_asked_follows_from_marks():
    study = make_study(marks())
    assert not study.assignments_given
    assert study.notes[0].startswith("no assignments: whoever marked something in a FOV counts as asked there")


def test_make_study__leaves_the_callers_tables_alone():
    given_marks = marks()
    before = given_marks.copy()
    make_study(given_marks)
    pd.testing.assert_frame_equal(given_marks, before)


def test_make_study__expands_assignments_to_every_condition():
    study = make_study(
        marks(condition=["U", "E", "U"]),
        assignments=pd.DataFrame({"fov": ["f1", "f1", "f2"], "rater": ["r1", "r2", "r1"]}),
    )
    assert len(study.assignments) == 6
    assert study.conditions == ["E", "U"]
    assert study.assignments_given


def test_make_study__keeps_assignments_of_one_condition_apart():
    asked = pd.DataFrame({"fov": ["f1"] * 2, "rater": ["r1", "r2"], "condition": ["U", "U"]})
    found = problems(marks(2, condition=["U", "E"]), assignments=asked)
    assert found == ["annotations, row 1, rater: rater 'r2' has a mark but no assignment in FOV 'f1', condition 'E'"]


def test_make_study__takes_a_study_in_which_nobody_found_anything():
    study = make_study(marks(0), assignments=pd.DataFrame({"fov": ["f"], "rater": ["r"]}))
    assert len(study.annotations) == 0
    assert study.assignments.values.tolist() == [["f", "r", "all"]]


def test_make_study__refuses_a_study_without_marks_and_assignments():
    assert problems(marks(0)) == ["no marks and no assignments: nobody was asked about anything"]


def test_make_study__reads_repeated_assignments_once_and_says_so():
    study = make_study(marks(1), assignments=pd.DataFrame({"fov": ["f1", "f1"], "rater": ["r1", "r1"]}))
    assert len(study.assignments) == 1
    assert "assignments: 1 repeated rows read once" in study.notes


def test_make_study__says_which_columns_are_not_read():
    assert "annotations: columns not read: 'score', 'source'" in make_study(marks(score=1, source="x")).notes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"xmin": ["0", "abc", "2"]}, "annotations, row 1, xmin: expected a finite number, got 'abc'"),
        ({"xmin": [0, np.inf, 2]}, "annotations, row 1, xmin: expected a finite number, got 'inf'"),
        ({"xmin": ["0", "nan", "2"]}, "annotations, row 1, xmin: expected a finite number, got 'nan'"),
        ({"ymax": [10, None, 12]}, "annotations, row 1, ymax: expected a number, the cell is empty"),
        ({"xmax": [10, 2e9, 12]},
         "row 1, xmax: expected a coordinate in pixels, at most 1e+09 in size, got '2000000000.0'"),
        ({"xmax": [10, 1, 12]}, "annotations, row 1, xmax: expected xmin < xmax, got 1 and 1"),
        ({"ymax": [10, -3, 12]}, "annotations, row 1, ymax: expected ymin < ymax, got 1 and -3"),
        ({"xmin": [0.0, 0, 2], "xmax": [10, 1e-300, 12]},
         "row 1, xmax: expected xmin and xmax to be at least 1e-09 pixels apart, got 0 and 1e-300"),
        ({"label": ["a", "undetected", "b"]},
         "row 1, label: 'undetected' is reserved for raters who were asked and marked"),
        ({"label": ["a", "", "b"]}, "annotations, row 1, label: expected a text, the cell is empty"),
        ({"rater": ["a", None, "b"]}, "annotations, row 1, rater: expected a text, the cell is empty"),
        ({"condition": ["a", "", "b"]}, "annotations, row 1, condition: expected a text, the cell is empty"),
        ({"annotation": ["a", "b", "a"]},
         "row 2, annotation: id 'a' is that of an earlier row; every annotation needs its own"),
        ({"kind": ["box", "blob", "box"]}, "row 1, kind: expected one of 'box', 'polygon', 'click', got 'blob'"),
        ({"coords_x": ["", "1,2", ""]}, "row 1, coords_x: coords_x and coords_y belong together; one of them is empty"),
        ({"coords_x": ["", "1,2", ""], "coords_y": ["", "1,2,3", ""]},
         "row 1, coords_x: coords_x has 2 points, coords_y 3"),
        ({"coords_x": ["", "1,x", ""], "coords_y": ["", "1,2", ""]},
         "row 1, coords_x: expected numbers with commas between"),
    ],
)  # fmt: skip
def test_make_study__names_row_column_and_reason(change, words):
    (found,) = problems(marks(**change))
    assert words in found


def test_make_study__names_missing_columns():
    (found,) = problems(marks().drop(columns=["label", "xmax"]))
    assert found.startswith("annotations: has no column 'xmax', 'label'; its columns are 'fov', 'rater'")


def test_make_study__names_labels_outside_the_taxonomy():
    found = problems(marks(label=["tumor", "tumour", "tumor"]), taxonomy=NUCLS)
    assert found[0] == "annotations, row 1, label: 'tumour' is not in taxonomy 'nucls'"
    assert found[1].startswith("  taxonomy 'nucls' has 'tumor', 'mitotic_figure', ")
    found = problems(marks().loc[[1] * 50].assign(label="tumour"), taxonomy=NUCLS)
    assert [line for line in found if "'mitotic_figure'" in line] == [found[-1]]  # said once, whatever the rows


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["tumor", "tumor ", "x"], "'tumor' and 'tumor '"),
        (["\u00e9", "e\u0301", "x"], r"'e\u0301' and '\xe9'"),
        (["tumor", "Tumor", "tu mor"], None),
    ],
)
def test_make_study__names_labels_that_look_alike_and_repairs_nothing(labels, words):
    reference = marks()[["fov", "xmin", "ymin", "xmax", "ymax", "label"]].assign(label=labels[0])
    for study in (
        make_study(marks(label=labels)),
        make_study(ratings=ratings(label=labels)),
        make_study(marks(label=[labels[1]] * 3), reference=reference),
    ):
        notes = [note for note in study.notes if note.startswith("labels that differ only by white space or Unicode")]
        assert [note.split(": ")[1] for note in notes] == ([words] if words else [])
    assert make_study(marks(label=labels)).annotations["label"].tolist() == labels
    assert any("raters that differ only" in note for note in make_study(marks(rater=["a", "a ", "b"])).notes)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"assignments": {"fov": ["f1", "f2", "f1", "f9"], "rater": ["r1", "r1", "r2", "r1"]},
         "fovs": {"fov": ["f1", "f2"]}},
         "assignments, row 3, fov: unknown fov 'f9': it is not in fovs"),
        ({"assignments": {"fov": ["f1", "f2", "f1"], "rater": ["r1", "r1", "r2"]},
          "raters": {"rater": ["r1"], "cohort": ["c"]}},
           "annotations, row 1, rater: unknown rater 'r2': it is not in raters"),
        ({"fovs": {"fov": ["f1", "f2", "f1"]}}, "fovs, row 2, fov: 'f1' stands in an earlier row already"),
        ({"fovs": {"fov": ["f1", "f2"], "width": [10, 0]}}, "fovs, row 1, width: expected a number above 0"),
        ({"fovs": {"fov": ["f1", "f2"], "image": ["a.png", "../b.png"]}},
         "fovs, row 1, image: expected a path inside the study"),
        ({"fovs": {"fov": ["f1", "f2"], "image": ["a.png", "C:\\b.png"]}},
         "fovs, row 1, image: expected a path inside the study"),
        ({"raters": {"rater": ["r1", "r2", "r1"], "cohort": ["a", "b", "b"]}},
         "raters, row 2, rater: 'r1' stands in an earlier"),
        ({"raters": {"rater": ["r1", "r2"], "cohort": ["a", ""]}},
         "raters, row 1, cohort: expected a text, the cell is empty"),
        ({"assignments": {"fov": ["f1", "f2"], "rater": ["r1", "r1"]}},
         "annotations, row 1, rater: rater 'r2' has a mark but no assignment in FOV 'f1'"),
        ({"reference": {"fov": ["f"], "xmin": [0], "ymin": [0], "xmax": [0], "ymax": [1], "label": ["a"]}},
         "reference, row 0, xmax: expected xmin < xmax, got 0 and 0"),
    ],
)  # fmt: skip
def test_make_study__names_what_does_not_fit_between_tables(tables, words):
    found = problems(marks(), **{name: pd.DataFrame(table) for name, table in tables.items()})
    assert any(words in line for line in found)


def test_make_study__tells_all_problems_at_once_the_first_twenty_shown():
    n = 50
    table = pd.DataFrame(
        {"fov": "f", "rater": "r", "xmin": 5.0, "ymin": 0.0, "xmax": 1.0, "ymax": 1.0, "label": ""}, index=range(n)
    )
    found = problems(table, fovs=pd.DataFrame({"fov": ["f", "f"]}))
    assert found[0] == "101 problems:"
    assert found[-1].strip() == "… and 81 more"
    assert len(found) == 22
    assert "row 0" in found[1]


def test_make_study__strips_known_prefixes_and_leaves_out_regions():
    study = make_study(marks(label=["correction_tumor", "fov_basic", "lymphocyte"], xmax=[10, 0, 12]), taxonomy=NUCLS)
    assert study.annotations["label"].tolist() == ["tumor", "lymphocyte"]
    assert study.annotations["annotation"].tolist() == ["0", "2"]
    assert any("1 rows are no marks of objects and left out: 'fov_basic'" in note for note in study.notes)


def test_make_study__normalises_labels_where_asked():
    study = make_study(marks(label=["Tumour", "meh", "plasma"]), taxonomy=NUCLS, normalise_labels=True)
    assert study.annotations["label"].tolist() == ["tumor", "plasma_cell"]
    with pytest.raises(ValueError, match="normalise_labels needs a taxonomy"):
        make_study(marks(), normalise_labels=True)


def test_make_study__expects_marks_or_ratings():
    with pytest.raises(ValueError, match="expected exactly one of the two"):
        make_study()
    with pytest.raises(TypeError, match="annotations: expected a pandas DataFrame, got list"):
        make_study([])


def test_make_study__takes_outlines_as_polygons_and_never_moves_anything():
    table = marks(
        xmin=[-3.5, 1, 2], coords_x=["1, 2.5,-3", "", ""], coords_y=["1,2,3e0", "", ""], created=["t", "", ""]
    )
    study = make_study(table)
    assert study.annotations["kind"].tolist() == ["polygon", "box", "box"]
    assert study.annotations["xmin"].tolist() == [-3.5, 1, 2]
    assert study.annotations["coords_x"].tolist() == ["1, 2.5,-3", "", ""]
    assert study.annotations["created"].tolist() == ["t", "", ""]


def ratings(**columns) -> pd.DataFrame:
    return pd.DataFrame({"anchor": ["t1", "t1", "t2"], "rater": ["w1", "w2", "w1"], "label": ["a", "b", "a"]} | columns)


def test_make_study__takes_ratings_without_boxes_as_a_crowd_table():
    study = make_study(ratings=ratings(label=["a", None, "b"]))
    assert study.is_crowd
    assert study.is_located
    assert study.ratings.astype(str).values.tolist() == [
        ["t1", "", "w1", "all", "all", "a"], ["t2", "", "w1", "all", "all", "b"],
    ]  # fmt: skip
    assert study.anchors[["anchor", "n_annotations", "n_raters"]].values.tolist() == [["t1", 1, 1], ["t2", 1, 1]]
    assert study.anchors[["xmin", "mean_iou"]].isna().all(axis=None)
    assert "ratings: 1 empty cells are missing answers, not 'undetected'" in study.notes
    assert UNDETECTED not in set(study.ratings["label"])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.sampled_from("abc")), min_size=1, max_size=30))
def test_make_study__counts_ratings_and_raters_of_every_task(rows):
    table = pd.DataFrame(rows, columns=["anchor", "rater", "label"])
    study = make_study(ratings=table)
    anchors = study.anchors.set_index("anchor")
    for task, of_task in table.groupby("anchor"):
        assert anchors.loc[str(task), "n_annotations"] == len(of_task)
        assert anchors.loc[str(task), "n_raters"] == of_task["rater"].nunique()
    assert len(anchors) == table["anchor"].nunique()
    assert len(study.ratings) == len(table)
    repeats = table.duplicated(["anchor", "rater"]).sum()
    assert bool(repeats) == any("repeat a task by the same rater" in note for note in study.notes)


def test_make_study__refuses_undetected_and_empty_ids_in_a_crowd_table():
    with pytest.raises(
        StudyError, match="ratings, row 0, label: 'undetected' is reserved; a missing answer is an empty cell"
    ):
        make_study(ratings=ratings(label=["undetected", "a", "a"]))
    with pytest.raises(StudyError, match="ratings, row 1, rater: expected a text, the cell is empty"):
        make_study(ratings=ratings(rater=["w", "", "w"]))
    with pytest.raises(StudyError, match="ratings: has no column 'label'"):
        make_study(ratings=ratings().drop(columns="label"))


def test_make_study__says_how_many_tasks_nobody_answered():
    study = make_study(ratings=ratings(anchor=["t1", "t2", "t3"], label=["a", None, ""]))
    assert study.anchors["anchor"].tolist() == ["t1"]
    assert "ratings: 2 tasks have no answer at all and are left out" in study.notes
    partly = make_study(ratings=ratings(label=["a", None, "b"]))
    assert not any("no answer at all" in note for note in partly.notes)


@pytest.mark.parametrize("table", [ratings(label=[None, "", None]), ratings().iloc[:0]])
def test_make_study__refuses_a_crowd_table_without_answers(table):
    with pytest.raises(StudyError, match="ratings: has no answers; a crowd table needs at least one label"):
        make_study(ratings=table)


def located(**changes):
    anchors = pd.DataFrame(
        {"anchor": ["t1", "t2"], "fov": ["f", "g"], "xmin": [0, 1], "ymin": [0, 1], "xmax": [2, 3], "ymax": [2, 3]}
    )
    return make_study(
        **{"ratings": ratings(label=["a", UNDETECTED, "a"], cohort=["x", "y", "x"]), "anchors": anchors} | changes
    )


def test_make_study__takes_ratings_of_anchors():
    study = located()
    assert study.is_located
    assert not study.is_crowd
    assert study.ratings["fov"].tolist() == ["f", "f", "g"]
    assert study.raters.values.tolist() == [["w1", "x"], ["w2", "y"]]
    assert study.assignments.values.tolist() == [["f", "w1", "all"], ["f", "w2", "all"], ["g", "w1", "all"]]


def test_make_study__refuses_ratings_of_unknown_anchors_raters_and_classes():
    with pytest.raises(StudyError, match="ratings, row 2, anchor: unknown anchor 't9'"):
        located(ratings=ratings(anchor=["t1", "t1", "t9"]))
    with pytest.raises(StudyError, match="ratings, row 1, rater: unknown rater 'w2': it is not in raters"):
        located(raters=pd.DataFrame({"rater": ["w1"], "cohort": ["x"]}))
    with pytest.raises(StudyError, match="ratings, row 0, label: 'a' is not in taxonomy 'nucls'"):
        located(taxonomy=NUCLS)
    with pytest.raises(StudyError, match="ratings, row 2, cohort: this rater is in another cohort in an earlier row"):
        located(ratings=ratings(cohort=["x", "y", "z"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"xmax": [2, 1]}, "anchors, row 1, xmax: expected xmin < xmax, got 1 and 1"),
        ({"xmax": [2, None]}, "anchors, row 1, xmax: expected a number, the cell is empty"),
        ({"ymax": [2, 1e12]}, "anchors, row 1, ymax: expected a coordinate in pixels, at most 1e+09"),
    ],
)
def test_make_study__refuses_anchors_with_bad_boxes(change, words):
    anchors = pd.DataFrame(
        {"anchor": ["t1", "t2"], "fov": "f", "xmin": [0, 1], "ymin": [0, 1], "xmax": [2, 3], "ymax": [2, 3]} | change
    )
    with pytest.raises(StudyError) as error:
        located(anchors=anchors)
    assert words in str(error.value)
    with pytest.raises(StudyError, match="anchors: has no column 'ymax'"):
        located(anchors=anchors.drop(columns="ymax"))


def full_study():
    return make_study(
        marks(condition=["U", "E", "U"]),
        raters=pd.DataFrame({"rater": ["r1", "r2"], "cohort": ["SP", "JP"]}),
        fovs=pd.DataFrame({"fov": ["f1", "f2"], "width": [10, 20]}),
        reference=marks()[["fov", "xmin", "ymin", "xmax", "ymax", "label"]],
    )


def test_select__keeps_conditions_cohorts_and_fovs():
    study = full_study()
    assert select(study, conditions=["E"]).annotations["rater"].tolist() == ["r2"]
    chosen = select(study, cohorts=["SP"])
    assert chosen.raters.values.tolist() == [["r1", "SP"]]
    assert set(chosen.annotations["rater"]) == set(chosen.assignments["rater"]) == {"r1"}
    chosen = select(study, fovs=["f2"])
    assert chosen.fovs["fov"].tolist() == ["f2"]
    assert set(chosen.annotations["fov"]) == set(chosen.reference["fov"]) == {"f2"}
    assert list(chosen.annotations.index) == [0]


def test_select__unites_cohorts():
    chosen = select(full_study(), cohorts={"P": ["SP", "JP"]})
    assert chosen.raters.values.tolist() == [["r1", "P"], ["r2", "P"]]
    chosen = select(located(), cohorts={"P": ["x", "y"]})
    assert set(chosen.ratings["cohort"]) == {"P"}
    assert len(select(located(), cohorts=["y"]).ratings) == 1


def test_select__names_what_there_is():
    with pytest.raises(ValueError, match="no condition 'B'; the study has 'E', 'U'"):
        select(full_study(), conditions=["B"])
    with pytest.raises(ValueError, match="no cohort 'NP'; the study has 'JP', 'SP'"):
        select(full_study(), cohorts=["NP"])
    with pytest.raises(ValueError, match="no FOV 'f3'; the study has 'f1', 'f2'"):
        select(full_study(), fovs=["f3"])
    with pytest.raises(ValueError, match="a rater can be in one cohort only"):
        select(full_study(), cohorts={"P": ["SP", "JP"], "Q": ["SP"]})


def test_select__takes_lists_of_names_alone():
    wrong = {"conditions": {"conditions": "all"}, "cohorts": {"cohorts": "SP"}, "fovs": {"fovs": "f1"},
             "P": {"cohorts": {"P": "SP"}}}  # fmt: skip
    for what, choice in wrong.items():
        with pytest.raises(TypeError, match=f"{what}: expected a list of names, got the text"):
            select(full_study(), **choice)
    with pytest.raises(TypeError, match="expected a Study, got str"):
        select("study", conditions=["E"])


def test_make_study__takes_a_taxonomy_as_it_is_loaded():
    with pytest.raises(TypeError, match="taxonomy: expected a Taxonomy, as load_taxonomy gives it, got str"):
        make_study(marks(), taxonomy="nucls")


CONTROL = ["a\x1b[31m", "a\nb", "a\r", "\ta", "a\x7f", "a\x9b2J", "\x85"]


@pytest.mark.parametrize("text", CONTROL)
def test_make_study__refuses_control_characters_in_names(text):
    words = f"row 1, {{}}: expected a name without control characters or line breaks, got {text!r}"
    for name in ("fov", "rater", "label", "annotation", "condition"):
        table = marks(**{name: ["f", text, "g"]})
        assert problems(table) == ["annotations, " + words.format(name)]
    raters = pd.DataFrame({"rater": ["r1", "r2"], "cohort": ["x", text]})
    assert problems(marks(), raters=raters) == ["raters, " + words.format("cohort")]
    for name in ("anchor", "rater", "label", "condition", "cohort"):
        table = ratings(**{name: ["t", text, "t"], **({} if name == "rater" else {"rater": ["u", "v", "u"]})})
        assert problems(ratings=table) == ["ratings, " + words.format(name)]


def test_make_study__keeps_every_other_character_of_names():
    names = ["a, \"b\" 'c' #", "größe 😀", "\u202fx"]
    study = make_study(marks(fov=names, rater=names, label=names))
    assert study.annotations[["fov", "rater", "label"]].values.tolist() == [[name] * 3 for name in names]


def test_make_study__reads_typed_labels_with_line_breaks_as_the_class_they_mean():
    study = make_study(marks(label=["tumor\n", "tumor", "meh\t"]), taxonomy=NUCLS, normalise_labels=True)
    assert study.annotations["label"].tolist() == ["tumor", "tumor"]


def test_make_study__takes_anchors_without_boxes_as_tasks_and_no_anchors_as_none():
    tasks = pd.DataFrame({"anchor": ["t1", "t2"], "fov": ["", ""]})
    assert located(anchors=tasks, ratings=ratings()).is_crowd
    nothing = located(anchors=tasks.iloc[:0], ratings=ratings().iloc[:0])
    assert not nothing.is_crowd
    assert select(located(), fovs=["f"]).is_crowd is False
