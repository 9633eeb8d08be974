"""Fixtures of all tests: where the real data are, and when their absence is a failure."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("crowdtruth", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("crowdtruth")

_DATA = os.environ.get("CROWDTRUTH_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
_REQUIRED = {word for word in os.environ.get("CROWDTRUTH_REQUIRE", "").split(",") if word}


def skip_or_fail(what: str, reason: str) -> None:
    """Skip the test, or fail it where `what` is required (``CROWDTRUTH_REQUIRE=data,browser``)."""
    if what in _REQUIRED:
        pytest.fail(f"{reason}, and CROWDTRUTH_REQUIRE asks for {what}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data that lie beside the repository."""
    folder = Path(_DATA)
    if not (folder / "README.md").exists():
        skip_or_fail("data", f"no real data at {folder} (set CROWDTRUTH_DATA)")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser, from ``CROWDTRUTH_CHROMIUM`` or the search path."""
    browser = os.environ.get("CROWDTRUTH_CHROMIUM") or shutil.which("chromium")
    if not browser or not Path(browser).exists():
        skip_or_fail("browser", "no chromium found (set CROWDTRUTH_CHROMIUM)")
    return str(browser)
