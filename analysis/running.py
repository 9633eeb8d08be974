"""One call: data in, figures, tables and comparison out."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.data import study_data, synthetic_data
from analysis.drawing import FORMATS, make_page, words_of, write_comparison, write_index
from analysis.page import Page
from analysis.published import is_close
from analysis.steps import compute
from analysis.work import Asked, Work, open_work
from crowdtruth.parallel import say, track


def make_pages(
    pages: Sequence[Page],
    asked: Asked,
    out: Path,
    *,
    study: Path | None = None,
    reference: Path | None = None,
    quick: bool = False,
    suffix: str = ".png",
    jobs: int = 1,
) -> str:
    """Make the pages, and say in a few lines what came of it.

    Parameters
    ----------
    pages : in the order they are made
    asked : of the data
    out : folder; created, or continued
    study : where the study is; None: the synthetic one
    reference : a table of true boxes, in place of the study's own
    quick : few FOVs
    suffix : ``.png``, ``.svg`` or ``.pdf``
    jobs : workers; changes no result

    Raises
    ------
    ValueError
        If the data or an option is wrong; each message says what.
    """
    if suffix not in FORMATS:
        raise ValueError(f"--format {suffix[1:]}: a figure is written as {', '.join(f[1:] for f in FORMATS)}")
    if study is None and reference is not None:
        raise ValueError(
            "--reference with a file is for a --study; the synthetic one knows its truth: --reference cohort:P"
        )
    data = (
        synthetic_data(asked.seed, quick=quick)
        if study is None
        else study_data(study, reference=reference, quick=quick)
    )
    work = open_work(data, asked, out, jobs=jobs)
    reasons = {page.name: page.why_not(work.setting) for page in pages}
    wanted = [page for page in pages if not reasons[page.name]]
    for page in pages:
        if reasons[page.name]:
            say(f"{page.name}: not made: {reasons[page.name]}")
    compute(work, [step for page in wanted for step in page.steps])
    compared = [make_page(work, page, out, suffix) for page in track(wanted, "drawing")]
    return _finish(work, pages, reasons, out, compared)


def _finish(work: Work, pages: Sequence[Page], reasons: dict[str, str], out: Path, compared: list[pd.DataFrame]) -> str:
    """Write comparison and index; what was made, in words."""
    made = {page.name: page for page in pages if not reasons[page.name]}
    skipped = {page.name: (page, reasons[page.name]) for page in pages if reasons[page.name]}
    write_index(out, words_of(work), made, skipped)
    lines = [f"{len(made)} figures and tables of {work.data.name} in {out}"]
    lines += [f"{len(skipped)} not made, see index.md"] if skipped else []
    tables = [table for table in compared if len(table)]
    if tables:
        table = pd.concat(tables, ignore_index=True)
        write_comparison(table, out, words_of(work))
        lines.append(f"{int(is_close(table).sum())} of {len(table)} printed values within .05, see comparison.md")
    return "\n".join(lines)
