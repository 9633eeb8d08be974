"""The documentation in a real browser: it opens from disk, shows its pages, and loads nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tests.conftest as fixtures

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.mark.browser
@pytest.mark.parametrize(
    ("page", "words"),
    [("index.html", "one answer per object"), ("methods/truth/index.html", "Pseudo-counts"),
     ("tutorials/asthma/index.html", "Mastzellen")],
)  # fmt: skip
def test_page__is_shown_by_a_browser(site: Path, chromium: str, page: str, words: str) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
    shown = subprocess.run(
        [chromium, *flags, (site / page).as_uri()], check=True, capture_output=True, text=True, timeout=120
    ).stdout
    assert words in shown


def test_site__loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](https?://[^\"']+)", page.read_text())
        assert not [url for url in loaded if "canonical" not in url], page


def test_site__has_no_placeholder(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert not re.search(r"\b(TODO|TBD|FIXME|TWOCORES)\b|measured below", page.read_text(encoding="utf-8")), page


def test_skip_or_fail__fails_only_what_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixtures, "_REQUIRED", {"browser"})
    with pytest.raises(pytest.fail.Exception, match="CROWDTRUTH_REQUIRE asks for browser"):
        fixtures.skip_or_fail("browser", "no chromium found")
    with pytest.raises(pytest.skip.Exception, match="no real data"):
        fixtures.skip_or_fail("data", "no real data")
