"""Which file holds the table: its format, how it is compressed, and its bytes.

Everything that a damaged or mistaken path can do ends here as a `DataError`. Read with
`encoding.py` (bytes to text) and `sources.py` (text to rows).
"""

import gzip
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Literal, cast

from sparsepath.errors import DataError

Format = Literal["csv", "tsv", "jsonl", "parquet", "folder"]
Compression = Literal["none", "gz", "xz", "zip"]

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""File endings that are read, lower case."""

COMPRESSIONS: dict[str, Compression] = {".gz": "gz", ".xz": "xz", ".zip": "zip"}
"""Endings that may follow one of `FORMATS`."""

KNOWN = ".csv, .tsv, .jsonl, .parquet, each also followed by .gz, .xz or .zip"
"""What the error messages say is read."""

_MAGIC: dict[bytes, Compression] = {
    b"\x1f\x8b": "gz",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}
_OTHER_FORMATS = {
    ".xlsx": "in the spreadsheet program choose Save As, CSV UTF-8",
    ".xls": "in the spreadsheet program choose Save As, CSV UTF-8",
    ".ods": "in the spreadsheet program choose Save As, Text CSV, Unicode (UTF-8)",
    ".json": "write one JSON object per line, for example: jq -c '.[]' data.json > data.jsonl",
    ".txt": "put the texts into a table, or into folders named by label: DATA/label/name.txt",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """One table on the disk, not yet opened."""

    path: Path
    """The file, or the folder of texts by class."""

    format: Format
    """How the rows are written."""

    compression: Compression = "none"
    """What has to be undone first."""

    member: str | None = None
    """Name inside the archive, for zip only."""


def find_file(path: Path) -> DataFile:
    """Tell format and compression from the name, and check that the name tells the truth.

    Raises:
        DataError: if there is no such file, if it cannot be read or is not an ordinary file, if
            the ending is unknown or belongs to another kind of file.
    """
    if path.is_dir():
        return DataFile(path=path, format="folder")
    head = _first_bytes(path)
    compression = COMPRESSIONS.get(path.suffix.lower(), "none")
    _check_magic(path, head, compression)
    if compression == "zip":
        member = _only_member(path)
        inner = PurePosixPath(member)
        return DataFile(path=path, format=_format(path, inner), compression="zip", member=member)
    inner = PurePosixPath(path.stem if compression != "none" else path.name)
    return DataFile(path=path, format=_format(path, inner), compression=compression)


@contextmanager
def open_bytes(file: DataFile) -> Iterator[BufferedIOBase]:
    """Open the table as plain bytes, whatever compresses it.

    Errors of the compression that come up while the caller reads are turned into `DataError` too.

    Raises:
        DataError: if the file is damaged, cut short, locked by a password or unreadable.
    """
    try:
        with _opened(file) as stream:
            yield stream
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile) as err:
        raise DataError(
            f"{file.path} is cut short or damaged: {err}",
            hint=f"copy or download it again, and test it with: {_TESTS[file.compression]} "
            f"'{file.path}'",
        ) from err
    except OSError as err:
        raise unreadable(file.path, err) from err


@contextmanager
def seekable(file: DataFile) -> Iterator[BufferedIOBase]:
    """Open the table as bytes that can be read in any order, as parquet needs."""
    with open_bytes(file) as stream:
        if file.compression == "none":
            yield stream
            return
        with tempfile.TemporaryFile() as unpacked:
            while block := stream.read(1 << 20):
                unpacked.write(block)
            unpacked.seek(0)
            yield unpacked


def unreadable(path: Path, err: OSError) -> DataError:
    """Say why the operating system would not give the bytes of `path`."""
    if isinstance(err, FileNotFoundError):
        return DataError(f"there is no file {path}", hint=_near_names(path))
    if isinstance(err, PermissionError):
        return DataError(
            f"{path} may not be read by this user",
            hint=f"allow it with: chmod u+r '{path}' (or ask its owner)",
        )
    return DataError(
        f"{path} cannot be read: {err.strerror or err}",
        hint="check the disk or network drive, or copy the file elsewhere first",
    )


_TESTS = {"none": "ls -l", "gz": "gzip -t", "xz": "xz -t", "zip": "unzip -t"}


def _first_bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise DataError(
                f"{path} is not an ordinary file",
                hint="write the rows to a file first, then give that file",
            )
        with path.open("rb") as stream:
            return stream.read(6)
    except OSError as err:
        raise unreadable(path, err) from err


def _near_names(path: Path) -> str:
    """What the folder holds instead, for a mistyped name."""
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either; check the path"
    endings = (*FORMATS, *COMPRESSIONS)
    names = sorted(item.name for item in folder.iterdir() if item.suffix.lower() in endings)
    if not names:
        return f"check the path; {folder.resolve()} holds no table"
    return f"check the name; {folder.resolve()} holds {', '.join(names[:5])}"


def _check_magic(path: Path, head: bytes, compression: Compression) -> None:
    if not head:
        raise DataError(f"{path} is empty (0 bytes)", hint="give a table with a text and a label")
    suffix = path.suffix.lower()
    if suffix in _OTHER_FORMATS:
        raise DataError(f"{path} is not a table that is read", hint=_OTHER_FORMATS[suffix])
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "none")
    if found != "none" and compression == "none":
        raise DataError(
            f"{path} is compressed ({found}), which its name does not say",
            hint=f"rename it: mv '{path}' '{path}.{found}'",
        )
    if compression != "none" and found != compression:
        raise DataError(
            f"{path} is not a {compression} file: it begins with the bytes {head.hex(' ')}",
            hint="remove the ending if the file is not compressed, or copy it again",
        )


def _format(path: Path, name: PurePosixPath) -> Format:
    suffix = name.suffix.lower()
    if suffix in FORMATS:
        return FORMATS[suffix]
    if suffix in _OTHER_FORMATS:
        raise DataError(f"{path} is not a table that is read", hint=_OTHER_FORMATS[suffix])
    raise DataError(
        f"{path} has the ending '{suffix}', which says nothing about its format",
        hint=f"name it by its format: {KNOWN}",
    )


def _only_member(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
    except zipfile.BadZipFile as err:
        raise DataError(
            f"{path} is cut short or damaged: {err}",
            hint=f"copy or download it again, and test it with: unzip -t '{path}'",
        ) from err
    names = [name for name in names if not _is_litter(PurePosixPath(name))]
    if len(names) != 1:
        shown = ", ".join(names[:5]) or "nothing"
        raise DataError(
            f"{path} holds {len(names)} files ({shown}) and not one table",
            hint="unpack it and give the one table, or the folder of texts",
        )
    return names[0]


def _is_litter(name: PurePosixPath) -> bool:
    """Files that archive programs add by themselves."""
    return name.name.startswith(".") or name.parts[0] == "__MACOSX"


@contextmanager
def _opened(file: DataFile) -> Iterator[BufferedIOBase]:
    if file.compression == "gz":
        with gzip.open(file.path, "rb") as unpacked:
            yield unpacked
    elif file.compression == "xz":
        with lzma.open(file.path, "rb") as plain:
            yield plain
    elif file.compression == "zip":
        with zipfile.ZipFile(file.path) as archive, _member(archive, file) as inner:
            yield inner
    else:
        with file.path.open("rb") as stream:
            yield stream


@contextmanager
def _member(archive: zipfile.ZipFile, file: DataFile) -> Iterator[BufferedIOBase]:
    assert file.member is not None
    info = archive.getinfo(file.member)
    if info.flag_bits & 1:
        raise DataError(
            f"{file.path} is locked by a password", hint="unpack it, then give the table inside"
        )
    try:
        stream = archive.open(info)
    except NotImplementedError as err:
        raise DataError(
            f"{file.path} is packed by a method that is not read: {err}",
            hint="unpack it, then give the table inside",
        ) from err
    with stream:
        yield cast(BufferedIOBase, stream)
