"""Where there is no base model, an encoder and a tokenizer are made from the texts alone."""

import os
import subprocess
import sys

import pytest
import torch
from tokenizers import Tokenizer

from sparsepath.errors import ModelError
from sparsepath.models.classifier import from_encoder
from sparsepath.models.scratch import scratch_base_model, small_encoder, train_tokenizer

ENGLISH = ["My card has not arrived yet", "How do I change my PIN?"] * 5
JAPANESE = ["カードがまだ届きません。", "カードの暗証番号を変更したいのですが。"] * 5


@pytest.mark.parametrize("texts", [ENGLISH, JAPANESE, ["a"], ["あ"], ["x" * 5000, "", "y"]])
def test_every_text_seen_is_known_and_put_between_special_tokens(texts: list[str]) -> None:
    tokenizer = Tokenizer.from_str(train_tokenizer(texts))
    for text in texts:
        encoding = tokenizer.encode(text)
        assert "[UNK]" not in encoding.tokens
        assert (encoding.ids[0], encoding.ids[-1]) == (2, 3)
        assert 0 not in encoding.ids


def test_tokens_reach_across_characters_but_not_across_words_or_sentences() -> None:
    english = Tokenizer.from_str(train_tokenizer(ENGLISH))
    assert english.encode("my card").tokens == ["[CLS]", "▁my", "▁card", "[SEP]"]
    japanese = Tokenizer.from_str(train_tokenizer(JAPANESE)).encode(JAPANESE[0]).tokens
    assert "カード" in "".join(japanese[1:3])
    assert all(len(token) <= 6 for token in japanese[1:-1])
    assert "。" in japanese


def test_an_unknown_character_becomes_the_unknown_token() -> None:
    tokenizer = Tokenizer.from_str(train_tokenizer(ENGLISH))
    assert "[UNK]" in tokenizer.encode("届").tokens


@pytest.mark.parametrize("texts", [[], ["", ""], [" \n"]])
def test_empty_texts_are_refused(texts: list[str]) -> None:
    with pytest.raises(ModelError, match=f"{len(texts)} empty texts"):
        train_tokenizer(texts)


def test_the_tokenizer_is_the_same_in_every_process() -> None:
    code = (
        "import sys; from sparsepath.models.scratch import train_tokenizer; "
        f"sys.stdout.buffer.write(train_tokenizer({ENGLISH + JAPANESE!r}).encode())"
    )
    path = os.pathsep.join(x for x in sys.path if x)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == train_tokenizer(ENGLISH + JAPANESE)


def test_weights_follow_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first, second, other = (small_encoder(50, seed=s, d_model=32, n_layers=1) for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    embeddings = [x.get_input_embeddings().weight for x in (first, other)]
    assert not torch.equal(*embeddings)


def test_a_classifier_can_be_put_on_top() -> None:
    base = scratch_base_model(ENGLISH, seed=0)
    ids = Tokenizer.from_str(base.tokenizer_json).encode(ENGLISH[0]).ids
    logits = from_encoder(base.encoder, ["a", "b"])(torch.tensor([ids])).logits
    assert logits.shape == (1, 2)
    assert base.licence is None
    assert base.max_length == 512
