"""How often each model was right, where a person looked at a decision.

Verdicts are records `review.verdict` with the number of the decision and the right label; where
there are none, nothing is known.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, select, text

from sparsepath.audit.rollout.model import model_key
from sparsepath.audit.rollout.state import Rollout, Stage
from sparsepath.audit.tables import RECORDS, SHADOW_ANSWERS

_AT_ONCE: Final = 500
"""Numbers that one query names."""


class Reviewed(NamedTuple):
    """What verdicts say."""

    pairs: int = 0
    """Decisions of the shadow stage with a verdict: both models answered them."""
    only_old: int = 0
    """Of these, those in which only the old model was right."""
    only_new: int = 0
    both: int = 0
    old: tuple[int, int] = (0, 0)
    """Right and all decisions of the old model with a verdict, in canary and full stage."""
    new: tuple[int, int] = (0, 0)


def reviewed_in(connection: Connection, rollout: Rollout) -> dict[Stage, Reviewed]:
    """Compare decisions since a rollout began with their newest verdicts.

    Returns:
        For the stages in which there were any: pairs under `shadow`, the rest under `canary`.
    """
    verdicts = _verdicts(connection, rollout.first_seq)
    pairs = _shadow(connection, rollout.id, verdicts)
    rest = {seq: label for seq, label in verdicts.items() if seq not in pairs}
    made: dict[Stage, Reviewed] = {}
    if pairs:
        rights = [(old == verdicts[seq], new == verdicts[seq]) for seq, (old, new) in pairs.items()]
        made["shadow"] = Reviewed(
            pairs=len(rights),
            only_old=rights.count((True, False)),
            only_new=rights.count((False, True)),
            both=rights.count((True, True)),
        )
    counts = _alone(connection, rollout, rest)
    if counts[0][1] or counts[1][1]:
        made["canary"] = Reviewed(old=counts[0], new=counts[1])
    return made


def _verdicts(connection: Connection, first: int) -> dict[int, str]:
    """Give the newest label by number of the decision; what cannot be read is left out."""
    # The kind is written out, since only so the index of verdicts is used.
    query = select(RECORDS.c.body).where(text("kind = 'review.verdict'"), RECORDS.c.seq >= first)
    found: dict[int, str] = {}
    for (body,) in connection.execute(query.order_by(RECORDS.c.seq)):
        facts = json.loads(body)
        decision, label = facts.get("decision"), facts.get("label")
        if isinstance(decision, int) and decision >= first and isinstance(label, str):
            found[decision] = label
    return found


def _shadow(
    connection: Connection, rollout: int, verdicts: Iterable[int]
) -> dict[int, tuple[str, str]]:
    """Give both labels of those decisions that the new model also answered."""
    found: dict[int, tuple[str, str]] = {}
    table = SHADOW_ANSWERS.c
    for numbers in _some(verdicts):
        query = select(table.seq, table.old, table.new).where(
            table.seq.in_(numbers), table.rollout == rollout
        )
        found |= {seq: (old, new) for seq, old, new in connection.execute(query)}
    return found


def _alone(
    connection: Connection, rollout: Rollout, verdicts: Mapping[int, str]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Count right and all decisions of the old model, and of the new one."""
    counts = {rollout.old.key: [0, 0], rollout.new.key: [0, 0]}
    for numbers in _some(verdicts):
        query = select(RECORDS.c.seq, RECORDS.c.body).where(
            RECORDS.c.seq.in_(numbers), RECORDS.c.kind == "decision"
        )
        for seq, body in connection.execute(query):
            facts = json.loads(body)
            key = model_key(facts["model"]["sha256"], facts["model"]["precision"])
            if key in counts:
                counts[key][0] += facts["label"] == verdicts[seq]
                counts[key][1] += 1
    old, new = counts[rollout.old.key], counts[rollout.new.key]
    return (old[0], old[1]), (new[0], new[1])


def _some(numbers: Iterable[int]) -> Iterable[list[int]]:
    """Give numbers in lists that one query can name."""
    rest = list(numbers)
    return (rest[i : i + _AT_ONCE] for i in range(0, len(rest), _AT_ONCE))
