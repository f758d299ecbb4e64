"""A sparse autoencoder: a hidden state as a sum of few of many directions, learnt beside a model.

    z = activation(E (x / s - b) + e)        x' = s (D' z + b)

`E` encodes, the rows of `D` are the directions, `b` is the pre-bias, `s` the size of the hidden
states. Latents are given as `s z`, so a latent of value 1 stands for its direction once. Trained
ones keep the k largest (`topk`), and their directions have length one, here and in the file; those
that were read from elsewhere may have another activation.

Shape letters: N latents, D entries of the hidden state, R rows.

Source: Gao et al. 2024, "Scaling and evaluating sparse autoencoders", arXiv 2406.04093, section 2.
Our `revive` is its alpha of the loss AuxK (appendix A.2).
Read with: `autoencoder_folder.py` (files), `saelens.py` (folders of SAELens).
"""

from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from sparsepath.errors import ConfigError
from sparsepath.kernels.largest import topk

Activation = Literal["topk", "relu", "jumprelu"]
"""What latents become: the k largest above zero, those above zero, or those above thresholds."""

Normalising = Literal["none", "layer_norm", "constant_norm_rescale"]
"""What happens to each hidden state before, and is undone after: nothing; mean 0 and standard
deviation 1; or a norm of the root of the width."""

LAYER_NORM_EPS = 1e-5
"""Added to the standard deviation, as SAELens does."""


class AutoencoderConfig(PreTrainedConfig):
    """Sizes, and where the hidden states come from."""

    model_type = "sparsepath_autoencoder"

    def __init__(  # noqa: PLR0913 - a configuration has so many keys
        self,
        width: int = 1,
        n_latents: int = 1,
        k: int | None = 1,
        activation: Any = "topk",
        normalise: Any = "none",
        is_bias_subtracted: bool = True,
        is_unit_norm: bool = True,
        layer: int = 0,
        site: str = "block_out",
        parent: str = "",
        parent_sha256: str = "",
        revive: float = 0.0,
        revive_k: int = 1,
        dead_after: int = 1,
        **settings: Any,
    ) -> None:
        """Keep the settings.

        Args:
            width: entries of the hidden state.
            n_latents: latents.
            k: most latents above zero; None where only thresholds decide.
            activation: as in `Activation`.
            normalise: as in `Normalising`.
            is_bias_subtracted: whether the pre-bias is taken off before encoding.
            is_unit_norm: whether directions have length one.
            layer: of the model, from 0.
            site: of that layer.
            parent: the model, as it was named.
            parent_sha256: of its weights; empty: not known.
            revive: weight of the loss that brings dead latents back; 0: none.
            revive_k: dead latents that may explain what is left over.
            dead_after: tokens without firing after which a latent counts as dead.
            settings: those of every configuration.
        """
        self.width, self.n_latents, self.k = width, n_latents, k
        self.activation, self.normalise = activation, normalise
        self.is_bias_subtracted, self.is_unit_norm = is_bias_subtracted, is_unit_norm
        self.layer, self.site = layer, site
        self.parent, self.parent_sha256 = parent, parent_sha256
        self.revive, self.revive_k, self.dead_after = revive, revive_k, dead_after
        super().__init__(**settings)


class Reconstruction(NamedTuple):
    """What an autoencoder makes of hidden states."""

    hidden: Float[Tensor, "*rows width"]
    """As well as its latents can say them."""
    latents: Float[Tensor, "*rows latents"]
    """Zero where one does not fire."""
    loss: Float[Tensor, ""]
    """Mean squared error in units of `scale`, so that saying nothing but the mean costs about 1; in
    training with what the revival of dead latents adds."""


class SparseAutoencoder(PreTrainedModel):
    """The weights."""

    config: AutoencoderConfig
    config_class = AutoencoderConfig
    main_input_name = "hidden_states"
    scale: Tensor
    """Size of the hidden states: root mean square of what is left without their mean."""
    idle: Tensor
    """Tokens since each latent fired last in training, [latents]; of several processes, those of
    the first one."""
    threshold: Tensor
    """Of `jumprelu`, in the size in which latents are computed, [latents]."""

    def __init__(self, config: AutoencoderConfig) -> None:
        """Make room for the weights; `begin` or a folder gives them values.

        Raises:
            ConfigError: if k is no number of latents.
        """
        super().__init__(config)
        n, d = config.n_latents, config.width
        if config.activation == "topk" and not 1 <= (config.k or 0) <= n:
            raise ConfigError(f"k = {config.k} of {n} latents", hint=f"choose k from 1 to {n}")
        self.encoder = nn.Parameter(torch.zeros(n, d))
        self.encoder_bias = nn.Parameter(torch.zeros(n))
        self.decoder = nn.Parameter(torch.zeros(n, d))
        self.bias = nn.Parameter(torch.zeros(d))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("idle", torch.zeros(n, dtype=torch.int64), persistent=False)
        if config.activation == "jumprelu":
            self.register_buffer("threshold", torch.zeros(n))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Leave the weights as they are."""

    @torch.no_grad()
    def begin(self, rows: Float[Tensor, "rows width"], generator: torch.Generator) -> None:
        """Give the first weights: random directions, their transpose as encoder, the mean as bias.

        Args:
            rows: hidden states, whose mean and size are taken.
            generator: draws the directions.
        """
        mean_D = rows.mean(dim=0)
        self.scale.copy_((rows - mean_D).square().mean().sqrt().clamp(min=1e-12))
        self.bias.copy_(mean_D / self.scale)
        self.decoder.copy_(torch.randn(self.decoder.shape, generator=generator))
        self.settle()
        self.encoder.copy_(self.decoder)

    @torch.no_grad()
    def settle(self) -> None:
        """Give directions length one; they count as such anyway."""
        self.decoder.copy_(self.directions())

    def directions(self) -> Float[Tensor, "latents width"]:
        """Give the direction of each latent, which is added to a hidden state for a value of 1."""
        if not self.config.is_unit_norm:
            return self.decoder
        return functional.normalize(self.decoder, dim=-1)

    def encode(self, hidden_states: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows latents"]:
        """Give the latents of hidden states, zero where they do not fire."""
        return self.scale * self._fire(self._before(self._inner(hidden_states).rows))

    def amounts(
        self, hidden_states: Float[Tensor, "*rows width"]
    ) -> Float[Tensor, "*rows latents"]:
        """Give how many times the direction of each latent is in hidden states.

        The same as `encode`, but in the size of the hidden states also where they are normalised.
        """
        inner = self._inner(hidden_states)
        return self.scale * self._fire(self._before(inner.rows)) * inner.size

    def forward(self, hidden_states: Float[Tensor, "*rows width"]) -> Reconstruction:
        """Encode and decode; in training mode also count what fires and revive what does not."""
        inner = self._inner(hidden_states)
        before_RN = self._before(inner.rows)
        latents_RN = self._fire(before_RN)
        made_RD = latents_RN @ self.directions() + self.bias
        left_RD = inner.rows - made_RD
        loss = left_RD.square().mean()
        if self.training:
            self._count(latents_RN)
            if self.config.revive:
                loss = loss + self.config.revive * self._unrevived(before_RN, left_RD.detach())
        hidden = self.scale * made_RD * inner.size + inner.shift
        return Reconstruction(hidden, self.scale * latents_RN, loss)

    def _inner(self, hidden: Tensor) -> "_Inner":
        """Bring hidden states to the size in which they are encoded."""
        shift, size = hidden.new_zeros(()), hidden.new_ones(())
        if self.config.normalise == "layer_norm":
            shift, size = hidden.mean(dim=-1, keepdim=True), hidden.std(dim=-1, keepdim=True)
            return _Inner((hidden - shift) / (size + LAYER_NORM_EPS), shift, size)
        if self.config.normalise == "constant_norm_rescale":
            size = hidden.norm(dim=-1, keepdim=True) / self.config.width**0.5
        return _Inner(hidden / (size * self.scale), shift, size)

    def _before(self, rows: Tensor) -> Tensor:
        """Give latents before their activation."""
        shifted = rows - self.bias if self.config.is_bias_subtracted else rows
        return functional.linear(shifted, self.encoder, self.encoder_bias)

    def _fire(self, before: Tensor) -> Tensor:
        """Apply the activation."""
        if self.config.activation == "topk":
            assert self.config.k is not None
            return topk(before, self.config.k).relu()
        if self.config.activation == "jumprelu":
            return before.relu() * (before > self.threshold)
        return before.relu()

    @torch.no_grad()
    def _count(self, latents: Tensor) -> None:
        """Note which latents fired."""
        rows_RN = latents.flatten(0, -2)
        self.idle += len(rows_RN)
        self.idle[(rows_RN != 0).any(dim=0)] = 0

    def _unrevived(self, before: Tensor, left: Tensor) -> Tensor:
        """Give the mean squared error of explaining what is left by the strongest dead latents."""
        dead = (self.idle >= self.config.dead_after).nonzero().flatten()
        if not len(dead):
            return left.new_zeros(())
        strongest = topk(before[..., dead], min(self.config.revive_k, len(dead))).relu()
        return (left - strongest @ self.directions()[dead]).square().mean()


class _Inner(NamedTuple):
    """Hidden states as they are encoded, and how they were before."""

    rows: Tensor
    shift: Tensor
    size: Tensor
