"""Files of tensors that are made of a model and kept beside it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], facts: dict[str, str]) -> None:
    """Write a file, whole or not at all.

    Args:
        path: of the file.
        tensors: by name.
        facts: its metadata.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file({n: np.ascontiguousarray(t) for n, t in tensors.items()}, unfinished, facts)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
