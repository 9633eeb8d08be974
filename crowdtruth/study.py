"""The tables of a study (docs/data_model.md), completed and checked once; selections by condition, cohort and FOV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crowdtruth.cells import Cells
from crowdtruth.checks import (
    ALL,
    ANNOTATIONS,
    ASSIGNMENTS,
    RATERS,
    Checked,
    complete_annotations,
    complete_fovs,
    complete_reference,
    complete_texts,
    each_once,
    look_alikes,
)
from crowdtruth.located import complete_located
from crowdtruth.problems import Finding, Source, StudyError, in_rows, memory_source, quoted, raise_findings
from crowdtruth.taxonomy import Taxonomy

ASKED_FROM_MARKS = (
    "no assignments: whoever marked something in a FOV counts as asked there. "
    "Raters who looked and found nothing cannot be seen; detection rates come out too high"
)


@dataclass(frozen=True)
class Study:
    """Many raters' marks in fields of view (FOVs), or their ratings of objects that are located already.

    Made by `make_study` and `read_study`, which check the tables; nothing checks them here.

    Examples
    --------
    >>> study = make_study(ratings=pd.DataFrame({"anchor": ["1", "1"], "rater": ["v", "w"], "label": ["a", "b"]}))
    >>> study.is_located, study.is_crowd, study.conditions
    (True, True, ['all'])
    """

    annotations: pd.DataFrame  # one mark per row
    assignments: pd.DataFrame  # one row per FOV, rater and condition that was asked
    raters: pd.DataFrame  # rater, cohort
    fovs: pd.DataFrame  # fov and what is known of it
    reference: pd.DataFrame | None = None
    anchors: pd.DataFrame | None = None
    ratings: pd.DataFrame | None = None
    assignments_given: bool = True
    taxonomy: Taxonomy | None = None
    notes: tuple[str, ...] = ()  # to be said once to the user
    is_crowd: bool = False  # a crowd table: ratings of tasks without boxes

    @property
    def is_located(self) -> bool:
        """Whether objects are located already: there are ratings instead of marks."""
        return self.ratings is not None

    @property
    def cohorts(self) -> list[str]:
        """Names of the cohorts, sorted."""
        return sorted(self.raters["cohort"].unique())

    @property
    def conditions(self) -> list[str]:
        """Names of the conditions, sorted."""
        rows = self.assignments if self.ratings is None else self.ratings
        return sorted(rows["condition"].unique())


def make_study(
    annotations: pd.DataFrame | Cells | None = None,
    *,
    assignments: pd.DataFrame | Cells | None = None,
    raters: pd.DataFrame | Cells | None = None,
    fovs: pd.DataFrame | Cells | None = None,
    reference: pd.DataFrame | Cells | None = None,
    ratings: pd.DataFrame | Cells | None = None,
    anchors: pd.DataFrame | Cells | None = None,
    taxonomy: Taxonomy | None = None,
    normalise_labels: bool = False,
    notes: Sequence[str] = (),
) -> Study:
    """A study from its tables: completed, and checked once.

    Parameters
    ----------
    annotations : (n_marks, ≥ 7)
        fov, rater, xmin, ymin, xmax, ymax, label; optional annotation, condition, kind, coords_x, coords_y, created.
    assignments : (n_asked, ≥ 2)
        fov, rater; optional condition, else they hold for every condition. Without them, whoever marked something
        in a FOV was asked there.
    raters : (n_raters, 2)
        rater, cohort; without them every cohort is ``all``.
    fovs : (n_fovs, ≥ 1)
        fov; optional slide, hospital, width, height, mpp, image.
    reference : (n_objects, ≥ 6)
        fov, xmin, ymin, xmax, ymax, label; optional coords_x, coords_y.
    ratings, anchors : located objects instead of annotations; without `anchors` a crowd table
    taxonomy : class scheme the labels must be in; None takes them as they come
    normalise_labels : read labels typed by hand as the class they mean; needs a taxonomy
    notes : what the reader of a file has to say to the user

    Raises
    ------
    StudyError
        One message with all that is wrong, by table and row.
    ValueError
        If there are neither or both of annotations and ratings.

    Examples
    --------
    >>> marks = pd.DataFrame({"fov": ["f"], "rater": ["r"], "xmin": [0], "ymin": [0], "xmax": [2], "ymax": [2],
    ...                       "label": ["a"]})
    >>> make_study(marks).assignments.values.tolist()
    [['f', 'r', 'all']]
    """
    if not isinstance(taxonomy, Taxonomy | None):
        raise TypeError(f"taxonomy: expected a Taxonomy, as load_taxonomy gives it, got {type(taxonomy).__name__}")
    if (annotations is None) == (ratings is None):
        raise ValueError("a study is made of annotations or of ratings; expected exactly one of the two")
    if normalise_labels and taxonomy is None:
        raise ValueError("normalise_labels needs a taxonomy, whose classes the labels are read as")
    tables = {"assignments": assignments, "raters": raters, "fovs": fovs, "reference": reference}
    cells = {name: as_cells(table, name) for name, table in tables.items() if table is not None}
    if ratings is not None:
        located = as_cells(ratings, "ratings"), None if anchors is None else as_cells(anchors, "anchors")
        return _located_study(*located, cells, taxonomy, tuple(notes))
    return _marks_study(as_cells(annotations, "annotations"), cells, taxonomy, normalise_labels, tuple(notes))


def as_cells(table: pd.DataFrame | Cells | None, name: str) -> Cells:
    """A table with its source; a frame made in memory is called by its name."""
    if isinstance(table, Cells):
        return Cells(table.frame.reset_index(drop=True), table.source, table.findings)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name}: expected a pandas DataFrame, got {type(table).__name__}")
    return Cells(table.reset_index(drop=True), memory_source(name), ())


def _marks_study(
    marks: Cells, cells: Mapping[str, Cells], taxonomy: Taxonomy | None, normalise: bool, notes: tuple[str, ...]
) -> Study:
    """The study of a table of marks and the tables beside it."""
    checked = {"annotations": complete_annotations(marks, taxonomy, normalise)}
    if "assignments" in cells:
        checked["assignments"] = complete_texts(cells["assignments"], ASSIGNMENTS, {"condition": ALL})
    if "raters" in cells:
        checked["raters"] = complete_texts(cells["raters"], RATERS, {})
        found = each_once(checked["raters"].frame["rater"], cells["raters"].source, "rater")
        checked["raters"].findings.extend(found)
    if "fovs" in cells:
        checked["fovs"] = complete_fovs(cells["fovs"])
    if "reference" in cells:
        checked["reference"] = complete_reference(cells["reference"], taxonomy, normalise)
    sources = {"annotations": marks.source, **{name: table.source for name, table in cells.items()}}
    findings = [finding for table in checked.values() for finding in table.findings]
    if not any(finding.rows is None for finding in findings):
        findings += _between_tables(checked, sources, whole="condition" not in _columns(cells.get("assignments")))
    raise_findings(findings)
    return _assemble(checked, cells, taxonomy, notes)


def _columns(cells: Cells | None) -> list[str]:
    return [] if cells is None else list(cells.frame.columns)


def _assemble(
    checked: Mapping[str, Checked], cells: Mapping[str, Cells], taxonomy: Taxonomy | None, notes: tuple[str, ...]
) -> Study:
    """The study of tables in which nothing is wrong; absent tables follow from those that are there."""
    marks = checked["annotations"].frame.reset_index(drop=True)
    given = {name: table.frame.reset_index(drop=True) for name, table in checked.items()}
    said = [note for table in checked.values() for note in table.notes]
    if "assignments" in given:
        asked, repeated = _expand(given["assignments"], marks, "condition" in cells["assignments"].frame)
        said += [f"{cells['assignments'].source.name}: {repeated:,} repeated rows read once"] if repeated else []
    elif len(marks):
        asked = marks[list(ASSIGNMENTS)].drop_duplicates().sort_values(list(ASSIGNMENTS), ignore_index=True)
        said = [ASKED_FROM_MARKS, *said]
    else:
        raise StudyError("no marks and no assignments: nobody was asked about anything")
    raters = given.get("raters", _cohort_all(asked["rater"]))
    reference = given.get("reference")
    said += _look_alikes(marks["label"], asked["rater"], reference)
    names = [asked["fov"]] if reference is None else [asked["fov"], reference["fov"]]
    fovs = given.get("fovs", pd.DataFrame({"fov": sorted(set(pd.concat(names)))}, dtype="str"))
    return Study(
        marks,
        asked,
        raters,
        fovs,
        reference,
        assignments_given="assignments" in given,
        taxonomy=taxonomy,
        notes=(*notes, *said),
    )


def _look_alikes(labels: pd.Series, raters: pd.Series, reference: pd.DataFrame | None) -> list[str]:
    """Notes on labels, also of the reference, and on raters that are told apart by what nobody sees."""
    of_reference = set() if reference is None else set(reference["label"].unique())
    return look_alikes({*labels.unique(), *of_reference}, "labels") + look_alikes(set(raters.unique()), "raters")


def _cohort_all(rater: pd.Series) -> pd.DataFrame:
    """The raters table of raters without one."""
    names = sorted(rater.unique())
    return pd.DataFrame({"rater": names, "cohort": [ALL] * len(names)}, dtype="str")


def _expand(asked: pd.DataFrame, marks: pd.DataFrame, has_condition: bool) -> tuple[pd.DataFrame, int]:
    """Assignments with a condition in every row, each once, and how many were repeated."""
    if not has_condition:
        conditions = sorted(marks["condition"].unique()) or [ALL]
        asked = asked.drop(columns="condition").merge(pd.DataFrame({"condition": conditions}, dtype="str"), how="cross")
    once = asked.drop_duplicates(ignore_index=True)
    return once, len(asked) - len(once)


def _between_tables(checked: Mapping[str, Checked], sources: Mapping[str, Source], whole: bool) -> list[Finding]:
    """What does not fit between the tables: unknown FOVs and raters, marks by raters who were not asked.

    `whole`: assignments hold for every condition.
    """
    findings = []
    for column, table in (("fov", "fovs"), ("rater", "raters")):
        if table not in checked:
            continue
        known = checked[table].frame[column]
        for name in ("annotations", "assignments", "reference"):
            if name in checked and column in checked[name].frame:
                findings += _unknown(checked[name].frame[column], known, sources[name], sources[table].name)
    if "assignments" in checked:
        keys = ["fov", "rater"] if whole else ["fov", "rater", "condition"]
        marks = checked["annotations"].frame[keys]
        not_asked = ~_is_among(marks, checked["assignments"].frame[keys])
        position = marks.index.to_numpy()

        def reason(row: int) -> str:
            mark = marks.loc[row]
            where = f"FOV {mark['fov']!r}" + ("" if whole else f", condition {mark['condition']!r}")
            return f"rater {mark['rater']!r} has a mark but no assignment in {where}"

        mask = np.zeros(position.max(initial=-1) + 1, dtype=bool)
        mask[position[not_asked]] = True
        findings += in_rows(sources["annotations"], mask, "rater", reason)
    return findings


def _unknown(column: pd.Series, known: pd.Series, source: Source, table: str) -> list[Finding]:
    """Rows whose FOV or rater is not in the table of them."""
    wrong = ~column.isin(known).to_numpy() & (column != "").to_numpy(dtype=bool)
    mask = np.zeros(column.index.max() + 1 if len(column) else 0, dtype=bool)
    mask[column.index.to_numpy()[wrong]] = True
    reason = f"unknown {column.name} {{!r}}: it is not in {table}".format
    return in_rows(source, mask, str(column.name), lambda row: reason(column.loc[row]))


def _is_among(rows: pd.DataFrame, known: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows (n,) stand in `known`, by all their columns."""
    key_rows, key_known = np.zeros(len(rows), dtype=np.int64), np.zeros(len(known), dtype=np.int64)
    for name in rows:
        codes, found = pd.factorize(pd.concat([rows[name], known[name]], ignore_index=True))
        key_rows = key_rows * len(found) + codes[: len(rows)]
        key_known = key_known * len(found) + codes[len(rows) :]
    return np.isin(key_rows, key_known)


def _located_study(
    ratings: Cells, anchors: Cells | None, cells: Mapping[str, Cells], taxonomy: Taxonomy | None, notes: tuple[str, ...]
) -> Study:
    """The study of located objects, or of the tasks of a crowd table."""
    located = complete_located(ratings, anchors, cells, taxonomy)
    raise_findings(located.findings)
    said = _look_alikes(located.ratings["label"], located.ratings["rater"], located.reference)
    return Study(
        pd.DataFrame(
            {
                name: pd.Series(dtype="float64" if name in ("xmin", "ymin", "xmax", "ymax") else "str")
                for name in ANNOTATIONS
            }
        ),
        located.assignments,
        located.raters,
        located.fovs,
        located.reference,
        located.anchors,
        located.ratings,
        taxonomy=taxonomy,
        notes=(*notes, *located.notes, *said),
        is_crowd=located.is_crowd,
    )


def select(
    study: Study,
    *,
    conditions: Sequence[str] | None = None,
    cohorts: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    fovs: Sequence[str] | None = None,
) -> Study:
    """The part of a study in some conditions, cohorts and FOVs; None keeps all.

    Parameters
    ----------
    study : marks, or located objects
    conditions, fovs : names to keep
    cohorts : names to keep, or new names with the cohorts they unite, as in ``{"P": ["SP", "JP"]}``

    Raises
    ------
    TypeError
        If a text stands where a list of names belongs.
    ValueError
        If there is no such name, saying which there are, or a cohort goes into two unions.

    Examples
    --------
    >>> answers = pd.DataFrame({"anchor": ["1", "1"], "rater": ["v", "w"], "label": ["a", "b"], "cohort": ["x", "y"]})
    >>> select(make_study(ratings=answers), cohorts=["y"]).ratings["label"].tolist()
    ['b']
    """
    if not isinstance(study, Study):
        raise TypeError(f"expected a Study, got {type(study).__name__}")
    unions = cohorts if isinstance(cohorts, Mapping) else {"cohorts": cohorts}
    for what, names in {"conditions": conditions, "fovs": fovs, **unions}.items():
        if isinstance(names, str):
            raise TypeError(f"{what}: expected a list of names, got the text {names!r}; for one name give [{names!r}]")
    if cohorts is not None:
        study = _with_cohorts(study, cohorts if isinstance(cohorts, Mapping) else {name: [name] for name in cohorts})
    if conditions is not None:
        _must_exist(conditions, study.conditions, "condition")
        study = _filtered(study, "condition", set(conditions), ("annotations", "assignments", "ratings"))
    if fovs is not None:
        _must_exist(fovs, list(study.fovs["fov"]), "FOV")
        study = _filtered(
            study, "fov", set(fovs), ("annotations", "assignments", "ratings", "reference", "anchors", "fovs")
        )
    return study


def _must_exist(names: Sequence[str], known: Sequence[str], what: str) -> None:
    if unknown := [name for name in names if name not in set(known)]:
        raise ValueError(f"no {what} {quoted(unknown)}; the study has {quoted(known)}")


def _with_cohorts(study: Study, unions: Mapping[str, Sequence[str]]) -> Study:
    """The raters of some cohorts, under the names of the unions they belong to."""
    members = [member for union in unions.values() for member in union]
    _must_exist(members, study.cohorts, "cohort")
    if len(set(members)) < len(members):
        raise ValueError(f"a rater can be in one cohort only; {quoted(members)} name one twice")
    renamed = {member: name for name, union in unions.items() for member in union}
    raters = study.raters[study.raters["cohort"].isin(members)].reset_index(drop=True)
    raters = raters.assign(cohort=raters["cohort"].map(renamed).astype("str"))
    study = _filtered(study, "rater", set(raters["rater"]), ("annotations", "assignments", "ratings"))
    if study.ratings is not None:
        dtype: Any = "category" if isinstance(study.ratings["cohort"].dtype, pd.CategoricalDtype) else "str"
        cohort = study.ratings["cohort"].astype("str").map(renamed)
        study = replace(study, ratings=study.ratings.assign(cohort=cohort.astype(dtype)))
    return replace(study, raters=raters)


def _filtered(study: Study, column: str, names: set[str], tables: Sequence[str]) -> Study:
    """The study with only those rows of some tables whose `column` is among `names`."""
    kept = {}
    for name in tables:
        table = getattr(study, name)
        if table is not None and column in table:
            kept[name] = table[table[column].isin(names)].reset_index(drop=True)
    return replace(study, **kept)
