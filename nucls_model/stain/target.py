"""What both versions share: the thresholds, and the stains that images are normalised to."""

from dataclasses import dataclass

import numpy as np

WHITE = 255.0
"""Value of a pixel without stain; optical density is the natural logarithm of it over the pixel's value."""

MIN_DENSITY = 16 / 255 * float(np.log(WHITE))
"""Least length of a pixel's density, in the plane of the stains, for it to count as stained: HistomicsTK's 16 on its
scale of 0 to 255, which is .35 in natural logarithms."""

EXTREME = 0.01
"""Share of the stained pixels beyond each of the two stains' directions."""

STRONG = 0.99
"""Quantile of a stain's amount among the stained pixels that stands for its strongest, robustly. Among all pixels, also
those of glass, an image with little tissue would have none."""

MIN_STAINED = 100
"""Fewer stained pixels say nothing about the stains."""

MIN_ANGLE = 0.05
"""Radians between the stains, about 3°: below, there is one stain (or none) and not two."""


@dataclass(frozen=True)
class StainTarget:
    """Stains and amounts that images are normalised to."""

    stains: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # rows R, G, B; columns H, E
    strong: tuple[float, float]  # 99th percentile of the amounts of haematoxylin and eosin, natural logarithms


TARGET = StainTarget(((0.5626, 0.2159), (0.7201, 0.8012), (0.4062, 0.5581)), (1.9705, 1.0308))
"""The haematoxylin and eosin commonly taken as the target of Macenko's method (its authors' demonstration image)."""
