"""Who does something that two persons must share, or that a person decides."""

from typing import NamedTuple

from pydantic import JsonValue


class Actor(NamedTuple):
    """Who does something."""

    by: str
    """As records name who asked: `key:ID`, `user:NAME`, `local`."""
    person: str
    """Who that is: the key's name, the user's, or what they say."""


def told(by: Actor | str) -> dict[str, JsonValue]:
    """Name someone in a record; the person only where it is known beside the rest."""
    return {"by": by} if isinstance(by, str) else {"by": by.by, "person": by.person}
