"""How figures look: sizes, fonts, colours, markers and line styles, in one place.

Colour never stands alone: what it tells apart, a marker, a line style or a place tells apart too, so that a figure
printed in grey says the same.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import Stroke

from crowdtruth.taxonomy import AMBIGUOUS, UNDETECTED, Taxonomy

PANEL = (5.6, 4.0)  # inches: one panel with room for a legend
SQUARE = (5.0, 4.4)
WIDE = (8.4, 4.0)
ROW = 0.24  # inches of one row of a forest or of labels below each other
MAX_HEIGHT = 30.0
TICKS = 8.0  # points
SMALL = 7.0  # points: text inside of panels
TINY = 5.0
GREY = "#6b6b6b"
PALE = "#e6e6e6"
SEQUENTIAL = "YlOrRd"  # lightness falls all along, so it reads in grey

RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.title_fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.usetex": False,
    "text.parse_math": False,  # a name with $ is a name
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "crowdtruth",
    "pdf.fonttype": 42,
    "path.simplify": True,
}

# Okabe and Ito's eight colours, told apart by colour-blind readers; yellow last, since it is faint on white.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "h", "d")
LINES: tuple[Any, ...] = (
    "-", "--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 1, 2)),
)  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """How one cohort, class or condition is drawn."""

    color: str
    marker: str
    line: Any = "-"

    @property
    def is_light(self) -> bool:
        """Whether the colour is too light to be seen on white without an edge."""
        red, green, blue = to_rgb(self.color)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.6

    @property
    def edge(self) -> str:
        """A colour for edges: the colour itself, or a darker one where that is too light."""
        return to_hex([part * 0.5 for part in to_rgb(self.color)]) if self.is_light else self.color

    @property
    def effects(self) -> list[Any]:
        """A thin darker edge along lines of a light colour."""
        return [Stroke(linewidth=2.4, foreground=self.edge), Stroke()] if self.is_light else []


# The paper's (Figures 3, 4): non-pathologists, junior, senior and all pathologists.
COHORTS = {
    "NP": Look("#BB1AC7", "o", "-"),
    "JP": Look("#4f228a", "s", "--"),
    "SP": Look("#17cbd1", "^", "-."),
    "P": Look("#17cbd1", "^", "-."),
}
CONDITIONS: dict[str, Any] = {"U": ":", "U-control": ":", "B": "--", "B-control": "--", "E": "-"}
SPECIAL = {
    "micro": Look("#000000", "o", "-"),
    "macro": Look("#777777", "s", "--"),
    UNDETECTED: Look("#b4b4b4", "x", ":"),
    AMBIGUOUS: Look("#505050", "X", (0, (1, 2))),
    "": Look("#333333", "o", "-"),
}


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """The function, run with the style above; the caller's rcParams are as before afterwards."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with rc_context(RC):
            return draw(*args, **kwargs)

    return drawn


def axes(ax: Axes | None, size: tuple[float, float] = PANEL) -> Axes:
    """The axes given, or those of a new figure of this size (inches), which pyplot does not know of."""
    if ax is None:
        width, height = size
        ax = Figure(figsize=(width, min(height, MAX_HEIGHT)), dpi=120, layout="constrained").subplots()
    ax.tick_params(labelsize=TICKS)  # ticks come to be when drawn, when the style is no longer in force
    return ax


def cohort_looks(names: Iterable[str]) -> dict[str, Look]:
    """Colour, marker and line of each cohort: the paper's for its cohorts, else from a palette, in the order given.

    Examples
    --------
    >>> looks = cohort_looks(["NP", "students"])
    >>> looks["NP"].color, looks["students"].color
    ('#BB1AC7', '#0072B2')
    """
    return _looks(names, COHORTS)


def condition_looks(names: Iterable[str]) -> dict[str, Look]:
    """Colour, marker and line of each condition; dotted, dashed and solid for the paper's U, B and E."""
    looks = _looks(names, {})
    free = iter([line for line in LINES if line not in [CONDITIONS[name] for name in looks if name in CONDITIONS]])
    return {name: replace(look, line=CONDITIONS.get(name) or next(free, "-")) for name, look in looks.items()}


def class_looks(names: Iterable[str], taxonomy: Taxonomy | None = None, level: str = "raw") -> dict[str, Look]:
    """Colour, marker and line of each class: the taxonomy's colours where it has them, else from a palette.

    Parameters
    ----------
    names : classes; also ``micro``, ``macro``, ``undetected``, and the empty text for all classes together
    taxonomy, level : whose colours; a level the taxonomy does not have gives none

    Examples
    --------
    >>> from crowdtruth.taxonomy import load_taxonomy
    >>> class_looks(["sTIL", "micro"], load_taxonomy("nucls"), "super")["sTIL"].color
    '#0000ff'
    """
    known: dict[str, Look] = {}
    if taxonomy is not None and level in ("raw", *taxonomy.levels):
        grouping = taxonomy.grouping(level)
        for place, name in enumerate(grouping.classes):
            if name in grouping.colors:
                color = to_hex([part / 255 for part in grouping.colors[name]])
                known[name] = Look(color, MARKERS[place % len(MARKERS)], LINES[place % len(LINES)])
    return _looks(names, SPECIAL | known)


def _looks(names: Iterable[str], known: dict[str, Look]) -> dict[str, Look]:
    """Known looks, and for the other names the next ones of the palette that no known name has taken."""
    names = list(dict.fromkeys(str(name) for name in names))
    taken = [known[name] for name in names if name in known]
    colors = _free(OKABE_ITO, [look.color for look in taken])
    markers = _free(MARKERS, [look.marker for look in taken])
    others = [name for name in names if name not in known]
    found = {
        name: Look(colors[n % len(colors)], markers[n % len(markers)], LINES[(n + n // len(colors)) % len(LINES)])
        for n, name in enumerate(others)
    }
    return {name: known[name] if name in known else found[name] for name in names}


def _free(values: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The values that are not taken; all of them if none is left."""
    return [value for value in values if value not in taken] or list(values)


def short_names(names: Iterable[str], limit: int = 22) -> dict[str, str]:
    """Each name in at most `limit` letters or a few more; different names stay different.

    The middle is left out; if that makes names the same, the end, the start, or what all have in common.

    Examples
    --------
    >>> list(short_names(["rater.1", "a-very-long-name-of-a-rater@hospital.org"]).values())
    ['rater.1', 'a-very-long…spital.org']
    >>> list(short_names([f"rater {n} of the department of pathology" for n in (1, 2)]).values())
    ['rater 1 of … pathology', 'rater 2 of … pathology']
    """
    unique = list(dict.fromkeys(str(name) for name in names))
    start, end = _common_start(unique), len(_common_start([name[::-1] for name in unique]))
    own = [name[len(start) : max(len(name) - end, len(start))] for name in unique]
    ways = (
        [_without_middle(name, limit) for name in unique],
        [name if len(name) <= limit else f"{name[:limit]}…" for name in unique],
        [name if len(name) <= limit else f"…{name[-limit:]}" for name in unique],
        [_without_middle(f"…{part}…", limit) for part in own],
    )
    found = next((way for way in ways if len(set(way)) == len(unique)), None)
    if found is None:
        found = [f"{name} ({number})" for number, name in enumerate(ways[0], start=1)]
    return dict(zip(unique, found, strict=True))


def _common_start(names: Sequence[str]) -> str:
    """The letters that all names begin with."""
    first, last = (min(names), max(names)) if names else ("", "")
    same = next((n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[: min(len(first), len(last)) if same is None else same]


def _without_middle(name: str, limit: int) -> str:
    """The start and the end of a name, together of `limit` letters."""
    head = (limit + 1) // 2
    return name if len(name) <= limit else f"{name[:head]}…{name[len(name) - (limit - head - 1) :]}"


def wrapped(name: str, width: int = 18, lines: int = 3) -> str:
    r"""A name over several lines, broken at spaces, long words after _ and -; what is longer ends in an ellipsis.

    Examples
    --------
    >>> wrapped("vascular_endothelium_of_vessels")
    'vascular_\nendothelium_of_\nvessels'
    """
    packed = [""]
    for word in re.split(r"(?<=\s)", name):
        for part in re.split(r"(?<=[_-])", word) if len(word) > width else [word]:
            if packed[-1] and len((packed[-1] + part).rstrip()) > width:
                packed.append("")
            packed[-1] += part
    short = [line if len(line) <= width + 4 else f"{line[: width + 3]}…" for line in map(str.rstrip, packed)]
    return "\n".join(short if len(short) <= lines else [*short[: lines - 1], f"{short[lines - 1][:width]}…"])
