"""Why an answer was given, by neurons and heads, over HTTP: in a process beside the server."""

import asyncio
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.server.catalogue import write_catalogue
from tests.server.served import Client, make_service, running
from tests.steering.planted_folder import save_steerable
from tests.steering.planted_lm import save_planted

from sparsepath.artifacts.catalogue_schema import NO_CLEAR_MEANING
from sparsepath.artifacts.decision import DecisionCard
from sparsepath.audit.database import open_database
from sparsepath.audit.record import canonical
from sparsepath.evaluate.decision import replay
from sparsepath.evaluate.explain import explain
from sparsepath.server.problems import Problem
from sparsepath.server.why.explainer import MOST_WAITING, Explainer

WHY = "/api/v1/explain"
TEXT = "my card is not refund money"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = save_steerable(tmp_path_factory.mktemp("classifier")).rename(
        tmp_path_factory.mktemp("models") / "sorts"
    )
    file = write_catalogue(made, n=32)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE neuron SET label = ?", (NO_CLEAR_MEANING,))
    return made


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Iterator[Client]:
    with (
        open_database(str(folder.parent / "log.db")) as database,
        running(make_service(folder, database)) as served,
    ):
        yield served


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    place = tmp_path_factory.mktemp("runs")
    write_catalogue(save_planted(place / "counts"))
    with (
        open_database(str(place / "log.db")) as database,
        running(make_service(place / "counts", database)) as served,
    ):
        yield served


def test_a_label_is_explained_as_the_command_does_it(classifier: Client, folder: Path) -> None:
    assert classifier.ask("GET", WHY).json == {"can": "yes", "fix": None}
    told = classifier.ask("POST", WHY, {"text": TEXT}).json
    expected = explain(folder, TEXT).explanation
    (answer,) = classifier.classify(TEXT)
    assert told["label"] == told["target"] == answer["label"]
    assert told["is_same_answer"] is True
    assert told["looked_into"] == told["catalogue"] == "sorts"
    assert told["margin"] == pytest.approx(expected.margin, abs=1e-4)
    assert [unit["name"] for unit in told["units"]] == [unit.name for unit in expected.units]
    assert {unit["kind"] for unit in told["units"]} == {"neuron"}
    assert [unit["concept"] for unit in told["units"]] == expected.concepts
    assert any(unit["fires_for"] for unit in told["units"])
    assert [token["text"] for token in told["tokens"] if not token["is_special"]] == TEXT.split()
    assert told["test"]["kept"] == pytest.approx(expected.test.margin_kept, abs=1e-4)
    assert len(told["test"]["random_kept"]) == 20
    for edge in told["edges"]:
        assert 0 <= edge["reader"] < len(told["tokens"])
        assert edge["head"].startswith("L0")


def test_an_edge_says_who_reads_whom(classifier: Client, folder: Path) -> None:
    told = classifier.ask("POST", WHY, {"text": TEXT}).json
    known = {edge.name for edge in explain(folder, TEXT).explanation.edges}
    assert {f"{one['source']}>{one['reader']}@{one['head']}" for one in told["edges"]} == known


def test_labels_of_neurons_are_in_the_language_of_who_asks(classifier: Client) -> None:
    english, japanese = (
        classifier.ask("POST", WHY, {"text": TEXT, "lang": lang}).json["units"]
        for lang in ("en", "ja")
    )
    assert [unit["name"] for unit in english] == [unit["name"] for unit in japanese]
    for one, other in zip(english, japanese, strict=True):
        path = f"/api/v1/concepts/sorts/neuron?name={one['name']}&lang=ja"
        card = classifier.ask("GET", path).json
        assert other["concept"] == card["row"]["label"] != one["concept"]


def test_an_explanation_is_on_record_without_its_text(classifier: Client) -> None:
    told = classifier.ask("POST", WHY, {"text": TEXT}).json
    seq = told["record"]["seq"]
    record = classifier.ask("GET", f"/api/v1/audit/{seq}").json
    assert record["kind"] == "decision.explain"
    assert {name: record["body"][name] for name in ("label", "target", "against")} == {
        name: told[name] for name in ("label", "target", "against")
    }
    facts = {name: told[name] for name in told if name not in ("request", "record")}
    digest = hashlib.sha256(canonical(facts).encode()).hexdigest()
    assert record["body"]["explanation_sha256"] == digest
    assert TEXT not in json.dumps(record)


def test_another_question_compares_other_labels(classifier: Client, folder: Path) -> None:
    labels = classifier.ask("GET", "/api/v1/models").json["models"][0]["labels"]
    told = classifier.ask(
        "POST", WHY, {"text": TEXT, "target": labels[-1], "against": labels[0]}
    ).json
    expected = explain(folder, TEXT, target=labels[-1], against=labels[0]).explanation
    assert (told["target"], told["against"]) == (labels[-1], labels[0])
    assert told["margin"] == pytest.approx(expected.margin, abs=1e-4)
    assert told["probability"] == pytest.approx(expected.probability, abs=1e-4)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": TEXT, "against": "secret label"}, 422, "no_label"),
        ({"text": TEXT, "site": "L01"}, 422, "invalid"),
        ({"text": "   "}, 422, "cannot_be_done"),
        ({"text": "x" * 2001}, 422, "invalid"),
        ({"text": TEXT, "model": "/etc"}, 422, "invalid"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    classifier: Client, folder: Path, body: dict[str, Any], status: int, code: str
) -> None:
    reply = classifier.ask("POST", WHY, body)
    error = reply.json["error"]
    assert (reply.status, error["code"], bool(error["fix"])) == (status, code, True)
    assert str(folder.parent) not in reply.text


def test_one_label_against_itself_is_refused_by_name(classifier: Client) -> None:
    (answer,) = classifier.classify(TEXT)
    reply = classifier.ask("POST", WHY, {"text": TEXT, "against": answer["label"]})
    assert (reply.status, reply.json["error"]["code"]) == (422, "cannot_be_done")


def test_a_text_of_broken_unicode_is_refused(classifier: Client) -> None:
    assert classifier.ask("POST", WHY, {"text": f"{TEXT} \ud800"}).status == 422


def test_a_token_is_explained_and_its_card_replays(lm: Client) -> None:
    asked = {"text": "one two three", "contrast": "one two"}
    told = lm.ask("POST", WHY, asked).json
    assert told["kind"] == "token"
    assert told["answer"] == told["target"] == " one"
    assert told["catalogue"] == "counts"
    assert [word["text"] for word in told["words"]] == ["one", " two", " three"]
    assert told["test"]["swapped"] is not None
    card = DecisionCard.model_validate(told["card"])
    assert card.content_sha256 == card.own_sha256()
    assert replay(lm.service.model.folder, card) == []
    other = lm.ask("POST", WHY, asked | {"target": " fire", "site": "L00"}).json
    assert (other["target"], other["site"]) == (" fire", "L00.block_out")
    record = lm.ask("GET", f"/api/v1/audit/{told['record']['seq']}").json
    assert record["body"]["card_sha256"] == card.content_sha256
    assert "three" not in json.dumps(record)


def test_a_site_where_nothing_is_active_is_refused(lm: Client) -> None:
    reply = lm.ask("POST", WHY, {"text": "one two", "site": "L02.attn_out"})
    assert (reply.status, reply.json["error"]["code"]) == (422, "cannot_be_done")
    assert "L02.attn_out" in reply.json["error"]["message"]


def test_a_token_that_there_is_not_is_refused(lm: Client) -> None:
    reply = lm.ask("POST", WHY, {"text": "one", "target": "zebra"})
    assert (reply.status, reply.json["error"]["code"]) == (422, "cannot_be_done")


def test_a_changed_language_model_is_not_explained(lm: Client) -> None:
    file = lm.service.model.folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    reply = lm.ask("POST", WHY, {"text": "one two"})
    assert (reply.status, reply.json["error"]["code"]) == (409, "model_changed")


def test_a_process_that_died_is_started_again_without_secrets(
    classifier: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARSEPATH_DATABASE", "postgresql://me:secret@host/log")
    assert classifier.ask("POST", WHY, {"text": TEXT}).status == 200
    process = classifier.service.explainer._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert classifier.ask("POST", WHY, {"text": TEXT}).status == 200
    begun = classifier.service.explainer._process
    assert begun is not None
    assert begun is not process
    if (environment := Path(f"/proc/{begun.pid}/environ")).exists():
        assert b"me:secret" not in environment.read_bytes()


def test_a_changed_model_is_not_explained(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "sorts"))
    with (
        open_database(str(tmp_path / "log.db")) as database,
        running(make_service(copy, database)) as served,
    ):
        (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
        reply = served.ask("POST", WHY, {"text": TEXT})
    assert (reply.status, reply.json["error"]["code"]) == (409, "model_changed")


def test_without_torch_the_server_says_what_to_install(
    classifier: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    can = classifier.ask("GET", WHY).json
    assert (can["can"], "sparsepath[train]" in can["fix"]) == ("not_installed", True)
    reply = classifier.ask("POST", WHY, {"text": TEXT})
    assert (reply.status, reply.json["error"]["code"]) == (501, "not_installed")


def test_a_process_nobody_asks_ends_and_so_does_one_whose_client_left(folder: Path) -> None:
    question = {
        "kind": "label", "model": str(folder), "text": TEXT, "target": None, "against": None,
        "threads": 1,
    }  # fmt: skip

    async def both() -> None:
        explainer = Explainer(idle_s=0.05)
        await explainer.explain(question)
        process = explainer._process
        assert process is not None
        for _ in range(100):
            if explainer._process is None:
                break
            await asyncio.sleep(0.05)
        assert explainer._process is None
        await process._process.wait()
        asking = [asyncio.create_task(explainer.explain(question)) for _ in range(MOST_WAITING)]
        while explainer._process is None:
            await asyncio.sleep(0.01)
        with pytest.raises(Problem) as refused:
            await explainer.explain(question)
        assert refused.value.status == 429
        for task in reversed(asking):
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert explainer._process is None

    asyncio.run(both())
