"""What decided inside a model, in a real browser: of a label and of a token, with its test."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Open, Site
from tests.e2e.faults import TOO_WIDE, serious_faults
from tests.server.catalogue import write_catalogue
from tests.server.runs import HOSTILE
from tests.server.served import make_service, running
from tests.steering.planted_folder import save_steerable
from tests.steering.planted_lm import save_planted

from sparsepath.artifacts.decision import DecisionCard
from sparsepath.audit.database import open_database
from sparsepath.evaluate.decision import replay

pytestmark = pytest.mark.e2e

TEXT = "my card is not refund money"


@pytest.fixture(scope="module")
def sorts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("models")
    folder = save_steerable(tmp_path_factory.mktemp("made")).rename(place / "sorts")
    write_catalogue(folder, n=32)
    with (
        open_database(str(place / "log.db")) as database,
        running(make_service(folder, database)) as client,
    ):
        yield Site(client, database)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("runs")
    write_catalogue(save_planted(place / "counts"))
    with (
        open_database(str(place / "log.db")) as database,
        running(make_service(place / "counts", database)) as client,
    ):
        yield Site(client, database)


def _saved(page: Any, button: str) -> dict[str, Any]:
    with page.expect_download() as caught:
        page.get_by_role("button", name=button).click()
    content: dict[str, Any] = json.loads(Path(caught.value.path()).read_text(encoding="utf-8"))
    return content


def _check(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert serious_faults(page) == []
    for width in (380, 768, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        assert page.evaluate(TOO_WIDE) == [], width


def test_neurons_and_heads_of_a_label_are_ranked_and_tested(open_page: Open, sorts: Site) -> None:
    page = open_page(f"/why#text={TEXT} {HOSTILE}", url=sorts.url)
    page.get_by_role("button", name="Look inside").click()
    page.get_by_text("Only the named ones").wait_for()
    card = _saved(page, "Download the record")
    inside = card["inside"]
    assert inside["label"] == card["answer"]["label"]
    shown = page.locator(".bars.wide").first.locator(".code").all_inner_texts()
    ranked = sorted(inside["units"], key=lambda unit: -abs(unit["score"]))
    assert shown == [unit["name"] for unit in ranked][: len(shown)]
    assert page.locator("table.shares tbody tr").count() == 5
    record = sorts.client.ask("GET", f"/api/v1/audit/{inside['record']['seq']}").json
    assert record["kind"] == "decision.explain"
    page.locator(".bars.wide a.code").first.click()
    page.wait_for_url("**/neurons?*")
    page.get_by_role("heading", level=1).wait_for()


@pytest.mark.parametrize(("lang", "button"), [("en", "Look inside"), ("ja", "中を見る")])
def test_the_inside_has_no_fault_and_fits(
    open_page: Open, sorts: Site, lang: str, button: str
) -> None:
    page = open_page(f"/why?lang={lang}#text={TEXT}", dark=lang == "ja", url=sorts.url)
    page.get_by_role("button", name=button).click()
    page.locator("table.shares").wait_for()
    _check(page)


def test_a_token_is_explained_and_its_card_replays(open_page: Open, counts: Site) -> None:
    page = open_page("/", url=counts.url)
    page.get_by_role("link", name="Why?").click()
    page.get_by_label("A text that the model goes on with").fill("one two three")
    page.get_by_role("button", name="Explain the next token").click()
    answer = page.locator(".answer")
    answer.wait_for()
    assert "one" in answer.inner_text()
    card = DecisionCard.model_validate(_saved(page, "Download the audit card"))
    assert replay(counts.client.service.model.folder, card) == []
    page.get_by_text("Ask otherwise").click()
    page.get_by_label("Token to explain").fill("fire")
    page.get_by_label("Another text").fill("one two")
    page.get_by_role("button", name="Explain the next token").click()
    page.get_by_text("The named ones from the other text").wait_for()
    assert "target=fire" in page.url
    # A link shows the same, and no server sees the text in it.
    link = open_page(page.url.removeprefix(counts.url), url=counts.url)
    assert "fire" in link.locator(".answer").inner_text()


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_an_explained_token_has_no_fault_and_fits(open_page: Open, counts: Site, lang: str) -> None:
    page = open_page(f"/why?lang={lang}#text=one two", dark=lang == "ja", url=counts.url)
    page.locator("table.shares").wait_for()
    _check(page)
    page.locator("textarea#text").fill("one " * 80)
    page.locator("form.ask button[type=submit]").click()
    page.locator("[role=alert]").wait_for()
