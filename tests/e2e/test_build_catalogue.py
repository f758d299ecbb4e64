"""A catalogue is built from the page, and its neurons appear without a restart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.faults import TOO_WIDE, serious_faults
from tests.server.served import make_service, running
from tests.server.small_lm import make_lm

from sparsepath.audit.database import open_database

pytestmark = pytest.mark.e2e


def test_a_text_is_sent_and_neurons_appear(open_page: Callable[..., Any], tmp_path: Path) -> None:
    lm = make_lm(tmp_path / "lm", seed=1)
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n".join(f'{{"text": "one two three {n} two"}}' for n in range(400)))
    with open_database(str(tmp_path / "log.db")) as database:
        service = make_service(lm, database, store=tmp_path / "store")
        with running(service) as client:
            page = open_page("/neurons", url=f"http://127.0.0.1:{client.port}", width=380)
            page.get_by_label("Text or table").set_input_files(corpus)
            page.get_by_label("Tokens to read, at most").fill("1000")
            begin = page.get_by_role("button", name="Build the catalogue")
            begin.click()
            # A dense model needs a number of entries; what failed says so, and may be sent again.
            page.get_by_text("Correct the text or the options").wait_for(timeout=60_000)
            assert "--dense-k" in page.locator(".told-log").inner_text()
            assert serious_faults(page) == []
            assert page.evaluate(TOO_WIDE) == []
            page.get_by_label("Only for a dense model").fill("4")
            begin.click()
            page.get_by_role("searchbox").wait_for(timeout=60_000)
            page.get_by_role("link", name="L00/").first.wait_for()
            page.get_by_text("Build the catalogue of the served model again").click()
            assert page.get_by_role("link", name="corpus.jsonl").is_visible()
            assert serious_faults(page) == []
            assert page.evaluate(TOO_WIDE) == []
