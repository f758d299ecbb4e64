"""The model whose features are measured, of either kind, and where they are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer
from transformers import PreTrainedModel

from sparsepath.artifacts.model_files import find_classifier, locate_language_model
from sparsepath.errors import ConfigError
from sparsepath.evaluate.features.latents import latent_reader
from sparsepath.evaluate.features.options import MeasureOptions
from sparsepath.evaluate.features.read import Entries, Reader
from sparsepath.models.language_folder import load_language_model
from sparsepath.models.save import load_classifier
from sparsepath.trace.encoder_hidden import dense_encoder_places, sparse_encoder_places
from sparsepath.trace.hidden import SitePlace, dense_places, of_layers, sparse_places


class Subject(NamedTuple):
    """A model and where its features are read."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    readers: Sequence[Reader]


class Opened(NamedTuple):
    """A subject, and what is known of it."""

    subject: Subject
    folder: Path
    is_sparse: bool
    is_classifier: bool
    length: int
    """Tokens of a text at most."""


def open_subject(path: Path, options: MeasureOptions) -> Opened:
    """Load a model and choose its sites.

    Args:
        path: folder of a language model or of a classifier, or of the training that made it.
        options: sites, layers, and how many tokens are read; a classifier cuts texts where it
            always does.

    Raises:
        ConfigError: if options do not fit the model.
        ModelError: if the model cannot be read.
    """
    folder = find_classifier(path)
    return _language(path, options) if folder is None else _classifier(folder, options)


def _language(path: Path, options: MeasureOptions) -> Opened:
    """Load a language model."""
    folder = locate_language_model(path)
    loaded = load_language_model(folder)
    longest = int(loaded.model.config.max_position_embeddings)
    if options.length > longest:
        raise ConfigError(
            f"--length {options.length}, but the model reads {longest} tokens",
            hint=f"choose at most {longest}",
        )
    if options.autoencoder is None:
        sparse = sparse_places(loaded.model, options.sites)
        dense = dense_places(loaded.model, options.sites or ("block_out",))
        readers = _readers(sparse, dense, options)
        is_sparse = bool(sparse)
    else:
        readers, is_sparse = [latent_reader(options.autoencoder, loaded.model, folder)], True
    subject = Subject(loaded.model, loaded.tokenizer, readers)
    return Opened(subject, folder, is_sparse, False, options.length)


def _classifier(folder: Path, options: MeasureOptions) -> Opened:
    """Load a classifier."""
    if options.autoencoder is not None:
        raise ConfigError(
            f"{folder} is a classifier; autoencoders are for language models",
            hint="leave --sae out",
        )
    model, tokenizer = load_classifier(folder)
    sparse = sparse_encoder_places(model, options.sites)
    dense = dense_encoder_places(model, options.sites or ("block_out",))
    readers = _readers(sparse, dense, options)
    length = min(options.length, int(model.config.max_length))
    return Opened(Subject(model, tokenizer, readers), folder, bool(sparse), True, length)


def _readers(
    sparse: Sequence[SitePlace], dense: Sequence[SitePlace], options: MeasureOptions
) -> list[Reader]:
    """Choose sites and layers.

    Raises:
        ConfigError: if they do not fit the model.
    """
    if sparse and options.dense_k is not None:
        raise ConfigError(
            f"the model is sparse already: it keeps {sparse[0].k} of {sparse[0].width} entries",
            hint="leave --dense-k out",
        )
    places = list(sparse or dense)
    if not options.sites and any(place.site == "block_out" for place in places):
        places = [place for place in places if place.site == "block_out"]
    chosen = of_layers(places, options.layers)
    return [_reader(place, options.dense_k) for place in chosen]


def _reader(place: SitePlace, dense_k: int | None) -> Reader:
    """Read the entries of a site.

    Raises:
        ConfigError: if fewer are there than wanted.
    """
    if dense_k is None:
        return Reader(place, Entries(place.width))
    if not 1 <= dense_k < place.width:
        raise ConfigError(
            f"--dense-k {dense_k} of {place.width} entries",
            hint=f"choose 1 to {place.width - 1}",
        )
    return Reader(place._replace(k=dense_k), Entries(place.width, dense_k))
