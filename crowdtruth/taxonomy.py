"""Class schemes: raw classes, the levels they are grouped to, codes and colours; labels and probabilities grouped.

The paper's scheme is data (``taxonomies/nucls.toml``); any other comes from a TOML file of the same form.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crowdtruth.files import read_toml
from crowdtruth.problems import quoted

UNDETECTED = "undetected"
AMBIGUOUS = "AMBIGUOUS"
RAW = "raw"

Color = tuple[int, int, int]

_SHIPPED = Path(__file__).with_name("taxonomies")
_KEYS = {"name", "levels", "prefixes", "classes", "colors", "regions", "normalise"}


@dataclass(frozen=True)
class Grouping:
    """One level of a taxonomy: which class each raw class belongs to."""

    level: str
    classes: tuple[str, ...]  # in order of first appearance
    class_of: Mapping[str, str]  # raw class -> class
    colors: Mapping[str, Color]  # class -> red, green, blue; only those that have one
    prefixes: tuple[str, ...] = ()  # of raw labels, without meaning for the class


@dataclass(frozen=True)
class Taxonomy:
    """Raw classes in order, with codes and colours, and the levels they can be grouped to.

    Examples
    --------
    >>> list(load_taxonomy("nucls").levels)
    ['main', 'super']
    """

    name: str
    classes: tuple[str, ...]
    codes: Mapping[str, int]
    colors: Mapping[str, Color]
    levels: Mapping[str, Mapping[str, str]]  # level -> raw class -> class
    level_colors: Mapping[str, Mapping[str, Color]]  # level -> class -> colour
    prefixes: tuple[str, ...] = ()
    region_code: int | None = None
    regions: Mapping[str, Color] = field(default_factory=dict)  # labels that outline areas, not objects
    dropped: frozenset[str] = frozenset()  # lower-case words that are no label
    synonyms: Mapping[str, str] = field(default_factory=dict)  # lower-case label -> class or region
    word_parts: Mapping[str, str] = field(default_factory=dict)  # lower-case part of a label -> class or region

    @property
    def ambiguous(self) -> tuple[str, ...]:
        """Raw classes that some level calls ``AMBIGUOUS``."""
        found = {raw for groups in self.levels.values() for raw, group in groups.items() if group == AMBIGUOUS}
        return tuple(raw for raw in self.classes if raw in found)

    def grouping(self, level: str) -> Grouping:
        """The classes of a level, and the class of each raw class.

        Raises
        ------
        ValueError
            If the taxonomy has no such level.

        Examples
        --------
        >>> load_taxonomy("nucls").grouping("super").classes
        ('tumor_any', 'nonTIL_stromal', 'sTIL', 'other_nucleus', 'AMBIGUOUS')
        """
        if level == RAW:
            identity = {raw: raw for raw in self.classes}
            return Grouping(RAW, self.classes, MappingProxyType(identity), self.colors, self.prefixes)
        if level not in self.levels:
            raise ValueError(f"taxonomy {self.name!r} has levels {quoted([RAW, *self.levels])}, not {level!r}")
        class_of = self.levels[level]
        classes = tuple(dict.fromkeys(class_of[raw] for raw in self.classes))
        return Grouping(level, classes, class_of, self.level_colors.get(level, {}), self.prefixes)

    def is_region(self, label: str) -> bool:
        """Whether a label outlines an area of annotation, not an object.

        Examples
        --------
        >>> load_taxonomy("nucls").is_region("fov_basic")
        True
        """
        return label in self.regions

    def normalise(self, text: str) -> str | None:
        """The class (or region) that a label typed by hand means; None where the label is to be dropped.

        A label in which nothing is recognised, or parts of different classes, stays as it is.

        Examples
        --------
        >>> load_taxonomy("nucls").normalise(" Tumour cells"), load_taxonomy("nucls").normalise("meh")
        ('tumor', None)
        """
        words = text.strip().lower()
        known = {name.lower(): name for name in (*self.classes, *self.regions)}
        if words in self.dropped:
            return None
        if words in known:
            return known[words]
        if words in self.synonyms:
            return self.synonyms[words]
        parts = {**{name.lower(): name for name in self.classes}, **self.word_parts}
        meant = {target for part, target in parts.items() if part in words}
        regions = meant & set(self.regions)
        return (regions or meant).pop() if len(regions or meant) == 1 else text


def load_taxonomy(source: str | Path) -> Taxonomy:
    """The taxonomy shipped under a name, or that of a TOML file.

    Parameters
    ----------
    source : ``"nucls"``, or the path of a TOML file (docs/formats.md has its form)

    Raises
    ------
    ValueError
        If there is no such name or file, or the file is not a taxonomy.

    Examples
    --------
    >>> load_taxonomy("nucls").codes["mitotic_figure"]
    6
    """
    shipped = {path.stem: path for path in sorted(_SHIPPED.glob("*.toml"))}
    path = shipped.get(str(source), Path(source))
    if not path.is_file():
        raise ValueError(f"no taxonomy {str(source)!r}: expected {quoted(shipped)} or the path of a TOML file")
    content = read_toml(path)
    try:
        return parse_taxonomy(content)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def load_grouping(source: str | Path, taxonomy: Taxonomy | None = None) -> Grouping:
    """The grouping meant by ``--classes``: a level of the taxonomy, or a TOML file that has exactly one level.

    Raises
    ------
    ValueError
        If it is neither, saying what there is.

    Examples
    --------
    >>> len(load_grouping("main", load_taxonomy("nucls")).classes)
    8
    """
    if taxonomy is not None and source in (RAW, *taxonomy.levels):
        return taxonomy.grouping(str(source))
    if not Path(source).is_file():
        has = "there is no taxonomy"
        if taxonomy is not None:
            has = f"taxonomy {taxonomy.name!r} has {quoted([RAW, *taxonomy.levels])}"
        raise ValueError(f"no grouping {str(source)!r}: {has}, and there is no such file")
    loaded = load_taxonomy(source)
    if len(loaded.levels) != 1:
        there_are = quoted(loaded.levels) or "none"
        raise ValueError(f"{Path(source).name}: expected one level to group to, it has {there_are}")
    return loaded.grouping(*loaded.levels)


def group_labels(labels: ArrayLike | pd.Series, grouping: Grouping) -> pd.Series:
    """The class of each label; ``undetected`` and missing labels pass through.

    Parameters
    ----------
    labels : (n,)
        Raw classes; a Series keeps its index, and stays categorical if it is.
    grouping : a level of a taxonomy

    Returns
    -------
    (n,)

    Raises
    ------
    ValueError
        If a label is not in the taxonomy, naming it.

    Examples
    --------
    >>> group_labels(["tumor", "undetected"], load_taxonomy("nucls").grouping("super")).tolist()
    ['tumor_any', 'undetected']
    """
    series = labels if isinstance(labels, pd.Series) else pd.Series(np.asarray(labels, dtype=object), dtype="str")
    codes, found = pd.factorize(series)
    groups = pd.Series(_classes_of(list(found), grouping), dtype="str")
    if isinstance(series.dtype, pd.CategoricalDtype):
        target, names = pd.factorize(groups)
        grouped = pd.Categorical.from_codes(np.append(target, -1)[codes], categories=names)
        return pd.Series(grouped, index=series.index, name=series.name)
    return pd.Series(groups.reindex(codes).array, index=series.index, name=series.name)


def group_probabilities(
    probabilities: ArrayLike, classes: Sequence[str], grouping: Grouping
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Probabilities of the grouped classes: those of their raw classes, added up.

    Parameters
    ----------
    probabilities : (n_items, n_classes)
    classes : (n_classes,)
        Raw classes of the columns; ``undetected`` may be among them.
    grouping : a level of a taxonomy

    Returns
    -------
    (n_items, n_groups), (n_groups,)
        All classes of the level in its order, 0 for those without a raw class here; ``undetected`` last, if it came in.

    Raises
    ------
    ValueError
        If there is not one class per column, or one is not in the taxonomy.

    Examples
    --------
    >>> level = load_taxonomy("nucls").grouping("super")
    >>> values, names = group_probabilities([[.5, .25, .25]], ["tumor", "mitotic_figure", "undetected"], level)
    >>> names[0], values[0, 0], names[-1], values[0, -1]
    ('tumor_any', np.float64(0.75), 'undetected', np.float64(0.25))
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(classes):
        raise ValueError(f"expected one column per class ({len(classes)}), got probabilities of shape {values.shape}")
    names = grouping.classes + ((UNDETECTED,) if UNDETECTED in classes else ())
    column = {name: n for n, name in enumerate(names)}
    grouped = np.zeros((len(values), len(names)))
    for raw, group in enumerate(_classes_of(list(classes), grouping)):
        grouped[:, column[group]] += values[:, raw]
    return grouped, names


def _classes_of(raw: Sequence[str], grouping: Grouping) -> list[str]:
    """The class of each raw label, with or without a prefix; all unknown ones are told together."""
    plain = [without_prefix(label, grouping.prefixes) for label in raw]
    unknown = [label for label in plain if label not in grouping.class_of and label != UNDETECTED]
    if unknown:
        there_are = quoted(grouping.class_of, limit=20)
        raise ValueError(f"labels outside the taxonomy: {quoted(unknown)}; it has {there_are}")
    return [grouping.class_of.get(label, UNDETECTED) for label in plain]


def without_prefix(label: str, prefixes: Sequence[str]) -> str:
    """A label without the first of the prefixes it carries.

    Examples
    --------
    >>> without_prefix("correction_tumor", ["correction_"])
    'tumor'
    """
    return next((label.removeprefix(prefix) for prefix in prefixes if label.startswith(prefix)), label)


def parse_taxonomy(content: Mapping[str, Any]) -> Taxonomy:
    """The taxonomy in the parsed content of a TOML file.

    Raises
    ------
    ValueError
        Saying which entry is missing, unknown or of the wrong kind.

    Examples
    --------
    >>> cells = parse_taxonomy({"name": "cells", "levels": ["kind"], "classes": [
    ...     {"name": "a", "kind": "x"}, {"name": "b", "kind": "x"}]})
    >>> cells.grouping("kind").classes
    ('x',)
    """
    if unknown := sorted(set(content) - _KEYS):
        raise ValueError(f"unknown entries {quoted(unknown)}; a taxonomy has {quoted(sorted(_KEYS))}")
    levels = _texts(content, "levels")
    if RAW in levels:
        raise ValueError(f"a level cannot be named {RAW!r}: that is the raw classes themselves")
    rows = _classes(content, levels)
    names = tuple(row["name"] for row in rows)
    regions = _table(content, "regions", {"code", "styles"})
    region_colors = {name: _color(value, name) for name, value in _table(regions, "styles").items()}
    rules = _table(content, "normalise", {"drop", "exact", "parts"})
    return Taxonomy(
        name=_text(content.get("name"), "name"),
        classes=names,
        codes=_codes(rows),
        colors={row["name"]: _color(row["color"], row["name"]) for row in rows if "color" in row},
        levels={level: {row["name"]: row[level] for row in rows} for level in levels},
        level_colors=_level_colors(content, rows, levels),
        prefixes=tuple(_texts(content, "prefixes")),
        region_code=_code(regions["code"], "regions") if "code" in regions else None,
        regions=region_colors,
        dropped=frozenset(word.lower() for word in _texts(rules, "drop")),
        synonyms=_targets(rules, "exact", {*names, *region_colors}),
        word_parts=_targets(rules, "parts", {*names, *region_colors}),
    )


def _classes(content: Mapping[str, Any], levels: list[str]) -> list[dict[str, Any]]:
    """The entries of the raw classes, each with its name and its class in every level."""
    rows = content.get("classes")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError("expected at least one [[classes]] entry")
    for number, row in enumerate(rows, start=1):
        for key in ("name", *levels):
            _text(row.get(key), f"{key!r} of class {number}")
        if unknown := sorted(set(row) - {"name", "code", "color", *levels}):
            raise ValueError(f"class {row['name']!r} has unknown entries {quoted(unknown)}")
    if twice := sorted(name for name, count in Counter(row["name"] for row in rows).items() if count > 1):
        raise ValueError(f"more than one class is named {quoted(twice)}")
    if UNDETECTED in {row[key] for row in rows for key in ("name", *levels)}:
        raise ValueError(f"{UNDETECTED!r} is reserved for raters who marked nothing; no class can be named so")
    return rows


def _codes(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Mask code of each class that has one; different for different classes."""
    codes = {row["name"]: _code(row["code"], row["name"]) for row in rows if "code" in row}
    if len(set(codes.values())) != len(codes):
        raise ValueError(f"classes share codes: {codes}")
    return codes


def _level_colors(content: Mapping[str, Any], rows: list[dict[str, Any]], levels: list[str]) -> dict[str, Any]:
    """Colours of the grouped classes: level -> class -> colour."""
    tables = _table(content, "colors", set(levels))
    colors = {}
    for level in tables:
        of_level = _table(tables, level, {row[level] for row in rows})
        colors[level] = {name: _color(value, name) for name, value in of_level.items()}
    return colors


def _targets(rules: Mapping[str, Any], key: str, known: set[str]) -> dict[str, str]:
    """Words in lower case -> class or region, which must be known."""
    targets = {word.lower(): _text(target, f"{key} {word!r}") for word, target in _table(rules, key).items()}
    if unknown := sorted(set(targets.values()) - known):
        raise ValueError(f"normalise.{key} leads to unknown classes {quoted(unknown)}")
    if "" in targets:
        raise ValueError(f"normalise.{key} has an empty word")
    return targets


def _table(content: Mapping[str, Any], key: str, allowed: set[str] | None = None) -> dict[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"expected a table [{key}], got {type(value).__name__}")
    if allowed is not None and (unknown := sorted(set(value) - allowed)):
        raise ValueError(f"[{key}] has unknown entries {quoted(unknown)}; expected {quoted(sorted(allowed))}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{what}: expected a text, got {value!r}")
    return value


def _texts(content: Mapping[str, Any], key: str) -> list[str]:
    values = content.get(key, [])
    if not isinstance(values, list) or len(set(map(str, values))) != len(values):
        raise ValueError(f"{key}: expected a list of different texts, got {values!r}")
    return [_text(value, key) for value in values]


def _code(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65_535:
        raise ValueError(f"code of {what!r}: expected a whole number from 0 to 65,535, got {value!r}")
    return value


def _color(value: Any, what: str) -> Color:
    is_triple = isinstance(value, list) and len(value) == 3
    if not is_triple or not all(type(part) is int and 0 <= part <= 255 for part in value):
        raise ValueError(f"color of {what!r}: expected red, green and blue from 0 to 255, got {value!r}")
    return (value[0], value[1], value[2])
