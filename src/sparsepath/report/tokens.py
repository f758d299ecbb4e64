"""How a tokenizer's pieces are written for a reader."""

from typing import NamedTuple

_UNSPACED = (
    ("\u3000", "\u30ff"),  # Japanese punctuation and kana
    ("\u3400", "\u9fff"),  # Han characters
    ("\uff00", "\uffef"),  # full-width forms
)


class Surface(NamedTuple):
    """A token as text."""

    text: str
    starts_word: bool
    """Whether a space stands before it."""


def surface(piece: str) -> Surface:
    """Undo the marks of WordPiece (`##`), BPE (`Ġ`, `Ċ`) and Unigram (a low line)."""
    if piece.startswith("##") and len(piece) > 2:
        return Surface(piece[2:], starts_word=False)
    if piece[:1] in {"\u0120", "\u2581"}:
        return Surface(piece[1:].replace("\u2581", " "), starts_word=True)
    if piece[:1] == "\u010a":
        return Surface("\N{DOWNWARDS ARROW WITH TIP LEFTWARDS}", starts_word=True)
    return Surface(piece, starts_word=True)


def is_cjk(text: str) -> bool:
    """Whether a text starts with a letter of a script written without spaces."""
    return bool(text) and any(low <= text[0] <= high for low, high in _UNSPACED)
