"""Steering under a policy, without a server: the same rules, asked at each edit."""

from pathlib import Path
from typing import final

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.steering import Preset
from sparsepath.audit.clock import now
from sparsepath.audit.policy import Standing, standing_of
from sparsepath.audit.policy_file import read_policy
from sparsepath.audit.policy_model import asked_of
from sparsepath.audit.policy_rules import Permit, permit


@final
class Policed:
    """Asks one policy about every edit of one model."""

    def __init__(
        self, policy: Path | str | Standing, folder: Path, sha256: str, use: str | None
    ) -> None:
        """Prepare.

        Args:
            policy: its TOML file with the approval in it, or where it stands in a database.
            folder: of the model.
            sha256: of the model's weights.
            use: what the model writes for.

        Raises:
            ConfigError: if the file cannot be read, or was changed after its approval.
        """
        if not isinstance(policy, Standing):
            policy = standing_of(read_policy(Path(policy)))
        self._standing = policy
        self._asked = asked_of(folder, sha256=sha256)._replace(use=use)

    def check(self, *, preset: Preset | None = None, edits: tuple[Edit, ...] = ()) -> Permit | None:
        """See that the policy allows to steer so now; None: that is no steering.

        Raises:
            PolicyError: if it does not.
        """
        asked = self._asked._replace(moment=now(), preset=preset, edits=edits)
        return permit([self._standing], asked) if asked.is_steered else None
