"""Checkpoints of a training: a folder each, whole or not at all, the newest of which goes on.

A folder `step-00000200` holds `state.safetensors` (weights and the optimisers' moments) and
`state.json` (steps done, and what the loss has been). Rows, sources and rates depend on the step
alone, so there is nothing else to keep.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sparsepath.artifacts.store import folder_atomic
from sparsepath.errors import RunError

STATE_FILE, NUMBERS_FILE = "state.safetensors", "state.json"


class Checkpoint(NamedTuple):
    """One folder."""

    step: int
    """Steps done."""
    path: Path
    """Where it is."""


def find_checkpoints(folder: Path) -> list[Checkpoint]:
    """List whole checkpoints, the oldest first."""
    paths = folder.glob("step-*") if folder.exists() else []
    found = [
        Checkpoint(int(path.name.removeprefix("step-")), path)
        for path in paths
        if path.name.removeprefix("step-").isdigit() and (path / NUMBERS_FILE).exists()
    ]
    return sorted(found)


def write_checkpoint(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    numbers: dict[str, Any],
    *,
    keep: int,
) -> None:
    """Write a checkpoint and delete the oldest ones beyond `keep`.

    Args:
        folder: of all checkpoints.
        step: steps done.
        model: its weights.
        optimizers: their moments.
        numbers: what else is kept; what `json` can hold.
        keep: checkpoints that stay.
    """
    tensors = {f"model.{name}": value for name, value in _weights(model).items()}
    for place, optimizer in enumerate(optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer.{place}.{index}.{name}": torch.as_tensor(value)
                for name, value in moments.items()
            }
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with folder_atomic(folder / f"step-{step:08d}") as unfinished:
        save_file(plain, unfinished / STATE_FILE)
        content = json.dumps({"step": step, **numbers})
        (unfinished / NUMBERS_FILE).write_text(content, encoding="utf-8")
    for old in find_checkpoints(folder)[:-keep]:
        shutil.rmtree(old.path)


def read_checkpoint(
    checkpoint: Checkpoint, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put a checkpoint back; return the numbers that were kept.

    Raises:
        RunError: if it does not fit the model.
    """
    tensors = load_file(checkpoint.path / STATE_FILE)
    weights = _weights(model)
    for name, value in weights.items():
        kept = tensors.get(f"model.{name}")
        if kept is None or kept.shape != value.shape:
            raise RunError(
                f"{checkpoint.path} is of another model: {name} has shape "
                f"{None if kept is None else tuple(kept.shape)} instead of {tuple(value.shape)}",
                hint="train into a new folder with --out, or delete the checkpoints",
            )
    with torch.no_grad():
        for name, value in weights.items():
            value.copy_(tensors[f"model.{name}"])
    for place, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        state["state"] = _moments(tensors, f"optimizer.{place}.")
        optimizer.load_state_dict(state)
    numbers: dict[str, Any] = json.loads((checkpoint.path / NUMBERS_FILE).read_text("utf-8"))
    return numbers


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Give parameters and buffers, tied ones once."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _moments(tensors: dict[str, Tensor], prefix: str) -> dict[int, dict[str, Tensor]]:
    """Collect the moments of one optimiser by parameter."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(prefix):
            index, key = name.removeprefix(prefix).split(".", 1)
            found.setdefault(int(index), {})[key] = value
    return found
