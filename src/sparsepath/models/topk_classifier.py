"""Making a classifier sparse: layers of its encoder keep only the k largest entries at some sites.

Sites are `mlp_hidden` (the neurons of the MLP, after the activation) and `block_out` (the residual
stream after the layer). The weights stay as they are; learning to do with fewer entries is up to
training (`train.sparsity`).

Source: Takahashi et al. 2025, "TopK Language Models", arXiv 2506.21468; there for decoders.
Read with: `classifier.py` (where a saved model says what it keeps), `nn/topk.py`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.classifier import (
    SITES,
    PathwayClassifier,
    PathwayConfig,
    SparseSite,
)
from sparsepath.models.families import LayerSites, encoder_sites
from sparsepath.nn.topk import By, TopK

BY: Mapping[str, By] = {"block_out": "value", "mlp_hidden": "value"}
"""What is largest at a site. By value, what is kept is above zero, so that a neuron fires in one
direction only and can stand for one thing."""


class SparseLayer(NamedTuple):
    """One sparse site of a classifier."""

    layer: int
    """Present layer, from 0."""
    site: str
    """One of `SITES`."""
    topk: TopK
    """What keeps its largest entries."""


def sparse_sites(model: PathwayClassifier) -> list[SparseLayer]:
    """Give the sparse sites of a classifier, first layer first, `mlp_hidden` before `block_out`."""
    found = []
    for key, module in model.sparse.items():
        number, _, site = key.partition("_")
        assert isinstance(module, SparseSite)
        found.append(SparseLayer(int(number), site, module.topk))
    return sorted(found, key=lambda item: (item.layer, item.site != "mlp_hidden"))


@torch.no_grad()
def make_sparse(
    model: PathwayClassifier,
    sites: Mapping[str, int | float],
    *,
    first_layer: int = 0,
    n_dense_layers: int = 1,
    by: Mapping[str, By] = BY,
) -> PathwayClassifier:
    """Return a classifier with the same weights whose layers keep only their largest entries.

    `sparse_copy` gives one whose weights are its own.

    Args:
        model: a dense classifier, whole or cut; the result shares its weights.
        sites: by site, what each layer keeps: a number of entries, or a share above 0 and below 1
            of those it has, of which at least one is kept. A layer that has no more entries than
            that keeps them all.
        first_layer: the first layer that becomes sparse, from 0.
        n_dense_layers: last layers that stay dense, 0 or more.
        by: what is largest, by site.

    Raises:
        ConfigError: if a site is unknown, a number is out of range, or no layer becomes sparse.
        ModelError: if the model is sparse already.
    """
    if len(model.sparse):
        raise ModelError("the model is sparse already", hint="start from the dense one")
    _check(sites)
    body = encoder_sites(model.encoder)
    n_sparse = len(body.layers) - n_dense_layers
    if n_dense_layers < 0 or not 0 <= first_layer < n_sparse:
        raise ConfigError(
            f"layers from {first_layer} on, the last {n_dense_layers} of {len(body.layers)} dense",
            hint="leave at least one layer that becomes sparse",
        )
    width = body.embedding.embedding_dim
    layers = [
        dict(layer) | (_kept(site, width, sites, by) if first_layer <= number < n_sparse else {})
        for number, (layer, site) in enumerate(zip(model.config.layers, body.layers, strict=True))
    ]
    if not any("topk" in layer for layer in layers):
        raise ConfigError(
            "no layer has more entries than are kept", hint="keep fewer, or a share such as 0.125"
        )
    return _with_layers(model, layers)


def sparse_copy(
    model: PathwayClassifier, sites: Mapping[str, int | float], **settings: Any
) -> PathwayClassifier:
    """Return what `make_sparse` returns with weights of its own, to be trained beside the parent.

    Args:
        model: a dense classifier.
        sites: by site, what each layer keeps.
        **settings: the others of `make_sparse`.

    Raises:
        ConfigError, ModelError: as `make_sparse`.
    """
    found = make_sparse(model, sites, **settings)
    own = {name: value.clone() for name, value in found.state_dict().items()}
    found.load_state_dict(own, assign=True)
    return found


def _check(sites: Mapping[str, int | float]) -> None:
    """Check names and numbers of sites."""
    known = ", ".join(SITES)
    unknown = sorted(set(sites) - set(SITES))
    if unknown or not sites:
        raise ConfigError(
            f"an encoder has no site {unknown[0]!r}" if unknown else "no site is named",
            hint=f"its sites are {known}",
        )
    for site, kept in sites.items():
        is_count = isinstance(kept, int) and kept >= 1
        is_share = isinstance(kept, float) and 0 < kept < 1
        if isinstance(kept, bool) or not (is_count or is_share):
            raise ConfigError(
                f"k = {kept} at {site}",
                hint="keep 1 entry or more, or a share above 0 and below 1, such as 0.125",
            )


def _kept(
    layer: LayerSites, width: int, sites: Mapping[str, int | float], by: Mapping[str, By]
) -> dict[str, Any]:
    """Describe what one layer keeps; nothing where it keeps everything."""
    found = {}
    for site in SITES:
        if site not in sites:
            continue
        n = layer.n_neurons if site == "mlp_hidden" else width
        wanted = sites[site]
        k = wanted if isinstance(wanted, int) else max(1, round(wanted * n))
        if k < n:
            found[site] = {"k": k, "by": by[site]}
    return {"topk": found} if found else {}


def _with_layers(model: PathwayClassifier, layers: list[dict[str, Any]]) -> PathwayClassifier:
    """Build the classifier that other `PathwayConfig.layers` describe, on the same weights."""
    settings = model.config.to_dict()
    for name in ("model_type", "transformers_version"):
        settings.pop(name, None)
    with torch.device("meta"):
        found = PathwayClassifier(PathwayConfig(**settings | {"layers": layers}))
    found.load_state_dict(model.state_dict(), assign=True)
    theirs = dict(model.named_buffers())
    for name, buffer in list(found.named_buffers()):
        parent, _, own_name = name.rpartition(".")
        value = theirs[name] if name in theirs else torch.zeros(buffer.shape)
        setattr(found.get_submodule(parent), own_name, value)
    found.train(model.training)
    return found
