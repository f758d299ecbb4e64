"""Does a policy allow to steer so? A refusal is on record."""

from typing import NamedTuple

from pydantic import JsonValue

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.steering import Preset
from sparsepath.audit.policy_rules import Permit
from sparsepath.audit.record import Draft
from sparsepath.errors import PolicyError
from sparsepath.server.auth import Principal
from sparsepath.server.models import name_of
from sparsepath.server.service import Service


class Wanted(NamedTuple):
    """How somebody wants to steer."""

    preset: Preset | None
    edits: tuple[Edit, ...]
    """That were not saved."""
    use: str | None
    """What for; None: it was not said."""

    @property
    def facts(self) -> dict[str, JsonValue]:
        """The same as records have it."""
        preset = self.preset
        return {
            "preset": None if preset is None else preset.name,
            "preset_sha256": None if preset is None else preset.content_sha256,
            "edits": [str(edit) for edit in self.edits],
            "use": self.use,
        }


async def permitted(service: Service, wanted: Wanted, who: Principal, id_: str) -> Permit | None:
    """Give the policy that allows it; None where none is needed.

    Raises:
        PolicyError: if none does.
        Problem: if the refusal cannot be recorded.
        RunError: if the database cannot be reached.
    """
    if service.gate is None or (wanted.preset is None and not wanted.edits):
        return None
    try:
        return await service.gate.permit(wanted.preset, wanted.use, who.role, edits=wanted.edits)
    except PolicyError as err:
        facts: dict[str, JsonValue] = {
            "request": id_,
            "by": who.name,
            "model": name_of(service.model).model_dump(),
            "rule": err.rule,
        }
        await service.journal.write([Draft(kind="policy.refuse", body=facts | wanted.facts)])
        raise
