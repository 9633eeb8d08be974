"""The NuCLS formats: published folders, databases, anchor tables. What is not at hand is generated in its schema."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crowdtruth.formats import detect_format, read_study
from crowdtruth.problems import StudyError
from crowdtruth.taxonomy import UNDETECTED, load_taxonomy

NUCLS = load_taxonomy("nucls")
HEADER = ",raw_classification,main_classification,super_classification,type,xmin,ymin,xmax,ymax,coords_x,coords_y\n"
BOX_ROW = '0,tumor,tumor_nonMitotic,tumor_any,rectangle,1,2,31,42,"1,31,31,1","2,2,42,42"\n'
OUTLINE_ROW = '1,lymphocyte,lymphocyte,sTIL,polyline,5,5,9,9,"5,9,9,7,6,5,5","5,5,9,9,8,7,5"\n'
FOV = "TCGA-A2-A0CM-DX1_{}left-100_top-200_bottom-300_right-400"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x2c\x00\x00\x00\xc8"


# --- published folders ---


def nucls_folder(folder: Path, stems: list[str], rows: str = BOX_ROW + OUTLINE_ROW) -> Path:
    (folder / "csv").mkdir()
    for stem in stems:
        (folder / "csv" / f"{stem}.csv").write_text(HEADER + rows)
    return folder


def test_nucls_csv__reads_the_fovs_at_hand(data_dir):
    study = read_study(data_dir / "nucls_fovs")
    assert len(study.fovs) == len(study.assignments) == 12
    assert study.assignments_given
    assert len(study.annotations) == 534
    assert set(study.fovs["hospital"]) == {"A2", "AR", "BH"}
    assert (study.fovs["mpp"] == 0.2).all()
    index = pd.read_csv(data_dir / "nucls_fovs" / "fov_index.csv").set_index("slide").loc[study.fovs["slide"]]
    assert study.fovs["width"].tolist() == index["width"].tolist()
    assert study.annotations["kind"].value_counts()["click"] == index["n_polyline"].sum()
    assert all((data_dir / "nucls_fovs" / image).is_file() for image in study.fovs["image"])
    assert study.taxonomy == NUCLS
    published = pd.concat(pd.read_csv(path) for path in sorted((data_dir / "nucls_fovs" / "csv").glob("*.csv")))
    corners = ["xmin", "ymin", "xmax", "ymax"]
    np.testing.assert_array_equal(study.annotations[corners], published[corners])


def test_nucls_csv__reads_raters_and_datasets_from_the_prefix(tmp_path):
    item = "id-" + "0123456789ab" * 2 + "_"
    stems = ["SP.3_#_U-control_#_" + FOV.format(item), "NP.12_#_E_#_" + FOV.format(item.replace("0", "9"))]
    study = read_study(nucls_folder(tmp_path, stems))
    assert study.fovs["fov"].tolist() == [FOV.format("")]
    assert study.raters.values.tolist() == [["NP.12", "NP"], ["SP.3", "SP"]]
    assert study.assignments[["rater", "condition"]].values.tolist() == [["NP.12", "E"], ["SP.3", "U-control"]]
    kinds = study.annotations.set_index(["rater", "label"])["kind"].to_dict()
    assert kinds[("SP.3", "lymphocyte")] == "polygon"  # traced: nothing was suggested
    assert kinds[("NP.12", "lymphocyte")] == "click"
    assert kinds[("NP.12", "tumor")] == "box"
    assert study.annotations.set_index("kind").loc["box", "coords_x"].tolist() == ["", ""]


def test_nucls_csv__counts_a_file_without_marks_as_a_visit(tmp_path):
    study = read_study(nucls_folder(tmp_path, [FOV.format("")], rows=""))
    assert len(study.annotations) == 0
    assert study.assignments["rater"].tolist() == ["single_rater"]


def test_nucls_csv__leaves_out_outlines_of_the_area(tmp_path):
    study = read_study(
        nucls_folder(tmp_path, [FOV.format("")], BOX_ROW.replace("tumor,", "fov_basic,", 1) + OUTLINE_ROW)
    )
    assert study.annotations["label"].tolist() == ["lymphocyte"]


def test_nucls_csv__names_file_and_line(tmp_path):
    nucls_folder(tmp_path, ["A_#_E_#_" + FOV.format(""), "B_#_E_#_" + FOV.format("")])
    path = tmp_path / "csv" / f"B_#_E_#_{FOV.format('')}.csv"
    path.write_text(HEADER + BOX_ROW + OUTLINE_ROW.replace("polyline,5", "ellipse,x"))
    with pytest.raises(StudyError) as error:
        read_study(tmp_path)
    assert f"{path.name}, line 3, xmin: expected a finite number, got 'x'" in str(error.value)
    assert f"{path.name}, line 3, kind: expected one of 'box', 'polygon', 'click', got 'ellipse'" in str(error.value)


def test_nucls_csv__refuses_two_files_of_one_visit(tmp_path):
    stems = [f"A_#_E_#_{FOV.format(f'id-{digit * 24}_')}" for digit in "12"]
    with pytest.raises(StudyError, match="more than one file for the same FOV, rater and dataset"):
        read_study(nucls_folder(tmp_path, stems))


def test_nucls_csv__says_that_no_raters_meet(tmp_path):
    nucls_folder(tmp_path, ["A_#_E_#_" + FOV.format(""), "B_#_E_#_" + FOV.format("").replace("left-100", "left-101")])
    assert any("no FOV was seen by two raters" in note for note in read_study(tmp_path).notes)


def test_nucls_csv__refuses_images_that_are_none(tmp_path):
    nucls_folder(tmp_path, [FOV.format("")])
    (tmp_path / "rgb").mkdir()
    image = tmp_path / "rgb" / f"{FOV.format('')}.png"
    image.write_bytes(PNG)
    assert read_study(tmp_path).fovs[["width", "height"]].values.tolist() == [[300, 200]]
    image.write_bytes(b"GIF89a")
    with pytest.raises(StudyError, match="not a PNG image"):
        read_study(tmp_path)


# --- databases ---


def database(path: Path, tables: dict[str, pd.DataFrame]) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for name, table in tables.items():
            table.to_sql(name, connection, index=False)
    return path


def raw_tables() -> dict[str, pd.DataFrame]:
    """Two raters' copies of one FOV whose images begin at different places, and copies in other states."""
    outline = {"maybe-xmin": 1000, "maybe-ymin": 2000, "maybe-xmax": 1256, "maybe-ymax": 2256}
    copies = pd.DataFrame({
        "fov_id": [1, 2, 3, 4],
        "fovname": ["SP.3_#_U-control_#_TCGA-A2-A0CM-DX1_id-1", "NP.1_#_E_#_TCGA-A2-A0CM-DX1_id-2",
                    "NP.2_#_E_#_TCGA-A2-A0CM-DX1_id-3", "NP.4_#_E_#_TCGA-A2-A0CM-DX1_id-4"],
        "slide_id": "s", "slide_name": "TCGA-A2-A0CM-DX1",
        "QC_label": ["COMPLETE", "COMPLETE", "COMPLETE", "NEEDS_WORK"], "sf": 1.25, **outline,
        "XMIN": [990, 1000, 1000, 1000], "YMIN": [2000, 1990, 1990, 2000], "XMAX": 1260, "YMAX": 2260,
    })  # fmt: skip
    elements = pd.DataFrame(
        [
            ("a", "doc1", 1, "tumor", "polyline", 22, 10, 42, 30, "22,42,42,30,25,22,22", "10,10,30,30,30,20,10"),
            ("b", "doc2", 2, "Tumour?", "rectangle", 10, 22, 30, 42, "10,30,30,10,10", "22,22,42,42,22"),
            ("c", "doc2", 2, "fov_basic", "rectangle", 0, 0, 320, 320, "", ""),
            ("d", "doc2", 2, "plasma", "rectangle", 0, 0, 126, 20, "", ""),
            ("e", "doc2", 2, "correction_lymphocyte", "point", 5, 5, 5, 5, "5", "5"),
            ("f", "doc4", 4, "tumor", "rectangle", 0, 0, 5, 5, "", ""),
        ],
        columns=["element_girder_id", "annotation_girder_id", "fov_id", "group", "type", "xmin", "ymin", "xmax", "ymax",
                 "coords_x", "coords_y"],
    )  # fmt: skip
    documents = pd.DataFrame(
        {"annotation_girder_id": ["doc1", "doc2", "doc4"], "itemId": "i", "subset": ["U-control", "E", "E"]}
    )
    return {"fov_meta": copies, "annotation_elements": elements, "annotation_docs": documents}


def test_nucls_sqlite__reads_the_single_rater_boxes(data_dir):
    study = read_study(data_dir / "nucls_single_rater")
    assert len(study.fovs) == len(study.assignments) == 1562
    assert len(study.annotations) == 54_685 - 105
    assert study.fovs["slide"].nunique() == 113
    assert set(study.annotations["label"]) <= set(NUCLS.classes)
    assert any("105 marks of type point have no extent" in note for note in study.notes)
    assert any("2 FOVs stand there twice" in note for note in study.notes)


def test_nucls_sqlite__brings_raw_copies_to_one_frame(tmp_path):
    study = read_study(database(tmp_path / "raw.sqlite", raw_tables()), normalise_labels=True)
    fov = "TCGA-A2-A0CM-DX1_left-1000_top-2000_bottom-2256_right-1256"
    assert study.fovs[["fov", "slide", "hospital", "mpp"]].values.tolist() == [[fov, "TCGA-A2-A0CM-DX1", "A2", 0.2]]
    assert study.assignments.values.tolist() == [[fov, "SP.3", "U-control"], [fov, "NP.1", "E"], [fov, "NP.2", "E"]]
    assert study.raters.values.tolist() == [["NP.1", "NP"], ["NP.2", "NP"], ["SP.3", "SP"]]
    # base x = 990 + 22 / 1.25, y = 2000 + 10 / 1.25 for one rater, 1000 + 10 / 1.25 and 1990 + 22 / 1.25 for the other
    assert study.annotations[["annotation", "xmin", "ymin", "xmax", "ymax", "label", "kind"]].values.tolist() == [
        ["a", 22, 22.5, 42, 42.5, "tumor", "polygon"],
        ["b", 22.5, 22, 42.5, 42, "tumor", "box"],
    ]
    assert study.annotations["coords_y"].tolist() == ["22.5,22.5,42.5,42.5,42.5,32.5,22.5", ""]


def test_nucls_sqlite__says_what_it_left_out_and_moved(tmp_path):
    notes = "\n".join(read_study(database(tmp_path / "raw.sqlite", raw_tables()), normalise_labels=True).notes)
    assert "3 of 4 copies of FOVs have the QC label 'COMPLETE'; only they are read" in notes
    assert "1 marks of type point" in notes
    assert "marks were moved by the offset of their rater's FOV image" in notes
    assert "2 marks of 100 base pixels and more are left out" in notes


def test_nucls_sqlite__has_options_for_states_and_sizes(tmp_path):
    path = database(tmp_path / "raw.sqlite", raw_tables())
    study = read_study(path, normalise_labels=True, qc_labels=["COMPLETE", "NEEDS_WORK"], largest_side=None)
    assert sorted(study.annotations["annotation"]) == ["a", "b", "d", "f"]
    assert len(study.assignments) == 4
    with pytest.raises(StudyError, match="no FOVs have the QC label 'GOOD'; there are 'COMPLETE', 'NEEDS_WORK'"):
        read_study(path, qc_labels=["GOOD"])


def test_nucls_sqlite__names_table_row_and_reason(tmp_path):
    tables = raw_tables()
    tables["annotation_elements"]["xmin"] = tables["annotation_elements"]["xmin"].astype(object)
    tables["annotation_elements"].loc[1, "xmin"] = "abc"
    path = database(tmp_path / "raw.sqlite", tables)
    with pytest.raises(StudyError) as error:
        read_study(path)
    assert "raw.sqlite, annotation_elements, row 2, xmin: expected a finite number, got 'abc'" in str(error.value)
    assert "raw.sqlite, annotation_elements, row 2, label: 'Tumour?' is not in taxonomy" in str(error.value)


def test_nucls_sqlite__refuses_marks_of_unknown_fovs_and_scales_of_zero(tmp_path):
    tables = raw_tables()
    tables["annotation_elements"].loc[0, "fov_id"] = 77
    with pytest.raises(StudyError, match="annotation_elements: fov_id '77' is not in fov_meta"):
        read_study(database(tmp_path / "a.sqlite", tables))
    tables = raw_tables()
    tables["fov_meta"]["sf"] = [1.25, 0, 1.25, 1.25]
    with pytest.raises(StudyError, match=r"b\.sqlite, fov_meta, row 2: expected numbers in sf \(above 0\)"):
        read_study(database(tmp_path / "b.sqlite", tables))


def test_nucls_sqlite__refuses_files_that_are_no_whole_database(tmp_path):
    path = database(tmp_path / "raw.sqlite", raw_tables())
    content = path.read_bytes()
    for name, part, words in (
        ("cut", content[:-5000], r"cut\.sqlite: cut off: .* bytes are there"),
        ("tiny", content[:50], r"tiny\.sqlite: not an SQLite database"),
        ("text", b"a,b\n1,2\n" * 20, r"text\.sqlite: not an SQLite database"),
        ("empty", b"", r"empty\.sqlite: the file is empty"),
        ("torn", content[:4096] + b"\xff" * (len(content) - 4096), r"torn\.sqlite: the database is damaged"),
    ):
        (tmp_path / f"{name}.sqlite").write_bytes(part)
        with pytest.raises(StudyError, match=words):
            read_study(tmp_path / f"{name}.sqlite")


def test_nucls_sqlite__refuses_other_schemas_views_and_unwritten_changes(tmp_path):
    other = database(tmp_path / "other.db", {"nuclei": pd.DataFrame({"x": [1]})})
    with pytest.raises(StudyError, match=r"expected the tables fov_meta \(.*found nuclei \(x\)"):
        read_study(other)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE VIEW fov_meta AS SELECT 1 AS fov_id, 'f' AS fovname, 's' AS slide_name")
    with pytest.raises(StudyError, match="expected the tables fov_meta"):
        read_study(other)
    path = database(tmp_path / "raw.sqlite", raw_tables())
    path.with_name("raw.sqlite-wal").write_bytes(b"changes")
    with pytest.raises(StudyError, match=r"raw\.sqlite-wal holds changes that are not in the database"):
        read_study(path)


def test_nucls_sqlite__writes_nothing_and_reads_names_with_signs(tmp_path):
    path = database(tmp_path / "a #%?.sqlite", raw_tables())
    before = path.read_bytes()
    read_study(path, normalise_labels=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# --- anchor tables ---

RATERS = ("SP.1", "SP.2", "JP.1", "NP.1", "NP.12")
GROUPS = ("SPs", "JPs", "Ps", "NPs", "All")
CLASSES = NUCLS.classes


def anchor_table(evalset: str, labels: list[list[str]], fovs: list[str]) -> pd.DataFrame:
    """A table in the published schema: the columns and their order of the anchor database."""
    rows = []
    for n, (fov, given) in enumerate(zip(fovs, labels, strict=True)):
        box = [1000 + 30 * n, 2000, 1020 + 30 * n, 2020]
        row = {"anchor_id": ",".join(map(str, box)) + f"_{fov}", "fovname": fov, "min_iou": 0.25, "evalset": evalset}
        row |= dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        corners = ("xmin_relative", "ymin_relative", "xmax_relative", "ymax_relative")
        row |= dict(zip(corners, (37.5 * n, 0, 37.5 * n + 25, 25), strict=True))
        row |= {"has_manual_boundary": 0, "has_algorithmic_boundary": 1}
        row |= dict.fromkeys([f"algorithmic_vs_manual_{k}" for k in ("intersect", "sums", "IOU", "DICE")])
        row |= {f"n_matches_{group}": 2 for group in GROUPS} | {"UNBIASED_n_matches_Ps": 2, "UNBIASED_n_matches_NPs": 2}
        row |= {f"algorithmic_clicks_{g}": "SP.1" for g in GROUPS} | {f"n_algorithmic_clicks_{g}": 1 for g in GROUPS}
        for who in ("Ps", "NPs"):
            row |= {f"EM_inferred_label_{who}": "tumor", f"EM_inferred_label_confidence_{who}": 0.9}
            row |= {f"EM_prob_{name}_{who}": 0.0 for name in ("undetected", *CLASSES)}
        row |= dict(zip(RATERS, given, strict=True))
        rows.append(
            row
            | {"manual_coords_x": None, "manual_coords_y": None, "algorithmic_coords_x": "1,2", "matches": "id1,id2"}
        )
    return pd.DataFrame(rows)


LABELS = [
    ["tumor", UNDETECTED, "DidNotAnnotateFOV", "fibroblast", "correction_tumor"],
    ["lymphocyte", "lymphocyte", "DidNotAnnotateFOV", UNDETECTED, UNDETECTED],
]
FOVS = ["TCGA-A2-A0CM-DX1_left-1", "TCGA-AR-A0U4-DX1_left-2"]


def test_nucls_anchors__turns_rater_columns_into_ratings(tmp_path):
    path = tmp_path / "v3.1_final_anchors_U-control_Ps_AreTruth.csv"
    anchor_table("U-control", LABELS, FOVS).to_csv(path, index=False)
    assert detect_format(path) == detect_format(tmp_path) == "nucls-anchors"
    study = read_study(path)
    assert study.is_located
    assert not study.is_crowd
    first = study.ratings[study.ratings["fov"] == FOVS[0]]
    assert first[["rater", "cohort", "condition", "label"]].values.tolist() == [
        ["SP.1", "SP", "U-control", "tumor"], ["SP.2", "SP", "U-control", UNDETECTED],
        ["NP.1", "NP", "U-control", "fibroblast"], ["NP.12", "NP", "U-control", "tumor"],
    ]  # fmt: skip
    assert "JP.1" not in set(study.raters["rater"])  # never asked
    assert study.anchors[["xmin", "xmax", "n_annotations", "n_raters"]].values.tolist() == [
        [0, 25, 3, 3],
        [37.5, 62.5, 2, 2],
    ]
    assert study.fovs[["fov", "hospital"]].values.tolist() == [[FOVS[0], "A2"], [FOVS[1], "AR"]]
    assert len(study.assignments) == 8


def test_nucls_anchors__joins_the_tables_of_a_folder(tmp_path):
    for evalset, who in (("U-control", "Ps"), ("E", "Ps"), ("E", "NPs")):
        table = anchor_table(evalset, LABELS, FOVS)
        table[: 1 if who == "Ps" else 2].to_csv(
            tmp_path / f"v3.1_final_anchors_{evalset}_{who}_AreTruth.csv", index=False
        )
    study = read_study(tmp_path)
    assert study.conditions == ["E", "U-control"]
    assert len(study.anchors) == 2
    assert study.ratings.groupby("condition").size().to_dict() == {"E": 8, "U-control": 4}
    assert not study.ratings.duplicated(["anchor", "rater", "condition"]).any()
    assert study.anchors["n_annotations"].tolist() == [6, 2]


def test_nucls_anchors__reads_the_threshold_asked_for(tmp_path):
    table = pd.concat([anchor_table("E", LABELS, FOVS), anchor_table("E", LABELS, FOVS).assign(min_iou=0.5)])
    path = tmp_path / "v3.1_final_anchors_E_Ps_AreTruth.csv"
    table.to_csv(path, index=False)
    assert len(read_study(path).ratings) == 8
    assert len(read_study(path, min_iou=0.5).ratings) == 8
    with pytest.raises(StudyError, match=r"no row has min_iou 0.75; there are '0\.25', '0\.5'"):
        read_study(path, min_iou=0.75)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SP.2": ["tumour", "tumor"]},
         "line 2: 'tumour' is not in taxonomy 'nucls', nor 'undetected' or 'DidNotAnnotateFOV'"),
        ({"SP.2": ["tumor", None]},
         "line 3, SP.2: expected a class, 'undetected' or 'DidNotAnnotateFOV', the cell is empty"),
        ({"xmax_relative": [25, "x"]}, "line 3, xmax: expected a finite number, got 'x'"),
        ({"anchor_id": ["a", "a"]}, "anchors with different boxes or FOVs: 'a'"),
        ({"fovname": ["f", None]}, "line 3, fovname: expected a text, the cell is empty"),
    ],
)  # fmt: skip
def test_nucls_anchors__names_line_and_reason(tmp_path, change, words):
    path = tmp_path / "v3.1_final_anchors_E_Ps_AreTruth.csv"
    anchor_table("E", LABELS, FOVS).assign(**change).to_csv(path, index=False)
    with pytest.raises(StudyError) as error:
        read_study(path)
    assert words in str(error.value)


def test_nucls_anchors__names_columns_that_are_absent(tmp_path):
    path = tmp_path / "v3.1_final_anchors_E_Ps_AreTruth.csv"
    table = anchor_table("E", LABELS, FOVS)
    table.drop(columns=list(RATERS)).to_csv(path, index=False)
    with pytest.raises(StudyError, match=r"no column of a rater; expected names like SP\.1, JP\.2 or NP\.3"):
        read_study(path, format="nucls-anchors")
    table.drop(columns="evalset").to_csv(path, index=False)
    with pytest.raises(StudyError, match="has no column 'evalset'"):
        read_study(path, format="nucls-anchors")
