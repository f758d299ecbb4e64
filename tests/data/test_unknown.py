"""Texts that a tokenizer cannot read are noticed, and a model that can is named."""

import pytest

from sparsepath.data.unknown import unknown_share


def letters(text: str) -> list[int]:
    """One token per character; everything beyond ASCII is unknown (0)."""
    return [ord(char) if char.isascii() else 0 for char in text]


def test_the_share_is_counted_per_token() -> None:
    found = unknown_share(["abc", "aé日"], letters, 0)
    assert found.share == pytest.approx(2 / 6)
    assert found.n_tokens == 6


def test_a_high_share_names_both_multilingual_models() -> None:
    warning = unknown_share(["日本語の文"], letters, 0).warning
    assert warning is not None
    assert "100%" in warning
    assert "intfloat/multilingual-e5-small" in warning
    assert "xlm-roberta-base" in warning


def test_a_low_share_needs_no_warning() -> None:
    assert unknown_share(["plain text " * 5 + "é"], letters, 0).warning is None


@pytest.mark.parametrize("texts", [[], ["日本"]])
def test_without_an_unknown_token_or_texts_the_share_is_zero(texts: list[str]) -> None:
    found = unknown_share(texts, letters, None)
    assert (found.share, found.warning) == (0.0, None)


def test_large_tables_are_sampled_over_their_whole_length() -> None:
    seen: list[str] = []

    def remember(text: str) -> list[int]:
        seen.append(text)
        return [1]

    unknown_share([str(at) for at in range(50_000)], remember, 0)
    assert len(seen) == 2_000
    assert int(seen[-1]) > 49_000
