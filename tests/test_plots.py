"""Figures: each draws on tables of any size, says what is on its axes, and leaves everything else as it was."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from crowdtruth import plots
from crowdtruth.plots import figure_bytes, figures_of, save_figure
from crowdtruth.plots.style import class_looks, cohort_looks, condition_looks, short_names
from crowdtruth.taxonomy import load_taxonomy
from tests.result_tables import result_tables

TABLES = result_tables({"P": 3, "NP": 4}, ["B", "E"], ["tumor_any", "sTIL"], ["super"])
NUCLS = load_taxonomy("nucls")
BOXES = pd.DataFrame(
    {"xmin": [1.0, 5.0], "ymin": [1.0, 2.0], "xmax": [4.0, 9.0], "ymax": [4.0, 7.0], "label": ["a", ""]}
)
ANCHORS = pd.DataFrame({"method": ["complete", "complete", "unconstrained"], "n_raters": [1, 3, 4]})
DRIFT = pd.DataFrame({"rater": ["a", "a", ""], "metric": "f1", "x": [1, 2, 1], "value": 0.5, "low": 0.4, "high": 0.6})


def rows(table: str, **of: object) -> pd.DataFrame:
    found = TABLES[table]
    for column, value in of.items():
        found = found[found[column] == value]
    return found.reset_index(drop=True)


ONE_SCOPE = {"condition": "E", "scope": "classification"}
ONE_COHORT = {"cohort": "NP", "condition": "E"}
SWEEP = rows("agreement", statistic="alpha", scope="classification", **ONE_COHORT)
FIGURES: dict[str, tuple[Callable[[pd.DataFrame], Axes], pd.DataFrame]] = {
    "agreement_by_detections": (plots.agreement_by_detections, SWEEP),
    "anchors_by_detections": (plots.anchors_by_detections, SWEEP),
    "agreement_points": (
        plots.agreement_points,
        rows("agreement", statistic="alpha", scope="classification", threshold=0.25, min_detections=2),
    ),
    "kappa_heat_map": (plots.kappa_heat_map, rows("pairwise", **ONE_SCOPE)),
    "kappa_boxes": (plots.kappa_boxes, rows("pairwise", scope="classification")),
    "rater_map": (plots.rater_map, rows("rater_map", **ONE_SCOPE)),
    "self_agreement_boxes": (plots.self_agreement_boxes, rows("self_agreement", scope="classification")),
    "proportion_clicked_boxes": (plots.proportion_clicked_boxes, rows("self_agreement", scope="classification")),
    "precision_recall": (plots.precision_recall, rows("curves", condition="E")),
    "roc": (plots.roc, rows("curves", who="NP", condition="E", curve="roc")),
    "confusion_of_labels": (plots.confusion_of_labels, rows("rater_confusion", **ONE_COHORT)),
    "raters_per_object": (plots.raters_per_object, rows("anchor_confusion", **ONE_COHORT)),
    "ease_cumulative": (plots.ease_cumulative, rows("ease", **ONE_COHORT)),
    "ease_composition": (plots.ease_composition, rows("ease", **ONE_COHORT)),
    "segmented_scatter": (
        lambda table: plots.segmented_scatter(table, first="B", second="E"),
        pd.concat([TABLES["segmented"], TABLES["segmented"].assign(condition="B")], ignore_index=True),
    ),
    "overlap_violins": (plots.overlap_violins, TABLES["outlines"]),
    "joint_overlap": (
        lambda table: plots.joint_overlap(table, first="E", second="E"),
        rows("outlines", cohort="NP"),
    ),
    "redundancy_curve": (plots.redundancy_curve, rows("redundancy", metric="auroc")),
    "redundancy_boxes": (plots.redundancy_boxes, rows("redundancy", metric="mcc")),
    "plan": (plots.plan, TABLES["plan"]),
    "rater_forest": (plots.rater_forest, rows("raters", condition="E")),
    "drift": (plots.drift, DRIFT),
    "anchors_by_raters": (plots.anchors_by_raters, ANCHORS),
    "field_of_view": (plots.field_of_view, BOXES),
}


@pytest.fixture(params=sorted(FIGURES))
def figure(request: pytest.FixtureRequest) -> tuple[Callable[[pd.DataFrame], Axes], pd.DataFrame]:
    return FIGURES[request.param]


def test_figures__names_are_all_tested() -> None:
    assert set(FIGURES) == set(plots.__all__) - {"figures_of", "save_figure", "figure_bytes"}


def test_figure__draws_with_labels_and_leaves_its_table_as_it_was(figure) -> None:
    draw, table = figure
    before = table.copy(deep=True)
    settings = {name: value for name, value in mpl.rcParams.items() if name != "backend"}  # found out when asked for
    ax = draw(table)
    ax.figure.draw_without_rendering()
    assert ax.get_xlabel()
    assert ax.get_ylabel() or [label.get_text() for label in ax.get_yticklabels() if label.get_text()]
    pd.testing.assert_frame_equal(table, before)
    assert {name: value for name, value in mpl.rcParams.items() if name != "backend"} == settings


@pytest.mark.parametrize("n_rows", [0, 1])
def test_figure__draws_empty_tables_and_single_rows(figure, n_rows: int) -> None:
    draw, table = figure
    draw(table.iloc[:n_rows]).figure.draw_without_rendering()


def test_figure__draws_rows_without_values(figure) -> None:
    draw, table = figure
    keep = {
        "min_detections",
        "at_least",
        "raters_per_fov",
        "target",
        "threshold",
        "xmin",
        "ymin",
        "xmax",
        "ymax",
        "n_raters",
    }
    missing = {name: np.nan for name in table.select_dtypes("float") if name not in keep}
    draw(table.assign(**missing)).figure.draw_without_rendering()


def test_figure__takes_axes(figure) -> None:
    draw, table = figure
    if draw.__name__ == "<lambda>":
        pytest.skip("passed on with its other arguments")
    ax = Figure().subplots()
    assert draw(table, ax=ax) is ax


def test_figure__says_which_column_is_missing(figure) -> None:
    draw, table = figure
    with pytest.raises(ValueError, match="needs columns"):
        draw(table[[]])


def test_figure__refuses_rows_of_two_conditions() -> None:
    with pytest.raises(ValueError, match="shows one condition of 'pairwise', the table has 'B', 'E'; pick its rows"):
        plots.kappa_heat_map(rows("pairwise", scope="classification"))


def test_kappa_heat_map__places_every_kappa_below_and_every_number_above_the_diagonal() -> None:
    table = rows("pairwise", **ONE_SCOPE).head(1).assign(kappa=0.62, n_anchors=41)
    words = {text.get_text(): text.get_position() for text in plots.kappa_heat_map(table).texts}
    assert words == {".62": (0.5, 1.5), "41": (1.5, 0.5)}


def test_roc__legend_has_the_area_with_its_interval() -> None:
    curve = rows("curves", who="NP", condition="E", curve="roc").query("`class` == 'micro'")
    scores = rows("accuracy", who="NP", condition="E", metric="auroc").assign(value=0.93, low=0.91, high=0.95)
    legend = plots.roc(curve, accuracy=scores).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["micro  .93 (.91–.95)"]


def test_roc__colours_come_from_the_taxonomy() -> None:
    ax = plots.roc(rows("curves", who="NP", condition="E", curve="roc"), taxonomy=NUCLS)
    colors = {line.get_label(): to_hex(line.get_color()) for line in ax.lines}
    assert colors["tumor_any"] == "#ff0000"
    assert colors["sTIL"] == "#0000ff"


def test_confusion_of_labels__adds_raters_and_shades_by_row() -> None:
    counts = pd.DataFrame({"who": ["r", "s", "r"], "true": ["a", "a", ""], "assigned": "a", "count": [3, 3, 2]})
    ax = plots.confusion_of_labels(counts)
    assert sorted(text.get_text() for text in ax.texts) == ["2", "6"]
    assert ax.collections[0].get_array().compressed().tolist() == [0.75, 0.25]


def test_raters_per_object__intervals_stand_below_the_numbers() -> None:
    table = rows("anchor_confusion", **ONE_COHORT)
    low, high = table["low"].iloc[0], table["high"].iloc[0]
    words = [text.get_text() for text in plots.raters_per_object(table).texts]
    assert len(words) == 2 * len(table)
    assert f"{low:.1f}–{high:.1f}" in words
    without = plots.raters_per_object(table.drop(columns=["low", "high"]))
    assert len(without.texts) == len(table)


def test_segmented_scatter__all_fovs_are_a_cross_and_no_point() -> None:
    share = {"n_anchors": 10, "proportion": 0.5, "low": np.nan, "high": np.nan}
    keys = [("P", condition, fov) for condition in "BE" for fov in ("", "f", "g")]
    table = pd.DataFrame([{"cohort": c, "condition": x, "fov": f, **share} for c, x, f in keys])
    table.loc[table["fov"] == "", ["low", "high"]] = [[0.4, 0.6], [0.3, 0.8]]
    ax = plots.segmented_scatter(table, first="B", second="E")
    points, *lines = ax.collections
    assert len(points.get_offsets()) == 2
    ends = {tuple(map(tuple, line.get_segments()[0].tolist())) for line in lines}
    assert ends == {((0.4, 0.5), (0.6, 0.5)), ((0.5, 0.3), (0.5, 0.8))}


def test_redundancy_curve__draws_the_median() -> None:
    table = pd.DataFrame({"raters_per_fov": [1, 1, 1], "metric": "mcc", "class": "", "value": [0.1, 0.5, 0.6]})
    assert plots.redundancy_curve(table).lines[0].get_ydata().tolist() == [0.5]


def test_plan__says_what_to_plan_and_what_cannot_be_told() -> None:
    words = [text.get_text() for text in plots.plan(TABLES["plan"]).texts]
    assert words[0] == "4 (3 to 6), the cheapest cohort"
    assert words[-1] == "cannot tell"


def test_looks__differ_in_more_than_colour() -> None:
    looks = class_looks([f"class {n}" for n in range(13)])
    assert len({(look.marker, str(look.line)) for look in looks.values()}) == 13
    assert len({look.marker for look in cohort_looks(["NP", "JP", "SP", "students"]).values()}) == 4
    assert [look.line for look in condition_looks(["U", "B", "E"]).values()] == [":", "--", "-"]


def test_short_names__keeps_names_apart() -> None:
    names = [f"{'x' * 40}{n}{'y' * 40}" for n in range(12)]
    assert len(set(short_names(names).values())) == 12


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_save_figure__same_table_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("one", "two"):
        save_figure(plots.rater_forest(rows("raters", condition="E")).figure, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_save_figure__refuses_other_formats(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"written to \.svg, \.png or \.pdf, not to \.jpg"):
        save_figure(Figure(), tmp_path / "a.jpg")


def test_figure_bytes__holds_text_and_no_date() -> None:
    content = figure_bytes(plots.plan(TABLES["plan"]).figure, ".svg").decode()
    assert "raters per FOV" in content
    assert "<dc:date>" not in content


def test_figures_of__draws_what_there_is_under_names_fit_for_files() -> None:
    drawn = dict(figures_of(TABLES, NUCLS, data="generated"))
    kinds = {name.split("-")[0] for name in drawn}
    assert kinds == {
        "agreement", "sweep", "pairwise", "kappa", "rater_map", "self_agreement", "proportion_clicked", "raters",
        "precision_recall", "roc", "roc_conditions", "confusion", "anchor_confusion", "ease", "outlines_dice",
        "outlines_iou", "redundancy", "plan", "plan_classes",
    }  # fmt: skip
    for name, found in drawn.items():
        assert not set(name) & set(' /\\:*?"<>|')
        assert found.get_suptitle()
        assert found.get_supxlabel().startswith("generated")


def test_figures_of__names_say_what_is_shown_and_are_never_numbered() -> None:
    found = result_tables({"P": 2, "NP": 2}, ["U", "B", "E"], ["tumor_any", "sTIL"], ["super"])
    tables = {name: found[name] for name in ("raters", "curves", "accuracy")}
    of_condition = {  # references as a run names them that judges each condition by the labels of a cohort under it
        name: table.assign(reference="cohort:P@" + table["condition"]) if "reference" in table else table
        for name, table in tables.items()
    }
    names = {name for name, _ in figures_of(of_condition)}
    assert {"precision_recall", "raters-f1", "roc-NP-super"} <= names
    assert not [name for name in names if name[-2:-1] == "-" and name[-1].isdigit()]
    both = pd.concat([tables["raters"], tables["raters"].assign(reference="gold")], ignore_index=True)
    assert "raters-f1-gold" in {name for name, _ in figures_of({"raters": both})}


def test_figures_of__confusions_and_ease_are_of_the_same_condition() -> None:
    tables = {name: TABLES[name] for name in ("rater_confusion", "anchor_confusion", "ease")}
    names = [name for name, _ in figures_of(tables)]
    assert len({name.split("-")[-1] for name in names}) == 1


def test_figures_of__inferred_labels_are_not_counted_with_the_raters_of_their_cohort() -> None:
    table = TABLES["rater_confusion"].query("cohort == 'P' and condition == 'E'")
    labels = table[table["who"] == "P.1"].assign(who="P")
    (alone,) = dict(figures_of({"rater_confusion": table})).values()
    (both,) = dict(figures_of({"rater_confusion": pd.concat([labels, table], ignore_index=True)})).values()
    assert [text.get_text() for text in alone.axes[0].texts] == [text.get_text() for text in both.axes[0].texts]
    (of_union,) = dict(figures_of({"rater_confusion": labels})).values()
    assert "inferred labels" in of_union.get_supxlabel()
    assert "inferred labels" not in both.get_supxlabel()


def test_figures_of__overview_of_agreement_is_at_the_threshold_asked_for() -> None:
    only = {"agreement": TABLES["agreement"].query("cohort == 'P' and condition == 'E'")}
    notes = [
        dict(figures_of(only, **options))["agreement"].get_supxlabel()
        for options in ({}, {"iou": 0.5, "min_detections": 3})
    ]
    assert [note.partition(" · ")[0] for note in notes] == [
        "objects by IOU ≥ 0.25, marked by at least 1 of the cohort",
        "objects by IOU ≥ 0.5, marked by at least 3 of the cohort",
    ]


def test_confusion_of_labels__classes_that_nothing_is_have_no_column() -> None:
    counts = pd.DataFrame({"true": ["a", "b"], "assigned": ["b", "a"], "count": [3, 0]})
    ax = plots.confusion_of_labels(counts)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a"]


def test_kappa_heat_map__many_raters_have_shades_without_numbers() -> None:
    tables = result_tables({"P": 30}, ["E"], ["a", "b"], ["raw"])
    pairs = tables["pairwise"].query("scope == 'classification'")
    ax = plots.kappa_heat_map(pairs)
    assert not ax.texts
    assert "black for" in ax.get_xlabel()


def test_figures_of__no_tables_no_figures() -> None:
    assert list(figures_of({})) == []
    assert list(figures_of({name: table.iloc[:0] for name, table in TABLES.items()})) == []


@pytest.mark.parametrize("name", sorted(TABLES))
def test_figures_of__draws_tables_of_one_row(name: str) -> None:
    for _, found in figures_of({name: TABLES[name].iloc[:1]}):
        figure_bytes(found, ".svg")


def test_plots__need_no_pyplot() -> None:
    code = (
        "import sys, pandas as pd; from crowdtruth import plots; "
        "table = pd.DataFrame({'rater': ['a'], 'cohort': 'P', 'x': 0.0, 'y': 0.0}); "
        "plots.figure_bytes(plots.rater_map(table).figure, '.svg'); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
