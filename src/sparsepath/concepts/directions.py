"""Tokens that a neuron makes likelier and unlikelier, by the shortest way through the head.

For entry i of the residual stream: column i of the head, times the weight of the final norm. For
an entry before an output projection: its column of the projection taken the same way. What later
layers make of it is not in this; after the last ones it is exact but for the norm's scale. Sites
after the norms of a block are read only by maps of that block: nothing is said there.

Shape letters: V vocabulary, D width of the residual stream, N entries of the site.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from sparsepath.trace.hidden import SitePlace

N_TOKENS = 10
"""Tokens of each kind."""

NEURONS_AT_ONCE = 256


class Directions(NamedTuple):
    """Of every neuron of a place, strongest first; what is added to a logit for a value of 1."""

    promotes: list[list[tuple[int, float]]]
    """Token and effect, by neuron."""
    demotes: list[list[tuple[int, float]]]
    """Token and effect, by neuron."""


@torch.inference_mode()
def directions(
    model: PreTrainedModel,
    place: SitePlace,
    latents: Float[Tensor, "latents entries"] | None = None,
) -> Directions | None:
    """Find the tokens that the neurons of a place speak for and against.

    Args:
        model: of the Llama kind.
        place: of this model.
        latents: what each latent of an autoencoder adds at the place; None: neurons are meant.

    Returns:
        None where a neuron has no way to the head of its own.
    """
    columns_DN = _columns(model, place if latents is None else _narrowed(place, latents))
    if columns_DN is None:
        return None
    if latents is not None:
        columns_DN = columns_DN @ latents.T
    norm_D = model.get_parameter("model.norm.weight")
    head: Any = model.get_output_embeddings()
    promotes, demotes = [], []
    for start in range(0, place.width, NEURONS_AT_ONCE):
        part = norm_D[:, None] * columns_DN[:, start : start + NEURONS_AT_ONCE]
        effects_NV: Tensor = (head.weight @ part).T
        promotes += _strongest(effects_NV, 1)
        demotes += _strongest(effects_NV, -1)
    return Directions(promotes, demotes)


def _narrowed(place: SitePlace, latents: Tensor) -> SitePlace:
    """Give the place of the hidden states that latents are of."""
    return place._replace(width=latents.shape[1])


def _columns(model: PreTrainedModel, place: SitePlace) -> Float[Tensor, "features entries"] | None:
    """Give what each entry adds to the residual stream."""
    block: Any = model.get_submodule(f"model.layers.{place.layer}")
    if place.site == "block_out":
        return torch.eye(place.width)
    maps: dict[str, Tensor] = {
        "attn_out": block.self_attn.o_proj.weight,
        "mlp_hidden": block.mlp.down_proj.weight,
    }
    return maps.get(place.site)


def _strongest(effects: Tensor, sign: int) -> list[list[tuple[int, float]]]:
    """Take the tokens of the largest effects of one sign."""
    found = (sign * effects).topk(min(N_TOKENS, effects.shape[1]), dim=1)
    pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return [
        [(token, sign * value) for token, value in zip(tokens, values, strict=True) if value > 0]
        for tokens, values in pairs
    ]
