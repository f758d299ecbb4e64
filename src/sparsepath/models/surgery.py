"""Cut a classifier down to chosen units: a new, physically smaller model.

What a removed unit contributed on average can be folded into the bias of its layer's output, so
that the small model equals the big one with those units held at their mean. A layer that keeps no
unit vanishes as a whole. Word embeddings can be cut to the rows a tokenizer still uses.

Shape letters: D width of the residual stream, H heads, W width of a head, N inputs of a layer,
M neurons.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import (
    LAYER_PATHS,
    LayerPaths,
    PathwayClassifier,
    PathwayConfig,
)
from sparsepath.models.families import LayerSites, encoder_sites
from sparsepath.models.units import UnitMask, UnitMeans, check_mask

SPECIAL_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
"""Settings of an encoder that hold a token id and change with the vocabulary."""

PADDED_POSITIONS = frozenset({"roberta", "xlm-roberta"})
"""Families that count positions from the id of the padding token."""


@torch.no_grad()
def extract(
    model: PathwayClassifier,
    keep: UnitMask,
    *,
    vocabulary: Int[Tensor, " tokens"] | None = None,
    means: UnitMeans | None = None,
) -> PathwayClassifier:
    """Return a new model made of the kept units only; `model` stays as it is.

    The result computes what `trace.gates.gated(model, **gates_of(keep), means=means)` computes, up
    to rounding. Both outputs of every layer of the result carry a bias, also in families without.

    Args:
        model: the parent, whole or already cut.
        keep: units to keep; layers with none vanish.
        vocabulary: old ids of the tokens to keep, in the order of their new ids. None: all.
        means: what removed units contribute; nothing when None.

    Raises:
        ShapeError: if mask, means or vocabulary do not fit the model, or the mask cuts neurons that
            compete for being kept (`topk_classifier.py`).
    """
    check_mask(keep, model)
    _check_sparse(keep, model)
    if vocabulary is not None:
        _check_vocabulary(vocabulary, model)
    kept_layers = keep.kept_layers
    with torch.device("meta"):
        small = PathwayClassifier(_small_config(model.config, keep, vocabulary))
    paths = LAYER_PATHS[model.encoder.config.model_type]
    prefix = f"encoder.{paths.layers}."
    old_state = model.state_dict()
    # Biases that the parent lacks are left out here and come with their layer's cut.
    names = {key: _old_key(key, prefix, kept_layers) for key in small.state_dict()}
    state = {key: old_state[name] for key, name in names.items() if name in old_state}
    sites = encoder_sites(model.encoder).layers
    for new_layer, old_layer in enumerate(kept_layers):
        cut = _layer_cut(sites[old_layer], keep, means, old_layer)
        _cut_layer(state, f"{prefix}{new_layer}.", paths, cut)
    if vocabulary is not None:
        _cut_vocabulary(state, small, vocabulary)
    shared = {id(tensor) for tensor in old_state.values()}
    small.load_state_dict(
        {key: x.clone() if id(x) in shared else x for key, x in state.items()}, assign=True
    )
    _copy_buffers(model, small)
    small.train(model.training)
    return small


def _old_key(key: str, prefix: str, kept_layers: list[int]) -> str:
    """Return the name in the parent of a tensor of the small model."""
    if not key.startswith(prefix):
        return key
    number, _, rest = key.removeprefix(prefix).partition(".")
    return f"{prefix}{kept_layers[int(number)]}.{rest}"


def _small_config(
    config: PathwayConfig, keep: UnitMask, vocabulary: Tensor | None
) -> PathwayConfig:
    """Describe the small model; layers and heads keep the numbers of the first ancestor."""
    layers = [
        {
            "source": config.layers[i]["source"],
            "heads": [config.layers[i]["heads"][int(h)] for h in keep.heads[i].nonzero()],
            "neurons": int(keep.neurons[i].sum()),
            "bias": True,
            **{key: value for key, value in config.layers[i].items() if key == "topk"},
        }
        for i in keep.kept_layers
    ]
    body = dict(config.encoder)
    described = keep.kept_layers or [0]  # the classifier takes the one away again
    body["n_layers" if "n_layers" in body else "num_hidden_layers"] = len(described)
    if body.get("layer_types") is not None:
        body["layer_types"] = [body["layer_types"][i] for i in described]
    settings = config.to_dict()
    if vocabulary is not None:
        new_ids = {int(old): new for new, old in enumerate(vocabulary)}
        if body["model_type"] in PADDED_POSITIONS:
            body["max_position_embeddings"] -= body["pad_token_id"] - new_ids[body["pad_token_id"]]
        body["vocab_size"] = len(vocabulary)
        for holder in (body, settings):
            for name in SPECIAL_IDS:
                if isinstance(holder.get(name), int):
                    holder[name] = new_ids.get(holder[name])
    return PathwayConfig(**_own(settings) | {"encoder": body, "layers": layers})


def _own(settings: dict[str, Any]) -> dict[str, Any]:
    """Drop the entries that transformers adds by itself."""
    return {k: v for k, v in settings.items() if k not in {"model_type", "transformers_version"}}


class _LayerCut(NamedTuple):
    """What one layer keeps, and what its removed units contributed."""

    site: LayerSites
    """The layer of the parent."""
    kept_columns: Bool[Tensor, " heads_width"]
    """True for every column of a kept head."""
    kept_neurons: Bool[Tensor, " neurons"]
    """True for a kept neuron."""
    mean_columns: Float[Tensor, " heads_width"] | None
    """Mean input of `attention_out`."""
    mean_neurons: Float[Tensor, " neurons"] | None
    """Mean input of `mlp_out`."""


def _layer_cut(site: LayerSites, keep: UnitMask, means: UnitMeans | None, layer: int) -> _LayerCut:
    """Select what concerns one layer of the parent, without padding."""
    width = site.n_heads * site.head_dim
    return _LayerCut(
        site=site,
        kept_columns=keep.heads[layer, : site.n_heads].repeat_interleave(site.head_dim),
        kept_neurons=keep.neurons[layer, : site.n_neurons],
        mean_columns=None if means is None else means.heads[layer, :width],
        mean_neurons=None if means is None else means.neurons[layer, : site.n_neurons],
    )


def _cut_layer(state: dict[str, Tensor], prefix: str, paths: LayerPaths, cut: _LayerCut) -> None:
    """Replace the linear layers of one layer in `state` by their kept rows and columns."""
    attention_rows = cut.kept_columns.repeat(3) if cut.site.is_fused else cut.kept_columns
    for path, module in zip(paths.attention_in, cut.site.attention_in, strict=True):
        _keep_rows(state, prefix + path, module, attention_rows)
    mlp_rows = cut.kept_neurons.repeat(2) if cut.site.is_glu else cut.kept_neurons
    _keep_rows(state, prefix + paths.mlp_in, cut.site.mlp_in, mlp_rows)
    _keep_columns(
        state,
        prefix + paths.attention_out,
        cut.site.attention_out,
        cut.kept_columns,
        cut.mean_columns,
    )
    _keep_columns(
        state, prefix + paths.mlp_out, cut.site.mlp_out, cut.kept_neurons, cut.mean_neurons
    )


def _keep_rows(
    state: dict[str, Tensor], name: str, module: nn.Linear, kept: Bool[Tensor, " rows"]
) -> None:
    """Keep some outputs of a linear layer."""
    state[f"{name}.weight"] = module.weight.detach()[kept]
    if module.bias is not None:
        state[f"{name}.bias"] = module.bias.detach()[kept]


def _keep_columns(
    state: dict[str, Tensor],
    name: str,
    module: nn.Linear,
    kept: Bool[Tensor, " columns"],
    mean: Float[Tensor, " columns"] | None,
) -> None:
    """Keep some inputs of a linear layer; the mean of the others goes into its bias."""
    weight_DN = module.weight.detach()
    bias_D = weight_DN.new_zeros(len(weight_DN)) if module.bias is None else module.bias.detach()
    if mean is not None:
        removed = ~kept
        # float64, since up to thousands of small terms are summed
        added_D = weight_DN[:, removed].double() @ mean[removed].double()
        bias_D = (bias_D.double() + added_D).to(weight_DN.dtype)
    state[f"{name}.weight"] = weight_DN[:, kept].contiguous()
    state[f"{name}.bias"] = bias_D.clone()


def _check_sparse(keep: UnitMask, model: PathwayClassifier) -> None:
    """Check that neurons which compete stay together: cutting some changes what the others do."""
    full = UnitMask.full(model)
    for layer in keep.kept_layers:
        is_cut = bool((keep.neurons[layer] != full.neurons[layer]).any())
        if is_cut and "mlp_hidden" in model.config.layers[layer].get("topk", {}):
            raise ShapeError(
                f"layer {layer} keeps its largest neurons, and the mask cuts some of them",
                hint="cut the dense model first, then make the result sparse",
            )


def _check_vocabulary(vocabulary: Int[Tensor, " tokens"], model: PathwayClassifier) -> None:
    """Check that the kept token ids exist, once each, with the padding token among them."""
    n_tokens = encoder_sites(model.encoder).embedding.num_embeddings
    ids = vocabulary.tolist()
    pad_id = model.encoder.config.pad_token_id
    if len(set(ids)) != len(ids) or not all(0 <= i < n_tokens for i in ids):
        raise ShapeError(
            f"vocabulary keeps {len(ids)} ids between {min(ids, default=0)} and "
            f"{max(ids, default=0)}, {len(set(ids))} of them different",
            hint=f"give different ids between 0 and {n_tokens - 1}",
        )
    if pad_id is not None and pad_id not in ids:
        raise ShapeError(
            f"vocabulary loses the padding token, id {pad_id}", hint="keep the special tokens"
        )
    if model.encoder.config.model_type in PADDED_POSITIONS and ids.index(pad_id) > pad_id:
        raise ShapeError(
            f"the padding token moves from id {pad_id} to {ids.index(pad_id)}, past the first "
            "position of this family",
            hint="keep the ids in ascending order",
        )


def _cut_vocabulary(state: dict[str, Tensor], small: PathwayClassifier, vocabulary: Tensor) -> None:
    """Keep some rows of the word embeddings, and the positions that then remain reachable."""
    for name, module in small.named_modules():
        if module is small.get_input_embeddings():
            state[f"{name}.weight"] = state[f"{name}.weight"][vocabulary]
    if small.encoder.config.model_type in PADDED_POSITIONS:
        name = "encoder.embeddings.position_embeddings.weight"
        # Positions start after the padding id, so they move down with it.
        state[name] = state[name][-small.encoder.config.max_position_embeddings :].clone()


def _copy_buffers(model: PathwayClassifier, small: PathwayClassifier) -> None:
    """Give the small model the tables that are not part of its weights."""
    theirs = dict(model.named_buffers())
    for name, buffer in list(small.named_buffers()):
        parent, _, own_name = name.rpartition(".")
        if name.startswith("sparse."):  # counts, which begin anew
            setattr(small.get_submodule(parent), own_name, torch.zeros(buffer.shape))
            continue
        window = tuple(slice(n) for n in buffer.shape)
        setattr(small.get_submodule(parent), own_name, theirs[name][window].clone())
