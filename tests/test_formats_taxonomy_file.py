"""The taxonomy that travels with a study: written with it, read back, and no different results of the copy."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdtruth.formats import WRITE_FORMATS, read_study, write_study
from crowdtruth.formats.taxonomy_file import (
    read_taxonomy_file,
    taxonomy_content,
    taxonomy_from,
    write_taxonomy_file,
)
from crowdtruth.options import RunOptions
from crowdtruth.pipeline import run_study
from crowdtruth.problems import StudyError
from crowdtruth.study import make_study
from crowdtruth.taxonomy import load_taxonomy, parse_taxonomy

GOOD = "fov,rater,xmin,ymin,xmax,ymax,label\nf,r1,0,0,2,2,a\nf,r2,0,0,2,3,b\n"
SCHEME = """
name = "two \\u007f \\"levels\\""
levels = ["kind", "in é"]
prefixes = ["fix_"]
[[classes]]
name = "a"
code = 3
color = [1, 2, 3]
kind = "AMBIGUOUS"
"in é" = "x"
[[classes]]
name = "b"
kind = "y"
"in é" = "x"
[colors."in é"]
x = [0, 0, 255]
[regions]
code = 9
[regions.styles]
"a.rea" = [0, 0, 0]
[normalise]
drop = ["meh"]
[normalise.exact]
"a\\nb" = "a"
[normalise.parts]
bb = "b"
"""


def written(study, folder: Path, name: str) -> Path:
    path = folder / ("study.json" if name == "coco" else name)
    write_study(study, path, format=name)
    return path


def schemes():
    names = st.text("ab\"'\\\x7f\t#=. é😀", min_size=1, max_size=4).filter(str.strip)
    colors = st.lists(st.integers(0, 255), min_size=3, max_size=3)

    @st.composite
    def scheme(draw):
        levels = draw(st.lists(names, unique=True, max_size=2))
        classes = draw(st.lists(names, unique=True, min_size=1, max_size=4))
        rows = [{"name": name, "code": n} | {level: draw(names) for level in levels} for n, name in enumerate(classes)]
        rows[0]["color"] = draw(colors)
        rules = {"drop": draw(st.lists(names, unique=True)), "exact": draw(st.dictionaries(names, st.just(classes[0])))}
        regions = {"code": 7, "styles": draw(st.dictionaries(names, colors, max_size=2))}
        of_level = {level: {rows[0][level]: draw(colors)} for level in levels}
        return {"name": draw(names), "levels": levels, "classes": rows, "colors": of_level, "regions": regions,
                "normalise": rules}  # fmt: skip

    return scheme()


@given(content=schemes())
def test_write_taxonomy_file__reads_back_exactly(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("t")
    taxonomy = parse_taxonomy(content)
    write_taxonomy_file(taxonomy, folder)
    assert read_taxonomy_file(folder) == taxonomy
    assert taxonomy_from(json.loads(json.dumps(taxonomy_content(taxonomy))), "t.json") == taxonomy


def large_scheme(n_classes):
    rows = [{"name": f"class. [{n}] {{", "code": n, "kind": f"kind {n % 90}"} for n in range(n_classes)]
    rules = {"drop": [f"e.g. {n}" for n in range(500)], "exact": {f"no. {n}": rows[n]["name"] for n in range(500)}}
    return parse_taxonomy({"name": "large", "levels": ["kind"], "classes": rows, "normalise": rules})


def test_write_taxonomy_file__reads_back_large_schemes(tmp_path):
    taxonomy = large_scheme(2_000)
    write_taxonomy_file(taxonomy, tmp_path)
    assert read_taxonomy_file(tmp_path) == taxonomy


def test_write_taxonomy_file__refuses_what_could_not_be_read_back(tmp_path):
    with pytest.raises(ValueError, match="a taxonomy has at most 262,144 bytes, this one"):
        write_taxonomy_file(large_scheme(20_000), tmp_path)
    marks = pd.DataFrame({"fov": "f", "rater": "r", **dict.fromkeys(["xmin", "ymin"], 0), "xmax": 1, "ymax": 1,
                          "label": ["class. [0] {"]})  # fmt: skip
    study = make_study(marks, taxonomy=large_scheme(20_000))
    for name in WRITE_FORMATS:
        with pytest.raises(ValueError, match="a taxonomy has at most 262,144 bytes, this one"):
            written(study, tmp_path, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", list(WRITE_FORMATS))
def test_write_study__keeps_the_taxonomy(tmp_path, name):
    (tmp_path / "scheme.toml").write_text(SCHEME)
    (tmp_path / "marks.csv").write_text(GOOD)
    study = read_study(tmp_path / "marks.csv", taxonomy=tmp_path / "scheme.toml")
    again = read_study(written(study, tmp_path, name))
    assert again.taxonomy == study.taxonomy
    assert again.taxonomy.ambiguous == ("a",)
    assert not any("files not read" in note for note in again.notes)


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_write_study__keeps_the_taxonomy_of_crowd_tables_and_located_studies(tmp_path, name):
    (tmp_path / "scheme.toml").write_text(SCHEME)
    scheme = load_taxonomy(tmp_path / "scheme.toml")
    ratings = pd.DataFrame({"anchor": ["1", "1"], "rater": ["w", "v"], "label": ["a", "b"]})
    anchors = pd.DataFrame({"anchor": ["1"], "fov": "f", "xmin": 0, "ymin": 0, "xmax": 2, "ymax": 2})
    for n, study in enumerate(
        (make_study(ratings=ratings, taxonomy=scheme), make_study(ratings=ratings, anchors=anchors, taxonomy=scheme))
    ):
        write_study(study, tmp_path / f"{n}", format=name)
        assert read_study(tmp_path / f"{n}").taxonomy == scheme


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "taxonomy.toml: not TOML"),
        (
            "name = 3",
            r"taxonomy.toml: expected at least one \[\[classes\]\] entry; mend the file or name another taxonomy",
        ),
        ("a = " + "[" * 100_000, "taxonomy.toml: not TOML"),
        ("# " + "x" * (1 << 20), "taxonomy.toml: a TOML file has at most 262,144 bytes"),
        ("a." * 100_000 + "a = 1", "taxonomy.toml: not TOML: line 1: more than 64 dots"),
        ('name = "n"\n[[classes]]\nname = "z"', "annotations.csv, line 2, label: 'a' is not in taxonomy 'n'"),
    ],
)
def test_read_study__says_what_is_wrong_with_the_taxonomy_of_a_folder(tmp_path, text, words):
    (tmp_path / "annotations.csv").write_text(GOOD)
    (tmp_path / "taxonomy.toml").write_text(text)
    with pytest.raises(StudyError, match=words):
        read_study(tmp_path)
    (tmp_path / "mine.toml").write_text(SCHEME)
    study = read_study(tmp_path, taxonomy=tmp_path / "mine.toml")  # the one that was asked for wins
    assert study.taxonomy.classes == ("a", "b")
    assert f"{tmp_path.name}: files not read: 'mine.toml', 'taxonomy.toml'" in study.notes


def small_database(source: Path, path: Path) -> Path:
    """The first visits of the single-rater database."""
    shutil.copyfile(source, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM fov_meta WHERE fov_id NOT IN (SELECT fov_id FROM fov_meta LIMIT 40)")
        database.execute("DELETE FROM annotation_elements WHERE fov_id NOT IN (SELECT fov_id FROM fov_meta)")
        database.commit()
        database.execute("VACUUM")
    return path


@pytest.mark.parametrize("source", ["nucls_fovs", "nucls_single_rater"])
def test_write_study__of_the_published_nuclei_gives_the_same_results(tmp_path, data_dir, source):
    place, normalise = data_dir / source, source == "nucls_single_rater"
    if normalise:
        place = small_database(next(place.glob("*.sqlite")), tmp_path / "small.sqlite")
    study = read_study(place, normalise_labels=normalise)
    quick = RunOptions(classes="super", train_on="all", report=False, realizations=2, replicates=20)
    run_study(place, tmp_path / "out", replace(quick, normalise_labels=normalise))
    expected = contents(tmp_path / "out")
    for name in WRITE_FORMATS:
        path = written(study, tmp_path, name)
        assert read_study(path).taxonomy == study.taxonomy == load_taxonomy("nucls")
        run_study(path, tmp_path / f"out_{name}", quick)
        assert contents(tmp_path / f"out_{name}") == expected


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a result folder, without run.json, whose timings differ."""
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.name != "run.json"}
