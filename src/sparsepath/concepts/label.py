"""Find a label for each neuron: the rule that tells best, from the text alone, where it fires.

Every question is scored by balanced accuracy on finding rows: the mean of the share of firings it
covers and of the share of other tokens it leaves out. The best ones of each kind are joined in
pairs, by `and` and by `or`, and a third may be added; a longer label must be better by
`PER_PART` for each part and `PER_VALUE` for each further word of a list.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.bits import Bits, count, unpack
from sparsepath.concepts.questions import Questions
from sparsepath.concepts.rules import Part, Rule

PER_PART, PER_VALUE = 0.015, 0.004
"""Balanced accuracy that a longer label must gain."""

N_VALUES = 12
"""Words or tokens that a label lists at most."""

LEAST_FIRINGS = 2
"""Firings at a word below which it is not listed."""

N_BEST = {"class": 4, "previous": 2, "place": 1, "surroundings": 1, "topic": 3, "label": 2}
"""Features of each kind that are tried together with others."""

WORDS_AT_ONCE = 256
"""64s of positions that are looked at together."""

Floats = NDArray[np.float64]


def find_rules(fired: Bits, questions: Questions) -> list[Rule]:
    """Find the rule of every neuron of a group.

    Args:
        fired: where each fires in the finding rows, [neurons, positions / 64].
        questions: what may be asked.
    """
    n_fired = count(fired)
    both = _both(fired, questions.finding)
    return [
        _find(fired[number], int(n_fired[number]), both[number], questions)
        if n_fired[number]
        else Rule("or", ())
        for number in range(len(fired))
    ]


def _both(fired: Bits, answers: Bits) -> Floats:
    """Count where neurons fire and features hold, [neurons, features]."""
    found = np.zeros((len(fired), len(answers)))
    for start in range(0, fired.shape[1], WORDS_AT_ONCE):
        end = start + WORDS_AT_ONCE
        found += unpack(fired, start, end) @ unpack(answers, start, end).T
    return found


class _Scorer:
    """Balanced accuracy from counts; half a firing is added, which keeps rare neurons modest."""

    def __init__(self, n_fired: int, n: int) -> None:
        self._n_fired, self._n_other = n_fired, n - n_fired

    def __call__(self, n_both: Floats, n_said: Floats) -> Floats:
        covered = (n_both + 0.5) / (self._n_fired + 1)
        wrong = (n_said - n_both + 0.5) / (self._n_other + 1)
        found: Floats = (covered + 1 - wrong) / 2
        return found


def _find(fired: Bits, n_fired: int, both: Floats, questions: Questions) -> Rule:
    """Find the rule of one neuron."""
    score = _Scorer(n_fired, questions.n_finding)
    parts, costs = _pool(fired, both, score, questions)
    answers = np.stack([part.bits(questions, held_out=False) for part in parts])
    said, told = _counts(answers, fired)
    singles = score(told, said) - costs
    best = int(singles.argmax())
    found, value = Rule("or", (parts[best],)), float(singles[best])
    is_head = np.array([part.is_head for part in parts])
    for first in range(len(parts) - 1):
        others = slice(first + 1, None)
        n_said, n_told = _counts(answers[others] & answers[first], fired)
        cost = costs[first] + costs[others] + PER_PART
        either = score(told[first] + told[others] - n_told, said[first] + said[others] - n_said)
        both_hold = score(n_told, n_said)
        # Two answers to what a token is are joined by `or` only.
        both_hold[is_head[first] & is_head[others]] = 0
        for join, values in (("or", either - cost), ("and", both_hold - cost)):
            top = int(values.argmax())
            if values[top] > value:
                pair = (parts[first], parts[first + 1 + top])
                found, value = Rule("or" if join == "or" else "and", pair), float(values[top])
    return _widened(found, fired, list(zip(parts, answers, costs, strict=True)), score)


def _counts(answers: Bits, fired: Bits) -> tuple[Floats, Floats]:
    """Count where answers are yes, and where they are while the neuron fires."""
    return count(answers).astype(float), count(answers & fired).astype(float)


def _widened(
    rule: Rule, fired: Bits, pool: Sequence[tuple[Part, Bits, float]], score: _Scorer
) -> Rule:
    """Add a third part to two, if that is worth it."""
    if len(rule.parts) < 2:
        return rule
    answers = {part: bits for part, bits, _ in pool}
    first, second = (answers[part] for part in rule.parts)
    covers = first & second if rule.join == "and" else first | second
    said, told = _counts(np.stack([bits for _, bits, _ in pool]) | covers, fired)
    gains = score(told, said) - np.array([cost for _, _, cost in pool]) - PER_PART
    top = int(gains.argmax())
    third = pool[top][0]
    said_before, told_before = _counts(covers[None], fired)
    before = score(told_before, said_before)[0]
    is_worth_it = gains[top] > before and third not in rule.parts
    return rule._replace(parts=(*rule.parts, third)) if is_worth_it else rule


def _pool(
    fired: Bits, both: Floats, score: _Scorer, questions: Questions
) -> tuple[list[Part], Floats]:
    """Choose the parts that are tried, with what each costs."""
    # Of parts that say the same the first is taken: words before classes.
    places = np.flatnonzero(np.unpackbits(fired.view(np.uint8)))
    lists = list(_lists(places, score, questions))
    parts, costs = [part for part, _ in lists], [cost for _, cost in lists]
    values = score(both, questions.counts.astype(float))
    taken = dict.fromkeys(N_BEST, 0)
    for number in np.argsort(-values, kind="stable").tolist():
        kind, phrase, is_head, *_ = questions.features[number]
        if taken[kind] < N_BEST[kind]:
            taken[kind] += 1
            parts.append(Part(kind, phrase, is_head, number, None, ()))
            costs.append(0.0)
    return parts, np.array(costs)


def _lists(
    places: NDArray[np.int64], score: _Scorer, questions: Questions
) -> Iterator[tuple[Part, float]]:
    """Give the best list of values of each category."""
    for number, (category, codes, _, counts) in enumerate(questions.categories):
        told = np.bincount(codes.take(places), minlength=category.n).astype(float)
        told[0] = 0  # stands for all others
        gain = score(told, counts.astype(float))
        gain[told < LEAST_FIRINGS] = 0
        order = np.argsort(-gain, kind="stable")[:N_VALUES]
        order = order[gain[order] > 0]
        if not len(order):
            continue
        together = score(np.cumsum(told[order]), np.cumsum(counts[order]).astype(float))
        costs = PER_VALUE * np.arange(len(order))
        n = int((together - costs).argmax()) + 1
        chosen = tuple(order[:n].tolist())
        phrase = category.phrase(list(chosen))
        yield (
            Part(category.kind, phrase, category.is_head, None, number, chosen),
            float(costs[n - 1]),
        )
