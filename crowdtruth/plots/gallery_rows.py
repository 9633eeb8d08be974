"""Which rows of a result folder its figures show: chosen once, so that figures beside each other show the same."""

import pandas as pd

from crowdtruth.agreement.selection import rows_of_run
from crowdtruth.plots.panels import Tables
from crowdtruth.taxonomy import UNDETECTED

OVERVIEW = "agreement_of_the_run"
"""Name of the rows of ``agreement`` at one clustering threshold and one least number of detections."""

_OF_ONE_CONDITION = ("rater_confusion", "anchor_confusion", "ease")


def chosen_rows(tables: Tables, *, iou: float | None = None, min_detections: int = 1) -> dict[str, pd.DataFrame]:
    """The tables that figures are drawn from.

    A reference is named alike in all conditions; what is taken for what, and what is easily found, is of one condition;
    and the agreement that the run itself asked for stands under `OVERVIEW`.
    """
    chosen = {name: with_shared_reference(table) for name, table in tables.items()}
    shown = fullest_condition(chosen)
    for name in _OF_ONE_CONDITION:
        if name in chosen and shown:
            own = chosen[name]
            chosen[name] = own[own["condition"] == shown] if shown in set(own["condition"]) else own
    if "agreement" in chosen:
        chosen[OVERVIEW] = rows_of_run(chosen["agreement"], iou=iou, min_detections=min_detections)
    return chosen


def with_shared_reference(table: pd.DataFrame) -> pd.DataFrame:
    """References without the condition that they are of, where it is that of the row: one name for all conditions.

    Examples
    --------
    >>> table = pd.DataFrame({"condition": ["U", "E"], "reference": ["cohort:P@U", "cohort:P@E"]})
    >>> with_shared_reference(table)["reference"].tolist()
    ['cohort:P', 'cohort:P']
    """
    if not {"reference", "condition"} <= set(table):
        return table
    pairs = table[["reference", "condition"]].drop_duplicates()
    names = {
        (reference, condition): str(reference).removesuffix(f"@{condition}")
        for reference, condition in pairs.itertuples(index=False)
    }
    both = zip(table["reference"], table["condition"], strict=True)
    return table.assign(reference=pd.Series([names[pair] for pair in both], index=table.index, dtype="str"))


def fullest_condition(tables: Tables) -> str:
    """The condition under which most was marked, of equals the last; empty if no table tells.

    Examples
    --------
    >>> marks = pd.DataFrame({"condition": ["U", "E"], "true": "a", "assigned": ["a", "undetected"], "count": [5, 9]})
    >>> fullest_condition({"rater_confusion": marks})
    'U'
    """
    for name, column in (("rater_confusion", "count"), ("anchor_confusion", "mean_raters"), ("ease", "n")):
        if name in tables and len(tables[name]):
            table = tables[name]
            marks = table[table["assigned"] != UNDETECTED] if "assigned" in table else table
            sums = marks.groupby("condition", sort=False, observed=True)[column].sum()
            return str(sums[::-1].idxmax()) if len(sums) else ""
    return ""
