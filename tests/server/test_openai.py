"""OpenAI's own client against a real server: texts are the engine's, each is on record."""

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.server.served import JSON, Client, make_service, running

from sparsepath.artifacts.steering import make_preset, write_preset
from sparsepath.audit.database import Database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.verify import verify
from sparsepath.config import GenerateOptions
from sparsepath.models.language import fresh_llama, train_byte_tokenizer
from sparsepath.runtime.language.engine import Engine
from sparsepath.server.language import LanguageModel
from sparsepath.server.templates import ChatTemplate

TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random language model with a template and a preset."""
    folder = tmp_path_factory.mktemp("lm") / "small"
    fresh_llama(
        vocabulary=300, length=96, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_mlp=48, seed=0
    ).save_pretrained(folder)
    train_byte_tokenizer(iter(["one two three four"]), size=300).save(
        str(folder / "tokenizer.json")
    )
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    engine = Engine(folder)
    edits = [engine.edit("L01/3=40"), engine.edit("L00/5=-30")]
    write_preset(folder, make_preset("odd", edits, engine.weights.made_of))
    return folder


@pytest.fixture(scope="module")
def served(lm: Path, database: Database) -> Iterator[Client]:
    with running(make_service(lm, database, keep_texts=True)) as client:
        yield client


@pytest.fixture
def official(served: Client) -> Iterator[openai.OpenAI]:
    url = f"http://127.0.0.1:{served.port}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def expected(lm: Path, prompt: str, *edits: str, **options: Any) -> str:
    engine = Engine(lm)
    with engine.steered(*edits, unsafe_strength=True):
        return "".join(engine.generate(prompt, GenerateOptions(**options)))


def records(database: Database) -> dict[int, Any]:
    lines = [json.loads(line) for line in exported_lines(database, with_texts=True)]
    return {line["seq"]: line for line in lines}


def test_a_completion_is_the_engines_text(
    official: openai.OpenAI, lm: Path, database: Database
) -> None:
    assert [model.id for model in official.models.list()] == ["small"]
    assert official.models.retrieve("small").owned_by == "sparsepath"
    got = official.completions.create(
        model="small", prompt="one two", max_tokens=12, temperature=0.7, top_p=0.9, seed=5
    )
    want = expected(lm, "one two", tokens=12, temperature=0.7, top_p=0.9, seed=5)
    assert got.choices[0].text == want
    assert got.choices[0].finish_reason == "length"
    assert got.usage is not None
    assert got.usage.completion_tokens == 12
    assert got.usage.prompt_tokens == len(Engine(lm).encode("one two"))
    seq = got.model_extra["sparsepath"]["record"]["seq"]
    kept = records(database)
    assert kept[seq]["kept"]["answer"]["text"] == want
    assert kept[seq - 1]["kept"]["prompt"]["text"] == "one two"
    assert kept[seq - 1]["body"]["seed"] == 5


def test_a_stream_joins_to_the_same_text(
    official: openai.OpenAI, lm: Path, database: Database
) -> None:
    asked: Any = {"model": "small", "prompt": "three", "max_tokens": 40, "temperature": 0}
    chunks = [
        *official.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    ]
    want = expected(lm, "three", tokens=40)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == want
    assert chunks[-1].usage.completion_tokens == 40
    assert chunks[-2].choices[0].finish_reason == "length"
    record = chunks[-2].model_extra["sparsepath"]["record"]
    assert records(database)[record["seq"]]["hash"] == record["hash"]
    assert verify(database).faults == []


def test_a_conversation_goes_through_the_models_template(official: openai.OpenAI, lm: Path) -> None:
    asked: Any = {
        "model": "small", "temperature": 0, "max_completion_tokens": 9,
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "one"}]},
        ],
    }  # fmt: skip
    want = expected(lm, "<system>be brief\n<user>one\n<assistant>", tokens=9)
    got = official.chat.completions.create(**asked)
    assert got.choices[0].message.content == want
    assert got.choices[0].message.role == "assistant"
    chunks = [*official.chat.completions.create(**asked, stream=True)]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == want


def test_a_stop_text_ends_it(official: openai.OpenAI, lm: Path) -> None:
    whole = expected(lm, "one", tokens=30)
    stop = whole[10:12]
    got = official.completions.create(
        model="small", prompt="one", max_tokens=30, temperature=0, stop=[stop]
    )
    assert got.choices[0].text == whole[: whole.find(stop)]
    assert got.choices[0].finish_reason == "stop"


def test_a_preset_steers_its_own_text_only(
    official: openai.OpenAI, lm: Path, database: Database
) -> None:
    asked: Any = {"model": "small", "prompt": "two", "max_tokens": 30, "temperature": 0}
    plain = expected(lm, "two", tokens=30)
    steered = expected(lm, "two", "L01/3=40", "L00/5=-30", tokens=30)
    assert plain != steered
    steer = {"sparsepath": {"preset": "odd"}}
    with ThreadPoolExecutor(4) as pool:
        work = [
            pool.submit(
                official.completions.create, **asked, extra_body=steer if number % 2 else None
            )
            for number in range(8)
        ]
        got = [future.result() for future in work]
    assert [one.choices[0].text for one in got] == [plain, steered] * 4
    told = got[1].model_extra["sparsepath"]
    assert told["edits"] == ["L01/3=40", "L00/5=-30"]
    assert records(database)[told["record"]["seq"] - 1]["body"]["preset"] == "odd"


def test_what_cannot_be_done_is_refused(official: openai.OpenAI, served: Client) -> None:
    create = official.completions.create
    with pytest.raises(openai.NotFoundError, match="no such model"):
        create(model="gpt", prompt="a")
    for preset in ("even", "../odd", "presets/odd.json", "/etc/passwd", "odd.json"):
        with pytest.raises(openai.NotFoundError, match="no such preset"):
            create(model="small", prompt="a", extra_body={"sparsepath": {"preset": preset}})
    with pytest.raises(openai.UnprocessableEntityError, match="prompt is empty"):
        create(model="small", prompt="")
    with pytest.raises(openai.UnprocessableEntityError, match="trained on"):
        create(model="small", prompt="four " * 200, stream=True)
    bad: list[Any] = [
        {"n": 2},
        {"temperature": -1},
        {"logprobs": 3},
        {"echo": True},
        {"stop": [""]},
    ]
    for asked in bad:
        with pytest.raises(openai.UnprocessableEntityError):
            create(model="small", prompt="a", **asked)
    assert served.ask("POST", "/api/v1/classify", {"text": "a"}).status == 404


def test_a_client_that_leaves_stops_the_writing(
    served: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = LanguageModel.write

    def slow(self: LanguageModel, *asked: Any) -> Iterator[str]:
        for piece in write(self, *asked):
            time.sleep(0.02)
            yield piece

    monkeypatch.setattr(LanguageModel, "write", slow)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    asked = {"model": "small", "prompt": "one", "max_tokens": 90, "stream": True, "seed": 1}
    connection.request("POST", "/v1/completions", json.dumps(asked), JSON)
    reply = connection.getresponse()
    reply.readline()
    reply.close()
    connection.close()
    end = time.monotonic() + 20
    while (last := max(records(database).items())[1])["kind"] != "generation.end":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert last["body"]["ending"] == "cancelled"
    assert 0 < last["body"]["tokens"] < 90
    # The record is written before the writer's round ends, so its place is free a moment later.
    while served.service.writers.n_waiting:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert verify(database).faults == []


@pytest.mark.parametrize(
    "content",
    [
        {"model": "small"},
        {"model": "small", "prompt": 5},
        {"model": "small", "prompt": "a", "max_tokens": 0},
        {"model": "small", "prompt": "a", "max_tokens": 10**30},
        {"model": "small", "prompt": "\ud800", "max_tokens": 2},
        {"model": "\ud800", "prompt": "a"},
        {"model": "small", "prompt": "a", "seed": -1},
        {"model": "small", "prompt": "a", "stop": ["x"] * 1000, "max_tokens": 1},
        {"model": "small", "prompt": "a", "sparsepath": {"preset": "\0"}},
    ],
)
def test_odd_requests_never_break_it(served: Client, content: object) -> None:
    assert served.ask("POST", "/v1/completions", content).status in {200, 404, 422}


def test_a_model_without_a_template_gets_plain_lines() -> None:
    template = ChatTemplate(None, {}, "")
    messages = [{"role": "user", "content": "Hello"}]
    assert template.prompt(messages) == "user: Hello\nassistant:"
