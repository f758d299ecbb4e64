"""Sparse sites of small models that are trained from scratch: image and graph transformers.

A configuration has what a language model's has (`topk_lm.py`): `topk` by site, how entries are
kept, and how many last layers stay dense. What keeps entries has no weights, so a sparse model's
checkpoint is that of a dense one with another configuration.

Source: Takahashi et al. 2025, "TopK Language Models", arXiv 2506.21468; there for decoders.
"""

from typing import Any

from torch import nn
from transformers import initialization as init

from sparsepath.errors import ConfigError
from sparsepath.nn.topk import By, TopK

SITES = ("mlp_hidden", "block_out")
"""What a layer can keep less of: the MLP's neurons after the activation, the stream after it."""


class SparseConfig:
    """What a configuration says of its sparse sites."""

    topk: dict[str, int]
    """Entries that are kept, by site; none for a dense model."""
    topk_by: By | dict[str, By]
    """For all sites, or by site; those that it lacks go by value."""
    topk_positive: bool
    n_always_on: int
    n_dense_layers: int
    straight_through: bool

    def take(self, settings: dict[str, Any]) -> None:
        """Take what belongs here out of the keywords of a constructor."""
        self.topk = dict(settings.pop("topk", None) or {})
        self.topk_by = settings.pop("topk_by", "value")
        self.topk_positive = settings.pop("topk_positive", False)
        self.n_always_on = settings.pop("n_always_on", 0)
        self.n_dense_layers = settings.pop("n_dense_layers", 0)
        self.straight_through = settings.pop("straight_through", False)


def check_sites(config: SparseConfig, n_layers: int) -> None:
    """See that sites and layers exist.

    Args:
        config: which sites.
        n_layers: layers of the model.

    Raises:
        ConfigError: if a site is unknown, or no layer would be sparse.
    """
    ruled = set() if isinstance(config.topk_by, str) else set(config.topk_by)
    unknown = sorted((set(config.topk) | ruled) - set(SITES))
    if unknown:
        raise ConfigError(
            f"this model has no site {unknown[0]!r}", hint=f"its sites are {', '.join(SITES)}"
        )
    if config.topk and not 0 <= config.n_dense_layers < n_layers:
        raise ConfigError(
            f"topk.dense_layers = {config.n_dense_layers} of {n_layers} layers",
            hint="leave at least one layer sparse",
        )


def is_sparse(config: SparseConfig, layer: int, n_layers: int) -> bool:
    """Tell whether a layer, from 0, has sparse sites."""
    return bool(config.topk) and layer < n_layers - config.n_dense_layers


def keeper(config: SparseConfig, site: str, width: int) -> TopK | None:
    """Make what keeps the largest entries of a site; None where all are kept.

    Raises:
        ConfigError: if fewer entries compete there than are kept.
    """
    if site not in config.topk:
        return None
    by = config.topk_by
    return TopK(
        width,
        config.topk[site],
        by=by if isinstance(by, str) else by.get(site, "value"),
        is_positive=config.topk_positive,
        n_always_on=config.n_always_on,
        is_straight_through=config.straight_through,
    )


def after(activation: nn.Module, kept: TopK | None) -> nn.Module:
    """Put a keeper behind an activation, without a change to the names of weights around it."""
    return activation if kept is None else nn.Sequential(activation, kept)


def clear_counters(module: nn.Module) -> None:
    """Begin a keeper's counters; a loaded model's come as memory with anything in it."""
    if isinstance(module, TopK):
        for counter in module.buffers(recurse=False):
            init.zeros_(counter)
