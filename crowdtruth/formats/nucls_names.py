"""What the names of NuCLS files, FOVs and raters say: rater, dataset, slide, hospital, kind of mark."""

import re
from dataclasses import dataclass

import pandas as pd

from crowdtruth.checks import ALL

MPP = 0.2  # micrometres per pixel of all published FOV images and coordinates
SINGLE_RATER = "single_rater"
UNBIASED = "U-control"  # the dataset whose raters saw no suggestions

_SEPARATOR = "_#_"
_SLIDE = re.compile(r"TCGA-([A-Z0-9]+)-[A-Z0-9]+-[A-Z0-9]+")
_ALIAS = re.compile(r"(SP|JP|NP)\.\d+")
_ITEM_ID = re.compile(r"_id-[0-9a-f]{24}")


@dataclass(frozen=True)
class FovName:
    """The parts of a file stem or FOV name."""

    fov: str
    rater: str
    condition: str
    slide: str
    hospital: str


def parse_fov_name(stem: str) -> FovName:
    """The parts of ``[rater_#_dataset_#_]slide_id-…_left-…``; without the prefix it is the single-rater dataset.

    With the prefix, the id (that of one rater's copy of the slide) is no part of the FOV's name, so that raters meet.

    Examples
    --------
    >>> parse_fov_name("SP.3_#_U-control_#_TCGA-A2-A0CM-DX1_left-1_top-2_bottom-3_right-4")
    FovName(fov='TCGA-A2-A0CM-DX1_left-1_top-2_bottom-3_right-4', rater='SP.3', condition='U-control',
            slide='TCGA-A2-A0CM-DX1', hospital='A2')
    """
    parts = stem.split(_SEPARATOR)
    slide = _SLIDE.search(stem)
    names = (slide.group(), slide.group(1)) if slide else ("", "")
    if len(parts) == 3 and all(parts):
        return FovName(_ITEM_ID.sub("", parts[2]), parts[0], parts[1], *names)
    return FovName(stem, SINGLE_RATER, ALL, *names)


def cohort_of(rater: str) -> str:
    """The cohort that a rater's alias names.

    Examples
    --------
    >>> cohort_of("NP.12"), cohort_of("single_rater")
    ('NP', 'all')
    """
    alias = _ALIAS.fullmatch(rater)
    return alias.group(1) if alias else ALL


def is_alias(column: str) -> bool:
    """Whether a column is that of a rater: SP.1, JP.2, NP.3.

    Examples
    --------
    >>> is_alias("NP.1"), is_alias("n_matches_NPs")
    (True, False)
    """
    return _ALIAS.fullmatch(column) is not None


def raters_table(raters: pd.Series) -> pd.DataFrame:
    """Raters and the cohorts of their aliases."""
    names = sorted(raters.unique())
    return pd.DataFrame({"rater": names, "cohort": [cohort_of(name) for name in names]}, dtype="str")


def kinds_of(types: pd.Series, conditions: pd.Series) -> pd.Series:
    """Kind of each mark (n,) from its NuCLS type and dataset.

    A rectangle is a box. A polyline is a traced polygon where raters saw no suggestions, else an accepted suggestion:
    a click. Other types stay as they are, and are refused by the study's checks.
    """
    kinds = types.map({"rectangle": "box", "polyline": "click"}).fillna(types).astype("str")
    return kinds.mask((types == "polyline") & (conditions == UNBIASED), "polygon")
