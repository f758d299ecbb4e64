"""What a key may do at most."""

from typing import Final, Literal, get_args

Role = Literal["viewer", "reviewer", "operator", "admin"]
"""From the least to the most; each may do what those before it may."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)


def allows(role: Role, least: Role) -> bool:
    """Say whether a role may do what needs at least another one."""
    return ROLES.index(role) >= ROLES.index(least)
