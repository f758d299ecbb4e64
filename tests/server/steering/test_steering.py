"""Steering over HTTP: tried, refused, saved and proposed, by persons whom keys tell apart."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.server.served import Client, make_service, running
from tests.server.steering.conftest import Office

from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.steering import read_preset
from sparsepath.audit.clock import in_days
from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.config import GenerateOptions
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.language.engine import Engine
from sparsepath.server import gate, turns
from sparsepath.server.steering import told

FIRE = "L02/7=0.8"
TEXT = "my card is not with the pin"


def told_by(office: Office) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported_lines(office.database, with_texts=True)]


def write(office: Office, person: str = "vera", **extension: Any) -> Any:
    asked = {"model": "counts", "prompt": "one", "max_tokens": 12, "seed": 3}
    return office.ask(person, "POST", "/v1/completions", asked | {"sparsepath": extension})


def policy(office: Office, **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1, "name": "fires", "version": 1, "owner": "Support",
        "model": office.folder.name, "model_sha256": weights_sha256(office.folder),
        "uses": ["draft"], "expires": in_days(1.0),
    } | changes  # fmt: skip


def test_a_language_model_says_what_can_be_steered(lm: Office) -> None:
    found = lm.get()
    assert (found["kind"], found["lacks"], found["is_policy_needed"]) == (
        "language-model", [], False
    )  # fmt: skip
    sparse = [site for site in found["sites"] if site["is_sparse"]]
    assert [(s["site"], s["width"], s["layers"]) for s in sparse] == [("block_out", 16, [0, 1, 2])]
    limits = lm.get("/neuron?name=L02/7")
    largest = Engine(lm.folder).ranges[2, "block_out"].largest[7]
    assert limits["largest"] == pytest.approx(float(largest))
    assert limits["is_sparse"]
    assert not lm.get("/neuron?name=L02.M0001")["is_sparse"]
    for name, wrong in (("L09/1", "3 layers"), ("L02/99", "16 entries"), ("fire", "no catalogue")):
        reply = lm.ask("vera", "GET", f"/api/v1/steering/neuron?name={name}")
        assert (reply.status, wrong in reply.json["error"]["message"]) == (422, True), reply
        assert str(lm.folder) not in reply.text


def test_unsaved_edits_steer_their_own_text_only(lm: Office) -> None:
    engine = Engine(lm.folder)
    options = GenerateOptions(tokens=12, temperature=1.0, top_p=1.0, seed=3)
    plain = "".join(engine.generate("one", options))
    with engine.steered(FIRE, unsafe_strength=True):
        steered = "".join(engine.generate("one", options))
    assert plain != steered
    got = write(lm, steer=[FIRE])
    assert (got.status, got.json["choices"][0]["text"]) == (200, steered), got
    assert got.json["sparsepath"]["edits"] == [FIRE]
    assert write(lm).json["choices"][0]["text"] == plain
    begun = next(line for line in told_by(lm) if line["kind"] == "generation.begin")
    assert begun["body"]["edits"] == [FIRE]


@pytest.mark.parametrize(
    ("extension", "wrong"),
    [
        ({"steer": ["L02/7=4000"]}, "beyond the limit"),
        ({"steer": ["L02/7=1", "L02/7=2"]}, "two edits of one neuron"),
        ({"steer": ["L02.M0001=off"]}, "not sparse at mlp_hidden"),
        ({"steer": ["seven"]}, "is no edit"),
        ({"steer": [FIRE], "preset": "none"}, "at once"),
        ({"steer": [FIRE] * 33}, "at most 32"),
    ],
)
def test_what_breaks_or_makes_no_sense_is_refused(
    lm: Office, extension: dict[str, Any], wrong: str
) -> None:
    reply = write(lm, **extension)
    assert (reply.status, wrong in reply.json["error"]["message"]) == (422, True), reply
    assert str(lm.folder) not in reply.text


def test_a_model_with_policies_refuses_unsaved_edits_by_the_rules_name(
    lm: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "REMEMBERED_S", 0.0)
    limits = policy(lm, neurons=[{"neuron": "L02/7", "set": [0, 0.9]}])
    assert lm.ask("alice", "POST", "/api/v1/policies", limits).status == 201
    reply = write(lm, steer=[FIRE], use="draft")
    assert (reply.status, reply.json["error"]["code"]) == (403, "policy.not-approved")
    assert lm.ask("bob", "POST", "/api/v1/policies/fires/1/approve", {}).status == 200
    told = write(lm, steer=[FIRE], use="draft")
    assert told.json["sparsepath"]["policy"]["name"] == "fires", told
    for edit, use, rule in (
        ("L02/7=1", "draft", "strength"),
        ("L02/9=0.8", "draft", "not-listed"),
        (FIRE, None, "use"),
    ):
        reply = write(lm, steer=[edit], use=use)
        assert reply.json["error"]["code"] == f"policy.{rule}", reply
        assert told_by(lm)[-1]["body"]["edits"] == [edit]
    sweep = {"neurons": ["L02/7"], "strengths": "0.8,1", "words": ["fire"], "use": "draft"}
    reply = lm.ask("alice", "POST", "/api/v1/steering/sweeps", sweep)
    assert (reply.status, reply.json["error"]["code"]) == (403, "policy.strength")
    found = lm.get()
    assert (found["is_policy_needed"], found["uses"]) == (True, ["draft"])


def test_a_preset_is_saved_proposed_and_used(lm: Office) -> None:
    asked = {"name": "fiery", "steer": [FIRE], "note": "a little warmer"}
    assert lm.ask("bob", "POST", "/api/v1/steering/presets", asked).status == 403
    made = lm.ask("alice", "POST", "/api/v1/steering/presets", asked)
    assert (made.status, made.json["edits"], made.json["author"]) == (201, [FIRE], "alice"), made
    kept = read_preset(lm.folder, "fiery", weights_sha256(lm.folder))
    assert (kept.content_sha256, kept.note) == (made.json["sha256"], "a little warmer")
    assert kept.limits[0].value >= 0.8
    assert [one["name"] for one in lm.get()["presets"]] == ["fiery"]
    again = lm.ask("alice", "POST", "/api/v1/steering/presets", asked)
    assert (again.status, again.json["error"]["code"]) == (409, "preset_exists")
    strong = asked | {"name": "wild", "steer": ["L02/7=4000"]}
    reply = lm.ask("carol", "POST", "/api/v1/steering/presets", strong)
    assert (reply.status, "beyond the limit" in reply.json["error"]["message"]) == (422, True)
    for name in ("../wild", "a/b", "", ".x"):
        bad = lm.ask("carol", "POST", "/api/v1/steering/presets", asked | {"name": name})
        assert bad.status == 422
    assert [path.name for path in (lm.folder / "presets").iterdir()] == ["fiery.json"]
    record = next(line for line in told_by(lm) if line["kind"] == "preset.save")
    assert record["body"]["preset_sha256"] == kept.content_sha256
    rests_on = policy(lm, presets=[{"name": "fiery", "sha256": kept.content_sha256}])
    assert lm.ask("alice", "POST", "/api/v1/policies", rests_on).status == 201
    own = lm.ask("alice", "POST", "/api/v1/policies/fires/1/approve", {})
    assert "cannot approve" in own.json["error"]["message"]


def test_a_folder_that_cannot_be_written_to_is_told(lm: Office) -> None:
    (lm.folder / "presets").write_text("in the way")
    asked = {"name": "fiery", "steer": [FIRE]}
    reply = lm.ask("alice", "POST", "/api/v1/steering/presets", asked)
    assert (reply.status, reply.json["error"]["code"]) == (503, "not_written")
    assert str(lm.folder) not in reply.text


def test_a_classifier_answers_side_by_side(classifier: Office) -> None:
    found = classifier.get()
    assert (found["kind"], [lack["what"] for lack in found["lacks"]]) == (
        "classifier", ["positions"]
    )  # fmt: skip
    asked = {"text": TEXT, "steer": ["L01/0=3"]}
    got = classifier.ask("vera", "POST", "/api/v1/steering/try", asked)
    assert got.status == 200, got
    saved = {"name": "refunds", "steer": ["L01/0=3"]}
    made = classifier.ask("alice", "POST", "/api/v1/steering/presets", saved)
    assert made.status == 201, made
    want = load_engine(classifier.folder, preset="refunds").predict_one(TEXT)
    plain = load_engine(classifier.folder).predict_one(TEXT)
    labels = load_engine(classifier.folder).labels
    assert [got.json["steered"][label] for label in labels] == pytest.approx(want.tolist())
    assert [got.json["unsteered"][label] for label in labels] == pytest.approx(plain.tolist())
    assert next(iter(got.json["steered"])) == "refund"
    by_preset = {"text": TEXT, "preset": "refunds"}
    again = classifier.ask("vera", "POST", "/api/v1/steering/try", by_preset)
    assert again.json["steered"] == got.json["steered"]
    record = next(line for line in told_by(classifier) if line["kind"] == "steering.try")
    assert record["kept"]["input"]["text"] == TEXT
    assert (record["body"]["label"], record["body"]["steered_label"]) == ("card", "refund")
    ready = classifier.client.ask("GET", "/readyz")  # a preset does not make it another model
    assert "changed" not in ready.text


@pytest.mark.parametrize(
    ("steer", "wrong"),
    [
        (["L01/0=300"], "beyond the limit"),
        (["L01/0=1@0:2"], "depends on the place"),
        (["L01.M0001=off"], "not sparse there"),
        ([], "nothing to try"),
    ],
)
def test_a_classifier_refuses_what_a_graph_or_the_model_does_not_bear(
    classifier: Office, steer: list[str], wrong: str
) -> None:
    asked = {"text": TEXT, "steer": steer}
    reply = classifier.ask("vera", "POST", "/api/v1/steering/try", asked)
    assert (reply.status, wrong in reply.json["error"]["message"]) == (422, True), reply


def test_policies_are_over_classifiers_too(
    classifier: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "REMEMBERED_S", 0.0)
    limits = policy(classifier, neurons=[{"neuron": "L01/0", "set": [0, 3]}])
    assert classifier.ask("alice", "POST", "/api/v1/policies", limits).status == 201
    asked = {"text": TEXT, "steer": ["L01/0=3"], "use": "draft"}
    reply = classifier.ask("vera", "POST", "/api/v1/steering/try", asked)
    assert (reply.status, reply.json["error"]["code"]) == (403, "policy.not-approved")
    assert classifier.ask("bob", "POST", "/api/v1/policies/fires/1/approve", {}).status == 200
    reply = classifier.ask("vera", "POST", "/api/v1/steering/try", asked)
    assert reply.json["policy"]["name"] == "fires", reply


def test_a_server_without_onnx_or_torch_says_what_it_cannot_do(
    classifier: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "NEEDED_TO_SWEEP", ("no_such_package",))
    monkeypatch.setattr(told, "can_put_edits_into_graphs", lambda: False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "sparsepath.runtime.steered_graph", raising=False)
    lacks = {lack["what"]: lack for lack in classifier.get()["lacks"]}
    assert "pip install" in lacks["try"]["fix"]
    assert "no_such_package" in lacks["sweep"]["why"]
    asked = {"text": TEXT, "steer": ["L01/0=3"]}
    reply = classifier.ask("vera", "POST", "/api/v1/steering/try", asked)
    assert (reply.status, reply.json["error"]["code"]) == (501, "not_installed"), reply
    sweep = {"neurons": ["L01/0"], "table": "text,label\na,card\n", "target": "refund"}
    reply = classifier.ask("alice", "POST", "/api/v1/steering/sweeps", sweep)
    assert (reply.status, reply.json["error"]["code"]) == (501, "not_installed"), reply
    saved = {"name": "refunds", "steer": ["L01/0=3"]}
    assert classifier.ask("alice", "POST", "/api/v1/steering/presets", saved).status == 201


def test_a_model_that_cannot_be_steered_says_why(client: Client) -> None:
    found = client.ask("GET", "/api/v1/steering").json
    assert (found["kind"], found["lacks"][0]["what"]) == (None, "steer")
    assert "dense classifier" in found["lacks"][0]["why"]
    reply = client.ask("POST", "/api/v1/steering/try", {"text": "a", "steer": ["L00/1=1"]})
    assert (reply.status, reply.json["error"]["code"]) == (404, "not_served")


def test_too_many_trials_at_once_are_refused(
    classifier: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 0)
    asked = {"text": TEXT, "steer": ["L01/0=3"]}
    reply = classifier.ask("vera", "POST", "/api/v1/steering/try", asked)
    assert (reply.status, reply.headers["retry-after"]) == (429, "2")


def test_language_models_are_steered_without_torch() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'onnx', 'datasets'): sys.modules[name] = None\n"
        "import sparsepath.server.app, sparsepath.evaluate.steering_sweep\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_needs_policy_is_for_models_that_can_be_steered(
    saved_classifier: Path, tmp_path: Path
) -> None:
    with open_database(str(tmp_path / "log.db")) as database:
        assert _refused(saved_classifier, database) == "policy.no-policy"


def _refused(folder: Path, database: Database) -> str:
    with running(make_service(folder, database, needs_policy=True)) as client:
        asked = {"text": TEXT, "steer": ["L01/0=3"], "use": "draft"}
        found: str = client.ask("POST", "/api/v1/steering/try", asked).json["error"]["code"]
        return found
