"""Bytes to text: UTF-8 with or without a byte order mark, and a useful word on anything else.

The fast path decodes in C. Only when it fails is the file read again, to find the exact position
of the first wrong byte and to guess the encoding that it was written in.
"""

import codecs
import io
from collections.abc import Iterator
from typing import IO, NamedTuple, cast

from sparsepath.data.files import DataFile, open_bytes
from sparsepath.errors import DataError

_CHUNK = 1 << 20
_BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_JAPANESE = ("cp932", "euc-jp")
_MARKS = frozenset(
    "\N{EURO SIGN}\N{POUND SIGN}\N{DEGREE SIGN}\N{SECTION SIGN}\N{NO-BREAK SPACE}"
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{HORIZONTAL ELLIPSIS}"
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{INVERTED QUESTION MARK}"
    "\N{EN DASH}\N{EM DASH}"
)
"""Typographic marks of western text."""


def text_lines(file: DataFile) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their line ends; a byte order mark is dropped.

    Raises:
        DataError: if the file is not UTF-8 (naming the byte) or holds a NUL character (naming the
            line), or cannot be read at all.
    """
    with open_bytes(file) as stream:
        lines = io.TextIOWrapper(cast(IO[bytes], stream), encoding="utf-8-sig", newline="")
        number = 0
        try:
            for line in lines:
                number += 1
                if "\0" in line:
                    raise _nul_error(file, number)
                yield line
        except UnicodeDecodeError as err:
            raise encoding_error(file) from err
        finally:
            if not stream.closed:
                lines.detach()


def encoding_error(file: DataFile) -> DataError:
    """Describe where a file stops being UTF-8 and what it probably is."""
    with open_bytes(file) as stream:
        wrong = _first_wrong_byte(stream)
    where = f"{file.path} is not UTF-8: byte {wrong.position} is 0x{wrong.sample[wrong.at]:02x}"
    guess = guess_encoding(wrong.sample)
    if guess is None:
        return DataError(
            where,
            hint="save the table as UTF-8; if its encoding is known: "
            f"iconv -f ENCODING -t utf-8 {_repair_names(file)}",
        )
    return DataError(
        f"{where}; it looks like {guess}",
        hint=f"convert it with: iconv -f {guess} -t utf-8 {_repair_names(file)}",
    )


def guess_encoding(sample: bytes) -> str | None:
    """Name the encoding that bytes which are not UTF-8 were probably written in.

    Returns:
        "utf-16" (also -le and -be without a mark), "cp932", "euc-jp", "cp1252", or None where
        nothing is plausible.
    """
    if sample[:2] in _BOMS:
        return _BOMS[sample[:2]]
    nul_even, nul_odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(nul_even, nul_odd) > len(sample) // 8:
        return "utf-16le" if nul_odd > nul_even else "utf-16be"
    for name in _JAPANESE:
        if _share_of_kana(sample, name) > 0.15:
            return name
    return "cp1252" if _reads_as_western(sample) else None


class _WrongByte(NamedTuple):
    position: int
    """Bytes before it in the whole (unpacked) file."""

    sample: bytes
    """The file from the beginning of that line on, up to about one MiB."""

    at: int
    """Where the wrong byte is in `sample`."""


def _first_wrong_byte(stream: io.BufferedIOBase) -> _WrongByte:
    decoder = codecs.getincrementaldecoder("utf-8")()
    n_before = 0
    while True:
        chunk = stream.read(_CHUNK)
        pending = decoder.getstate()[0]
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as err:
            # err.start counts from the bytes that the decoder still held back.
            held = pending + chunk
            line = held.rfind(b"\n", 0, err.start) + 1
            position = n_before - len(pending) + err.start
            return _WrongByte(position, held[line:], err.start - line)
        assert chunk, "the file was not UTF-8 a moment ago"
        n_before += len(chunk)


def _share_of_kana(sample: bytes, encoding: str) -> float:
    """Kana among the characters beyond ASCII; Japanese has plenty, chance decodings hardly any."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    wide = [char for char in text if char > "\x7f"]
    n_kana = sum("\u3041" <= char <= "\u30ff" for char in wide)
    return n_kana / max(1, len(wide))


def _reads_as_western(sample: bytes) -> bool:
    """Whether the bytes beyond ASCII are few, and letters or typographic marks in cp1252."""
    high = [byte for byte in sample if byte > 0x7F]
    try:
        text = bytes(high).decode("cp1252")
    except UnicodeDecodeError:
        return False
    n_likely = sum(char.isalpha() or char in _MARKS for char in text)
    return len(high) < 0.3 * len(sample) and n_likely >= 0.8 * len(high)


def _nul_error(file: DataFile, number: int) -> DataError:
    with open_bytes(file) as stream:
        guess = guess_encoding(stream.read(_CHUNK))
    if guess is not None and guess.startswith("utf-16"):
        return DataError(
            f"{file.path} is not UTF-8 but looks like {guess} (line {number} holds NUL bytes)",
            hint=f"convert it with: iconv -f {guess} -t utf-8 {_repair_names(file)}",
        )
    return DataError(
        f"{file.path}: line {number} holds a NUL byte",
        hint=f"remove such bytes with: tr -d '\\000' < {_repair_names(file)}",
    )


def _repair_names(file: DataFile) -> str:
    """`'old' > 'new'` for a repair command, which works on the unpacked file."""
    name = file.member or str(file.path)
    if file.compression in {"gz", "xz"}:
        name = name[: -len(file.path.suffix)]
    stem, dot, suffix = name.rpartition(".")
    unpacked = "" if file.compression == "none" else " (unpack it first)"
    return f"'{name}' > '{stem}.fixed{dot}{suffix}'{unpacked}"
