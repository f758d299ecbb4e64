"""Which models a server needs, from the rollouts of its database and the model it was started with.

A server takes part in a rollout if the model that it would answer with is the old or the new one.
So it comes to the same whether it was started with the old folder or, later, with the new one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sparsepath.audit.rollout.model import ModelRef
from sparsepath.audit.rollout.state import Rollout


class Arrangement(NamedTuple):
    """What a server should do."""

    rollout: Rollout | None
    """The newest one, if the server takes part in it."""
    base: str
    """Key of the model that answers where no rollout says otherwise."""
    known: dict[str, ModelRef]
    """Models that rollouts name, by key."""
    note: str | None
    """Why the newest rollout is not this server's; None: it is, or there is none."""

    @property
    def needed(self) -> list[str]:
        """Keys of the models that must answer in this process; the first one counts most."""
        if self.rollout is None:
            return [self.base]
        old, new = self.rollout.old.key, self.rollout.new.key
        if self.rollout.stage == "full":
            return [new]
        return [old, new] if self.rollout.stage == "canary" else [old]

    @property
    def kept(self) -> list[str]:
        """Keys of the models that stay if they are there, so that the way back is short."""
        return [] if self.rollout is None else [self.rollout.old.key]


def arrange(rollouts: Sequence[Rollout], own: str) -> Arrangement:
    """Follow rollouts from the oldest to the newest.

    Args:
        rollouts: all of the database, the oldest first.
        own: key of the model that the server was started with.
    """
    base = own
    known: dict[str, ModelRef] = {}
    part: Rollout | None = None
    for rollout in rollouts:
        known |= {ref.key: ref for ref in (rollout.old, rollout.new)}
        part = rollout if base in {rollout.old.key, rollout.new.key} else None
        if part is not None:
            base = part.new.key if part.stage == "full" else part.old.key
    note = None
    if rollouts and part is None:
        newest = rollouts[-1]
        note = (
            f"the rollout from {newest.old.name} to {newest.new.name} is of other models than "
            "this server's, or their folders changed"
        )
    return Arrangement(part, base, known, note)
