"""Why a language model goes on with one token and not with another.

Around the text the model is held linear (`trace/frozen.py`), so that the margin between the two
tokens is exactly the sum of what the entries of a site of the residual stream add, each its value
times its gradient; so also of what the words of the text add, and the heads of a layer. Named are
the few entries that matter most; `next_token_check.py` tests them in the model itself.

Shape letters: T tokens, D width of a site, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from sparsepath.artifacts.neuron import Neuron, Site
from sparsepath.errors import ConfigError, DataError
from sparsepath.models.language_folder import LoadedLanguageModel
from sparsepath.pathways.next_token_check import Decided, NextTokenTest, check, choose, swap_values
from sparsepath.trace.frozen import frozen, is_sparse, reading

MAX_NEURONS = 12
"""Neurons that are listed."""
MAX_READS = 4
"""Words that a listed neuron read from."""
MAX_HEADS = 8
"""Heads that are listed."""
MAX_LEFT_OUT = 5
"""Words that are left out, one at a time."""


class WordShare(NamedTuple):
    """A token of the text, and what it adds."""

    position: int
    """From 0."""
    text: str
    """As it stands in the text, with its space."""
    score: float
    """Logits."""


class NeuronShare(NamedTuple):
    """One active neuron at one token."""

    name: str
    """Such as `L02/117`."""
    position: int
    """Of the token, from 0."""
    token: str
    """The token there."""
    value: float
    """What it holds."""
    score: float
    """Logits that it adds to the margin."""
    label: str | None
    """What a catalogue says it stands for."""
    reads: list[WordShare]
    """The words that its value comes from, strongest first."""


class HeadShare(NamedTuple):
    """An attention head, over all tokens."""

    name: str
    """Such as `L02.H05`."""
    score: float
    """Logits that go through it."""


class SiteShare(NamedTuple):
    """A site, over all tokens and entries."""

    name: str
    """Such as `L02.block_out`."""
    n_active: int
    """Entries that are not zero."""
    score: float
    """Logits that go through it."""


class LeftOut(NamedTuple):
    """The answer without one token of the text."""

    position: int
    text: str
    answer: str
    """The likeliest token then."""
    margin: float
    """Logits, between the same two tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NextToken:
    """Why a text goes on as it does."""

    text: str
    target: str
    """The token that is explained."""
    against: str
    """The token that it is compared with."""
    target_id: int
    against_id: int
    """In the vocabulary: two tokens may be written alike."""
    answer: str
    """The likeliest token."""
    probability: float
    """Of the target."""
    margin: float
    """Logit of the target minus that of the other."""
    rest: float
    """Part of the margin that no entry of the site brings: 0 for the residual stream of a model
    without biases."""
    site: str
    """Where neurons are named, such as `L02.block_out`."""
    is_sparse: bool
    """Whether that site keeps its largest entries only."""
    n_active: int
    """Its entries that are not zero, over all tokens."""
    n_named: int
    """Entries of the test; the strongest are listed."""
    words: list[WordShare]
    """Every token of the text, in order; they add up to the margin."""
    neurons: list[NeuronShare]
    heads: list[HeadShare]
    sites: list[SiteShare]
    left_out: list[LeftOut]
    test: NextTokenTest


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked of a text."""

    target: str | None = None
    """Token to explain; None: the likeliest."""
    against: str | None = None
    """Token to compare with; None: the likeliest other one."""
    pair: tuple[int, int] | None = None
    """Ids of both tokens in the vocabulary, instead of how they are written."""
    place: tuple[int, Site] | None = None
    """Layer and site whose neurons are named; None: the last sparse one of the residual stream."""
    contrast: str | None = None
    """A text whose values take the named neurons' place in the test."""
    share: float = 0.05
    """Part of the active entries that may be named, above 0 and up to 1."""
    n_random: int = 20
    """Random sets of the test."""
    seed: int = 0
    """Draws them."""


Labels = Callable[[Neuron, float], str | None]
"""What a catalogue says of a neuron that has a value."""


def explain_next_token(
    loaded: LoadedLanguageModel,
    text: str,
    asked: Asked | None = None,
    *,
    labels: Labels | None = None,
) -> NextToken:
    """Explain how a text goes on.

    Args:
        loaded: the model.
        text: at least one token.
        asked: other than the usual.
        labels: gives neurons their meaning.

    Raises:
        ConfigError: if a token is none of the vocabulary, both are the same, the model lacks the
            place, or the share is out of range.
        DataError: if the text has no token or is longer than the model's context.
        ModelError: if the model is of another kind.
    """
    asked, model = asked or Asked(), loaded.model
    if not 0 < asked.share <= 1:
        raise ConfigError(f"share = {asked.share}", hint="choose above 0 and up to 1")
    ids, texts = _encoded(loaded, text)
    decided = question_of(loaded, ids, asked)
    (layer, site), (target, against) = decided.place, decided.question
    named = choose(decided, asked.share)
    swapped = None if asked.contrast is None else _swapped(loaded, asked.contrast, decided)
    generator = torch.Generator().manual_seed(asked.seed)
    test = check(decided, named, swapped, asked.n_random, generator)
    score_TD = decided.scores[decided.place]
    tokenizer = loaded.tokenizer
    return NextToken(
        text=text,
        target=_written(tokenizer, target),
        against=_written(tokenizer, against),
        target_id=target,
        against_id=against,
        answer=_written(tokenizer, int(decided.logits.argmax())),
        probability=float(decided.logits.softmax(-1)[target]),
        margin=decided.margin,
        rest=decided.margin - float(score_TD.sum()),
        site=f"L{layer:02d}.{site}",
        is_sparse=is_sparse(model, layer, site),
        n_active=decided.n_active,
        n_named=len(named),
        words=[WordShare(i, texts[i], float(x)) for i, x in enumerate(decided.words)],
        neurons=_neurons(decided, named, texts, labels),
        heads=_strongest_heads(decided.heads),
        sites=[
            SiteShare(
                f"L{place[0]:02d}.{place[1]}",
                int((decided.reading.sites[place] != 0).sum()),
                float(scores.sum()),
            )
            for place, scores in sorted(decided.scores.items())
        ],
        left_out=_without(decided, texts, tokenizer),
        test=test,
    )


def question_of(loaded: LoadedLanguageModel, ids: list[int], asked: Asked) -> Decided:
    """Ask a model, and share the margin out to everything in it.

    Args:
        loaded: the model.
        ids: of the text, no more than it reads.
        asked: tokens and place; raises as `explain_next_token`.
    """
    model = loaded.model
    place = _place(loaded, asked.place)
    embedded = model.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_()
    with frozen(model) as scales, reading(model) as found:
        logits_V = model(inputs_embeds=embedded, use_cache=False).logits[0, -1].float()
    question = _question(loaded.tokenizer, logits_V.detach(), asked)
    margin = logits_V[question[0]] - logits_V[question[1]]
    places = list(found.sites)
    values = [embedded, *(found.sites[place] for place in places), *found.heads]
    gradients = torch.autograd.grad(margin, values, retain_graph=True, allow_unused=True)
    products = [
        torch.zeros_like(value[0]) if gradient is None else (value * gradient)[0].detach()
        for value, gradient in zip(values, gradients, strict=True)
    ]
    n, n_heads = len(places), int(model.config.num_attention_heads)
    return Decided(
        model=model,
        ids=ids,
        question=question,
        logits=logits_V.detach(),
        margin=float(margin.detach()),
        place=place,
        embedded=embedded,
        reading=found,
        scales=scales,
        words=products[0].sum(dim=-1),
        scores=dict(zip(places, products[1 : n + 1], strict=True)),
        heads=[
            product.unflatten(-1, (n_heads, -1)).sum(dim=(0, 2)) for product in products[n + 1 :]
        ],
    )


def _neurons(
    decided: Decided,
    named: list[int],
    texts: list[str],
    labels: Labels | None,
) -> list[NeuronShare]:
    """Describe the strongest of the named entries."""
    (layer, site), values_TD = decided.place, decided.reading.sites[decided.place][0]
    held_TD, width = values_TD.detach(), values_TD.shape[1]
    told = []
    for flat in named[:MAX_NEURONS]:
        position, index = divmod(flat, width)
        neuron = Neuron(layer, site, index)
        (gradient,) = torch.autograd.grad(
            values_TD[position, index], decided.embedded, retain_graph=True
        )
        reads_T = (gradient * decided.embedded)[0].detach().sum(dim=-1)
        order = reads_T.abs().argsort(descending=True)[:MAX_READS].tolist()
        told.append(
            NeuronShare(
                neuron.name,
                position,
                texts[position],
                float(held_TD[position, index]),
                float(decided.scores[decided.place][position, index]),
                None if labels is None else labels(neuron, float(held_TD[position, index])),
                [WordShare(i, texts[i], float(reads_T[i])) for i in order if reads_T[i] != 0],
            )
        )
    return told


def _strongest_heads(products: list[Tensor]) -> list[HeadShare]:
    """Add up what goes through each head, over all tokens."""
    found = [
        HeadShare(f"L{layer:02d}.H{head:02d}", float(score))
        for layer, scores in enumerate(products)
        for head, score in enumerate(scores)
    ]
    return sorted(found, key=lambda share: -abs(share.score))[:MAX_HEADS]


@torch.no_grad()
def _without(decided: Decided, texts: list[str], tokenizer: Tokenizer) -> list[LeftOut]:
    """Ask again without each of the strongest words; all these texts are equally long."""
    ids = decided.ids
    if len(ids) == 1:
        return []
    speaking = decided.words * (1.0 if decided.margin >= 0 else -1.0)
    order = speaking.argsort(descending=True)[:MAX_LEFT_OUT].tolist()
    rows = torch.tensor([[*ids[:i], *ids[i + 1 :]] for i in order])
    logits_BV = decided.model(input_ids=rows, use_cache=False).logits[:, -1].float()
    target, against = decided.question
    return [
        LeftOut(
            i,
            texts[i],
            _written(tokenizer, int(logits.argmax())),
            float(logits[target] - logits[against]),
        )
        for i, logits in zip(order, logits_BV, strict=True)
    ]


def _swapped(loaded: LoadedLanguageModel, contrast: str, decided: Decided) -> Tensor:
    """Read another text; its last tokens stand for ours."""
    ids, _ = _encoded(loaded, contrast)
    with torch.no_grad(), reading(loaded.model) as found:
        loaded.model(input_ids=torch.tensor([ids]), use_cache=False)
    return swap_values(decided, found.sites[decided.place][0])


def _encoded(loaded: LoadedLanguageModel, text: str) -> tuple[list[int], list[str]]:
    """Give the token ids of a text, and what each stands for in it."""
    encoding = loaded.tokenizer.encode(text)
    context = int(loaded.model.config.max_position_embeddings)
    if not encoding.ids:
        raise DataError("the text has no token", hint="give at least a word")
    if len(encoding.ids) > context:
        raise DataError(
            f"the text has {len(encoding.ids):,} tokens, the model reads {context:,}",
            hint="give its last part",
        )
    told = [
        text[start:end] if end > start else loaded.tokenizer.id_to_token(number) or ""
        for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
    ]
    return list(encoding.ids), told


def _place(loaded: LoadedLanguageModel, asked: tuple[int, Site] | None) -> tuple[int, Site]:
    """Give the layer and site whose neurons are named."""
    n_layers = int(loaded.model.config.num_hidden_layers)
    if asked is not None:
        if not 0 <= asked[0] < n_layers:
            raise ConfigError(
                f"layer {asked[0]} of a model of {n_layers}",
                hint=f"choose a layer from 0 to {n_layers - 1}",
            )
        return asked
    preferred: tuple[Site, ...] = ("block_out", "mlp_hidden", "mlp_in", "attn_in", "attn_out")
    for site in preferred:
        for layer in reversed(range(n_layers)):
            if is_sparse(loaded.model, layer, site):
                return layer, site
    return max(0, n_layers - 2), "block_out"


def _question(tokenizer: Tokenizer, logits: Tensor, asked: Asked) -> tuple[int, int]:
    """Give the ids of the two tokens."""
    if asked.pair is not None:
        return _known(asked.pair, len(logits))
    order = logits.argsort(descending=True)[:2].tolist()
    target = order[0] if asked.target is None else _token(tokenizer, asked.target)
    others = [number for number in order if number != target]
    against = others[0] if asked.against is None else _token(tokenizer, asked.against)
    if target == against:
        raise ConfigError(
            f"{_written(tokenizer, target)!r} is compared with itself",
            hint="give another token by --against",
        )
    return target, against


def _known(pair: tuple[int, int], n_tokens: int) -> tuple[int, int]:
    """See that both ids are different tokens of the vocabulary."""
    if pair[0] == pair[1] or not all(0 <= number < n_tokens for number in pair):
        raise ConfigError(
            f"tokens {pair[0]} and {pair[1]} of a vocabulary of {n_tokens:,}",
            hint="give two different ones of this model",
        )
    return pair


def _token(tokenizer: Tokenizer, text: str) -> int:
    """Give the id of one token, with a space before it where a text would have one."""
    tried = [
        list(tokenizer.encode(form, add_special_tokens=False).ids) for form in (" " + text, text)
    ]
    unknown = getattr(tokenizer.model, "unk_token", None)
    for ids in reversed(tried) if text.startswith(" ") else tried:
        is_known = unknown in (None, text) or ids != [tokenizer.token_to_id(str(unknown))]
        if len(ids) == 1 and is_known:
            return int(ids[0])
    pieces = [_written(tokenizer, number) for number in tried[0]]
    raise ConfigError(
        f"{text!r} is not one token of this model" + (f" but {pieces}" if pieces else ""),
        hint="give one token, such as its first part",
    )


def _written(tokenizer: Tokenizer, number: int) -> str:
    """Write one token as a person reads it."""
    told = str(tokenizer.decode([number], skip_special_tokens=False))
    return told or str(tokenizer.id_to_token(number))
