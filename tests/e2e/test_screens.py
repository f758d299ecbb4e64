"""Each screen in a real browser, against a real server with a real small model."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Open, Site, go
from tests.e2e.faults import TOO_WIDE, serious_faults
from tests.server.runs import HOSTILE
from tests.server.served import make_service, running

from sparsepath.audit.database import open_database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.keys import add_key

pytestmark = pytest.mark.e2e

SCREENS = {
    "start": "/",
    "poc": "/poc?run=tickets&acc=80",
    "why": "/why#text=a%20good%20day%20a%20poor%20bad%20day",
    "neurons": "/neurons?model=lm",
    "neuron": "/neurons?model=lm&neuron=L00%2F0",
}
SHOWN = {
    "start": ".cards .card",
    "poc": ".scroll li",
    "why": ".told",
    "neurons": ".scroll li",
    "neuron": ".examples li",
}
"""What is there when a screen is whole."""


@pytest.mark.parametrize(("lang", "dark"), [("en", False), ("ja", True)])
def test_no_screen_has_a_fault_or_is_wider_than_it_may_be(
    open_page: Open, site: Site, lang: str, dark: bool
) -> None:
    page = open_page(f"/?lang={lang}", dark=dark)
    for name, path in SCREENS.items():
        go(page, site.url + with_lang(path, lang))
        page.locator(SHOWN[name]).first.wait_for()
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert serious_faults(page) == [], name
        for width in (380, 768, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(100)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            assert page.evaluate(TOO_WIDE) == [], (name, width)
        page.set_viewport_size({"width": 1280, "height": 900})


def test_the_start_leads_to_every_screen_and_keeps_the_language(open_page: Open) -> None:
    page = open_page("/")
    page.get_by_role("button", name="日本語").click()
    assert page.get_by_role("heading", level=1).inner_text() == "ここでできること"
    assert page.evaluate("document.documentElement.lang") == "ja"
    for name in ("PoC", "判断の理由", "ニューロン"):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        page.wait_for_selector("h1")
        page.wait_for_url("**lang=ja*")
    page.get_by_role("button", name="English").click()
    assert "What do its neurons" in page.get_by_role("heading", level=1).inner_text()


def test_the_theme_is_that_of_the_system_until_it_is_changed(open_page: Open) -> None:
    page = open_page("/", dark=True)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Light or dark").click()
    page.reload()
    page.wait_for_selector("h1")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_wish_shows_the_model_that_meets_it_and_a_link_shows_the_same(open_page: Open) -> None:
    page = open_page("/poc?run=tickets")
    met = page.locator(".met")
    assert "Recommended by the run" in met.inner_text()
    assert met.locator(".name").inner_text().startswith("light")
    slider = page.get_by_role("slider", name="Correct at least")
    slider.focus()
    slider.press("End")
    assert met.locator(".name").inner_text().startswith("full")
    assert "acc=95.0" in page.url
    again = open_page(page.url.removeprefix(page.url.split("/poc")[0]))
    assert again.locator(".met .name").inner_text().startswith("full")
    page.get_by_role("slider", name="Answers within").press("Home")
    assert "No measured model meets all of this" in met.inner_text()
    page.get_by_role("button", name="Back to the run's recommendation").click()
    assert met.locator(".name").inner_text().startswith("light")


def test_any_two_are_compared_down_to_the_rows(open_page: Open) -> None:
    page = open_page("/poc?run=tickets&first=full&second=light")
    verdict = page.locator(".verdict")
    assert "light gets fewer rows right than full: \N{MINUS SIGN}5.0 points" in verdict.inner_text()
    rows = page.get_by_role("region", name="Row by row")
    assert "row 70" in rows.inner_text()
    assert HOSTILE in rows.inner_text()
    page.get_by_label("Which rows").select_option("all")
    page.get_by_text("400 rows", exact=True).wait_for()
    region = page.get_by_role("region", name="Row by row")
    region.evaluate("box => { box.scrollTop = box.scrollHeight }")
    page.get_by_text("row 2793", exact=True).wait_for()
    assert page.locator(".scroll li").count() < 40
    assert "which=all" in page.url


def test_markup_in_names_of_runs_and_labels_is_only_text(open_page: Open) -> None:
    page = open_page("/poc?run=" + "%3Cb%3E%E3%82%AB%E3%83%BC%E3%83%89")
    assert page.locator("main select").first.input_value() == "<b>カード"
    page.get_by_role("button", name=HOSTILE).first.click()
    assert page.get_by_label("True label").input_value() == HOSTILE
    assert page.locator("main b, main img").count() == 0


def test_a_decision_is_explained_tested_and_saved(open_page: Open, site: Site) -> None:
    page = open_page("/why")
    text = f"a very bad day 😀 a good day a poor day {HOSTILE}"
    page.get_by_label("A text").fill(text)
    page.get_by_label("A text").press("Control+Enter")
    answer = page.locator(".answer").inner_text()
    assert re.match(r"(left|right)\s+\d+\.\d%", answer)
    assert page.locator(".told").inner_text() == text
    assert page.locator("main img").count() == 0
    before = n_decisions(site)
    page.get_by_role("button", name="Run the test").click()
    verdict = page.locator(".verdict")
    verdict.wait_for()
    assert "Of 20 random sets" in verdict.inner_text()
    assert n_decisions(site) == before + 21
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download the record").click()
    card = json.loads(Path(caught.value.path()).read_text(encoding="utf-8"))
    assert card["text"] == text
    assert len(card["test"]["random"]) == 20
    records = [json.loads(line) for line in exported_lines(site.database, with_texts=False)]
    assert card["answer"]["record"]["hash"] in {record["hash"] for record in records}
    link = open_page(page.url.removeprefix(site.url))
    assert link.locator(".answer").inner_text() == answer


def test_neurons_are_searched_opened_and_spoken_of(open_page: Open) -> None:
    page = open_page("/neurons?model=lm")
    page.locator(".scroll li").nth(7).wait_for()
    assert page.locator(".scroll li").count() < 60
    page.get_by_role("searchbox").fill("case 17")
    page.wait_for_url("**q=case+17*")
    page.get_by_role("link", name="L00/17", exact=True).click()
    page.get_by_role("heading", level=1, name="L00/17").wait_for()
    assert "refund" in page.locator(".context").first.inner_text()
    page.get_by_label("wrong").check()
    page.get_by_label("Note").fill(HOSTILE)
    page.get_by_role("button", name="Keep it").click()
    page.get_by_text("disagrees with the automatic label").wait_for()
    assert page.locator("main img").count() == 0
    assert HOSTILE in page.locator(".card").inner_text()


def test_every_control_of_a_screen_is_reached_by_the_keyboard(open_page: Open) -> None:
    page = open_page("/poc?run=tickets")
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(document.activeElement.textContent || document.activeElement.tagName).trim()"
            )
        )
    assert {"Skip to the content", "Start", "日本語", "INPUT", "light", "Size"} <= reached
    page.keyboard.press("Home")
    page.get_by_role("link", name="Skip to the content").press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_with_keys_the_page_asks_for_one(open_page: Open, site: Site, tmp_path: Path) -> None:
    with open_database(str(tmp_path / "keys.db")) as database:
        secret = add_key(database, "viewer", "viewer", by="tests").secret
        folder = site.client.service.model.folder
        with running(make_service(folder, database, needs_keys=True)) as client:
            page = open_page("/", url=f"http://127.0.0.1:{client.port}")
            field = page.get_by_label("API key")
            field.fill("wrong")
            field.press("Enter")
            page.get_by_role("alert").wait_for()
            field.fill(secret)
            field.press("Enter")
            page.get_by_role("heading", name="Runs you can open").wait_for()
            page.reload()
            page.get_by_role("heading", name="Runs you can open").wait_for()
            assert secret not in page.content()
            page.get_by_role("button", name="Forget the key").click()
            page.get_by_label("API key").wait_for()
            page.context.close()


def test_without_sockets_and_events_every_screen_is_whole(browser: Any, site: Site) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.add_init_script("delete window.WebSocket; delete window.EventSource;")
    page, troubles = context.new_page(), []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    for name, path in SCREENS.items():
        go(page, site.url + path)
        page.locator(SHOWN[name]).first.wait_for()
        assert page.evaluate("typeof WebSocket + typeof EventSource") == "undefinedundefined"
    context.close()
    assert troubles == []


def with_lang(path: str, lang: str) -> str:
    path, hash_, text = path.partition("#")
    return f"{path}{'&' if '?' in path else '?'}lang={lang}{hash_}{text}"


def n_decisions(site: Site) -> int:
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in exported_lines(site.database, with_texts=False)
    ]
    return sum(line["kind"] == "decision" for line in lines)
