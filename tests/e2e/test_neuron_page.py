"""A neuron's page in a real browser: other layers, checkpoints, and a text that is typed."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.conftest import Open, Site
from tests.e2e.faults import TOO_WIDE, serious_faults
from tests.server.catalogue import write_catalogue
from tests.server.runs import HOSTILE
from tests.server.served import make_service, running
from tests.steering.planted_lm import save_planted

from sparsepath.audit.database import open_database

pytestmark = pytest.mark.e2e

PAGE = "/neurons?model=counts&neuron=L01%2F7"


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("runs")
    folder = save_planted(place / "counts")
    write_catalogue(folder)
    for step, n in ((20, 300), (1000, 290)):
        made = write_catalogue(folder / "concepts", n=n)
        made.rename(made.with_name(f"step-{step}.sqlite"))
    write_catalogue(place / "elsewhere")
    with open_database(str(place / "log.db")) as database:
        service = make_service(folder, database, runs=place)
        with running(service) as client:
            yield Site(client, database)


@pytest.mark.parametrize(("lang", "dark"), [("en", False), ("ja", True)])
def test_the_page_has_no_fault_and_fits(open_page: Open, lm: Site, lang: str, dark: bool) -> None:
    page = open_page(f"{PAGE}&lang={lang}", dark=dark, url=lm.url)
    page.locator(".moments").wait_for()
    page.locator("form.say textarea").first.fill(f"one fire {HOSTILE}")
    page.locator("form.say textarea").first.press("Control+Enter")
    page.locator(".told").wait_for()
    assert serious_faults(page) == []
    for width in (380, 768, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        assert page.evaluate(TOO_WIDE) == [], width


def _fired(page: Any) -> list[str]:
    page.locator(".told").wait_for()
    return [text.split("(")[0].strip() for text in page.locator(".told .at").all_inner_texts()]


def test_a_neuron_fires_in_a_typed_text_in_every_layer(open_page: Open, lm: Site) -> None:
    page = open_page(PAGE, url=lm.url)
    page.get_by_label("A text, 2,000 characters").fill("one fire ice fire")
    page.get_by_role("button", name="Read it").click()
    page.get_by_text("It fires at 2 of 4 tokens.").wait_for()
    assert _fired(page) == ["fire", "fire"]
    strip = page.locator(".strip tbody tr")
    assert [row.get_attribute("aria-current") for row in strip.all()] == [None, "true"]
    strip.nth(0).get_by_role("link").click()
    page.wait_for_url("**neuron=L00*#text=one%20fire*")
    assert page.get_by_label("A text, 2,000 characters").input_value() == "one fire ice fire"
    assert _fired(page) == ["fire", "fire"]


def test_a_link_shows_the_same_text_and_checkpoint(open_page: Open, lm: Site) -> None:
    page = open_page(f"{PAGE}&step=20#text=ice%20fire", url=lm.url)
    assert _fired(page) == ["fire"]
    assert "Step 20" in page.locator(".moment").inner_text()
    slider = page.get_by_role("slider")
    assert slider.get_attribute("max") == "1"
    slider.press("End")
    page.wait_for_url("**step=1000*#text=ice%20fire")
    assert "Step 1,000" in page.locator(".moment").inner_text()
    assert "means what it meant" in page.locator(".moment").inner_text()


def test_another_models_neuron_says_which_commands_are_needed(open_page: Open, lm: Site) -> None:
    page = open_page("/neurons?model=elsewhere&neuron=L01%2F7", url=lm.url)
    page.get_by_text("sparsepath serve elsewhere").wait_for()
    page.get_by_text("sparsepath concepts track elsewhere --corpus CORPUS").wait_for()
