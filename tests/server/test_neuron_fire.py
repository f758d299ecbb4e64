"""Where a neuron fires in a typed text, in a language model and in a classifier."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.server.catalogue import write_catalogue
from tests.server.served import Client, make_service, running
from tests.steering.planted_folder import save_steerable
from tests.steering.planted_lm import save_planted

from sparsepath.artifacts.neuron import Neuron, Side
from sparsepath.audit.database import open_database
from sparsepath.concepts.classifiers import ClassifierSubject
from sparsepath.server import turns
from sparsepath.server.classifier import Classifier
from sparsepath.server.neuron_reader import NeuronReader
from sparsepath.server.writing import Writers

LM, CLASSIFIER = "/api/v1/concepts/counts", "/api/v1/concepts/sorts"
TEXT = "my card is not refund money"


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    place = tmp_path_factory.mktemp("runs")
    write_catalogue(save_planted(place / "counts"))
    write_catalogue(place / "other", n=20)
    with (
        open_database(str(place / "log.db")) as database,
        running(make_service(place / "counts", database, runs=place)) as served,
    ):
        yield served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a sparse classifier of sixteen neurons a layer."""
    made = save_steerable(tmp_path_factory.mktemp("classifier")).rename(
        tmp_path_factory.mktemp("models") / "sorts"
    )
    write_catalogue(made, n=32)
    return made


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Iterator[Client]:
    with (
        open_database(str(folder.parent / "log.db")) as database,
        running(make_service(folder, database)) as served,
    ):
        yield served


def test_a_typed_text_shows_at_which_tokens_a_neuron_fires(lm: Client) -> None:
    asked = {"neuron": "L01/7", "text": "one fire ice fire"}
    assert lm.ask("GET", f"{LM}/fire").json == {"can": "yes"}
    told = lm.ask("POST", f"{LM}/fire", asked).json
    assert "".join(told["tokens"]) == asked["text"]
    fired = [token.strip() for token, v in zip(told["tokens"], told["values"], strict=True) if v]
    assert fired == ["fire", "fire"]
    assert told["n_left_out"] == 0
    # Longer than what is read in one turn, and than the model can read.
    long = lm.ask("POST", f"{LM}/fire", asked | {"text": "one fire " * 60}).json
    assert len(long["tokens"]) == 64 < len(long["tokens"]) + long["n_left_out"]
    assert [bool(v) for v in long["values"]].count(True) == 32


def test_a_classifiers_neuron_has_the_values_that_torch_gives_it(
    classifier: Client, folder: Path
) -> None:
    subject = ClassifierSubject(folder)
    kept = next(v for p, v in subject.fired(subject.read(TEXT).ids).items() if p.layer == 1)
    met = 0
    for index in range(16):
        asked = {"neuron": f"L01/{index}", "text": TEXT}
        told = classifier.ask("POST", f"{CLASSIFIER}/fire", asked).json
        assert told["values"] == pytest.approx(kept[:, index].tolist(), abs=1e-5)
        met += sum(value != 0 for value in told["values"])
        pairs = zip(told["tokens"], told["is_special"], strict=True)
        assert "".join(token for token, is_special in pairs if not is_special) == TEXT
    assert met == 2 * len(told["tokens"])  # two entries stay at each token
    assert (told["tokens"][0], told["tokens"][-1]) == ("[CLS]", "[SEP]")
    long = classifier.ask("POST", f"{CLASSIFIER}/fire", asked | {"text": "card " * 99}).json
    assert (len(long["tokens"]), long["n_left_out"]) == (32, 69)


def test_a_classifiers_neurons_are_read_without_torch_and_onnx(
    folder: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(folder, tmp_path / "sorts")
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'onnx', 'scipy'): sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from sparsepath.artifacts.neuron import Neuron\n"
        "from sparsepath.runtime.watched import WatchedClassifier\n"
        f"model = WatchedClassifier(Path({str(copied)!r}), precision='fp32', threads=1)\n"
        f"print((model.fired({TEXT!r}, Neuron(1, 'block_out', 1)).values != 0).tolist())\n"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    fired = json.loads(found.stdout.lower())
    assert [word for word, did in zip(["", *TEXT.split(), ""], fired, strict=True) if did] == [
        "card"
    ]


def test_of_an_entry_with_two_signs_only_the_asked_one_fires(folder: Path) -> None:
    model = Classifier(folder, precision="fp32", threads=1, batch=1)
    reader = NeuronReader(model, Writers(at_once=1, capacity=1))

    async def values(side: Side) -> list[float]:
        return (await reader.read(Neuron(1, "block_out", 1, side), "card " * 5 + "my")).values

    async def all_values() -> list[list[float]]:
        return [await values(side) for side in get_args(Side)]

    both, above, below = asyncio.run(all_values())
    assert [max(value, 0.0) for value in both] == above
    assert [min(value, 0.0) for value in both] == below
    assert any(above)


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        (LM, {"text": ""}, 422),
        (LM, {"text": "a" * 2001}, 422),
        (LM, {"neuron": "L00/9999"}, 422),
        (LM, {"neuron": "L02/7"}, 422),
        (LM, {"neuron": "nonsense"}, 422),
        (LM, {"other": 1}, 422),
        ("/api/v1/concepts/other", {}, 404),
        ("/api/v1/concepts/none", {}, 404),
        (LM, {"text": "\ud800 fire"}, 422),
    ],
)
def test_what_cannot_be_read_is_refused(
    lm: Client, path: str, changes: dict[str, object], status: int
) -> None:
    body = {"neuron": "L01/7", "text": "one fire"} | changes
    assert lm.ask("POST", f"{path}/fire", body).status == status


def test_too_many_texts_at_once_are_refused(
    classifier: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 0)
    reply = classifier.ask("POST", f"{CLASSIFIER}/fire", {"neuron": "L01/1", "text": TEXT})
    assert (reply.status, reply.headers["retry-after"]) == (429, "2")


def _dense(facts: dict[str, Any]) -> None:
    facts["is_sparse"] = False


def _latents(facts: dict[str, Any]) -> None:
    stamp = {"name": "sae.safetensors", "size_bytes": 1, "modified_ns": 1, "sha256": "0"}
    facts["autoencoder"] = {"folder": "sae", "files": [stamp]}


@pytest.mark.parametrize(("change", "why"), [(_dense, "dense"), (_latents, "latents")])
def test_what_has_no_neurons_that_can_be_read_says_why(
    lm: Client, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    (place,) = (one for one in lm.service.library.catalogues() if one.is_served)
    whole = place.path.read_bytes()
    other = place.path.with_suffix(".new")
    other.write_bytes(whole)
    with closing(sqlite3.connect(other)) as database, database:
        facts = json.loads(database.execute("SELECT content FROM facts").fetchone()[0])
        change(facts)
        database.execute("UPDATE facts SET content = ?", (json.dumps(facts),))
    keep = place.path.rename(place.path.with_suffix(".old"))
    other.rename(place.path)
    try:
        assert lm.ask("GET", f"{LM}/fire").json == {"can": why}
        reply = lm.ask("POST", f"{LM}/fire", {"neuron": "L01/7", "text": "one fire"})
        assert (reply.status, reply.json["error"]["code"]) == (404, "not_served")
    finally:
        keep.rename(place.path)


def test_an_edit_of_the_folder_is_noticed(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "sorts")
    with (
        open_database(str(tmp_path / "log.db")) as database,
        running(make_service(copied, database)) as served,
    ):
        (copied / "sparsepath.json").write_text("{}", encoding="utf-8")
        reply = served.ask("POST", f"{CLASSIFIER}/fire", {"neuron": "L01/1", "text": TEXT})
    assert (reply.status, reply.json["error"]["code"]) == (409, "model_changed")
