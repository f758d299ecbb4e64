"""Latents of a sparse autoencoder as the features that are measured."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from sparsepath.artifacts.neuron import SITES
from sparsepath.evaluate.features.read import Reader
from sparsepath.models.autoencoder import SparseAutoencoder
from sparsepath.models.autoencoder_folder import locate_autoencoder, read_autoencoder
from sparsepath.trace.autoencoders import check_parent
from sparsepath.trace.hidden import dense_places


@dataclass(frozen=True, slots=True, eq=False)
class LatentDictionary:
    """What an autoencoder says of hidden states."""

    model: SparseAutoencoder

    @property
    def n_features(self) -> int:
        """How many latents there are."""
        return self.model.config.n_latents

    def directions(self) -> Float[Tensor, "latents width"]:
        """Give what each latent adds to the hidden state."""
        return self.model.directions().detach()

    def encode(self, hidden: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows latents"]:
        """Give the latents; those that do not fire are zero."""
        return self.model.encode(hidden)

    def said(self, hidden: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Give the hidden state as the latents describe it."""
        made: Tensor = self.model(hidden).hidden
        return made


def latent_reader(path: Path, model: PreTrainedModel, folder: Path) -> Reader:
    """Read an autoencoder for a model.

    Args:
        path: its folder, or that of its training.
        model: a language model.
        folder: of that model.

    Raises:
        ModelError: if it is damaged, or of another model.
    """
    found = read_autoencoder(locate_autoencoder(path)).eval()
    config = found.config
    places = dense_places(model, tuple(site for site in SITES if site == config.site))
    check_parent(config, folder, n_layers=len(places), width=places[0].width)
    place = places[config.layer]
    return Reader(place._replace(k=config.k or config.n_latents), LatentDictionary(found))
