"""A real server with a run and a catalogue, and a browser; skipped where there is no Chromium."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.server.catalogue import write_catalogue
from tests.server.runs import write_run
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database

CHROMIUM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
MAX_MS = 20_000
"""A slow machine may take so long for one step."""


class Site(NamedTuple):
    """A server and its log."""

    client: Client
    database: Database

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.client.port}"


@pytest.fixture(scope="session")
def site(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("runs")
    write_run(place / "tickets", model_folder)
    write_run(place / "<b>カード")
    write_catalogue(place / "lm")
    with open_database(str(place / "log.db")) as database:
        service = make_service(place / "tickets", database, runs=place)
        with running(service) as client:
            yield Site(client, database)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install -y chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


Open = Callable[..., Any]


def go(page: Any, url: str) -> None:
    """Open an address, and wait until the screen shows what it has to show."""
    page.goto(url)
    page.wait_for_selector("h1")
    page.locator(".loading").first.wait_for(state="hidden")


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Open]:
    """Open an address; in the end no script of a text ran, and the console has no error."""
    contexts, troubles = [], []

    def heard(message: Any) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            troubles.append(message.text)

    def opened(
        path: str,
        *,
        width: int = 1280,
        dark: bool = False,
        url: str | None = None,
        key: str | None = None,
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            locale="en-GB",
            accept_downloads=True,
        )
        context.set_default_timeout(MAX_MS)
        contexts.append(context)
        if key is not None:
            context.add_init_script(f"sessionStorage.setItem('sparsepath.key', '{key}')")
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", heard)
        go(page, (url or site.url) + path)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            assert page.evaluate("window.hacked === undefined")
        context.close()
    assert troubles == []
