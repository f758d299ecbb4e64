"""Words of text that has no spaces between them, as Japanese: runs of one kind of characters.

A run of kanji or of katakana mostly is a word, a run of hiragana mostly particles and endings; so
a word ends where the kind of characters changes. No dictionary is needed, and none decides.
"""

from itertools import groupby
from typing import NamedTuple

LEAST_LETTERS, LEAST_CHARACTERS = 4, 2
"""Letters, or kanji and katakana, from which a word can name a topic."""

OTHER = "other"
"""Letters of languages that put spaces between words, and digits."""

_RANGES = (
    ("hiragana", 0x3041, 0x309F),
    ("katakana", 0x30A0, 0x30FF),
    ("katakana", 0x31F0, 0x31FF),
    ("katakana", 0xFF66, 0xFF9F),
    ("kanji", 0x3400, 0x4DBF),
    ("kanji", 0x4E00, 0x9FFF),
    ("kanji", 0xF900, 0xFAFF),
    ("kanji", 0x20000, 0x323AF),
)


class Run(NamedTuple):
    """Characters of one kind."""

    script: str
    """`hiragana`, `katakana`, `kanji` or `OTHER`."""
    text: str


def script_of(char: str) -> str:
    """Give the kind of a character."""
    if char in "\u3005\u3006\u3007":  # marks and a zero that stand among kanji
        return "kanji"
    number = ord(char)
    for name, first, last in _RANGES:
        if first <= number <= last:
            return name
    return OTHER


def runs(text: str) -> list[Run]:
    """Cut a text where the kind of characters changes."""
    return [Run(name, "".join(chars)) for name, chars in groupby(text, script_of)]


def has_spaces(text: str) -> bool:
    """Say whether a text is of a language that puts spaces between words."""
    return all(run.script == OTHER for run in runs(text))


def is_all(text: str, script: str) -> bool:
    """Say whether a text is of one kind of characters, at least one of them."""
    return bool(text) and all(script_of(char) == script for char in text)


def can_name_a_topic(word: str) -> bool:
    """Say whether a word is long enough, and of content as far as its characters tell."""
    if not word.isalpha():
        return False
    if has_spaces(word):
        return len(word) >= LEAST_LETTERS
    return len(word) >= LEAST_CHARACTERS and not is_all(word, "hiragana")
