"""Unsure decisions wait for a person, over HTTP and on the command line."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.server.served import Client, make_service, running

from sparsepath.artifacts.analysis import AloneFigures, Analysis
from sparsepath.artifacts.store import write_json_atomic
from sparsepath.audit.database import Database, open_database
from sparsepath.audit.verify import verify
from sparsepath.cli.main import main
from sparsepath.errors import ConfigError
from sparsepath.server.threshold import read_threshold

HOSTILE = 'a "day", with\nlines and \ud800 <script>alert(1)</script>'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("review")


@pytest.fixture(scope="module")
def log(place: Path) -> Iterator[Database]:
    with open_database(str(place / "sparsepath.db")) as database:
        yield database


@pytest.fixture(scope="module")
def unsure(model_folder: Path, log: Database) -> Iterator[Client]:
    """A server for which no decision is sure enough."""
    with running(make_service(model_folder, log, review_below=1.0)) as client:
        yield client


def test_decisions_below_the_confidence_wait_and_are_decided(
    unsure: Client, log: Database, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = unsure.classify("a good day", HOSTILE, "a bad day", "a day")
    assert [answer["waits"] for answer in answers] == [True] * 4
    first, odd, third, _ = (answer["record"]["seq"] for answer in answers)
    told = unsure.ask("GET", "/api/v1/review?limit=2").json
    assert (told["waiting"], [case["seq"] for case in told["cases"]]) == (4, [first, odd])
    assert "text" not in told["cases"][0]
    case = unsure.ask("GET", f"/api/v1/review/{odd}").json
    assert case["text"] == HOSTILE
    assert case["labels"] == ["left", "right"]
    done = unsure.ask("POST", f"/api/v1/review/{odd}", {"label": "left"})
    assert [verdict["label"] for verdict in done.json["verdicts"]] == ["left"]
    again = unsure.ask("POST", f"/api/v1/review/{odd}", {"label": "right"}).json
    assert [verdict["person"] for verdict in again["verdicts"]] == ["local", "local"]
    assert unsure.ask("POST", f"/api/v1/review/{third}", {"label": None}).status == 200
    for path in ("/api/v1/review/999999", f"/api/v1/review/{odd + 100}"):
        assert unsure.ask("GET", path).status == 404
        assert unsure.ask("POST", path, {"label": "left"}).status == 404
    bad: list[object] = [{}, {"label": "up"}, {"label": 5}, {"label": "left", "x": 1}, []]
    for body in bad:
        assert unsure.ask("POST", f"/api/v1/review/{first}", body).status == 422
    for path in ("0", "-1", str(2**80), "x"):
        assert unsure.ask("GET", f"/api/v1/review/{path}").status == 422

    monkeypatch.chdir(place)
    listed = json.loads(CliRunner().invoke(main, ["review", "list", "--json"]).stdout)
    assert [row["text"] for row in listed["cases"]] == ["a good day", "a day"]
    words = ["review", "decide", str(first), "--label", "left", "--as", "bob"]
    assert CliRunner().invoke(main, words).stdout.endswith(": left\n")
    assert CliRunner().invoke(main, words[:3]).exit_code == 1
    assert "a day" in CliRunner().invoke(main, ["review", "list"]).stdout
    written = CliRunner().invoke(main, ["review", "export", "-o", "reviewed.csv"])
    assert written.stdout == (
        "reviewed.csv: 2 rows; left out: 0 whose texts were deleted, 1 that no label fits\n"
    )
    with Path("reviewed.csv").open(newline="", encoding="utf-8") as file:
        rows = [*csv.reader(file)]
    clean = HOSTILE.replace("\ud800", "?")
    assert rows == [["text", "label"], ["a good day", "left"], [clean, "right"]]
    sent = unsure.ask("GET", "/api/v1/review/export")
    assert sent.headers["content-type"] == "text/csv; charset=utf-8"
    assert [*csv.reader(io.StringIO(sent.text, newline=""))] == rows
    read = unsure.ask("GET", "/api/v1/audit?kind=text.read").json["records"]
    assert read[0]["body"] == {"by": "local", "reviewed": True}
    assert verify(log).faults == []


def test_sure_decisions_do_not_wait_and_leave_no_text(model_folder: Path, tmp_path: Path) -> None:
    with open_database(str(tmp_path / "log.db")) as database:
        with running(make_service(model_folder, database, review_below=0.01)) as client:
            (answer,) = client.classify("a day")
            assert answer["waits"] is False
            assert client.ask("GET", "/api/v1/review").json == {"waiting": 0, "cases": []}
            assert client.ask("GET", f"/api/v1/review/{answer['record']['seq']}").status == 404
        assert verify(database).texts == 0


def test_the_threshold_is_a_number_or_what_the_run_found(tmp_path: Path) -> None:
    small, full = (tmp_path / "run" / "models" / name for name in ("small", "full"))
    for folder in (small, full):
        folder.mkdir(parents=True)
    with pytest.raises(ConfigError, match="no model of a run"):
        read_threshold("poc", small)
    facts = {"risk": 0.05, "level": 0.9, "coverage": 0.5, "error": 0.01}
    alone = [
        AloneFigures(name="small", threshold=0.83, **facts),
        AloneFigures(name="full", threshold=None, **facts),
    ]
    write_json_atomic(tmp_path / "run" / "analysis.json", Analysis(alone=alone))
    assert read_threshold("poc", small) == 0.83
    with pytest.raises(ConfigError, match="models with one: small"):
        read_threshold("poc", full)
    assert read_threshold("0.7", small) == 0.7
    with pytest.raises(ConfigError, match="is no probability"):
        read_threshold("high", small)


@pytest.mark.parametrize("below", [0.0, -1.0, 1.01, float("nan")])
def test_a_threshold_out_of_range_is_refused(
    below: float, model_folder: Path, log: Database
) -> None:
    with pytest.raises(ConfigError, match="review_below"):
        make_service(model_folder, log, review_below=below)
