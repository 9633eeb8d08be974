"""The result folder of a crowdtruth run: its training table, with the images of the study that was run.

Three kinds of labels can be learned from: the posteriors, the inferred labels as certain ones, and the majority vote
of the same raters as certain ones, for comparison.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from crowdtruth.cells import Cells
from crowdtruth.checks import CORNERS, box_columns, outline_columns
from crowdtruth.files import missing_columns
from crowdtruth.formats.coco import load_json
from crowdtruth.formats.taxonomy_file import read_taxonomy_file
from crowdtruth.options import cohort_members
from crowdtruth.problems import StudyError, in_rows, numbered_source, quoted, raise_findings
from crowdtruth.ratings import encode_ratings
from crowdtruth.results import RECORD, read_result
from crowdtruth.taxonomy import AMBIGUOUS, RAW, UNDETECTED, Grouping, Taxonomy, group_probabilities
from crowdtruth.truth import MajorityVote, infer_labels
from crowdtruth.truth.expectation import most_probable
from crowdtruth.truth.labels import choose_labels
from nucls_model.labelled.table import (
    OUTLINE,
    PROBABILITY,
    LabelledFovs,
    grouping_at,
    labelled_fovs,
    one_hot,
    real_classes,
)

Targets = Literal["posterior", "inferred", "majority"]
TARGETS: tuple[str, ...] = get_args(Targets)

_UNDETECTED = f"{PROBABILITY}{UNDETECTED}"
_ROUNDING = 1e-3  # of probabilities in a file
_COLUMNS = {
    "training.csv": ("fov", "anchor", "cohort", "condition", *CORNERS, "label", "p_exists", *OUTLINE),
    "ratings.csv": ("anchor", "fov", "rater", "cohort", "condition", "label"),
    "truth.csv": ("anchor", "fov", "cohort", "condition", _UNDETECTED),
    "anchors.csv": ("anchor", "fov", *CORNERS),
    "fovs.csv": ("fov",),
}
"""What is read of each table."""


@dataclass(frozen=True)
class _Results:
    """What is read of a result folder: the labels of one cohort under one condition."""

    path: Path
    options: Mapping[str, Any]
    training: pd.DataFrame
    cohort: str
    condition: str
    ratings: pd.DataFrame  # of the cohort under the condition
    members: tuple[str, ...]  # the cohorts of raters that the cohort unites


def read_result_folder(
    path: str | Path, level: str = "main", *, targets: Targets = "posterior", images: str | Path | None = None
) -> LabelledFovs:
    """The labels that a run inferred, as soft or certain targets.

    - ``posterior``: the rows of training.csv with their probabilities, grouped to `level` by adding. A row whose label
      is ``undetected`` or empty is no object, and ignored rather than background.
    - ``inferred``: the objects of training.csv, their labels taken as certain; everything else is background.
    - ``majority``: objects that at least half of the raters asked have marked, with the class that most of those gave,
      the first in class order on ties. Two votes, so that raters who saw an object but disagree on its class do not
      vote it away; labels are grouped to `level` before they are counted. Outlines are those of training.csv.

    Parameters
    ----------
    path : folder with training.csv, truth.csv, anchors.csv, ratings.csv, fovs.csv and run.json
    level : ``raw``, or a level of the study's taxonomy
    targets : which labels
    images : folder that the image paths are relative to; default: the study's, as run.json has it

    Returns
    -------
    LabelledFovs
        With the FOVs in which raters of the cohort were asked under the condition; the others would teach that their
        nuclei are background.

    Raises
    ------
    StudyError
        If a table is missing or wrong, its classes do not fit the level, or there are no images.
    ValueError
        If there are no such targets, or the taxonomy has no such level.
    """
    if targets not in TARGETS:
        raise ValueError(f"targets must be one of {quoted(TARGETS)}, got {targets!r}")
    path = Path(path)
    record = _record(path)
    results = _results(path, record)
    grouping = _grouping(path, level, results)
    objects = {"posterior": _posterior, "inferred": _inferred, "majority": _majority}[targets](results, grouping)
    fovs, notes = _asked_fovs(results)
    class_names = real_classes(grouping.classes)
    return labelled_fovs(
        fovs,
        objects[objects["fov"].isin(fovs["fov"])],
        _image_folder(path, record) if images is None else Path(images),
        class_names=class_names,
        colors=grouping.colors,
        notes=notes,
    )


def _record(path: Path) -> Mapping[str, Any]:
    """run.json."""
    record = load_json(path / RECORD)
    options = record.get("options") if isinstance(record, dict) else None
    if not isinstance(options, dict) or not isinstance(record.get("study"), str) or "\0" in record["study"]:
        raise StudyError(f"{path / RECORD} is not the record of a run: it needs a study and options")
    cohorts, least = options.get("cohort", []), options.get("min_detections", 1)
    if (
        not isinstance(cohorts, list)
        or not all(isinstance(cohort, str) for cohort in cohorts)
        or type(least) is not int
    ):
        raise StudyError(
            f"{path / RECORD} is not the record of a run: expected a list of names in cohort and a whole number in "
            f"min_detections, got {cohorts!r} and {least!r}"
        )
    return record


def _image_folder(path: Path, record: Mapping[str, Any]) -> Path:
    """The folder of the study that was run."""
    study = Path(record["study"])
    if not study.exists():
        raise StudyError(f"{path / RECORD}: the study is no longer at {study}; say (--images) where the images are")
    return study if study.is_dir() else study.parent


def _results(path: Path, record: Mapping[str, Any]) -> _Results:
    """The training table and the ratings behind it."""
    training, ratings = _table(path, "training.csv"), _table(path, "ratings.csv")
    _check_training(training)
    if training.empty:
        raise StudyError(f"{path / 'training.csv'} has no rows: the run found nothing to learn from")
    groups = training[["cohort", "condition"]].drop_duplicates()
    if len(groups) > 1:
        raise StudyError(f"{path / 'training.csv'} has labels of several cohorts or conditions; expected those of one")
    cohort, condition = groups.iloc[0]
    options = record["options"]
    unions = cohort_members(options.get("cohort", ()), ratings["cohort"].unique())
    members = unions.get(cohort, (cohort,))
    chosen = ratings["cohort"].isin(members) & (ratings["condition"] == condition)
    return _Results(path, options, training, cohort, condition, ratings[chosen], members)


def _table(path: Path, name: str) -> pd.DataFrame:
    """A table of the folder, with the columns that are read."""
    table = read_result(path / name)
    raise_findings(missing_columns(table, numbered_source(name), _COLUMNS[name]))
    return table


def _check_training(training: pd.DataFrame) -> None:
    """Refuse a training table that somebody changed into what no run writes: a detector would learn it."""
    cells = Cells(training, numbered_source("training.csv"), ())
    classes = _classes_of(training)
    chances = ["p_exists", *(f"{PROBABILITY}{name}" for name in classes)]
    findings = [*box_columns(cells)[1], *outline_columns(cells)[1]]
    for name in chances:
        values = training[name].to_numpy(dtype=np.float64)
        wrong = ~((values >= -_ROUNDING) & (values <= 1 + _ROUNDING))
        findings += in_rows(cells.source, wrong, name, "expected a probability, from 0 to 1")
    total = training[chances[1:]].sum(axis=1).to_numpy(dtype=np.float64)
    words = "the probabilities of the classes sum to one, here to {:.4g}".format
    findings += in_rows(cells.source, np.abs(total - 1) > _ROUNDING, "", lambda row: words(total[row]))
    unknown = ~training["label"].isin([*classes, AMBIGUOUS, UNDETECTED, ""]).to_numpy()
    findings += in_rows(cells.source, unknown, "label", f"expected one of {quoted([*classes, UNDETECTED], 20)}")
    raise_findings(findings)


def _grouping(path: Path, level: str, results: _Results) -> Grouping:
    """The classes of `level`, as the study's taxonomy or, without one, the training table has them."""
    taxonomy = read_taxonomy_file(path)
    if taxonomy is not None:
        return grouping_at(taxonomy, level)
    if level != RAW:
        raise StudyError(
            f"{path}: the study has no taxonomy, so its classes can only be taken as they are: class level {RAW!r}, "
            f"not {level!r}"
        )
    names = _classes_of(results.training)
    return grouping_at(Taxonomy("", tuple(names), {}, {}, {}, {}), RAW)


def _classes_of(table: pd.DataFrame) -> list[str]:
    """The classes that a table has probabilities of, without ``undetected``."""
    names = [str(column).removeprefix(PROBABILITY) for column in table if str(column).startswith(PROBABILITY)]
    return [name for name in names if name != UNDETECTED]


def _asked_fovs(results: _Results) -> tuple[pd.DataFrame, list[str]]:
    """The FOVs that raters of the cohort were asked about, and a note on the others."""
    fovs = _table(results.path, "fovs.csv")
    if outside := sorted(set(results.training["fov"]) - set(fovs["fov"])):
        raise StudyError(f"{results.path}: training.csv has the FOVs {quoted(outside)}, which fovs.csv has not")
    if "image" not in fovs or not (fovs["image"] != "").any():
        raise StudyError(f"{results.path / 'fovs.csv'} has no image paths: the study's FOV table needs a column image")
    asked = fovs["fov"].isin(results.ratings["fov"])
    note = (
        f"{(~asked).sum():,} FOVs in which nobody of cohort {results.cohort!r} rated anything under condition "
        f"{results.condition!r} are left out"
    )
    return fovs[asked].reset_index(drop=True), [note] * bool((~asked).any())


def _posterior(results: _Results, grouping: Grouping) -> pd.DataFrame:
    """The rows of the training table with probabilities of the classes of a level."""
    training = results.training
    found = _classes_of(training)
    columns = [f"{PROBABILITY}{name}" for name in found]
    values, names, label = training[columns].to_numpy(), tuple(found), training["label"]
    if set(found) != set(grouping.classes):
        if outside := sorted(set(found) - set(grouping.class_of)):
            raise StudyError(
                f"{results.path / 'training.csv'}: {quoted(outside)} cannot be grouped to level {grouping.level!r}; "
                f"run with other --classes, or train at the level of the run ({results.options.get('classes')})"
            )
        values, names = group_probabilities(values, found, grouping)
        label = _labels_at(results, grouping)
    probabilities = pd.DataFrame(values, columns=[f"{PROBABILITY}{name}" for name in names], index=training.index)
    if AMBIGUOUS not in names:
        probabilities[f"{PROBABILITY}{AMBIGUOUS}"] = 0.0
    table = training[["fov", *CORNERS, "p_exists", *OUTLINE]].assign(label=label)
    return pd.concat([table, probabilities], axis=1)


def _labels_at(results: _Results, grouping: Grouping) -> pd.Series:
    """The label of each training row at a level, as the run would have chosen it: a label nobody gave never wins."""
    truth = _table(results.path, "truth.csv")
    truth = truth[(truth["cohort"] == results.cohort) & (truth["condition"] == results.condition)]
    classes = [*_classes_of(truth), UNDETECTED]
    rated = results.ratings[results.ratings["label"] != ""]
    encoded = encode_ratings(rated[["anchor", "rater", "label"]], classes=classes)
    posterior = truth.set_index("anchor")[[f"{PROBABILITY}{name}" for name in classes]]
    rated_anchors, trained = set(encoded.items), set(results.training["anchor"])
    if absent := sorted((rated_anchors | trained) - set(posterior.index) | trained - rated_anchors):
        raise StudyError(f"{results.path}: ratings.csv, truth.csv and training.csv do not fit at {quoted(absent)}")
    labels = choose_labels(
        encoded,
        posterior.loc[list(encoded.items)].to_numpy(),
        classes,
        grouping=grouping,
        min_detections=int(results.options.get("min_detections", 1)),
    )
    chosen = pd.Series(labels.names, index=encoded.items).loc[results.training["anchor"]]
    return pd.Series(chosen.to_numpy(), index=results.training.index, dtype="str")


def _inferred(results: _Results, grouping: Grouping) -> pd.DataFrame:
    """The inferred objects, their labels certain."""
    table = _posterior(results, grouping)
    return _certain(table[~table["label"].isin([UNDETECTED, ""])], grouping)


def _majority(results: _Results, grouping: Grouping) -> pd.DataFrame:
    """The objects that at least half of the raters marked, with the class that most of those gave."""
    votes = infer_labels(
        results.ratings,
        _table(results.path, "anchors.csv"),
        cohorts={results.cohort: results.members},
        conditions=[results.condition],
        estimator=MajorityVote(),
        grouping=grouping,
    ).truth
    least = int(results.options.get("min_detections", 1))
    votes = votes[(votes[_UNDETECTED] <= 0.5) & (votes["n_detected"] >= least)]
    classes = _classes_of(votes)
    winner = most_probable(votes[[f"{PROBABILITY}{name}" for name in classes]].to_numpy())
    table = votes[["anchor", "fov", *CORNERS]].assign(label=np.array(classes, dtype=object)[winner])
    table = table.merge(results.training[["anchor", *OUTLINE]], on="anchor", how="left")
    return _certain(table.fillna(dict.fromkeys(OUTLINE, "")), grouping)


def _certain(table: pd.DataFrame, grouping: Grouping) -> pd.DataFrame:
    """Objects with their labels as certain ones."""
    label = table["label"].astype("str")
    certain = one_hot(label, real_classes(grouping.classes))
    return pd.concat([table[["fov", *CORNERS, *OUTLINE]].assign(label=label), certain], axis=1)
