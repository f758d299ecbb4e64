"""What decides about a rollout by rule: gates with their limits, and prices."""

import tomllib
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from sparsepath.artifacts.base import Artifact
from sparsepath.audit.rollout.model import ModelKind
from sparsepath.errors import ConfigError

WhenFailed = Literal["undo", "ask"]
WhenPassed = Literal["promote", "ask"]

LABELS_ONLY: Final = ("accuracy", "drift")
"""Gates that look at labels, which a language model does not give."""

SHARE: Final = 0.1
"""Share of the requests that the new model answers in the canary stage, unless told otherwise."""


class _Acting(Artifact):
    """What follows from a gate."""

    when_failed: WhenFailed = "undo"
    """`undo` rolls back by itself, `ask` waits for a person."""
    when_passed: WhenPassed = "ask"
    """The next stage begins by itself only if all gates of the rollout say `promote`."""


class Gate(_Acting):
    """A limit that the new model must keep."""

    limit: float = Field(ge=0, allow_inf_nan=False)
    """Its unit and direction depend on the gate."""
    least: int = Field(default=500, ge=1, le=10_000_000)
    """Texts until it decides; of `accuracy`, verdicts of reviewers."""


class ShareGate(Gate):
    """A limit that is a share."""

    limit: float = Field(ge=0, le=1, allow_inf_nan=False)


class AccuracyGate(ShareGate):
    """How much less often than the old model the new one may be right, as a share."""

    least: int = Field(default=50, ge=1, le=10_000_000)


class DriftGate(_Acting):
    """Fails while the new model's answers differ from those of its PoC."""


class Gates(Artifact):
    """Every gate that is set; None: that quantity decides nothing."""

    agreement: ShareGate | None = None
    """Least share of the texts to which both give the same label; of language models, of a text's
    tokens that both hold likeliest, on average. Decides in the shadow stage."""
    accuracy: AccuracyGate | None = None
    latency_p95_ms: Gate | None = None
    """Largest 95th percentile of the new model's time, milliseconds a request; of a language model
    a token."""
    errors: ShareGate | None = None
    """Largest share of the texts in which the new model fails."""
    drift: DriftGate | None = None


class Rules(Artifact):
    """A rollout's options; a TOML file with these keys."""

    share: float = Field(default=SHARE, gt=0, le=1, allow_inf_nan=False)
    """Share of the requests that the new model answers in the canary stage."""
    hold_s: float = Field(default=30.0, ge=0, le=86_400, allow_inf_nan=False)
    """Seconds for which gates must say the same before anything follows."""
    price_per_cpu_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """None: money is not counted."""
    currency: str = Field(default="", max_length=8)
    gates: Gates = Gates()


def check_gates(gates: Gates, kind: ModelKind) -> None:
    """See that every gate that is set means something for a kind of model.

    Raises:
        ConfigError: if one does not.
    """
    unfit = [name for name in LABELS_ONLY if getattr(gates, name) is not None]
    if kind == "language-model" and unfit:
        fit = [name for name in Gates.model_fields if name not in LABELS_ONLY]
        raise ConfigError(
            f"the gate {unfit[0]} looks at labels, which a language model does not give",
            hint=f"leave it out; gates of language models: {', '.join(fit)}",
        )


def read_rules(path: Path) -> Rules:
    """Read a TOML file.

    Raises:
        ConfigError: if it cannot be read, or a key or value is none of ours.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise ConfigError(
            f"{path} cannot be read: {err}", hint="give a TOML file such as docs/how-to/roll-out.md"
        ) from err
    try:
        return Rules.model_validate(content)
    except ValidationError as err:
        fault = err.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(
            f"{path}: {where}: {fault['msg']}",
            hint="keys: share, hold_s, price_per_cpu_hour, currency, and gates.NAME with limit, "
            f"least, when_failed, when_passed; NAME is one of {', '.join(Gates.model_fields)}",
        ) from err
