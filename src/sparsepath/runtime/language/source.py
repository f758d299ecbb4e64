"""Tensors of a model folder's safetensors, in fp32, read without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from sparsepath.errors import ModelError
from sparsepath.kernels.by_input import Floats


class Source:
    """Tensors of a model's safetensors as fp32."""

    def __init__(self, files: list[Path]) -> None:
        """Find which file has which tensor.

        Raises:
            ModelError: if a file is damaged.
        """
        self._homes: dict[str, Path] = {}
        for path in files:
            try:
                with safe_open(path, framework="numpy") as opened:
                    self._homes |= dict.fromkeys(opened.keys(), path)
            except (SafetensorError, OSError) as err:
                raise ModelError(
                    f"{path} is damaged: {err}", hint="copy the model folder again, whole"
                ) from err
        self._headers = {path: header(path) for path in files}

    def __contains__(self, name: str) -> bool:
        """Say whether there is such a tensor."""
        return name in self._homes

    def __getitem__(self, name: str) -> Floats:
        """Read a tensor.

        Raises:
            ModelError: if it is missing or holds no floating numbers.
        """
        if name not in self._homes:
            raise ModelError(
                f"the model has no tensor {name}",
                hint="copy the model folder again, whole, or use a model of a known kind",
            )
        path = self._homes[name]
        start, entries = self._headers[path]
        facts = entries[name]
        kind = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}.get(facts["dtype"])
        if kind is None:
            raise ModelError(
                f"{name} is stored as {facts['dtype']}", hint="save the model in fp32 or bf16"
            )
        offset = start + facts["data_offsets"][0]
        found = np.memmap(path, kind, "r", offset, tuple(facts["shape"]))
        if facts["dtype"] == "BF16":
            return (found.astype(np.uint32) << 16).view(np.float32)
        return np.asarray(found, dtype=np.float32)

    def by_input(self, *names: str) -> Floats:
        """Give the weights of linear maps of one input beside each other, [inputs, outputs]."""
        return np.concatenate([self[f"{name}.weight"] for name in names]).T

    def biases(self, *names: str) -> Floats | None:
        """Give their biases; None where they have none."""
        if f"{names[0]}.bias" not in self:
            return None
        return np.concatenate([self[f"{name}.bias"] for name in names])


def header(path: Path) -> tuple[int, dict[str, Any]]:
    """Give where a file's data begins, and what it holds; the file was checked before."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return 8 + size, json.loads(file.read(size))
