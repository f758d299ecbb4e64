"""What is catalogued: a model with its neurons, and how text goes through it.

Read with: `language.py` (language models), `classifiers.py` (sparse classifiers of texts).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor

from sparsepath.artifacts.catalogue_schema import ModelKind, WeightsStamp
from sparsepath.concepts.directions import Directions
from sparsepath.concepts.latents import Latents
from sparsepath.concepts.record import Source
from sparsepath.concepts.recorded import TextLabels
from sparsepath.trace.hidden import SitePlace


class Read(NamedTuple):
    """A text as a model reads it."""

    ids: list[int]
    """Tokens, as many as it reads."""
    offsets: list[tuple[int, int]]
    """Where each of them stands in the text; of one that was added both ends are 0."""


class Corpus(NamedTuple):
    """Text that a model reads for a catalogue."""

    source: Source
    columns: tuple[str, ...] = ()
    """Of text and of labels, where it is a table."""
    labels: TextLabels | None = None
    """Of its texts, where they have some."""
    notes: tuple[str, ...] = ()
    """What is told before it is read."""
    warning: str | None = None
    """What speaks against it."""


class Subject(ABC):
    """A model with neurons."""

    kind: ModelKind
    folder: Path
    files: list[WeightsStamp]
    tokenizer: Tokenizer
    places: list[SitePlace]
    is_sparse: bool
    """False: of each hidden state the largest entries count as kept."""
    latents: Latents | None = None
    """Of an autoencoder, which stand in the place of neurons."""

    @property
    def home(self) -> Path:
        """Where its catalogue belongs."""
        return self.folder if self.latents is None else self.latents.folder

    @property
    @abstractmethod
    def is_two_sided(self) -> bool:
        """Whether the two signs of an entry are neurons of their own."""

    @property
    @abstractmethod
    def n_vocabulary(self) -> int:
        """Tokens that there are."""

    @property
    @abstractmethod
    def longest(self) -> int:
        """Tokens of a row, at most."""

    @property
    @abstractmethod
    def end_id(self) -> int | None:
        """Token after each document, where text runs on."""

    @property
    @abstractmethod
    def embedding(self) -> Float[Tensor, "vocabulary features"]:
        """Input embeddings."""

    @abstractmethod
    def corpus(self, name: str, columns: Mapping[str, str | None]) -> Corpus:
        """Open a corpus.

        Args:
            name: as a user gives it.
            columns: `text` and `label` of a table, where a user names them.

        Raises:
            ConfigError: if columns are named of what is no table.
            DataError: if it cannot be read.
        """

    @abstractmethod
    def effects(self, place: SitePlace) -> Directions | None:
        """Say what the neurons of a place make likelier; None where that is not defined."""

    @abstractmethod
    def read(self, text: str) -> Read:
        """Cut a text into tokens."""

    @abstractmethod
    def fired(self, ids: Sequence[int]) -> dict[SitePlace, Tensor]:
        """Give what is kept at each place for a text, [tokens, width], zero elsewhere.

        Args:
            ids: at least one token; those beyond what the model reads are left out.
        """
