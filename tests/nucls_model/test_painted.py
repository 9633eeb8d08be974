"""Painted FOVs: what is written is what was painted, what was painted is what was asked for."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

from crowdtruth.checks import CORNERS
from crowdtruth.files import WriteError
from crowdtruth.formats import read_study
from crowdtruth.synthetic import load_preset, synthesise
from crowdtruth.taxonomy import load_taxonomy
from nucls_model.dataset import FovDataset, rasterise
from nucls_model.labelled import read_nucls_folder
from nucls_model.painted import FovParameters, Staining, paint_fov, paint_fovs, paint_study, staining_of
from nucls_model.painted.folders import draw_mask, instance_codes, object_table
from nucls_model.painted.looks import DEBRIS, LOOKS, look_of
from nucls_model.painted.outlines import bounds, cut, draw_outline
from nucls_model.painted.scene import Scene, paint, stain_amounts
from nucls_model.painted.staining import develop
from nucls_model.painted.textures import fibres, smooth_noise
from tests.reference import masks as reference

ALL_CLASSES = dict.fromkeys(LOOKS, 1.0)


def checksums(folder: Path) -> dict[str, str]:
    """Checksum of each file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def picture(path: Path) -> np.ndarray:
    """A PNG file as (height, width, 3)."""
    with Image.open(path) as image:
        return np.asarray(image)


def unmixed(rgb: np.ndarray, staining: Staining) -> np.ndarray:
    """Amounts of hematoxylin and eosin in a picture, (height, width, 2)."""
    density = -np.log(np.maximum(rgb, 0.5) / np.array(staining.white))
    amounts, *_ = np.linalg.lstsq(staining.matrix.T, density.reshape(-1, 3).T, rcond=None)
    return amounts.T.reshape(*rgb.shape[:2], 2) / np.array(staining.strength)


def lonely(name: str, side: int = 80, **changes: object) -> Scene:
    """One object in the middle of a small picture."""
    half = look_of(name).side / 2
    box = np.rint(np.array([side / 2 - half, side / 2 - half, side / 2 + half, side / 2 + half]))
    outline = draw_outline(box, look_of(name), True, np.random.default_rng(1))
    scene = Scene(side, side, (name,), (outline,), np.ones(1), np.zeros(1), angle=0.4)
    return replace(scene, **changes)


def pixels_of(row: pd.Series, side: int) -> np.ndarray:
    """Pixels of an object as the data set of the detector sees them."""
    return rasterise(*(np.array(row[name].split(","), int) for name in ("coords_x", "coords_y")), side, side)


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight FOVs of every class."""
    folder = tmp_path_factory.mktemp("painted") / "fovs"
    paint_fovs(folder, n_fovs=8, size=160, classes=ALL_CLASSES, seed=5)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two painted FOVs of the small synthetic study."""
    folder = tmp_path_factory.mktemp("painted") / "study"
    paint_study(synthesise("demo", n_fovs=2, seed=4), folder)
    return folder


# Staining


def test_develop__can_be_undone() -> None:
    amounts = np.random.default_rng(0).uniform(0, 1.5, (20, 30, 2))
    staining = replace(staining_of("A2"), noise=0.0)
    rgb = develop(amounts, staining, np.random.default_rng(0))
    np.testing.assert_allclose(unmixed(rgb, staining), amounts, atol=0.04)  # half a grey level of the darkest colour


def test_develop__of_more_stain_is_darker() -> None:
    amounts = np.linspace(0, 3, 50)[None, :, None] * np.ones((1, 1, 2))
    rgb = develop(amounts, Staining(noise=0.0), np.random.default_rng(0)).astype(int)
    assert (np.diff(rgb, axis=1) <= 0).all()


def test_develop__refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"shape \(height, width, 2\), got \(3, 3\)"):
        develop(np.zeros((3, 3)), Staining(), np.random.default_rng(0))


def test_staining_of__slides_differ_less_than_hospitals() -> None:
    def colors(stainings: list[Staining]) -> np.ndarray:
        tissue = np.array([[[1.0, 0.5]]])
        return np.array([develop(tissue, replace(s, noise=0.0), np.random.default_rng(0))[0, 0] for s in stainings])

    hospitals = colors([staining_of(f"H{i}") for i in range(30)])
    slides = colors([staining_of("H1", f"slide-{i}") for i in range(30)])
    assert (slides.std(axis=0) < 0.6 * hospitals.std(axis=0)).all()
    assert (hospitals.std(axis=0) > 4).all()


def test_staining_of__has_vectors_of_length_one() -> None:
    lengths = [np.linalg.norm(staining_of(f"H{i}", "s").matrix, axis=1) for i in range(20)]
    np.testing.assert_allclose(lengths, 1)


# Textures and outlines


@pytest.mark.parametrize("length", [2, 5, 14])
def test_smooth_noise__is_standard_and_smooth(length: int) -> None:
    field = smooth_noise((300, 300), length, np.random.default_rng(0))
    assert abs(field.mean()) < 0.1
    assert 0.9 < field.std() < 1.1
    assert np.abs(np.diff(field, axis=0)).mean() < 1.5 / length


def test_fibres__change_across_and_not_along() -> None:
    field = fibres((200, 200), 0.0, 1.0, np.random.default_rng(0))
    assert np.abs(np.diff(field, axis=0)).mean() > 2 * np.abs(np.diff(field, axis=1)).mean()


@given(st.sampled_from(sorted(LOOKS)), st.integers(8, 60), st.integers(8, 60), st.booleans(), st.integers(0, 99))
def test_draw_outline__touches_all_four_sides_of_its_box(name, width, height, falling, seed) -> None:
    box = np.array([3.0, 5.0, 3 + width, 5 + height])
    points = draw_outline(box, LOOKS[name], falling, np.random.default_rng(seed))
    np.testing.assert_array_equal(bounds(points), box)


@given(st.integers(-20, 60), st.integers(-20, 60), st.integers(0, 99))
def test_cut__leaves_the_part_in_the_picture_within_a_pixel(x, y, seed) -> None:
    box = np.array([x, y, x + 30, y + 24], float)
    points = draw_outline(box, LOOKS["macrophage"], True, np.random.default_rng(seed))
    left = cut(points, 50, 40)
    whole = rasterise(*points.T, 40, 50)
    if not len(left):
        assert not binary_erosion(whole).any()  # a line of pixels at most
        return
    assert (left >= 0).all()
    assert (left <= [49, 39]).all()
    kept = rasterise(*left.T, 40, 50)  # where the edge crosses between whole pixels, the outline moves a little
    square = np.ones((3, 3))
    assert (kept <= binary_dilation(whole, square)).all()
    assert (binary_erosion(whole, square, border_value=1) & ~kept).sum() <= 3  # in a corner of the picture, or a sliver


# Pictures


@pytest.mark.parametrize("name", [name for name in LOOKS if LOOKS[name].defocus == 0 and LOOKS[name].lobes == 1])
def test_stain_amounts__of_a_nucleus_are_those_of_its_look(name: str) -> None:
    scene = lonely(name)
    amounts, pad = stain_amounts(scene, np.random.default_rng(0))
    inside = rasterise(*(scene.outlines[0] + pad).T, *amounts.shape[:2])
    mean = amounts[inside].mean(axis=0)
    look = LOOKS[name]  # at the edge a pixel is half of what lies beside
    np.testing.assert_allclose(mean, [look.hematoxylin, look.eosin], rtol=0.12, atol=0.05)


def test_paint__is_stained_as_strongly_as_asked() -> None:
    staining = replace(Staining(), noise=0.0)
    thin, thick = (
        unmixed(paint(lonely("tumor"), replace(staining, strength=strength), np.random.default_rng(2)), staining)
        for strength in ((0.5, 0.8), (1.0, 1.0))
    )
    np.testing.assert_allclose(thin.mean(axis=(0, 1)) / thick.mean(axis=(0, 1)), [0.5, 0.8], rtol=0.01)


def test_paint__of_a_defocused_nucleus_has_no_sharp_edge() -> None:
    sharp, blurred = (
        paint(lonely("lymphocyte", defocus=np.full(1, blur)), Staining(noise=0.0), np.random.default_rng(0)).astype(int)
        for blur in (0.0, 3.0)
    )
    assert np.abs(np.diff(blurred[40, :, 0])).max() < 0.6 * np.abs(np.diff(sharp[40, :, 0])).max()


@pytest.mark.parametrize("name", sorted(DEBRIS))
def test_paint__debris_is_seen(name: str) -> None:
    scene = lonely(name)
    rgb = paint(scene, Staining(), np.random.default_rng(0)).astype(float)
    inside = rasterise(*scene.outlines[0].T, scene.height, scene.width)
    assert np.abs(rgb[inside].mean(axis=0) - rgb[~inside].mean(axis=0)).max() > 15


def test_paint__of_no_object_is_tissue() -> None:
    scene = Scene(60, 50, (), (), np.zeros(0), np.zeros(0), angle=1.0)
    assert paint(scene, Staining(), np.random.default_rng(0)).shape == (50, 60, 3)


def test_paint_fov__classes_are_told_apart_by_plain_features() -> None:
    """Size, shape, darkness and texture suffice: nearest neighbours of three hospitals name nuclei of a fourth."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    parameters = FovParameters(ambiguous=0.0, outlined=1.0)
    features, labels, hospitals = [], [], []
    for number in range(24):
        fov = paint_fov(number, seed=1, parameters=parameters)
        amounts = unmixed(fov.rgb, staining_of(fov.hospital, fov.slide))[..., 0]
        for _, row in fov.objects.iterrows():
            inside = pixels_of(row, 160)
            stain = amounts[inside]
            size = np.prod(row[["xmax", "ymax"]].to_numpy() - row[["xmin", "ymin"]].to_numpy())
            features.append([size**0.5, inside.sum() / size, stain.mean(), stain.std()])
            labels.append(row.raw_classification)
            hospitals.append(fov.hospital)
    x, label, unseen = StandardScaler().fit_transform(features), np.array(labels), np.array(hospitals) == "H4"
    named = KNeighborsClassifier(5).fit(x[~unseen], label[~unseen]).predict(x[unseen])
    assert (named == label[unseen]).mean() >= 0.95


# Folders


def test_instance_codes__are_those_taken_one_after_the_other() -> None:
    assert instance_codes()[:2000].tolist() == reference.instance_pairs(2000)
    products = instance_codes().astype(int).prod(axis=1)
    assert len(np.unique(products)) == len(products) == 17437


def test_paint_fovs__masks_hold_outlines_boxes_and_classes(painted: Path) -> None:
    codes = load_taxonomy("nucls").codes
    for path in sorted((painted / "csv").iterdir()):
        objects = pd.read_csv(path)
        mask = picture(painted / "mask" / f"{path.stem}.png").astype(int)
        top = reference.topmost_object(objects, 160, 160)
        number = mask[..., 1] * mask[..., 2]
        for row, one in objects.iterrows():
            (seen,) = np.unique(number[top == row])
            np.testing.assert_array_equal(number == seen, top == row)
            assert (mask[top == row, 0] == codes[one["raw_classification"]]).all()
        np.testing.assert_array_equal(mask[top < 0], np.tile([253, 1, 2], ((top < 0).sum(), 1)))


def test_paint_fovs__objects_lie_within_the_picture(painted: Path) -> None:
    for path in sorted((painted / "csv").iterdir()):
        objects = pd.read_csv(path)
        assert (objects[CORNERS] >= 0).all(axis=None)
        assert (objects[CORNERS] <= 159).all(axis=None)
        for _, one in objects.iterrows():
            x, y = (np.array(one[name].split(","), int) for name in ("coords_x", "coords_y"))
            assert [x.min(), y.min(), x.max(), y.max()] == one[CORNERS].tolist()


def test_paint_fovs__columns_are_the_published_ones(painted: Path, data_dir: Path) -> None:
    published = pd.read_csv(sorted((data_dir / "nucls_fovs" / "csv").iterdir())[0], index_col=0)
    ours = pd.read_csv(sorted((painted / "csv").iterdir())[0])
    assert ours.columns.tolist() == published.columns.tolist()


def test_paint_fovs__are_read_by_the_reader_of_studies(painted: Path) -> None:
    study = read_study(painted)
    tables = [pd.read_csv(path).assign(fov=path.stem) for path in sorted((painted / "csv").iterdir())]
    written = pd.concat(tables, ignore_index=True)
    assert sorted(study.fovs["hospital"]) == sorted(["H1", "H2", "H3", "H4"] * 2)
    assert study.fovs[["width", "height", "mpp"]].drop_duplicates().values.tolist() == [[160, 160, 0.2]]
    order = ["fov", *CORNERS]
    np.testing.assert_array_equal(
        study.annotations.sort_values(order)[[*order, "label"]],
        written.sort_values(order)[[*order, "raw_classification"]],
    )


def test_paint_fovs__are_read_by_the_detectors_data_set(painted: Path) -> None:
    labelled = read_nucls_folder(painted, "raw")
    for number in range(len(labelled.fovs)):
        image, target = FovDataset(labelled, [number])[0]
        objects = pd.read_csv(painted / "csv" / f"{labelled.fovs['fov'].iloc[number]}.csv")
        assert image.shape == (3, 160, 160)
        assert len(target.boxes) == len(objects)
        assert target.has_outline.sum() == (objects["type"] == "polyline").sum() == len(target.masks)


def test_paint_fovs__shares_are_those_asked_for(tmp_path: Path) -> None:
    paint_fovs(tmp_path / "a", n_fovs=12, size=160, outlined=0.4, ambiguous=0.2)
    labels = pd.concat([pd.read_csv(path) for path in (tmp_path / "a" / "csv").iterdir()])
    assert abs((labels["type"] == "polyline").mean() - 0.4) < 0.12
    assert abs((labels["main_classification"] == "AMBIGUOUS").mean() - 0.2) < 0.1


@pytest.mark.parametrize(("share", "kind"), [(0.0, {"rectangle"}), (1.0, {"polyline"})])
def test_paint_fov__outlines_of_none_or_all(share: float, kind: set[str]) -> None:
    objects = paint_fov(0, parameters=FovParameters(outlined=share)).objects
    assert set(objects["type"]) == kind
    assert (objects["coords_x"].str.count(",") == 3).all() == (share == 0)


def test_paint_fovs__same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        paint_fovs(tmp_path / name, n_fovs=2, size=96, seed=seed)
    first, again, other = (checksums(tmp_path / name) for name in "abc")
    assert first == again
    assert len(first) == 6
    assert not set(first.values()) & set(other.values())


def test_paint_fov__alone_is_the_one_of_the_folder(painted: Path) -> None:
    fov = paint_fov(6, seed=5, parameters=FovParameters(classes=ALL_CLASSES))
    np.testing.assert_array_equal(picture(painted / "rgb" / f"{fov.name}.png"), fov.rgb)
    pd.testing.assert_frame_equal(pd.read_csv(painted / "csv" / f"{fov.name}.csv"), fov.objects, check_dtype=False)


def test_paint_fov__of_larger_pixels_is_the_same_tissue_smaller() -> None:
    fine = paint_fov(0, parameters=FovParameters(size=320)).objects
    coarse = paint_fov(0, parameters=FovParameters(size=160, mpp=0.4)).objects
    sides = [((o["xmax"] - o["xmin"]) * (o["ymax"] - o["ymin"])).pow(0.5).median() for o in (fine, coarse)]
    assert abs(sides[0] / sides[1] - 2) < 0.3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": {"tumour": 1.0}}, r"no look is known for 'tumour'; classes that can be painted: 'tumor', "),
        ({"classes": {}}, r"classes need frequencies above 0, got \{\}"),
        ({"classes": {"tumor": 0.0}}, "classes need frequencies above 0"),
        ({"hospitals": ()}, r"at least one name, each once; got \[\]"),
        ({"hospitals": ("A2", "A2")}, "at least one name, each once"),
        ({"hospitals": ("St. Mary",)}, "capital letters and digits, as in 'A2'; got 'St. Mary'"),
        ({"outlined": 1.5}, r"outlined must lie in \[0, 1\], got 1.5"),
        ({"ambiguous": -0.1}, r"ambiguous must lie in \[0, 1\], got -0.1"),
        ({"mpp": 3.0}, r"mpp must lie in \[0.05, 1\] micrometres per pixel, got 3.0"),
        ({"size": 40}, "needs 72 pixels of 0.2 µm for the largest nuclei, got size 40"),
        ({"debris": -1.0}, "room >= 20 and debris >= 0, got 2, 48 and -1"),
        ({"sizes": 40}, "no parameters 'sizes'; painted FOVs have 'size', "),
        ({"n_fovs": 0}, "n_fovs must be at least 1, got 0"),
        ({"seed": -1}, "must not be negative, got 0 and -1"),
    ],
)
def test_paint_fovs__refuses_what_cannot_be_painted(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        paint_fovs(tmp_path / "out", **{"n_fovs": 1, **changes})
    assert not any(tmp_path.iterdir())


def test_paint_fovs__leaves_a_folder_that_is_in_use_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WriteError, match="it exists already; give the name of a new or empty folder"):
        paint_fovs(tmp_path, n_fovs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_draw_mask__refuses_more_objects_than_it_can_tell_apart() -> None:
    square = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    one = object_table([square], ["tumor"], np.ones(1, bool), 9, 9)
    with pytest.raises(ValueError, match="17,436 objects apart, got 17,437"):
        draw_mask(pd.concat([one] * 17437), 9, 9)


# Studies


def test_paint_study__pictures_and_truth_are_read_back(study: Path) -> None:
    made = synthesise("demo", n_fovs=2, seed=4)
    read, truth = read_study(study / "study"), read_nucls_folder(study / "truth", "raw")
    assert read.fovs["fov"].tolist() == truth.fovs["fov"].tolist()
    assert read.fovs["hospital"].tolist() == truth.fovs["hospital"].tolist()
    assert len(read.annotations) == len(made.study.annotations)
    assert not read.notes
    for row in read.fovs.itertuples():
        shown, kept = study / "study" / row.image, study / "truth" / "rgb" / f"{row.fov}.png"
        assert shown.read_bytes() == kept.read_bytes()
        assert picture(shown).shape == (row.height, row.width, 3)


def test_paint_study__truth_is_the_studys_cut_at_the_edges(study: Path) -> None:
    made = synthesise("demo", n_fovs=2, seed=4)
    written = read_nucls_folder(study / "truth", "raw").objects
    np.testing.assert_array_equal(written[CORNERS], made.truth[CORNERS].clip(0, made.parameters.tissue.fov_side - 1))
    assert written["label"].replace("AMBIGUOUS", "unlabeled").tolist() == made.truth["label"].tolist()
    assert written["has_outline"].all()


def test_paint_study__nuclei_are_darker_than_what_lies_around(study: Path) -> None:
    truth = read_nucls_folder(study / "truth", "raw")
    for row in truth.fovs.itertuples():
        rgb = picture(row.image).astype(float)
        inside = np.zeros(rgb.shape[:2], bool)
        for _, one in truth.objects[truth.objects["fov"] == row.fov].iterrows():
            inside |= pixels_of(one, len(rgb))
        assert rgb[inside, 0].mean() < rgb[~inside, 0].mean() - 40


def test_paint_study__an_fov_is_the_same_in_a_larger_study(study: Path, tmp_path: Path) -> None:
    paint_study(synthesise("demo", n_fovs=3, seed=4), tmp_path / "larger")
    larger = checksums(tmp_path / "larger" / "truth")
    assert checksums(study / "truth").items() <= larger.items()


def test_paint_study__refuses_a_truth_that_is_not_the_studys(tmp_path: Path) -> None:
    made = synthesise("demo", n_fovs=1, seed=4)
    moved = replace(made, truth=made.truth.assign(xmax=made.truth["xmax"] + 1))
    with pytest.raises(
        ValueError, match="fov-000: the study's true boxes are not those that its parameters and seed 4"
    ):
        paint_study(moved, tmp_path / "out")
    assert not any(tmp_path.iterdir())


def test_paint_study__refuses_classes_without_a_look(tmp_path: Path) -> None:
    parameters = load_preset("demo", n_fovs=1)
    odd = replace(parameters.tissue.classes[0], name="oddity")
    made = synthesise("demo", n_fovs=1)
    tissue = replace(parameters.tissue, classes=(odd, *parameters.tissue.classes[1:]))
    with pytest.raises(ValueError, match="no look is known for 'oddity'"):
        paint_study(replace(made, parameters=replace(parameters, tissue=tissue)), tmp_path / "out")
