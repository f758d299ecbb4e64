"""Does an output carry a concept? Judged by words, never by the neuron that is steered."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from sparsepath.errors import ConfigError, DataError


class Judge(NamedTuple):
    """Says which of several texts carry a concept."""

    name: str
    """How it judges, in words."""
    carries: Callable[[Sequence[str]], list[bool]]
    times: Callable[[str], int] | None = None
    """Counts the places of a text that carry it; None: that is not known."""


def word_judge(words: Sequence[str]) -> Judge:
    """Judge by whole words, in any case.

    Args:
        words: at least one; `fire*` means every word that begins so.

    Raises:
        ConfigError: if there is none.
    """
    kept = [word.strip() for word in words if word.strip()]
    if not kept:
        raise ConfigError(
            "no words to judge by", hint="give some, such as --words fire,flame,burn*"
        )
    parts = [re.escape(word.removesuffix("*")) + r"\w*" * word.endswith("*") for word in kept]
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE)
    shown = ", ".join(kept[:8]) + ", ..." * (len(kept) > 8)
    return Judge(
        f"words: {shown}",
        lambda texts: [pattern.search(text) is not None for text in texts],
        lambda text: len(pattern.findall(text)),
    )


def read_words(source: str) -> list[str]:
    """Read words from a file, one a line, or from a list with commas.

    Raises:
        DataError: if it names a file that cannot be read.
    """
    path = Path(source)
    if not path.is_file():
        if path.suffix == ".txt":
            raise DataError(f"there is no file {source}", hint="give a file, or words with commas")
        return source.split(",")
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(
            f"{source} cannot be read as UTF-8 text", hint="give one word a line"
        ) from err
