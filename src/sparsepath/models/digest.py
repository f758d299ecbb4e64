"""Hash of a file's contents, and whether weights are those that were saved."""

import hashlib
from pathlib import Path

from sparsepath.errors import ModelError

SUMS_FILE = "weights.sha256"
"""Beside weights: what they were when a training saved them, as `sha256sum` writes it."""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}", hint="copy the model again, whole"
        ) from error


def check_saved(folder: Path) -> None:
    """See that weights were not altered since they were saved, where that was written down.

    Raises:
        ModelError: if they were, or cannot be read.
    """
    path = folder / SUMS_FILE
    if not path.is_file():
        return
    for line in path.read_text("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        file = folder / Path(name).name
        if (found := file_sha256(file)) != digest:
            raise _altered(file, found, digest)


def _altered(file: Path, found: str, saved: str) -> ModelError:
    """Say that weights are not what was saved."""
    return ModelError(
        f"{file} is not what was saved: sha256 {found[:12]}..., in {SUMS_FILE} {saved[:12]}...",
        hint="copy the model folder again, whole; if you changed the weights yourself, delete "
        f"{SUMS_FILE}",
    )
