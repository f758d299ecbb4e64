"""Neurons of a language model as SAEBench reads a sparse autoencoder.

SAEBench takes any object that encodes and decodes hidden states, with directions `W_dec` of length
one and a configuration. Neurons are such a dictionary with nothing learnt: encoding keeps the
entries that the model keeps, and each entry (or each sign of it) is its own direction. Hidden
states of a TopK model are said exactly; what a dense model has beside its k largest entries is
left out.

Shape letters: R rows, D entries of the hidden state, F neurons.

Source: Karvonen et al. 2025, "SAEBench", arXiv 2503.09532; interface of `sae-bench` 0.6.0,
`custom_saes/base_sae.py`.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.artifacts.neuron import Neuron, Site
from sparsepath.errors import ConfigError, ModelError
from sparsepath.nn.topk import By, TopK
from sparsepath.runtime.language.shape import Shape, read_shape
from sparsepath.trace.edits import check_neuron

HOOKS: dict[Site, str] = {"block_out": "hook_resid_post", "mlp_hidden": "mlp.hook_post"}
"""Where TransformerLens, which SAEBench asks for hidden states, has our sites."""


@dataclass
class SaebenchConfig:
    """The fields that SAEBench asks for; most only have to be there."""

    model_name: str
    d_in: int
    d_sae: int
    hook_layer: int
    hook_name: str
    context_size: int | None = None
    hook_head_index: int | None = None
    architecture: str = "topk"
    apply_b_dec_to_input: bool = False
    finetuning_scaling_factor: bool = False
    activation_fn_str: str = "topk"
    activation_fn_kwargs: dict[str, Any] = field(default_factory=dict)
    prepend_bos: bool = False
    normalize_activations: str = "none"
    dtype: str = "float32"
    device: str = "cpu"
    model_from_pretrained_kwargs: dict[str, Any] = field(default_factory=dict)
    dataset_path: str = ""
    dataset_trust_remote_code: bool = False
    seqpos_slice: tuple[None] = (None,)
    training_tokens: int = 0
    sae_lens_training_version: str | None = None
    neuronpedia_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give all fields."""
        return asdict(self)


class NeuronDictionary(nn.Module):
    """Neurons of one site of one layer, in the shape of a sparse autoencoder."""

    def __init__(self, keep: TopK, config: SaebenchConfig, *, is_two_sided: bool) -> None:
        """Take what the site keeps; `saebench_neurons` reads it from a model.

        Args:
            keep: as the model has it at that site.
            config: with as many neurons as entries, or twice as many.
            is_two_sided: whether the signs of an entry are two neurons, above zero first.
        """
        super().__init__()
        self.keep, self.cfg, self._is_two_sided = keep.eval(), config, is_two_sided
        own_DD = torch.eye(config.d_in)
        signs_FD = torch.cat([own_DD, -own_DD]) if is_two_sided else own_DD
        self.W_dec = nn.Parameter(signs_FD, requires_grad=False)
        self.W_enc = nn.Parameter(signs_FD.T.clone(), requires_grad=False)
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae), requires_grad=False)
        self.b_dec = nn.Parameter(torch.zeros(config.d_in), requires_grad=False)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.W_dec.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes with."""
        return self.W_dec.dtype

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows neurons"]:
        """Give the values of neurons, zero where one does not fire."""
        kept = self.keep(x)
        return torch.cat([kept.relu(), (-kept).relu()], dim=-1) if self._is_two_sided else kept

    @torch.no_grad()
    def decode(self, feature_acts: Float[Tensor, "*rows neurons"]) -> Float[Tensor, "*rows width"]:
        """Give the hidden states that neurons of these values stand for."""
        return feature_acts @ self.W_dec + self.b_dec

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Encode and decode."""
        found: Tensor = self.decode(self.encode(x))
        return found

    def check_decoder_norms(self) -> bool:
        """Say that directions have length one, as they do."""
        return True


def saebench_neurons(
    model: Path | str, layer: int, *, site: Site = "block_out", dense_k: int | None = None
) -> NeuronDictionary:
    """Present neurons of a language model as SAEBench reads a sparse autoencoder.

    SAEBench itself is not needed. It asks TransformerLens for hidden states, which has to know the
    model.

    Args:
        model: folder of a language model of the Llama kind, or of a training.
        layer: from 0.
        site: `block_out` or `mlp_hidden`.
        dense_k: of a dense model or layer, take the so many largest entries as kept.

    Raises:
        ConfigError: if there is no such layer or site, or `dense_k` does not fit.
        ModelError: if the model cannot be read, or is dense there and no `dense_k` is given.
    """
    folder = locate_language_model(Path(model))
    if site not in HOOKS:
        raise ConfigError(
            f"SAEBench has no name for {site}", hint=f"choose one of {', '.join(HOOKS)}"
        )
    shape = read_shape(folder)
    check_neuron(Neuron(layer, site, 0), shape.sites, is_dense_allowed=True)
    width = shape.sites.widths[site]
    keep, is_two_sided = _keep(shape, layer, site, dense_k)
    return NeuronDictionary(
        keep,
        SaebenchConfig(
            model_name=folder.name,
            d_in=width,
            d_sae=2 * width if is_two_sided else width,
            hook_layer=layer,
            hook_name=f"blocks.{layer}.{HOOKS[site]}",
            activation_fn_kwargs={"k": keep.k},
            context_size=shape.context,
        ),
        is_two_sided=is_two_sided,
    )


def _keep(shape: Shape, layer: int, site: Site, dense_k: int | None) -> tuple[TopK, bool]:
    """Give what a site keeps, and whether both signs of an entry are neurons.

    Raises:
        ConfigError: if `dense_k` does not fit.
        ModelError: if the site is dense and no `dense_k` is given.
    """
    width, k = shape.sites.widths[site], shape.kept(site, layer)
    if k and dense_k is not None:
        raise ConfigError(f"the site keeps {k} entries by itself", hint="leave dense_k out")
    if k:
        by: By = "magnitude" if site in shape.magnitude_sites else "value"
        keep = TopK(width, k, by=by, is_positive=shape.is_positive, n_always_on=shape.n_always_on)
        return keep, by == "magnitude" and not shape.is_positive
    if dense_k is None:
        raise ModelError(
            f"the model is dense at {site} of layer {layer}",
            hint="choose a sparse one, or say how many entries count (dense_k=20)",
        )
    return TopK(width, dense_k, is_positive=True), False
