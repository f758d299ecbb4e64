"""Every server looks at the gates; the first one that sees what follows does it.

What gates say must hold for a while. It is decided on a revision of the rollout, so that a second
server that comes to the same does nothing.
"""

import time
from typing import final

from sparsepath.audit.database import Database
from sparsepath.audit.rollout.gates import Action, Decision
from sparsepath.audit.rollout.state import Rollout, ask, promote, roll_back
from sparsepath.audit.rollout.status import Status, status
from sparsepath.errors import ConfigError
from sparsepath.server.logs import log

BY = "gates"


@final
class GateKeeper:
    """Remembers since when gates say what they say."""

    def __init__(self, database: Database) -> None:
        """Look at the rollouts of a database."""
        self._database = database
        self._since: tuple[int, Action | None, float] | None = None
        self.latest: Status | None = None
        """What was found last."""

    def look(self, rollout: Rollout | None) -> None:
        """Look at the gates once, and do what follows.

        Args:
            rollout: that this server takes part in; None: there is none, so nothing is done.

        Raises:
            RunError: if the database cannot be read or written to.
        """
        if rollout is None:
            self.latest = None
            return
        found = self.latest = status(self._database)
        seen = None if found is None else (found.rollout.id, found.rollout.revision)
        if found is None or seen != (rollout.id, rollout.revision) or not found.gates:
            return
        action = _allowed(found)
        now = time.monotonic()
        if self._since is None or self._since[:2] != (rollout.revision, action):
            self._since = rollout.revision, action, now
        if now - self._since[2] < rollout.rules.hold_s:
            return
        try:
            self._do(rollout, Decision(action, found.decision.why))
        except ConfigError as err:  # another server, or a person, was first
            log("gates found another rollout", why=err.message)

    def _do(self, rollout: Rollout, decision: Decision) -> None:
        revision, why = rollout.revision, decision.why
        asked = None if rollout.asked is None else rollout.asked.action
        if decision.action == "promote":
            promote(self._database, by=BY, revision=revision, why=why)
        elif decision.action == "roll-back":
            roll_back(self._database, by=BY, revision=revision, why=why)
        elif decision.action == "ask to promote" and asked != "promote":
            ask(self._database, "promote", revision=revision, why=why)
        elif decision.action == "ask to roll back" and asked != "roll-back":
            ask(self._database, "roll-back", revision=revision, why=why)
        elif decision.action is None and asked is not None:
            ask(self._database, None, revision=revision, why="gates say so no more")
        else:
            return
        log("gates decided", action=decision.action, why=why)


def _allowed(found: Status) -> Action | None:
    """Give what gates say; nothing is promoted by itself while a server does not follow."""
    action = found.decision.action
    is_behind = any(one.is_live and one.note for one in found.servers)
    return "ask to promote" if action == "promote" and is_behind else action
