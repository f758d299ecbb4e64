"""A new language model takes over on real servers: shadow, canary, full, and back."""

import asyncio
import http.client
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from tests.server.models_of_a_run import make_run, rules
from tests.server.served import Client, make_service, running
from tests.server.small_lm import make_lm
from tests.server.test_rollout import FOLLOWED_S, shadow_of, state, until

from sparsepath.artifacts.steering import make_preset, write_preset
from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.rollout.rules import Rules
from sparsepath.audit.rollout.state import current, goes_to_new, promote, roll_back, start
from sparsepath.audit.verify import verify
from sparsepath.config import GenerateOptions
from sparsepath.errors import ConfigError, RunError
from sparsepath.runtime.language.engine import Engine, Written
from sparsepath.server.language import LanguageModel
from sparsepath.server.model_ref import refer
from sparsepath.server.serving_language import WrittenText

PROMPTS = [f"{a} {b}" for a in ("one", "two", "three", "four") for b in ("two", "five", "six")]
LONG = "one two three four " * 4
N = 12


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`old`; `same`, which agrees with it; `other`, which does not; `short`, which reads little."""
    place = tmp_path_factory.mktemp("writers")
    for name, seed in (("old", 0), ("other", 1)):
        _change(make_lm(place / name, seed=seed), name, 30.0)
        engine = Engine(place / name)
        calm = make_preset("calm", [engine.edit("L01/3=4")], engine.weights.made_of)
        write_preset(place / name, calm)
    for name in ("same", "short"):
        _change(shutil.copytree(place / "old", place / name), name)
    config = json.loads((place / "short" / "config.json").read_text())
    (place / "short" / "config.json").write_text(
        json.dumps(config | {"max_position_embeddings": 4})
    )
    return place


def _change(folder: Path, note: str, scale: float = 1.0) -> None:
    """Make other weights of a model: with a note, and layers that weigh more than their input."""
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weights[name] *= scale
    save_file(weights, folder / "model.safetensors", {"format": "pt", "note": note})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "log.db")) as one:
        yield one


def write(client: Client, prompt: str, **more: Any) -> Any:
    asked = {"model": "old", "prompt": prompt, "max_tokens": N, "temperature": 0, **more}
    reply = client.ask("POST", "/v1/completions", asked)
    assert reply.status == 200, reply
    return reply.json


def is_in_stage(client: Client, stage: str, **more: Any) -> bool:
    """Look; if it is not, write once more, since a busy machine drops some of what is compared."""
    if state(client)["rollout"]["stage"] == stage:
        return True
    write(client, PROMPTS[0], **more)
    return False


def who(client: Client, prompt: str, **more: Any) -> str:
    return str(write(client, prompt, **more)["model"])


def begin(database: Database, models: Path, new: str, **more: Any) -> None:
    asked = Rules.model_validate(rules() | more)
    start(database, refer(models / "old"), refer(models / new), asked, by="tests")


def in_stage(client: Client, stage: str) -> None:
    def follows() -> bool:
        rollout = client.service.follower.rollout
        return rollout == current(client.service.database) and rollout.stage == stage

    until(follows)


def texts(models: Path, name: str) -> dict[str, str]:
    """Write with an engine of its own."""
    engine, options = Engine(models / name), GenerateOptions(tokens=N, temperature=0.0)
    return {prompt: "".join(engine.generate(prompt, options)) for prompt in PROMPTS}


def expected_agreement(models: Path, new: str, prompts: list[str]) -> float:
    """Read with both whole models what the old one writes, and compare what they expect."""
    old, other, shares = Engine(models / "old"), Engine(models / new), []
    for prompt in prompts:
        ids = old.encode(prompt)
        written = [*old.tokens(ids, GenerateOptions(tokens=N, temperature=0.0))]
        known = [one.logits(ids + written)[len(ids) - 1 : -1].argmax(1) for one in (old, other)]
        shares.append(float((known[0] == known[1]).mean()))
    return sum(shares) / len(shares)


def test_two_servers_go_through_all_stages_and_back(models: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second, opened = (
            stack.enter_context(open_database(str(tmp_path / "log.db"))) for _ in range(3)
        )
        clients = [
            stack.enter_context(running(make_service(models / "old", one)))
            for one in (first, second)
        ]
        begin(opened, models, "other", price_per_cpu_hour=3600.0, currency="EUR")
        for client in clients:
            in_stage(client, "shadow")
        _beside(clients, models)
        promote(opened, by="tests")
        for client in clients:
            in_stage(client, "canary")
        split = _split(clients, models)
        old, new = (next(p for p in PROMPTS if split[p] == name) for name in ("old", "other"))

        promote(opened, by="tests")
        assert until(lambda: all(who(c, old) == "other" for c in clients)) < FOLLOWED_S
        assert who(clients[0], old, model="other") == "other"
        asked = {"model": "old", "prompt": new, "sparsepath": {"preset": "calm"}}
        refused = clients[0].ask("POST", "/v1/completions", asked)
        assert (refused.status, "other answers now" in refused.text) == (409, True)
        roll_back(opened, by="tests")
        assert until(lambda: all(who(c, new) == "old" for c in clients)) < FOLLOWED_S
        assert write(clients[1], new)["choices"][0]["text"] == texts(models, "old")[new]
        names = [one["id"] for one in clients[0].ask("GET", "/v1/models").json["data"]]
        assert names == ["old", "other"]
        assert verify(opened).faults == []
        lines = [json.loads(line) for line in exported_lines(opened)]
    begun = [line["body"] for line in lines if line["kind"] == "generation.begin"]
    assert {one["model"]["name"] for one in begun} == {"old", "other"}
    assert [line["kind"] for line in lines if line["kind"].startswith("rollout")] == [
        "rollout.start", "rollout.promote", "rollout.promote", "rollout.roll-back",
    ]  # fmt: skip


def _beside(clients: list[Client], models: Path) -> None:
    """Write with both servers in the shadow stage, and see what is measured."""
    want = texts(models, "old")
    for client in clients:
        for prompt in PROMPTS[:4]:
            assert write(client, prompt)["choices"][0]["text"] == want[prompt]
    # A steered text says nothing about the new model, which cannot be steered so.
    write(clients[0], PROMPTS[5], sparsepath={"preset": "calm"})
    until(lambda: bool(s := shadow_of(clients[0])) and s["new"]["texts"] == 8)
    until(lambda: shadow_of(clients[0])["old"]["texts"] == 9)
    figures = shadow_of(clients[1])
    agreement = expected_agreement(models, "other", PROMPTS[:4])
    assert 0.0 <= agreement < 1.0
    assert figures["agreement"]["value"] == pytest.approx(agreement)
    assert figures["agreement"]["n"] == 8
    old, new = figures["old"], figures["new"]
    assert (old["tokens"], new["tokens"]) == (9 * N, 8 * N)
    assert old["cpu_ms_per_token"] > 0
    assert new["cpu_ms_per_token"] > 0
    assert new["money"] == pytest.approx(new["cpu_s"])
    assert new["memory_bytes"] > 1e6


def _split(clients: list[Client], models: Path) -> dict[str, str]:
    """Write in the canary stage; give who wrote after which prompt."""
    split = {p: "other" if goes_to_new(1, 0.5, [p]) else "old" for p in PROMPTS}
    assert len({*split.values()}) == 2
    by = {name: texts(models, name) for name in ("old", "other")}
    for client in clients:
        for prompt in PROMPTS:
            told = write(client, prompt)
            assert told["model"] == split[prompt]
            assert told["choices"][0]["text"] == by[split[prompt]][prompt]
    new = next(prompt for prompt in PROMPTS if split[prompt] == "other")
    assert who(clients[0], new, sparsepath={"preset": "calm"}) == "old"
    asked = {"model": "other", "prompt": new, "temperature": 0, "max_tokens": N, "stream": True}
    streamed = clients[0].ask("POST", "/v1/completions", asked)
    pieces = [json.loads(line[6:]) for line in streamed.text.splitlines() if "choices" in line]
    assert {piece["model"] for piece in pieces} == {"other"}
    assert "".join(one["choices"][0]["text"] for one in pieces) == by["other"][new]
    return split


def test_a_conversation_keeps_its_model(database: Database, models: Path) -> None:
    begin(database, models, "other")
    promote(database, by="tests")
    with running(make_service(models / "old", database)) as client:
        seen = set()
        for word in PROMPTS:
            messages = [{"role": "user", "content": word}]
            models_of_it = set()
            for _ in range(2):
                asked = {"model": "old", "messages": messages, "max_tokens": 2, "temperature": 0}
                told = client.ask("POST", "/v1/chat/completions", asked).json
                models_of_it.add(told["model"])
                messages += [told["choices"][0]["message"], {"role": "user", "content": "four"}]
                messages[-2].pop("refusal")
            assert len(models_of_it) == 1
            seen |= models_of_it
        assert seen == {"old", "other"}


def test_gates_go_by_tokens_and_those_of_labels_are_refused(
    database: Database, models: Path
) -> None:
    with pytest.raises(ConfigError, match="the gate drift looks at labels"):
        begin(database, models, "other", gates={"drift": {}})
    with pytest.raises(ConfigError, match="the gate accuracy looks at labels"):
        begin(database, models, "other", gates={"accuracy": {"limit": 0.1}})
    with running(make_service(models / "old", database)) as client:
        both = {
            "agreement": {"limit": 0.6, "least": 20, "when_passed": "promote"},
            "errors": {"limit": 0.5, "least": 20, "when_passed": "promote"},
        }
        begin(database, models, "same", gates=both)
        in_stage(client, "shadow")
        for prompt in PROMPTS * 2:
            write(client, prompt, max_tokens=2)
        until(lambda: is_in_stage(client, "canary", max_tokens=2))
        assert shadow_of(client)["agreement"]["value"] == 1.0
        assert state(client)["rollout"]["by"] == "gates"
        roll_back(database, by="tests")
        tight = {"limit": 0.9, "least": 20}
        gates = {"agreement": tight, "latency_p95_ms": tight | {"limit": 1e-6}}
        begin(database, models, "other", gates=gates)
        in_stage(client, "shadow")
        for prompt in PROMPTS * 2:
            write(client, prompt)
        until(lambda: is_in_stage(client, "rolled-back"))
    made = [json.loads(line) for line in exported_lines(database)]
    back = [one["body"]["why"] for one in made if one["kind"] == "rollout.roll-back"]
    assert back[-1] == "failed: agreement, latency_p95_ms"


def test_where_the_new_model_fails_the_old_one_answers(database: Database, models: Path) -> None:
    with running(make_service(models / "old", database)) as client:
        want = write(client, LONG)["choices"][0]["text"]
        begin(database, models, "short", share=1.0)
        promote(database, by="tests")
        in_stage(client, "canary")
        follower = client.service.writing
        # It reads four tokens at most: the prompt is too long for it, but not for the old one.
        told = write(client, LONG)
        assert (told["model"], told["choices"][0]["text"]) == ("old", want)
        assert follower.counts.tally.new.errors == 1
        # What both refuse is the request's fault.
        asked = {"model": "old", "prompt": "", "max_tokens": 1}
        assert client.ask("POST", "/v1/completions", asked).status == 422
        assert follower.counts.tally.new.errors == 1


class _Failing:
    """Reads as an engine does, and fails after some reads."""

    def __init__(self, inner: Any, reads: int) -> None:
        self.inner, self.left = inner, reads

    def run(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ZeroDivisionError
        return self.inner.run(*arguments)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("reads", [0, 5])
def test_a_stream_that_has_begun_is_never_switched(
    database: Database, models: Path, reads: int, is_stream: bool
) -> None:
    with running(make_service(models / "old", database)) as client:
        want = write(client, PROMPTS[0], max_tokens=40)["choices"][0]["text"]
        begin(database, models, "other", share=1.0)
        promote(database, by="tests")
        in_stage(client, "canary")
        follower = client.service.writing
        rollout = follower.rollout
        assert rollout is not None
        new = follower.loaded.get(rollout.new.key)
        assert new is not None
        new.model.engine._pass = _Failing(new.model.engine._pass, reads)
        asked = {"model": "old", "prompt": PROMPTS[0], "temperature": 0, "max_tokens": 40}
        is_switched = reads == 0 or not is_stream
        if is_stream and not is_switched:
            client.service.writers.begin = _slow(client.service.writers.begin)
        try:
            text = client.ask("POST", "/v1/completions", asked | {"stream": is_stream}).text
        except http.client.IncompleteRead as err:
            text = err.partial.decode()
        assert follower.counts.tally.new.errors == 1
        if is_switched:
            assert '"old"' in text
            assert '"other"' not in text
            if not is_stream:
                assert json.loads(text)["choices"][0]["text"] == want
        else:
            assert '"other"' in text
            assert '"old"' not in text


def _slow(begin: Any) -> Any:
    """Let each token be a turn, so that the first ones are sent before the failure."""

    def one_by_one(pieces: Iterator[str]) -> Any:
        def slowly() -> Iterator[str]:
            for piece in pieces:
                yield piece
                time.sleep(0.02)

        return begin(slowly())

    return one_by_one


def test_a_server_takes_the_state_up_again(
    database: Database, models: Path, tmp_path: Path
) -> None:
    here = tmp_path / "models"
    shutil.copytree(models, here)
    begin(database, here, "other")
    promote(database, by="tests", share=1.0)
    with running(make_service(here / "old", database)) as client:
        assert who(client, PROMPTS[0]) == "other"  # the first answer already
    shutil.move(here / "other", here / "away")
    with running(make_service(here / "old", database)) as client:
        assert who(client, PROMPTS[0]) == "old"
        assert "other cannot answer" in state(client)["notes"][0]
    promote(database, by="tests")
    with pytest.raises(RunError, match="other cannot answer"):
        asyncio.run(make_service(here / "old", database).follower.begin())
    shutil.move(here / "away", here / "other")
    with running(make_service(here / "other", database)) as client:
        assert who(client, PROMPTS[0]) == "other"
        roll_back(database, by="tests")
        assert until(lambda: who(client, PROMPTS[0]) == "old") < FOLLOWED_S


def test_what_cannot_be_compared_is_refused(
    database: Database, models: Path, model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="is a classifier, other a language model"):
        start(database, refer(model_folder), refer(models / "other"), Rules(), by="tests")
    shutil.copytree(models / "other", tmp_path / "far")
    path = tmp_path / "far" / "tokenizer.json"
    found = json.loads(path.read_text())
    found["added_tokens"].append(found["added_tokens"][-1] | {"id": 299, "content": "<new>"})
    path.write_text(json.dumps(found))
    with pytest.raises(ConfigError, match="far has other tokens than old"):
        start(database, refer(models / "old"), refer(tmp_path / "far"), Rules(), by="tests")
    with pytest.raises(ConfigError, match="answers already"):
        begin(database, models, "old")
    start(database, refer(models / "old"), refer(models / "old", "int4"), Rules(), by="tests")


def test_a_rollout_of_classifiers_is_not_one_of_language_models(
    database: Database, models: Path, model_folder: Path, tmp_path: Path
) -> None:
    begin(database, models, "other")
    promote(database, by="tests")
    promote(database, by="tests")
    sorting = make_run(model_folder, tmp_path / "run", ["first", "second"])
    start(database, refer(sorting / "first"), refer(sorting / "second"), Rules(), by="tests")
    with running(make_service(models / "old", database)) as client:
        assert who(client, PROMPTS[0]) == "other"
        assert client.service.follower.notes == []


def test_rollout_over_http(database: Database, models: Path) -> None:
    with running(make_service(models / "old", database)) as client:
        beside = client.ask("GET", "/api/v1/rollout/models").json["models"]
        assert [one["name"] for one in beside] == ["old", "other", "same", "short"]
        assert [one["name"] for one in beside if one["answers"]] == ["old"]
        assert beside[0]["precisions"] == ["int8", "fp32", "bf16", "int4"]
        unfit = {"model": "same", "rules": {"gates": {"drift": {}}}}
        refused = client.ask("POST", "/api/v1/rollout/start", unfit)
        assert (refused.status, "looks at labels" in refused.text) == (422, True)
        begun = client.ask("POST", "/api/v1/rollout/start", {"model": "same", "precision": "int4"})
        assert begun.status == 200, begun
        rollout = begun.json["rollout"]
        assert (rollout["new"]["kind"], rollout["new"]["precision"]) == ("language-model", "int4")
        in_stage(client, "shadow")
        assert "sparsepath_rollout_stage 1" in client.ask("GET", "/metrics").text
        back = client.ask("POST", "/api/v1/rollout/roll-back", {})
        assert back.json["rollout"]["stage"] == "rolled-back"


def test_only_the_first_tokens_are_compared(models: Path) -> None:
    engine = Engine(models / "old")
    facts = Written(notes=3)
    "".join(engine.generate("one", GenerateOptions(tokens=9, temperature=1.0), facts=facts))
    assert len(facts.noted) == 3
    model = LanguageModel(models / "old", form="int8", threads=1)
    likeliest = model.likeliest("one", [place.token for place in facts.noted])
    assert likeliest == [place.likeliest for place in facts.noted]
    assert likeliest != [place.token for place in facts.noted]
    told = {"likeliest": [likeliest[0], -1, -1], "ms": 6.0}
    assert WrittenText("one", facts.noted).compared(told) == (1 / 3, 2.0, 3, [])
