"""What a model of transformers has that can be steered: a language model, a sparse classifier."""

from collections.abc import Callable
from typing import Any, cast

from torch import nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from sparsepath.artifacts.neuron import Site
from sparsepath.errors import ModelError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.language_folder import LANGUAGE_KINDS
from sparsepath.models.topk_classifier import SparseLayer, sparse_sites
from sparsepath.trace.edits import Sites, Spot
from sparsepath.trace.sites import Change, hook_site

Hook = Callable[[Spot, Change], RemovableHandle]
"""Lets a function change what a site of one layer hands on, after its TopK."""


def hooker(model: PreTrainedModel) -> Hook:
    """Give what hooks the sites of a model, without holding the model; raises as `sites_of`."""
    if isinstance(model, PathwayClassifier):
        kept = {spot: site.topk for spot, site in _classifier_sites(model).items()}
        return lambda spot, change: kept[spot].register_forward_hook(
            lambda _module, _inputs, output: change(output)
        )
    body = body_of(model)
    return lambda spot, change: hook_site(body.get_submodule(f"layers.{spot[0]}"), spot[1], change)


def _classifier_sites(model: PathwayClassifier) -> dict[Spot, SparseLayer]:
    """Give the sparse sites of a classifier; layers have the numbers of the first ancestor.

    Raises:
        ModelError: if it has none.
    """
    layers = model.config.layers
    found = {(int(layers[s.layer]["source"]), cast(Site, s.site)): s for s in sparse_sites(model)}
    if not found:
        raise ModelError(
            "a dense classifier has no neurons that could be steered one by one",
            hint="make it sparse with: sparsepath convert MODEL TABLE --k K",
        )
    return found


def body_of(model: PreTrainedModel) -> nn.Module:
    """Give the part of a model that holds its layers, and is called with keywords.

    Raises:
        ModelError: if the model is of another kind.
    """
    if isinstance(model, PathwayClassifier):
        return model.encoder
    kind = model.config.model_type
    if kind not in LANGUAGE_KINDS:
        raise ModelError(
            f"a model of type {kind!r} cannot be steered",
            hint="use a sparse classifier, or a language model of one of these types: "
            f"{', '.join(LANGUAGE_KINDS)}",
        )
    return model.base_model


def sites_of(model: PreTrainedModel) -> Sites:
    """Give what a model has that can be edited; raises as `body_of`."""
    body_of(model)
    if isinstance(model, PathwayClassifier):
        spots = {spot: site.topk.width for spot, site in _classifier_sites(model).items()}
        return Sites(n_layers=1 + max(layer for layer, _ in spots), widths={}, spots=spots)
    config: Any = model.config
    d_model, heads = int(config.hidden_size), int(config.num_attention_heads)
    head_dim = getattr(config, "head_dim", None) or d_model // heads
    n_layers = int(config.num_hidden_layers)
    sparse = dict(config.topk) if config.model_type == "sparsepath_topk" else {}
    return Sites(
        n_layers=n_layers,
        widths={
            "block_out": d_model,
            "attn_in": d_model,
            "attn_out": heads * head_dim,
            "mlp_in": d_model,
            "mlp_hidden": int(config.intermediate_size),
        },
        sparse=sparse,
        n_sparse_layers=n_layers - config.n_dense_layers if sparse else 0,
    )
