"""Labels on Japanese text, which has no spaces between words, and labels said in Japanese."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import search_words
from sparsepath.artifacts.catalogue_schema import NO_CLEAR_MEANING, RulePart
from sparsepath.artifacts.label_words import AFTER, NAMES, in_japanese, phrase
from sparsepath.artifacts.neuron import Neuron
from sparsepath.cli.main import main
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.evidence.base import View
from sparsepath.concepts.evidence.classes import Classes
from sparsepath.concepts.evidence.places import Places
from sparsepath.concepts.evidence.scripts import can_name_a_topic, runs
from sparsepath.concepts.evidence.surroundings import Surroundings
from sparsepath.concepts.evidence.wording import some_tokens
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.vocabulary import token_bytes
from sparsepath.models.topk_lm import TopKConfig, TopKForCausalLM

END, WIDTH = "<|end|>", 16
OBJECTS = ["商品", "荷物", "料金", "カード", "アプリ", "パスワード"]
PLACES = ["東京", "大阪", "京都", "店舗"]
VERBS = ["届きました", "変わりません", "止まりました", "見えません"]


def _text(draw: random.Random) -> str:
    lines = [
        f"{draw.choice(PLACES)}の{draw.choice(OBJECTS)}が{draw.choice(VERBS)}。" for _ in range(4)
    ]
    return "".join(lines) + f"{draw.choice(OBJECTS)}は{draw.choice(PLACES)}へ、"


def _view(pieces: list[str]) -> View:
    texts = sorted(set(pieces))
    ids = np.array([[texts.index(piece) for piece in pieces]])
    return View(ids, texts, np.zeros(len(pieces), np.uint8))


def test_a_word_ends_where_the_kind_of_characters_changes() -> None:
    assert [run.text for run in runs("東京のカードABC")] == ["東京", "の", "カード", "ABC"]
    pieces = ["返", "品", "の返", "品", "カー", "ド", "が", "PO", "S", "。", " in", "put"]
    assert _view(pieces).words == [
        "返", "返品", "返", "返品", "カー", "カード", "が", "po", "pos", "。", "in", "input",
    ]  # fmt: skip


def test_a_character_in_pieces_is_put_together() -> None:
    whole = "返品".encode()
    parts = [whole[:2], whole[2:4], whole[4:], "の".encode()]
    texts = [part.decode(errors="replace") for part in parts]
    view = View(np.array([[0, 1, 2, 3]]), texts, np.zeros(4, np.uint8), pieces=parts)
    assert view.words[-2:] == ["返品", "の"]


def test_topics_are_named_by_content_words() -> None:
    said = ["返品", "カード", "です", "品", "money", "the"]
    assert [can_name_a_topic(word) for word in said] == [True, True, False, False, True, False]
    assert some_tokens(["返品"]) == 'the characters "返品"'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level language model on Japanese with planted neurons, and its catalogue.

    Entry 0 fires on particles, 1 on names of places, 2 on full stops, 3 on katakana.
    """
    place = tmp_path_factory.mktemp("japanese")
    draw = random.Random(0)
    texts = [_text(draw) for _ in range(150)]
    (place / "corpus.txt").write_text("\n\n".join(texts), encoding="utf-8")
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    # As of a large corpus: words of one kind of characters, which no rule of spaces cuts.
    tokenizer.train_from_iterator(
        [run.text for text in texts for run in runs(text)],
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=[END], show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )  # fmt: skip
    folder = place / "model"
    folder.mkdir()
    n = tokenizer.get_vocab_size()
    pieces = [piece.decode(errors="replace") for piece in token_bytes(tokenizer, n)]
    generator = torch.Generator().manual_seed(0)
    embedding = torch.rand(n, WIDTH, generator=generator) / 4 + 0.1
    embedding[:, :4] = -1.0
    groups = (["の", "が", "は", "へ"], PLACES, ["。"], ["カード", "アプリ", "パスワード"])
    for number, group in enumerate(groups):
        known = [pieces.index(text) for text in group if text in pieces]
        assert known, group
        embedding[known, number] = 2.0
    config = TopKConfig(
        vocab_size=n, hidden_size=WIDTH, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0,
        eos_token_id=0, tie_word_embeddings=True, topk={"block_out": 2}, n_dense_layers=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        built = TopKForCausalLM(config).eval()
    with torch.no_grad():
        built.get_input_embeddings().weight.copy_(embedding)
        built.model.layers[0].self_attn.o_proj.weight.zero_()
        built.model.layers[0].mlp.down_proj.weight.zero_()
    built.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    options = CatalogueOptions(length=32, held_out=0.25, vectors=False)
    build_catalogue(folder, str(place / "corpus.txt"), options)
    return folder


def test_planted_neurons_get_labels_that_hold(model: Path) -> None:
    with Catalogue(model) as catalogue:
        lines = {line.neuron.index: line for line in catalogue.lines()}
    assert min(lines[number].score or 0 for number in range(4)) > 0.95
    assert lines[2].label == "a Japanese full stop"


def test_labels_are_said_in_japanese(model: Path) -> None:
    with Catalogue(model, "ja") as catalogue:
        lines = {line.neuron.index: line.label for line in catalogue.lines()}
        card = catalogue.card(Neuron.parse("L00/2"))
        hits = search_words(catalogue, "句点")
    assert lines[2] == card.automatic == card.details.rule[0].phrase == "句点"
    assert all(not label.isascii() for label in lines.values())
    assert hits[0].line.neuron.index == 2
    run = CliRunner()
    assert "句点" in run.invoke(main, ["concepts", "list", str(model), "--lang", "ja"]).output
    assert (
        "句点" in run.invoke(main, ["concepts", "show", str(model), "L00/2", "--lang", "ja"]).output
    )


def test_every_question_has_a_japanese_wording() -> None:
    texts = ["a", "返品"]
    keys = [
        feature for before in (False, True) for feature in Classes(texts, before=before).features
    ]
    keys += [*Places(texts).features, *Surroundings().features]
    for feature in keys:
        part = RulePart(kind=feature.kind, phrase=feature.phrase, values=[], key=feature.key)
        said = phrase(part)
        assert said, feature
        assert said != feature.phrase
        assert feature.key.startswith(AFTER) == said.endswith("の直後")
    assert len(set(NAMES.values())) > 0.9 * len(NAMES)


def test_parts_are_joined_as_japanese_joins_them() -> None:
    number = RulePart(kind="class", phrase="a number", values=[], key="class:a number")
    text = RulePart(kind="label", phrase="", values=[], key="label", args=["返品"])
    comma = RulePart(kind="previous", phrase="", values=["、"], key="after:token")
    assert in_japanese("x", [number, text], "and") == "クラス「返品」の文の中の数字"
    assert in_japanese("x", [comma, number], "and") == "読点の直後の数字"
    assert in_japanese("x", [comma, text], "or") == "読点の直後、またはクラス「返品」の文の中"
    assert in_japanese("a number", [number.model_copy(update={"key": ""})], "or") == "a number"
    assert in_japanese(NO_CLEAR_MEANING, [number], "or") == "明確な意味なし"
