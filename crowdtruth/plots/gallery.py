"""All figures of a result folder, each with a title that says what it shows and a note of the data it shows.

The functions here pick rows and put panels side by side; what is drawn is in the files of the kinds of figures.
"""

from collections.abc import Callable, Iterator
from textwrap import fill

from matplotlib import rc_context
from matplotlib.figure import Figure

from crowdtruth.plots import gallery_agreement, gallery_quality
from crowdtruth.plots.drawing import joined
from crowdtruth.plots.gallery_rows import OVERVIEW, chosen_rows
from crowdtruth.plots.panels import Drawn, Tables
from crowdtruth.plots.style import GREY, RC, SMALL
from crowdtruth.taxonomy import Taxonomy


def figures_of(
    tables: Tables,
    taxonomy: Taxonomy | None = None,
    *,
    data: str = "",
    iou: float | None = None,
    min_detections: int = 1,
) -> Iterator[tuple[str, Figure]]:
    """Every figure for which the tables are there, one after the other.

    Where a table has several groupings of classes, most figures show the first level of the taxonomy in it. What is
    taken for what, and what is easily found, is shown under the one condition with most marks; other conditions and
    groupings are drawn by the functions of these figures.

    Parameters
    ----------
    tables : tables of a result folder by name, ``agreement``, ``pairwise``, …; other names are ignored
    taxonomy : for colours, order and grouping of classes
    data : which data these are, for the note of each figure
    iou, min_detections : clustering threshold and least number of detections of the run, for the overview of agreement;
        default: the loosest threshold, and 1

    Yields
    ------
    name, figure
        Names are different, fit for file names, and the same for the same tables.

    Raises
    ------
    ValueError
        If a table misses a column, naming both.

    Examples
    --------
    >>> import pandas as pd
    >>> spots = pd.DataFrame({"rater": ["a", "b"], "cohort": "P", "condition": "E", "grouping": "raw",
    ...                       "scope": "classification", "x": [0.1, -0.1], "y": [0.0, 0.0]})
    >>> [name for name, figure in figures_of({"rater_map": spots})]
    ['rater_map-E']
    """
    seen: set[str] = set()
    tables = chosen_rows(tables, iou=iou, min_detections=min_detections)
    for table, draw in _KINDS:
        if table not in tables or tables[table].empty:
            continue
        for drawn in draw(tables, taxonomy):
            name = _free_name(drawn.name, seen)
            seen.add(name)
            _write_around(drawn, data)
            _lay_out(drawn.figure)
            yield name, drawn.figure


def _free_name(name: str, seen: set[str]) -> str:
    """The name with a number behind it, if another figure has it (also in other case: file systems differ)."""
    taken, number, free = {other.casefold() for other in seen}, 2, name
    while free.casefold() in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _write_around(drawn: Drawn, data: str) -> None:
    """Title above and note below a figure, broken to its width."""
    width = drawn.figure.get_figwidth()
    with rc_context(RC):
        drawn.figure.suptitle(fill(drawn.title, int(width * 12)), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        note = joined([data, drawn.note])
        if note:
            drawn.figure.supxlabel(fill(note, int(width * 19)), x=0.01, ha="left", fontsize=SMALL, color=GREY)


def _lay_out(figure: Figure) -> None:
    """Give everything its place once, so that saving in two formats does not do it twice."""
    with rc_context(RC):
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
    figure.set_layout_engine("none")


_KINDS: tuple[tuple[str, Callable[[Tables, Taxonomy | None], Iterator[Drawn]]], ...] = (
    (OVERVIEW, gallery_agreement.draw_agreement),
    ("agreement", gallery_agreement.draw_sweep),
    ("pairwise", gallery_agreement.draw_pairwise),
    ("rater_map", gallery_agreement.draw_rater_map),
    ("self_agreement", gallery_agreement.draw_self_agreement),
    ("raters", gallery_quality.draw_raters),
    ("curves", gallery_quality.draw_curves),
    ("rater_confusion", gallery_quality.draw_confusion),
    ("anchor_confusion", gallery_quality.draw_anchor_confusion),
    ("ease", gallery_quality.draw_ease),
    ("segmented", gallery_quality.draw_segmented),
    ("outlines", gallery_quality.draw_outlines),
    ("redundancy", gallery_quality.draw_redundancy),
    ("plan", gallery_quality.draw_plan),
)
