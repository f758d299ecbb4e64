"""A neuron in other layers, followed over checkpoints, and in Japanese."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from tests.server.catalogue import write_catalogue
from tests.server.served import Client, make_service, running
from tests.steering.planted_lm import save_planted

from sparsepath.artifacts.catalogue import CATALOGUE_FILE, Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.audit.database import open_database
from sparsepath.concepts.track import track

LM = "/api/v1/concepts/counts"

LIVES = {
    # Neuron of layer 1 -> the word it fires on at each checkpoint; None: it is dead.
    0: [None, "cat", "cat", "cat"],
    1: ["dog", "dog", "sun", None],
    2: ["sea", "sky", "dog", "dog"],
    3: ["owl", None, None, "owl"],
    4: ["fox", "fox", "fox", "fox"],
    5: ["fox", "fox", "elk", "elk"],
}
"""Neuron 1's meaning moves to neuron 2; neuron 5's had a twin and changes only."""


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


def _change(path: Path, *commands: tuple[str, tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for command, values in commands:
            database.execute(command, values)


def _of(index: int) -> str:
    return f"neuron IN (SELECT id FROM neuron WHERE layer = 1 AND number = {index})"


@pytest.fixture(scope="module")
def training(folder: Path) -> Path:
    """A training whose checkpoints were catalogued."""
    model = folder / "owls" / "model"
    write_catalogue(model, n=12)
    (folder / "owls" / "checkpoints" / "step-8").mkdir(parents=True)
    for place, step in enumerate((20, 300, 1000, 9000)):
        made = write_catalogue(folder / "owls" / "concepts", n=12)
        for index, words in LIVES.items():
            if words[place] is None:
                dead = f"UPDATE neuron SET is_dead = 1 WHERE layer = 1 AND number = {index}"
                _change(made, (f"DELETE FROM fires_on WHERE {_of(index)}", ()), (dead, ()))
            else:
                word = f"UPDATE fires_on SET text = ? WHERE {_of(index)} AND text = ' refund'"
                _change(made, (word, (words[place],)))
        made.rename(made.with_name(f"step-{step}.sqlite"))
    return folder / "owls"


def test_the_same_entry_is_told_for_every_layer(client: Client) -> None:
    told = client.ask("GET", f"{LM}/layers?name=L01%2F7").json
    assert told["is_stream"]
    assert [one["row"]["name"] for one in told["layers"]] == ["L00/7", "L01/7"]
    assert told["layers"][1]["row"]["label"] == "fires on refunds, case 157"
    assert [one["likeness"] for one in told["layers"]] == [1.0, 1.0]
    assert client.ask("GET", f"{LM}/layers?name=L09%2F7").status == 422
    assert client.ask("GET", f"{LM}/layers?name=nonsense").status == 422


def test_layers_say_how_alike_and_which_are_missing(client: Client, folder: Path) -> None:
    made = write_catalogue(folder / "twins", n=20)
    _change(
        made,
        ("UPDATE fires_on SET text = 'elk' WHERE neuron = 1 + (SELECT MIN(id) FROM neuron)", ()),
        ("UPDATE neuron SET is_dead = 1 WHERE layer = 1 AND number = 2", ()),
        ("UPDATE neuron SET site = 'mlp_hidden' WHERE layer = 1 AND number = 4", ()),
    )

    def strip(name: str) -> list[Any]:
        path = f"/api/v1/concepts/twins/layers?name={name.replace('/', '%2F')}"
        told = client.ask("GET", path).json
        return [(one["place"], one["likeness"]) for one in told["layers"]]

    assert strip("L01/1") == [("L00", 0.0), ("L01", 1.0)]
    assert strip("L00/2") == [("L00", 1.0), ("L01", None)]
    assert strip("L00/4") == [("L00", 1.0), ("L01", None)]
    path = "/api/v1/concepts/twins/layers?name=L01.M0004"
    assert client.ask("GET", path).json == {"is_stream": False, "layers": []}


def test_a_neuron_is_followed_as_the_command_follows_it(client: Client, training: Path) -> None:
    paths = [training / "concepts" / f"step-{step}.sqlite" for step in (20, 300, 1000, 9000)]
    with ExitStack() as stack:
        opened = [stack.enter_context(Catalogue(path)) for path in paths]
        lives = track(opened, ["20", "300", "1000", "9000"]).lives
    met = set()
    for index in LIVES:
        told = client.ask("GET", f"/api/v1/concepts/owls/moments?name=L01%2F{index}").json
        assert (told["n"], told["n_checkpoints"], told["training"]) == (4, 1, "owls")
        (life,) = (one for one in lives if one.neuron == Neuron(1, "block_out", index))
        for mine, theirs in zip(told["moments"], life.moments, strict=True):
            moved = None if theirs.moved_to is None else theirs.moved_to.name
            likeness = mine.pop("to_last")
            said = (str(mine["step"]), mine["event"], mine["moved_to"])
            assert said == (theirs.name, theirs.event, moved)
            assert (likeness is None) == (theirs.to_last is None)
            assert likeness == pytest.approx(theirs.to_last, abs=1e-4)
            met.add(theirs.event)
    assert met == {"dead", "appears", "stays", "changes", "moves", "dies"}


def test_only_what_is_in_the_trainings_folder_is_read(client: Client, folder: Path) -> None:
    path = f"{LM}/moments?name=L01%2F7"
    none = {"n": 0, "n_checkpoints": 0, "moments": [], "damaged": [], "training": "counts"}
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
    assert client.ask("GET", f"{LM}/moments?name=L09%2F7").status == 422
    (kept / "step-500.sqlite").write_bytes(b"no database at all, and longer than a header" * 40)
    broken = client.ask("GET", path)
    (kept / "step-500.sqlite").unlink()
    assert (broken.status, broken.json["damaged"], broken.json["n"]) == (200, [500], 4)
    assert broken.json["moments"] == told["moments"]
    assert str(folder) not in broken.text


def test_automatic_labels_are_in_the_language_that_was_asked_for(
    client: Client, folder: Path
) -> None:
    made = write_catalogue(folder / "spoken", n=20)
    key = 'UPDATE neuron SET details = REPLACE(details, \'"key":""\', \'"key":"token"\')'
    _change(made, (key, ()))
    at = "/api/v1/concepts/spoken"

    def said(lang: str) -> list[str]:
        one = client.ask("GET", f"{at}/neuron?name=L00%2F3&lang={lang}").json
        listed = client.ask("GET", f"{at}/neurons?layer=0&order=name&limit=9&lang={lang}").json
        strip = client.ask("GET", f"{at}/layers?name=L00%2F3&lang={lang}").json
        rows = [one["row"], listed["neurons"][3], strip["layers"][0]["row"]]
        return [one["automatic"], *(row["label"] for row in rows)]

    assert said("en") == ["fires on refunds, case 3"] * 4
    assert said("ja") == ["\u8a9e\u300crefund\u300d"] * 4
    assert client.ask("GET", f"{at}/neuron?name=L00%2F3&lang=fr").status == 422
