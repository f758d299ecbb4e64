"""How soon a screen of the web page shows what it has to show, with much to show.

    python benchmarks/first_view.py [--rows 200000] [--times 7]

A server in this process on a run of many rows and a catalogue of 24 layers of 4,096 neurons, both
made up; Chromium opens each screen in a new context, so nothing is in its cache. Needs Playwright
and Chromium.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.server.runs import write_run
from tests.server.served import make_service, running
from tests.server.small_lm import make_lm

from concepts import made_up_catalogue
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.catalogue import CATALOGUE_FILE
from sparsepath.artifacts.provenance import machine, package_versions
from sparsepath.audit.database import open_database

MINUTES = 3
RESULTS = Path("benchmarks/results/first_view.json")
TARGET_S = 1.5
SCREENS = {
    "Start": ("/", "h1"),
    "PoC": ("/poc?run=run", "table"),
    "Pathways": ("/pathways?run=run", "h1"),
    "Neurons": ("/neurons?model=catalogue", "a[href*='neuron=']"),
    "Train": ("/train", "h1"),
    "Steer": ("/steer", "h1"),
    "Govern": ("/govern", "h1"),
}
"""Address, and what must be there, by screen."""


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--times", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = measured(Path(place), given)
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def measured(place: Path, given: argparse.Namespace) -> list[BenchmarkRow]:
    """Serve what was made up, and open every screen."""
    from playwright.sync_api import sync_playwright

    lm = make_lm(place / "lm", seed=1)
    write_run(place / "run", n=given.rows)
    (place / "catalogue").mkdir()
    made_up_catalogue(place / "catalogue" / CATALOGUE_FILE)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with open_database(str(place / "log.db")) as database:
        service = make_service(lm, database, store=place / "store", runs=place)
        with running(service) as client, sync_playwright() as started:
            browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            url = f"http://127.0.0.1:{client.port}"
            found = [
                row(name, [opened(browser, url + path, wanted) for _ in range(given.times)], given)
                for name, (path, wanted) in SCREENS.items()
            ]
            browser.close()
    return found


def opened(browser: Any, url: str, wanted: str) -> float:
    """Give the seconds until a screen is there."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(wanted)
    page.locator(".loading").first.wait_for(state="hidden")
    seconds = time.perf_counter() - begun
    context.close()
    return seconds


def row(name: str, seconds: list[float], given: argparse.Namespace) -> BenchmarkRow:
    """Make a row of the median."""
    told = ", ".join(f"{one:.2f}" for one in seconds)
    return BenchmarkRow(
        figure=f"first view of {name}, {given.rows:,} rows, 24 x 4,096 neurons",
        value=statistics.median(seconds),
        unit="s",
        better="lower",
        target=TARGET_S,
        n=len(seconds),
        machine=str(machine()["cpu"]),
        versions=package_versions(),
        command="sparsepath bench first_view",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        note=f"the first one in this server too; {told}",
    )


if __name__ == "__main__":
    main()
