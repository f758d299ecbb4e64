"""Why a model answered one text as it did, and a test of that explanation.

Named are the tokens that decided between two labels, the tenth of the units that decided (the
pathway), and the attention edges. The test keeps only the pathway, every other unit at its mean, and
asks what remains of margin and confidence; then it removes the pathway from the whole model; then it
does both with random sets of as many heads and neurons. What the residual stream carries without any
unit, from word embeddings straight to the classifier, is the zero of the shares.

Read with `attribution.py` (scores), `selection.py` (which units), `explain_render.py` (showing it).

Shape letters: T tokens, L layers, U units of the widest layer, C labels.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from sparsepath.errors import ConfigError, DataError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMask, UnitMeans, head_name, neuron_name
from sparsepath.pathways.attribution import (
    Question,
    UnitAttribution,
    attribute_tokens,
    attribute_units,
    margin,
)
from sparsepath.pathways.controls import random_subset
from sparsepath.pathways.edges import EdgeScore, score_edges
from sparsepath.pathways.selection import Answer, choose_pathway, n_kept, run_sets
from sparsepath.trace.gates import evaluating

MAX_UNITS = 20
"""Units of the pathway that are listed by name."""

MAX_EDGES = 10
"""Attention edges that are listed."""

ENOUGH = 0.9
"""Share of the margin that `n_units_enough` has to keep."""

SIZES = (0.001, 0.002, 0.004, 0.006, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1)
"""Shares of the units tried for `n_units_enough`."""

NO_MARGIN = 1e-6
"""Logits below which all units together make no difference."""


class TokenScore(NamedTuple):
    """A piece of the text, and how much it spoke for the target."""

    text: str
    """The piece, as it stands in the text."""
    score: float
    """Logits that it adds to the margin."""
    start: int
    """Where it starts in the text, in characters."""
    end: int
    """Where it ends."""


class NamedScore(NamedTuple):
    """A unit or an edge, and how much it spoke for the target."""

    name: str
    """Such as `L02.H05`, `L02.M0117` or `12>17@L02.H05` (positions of tokens)."""
    score: float
    """Logits that it adds to the margin."""


class ExplanationTest(NamedTuple):
    """What remains of the answer when only the pathway is kept, or when it is removed."""

    margin_kept: float
    """Share of what all units add to the margin that the pathway alone adds."""
    margin_kept_raw: float
    """Margin with only the pathway, over the whole model's."""
    margin_when_removed: float
    """Share, as `margin_kept`, that the model without the pathway still adds."""
    margin_of_nothing: float
    """Margin in logits with every unit at its mean: the zero of the shares."""
    confidence_kept: float
    """Probability of the target with only the pathway."""
    confidence_removed: float
    """Probability of the target without the pathway."""
    random_margin_kept: list[float]
    """As `margin_kept`, per random set."""
    random_confidence_kept: list[float]
    """As `confidence_kept`, per random set."""
    random_margin_when_removed: list[float]
    """As `margin_when_removed`, per random set."""


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
    """Every piece of the text that the model read, in order."""

    n_tokens_cut: int
    """Pieces beyond the model's length, which it never read."""

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


def explain_text(
    model: PathwayClassifier,
    tokenizer: Tokenizer,
    text: str,
    *,
    means: UnitMeans | None,
    target: str | int | None = None,
    against: str | int | None = None,
    share: float = 0.10,
    n_random: int = 20,
    generator: torch.Generator,
) -> Explanation:
    """Explain one text.

    Everything but the random sets is deterministic. A model without units gets a test in which
    nothing changes: all shares are 1.

    Args:
        model: the classifier, whole or cut; put into evaluation mode during the call.
        tokenizer: the model's.
        text: at least one token long.
        means: mean of every unit over a corpus. None: removed units become zero.
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
        question = _question(model, logits_C, target, against)
        answer = Answer(question, logits_C.log_softmax(-1), float(margin(logits_C, question)))
        by_units = attribute_units(model, ids, question, means=means)
        pathway = choose_pathway(model, ids, answer, by_units, means=means, share=share)
        test = _test(model, ids, answer, pathway, means=means, n_random=n_random, generator=generator)
        enough = _n_enough(model, ids, answer, by_units[0], test.margin_of_nothing, means=means)
        is_special = torch.tensor(encoding.special_tokens_mask, dtype=torch.bool)
        token_scores_T = attribute_tokens(model, ids, is_special, question)
    edges = score_edges(model, encoding.ids, objective=lambda x: margin(x, question), limit=MAX_EDGES)
    first, second = logits_C.argsort(descending=True, stable=True)[:2].tolist()
    full = UnitMask.full(model)
    return Explanation(
        text=text,
        predicted=model.config.id2label[first],
        runner_up=model.config.id2label[second],
        target=model.config.id2label[question.target],
        against=model.config.id2label[question.against],
        probability=float(answer.log_probability[question.target].exp()),
        margin=answer.margin,
        tokens=_tokens(encoding, token_scores_T, text),
        n_tokens_cut=sum(len(part.ids) - sum(part.special_tokens_mask) for part in encoding.overflowing),
        units=_listed(model, pathway, by_units[0]),
        n_units=full.n_units,
        n_units_kept=pathway.n_units,
        share_units_kept=pathway.share_of(full),
        n_units_enough=enough,
        edges=[NamedScore(_edge_name(model, edge), edge.score) for edge in edges],
        test=test,
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


def _question(
    model: PathwayClassifier,
    logits_C: Float[Tensor, " labels"],
    target: str | int | None,
    against: str | int | None,
) -> Question:
    """Turn what was asked into two label numbers."""
    order = logits_C.argsort(descending=True, stable=True).tolist()
    asked = order[0] if target is None else _label(model, target)
    if against is None:
        return Question(asked, next(label for label in order if label != asked))
    other = _label(model, against)
    if other == asked:
        raise ConfigError(
            f"both labels are {model.config.id2label[asked]!r}",
            hint="compare a label with another one",
        )
    return Question(asked, other)


def _label(model: PathwayClassifier, label: str | int) -> int:
    """Return the number of a label.

    Raises:
        ConfigError: if the model has no such label.
    """
    names = model.config.id2label
    if isinstance(label, int) and label in names:
        return label
    for number, name in names.items():
        if name == label:
            return int(number)
    known = ", ".join(list(names.values())[:10])
    raise ConfigError(
        f"the model has no label {label!r}",
        hint=f"its {len(names)} labels: {known}{', ...' if len(names) > 10 else ''}",
    )


def _test(
    model: PathwayClassifier,
    ids: Int[Tensor, " tokens"],
    answer: Answer,
    pathway: UnitMask,
    *,
    means: UnitMeans | None,
    n_random: int,
    generator: torch.Generator,
) -> ExplanationTest:
    """Keep only the pathway, remove it, and do both with random sets of the same sizes."""
    full = UnitMask.full(model)
    drawn = [_random_set(full, pathway, generator) for _ in range(n_random)]
    sets = [full.without(full), pathway, full.without(pathway), *drawn]
    sets += [full.without(mask) for mask in drawn]
    logits_SC = run_sets(model, ids, sets, means=means)
    margins = margin(logits_SC, answer.question).tolist()
    confidences = logits_SC.softmax(dim=-1)[:, answer.question.target].tolist()
    nothing = margins[0]
    shares = [_share(value, nothing, answer.margin) for value in margins]
    return ExplanationTest(
        margin_kept=shares[1],
        margin_kept_raw=margins[1] / answer.margin if answer.margin else 1.0,
        margin_when_removed=shares[2],
        margin_of_nothing=nothing,
        confidence_kept=confidences[1],
        confidence_removed=confidences[2],
        random_margin_kept=shares[3 : 3 + n_random],
        random_confidence_kept=confidences[3 : 3 + n_random],
        random_margin_when_removed=shares[3 + n_random :],
    )


def _random_set(full: UnitMask, like: UnitMask, generator: torch.Generator) -> UnitMask:
    """Draw as many heads and as many neurons as `like` has, from all layers."""
    return UnitMask(
        heads=random_subset(full.heads.flatten(), int(like.heads.sum()), generator).view(
            full.heads.shape
        ),
        neurons=random_subset(full.neurons.flatten(), int(like.neurons.sum()), generator).view(
            full.neurons.shape
        ),
    )


def _share(value: float, nothing: float, everything: float) -> float:
    """Return where a margin lies between nothing (0) and everything (1)."""
    if abs(everything - nothing) < NO_MARGIN:
        return 1.0
    return (value - nothing) / (everything - nothing)


def _n_enough(
    model: PathwayClassifier,
    ids: Int[Tensor, " tokens"],
    answer: Answer,
    by_margin: UnitAttribution,
    nothing: float,
    *,
    means: UnitMeans | None,
) -> int | None:
    """Return the fewest units, those first that speak most for the target, that keep the margin."""
    full = UnitMask.full(model)
    if full.n_units == 0 or answer.margin - nothing < NO_MARGIN:
        return None
    sets = []
    for size in SIZES:
        n_heads, n_neurons = n_kept(full, size)
        sets.append(
            UnitMask(
                heads=_first(full.heads, by_margin.heads, n_heads),
                neurons=_first(full.neurons, by_margin.neurons, n_neurons),
            )
        )
    margins = margin(run_sets(model, ids, sets, means=means), answer.question).tolist()
    for mask, value in zip(sets, margins, strict=True):
        if _share(value, nothing, answer.margin) >= ENOUGH:
            return mask.n_units
    return None


def _first(present_LU: Tensor, score_LU: Tensor, n: int) -> Tensor:
    """Keep the `n` highest of the present units."""
    ranked = score_LU.masked_fill(~present_LU, -torch.inf).flatten()
    kept = torch.zeros_like(present_LU.flatten())
    kept[ranked.argsort(descending=True, stable=True)[:n]] = True
    return kept.view(present_LU.shape)


def _listed(
    model: PathwayClassifier, pathway: UnitMask, by_margin: UnitAttribution
) -> list[NamedScore]:
    """Name the strongest units of the pathway, with the numbers of the first ancestor."""
    layers = model.config.layers
    found = [
        NamedScore(
            head_name(layers[layer]["source"], layers[layer]["heads"][head]),
            float(by_margin.heads[layer, head]),
        )
        for layer, head in pathway.heads.nonzero().tolist()
    ]
    found += [
        NamedScore(
            neuron_name(layers[layer]["source"], neuron), float(by_margin.neurons[layer, neuron])
        )
        for layer, neuron in pathway.neurons.nonzero().tolist()
    ]
    return sorted(found, key=lambda unit: -abs(unit.score))[:MAX_UNITS]


def _edge_name(model: PathwayClassifier, edge: EdgeScore) -> str:
    """Name an edge with the numbers of the first ancestor."""
    kept = model.config.layers[edge.layer]
    return edge._replace(layer=kept["source"], head=kept["heads"][edge.head]).name


def _tokens(encoding: Encoding, scores_T: Float[Tensor, " tokens"], text: str) -> list[TokenScore]:
    """Return pieces of the text with their scores; pieces of one character are joined."""
    pieces: list[TokenScore] = []
    for (start, end), special, score in zip(
        encoding.offsets, encoding.special_tokens_mask, scores_T.tolist(), strict=True
    ):
        if special:
            continue
        if pieces and start < pieces[-1].end:  # bytes of one character
            last = pieces.pop()
            start, end, score = last.start, max(end, last.end), score + last.score
        pieces.append(TokenScore(text[start:end], score, start, end))
    return pieces
