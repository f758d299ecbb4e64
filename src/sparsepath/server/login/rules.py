"""Who gets which role: a small TOML file over what a provider says of a person.

    claim = "groups"
    scope = ["openid", "profile", "email"]

    [roles]
    viewer = ["staff"]
    admin = ["model-owners"]

Nobody gets a role who is not named: there is no default.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sparsepath.audit.roles import ROLES, Role
from sparsepath.errors import ConfigError

Value = Annotated[str, Field(min_length=1, max_length=256)]

EMAIL: Final = "email"
"""The claim that counts only where the provider has checked it."""


class RoleRules(BaseModel):
    """Which role each value of a claim stands for; of several the highest counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: str = Field(default="groups", pattern=r"^[^.\s]+(\.[^.\s]+)*$", max_length=200)
    """Name of what the provider says of persons; `realm_access.roles` for one within another."""
    scope: list[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]] = Field(
        default=["openid", "profile", "email"]
    )
    """What the provider is asked to say."""
    roles: dict[Role, list[Value]] = Field(min_length=1)

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """Give the role of a person; None: they get none."""
        if self.claim == EMAIL and claims.get("email_verified") is not True:
            return None
        found: object = claims
        for part in self.claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        said = [found] if isinstance(found, str) else found
        if not isinstance(said, list):
            return None
        own = {value for value in said if isinstance(value, str)}
        roles = [role for role in ROLES if not own.isdisjoint(self.roles.get(role, ()))]
        return roles[-1] if roles else None

    def is_in(self, claims: Mapping[str, Any]) -> bool:
        """Say whether claims have the one that decides."""
        return self.claim.partition(".")[0] in claims


def read_rules(path: Path) -> RoleRules:
    """Read the file.

    Raises:
        ConfigError: if it cannot be read, or something in it is unknown or missing.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"the roles {path} cannot be read ({err})", hint="give the path of a TOML file"
        ) from err
    except tomllib.TOMLDecodeError as err:
        raise ConfigError(f"{path} is no TOML: {err}", hint="correct that line") from err
    try:
        rules = RoleRules.model_validate(content)
    except ValidationError as err:
        fault = err.errors()[0]
        where = ".".join(str(part)[:80] for part in fault["loc"])
        raise ConfigError(
            f"{path}: {where}: {fault['msg'][:200]}",
            hint=f"keys are claim, scope and [roles] with lists for {', '.join(ROLES)}",
        ) from err
    if "openid" not in rules.scope:
        raise ConfigError(f"{path}: scope lacks openid", hint='add it: scope = ["openid", ...]')
    return rules
