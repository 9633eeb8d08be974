"""From computed tables to files: figures with their rows, printed values beside ours, and the index."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.page import AnyPage, Page, Rows
from analysis.paths import COMPARISON, FIGURES, INDEX, PUBLISHED_BESIDE, TABLES
from analysis.published import as_markdown, beside
from analysis.style import entitle
from analysis.work import Work
from crowdtruth.files import atomic_write, write_table
from crowdtruth.plots.saving import save_figure

FORMATS = (".png", ".svg", ".pdf")


def make_page(work: Work, page: Page, out: Path, suffix: str = ".png") -> pd.DataFrame:
    """Write a page: its figure or table, the rows it shows, and the paper's values beside ours, which are returned."""
    rows = page.pick({name: work.table(name) for name in page.tables}, work.setting)
    figure = None if page.draw is None else page.draw(rows, work.setting)
    compared = beside(page.name, page.ours(rows, work.setting) if work.setting.is_paper else {})
    compared = compared if work.setting.is_paper else compared[:0]
    return write_page(page, rows, figure, compared, out=out, words=words_of(work), suffix=suffix)


def write_page(
    page: AnyPage, rows: Rows, figure: Figure | None, compared: pd.DataFrame, *, out: Path, words: str, suffix: str
) -> pd.DataFrame:
    """Write a figure (None: a table to read), its rows, and what is compared with the paper, which is returned.

    Parameters
    ----------
    page : its name and title
    rows : table by name
    compared : the columns of `analysis.published.COLUMNS`
    words : which data
    """
    folder = out / (TABLES if figure is None else FIGURES)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in rows.items():
        write_table(table, folder / f"{page.name}_{name}.csv")
    if figure is None:
        write_text(folder / f"{page.name}.md", _table_page(page.title, rows, words))
    else:
        entitle(figure, f"{_number(page.name)}. {page.title}", words)
        save_figure(figure, folder / f"{page.name}{suffix}")
    if len(compared):
        place = out / PUBLISHED_BESIDE
        place.mkdir(exist_ok=True)
        write_table(compared, place / f"published_{page.name}.csv")
    return compared


def write_comparison(compared: pd.DataFrame, out: Path, data: str) -> None:
    """All printed values beside ours, as a table and to read."""
    write_table(compared, out / PUBLISHED_BESIDE / "comparison.csv")
    write_text(out / COMPARISON, as_markdown(compared, data))


def write_index(out: Path, data: str, made: Mapping[str, AnyPage], skipped: Mapping[str, tuple[AnyPage, str]]) -> None:
    """What was made of which data, and what was not, and why."""
    lines = [f"# Figures and tables of: {data}", "", "| page | what it shows | file |", "|---|---|---|"]
    for name, page in made.items():
        folder = TABLES if page.draw is None else FIGURES
        lines.append(f"| {name} | {page.title} | {folder}/{name} |")
    if skipped:
        lines += ["", "Not made:", "", "| page | what it would show | why not |", "|---|---|---|"]
        lines += [f"| {name} | {page.title} | {reason} |" for name, (page, reason) in skipped.items()]
    write_text(out / INDEX, "\n".join([*lines, ""]))


def words_of(work: Work) -> str:
    """Which data, and what is taken for true."""
    return f"{work.data.name} · true is: {work.setting.truth}"


def write_text(path: Path, text: str) -> None:
    """A file of text, whole or not at all."""
    with atomic_write(path) as handle:
        handle.write(text.encode())


def _number(name: str) -> str:
    """``fig3a`` as it stands over a page: Figure 3a."""
    return name.replace("fig", "Figure ") if name.startswith("fig") else name


def _table_page(title: str, rows: Rows, data: str) -> str:
    """The tables of a page in Markdown."""
    lines = [f"# {title}", "", f"Data: {data}."]
    for table in rows.values():
        lines += [""]
        lines += ["| " + " | ".join(table.columns) + " |", "|---" * len(table.columns) + "|"]
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join([*lines, ""])


def _cell(value: object) -> str:
    """A cell: numbers to four digits."""
    if isinstance(value, float):
        return "" if isnan(value) else f"{value:.4g}"
    return str(value)
