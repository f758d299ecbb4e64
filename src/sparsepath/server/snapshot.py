"""A copy of a model folder that only this process has, and noticing that the original changed.

ONNX Runtime maps the file of weights into memory. Whoever writes into that file changes the answers
of a server that runs, and whoever cuts it short kills it. So a server loads a copy, whose files
have no name any more once they are open.
"""

import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sparsepath.artifacts.catalogue import CATALOGUE_FILE
from sparsepath.artifacts.steering import FOLDER
from sparsepath.errors import ModelError, RunError

_UNREAD = shutil.ignore_patterns("*.safetensors")
"""Weights for training; the server reads graphs."""

_BESIDE = (f"{FOLDER}/", CATALOGUE_FILE)
"""How paths begin of what people add to a model's folder while it is served: steering presets, and
notes in its catalogue. No answer depends on them, so they do not make it another model."""


def is_beside(path: Path) -> bool:
    """Say of a path in a model's folder whether it is no part of the model."""
    return path.as_posix().startswith(_BESIDE)


class _Stat(NamedTuple):
    """What tells cheaply that a file is another one."""

    path: str
    size: int
    changed_ns: int
    inode: int


Signature = tuple[_Stat, ...]


def signature(folders: Sequence[Path]) -> Signature:
    """Look at every file below folders, without reading it; a file that goes meanwhile is none."""
    found: list[_Stat] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if is_beside(path.relative_to(folder)):
                continue
            try:
                stat = path.stat()
                if path.is_file():
                    found.append(_Stat(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino))
            except OSError:
                continue
    return tuple(found)


@contextmanager
def private_copy(folders: Sequence[Path]) -> Iterator[Path]:
    """Copy a model folder, and those beside it that it names; give the copy of the first.

    The copies are removed when the block ends; what was opened in it stays readable.

    Raises:
        ModelError: if a folder cannot be read, or changes meanwhile.
        RunError: if there is no room.
    """
    before = signature(folders)
    place = Path(tempfile.mkdtemp(prefix="sparsepath-model-"))
    try:
        try:
            for folder in folders:
                shutil.copytree(folder, place / folder.resolve().name, ignore=_UNREAD)
        except (OSError, shutil.Error) as err:
            if isinstance(err, OSError) and err.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise RunError(
                    f"no room in {place.parent} for a copy of {folders[0]}",
                    hint="free space there, or name another place: TMPDIR=/path",
                ) from err
            raise ModelError(
                f"{folders[0]} cannot be copied: {str(err)[:200]}",
                hint="copy the model folder again, whole",
            ) from err
        yield place / folders[0].resolve().name
        if signature(folders) != before:
            raise ModelError(
                f"{folders[0]} changed while it was loaded",
                hint="wait until the folder is whole, and start again",
            )
    finally:
        shutil.rmtree(place, ignore_errors=True)
