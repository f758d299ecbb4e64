"""The screen Pathways in a real browser, with a model of 24 layers and 16 heads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Open, Site, go
from tests.e2e.faults import TOO_WIDE, serious_faults
from tests.server.served import make_service, running
from tests.server.wide_run import N_HEADS, N_LAYERS, parts, write_wide_run

from sparsepath.audit.database import open_database

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def wide(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("wide")
    write_wide_run(place / "wide")
    write_wide_run(place / "bare")
    (place / "bare" / "analysis.json").unlink()
    with open_database(str(place / "log.db")) as database:
        service = make_service(model_folder, database, runs=place)
        with running(service) as client:
            yield Site(client, database)


@pytest.mark.parametrize(("lang", "dark"), [("en", False), ("ja", True)])
def test_24_layers_have_no_fault_and_fit_every_width(
    open_page: Open, wide: Site, lang: str, dark: bool
) -> None:
    page = open_page(f"/?lang={lang}", dark=dark, url=wide.url)
    for view, shown in (("grid", ".parts td"), ("graph", ".layer")):
        go(page, f"{wide.url}/pathways?run=wide&view={view}&lang={lang}")
        page.locator(shown).first.wait_for()
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert serious_faults(page) == [], view
        for width in (380, 768, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(100)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (view, width)
            assert page.evaluate(TOO_WIDE) == [], (view, width)
        page.set_viewport_size({"width": 1280, "height": 900})


def test_the_slider_stops_at_measured_models_only_and_shows_what_each_kept(
    open_page: Open, wide: Site
) -> None:
    page = open_page("/pathways?run=wide&point=sub-01", url=wide.url)
    slider = page.get_by_role("slider")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("0", "2")
    heads = page.get_by_role("grid", name="Attention heads").get_by_role("gridcell")
    assert heads.count() == N_LAYERS * N_HEADS
    for name in ("sub-01", "sub-02", "full"):
        page.locator(".point-card .name", has_text=name).wait_for()
        kept = page.locator(".parts.heads td.stays").count()
        assert kept == sum(len(layer["heads"]) for layer in parts(name))
        assert name in slider.get_attribute("aria-valuetext")
        slider.press("ArrowRight")
    assert "point=full" in page.url
    slider.press("Home")
    card = page.locator(".point-card").inner_text()
    for figure in ("20.0 MB", "2.00 ms", "71.0%", "68.0% \u2013 74.0%", "3 of 24 layers"):
        assert figure in card
    assert "models/sub-01/config.json" in card
    evidence = page.get_by_role("link", name="Its figures and answers")
    assert evidence.get_attribute("href") == "/poc?run=wide&second=sub-01"


def test_parts_are_reached_by_the_keyboard_and_told_in_words(open_page: Open, wide: Site) -> None:
    page = open_page("/pathways?run=wide&point=sub-01", url=wide.url)
    page.locator('.parts.heads [data-at="0-0"]').focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert page.locator(".reading").inner_text().startswith("L03.H01: stays; ")
    page.keyboard.press("Home")
    assert page.locator(".reading").inner_text().startswith("L03.H00: removed; ")
    page.get_by_text("The same as a table").click()
    row = page.get_by_role("row").filter(has_text="L23").last
    assert "2 of 16" in row.inner_text()
    assert "256 of 4,096" in row.inner_text()
    page.get_by_label("graph").check()
    page.locator('.layer[data-at="0"]').focus()
    page.keyboard.press("End")
    assert "L23: 2 of 16 heads stay (H00, H15)" in page.locator(".reading").inner_text()
    assert "view=graph" in page.url


def test_a_run_without_scores_says_which_command_makes_them(open_page: Open, wide: Site) -> None:
    page = open_page("/pathways?run=bare", url=wide.url)
    notice = page.locator(".notice").inner_text()
    assert "no importance of parts" in notice
    assert "sparsepath poc TABLE.csv --out bare" in notice
    assert page.locator(".parts.heads td.stays").count() > 0
    assert page.locator(".parts.groups").count() == 0
