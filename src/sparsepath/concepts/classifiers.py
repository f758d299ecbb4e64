"""A sparse classifier of texts as something that is catalogued, and a table that it reads.

Each text of a table goes through the model by itself, whole, with the special tokens that it is
read with. Its tokens are then laid one after the other into rows of equal length, as those of
running text are, and each keeps the number of its text.

Shape letters: R rows of a shard, T tokens of a row, B texts of a batch, W entries of a site.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sparsepath.artifacts.catalogue import stamp_files
from sparsepath.artifacts.neuron import Site
from sparsepath.concepts.directions import Directions
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.record import Source, Tell, strongest
from sparsepath.concepts.recorded import TextLabels
from sparsepath.concepts.rows import Ids, Place, Row, RowSettings
from sparsepath.concepts.shards import Array, Kept
from sparsepath.concepts.subject import Corpus, Read, Subject
from sparsepath.data.corpus import STDLIB, is_held_out
from sparsepath.data.stdlib_docs import load_stdlib_docs
from sparsepath.data.tables import read_table, read_texts
from sparsepath.errors import ConfigError, DataError, ModelError
from sparsepath.models.families import encoder_sites
from sparsepath.models.save import load_classifier
from sparsepath.models.topk_classifier import sparse_sites
from sparsepath.trace.batches import bucketed_batches, encode_texts
from sparsepath.trace.encoder_hidden import sparse_encoder_places, watch_encoder
from sparsepath.trace.hidden import Seen, SitePlace

BATCH = 32
"""Texts that go through the model together."""


class ClassifierSubject(Subject):
    """A classifier with sparse sites."""

    kind = "text-classification"
    is_sparse = True

    def __init__(self, folder: Path, sites: Sequence[Site] = ()) -> None:
        """Load a classifier.

        Args:
            folder: of it.
            sites: where neurons are looked at; empty: `block_out` where it is sparse.

        Raises:
            ConfigError: if a site is sparse nowhere.
            ModelError: if it cannot be read, or is dense.
        """
        self.folder = folder
        self.files = stamp_files(folder)
        self.model, self.tokenizer = load_classifier(folder)
        known = sparse_encoder_places(self.model)
        if not known:
            raise ModelError(
                f"{folder} is a dense classifier: every neuron fires at every token",
                hint=f"make it sparse with: sparsepath convert {folder} TABLE --k K",
            )
        self.places = sparse_encoder_places(self.model, sites or (known[0].site,))

    @property
    def is_two_sided(self) -> bool:
        """Whether entries are kept by magnitude."""
        looked_at = {place.site for place in self.places}
        return any(
            site.topk.by == "magnitude" and not site.topk.is_positive
            for site in sparse_sites(self.model)
            if site.site in looked_at
        )

    @property
    def n_vocabulary(self) -> int:
        """Tokens that there are."""
        return int(encoder_sites(self.model.encoder).embedding.num_embeddings)

    @property
    def longest(self) -> int:
        """Tokens of a row; texts end anywhere in one."""
        return 1 << 20

    @property
    def end_id(self) -> None:
        """Special tokens stand around each text."""

    @property
    def embedding(self) -> Float[Tensor, "vocabulary features"]:
        """Input embeddings."""
        return encoder_sites(self.model.encoder).embedding.weight.detach().float()

    @property
    def pad_id(self) -> int:
        """Token that fills short texts."""
        return int(self.model.encoder.config.pad_token_id or 0)

    def corpus(self, name: str, columns: Mapping[str, str | None]) -> Corpus:
        """Open a table of texts."""
        return _corpus(self, Path(name), columns)

    def effects(self, place: SitePlace) -> Directions | None:
        """Say nothing: how labels depend on a neuron is for `explain`, text by text."""
        return None

    def read(self, text: str) -> Read:
        """Cut a text into tokens, as the classifier reads it."""
        found = self.tokenizer.encode(text)
        (ids,) = encode_texts(self.tokenizer, [text], self.model.config.max_length)
        return Read(ids, found.offsets[: len(ids)])

    def fired(self, ids: Sequence[int]) -> dict[SitePlace, Tensor]:
        """Give what is kept at each place."""
        found: dict[SitePlace, Tensor] = {}

        def look(place: SitePlace, hidden: Tensor) -> None:
            found[place] = hidden[0]

        with torch.inference_mode(), self.watch(look):
            self.model(torch.tensor([list(ids[: self.model.config.max_length])]))
        return found

    @contextmanager
    def watch(self, seen: Seen) -> Iterator[None]:
        """Call `seen` with what each place keeps, [B, tokens, W], in every pass meanwhile."""
        with watch_encoder(self.model, self.places, seen):
            yield


def classifier_subject(folder: Path, options: CatalogueOptions) -> ClassifierSubject:
    """Load a classifier.

    Raises:
        ConfigError: if a site is sparse nowhere, or an option is for language models.
        ModelError: if it cannot be read, or is dense.
    """
    if options.autoencoder is not None or options.dense_k is not None:
        raise ConfigError(
            f"{folder} is a classifier; autoencoders and --dense-k are for language models",
            hint="leave them out",
        )
    return ClassifierSubject(folder, options.sites)


class _Texts(NamedTuple):
    """Texts of a table."""

    texts: list[str]
    labels: list[str] | None
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def _corpus(subject: ClassifierSubject, path: Path, columns: Mapping[str, str | None]) -> Corpus:
    """Read a table; raises as `Subject.corpus`."""
    table = _read(path, columns["text"], columns["label"])
    encoded = encode_texts(subject.tokenizer, table.texts, subject.model.config.max_length)
    labels = None
    if table.labels is not None:
        names = sorted(set(table.labels))
        numbers = {name: number for number, name in enumerate(names)}
        labels = TextLabels(names, np.array([numbers[label] for label in table.labels], np.int64))
    return Corpus(_Rows(subject, encoded), table.columns, labels, table.notes)


def _read(path: Path, text: str | None, label: str | None) -> _Texts:
    """Read texts, with labels where the table has some.

    Raises:
        DataError: if there is no table, or no such column.
    """
    if str(path) == STDLIB:
        docs = load_stdlib_docs()
        return _Texts(docs.texts, docs.labels, (docs.text_column, docs.label_column), ())
    if not path.exists():
        raise DataError(
            f"no table at {path}", hint="a classifier reads a table with a column of texts"
        )
    try:
        table = read_table(path, text_column=text, label_column=label)
    except DataError as err:
        if label is not None:
            raise
        found = read_texts(path, text_column=text)
        note = f"classes are left out: {err.message.splitlines()[0]}"
        texts = [one for one in found.texts if one]
        return _Texts(texts, None, (found.text_column,), (note, *found.notes))
    columns = (table.text_column, table.label_column)
    note = f"texts in column {columns[0]}, labels in column {columns[1]}"
    return _Texts(table.texts, table.labels, columns, (note, *table.notes))


class _Rows(Source):
    """Texts of a table through a classifier."""

    def __init__(self, subject: ClassifierSubject, encoded: list[list[int]]) -> None:
        self._subject, self._encoded = subject, encoded
        self.n_vocabulary = subject.n_vocabulary

    def rows(self, settings: RowSettings, place: Place, n_done: int) -> Iterator[Row]:
        """Lay texts into rows, from the first one on; what is done is passed over."""
        place.n_documents = 0
        return islice(self._all(settings, place), n_done, None)

    def _all(self, settings: RowSettings, place: Place) -> Iterator[Row]:
        waiting: dict[bool, list[Ids]] = {False: [], True: []}
        # Drawn, since labels of a table may come in turns.
        drawn = np.random.default_rng(0).permutation(len(self._encoded)).tolist()
        for number, ids in enumerate(self._encoded):
            aside = is_held_out(drawn[number], settings.share_held_out)
            place.n_documents = number + 1
            texts = np.full(len(ids), number, np.int64)
            waiting[aside].append(np.stack([np.array(ids, np.int64), texts, np.arange(len(ids))]))
            while sum(part.shape[1] for part in waiting[aside]) >= settings.length:
                whole = np.concatenate(waiting[aside], axis=1)
                waiting[aside] = [whole[:, settings.length :]]
                tokens, texts, offsets = whole[:, : settings.length]
                yield Row(tokens, aside, texts, offsets)

    def run(self, rows: Sequence[Row], kept: dict[SitePlace, Kept], tell: Tell) -> None:
        """Run the model over all texts of which rows have a part."""
        texts = np.concatenate([row.texts for row in rows if row.texts is not None])
        offsets = np.concatenate([row.offsets for row in rows if row.offsets is not None])
        numbers = np.unique(texts)
        order = np.argsort(texts, kind="stable")
        ends = np.searchsorted(texts[order], numbers, side="right")
        starts = np.searchsorted(texts[order], numbers)
        encoded = [self._encoded[number] for number in numbers.tolist()]
        n_done = 0
        for batch in bucketed_batches(encoded, None, BATCH, pad_id=self._subject.pad_id):
            parts = [order[starts[row] : ends[row]] for row in batch.rows.tolist()]
            at = np.concatenate(parts)
            inside = np.repeat(np.arange(len(parts)), [len(part) for part in parts])

            def look(
                place: SitePlace,
                hidden: Tensor,
                at: Array = at,
                inside: Array = inside,
            ) -> None:
                mine = hidden[torch.from_numpy(inside), torch.from_numpy(offsets[at])]
                found = strongest(mine, place.k, is_sparse=True)
                kept[place].indices.reshape(-1, place.k)[at] = found.indices
                kept[place].values.reshape(-1, place.k)[at] = found.values

            with torch.inference_mode(), self._subject.watch(look):
                self._subject.model(batch.input_ids, batch.attention_mask)
            n_done += len(at)
            tell(n_done)
