"""A model folder that changes while it is served: the server goes on with what it loaded."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.errors import ModelError
from sparsepath.server import folder_watch
from sparsepath.server.snapshot import private_copy

TEXTS = ["a good day", "a very bad day", "poor"]


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watch, "LOOK_EVERY_S", 0.05)


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


@pytest.fixture
def log(tmp_path: Path) -> Database:
    return open_database(str(tmp_path / "log.db"))


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def notes(client: Client) -> list[str]:
    found: list[str] = client.ask("GET", "/readyz").json["notes"]
    return found


def test_weights_overwritten_and_cut_off_do_not_reach_the_answers(
    folder: Path, log: Database
) -> None:
    with log, running(make_service(folder, log)) as client:
        want = [answer["probabilities"] for answer in client.classify(*TEXTS)]
        kept = {path: path.read_bytes() for path in folder.glob("*.onnx*")}
        for path, content in kept.items():
            with path.open("r+b") as file:
                file.write(b"\0" * len(content))
        assert [a["probabilities"] for a in client.classify(*TEXTS)] == want
        until(lambda: "changed after it was loaded" in " ".join(notes(client)))
        for path in kept:
            os.truncate(path, 0)
        assert [a["probabilities"] for a in client.classify(*TEXTS)] == want
        assert "sparsepath_model_folder_changed 1" in client.ask("GET", "/metrics").text
        for path, content in kept.items():
            path.write_bytes(content)
        until(lambda: notes(client) == [])
        shutil.rmtree(folder)
        until(lambda: notes(client) != [])
        assert [a["probabilities"] for a in client.classify(*TEXTS)] == want
        lines = [line for line in exported_lines(log) if '"kind":"model.changed"' in line]
        assert len(lines) == 3


def test_a_strict_server_gives_no_more_answers(folder: Path, log: Database) -> None:
    with log, running(make_service(folder, log, strict_model=True)) as client:
        assert client.classify(*TEXTS)
        (folder / "README.md").write_text("another")
        until(lambda: client.ask("GET", "/readyz").status == 503)
        reply = client.ask("POST", "/api/v1/classify", {"text": "a day"})
        assert (reply.status, reply.json["error"]["code"]) == (503, "model_changed")


def test_a_time_that_changes_alone_is_no_change(folder: Path, log: Database) -> None:
    with log, running(make_service(folder, log)) as client:
        watch = client.service.folder
        before = watch._seen
        os.utime(folder / "README.md", (1, 1))
        until(lambda: watch._seen != before)
        assert notes(client) == []


def test_a_folder_that_changes_while_it_is_copied_is_refused(folder: Path) -> None:
    copies = []

    def load() -> None:
        with private_copy([folder]) as copied:
            copies.append(copied)
            assert (copied / "sparsepath.json").is_file()
            (folder / "README.md").write_text("another")

    with pytest.raises(ModelError, match="changed while it was loaded"):
        load()
    assert not copies[0].parent.exists()
