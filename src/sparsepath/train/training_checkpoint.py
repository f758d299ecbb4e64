"""Checkpoints of a training: a folder each, whole or not at all, the newest of which goes on.

A folder `step-00000200` holds `state.safetensors` (weights and the optimisers' moments) and
`state.json` (steps done, and what the loss has been). Rows, sources and rates depend on the step
alone, so there is nothing else to keep. Of a model that is spread over processes each process
writes its part, `state-00001-of-00002.safetensors`; parts are joined along the first axis, so any
number of processes can go on.

Read with: `sharding.py`.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sparsepath.errors import RunError
from sparsepath.train.sharding import local_part, put, spread_like

NUMBERS_FILE = "state.json"

UNFINISHED = "unfinished-"
"""Begins the name of a folder that is being written."""


class Place(NamedTuple):
    """Which process this is, and how it waits for the others."""

    number: int = 0
    """Its number, from 0."""
    n_processes: int = 1
    """All of them that write a part."""
    wait: Callable[[], None] = lambda: None
    """Returns once all processes have come here."""


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


def write_checkpoint(  # noqa: PLR0913 - what is written, and where
    folder: Path,
    step: int,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    numbers: dict[str, Any],
    *,
    keep: int,
    place: Place | None = None,
) -> None:
    """Write a checkpoint and delete the oldest ones beyond `keep`.

    Where the model is spread over processes, all of them call this.

    Args:
        folder: of all checkpoints.
        step: steps done.
        model: its weights.
        optimizers: their moments.
        numbers: what else is kept; what `json` can hold.
        keep: checkpoints that stay.
        place: of this process among those that hold a part.
    """
    place = place or Place()
    tensors = {f"model.{name}": value for name, value in _weights(model).items()}
    for number, optimizer in enumerate(optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer.{number}.{index}.{name}": torch.as_tensor(value)
                for name, value in moments.items()
            }
    parts = {name: local_part(value.detach()) for name, value in tensors.items()}
    mine = {name: part.cpu().contiguous() for name, part in parts.items() if part is not None}
    name = f"step-{step:08d}"
    unfinished = folder / f"{UNFINISHED}{name}"
    if place.number == 0:
        _clear(folder)
        unfinished.mkdir(parents=True)
    place.wait()
    save_file(mine, unfinished / _state_file(place))
    place.wait()
    if place.number == 0:
        content = json.dumps({"step": step, **numbers})
        (unfinished / NUMBERS_FILE).write_text(content, encoding="utf-8")
        unfinished.rename(folder / name)
        for old in find_checkpoints(folder)[:-keep]:
            shutil.rmtree(old.path)


def _clear(folder: Path) -> None:
    """Delete what a killed process left half-written."""
    for path in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(path)


def _state_file(place: Place) -> str:
    """Name the file of one process."""
    if place.n_processes == 1:
        return "state.safetensors"
    return f"state-{place.number + 1:05d}-of-{place.n_processes:05d}.safetensors"


def read_checkpoint(
    checkpoint: Checkpoint, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put a checkpoint back; return the numbers that were kept.

    Raises:
        RunError: if it does not fit the model.
    """
    tensors = _read_parts(checkpoint.path)
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
            put(value, tensors[f"model.{name}"])
    for number, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        moved = [p for group in optimizer.param_groups for p in group["params"]]
        state["state"] = {
            index: {name: spread_like(value, moved[index]) for name, value in moments.items()}
            for index, moments in _moments(tensors, f"optimizer.{number}.").items()
        }
        optimizer.load_state_dict(state)
    numbers: dict[str, Any] = json.loads((checkpoint.path / NUMBERS_FILE).read_text("utf-8"))
    return numbers


def _read_parts(folder: Path) -> dict[str, Tensor]:
    """Read the tensors of all parts, joined.

    Raises:
        RunError: if a part is missing or damaged.
    """
    paths = sorted(folder.glob("state*.safetensors"))
    n_parts = int(paths[0].stem.rpartition("-of-")[2]) if paths and "-of-" in paths[0].stem else 1
    found: dict[str, list[Tensor]] = {}
    try:
        with ExitStack() as stack:
            for path in paths:
                part = stack.enter_context(safe_open(path, framework="pt"))
                for name in part.keys():  # noqa: SIM118 - it is no dictionary
                    found.setdefault(name, []).append(part.get_tensor(name))
            is_whole = len(paths) == n_parts
    except (OSError, SafetensorError):
        is_whole = False
    if not is_whole:
        raise RunError(
            f"{folder} has {len(paths)} of {n_parts} parts, or a damaged one",
            hint=f"delete {folder}, and the training goes on from the checkpoint before it",
        )
    return {name: torch.cat(v) if len(v) > 1 else v[0] for name, v in found.items()}


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
