"""Latents of a sparse autoencoder in the place of neurons, and the model whose states it reads.

Latent i of an autoencoder over block 2 is called `L02/i` in its catalogue, which lies beside the
autoencoder, never beside the model, whose neurons have the same names.
"""

from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from sparsepath.artifacts.catalogue import stamp_files
from sparsepath.artifacts.catalogue_schema import AutoencoderFacts
from sparsepath.artifacts.neuron import SITES
from sparsepath.errors import ConfigError
from sparsepath.models.autoencoder import SparseAutoencoder
from sparsepath.models.autoencoder_folder import locate_autoencoder, read_autoencoder
from sparsepath.trace.autoencoders import check_parent
from sparsepath.trace.hidden import SitePlace, dense_places


class Latents(NamedTuple):
    """An autoencoder that fits a model."""

    facts: AutoencoderFacts
    """Its folder and files."""
    model: SparseAutoencoder
    place: SitePlace
    """Of the model; its width is the number of latents, its k how many are written down."""

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return Path(self.facts.folder)

    @property
    def is_exact(self) -> bool:
        """Whether no token has more latents above zero than are written down."""
        return self.place.k == self.model.config.k

    def read(self, hidden: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows latents"]:
        """Give the latents of hidden states."""
        return self.model.encode(hidden)

    def directions(self) -> Float[Tensor, "latents width"]:
        """Give what each latent adds to the hidden state."""
        return self.model.directions().detach()


def load_latents(path: Path, model: PreTrainedModel, folder: Path, k: int | None) -> Latents:
    """Read an autoencoder for a model.

    Args:
        path: its folder, or that of its training.
        model: a language model.
        folder: of that model.
        k: latents of a token that are written down, at most; None: as many as it keeps.

    Raises:
        ConfigError: if it keeps no fixed number and `k` is not given, or more than there are.
        ModelError: if it is damaged, or of another model.
    """
    place = locate_autoencoder(path)
    facts = AutoencoderFacts(folder=str(place), files=stamp_files(place))
    found = read_autoencoder(place)
    config = found.config
    site = next(site for site in SITES if site == config.site)
    places = dense_places(model, (site,))
    check_parent(config, folder, n_layers=len(places), width=places[0].width)
    most = config.k if k is None else k
    if most is None:
        raise ConfigError(
            f"{place} keeps as many latents as are above their threshold",
            hint="give --dense-k K: of a token with more than K the K strongest are written down",
        )
    if not 1 <= most <= (config.k or config.n_latents):
        raise ConfigError(
            f"--dense-k {most}: {place} keeps {config.k or config.n_latents} latents",
            hint="leave --dense-k out, or choose fewer",
        )
    return Latents(facts, found, SitePlace(config.layer, site, config.n_latents, most))
