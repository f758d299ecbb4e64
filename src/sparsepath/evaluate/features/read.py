"""Read the features of a running model: averages for each text, and what fires at every token.

Shape letters: B texts of a batch, T tokens, D entries of a site, F features.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.sparse import vstack
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from sparsepath.errors import DataError
from sparsepath.evaluate.features.passes import run, watching
from sparsepath.evaluate.features.site import SiteFeatures, sparse
from sparsepath.evaluate.features.sparsity import Firings
from sparsepath.kernels.largest import topk
from sparsepath.trace.batches import Batch, bucketed_batches, cutting
from sparsepath.trace.hidden import SitePlace

BATCH_TOKENS = 2048
"""Tokens of a batch, about; whole texts."""


@runtime_checkable
class Dictionary(Protocol):
    """What the features of a hidden state are: latents of an autoencoder, or its own entries."""

    @property
    def n_features(self) -> int:
        """How many features there are."""

    def directions(self) -> Float[Tensor, "features width"] | None:
        """Give what a value of 1 adds to the hidden state; None: feature i is entry i."""

    def encode(self, hidden: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows features"]:
        """Give the features of hidden states; those that do not fire are zero."""

    def said(self, hidden: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Give what the features of hidden states say of them."""


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a hidden state as features: all of them, or the k largest by value."""

    n_features: int
    k: int | None = None
    """None: what the site hands on, which in a TopK model is sparse already."""

    def directions(self) -> None:
        """Feature i is entry i."""

    def encode(self, hidden: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Keep the largest entries."""
        return hidden if self.k is None else topk(hidden, self.k)

    def said(self, hidden: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Give the entries that were kept."""
        return self.encode(hidden)


class Reader(NamedTuple):
    """Where features are read, and how."""

    place: SitePlace
    dictionary: Dictionary

    @property
    def name(self) -> str:
        """Of the site, such as `L02` or `L02.attn_in`."""
        site = "" if self.place.site == "block_out" else f".{self.place.site}"
        return f"L{self.place.layer:02d}{site}"


class Encoded(NamedTuple):
    """Texts as tokens."""

    ids: list[list[int]]
    """Of each text, at least one token."""
    is_text: list[list[bool]]
    """False at tokens that stand for no text, such as a begin token: they are read past."""


class SiteRead(NamedTuple):
    """What was read at one site."""

    features: SiteFeatures
    """Averages over the tokens of each text."""
    firings: Firings


def encode(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> Encoded:
    """Turn texts into tokens.

    Args:
        tokenizer: its own truncation and padding are set aside.
        texts: any.
        length: tokens of a text at most; what follows is left out, special tokens stay.

    Raises:
        DataError: if no text has a token.
    """
    ids, is_text = [], []
    with cutting(tokenizer, length):
        encoded = tokenizer.encode_batch(list(texts))
    for found in encoded:
        ids.append(found.ids or [0])
        is_text.append([not mark for mark in found.special_tokens_mask] or [False])
    if not any(any(marks) for marks in is_text):
        raise DataError("no text has a token", hint="give texts that the model's tokenizer knows")
    return Encoded(ids, is_text)


def batches(encoded: Encoded) -> Iterator[Batch]:
    """Give all texts in batches, those of similar length together, padded on the right."""
    longest = max(len(ids) for ids in encoded.ids)
    yield from bucketed_batches(encoded.ids, None, max(1, BATCH_TOKENS // longest), pad_id=0)


def text_mask(encoded: Encoded, batch: Batch) -> Bool[Tensor, "texts tokens"]:
    """Say which tokens of a batch stand for text: neither padding nor a begin token."""
    found = torch.zeros(batch.input_ids.shape, dtype=torch.bool)
    for place, row in enumerate(batch.rows.tolist()):
        found[place, : len(encoded.is_text[row])] = torch.tensor(encoded.is_text[row])
    return found


def read_features(
    model: PreTrainedModel, encoded: Encoded, readers: Sequence[Reader]
) -> list[SiteRead]:
    """Run a model over texts and read its features, all sites in one pass.

    Args:
        model: a language model of the Llama kind, or a classifier, in evaluation mode.
        encoded: at least one text.
        readers: sites, each at most once.
    """
    collected = {reader.place: _Collected(reader, encoded) for reader in readers}
    with _reading(model, collected) as current, torch.inference_mode():
        for batch in batches(encoded):
            current[:] = [batch, text_mask(encoded, batch)]
            run(model, batch)
    return [collected[reader.place].done() for reader in readers]


@contextmanager
def _reading(
    model: PreTrainedModel, collected: "dict[SitePlace, _Collected]"
) -> Iterator[list[object]]:
    """Hand what passes the sites on, with the batch that is put into the list."""
    current: list[object] = []

    def seen(place: SitePlace, hidden: Tensor) -> None:
        batch, mask = current
        assert isinstance(batch, Batch)
        assert isinstance(mask, Tensor)
        collected[place].add(batch, mask, hidden)

    with watching(model, list(collected), seen):
        yield current


class _Collected:
    """What is read at one site, batch by batch."""

    def __init__(self, reader: Reader, encoded: Encoded) -> None:
        """Begin with nothing."""
        self._reader = reader
        # As wide as what passes the site, which latents of a place may outnumber.
        self._hidden = np.zeros((len(encoded.ids), 0), np.float32)
        self._values: list[object] = []
        self._rows: list[int] = []
        self._firings = Firings.of(reader.dictionary.n_features)

    def add(self, batch: Batch, mask: Tensor, hidden: Tensor) -> None:
        """Take a batch; the mask is [B, T], the hidden state [B, T, D]."""
        values_BTF = self._reader.dictionary.encode(hidden).float().cpu()
        hidden_BTD = hidden.float().cpu()
        n_B = mask.sum(dim=1).clamp(min=1)[:, None]
        rows = batch.rows.tolist()
        if not self._values:
            self._hidden = np.zeros((len(self._hidden), hidden.shape[-1]), np.float32)
        self._hidden[rows] = ((hidden_BTD * mask[..., None]).sum(dim=1) / n_B).numpy()
        means_BF = (values_BTF * mask[..., None]).sum(dim=1) / n_B
        self._values.append(sparse(means_BF.numpy()))
        self._rows += rows
        for place in range(len(rows)):
            if mask[place].any():
                self._firings.add((values_BTF[place][mask[place]] != 0).numpy())

    def done(self) -> SiteRead:
        """Put everything into the order of the texts."""
        directions = self._reader.dictionary.directions()
        features = SiteFeatures(
            name=self._reader.name,
            values=sparse(vstack(self._values, format="csr")[np.argsort(self._rows)]),
            hidden=self._hidden,
            directions=None if directions is None else directions.detach().float().cpu().numpy(),
        )
        return SiteRead(features, self._firings)
