"""What callers hand over wrongly: something else than a table, a table without its columns, one name for several."""

from collections.abc import Sequence
from typing import Any

import pandas as pd


def check_table(name: str, table: Any, columns: Sequence[str], hint: str = "") -> None:
    """Raise unless `table` is a DataFrame with these columns.

    Raises
    ------
    TypeError, ValueError
        For what is no table, which says where a study or located marks keep it; for a table without the columns.

    Examples
    --------
    >>> check_table("raters", pd.DataFrame({"rater": ["ann"]}), ["rater", "cohort"])
    Traceback (most recent call last):
    ValueError: raters need the columns rater, cohort; missing: cohort
    """
    if not isinstance(table, pd.DataFrame):
        kind = type(table).__name__
        where = f"; pass {kind.lower()}.{name}" if isinstance(getattr(table, name, None), pd.DataFrame) else ""
        raise TypeError(f"{name} must be a pandas DataFrame, got {kind}{where}")
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"{name} need the columns {', '.join(columns)}; missing: {', '.join(missing)}{hint}")


def check_several(name: str, names: Any) -> None:
    """Raise for a text where several names belong: it would be taken letter by letter.

    Examples
    --------
    >>> check_several("conditions", "all")
    Traceback (most recent call last):
    TypeError: conditions must be a sequence of names, got the text 'all'; write ['all']
    """
    if isinstance(names, str | bytes):
        raise TypeError(f"{name} must be a sequence of names, got the text {names!r}; write [{names!r}]")
