"""One HTML file that needs nothing else: head, contents, sections, footer, scripts.

Scripts are allowed by their hashes alone (Content-Security-Policy), and nothing may be loaded
from outside, so that a text that slipped through as markup still could not run or call home.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from sparsepath.report.html import Html, el, join, script_json, trusted
from sparsepath.report.language import Words
from sparsepath.report.plotlyjs import plotly_source
from sparsepath.report.section import Section


class Frame(NamedTuple):
    """What stands around the sections."""

    title: str
    """Of the file, as a browser shows it."""
    top: str
    """Name of the first screen among the contents."""
    first: Html
    """The first screen."""
    made: str
    """Who made the file, and when."""


def document(words: Words, frame: Frame, sections: Sequence[Section]) -> str:
    """Put a page together.

    Args:
        words: of its language; each section has `KEY.title`, `KEY.lead` and `nav.KEY` there.
        frame: what stands around the sections.
        sections: in their order; leads are already filled where they have blanks.

    Raises:
        MissingExtraError: if the charting library is not installed.
    """
    scripts = [plotly_source(), asset("report.js")]
    figures: dict[str, Any] = {
        identity: figure.as_json()
        for section in sections
        for identity, figure in section.figures.items()
    }
    settings: dict[str, Any] = {"figures": figures, "words": _script_words(words)}
    body = el(
        "body",
        el("a", words("page.skip"), href="#main", cls="skip"),
        _navigation(words, frame.top, sections),
        el("main", frame.first, *(_section(words, item) for item in sections), id="main"),
        el("footer", join([el("p", frame.made), el("noscript", words("page.noscript"))])),
        el("script", trusted(script_json(settings)), type="application/json", id="report-data"),
        *(el("script", trusted(script)) for script in scripts),
    )
    page = el("html", _head(frame.title, scripts), body, lang=words.lang)
    return f"<!doctype html>\n{page}\n"


def asset(name: str) -> str:
    """Read a file of the package's own."""
    return resources.files("sparsepath.report").joinpath("assets", name).read_text(encoding="utf-8")


def _head(title: str, scripts: list[str]) -> Html:
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return el(
        "head",
        el("meta", charset="utf-8"),
        trusted(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light"),
        el("meta", name="generator", content="sparsepath"),
        el("title", title),
        el("style", trusted(asset("report.css"))),
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _navigation(words: Words, top: str, sections: Sequence[Section]) -> Html:
    links = [el("a", top, href="#top")]
    links += [el("a", words(f"nav.{item.key}"), href=f"#{item.key}") for item in sections]
    contents = words("page.contents")
    button = el("button", contents, type="button", aria_expanded="false", aria_controls="contents")
    return el(
        "nav",
        el("b", "sparsepath"),
        button,
        el("div", *links, id="contents"),
        aria_label=contents,
    )


def _section(words: Words, item: Section) -> Html:
    lead = item.lead or words.rich(f"{item.key}.lead")
    head = el("h2", words(f"{item.key}.title")), el("p", lead)
    return el("section", el("div", *head, cls="section-head"), item.body, id=item.key)


def _script_words(words: Words) -> dict[str, Any]:
    """Words that the page's script shows by itself."""
    keys = [key for key in words.table if key.startswith("plotly.")]
    plotly: dict[str, Any] = {
        words.table[key].split("|")[0]: words.table[key].split("|")[1] for key in keys
    }
    return {
        "lang": words.lang,
        "plotly": plotly,
        "fewer": words("more.fewer"),
        "count": words.table["table.count"],
    }
