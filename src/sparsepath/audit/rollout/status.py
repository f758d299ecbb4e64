"""Quality and cost of both models in each stage, and where the gates stand."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sparsepath.artifacts.base import Artifact, Interval
from sparsepath.artifacts.shares import difference, paired_difference, wilson
from sparsepath.audit.clock import written
from sparsepath.audit.database import Database
from sparsepath.audit.drift.monitor import drift_states
from sparsepath.audit.rollout.gates import Decision, GateState, decide, judge
from sparsepath.audit.rollout.reviewed import Reviewed, reviewed_in
from sparsepath.audit.rollout.rules import Rules
from sparsepath.audit.rollout.state import Rollout, Stage, current_in
from sparsepath.audit.rollout.tally import ModelTally, ServerTally, Tally, load_in, total

LIVE_S: Final = 15.0
"""Seconds after which a server that says nothing counts as gone."""


class Measured(Artifact):
    """A share with its interval."""

    n: int
    value: float
    ci95: Interval


class ModelFigures(Artifact):
    """What one model did in a stage; None: not measured."""

    requests: int
    texts: int
    errors: int
    """Texts in which it failed."""
    error_rate: Measured | None
    latency_ms_p50: float | None
    """Of a request, of a language model a token; in the shadow stage the new model's own time,
    without the queue."""
    latency_ms_p95: float | None
    cpu_s: float
    cpu_ms_per_text: float | None
    tokens: int
    """Of a language model: written, or compared in the shadow stage."""
    cpu_ms_per_token: float | None
    """Of a language model, its prompts included."""
    joules: float | None
    """Energy; None: this machine does not tell it."""
    memory_bytes: int | None
    """Old model: the server's process. New one: its own process in the shadow stage, afterwards
    what loading it added to the server."""
    money: float | None
    """None: no price was given."""
    money_per_1000_texts: float | None
    money_per_1000_tokens: float | None


class StageFigures(Artifact):
    """What was measured in a stage, over all servers."""

    old: ModelFigures
    new: ModelFigures
    agreement: Measured | None
    """Share of the texts to which both gave the same label, with its Wilson interval; of language
    models the mean share of a text's tokens that both hold likeliest, each text counted once."""
    dropped: int
    """Texts that the new model was not asked about, because too many waited."""
    accuracy_loss: Measured | None
    """Share right of the old model minus that of the new one, by what reviewers said."""


class ServerFigures(Artifact):
    """A server that takes part."""

    id: str
    seen: str
    """UTC."""
    is_live: bool
    note: str | None
    """Why it does not follow; None: it does."""


class Status(NamedTuple):
    """A rollout as it is now, and what is known of it."""

    rollout: Rollout
    stages: dict[Stage, StageFigures]
    servers: list[ServerFigures]
    """Those that counted in this stage."""
    gates: list[GateState]
    decision: Decision
    """What the gates say now; it must hold for a while before it is done."""


def status(database: Database) -> Status | None:
    """Say how the newest rollout stands; None where there was none.

    Raises:
        RunError: if the database cannot be read.
    """
    with database.reading() as connection:
        rollout = current_in(connection)
        if rollout is None:
            return None
        tallies = load_in(connection, rollout.id)
        reviewed = reviewed_in(connection, rollout)
    stages = {
        stage: _figures(total([one.tally for one in servers]), _for(reviewed, stage), rollout.rules)
        for stage, servers in tallies.items()
    }
    here = tallies.get(rollout.stage, [])
    states: list[GateState] = []
    if rollout.stage != "rolled-back":
        states = judge(
            rollout.rules.gates,
            rollout.stage,
            total([one.tally for one in here]),
            _for(reviewed, rollout.stage),
            _drifts(database, rollout),
        )
    decision = decide(states, rollout.stage)
    return Status(rollout, stages, _servers(here), states, decision)


def _for(reviewed: dict[Stage, Reviewed], stage: Stage) -> Reviewed:
    """Give what verdicts say in a stage; those of canary and full stand together."""
    return reviewed.get("shadow" if stage == "shadow" else "canary", Reviewed())


def _drifts(database: Database, rollout: Rollout) -> bool | None:
    """Say whether the new model drifts; None while no window since the start is full."""
    found = drift_states(database).get(rollout.new.key)
    if found is None or found.windows == 0 or found.first_seq < rollout.first_seq:
        return None
    return found.is_alarm


def _servers(tallies: list[ServerTally]) -> list[ServerFigures]:
    oldest = written(datetime.now(UTC) - timedelta(seconds=LIVE_S))
    return [
        ServerFigures(id=one.server, seen=one.time, is_live=one.time > oldest, note=one.tally.note)
        for one in tallies
    ]


def _figures(tally: Tally, reviewed: Reviewed, rules: Rules) -> StageFigures:
    return StageFigures(
        old=_model(tally.old, rules),
        new=_model(tally.new, rules),
        agreement=_measured(tally.agreed, tally.compared),
        dropped=tally.dropped,
        accuracy_loss=_loss(reviewed),
    )


def _measured(count: int | float, n: int) -> Measured | None:
    return Measured(n=n, value=count / n, ci95=wilson(count, n)) if n else None


def _loss(reviewed: Reviewed) -> Measured | None:
    if reviewed.pairs:
        n, only_old, only_new = reviewed.pairs, reviewed.only_old, reviewed.only_new
        interval = paired_difference(only_old, only_new, n)
        return Measured(n=n, value=(only_old - only_new) / n, ci95=interval)
    (old, n_old), (new, n_new) = reviewed.old, reviewed.new
    if not n_old or not n_new:
        return None
    interval = difference((old, n_old), (new, n_new))
    return Measured(n=min(n_old, n_new), value=old / n_old - new / n_new, ci95=interval)


def _model(tally: ModelTally, rules: Rules) -> ModelFigures:
    price = rules.price_per_cpu_hour
    money = None if price is None else tally.cpu_s / 3600 * price
    n, n_tokens = tally.texts, tally.tokens
    return ModelFigures(
        requests=tally.requests,
        texts=n,
        errors=tally.errors,
        error_rate=_measured(tally.errors, n + tally.errors),
        latency_ms_p50=tally.quantile_ms(0.5),
        latency_ms_p95=tally.quantile_ms(0.95),
        cpu_s=tally.cpu_s,
        cpu_ms_per_text=1000 * tally.cpu_s / n if n else None,
        tokens=n_tokens,
        cpu_ms_per_token=1000 * tally.cpu_s / n_tokens if n_tokens else None,
        joules=tally.joules,
        memory_bytes=tally.memory_bytes,
        money=money,
        money_per_1000_texts=None if money is None or not n else 1000 * money / n,
        money_per_1000_tokens=None if money is None or not n_tokens else 1000 * money / n_tokens,
    )
