"""From evaluations of detectors to files: the pages that are not made from a study of raters."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.drawing import write_page
from analysis.evaluations import WITHOUT, Evaluations
from analysis.page import DetectorPage
from analysis.published import COLUMNS


def why_not(page: DetectorPage, evaluations: Evaluations) -> str:
    """Why a page cannot be made; empty: it can."""
    return page.why_not(evaluations) if len(evaluations.metrics) else WITHOUT


def make_detector_pages(
    pages: Sequence[DetectorPage], evaluations: Evaluations, out: Path, suffix: str
) -> list[pd.DataFrame]:
    """Write the pages, and give what each compares with the paper."""
    compared = []
    for page in pages:
        rows = page.pick(evaluations)
        figure = None if page.draw is None else page.draw(rows)
        pairs = page.pairs(rows)
        beside = pairs.assign(page=page.name, difference=pairs["ours"] - pairs["published"])[[*COLUMNS]]
        compared.append(write_page(page, rows, figure, beside, out=out, words=evaluations.name, suffix=suffix))
    return compared
