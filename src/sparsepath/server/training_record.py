"""What a training's folder tells: its steps made few enough to draw, speed, and the time left."""

import json
import math
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field

from sparsepath.artifacts.training_record import read_record

MAX_POINTS: Final = 600
"""Points of a curve, at most; each is the mean of the steps that it stands for."""

MAX_LINES: Final = 2000
"""Looks at held-out rows and at neurons, at most; the newest ones."""

_SPEED_STEPS: Final = 50


class StepPoint(BaseModel):
    """Some steps on end, and what they had in the mean."""

    step: int = Field(description="The last of them.")
    loss_nats: float
    lr: float
    keep: float = Field(description="Share of the sources that attention kept.")


class SiteLine(BaseModel):
    """What the neurons of a sparse site did since the look before."""

    step: int
    site: str
    k: int
    dead: float = Field(description="Share that never fired.")
    always: float = Field(description="Share that (nearly) always fired.")


class EvaluationLine(BaseModel):
    """A look at rows that weights are not fitted on."""

    step: int
    part: str
    loss_nats: float


class EventLine(BaseModel):
    """Something that happened, such as `resumed`."""

    step: int
    what: str
    time: str | None


class TrainingCurve(BaseModel):
    """A training, ready to draw."""

    steps: list[StepPoint]
    evaluations: list[EvaluationLine]
    neurons: list[SiteLine]
    events: list[EventLine]
    task: str | None
    step: int = Field(description="Steps done.")
    of: int | None = Field(description="Steps in all; null: not known.")
    wall_s: float = Field(description="Over all starts, without pauses.")
    tokens_per_s: float | None = Field(description="Over the last steps.")
    left_s: float | None = Field(description="Seconds that the other steps will take.")


def read_curve(folder: Path) -> TrainingCurve:
    """Read a training's record; empty where there is none yet.

    Args:
        folder: of the run.
    """
    kinds: dict[str, list[dict[str, Any]]] = {}
    for line in read_record(folder):
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            kinds.setdefault(str(line.get("kind")), []).append(line)
    steps = [line for line in kinds.get("step", []) if _is_drawn(line)]
    task, of = _plan(folder)
    step_s, tokens_per_s = _speed(steps[-_SPEED_STEPS:])
    done = steps[-1]["step"] if steps else 0
    return TrainingCurve(
        steps=_fewer(steps),
        evaluations=[
            EvaluationLine(step=line["step"], part=str(line["part"]), loss_nats=line["loss_nats"])
            for line in kinds.get("evaluation", [])[-MAX_LINES:]
            if _is_drawn(line) and "part" in line
        ],
        neurons=_sites(kinds.get("neurons", []))[-MAX_LINES:],
        events=[
            EventLine(step=line["step"], what=str(line.get("what")), time=line.get("time"))
            for line in kinds.get("event", [])[-MAX_LINES:]
        ],
        task=task,
        step=done,
        of=of,
        wall_s=steps[-1].get("wall_s", 0.0) if steps else 0.0,
        tokens_per_s=tokens_per_s,
        left_s=None if of is None or step_s is None else max(0, of - done) * step_s,
    )


def _is_drawn(line: dict[str, Any]) -> bool:
    loss = line.get("loss_nats")
    return isinstance(loss, int | float) and math.isfinite(loss)


def _fewer(steps: list[dict[str, Any]]) -> list[StepPoint]:
    """Take the means of steps on end, so that few points are left."""
    size = max(1, math.ceil(len(steps) / MAX_POINTS))
    parts = [steps[at : at + size] for at in range(0, len(steps), size)]
    return [
        StepPoint(
            step=part[-1]["step"],
            loss_nats=sum(line["loss_nats"] for line in part) / len(part),
            lr=part[-1].get("lr", 0.0),
            keep=part[-1].get("keep", 1.0),
        )
        for part in parts
    ]


def _sites(lines: list[dict[str, Any]]) -> list[SiteLine]:
    return [
        SiteLine(
            step=line["step"], site=name, k=told["k"], dead=told["dead"], always=told["always"]
        )
        for line in lines
        for name, told in line.get("sites", {}).items()
    ]


def _speed(steps: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """Give seconds a step and tokens a second over the last steps."""
    if len(steps) < 2 or "wall_s" not in steps[0]:
        return None, None
    first, last = steps[0], steps[-1]
    wall_s = last["wall_s"] - first["wall_s"]
    if wall_s <= 0:
        return None, None
    tokens = last.get("tokens", 0) - first.get("tokens", 0)
    return wall_s / max(1, last["step"] - first["step"]), tokens / wall_s


def _plan(folder: Path) -> tuple[str | None, int | None]:
    """Give the task and the steps of a training's recipe."""
    try:
        recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        return str(recipe["task"]), int(recipe["train"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
