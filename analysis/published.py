"""The paper's printed values, and ours beside them."""

from collections.abc import Iterable, Mapping
from functools import cache
from math import isnan
from typing import Any

import pandas as pd

from analysis.page import Measure
from analysis.paths import PUBLISHED
from crowdtruth.files import read_toml

COLUMNS = (
    "page", "quantity", "published", "ours", "low", "high", "difference", "source", "definition",
)  # fmt: skip
CLOSE = 0.05
"""A difference of fractions up to which ours is near the paper's."""


@cache
def published() -> pd.DataFrame:
    """The printed values: page, key, quantity, value, source, definition; an empty page is of no figure made here."""
    entries = read_toml(PUBLISHED)["value"]
    texts = ("page", "key", "quantity", "source", "definition")
    return pd.DataFrame(
        [{**{name: entry.get(name, "") for name in texts}, "value": float(entry["value"])} for entry in entries]
    )


def published_tables() -> dict[str, pd.DataFrame]:
    """The printed tables by name."""
    tables: Iterable[Mapping[str, Any]] = read_toml(PUBLISHED)["table"]
    return {table["name"]: pd.DataFrame(table["rows"], columns=table["columns"]) for table in tables}


def beside(page: str, ours: Mapping[str, Measure]) -> pd.DataFrame:
    """The printed values of a page with ours beside them.

    Parameters
    ----------
    page : name of a figure
    ours : key -> value; a key without a printed value is left out, a printed value without a key has none of ours

    Examples
    --------
    >>> beside("fig3b", {"auroc_micro": Measure(0.9)})[["published", "ours"]].values.tolist()[0]
    [0.93, 0.9]
    """
    rows = published()
    rows = rows[rows["page"] == page].reset_index(drop=True)
    nothing = Measure(float("nan"))
    found = [ours.get(key, nothing) for key in rows["key"]]
    values = {name: [getattr(one, name) for one in found] for name in ("value", "low", "high")}
    table = rows.rename(columns={"value": "published"}).assign(
        ours=values["value"], low=values["low"], high=values["high"]
    )
    return table.assign(difference=table["ours"] - table["published"])[[*COLUMNS]].astype({"ours": float})


def is_close(table: pd.DataFrame) -> pd.Series:
    """Which values are near: fractions to `CLOSE`, numbers of things to that share of them."""
    scale = table["published"].where(table["published"] > 1, 1.0)
    return table["difference"].abs() <= CLOSE * scale + 1e-12


def as_markdown(table: pd.DataFrame, data: str) -> str:
    """Published and ours, as a page to read."""
    lines = [
        "# The paper's printed values, and ours", "", f"Ours on: {data}.", "",
        "| figure | quantity | published | ours | 95 % interval | difference | within .05 | how ours is defined |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row, close in zip(table.to_dict("records"), is_close(table), strict=True):
        interval = "–" if isnan(row["low"]) else f"{_words(row['low'])}–{_words(row['high'])}"
        numbers = [_words(row["published"]), _words(row["ours"]), interval, _words(row["difference"])]
        cells = [row["page"], row["quantity"], *numbers, "yes" if close else "no", row["definition"]]
        lines.append("| " + " | ".join(cells) + " |")
    n_close = int(is_close(table).sum())
    return "\n".join([*lines, "", f"{n_close} of {len(table)} within .05 (numbers of nuclei: within 5 %).", ""])


def _words(value: float) -> str:
    """A number as the paper prints it: three digits, whole numbers of things."""
    if isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 2 else f"{value:.3f}"
