"""The statistical tests of the paper's table, and the difference of AUROCs between conditions by paired bootstrap."""

from analysis.work import Tables, Work
from crowdtruth.comparisons import comparisons_table


def compare(work: Work) -> Tables:
    """Rank tests on kappas of pairs, self-agreement, clicks and outlines, where the study has them."""
    pairs = work.table("pairwise")
    tables = {"pairwise": pairs[pairs["condition"] == work.setting.condition]}
    tables |= {name: work.table(name) for name in ("self_agreement", "outlines") if work.results.has(name)}
    return {"comparisons": comparisons_table(tables)}
