"""The taxonomy that travels with a study: ``taxonomy.toml`` in a folder, the same entries in a COCO file."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crowdtruth.files import TOML_LIMIT, atomic_write
from crowdtruth.problems import StudyError
from crowdtruth.taxonomy import Taxonomy, load_taxonomy, parse_taxonomy

TAXONOMY_FILE = "taxonomy.toml"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def read_taxonomy_file(folder: Path) -> Taxonomy | None:
    """The taxonomy in a study's folder; None where there is none.

    Raises
    ------
    StudyError
        If ``taxonomy.toml`` is there but is not a taxonomy.
    """
    path = folder / TAXONOMY_FILE
    if not path.exists():
        return None
    try:
        return load_taxonomy(path)
    except (ValueError, OSError) as error:
        raise StudyError(f"{error}; mend the file or name another taxonomy") from error


def write_taxonomy_file(taxonomy: Taxonomy, folder: Path) -> None:
    """Write a taxonomy with all it holds as ``taxonomy.toml``.

    Raises
    ------
    ValueError
        If it is larger than what is read back.
    WriteError
        If the file cannot be written.
    """
    text = _as_toml(taxonomy_content(taxonomy))
    _check_size(len(text.encode()))
    with atomic_write(folder / TAXONOMY_FILE, text=True) as handle:
        handle.write(text)


def taxonomy_from(content: Any, name: str) -> Taxonomy:
    """The taxonomy in the parsed entries of a JSON file, checked as one from TOML is.

    Raises
    ------
    StudyError
        If it is too large or not a taxonomy; `name` says where it stands.
    """
    try:
        if not isinstance(content, dict):
            raise ValueError(f"expected the entries of a taxonomy, got {type(content).__name__}")
        _check_size(len(json.dumps(content)))
        return parse_taxonomy(content)
    except RecursionError as error:
        raise StudyError(f"{name}: nested too deeply for a taxonomy") from error
    except ValueError as error:
        raise StudyError(f"{name}: {error}; mend the file or name another taxonomy") from error


def taxonomy_content(taxonomy: Taxonomy) -> dict[str, Any]:
    """All entries of a taxonomy, as `parse_taxonomy` reads them.

    Raises
    ------
    ValueError
        If they are more than what is read back.

    Examples
    --------
    >>> nucls = load_taxonomy("nucls")
    >>> parse_taxonomy(taxonomy_content(nucls)) == nucls
    True
    """
    regions = {} if taxonomy.region_code is None else {"code": taxonomy.region_code}
    styles = {name: list(color) for name, color in taxonomy.regions.items()}
    rules = {"drop": sorted(taxonomy.dropped), "exact": dict(taxonomy.synonyms), "parts": dict(taxonomy.word_parts)}
    colors = {
        level: {name: list(color) for name, color in of_level.items()}
        for level, of_level in taxonomy.level_colors.items()
    }
    content = {
        "name": taxonomy.name,
        "levels": list(taxonomy.levels),
        "prefixes": list(taxonomy.prefixes),
        "classes": [_class_entry(taxonomy, name) for name in taxonomy.classes],
        "colors": colors,
        "regions": regions | ({"styles": styles} if styles else {}),
        "normalise": rules,
    }
    _check_size(len(json.dumps(content)))
    return content


def _check_size(n_bytes: int) -> None:
    if n_bytes > TOML_LIMIT:
        raise ValueError(f"a taxonomy has at most {TOML_LIMIT:,} bytes, this one {n_bytes:,}")


def _class_entry(taxonomy: Taxonomy, name: str) -> dict[str, Any]:
    """The entry of one raw class: code and colour, if it has them, and its class in every level."""
    code = {"code": taxonomy.codes[name]} if name in taxonomy.codes else {}
    color = {"color": list(taxonomy.colors[name])} if name in taxonomy.colors else {}
    return {"name": name} | code | color | {level: class_of[name] for level, class_of in taxonomy.levels.items()}


def _as_toml(content: Mapping[str, Any], place: str = "") -> str:
    """Tables, lists of tables, and lists of texts or numbers as TOML; `place` is the name of the table itself."""
    plain, parts = [], []
    for key, value in content.items():
        name = f"{place}.{_key(key)}" if place else _key(key)
        if isinstance(value, dict):
            parts.append(f"\n[{name}]\n{_as_toml(value, name)}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            parts += [f"\n[[{name}]]\n{_as_toml(entry, name)}" for entry in value]
        else:
            plain.append(f"{_key(key)} = {_value(value)}\n")
    return "".join([*plain, *parts])


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    """A text, whole number or list of them; JSON writes them as TOML does, but for the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
