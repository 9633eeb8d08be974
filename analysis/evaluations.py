"""Evaluations of detectors, as `nucls evaluate` writes them: which there are, and means over the folds of a trial."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from crowdtruth.files import read_table
from nucls_model.config import NuclsConfig
from nucls_model.evaluate import Trial
from nucls_model.evaluate.evaluation import METRICS_FILE, NUCLEI_FILE
from nucls_model.evaluate.intervals import METRIC_COLUMNS

TRIAL = [field.name for field in fields(Trial)]
LOSSES_FILE = "losses.csv"  # of the training, in the folder of the evaluation or the one above
TUNING_FOLD = "1"
"""The paper's validation fold: settings were chosen on it, and no mean counts it."""

WITHOUT = "no evaluations were given: --evaluations DIR, folders that `nucls evaluate` wrote"

FINAL = "3"  # configuration of the final model in Table S5
_DEFAULT = NuclsConfig()
_NUMBERS = ("value", "low", "high", "n", "scale_factor", "updates")


@dataclass(frozen=True)
class Evaluations:
    """The tables of all folders, one below the other; each row says which trial it is of."""

    name: str
    metrics: pd.DataFrame  # trial, metric, level, class, assigned, value, low, high, n, resampled
    nuclei: pd.DataFrame  # trial, fov, kind, true, predicted, …
    losses: pd.DataFrame  # trial, update, phase, a column per component; no row without a log

    @property
    def final(self) -> pd.DataFrame:
        """Scores of the final model at the end of its training: configuration 3, and the paper's backbone and scale.

        What a trial does not say is taken to be that.
        """
        return last_of(self.metrics[self.is_final(self.metrics)])

    def is_final(self, table: pd.DataFrame) -> pd.Series:
        """Rows of the final model: (n_rows,) bool."""
        return is_configuration(table) & is_backbone(table) & is_scale(table)


def is_configuration(table: pd.DataFrame) -> pd.Series:
    """Rows of the final configuration: (n_rows,) bool."""
    return table["configuration"].isin(["", FINAL])


def is_backbone(table: pd.DataFrame) -> pd.Series:
    """Rows of the paper's backbone: (n_rows,) bool."""
    return table["backbone"].isin(["", _DEFAULT.backbone])


def is_scale(table: pd.DataFrame) -> pd.Series:
    """Rows of the paper's scale factor: (n_rows,) bool."""
    return table["scale_factor"].isna() | (table["scale_factor"] == _DEFAULT.scale_factor)


def no_evaluations() -> Evaluations:
    """What there is where no folder is given."""
    empty = pd.DataFrame(columns=[*TRIAL, *METRIC_COLUMNS])
    return Evaluations("no evaluations", empty, pd.DataFrame(columns=[*TRIAL, "fov"]), pd.DataFrame(columns=TRIAL))


def read_evaluations(folders: Sequence[Path]) -> Evaluations:
    """The evaluations in some folders, or in the folders inside them.

    Parameters
    ----------
    folders : each with a ``metrics.csv``, or with folders that have one

    Raises
    ------
    ValueError
        If a folder is none or has no evaluation, a table lacks a column, or two folders are of the same trial.
    """
    if not folders:
        return no_evaluations()
    places = [place for folder in folders for place in _places(folder)]
    metrics = [
        read_table(place / METRICS_FILE, floats=_NUMBERS, required=[*TRIAL, *METRIC_COLUMNS]) for place in places
    ]
    _check_different(places, metrics)
    tables = {"metrics": metrics, "nuclei": [], "losses": []}
    for place, table in zip(places, metrics, strict=True):
        trial = table[TRIAL].iloc[0].to_dict()
        for name, path in (("nuclei", place / NUCLEI_FILE), ("losses", _losses(place))):
            if path is not None and path.exists():
                rows = read_table(path, floats=["xmin", "ymin", "xmax", "ymax", "update", *_LOSSES, "*_iou", "*_dice"])
                tables[name].append(rows.assign(**{str(key): value for key, value in trial.items()}))
    none = no_evaluations()
    joined = {
        name: pd.concat(parts, ignore_index=True) if parts else getattr(none, name) for name, parts in tables.items()
    }
    joined = {name: _as_text(table) for name, table in joined.items()}
    name = f"{len(places)} evaluation{'s' if len(places) > 1 else ''} of {', '.join(folder.name for folder in folders)}"
    return Evaluations(name, **joined)


_LOSSES = ("rpn_objectness", "rpn_box", "class", "box", "mask", "thumbnail", "total")


def _places(folder: Path) -> list[Path]:
    """The folders with a table of scores: this one, or those inside."""
    if not folder.is_dir():
        raise ValueError(f"--evaluations {folder}: there is no such folder")
    found = [folder] if (folder / METRICS_FILE).is_file() else sorted(p.parent for p in folder.rglob(METRICS_FILE))
    if not found:
        raise ValueError(f"--evaluations {folder}: no {METRICS_FILE} in it or below; `nucls evaluate` writes one")
    return found


def _losses(place: Path) -> Path | None:
    """The log of the training that an evaluation lies in."""
    return next((path for path in (place / LOSSES_FILE, place.parent / LOSSES_FILE) if path.is_file()), None)


def _check_different(places: Sequence[Path], metrics: Sequence[pd.DataFrame]) -> None:
    """Raise if a table has several trials or none, or two have the same."""
    seen: dict[tuple[object, ...], Path] = {}
    for place, table in zip(places, metrics, strict=True):
        trials = table[TRIAL].drop_duplicates()
        if len(trials) != 1:
            raise ValueError(f"{place / METRICS_FILE}: expected one trial in {', '.join(TRIAL)}; it has {len(trials)}")
        key = tuple(trials.fillna("").iloc[0])
        if key in seen:
            same = ", ".join(f"{name} {value}" for name, value in zip(TRIAL, key, strict=True) if value not in ("", 0))
            raise ValueError(f"{seen[key]} and {place} are of the same trial ({same or 'none is named'})")
        seen[key] = place


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Missing text as the empty text."""
    is_text = [str(name) for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].astype(object).fillna("") for name in is_text})


def last_of(metrics: pd.DataFrame) -> pd.DataFrame:
    """Of trials that differ only in their updates, the one with the most."""
    others = [name for name in TRIAL if name != "updates"]
    most = metrics.groupby(others, dropna=False)["updates"].transform("max")
    return metrics[(metrics["updates"] == most) | metrics["updates"].isna()]


def one_per(metrics: pd.DataFrame, columns: Sequence[str], what: str) -> pd.DataFrame:
    """The rows, of which there may be one for each score of a fold and of what is in `columns`.

    Raises
    ------
    ValueError
        Naming the trials that a table could show in one place.
    """
    keys = [*columns, "fold", "metric", "level", "class", "assigned"]
    twice = metrics.duplicated(keys, keep=False)
    if twice.any():
        rows = metrics.loc[twice, TRIAL].drop_duplicates().astype(str)
        told = "; ".join(", ".join(f"{k} {v}" for k, v in row.items() if v) for row in rows.to_dict("records")[:4])
        raise ValueError(f"{what} has one place for {len(rows)} evaluations of a fold: {told}. Give only one of them")
    return metrics


def over_folds(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation over folds of each score: the population form, as the paper prints it (ddof 0).

    Fold 1, on which the paper chose its settings, does not count where there are others.

    Parameters
    ----------
    rows : fold, value, and `columns`
    columns : what tells the scores apart

    Returns
    -------
    one row per score
        `columns`, folds, n_folds, mean, sd. Folds without a value do not count.

    Examples
    --------
    >>> rows = pd.DataFrame({"fold": ["1", "2", "3"], "metric": "ap_50", "value": [0.9, 0.7, 0.8]})
    >>> over_folds(rows, ["metric"])[["folds", "mean", "sd"]].round(3).values.tolist()
    [['2, 3', 0.75, 0.05]]
    """
    rows = rows[rows["value"].notna()]
    tested = rows if set(rows["fold"]) <= {TUNING_FOLD} else rows[rows["fold"] != TUNING_FOLD]
    table = tested.groupby([*columns], sort=False).agg(
        folds=("fold", lambda fold: ", ".join(sorted(fold))),
        n_folds=("fold", "size"),
        mean=("value", "mean"),
        sd=("value", lambda value: float(np.std(value))),
    )
    return table.reset_index()
