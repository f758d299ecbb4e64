"""The quick way from text to ids never differs from the tokenizer."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runtime.conftest import MAX_LENGTH, TEXTS, VOCABULARY, WORDS, word_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers

from sparsepath.errors import ModelError
from sparsepath.runtime import text as text_module
from sparsepath.runtime.text import TextEncoder, read_text_encoder

ENCODERS = {
    is_lower: TextEncoder(word_tokenizer(lowercase=is_lower), MAX_LENGTH, 0)
    for is_lower in (True, False)
}
WORD_LIKE = st.sampled_from([*WORDS, "Card", "IS", "x9", "42", "[SEP]", "[sep]", "é", "カード"])


def plain_ids(text: str, *, is_lower: bool = True, length: int = MAX_LENGTH) -> list[int]:
    tokenizer = word_tokenizer(lowercase=is_lower)
    tokenizer.enable_truncation(length)
    ids: list[int] = tokenizer.encode(text).ids
    return ids


@pytest.mark.parametrize("is_lower", [True, False])
@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_gives_the_tokenizers_ids(is_lower: bool, text: str) -> None:
    assert ENCODERS[is_lower].encode(text) == plain_ids(text, is_lower=is_lower)


@pytest.mark.parametrize("is_lower", [True, False])
@settings(max_examples=150, deadline=None)
@given(
    text=st.one_of(
        st.text(alphabet=st.characters(codec="ascii"), max_size=60),
        st.lists(WORD_LIKE, max_size=40).map(" ".join),
        st.lists(WORD_LIKE, max_size=40).map("".join),
    )
)
def test_texts_of_the_quick_way_give_the_tokenizers_ids(is_lower: bool, text: str) -> None:
    assert ENCODERS[is_lower].encode(text) == plain_ids(text, is_lower=is_lower)


def test_the_quick_way_is_taken_for_plain_english() -> None:
    encoder = ENCODERS[True]
    assert encoder._quick is not None
    assert encoder._quick("Who sent the money?") == plain_ids("Who sent the money?")


def test_a_tokenizer_of_another_kind_has_no_quick_way() -> None:
    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    encoder = TextEncoder(tokenizer, MAX_LENGTH, 0)
    assert encoder._quick is None
    assert encoder.encode("my card is zzz") == [4, 5, 6, 1]


def test_an_empty_text_without_special_tokens_becomes_padding() -> None:
    tokenizer = Tokenizer(models.WordPiece({"[PAD]": 0, "[UNK]": 1, "a": 2}, unk_token="[UNK]"))
    assert TextEncoder(tokenizer, MAX_LENGTH, 0).encode("") == [0]


def test_a_word_of_a_thousand_letters_is_cut_to_the_maximum_length() -> None:
    text = "card " * 500 + "a" * 1000
    ids = ENCODERS[True].encode(text)
    assert len(ids) == MAX_LENGTH
    assert ids == plain_ids(text)


def test_more_words_than_are_remembered_are_still_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "MAX_CACHED_WORDS", 2)
    encoder = TextEncoder(word_tokenizer(), MAX_LENGTH, 0)
    for text in TEXTS * 2:
        assert encoder.encode(text) == plain_ids(text)


def test_broken_unicode_is_replaced_and_not_refused() -> None:
    assert ENCODERS[True].encode("card \ud800 lost") == plain_ids("card ? lost")


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer.json(.|\n)*fix: copy"):
        read_text_encoder(tmp_path, MAX_LENGTH, 0)


@pytest.mark.parametrize("content", ["", "{", '{"model": {"type": "Magic"}}', "[1, 2]"])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match="is damaged"):
        read_text_encoder(tmp_path, MAX_LENGTH, 0)


def test_a_tokenizer_in_no_unicode_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="is damaged"):
        read_text_encoder(tmp_path, MAX_LENGTH, 0)
