"""The page: every section in order, one style sheet and one script, and a policy that lets nothing out."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crowdtruth.files import atomic_write
from crowdtruth.report.agreement import agreement
from crowdtruth.report.hardest import hardest
from crowdtruth.report.inputs import Inputs, Section
from crowdtruth.report.method import method
from crowdtruth.report.overview import overview
from crowdtruth.report.ranking import RANKED
from crowdtruth.report.raters import raters
from crowdtruth.report.redundancy import redundancy
from crowdtruth.report.suggestions import suggestions
from crowdtruth.report.words import number
from crowdtruth.results import ResultFolder
from crowdtruth.study import Study

_HERE = Path(__file__).parent
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "\ufffd")


def write_report(
    results: ResultFolder,
    path: str | Path,
    *,
    study: Study | None = None,
    figures: Mapping[str, str] | None = None,
    n_hardest: int = RANKED,
) -> None:
    """Write `render_report` to a file, whole or not at all.

    Raises
    ------
    WriteError
        If the file cannot be written.
    ValueError
        As `render_report`.
    """
    page = render_report(results, study=study, figures=figures, n_hardest=n_hardest)
    with atomic_write(path, text=True) as handle:
        handle.write(page)


def render_report(
    results: ResultFolder,
    *,
    study: Study | None = None,
    figures: Mapping[str, str] | None = None,
    n_hardest: int = RANKED,
) -> str:
    """A study and its results as one HTML page that asks the network for nothing.

    Parameters
    ----------
    results : tables and record of a run; a section whose tables are missing says so
    study : for the raters' boxes, the times of marks and the images; None leaves them out, and the page says so
    figures : name -> SVG text; the name decides the section (`crowdtruth.report.figures`)
    n_hardest : anchors in the review queue, at most

    Returns
    -------
    HTML; the same inputs give the same text

    Raises
    ------
    ValueError
        If `n_hardest` is below 1, or the file that classes were grouped by is gone.
    """
    if n_hardest < 1:
        raise ValueError(f"n_hardest must be at least 1, got {n_hardest}")
    inputs = Inputs(results, study, dict(figures or {}))
    sections: Sequence[Section] = [
        overview(inputs),
        agreement(inputs),
        raters(inputs),
        suggestions(inputs),
        redundancy(inputs),
        hardest(inputs, n_hardest),
        method(inputs),
    ]
    return _render(inputs, sections)


def _render(inputs: Inputs, sections: Sequence[Section]) -> str:
    """The template filled in."""
    from markupsafe import Markup

    style = _asset("report.css") + _class_colors(inputs)
    script = _asset("report.js")
    environment = _environment()
    return environment.get_template("report.html").render(
        title=_title(inputs),
        sections=sections,
        style=Markup(style),  # our own file, and colours made of hexadecimal digits
        script=Markup(script),
        policy=_policy(style, script),
    )


def _environment() -> Any:
    """Jinja2 with everything escaped, and an error for every name that is not there."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_readable,
    )
    environment.filters["number"] = number
    return environment


def _readable(value: Any) -> Any:
    """Text without control characters, which HTML does not allow; counts with thousands set apart."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return value.translate(_CONTROLS)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value


def _asset(name: str) -> str:
    return (_HERE / "assets" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A content security policy: this style, this script, images inside of the page, and nothing else."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _class_colors(inputs: Inputs) -> str:
    """The colours of the classes as rules ``.class-0 { … }``, in the order of `Inputs.classes`."""
    if not inputs.has("truth"):
        return ""
    colors = inputs.colors(inputs.classes).values()
    return "".join(f".class-{place}{{--class:{color}}}\n" for place, color in enumerate(colors))


def _title(inputs: Inputs) -> str:
    """The name of the study's folder or file."""
    place = inputs.results.record.get("study")
    return Path(place).name if isinstance(place, str) and place else "a study"
