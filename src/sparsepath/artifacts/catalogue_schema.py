"""The tables of a catalogue file, and the records that are read from it.

A catalogue is one SQLite file. `facts` says of which model, corpus and settings it is; `neuron` has
a line for each neuron; the other tables what is shown of one neuron, what it is found by, and what
people said.
"""

from typing import Final, Literal, NamedTuple

from pydantic import Field, JsonValue

from sparsepath.artifacts.base import Artifact
from sparsepath.artifacts.neuron import Neuron

CATALOGUE_SCHEMA: Final = 2
"""Version of the tables; raised when one is changed."""

APPLICATION_ID: Final = 0x53504343
"""Marks the SQLite file as a catalogue."""

NO_CLEAR_MEANING: Final = "no clear meaning"
"""Label of a neuron whose best label failed on held-out text."""

DEAD: Final = "never fires"
"""Label of a neuron that never fired."""

BEFORE, AFTER = 20, 8
"""Tokens of context that are shown around one token."""

ModelKind = Literal["language-model", "text-classification"]
"""What a catalogue can be of."""

Verdict = Literal["agree", "disagree"]
"""What a person says of the automatic label."""

TABLES: Final = """
CREATE TABLE facts (content TEXT NOT NULL);
CREATE TABLE token (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL, count INTEGER NOT NULL);
CREATE TABLE neuron (
    id INTEGER PRIMARY KEY, layer INTEGER NOT NULL, site TEXT NOT NULL, number INTEGER NOT NULL,
    side TEXT NOT NULL, label TEXT NOT NULL, guess TEXT NOT NULL, kind TEXT NOT NULL,
    score REAL, f1 REAL, control REAL, held_out INTEGER NOT NULL,
    fired INTEGER NOT NULL, rate REAL NOT NULL, mean REAL NOT NULL, largest REAL NOT NULL,
    token_entropy REAL NOT NULL, semantic_entropy REAL NOT NULL,
    is_dead INTEGER NOT NULL, is_always_on INTEGER NOT NULL, details TEXT NOT NULL,
    own_label TEXT, verdict TEXT, endpoint_label TEXT,
    UNIQUE (layer, site, number, side)
);
CREATE INDEX neuron_score ON neuron (score);
CREATE TABLE example (
    neuron INTEGER NOT NULL, band TEXT NOT NULL, value REAL NOT NULL, at INTEGER NOT NULL,
    ids BLOB NOT NULL, tokens_values BLOB NOT NULL
);
CREATE INDEX example_neuron ON example (neuron);
CREATE TABLE fires_on (
    neuron INTEGER NOT NULL, token INTEGER NOT NULL, text TEXT NOT NULL,
    share REAL NOT NULL, precision REAL NOT NULL, lift REAL NOT NULL
);
CREATE INDEX fires_on_neuron ON fires_on (neuron);
CREATE INDEX fires_on_text ON fires_on (text);
CREATE TABLE pattern (neuron INTEGER PRIMARY KEY, places BLOB NOT NULL);
CREATE TABLE vector (neuron INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE note (
    neuron INTEGER NOT NULL, label TEXT, note TEXT, verdict TEXT, by TEXT NOT NULL, at TEXT NOT NULL
);
CREATE TABLE text (row INTEGER PRIMARY KEY, ids BLOB NOT NULL);
CREATE TABLE contrast (
    neuron INTEGER PRIMARY KEY, silent BLOB NOT NULL, fires BLOB NOT NULL, quiet BLOB NOT NULL,
    said BLOB NOT NULL
);
CREATE TABLE class_firing (neuron INTEGER PRIMARY KEY, counts BLOB NOT NULL);
CREATE TABLE endpoint_label (
    neuron INTEGER NOT NULL, label TEXT NOT NULL, score REAL NOT NULL, own_score REAL NOT NULL,
    trials INTEGER NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL, at TEXT NOT NULL,
    is_kept INTEGER NOT NULL, PRIMARY KEY (neuron, model)
);
CREATE VIRTUAL TABLE words USING fts5 (label, tokens, note);
"""


class WeightsStamp(Artifact):
    """A file of a model, by which a change of the model is noticed without reading it all."""

    name: str
    size_bytes: int
    modified_ns: int
    sha256: str


class AutoencoderFacts(Artifact):
    """The sparse autoencoder whose latents stand in a catalogue."""

    folder: str
    """Where it was when the catalogue was made."""
    files: list[WeightsStamp]
    """Its configuration and weights."""


class ClassFacts(Artifact):
    """A class of the texts that a catalogue was made on."""

    name: str
    n_texts: int
    """Texts of it that were read, whole or in part."""


class CatalogueFacts(Artifact):
    """What a catalogue is of, and how it was made."""

    schema_version: int = Field(default=CATALOGUE_SCHEMA, alias="schema")
    made_at: str
    """UTC."""
    model: str
    """Folder of the model when the catalogue was made."""
    files: list[WeightsStamp]
    """Configuration, weights and tokenizer of the model."""
    corpus: str
    """As it was named."""
    corpus_sha256: str
    """Of the tokens that were read."""
    n_documents: int
    n_tokens: int
    """Of finding rows and held-out rows."""
    n_held_out: int
    """Tokens of held-out rows."""
    length: int
    """Tokens of a row."""
    k: dict[str, int]
    """Entries kept, by site."""
    widths: dict[str, int]
    """Neurons of a layer, by site."""
    layers: dict[str, list[int]]
    """Layers, by site."""
    is_sparse: bool
    """False: the model is dense, and its largest entries were taken as kept."""
    is_two_sided: bool
    """Whether the two signs of an entry are neurons of their own, as where it is kept by
    magnitude."""
    autoencoder: AutoencoderFacts | None = None
    """None: neurons of the model itself; else latents of this one over it."""
    least_score: float
    """Held-out score below which a label counts as saying nothing."""
    mean_score: float | None
    """Of the automatic labels of neurons that fire, those below `least_score` included."""
    mean_control: float | None
    """The same with the labels of other neurons."""
    pattern_step: int
    """One in so many positions is in firing patterns."""
    n_clusters: int
    """Clusters of meaning, of which semantic entropy is measured."""
    encoder: str | None
    """What made the vectors for search by meaning; None: there are none."""
    bytes_per_kept: float
    """Bytes on disk of each kept activation while the catalogue was made."""
    warnings: list[str] = Field(default_factory=list)
    """What speaks against trusting it, such as text in another language than the model's."""
    versions: dict[str, str]
    """Packages."""
    kind: ModelKind = "language-model"
    """Of the model."""
    columns: list[str] = Field(default_factory=list)
    """Of texts and of labels, where the corpus was a table."""
    classes: list[ClassFacts] = Field(default_factory=list)
    """Of the texts, where they have labels."""
    asked: dict[str, JsonValue] = Field(default_factory=dict)
    """The corpus and the options that decided what is in it; empty in catalogues of before."""


class NeuronLine(NamedTuple):
    """A neuron in a list."""

    neuron: Neuron
    """Which."""
    label: str
    """A person's, else a better one from an endpoint, else the automatic one."""
    score: float | None
    """Held-out balanced accuracy of the automatic label, 0 to 1; None where it fires too seldom."""
    rate: float
    """Share of the tokens at which it fires."""
    mean: float
    """Of its value where it fires."""
    token_entropy: float
    """Bits."""
    semantic_entropy: float
    """Bits."""
    tokens: tuple[str, ...]
    """It fires on, the most telling first."""
    by_person: bool
    """Whether the label is a person's."""
    by_endpoint: bool
    """Whether it is an endpoint's."""


class TokenLine(NamedTuple):
    """A token at which a neuron fires."""

    text: str
    """With its space."""
    share: float
    """Of the neuron's firings."""
    precision: float
    """Share of the token's occurrences at which it fires."""
    lift: float
    """How many times as often as elsewhere."""


class Context(NamedTuple):
    """A firing with its surroundings."""

    band: str
    """`top`, or the share of firings that are stronger."""
    value: float
    """At the token."""
    at: int
    """Place of the token."""
    texts: tuple[str, ...]
    """Tokens."""
    values: tuple[float, ...]
    """Of the neuron at each; 0 where it does not fire."""


class Remark(NamedTuple):
    """What a person said."""

    label: str | None
    note: str | None
    verdict: str | None
    by: str
    """Name."""
    at: str
    """UTC."""


class EndpointLabel(NamedTuple):
    """What a language model behind an endpoint called a neuron."""

    label: str
    score: float
    """Balanced accuracy of what it said of held-out contexts from the label alone, 0 to 1."""
    own_score: float
    """The same of the automatic label on the same contexts."""
    trials: int
    """Contexts."""
    model: str
    """Name at the endpoint."""
    endpoint: str
    """URL."""
    at: str
    """UTC."""
    is_kept: bool
    """Whether it is better than the automatic label."""


class RulePart(Artifact):
    """One question of an automatic label."""

    kind: str
    """Kind of evidence."""
    phrase: str
    """As it stands in the label."""
    values: list[str]
    """All words or tokens, where it lists some."""
    key: str = ""
    """What it asks in no language, as `label_words.py` reads it; empty in older catalogues."""
    args: list[str] = Field(default_factory=list)
    """Words of the corpus that belong to the key."""


class Details(Artifact):
    """What is kept of a neuron beside its line."""

    bounds: tuple[float, float]
    """Ends of the histogram."""
    histogram: list[int]
    """Firings by value."""
    promotes: list[tuple[str, float]] | None
    """Tokens it makes likelier, and by how much their logits grow for a value of 1; None: not
    defined."""
    demotes: list[tuple[str, float]] | None
    """Tokens it makes unlikelier."""
    together: list[tuple[str, float]]
    """Neurons that fire with it, and how much (Jaccard)."""
    join: Literal["and", "or"]
    """How the first two parts of the automatic label are joined; a third one is by `or`."""
    rule: list[RulePart]
    """Parts of the automatic label, all of it."""
    duplicates: list[str]
    """Near-duplicates among them."""
    classes: list[tuple[str, float, float]] = Field(default_factory=list)
    """Classes of texts that it tells best from all others: name, share of their texts in which it
    fires, AUROC of its strongest value in a text."""


class NeuronCard(NamedTuple):
    """All that is known of a neuron."""

    line: NeuronLine
    automatic: str
    """The automatic label, also where a person's stands before it."""
    guess: str
    """The best automatic label, also where it says nothing."""
    kind: str
    """Kinds of evidence of it."""
    f1: float | None
    """Of the automatic label on held-out text."""
    control: float | None
    """Score of another neuron's label."""
    held_out: int
    """Held-out firings."""
    fired: int
    """Firings on finding text."""
    largest: float
    """Value that is farthest from zero."""
    is_dead: bool
    is_always_on: bool
    details: Details
    fires_on: tuple[TokenLine, ...]
    contexts: tuple[Context, ...]
    remarks: tuple[Remark, ...]
    """Oldest first."""
    endpoint: tuple[EndpointLabel, ...]
    """What models behind endpoints called it; one that is shown comes first, the best first."""
