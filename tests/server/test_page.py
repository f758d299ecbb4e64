"""The web page is built from its sources, served with a strict policy, and is the same for all."""

import gzip
import json
import re
import runpy
from pathlib import Path

import pytest
from tests.server.served import Client

from sparsepath.server.page import POLICY, SCREENS, files

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BUILT = runpy.run_path(str(WEB / "_manifest.py"))
FIX = "the page is not built from these sources; fix: make web"


def test_the_built_page_is_that_of_the_sources() -> None:
    told = json.loads((BUILT["PAGE"] / "manifest.json").read_text())
    assert told["sources_sha256"] == BUILT["sources_sha256"](), FIX
    assert told["built_sha256"] == BUILT["built_sha256"](), FIX


def test_the_types_of_the_page_are_those_of_the_server() -> None:
    openapi = runpy.run_path(str(WEB / "_write_openapi.py"))["openapi"]
    assert (WEB / "openapi.json").read_text() == openapi(), FIX


def test_a_rule_for_narrow_screens_ends_where_it_should() -> None:
    # The builder closes what is left open, and with it half of the rules would be for phones only.
    text = (WEB / "src" / "style.css").read_text()
    assert text.count("{") == text.count("}")
    assert all(line.startswith((" ", "}")) for line in _within(text.splitlines()))


def _within(lines: list[str]) -> list[str]:
    """Give the lines of rules that are inside of another rule."""
    depth, found = 0, []
    for line in lines:
        if depth and line:
            found.append(line)
        depth += line.count("{") - line.count("}")
    return found


def test_no_path_of_a_builder_and_no_map_is_in_the_page() -> None:
    for name, file in files().items():
        text = file.content.decode()
        assert not re.search(
            r"/(home|root|work|tmp|Users)/|sourceMappingURL|node_modules/", text
        ), name


def test_the_first_view_of_each_screen_is_small() -> None:
    scripts = [file.packed for name, file in files().items() if name.endswith(".js")]
    assert 50_000 < sum(map(len, scripts)) < 300_000  # all screens together


@pytest.mark.parametrize("path", SCREENS)
def test_every_screen_has_its_address(client: Client, path: str) -> None:
    reply = client.ask("GET", f"{path}?lang=ja")
    assert reply.status == 200
    assert '<div id="root">' in reply.text
    assert reply.headers["content-security-policy"] == POLICY
    assert reply.headers["cache-control"] == "no-cache"
    assert "unsafe" not in POLICY
    assert not re.search(r"<script>|<style| on\w+=", reply.text)


def test_files_with_names_of_their_content_are_kept_for_ever(client: Client) -> None:
    document = client.ask("GET", "/").text
    names = re.findall(r'(?:src|href)="(/assets/[^"]+)"', document)
    assert len(names) >= 2
    for name in names:
        reply = client.ask("GET", name)
        assert reply.status == 200
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        packed = files()[name.removeprefix("/")].packed
        assert gzip.decompress(packed).decode() == reply.text
    packed_reply = client.raw(
        f"GET {names[0]} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    assert b"content-encoding: gzip" in packed_reply.lower()


@pytest.mark.parametrize(
    "path",
    ["/assets/..%2f..%2fapp.py", "/assets/../page.py", "/assets/", "/manifest.json"],
)
def test_nothing_else_is_given(client: Client, path: str) -> None:
    assert client.ask("GET", path).status == 404


def test_a_link_elsewhere_leads_to_the_page_but_not_to_data(client: Client) -> None:
    clicked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.ask("GET", "/poc?run=a", headers=clicked).status == 200
    assert client.ask("GET", "/api/v1/runs", headers=clicked).status == 403
    fetched = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert client.ask("GET", "/", headers=fetched).status == 403
    forged = {**clicked, "Origin": "http://evil.example"}
    assert client.ask("GET", "/", headers=forged).status == 403
