"""Why a model answered one text as it did, and a test of that explanation.

Named are the tokens that decided between two labels, the tenth of the units that decided (the
pathway), and the attention edges. The test keeps only the pathway, every other unit at its mean,
and asks what remains of margin and confidence; then it removes the pathway from the whole model;
then it does both with random sets of as many heads and neurons. What the residual stream carries
without any unit, from word embeddings straight to the classifier, is the zero of the shares.

Read with `attribution.py` (scores), `explain_units.py` (which units), `explain_sparse.py` (neurons
of sparse models), `explain_render.py` (showing it).

Shape letters: T tokens, L layers, U units of the widest layer, C labels.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from sparsepath.artifacts.neurons import NeuronFacts, NeuronsFile
from sparsepath.errors import ConfigError, DataError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMeans
from sparsepath.pathways.attribution import Question, attribute_tokens, margin
from sparsepath.pathways.edges import EdgeScore, score_edges
from sparsepath.pathways.explain_check import ExplanationTest
from sparsepath.pathways.explain_sparse import sparse_units
from sparsepath.pathways.explain_units import NamedScore, UnitFindings, dense_units
from sparsepath.pathways.selection import Case
from sparsepath.trace.gates import evaluating

MAX_EDGES = 10
"""Attention edges that are listed."""


class TokenScore(NamedTuple):
    """A token of the text, and how much it spoke for the target."""

    text: str
    """The token as it stands in the text; the name of a special token, such as `[CLS]`."""
    score: float
    """Logits that it adds to the margin; 0 for special tokens."""
    start: int
    """Where it starts in the text, in characters."""
    end: int
    """Where it ends; equal to `start` for special tokens, and for further bytes of a character."""
    is_special: bool
    """Whether the tokenizer added it."""
    is_joined: bool
    """Whether it follows the token before without a space."""

    def text_in(self, text: str) -> str:
        """Return what the token covers of the text; nothing for special tokens."""
        return text[self.start : self.end]

    @property
    def marked(self) -> str:
        """The text with `##` in front of what continues a word, as WordPiece writes it."""
        return f"##{self.text}" if self.is_joined and self.text else self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why one text got its label."""

    text: str
    """The text."""

    predicted: str
    """The model's label."""

    runner_up: str
    """The label with the second highest probability."""

    target: str
    """The label asked about; `predicted` unless asked otherwise."""

    against: str
    """The label compared with; `runner_up` unless asked otherwise."""

    probability: float
    """Of `target`."""

    margin: float
    """Logit of `target` minus logit of `against`."""

    tokens: list[TokenScore]
    """Everything that the model read, in order, special tokens too: places are those of edges."""

    n_tokens_cut: int
    """Tokens beyond the model's length, which it never read."""

    units: list[NamedScore]
    """The strongest units of the pathway, by absolute score."""

    n_units: int
    """Heads and neurons of the model."""

    n_units_kept: int
    """Heads and neurons of the pathway."""

    share_units_kept: float
    """The same as a share."""

    n_units_enough: int | None
    """The fewest of the units speaking for the target that were seen to keep 90 % of the margin."""

    edges: list[NamedScore]
    """The strongest attention edges, by absolute score."""

    test: ExplanationTest
    """The explanation's own test."""

    neurons: list[NeuronFacts] = field(default_factory=list)
    """What the units of a sparse model stand for, in the order of `units`."""

    is_exact: bool = False
    """Whether the units' scores are exact shares of the margin, not estimates along a line."""

    concepts: list[str | None] = field(default_factory=list)
    """What the model's catalogue calls these neurons; empty where there is no catalogue."""


def explain_text(  # noqa: PLR0913 - every one is a choice of the caller
    model: PathwayClassifier,
    tokenizer: Tokenizer,
    text: str,
    *,
    means: UnitMeans | None,
    neurons: NeuronsFile | None = None,
    target: str | int | None = None,
    against: str | int | None = None,
    share: float = 0.10,
    n_random: int = 20,
    generator: torch.Generator,
) -> Explanation:
    """Explain one text.

    Everything but the random sets is deterministic. A model without units gets a test in which
    nothing changes: all shares are 1. Of a model with sparse sites (`make_sparse`) the units are
    those of its neurons that fire in the text, of which `explain_sparse.SHARE` are named.

    Args:
        model: the classifier, whole or cut; put into evaluation mode during the call.
        tokenizer: the model's.
        text: at least one token long.
        means: mean of every unit over a corpus. None: removed units become zero.
        neurons: what the neurons of a sparse model stand for, and their means. None: removed ones
            become zero.
        target: label, by name or number. None: the model's answer.
        against: label to compare with. None: the most probable other one.
        share: part of the heads and of the neurons that the pathway may have, 0 to 1.
        n_random: random sets.
        generator: draws them.

    Raises:
        ConfigError: if a label is unknown, both are the same, or `share` is not between 0 and 1.
        DataError: if the text has no tokens.
    """
    if not 0.0 < share <= 1.0:
        raise ConfigError(f"share = {share}", hint="choose more than 0 and at most 1, such as 0.1")
    encoding = _encode(tokenizer, text, model.config.max_length)
    ids = torch.tensor(encoding.ids)
    with evaluating(model):
        with torch.no_grad():
            logits_C = model(ids.unsqueeze(0)).logits[0]
        case = Case(model, ids, means, _question(model, logits_C, target, against), logits_C)
        if len(model.sparse):
            units = sparse_units(case, neurons, n_random, generator)
        else:
            units = dense_units(case, share, n_random, generator)
        return _explanation(case, encoding, _look(case, encoding, units), text)


class _Findings(NamedTuple):
    """What was found out about one text."""

    units: UnitFindings
    token_scores: Float[Tensor, " tokens"]
    edges: list[EdgeScore]


def _look(case: Case, encoding: Encoding, units: UnitFindings) -> _Findings:
    """Attribute the answer to tokens and edges."""
    is_special = torch.tensor(encoding.special_tokens_mask, dtype=torch.bool)
    return _Findings(
        units=units,
        token_scores=attribute_tokens(case.model, case.ids, is_special, case.question),
        edges=score_edges(
            case.model,
            encoding.ids,
            objective=lambda x: margin(x, case.question),
            limit=MAX_EDGES,
        ),
    )


def _explanation(case: Case, encoding: Encoding, found: _Findings, text: str) -> Explanation:
    """Put names and numbers together."""
    first, second = case.logits.argsort(descending=True, stable=True)[:2].tolist()
    names, units = label_names(case.model), found.units
    return Explanation(
        text=text,
        predicted=names[first],
        runner_up=names[second],
        target=names[case.question.target],
        against=names[case.question.against],
        probability=float(case.logits.softmax(dim=-1)[case.question.target]),
        margin=case.margin,
        tokens=_tokens(encoding, found.token_scores, text),
        n_tokens_cut=sum(
            len(part.ids) - sum(part.special_tokens_mask) for part in encoding.overflowing
        ),
        units=units.units,
        n_units=units.n_units,
        n_units_kept=units.n_units_kept,
        share_units_kept=units.n_units_kept / units.n_units if units.n_units else 0.0,
        n_units_enough=units.n_units_enough,
        edges=[NamedScore(_edge_name(case.model, edge), edge.score) for edge in found.edges],
        test=units.test,
        neurons=units.neurons,
        is_exact=units.is_exact,
    )


def _encode(tokenizer: Tokenizer, text: str, max_length: int) -> Encoding:
    """Tokenise one text, cut to the model's length; the tokenizer stays as it was.

    Raises:
        DataError: if there is nothing to explain.
    """
    truncation, padding = tokenizer.truncation, tokenizer.padding
    try:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        encoding = tokenizer.encode(text)
    finally:
        tokenizer.no_truncation()
        if truncation is not None:
            tokenizer.enable_truncation(**truncation)
        if padding is not None:
            tokenizer.enable_padding(**padding)
    if all(encoding.special_tokens_mask):
        raise DataError(f"the text {text[:40]!r} has no words", hint="pass a text with words in it")
    return encoding


def label_names(model: PathwayClassifier) -> list[str]:
    """Return the names of the labels, in the order of the logits."""
    names = model.config.id2label or {}
    return [str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0]))]


def _question(
    model: PathwayClassifier,
    logits: Float[Tensor, " labels"],
    target: str | int | None,
    against: str | int | None,
) -> Question:
    """Turn what was asked into two label numbers."""
    order = logits.argsort(descending=True, stable=True).tolist()
    asked = order[0] if target is None else _label(model, target)
    if against is None:
        return Question(asked, next(label for label in order if label != asked))
    other = _label(model, against)
    if other == asked:
        raise ConfigError(
            f"both labels are {label_names(model)[asked]!r}",
            hint="compare a label with another one",
        )
    return Question(asked, other)


def _label(model: PathwayClassifier, label: str | int) -> int:
    """Return the number of a label.

    Raises:
        ConfigError: if the model has no such label.
    """
    names = label_names(model)
    if isinstance(label, int) and 0 <= label < len(names):
        return label
    if label in names:
        return names.index(str(label))
    known = ", ".join(names[:10])
    raise ConfigError(
        f"the model has no label {label!r}",
        hint=f"its {len(names)} labels: {known}{', ...' if len(names) > 10 else ''}",
    )


def _edge_name(model: PathwayClassifier, edge: EdgeScore) -> str:
    """Name an edge with the numbers of the first ancestor."""
    kept = model.config.layers[edge.layer]
    return edge._replace(layer=kept["source"], head=kept["heads"][edge.head]).name


def _tokens(encoding: Encoding, scores: Float[Tensor, " tokens"], text: str) -> list[TokenScore]:
    """Return every token with its score."""
    tokens: list[TokenScore] = []
    reached = 0
    for name, (start, end), special, score in zip(
        encoding.tokens,
        encoding.offsets,
        encoding.special_tokens_mask,
        scores.tolist(),
        strict=True,
    ):
        if special:
            tokens.append(TokenScore(name, 0.0, reached, reached, True, False))
            continue
        # Several tokens may be bytes of one character; some tokenizers count the space before.
        first = max(start, reached)
        piece = text[first:end]
        first += len(piece) - len(piece.lstrip())
        is_joined = 0 < reached == first
        reached = max(end, reached)
        tokens.append(TokenScore(text[first:end], score, first, max(first, end), False, is_joined))
    return tokens
