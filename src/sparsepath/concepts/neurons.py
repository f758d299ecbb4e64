"""From a recording to what a catalogue says of the neurons of one place."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.catalogue_classes import Counts
from sparsepath.artifacts.catalogue_schema import DEAD, NO_CLEAR_MEANING, Details, RulePart
from sparsepath.artifacts.catalogue_write import NeuronRow
from sparsepath.artifacts.neuron import Neuron
from sparsepath.concepts.bits import Bits, pack_places
from sparsepath.concepts.contrast import Contrasts
from sparsepath.concepts.directions import Directions
from sparsepath.concepts.events import Events, Narrow, events_of, narrow
from sparsepath.concepts.examples import Example, examples
from sparsepath.concepts.firing import ClassFiring
from sparsepath.concepts.judge import LEAST_SCORE, Judgement, judge
from sparsepath.concepts.label import find_rules
from sparsepath.concepts.questions import Part, Questions
from sparsepath.concepts.recorded import Recorded
from sparsepath.concepts.rules import Rule
from sparsepath.concepts.shards import Shards
from sparsepath.concepts.statistics import Statistics, statistics
from sparsepath.concepts.together import NEAR_DUPLICATE, Patterns, Together
from sparsepath.trace.hidden import SitePlace

GROUP, GROUP_EVENTS = 256, 5_000_000
"""Neurons that are labelled together at most, and their firings, 6 bytes each."""


class Text(NamedTuple):
    """All that is asked and known of the text of a recording."""

    recorded: Recorded
    clusters: NDArray[np.uint8]
    """Of meaning, at every position."""
    n_clusters: int
    finding: Part
    """Rows on which labels are found."""
    held_out: Part
    """Rows on which they are judged."""
    questions: Questions


class _Found(NamedTuple):
    """What is found of a neuron before others of its place are known."""

    neuron: Neuron
    statistics: Statistics
    examples: list[Example]
    pattern: NDArray[np.uint16]
    rule: Rule
    contrast: tuple[bytes, bytes, bytes, bytes]
    classes: Counts | None
    """Texts by class and strength, where texts have labels."""


def neurons_of(
    shards: Shards,
    place: SitePlace,
    text: Text,
    effects: Directions | None,
    *,
    is_two_sided: bool = False,
) -> Iterator[NeuronRow]:
    """Describe every neuron of a place.

    Args:
        shards: a finished recording.
        place: one that was recorded.
        text: of the recording.
        effects: on tokens, where they are defined; by entry.
        is_two_sided: whether each sign of an entry is a neuron.
    """
    patterns = Patterns(text.recorded.tokens.size)
    contrasts = Contrasts(text.finding, text.held_out)
    classes = None if text.recorded.labels is None else ClassFiring(text.recorded)
    found: list[_Found] = []
    fired, said = [], []
    events = events_of(shards, place, is_two_sided=is_two_sided)
    for group in _groups(events):
        rules = find_rules(np.stack([_asked(each, text) for each in group]), text.questions)
        for each, rule in zip(group, rules, strict=True):
            one = each.widened()
            own = text.recorded.finding(one)
            facts = statistics(own, text.recorded, text.clusters, text.n_clusters)
            shown = examples(own, text.recorded) if facts.fired else []
            positions = text.held_out.inside(one.positions)
            fired.append(pack_places(positions, text.held_out.n))
            said.append(rule.bits(text.questions, held_out=True))
            tokens = [token.token for token in facts.tokens]
            contrast = contrasts.of(one, positions, tokens, said[-1], seed=place.layer)
            counts = None if classes is None else classes.counts(one)
            pattern = patterns.add(one)
            found.append(_Found(one.neuron, facts, shown, pattern, rule, contrast, counts))
    judged = judge(np.stack(fired), np.stack(said), text.held_out.n)
    together = patterns.together()
    for number, known in enumerate(found):
        others = [(found[other.neuron].neuron.name, other) for other in together[number]]
        said_of = _effects(effects, known.neuron, text.recorded)
        details = _details(known, others, said_of, text.questions)
        if classes is not None and known.classes is not None:
            details = details.model_copy(update={"classes": classes.best(known.classes)})
        yield _row(known, judged[number], details, text.recorded)


def _groups(events: Iterator[Events]) -> Iterator[list[Narrow]]:
    """Take neurons together, as many as memory allows."""
    group: list[Narrow] = []
    n = 0
    for one in events:
        group.append(narrow(one))
        n += len(one.positions)
        if len(group) == GROUP or n >= GROUP_EVENTS:
            yield group
            group.clear()  # the caller still holds the list while the next is filled
            n = 0
    if group:
        yield group


def _asked(events: Narrow, text: Text) -> Bits:
    """Say where a neuron fires in the finding rows."""
    return pack_places(text.finding.inside(events.positions), text.finding.n)


def _row(found: _Found, judged: Judgement, details: Details, text: Recorded) -> NeuronRow:
    """Write down one neuron."""
    facts, rule, sign = found.statistics, found.rule, found.neuron.sign
    is_clear = judged.score is not None and judged.score >= LEAST_SCORE
    label = DEAD if facts.is_dead else rule.phrase if is_clear else NO_CLEAR_MEANING
    return NeuronRow(
        neuron=found.neuron,
        label=label,
        guess=DEAD if facts.is_dead else rule.phrase,
        kind="+".join(dict.fromkeys(part.kind for part in rule.parts)),
        score=judged.score,
        f1=judged.f1,
        control=judged.control,
        held_out=judged.n,
        fired=facts.fired,
        rate=facts.rate,
        mean=sign * facts.mean,
        largest=sign * facts.largest,
        token_entropy=facts.token_entropy,
        semantic_entropy=facts.semantic_entropy,
        is_dead=facts.is_dead,
        is_always_on=facts.is_always_on,
        details=details,
        fires_on=[
            (t.token, _written(text, t.token), t.share, t.precision, t.lift) for t in facts.tokens
        ],
        examples=[
            (e.band, sign * e.value, e.at, e.ids.astype("<u4").tobytes(), _signed(e.values, sign))
            for e in found.examples
        ],
        pattern=found.pattern.astype("<u2").tobytes(),
        contrast=found.contrast,
        classes=b"" if found.classes is None else found.classes.astype("<u4").tobytes(),
    )


def _details(
    found: _Found,
    together: list[tuple[str, Together]],
    effects: tuple[list[tuple[str, float]] | None, list[tuple[str, float]] | None],
    questions: Questions,
) -> Details:
    """Write down what is shown of one neuron only."""
    facts = found.statistics
    ends, bins = facts.bounds, list(facts.histogram)
    is_below = found.neuron.sign < 0
    return Details(
        bounds=(-ends[1], -ends[0]) if is_below else ends,
        histogram=bins[::-1] if is_below else bins,
        promotes=effects[0],
        demotes=effects[1],
        together=[(name, round(other.jaccard, 4)) for name, other in together],
        join=found.rule.join,
        rule=[
            RulePart(
                kind=part.kind,
                phrase=part.phrase,
                values=part.names(questions),
                key=part.key(questions)[0],
                args=list(part.key(questions)[1]),
            )
            for part in found.rule.parts
        ],
        duplicates=[name for name, other in together if other.jaccard >= NEAR_DUPLICATE],
    )


def _effects(
    effects: Directions | None, neuron: Neuron, text: Recorded
) -> tuple[list[tuple[str, float]] | None, list[tuple[str, float]] | None]:
    """Write the tokens that a neuron speaks for and against."""
    if effects is None:
        return None, None
    up, down = effects.promotes[neuron.index], effects.demotes[neuron.index]
    if neuron.sign < 0:
        up, down = down, up
    return (
        [(_written(text, token), round(neuron.sign * value, 4)) for token, value in up],
        [(_written(text, token), round(neuron.sign * value, 4)) for token, value in down],
    )


def _signed(values: NDArray[np.float16], sign: int) -> bytes:
    """Write values with their sign; an entry that is zero has none."""
    return np.where(values == 0, values, sign * values).astype("<f2").tobytes()


def _written(text: Recorded, token: int) -> str:
    """Write one token."""
    return text.pieces[token].decode(errors="replace")
