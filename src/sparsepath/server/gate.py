"""Is a text that is steered allowed by a policy? Policies are remembered for a moment."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Final, Protocol, final, runtime_checkable

from sparsepath.artifacts.catalogue import CATALOGUE_FILE
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.steering import Preset
from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.policies import expire, list_policies, newest_change
from sparsepath.audit.policy import Standing
from sparsepath.audit.policy_model import catalogue_sha256
from sparsepath.audit.policy_rules import Asked, Permit, permit
from sparsepath.audit.roles import Role
from sparsepath.errors import PolicyError

REMEMBERED_S: Final = 2.0
"""Longest time that a revoked policy goes on being used."""


@runtime_checkable
class Governed(Protocol):
    """A model whose steering policies allow."""

    name: str
    folder: Path
    sha256: str
    """Of its weights."""


@final
class Gate:
    """Knows the policies over one model."""

    def __init__(
        self, database: Database, model: Governed, *, needs_policy: bool, is_free: bool = False
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            database: where policies are kept.
            model: that is served.
            needs_policy: refuse steering also where nothing was ever approved.
            is_free: allow steering while the model has no policy, whatever others have.
        """
        self._database, self._model = database, model
        self._needs_policy, self._is_free = needs_policy, is_free
        self._standings: Sequence[Standing] = ()
        self._is_governed = False
        self._newest = -1
        self._catalogue: str | None = None
        self._catalogue_seen: tuple[int, int] | None = None
        self._read_at = -REMEMBERED_S
        self._reading = asyncio.Lock()

    async def permit(
        self, preset: Preset | None, use: str | None, role: Role, *, edits: tuple[Edit, ...] = ()
    ) -> Permit | None:
        """Give the policy that allows a preset and edits; None where none is needed.

        Args:
            preset: a saved one; None: there are only edits.
            use: what for; None: it was not said.
            role: of who asks.
            edits: that were not saved.

        Raises:
            PolicyError: if no policy allows it.
            RunError: if policies cannot be read.
        """
        standings = await self.standings()
        if not standings and not self._is_default_refusal:
            return None
        if not standings and not self._needs_policy:
            raise _unknown(self._model.name)
        asked = Asked(self._model.sha256, self._catalogue, now(), use, role, preset, edits)
        return permit(self._standings, asked)

    @property
    def catalogue_sha256(self) -> str | None:
        """Hash of the catalogue beside the model, when `standings` was asked last."""
        return self._catalogue

    async def standings(self) -> Sequence[Standing]:
        """Give the policies over this model, as they stood a moment ago at most.

        Raises:
            RunError: if they cannot be read.
        """
        if monotonic() - self._read_at >= REMEMBERED_S:
            async with self._reading:
                begun = monotonic()
                if begun - self._read_at >= REMEMBERED_S:
                    await asyncio.to_thread(self._read)
                    self._read_at = begun
        return self._standings

    def is_needed(self, standings: Sequence[Standing]) -> bool:
        """Say whether steering needs a policy, by all that were ever proposed."""
        governed = is_governed(standings) and not self._is_free
        return self._needs_policy or governed or any(map(self.is_ours, standings))

    @property
    def _is_default_refusal(self) -> bool:
        """Whether a model without a policy may not be steered.

        Where somebody has ever approved something, a model that no policy names is most likely one
        that was trained anew; what was approved or forbidden for the old one must not end by that.
        """
        return self._needs_policy or (self._is_governed and not self._is_free)

    def _read(self) -> None:
        """Read what has changed; record what has come to its end."""
        if any(s.end is None and s.policy.expires <= now() for s in self._standings):
            expire(self._database, by="server")
        if (newest := newest_change(self._database)) != self._newest:
            found = list_policies(self._database)
            self._standings = [standing for standing in found if self.is_ours(standing)]
            self._is_governed = is_governed(found)
            self._newest = newest
        file = self._model.folder / CATALOGUE_FILE
        facts = file.stat() if file.is_file() else None
        seen = None if facts is None else (facts.st_mtime_ns, facts.st_size)
        if seen != self._catalogue_seen:
            self._catalogue = catalogue_sha256(self._model.folder)
            self._catalogue_seen = seen

    def is_ours(self, standing: Standing) -> bool:
        """Say whether a policy is over this model, or over other weights of its name."""
        policy = standing.policy
        return policy.model_sha256 == self._model.sha256 or policy.model == self._model.name


def is_governed(standings: Sequence[Standing]) -> bool:
    """Say whether anything was ever approved here, also what has ended since."""
    return any(standing.approved is not None for standing in standings)


def _unknown(model: str) -> PolicyError:
    return PolicyError(
        f"the rule no-policy refuses this: policies were approved here, and none is over {model}",
        rule="no-policy",
        hint="propose one: sparsepath policy new, then sparsepath policy propose; or whoever runs "
        f"the server says that it needs none: --policy-free {model}",
    )
