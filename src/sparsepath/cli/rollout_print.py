"""The rollout as text and as plain values."""

from typing import Any

from sparsepath.audit.rollout.gates import GateState
from sparsepath.audit.rollout.status import Measured, ModelFigures, StageFigures, Status

NOT_MEASURED = "not measured"


def as_plain(found: Status) -> dict[str, Any]:
    """Give what JSON can hold."""
    return found.rollout.told() | {
        "stages": {stage: figures.model_dump() for stage, figures in found.stages.items()},
        "servers": [one.model_dump() for one in found.servers],
        "gates": [state._asdict() for state in found.gates],
    }


def lines(found: Status) -> list[str]:
    """Lay a rollout out as lines."""
    rollout = found.rollout
    share = f", {rollout.share:.3g} of the requests" if rollout.stage == "canary" else ""
    told = [
        f"rollout {rollout.id}: {rollout.old.name} ({rollout.old.precision}) to "
        f"{rollout.new.name} ({rollout.new.precision})",
        f"stage: {rollout.stage}{share}, since {rollout.changed} by {rollout.by}",
    ]
    if rollout.asked is not None:
        told.append(f"gates ask to {rollout.asked.action}: {rollout.asked.why}")
    told += [f"gate {_gate(state)}" for state in found.gates]
    for server in found.servers:
        state = (server.note or "follows") if server.is_live else "gone"
        told.append(f"server {server.id}: {state}, seen {server.seen}")
    for stage, figures in found.stages.items():
        writes = rollout.new.kind == "language-model"
        told += ["", f"in {stage}", *_stage(figures, rollout.rules.currency, writes=writes)]
    return told


def _gate(state: GateState) -> str:
    """Write one gate."""
    limit = "" if state.limit is None else f", limit {state.limit:g}"
    value = "" if state.value is None else f", now {state.value:.4g}"
    return f"{state.gate}: {state.verdict} ({state.n} of at least {state.least}{value}{limit})"


def _stage(figures: StageFigures, currency: str, *, writes: bool) -> list[str]:
    """Write what was measured in a stage as a table; of language models by the token."""
    rows = [("", "old", "new")]
    tell = _writer if writes else _model
    old, new = tell(figures.old, currency), tell(figures.new, currency)
    rows += [(name, old[name], new[name]) for name in old]
    told = [f"  {name:<22}{first:>18}{second:>18}".rstrip() for name, first, second in rows]
    if writes:
        mean = _share(figures.agreement, " texts, on average")
        told.append(f"  same likeliest token: {mean}; {figures.dropped} texts dropped")
        return told
    told.append(f"  agreement: {_share(figures.agreement)}; {figures.dropped} texts dropped")
    told.append(f"  right less often than the old one: {_share(figures.accuracy_loss)}")
    return told


def _model(figures: ModelFigures, currency: str) -> dict[str, str]:
    return {
        "texts": f"{figures.texts}",
        "errors": f"{figures.errors}",
        "latency p50": _number(figures.latency_ms_p50, "ms"),
        "latency p95": _number(figures.latency_ms_p95, "ms"),
        "CPU": f"{figures.cpu_s:.3g} s",
        "CPU per text": _number(figures.cpu_ms_per_text, "ms"),
        "energy": _number(figures.joules, "J"),
        "memory": _number(
            None if figures.memory_bytes is None else figures.memory_bytes / 1e6, "MB"
        ),
        "money": _number(figures.money, currency),
        "money per 1000 texts": _number(figures.money_per_1000_texts, currency),
    }


def _writer(figures: ModelFigures, currency: str) -> dict[str, str]:
    told = _model(figures, currency)
    for name in ("latency p50", "latency p95", "CPU per text", "money per 1000 texts"):
        del told[name]
    return told | {
        "tokens": f"{figures.tokens}",
        "time of a token, p50": _number(figures.latency_ms_p50, "ms"),
        "time of a token, p95": _number(figures.latency_ms_p95, "ms"),
        "CPU per token": _number(figures.cpu_ms_per_token, "ms"),
        "money per 1000 tokens": _number(figures.money_per_1000_tokens, currency),
    }


def _number(value: float | None, unit: str) -> str:
    return NOT_MEASURED if value is None else f"{value:.3g} {unit}".rstrip()


def _share(found: Measured | None, what: str = "") -> str:
    if found is None:
        return NOT_MEASURED
    low, high = found.ci95
    return f"{found.value:.2%} of {found.n}{what} (95 %: {low:.2%} to {high:.2%})"
