"""Of all that `agreement.csv` holds, the rows that a run is about."""

import pandas as pd

from crowdtruth.arguments import check_table


def rows_of_run(
    table: pd.DataFrame, *, iou: float | None = None, min_detections: int = 1, grouping: str | None = None
) -> pd.DataFrame:
    """The rows at a run's clustering threshold, least number of detections and grouping, else at those nearest to them.

    Parameters
    ----------
    table : threshold, min_detections, grouping, …; threshold is NaN where marks were not located here
    iou : default: the lowest
    min_detections : raters who marked an anchor, at least
    grouping : default: all of them

    Examples
    --------
    >>> rows = {"threshold": [0.25, 0.25, 0.5], "min_detections": [1, 2, 1], "grouping": "raw"}
    >>> rows_of_run(pd.DataFrame(rows), min_detections=2).index.tolist()
    [1]
    """
    check_table("agreement", table, ["threshold", "min_detections", "grouping"])
    for column, wanted in (("threshold", iou), ("min_detections", min_detections)):
        values = table[column].astype(float)
        distance = (values - (values.min() if wanted is None else wanted)).abs()
        if distance.notna().any():
            table = table[distance == distance.min()]
    has_level = grouping is not None and (table["grouping"] == grouping).any()
    return table[table["grouping"] == grouping] if has_level else table
