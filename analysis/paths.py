"""Where things are: the paper's printed values, and the files of an output folder."""

from pathlib import Path

PUBLISHED = Path(__file__).with_name("published.toml")
OUT = Path("out/analysis")

COMPUTED = "computed"  # folder of tidy tables, with run.json
FIGURES = "figures"
TABLES = "tables"  # what figures are drawn from is in COMPUTED; these are tables to read
PUBLISHED_BESIDE = "published"
INDEX = "index.md"
COMPARISON = "comparison.md"
