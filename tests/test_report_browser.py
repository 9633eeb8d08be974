"""The report in a real browser: it opens from disk, draws, filters and exports, and asks the network for nothing."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from crowdtruth.formats import read_study, write_study
from crowdtruth.options import RunOptions
from crowdtruth.pipeline import run_study
from crowdtruth.plots import figure_bytes
from crowdtruth.report import write_report
from crowdtruth.results import ResultFolder
from crowdtruth.study import Study
from crowdtruth.synthetic import synthesise

pytestmark = pytest.mark.browser
LABEL = '</script><img src="x" onerror="alert(1)">'  # what a hostile class is called


@dataclass
class Opened:
    """A page in the browser, with all it said and asked for."""

    page: Any
    errors: list[str]
    requests: list[str]


def drawn_study(folder: Path) -> Study:
    """A synthetic study on disk with images, times and a class with a hostile name."""
    study = synthesise("demo", n_fovs=5, seed=3).study
    marks = study.annotations.replace({"label": {"macrophage": LABEL, "unlabeled": LABEL}})
    created = pd.Timestamp("2026-01-05") + pd.to_timedelta(np.arange(len(marks)), unit="min")
    fovs = study.fovs.assign(image=[f"rgb/{fov}.png" for fov in study.fovs["fov"]])
    reference = study.reference.replace({"label": {"macrophage": LABEL, "unlabeled": LABEL}})
    made = replace(
        study, annotations=marks.assign(created=created.astype("str")), fovs=fovs, reference=reference, taxonomy=None
    )
    write_study(made, folder, format="csv")
    (folder / "rgb").mkdir()
    rng = np.random.default_rng(0)
    for fov in fovs["fov"]:
        Image.fromarray(rng.integers(120, 250, (320, 320, 3), dtype=np.uint8)).save(folder / "rgb" / f"{fov}.png")
    return read_study(folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[ResultFolder, Study]:
    """Results of a run on that study."""
    folder = tmp_path_factory.mktemp("report")
    study = drawn_study(folder / "study")
    options = RunOptions(train_on="none", report=False, replicates=100, realizations=3, raters_per_fov="1-2")
    return run_study(folder / "study", folder / "results", options), study


@pytest.fixture(scope="module")
def report(results: tuple[ResultFolder, Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the run, with two figures."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    figure = figure_bytes(Figure(figsize=(3, 2)), ".svg").decode()
    figures = {"agreement": figure, "agreement-ac1": figure, "rater_map-E": figure}
    write_report(results[0], path, study=results[1], figures=figures, n_hardest=40)
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """One headless browser for all tests of this file."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Opened]:
    """The report opened from disk at 1280 pixels."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    found = Opened(page, [], [])
    page.on("console", lambda said: found.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("dialog", lambda dialog: (found.errors.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(report.as_uri())
    yield found
    context.close()


def test_report__opens_without_errors_and_asks_for_nothing_but_itself(opened: Opened, report: Path) -> None:
    opened.page.locator("#next").click()
    opened.page.wait_for_timeout(200)
    assert opened.errors == []
    outside = [url for url in opened.requests if not url.startswith(("data:", "blob:")) and url != report.as_uri()]
    assert outside == []


def test_report__policy_stops_what_a_page_could_send(opened: Opened) -> None:
    reached = opened.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'stopped')")
    assert reached == "stopped"
    assert any("Content Security Policy" in text for text in opened.errors)


def test_report__draws_every_figure(opened: Opened) -> None:
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    sizes = opened.page.eval_on_selector_all(
        "figure img",
        "all => Promise.all(all.map((one) => one.decode().then(() => [one.naturalWidth, one.clientWidth])))",
    )
    assert len(sizes) == 3
    assert all(natural > 0 and shown > 100 for natural, shown in sizes)
    drawings = opened.page.eval_on_selector_all(
        "svg", "all => all.map((one) => { const box = one.getBoundingClientRect(); return [box.width, box.height]; })"
    )
    assert len(drawings) > 20
    assert all(width > 10 and height > 4 for width, height in drawings)


def test_report__shows_the_image_and_every_box_of_the_condition(opened: Opened) -> None:
    page = opened.page
    assert page.locator("#view image").get_attribute("href").startswith("data:image/jpeg;base64,")
    boxes = page.locator("#view g").count()
    marked = page.locator("#votes tbody tr", has_not_text="marked nothing").count()
    assert boxes == marked > 0
    page.locator("#votes tbody tr").nth(0).hover()
    page.locator("#condition").select_option("")
    assert page.locator("#view g").count() > boxes


def test_report__filters_by_class_and_rater_and_keeps_them_in_the_address(opened: Opened, browser: Any) -> None:
    page = opened.page
    everything = page.locator("#strip button").count()
    assert everything == 40
    page.locator("#filter-class").select_option(label=LABEL)
    of_class = page.locator("#strip button").count()
    page.locator("#filter-rater").select_option(label="SP.1")
    page.locator("#filter-differs").check()
    of_both = page.locator("#strip button").count()
    assert 0 < of_both < of_class < everything
    assert page.locator("#state").inner_text() == (
        f"Showing {of_both} of 40 anchors: class {LABEL}, rater SP.1, who differs from the inferred label"
    )
    assert page.locator("#votes .differs", has_text="SP.1").count() > 0
    again = browser.new_page()
    again.goto(page.url)
    assert again.locator("#state").inner_text() == page.locator("#state").inner_text()
    again.close()


def test_report__arrow_keys_go_through_the_queue(opened: Opened) -> None:
    page = opened.page
    page.locator("#viewer").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#place").inner_text() == "3 of 40"
    page.keyboard.press("ArrowLeft")
    assert page.locator("#place").inner_text() == "2 of 40"
    assert page.locator("#strip [aria-current=true]").inner_text() == "2"


def download(page: Any, button: str) -> bytes:
    """The file that a button saves."""
    with page.expect_download() as waiting:
        page.locator(button).click()
    return Path(waiting.value.path()).read_bytes()


def test_report__exports_what_is_shown_as_csv(opened: Opened, results: tuple[ResultFolder, Study]) -> None:
    page = opened.page
    page.locator("#filter-class").select_option(label=LABEL)
    shown = page.locator("#strip button").count()
    table = pd.read_csv(io.BytesIO(download(page, "#export-csv")), dtype="str", keep_default_na=False)
    assert table["anchor"].nunique() == shown
    keys = ["anchor", "rater", "condition", "label"]
    ratings = results[0].table("ratings").astype("str")
    expected = ratings.loc[ratings["anchor"].isin(table["anchor"]), keys]
    pd.testing.assert_frame_equal(
        table[keys].sort_values(keys, ignore_index=True),
        expected.sort_values(keys, ignore_index=True),
        check_dtype=False,
    )


def test_report__exports_coco_that_reads_back_with_the_raters_boxes(
    opened: Opened, results: tuple[ResultFolder, Study], tmp_path: Path
) -> None:
    path = tmp_path / "hardest.json"
    path.write_bytes(download(opened.page, "#export-coco"))
    back = read_study(path)
    original = results[1].annotations.set_index("annotation")
    assert len(back.annotations) > 100
    columns = ["fov", "rater", "condition", "label", "xmin", "ymin", "xmax", "ymax"]
    expected = original.loc[back.annotations["annotation"], columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(back.annotations[columns], expected)
    cohort_of = results[1].raters.set_index("rater")["cohort"]
    assert back.raters["cohort"].tolist() == cohort_of[back.raters["rater"]].tolist()
    assert all("anchor" in one for one in json.loads(path.read_text())["annotations"])


@pytest.mark.parametrize("width", [800, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report__fits_the_window(opened: Opened, width: int, scheme: str) -> None:
    opened.page.emulate_media(color_scheme=scheme)
    opened.page.set_viewport_size({"width": width, "height": 900})
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width


def test_report__prints_what_is_folded_away(opened: Opened) -> None:
    count = "document.querySelectorAll('details:not([open])').length"
    folded = opened.page.evaluate(count)
    opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert (folded > 0, opened.page.evaluate(count)) == (True, 0)
    opened.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert opened.page.evaluate(count) == folded


def test_report__text_stands_out_from_its_ground(opened: Opened) -> None:
    contrast = """() => {
      const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
      const parts = (text) => text.match(/[0-9.]+/g).slice(0, 3).map((x) => linear(Number(x) / 255));
      const light = (text) => { const [r, g, b] = parts(text); return .2126 * r + .7152 * g + .0722 * b; };
      const probe = (name, ground) => {
        const node = document.createElement("i");
        document.body.append(node);
        node.style.color = `var(${name})`;
        node.style.backgroundColor = `var(${ground})`;
        const found = [getComputedStyle(node).color, getComputedStyle(node).backgroundColor].map(light);
        node.remove();
        return (Math.max(...found) + .05) / (Math.min(...found) + .05);
      };
      const names = ["--text", "--quiet", "--accent", "--low", "--high"];
      return names.flatMap((name) => ["--page", "--panel"].map((ground) => probe(name, ground)));
    }"""
    for scheme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=scheme)
        assert min(opened.page.evaluate(contrast)) >= 4.5


def test_report__names_everything_for_screen_readers(opened: Opened) -> None:
    page = opened.page
    assert page.locator("h1").count() == 1
    assert page.locator("section > h2").count() == 7
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map((one) => Number(one.tagName[1]))")
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator("table:not(:has(th))").count() == 0
    unnamed = "svg:not([aria-label]):not([aria-hidden]), select:not(label select), input:not(label input)"
    assert page.locator(unnamed).count() == 0
