"""What servers count of both models in a stage, and where they put it for each other.

Each server replaces its own row about once a second; the sum over servers is what gates decide on.
A server that is killed loses what it counted since.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from math import fsum
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, insert, select

from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.rollout.state import Stage
from sparsepath.audit.tables import SHADOW_ANSWERS, TALLIES

ENDS_MS: Final = tuple(0.1 * 1.25**i for i in range(60))
"""Upper ends of the classes of times, 0.1 ms to about 52 s."""


@dataclass(kw_only=True, slots=True)
class ModelTally:
    """What one model did."""

    requests: int = 0
    """Answered, and timed."""
    texts: int = 0
    """Answered."""
    tokens: int = 0
    """Written, or, of the new model in the shadow stage, compared; 0 of classifiers."""
    errors: int = 0
    """Texts in which it failed."""
    slow: int = 0
    """Requests that took longer than the gate allows."""
    times: list[int] = field(default_factory=lambda: [0] * (len(ENDS_MS) + 1))
    """Requests by class of `ENDS_MS`; of language models by the time of a token."""
    cpu_s: float = 0.0
    """CPU seconds of the engine."""
    joules: float | None = None
    """Energy of the processor, by share of its CPU seconds; None: not measured."""
    memory_bytes: int | None = None
    """Of one server; None: not measured."""

    def add_request(
        self, n_texts: int, ms: float, limit_ms: float | None, n_tokens: int = 0
    ) -> None:
        """Count an answered request, with its time, of a language model a token."""
        self.requests += 1
        self.texts += n_texts
        self.tokens += n_tokens
        self.times[bisect_left(ENDS_MS, ms)] += 1
        self.slow += limit_ms is not None and ms > limit_ms

    def quantile_ms(self, share: float) -> float | None:
        """Give the time that a share of the requests stays below, to a quarter; None without any.

        Args:
            share: 0 to 1.
        """
        if not self.requests:
            return None
        reached = [*accumulate(self.times)]
        place = bisect_left(reached, share * self.requests)
        below = reached[place - 1] if place else 0
        low = ENDS_MS[place - 1] if place else 0.0
        high = ENDS_MS[min(place, len(ENDS_MS) - 1)]
        inside = (share * self.requests - below) / max(1, self.times[place])
        return low + (high - low) * inside


@dataclass(kw_only=True, slots=True)
class Tally:
    """What both models did in a stage."""

    old: ModelTally = field(default_factory=ModelTally)
    new: ModelTally = field(default_factory=ModelTally)
    compared: int = 0
    """Texts that both answered."""
    agreed: int | float = 0
    """Texts to which both gave the same label; of language models each text counts by its share of
    tokens that both hold likeliest."""
    dropped: int = 0
    """Texts that the new model was not asked about, because too many waited."""
    note: str | None = None
    """Why this server does not follow the rollout; None: it does."""


class ServerTally(NamedTuple):
    """What a server counted."""

    server: str
    time: str
    """When it said so last, UTC."""
    tally: Tally


class ShadowAnswer(NamedTuple):
    """What the new model said about a decision of the old one."""

    seq: int
    """Of the decision's record."""
    old: str
    """Label."""
    new: str
    probability: float
    entropy: float


_TALLY: Final = TypeAdapter(Tally)


def save(
    database: Database,
    rollout: int,
    stage: Stage,
    server: str,
    tally: Tally,
    answers: Sequence[ShadowAnswer] = (),
) -> None:
    """Replace what a server counted in a stage, and keep what the new model said since.

    Raises:
        RunError: if the database cannot be written to.
    """
    row: dict[str, Any] = {"rollout": rollout, "stage": stage, "server": server, "time": now()}
    row["body"] = _TALLY.dump_json(tally).decode()
    own = TALLIES.c.rollout == rollout, TALLIES.c.stage == stage, TALLIES.c.server == server
    with database.writing() as connection:
        connection.execute(delete(TALLIES).where(*own))
        connection.execute(insert(TALLIES), [row])
        if answers:
            rows = [{"rollout": rollout, **answer._asdict()} for answer in answers]
            connection.execute(insert(SHADOW_ANSWERS), rows)


def load_in(connection: Connection, rollout: int) -> dict[Stage, list[ServerTally]]:
    """Give what each server counted, by stage."""
    columns = TALLIES.c.stage, TALLIES.c.server, TALLIES.c.time, TALLIES.c.body
    query = select(*columns).where(TALLIES.c.rollout == rollout).order_by(TALLIES.c.server)
    found: dict[Stage, list[ServerTally]] = {}
    for stage, server, time, body in connection.execute(query):
        one = ServerTally(server, time, _TALLY.validate_json(body))
        found.setdefault(stage, []).append(one)
    return found


def total(tallies: Sequence[Tally]) -> Tally:
    """Add up what servers counted; memory is the largest, energy None unless all measured it."""
    made = Tally()
    made.old = _sum([one.old for one in tallies])
    made.new = _sum([one.new for one in tallies])
    made.compared = sum(one.compared for one in tallies)
    made.agreed = sum(one.agreed for one in tallies)
    made.dropped = sum(one.dropped for one in tallies)
    return made


def _sum(tallies: Sequence[ModelTally]) -> ModelTally:
    joules = [one.joules for one in tallies]
    measured = [j for j in joules if j is not None]
    memory = [one.memory_bytes for one in tallies if one.memory_bytes is not None]
    return ModelTally(
        requests=sum(one.requests for one in tallies),
        texts=sum(one.texts for one in tallies),
        tokens=sum(one.tokens for one in tallies),
        errors=sum(one.errors for one in tallies),
        slow=sum(one.slow for one in tallies),
        times=[sum(column) for column in zip(*(one.times for one in tallies), strict=True)]
        or [0] * (len(ENDS_MS) + 1),
        cpu_s=fsum(one.cpu_s for one in tallies),
        joules=fsum(measured) if measured and len(measured) == len(joules) else None,
        memory_bytes=max(memory, default=None),
    )


def as_dict(tally: Tally) -> dict[str, Any]:
    """Give a copy as plain values."""
    return asdict(tally)
