"""Look at a model folder before anything in it is used: is it whole, known and harmless?

Only JSON is parsed and safetensors are read. Pickled weights, custom code, adapters and quantised
weights are refused here, and so are files that are missing, cut off or inconsistent.
"""

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sparsepath.errors import ModelError

WEIGHTS = "model.safetensors"
"""The one file of weights, or the beginning of the name of its index."""

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.h5", "*.msgpack")
"""Files of weights that can run code when opened, or that torch cannot read safely."""

LARGEST_JSON_BYTES = 100 * 1024 * 1024
"""A tokenizer of 250,000 tokens takes 17 MB."""

DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1}
DTYPE_BYTES |= {"U8": 1, "BOOL": 1, "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1, "F8_E5M2": 1}


class ModelFolder(NamedTuple):
    """A model folder that passed the checks."""

    path: Path
    """The folder."""
    config: dict[str, Any]
    """Contents of `config.json`."""
    weights: list[Path]
    """The safetensors files."""


def open_folder(path: Path, known: Collection[str], *, allow_custom_code: bool) -> ModelFolder:
    """Check a model folder without running anything in it.

    Args:
        path: the folder.
        known: accepted values of `model_type`.
        allow_custom_code: accept `auto_map`, that is Python code that comes with the model.

    Raises:
        ModelError: if something is missing, damaged, unknown or dangerous.
    """
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise ModelError(f"{path} {what}", hint="give the folder that holds config.json")
    config = read_json_object(path / "config.json")
    if config.get("auto_map") and not allow_custom_code:
        raise ModelError(
            f"{path} brings custom code (auto_map in config.json: {config['auto_map']})",
            hint="use a model of a known architecture, or, if you trust this code, "
            "pass --allow-custom-code",
        )
    if config.get("model_type") not in known:
        raise ModelError(
            f"{path} has architecture {config.get('model_type')!r}",
            hint=f"use one of the known architectures: {', '.join(sorted(known))}",
        )
    if config.get("quantization_config") is not None:
        raise ModelError(
            f"{path} holds quantised weights (quantization_config in config.json)",
            hint="use the unquantised model; sparsepath quantises the result itself",
        )
    return ModelFolder(path, config, _find_weights(path))


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that must hold an object.

    Raises:
        ModelError: if it is missing, unreadable, huge or something else.
    """
    hint = "copy the model again, whole"
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            raise ModelError(f"{path} has {path.stat().st_size} bytes", hint=hint)
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}", hint=hint) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, not an object", hint=hint)
    return content


def read_tensors(folder: ModelFolder) -> dict[str, Tensor]:
    """Read all weights as float32, after checking that every file is whole.

    Raises:
        ModelError: if a file is damaged or a tensor holds NaN or infinity.
    """
    tensors: dict[str, Tensor] = {}
    for path in folder.weights:
        check_safetensors(path)
        try:
            tensors |= load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(
                f"{path} cannot be read: {error}", hint="copy the model again, whole"
            ) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensors[name] = tensor.float()
            if not _is_finite(tensors[name]):
                raise ModelError(
                    f"tensor {name} in {folder.path} holds NaN or infinity",
                    hint="this checkpoint is damaged; use another one",
                )
    return tensors


def _is_finite(tensor: Tensor) -> bool:
    """Whether a tensor is free of NaN and infinity, found in one pass without a copy."""
    return tensor.numel() == 0 or all(bool(x.isfinite()) for x in torch.aminmax(tensor))


def check_safetensors(path: Path) -> None:
    """Check the header of a safetensors file against its size, without reading the tensors.

    Raises:
        ModelError: if the file is cut off or its header does not describe it.
    """
    hint = "the file is damaged or only partly copied: copy the model again, whole"
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            n_header = int.from_bytes(file.read(8), "little")
            if not 2 <= n_header <= min(size - 8, LARGEST_JSON_BYTES):
                raise ModelError(f"{path} has no safetensors header ({size} bytes)", hint=hint)
            header = json.loads(file.read(n_header).decode("utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} has a broken safetensors header: {error}", hint=hint) from error
    try:
        end = max((_tensor_end(name, entry) for name, entry in header.items()), default=0)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} has a broken safetensors header: {error}", hint=hint) from error
    if 8 + n_header + end != size:
        raise ModelError(
            f"{path} has {size} bytes but its header describes {8 + n_header + end}", hint=hint
        )


def _tensor_end(name: str, entry: dict[str, Any]) -> int:
    """Return where the bytes of one tensor end, after checking that they fit its shape."""
    if name == "__metadata__":
        return 0
    start, end = (int(x) for x in entry["data_offsets"])
    n_bytes = math.prod(int(n) for n in entry["shape"]) * DTYPE_BYTES[entry["dtype"]]
    if start < 0 or end - start != n_bytes:
        raise ValueError(f"tensor {name} of {n_bytes} bytes is said to take {end - start}")
    return end


def _find_weights(path: Path) -> list[Path]:
    """Return the safetensors files of a folder, which must all lie in it."""
    if (path / "adapter_config.json").exists():
        raise ModelError(
            f"{path} holds an adapter (adapter_config.json)",
            hint="merge it into its base model first, with merge_and_unload() of peft",
        )
    if (path / WEIGHTS).exists():
        return [path / WEIGHTS]
    index = path / f"{WEIGHTS}.index.json"
    if index.exists():
        names = read_json_object(index).get("weight_map")
        files = sorted(set(names.values())) if isinstance(names, dict) else []
        if not files or not all(isinstance(x, str) and Path(x).name == x for x in files):
            raise ModelError(
                f"{index} names no files, or files outside the folder",
                hint="copy the model again, whole",
            )
        missing = [name for name in files if not (path / name).exists()]
        if missing:
            raise ModelError(
                f"{path} lacks {len(missing)} of {len(files)} files of weights: "
                f"{', '.join(missing[:5])}",
                hint="copy the model again, whole",
            )
        return [path / name for name in files]
    pickles = sorted(x.name for pattern in PICKLES for x in path.glob(pattern))
    if pickles:
        raise ModelError(
            f"{path} has weights only as {', '.join(pickles[:5])}; opening such a file can run "
            "any code hidden in it",
            hint="use a version with model.safetensors; for a model you trust, load it once with "
            "transformers and call save_pretrained, which writes one",
        )
    raise ModelError(f"{path} has no {WEIGHTS}", hint="copy the model again, whole")
