"""The screen Steer in a real browser: a language model that writes, a classifier that answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Open, Site, go
from tests.e2e.test_screens import TOO_WIDE, serious_faults
from tests.server.catalogue import write_catalogue
from tests.server.served import make_service, running
from tests.steering.planted_folder import save_steerable
from tests.steering.planted_lm import save_planted

from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.steering import read_preset
from sparsepath.audit.database import open_database
from sparsepath.audit.keys import add_key

pytestmark = pytest.mark.e2e

EDIT = "neuron=L02/7&value=0.8"
TEXT = "my card is not with the pin"


def _site(folder: Path, **options: Any) -> Iterator[Site]:
    place = folder.parent
    with open_database(str(place / "log.db")) as database:
        service = make_service(folder, database, store=place / "store", **options)
        with running(service) as client:
            yield Site(client, database)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = save_planted(tmp_path_factory.mktemp("writer") / "counts")
    write_catalogue(folder)
    yield from _site(folder)


@pytest.fixture(scope="module")
def sorter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from _site(save_steerable(tmp_path_factory.mktemp("sorter")))


def test_a_neuron_is_found_turned_and_both_texts_are_written(open_page: Open, writer: Site) -> None:
    page = open_page("/steer", url=writer.url)
    page.get_by_role("searchbox", name="Neuron or concept").fill("case 7")
    page.get_by_role("button", name="L00/7 fires").click()
    page.wait_for_url("**neuron=L00*")
    page.get_by_text("It never fired on ordinary text").wait_for()
    page.get_by_role("searchbox", name="Neuron or concept").fill("L02/7")
    page.wait_for_url("**neuron=L02*")
    page.get_by_role("textbox", name="Strength", exact=True).fill("0.8")
    page.get_by_text("As it is written: L02/7=0.8").wait_for()
    page.get_by_label("How the text begins").fill("one")
    page.get_by_label("How the text begins").press("Control+Enter")
    page.get_by_text("Record").nth(1).wait_for()
    plain, steered = page.locator(".sides .text").all_inner_texts()
    assert "fire" not in plain
    assert "fire" in steered
    again = open_page(page.url.removeprefix(writer.url), url=writer.url)
    assert again.get_by_label("How the text begins").input_value() == "one"
    assert again.get_by_role("textbox", name="Strength", exact=True).input_value() == "0.8"


def test_a_strength_that_breaks_the_model_is_refused(open_page: Open, writer: Site) -> None:
    page = open_page("/steer?neuron=L02/7&value=4000#text=one", url=writer.url)
    page.get_by_role("button", name="Write both").click()
    assert "beyond the limit" in page.get_by_role("alert").inner_text()
    page.get_by_role("textbox", name="Name", exact=True).fill("wild")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("alert").nth(1).wait_for()
    assert not (writer.client.service.model.folder / "presets" / "wild.json").exists()


def test_strengths_are_measured_and_the_best_is_taken(open_page: Open, writer: Site) -> None:
    page = open_page("/steer?neuron=L02/7&value=0.1", url=writer.url)
    page.get_by_label("Words that carry the concept").fill("fire, flame")
    page.get_by_role("textbox", name="Strengths").fill("0.2,0.7,2")
    page.get_by_role("button", name="Measure").click()
    page.locator(".verdict").wait_for()
    assert page.locator("tbody tr").count() == 4
    page.get_by_role("button", name="Show 3 points of the other neuron too").click()
    assert page.locator("tbody tr").count() == 7
    assert page.locator(".curve").count() == 2
    page.reload()
    page.locator(".verdict").wait_for()
    if "Best strength" in page.locator(".verdict").inner_text():
        page.get_by_role("button", name="Take this strength").click()
        assert page.get_by_role("textbox", name="Strength", exact=True).input_value() != "0.1"
    page.get_by_label("Words that carry the concept").fill("nothing")
    page.get_by_role("textbox", name="Strengths").fill("0.2")
    page.get_by_role("button", name="Measure").click()
    page.get_by_text("No strength works.").wait_for()
    page.get_by_text("Earlier measurements").click()
    page.get_by_role("button", name="L02/7").first.click()
    page.get_by_text("words: fire, flame").wait_for()


def test_a_preset_is_saved_and_approval_is_asked_for_never_given(
    open_page: Open, tmp_path: Path
) -> None:
    folder = save_planted(tmp_path / "counts")
    for site in _site(folder):
        page = open_page(f"/steer?{EDIT}#text=one", url=site.url)
        page.get_by_role("textbox", name="Name", exact=True).fill("fiery")
        page.get_by_label("What it is for").first.fill("a <b>warm</b> tone")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("fiery is saved").wait_for()
        kept = read_preset(folder, "fiery", weights_sha256(folder))
        assert [str(edit) for edit in kept.edits] == ["L02/7=0.8"]
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_label("Replace fiery").wait_for()
        page.get_by_label("Allowed uses").fill("draft-reply")
        page.get_by_label("Who answers for it").fill("Support")
        page.get_by_label("from", exact=True).fill("0")
        page.get_by_label("to", exact=True).fill("1")
        page.get_by_role("button", name="Propose the policy").click()
        page.get_by_text("Somebody else must approve it").wait_for()
        told = site.client.ask("GET", "/api/v1/policies").json["policies"][0]
        assert (told["state"], told["policy"]["uses"]) == ("proposed", ["draft-reply"])
        assert told["policy"]["neurons"][0]["set"] == [0, 1]
        page.get_by_role("button", name="Try it").click()
        page.get_by_role("button", name="Write both").click()
        page.get_by_text("the rule not-approved of policy fiery").wait_for()
        page.context.close()


def test_a_classifier_answers_side_by_side(open_page: Open, sorter: Site) -> None:
    page = open_page("/steer?neuron=L01/0&value=3", url=sorter.url)
    assert page.get_by_label("Where").count() == 0
    page.get_by_label("A text").fill(TEXT)
    page.get_by_role("button", name="Answer both").click()
    turned = page.locator(".verdict").first
    assert "from \u201ccard\u201d to \u201crefund\u201d" in turned.inner_text()
    assert page.locator(".both tbody tr").count() == 3
    page.get_by_label("Labelled table").set_input_files(
        sorter.client.service.model.folder.parent / "table.csv"
    )
    page.get_by_label("Rows labelled").select_option("card")
    page.get_by_role("textbox", name="Strengths").fill("0.5x,1x,2x")
    page.get_by_role("button", name="Measure").click()
    page.locator(".chart").first.wait_for(timeout=90_000)
    assert "answered \u201crefund\u201d" in page.locator(".axis").first.text_content()


def test_a_neurons_page_leads_to_steering_it(open_page: Open, writer: Site, site: Site) -> None:
    page = open_page("/neurons?neuron=L00%2F3", url=writer.url)
    page.get_by_role("link", name="Turn it up or down").click()
    assert page.get_by_role("searchbox", name="Neuron or concept").input_value() == "L00/3"
    other = open_page("/neurons?model=lm&neuron=L00%2F3", url=site.url)
    assert other.get_by_role("link", name="Turn it up or down").count() == 0
    go(other, f"{site.url}/steer")
    other.get_by_text("The model that answers here cannot be steered").wait_for()


def test_a_viewer_tries_and_saves_nothing(open_page: Open, writer: Site, tmp_path: Path) -> None:
    with open_database(str(tmp_path / "keys.db")) as database:
        secret = add_key(database, "viewer", "viewer", by="tests").secret
        folder = writer.client.service.model.folder
        with running(make_service(folder, database, needs_keys=True)) as client:
            page = open_page(f"/steer?{EDIT}#text=one", url=f"http://127.0.0.1:{client.port}")
            page.get_by_label("API key").fill(secret)
            page.get_by_label("API key").press("Enter")
            page.get_by_role("button", name="Write both").click()
            page.get_by_text("Record").nth(1).wait_for()
            assert page.get_by_text("This needs a key with the role operator").count() >= 2
            assert page.get_by_role("button", name="Save", exact=True).count() == 0
            page.context.close()


@pytest.mark.parametrize(("lang", "dark"), [("en", False), ("ja", True)])
def test_the_screen_has_no_fault_and_is_never_too_wide(
    open_page: Open, writer: Site, sorter: Site, lang: str, dark: bool
) -> None:
    save = {"name": "warm", "steer": ["L02/7=0.5"], "replace": True}
    assert writer.client.ask("POST", "/api/v1/steering/presets", save).status == 201
    page = open_page(f"/?lang={lang}", dark=dark, url=writer.url)
    for where, path in (
        (
            writer,
            f"/steer?{EDIT}&lang={lang}&also=L01/3*2&approve=warm&at=slice&when=after#text=one",
        ),
        (sorter, f"/steer?neuron=L01/0&value=3&lang={lang}#text=my%20card"),
    ):
        go(page, where.url + path)
        page.locator("button.primary").click()
        page.locator(".sides .text, .both").first.wait_for()
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert serious_faults(page) == []
        for width in (380, 768, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(100)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, width
            assert page.evaluate(TOO_WIDE) == [], width
        page.set_viewport_size({"width": 1280, "height": 900})
