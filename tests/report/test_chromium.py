"""In a real browser every figure is drawn and no text of the user runs; skipped without one."""

import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sparsepath.report import write_report

BROWSER = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=8000", "--dump-dom",
)  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="needs Chromium")]


def drawn(page: Path, profile: Path, width: int) -> str:
    """The page's elements after its scripts ran."""
    assert BROWSER is not None
    flags = (*FLAGS, f"--window-size={width},1000", f"--user-data-dir={profile}")
    done = subprocess.run(
        [BROWSER, *flags, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


@pytest.mark.parametrize("width", [500, 1280])
def test_every_figure_is_drawn(make_run: Callable[..., Path], tmp_path: Path, width: int) -> None:
    dom = drawn(write_report(make_run(), "ja"), tmp_path / "profile", width)
    n_figures = len(re.findall(r'class="figure[^"]*js-plotly-plot"', dom))
    assert n_figures == 9
    assert dom.count("data-drawn=") == n_figures
    assert 'class="legend"' in dom


def test_hostile_texts_do_not_run(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(is_hostile=True, n_labels=4)
    dom = drawn(write_report(run, "en"), tmp_path / "profile", 1280)
    body = dom.split('<script type="application/json"')[0]
    assert "window.hacked" in body
    found = Attributes(body)
    assert "img" not in found.tags
    assert not [name for name in found.names if name.startswith("on")]
    assert found.tags.count("script") == 0


class Attributes(HTMLParser):
    """Names of all elements and of all their attributes."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names += [name for name, _ in attrs]
