"""Figures of all tables, and the report that holds them."""

import warnings
from pathlib import Path

from crowdtruth.formats.taxonomy_file import read_taxonomy_file
from crowdtruth.parallel import track
from crowdtruth.results import Product
from crowdtruth.steps.run import Run, Tables

FIGURES = "figures"
FIGURE_TABLES = (
    *("agreement", "pairwise", "self_agreement", "rater_map", "raters", "accuracy", "curves", "rater_confusion"),
    *("anchor_confusion", "ease", "segmented", "outlines", "redundancy", "plan"),
)


def draw(run: Run) -> Tables:
    """Every figure there is data for, as SVG and PNG."""
    if not run.options.report:
        return {}
    from crowdtruth.plots import figure_bytes, figures_of

    results = run.results
    tables = {name: results.table(name) for name in FIGURE_TABLES if results.has(name)}
    options = run.options
    data = Path(results.record["study"]).name
    drawn = figures_of(
        tables, read_taxonomy_file(results.path), data=data, iou=options.iou, min_detections=options.min_detections
    )
    files: dict[str, Product] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters the font lacks, in names of raters and classes
        for name, figure in track(drawn, "figures"):
            files |= {f"{FIGURES}/{name}{suffix}": figure_bytes(figure, suffix) for suffix in (".svg", ".png")}
    return files


def report(run: Run) -> Tables:
    """The page: report.html, with the figures that `draw` made."""
    if not run.options.report:
        return {}
    from crowdtruth.report import render_report

    results = run.results
    drawn = results.record["steps"]["draw"]["files"]
    figures = {
        Path(name).stem: (results.path / name).read_text(encoding="utf-8") for name in drawn if name.endswith(".svg")
    }
    study = run.study if run.source.exists() else None
    return {"report.html": render_report(results, study=study, figures=figures)}
