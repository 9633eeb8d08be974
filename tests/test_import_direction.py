"""A file imports only from files above it, and packages only from packages to the left."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ORDER = [
    "_kernels", "arguments", "problems", "cells", "files", "images", "parallel", "taxonomy", "boxes",
    "checks", "located", "study", "formats", "merging", "clustering", "ratings", "truth", "metrics", "curves",
    "resampling", "agreement", "comparisons", "references", "outcomes", "accuracy", "ease", "outlines", "synthetic",
    "simulation", "planning", "training", "options", "results", "plots", "report", "steps", "pipeline", "summary",
    "terminal", "cli",
]  # fmt: skip

MODEL_ORDER = [
    "config", "settings", "instances", "folds", "stain", "transforms", "sampling", "labelled", "dataset", "painted",
    "box_ops", "roi_align", "losses", "inputs", "backbone", "rpn", "proposals", "heads", "suppression", "thumbnails",
    "nucls", "weights", "evaluate", "predict", "overlay", "train", "cli",
]  # fmt: skip

FORBIDDEN = {
    "crowdtruth/_kernels": {"pandas", "scipy", *(f"crowdtruth.{name}" for name in ORDER if name != "_kernels")},
    "crowdtruth": {"torch", "nucls_model", "analysis"},
    "nucls_model": {"analysis", "crowdtruth._kernels"},
    "analysis": {"crowdtruth._kernels", "numba"},
}


def imported_modules(path: Path) -> set[str]:
    """Dotted names imported anywhere in a file, with their parents and the names taken from them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names | {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package__imports_only_from_lower_layers(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        wrong = imported_modules(path) & FORBIDDEN[package]
        assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


def room_of(path: Path) -> str:
    """The first part of a path below its package: ``crowdtruth/formats/coco.py`` lies in ``formats``."""
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


def files_of(package: str) -> list[Path]:
    """Every file of a package but the lists of public names."""
    files = sorted((ROOT / package).rglob("*.py"))
    return [p for p in files if p.name != "__init__.py" or p.parent.name == "formats"]


@pytest.mark.parametrize(
    "path",
    [*files_of("crowdtruth"), *files_of("nucls_model")],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_file__imports_only_from_files_above_it(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    order = {"crowdtruth": ORDER, "nucls_model": MODEL_ORDER}[package]
    below = order[order.index(room_of(path)) + 1 :]
    wrong = imported_modules(path) & {f"{package}.{name}" for name in below}
    assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}: they come later"


def test_numba__is_imported_in_kernels_alone() -> None:
    for path in (ROOT / "crowdtruth").rglob("*.py"):
        if room_of(path) != "_kernels":
            assert "numba" not in imported_modules(path), path


def test_drawing_libraries__are_imported_for_figures_alone() -> None:
    for path in (ROOT / "crowdtruth").rglob("*.py"):
        if room_of(path) not in ("plots", "report"):
            assert not imported_modules(path) & {"matplotlib", "seaborn"}, path
