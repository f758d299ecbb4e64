"""A fine-tuned classifier becomes sparse, still answers, and can be predicted and explained."""

import csv
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
)

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.healing import HealingFile
from sparsepath.artifacts.store import read_json
from sparsepath.artifacts.training_record import read_record
from sparsepath.cli.main import main
from sparsepath.concepts.checkpoints import catalogue_checkpoints
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.track import track
from sparsepath.errors import ConfigError, DataError, ModelError, RunError
from sparsepath.evaluate.convert import Converted, convert
from sparsepath.models.fine_tuned import read_fine_tuned
from sparsepath.models.save import load_classifier
from sparsepath.models.topk_classifier import sparse_sites
from sparsepath.runtime.engine import load_engine
from sparsepath.train import trainer

TOPICS = {
    "card": ["card", "lost", "stolen", "chip", "pin", "blocked"],
    "money": ["money", "transfer", "sent", "pending", "refund", "salary"],
    "app": ["app", "login", "password", "screen", "crashed", "update"],
}
FILLERS = ["my", "the", "a", "is", "was", "not", "why", "please", "help", "today", "again", "with"]
TEXT = "my card is stolen please help"

SMALL = [
    "train.steps=60",
    "train.evaluate_every=20",
    "train.checkpoint_every=20",
    "train.rate=3e-3",
    "seed=1",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 different questions with three labels."""
    chance = random.Random(0)
    path = tmp_path_factory.mktemp("table") / "questions.csv"
    texts: dict[str, str] = {}
    while len(texts) < 240:
        label = chance.choice(list(TOPICS))
        words = chance.sample(TOPICS[label], 3) + chance.sample(FILLERS, 5)
        chance.shuffle(words)
        texts[" ".join(words)] = label
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("question", "queue"), *texts.items()])
    return path


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Path:
    """A tiny BertForSequenceClassification that learnt the questions, as transformers saves it."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *FILLERS, *(w for t in TOPICS.values() for w in t)]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(words[:4])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = sorted(TOPICS, reverse=True)  # not the order that a table would give them
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=40, id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
    )  # fmt: skip
    with table.open(encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    ids = torch.tensor([tokenizer.encode(text).ids for text, _ in rows])
    truth = torch.tensor([names.index(label) for _, label in rows])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertForSequenceClassification(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(60):
            chosen = torch.randint(len(rows), (32,))
            model(ids[chosen], labels=truth[chosen]).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("parent") / "bert"
    model.eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def done(parent: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """The parent with four entries left after each layer."""
    out = tmp_path_factory.mktemp("runs") / "sparse"
    return convert(parent, table, out, sites={"block_out": 4}, changes=SMALL)


def test_it_becomes_sparse_and_still_answers(done: Converted, parent: Path) -> None:
    healing = done.healing
    assert healing is not None
    assert [stage.name for stage in healing.stages] == ["parent", "unhealed", "healed"]
    first, before, after = healing.stages
    assert first.accuracy > 0.9
    assert first.agreement == 1.0
    assert before.loss_nats > 2 * after.loss_nats
    assert after.accuracy > first.accuracy - 0.1
    assert after.loss_nats == pytest.approx(done.evaluation.loss_nats, abs=1e-4)
    assert healing.accuracy_change == pytest.approx(after.accuracy - first.accuracy)
    assert done.evaluation.part == "test"
    assert healing.n_test == done.evaluation.n == 48
    model = load_classifier(done.folder / "model").model
    assert [(s.layer, s.site, s.topk.k) for s in sparse_sites(model)] == [
        (0, "block_out", 4),
        (1, "block_out", 4),
    ]
    assert list(model.config.label2id) == list(
        BertForSequenceClassification.from_pretrained(parent).config.label2id
    )


def test_the_parent_is_judged_as_transformers_runs_it(
    done: Converted, parent: Path, table: Path
) -> None:
    assert done.healing is not None
    model = BertForSequenceClassification.from_pretrained(parent).eval()
    found = read_fine_tuned(str(parent))
    tokenizer = Tokenizer.from_str(found.tokenizer_json)
    with table.open(encoding="utf-8") as file:
        texts = [row[0] for row in list(csv.reader(file))[1:]]
    ids = torch.tensor([tokenizer.encode(text).ids for text in texts])
    with torch.no_grad():
        want = model(ids).logits
        torch.testing.assert_close(found.model(ids).logits, want, atol=1e-5, rtol=1e-5)


def test_k_falls_and_the_history_is_kept(done: Converted) -> None:
    assert done.healing is not None
    looks = done.healing.looks
    assert [look.step for look in looks] == [20, 40, 60]
    kept = [look.kept["L01.block_out"] for look in looks]
    assert kept[0] > 4
    assert kept[1:] == [4, 4]
    card = (done.folder / "model" / "README.md").read_text(encoding="utf-8")
    for stage in done.healing.stages:
        assert f"{stage.accuracy:.2%}" in card
        assert f"{stage.loss_nats:.4f}" in card
    assert f"| 20 | {kept[0]} |" in card
    assert read_json(done.folder / "model" / "healing.json", HealingFile) == done.healing


def test_only_what_the_parent_says_can_be_learnt(parent: Path, table: Path, tmp_path: Path) -> None:
    turned = {"card": "money", "money": "app", "app": "card", "queue": "queue"}
    with table.open(encoding="utf-8") as file:
        rows = [(text, turned[label]) for text, label in csv.reader(file)]
    wrong = tmp_path / "wrong.csv"
    with wrong.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    first = {}
    for share in ("1.0", "0.0"):
        changes = [*SMALL, "train.steps=1", f"train.distil={share}", "topk.dense_first=1"]
        out = tmp_path / share
        found = convert(parent, wrong, out, sites={"block_out": 31}, changes=changes)
        assert found.healing is not None
        assert list(found.healing.kept) == ["L01.block_out"]
        steps = [line for line in read_record(out) if line["kind"] == "step"]
        first[share] = steps[0]["loss_nats"]
    # Its parent answers otherwise than the labels, and dropout is all that parts it from that.
    assert first["1.0"] < 0.3
    assert first["0.0"] > 2.0


def test_a_killed_conversion_goes_on_exactly(
    done: Converted, parent: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCutError(Exception):
        """Ends a training between two steps."""

    plain = trainer.write_checkpoint

    def cut(folder: Path, step: int, *args: Any, **kwargs: Any) -> None:
        plain(folder, step, *args, **kwargs)
        if step == 40:
            raise PowerCutError

    monkeypatch.setattr(trainer, "write_checkpoint", cut)
    with pytest.raises(PowerCutError):
        convert(parent, table, tmp_path / "run", sites={"block_out": 4}, changes=SMALL)
    monkeypatch.setattr(trainer, "write_checkpoint", plain)
    again = convert(parent, table, tmp_path / "run", sites={"block_out": 4}, changes=SMALL)
    losses = [
        [line["loss_nats"] for line in read_record(place) if line["kind"] == "step"]
        for place in (done.folder, again.folder)
    ]
    assert len(losses[0]) == 60
    assert losses[0] == losses[1]
    weights = [load_classifier(f / "model").model.state_dict() for f in (done.folder, again.folder)]
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())
    with pytest.raises(RunError, match="another recipe"):
        convert(parent, table, tmp_path / "run", sites={"block_out": 5}, changes=SMALL)


def test_the_folder_loads_predicts_explains_and_exports(
    done: Converted, table: Path, tmp_path: Path
) -> None:
    folder = done.folder / "model"
    model, tokenizer = load_classifier(folder)
    auto = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ids = torch.tensor([tokenizer.encode(TEXT).ids])
    with torch.no_grad():
        want = model(ids).logits.softmax(-1)
        assert torch.equal(auto(ids).logits.softmax(-1), want)
    np.testing.assert_allclose(load_engine(folder).predict([TEXT]), want.numpy(), atol=1e-5)
    out = tmp_path / "labels.csv"
    run = CliRunner()
    assert run.invoke(main, ["predict", str(folder), str(table), "-o", str(out)]).exit_code == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 241
    told = run.invoke(main, ["explain", str(folder), TEXT, "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["predicted"] == "card"
    assert found["is_exact"] is False  # a head follows, which is not linear
    assert [n["name"] for n in found["neurons"]] == [u["name"] for u in found["units"]]
    copy = run.invoke(main, ["export", str(folder), "--to", "hf", "--out", str(tmp_path / "hf")])
    assert copy.exit_code == 0, copy.output
    assert len(load_classifier(tmp_path / "hf").model.sparse) == 2
    assert (tmp_path / "hf" / "healing.json").is_file()


def test_neurons_are_followed_over_the_checkpoints_of_a_conversion(
    done: Converted, table: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(done.folder, run)
    options = CatalogueOptions(length=32, held_out=0.25, vectors=False)
    dated = catalogue_checkpoints(run, str(table), options)
    assert len(dated) >= 2
    with ExitStack() as stack:
        catalogues = [stack.enter_context(Catalogue(one.path)) for one in dated]
        found = track(catalogues, [one.name for one in dated])
        assert catalogues[0].facts.kind == "text-classification"
    assert {life.neuron.layer for life in found.lives} == {0, 1}
    assert any(life.settled_at is not None for life in found.lives)


def test_catalogues_of_checkpoints_are_those_asked_for(
    done: Converted, table: Path, tmp_path: Path
) -> None:
    run, own, said = tmp_path / "run", tmp_path / "own.csv", list[str]()
    shutil.copytree(done.folder, run)
    shutil.copyfile(table, own)
    options = CatalogueOptions(length=32, held_out=0.25, vectors=False)

    def again(corpus: Path, options: CatalogueOptions) -> list[str]:
        said.clear()
        catalogue_checkpoints(run, str(corpus), options, said.append)
        return [line for line in said if line.startswith("step ")]

    first = again(own, options)
    assert len(first) >= 2
    assert again(own, options) == []
    few = CatalogueOptions(length=32, held_out=0.25, vectors=False, tokens=600)
    assert all("of another corpus or other options" in line for line in again(own, few))
    assert len(again(table, few)) == len(first)
    assert again(table, few) == []
    later = time.time() + 60
    os.utime(next(run.glob("checkpoints/step-*/state.safetensors")), (later, later))
    assert len(again(table, few)) == 1
    damaged = next((run / "concepts").glob("step-*.sqlite"))
    damaged.write_bytes(b"no database")
    os.utime(damaged, (later + 60, later + 60))
    with pytest.raises(RunError, match="fix: delete it"):
        again(table, few)


def test_a_model_that_sparsepath_trained_is_converted_too(
    done: Converted, model_folder: Path, tmp_path: Path
) -> None:
    del done
    table = tmp_path / "small.csv"
    words, labels = ["good", "fine", "bad", "poor", "a", "day", "very"], ["left", "right"]
    chance = random.Random(1)
    texts = {" ".join(chance.sample(words, 5)): chance.choice(labels) for _ in range(80)}
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("words", "side"), *texts.items()])
    changes = [*SMALL, "train.steps=2", "topk.dense_first=1"]
    found = convert(model_folder, table, tmp_path / "run", sites={"block_out": 8}, changes=changes)
    told = CliRunner().invoke(main, ["explain", str(found.folder / "model"), "a day", "--json"])
    assert json.loads(told.stdout)["is_exact"] is True  # the mean and a linear map follow


def _of(rows: list[tuple[str, str]], header: tuple[str, str] = ("question", "queue")) -> str:
    return "\n".join(",".join(row) for row in (header, *rows)) + "\n"


def _numbered(labels: list[str], n: int) -> list[tuple[str, str]]:
    return [
        (f"my {label} is {number} again today", label) for label in labels for number in range(n)
    ]


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (
            _of(_numbered(["card", "loan", "tax"], 9)),
            [],
            r'does not know the label "loan" \(2 such',
        ),
        (_of(_numbered(["card", "app"], 2)), [], "fewer than 3 rows"),
        (_of(_numbered(["card"], 9)), [], "only one label"),
        (_of([]), [], "0 values"),
        ("", [], "is empty"),
        (_of(_numbered(["card", "app"], 9)), ["data.label_column=topic"], "topic"),
        (_of(_numbered(["card", "app"], 9)), ["data.text_column=body"], "body"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    parent: Path, tmp_path: Path, content: str, columns: list[str], message: str
) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(DataError, match=message) as raised:
        convert(
            parent,
            tmp_path / "table.csv",
            tmp_path / "run",
            sites={"block_out": 4},
            changes=[*SMALL, *columns],
        )
    assert raised.value.hint
    assert not (tmp_path / "run" / "model").exists()


def test_text_is_no_table(parent: Path, tmp_path: Path) -> None:
    (tmp_path / "articles.txt").write_text("one two\n\nthree four\n")
    with pytest.raises(DataError, match="is not a table"):
        convert(parent, tmp_path / "articles.txt", tmp_path / "run", sites={"block_out": 4})


@pytest.mark.parametrize(
    ("sites", "changes", "message"),
    [
        ({}, [], "no site is named"),
        ({"attn_out": 4}, [], "an encoder has no site 'attn_out'"),
        ({"nowhere": 4}, [], "nowhere"),
        ({"block_out": 0}, [], "greater than or equal to 1"),
        ({"block_out": 32}, [], "block_out = 32; 32 entries compete"),
        ({"block_out": 4, "mlp_hidden": 48}, [], "mlp_hidden = 48; 48 entries compete"),
        ({"block_out": 4}, ["topk.dense_layers=2"], "leave at least one layer"),
        ({"block_out": 4}, ["topk.dense_first=2"], "leave at least one layer"),
        ({"block_out": 4}, ["train.rank=4"], "no effect on text-classification"),
        ({"block_out": 4}, ["topk.always_on=1"], "no effect on text-classification"),
        ({"block_out": 4}, ["topk.straight_through=true"], "no effect on text-classification"),
        ({"block_out": 4}, ["data.column=x"], "no effect on text-classification"),
        ({"block_out": 4}, ["model.is_classifier=false"], "needs a classifier that is gone on"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    parent: Path, table: Path, tmp_path: Path, sites: Any, changes: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        convert(parent, table, tmp_path / "run", sites=sites, changes=[*SMALL, *changes])
    assert raised.value.hint
    assert not (tmp_path / "run").exists()


def _sparse(parent: Path, done: Converted, place: Path) -> Path:
    del parent, place
    return done.folder / "model"


def _unknown(parent: Path, done: Converted, place: Path) -> Path:
    del done
    shutil.copytree(parent, place)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"model_type": "albert"}))
    return place


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_sparse, "keeps its largest entries already; its k cannot be changed"),
        (_unknown, "has architecture 'albert'"),
        (lambda _parent, _done, place: place, "there is no folder"),
    ],
)
def test_a_model_that_cannot_be_converted_is_refused(
    parent: Path,
    done: Converted,
    table: Path,
    tmp_path: Path,
    make: Callable[[Path, Converted, Path], Path],
    message: str,
) -> None:
    model = make(parent, done, tmp_path / "model")
    with pytest.raises(ModelError, match=message) as raised:
        convert(model, table, tmp_path / "run", sites={"block_out": 4})
    assert raised.value.hint


def test_the_command_tells_what_it_cost(parent: Path, table: Path, tmp_path: Path) -> None:
    arguments = ["convert", str(parent), str(table), "--k", "4", "--site", "mlp_hidden=6"]
    arguments += ["--text-column", "question", "--label-column", "queue"]
    for change in [*SMALL, "train.steps=2"]:
        arguments += ["--set", change]
    out = tmp_path / "run"
    told = CliRunner().invoke(main, [*arguments, "--out", str(out), "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["model"] == str(out / "model")
    assert found["healing"]["kept"]["L00.mlp_hidden"] == 6
    for words in ("parent, dense", "sparse, before healing", "sparse, after healing", "points"):
        assert words in told.stderr
    wrong = CliRunner().invoke(main, [*arguments, "--label-column", "topic", "--out", str(out)])
    assert wrong.exit_code == 1
    assert "fix:" in wrong.stderr
