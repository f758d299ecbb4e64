"""Which units of a classifier are meant: masks and scores over its heads and MLP neurons.

Rows are the model's present layers. Layers of unequal size are padded to the widest one, with False
in masks and minus infinity in scores.

Shape letters: L layers, H heads of the widest layer, M neurons of the widest layer.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_sites


@dataclass(frozen=True, eq=False)
class UnitMask:
    """A choice of units, usually the ones to keep."""

    heads: Bool[Tensor, "layers heads"]
    """True for a chosen head."""

    neurons: Bool[Tensor, "layers neurons"]
    """True for a chosen MLP neuron."""

    @staticmethod
    def full(model: PathwayClassifier) -> "UnitMask":
        """Choose every unit that `model` has."""
        layers = encoder_sites(model.encoder).layers
        return UnitMask(
            heads=_filled([layer.n_heads for layer in layers]),
            neurons=_filled([layer.n_neurons for layer in layers]),
        )

    @property
    def n_layers(self) -> int:
        """Layers of the model, chosen or not."""
        return self.heads.shape[0]

    @property
    def n_units(self) -> int:
        """Chosen heads and neurons together."""
        return int(self.heads.sum()) + int(self.neurons.sum())

    @property
    def share(self) -> float:
        """Chosen heads and neurons as a share of all places in the mask, 0 to 1.

        In a model whose layers differ in size, padding counts as a place; `share_of` does not.
        """
        places = self.heads.numel() + self.neurons.numel()
        return self.n_units / places if places else 0.0

    def share_of(self, other: "UnitMask") -> float:
        """Chosen units as a share of the units that `other` chooses, 0 to 1."""
        return self.n_units / other.n_units if other.n_units else 0.0

    @property
    def kept_layers(self) -> list[int]:
        """Layers with at least one chosen unit, ascending."""
        present_L = self.heads.any(dim=1) | self.neurons.any(dim=1)
        return [int(layer) for layer in present_L.nonzero().flatten()]

    @property
    def removed_layers(self) -> list[int]:
        """Layers with no chosen unit, ascending."""
        kept = set(self.kept_layers)
        return [layer for layer in range(self.n_layers) if layer not in kept]

    @property
    def shape(self) -> list[tuple[int, int]]:
        """Heads and neurons of every kept layer, as latency models read it."""
        n_heads_L, n_neurons_L = self.heads.sum(dim=1), self.neurons.sum(dim=1)
        return [(int(n_heads_L[layer]), int(n_neurons_L[layer])) for layer in self.kept_layers]

    def names(self) -> list[str]:
        """Name every chosen unit, each kept layer before its heads and neurons."""
        names = []
        for layer in self.kept_layers:
            names.append(layer_name(layer))
            names += [head_name(layer, int(h)) for h in self.heads[layer].nonzero()]
            names += [neuron_name(layer, int(m)) for m in self.neurons[layer].nonzero()]
        return names

    def __and__(self, other: "UnitMask") -> "UnitMask":
        """Choose what both choose."""
        return UnitMask(self.heads & other.heads, self.neurons & other.neurons)

    def __or__(self, other: "UnitMask") -> "UnitMask":
        """Choose what either chooses."""
        return UnitMask(self.heads | other.heads, self.neurons | other.neurons)

    def without(self, other: "UnitMask") -> "UnitMask":
        """Choose what this one chooses and `other` does not."""
        return UnitMask(self.heads & ~other.heads, self.neurons & ~other.neurons)


@dataclass(frozen=True, eq=False)
class UnitScores:
    """How much every unit matters; higher matters more, only the order has a meaning."""

    heads: Float[Tensor, "layers heads"]
    """Score of each head, minus infinity where there is none."""

    neurons: Float[Tensor, "layers neurons"]
    """Score of each MLP neuron, minus infinity where there is none."""


@dataclass(frozen=True, eq=False)
class UnitMeans:
    """Mean value of every unit over the real tokens of a corpus."""

    heads: Float[Tensor, "layers heads_width"]
    """Mean input of `attention_out`; heads of one layer side by side, padded with zeros."""

    neurons: Float[Tensor, "layers neurons"]
    """Mean input of `mlp_out`, padded with zeros."""


def layer_name(layer: int) -> str:
    """Return the name of a layer, such as `L02`."""
    return f"L{layer:02d}"


def head_name(layer: int, head: int) -> str:
    """Return the name of a head, such as `L02.H05`."""
    return f"L{layer:02d}.H{head:02d}"


def neuron_name(layer: int, neuron: int) -> str:
    """Return the name of an MLP neuron, such as `L02.M0117`."""
    return f"L{layer:02d}.M{neuron:04d}"


def check_mask(mask: UnitMask, model: PathwayClassifier) -> None:
    """Check that a mask fits a model.

    Raises:
        ShapeError: if it has other layers or sizes, or chooses units that the model lacks.
    """
    full = UnitMask.full(model)
    got = (tuple(mask.heads.shape), tuple(mask.neurons.shape))
    want = (tuple(full.heads.shape), tuple(full.neurons.shape))
    if got != want:
        raise ShapeError(
            f"a mask of {got[0]} heads and {got[1]} neurons does not fit a model of "
            f"{want[0]} and {want[1]} (layers, units)",
            hint="start from UnitMask.full(model)",
        )
    if mask.without(full).n_units:
        raise ShapeError(
            f"the mask chooses units that the model lacks: {mask.without(full).names()[:5]}",
            hint="start from UnitMask.full(model)",
        )


def _filled(sizes: list[int]) -> Bool[Tensor, "layers units"]:
    """Return a mask whose row `i` starts with `sizes[i]` True."""
    positions = torch.arange(max(sizes, default=0))
    return positions < torch.tensor(sizes, dtype=torch.int64).unsqueeze(1)
