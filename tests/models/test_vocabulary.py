"""A smaller tokenizer reads the texts it was cut for exactly as before."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from sparsepath.models.vocabulary import shrink_tokenizer, used_ids

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]

CORPUS = [
    "the card has not arrived and the card machine is broken",
    "Why was I charged twice? I want my money back!",
    "カードがまだ届きません。どうすればいいですか？",
    "残高が合いません。振込が失敗しました。",
    "naïve café résumé 42 1000.50",
] * 3


def _train(kind: str) -> Tokenizer:
    """Train a tokenizer of 300 tokens on the corpus."""
    common = {"vocab_size": 300, "special_tokens": SPECIALS, "show_progress": False}
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(**common)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(**common, unk_token="<unk>")
    elif kind == "byte-level bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(**common | {"vocab_size": 500}, initial_alphabet=alphabet)
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.BpeTrainer(**common)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = (
        processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        if kind == "byte-level bpe"
        else processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
    )
    return tokenizer


KINDS = ("wordpiece", "unigram", "byte-level bpe", "bpe")
TOKENIZERS = {kind: _train(kind) for kind in KINDS}

WORDS = sorted({word for text in CORPUS for word in text.split()})
TEXT = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=4).map("".join),
    st.text(alphabet="abcdehrtカード届 \n?", max_size=20),
)


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(TEXT, min_size=1, max_size=6))
def test_texts_seen_become_the_same_pieces(kind: str, texts: list[str]) -> None:
    big = TOKENIZERS[kind]
    before = [big.encode(text).ids for text in texts]
    small_json, kept = shrink_tokenizer(json.loads(big.to_str()), used_ids(before))
    small = Tokenizer.from_str(json.dumps(small_json))
    assert small.get_vocab_size() == len(kept)
    for text, ids in zip(texts, before, strict=True):
        encoding = small.encode(text)
        assert [kept[i] for i in encoding.ids] == ids
        assert encoding.tokens == big.encode(text).tokens


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_words_fall_apart_into_smaller_pieces(kind: str) -> None:
    big = TOKENIZERS[kind]
    used = used_ids([big.encode("the card").ids])
    result = shrink_tokenizer(json.loads(big.to_str()), used)
    small = Tokenizer.from_str(json.dumps(result.tokenizer_json))
    unseen = small.encode("machine")
    assert "<unk>" not in unseen.tokens
    assert len(unseen.tokens) > len(big.encode("machine").tokens)
    assert len(result.kept_ids) < big.get_vocab_size()


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_letters_of_alphabets_never_used_go_and_other_characters_stay(kind: str) -> None:
    big = TOKENIZERS[kind]
    used = used_ids([big.encode("the card").ids])
    kept = shrink_tokenizer(json.loads(big.to_str()), used).kept_ids
    tokens = {str(big.id_to_token(i)).removeprefix("##") for i in kept}
    assert {"w", "4", "?", "。"} <= tokens
    assert not tokens & {"カ", "届"}
    used = used_ids([big.encode("カード").ids])
    kept = shrink_tokenizer(json.loads(big.to_str()), used).kept_ids
    assert "カ" in {str(big.id_to_token(i)).removeprefix("##") for i in kept}


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_stay_and_are_put_around_texts(kind: str) -> None:
    big = TOKENIZERS[kind]
    result = shrink_tokenizer(json.loads(big.to_str()), set())
    small = Tokenizer.from_str(json.dumps(result.tokenizer_json))
    assert result.kept_ids[:4] == [0, 1, 2, 3]
    assert small.encode("").tokens == ["<s>", "</s>"]


def test_an_unknown_character_costs_a_unigram_path_as_much_as_before() -> None:
    vocab = [("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -30.0), ("zz", -40.0), ("x", -2.0)]
    big = Tokenizer(models.Unigram(vocab, 0))
    # "?" is unknown, at -50: were the lowest score -2, it would be cheaper than it was.
    kept = shrink_tokenizer(json.loads(big.to_str()), {1}).kept_ids
    assert 4 in kept


def test_the_given_dictionary_and_the_padding_are_handled() -> None:
    big = Tokenizer.from_str(TOKENIZERS["unigram"].to_str())
    big.enable_padding(pad_id=1, pad_token="<pad>")
    content = json.loads(big.to_str())
    before = json.dumps(content)
    small_json = shrink_tokenizer(content, {70, 10**9}).tokenizer_json
    assert json.dumps(content) == before
    assert small_json["padding"]["pad_id"] == 1


def test_a_kind_that_cannot_be_cut_is_returned_whole() -> None:
    big = Tokenizer(models.BPE({"a</w>": 0, "a": 1}, [], end_of_word_suffix="</w>"))
    result = shrink_tokenizer(json.loads(big.to_str()), {1})
    assert result.kept_ids == [0, 1]


def test_word_level_keeps_used_words_and_the_unknown_token() -> None:
    big = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b": 2, "c": 3}, unk_token="[UNK]"))
    result = shrink_tokenizer(json.loads(big.to_str()), {2})
    small = Tokenizer.from_str(json.dumps(result.tokenizer_json))
    assert result.kept_ids == [0, 2]
    assert small.encode("b").ids == [1]
