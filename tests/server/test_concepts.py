"""Catalogues of neurons over HTTP: lists, search, one neuron, and what people say of it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.server.catalogue import write_catalogue
from tests.server.runs import HOSTILE
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.keys import add_key

NEURONS = "/api/v1/concepts/lm/neurons"
FIRST = "/api/v1/concepts/lm/neuron?name=L00%2F0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    write_catalogue(place / "lm")
    return place


@pytest.fixture(scope="module")
def client(database: Database, folder: Path, model_folder: Path) -> Iterator[Client]:
    with running(make_service(model_folder, database, runs=folder)) as served:
        yield served


def test_a_catalogue_is_found_and_summed_up(client: Client) -> None:
    (found,) = client.ask("GET", "/api/v1/concepts").json["catalogues"]
    assert found == {"name": "lm", "is_served": False}
    told = client.ask("GET", "/api/v1/concepts/lm").json
    assert [layer["neurons"] for layer in told["layers"]] == [150, 150]
    assert told["mean_control"] == 0.51
    for name in ("other", "..", "%2e%2e", "lm%2f.."):
        assert client.ask("GET", f"/api/v1/concepts/{name}").status == 404


def test_every_neuron_is_on_one_page_only(client: Client) -> None:
    names = []
    for offset in range(0, 300, 100):
        page = client.ask("GET", f"{NEURONS}?limit=100&offset={offset}").json
        assert page["n"] == 300
        names += [row["name"] for row in page["neurons"]]
    assert len({*names}) == 300
    assert client.ask("GET", f"{NEURONS}?offset=300").json["neurons"] == []


def test_a_list_is_narrowed_by_words_layer_and_score(client: Client) -> None:
    found = client.ask("GET", f"{NEURONS}?words={quote('case 17')}&limit=1").json
    assert found["neurons"][0]["label"] == "fires on refunds, case 17"
    layer = client.ask("GET", f"{NEURONS}?layer=1&site=block_out").json
    assert (layer["n"], layer["neurons"][0]["name"][:3]) == (150, "L01")
    assert client.ask("GET", f"{NEURONS}?least=0.9").json["n"] == 61
    says = client.ask("GET", f"{NEURONS}?words=Back&by=says&layer=1&least=0.6").json
    assert 0 < says["n"] < 150
    assert all(row["name"].startswith("L01") for row in says["neurons"])
    assert {row["tokens"][1] for row in says["neurons"]} == {" back"}
    assert client.ask("GET", f"{NEURONS}?words=refund&by=says").json["n"] == 0
    assert client.ask("GET", f"{NEURONS}?words=refund&by=else").status == 422
    for hostile in ('"', "' OR 1=1 --", "*", "\0", "((", "\ufffd"):
        assert client.ask("GET", f"{NEURONS}?words={quote(hostile)}").status == 200
        assert client.ask("GET", f"{NEURONS}?words={quote(hostile)}&by=says").status == 200


def test_a_neuron_tells_everything_that_is_known(client: Client) -> None:
    told = client.ask("GET", FIRST).json
    assert told["row"]["label"] == HOSTILE
    assert told["examples"][0]["tokens"] == [" the", " refund", " please", HOSTILE, " the"]
    assert told["examples"][0]["values"] == [0, 4, 0.5, 0, 0]
    assert told["promotes"][1] == [" back", 0.2]
    for name in ("L09%2F9", "nonsense", "L00%2F0%00", ""):
        assert client.ask("GET", f"/api/v1/concepts/lm/neuron?name={name}").status == 422


def test_what_a_reviewer_says_is_kept_recorded_and_found(
    client: Client, database: Database
) -> None:
    name = "L01/5"
    said = {"neuron": name, "label": "money back", "note": "seen in März"}
    reply = client.ask("POST", "/api/v1/concepts/lm/remarks", said)
    assert (reply.status, reply.json["by"]) == (200, "local")
    told = client.ask("GET", f"/api/v1/concepts/lm/neuron?name={quote(name, safe='')}").json
    assert (told["row"]["label"], told["row"]["origin"]) == ("money back", "person")
    assert told["remarks"][0]["note"] == "seen in März"
    found = client.ask("GET", f"{NEURONS}?words=money").json["neurons"]
    assert [row["name"] for row in found] == [name]
    lines = exported_lines(database, with_texts=True)
    records = [line for line in lines if "concept.remark" in line]
    assert len(records) == 1
    assert "money" not in records[0]


@pytest.mark.parametrize(
    "said",
    [
        {"neuron": "L00/0"},
        {"neuron": "L00/0", "note": ""},
        {"neuron": "L00/0", "verdict": "maybe"},
        {"neuron": "L00/0", "note": "x" * 3000},
        {"neuron": "L00/0", "note": "\ud800"},
        {"neuron": "L99/0", "note": "x"},
        {"neuron": "L00/0", "note": "x", "by": "somebody else"},
    ],
)
def test_a_remark_that_says_nothing_or_too_much_is_refused(client: Client, said: object) -> None:
    assert client.ask("POST", "/api/v1/concepts/lm/remarks", said).status == 422


def test_a_viewer_reads_but_says_nothing(folder: Path, model_folder: Path) -> None:
    with open_database(str(folder / "keys.db")) as database:
        secret = add_key(database, "viewer", "viewer", by="tests").secret
        service = make_service(model_folder, database, runs=folder, needs_keys=True)
        with running(service) as client:
            headers = {"Authorization": f"Bearer {secret}"}
            said = {"neuron": "L00/0", "verdict": "agree"}
            path = "/api/v1/concepts/lm/remarks"
            assert client.ask("GET", FIRST).status == 401
            assert client.ask("GET", FIRST, headers=headers).status == 200
            assert client.ask("POST", path, said, headers=headers).status == 403


def test_a_catalogue_that_is_replaced_is_opened_again(client: Client, folder: Path) -> None:
    write_catalogue(folder / "new", n=20)
    path = "/api/v1/concepts/new/neurons"
    assert client.ask("GET", path).json["n"] == 20
    write_catalogue(folder / "new", n=40)
    assert client.ask("GET", path).json["n"] == 40
    write_catalogue(folder / "newer", n=2)
    (folder / "newer" / "concepts.sqlite").write_bytes(b"nothing")
    broken = client.ask("GET", "/api/v1/concepts/newer/neurons")
    assert broken.status == 503
    assert str(folder) not in broken.text
