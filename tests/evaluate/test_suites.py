"""Known tests give the harness's own figures for the same model, from local files."""

import bz2
import gzip
import json
import lzma
import math
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from lm_eval.api.instance import Instance, OutputType
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from sparsepath.cli.main import main
from sparsepath.config import SuiteName
from sparsepath.errors import ConfigError, DataError
from sparsepath.evaluate.harness import EngineLM, ask, evaluate
from sparsepath.evaluate.suites import SUITES, read_items
from sparsepath.evaluate.texts import evaluate_texts
from sparsepath.models.language import fresh_llama, fresh_topk, train_byte_tokenizer
from sparsepath.runtime.language.engine import Engine

N = 12


def _words(chance: random.Random, n: int) -> str:
    return " ".join(chance.choice(["one", "two", "three", "four", "five"]) for _ in range(n))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files of all tests, packed in different ways."""
    folder, chance = tmp_path_factory.mktemp("suites"), random.Random(0)

    def choice() -> dict[str, Any]:
        choices = [_words(chance, 1 + n) for n in range(4)]
        return {"query": _words(chance, 5), "choices": choices, "gold": chance.randrange(4)}

    def jsonl(items: list[dict[str, Any]]) -> bytes:
        return "\n".join(json.dumps(item) for item in items).encode()

    items = [choice() for _ in range(N)]
    (folder / "arc_easy.jsonl.xz").write_bytes(lzma.compress(jsonl(items)))
    (folder / "piqa.jsonl").write_bytes(jsonl(items))
    lines = [[i["query"], str(i["gold"]), *i["choices"]] for i in items]
    text = "\n".join("\n".join(part) for part in lines) + "\n"
    (folder / "hellaswag_val_full.txt.bz2").write_bytes(bz2.compress(text.encode()))
    last = [{"context": _words(chance, 6), "continuation": "two"} for _ in range(N)]
    (folder / "lambada_openai.jsonl.gz").write_bytes(gzip.compress(jsonl(last)))
    two = [
        {"context_options": [_words(chance, 4), _words(chance, 4)], "continuation": "five six.",
         "gold": n % 2}
        for n in range(N)
    ]  # fmt: skip
    (folder / "winogrande.jsonl").write_bytes(jsonl(two))
    with zipfile.ZipFile(folder / "BLiMP.zip", "w") as archive:
        for name in ("a.jsonl", "b.jsonl", "__MACOSX/c.jsonl"):
            pairs = [
                {"sentence_good": _words(chance, 5), "sentence_bad": _words(chance, 5), "UID": name}
                for _ in range(N // 2)
            ]
            archive.writestr(name, jsonl(pairs))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random sparse model with a tokenizer that transformers reads as well."""
    folder = tmp_path_factory.mktemp("model")
    llama = fresh_llama(
        vocabulary=300, length=64, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_mlp=48, seed=0
    )
    sparse = fresh_topk(
        llama, topk={"block_out": 9}, topk_by="value", topk_positive=False, n_always_on=0,
        n_dense_layers=1, straight_through=False,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in sparse.parameters():
            parameter.mul_(3 if parameter.dim() > 1 else 1)
    sparse.save_pretrained(folder)
    tokenizer = train_byte_tokenizer(iter(["one two three four five six"] * 3), size=300)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", bos_token="<|end|>"
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("suite", SUITES)
def test_figures_are_those_of_the_harness(suite: SuiteName, model: Path, files: Path) -> None:
    found = evaluate(model, suite, files)
    items = read_items(suite, files)
    theirs = HFLM(
        pretrained=AutoModelForCausalLM.from_pretrained(model),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(model),
        batch_size=4,
    )
    told = ask(theirs, suite, items)
    assert found.n == N
    assert found.figures["accuracy"] == told["acc,none"]
    assert found.errors["accuracy"] == pytest.approx(told["acc_stderr,none"])
    for name, key in (("accuracy_by_length", "acc_norm,none"), ("perplexity", "perplexity,none")):
        assert found.figures.get(name, 0.0) == pytest.approx(told.get(key, 0.0), rel=1e-4)
    assert evaluate(model, suite, files, limit=3).n == 3


def _both(model: Path) -> tuple[EngineLM, HFLM]:
    theirs = HFLM(
        pretrained=AutoModelForCausalLM.from_pretrained(model),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(model),
        batch_size=1,
    )
    return EngineLM(Engine(model, form="fp32")), theirs


def _asked(kind: OutputType, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [
        Instance(request_type=kind, doc={}, arguments=given, idx=i)
        for i, given in enumerate(arguments)
    ]


def test_whole_texts_are_scored_as_the_harness_does(model: Path) -> None:
    chance = random.Random(1)
    asked = _asked("loglikelihood_rolling", *[(_words(chance, n),) for n in (3, 40, 150)])
    ours, theirs = (judge.loglikelihood_rolling(asked, disable_tqdm=True) for judge in _both(model))
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_answers_are_those_of_the_harness(model: Path) -> None:
    settings = {"until": ["four", "\n"], "max_gen_toks": 12, "do_sample": False}
    chance = random.Random(2)
    asked = _asked("generate_until", *[(_words(chance, n), dict(settings)) for n in (3, 9, 90)])
    judges = _both(model)
    ours, theirs = (judge.generate_until(asked, disable_tqdm=True) for judge in judges)
    assert ours == theirs
    first = ours[0].strip()[:3]
    assert first
    cut = judges[0].generate_until(
        _asked("generate_until", (asked[0].args[0], settings | {"until": first}))
    )
    assert cut == [ours[0].partition(first)[0]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"num_beams": 3}, "a test sets num_beams"), ({"max_gen_toks": 64}, "writes 64 tokens")],
)
def test_what_cannot_be_written_is_told(
    model: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        EngineLM(Engine(model, form="fp32")).generate_until(
            _asked("generate_until", ("one", settings))
        )


def test_texts_are_scored_document_by_document(model: Path, tmp_path: Path) -> None:
    texts = ["one two three four\n", "five five\n", "two one two one two\n", "x"]
    (tmp_path / "a.txt").write_text("\n\n".join(texts))
    found = evaluate_texts(model, str(tmp_path / "a.txt"))
    network = AutoModelForCausalLM.from_pretrained(model).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model)
    bits = n_bytes = 0.0
    for text in texts[:3]:
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
        with torch.no_grad():
            nats = network(ids, labels=ids).loss * (ids.shape[1] - 1)
        bits += float(nats) / math.log(2)
        n_bytes += len(text) * (ids.shape[1] - 1) / ids.shape[1]
    assert found.n == 3
    assert found.figures["bits_per_byte"] == pytest.approx(bits / n_bytes, rel=1e-4)
    assert 0 < found.errors["bits_per_byte"] < found.figures["bits_per_byte"]
    (tmp_path / "b.txt").write_text("x")
    with pytest.raises(DataError, match="no text of two tokens"):
        evaluate_texts(model, str(tmp_path / "b.txt"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("piqa.jsonl", b"", "holds no item"),
        ("piqa.jsonl", b"{", "cannot be read"),
        ("piqa.jsonl", b'{"query": "a", "gold": 1}', "item 0 of .* has no 'choices'"),
        ("piqa.jsonl.gz", b"not packed", "cannot be read"),
        ("other.jsonl", b"", "no file for piqa"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_items("piqa", tmp_path)


def test_the_command_prints_figures(model: Path, files: Path, tmp_path: Path) -> None:
    expected = evaluate(model, "piqa", files)
    arguments = ["evaluate", str(model), str(files), "--suite", "piqa"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert f"piqa: accuracy {expected.figures['accuracy']:.4f} (standard error" in done.stdout
    found = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert found["figures"] == expected.figures
    (tmp_path / "a.txt").write_text("one two three\n\nfour five")
    text = CliRunner().invoke(main, ["evaluate", str(model), str(tmp_path / "a.txt")])
    assert "text: bits per byte" in text.stdout, text.output
    wrong = CliRunner().invoke(main, ["evaluate", str(model), str(tmp_path), "--suite", "blimp"])
    assert wrong.exit_code == 1
    assert "no file for blimp" in wrong.stderr
