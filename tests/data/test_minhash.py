"""MinHash with bands finds the pairs that comparing everything finds."""

import random

import numpy as np
import pytest

from sparsepath.data.minhash import N_GRAM, N_GRAM_WIDE, near_pairs


def all_pairs(texts: list[str], n_gram: int, threshold: float) -> dict[tuple[int, int], float]:
    """Compare every pair on its real n-grams."""
    grams = [
        {text[at : at + n_gram] for at in range(max(1, len(text) - n_gram + 1))} for text in texts
    ]
    found = {}
    for one in range(len(texts)):
        for other in range(one + 1, len(texts)):
            share = len(grams[one] & grams[other]) / len(grams[one] | grams[other])
            if share >= threshold:
                found[one, other] = share
    return found


def variations(alphabet: str, n: int, n_chars: int) -> list[str]:
    """Random texts, and copies of each with one to six characters changed."""
    draw = random.Random(0)
    texts = []
    for _ in range(n):
        text = draw.choices(alphabet, k=draw.randint(n_chars // 3, n_chars))
        texts.append("".join(text))
        for _ in range(draw.randint(1, 6)):
            text[draw.randrange(len(text))] = draw.choice(alphabet)
        texts.append("".join(text))
    return texts


@pytest.mark.parametrize(
    ("alphabet", "n_gram"),
    [("abcdefghij klmnop", N_GRAM), ("".join(map(chr, range(0x3042, 0x3090))), N_GRAM_WIDE)],
)
@pytest.mark.parametrize("threshold", [0.8, 0.9])
def test_pairs_and_similarities_equal_comparing_everything(
    alphabet: str, n_gram: int, threshold: float
) -> None:
    texts = variations(alphabet, 150, 90)
    want = all_pairs(texts, n_gram, threshold)
    pairs = near_pairs(texts, threshold=threshold)
    got = dict(
        zip(
            zip(pairs.first.tolist(), pairs.second.tolist(), strict=True),
            pairs.similarity.tolist(),
            strict=True,
        )
    )
    assert len(want) >= 10
    assert got == pytest.approx(want)


def test_texts_shorter_than_an_n_gram_are_compared_whole() -> None:
    pairs = near_pairs(["ok", "no", "", "犬", "猫", "ok then, see you later"], threshold=0.8)
    assert len(pairs.first) == 0


@pytest.mark.parametrize("texts", [[], ["one text"]])
def test_nothing_to_compare_gives_no_pairs(texts: list[str]) -> None:
    assert len(near_pairs(texts, threshold=0.8).first) == 0


def test_the_order_of_the_texts_does_not_matter() -> None:
    texts = variations("abcdefgh ij", 60, 60)
    order = np.random.default_rng(0).permutation(len(texts))
    pairs = near_pairs(texts, threshold=0.8)
    shuffled = near_pairs([texts[at] for at in order], threshold=0.8)
    want = {
        frozenset(pair) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    }
    got = {
        frozenset(pair)
        for pair in zip(
            order[shuffled.first].tolist(), order[shuffled.second].tolist(), strict=True
        )
    }
    assert got == want


def test_only_the_ends_of_long_texts_count() -> None:
    draw = random.Random(0)
    start, end = ("".join(draw.choices("abcdefgh ", k=1_600)) for _ in range(2))
    middles = ["".join(draw.choices("ijklmnop", k=3_000)) for _ in range(2)]
    pairs = near_pairs([start + middle + end for middle in middles], threshold=0.99)
    assert pairs.first.tolist() == [0]
