"""What nuclei of each class look like, and what else lies about that is no nucleus.

Lengths are pixels of 0.2 µm, amounts of stain are units of optical density (natural logarithm).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from crowdtruth.problems import quoted

Bed = Literal["stroma", "nest", "loose"]  # the tissue a nucleus lies in: fibres, cell beside cell, or little of either


@dataclass(frozen=True)
class Look:
    """The appearance of one class."""

    # Size and shape
    side: float  # median of the square root of box width × height
    spread: float  # standard deviation of its logarithm
    aspect: float = 0.12  # standard deviation of log(width / height) of the box
    slant: float = 0.0  # how much of a slanting spindle fills the box: 0 an upright ellipse, towards 1 a thread
    wobble: float = 0.05  # relative departure from an ellipse
    # Stain within the nucleus
    hematoxylin: float = 1.5  # mean amount
    eosin: float = 0.45
    # Texture, relative to the mean
    grain: float = 0.15  # standard deviation of the chromatin
    grain_length: Literal["fine", "coarse"] = "fine"
    rim: float = 0.0  # chromatin at the membrane
    nucleoli: float = 0.0  # mean number
    spokes: float = 0.0  # clock-face chromatin
    lobes: int = 1
    # Around the nucleus
    bed: Bed = "stroma"
    halo: float = 0.0  # pixels of pale ring
    body: tuple[float, float] = (0.0, 0.0)  # hematoxylin and eosin of a cell body of its own
    reach: float = 0.0  # pixels the body extends beyond the nucleus
    defocus: float = 0.0  # standard deviation of its own blur


LOOKS = MappingProxyType({
    "tumor": Look(
        50, 0.12, 0.14, hematoxylin=1.15, grain=0.34, grain_length="coarse", rim=1.0, nucleoli=1.6, bed="nest",
        wobble=0.04,
    ),
    "mitotic_figure": Look(
        36, 0.12, 0.35, hematoxylin=2.9, grain=0.25, grain_length="coarse", bed="nest", halo=7, wobble=0.16,
        eosin=0.5,
    ),
    "fibroblast": Look(42, 0.12, 0.28, slant=0.86, hematoxylin=1.6, grain=0.14, rim=0.25, wobble=0.03),
    "vascular_endothelium": Look(
        38, 0.12, 0.45, slant=0.75, hematoxylin=2.0, grain=0.12, wobble=0.06, body=(0.1, 0.55), reach=4,
    ),
    "macrophage": Look(
        36, 0.12, 0.2, hematoxylin=1.0, grain=0.2, rim=0.45, nucleoli=0.5, bed="loose", wobble=0.16,
        body=(0.2, 0.4), reach=11,
    ),
    "lymphocyte": Look(27, 0.07, 0.08, hematoxylin=2.5, grain=0.16, grain_length="coarse", bed="loose", halo=2),
    "plasma_cell": Look(
        28, 0.08, 0.1, hematoxylin=2.0, spokes=0.35, rim=0.3, bed="loose", body=(0.62, 0.7), reach=9,
    ),
    "neutrophil": Look(28, 0.1, 0.15, hematoxylin=2.6, lobes=3, bed="loose", body=(0.02, 0.35), reach=5),
    "eosinophil": Look(28, 0.1, 0.25, hematoxylin=2.3, lobes=2, bed="loose", body=(0.0, 1.25), reach=6),
    "myoepithelium": Look(32, 0.12, 0.3, slant=0.4, hematoxylin=1.7, grain=0.1, bed="nest", halo=7),
    "ductal_epithelium": Look(35, 0.1, 0.22, hematoxylin=1.5, grain=0.16, rim=0.35, nucleoli=0.4, bed="nest"),
    "apoptotic_body": Look(
        28, 0.12, 0.12, hematoxylin=3.0, grain=0.05, bed="nest", halo=3, body=(0.0, 1.1), reach=6,
    ),
    "unlabeled": Look(31, 0.15, 0.25, hematoxylin=1.2, grain=0.12, defocus=2.6, wobble=0.1),
})  # fmt: skip
"""Every raw class of the NuCLS scheme."""

DEBRIS = MappingProxyType({
    "smudge": Look(24, 0.2, 0.3, hematoxylin=0.75, eosin=0.6, grain=0.45, grain_length="coarse", defocus=2.8,
                   wobble=0.25),
    "fragments": Look(22, 0.2, 0.3, hematoxylin=1.5, eosin=0.8, grain=0.3, lobes=4, wobble=0.3, defocus=1.0),
    "red_cell": Look(26, 0.08, 0.15, hematoxylin=0.02, eosin=1.25, grain=0.1, rim=0.35),
})  # fmt: skip
"""What is no nucleus but may be marked as one."""


def look_of(name: str) -> Look:
    """The look of a class or a kind of debris."""
    return LOOKS[name] if name in LOOKS else DEBRIS[name]


def check_classes(names: Iterable[str]) -> None:
    """Refuse classes that nobody has said the look of.

    Raises
    ------
    ValueError
        Naming them, and those that can be painted.
    """
    if unknown := [name for name in names if name not in LOOKS]:
        raise ValueError(f"no look is known for {quoted(unknown)}; classes that can be painted: {quoted(LOOKS, 20)}")
