"""Tokens as bytes, so that any run of them can be written for a reader, whole characters only."""

import codecs
from collections.abc import Sequence

BYTES_OF_BPE: dict[str, int] = {}
"""The byte that each character of a byte-level tokenizer stands for."""

_PLAIN = [*range(33, 127), *range(161, 173), *range(174, 256)]
_OTHER = [byte for byte in range(256) if byte not in _PLAIN]
BYTES_OF_BPE |= {chr(byte): byte for byte in _PLAIN}
BYTES_OF_BPE |= {chr(256 + number): byte for number, byte in enumerate(_OTHER)}


def byte_level(piece: str) -> bytes:
    """Give the bytes of a piece of a byte-level tokenizer; others are taken as UTF-8."""
    if all(char in BYTES_OF_BPE for char in piece):
        return bytes(BYTES_OF_BPE[char] for char in piece)
    return piece.encode()


def sentence_piece(piece: str) -> bytes:
    """Give the bytes of a piece of a tokenizer that marks spaces by a low line."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace("\u2581", " ").encode()


def word_piece(piece: str) -> bytes:
    """Give the bytes of a piece of a tokenizer that marks continued words by `##`."""
    return piece[2:].encode() if piece.startswith("##") else f" {piece}".encode()


def spell(tokens: Sequence[bytes]) -> list[str]:
    """Write tokens as texts that joined are their text; a character comes with its last byte.

    Args:
        tokens: bytes of each.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = [decoder.decode(token) for token in tokens]
    if texts:
        texts[-1] += decoder.decode(b"", final=True)
    return texts
