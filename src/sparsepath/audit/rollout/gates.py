"""What counts and verdicts decide, gate by gate.

A gate looks at an interval, not at a number: it has passed when the whole 99.9 % interval keeps the
limit, failed when the whole of it does not, and waits otherwise. So a model that is just at its
limit goes neither way by chance, and gates can be looked at all the time. That p95 keeps its limit
means that at most one request in twenty takes longer.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from sparsepath.artifacts.base import Interval
from sparsepath.artifacts.shares import difference, paired_difference, wilson
from sparsepath.audit.rollout.reviewed import Reviewed
from sparsepath.audit.rollout.rules import AccuracyGate, Gate, Gates, WhenFailed, WhenPassed
from sparsepath.audit.rollout.state import Stage
from sparsepath.audit.rollout.tally import Tally

Z_GATE: Final = 3.290527
"""Two-sided 99.9 % quantile of the normal distribution."""

SLOW_SHARE: Final = 0.05
"""Share of the requests above the 95th percentile."""

Verdict = Literal["passed", "failed", "waiting"]
Action = Literal["promote", "roll-back", "ask to promote", "ask to roll back"]


class GateState(NamedTuple):
    """Where a gate stands."""

    gate: str
    verdict: Verdict
    n: int
    """What was counted: texts, requests or verdicts."""
    least: int
    value: float | None
    """In the unit of the limit; None: nothing was counted."""
    interval: Interval | None
    """99.9 %; of `latency_p95_ms`, of the share of requests above the limit."""
    limit: float | None
    when_failed: WhenFailed
    when_passed: WhenPassed


class Decision(NamedTuple):
    """What follows from all gates."""

    action: Action | None
    why: str
    """Names the gates."""


def judge(
    gates: Gates, stage: Stage, tally: Tally, reviewed: Reviewed, drifts: bool | None
) -> list[GateState]:
    """Look at every gate that decides in a stage.

    Args:
        gates: those that are set.
        stage: of the rollout.
        tally: what all servers counted in it.
        reviewed: what verdicts say in it.
        drifts: whether the new model's answers drift; None: not known yet.
    """
    found: list[GateState] = []
    if gates.agreement is not None and stage == "shadow":
        found.append(_share("agreement", gates.agreement, tally.agreed, tally.compared, at=1))
    if gates.accuracy is not None:
        found.append(_accuracy(gates.accuracy, reviewed))
    new = tally.new
    if gates.latency_p95_ms is not None:
        gate = gates.latency_p95_ms
        state = _share("latency_p95_ms", gate, new.slow, new.requests, at=-1, limit=SLOW_SHARE)
        found.append(state._replace(value=new.quantile_ms(0.95)))
    if gates.errors is not None:
        n = new.texts + new.errors
        found.append(_share("errors", gates.errors, new.errors, n, at=-1))
    if gates.drift is not None:
        verdict: Verdict = "waiting" if drifts is None else "failed" if drifts else "passed"
        acts = gates.drift.when_failed, gates.drift.when_passed
        n = int(drifts is not None)
        found.append(GateState("drift", verdict, n, 1, None, None, None, *acts))
    return found


def decide(states: Sequence[GateState], stage: Stage) -> Decision:
    """Say what follows: one failed gate undoes or asks, all passed gates promote or ask."""
    failed = [state for state in states if state.verdict == "failed"]
    undoing = [state for state in failed if state.when_failed == "undo"]
    if undoing:
        return Decision("roll-back", _why("failed", undoing))
    if failed:
        return Decision("ask to roll back", _why("failed", failed))
    if not states or stage == "full" or any(state.verdict != "passed" for state in states):
        return Decision(None, "")
    if all(state.when_passed == "promote" for state in states):
        return Decision("promote", _why("passed", states))
    return Decision("ask to promote", _why("passed", states))


def _why(what: str, states: Sequence[GateState]) -> str:
    return f"{what}: {', '.join(state.gate for state in states)}"


def _share(
    name: str,
    gate: Gate,
    count: int | float,
    n: int,
    *,
    at: Literal[1, -1],
    limit: float | None = None,
) -> GateState:
    """Judge a share that must be at least (1) or at most (-1) its limit."""
    bound = gate.limit if limit is None else limit
    verdict: Verdict = "waiting"
    interval = wilson(count, n, Z_GATE) if n else None
    if interval is not None and n >= gate.least:
        low, high = interval
        keeps = low >= bound if at == 1 else high <= bound
        breaks = high < bound if at == 1 else low > bound
        verdict = "passed" if keeps else "failed" if breaks else "waiting"
    value = count / n if n else None
    acts = gate.when_failed, gate.when_passed
    return GateState(name, verdict, n, gate.least, value, interval, gate.limit, *acts)


def _accuracy(gate: AccuracyGate, reviewed: Reviewed) -> GateState:
    """Judge by how much less often the new model is right: pairs where there are any."""
    interval: Interval | None = None
    value: float | None = None
    if reviewed.pairs:
        n = reviewed.pairs
        value = (reviewed.only_old - reviewed.only_new) / n
        interval = paired_difference(reviewed.only_old, reviewed.only_new, n, Z_GATE)
    else:
        (old, n_old), (new, n_new) = reviewed.old, reviewed.new
        n = min(n_old, n_new)
        if n:
            value = old / n_old - new / n_new
            interval = difference((old, n_old), (new, n_new), Z_GATE)
    verdict: Verdict = "waiting"
    if interval is not None and n >= gate.least:
        keeps, breaks = interval[1] <= gate.limit, interval[0] > gate.limit
        verdict = "passed" if keeps else "failed" if breaks else "waiting"
    acts = gate.when_failed, gate.when_passed
    return GateState("accuracy", verdict, n, gate.least, value, interval, gate.limit, *acts)
