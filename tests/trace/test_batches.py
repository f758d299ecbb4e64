"""Every row comes once, padded on the right, with rows of similar length together."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from sparsepath.errors import ShapeError
from sparsepath.trace.batches import bucketed_batches, encode_texts


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Words a to e between two special tokens, with padding and truncation of its own."""
    vocab = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcde"])}
    result = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    result.pre_tokenizer = pre_tokenizers.Whitespace()
    result.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    result.enable_padding(length=9)
    result.enable_truncation(3)
    return result


def test_texts_are_cut_with_their_special_tokens_and_not_padded(tokenizer: Tokenizer) -> None:
    assert encode_texts(tokenizer, ["a b c d e", "", "a z"], 5) == [
        [2, 4, 5, 6, 3],
        [2, 3],
        [2, 4, 1, 3],
    ]


def test_the_settings_of_the_tokenizer_are_restored(tokenizer: Tokenizer) -> None:
    before = tokenizer.to_str()
    encode_texts(tokenizer, ["a"], 5)
    assert tokenizer.to_str() == before
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encode_texts(tokenizer, ["a"], 5)
    assert tokenizer.padding is None
    assert tokenizer.truncation is None


def test_no_texts_give_no_rows(tokenizer: Tokenizer) -> None:
    assert encode_texts(tokenizer, [], 5) == []
    assert list(bucketed_batches([], None, 4, pad_id=0)) == []


ROWS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=12), min_size=1, max_size=40)


@given(rows=ROWS, batch_size=st.integers(1, 9), seed=st.none() | st.integers(0, 9))
def test_every_row_comes_once_and_whole(
    rows: list[list[int]], batch_size: int, seed: int | None
) -> None:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    labels = [sum(row) for row in rows]
    seen = []
    for batch in bucketed_batches(rows, labels, batch_size, pad_id=7, generator=generator):
        assert 1 <= len(batch.rows) <= batch_size
        assert batch.attention_mask.any(dim=0).all(), "no column is only padding"
        for i, row in enumerate(batch.rows.tolist()):
            n = int(batch.attention_mask[i].sum())
            assert batch.input_ids[i, :n].tolist() == rows[row]
            assert (batch.input_ids[i, n:] == 7).all()
            assert batch.labels is not None
            assert int(batch.labels[i]) == labels[row]
            seen.append(row)
    assert sorted(seen) == list(range(len(rows)))


def test_rows_of_similar_length_are_together() -> None:
    rows = [[1] * n for n in (9, 1, 8, 2, 7, 3)]
    for generator in (None, torch.Generator().manual_seed(0)):
        widths = [
            sorted(int(x) for x in batch.attention_mask.sum(dim=1))
            for batch in bucketed_batches(rows, None, 2, pad_id=0, generator=generator)
        ]
        assert sorted(widths) == [[1, 2], [3, 7], [8, 9]]


def test_order_follows_the_generator() -> None:
    rows = [[1] * (1 + n % 7) for n in range(60)]

    def order(seed: int | None) -> list[int]:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        batches = bucketed_batches(rows, None, 4, pad_id=0, generator=generator)
        return [row for batch in batches for row in batch.rows.tolist()]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(None) == sorted(range(60), key=lambda n: (n % 7, n))


@pytest.mark.parametrize(("labels", "batch_size"), [([1], 2), (None, 0)])
def test_impossible_requests_are_refused(labels: list[int] | None, batch_size: int) -> None:
    with pytest.raises(ShapeError, match=r"1 labels for 2 rows|batch_size is 0"):
        list(bucketed_batches([[1], [2]], labels, batch_size, pad_id=0))
