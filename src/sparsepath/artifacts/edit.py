"""What an edit is: an entry of a hidden state becomes `factor * x + shift`, at some positions.

Setting, scaling, adding and suppressing are all of that form, so every place that applies edits
(`trace/edits.py` for numpy and torch, `kernels/native/decode.c`) knows this one sum. An edit
applies after the TopK of its site: an edited neuron is there even where TopK dropped it.

Read with: `edit_text.py` (how edits are written), `steering.py` (presets).
"""

import math
import re
from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from pydantic import field_validator, model_validator

from sparsepath.artifacts.base import Artifact
from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import ConfigError

Operation = Literal["set", "scale", "add", "suppress"]
"""What is done to a neuron's value."""

KINDS = ("all", "prompt", "answer", "last")
"""Positions by name: of every token, of the prompt's, of those written after it, of the prompt's
last one."""

END = 2**62
"""A position after all others."""

_SLICE = re.compile(r"(\d{0,9}):(\d{0,9})")


class Condition(Artifact):
    """When an edit applies: another neuron is above a value, or a token was just read."""

    neuron: str | None = None
    """Name of a neuron that is computed no later than the edited one, at the same position."""
    above: float = 0.0
    """Its value, after TopK and before the edits of its site, must be larger; 0: it fires."""
    after: tuple[int, ...] = ()
    """Ids of tokens, one of which must be the token at the position."""

    @model_validator(mode="after")
    def _check(self) -> "Condition":
        """See that there is exactly one condition.

        Raises:
            ConfigError: if there is none or more than one, or a number is not finite.
        """
        if (self.neuron is None) == (not self.after):
            raise ConfigError(
                "a condition names a neuron or tokens, not both and not neither",
                hint="write one of them: `if L01/5 fires`, `if after the`",
            )
        if self.neuron is not None:
            _entry(self.neuron)
        if not math.isfinite(self.above):
            raise ConfigError(f"above = {self.above}", hint="give a finite number")
        return self

    def __str__(self) -> str:
        """Write it as it is read."""
        if self.neuron is None:
            return "after " + "|".join(f"#{token}" for token in self.after)
        return f"{self.neuron} fires" if self.above == 0 else f"{self.neuron}>{self.above:g}"


def _entry(name: str) -> Neuron:
    """Read the name of a neuron that is edited or watched.

    Raises:
        ConfigError: if it is none, or one sign of an entry.
    """
    neuron = Neuron.parse(name)
    if neuron.side:
        raise ConfigError(
            f"{neuron.name} is one sign of an entry, and edits are of entries",
            hint=f"write {neuron.entry.name}; values below zero are those of {neuron.entry.name}-",
        )
    return neuron


def on_entry(neuron: Neuron, operation: "Operation", value: float) -> tuple[str, float]:
    """Give the entry that an edit of a neuron changes, and the value there.

    Of `L02/117-` a strength of 8 is a value of -8 of entry `L02/117`. Scaling and suppressing
    change an entry with both its signs.

    Args:
        neuron: an entry, or one sign of it.
        operation: what happens to it.
        value: as of an `Edit`.
    """
    is_turned = operation in ("set", "add")
    return neuron.entry.name, neuron.sign * value if is_turned else value


class Edit(Artifact):
    """One neuron, what happens to it, where in a text, and when."""

    neuron: str
    """Name, such as `L02/117`."""
    operation: Operation
    value: float = 0.0
    """What it is set to, its factor, or what is added; 0 where it is suppressed."""
    positions: str = "all"
    """`all`, `prompt`, `answer`, `last`, or a slice such as `3:10`; positions count from 0."""
    only_if: Condition | None = None
    """None: always."""

    @field_validator("neuron")
    @classmethod
    def _known(cls, name: str) -> str:
        """Write the name as all names are written; raises as `_entry`."""
        return _entry(name).name

    @model_validator(mode="after")
    def _check(self) -> "Edit":
        """Check numbers, positions and what is known when the edit applies.

        Raises:
            ConfigError: if something is out of range.
        """
        if not math.isfinite(self.value):
            raise ConfigError(f"{self.neuron}: value {self.value}", hint="give a finite number")
        if self.operation == "suppress" and self.value != 0:
            raise ConfigError(
                f"{self.neuron} is suppressed with the value {self.value:g}",
                hint="a suppressed neuron is 0; use set for another value",
            )
        self.reach(1)
        watched = self.only_if.neuron if self.only_if else None
        if watched is not None and Neuron.parse(watched).order > self.place.order:
            raise ConfigError(
                f"{self.neuron} is to change while {watched} is large, which is computed after it",
                hint="name a neuron of an earlier layer or site in the condition",
            )
        return self

    @property
    def place(self) -> Neuron:
        """The neuron."""
        return Neuron.parse(self.neuron)

    @property
    def factor(self) -> float:
        """What the old value is multiplied by."""
        return {"set": 0.0, "suppress": 0.0, "scale": self.value, "add": 1.0}[self.operation]

    @property
    def shift(self) -> float:
        """What is added then."""
        return self.value if self.operation in ("set", "add") else 0.0

    def reach(self, n_prompt: int) -> tuple[int, int]:
        """Give the first position of the edit, and the one after its last.

        Args:
            n_prompt: tokens of the prompt.

        Raises:
            ConfigError: if `positions` says nothing known.
        """
        return reach(self.positions, n_prompt)

    def __str__(self) -> str:
        """Write it as `edit_text.parse_edit` reads it."""
        sign = {"set": "=", "suppress": "=", "scale": "*", "add": "+"}[self.operation]
        value = "off" if self.operation == "suppress" else f"{self.value:.12g}"
        if self.operation == "add" and self.value < 0:
            sign = ""
        where = "" if self.positions == "all" else f"@{self.positions}"
        return f"{self.neuron}{sign}{value}{where}" + (f" if {self.only_if}" * bool(self.only_if))


class Reach(NamedTuple):
    """Positions from `first` on, before `stop`."""

    first: int
    stop: int


def reach(positions: str, n_prompt: int) -> Reach:
    """Give the positions that a name or slice means.

    Args:
        positions: one of `KINDS`, or a slice.
        n_prompt: tokens of the prompt.

    Raises:
        ConfigError: if it is neither, or an empty slice.
    """
    if positions in KINDS:
        first = {"answer": n_prompt, "last": max(n_prompt - 1, 0)}.get(positions, 0)
        return Reach(first, n_prompt if positions in ("prompt", "last") else END)
    found = _SLICE.fullmatch(positions)
    first, stop = (int(found[1] or 0), int(found[2] or END)) if found else (0, 0)
    if first >= stop:
        raise ConfigError(
            f"positions {positions!r}",
            hint=f"write one of {', '.join(KINDS)}, or a slice such as 3:10 or 5:, which counts "
            "tokens from 0",
        )
    return Reach(first, stop)


def check_contradictions(edits: Sequence[Edit]) -> None:
    """See that no neuron is changed twice at one position.

    Raises:
        ConfigError: if two edits of one neuron may meet; both are named.
    """
    for one, other in combinations(edits, 2):
        if one.neuron == other.neuron and may_meet(one, other):
            raise ConfigError(
                f"two edits of one neuron: {one} and {other}",
                hint="leave one out, or give them positions that do not overlap, such as @prompt "
                "and @answer",
            )


def check_reading(edits: Sequence[Edit]) -> None:
    """See that edits are for a model that reads and writes nothing, such as a classifier.

    Raises:
        ConfigError: if one is for what is written.
    """
    for edit in edits:
        if edit.positions in ("answer", "last"):
            raise ConfigError(
                f"{edit}: a classifier writes no answer after a prompt",
                hint="leave the positions out, or give a slice such as @0:1 (its first token)",
            )


def may_meet(one: Edit, other: Edit) -> bool:
    """Say whether some prompt has a position of both; conditions may hold at once."""
    names = {one.positions, other.positions}
    sizes = [1, 2, *(edit.reach(1)[0] + 1 for edit in (one, other)), END // 2]
    if names <= set(KINDS):
        sizes = [2]
    reaches = ((reach(one.positions, n), reach(other.positions, n)) for n in sizes)
    return any(max(a.first, b.first) < min(a.stop, b.stop) for a, b in reaches)
