"""Pages that train detectors of their own: from a seed to a table, every detector kept as soon as it is done."""

from collections.abc import Sequence
from pathlib import Path

from analysis.drawing import write_text
from analysis.page import ExperimentPage
from analysis.paths import TABLES
from crowdtruth.files import write_table


def make_experiment_pages(
    pages: Sequence[ExperimentPage], out: Path, *, seed: int, quick: bool, jobs: int
) -> dict[str, str]:
    """Compute and write the pages; page -> its text.

    Parameters
    ----------
    out : folder of the pages; what they compute on the way is kept in a folder of their own below
    seed, quick, jobs : see `analysis.page.ExperimentPage`
    """
    place = out / TABLES
    written = {}
    for page in pages:
        rows = page.make(out, seed=seed, quick=quick, jobs=jobs)
        place.mkdir(parents=True, exist_ok=True)
        for name, table in rows.items():
            write_table(table, place / f"{page.name}_{name}.csv")
        written[page.name] = page.write(rows)
        write_text(place / f"{page.name}.md", f"# {page.title}\n\n{written[page.name]}\n")
    return written
