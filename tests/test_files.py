"""Files are whole or absent, and tables read back exactly."""

import errno
import json
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from crowdtruth.cells import read_cells
from crowdtruth.files import (
    WriteError,
    as_text,
    atomic_write,
    inside,
    read_table,
    read_toml,
    sha256_of,
    whole_folder,
    write_json,
    write_table,
)
from crowdtruth.problems import StudyError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
ROWS = st.lists(st.tuples(TEXTS | st.none(), TEXTS, st.floats(allow_nan=False, allow_infinity=False)), max_size=12)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(rows=ROWS)
def test_write_table__reads_back_exactly(tmp_path_factory, suffix, rows):
    frame = pd.DataFrame(rows, columns=["id", 'a "b", c', "x"]).astype({"id": "str", 'a "b", c': "str", "x": "float64"})
    path = tmp_path_factory.mktemp("t") / f"t{suffix}"
    write_table(frame, path)
    pd.testing.assert_frame_equal(read_table(path, floats=["x"]), frame, check_exact=True)


@given(st.lists(TEXTS | st.none(), max_size=6))
def test_write_table__keeps_missing_cells_of_a_single_column(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame = pd.DataFrame({"only": pd.Series(cells, dtype="str")})
    write_table(frame, path)
    pd.testing.assert_frame_equal(read_table(path), frame)


def test_write_table__gives_the_same_bytes_for_the_same_table(tmp_path):
    frame = pd.DataFrame({"a": ["x", None], "b": pd.Categorical(["u", "v"]), "x": [0.1, np.nan], "n": [1, 2]})
    for suffix in ("csv", "parquet"):
        for name in ("one", "two"):
            write_table(frame, tmp_path / f"{name}.{suffix}")
        assert sha256_of(tmp_path / f"one.{suffix}") == sha256_of(tmp_path / f"two.{suffix}")
    assert (tmp_path / "one.csv").read_bytes() == b"a,b,x,n\nx,u,0.1,1\n,v,,2\n"


def test_write_table__writes_numbers_and_truth_values_that_read_back(tmp_path):
    frame = pd.DataFrame({"n": [0, -(2**53)], "is_object": [True, False], "prob_a": [1 / 3, 5e-324]})
    write_table(frame, tmp_path / "t.csv")
    back = read_table(tmp_path / "t.csv", integers=["n"], booleans=["is_*"], floats=["prob_*"])
    pd.testing.assert_frame_equal(back, frame, check_exact=True)


def test_write_table__refuses_other_suffixes_and_tables_without_columns(tmp_path):
    with pytest.raises(ValueError, match=r"written to \.csv or \.parquet, not to t\.txt"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "t.txt")
    with pytest.raises(ValueError, match="needs columns with different names"):
        write_table(pd.DataFrame(), tmp_path / "t.csv")


def test_read_table__keeps_ids_and_words_for_missing_as_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,label\n001,NA\n1e5,nan\n,None\n"",""\n1.0,null\n')
    table = read_table(path)
    assert table["id"].fillna("?").tolist() == ["001", "1e5", "?", "?", "1.0"]
    assert table["label"].fillna("?").tolist() == ["NA", "nan", "None", "?", "null"]


def test_read_table__reads_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffid,x\r\na,1\r\n\r\nb,2\r\n".encode())
    table = read_table(path, floats=["x"])
    assert table.to_dict("list") == {"id": ["a", "b"], "x": [1.0, 2.0]}


def test_read_table__names_line_and_column_of_every_wrong_number(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,x,n\n"two\nlines",abc,1\n\nb,inf,2.5\nc,,x\n')
    with pytest.raises(StudyError) as error:
        read_table(path, floats=["x"], integers=["n"])
    assert str(error.value).splitlines() == [
        "4 problems:",
        "  t.csv, line 2, x: expected a finite number, got 'abc'",
        "  t.csv, line 5, x: expected a finite number, got 'inf'",
        "  t.csv, line 5, n: expected a whole number, got '2.5'",
        "  t.csv, line 6, n: expected a finite number, got 'x'",
    ]


def test_read_table__names_required_columns_that_are_absent(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,x\na,1\n")
    with pytest.raises(StudyError, match=r"t\.csv: has no column 'y', 'z'; its columns are 'id', 'x'"):
        read_table(path, required=["id", "y", "z"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "t.csv: the file is empty"),
        (b"\n\n", "t.csv: the file has no header"),
        (b"a,a\n1,2\n", "line 1: more than one column is named 'a'"),
        (b"a;b\n1;2\n", "line 1: expected commas between the cells, the header seems to have ';'"),
        (b"a,b\n1,2\n3\n", "line 3: has 1 cells where the header has 2; the file seems to be cut off here"),
        (b"a,b\n1,2,3\n4,5\n", "line 2: has 3 cells where the header has 2"),
        (b'a,b\n1,"2\n3,4\n', "cut off in the middle? A quoted cell is still open at the end"),
        (b"a,b\n1,caf\xe9\n2,\xff\n3,x\n", "lines 2, 3: not UTF-8 (mixed encodings?)"),
        (b"a,b\xff\n1,2\n", "line 1: the header is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "holds NUL bytes; expected text in UTF-8"),
        (b"a,b\n1,2\n" + b"x,y\n" * 300_000 + b"\0,1\n", "holds NUL bytes"),
    ],
)
def test_read_table__says_what_is_wrong_with_the_file(tmp_path, content, words):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(StudyError) as error:
        read_table(path)
    assert words in str(error.value)


def test_read_table__reads_header_without_rows(tmp_path):
    (tmp_path / "t.csv").write_text("a,b")
    assert read_table(tmp_path / "t.csv").shape == (0, 2)


def test_read_table__reads_rows_longer_than_a_block_of_the_parser(tmp_path):
    coords = ",".join(["1"] * 1_000_000)
    (tmp_path / "t.csv").write_text(f'a,b\n1,"{coords}"\n')
    assert read_table(tmp_path / "t.csv")["b"].tolist() == [coords]


def test_read_table__takes_a_quote_within_a_cell_as_it_stands(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n5" nail,2\n')
    assert read_table(tmp_path / "t.csv")["a"].tolist() == ['5" nail']


def test_read_table__refuses_missing_files_folders_and_other_suffixes(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(StudyError, match=r"none\.csv: no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(StudyError, match="is not a file"):
        read_table(tmp_path / "folder.csv")
    with pytest.raises(StudyError, match=r"a table ends in \.csv or \.parquet"):
        read_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_read_table__refuses_parquet_that_was_cut_off(tmp_path, kept):
    path = tmp_path / "t.parquet"
    write_table(pd.DataFrame({"a": np.arange(1000).astype(str)}), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(StudyError, match=r"t\.parquet: not a whole Parquet file \(cut off\?\)"):
        read_table(path)


def test_read_table__refuses_parquet_with_lists_in_cells(tmp_path):
    pd.DataFrame({"a": [[1, 2], [3]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(StudyError, match="columns 'a' hold lists or structures"):
        read_table(tmp_path / "t.parquet")


def test_read_table__takes_numbers_in_parquet_as_ids(tmp_path):
    pd.DataFrame({"fov": [1, 2], "rater": [3.0, None]}).to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table["fov"].tolist() == ["1", "2"]
    assert table["rater"].fillna("?").tolist() == ["3", "?"]


def test_as_text__keeps_fractions():
    assert as_text(pd.Series([1.5, 2.0])).tolist() == ["1.5", "2.0"]


def test_read_cells__keeps_categories_where_asked(tmp_path):
    frame = pd.DataFrame({"a": ["x", "y", "x"]})
    for suffix in ("csv", "parquet"):
        write_table(frame, tmp_path / f"t.{suffix}")
        cells = read_cells(tmp_path / f"t.{suffix}", categorical=True)
        assert cells.frame["a"].dtype == "category"
        assert cells.frame["a"].cat.codes.dtype == np.int8


@given(st.lists(st.lists(st.sampled_from(["a", "b", "cc", None]), max_size=5), min_size=1, max_size=5), st.booleans())
def test_read_cells__joins_the_dictionaries_of_row_groups(tmp_path_factory, groups, stored_as_categories):
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    text = pa.dictionary(pa.int8(), pa.string()) if stored_as_categories else pa.string()
    schema = pa.schema({"a": text})
    with parquet.ParquetWriter(path, schema) as writer:
        for group in groups:
            column = pa.array(group, pa.string())
            writer.write_table(pa.table({"a": column.cast(text)}, schema=schema))
    expected = [cell for group in groups for cell in group]
    for categorical in (True, False):
        column = read_cells(path, categorical=categorical).frame["a"]
        assert column.astype(object).where(column.notna(), None).tolist() == expected
        assert isinstance(column.dtype, pd.CategoricalDtype) == categorical or not expected


def test_atomic_write__leaves_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with atomic_write(path, text=True) as handle:
            handle.write("new")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_atomic_write__names_the_file_that_could_not_be_written(tmp_path):
    def write_both():
        with atomic_write(tmp_path / "outer") as _, atomic_write(tmp_path / "absent" / "inner") as _:
            pass

    with pytest.raises(WriteError) as error:
        write_both()
    assert str(error.value).count("cannot write") == 1
    assert "inner" in str(error.value)
    assert not any(tmp_path.iterdir())


def test_whole_folder__appears_whole_or_not_at_all(tmp_path):
    def fail_halfway():
        with whole_folder(tmp_path / "out") as folder:
            (folder / "file").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert not any(tmp_path.iterdir())
    with whole_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("whole")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("file")] == ["out/file"]


def test_atomic_write__leaves_the_old_file_on_ctrl_c(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write_half():
        with atomic_write(path) as handle:
            handle.write(b"new")
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_atomic_write__says_that_the_folder_is_absent_or_the_path_a_folder(tmp_path):
    with (
        pytest.raises(WriteError, match=r"cannot write .*a\.txt: No such file or directory"),
        atomic_write(tmp_path / "no" / "a.txt"),
    ):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match=r"cannot write .*folder: Is a directory"), atomic_write(tmp_path / "folder"):
        pass
    assert names(tmp_path) == ["folder"]


def test_write_table__says_that_the_folder_is_read_only(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refuse)  # a read-only folder does not stop root
    with pytest.raises(WriteError, match=r"^cannot write .*t\.csv: Permission denied$"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "t.csv")
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_write_table__leaves_nothing_half_written_when_space_ends(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(b"old")
    frame = pd.DataFrame({"a": np.random.default_rng(0).random(50_000)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(WriteError, match=rf"cannot write .*t\.{suffix}: "):
            write_table(frame, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == [path.name]


def test_write_table__tells_a_full_disk_found_at_the_end(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left on device"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "t.csv")
    assert names(tmp_path) == []


def test_write_json__sorts_keys_and_understands_numpy(tmp_path):
    path = tmp_path / "a.json"
    write_json({"b": np.int64(2), "a": [np.float64(0.5), Path("x/y")], "c": {"z", "y"}}, path)
    assert json.loads(path.read_text()) == {"a": [0.5, "x/y"], "b": 2, "c": ["y", "z"]}
    assert path.read_text().index('"a"') < path.read_text().index('"b"')


def test_write_json__refuses_values_json_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        write_json({"a": float("nan")}, tmp_path / "a.json")
    with pytest.raises(TypeError, match="JSON has no form for object"):
        write_json({"a": object()}, tmp_path / "a.json")
    assert names(tmp_path) == []


def test_sha256_of__is_the_published_value_of_abc(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["", "../a", "a/../../b", "/etc/passwd", "a\0b"])
def test_inside__refuses_paths_that_leave_the_folder(tmp_path, name):
    with pytest.raises(StudyError, match="leads out of the folder"):
        inside(tmp_path, name)


def test_inside__refuses_links_that_leave_the_folder(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "link").symlink_to(tmp_path)
    with pytest.raises(StudyError, match="leads out of the folder"):
        inside(tmp_path / "study", "link/secret")


def test_read_toml__gives_the_entries_of_a_file(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("# it's a comment .................................................................\n"
                    "a.b = 1  # \"\"\"\n'x.y' = \"''' # é \\\" .\"\nc = [[1], ['']]\n", encoding="utf-8")  # fmt: skip
    assert read_toml(path) == {"a": {"b": 1}, "x.y": "''' # é \" .", "c": [[1], [""]]}


DEEP = ".".join("a" * 63)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a." * 100_000 + "a = 1", "line 1: more than 64 dots, brackets and braces outside of texts"),
        ("\na = " + "[" * 100_000, "line 2: more than 64 dots"),
        ("a = " + "{a = " * 40_000, "line 1: more than 64 dots"),
        ("a = " + "[\n" * 80_000, "nested too deeply"),
        ('a = """\n""", ' + "b." * 100_000 + "b = 1", "line 1: a text over several lines"),
        ("a = " + "9" * 200_000, "not TOML: Exceeds the limit"),
        ("a = '" + '"' * 200_000, "not TOML"),
        ('a = "' + '\\"' * 120_000, "not TOML"),
        ("\n".join(f"{DEEP}.b{n} = 1" for n in range(1_900)) + "\n=", "not TOML: Invalid"),
        (f"[{DEEP}]\n" + "\n".join(f"{DEEP}.b{n} = 1" for n in range(1_800)) + "\n=", "not TOML: Invalid"),
        ("a = 1\n" * 50_000, "at most 262,144 bytes"),
        ("a = 1\na = 2", "not TOML: Cannot overwrite"),
    ],
)
def test_read_toml__ends_fast_whatever_the_file_holds(tmp_path, text, words):
    path = tmp_path / "bomb.toml"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(ValueError, match=words) as error:
        read_toml(path)
    assert str(error.value).startswith("bomb.toml: ")
    assert time.process_time() - start < 10


@pytest.mark.parametrize("path", ["/dev/zero", ".", "absent.toml"])
def test_read_toml__takes_regular_files_alone(path):
    with pytest.raises(ValueError, match="expected a TOML file, there is none"):
        read_toml(path)


def test_read_toml__refuses_other_encodings(tmp_path):
    (tmp_path / "a.toml").write_bytes('a = "größe"'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.toml: not UTF-8"):
        read_toml(tmp_path / "a.toml")
