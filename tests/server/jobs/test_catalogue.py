"""A catalogue as a job: a real small model, whose neurons can be asked for without a restart."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.served import Client, make_service, running
from tests.server.small_lm import make_lm
from tests.steering.planted_folder import save_steerable

from sparsepath.audit.database import Database, open_database
from sparsepath.errors import MissingExtraError
from sparsepath.server.jobs import poc, runner
from sparsepath.server.jobs.catalogue import CatalogueAsked, command_of, options_of
from sparsepath.server.jobs.watch import Progress, progress

QUERY = "dense_k=4&length=16&tokens=1000&vectors=false"
TEXT = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "log.db")) as opened:
        yield opened


def test_a_catalogue_made_by_a_job_is_shown_without_a_restart(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 0.05)
    lm = make_lm(tmp_path / "lm", seed=1)
    corpus = "\n".join(f'{{"text": "one two three {n} two"}}' for n in range(200)).encode()
    with running(make_service(lm, database, store=tmp_path / "store")) as client:
        path = f"/api/v1/jobs/catalogue?{QUERY}"
        table = client.ask("POST", path, corpus, headers={"Content-Type": "text/csv"})
        assert (table.status, table.json["error"]["code"]) == (415, "content_type")
        assert client.ask("GET", "/api/v1/concepts").json["catalogues"] == []
        begun = client.ask("POST", path, corpus, headers=TEXT)
        assert begun.status == 201, begun
        assert "model" not in begun.json["options"]
        assert client.ask("POST", path, corpus, headers=TEXT).status == 409
        _await(client, begun.json["id"])
        found = client.ask("GET", "/api/v1/concepts").json["catalogues"]
        assert found == [{"name": "lm", "is_served": True}]
        summary = client.ask("GET", "/api/v1/concepts/lm").json
        assert sum(layer["neurons"] for layer in summary["layers"]) > 0


def test_a_sparse_classifier_is_catalogued_on_its_table(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 0.05)
    folder = save_steerable(tmp_path / "made").rename(tmp_path / "sorts")
    table = (tmp_path / "made" / "table.csv").read_bytes()
    with running(make_service(folder, database, store=tmp_path / "store")) as client:
        path = "/api/v1/jobs/catalogue?vectors=false&length=16"
        refused = client.ask("POST", path, b"one", headers={"Content-Type": "text/plain"})
        assert (refused.status, refused.json["error"]["code"]) == (415, "content_type")
        begun = client.ask("POST", path, table, headers={"Content-Type": "text/csv"})
        assert begun.status == 201, begun
        _await(client, begun.json["id"])
        summary = client.ask("GET", "/api/v1/concepts/sorts").json
        assert sum(layer["neurons"] for layer in summary["layers"]) == 32
        # Its labels are those that an explanation names neurons by.
        told = client.ask("POST", "/api/v1/explain", {"text": "my card is not refund money"}).json
        assert told["catalogue"] == "sorts"
        assert any(unit["concept"] for unit in told["units"])


def _await(client: Client, id_: str) -> None:
    end = time.monotonic() + 60
    while (job := client.ask("GET", f"/api/v1/jobs/{id_}").json)["state"] != "done":
        assert job["state"] != "failed", job
        assert time.monotonic() < end, job
        time.sleep(0.1)


def test_the_command_names_only_files_of_the_store_and_of_the_model(tmp_path: Path) -> None:
    asked = CatalogueAsked(text_column="--out=/x")
    words = command_of(options_of(asked, "csv", tmp_path / "m"), tmp_path / "job")
    assert words[2:4] == [str(tmp_path / "m"), str(tmp_path / "job" / "corpus.csv")]
    assert [word for word in words if word.startswith("--out")] == [
        f"--out={tmp_path / 'm' / 'concepts.sqlite'}"
    ]


def test_reading_a_corpus_is_told_as_progress() -> None:
    told = "read 1,000 tokens of 20,000\nread 12,000 tokens of 20,000\n"
    assert progress(told) == Progress(12000, 20000, "read", "")


def test_a_server_without_torch_says_what_a_catalogue_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poc.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match="a catalogue needs"):
        poc.check_installed("a catalogue")
