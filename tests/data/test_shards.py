"""Token rows follow from seed and step alone, and each pass reads all of the corpus once."""

from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsepath.data.shards import (
    INDEX_FILE,
    TOKENS_FILE,
    ShardIndex,
    TokenShard,
    is_written,
    permuted,
    write_shard,
)
from sparsepath.errors import DataError


def shard(folder: Path, n_tokens: int, length: int, vocabulary: int = 1000) -> TokenShard:
    """Write the numbers from 0 as one document and open it."""
    write_shard(
        folder,
        [range(n_tokens)],
        vocabulary=vocabulary,
        tokenizer_sha256="abc",
        text_bytes=[3 * n_tokens],
    )
    return TokenShard(folder, length=length)


@settings(deadline=None, max_examples=80)
@given(n=st.integers(1, 300), seed=st.integers(0, 5), number=st.integers(0, 3))
def test_places_are_permuted(n: int, seed: int, number: int) -> None:
    assert sorted(permuted(place, n, seed, number) for place in range(n)) == list(range(n))


def test_orders_differ_between_passes_and_seeds() -> None:
    orders = {
        tuple(permuted(place, 50, seed, number) for place in range(50))
        for seed, number in ((0, 0), (0, 1), (1, 0))
    }
    assert len(orders) == 3
    assert tuple(range(50)) not in orders


def test_a_pass_reads_every_stretch_once_and_the_next_in_another_order(tmp_path: Path) -> None:
    corpus = shard(tmp_path, n_tokens=103, length=10)
    rows = np.concatenate([corpus.batch(0, step, 4) for step in range(5)])
    first, second = rows[:10], rows[10:]
    for part in (first, second):
        assert sorted(part[:, 0].tolist()) == list(range(0, 100, 10))
    assert first[:, 0].tolist() != second[:, 0].tolist()
    assert (rows[0] == rows[0, 0] + np.arange(10)).all()


def test_a_step_reads_the_same_whatever_was_read_before(tmp_path: Path) -> None:
    corpus = shard(tmp_path, n_tokens=200, length=10)
    earlier = [corpus.batch(3, step, 5) for step in range(7)]
    fresh = TokenShard(tmp_path, length=10)
    assert (fresh.batch(3, 6, 5) == earlier[6]).all()
    assert (fresh.batch(4, 6, 5) != earlier[6]).any()


def test_large_vocabularies_take_four_bytes(tmp_path: Path) -> None:
    write_shard(tmp_path, [[70_000, 5]], vocabulary=70_001, tokenizer_sha256="a", text_bytes=[9])
    assert TokenShard(tmp_path, length=2).stretch(0).tolist() == [70_000, 5]


def test_a_corpus_far_larger_than_memory_opens_at_once(tmp_path: Path) -> None:
    shard(tmp_path, n_tokens=100, length=10)
    n_tokens = 25_000_000_000  # 50 GB, of which the file system stores nothing
    index = (
        (tmp_path / "tokens.json").read_text().replace('"n_tokens": 100', f'"n_tokens": {n_tokens}')
    )
    (tmp_path / "tokens.json").write_text(index)
    with (tmp_path / "tokens.bin").open("r+b") as file:
        file.truncate(2 * n_tokens)
    corpus = TokenShard(tmp_path, length=1025)
    assert corpus.n_stretches == n_tokens // 1025
    assert corpus.batch(0, 10**6, 4).shape == (4, 1025)


def test_half_a_corpus_is_none(tmp_path: Path) -> None:
    def documents() -> list[list[int]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(
            tmp_path,
            (documents() for _ in range(1)),
            vocabulary=10,
            tokenizer_sha256="a",
            text_bytes=[],
        )
    assert not is_written(tmp_path, "a")
    with pytest.raises(DataError, match="holds no corpus"):
        TokenShard(tmp_path, length=2)


def test_a_corpus_that_was_cut_off_or_is_too_short_is_refused(tmp_path: Path) -> None:
    shard(tmp_path, n_tokens=100, length=10)
    with pytest.raises(DataError, match="100 tokens, a row needs 101"):
        TokenShard(tmp_path, length=101)
    (tmp_path / "tokens.bin").write_bytes(b"12")
    with pytest.raises(DataError, match="has 2 bytes"):
        TokenShard(tmp_path, length=10)


def test_memory_stays_flat_over_batches_of_a_huge_corpus(tmp_path: Path) -> None:
    n_bytes = 4 * 10**9
    with (tmp_path / TOKENS_FILE).open("wb") as file:
        file.truncate(n_bytes)  # a file with holes takes no room
    index = ShardIndex(
        n_tokens=n_bytes // 2, itemsize=2, vocabulary=9, tokenizer_sha256="", text_bytes=1
    )
    (tmp_path / INDEX_FILE).write_text(index.model_dump_json())
    shard = TokenShard(tmp_path, length=513)
    shard.batch(0, 0, 16)
    before = psutil.Process().memory_info().rss
    for step in range(200):
        shard.batch(0, step, 16)
    assert psutil.Process().memory_info().rss - before < 20e6
