"""A neuron in other layers, at checkpoints, in a text that a person types, and in Japanese."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.catalogue import write_catalogue
from tests.server.served import Client, make_service, running
from tests.steering.planted_lm import save_planted

from sparsepath.artifacts.catalogue import CATALOGUE_FILE, Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.audit.database import open_database

LM = "/api/v1/concepts/counts"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    write_catalogue(save_planted(place / "counts"))
    write_catalogue(place / "other", n=20)
    return place


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    with (
        open_database(str(folder / "log.db")) as database,
        running(make_service(folder / "counts", database, runs=folder)) as served,
    ):
        yield served


def test_the_same_entry_is_told_for_every_layer(client: Client) -> None:
    told = client.ask("GET", f"{LM}/layers?name=L01%2F7").json
    assert told["is_stream"]
    assert [one["row"]["name"] for one in told["layers"]] == ["L00/7", "L01/7"]
    assert told["layers"][1]["row"]["label"] == "fires on refunds, case 157"
    assert client.ask("GET", f"{LM}/layers?name=L09%2F7").status == 422
    assert client.ask("GET", f"{LM}/layers?name=nonsense").status == 422


def test_checkpoints_are_told_in_the_order_of_time(client: Client, folder: Path) -> None:
    path = f"{LM}/moments?name=L01%2F7"
    none = {"n": 0, "moments": [], "training": "counts"}
    assert client.ask("GET", path).json == none
    kept = folder / "counts" / "concepts"
    for step, n in ((1000, 300), (20, 300), (300, 2)):
        made = write_catalogue(kept, n=n)
        made.rename(kept / f"step-{step}.sqlite")
    with Catalogue(kept / "step-20.sqlite") as early:
        early.remark(Neuron(1, "block_out", 7), label="not yet anything")
    (kept / "step-7.sqlite").symlink_to(folder / "other" / CATALOGUE_FILE)
    told = client.ask("GET", path).json
    assert told["n"] == 3
    assert [(one["step"], one["row"]["label"]) for one in told["moments"]] == [
        (20, "not yet anything"),
        (1000, "fires on refunds, case 157"),
    ]


def test_a_typed_text_shows_at_which_tokens_a_neuron_fires(client: Client) -> None:
    asked = {"neuron": "L01/7", "text": "one fire ice fire"}
    told = client.ask("POST", f"{LM}/fire", asked).json
    assert "".join(told["tokens"]) == asked["text"]
    fired = [token.strip() for token, v in zip(told["tokens"], told["values"], strict=True) if v]
    assert fired == ["fire", "fire"]
    assert told["n_left_out"] == 0
    # Longer than what is read in one turn, and than the model can read.
    long = client.ask("POST", f"{LM}/fire", asked | {"text": "one fire " * 60}).json
    assert (len(long["tokens"]), long["n_left_out"] > 0) == (64, True)
    assert [bool(v) for v in long["values"]].count(True) == 32


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        (LM, {"text": ""}, 422),
        (LM, {"text": "a" * 2001}, 422),
        (LM, {"neuron": "L00/9999"}, 422),
        (LM, {"neuron": "nonsense"}, 422),
        (LM, {"other": 1}, 422),
        ("/api/v1/concepts/other", {}, 404),
        ("/api/v1/concepts/none", {}, 404),
        (LM, {"text": "\ud800 fire"}, 200),
    ],
)
def test_what_cannot_be_read_is_refused(
    client: Client, path: str, changes: dict[str, object], status: int
) -> None:
    body = {"neuron": "L01/7", "text": "one fire"} | changes
    assert client.ask("POST", f"{path}/fire", body).status == status


def test_automatic_labels_are_in_the_language_that_was_asked_for(
    client: Client, folder: Path
) -> None:
    found = [
        client.ask("GET", f"{LM}/neuron?name=L00%2F3&lang={lang}").json for lang in ("ja", "en")
    ]
    with Catalogue(folder / "counts", "ja") as opened:
        expected = opened.card(Neuron(0, "block_out", 3)).automatic
    assert found[0]["automatic"] == expected != found[1]["automatic"]
    listed = client.ask("GET", f"{LM}/neurons?layer=0&order=name&limit=9&lang=ja").json
    assert listed["neurons"][3]["label"] == expected
    assert client.ask("GET", f"{LM}/neuron?name=L00%2F3&lang=fr").status == 422
