"""The checks of a study's tables: each table completed to its columns, with all that is wrong in it.

Nothing raises here; every function returns what it made of a table beside its findings, so that one message can tell
them all. Rows with a finding keep a harmless value: the study is never built from them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath, PureWindowsPath
from unicodedata import normalize

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.cells import Cells
from crowdtruth.files import as_floats, as_text, missing_columns
from crowdtruth.problems import Finding, Source, in_rows, quoted
from crowdtruth.taxonomy import UNDETECTED, Taxonomy, without_prefix

CORNERS = ["xmin", "ymin", "xmax", "ymax"]
ALL = "all"
KINDS = ("box", "polygon", "click")
ANNOTATIONS = ("annotation", "fov", "rater", "condition", *CORNERS, "label", "kind", "coords_x", "coords_y")
ASSIGNMENTS = ("fov", "rater", "condition")
RATERS = ("rater", "cohort")
FOV_TEXTS = ("slide", "hospital", "image")
FOV_NUMBERS = ("width", "height", "mpp")
REFERENCE = ("fov", *CORNERS, "label", "coords_x", "coords_y")
LARGEST_COORDINATE = 1e9
SMALLEST_SIDE = 1e-9  # pixels; areas and their ratios stay exact to the last digits

_CONTROL = r"\p{Cc}"
_NUMBER_LIST = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(\s*,\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)*\s*$"


@dataclass(frozen=True)
class Checked:
    """A completed table, what is wrong in it, and what the user should know."""

    frame: pd.DataFrame
    findings: list[Finding]
    notes: list[str]


def text_column(cells: Cells, name: str, default: str | None = None) -> tuple[pd.Series, list[Finding]]:
    """A column of ids or names: text, never empty, no control characters; `default` where it is absent."""
    frame, source = cells.frame, cells.source
    if name not in frame:
        return pd.Series(default or "", index=frame.index, dtype="str", name=name), []
    text, findings = _filled_column(cells, name)
    return text, findings + control_findings(source, with_control(text), text)


def _filled_column(cells: Cells, name: str) -> tuple[pd.Series, list[Finding]]:
    """A column of texts, of which none may be empty."""
    text = as_text(cells.frame[name])
    empty = text.isna().to_numpy() | (text == "").to_numpy(dtype=bool)
    return text.fillna(""), in_rows(cells.source, empty, name, "expected a text, the cell is empty")


def with_control(texts: pd.Series) -> NDArray[np.bool_]:
    """Which texts (n,), none missing, hold control characters (C0, delete, C1), line breaks among them.

    Examples
    --------
    >>> with_control(pd.Series(["é, 'x'", "a" + chr(27)])).tolist()
    [False, True]
    """
    return _matches(texts, _CONTROL)


def control_findings(source: Source, mask: NDArray[np.bool_], column: pd.Series) -> list[Finding]:
    """A finding for the rows (n,) whose name holds control characters, which a terminal would obey."""
    reason = "expected a name without control characters or line breaks, got {!r}".format
    return in_rows(source, mask, str(column.name), lambda row: reason(str(column.iloc[row])))


def optional_text(cells: Cells, name: str) -> pd.Series:
    """A column whose cells may be empty: text, ``""`` where there is none."""
    return as_text(cells.frame[name]).fillna("") if name in cells.frame else text_column(cells, name)[0]


def ignored_columns(cells: Cells, known: Collection[str]) -> list[str]:
    """A note on the columns that are not read, if there are any."""
    unknown = [str(name) or "(without a name)" for name in cells.frame if name not in known]
    return [f"{cells.source.name}: columns not read: {quoted(unknown)}"] if unknown else []


def box_columns(cells: Cells) -> tuple[dict[str, NDArray[np.float64]], list[Finding]]:
    """The four corners, each (n,), and every one that is no number, infinite, absurd, or of a box without extent."""
    frame, source = cells.frame, cells.source
    box, findings = {}, []
    for name in CORNERS:
        box[name], wrong = as_floats(frame[name], source)
        findings += wrong
        empty = frame[name].isna().to_numpy()
        findings += in_rows(source, empty, name, "expected a number, the cell is empty")
        absurd = np.abs(box[name]) > LARGEST_COORDINATE
        findings += in_rows(source, absurd, name, _absurd_coordinate(frame[name]))
    for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
        side = box[high] - box[low]
        findings += in_rows(source, side <= 0, high, _empty_box(box, low, high))
        findings += in_rows(source, (side > 0) & (side < SMALLEST_SIDE), high, _flat_box(box, low, high))
    return box, findings


def _absurd_coordinate(column: pd.Series) -> Callable[[int], str]:
    limit = f"{LARGEST_COORDINATE:.0e}"
    return lambda row: f"expected a coordinate in pixels, at most {limit} in size, got {str(column.iloc[row])!r}"


def _empty_box(box: dict[str, NDArray[np.float64]], low: str, high: str) -> Callable[[int], str]:
    return lambda row: f"expected {low} < {high}, got {box[low][row]:.10g} and {box[high][row]:.10g}"


def _flat_box(box: dict[str, NDArray[np.float64]], low: str, high: str) -> Callable[[int], str]:
    words = f"expected {low} and {high} to be at least {SMALLEST_SIDE:.0e} pixels apart, got {{:.10g}} and {{:.10g}}"
    return lambda row: words.format(box[low][row], box[high][row])


def outline_columns(cells: Cells) -> tuple[dict[str, pd.Series], list[Finding]]:
    """coords_x and coords_y: comma lists of numbers, of one length in a row, or both empty."""
    coords = {name: optional_text(cells, name) for name in ("coords_x", "coords_y")}
    findings: list[Finding] = []
    given = {name: (column != "").to_numpy(dtype=bool) for name, column in coords.items()}
    whole = given["coords_x"] & given["coords_y"]
    half = given["coords_x"] != given["coords_y"]
    findings += in_rows(cells.source, half, "coords_x", "coords_x and coords_y belong together; one of them is empty")
    if not whole.any():
        return coords, findings
    fits = whole.copy()
    for name, column in coords.items():
        is_list = _matches(column, _NUMBER_LIST)
        findings += in_rows(cells.source, whole & ~is_list, name, "expected numbers with commas between them")
        fits &= is_list
    n_points = {name: _count_commas(column) + 1 for name, column in coords.items()}
    uneven = fits & (n_points["coords_x"] != n_points["coords_y"])
    counts = (n_points["coords_x"], n_points["coords_y"])
    reason = "coords_x has {} points, coords_y {}; expected the same number".format
    findings += in_rows(cells.source, uneven, "coords_x", lambda row: reason(counts[0][row], counts[1][row]))
    return coords, findings


def _matches(column: pd.Series, pattern: str) -> NDArray[np.bool_]:
    import pyarrow as pa
    from pyarrow import compute

    return compute.match_substring_regex(pa.array(column, pa.large_string()), pattern).to_numpy(zero_copy_only=False)


def _count_commas(column: pd.Series) -> NDArray[np.int64]:
    import pyarrow as pa
    from pyarrow import compute

    return compute.count_substring(pa.array(column, pa.large_string()), ",").to_numpy().astype(np.int64)


def label_column(
    cells: Cells, taxonomy: Taxonomy | None, normalise: bool = False
) -> tuple[pd.Series, NDArray[np.bool_], list[Finding], list[str]]:
    """Labels (n,), which rows are marks of objects (n,), findings and notes.

    A prefix that the taxonomy knows is taken off; labels of regions and dropped words are no marks.
    """
    text, findings = _filled_column(cells, "label")
    codes, found = pd.factorize(text)
    meanings = [_meaning(label, taxonomy, normalise) for label in found]
    counts = dict(zip(found, np.bincount(codes, minlength=len(found)), strict=True))
    notes = _label_notes(cells.source.name, dict(zip(found, meanings, strict=True)), counts)
    findings += _label_findings(cells.source, codes, list(found), meanings, taxonomy)
    labels = pd.Series([meaning or "" for meaning in meanings], dtype="str").reindex(codes).array
    is_mark = np.array([meaning is not None for meaning in meanings], dtype=bool)[codes]
    return pd.Series(labels, index=text.index, name="label"), is_mark, findings, notes


def _meaning(label: str, taxonomy: Taxonomy | None, normalise: bool) -> str | None:
    """What a label says in the taxonomy; None for what is no mark of an object."""
    if taxonomy is None:
        return label
    meant = taxonomy.normalise(label) if normalise else label
    meant = None if meant is None else without_prefix(meant, taxonomy.prefixes)
    return None if meant is None or taxonomy.is_region(meant) else meant


def _label_notes(name: str, meaning_of: Mapping[str, str | None], counts: Mapping[str, int]) -> list[str]:
    """What was done to labels, counted."""
    notes = []
    if changed := [label for label, meaning in meaning_of.items() if meaning not in (None, label)]:
        words = quoted([f"{label} → {meaning_of[label]}" for label in changed])
        total = sum(counts[label] for label in changed)
        notes.append(f"{name}: {total:,} labels read as a class of the taxonomy: {words}")
    if left_out := [label for label, meaning in meaning_of.items() if meaning is None]:
        total = sum(counts[label] for label in left_out)
        notes.append(f"{name}: {total:,} rows are no marks of objects and left out: {quoted(left_out)}")
    return notes


def _label_findings(
    source: Source, codes: NDArray[np.intp], found: list[str], meanings: list[str | None], taxonomy: Taxonomy | None
) -> list[Finding]:
    """Rows whose label is reserved, or not in the taxonomy; codes (n,) index the distinct labels found."""
    reserved = np.array([meaning == UNDETECTED for meaning in meanings], dtype=bool)
    words = f"{UNDETECTED!r} is reserved for raters who were asked and marked nothing; a mark needs a class"
    findings = in_rows(source, reserved[codes], "label", words)
    hidden = with_control(pd.Series([meaning or "" for meaning in meanings], dtype="str"))
    texts = pd.Series(found, dtype="str", name="label").reindex(codes)
    findings += control_findings(source, hidden[codes], texts)
    if taxonomy is None:
        return findings
    known = {*taxonomy.classes, UNDETECTED, "", None}
    outside = np.array([meaning not in known for meaning in meanings], dtype=bool)
    return findings + outside_taxonomy(source, outside[codes], lambda row: found[codes[row]], taxonomy)


def outside_taxonomy(
    source: Source, mask: NDArray[np.bool_], label_of: Callable[[int], str], taxonomy: Taxonomy
) -> list[Finding]:
    """A finding for the rows (n,) whose label is no class of the taxonomy; its classes are told once."""
    reason = f"{{!r}} is not in taxonomy {taxonomy.name!r}".format
    hint = f"taxonomy {taxonomy.name!r} has {quoted(taxonomy.classes, limit=20)}"
    return in_rows(source, mask, "label", lambda row: reason(label_of(row)), hint)


def look_alikes(names: Collection[str], what: str) -> list[str]:
    """A note on names that differ only by white space around them or by Unicode form, if there are any.

    Examples
    --------
    >>> look_alikes(["tumor", "other", "tumor "], "labels")
    ["labels that differ only by white space or Unicode form stay different: 'tumor' and 'tumor '"]
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(normalize("NFC", name.strip()), []).append(name)
    alike = [group for group in groups.values() if len(group) > 1]
    # composed and decomposed letters look the same, so they are told by their codes
    words = [" and ".join(map(repr if len({n.strip() for n in group}) == 1 else ascii, group)) for group in alike]
    more = f"; and {len(words) - 8} more" if len(words) > 8 else ""
    start = f"{what} that differ only by white space or Unicode form stay different"
    return [f"{start}: {'; '.join(words[:8])}{more}"] if words else []


def complete_annotations(cells: Cells, taxonomy: Taxonomy | None, normalise: bool) -> Checked:
    """The annotations table with all its columns."""
    findings = [*cells.findings, *missing_columns(cells.frame, cells.source, ("fov", "rater", *CORNERS, "label"))]
    if len(findings) > len(cells.findings):
        return Checked(pd.DataFrame(columns=list(ANNOTATIONS)), findings, [])
    ids, wrong_ids = _annotation_ids(cells)
    columns: dict[str, object] = {"annotation": ids}
    findings += wrong_ids
    for name, default in (("fov", None), ("rater", None), ("condition", ALL)):
        columns[name], wrong = text_column(cells, name, default)
        findings += wrong
    box, wrong_boxes = box_columns(cells)
    label, is_mark, wrong_labels, notes = label_column(cells, taxonomy, normalise)
    coords, wrong_outlines = outline_columns(cells)
    kind, wrong_kinds = _kind_column(cells, coords["coords_x"])
    columns |= {**box, "label": label, "kind": kind, **coords}
    if "created" in cells.frame:
        columns["created"] = optional_text(cells, "created")
    findings += wrong_labels + wrong_kinds
    findings += [
        finding for wrong in (wrong_boxes, wrong_outlines) for finding in _only(finding_rows=is_mark, of=wrong)
    ]
    frame = pd.DataFrame(columns, index=cells.frame.index)
    notes = ignored_columns(cells, {*ANNOTATIONS, "created"}) + notes
    return Checked(frame[is_mark] if not is_mark.all() else frame, findings, notes)


def _only(*, finding_rows: NDArray[np.bool_], of: list[Finding]) -> list[Finding]:
    """Findings restricted to some rows (n,): what is no mark need not have a box."""
    kept = []
    for finding in of:
        rows = finding.rows if finding.rows is None else finding.rows[finding_rows[finding.rows]]
        if rows is None or len(rows):
            kept.append(replace(finding, rows=rows))
    return kept


def _annotation_ids(cells: Cells) -> tuple[pd.Series, list[Finding]]:
    """Ids as given, each once; else the row number from 0."""
    if "annotation" not in cells.frame:
        return row_numbers(len(cells.frame)), []
    ids, findings = text_column(cells, "annotation")
    twice = ids.duplicated().to_numpy() & (ids != "").to_numpy(dtype=bool)
    reason = "id {!r} is that of an earlier row; every annotation needs its own".format
    return ids, findings + in_rows(cells.source, twice, "annotation", lambda row: reason(ids.iloc[row]))


def row_numbers(n_rows: int) -> pd.Series:
    """Row numbers from 0, as text.

    Examples
    --------
    >>> row_numbers(2).tolist()
    ['0', '1']
    """
    import pyarrow as pa
    from pyarrow import compute

    return pd.Series(compute.cast(pa.array(np.arange(n_rows)), pa.large_string()).to_pandas(), dtype="str")


def _kind_column(cells: Cells, coords_x: pd.Series) -> tuple[pd.Series, list[Finding]]:
    """Kind of each mark: as given; else polygon where there is an outline, box where not."""
    if "kind" not in cells.frame:
        kinds = np.where((coords_x != "").to_numpy(dtype=bool), "polygon", "box")
        return pd.Series(kinds, index=coords_x.index, dtype="str"), []
    kind, findings = text_column(cells, "kind")
    wrong = ~kind.isin(KINDS).to_numpy() & (kind != "").to_numpy(dtype=bool)
    reason = f"expected one of {quoted(KINDS)}, got {{!r}}".format
    return kind, findings + in_rows(cells.source, wrong, "kind", lambda row: reason(kind.iloc[row]))


def complete_texts(cells: Cells, columns: Sequence[str], defaults: dict[str, str]) -> Checked:
    """A table of text columns only (assignments, raters), as its columns stand; `defaults` for absent ones."""
    required = [name for name in columns if name not in defaults]
    findings = [*cells.findings, *missing_columns(cells.frame, cells.source, required)]
    texts = {}
    for name in columns:
        texts[name], wrong = text_column(cells, name, defaults.get(name))
        findings += wrong
    return Checked(pd.DataFrame(texts, index=cells.frame.index), findings, ignored_columns(cells, columns))


def complete_fovs(cells: Cells) -> Checked:
    """The FOV table: each FOV once, sizes positive, image paths within the study's folder."""
    checked = complete_texts(cells, ("fov",), {})
    columns, findings = {"fov": checked.frame["fov"]}, checked.findings
    findings += each_once(checked.frame["fov"], cells.source, "fov")
    for name in ("slide", "hospital", *FOV_NUMBERS, "image"):
        if name not in cells.frame:
            continue
        if name in FOV_NUMBERS:
            values, wrong = as_floats(cells.frame[name], cells.source)
            findings += wrong + in_rows(cells.source, values <= 0, name, "expected a number above 0")
            columns[name] = pd.Series(values, index=cells.frame.index)
        else:
            columns[name] = optional_text(cells, name)
    if "image" in columns:
        outside = ~columns["image"].map(_stays_inside).to_numpy(dtype=bool)
        findings += in_rows(
            cells.source, outside, "image", "expected a path inside the study's folder, this one leads out"
        )
    notes = ignored_columns(cells, {"fov", *FOV_TEXTS, *FOV_NUMBERS})
    return Checked(pd.DataFrame(columns), findings, notes)


def _stays_inside(name: str) -> bool:
    """Whether a relative path has no way up."""
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    return ".." not in parts and not PurePosixPath(name).is_absolute() and not PureWindowsPath(name).anchor


def each_once(column: pd.Series, source: Source, name: str) -> list[Finding]:
    """Rows whose value stands in an earlier row already."""
    twice = column.duplicated().to_numpy() & (column != "").to_numpy(dtype=bool)
    return in_rows(source, twice, name, lambda row: f"{column.iloc[row]!r} stands in an earlier row already")


def complete_reference(cells: Cells, taxonomy: Taxonomy | None, normalise: bool) -> Checked:
    """The reference table: boxes with labels, from outside the study."""
    findings = [*cells.findings, *missing_columns(cells.frame, cells.source, ("fov", *CORNERS, "label"))]
    if len(findings) > len(cells.findings):
        return Checked(pd.DataFrame(columns=list(REFERENCE)), findings, [])
    fov, wrong_fovs = text_column(cells, "fov")
    box, wrong_boxes = box_columns(cells)
    label, is_mark, wrong_labels, notes = label_column(cells, taxonomy, normalise)
    coords, wrong_outlines = outline_columns(cells)
    findings += wrong_fovs + wrong_boxes + wrong_labels + wrong_outlines
    frame = pd.DataFrame({"fov": fov, **box, "label": label, **coords}, index=cells.frame.index)
    return Checked(frame[is_mark].reset_index(drop=True), findings, ignored_columns(cells, REFERENCE) + notes)
