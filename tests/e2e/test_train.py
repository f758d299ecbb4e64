"""Train, and a table that is sent from Start, in a real browser against a real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Open, Site
from tests.e2e.test_screens import TOO_WIDE, serious_faults
from tests.server.served import make_service, running

from sparsepath.audit.database import open_database

pytestmark = pytest.mark.e2e


def write_training(folder: Path, *, start_nats: float, n: int = 400) -> None:
    """Write what a training on the command line leaves."""
    folder.mkdir(parents=True)
    lines: list[dict[str, Any]] = [{"kind": "event", "step": 0, "what": "started"}]
    for i in range(1, n + 1):
        loss = start_nats / (1 + i / 90) + 0.05 * (i % 7)
        lines.append({"kind": "step", "step": i, "loss_nats": loss, "lr": 2e-3, "keep": 0.25,
                      "tokens": 4096 * i, "wall_s": 0.6 * i})  # fmt: skip
        if i % 100 == 0:
            sites = {
                f"model.layers.{layer}.mlp": {"k": 32, "dead": layer / 20, "always": 1 / i}
                for layer in range(4)
            }
            lines.append({"kind": "neurons", "step": i, "sites": sites})
            facts = {"part": "held_out", "loss_nats": loss + 0.1, "n": 9}
            lines.append({"kind": "evaluation", "step": i, **facts})
    lines.append({"kind": "event", "step": n // 2, "what": "resumed"})
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = {"task": "language-model", "train": {"steps": 600}}
    (folder / "recipe.json").write_text(json.dumps(recipe))


@pytest.fixture(scope="module")
def trainer(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    store = tmp_path_factory.mktemp("trainer") / "store"
    write_training(store / "by-hand", start_nats=8.0)
    write_training(store / "dense", start_nats=7.0)
    with open_database(str(store / "log.db")) as database:
        service = make_service(model_folder, database, store=store, max_upload_mb=1)
        with running(service) as client:
            yield Site(client, database)


@pytest.mark.parametrize(("lang", "dark"), [("en", False), ("ja", True)])
def test_two_trainings_are_compared_and_a_training_by_hand_is_only_watched(
    open_page: Open, trainer: Site, lang: str, dark: bool
) -> None:
    path = f"/train?lang={lang}&training=by-hand&beside=dense"
    page = open_page(path, url=trainer.url, dark=dark)
    page.locator(".loss.other path").first.wait_for()
    assert page.locator("tbody tr").count() == 4
    assert "400 / 600" in page.locator(".figures").inner_text()
    assert page.get_by_role("button", name="Pause").count() == 0
    page.get_by_role("slider").fill("0")
    page.wait_for_url("**at=100*")
    assert serious_faults(page) == []
    for width in (380, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        assert page.evaluate(TOO_WIDE) == [], width


def test_a_recipe_is_begun_paused_and_cancelled(open_page: Open, trainer: Site) -> None:
    page = open_page("/train", url=trainer.url)
    page.get_by_text("Start a training").click()
    recipe = page.locator("textarea")
    text = recipe.input_value()
    recipe.fill(text.replace('source = "digits"', 'source = "/etc/passwd"'))
    page.get_by_role("button", name="Start", exact=True).click()
    assert "/etc/passwd" in page.get_by_role("alert").inner_text()
    assert "/etc/passwd" in recipe.input_value()
    recipe.fill(text)
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.locator(".tag", has_text="cancelled").wait_for()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.csv", b"", "empty"),
        ("numbers.csv", b"1,2\n3,4\n", "does not name the columns"),
        ("old.csv", "text,label\n日本,a\n".encode("cp932"), "not UTF-8"),
        ("sheet.csv", b"PK\x03\x04\x00\x00", "spreadsheet"),
        ("large.csv", b"text,label\n" + b"a day,b\n" * 200_000, "larger than 1 MB"),
        ("table.xlsx", b"PK", "must end in"),
        ("one.csv", b"text\na day\n", "Only one column"),
        ("head.csv", b"text,label\n", "no row below"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_before_it_is_sent(
    open_page: Open, trainer: Site, name: str, content: bytes, told: str
) -> None:
    page = open_page("/", url=trainer.url)
    choose(page, name, content)
    assert told in page.get_by_role("alert").inner_text()
    assert page.get_by_role("button", name="Start the PoC").count() == 0


def test_a_table_is_looked_at_sent_and_what_is_wrong_with_it_is_told(
    open_page: Open, trainer: Site
) -> None:
    page = open_page("/", url=trainer.url)
    name = '<img src=x onerror="window.hacked=1">.csv'
    rows = b"".join(b'1,"a ""fine"", long day %d",left\n' % i for i in range(30))
    choose(page, name, b"number,words,label\n" + rows)
    assert page.get_by_label("Column of the texts").input_value() == "words"
    page.get_by_text('a "fine", long day 3', exact=True).wait_for()
    page.get_by_label("Column of the labels").select_option("label")
    page.get_by_text("The first rows have only one label, left.").wait_for()
    assert serious_faults(page) == []
    page.get_by_role("button", name="Start the PoC").click()
    page.locator(".told-log").wait_for(timeout=60_000)
    assert "one label" in page.locator(".told-log").inner_text().lower()
    assert page.get_by_text(name).is_visible()


def choose(page: Any, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "text/csv", "buffer": content}
    page.locator("input[type=file]").set_input_files(files=[file])
