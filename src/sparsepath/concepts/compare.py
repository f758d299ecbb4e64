"""Compare neurons of catalogues: by the tokens they fire on, and by where in a text they fire.

Likeness by tokens: the cosine of what a neuron fires on, each of its tokens weighed by share times
logarithm of lift, and matched by its text, so tokenizers may differ. Likeness by pattern: the
Jaccard index of the places at which two neurons fire, where both catalogues read the same tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import ConfigError

SEED = 0
"""Shuffles neurons for the control."""


class Pair(NamedTuple):
    """A neuron and its counterpart."""

    neuron: Neuron
    other: Neuron
    """In the other catalogue."""
    by_tokens: float
    """Likeness, 0 to 1."""
    by_pattern: float | None
    """Likeness, 0 to 1; None where the texts differ."""
    label: str
    other_label: str


class Comparison(NamedTuple):
    """Two catalogues, neuron by neuron; neurons that fire in both."""

    pairs: list[Pair]
    """The least alike first."""
    by_tokens: float
    """Mean likeness."""
    control: float
    """Mean likeness to another neuron's counterpart of the same layer."""
    by_pattern: float | None
    """Mean likeness; None where the texts differ."""


class Profiles(NamedTuple):
    """What the neurons of a catalogue fire on."""

    neurons: list[Neuron]
    labels: list[str]
    fired: NDArray[np.bool_]
    """Whether each fired."""
    tokens: sparse.csr_array
    """Rows of length one over tokens."""
    patterns: sparse.csr_array
    """Rows of zeros and ones over places."""


def profiles(catalogue: Catalogue, numbers: dict[str, int]) -> Profiles:
    """Read what the neurons of a catalogue fire on.

    Args:
        catalogue: open.
        numbers: of token texts; new ones are added, so that several catalogues share them.
    """
    database = catalogue.database
    rows = database.execute(
        "SELECT id, layer, site, number, side, COALESCE(own_label, label), is_dead FROM neuron "
        "ORDER BY id"
    ).fetchall()
    place = {row[0]: i for i, row in enumerate(rows)}
    data, at, columns = [], [], []
    for id_, text, share, lift in database.execute(
        "SELECT neuron, text, share, lift FROM fires_on"
    ):
        data.append(share * np.log2(max(lift, 1.0)))
        at.append(place[id_])
        columns.append(numbers.setdefault(text, len(numbers)))
    shape = (len(rows), 1 << 20)  # more than any vocabulary
    tokens = sparse.csr_array((data, (at, columns)), shape)
    lengths = np.sqrt(np.asarray(tokens.multiply(tokens).sum(axis=1)).reshape(-1))
    scale = sparse.dia_array((1 / np.maximum(lengths, 1e-12)[None], [0]), (len(rows), len(rows)))
    return Profiles(
        [Neuron(*row[1:5]) for row in rows],
        [row[5] for row in rows],
        np.array([not row[6] for row in rows], bool),
        sparse.csr_array(scale @ tokens),
        _patterns(catalogue),
    )


def _patterns(catalogue: Catalogue) -> sparse.csr_array:
    """Read where neurons fire in the sample."""
    rows = catalogue.database.execute("SELECT places FROM pattern ORDER BY neuron")
    places = [np.frombuffer(content, "<u2").astype(np.int32) for (content,) in rows]
    ends = np.cumsum([0, *(len(p) for p in places)]).astype(np.int32)
    columns = np.concatenate(places) if places else np.empty(0, np.int32)
    shape = (len(places), 1 << 16)
    return sparse.csr_array((np.ones(len(columns), np.int32), columns, ends), shape)


def same_text(first: Catalogue, second: Catalogue) -> bool:
    """Say whether two catalogues read the same tokens in the same rows."""
    a, b = first.facts, second.facts
    return (a.corpus_sha256, a.pattern_step) == (b.corpus_sha256, b.pattern_step)


def likeness(a: sparse.csr_array, b: sparse.csr_array) -> NDArray[np.float64]:
    """Give the cosine of each row of `a` with the same row of `b`, rows of length one."""
    return np.asarray(a.multiply(b).sum(axis=1)).reshape(-1)


def jaccard(a: sparse.csr_array, b: sparse.csr_array) -> NDArray[np.float64]:
    """Give the Jaccard index of each row of `a` with the same row of `b`, zeros and ones."""
    both = np.asarray(a.multiply(b).sum(axis=1)).reshape(-1)
    sizes = [np.asarray(x.sum(axis=1)).reshape(-1) for x in (a, b)]
    found: NDArray[np.float64] = both / np.maximum(1, sizes[0] + sizes[1] - both)
    return found


def compare(first: Catalogue, second: Catalogue, *, best: bool = False) -> Comparison:
    """Compare two catalogues.

    Args:
        first: open.
        second: open; of another model, or of another checkpoint.
        best: match each neuron with the one that fires most like it, on the same text, instead of
            with the one of the same name.

    Raises:
        ConfigError: if there is nothing to match, or `best` is asked for of different texts.
    """
    numbers: dict[str, int] = {}
    ours, theirs = profiles(first, numbers), profiles(second, numbers)
    is_same = same_text(first, second)
    if best and not is_same:
        raise ConfigError(
            f"{first.path} and {second.path} read different texts, so where their neurons fire "
            "cannot be compared",
            hint="build both on the same corpus with the same options and tokenizer, or compare "
            "neurons of the same name",
        )
    matched = _best(ours, theirs) if best else _same(ours, theirs)
    if not len(matched[0]):
        raise ConfigError(
            f"{first.path} and {second.path} have no live neuron of the same name",
            hint="build both at the same sites of models of the same shape",
        )
    a, b = matched
    by_tokens = likeness(ours.tokens[a], theirs.tokens[b])
    by_pattern = jaccard(ours.patterns[a], theirs.patterns[b]) if is_same else None
    control = likeness(ours.tokens[a], theirs.tokens[_rolled(ours.neurons, a, b)])
    order = np.lexsort((a, by_tokens if by_pattern is None else by_pattern))
    pairs = [
        Pair(
            ours.neurons[a[i]],
            theirs.neurons[b[i]],
            float(by_tokens[i]),
            None if by_pattern is None else float(by_pattern[i]),
            ours.labels[a[i]],
            theirs.labels[b[i]],
        )
        for i in order.tolist()
    ]
    return Comparison(
        pairs,
        float(by_tokens.mean()),
        float(control.mean()),
        None if by_pattern is None else float(by_pattern.mean()),
    )


Rows = NDArray[np.int64]


def _same(ours: Profiles, theirs: Profiles) -> tuple[Rows, Rows]:
    """Match live neurons by name."""
    place = {neuron: i for i, neuron in enumerate(theirs.neurons)}
    pairs = [
        (i, place[neuron])
        for i, neuron in enumerate(ours.neurons)
        if neuron in place and ours.fired[i] and theirs.fired[place[neuron]]
    ]
    found = np.array(pairs, np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _best(ours: Profiles, theirs: Profiles) -> tuple[Rows, Rows]:
    """Match each live neuron with the one of any layer that fires most like it."""
    alive = np.flatnonzero(ours.fired)
    both = (ours.patterns[alive] @ theirs.patterns.T).toarray()
    sizes = [np.asarray(x.sum(axis=1)).reshape(-1) for x in (ours.patterns[alive], theirs.patterns)]
    index = both / np.maximum(1, sizes[0][:, None] + sizes[1][None] - both)
    return alive, index.argmax(axis=1)


def _rolled(neurons: Sequence[Neuron], a: Rows, b: Rows) -> Rows:
    """Give each pair the counterpart of another neuron of the same site and layer."""
    found = b.copy()
    random = np.random.default_rng(SEED)
    places = np.array([f"{neurons[i].site}.{neurons[i].layer}" for i in a])
    for place in np.unique(places):
        members = random.permutation(np.flatnonzero(places == place))
        found[members] = b[np.roll(members, 1)]
    return found
