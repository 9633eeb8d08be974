"""Figures to files: whole or absent, and the same figure gives the same bytes."""

from io import BytesIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from crowdtruth.files import atomic_write
from crowdtruth.plots.style import RC

# What each format would say about the time and the program, taken out.
_METADATA: dict[str, dict[str, None]] = {
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
DPI = 120


def save_figure(figure: Figure, path: str | Path, *, dpi: int = DPI) -> None:
    """Write a figure as SVG, PNG or PDF, by the suffix of `path`; no date in it, so equal figures give equal bytes.

    Parameters
    ----------
    figure : of any of the functions here (``ax.figure``), or any other
    path : file ending in ``.svg``, ``.png`` or ``.pdf``; its folder must exist
    dpi : dots per inch of a PNG, and of pictures inside of the other formats

    Raises
    ------
    ValueError
        If `path` ends otherwise.
    WriteError
        If the file cannot be written.
    """
    path = Path(path)
    content = figure_bytes(figure, path.suffix, dpi=dpi)
    with atomic_write(path) as handle:
        handle.write(content)


def figure_bytes(figure: Figure, suffix: str, *, dpi: int = DPI) -> bytes:
    """A figure as the content of a file, for pages that hold their figures.

    Parameters
    ----------
    figure : any
    suffix : ``".svg"``, ``".png"`` or ``".pdf"``
    dpi : dots per inch

    Raises
    ------
    ValueError
        If the suffix is none of the three.

    Examples
    --------
    >>> figure_bytes(Figure(figsize=(1, 1)), ".png")[1:4]
    b'PNG'
    """
    if suffix not in _METADATA:
        raise ValueError(f"a figure is written to .svg, .png or .pdf, not to {suffix or 'a file without suffix'}")
    buffer, before = BytesIO(), figure.canvas
    resolution = figure.get_dpi()
    try:
        with rc_context(RC):
            figure.set_dpi(dpi)
            _print(figure, suffix, buffer)
    finally:
        figure.set_dpi(resolution)
        figure.set_canvas(before)
    return buffer.getvalue()


def _print(figure: Figure, suffix: str, buffer: BytesIO) -> None:
    """Write the figure once; ``savefig`` would draw it a second time to lay out what is laid out already."""
    metadata = _METADATA[suffix]
    if suffix == ".svg":
        FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
    elif suffix == ".png":
        FigureCanvasAgg(figure).print_png(buffer, metadata=metadata)
    else:
        FigureCanvasPdf(figure).print_pdf(buffer, metadata=metadata)
