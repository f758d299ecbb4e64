"""Hash of a file's contents."""

import hashlib
from pathlib import Path

from sparsepath.errors import ModelError


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
