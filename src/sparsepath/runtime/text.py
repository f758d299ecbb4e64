"""From a text to token ids, as fast as Python allows and never different from the tokenizer.

The `tokenizers` package tracks where in the text every token came from, which nobody asks for
here. For plain ASCII texts and WordPiece tokenizers of the BERT kind, words can be looked up one by
one instead, which takes a quarter of the time; every other text goes through the tokenizer itself.
Tests compare the two on generated texts.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from sparsepath.errors import ModelError

MAX_QUICK_CHARS: Final = 10_000
"""Longer texts are left to the tokenizer, so that no text holds the memory of all its words."""

MAX_CACHED_WORDS: Final = 100_000
"""Words remembered by one encoder; those met later are looked up each time."""

_WORDS: Final = re.compile(r"[a-zA-Z0-9]+|[^a-zA-Z0-9\s]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class TextEncoder:
    """Turns texts into token ids with special tokens, cut to a maximum length."""

    def __init__(self, tokenizer: Tokenizer, max_length: int, pad_id: int) -> None:
        """Take over `tokenizer`, whose padding and truncation are replaced."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._quick = _quick_encoder(tokenizer, max_length)
        tokenizer.enable_truncation(max_length)
        self._tokenizer = tokenizer
        self.max_length = max_length
        self.pad_id = pad_id

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text; at least one, the padding token if there is no other."""
        if self._quick is not None and text.isascii():
            quick = self._quick(text)
            if quick is not None:
                return quick
        # Lone surrogates, from broken input, have no UTF-8 form.
        clean = text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self._tokenizer.encode(clean).ids
        return ids or [self.pad_id]


def read_text_encoder(folder: Path, max_length: int, pad_id: int) -> TextEncoder:
    """Read `tokenizer.json` of a model folder; raises as `read_tokenizer`."""
    return TextEncoder(read_tokenizer(folder), max_length, pad_id)


def read_tokenizer(folder: Path) -> Tokenizer:
    """Read `tokenizer.json` of a model folder.

    Raises:
        ModelError: if it is missing or damaged.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(
            f"no tokenizer.json in {folder}", hint="copy the model folder again, whole"
        )
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as err:  # the package raises nothing narrower
        raise ModelError(
            f"{path} is damaged: {err}", hint="copy the model folder again, whole"
        ) from err


def _quick_encoder(
    tokenizer: Tokenizer, max_length: int
) -> Callable[[str], list[int] | None] | None:
    """Return a function for ASCII texts that gives None where it is not sure, or None at all.

    Every ASCII character that is neither a letter, a digit nor white space is punctuation to
    BERT's pre-tokenizer, and a word's pieces do not depend on its neighbours.
    """
    normalizer, model = tokenizer.normalizer, tokenizer.model
    if not (
        isinstance(model, models.WordPiece)
        and isinstance(normalizer, normalizers.BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
    ):
        return None
    around = _special_ids(tokenizer)
    if around is None or max_length < len(around[0]) + len(around[1]):
        return None
    prefix, suffix = around
    room = max_length - len(prefix) - len(suffix)
    is_lower, must_clean = bool(normalizer.lowercase), bool(normalizer.clean_text)
    added = [token.content.lower() for token in tokenizer.get_added_tokens_decoder().values()]
    known: dict[str, tuple[int, ...]] = {}

    def pieces(word: str) -> tuple[int, ...]:
        found = tuple(token.id for token in model.tokenize(word))
        if len(known) < MAX_CACHED_WORDS:
            known[word] = found
        return found

    def quick(text: str) -> list[int] | None:
        lower = text.lower()
        is_odd = not must_clean or _CONTROL.search(lower) is not None
        if is_odd or len(text) > MAX_QUICK_CHARS or any(token in lower for token in added):
            return None
        ids: list[int] = []
        for word in _WORDS.findall(lower if is_lower else text):
            ids += known.get(word) or pieces(word)
        return [*prefix, *ids[:room], *suffix] or None

    return quick


def _special_ids(tokenizer: Tokenizer) -> tuple[list[int], list[int]] | None:
    """Ids that the tokenizer puts before and after every text; None if they depend on it."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a").ids
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    return None
