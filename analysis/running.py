"""One call: data in, figures, tables and comparison out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from analysis.data import Data, study_data, synthetic_data
from analysis.detector import make_detector_pages, why_not
from analysis.drawing import FORMATS, make_page, words_of, write_comparison, write_index
from analysis.evaluations import Evaluations, read_evaluations
from analysis.experiments import make_experiment_pages
from analysis.page import AnyPage, DetectorPage, ExperimentPage, Page
from analysis.published import is_close
from analysis.steps import compute
from analysis.work import Asked, open_work
from crowdtruth.parallel import say, track

P = TypeVar("P", Page, DetectorPage)


@dataclass(frozen=True)
class Made:
    """What came of some pages."""

    name: str  # of their data
    words: str  # the same, and what is taken for true
    pages: Mapping[str, AnyPage]
    reasons: Mapping[str, str]  # page -> why it was not made; empty: it was
    compared: Sequence[pd.DataFrame]
    text: str = ""  # of pages that are said, not only written


def make_pages(
    pages: Sequence[AnyPage],
    asked: Asked,
    out: Path,
    *,
    study: Path | None = None,
    reference: Path | None = None,
    evaluations: Sequence[Path] = (),
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
    evaluations : folders of evaluations of detectors
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
    of_study = [page for page in pages if isinstance(page, Page)]
    of_detectors = [page for page in pages if isinstance(page, DetectorPage)]
    experiments = [page for page in pages if isinstance(page, ExperimentPage)]
    for option, given, about, they in (
        ("--evaluations", evaluations, of_detectors, "detectors"),
        ("--study", study, of_study, "raters"),
    ):
        if given and not about:
            raise ValueError(f"{option} is for pages about {they}, and none of these is: see --list")
    scored = read_evaluations(evaluations)
    made = []
    if of_study:
        data = (
            synthetic_data(asked.seed, quick=quick)
            if study is None
            else study_data(study, reference=reference, quick=quick)
        )
        made.append(_make_of_study(of_study, data, asked, out, suffix=suffix, jobs=jobs))
    if of_detectors:
        made.append(_make_of_detectors(of_detectors, scored, out, suffix))
    if experiments:
        made.append(_make_experiments(experiments, out, asked.seed, quick=quick, jobs=jobs))
    return _finish(made, out)


def _make_of_study(pages: Sequence[Page], data: Data, asked: Asked, out: Path, *, suffix: str, jobs: int) -> Made:
    """The pages of a study of raters."""
    work = open_work(data, asked, out, jobs=jobs)
    reasons = {page.name: page.why_not(work.setting) for page in pages}
    wanted = _wanted(pages, reasons)
    compute(work, [step for page in wanted for step in page.steps])
    compared = [make_page(work, page, out, suffix) for page in track(wanted, "drawing")]
    return Made(work.data.name, words_of(work), {page.name: page for page in pages}, reasons, compared)


def _make_of_detectors(pages: Sequence[DetectorPage], evaluations: Evaluations, out: Path, suffix: str) -> Made:
    """The pages of evaluations of detectors."""
    reasons = {page.name: why_not(page, evaluations) for page in pages}
    compared = make_detector_pages(_wanted(pages, reasons), evaluations, out, suffix)
    return Made(evaluations.name, evaluations.name, {page.name: page for page in pages}, reasons, compared)


def _make_experiments(pages: Sequence[ExperimentPage], out: Path, seed: int, *, quick: bool, jobs: int) -> Made:
    """The pages that train detectors of their own."""
    written = make_experiment_pages(pages, out, seed=seed, quick=quick, jobs=jobs)
    name = f"painted studies from seed {seed} on{', too few and too short to say anything' if quick else ''}"
    reasons = dict.fromkeys(written, "")
    return Made(name, name, {page.name: page for page in pages}, reasons, [], "\n\n".join(written.values()))


def _wanted(pages: Sequence[P], reasons: Mapping[str, str]) -> list[P]:
    """The pages that can be made; it is said of the others why not."""
    for page in pages:
        if reasons[page.name]:
            say(f"{page.name}: not made: {reasons[page.name]}")
    return [page for page in pages if not reasons[page.name]]


def _finish(parts: Sequence[Made], out: Path) -> str:
    """Write comparison and index; what was made, in words."""
    pages = {name: page for part in parts for name, page in part.pages.items()}
    reasons = {name: reason for part in parts for name, reason in part.reasons.items()}
    made = {name: page for name, page in pages.items() if not reasons[name]}
    skipped = {name: (page, reasons[name]) for name, page in pages.items() if reasons[name]}
    used = [part for part in parts if not all(part.reasons.values())] or list(parts)
    words = "; ".join(part.words for part in used)
    out.mkdir(parents=True, exist_ok=True)
    write_index(out, words, made, skipped)
    lines = [part.text for part in parts if part.text]
    lines += [f"{len(made)} figures and tables of {', '.join(part.name for part in used)} in {out}"]
    lines += [f"{len(skipped)} not made, see index.md"] if skipped else []
    tables = [table for part in parts for table in part.compared if len(table)]
    if tables:
        table = pd.concat(tables, ignore_index=True)
        write_comparison(table, out, words)
        lines.append(f"{int(is_close(table).sum())} of {len(table)} printed values within .05, see comparison.md")
    return "\n".join(lines)
