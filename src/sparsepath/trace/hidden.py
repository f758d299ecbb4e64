"""What passes the sites of a running language model, layer by layer, without changing it.

A hook reads what a site hands on: in a TopK model what it kept, in a dense one everything.

Shape letters: B rows, T tokens, D entries of the site.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from sparsepath.artifacts.neuron import Site
from sparsepath.errors import ConfigError
from sparsepath.models.topk_lm import SITES, TopKConfig
from sparsepath.trace.sites import hook_site

Seen = Callable[["SitePlace", Float[Tensor, "rows tokens width"]], None]
"""Called with the place and the hidden states of a pass."""


class SitePlace(NamedTuple):
    """A site of one layer."""

    layer: int
    """From 0."""
    site: Site
    """Which place in the block."""
    width: int
    """Entries of the hidden state."""
    k: int
    """Most entries that can be other than zero, those that are always on included; the width
    where the site is dense."""


def sparse_places(model: PreTrainedModel, sites: Sequence[Site] = ()) -> list[SitePlace]:
    """List the sparse sites of a model by site and layer; none of a dense model.

    Args:
        model: of the Llama kind.
        sites: wanted ones; empty: all that are sparse somewhere.

    Raises:
        ConfigError: if a wanted site is sparse nowhere in a sparse model.
    """
    config = model.config
    if not isinstance(config, TopKConfig):
        return []
    missing = [site for site in sites if site not in config.topk]
    if missing:
        raise ConfigError(
            f"the model is not sparse at {missing[0]}",
            hint=f"choose among its sparse sites: {', '.join(config.topk)}",
        )
    wanted = [site for site in SITES if site in config.topk and (not sites or site in sites)]
    return [
        _place(config, layer, site)
        for site in wanted
        for layer in range(config.num_hidden_layers - config.n_dense_layers)
    ]


def dense_places(model: PreTrainedModel, sites: Sequence[Site]) -> list[SitePlace]:
    """List sites of a dense model, in every layer.

    Args:
        model: of the Llama kind.
        sites: wanted ones.
    """
    config: Any = model.config
    sizes = {name: getattr(config, name, None) for name in _SIZES}
    shape = TopKConfig(**{name: size for name, size in sizes.items() if size is not None})
    return [
        SitePlace(layer, site, width := shape.width_of(site), width)
        for site in sites
        for layer in range(config.num_hidden_layers)
    ]


def of_layers(places: Sequence[SitePlace], layers: Sequence[int]) -> list[SitePlace]:
    """Leave out the places of other layers.

    Args:
        places: of a model.
        layers: wanted ones, from 0; empty: all.

    Raises:
        ConfigError: if a layer has none of the places.
    """
    known = sorted({place.layer for place in places})
    strange = [layer for layer in layers if layer not in known]
    if strange:
        raise ConfigError(
            f"layer {strange[0]} has no such site",
            hint=f"choose among {', '.join(map(str, known))}",
        )
    return [place for place in places if not layers or place.layer in layers]


_SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_hidden_layers",
    "head_dim",
)


def _place(config: TopKConfig, layer: int, site: Any) -> SitePlace:
    """Describe a sparse site."""
    width = config.width_of(site)
    return SitePlace(layer, site, width, min(width, config.topk[site] + config.n_always_on))


@contextmanager
def watch(model: PreTrainedModel, places: Sequence[SitePlace], seen: Seen) -> Iterator[None]:
    """Call `seen` with what passes each place, in every pass while the context lasts.

    Args:
        model: of the Llama kind; it is left as it was.
        places: of this model.
        seen: must not change what it is given.
    """
    blocks: Any = model.get_submodule("model.layers")
    handles = []
    try:
        handles = [
            hook_site(blocks[place.layer], place.site, partial(seen, place)) for place in places
        ]
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def hidden_at(
    model: PreTrainedModel, place: SitePlace, ids: Int[Tensor, "rows tokens"]
) -> Float[Tensor, "rows tokens width"]:
    """Give what passes a place; layers after it do not run.

    Args:
        model: of the Llama kind; it is left as it was.
        place: of this model.
        ids: without padding.
    """
    found: list[Tensor] = []
    body: Any = model.get_submodule("model")
    whole = body.layers
    with watch(model, [place], lambda _place, hidden: found.append(hidden)):
        body.layers = nn.ModuleList(whole[: place.layer + 1])
        try:
            body(input_ids=ids, use_cache=False)
        finally:
            body.layers = whole
    return found[0]


@contextmanager
def replaced(
    model: PreTrainedModel, place: SitePlace, change: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """Let `change` decide what a place hands on, in every pass while the context lasts.

    Args:
        model: of the Llama kind; it is left as it was.
        place: of this model.
        change: is given what passes, [rows, tokens, width], and gives what passes instead.
    """
    blocks: Any = model.get_submodule("model.layers")
    handle = hook_site(blocks[place.layer], place.site, change)
    try:
        yield
    finally:
        handle.remove()
