"""Put the sections together into one HTML file that needs nothing else.

Scripts are allowed by their hashes alone (Content-Security-Policy), and nothing may be loaded
from outside, so that a text that slipped through as markup still could not run or call home.
"""

import base64
import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any

from sparsepath.report import background, costs
from sparsepath.report.calibration import calibration
from sparsepath.report.candidates import candidates, size
from sparsepath.report.confusion import confusion
from sparsepath.report.edges import edges
from sparsepath.report.explained import explained
from sparsepath.report.flips import flips
from sparsepath.report.html import Html, el, join, script_json, trusted
from sparsepath.report.inputs import View
from sparsepath.report.labels import slices
from sparsepath.report.plotlyjs import plotly_source
from sparsepath.report.removal import removal
from sparsepath.report.section import Section
from sparsepath.report.summary import summary
from sparsepath.report.tradeoff import tradeoff
from sparsepath.report.units import units

SECTIONS: tuple[Callable[[View], Section | None], ...] = (
    tradeoff,
    candidates,
    size,
    units,
    removal,
    edges,
    slices,
    confusion,
    flips,
    calibration,
    explained,
    costs.latency,
    costs.dynamic,
    background.data,
    background.stages,
    background.method,
    background.machine,
)
"""In the order of the page; a section whose part of the run is missing is left out."""


def render(view: View) -> str:
    """The whole report as text.

    Raises:
        MissingExtraError: if the charting library is not installed.
    """
    sections = [section for make in SECTIONS if (section := make(view)) is not None]
    scripts = [plotly_source(), _asset("report.js")]
    figures: dict[str, Any] = {
        identity: figure.as_json()
        for section in sections
        for identity, figure in section.figures.items()
    }
    settings: dict[str, Any] = {"figures": figures, "words": _script_words(view)}
    body = el(
        "body",
        el("a", view.words("page.skip"), href="#main", cls="skip"),
        _navigation(view, sections),
        el("main", summary(view), *(_section(view, item) for item in sections), id="main"),
        _footer(view),
        el("script", trusted(script_json(settings)), type="application/json", id="report-data"),
        *(el("script", trusted(script)) for script in scripts),
    )
    page = el("html", _head(view, scripts), body, lang=view.words.lang)
    return f"<!doctype html>\n{page}\n"


def _head(view: View, scripts: list[str]) -> Html:
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
        el("title", view.words("page.title", name=view.folder)),
        el("style", trusted(_asset("report.css"))),
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _navigation(view: View, sections: list[Section]) -> Html:
    links = [el("a", view.words("nav.top"), href="#top")]
    links += [el("a", view.words(f"nav.{item.key}"), href=f"#{item.key}") for item in sections]
    contents = view.words("page.contents")
    button = el("button", contents, type="button", aria_expanded="false", aria_controls="contents")
    return el(
        "nav",
        el("b", "sparsepath"),
        button,
        el("div", *links, id="contents"),
        aria_label=contents,
    )


def _section(view: View, item: Section) -> Html:
    head = el("h2", view.words(f"{item.key}.title")), el("p", view.words.rich(f"{item.key}.lead"))
    return el("section", el("div", *head, cls="section-head"), item.body, id=item.key)


def _footer(view: View) -> Html:
    version = view.run.versions.get("sparsepath", "")
    made = view.words(
        "page.made",
        version=version,
        date=view.words.moment(view.run.finished_utc or view.run.created_utc),
    )
    return el("footer", join([el("p", made), el("noscript", view.words("page.noscript"))]))


def _script_words(view: View) -> dict[str, Any]:
    """Words that the page's script shows by itself."""
    keys = [key for key in view.words.table if key.startswith("plotly.")]
    plotly: dict[str, Any] = {
        view.words.table[key].split("|")[0]: view.words.table[key].split("|")[1] for key in keys
    }
    return {"lang": view.words.lang, "plotly": plotly, "fewer": view.words("more.fewer"),
            "count": view.words.table["table.count"]}  # fmt: skip


def _asset(name: str) -> str:
    return resources.files("sparsepath.report").joinpath("assets", name).read_text(encoding="utf-8")
