"""A language model, or an autoencoder over one, as something that is catalogued."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sparsepath.artifacts.catalogue import stamp_files
from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.artifacts.neuron import Site
from sparsepath.concepts.directions import Directions, directions
from sparsepath.concepts.familiar import unfamiliar
from sparsepath.concepts.latents import Latents, load_latents
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.record import Source, Tell, strongest
from sparsepath.concepts.rows import Place, Row, RowSettings, rows_of
from sparsepath.concepts.shards import Kept
from sparsepath.concepts.subject import Corpus, Read, Subject
from sparsepath.errors import ConfigError, ModelError
from sparsepath.kernels.largest import largest
from sparsepath.models.language_folder import load_language_model
from sparsepath.trace.hidden import SitePlace, dense_places, sparse_places, watch

BATCH_TOKENS = 1024
"""Tokens of a batch, in whole rows."""


class LanguageSubject(Subject):
    """A language model of the Llama kind."""

    kind = "language-model"

    def __init__(self, folder: Path) -> None:
        """Load a model; its places are chosen afterwards.

        Args:
            folder: of it.

        Raises:
            ModelError: if it cannot be read.
        """
        self.folder = folder
        self.files = stamp_files(folder)  # before weights are read: what changes later is noticed
        self.model, self.tokenizer = load_language_model(folder)
        self.places, self.is_sparse = [], True
        self._config: Any = self.model.config

    @property
    def is_two_sided(self) -> bool:
        """Whether entries are kept by magnitude, at any site."""
        of_neurons = self.is_sparse and self.latents is None
        by_magnitude = of_neurons and any(
            self._config.by(site) == "magnitude" for site in self._config.topk
        )
        return bool(by_magnitude and not self._config.topk_positive)

    @property
    def n_vocabulary(self) -> int:
        """Tokens that there are."""
        return int(self._config.vocab_size)

    @property
    def longest(self) -> int:
        """Tokens that the model reads."""
        return int(self._config.max_position_embeddings)

    @property
    def end_id(self) -> int | None:
        """Token after each document."""
        end: int | list[int] | None = self._config.eos_token_id
        return end[0] if isinstance(end, list) else end

    @property
    def embedding(self) -> Float[Tensor, "vocabulary features"]:
        """Input embeddings."""
        table: Any = self.model.get_input_embeddings()
        found: Tensor = table.weight.detach().float()
        return found

    def corpus(self, name: str, columns: Mapping[str, str | None]) -> Corpus:
        """Open a text; columns belong to tables of a classifier."""
        given = [column for column in columns.values() if column is not None]
        if given:
            raise ConfigError(
                f"column {given[0]!r} beside a language model, which reads running text",
                hint="leave the column out, or give a classifier of texts",
            )
        warning = unfamiliar(name, self.tokenizer, self.folder)
        return Corpus(_Rows(self), warning=warning)

    def seen(self, hidden: Tensor) -> Tensor:
        """Give what is catalogued of a hidden state."""
        return hidden if self.latents is None else self.latents.read(hidden)

    def effects(self, place: SitePlace) -> Directions | None:
        """Say which tokens neurons make likelier."""
        own = None if self.latents is None else self.latents.directions()
        return directions(self.model, place, own)

    def read(self, text: str) -> Read:
        """Cut a text into tokens."""
        found = self.tokenizer.encode(text, add_special_tokens=False)
        return Read(found.ids, found.offsets)

    def fired(self, ids: Sequence[int]) -> dict[SitePlace, Tensor]:
        """Give what is kept at each place."""
        found: dict[SitePlace, Tensor] = {}

        def look(place: SitePlace, hidden: Tensor) -> None:
            kept = hidden = self.seen(hidden)
            if not self.is_sparse:
                indices = largest(hidden, place.k).indices
                kept = torch.zeros_like(hidden).scatter(-1, indices, hidden.gather(-1, indices))
            found[place] = kept[0]

        with torch.inference_mode(), watch(self.model, self.places, look):
            body = self.model.get_submodule("model")
            body(input_ids=torch.tensor([list(ids[: self.longest])]), use_cache=False)
        return found


class _Rows(Source):
    """Running text through a language model."""

    def __init__(self, subject: LanguageSubject) -> None:
        self._subject, self.n_vocabulary = subject, subject.n_vocabulary

    def rows(self, settings: RowSettings, place: Place, n_done: int) -> Iterator[Row]:
        """Give the rows after a place, which says all that is needed."""
        return rows_of(settings, self._subject.tokenizer, place)

    def run(self, rows: Sequence[Row], kept: dict[SitePlace, Kept], tell: Tell) -> None:
        """Run the model over rows; its answers are not computed, only its hidden states."""
        model, is_sparse = self._subject.model, self._subject.is_sparse
        tokens = np.stack([row.ids for row in rows])
        for start, end in _batches(tokens.shape):

            def look(place: SitePlace, hidden: Tensor, start: int = start, end: int = end) -> None:
                found = strongest(self._subject.seen(hidden), place.k, is_sparse=is_sparse)
                kept[place].indices[start:end] = found.indices
                kept[place].values[start:end] = found.values

            with torch.inference_mode(), watch(model, list(kept), look):
                body = model.get_submodule("model")
                ids = torch.from_numpy(tokens[start:end]).to(model.device)
                body(input_ids=ids, use_cache=False)
            tell(end * tokens.shape[1])


def _batches(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Cut rows into batches."""
    at_once = max(1, BATCH_TOKENS // shape[1])
    for start in range(0, shape[0], at_once):
        yield start, min(shape[0], start + at_once)


def language_subject(path: Path, options: CatalogueOptions) -> LanguageSubject:
    """Load a language model and choose its places.

    Raises:
        ConfigError: if a site is not sparse, or dense and sparse are mixed up.
        ModelError: if it is dense and nothing is said of how to read it.
    """
    found = LanguageSubject(locate_language_model(path))
    model, folder = found.model, found.folder
    if options.autoencoder is not None:
        _take_latents(found, load_latents(options.autoencoder, model, folder, options.dense_k))
        return found
    places = sparse_places(model, options.sites)
    if not options.sites and any(place.site == "block_out" for place in places):
        places = [place for place in places if place.site == "block_out"]
    if places and options.dense_k is not None:
        raise ConfigError(
            f"{folder} is sparse already: it keeps {places[0].k} of {places[0].width} entries",
            hint="leave --dense-k out",
        )
    found.places = places or _dense(found, options)
    found.is_sparse = bool(places)
    return found


def _take_latents(subject: LanguageSubject, latents: Latents) -> None:
    """Put the latents of an autoencoder in the place of neurons."""
    subject.latents, subject.places = latents, [latents.place]
    subject.is_sparse = latents.is_exact


def _dense(subject: LanguageSubject, options: CatalogueOptions) -> list[SitePlace]:
    """Choose places of a dense model; raises as `language_subject`."""
    if options.dense_k is None:
        raise ModelError(
            f"{subject.folder} is a dense model: every neuron fires at every token",
            hint=f"make it sparse with: sparsepath convert {subject.folder} CORPUS --k K; or, to "
            "compare, give --dense-k K, which takes the K largest entries of each hidden state",
        )
    sites: Sequence[Site] = options.sites or ("block_out",)
    dense = dense_places(subject.model, sites)
    narrow = [place for place in dense if not 1 <= options.dense_k < place.width]
    if narrow:
        raise ConfigError(
            f"--dense-k {options.dense_k} of {narrow[0].width} entries",
            hint=f"choose 1 to {narrow[0].width - 1}",
        )
    return [place._replace(k=options.dense_k) for place in dense]
