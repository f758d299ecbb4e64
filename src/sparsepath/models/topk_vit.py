"""A ViT whose layers keep only the k largest entries at some sites.

Weights and their names are those of transformers' ViT; the type of the configuration is another,
so that nothing loads a sparse model as a dense one unnoticed.
"""

from typing import Any

from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.vit.modeling_vit import ViTLayer

from sparsepath.models.sparse_layers import (
    SparseConfig,
    after,
    check_sites,
    clear_counters,
    is_sparse,
    keeper,
)
from sparsepath.nn.topk import TopK


class TopKViTConfig(SparseConfig, ViTConfig):
    """Sizes of a ViT, and what its layers keep."""

    model_type = "sparsepath-topk-vit"

    def __init__(self, **settings: Any) -> None:
        """Keep the settings: those of `ViTConfig`, and those of `SparseConfig`."""
        self.take(settings)
        super().__init__(**settings)


class TopKViTForImageClassification(ViTForImageClassification):
    """Names what an image shows, by few entries at a time."""

    config: TopKViTConfig
    config_class = TopKViTConfig

    def __init__(self, config: TopKViTConfig) -> None:
        """Build it with random weights, the same as those of the dense model.

        Raises:
            ConfigError: if a site is unknown, a number is out of range, or no layer is sparse.
        """
        check_sites(config, config.num_hidden_layers)
        super().__init__(config)
        # The part that is a model of its own would begin its modules by itself.
        self.vit._init_weights = self._init_weights  # type: ignore[method-assign]
        layers = self.vit.layers
        for number, layer in enumerate(layers):
            if is_sparse(config, number, len(layers)):
                assert isinstance(layer, ViTLayer)
                _make_sparse(layer, config)

    def _init_weights(self, module: nn.Module) -> None:
        """Begin a module."""
        super()._init_weights(module)
        clear_counters(module)


def _make_sparse(layer: ViTLayer, config: TopKViTConfig) -> None:
    """Put keepers into a layer."""
    kept = keeper(config, "mlp_hidden", config.intermediate_size)
    layer.mlp.activation_fn = after(layer.mlp.activation_fn, kept)
    kept = keeper(config, "block_out", config.hidden_size)
    if kept is not None:
        layer.block_out = kept
        layer.register_forward_hook(_kept_of_stream)


def _kept_of_stream(layer: nn.Module, _inputs: Any, stream: Tensor) -> Tensor:
    """Keep the largest entries of what a layer gives."""
    block_out = layer.block_out
    assert isinstance(block_out, TopK)
    kept: Tensor = block_out(stream)
    return kept


AutoConfig.register(TopKViTConfig.model_type, TopKViTConfig)
AutoModelForImageClassification.register(TopKViTConfig, TopKViTForImageClassification)
