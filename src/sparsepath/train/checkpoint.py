"""The state of an unfinished fit: tensors and a few numbers in one safetensors file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


class FitState(NamedTuple):
    """Everything that a fit needs to go on."""

    tensors: dict[str, Tensor]
    """Weights, best weights and the optimiser's moments, by name."""
    numbers: Mapping[str, Any]
    """Counters; what `json` can hold."""


class FileCheckpoints:
    """Keeps the last state of a fit in one file."""

    def __init__(self, path: Path) -> None:
        """Name the file; it need not exist."""
        self.path = path

    def load(self) -> FitState | None:
        """Give the last state; None when there is none, or it is not whole."""
        try:
            with safe_open(self.path, framework="pt") as file:
                numbers = json.loads(file.metadata()["numbers"])
                return FitState({name: file.get_tensor(name) for name in file.keys()}, numbers)  # noqa: SIM118 - safe_open has no __iter__
        except (FileNotFoundError, SafetensorError, KeyError, ValueError):
            return None

    def save(self, state: FitState) -> None:
        """Replace the file in one step."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(self.path.name + ".tmp")
        save_file(state.tensors, unfinished, metadata={"numbers": json.dumps(dict(state.numbers))})
        unfinished.replace(self.path)

    def remove(self) -> None:
        """Delete the file, if it is there."""
        self.path.unlink(missing_ok=True)


def save_state(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best_weights: Mapping[str, Tensor],
    numbers: Mapping[str, Any],
) -> FitState:
    """Copy all that a fit needs to go on.

    Args:
        model: The weights as they are now.
        optimizer: AdamW, with or without moments yet.
        best_weights: The weights that scored best so far.
        numbers: Counters; what `json` can hold.

    Returns:
        A state that later steps do not change.
    """
    tensors = {f"model.{name}": value.detach().clone() for name, value in _weights(model).items()}
    tensors |= {f"best.{name}": value.clone() for name, value in best_weights.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"moment.{index}.{name}": value.clone() for name, value in moments.items()}
    return FitState(tensors, dict(numbers))


def load_state(
    state: FitState, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Put a saved state back into a model and its optimiser.

    Args:
        state: From `save_state`, for the same shapes.
        model: Gets the weights.
        optimizer: Gets the moments.

    Returns:
        The best weights so far, by name.
    """
    model.load_state_dict(_part(state.tensors, "model."))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(state.tensors, "moment.").items():
        index, kind = name.split(".", 1)
        moments.setdefault(int(index), {})[kind] = value
    saved = optimizer.state_dict()
    optimizer.load_state_dict({"state": moments, "param_groups": saved["param_groups"]})
    return _part(state.tensors, "best.")


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Give the state of a model by name."""
    return dict(model.state_dict())


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Give the tensors whose name begins with `prefix`, without it."""
    return {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }
