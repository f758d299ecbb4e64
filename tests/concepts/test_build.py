"""A catalogue finds what was planted, goes on after a stop, and says what it cannot do."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

import planted
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import search_words
from sparsepath.artifacts.neuron import Neuron
from sparsepath.concepts import language, record
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.errors import ConfigError, DataError, ModelError

OPTIONS = CatalogueOptions(length=16, held_out=0.25, vectors=False)


def content(path: Path) -> dict[str, list[Any]]:
    """Everything in a catalogue but when and where it was made."""
    database = sqlite3.connect(path)
    names = ("token", "neuron", "example", "fires_on", "pattern", "words")
    found = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    database.close()
    return found


def test_a_word_of_a_planted_list_finds_its_neuron_first(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue:
        firsts = [search_words(catalogue, one[1], where="layer = 0")[0] for one in planted.LISTS]
    found = [hit.line.neuron.index for hit in firsts]
    right = sum(number == index for number, index in enumerate(found))
    assert right >= 0.95 * planted.N_LISTS


def test_the_label_of_a_planted_neuron_has_its_words_and_passes_its_test(
    planted_model: Path,
) -> None:
    with Catalogue(planted_model) as catalogue:
        cards = [catalogue.card(Neuron(1, "block_out", i)) for i in range(planted.N_LISTS)]
    for card, one in zip(cards, planted.LISTS, strict=True):
        assert sorted(token.text.strip() for token in card.fires_on) == sorted(one)
        assert card.line.score is not None
        assert card.control is not None
        assert card.line.score > 0.95
        assert card.control < 0.75
        assert any(word in card.line.label for word in one)
    mean_control = sum(card.control or 0 for card in cards) / len(cards)
    assert abs(mean_control - 0.5) < 0.05


def test_neurons_of_unused_lists_are_dead_and_say_so(tmp_path: Path, corpus: str) -> None:
    folder = planted.save_model(tmp_path / "model", left_out=(3,))
    build_catalogue(folder, corpus, OPTIONS)
    with Catalogue(folder) as catalogue:
        card = catalogue.card(Neuron(0, "block_out", 3))
    assert card.is_dead
    assert card.line.label == "never fires"
    assert card.contexts == ()


def test_a_kept_activation_takes_few_bytes(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue:
        assert catalogue.facts.bytes_per_kept <= 12


def test_a_killed_build_goes_on_to_the_same_catalogue(
    tmp_path: Path, planted_model: Path, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "SHARD_TOKENS", 1024)
    monkeypatch.setattr(language, "BATCH_TOKENS", 256)
    whole, killed = tmp_path / "whole.sqlite", tmp_path / "killed.sqlite"
    build_catalogue(planted_model, corpus, OPTIONS, out=whole)
    calls = 0

    def kill(_text: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 11:  # in the middle of the third shard
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_catalogue(planted_model, corpus, OPTIONS, out=killed, say=kill)
    assert not killed.exists()
    n_shards = len(list(tmp_path.glob(".killed.sqlite.recording/shard-*")))
    assert n_shards == 2
    told: list[str] = []
    build_catalogue(planted_model, corpus, OPTIONS, out=killed, say=told.append)
    assert told[0] == f"read {2048 + 256:,} tokens of 1,000,000"
    assert content(killed) == content(whole)
    assert not list(tmp_path.glob(".*"))


def test_a_stop_while_labels_are_made_leaves_the_recording(
    tmp_path: Path, planted_model: Path, corpus: str
) -> None:
    def kill(text: str) -> None:
        if text.startswith("labelling block_out of layer 1"):
            raise KeyboardInterrupt

    out = tmp_path / "killed.sqlite"
    with pytest.raises(KeyboardInterrupt):
        build_catalogue(planted_model, corpus, OPTIONS, out=out, say=kill)
    assert not out.exists()
    told: list[str] = []
    build_catalogue(planted_model, corpus, OPTIONS, out=out, say=told.append)
    assert not any(text.startswith("read") for text in told)
    assert len(content(out)["neuron"]) == 2 * (planted.N_LISTS + planted.N_OTHERS)


def test_another_beginning_is_not_gone_on_with(
    tmp_path: Path, planted_model: Path, corpus: str
) -> None:
    def kill(_text: str) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "c.sqlite"
    with pytest.raises(KeyboardInterrupt):
        build_catalogue(planted_model, corpus, OPTIONS, out=out, say=kill)
    other = CatalogueOptions(length=32, held_out=0.25, vectors=False)
    with pytest.raises(ConfigError, match="another rows") as refused:
        build_catalogue(planted_model, corpus, other, out=out)
    assert "--start-over" in str(refused.value.hint)
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        build_catalogue(planted_model, corpus, other, out=out, start_over=True, say=kill)
    begun = tmp_path / ".c.sqlite.recording"
    build_catalogue(planted_model, corpus, other, out=out, start_over=True, say=told.append)
    assert not begun.exists()
    # The second start-over found its own beginning and kept it.
    assert not any("thrown away" in text for text in told)
    assert len(content(out)["neuron"]) == 2 * (planted.N_LISTS + planted.N_OTHERS)


def test_a_beginning_that_cannot_be_read_is_refused_and_thrown_away_when_asked(
    tmp_path: Path, planted_model: Path, corpus: str
) -> None:
    out, told = tmp_path / "c.sqlite", list[str]()
    begun = tmp_path / ".c.sqlite.recording"
    begun.mkdir()
    (begun / record.SETTINGS_FILE).write_text("{")
    with pytest.raises(ConfigError, match="beginning of a catalogue"):
        build_catalogue(planted_model, corpus, OPTIONS, out=out)
    build_catalogue(planted_model, corpus, OPTIONS, out=out, start_over=True, say=told.append)
    assert any("thrown away" in text for text in told)
    assert out.exists()


def test_a_corpus_too_small_is_refused_with_the_counts(tmp_path: Path, planted_model: Path) -> None:
    small = planted.save_corpus(tmp_path / "small.txt", n_documents=3)
    with pytest.raises(DataError, match="0 of them for judging"):
        build_catalogue(planted_model, str(small), OPTIONS, out=tmp_path / "c.sqlite")
    assert not (tmp_path / "c.sqlite").exists()


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense model of the same vocabulary."""
    folder = tmp_path_factory.mktemp("dense") / "model"
    config = LlamaConfig(
        vocab_size=len(planted.words()), hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    planted.save_tokenizer(folder)
    return folder


def test_a_dense_model_is_refused_with_the_way_to_convert_it(dense: Path, corpus: str) -> None:
    with pytest.raises(ModelError, match="sparsepath convert"):
        build_catalogue(dense, corpus, OPTIONS)


def test_a_dense_model_is_catalogued_by_its_largest_entries(
    dense: Path, corpus: str, tmp_path: Path
) -> None:
    out = tmp_path / "dense.sqlite"
    options = CatalogueOptions(
        length=16, held_out=0.25, vectors=False, dense_k=3, sites=("mlp_hidden", "attn_in")
    )
    facts = build_catalogue(dense, corpus, options, out=out).facts
    assert not facts.is_sparse
    assert facts.layers == {"mlp_hidden": [0, 1], "attn_in": [0, 1]}
    with Catalogue(out) as catalogue:
        rates = sum(line.rate for line in catalogue.lines(where="site = ?", values=["attn_in"]))
        assert rates == pytest.approx(2 * 3, abs=0.01)
        assert catalogue.card(Neuron(0, "attn_in", 0)).details.promotes is None
        assert catalogue.card(Neuron(0, "mlp_hidden", 0)).details.promotes is not None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (CatalogueOptions(length=16, dense_k=3), "sparse already"),
        (CatalogueOptions(length=16, sites=("mlp_in",)), "not sparse at mlp_in"),
        (CatalogueOptions(length=65), "reads 64 tokens"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: CatalogueOptions, told: str, planted_model: Path, corpus: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        build_catalogue(planted_model, corpus, options, out=tmp_path / "c.sqlite")
