"""Reading and writing files of a run folder: whole or not at all, and never outside it.

A reader never sees a half-written file: content goes to a hidden sibling first, reaches the
disk, and then takes its name in one step. What a killed process leaves behind is hidden and is
removed by the next writer of the same name.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sparsepath.errors import RunError

ModelT = TypeVar("ModelT", bound=BaseModel)

_ANYTHING = TypeAdapter[object](object, config=ConfigDict(ser_json_inf_nan="null"))
_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_PARTIAL = ".partial"
_REPLACED = ".replaced"


def safe_join(root: Path, *parts: str) -> Path:
    """Join a path below `root`, also after symbolic links are followed.

    Raises:
        RunError: if the result lies outside `root`, or a part is absolute or has a NUL byte.
    """
    base = root.resolve()
    if any("\0" in part for part in parts):
        raise RunError("a path has a NUL byte", hint="use a plain relative path")
    joined = base.joinpath(*parts).resolve()
    if not joined.is_relative_to(base):
        raise RunError(
            f"the path {'/'.join(parts)!r} leads outside {root}",
            hint="use a path inside the folder, without `..`, a leading `/` or links that lead out",
        )
    return joined


def write_text_atomic(path: Path, text: str) -> None:
    """Replace a file's text in one step; its folder is made when missing.

    Raises:
        RunError: if the disk is full or the place may not be written to.
    """
    write_bytes_atomic(path, text.encode())


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Replace a file's bytes in one step; raises as `write_text_atomic`."""
    with _replacing(path) as file:
        file.write(content)


def write_lines_atomic(path: Path, lines: Iterable[str]) -> int:
    """Write lines as they come, and let the file appear when it is whole; give their number.

    Raises as `write_text_atomic`.
    """
    n = 0
    with _replacing(path) as file:
        for n, line in enumerate(lines, start=1):  # noqa: B007 - the last one counts
            file.write(f"{line}\n".encode())
    return n


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the place of `path` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}{_PARTIAL}-{os.getpid()}")
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_json_atomic(path: Path, content: object) -> None:
    """Write an artifact or plain JSON content in one step; NaN and infinities become null.

    Args:
        path: The file.
        content: A pydantic model, or what JSON can hold: dicts, lists, text, numbers, None.
    """
    if isinstance(content, BaseModel):
        write_text_atomic(path, content.model_dump_json(by_alias=True, indent=2) + "\n")
        return
    plain = _ANYTHING.dump_json(content, indent=2).decode()
    write_text_atomic(path, plain + "\n")


def append_jsonl(path: Path, *records: BaseModel) -> None:
    """Append one line a record and wait until they are on the disk.

    A half-written last line, left by a process that was killed, is cut off first.
    """
    lines = "".join(record.model_dump_json(by_alias=True) + "\n" for record in records)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.open("r+b") as file:
            file.truncate(_end_of_last_line(path))
            file.seek(0, os.SEEK_END)
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())


def read_json(path: Path, schema_type: type[ModelT]) -> ModelT:
    """Read one artifact.

    Raises:
        RunError: if the file is missing, unreadable, half written, of another schema or foreign.
    """
    return _validate(path, _parse(path, _read(path)), schema_type)


def read_json_list(path: Path, schema_type: type[ModelT]) -> list[ModelT]:
    """Read a JSON list of artifacts; raises as `read_json`."""
    content = _parse(path, _read(path))
    if not isinstance(content, list):
        raise _foreign(path, "it holds no list")
    return [_validate(path, item, schema_type) for item in content]


def read_jsonl(path: Path, schema_type: type[ModelT]) -> list[ModelT]:
    """Read what `append_jsonl` wrote; a last line without its end is left out.

    Raises:
        RunError: if the file is missing, or another line is broken or foreign.
    """
    lines = _read(path).split("\n")[:-1]
    return [_validate(path, _parse(path, line), schema_type) for line in lines if line.strip()]


@contextmanager
def folder_atomic(path: Path) -> Iterator[Path]:
    """Build a folder that appears under its name whole, or not at all.

    Yields a hidden sibling to write into. When the block ends without an error, its files are
    brought to the disk and it takes the place of `path`; otherwise it is removed and what was at
    `path` stays.

    Raises:
        RunError: if the disk is full or the place may not be written to.
    """
    temporary = path.with_name(f".{path.name}{_PARTIAL}-{os.getpid()}")
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(path)
        temporary.mkdir()
        try:
            yield temporary
            _sync_tree(temporary)
            _take_place(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _take_place(new: Path, path: Path) -> None:
    """Rename `new` to `path`, putting an older folder aside for the moment between."""
    aside = path.with_name(f".{path.name}{_REPLACED}")
    if path.exists():
        path.rename(aside)
    new.rename(path)
    _sync_folder(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _clear_leftovers(path: Path) -> None:
    """Undo what a killed writer of the same folder left: put the old one back, drop the rest."""
    aside = path.with_name(f".{path.name}{_REPLACED}")
    if aside.exists() and not path.exists():
        aside.rename(path)
    shutil.rmtree(aside, ignore_errors=True)
    for partial in path.parent.glob(f".{_glob_escape(path.name)}{_PARTIAL}-*"):
        shutil.rmtree(partial, ignore_errors=True)


def _glob_escape(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _sync_tree(folder: Path) -> None:
    for item in sorted(folder.rglob("*")):
        if item.is_dir():
            _sync_folder(item)
        else:
            with item.open("rb+") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _end_of_last_line(path: Path) -> int:
    """Bytes up to and with the last line feed."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as err:
        raise RunError(
            f"no {path.name} in {path.parent}",
            hint="give the folder of a run, the one that `sparsepath poc DATA --out RUN` made",
        ) from err
    except UnicodeDecodeError as err:
        raise _foreign(path, "it is not UTF-8 text") from err
    except OSError as err:
        raise RunError(
            f"{path} cannot be read: {err.strerror}", hint="check that it is a file you may read"
        ) from err


def _parse(path: Path, text: str) -> object:
    try:
        content: object = json.loads(text)
    except json.JSONDecodeError as err:
        raise RunError(
            f"{path} is not whole: {err.msg} at line {err.lineno}, column {err.colno}",
            hint="it was cut off or edited; move it away and run the same command again",
        ) from err
    return content


def _validate(path: Path, content: object, schema_type: type[ModelT]) -> ModelT:
    field = schema_type.model_fields.get("schema_version")
    if field is not None:
        _check_schema(path, content, field.default)
    try:
        return schema_type.model_validate(content)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise _foreign(path, f"{where}: {first['msg']}") from err


def _check_schema(path: Path, content: object, ours: int) -> None:
    if not isinstance(content, dict) or "schema" not in content:
        raise _foreign(path, "it has no schema number")
    met = content["schema"]
    if met == ours:
        return
    if isinstance(met, int) and met < ours:
        raise RunError(
            f"{path} has schema {met}; this sparsepath reads schema {ours}",
            hint="read it with the older sparsepath named in its run.json, or run the PoC again",
        )
    raise RunError(
        f"{path} has schema {met!r}; this sparsepath reads schema {ours}",
        hint="update sparsepath: pip install -U sparsepath",
    )


def _foreign(path: Path, why: str) -> RunError:
    return RunError(
        f"{path} is not a file of sparsepath: {why}",
        hint="give another --out, or a run folder that this version made",
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a full or forbidden disk into an error that says what to do."""
    try:
        yield
    except OSError as err:
        if err.errno in _FULL:
            raise RunError(
                f"the disk is full: {path} was not written",
                hint="free space or give another --out; what was finished before is kept",
            ) from err
        if err.errno in _DENIED:
            raise RunError(
                f"{path} may not be written to: {err.strerror}",
                hint="give an --out folder that you may write to",
            ) from err
        if isinstance(err, NotADirectoryError | FileExistsError):
            raise RunError(
                f"{path} cannot be made: {err.strerror}",
                hint="a file stands where a folder should be; give another --out",
            ) from err
        raise
