"""Sub-models that nobody searched for: what the search has to beat at equal latency.

Shape letters: L layers, U units of the widest layer.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from sparsepath.errors import ConfigError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMask

MAX_DRAWS = 100
"""Tries at fitting a shape into randomly drawn layers before the layers keep their places."""


def random_masks(
    full: UnitMask, like: Sequence[UnitMask], *, generator: torch.Generator
) -> list[UnitMask]:
    """Draw sub-models of the same shapes, so of the same cost, with random layers and units.

    Layers are drawn without repetition and stay in order; in parents whose layers differ in size
    they are drawn again until every layer has enough units.

    Args:
        full: the units that the parent has.
        like: the sub-models to imitate, one control each.
        generator: source of the draws.
    """
    return [_random_mask(full, mask, generator) for mask in like]


def layer_drop_masks(full: UnitMask) -> list[UnitMask]:
    """Keep the first n layers whole, for n from none to all but one: layer dropping alone.

    Args:
        full: the units that the parent has.
    """
    masks = []
    for n_kept in range(full.n_layers):
        heads, neurons = full.heads.clone(), full.neurons.clone()
        heads[n_kept:] = False
        neurons[n_kept:] = False
        masks.append(UnitMask(heads, neurons))
    return masks


@torch.no_grad()
def shuffled_twin(model: PathwayClassifier, *, generator: torch.Generator) -> PathwayClassifier:
    """Shuffle the entries of every matrix of a copy: the same numbers, nothing learnt.

    Args:
        model: stays as it is.
        generator: draws the orders.
    """
    twin: PathwayClassifier = copy.deepcopy(model).eval()
    for parameter in twin.parameters():
        if parameter.ndim > 1:
            order = torch.randperm(parameter.numel(), generator=generator)
            parameter.copy_(parameter.flatten()[order].view(parameter.shape))
    return twin


def _random_mask(full: UnitMask, like: UnitMask, generator: torch.Generator) -> UnitMask:
    """Draw one control."""
    if like.heads.shape != full.heads.shape or like.neurons.shape != full.neurons.shape:
        raise ConfigError(
            f"a sub-model of {tuple(like.heads.shape)} heads cannot be imitated in a parent of "
            f"{tuple(full.heads.shape)} (layers, heads)",
            hint="both masks must belong to the same parent",
        )
    shape = like.shape
    layers = like.kept_layers
    for _ in range(MAX_DRAWS):
        order = torch.randperm(full.n_layers, generator=generator)
        drawn = sorted(order[: len(shape)].tolist())
        if all(
            int(full.heads[layer].sum()) >= n_heads and int(full.neurons[layer].sum()) >= n_neurons
            for layer, (n_heads, n_neurons) in zip(drawn, shape, strict=True)
        ):
            layers = drawn
            break
    heads, neurons = torch.zeros_like(full.heads), torch.zeros_like(full.neurons)
    for layer, (n_heads, n_neurons) in zip(layers, shape, strict=True):
        heads[layer] = random_subset(full.heads[layer], n_heads, generator)
        neurons[layer] = random_subset(full.neurons[layer], n_neurons, generator)
    return UnitMask(heads, neurons)


def random_subset(
    present: Bool[Tensor, " units"], n: int, generator: torch.Generator
) -> Bool[Tensor, " units"]:
    """Choose `n` of the present units, uniformly.

    Args:
        present: units to choose from, at least `n`.
        n: how many.
        generator: source of the draw.
    """
    places = present.nonzero().flatten()
    chosen = torch.zeros_like(present)
    chosen[places[torch.randperm(len(places), generator=generator)[:n]]] = True
    return chosen
