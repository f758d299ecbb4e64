"""Tokenizers are read from tokenizer.json, or built from the older files of BERT and RoBERTa."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import BertTokenizer, RobertaTokenizer

from sparsepath.errors import ModelError
from sparsepath.models.quiet import quiet
from sparsepath.models.tokenizer import read_tokenizer, special_tokens

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "card", "##s", "cafe", "Card", "é"]
TEXTS = ["the cards", "THE Card!", "café [MASK] the", "", "中card"]


@pytest.mark.parametrize("lower", [True, False])
def test_vocab_txt_gives_the_same_tokens_as_transformers(tmp_path: Path, lower: bool) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    settings = {"do_lower_case": lower, "tokenizer_class": "BertTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with quiet():
        reference = BertTokenizer.from_pretrained(tmp_path)
    read = read_tokenizer(tmp_path)
    again = Tokenizer.from_str(read.text)
    for text in TEXTS:
        assert read.tokenizer.encode(text).ids == reference(text)["input_ids"], text
        assert again.encode(text).ids == reference(text)["input_ids"], text


def test_merges_txt_gives_the_same_tokens_as_transformers(tmp_path: Path) -> None:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "t", "h", "e", "Ġ", "c", "th", "the"]
    (tmp_path / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nt h\nth e\n", encoding="utf-8")
    with quiet():
        reference = RobertaTokenizer.from_pretrained(tmp_path)
    tokenizer = read_tokenizer(tmp_path).tokenizer
    for text in ["the the", "ceth", ""]:
        assert tokenizer.encode(text).ids == reference(text)["input_ids"], text


def test_files_of_another_tokenizer_are_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB), encoding="utf-8")
    settings = {"tokenizer_class": "BertJapaneseTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="BertJapaneseTokenizer") as raised:
        read_tokenizer(tmp_path)
    assert "save_pretrained" in raised.value.hint


@pytest.mark.parametrize("content", [b"the\ncard\n", b"\xff\xfe\x00"])
def test_a_useless_vocab_txt_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ModelError, match=r"lacks \[UNK\]|cannot be read"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("merges", ["t q\n", "q\n\n"])
def test_merges_that_do_not_fit_are_refused_or_ignored(tmp_path: Path, merges: str) -> None:
    vocab = {p: i for i, p in enumerate(["<s>", "<pad>", "</s>", "<unk>", "t"])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text(merges)
    if merges == "t q\n":
        with pytest.raises(ModelError, match="does not fit"):
            read_tokenizer(tmp_path)
    else:
        assert read_tokenizer(tmp_path).tokenizer.encode("t").tokens == ["<s>", "t", "</s>"]


def test_special_tokens_are_found_by_their_usual_names_and_the_padding_by_its_id() -> None:
    content = {
        "model": {"type": "Unigram", "vocab": [["<s>", 0.0], ["</s>", 0.0], ["a", -1.0]]},
        "added_tokens": [{"id": 7, "content": "<nil>"}, {"id": 8, "content": "<pad>"}],
    }
    assert special_tokens(content, 7) == {
        "cls_token": "<s>",
        "sep_token": "</s>",
        "pad_token": "<nil>",
    }
