"""Runs over HTTP: what can be opened, what each found, and any two candidates row by row."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.server.runs import HOSTILE, write_run
from tests.server.served import Client, make_service, running, running_runs

from sparsepath.audit.database import open_database
from sparsepath.audit.keys import add_key
from sparsepath.audit.roles import Role


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    place = tmp_path_factory.mktemp("runs")
    write_run(place / "served", model_folder)
    write_run(place / "カード's <b>", n=40)
    (place / "broken").mkdir()
    (place / "broken" / "run.json").write_text('{"schema": 1, "half')
    (place / "out").symlink_to("/etc")
    write_run(place.parent / "outside")
    (place / "linked").symlink_to(place.parent / "outside")
    return place


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    with running_runs(folder) as served:
        yield served


def test_runs_of_the_folder_are_listed_and_links_out_of_it_are_not(client: Client) -> None:
    runs = client.ask("GET", "/api/v1/runs").json["runs"]
    assert [run["name"] for run in runs] == ["served", "broken", "カード's <b>"]
    served, broken, other = runs
    assert served["is_served"]
    assert (served["recommended"], served["accuracy"], served["speedup"]) == ("light", 0.9, 8.0)
    assert "not whole" in broken["trouble"]
    assert (other["rows_test"], other["trouble"]) == (40, None)


@pytest.mark.parametrize("name", ["..", "../outside", "linked", "out", "etc", "", "%00", "a/b"])
def test_no_name_leads_to_another_folder(client: Client, name: str) -> None:
    for part in ("", "/compare?first=full&second=light", "/rows?first=full&second=light"):
        reply = client.ask("GET", f"/api/v1/runs/{quote(name, safe='')}{part}")
        assert reply.status in {404, 307} or (name == "" and "runs" in reply.json)


def test_a_run_tells_its_candidates_but_not_where_it_lies(client: Client, folder: Path) -> None:
    reply = client.ask("GET", "/api/v1/runs/served")
    assert [one["name"] for one in reply.json["results"]["candidates"]][:2] == ["full", "light"]
    assert reply.json["has_answers"]
    broken = client.ask("GET", "/api/v1/runs/broken")
    assert broken.status == 503
    listed = client.ask("GET", "/api/v1/runs")
    assert str(folder) not in reply.text + broken.text + listed.text


def test_two_candidates_are_compared_on_all_rows_and_by_slice(client: Client) -> None:
    told = client.ask("GET", "/api/v1/runs/served/compare?first=full&second=light").json
    whole = told["slices"][0]
    assert (whole["n"], whole["first"], whole["second"]) == (400, 0.95, 0.9)
    assert (whole["gained"], whole["lost"], whole["change"]) == (0, 20, -0.05)
    low, high = whole["change_ci95"]
    assert low < -0.05 < high < 0
    assert told["n_by_kind"] == {
        "all": 400, "gained": 0, "lost": 20, "differ": 20, "both-wrong": 20,
    }  # fmt: skip
    for kind in ("label", "length"):
        parts = [one for one in told["slices"] if one["kind"] == kind]
        assert sum(one["n"] for one in parts) == 400
        assert sum(one["lost"] for one in parts) == 20
        assert all(one["change_ci95"][0] < one["change_ci95"][1] for one in parts)


def test_rows_come_by_page_with_texts_as_they_are(client: Client) -> None:
    path = "/api/v1/runs/served/rows?first=full&second=light"
    page = client.ask("GET", f"{path}&which=differ&limit=3&offset=0").json
    assert (page["n"], [row["row_id"] for row in page["rows"]]) == (20, [70, 210, 350])
    assert page["rows"][0]["text"] == HOSTILE
    assert page["rows"][0]["first"] == page["rows"][0]["truth"] == "left"
    assert page["rows"][0]["second"] == "right"
    assert client.ask("GET", f"{path}&which=all&offset=399&limit=200").json["n"] == 400
    assert client.ask("GET", f"{path}&which=all&offset=999").json["rows"] == []
    assert client.ask("GET", f"{path}&which=differ&label=right").json["n"] == 0
    assert client.ask("GET", f"{path}&label=nothing").json["n"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("first=full", 422),
        ("first=full&second=nothing", 404),
        ("first=full&second=light&limit=100000", 422),
        ("first=full&second=light&offset=-1", 422),
        ("first=full&second=light&which=some", 422),
        ("first=full&second=light&limit=x", 422),
    ],
)
def test_what_cannot_be_asked_is_refused(client: Client, query: str, status: int) -> None:
    assert client.ask("GET", f"/api/v1/runs/served/rows?{query}").status == status


def test_a_run_without_answers_says_how_to_get_them(client: Client, folder: Path) -> None:
    (folder / "old").mkdir()
    (folder / "old" / "run.json").write_text((folder / "served" / "run.json").read_text())
    reply = client.ask("GET", "/api/v1/runs/old/compare?first=a&second=b")
    assert (reply.status, reply.json["error"]["code"]) == (404, "no_answers")
    sqlite3.connect(folder / "old" / "answers.sqlite").close()
    (folder / "old" / "answers.sqlite").write_bytes(b"nonsense" * 100)
    assert client.ask("GET", "/api/v1/runs/old/compare?first=a&second=b").status == 404
    assert not client.ask("GET", "/api/v1/runs/old").json["results"]


def test_texts_of_rows_need_a_reviewer(folder: Path) -> None:
    path = "/api/v1/runs/served/rows?first=full&second=light"
    with open_database(str(folder / "keys.db")) as database:
        roles: list[tuple[Role, int]] = [("viewer", 403), ("reviewer", 200)]
        with running(make_service(folder / "served", database, needs_keys=True)) as client:
            assert client.ask("GET", path).status == 401
            for role, status in roles:
                secret = add_key(database, role, role, by="tests").secret
                headers = {"Authorization": f"Bearer {secret}"}
                assert client.ask("GET", path, headers=headers).status == status
                start = client.ask("GET", "/api/v1/start", headers=headers).json
                assert (start["role"], start["needs_keys"]) == (role, True)


def test_the_start_says_what_is_here(client: Client) -> None:
    told = client.ask("GET", "/api/v1/start").json
    assert told["model"]["labels"] == ["left", "right"]
    assert told["n_runs"] >= 3
    assert told["machine"]["cores"] >= 1
    assert json.dumps(told["machine"]["missing"])


def test_an_explanation_compares_with_the_label_that_is_asked_for(client: Client) -> None:
    body = {"text": "a good day", "explain": True}
    (answer,) = client.ask("POST", "/api/v1/classify", body).json["answers"]
    other = "left" if answer["label"] == "right" else "right"
    told = client.ask("POST", "/api/v1/classify", {**body, "against": other}).json
    assert told["answers"][0]["explanation"] == answer["explanation"]
    assert client.ask("POST", "/api/v1/classify", {**body, "against": "up"}).status == 422
