"""Class schemes: the shipped one, those from files, grouping of labels and of probabilities."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.taxonomy import (
    AMBIGUOUS,
    UNDETECTED,
    group_labels,
    group_probabilities,
    load_grouping,
    load_taxonomy,
)

NUCLS = load_taxonomy("nucls")

SMALL = """
name = "small"
levels = ["kind"]
[[classes]]
name = "a"
kind = "x"
[[classes]]
name = "b"
kind = "x"
"""


def write(tmp_path, text):
    path = tmp_path / "scheme.toml"
    path.write_text(text)
    return path


def test_nucls__has_the_published_classes_and_codes():
    assert len(NUCLS.classes) == 13
    assert sorted(NUCLS.codes.values()) == [*range(1, 13), 99]
    assert NUCLS.codes["plasma_cell"] == 4
    assert set(NUCLS.colors) == set(NUCLS.classes)
    assert NUCLS.region_code == 253
    assert len(NUCLS.regions) == 6


def test_nucls__groups_in_the_order_of_the_training_codes():
    assert NUCLS.grouping("main").classes == (
        "tumor_nonMitotic", "tumor_mitotic", "nonTILnonMQ_stromal", "macrophage", "lymphocyte", "plasma_cell",
        "other_nucleus", AMBIGUOUS,
    )  # fmt: skip
    assert NUCLS.grouping("super").classes == ("tumor_any", "nonTIL_stromal", "sTIL", "other_nucleus", AMBIGUOUS)
    assert NUCLS.grouping("raw").classes == NUCLS.classes
    assert NUCLS.ambiguous == ("apoptotic_body", "unlabeled")


def test_nucls__colours_every_class_of_every_level():
    for level in ("raw", "main", "super"):
        grouping = NUCLS.grouping(level)
        assert set(grouping.colors) == set(grouping.classes)


def test_nucls__agrees_with_the_published_table(data_dir):
    table = pd.read_csv(data_dir / "nucls_fovs" / "nucleus_GTcodes.csv")
    nuclei = table[table["is_roi"] == 0]
    assert dict(zip(nuclei["group"], nuclei["GT_code"], strict=True)) == dict(NUCLS.codes)
    for path in (data_dir / "nucls_fovs" / "csv").glob("*.csv"):
        marks = pd.read_csv(path)
        for level, column in (("main", "main_classification"), ("super", "super_classification")):
            assert group_labels(marks["raw_classification"], NUCLS.grouping(level)).tolist() == marks[column].tolist()


def test_grouping__names_the_levels_there_are():
    with pytest.raises(ValueError, match="taxonomy 'nucls' has levels 'raw', 'main', 'super', not 'mian'"):
        NUCLS.grouping("mian")


@given(st.lists(st.sampled_from([*NUCLS.classes, *(f"correction_{c}" for c in NUCLS.classes), UNDETECTED, None])))
def test_group_labels__looks_up_every_label(labels):
    grouping = NUCLS.grouping("super")
    lookup = {**grouping.class_of, UNDETECTED: UNDETECTED}
    expected = [None if label is None else lookup[label.removeprefix("correction_")] for label in labels]
    series = pd.Series(labels, dtype="str", index=range(5, 5 + len(labels)))
    for given_labels in (series, series.astype("category")):
        grouped = group_labels(given_labels, grouping)
        assert grouped.astype(object).where(grouped.notna(), None).tolist() == expected
        assert grouped.index.equals(series.index)


def test_group_labels__names_all_labels_outside_the_taxonomy():
    with pytest.raises(ValueError, match="labels outside the taxonomy: 'tumour', 'nerve'; it has 'tumor'"):
        group_labels(["tumor", "tumour", "nerve"], NUCLS.grouping("main"))


@given(
    st.permutations([*NUCLS.classes, UNDETECTED]), st.integers(0, 2**32 - 1), st.sampled_from(["raw", "main", "super"])
)
def test_group_probabilities__keeps_the_sum_and_does_not_depend_on_column_order(classes, seed, level):
    values = np.random.default_rng(seed).dirichlet(np.ones(14), size=3)
    grouping = NUCLS.grouping(level)
    grouped, names = group_probabilities(values, classes, grouping)
    assert names == (*grouping.classes, UNDETECTED)
    np.testing.assert_allclose(grouped.sum(axis=1), 1, rtol=1e-12)  # 14 additions
    for column, name in enumerate(names):
        members = [n for n, raw in enumerate(classes) if grouping.class_of.get(raw, UNDETECTED) == name]
        np.testing.assert_allclose(grouped[:, column], values[:, members].sum(axis=1), rtol=1e-12)


def test_group_probabilities__adds_a_prefixed_column_to_its_class():
    values, names = group_probabilities([[0.25, 0.75]], ["tumor", "correction_tumor"], NUCLS.grouping("raw"))
    assert values[0, names.index("tumor")] == 1
    assert UNDETECTED not in names


def test_group_probabilities__refuses_a_wrong_number_of_columns():
    with pytest.raises(ValueError, match=r"one column per class \(2\), got probabilities of shape \(1, 3\)"):
        group_probabilities([[1, 0, 0]], ["tumor", "fibroblast"], NUCLS.grouping("raw"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tumour", "tumor"), ("tumor cell", "tumor"), ("fiborblast", "fibroblast"), ("stromal", "fibroblast"),
        ("Lymphocytes", "lymphocyte"), ("plasma", "plasma_cell"), ("histiocyte", "macrophage"),
        ("mitosis", "mitotic_figure"),
        ("endothelial", "vascular_endothelium"), ("vascular", "vascular_endothelium"),
        ("myoeputhelium", "myoepithelium"),
        ("apoptosis", "apoptotic_body"), ("neutrophils", "neutrophil"), ("ductal epithelium", "ductal_epithelium"),
        ("esinophil", "eosinophil"), ("debris", "unlabeled"), ("RBC", "unlabeled"), ("unknown", "unlabeled"),
        ("correction_tumor", "tumor"), ("fov", "fov_basic"), ("fov_needs_correction", "fov_for_programmatic_edit"),
        ("correction_FOV_done", "fov_preapproved"), ("fov_representative", "fov_representative"),
        ("roi", None), ("Meh", None), ("nucleus", None), ("slide_complete", None),
        ("correction_lasso_fibroblast", None),
        ("mitotic tumor", "mitotic tumor"), ("nerve", "nerve"),
    ],
)  # fmt: skip
def test_normalise_label__reads_what_was_meant(text, expected):
    assert NUCLS.normalise(text) == expected


def test_normalise_label__keeps_every_class_of_the_taxonomy():
    assert [NUCLS.normalise(name) for name in (*NUCLS.classes, *NUCLS.regions)] == [*NUCLS.classes, *NUCLS.regions]


def test_load_taxonomy__reads_a_file_and_load_grouping_its_only_level(tmp_path):
    path = write(tmp_path, SMALL)
    assert load_taxonomy(path).classes == ("a", "b")
    assert load_grouping(path).class_of == {"a": "x", "b": "x"}
    assert load_grouping("super", NUCLS).level == "super"


def test_load_grouping__says_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="no grouping 'sub': taxonomy 'nucls' has 'raw', 'main', 'super'"):
        load_grouping("sub", NUCLS)
    with pytest.raises(ValueError, match="there is no taxonomy, and there is no such file"):
        load_grouping("main")
    with pytest.raises(ValueError, match="expected one level to group to, it has none"):
        load_grouping(write(tmp_path, 'name = "n"\n[[classes]]\nname = "a"\n'))


def test_load_taxonomy__names_what_is_shipped():
    with pytest.raises(ValueError, match="no taxonomy 'nuclei': expected 'nucls' or the path of a TOML file"):
        load_taxonomy("nuclei")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "not TOML"),
        ('name = "n"', r"expected at least one \[\[classes\]\] entry"),
        (SMALL.replace('name = "small"', ""), "name: expected a text, got None"),
        (SMALL.replace('kind = "x"\n[[', "[["), "'kind' of class 1: expected a text, got None"),
        (SMALL.replace('name = "b"', 'name = "a"'), "more than one class is named 'a'"),
        (SMALL.replace('name = "b"', 'name = "undetected"'), "'undetected' is reserved"),
        (SMALL.replace('"kind"]', '"raw"]'), "a level cannot be named 'raw'"),
        (SMALL.replace('"kind"]', '"kind", "kind"]'), "levels: expected a list of different texts"),
        (SMALL + "code = 1.5", "code of 'b': expected a whole number"),
        (SMALL + "color = [1, 2]", "color of 'b': expected red, green and blue"),
        (SMALL + "color = [1, 2, 300]", "color of 'b': expected red, green and blue"),
        (SMALL + "shape = 3", "class 'b' has unknown entries 'shape'"),
        (SMALL + "[colours.kind]", "unknown entries 'colours'"),
        (SMALL + "[colors.kind]\nz = [0, 0, 0]", r"\[kind\] has unknown entries 'z'; expected 'x'"),
        (SMALL + '[normalise.parts]\nfoo = "c"', "normalise.parts leads to unknown classes 'c'"),
        (SMALL + '[normalise.parts]\n"" = "a"', "normalise.parts has an empty word"),
        (SMALL.replace("[[classes]]", "[classes]", 1), "scheme.toml: not TOML"),
        ("classes = 3", r"expected at least one \[\[classes\]\]"),
        ("a = " + "[" * 100_000, "nested too deeply|not TOML"),
        ("# " + "x" * (1 << 20), "at most 262,144 bytes"),
    ],
)
def test_load_taxonomy__says_what_is_wrong_with_a_file(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as error:
        load_taxonomy(write(tmp_path, text))
    assert str(error.value).startswith("scheme.toml: ")


def test_load_taxonomy__refuses_other_encodings(tmp_path):
    path = tmp_path / "scheme.toml"
    path.write_bytes('name = "größe"'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"scheme\.toml: not UTF-8"):
        load_taxonomy(path)


def test_load_taxonomy__refuses_shared_codes(tmp_path):
    text = SMALL.replace('name = "a"', 'name = "a"\ncode = 1') + "code = 1"
    with pytest.raises(ValueError, match="classes share codes"):
        load_taxonomy(write(tmp_path, text))


def test_load_taxonomy__reads_the_example_of_the_documentation(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "data_model.md").read_text(encoding="utf-8")
    example = load_taxonomy(write(tmp_path, page.split("```toml\n")[1].split("```")[0]))
    assert example.grouping("lineage").classes == ("granulocyte", AMBIGUOUS)
    assert [example.normalise(text) for text in ("Seg", "Eosin?", "test")] == ["neutrophil", "eosinophil", None]
