"""What inferred labels are worth: the table of detectors by what they learned from, and of the labels themselves."""

from math import isnan
from pathlib import Path

import pandas as pd

from analysis.page import Rows

_BASIS = "majority"  # what the other kinds are compared with, seed by seed
_LABELS = {
    "n_objects": "objects",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "class accuracy",
    "mcc": "MCC",
    "brier": "Brier score",
    "mean_dice": "outlines, DICE",
}
_SCORES = {
    ("ap_50", "objectness"): "AP@.5",
    ("map_50_95", "objectness"): "mAP@.5:.95",
    ("ap_50", "main"): "AP@.5 of classes",
    ("accuracy", "main"): "class accuracy",
    ("mcc", "main"): "MCC",
    ("auroc_macro", "main"): "AUROC, macro",
    ("mean_dice", ""): "masks, DICE",
}
_NAMES = {"majority": "majority vote", "inferred": "inferred labels", "posterior": "posteriors", "truth": "the truth"}
_COLUMNS = ["of", "kind", "minus", "score", "mean", "low", "high", "n_seeds"]


def make_label_kinds(out: Path, *, seed: int, quick: bool, jobs: int) -> dict[str, pd.DataFrame]:
    """The rows of the table: all scores by seed, and their means.

    Parameters
    ----------
    out : folder of what is made on the way, kept for the next call
    seed : the first one
    quick : two FOVs and four updates show that it works, and nothing else
    jobs : workers
    """
    from analysis.compute.label_kinds import FULL, QUICK, compute_label_kinds  # torch, which no other page needs

    place = out / f"label_kinds{'_quick' if quick else ''}"
    labels, scores = compute_label_kinds(place, QUICK if quick else FULL, seed=seed, jobs=jobs)
    return {"summary": pick_label_kinds(labels, scores), "labels": labels, "scores": scores}


def pick_label_kinds(labels: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and range over seeds of what the table shows, and of differences from the majority vote within a seed.

    Parameters
    ----------
    labels : kind, seed, metric, value
    scores : kind, seed, metric, level, value

    Returns
    -------
    one row per score
        of (``labels`` or ``detectors``), kind, minus (empty, or the kind that is taken off), score (in words), mean,
        low, high (the range), n_seeds (that have a value).
    """
    shown = pd.MultiIndex.from_frame(scores[["metric", "level"]])
    named = {
        "labels": labels.assign(score=labels["metric"].map(_LABELS)),
        "detectors": scores.assign(score=shown.map(_SCORES)).dropna(subset="score"),
    }
    parts = []
    for of, table in named.items():
        wide = table.pivot(index="seed", columns=["kind", "score"], values="value")
        for kind in table["kind"].unique():
            parts.append(_over_seeds(wide[kind]).assign(of=of, kind=kind, minus=""))
            if kind != _BASIS:
                parts.append(_over_seeds(wide[kind] - wide[_BASIS]).assign(of=of, kind=kind, minus=_BASIS))
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def _over_seeds(values: pd.DataFrame) -> pd.DataFrame:
    """Mean and range of each column: (n_seeds, n_scores) -> one row per score."""
    table = values.agg(["mean", "min", "max", "count"]).T
    return table.set_axis(["mean", "low", "high", "n_seeds"], axis=1).astype({"n_seeds": int}).reset_index()


def write_label_kinds(rows: Rows) -> str:
    """The tables in Markdown: mean over seeds, the range in brackets.

    Examples
    --------
    >>> labels = pd.DataFrame({"kind": "majority", "seed": [0, 1], "metric": "recall", "value": [0.7, 0.8]})
    >>> scores = pd.DataFrame({"kind": "majority", "seed": [0], "metric": ["ap_50"], "level": ["main"], "value": [0.5]})
    >>> print(write_label_kinds({"summary": pick_label_kinds(labels, scores)}).splitlines()[4])
    | majority vote | – | – | .750 (.700 – .800) | – | – | – | – |
    """
    summary = rows["summary"]
    return "\n".join(
        [
            "The labels, in the FOVs that detectors learn from:",
            "",
            *_lines(summary[summary["of"] == "labels"], list(_LABELS.values())),
            "",
            "The detectors, in FOVs of hospitals they never saw:",
            "",
            *_lines(summary[summary["of"] == "detectors"], list(_SCORES.values())),
        ]
    )


def _lines(summary: pd.DataFrame, scores: list[str]) -> list[str]:
    """One table: a row per kind, then per difference."""
    lines = ["| learned from | " + " | ".join(scores) + " |", "|---" * (len(scores) + 1) + "|"]
    for is_difference in (False, True):
        part = summary[(summary["minus"] != "") == is_difference]
        for kind in part["kind"].unique():
            cells = part[part["kind"] == kind].set_index("score")
            name = _NAMES[kind] + (f" − {_NAMES[_BASIS]}" if is_difference else "")
            values = [_cell(cells.loc[score], is_difference) if score in cells.index else "–" for score in scores]
            lines.append(f"| {name} | " + " | ".join(values) + " |")
    return lines


def _cell(row: pd.Series, is_signed: bool) -> str:
    """Mean and range."""
    if isnan(row["mean"]):
        return "–"
    mean, low, high = (_number(row[name], is_signed) for name in ("mean", "low", "high"))
    return f"{mean} ({low} – {high})"


def _number(value: float, is_signed: bool) -> str:
    """Fractions to three digits without the leading zero, counts as they are."""
    size = f"{abs(value):,.0f}" if abs(value) > 2 else f"{abs(value):.3f}".removeprefix("0")
    sign = "" if size == ".000" else "−" if value < 0 else "+" if is_signed else ""
    return sign + size
